"""Prepares records: label files + audio folder -> shards + manifest.

    labels and audio -> plan (plan.py) -> workers (pool.py or beam.py)
                     -> reports of the shards -> manifest and lists of losses

Two lists say clip by clip what was lost between labels and records:
`left_out.csv` and `faults.csv` (manifest.py). Reasons are those of `AudioError`
and `faults.FAULTS`, and two of the plan, `eval_clip` and `group_held_out`. The
latter are no loss: they were asked for.

Finished shards are kept. What would take clips or labels from them stops the
run before it writes, unless it is told to replace them.
"""

import collections
import csv
import dataclasses
import hashlib
import io
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from absl import logging

from audioset_strong import files
from audioset_strong.audio.containers import is_container, is_member
from audioset_strong.audio.listing import (
    index_listing,
    indexed_audio,
    list_audio,
    match_audio,
)
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    KnownClasses,
    format_class_map,
    read_class_map,
)
from audioset_strong.labels.clips import (
    leave_out_unknown,
    read_annotated_clips,
)
from audioset_strong.labels.frame_rule import num_label_frames_of
from audioset_strong.labels.label_mapping import (
    LabelMapping,
    describe_mapping,
    map_strong_labels,
    map_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog, listed
from audioset_strong.labels.training_sets import read_label_ytids
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    LabelFrameParams,
    RecordParams,
)
from audioset_strong.records import pool
from audioset_strong.records.audio_index import AudioIndex, read_audio_index
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    GROUPS_NAME,
    MANIFEST_NAME,
    SEGMENT_IDS_NAME,
    Shard,
    hash_records,
    read_json,
    write_json,
    write_text,
)
from audioset_strong.records.plan import (
    Plan,
    name_some,
    plan_clips,
    plan_shards,
    read_label_tables,
)
from audioset_strong.records.schema import LABEL_SETS
from audioset_strong.records.tasks import (
    MAX_EXAMPLES,
    PLAN_DIR_NAME,
    REPORTS_DIR_NAME,
    SHARD_FILE,
    Clip,
    Report,
    ShardSettings,
    ShardTask,
    check_settings,
    find_shrinking,
    read_reports,
    save_settings,
    save_tasks,
)

LEFT_OUT_NAME = "left_out.csv"
FAULTS_NAME = "faults.csv"

# A larger share of clips without audio is taken for a mistake.
_MOST_CLIPS = 0.9

# segment_id, reason and detail of a clip that is left out or has a fault.
ClipRow = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class WorkerParams:
    """Which processes write the shards.

    Attributes:
      num_workers: Processes, on this machine or as the runner understands it; 0
        for one a core, or as the runner chooses.
      runner: "local" for processes of this machine, or a runner of Apache Beam
        such as "PortableRunner", "FlinkRunner" or "DaskRunner".
      runner_options: Options of the runner, such as "--job_endpoint=...".
    """

    num_workers: int = 0
    runner: str = "local"
    runner_options: tuple[str, ...] = ()


