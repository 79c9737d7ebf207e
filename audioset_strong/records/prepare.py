"""What was lost on the way from labels to records, clip by clip.

    left_out.csv  segment_id, reason, detail: clips without a record
    faults.csv    the same of clips that have one: clipped, short, ...

Reasons are those of `AudioError` and `audio_faults.FAULTS`, and of the plan
(`eval_clip`, `outside_strong_fraction`), which are no loss: they were wanted.

Sums over shards: what a manifest says besides settings, and in words.

Has the shards of a plan written, those that are not there yet.

plan -> plan files -> pipeline (writer.py) -> reports

Has records written: reads labels, plans, runs the pipeline, sums up.

label files + audio folder -> clip plan -> shards -> manifest
"""

import collections
import csv
import dataclasses
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from absl import logging

from audioset_strong import files
from audioset_strong.audio.listing import index_listing, list_audio
from audioset_strong.errors import InputError
from audioset_strong.files import list_names
from audioset_strong.labels.class_map import (
    ClassMap,
    format_class_map,
    read_class_map,
)
from audioset_strong.labels.label_mapping import (
    LabelMapping,
    describe_mapping,
    map_strong_labels,
    map_weak_labels,
)
from audioset_strong.labels.problems import Problem, ProblemLog
from audioset_strong.labels.training_sets import read_label_ytids
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    LabelFrameParams,
    RecordParams,
)
from audioset_strong.records.beam import BeamRun, write_shards
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    MANIFEST_NAME,
    SEGMENT_IDS_NAME,
    write_json,
    write_text,
)
from audioset_strong.records.plan import (
    PLAN_DIR_NAME,
    REPORTS_DIR_NAME,
    AudioIndex,
    Plan,
    RecordSettings,
    Report,
    ShardTask,
    check_settings,
    plan_clips,
    plan_shards,
    read_label_tables,
    read_reports,
    save_tasks,
)
from audioset_strong.records.shard import show_progress

# --- audit -----------------------------------------------------------------


LEFT_OUT_NAME = "left_out.csv"
FAULTS_NAME = "faults.csv"


class ClipFault(NamedTuple):
    """What is wrong with one clip.

    Attributes:
      segment_id: The clip.
      reason: One of a few words, to count by.
      detail: What was expected and what came.
    """

    segment_id: str
    reason: str
    detail: str


class Audit(NamedTuple):
    """What is wrong with the clips of a release, sorted.

    Attributes:
      left_out: Clips without a record.
      faults: Of clips with a record; a clip may have several.
    """

    left_out: list[ClipFault]
    faults: list[ClipFault]


def audit_clips(plan: Plan, reports: Sequence[Report]) -> Audit:
    """Collects what the plan left out and what the shards' reports say."""
    left_out = [ClipFault(*row) for row in plan.left_out]
    left_out += [ClipFault(*row) for r in reports for row in r["left_out"]]
    faults = [ClipFault(*row) for r in reports for row in r["faults"]]
    return Audit(sorted(left_out), sorted(faults))


def count_reasons(rows: Iterable[ClipFault]) -> dict[str, int]:
    """Counts clips by reason, most frequent first."""
    counter = collections.Counter(row.reason for row in rows)
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def segment_ids_by_reason(rows: Iterable[ClipFault]) -> dict[str, list[str]]:
    """Lists the clips of each reason, both sorted."""
    clips: dict[str, list[str]] = {}
    for row in sorted(rows):
        clips.setdefault(row.reason, []).append(row.segment_id)
    return dict(sorted(clips.items()))


def write_audit(audit: Audit, output_dir: str) -> None:
    """Writes both CSV files, with a header also where nothing is wrong."""
    for rows, name in (
        (audit.left_out, LEFT_OUT_NAME),
        (audit.faults, FAULTS_NAME),
    ):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(ClipFault._fields)
        writer.writerows(rows)
        write_text(text.getvalue(), os.path.join(output_dir, name))