def prepare_records(
    audio_dir: str,
    weak_paths: Sequence[str],
    strong_paths: Sequence[str],
    class_map_path: str,
    output_dir: str,
    params: RecordParams = RecordParams(),
    features: FeatureParams = FeatureParams(),
    label_frames: LabelFrameParams = LabelFrameParams(),
    audio: AudioParams = AudioParams(),
    workers: WorkerParams = WorkerParams(),
    max_loss: float | None = None,
    mapping: LabelMapping | None = None,
    eval_label_paths: Sequence[str] = (),
    problems: ProblemLog | None = None,
    clips_path: str = "",
    audio_index_path: str = "",
    replace: bool = False,
) -> dict[str, Any]:
    """Writes records of the clips that label files name.

    Every path may be local or in object storage. Finished shards are kept, so
    that the same call again goes on where an earlier one ended.

    Args:
      audio_dir: Folder with the clips' audio, searched with its subfolders, in
        files, Parquet files and tars; or one of the latter (`containers.py`).
        With an audio index, what its paths are relative to, or "".
      weak_paths: Weak CSVs.
      strong_paths: Strong TSVs.
      class_map_path: The classes, as in class_labels_indices.csv.
      output_dir: Folder of the records.
      params: Held-out share, share of Strong, shard size, storage.
      features: The front end.
      label_frames: Grid of label frames, for readers; the number of them is
        that of the longest clip.
      audio: How audio is decoded, and which faults are left out.
      workers: Which processes write the shards.
      max_loss: Largest share of the clips, in [0, 1], that may be missing or
        unusable; None for any, but that nine of ten are missing.
      mapping: What labels become; None to take them as they are.
      eval_label_paths: Label files of any kind; clips of their groups are left
        out, so that no evaluation clip is trained on.
      problems: Takes what is wrong with label files; None for a new log.
      clips_path: List of annotated clips (`labels.clips`), or "".
      audio_index_path: Where the clips are (`audio_index.py`), or "" to find
        them by their names.
      replace: Whether finished shards may be deleted or lose clips or labels.

    Returns:
      The manifest.

    Raises:
      InputError: No label file is given, a label file has the wrong header, the
        audio folder is empty, too many clips are lost, a shard could not be
        written, another process writes to the output folder, or it holds what
        this run would take away.
    """
    if not weak_paths and not strong_paths:
        raise InputError("Expected weak or strong label files, found none.")
    if not audio_dir and not audio_index_path:
        raise InputError("Expected a folder of audio or an audio index.")
    if workers.runner != WorkerParams.runner:
        # Workers of a cluster have working folders of their own.
        audio_dir, output_dir, audio_index_path = (
            path if files.is_remote(path) or not path else os.path.abspath(path)
            for path in (audio_dir, output_dir, audio_index_path)
        )
    problems = problems or ProblemLog()
    mapping = mapping or LabelMapping()
    original_of: dict[str, str] = {}
    inputs: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:

        def local(kind: str, paths: Sequence[str]) -> list[str]:
            """Copies what is not local, each file to a folder of its own."""
            copies = []
            for path in paths:
                logging.info("Reading %s.", path)
                copy = path
                if files.is_remote(path):
                    own_folder = tempfile.mkdtemp(dir=folder)
                    copy = os.path.join(own_folder, os.path.basename(path))
                    files.copy_here(path, copy)
                name = os.path.basename(path)
                inputs.append(
                    {"kind": kind, "name": name, "hash": _hash_file(copy)}
                )
                copies.append(copy)
            original_of.update(zip(copies, paths, strict=True))
            return copies

        class_map = read_class_map(local("class_map", [class_map_path])[0])
        mids_of_name = KnownClasses(class_map).mids_of_name()
        of_eval = local("eval_labels", eval_label_paths)
        of_weak = local("weak_labels", weak_paths)
        of_strong = local("strong_labels", strong_paths)
        clips = index = None
        if audio_index_path:
            index = read_audio_index(audio_index_path, audio_dir)
        try:
            if clips_path:
                clips = read_annotated_clips(local("clips", [clips_path])[0])
            eval_ytids = read_label_ytids(of_eval, problems, mids_of_name)
            weak, strong = read_label_tables(
                of_weak,
                of_strong,
                problems,
                mids_of_name,
                _longest(clips, index, params.clip_seconds),
            )
        except InputError as error:
            text = str(error)
            for copy, path in original_of.items():
                text = text.replace(copy, path)
            raise InputError(text) from error
        if audio_index_path:
            local("audio_index", [audio_index_path])
    problems.problems[:] = [
        dataclasses.replace(p, path=original_of.get(p.path, p.path))
        for p in problems.problems
    ]
    problems.report()
    if not len(weak) and not len(strong) and clips is None:
        raise InputError(
            f"The label files name no clip ({problems.num_left_out} bad lines "
            f"were left out)."
        )
    unknown: list[str] = []
    if clips is not None:
        labelled = [weak["segment_id"], strong["segment_id"]]
        clips, unknown = leave_out_unknown(clips, problems, labelled)
    for line in describe_mapping(mapping):
        logging.info("%s", line)
    path_of_stem: dict[str, str] = {}
    names_of_path: dict[str, tuple[str, ...]] = {}
    if not index:
        path_of_stem, names_of_path = _find_audio_files(audio_dir)
    logging.info("Joining labels and audio.")
    plan = plan_clips(
        map_weak_labels(weak, mapping),
        map_strong_labels(strong, mapping),
        class_map,
        path_of_stem,
        params,
        eval_ytids,
        clips,
        index,
    )
    plan.left_out += [
        (segment_id, "bad_label_lines", "its label lines were skipped")
        for segment_id in unknown
    ]
    del weak, strong
    planned = [clip for of_group in plan.clips.values() for clip in of_group]
    if plan.unmapped and not any(any(c.events.values()) for c in planned):
        raise InputError(
            f"No label is of a class of the class map {class_map_path} "
            f"({listed(class_map.mids, 3)}); labels are of "
            f"{listed(sorted(plan.unmapped), 3)}. Give the class map of these "
            f"labels."
        )
    is_limited = max_loss is not None
    max_loss = 1.0 if max_loss is None else max_loss
    num_missing = sum(not clip.is_there for clip in planned)
    check_loss(num_missing, len(planned), max_loss, "they have no audio file")
    names = index.row_of_clip if index else indexed_audio(path_of_stem)
    _name_unused(planned, plan, index, path_of_stem, names_of_path)
    if num_missing > _MOST_CLIPS * len(planned) and not is_limited:
        _stop_for_want_of_audio(planned, names, audio_index_path or audio_dir)

    make_folders(output_dir)
    with files.hold_lock(output_dir):
        settings = {
            "records": dataclasses.asdict(params),
            "features": dataclasses.asdict(features),
            "audio": dataclasses.asdict(audio),
            "label_frames": dataclasses.asdict(label_frames),
            "label_mapping": dataclasses.asdict(mapping.params),
            "class_map_hash": class_map.content_hash,
        }
        tasks = plan_shards(
            plan,
            output_dir,
            params.clips_per_shard,
            ShardSettings(features, audio, params.log_mel_dtype),
        )
        if not replace:
            check_settings(output_dir, settings, class_map)
            _check_shrinking(tasks, output_dir)
        clear_unfinished(output_dir)
        save_settings(output_dir, settings)
        map_path = os.path.join(output_dir, CLASS_MAP_NAME)
        write_text(format_class_map(class_map), map_path)
        reports = run_tasks(tasks, output_dir, workers)

        left_out, faults = list_losses(plan, reports)
        left_out_path = os.path.join(output_dir, LEFT_OUT_NAME)
        write_text(format_losses(left_out), left_out_path)
        write_text(format_losses(faults), os.path.join(output_dir, FAULTS_NAME))
        num_lost = len(left_out) - len(plan.left_out)
        check_loss(
            num_lost, len(planned), max_loss, f"{left_out_path} lists them"
        )
        names_left_out = {row[0] for row in left_out}
        written = sorted(
            clip.segment_id
            for clip in planned
            if clip.segment_id not in names_left_out
        )
        _write_clip_names(written, plan, output_dir)
        remove_outdated(tasks, output_dir)
        manifest = {
            **settings,
            "label_frames": _describe_grid(plan, label_frames, reports),
            **sum_up(plan, class_map.num_classes, reports),
            "records_hash": hash_records(
                Shard(**report["shard"]) for report in reports
            ),
            "versions": _merge_versions(reports),
            "inputs": inputs,
            "label_problems": [str(problem) for problem in problems.problems],
        }
        write_json(manifest, os.path.join(output_dir, MANIFEST_NAME))
    if not written:
        raise InputError(
            f"None of the labelled clips could be written: "
            f"{manifest['left_out_by_reason']}. {left_out_path} lists them."
        )
    return manifest


def _longest(
    clips: pd.DataFrame | None, index: AudioIndex | None, clip_seconds: float
) -> LabelFrameParams:
    """Returns the grid of the longest clip, for checks of label files."""
    seconds = [clip_seconds or math.inf]  # 0 is for whole files
    if clips is not None:
        seconds.append(clips["duration_seconds"].max())
    if index is not None:
        seconds.append(np.nanmax([0.0, *index.duration_seconds]))
    return LabelFrameParams(clip_seconds=float(max(seconds)))


def _hash_file(path: str) -> str:
    """Returns the first 16 hex digits of a local file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _find_audio_files(
    audio_dir: str,
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Lists the audio files by what their names may mean.

    Returns:
      Paths by names (`listing.index_listing`), and names of container members.

    Raises:
      InputError: There is no such folder, or nothing in it.
    """
    logging.info("Listing %s.", audio_dir)
    if not (
        files.is_remote(audio_dir)
        or os.path.isdir(audio_dir)
        or is_container(audio_dir)
    ):
        raise InputError(
            f"{audio_dir} is not a folder. Give that of the clips."
        )
    listing = list_audio(audio_dir)
    path_of_stem = index_listing(listing)
    if not path_of_stem:
        raise InputError(
            f"{audio_dir} holds no audio files. Give the folder of the clips."
        )
    return path_of_stem, listing.names_of_path