def check_loss(
    num_lost: int, num_clips: int, max_loss: float, where: str
) -> None:
    """Checks that not too many clips are lost.

    Args:
      num_lost: Clips that were wanted and cannot be written.
      num_clips: Clips that were wanted.
      max_loss: The largest share of them that may be lost, in [0, 1].
      where: Says which are lost, for the message.

    Raises:
      InputError: More are lost.
    """
    if num_lost > max_loss * num_clips:
        raise InputError(
            f"{num_lost:,} of {num_clips:,} clips ({num_lost / num_clips:.1%}) "
            f"are lost, more than --max_loss={max_loss:g} allows: {where}. "
            f"Find their audio, or give a larger --max_loss."
        )


# --- manifest summary ------------------------------------------------------


def sum_up(
    plan: Plan, num_classes: int, reports: Sequence[Report]
) -> dict[str, Any]:
    """Adds up the shards' reports and counts what was written per class.

    Args:
      plan: What was to be written.
      num_classes: Classes of the class map.
      reports: What `write_shard` returned for each shard, in their order.

    Returns:
      The manifest's entries besides settings and label problems.
    """
    audit = audit_clips(plan, reports)
    names_left_out = {row.segment_id for row in audit.left_out}
    notes = collections.Counter(plan.notes)
    for report in reports:
        notes.update(report["notes"])
    return {
        "shards": [report["shard"] for report in reports],
        "clips": {
            group: sum(c.segment_id not in names_left_out for c in clips)
            for group, clips in plan.clips.items()
        },
        "events_per_class": {
            label_set: _count_events(
                plan, label_set, num_classes, names_left_out
            )
            for label_set in ("weak", "strong")
        },
        "unmapped_mids": dict(sorted(plan.unmapped.items())),
        "notes": dict(notes),
        "left_out_by_reason": count_reasons(audit.left_out),
        "left_out": segment_ids_by_reason(audit.left_out),
        "faults": segment_ids_by_reason(audit.faults),
    }


def _count_events(
    plan: Plan, label_set: str, num_classes: int, left_out: set[str]
) -> list[int]:
    """Counts the events of each class in the clips that are training data."""
    counts = [0] * num_classes
    for group in ("weak", "strong"):
        for clip in plan.clips[group]:
            if clip.segment_id not in left_out:
                for class_index, _, _ in clip.events.get(label_set, []):
                    counts[class_index] += 1
    return counts


def written_segment_ids(plan: Plan, left_out: Sequence[ClipFault]) -> list[str]:
    """Returns the clips of a plan that were written, sorted.

    Args:
      plan: What was to be written.
      left_out: Clips that were not.
    """
    names_left_out = {row.segment_id for row in left_out}
    planned = {c.segment_id for clips in plan.clips.values() for c in clips}
    return sorted(planned - names_left_out)


def describe(
    manifest: Mapping[str, Any], write_line: Callable[[str], None]
) -> None:
    """Writes what was made and what was left out, for people."""
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
    faults = {fault: len(ids) for fault, ids in manifest["faults"].items()}
    if faults:
        by_fault = ", ".join(f"{n} {fault}" for fault, n in faults.items())
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


# --- shard run -------------------------------------------------------------


_SHARD_FILE = re.compile(
    r"(weak|strong|held_out)-\d{5,}-of-\d{5,}\.tfrecord(\.json)?"
)


def make_folders(output_dir: str) -> None:
    """Makes the folders of records, and clears away what a killed run left."""
    for name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        folder = os.path.join(output_dir, name)
        files.make_folder(folder)
        files.remove_temporary_files(folder)