def _name_unused(
    planned: Sequence[Clip],
    plan: Plan,
    index: AudioIndex | None,
    path_of_stem: Mapping[str, str],
    names_of_path: Mapping[str, Sequence[str]],
) -> None:
    """Says how much audio no clip uses, and of two files which is used."""
    clips = {clip.segment_id: clip.audio_path for clip in planned}
    clips.update((row[0], "") for row in plan.left_out)
    if index:
        unused = sorted(name for name in index.row_of_clip if name not in clips)
        if unused:
            logging.info(
                "%s rows of %s name clips without labels, such as %s.",
                f"{len(unused):,}",
                index.source,
                name_some(unused),
            )
        return
    used = set(clips.values())
    paths = sorted(indexed_audio(path_of_stem) - used)
    if not paths:
        return
    matches = match_audio(clips, paths, names_of_path)
    second = [
        (clips[segment_id], path)
        for segment_id, path in matches.path_of_clip.items()
        if clips[segment_id]  # otherwise it is left out
    ]
    if second:
        logging.warning(
            "%s clips have more than one audio file; the first or most exact "
            "name counts: of %s and %s the former.",
            f"{len(second):,}",
            *map(repr, second[0]),
        )
    if matches.unmatched_paths:
        named = [
            repr(path)
            + (
                f" (called {names_of_path[path][0]!r})"
                if is_member(path)
                else ""
            )
            for path in matches.unmatched_paths[:MAX_EXAMPLES]
        ]
        logging.info(
            "%s audio files match no labelled clip, such as %s.",
            f"{len(matches.unmatched_paths):,}",
            ", ".join(named),
        )


def _stop_for_want_of_audio(
    planned: Sequence[Clip], names: Iterable[str], source: str
) -> None:
    """Raises `InputError` that shows clips and audio that do not match."""
    missing = [clip for clip in planned if not clip.is_there]
    found = sorted(names)[:MAX_EXAMPLES]
    by_path = [clip.audio_path for clip in missing if clip.audio_path]
    what = (
        f"{source} names files that are not there, such as {name_some(by_path)}"
        if by_path
        else f"{source} has such as {name_some(found)}"
    )
    raise InputError(
        f"{len(missing):,} of {len(planned):,} labelled clips have no audio. "
        f"The labels name clips such as "
        f"{name_some([clip.segment_id for clip in missing])}; {what}. Give the "
        f"labels of this audio, or the audio of these labels; with max_loss=1 "
        f"the run goes on without them."
    )


def _check_shrinking(tasks: Sequence[ShardTask], output_dir: str) -> None:
    """Raises `InputError` if finished shards would lose clips or labels."""
    losses = find_shrinking(tasks, output_dir)
    texts = [
        f"{len(ids):,} {what}, such as {name_some(ids)}"
        for ids, what in (
            (losses.gone, "would have no label or no audio any more"),
            (losses.smaller, "would have fewer events or be shorter"),
        )
        if ids
    ]
    if texts:
        raise InputError(
            f"{output_dir} holds {losses.num_clips:,} finished clips, and this "
            f"run would take from them: {'; '.join(texts)}. Give the audio and "
            f"the labels that they were made of, or another output folder; "
            f"with replace=True the run does it."
        )


def _write_clip_names(
    written: Sequence[str], plan: Plan, output_dir: str
) -> None:
    """Writes the list of clips, and their groups where names do not tell."""
    write_text(
        "".join(f"{segment_id}\n" for segment_id in written),
        os.path.join(output_dir, SEGMENT_IDS_NAME),
    )
    groups_path = os.path.join(output_dir, GROUPS_NAME)
    if plan.split_groups:
        rows = (
            f"{segment_id}\t{plan.split_groups[segment_id]}\n"
            for segment_id in written
            if segment_id in plan.split_groups
        )
        write_text("".join(["segment_id\tgroup\n", *rows]), groups_path)
    else:
        files.remove(groups_path)


def _describe_grid(
    plan: Plan, label_frames: LabelFrameParams, reports: Sequence[Report]
) -> dict[str, Any]:
    """Fits the grid of label frames to the longest clip."""
    longest = max(
        plan.longest_clip_seconds,
        *(report.get("longest_clip_seconds", 0.0) for report in reports),
        0.0,
    )
    if not longest:
        return dataclasses.asdict(label_frames)
    return dataclasses.asdict(
        dataclasses.replace(
            label_frames,
            clip_seconds=longest,
            num_label_frames=int(num_label_frames_of(longest, label_frames)),
        )
    )


def _merge_versions(reports: Sequence[Report]) -> dict[str, str]:
    """Lists the versions of the software that the shards were made with."""
    found: dict[str, set[str]] = {}
    for report in reports:
        for name, version in report.get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(v)) for name, v in sorted(found.items())}


def check_loss(
    num_lost: int, num_clips: int, max_loss: float, where: str
) -> None:
    """Checks that not too many of the wanted clips are lost.

    Raises:
      InputError: More than the share `max_loss` are; `where` says which.
    """
    if num_lost > max_loss * num_clips:
        raise InputError(
            f"{num_lost:,} of {num_clips:,} clips ({num_lost / num_clips:.1%}) "
            f"are lost, more than max_loss={max_loss:g} allows: {where}. "
            f"Find their audio, or give a larger max_loss."
        )


def make_folders(output_dir: str) -> None:
    """Makes the folders of records."""
    for name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        files.make_folder(os.path.join(output_dir, name))


def clear_unfinished(output_dir: str) -> None:
    """Clears away what a killed run left, and what an earlier one said."""
    for name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        files.remove_temporary_files(os.path.join(output_dir, name))
    reports_dir = os.path.join(output_dir, REPORTS_DIR_NAME)
    for name in files.list_names(reports_dir):
        match = SHARD_FILE.fullmatch(name)
        if match and match[2]:
            files.remove(os.path.join(reports_dir, name))


def run_tasks(
    tasks: Sequence[ShardTask], output_dir: str, workers: WorkerParams
) -> list[Report]:
    """Has the shards written that are not finished.

    Returns:
      The report of each task, in their order.

    Raises:
      InputError: A shard could not be written.
    """
    reports = read_reports(tasks)
    waiting = [task for task in tasks if task.name not in reports]
    if reports:
        logging.info(
            "%d of %d shards are finished already.", len(reports), len(tasks)
        )
    if waiting:
        # A folder with a manifest is finished; this one is not.
        files.remove(os.path.join(output_dir, MANIFEST_NAME))
        save_tasks(waiting)
        names = [task.name for task in waiting]
        if workers.runner == WorkerParams.runner:
            num_workers = workers.num_workers or os.cpu_count() or 1
            num_clips = sum(len(task.clips) for task in waiting)
            pool.write_shards(
                names, output_dir, min(num_workers, len(names)), num_clips
            )
        else:
            beam = import_beam(workers.runner)
            logging.info("%s writes %d shards.", workers.runner, len(names))
            beam.write_shards(
                names,
                output_dir,
                workers.runner,
                workers.num_workers,
                workers.runner_options,
            )
        reports |= read_reports(waiting)
    missing = [task for task in tasks if task.name not in reports]
    failures = [
        read_json(task.failure_path)
        for task, num_bytes in zip(
            missing,
            files.num_bytes_of([task.failure_path for task in missing]),
        )
        if num_bytes is not None
    ]
    if failures:
        raise InputError(
            f"{len(missing):,} of {len(tasks):,} shards are not written, "
            f"{len(failures):,} because a machine cannot read their audio. The "
            f"first, on {failures[0]['host']}: {failures[0]['detail']}. Mend "
            f"this, or take the file away; the same command goes on from there."
        )
    if missing:
        raise InputError(
            f"{len(missing)} of {len(tasks)} shards, such as "
            f"{missing[0].name}, are "
            f"not in {output_dir} after the run. Do all workers write to the "
            f"same folder? Workers of other machines need shared or object "
            f"storage."
        )
    return [reports[task.name] for task in tasks]


def import_beam(runner: str) -> Any:
    """Imports `records.beam`, which takes seconds and needs an extra.

    Raises:
      InputError: Apache Beam is not installed.
    """
    try:
        from audioset_strong.records import beam
    except ModuleNotFoundError as error:
        extra = "dask" if runner == "DaskRunner" else "beam"
        raise InputError(
            f"The runner {runner} needs Apache Beam ({error}). Run pip install "
            f"'audioset_strong[{extra}]', or use the runner 'local'."
        ) from error
    return beam