def run_tasks(
    tasks: Sequence[ShardTask], output_dir: str, beam_run: BeamRun
) -> list[Report]:
    """Writes the shards that are not finished.

    Args:
      tasks: All shards of the folder.
      output_dir: The folder.
      beam_run: Where to run.

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
        manifest_path = os.path.join(output_dir, MANIFEST_NAME)
        files.remove(manifest_path)
        save_tasks(waiting)
        _write_tasks(waiting, output_dir, beam_run)
        reports |= read_reports(waiting)
    missing = [task.name for task in tasks if task.name not in reports]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(tasks)} shards, such as {missing[0]}, are "
            f"not in {output_dir} after the run. Do all workers write to the "
            f"same folder? Workers of other machines need shared or object "
            f"storage."
        )
    return [reports[task.name] for task in tasks]


def _write_tasks(
    tasks: Sequence[ShardTask], output_dir: str, beam_run: BeamRun
) -> None:
    """Runs the pipeline, with a progress bar where it can see the workers."""
    names = [task.name for task in tasks]
    if not beam_run.is_local:
        logging.info("%s writes %d shards.", beam_run.runner, len(names))
        write_shards(names, output_dir, beam_run)
        return
    num_workers = min(beam_run.num_processes, len(tasks))
    of_machine = dataclasses.replace(beam_run, num_workers=num_workers)
    with show_progress(sum(len(task.clips) for task in tasks)) as tally_path:
        write_shards(names, output_dir, of_machine, tally_path)


def remove_outdated(tasks: Sequence[ShardTask], output_dir: str) -> None:
    """Removes shards of an earlier plan, such as one with fewer labels.

    Args:
      tasks: All shards of the present plan.
      output_dir: The folder.
    """
    names = {task.name for task in tasks}
    for folder_name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        folder = os.path.join(output_dir, folder_name)
        for name in list_names(folder):
            if (
                _SHARD_FILE.fullmatch(name)
                and name.removesuffix(".json") not in names
            ):
                files.remove(os.path.join(folder, name))
                logging.info("Removed %s of an earlier plan.", name)


# --- preparation -----------------------------------------------------------


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
    beam_run: BeamRun = BeamRun(),
    max_loss: float = 1.0,
    mapping: LabelMapping | None = None,
    eval_label_paths: Sequence[str] = (),
    problems: ProblemLog | None = None,
) -> dict[str, Any]:
    """Writes records of the clips that label files name.

    Every path may be local or of object storage.

    Args:
      audio_dir: Folder with the clips' audio, searched with its subfolders.
      weak_paths: Weak CSVs.
      strong_paths: Strong TSVs.
      class_map_path: The classes, as in class_labels_indices.csv.
      output_dir: Folder of the records.
      params: Held-out share, share of Strong, shard size, storage.
      features: The front end.
      label_frames: Grid of label frames, for readers.
      audio: How audio is decoded, and which faults are left out.
      beam_run: Where the shards are written.
      max_loss: Largest share of the clips, in [0, 1], that may be missing or
        unusable.
      mapping: What labels become; None to take them as they are.
      eval_label_paths: Label files of any kind; clips of their YouTube ids are
        left out, so that no evaluation clip is trained on.
      problems: Takes what is wrong with label files; None for a new log.

    Returns:
      The manifest.

    Raises:
      InputError: No label file is given, a label file has the wrong header, the
        audio folder is empty, too many clips are lost, a shard could not be
        written, or the output folder holds records made with other settings.
    """
    if not weak_paths and not strong_paths:
        raise InputError("Expected weak or strong label files, found none.")
    problems = problems or ProblemLog()
    mapping = mapping or LabelMapping()
    with tempfile.TemporaryDirectory() as folder:
        copies = _LocalCopies(folder)
        class_map = read_class_map(copies.of([class_map_path])[0])
        eval_ytids = read_label_ytids(copies.of(eval_label_paths), problems)
        weak, strong = read_label_tables(
            copies.of(weak_paths), copies.of(strong_paths), problems
        )
    problems.problems[:] = [copies.name(p) for p in problems.problems]
    problems.report()
    weak, strong = _map_labels(weak, strong, mapping, problems)
    plan = plan_clips(
        weak, strong, class_map, _index_audio(audio_dir), params, eval_ytids
    )
    settings = RecordSettings(
        params, features, audio, label_frames, mapping.params
    )
    manifest = write_records(
        plan,
        class_map,
        output_dir,
        settings,
        beam_run,
        max_loss,
        [str(problem) for problem in problems.problems],
    )
    if not sum(manifest["clips"].values()):
        raise InputError(
            f"None of the labelled clips could be written: "
            f"{manifest['left_out_by_reason']}. Are the audio files in "
            f"{audio_dir} named <segment_id>, <ytid> or the like? See "
            f"features/audio_names.py."
        )
    return manifest


class _LocalCopies:
    """Copies of files of object storage, each in a folder of its own."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._original_of: dict[str, str] = {}

    def of(self, paths: Sequence[str]) -> list[str]:
        """Copies what is not local."""
        copies = []
        for path in paths:
            copy = path
            if files.is_remote(path):
                folder = tempfile.mkdtemp(dir=self._folder)
                copy = os.path.join(folder, os.path.basename(path))
                files.copy_here(path, copy)
            copies.append(copy)
        self._original_of.update(zip(copies, paths, strict=True))
        return copies

    def name(self, problem: Problem) -> Problem:
        """Names the original in a problem."""
        original = self._original_of.get(problem.path, problem.path)
        return dataclasses.replace(problem, path=original)


def _map_labels(
    weak: pd.DataFrame,
    strong: pd.DataFrame,
    mapping: LabelMapping,
    problems: ProblemLog,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Maps the labels, if there are any."""
    if not len(weak) and not len(strong):
        raise InputError(
            f"The label files name no clip ({problems.num_left_out} bad lines "
            f"were left out)."
        )
    for line in describe_mapping(mapping):
        logging.info("%s", line)
    return map_weak_labels(weak, mapping), map_strong_labels(strong, mapping)


def _index_audio(audio_dir: str) -> AudioIndex:
    """Lists the audio files.

    Raises:
      InputError: There is no such folder, or nothing in it.
    """
    if not files.is_remote(audio_dir) and not os.path.isdir(audio_dir):
        raise InputError(
            f"{audio_dir} is not a folder. Give that of the clips."
        )
    listing = list_audio(audio_dir)
    path_of_stem = index_listing(listing)
    if not path_of_stem:
        raise InputError(
            f"{audio_dir} holds no audio files. Give the folder of the clips."
        )
    return AudioIndex(path_of_stem, listing.num_bytes_of_path)


def write_records(
    plan: Plan,
    class_map: ClassMap,
    output_dir: str,
    settings: RecordSettings,
    beam_run: BeamRun,
    max_loss: float,
    label_problems: Sequence[str],
) -> dict[str, Any]:
    """Writes all shards and the manifest; finished shards are kept.

    Args:
      plan: What to write.
      class_map: The classes that events count in.
      output_dir: Folder of the records.
      settings: Of the records.
      beam_run: Where the shards are written.
      max_loss: Largest share of the clips that may be lost.
      label_problems: Bad label lines, listed in the manifest.

    Returns:
      The manifest.

    Raises:
      InputError: The folder holds records made with other settings, too many
        clips are lost, or a shard could not be written.
    """
    clips = [clip for of_group in plan.clips.values() for clip in of_group]
    num_missing = sum(not clip.audio_path for clip in clips)
    check_loss(num_missing, len(clips), max_loss, "they have no audio file")
    make_folders(output_dir)
    saved = settings.as_json(class_map)
    check_settings(output_dir, saved, class_map)
    class_map_path = os.path.join(output_dir, CLASS_MAP_NAME)
    write_text(format_class_map(class_map), class_map_path)
    tasks = plan_shards(
        plan, output_dir, settings.records.clips_per_shard, settings.of_shards
    )
    reports = run_tasks(tasks, output_dir, beam_run)
    audit = audit_clips(plan, reports)
    write_audit(audit, output_dir)
    num_lost = len(audit.left_out) - len(plan.left_out)
    listed = os.path.join(output_dir, LEFT_OUT_NAME)
    check_loss(num_lost, len(clips), max_loss, f"{listed} lists them")
    segment_ids = written_segment_ids(plan, audit.left_out)
    write_text(
        "".join(f"{segment_id}\n" for segment_id in segment_ids),
        os.path.join(output_dir, SEGMENT_IDS_NAME),
    )
    remove_outdated(tasks, output_dir)
    manifest = {
        **saved,
        **sum_up(plan, class_map.num_classes, reports),
        "label_problems": list(label_problems),
    }
    write_json(manifest, os.path.join(output_dir, MANIFEST_NAME))
    return manifest