def remove_outdated(tasks: Sequence[ShardTask], output_dir: str) -> None:
    """Removes shards that the present plan does not have."""
    names = {task.name for task in tasks}
    for folder_name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        folder = os.path.join(output_dir, folder_name)
        for name in files.list_names(folder):
            match = SHARD_FILE.fullmatch(name)
            if match and match[1] not in names:
                files.remove(os.path.join(folder, name))
                logging.info("Removed %s of an earlier plan.", name)


def list_losses(
    plan: Plan, reports: Sequence[Report]
) -> tuple[list[ClipRow], list[ClipRow]]:
    """Collects what the plan left out and what the shards report.

    Returns:
      Rows of clips without a record, and of the faults of clips with one; both
      sorted.
    """
    left_out, faults = (
        [tuple(row) for report in reports for row in report[kind]]
        for kind in ("left_out", "faults")
    )
    return sorted([*plan.left_out, *left_out]), sorted(faults)


def format_losses(rows: Iterable[ClipRow]) -> str:
    """Writes rows as CSV, with a header even if there are none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["segment_id", "reason", "detail"])
    writer.writerows(rows)
    return text.getvalue()


def sum_up(
    plan: Plan, num_classes: int, reports: Sequence[Report]
) -> dict[str, Any]:
    """Adds up the shards' reports and counts what was written per class.

    Returns:
      The manifest's entries besides settings and label problems.
    """
    left_out, faults = list_losses(plan, reports)
    names_left_out = {row[0] for row in left_out}
    written = {
        group: [c for c in clips if c.segment_id not in names_left_out]
        for group, clips in plan.clips.items()
    }
    events_per_class = {name: [0] * num_classes for name in LABEL_SETS}
    # Held-out clips are no training data.
    for clip in [*written["weak"], *written["strong"]]:
        for label_set, events in clip.events.items():
            for class_index, _, _ in events:
                events_per_class[label_set][class_index] += 1
    notes = collections.Counter(plan.notes)
    for report in reports:
        notes.update(report["notes"])
    # Sorted, so that reasons of the same count are too.
    reasons = collections.Counter(sorted(row[1] for row in left_out))
    return {
        "shards": [report["shard"] for report in reports],
        "clips": {group: len(clips) for group, clips in written.items()},
        "events_per_class": events_per_class,
        "unmapped_mids": dict(sorted(plan.unmapped.items())),
        "notes": dict(notes),
        "left_out_by_reason": dict(reasons.most_common()),
        "left_out": _segment_ids_by_reason(left_out),
        "faults": _segment_ids_by_reason(faults),
    }


def _segment_ids_by_reason(rows: Iterable[ClipRow]) -> dict[str, list[str]]:
    """Lists the clips of each reason, both sorted as the rows are."""
    clips: dict[str, list[str]] = {}
    for segment_id, reason, _ in rows:
        clips.setdefault(reason, []).append(segment_id)
    return dict(sorted(clips.items()))


def describe(
    manifest: Mapping[str, Any], write_line: Callable[[str], None]
) -> None:
    """Says what was written and what was left out, for people."""
    clips: dict[str, int] = manifest["clips"]
    by_group = ", ".join(f"{count} {group}" for group, count in clips.items())
    write_line(f"{sum(clips.values())} clips written ({by_group}).")
    reasons: dict[str, int] = manifest["left_out_by_reason"]
    if reasons:
        by_reason = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        write_line(
            f"{sum(reasons.values())} clips left out ({by_reason}); "
            f"{LEFT_OUT_NAME} lists each with the reason."
        )
    faults: dict[str, list[str]] = manifest["faults"]
    if faults:
        by_fault = ", ".join(f"{len(i)} {name}" for name, i in faults.items())
        write_line(
            f"Clips written although something is wrong with their audio: "
            f"{by_fault}; {FAULTS_NAME} lists them."
        )
    for note, count in manifest["notes"].items():
        write_line(f"{count} clips: {note}.")
    unmapped: dict[str, int] = manifest["unmapped_mids"]
    if unmapped:
        write_line(
            f"{sum(unmapped.values())} events of {len(unmapped)} mids that are "
            f"not in the class map were left out; their clips were kept."
        )
