"""Imports labels of other tools: joins them with recordings, writes clips.

    label files -> rows (`labels/importers.py`) \
                                                  -> clips -> the four files
    folder of audio -> recordings and lengths   /

The files are those that `prepare_records` and the commands after it read: a
strong TSV or weak CSV, a class map, the list of annotated clips, and the index
of where their audio is.
"""

import csv
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
import tqdm

from audioset_strong import files
from audioset_strong.audio.container_labels import read_container_labels
from audioset_strong.audio.containers import container_of, is_container
from audioset_strong.audio.decode import AudioError
from audioset_strong.audio.listing import is_audio, list_audio
from audioset_strong.audio.recordings import (
    find_recordings,
    measure_seconds,
    recording_id_of,
)
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    KnownClasses,
    read_known_classes,
    write_class_map,
)
from audioset_strong.labels.clips import (
    make_clips_table,
    write_annotated_clips,
)
from audioset_strong.labels.ids import group_of_segment, is_segment_id
from audioset_strong.labels.imported_clips import (
    ImportedClip,
    Recording,
    cut_into_clips,
    events_of_clips,
    fit_into_recording,
    name_classes,
)
from audioset_strong.labels.importers import (
    ImportParams,
    Row,
    read_foreign_labels,
)
from audioset_strong.labels.label_files import (
    write_own_weak_labels,
    write_strong_labels,
)
from audioset_strong.labels.problems import ProblemLog, listed
from audioset_strong.records.audio_index import COLUMNS

CONTAINER_FORMATS = ("parquet", "webdataset")


@dataclasses.dataclass(frozen=True)
class ImportSummary:
    """What an import wrote, and what it did not.

    Attributes:
      output_dir: The folder.
      label_names: Names of the label files.
      num_recordings: Recordings that count as annotated.
      num_without_events: Those of them without a label.
      seconds: Length of them all.
      num_clips: Clips that they are cut into.
      num_labels: Events of the clips or, in a weak CSV, their labels.
      num_classes: Classes of the class map.
      num_at_edges: Events that lie across an edge of clips.
      num_shortened: Events that ended up to a second after their recording.
      unlabelled: Recordings that no label file names.
      are_negative: Whether these count as annotated.
      num_bad_lines: Label lines that were left out.
      unknown: Recordings that these are about.
      num_unknown_clips: Their clips without events, which are left out too.
    """

    output_dir: str
    label_names: tuple[str, ...]
    num_recordings: int
    num_without_events: int
    seconds: float
    num_clips: int
    num_labels: int
    num_classes: int
    num_at_edges: int
    num_shortened: int
    unlabelled: tuple[str, ...]
    are_negative: bool
    num_bad_lines: int
    unknown: tuple[str, ...] = ()
    num_unknown_clips: int = 0

    def lines(self) -> list[str]:
        """Returns the counts for people, without those that are 0."""
        names = listed(map(os.path.basename, self.unlabelled))
        unknown = listed(map(os.path.basename, self.unknown))
        of_unlabelled = (
            f"Recordings that no label file names, taken as without events: "
            f"{len(self.unlabelled)} ({names})."
            if self.are_negative
            else f"Recordings that no label file names, left out as not "
            f"annotated: {len(self.unlabelled)} ({names}). "
            f"--unlabelled=negative takes them as without events."
        )
        told = {
            f"Events across an edge of clips, cut there, each clip with its "
            f"part: {self.num_at_edges}.": self.num_at_edges,
            f"Events cut at the end of their recording: "
            f"{self.num_shortened}.": self.num_shortened,
            of_unlabelled: len(self.unlabelled),
            f"Label lines left out: {self.num_bad_lines}.": self.num_bad_lines,
            f"Recordings with such lines: {len(self.unknown)} ({unknown}). "
            f"Their clips without another label, which may not be empty, left "
            f"out: {self.num_unknown_clips}.": len(self.unknown),
        }
        return [
            *(line for line, number in told.items() if number),
            f"Recordings: {self.num_recordings} ({self.seconds / 60:.1f} "
            f"minutes), {self.num_without_events} of them without events.",
            f"Clips: {self.num_clips}. Classes: {self.num_classes}. Labels: "
            f"{self.num_labels}.",
            f"Written to {self.output_dir}: {', '.join(self.label_names)}, "
            f"class_map.csv, clips.tsv, audio_index.tsv.",
        ]


def import_labels(
    labels: str,
    label_format: str,
    audio_dir: str,
    output_dir: str,
    class_map_path: str | None = None,
    display_names_path: str | None = None,
    params: ImportParams = ImportParams(),
    problems: ProblemLog | None = None,
) -> ImportSummary:
    """Imports labels of another tool for a folder of recordings.

    Args:
      labels: Label file, or folder of label files.
      label_format: One of `labels.importers.FORMATS`, or "parquet" or
        "webdataset" for containers that hold audio and labels.
      audio_dir: Folder of the recordings, local or remote; "" for containers.
      output_dir: Receives `strong.tsv` or `weak.csv`, `class_map.csv`,
        `clips.tsv` and `audio_index.tsv`.
      class_map_path: Classes to use; None to make one of each label.
      display_names_path: mid_to_display_name.tsv, for further names of classes
        in containers.
      params: How.
      problems: Takes what cannot be used; None to refuse it.

    Raises:
      InputError: There are no labels or recordings, they do not fit together,
        or `problems` refuses what cannot be used. Nothing is written.
    """
    log = problems or ProblemLog()
    known = read_known_classes(class_map_path, display_names_path, log)
    class_map = known.class_map
    if label_format in CONTAINER_FORMATS:
        rows, id_of_path = _read_containers(labels, known, log)
        found = {row.recording: row.recording for row in rows}
    else:
        rows = read_foreign_labels(labels, label_format, params, log)
        found, id_of_path = _find_recordings(rows, audio_dir, log)
    is_weak = any(row.label and row.onset_ms is None for row in rows)
    is_strong = not is_weak or any(row.onset_ms is not None for row in rows)
    if params.clip_seconds and is_weak:
        raise InputError(
            "Expected labels with times for clip_seconds; labels without "
            "times do not say in which clip of a recording they are."
        )
    paths = {
        os.path.join(output_dir, name): is_written
        for name, is_written in (
            ("weak.csv", is_weak),
            ("strong.tsv", is_strong),
        )
    }
    for path, is_written in paths.items():
        if files.exists(path) and not is_written:
            raise InputError(
                f"Expected a folder without labels of another import; {path} "
                f"is there, and clips.tsv would no longer fit to it. Give "
                f"another folder."
            )
    if class_map is not None and label_format in CONTAINER_FORMATS:
        # Mids by now; those of other classes stay, as in the released files.
        mid_of_label = {row.label: row.label for row in rows}
    else:
        class_map, mid_of_label = name_classes(rows, class_map, log)
    unknown = _with_bad_lines(rows, mid_of_label, id_of_path, audio_dir, log)
    annotated = _annotated_recordings(
        rows, found, id_of_path, unknown, params, log
    )
    log.report()
    rows_of_recording = {
        recording_id: [row for row in of_recording if row.label in mid_of_label]
        for recording_id, of_recording in annotated.rows_of_recording.items()
    }
    clips = cut_into_clips(annotated.recordings, params)
    num_all = len(clips)
    clips = _without_unknown(clips, rows_of_recording, annotated.unknown)
    recordings = list(dict.fromkeys(clip.recording for clip in clips))
    if not clips:
        raise InputError(
            f"{labels}: expected at least one recording with labels that can "
            f"be used, found none."
        )
    files.make_output_folder(output_dir)
    num_at_edges = num_labels = 0
    weak_path, strong_path = paths
    if is_weak:
        weak = _weak_table(rows_of_recording, mid_of_label)
        write_own_weak_labels(weak, weak_path)
        num_labels += sum(map(len, weak["mids"]))
    if is_strong:
        strong, num_at_edges = events_of_clips(
            clips, rows_of_recording, mid_of_label
        )
        write_strong_labels(strong, strong_path)
        num_labels += len(strong)
    _write_clips(clips, class_map, output_dir)
    return ImportSummary(
        output_dir=output_dir,
        label_names=tuple(
            os.path.basename(path) for path, is_in in paths.items() if is_in
        ),
        num_recordings=len(recordings),
        num_without_events=sum(
            not rows_of_recording[r.recording_id] for r in recordings
        ),
        seconds=sum(r.duration_ms for r in recordings) / 1000,
        num_clips=len(clips),
        num_labels=num_labels,
        num_classes=class_map.num_classes,
        num_at_edges=num_at_edges,
        num_shortened=annotated.num_shortened,
        unlabelled=tuple(annotated.unlabelled),
        are_negative=params.unlabelled == "negative",
        num_bad_lines=log.num_left_out,
        unknown=tuple(sorted(annotated.unknown)),
        num_unknown_clips=num_all - len(clips),
    )


class _Annotated(NamedTuple):
    """The recordings that were annotated, and what they hold.

    Attributes:
      recordings: Ordered by path.
      rows_of_recording: Labels of each recording id; none without events.
      num_shortened: Events that were cut at the end of their recording.
      unlabelled: Paths that no label file names.
      unknown: Paths of those with a label line that was left out.
    """

    recordings: list[Recording]
    rows_of_recording: dict[str, list[Row]]
    num_shortened: int
    unlabelled: list[str]
    unknown: set[str]


def _find_recordings(
    rows: Sequence[Row], audio_dir: str, problems: ProblemLog
) -> tuple[dict[str, str], dict[str, str]]:
    """Finds the recordings that labels name.

    Returns:
      Path of each name, and recording id of each path, named or not.
    """
    listing = list_audio(audio_dir)
    if not listing.paths and not listing.unknown_paths:
        raise InputError(
            f"{audio_dir}: expected a folder of recordings, found none."
        )
    rows_of_name: dict[str, list[Row]] = {}
    for row in rows:
        rows_of_name.setdefault(row.recording, []).append(row)
    unknown = set(filter(is_audio, listing.unknown_paths))
    paths = [*listing.paths, *listing.empty_paths, *sorted(unknown)]
    found, missing = find_recordings(rows_of_name, paths, audio_dir)
    if files.is_remote(audio_dir):  # whether these are audio is not known
        unknown.difference_update(found.values())
        paths = [path for path in paths if path not in unknown]
    for name, message in missing.items():
        _leave_out(rows_of_name[name], message, problems)
    if not found:
        raise InputError(
            f"None of the {len(rows_of_name)} recordings that the labels name "
            f"is in {audio_dir}. The labels name {listed(rows_of_name, 3)}; "
            f"the folder has {listed(map(os.path.basename, paths), 3)}."
        )
    return found, {path: recording_id_of(path, audio_dir) for path in paths}


def _read_containers(
    labels: str, known: KnownClasses, problems: ProblemLog
) -> tuple[list[Row], dict[str, str]]:
    """Reads Parquet files or tars: labels, and recording id of each path."""
    if known.class_map is None:
        raise InputError(
            "Expected a class map for labels of containers, which mix names "
            "and mids; found none."
        )
    paths = [labels]
    if not is_container(labels):
        paths = [p for p, _ in files.list_files(labels) if is_container(p)]
    if not paths:
        raise InputError(
            f"{labels}: expected Parquet files or tars, found none."
        )
    tables = read_container_labels(paths, known, problems)
    id_of_path = dict(
        zip(
            tables.audio_index["path"],
            tables.audio_index["segment_id"],
            strict=True,
        )
    )
    path_of_id = {clip: path for path, clip in id_of_path.items()}
    rows = []
    if tables.strong is not None:
        for event in tables.strong.itertuples(index=False, name=None):
            clip, onset, offset, mid = event
            onset_ms, offset_ms = round(onset * 1000), round(offset * 1000)
            path = path_of_id[clip]
            rows.append(Row(path, 1, path, mid, onset_ms, offset_ms))
    if tables.weak is not None:
        for clip, mids in zip(
            tables.weak["segment_id"], tables.weak["mids"], strict=True
        ):
            path = path_of_id[clip]
            rows += [Row(path, 1, path, mid) for mid in mids]
    return rows, id_of_path


def _annotated_recordings(
    rows: Sequence[Row],
    found: Mapping[str, str],
    id_of_path: Mapping[str, str],
    unknown: set[str],
    params: ImportParams,
    problems: ProblemLog,
) -> _Annotated:
    """Joins labels with the recordings that they name, `found`."""
    rows_of_name: dict[str, list[Row]] = {}
    for row in rows:
        rows_of_name.setdefault(row.recording, []).append(row)
    named = {*found.values(), *unknown}
    unlabelled = [p for p in id_of_path if p not in named]
    if params.unlabelled == "negative":
        _check_all_named(problems)
        rows_of_name |= {path: [] for path in unlabelled}
        found = {**found} | {path: path for path in unlabelled}
    seconds = _measure(found.values())

    recordings, rows_of_recording, num_shortened = [], {}, 0
    for name, path in sorted(found.items(), key=lambda pair: pair[1]):
        of_name = rows_of_name[name] or [Row(path, 1, name)]
        recording_id = id_of_path[path]
        groups = sorted({row.group for row in of_name})
        measured = seconds[path]
        message = ""
        if isinstance(measured, str):
            message = f"expected a recording that can be decoded ({measured})"
        elif not is_segment_id(recording_id):
            message = (
                f"expected a file name in UTF-8 without control characters and "
                f"without a space at its start, found {recording_id!r}"
            )
        elif len(groups) > 1:
            message = f"expected one group for {name!r}, found {groups}"
        if message or isinstance(measured, str):
            _leave_out(of_name, message, problems)
            continue
        recording = Recording(
            recording_id,
            path,
            round(measured * 1000),
            groups[0] or group_of_segment(recording_id),
        )
        kept = []
        for row in of_name:
            fitted = fit_into_recording(row, recording, problems)
            if fitted is None:
                unknown = unknown | {path}
            elif fitted.label:
                kept.append(fitted)
                num_shortened += fitted.offset_ms != row.offset_ms
        recordings.append(recording)
        rows_of_recording[recording_id] = kept
    return _Annotated(
        recordings, rows_of_recording, num_shortened, unlabelled, unknown
    )


def _with_bad_lines(
    rows: Sequence[Row],
    mid_of_label: Mapping[str, str],
    id_of_path: Mapping[str, str],
    audio_dir: str,
    problems: ProblemLog,
) -> set[str]:
    """Finds the recordings that bad lines are about: paths.

    They may hold what those lines said, so that nothing in them is certain to
    be without an event.
    """
    names = {
        row.recording
        for row in rows
        if row.label and row.label not in mid_of_label
    }
    names = {*problems.clips_left_out, *names} - {""}
    if not audio_dir:  # of containers names are paths, and clips are left out
        return set()
    return set(find_recordings(names, list(id_of_path), audio_dir)[0].values())


def _check_all_named(problems: ProblemLog) -> None:
    """Refuses to take recordings as empty that bad lines may be about."""
    num_lines = problems.clips_left_out[""]
    if num_lines and problems.skip_bad_lines:
        raise InputError(
            f"{num_lines} label lines that cannot be used do not say of which "
            f"recording they are, so none can be taken as without events. "
            f"Correct them, or give unlabelled=unknown."
        )


def _without_unknown(
    clips: Sequence[ImportedClip],
    rows_of_recording: Mapping[str, Sequence[Row]],
    unknown: set[str],
) -> list[ImportedClip]:
    """Leaves out clips without events of recordings with bad lines."""

    def is_known(clip: ImportedClip) -> bool:
        end = clip.start_ms + clip.duration_ms
        return clip.recording.path not in unknown or any(
            row.onset_ms is None
            or row.offset_ms is None
            or (row.onset_ms < end and row.offset_ms > clip.start_ms)
            for row in rows_of_recording[clip.recording.recording_id]
        )

    return [clip for clip in clips if is_known(clip)]


def _leave_out(rows: Sequence[Row], message: str, problems: ProblemLog) -> None:
    """Notes that the labels of a recording cannot be used, at the first."""
    first = rows[0]
    # Audacity's tracks have a row more, which says that there is a track.
    num_lines = len({(row.path, row.line) for row in rows})
    problems.add(first.path, first.line, message, num_lines=num_lines)


def _measure(paths: Iterable[str]) -> dict[str, float | str]:
    """Measures recordings: seconds, or what is wrong."""

    def measure(path: str) -> float | str:
        try:
            seconds = measure_seconds(path)
        except AudioError as error:
            return error.detail
        return seconds if seconds >= 0.001 else f"{path} holds no sound"

    paths = list(paths)
    # Members of a container in their order: rows of Parquet are decoded from
    # the start of their row group.
    groups = [list(group) for _, group in groupby(paths, container_of)]
    with ThreadPoolExecutor() as pool:
        measured = tqdm.tqdm(
            chain.from_iterable(
                pool.map(lambda group: list(map(measure, group)), groups)
            ),
            total=len(paths),
            unit="recording",
            desc="Measuring",
            delay=2,
        )
        return dict(zip(paths, measured, strict=True))


def _weak_table(
    rows_of_recording: Mapping[str, Sequence[Row]],
    mid_of_label: Mapping[str, str],
) -> pd.DataFrame:
    """Makes the weak table of recordings that have labels."""
    mids_of_clip = {
        recording_id: tuple(
            sorted({mid_of_label[r.label] for r in rows if r.onset_ms is None})
        )
        for recording_id, rows in rows_of_recording.items()
        if any(row.onset_ms is None for row in rows)
    }
    return pd.DataFrame(
        {
            "segment_id": pd.Series(list(mids_of_clip), dtype=object),
            "start_seconds": 0.0,
            "end_seconds": np.nan,
            "mids": pd.Series(list(mids_of_clip.values()), dtype=object),
        }
    )


def _write_clips(
    clips: Sequence[ImportedClip], class_map: ClassMap, output_dir: str
) -> None:
    """Writes class map, annotated clips and audio index."""
    write_class_map(class_map, os.path.join(output_dir, "class_map.csv"))
    table = make_clips_table(
        [clip.segment_id for clip in clips],
        [clip.duration_ms / 1000 for clip in clips],
        [clip.recording.group for clip in clips],
    )
    write_annotated_clips(table, os.path.join(output_dir, "clips.tsv"))
    path = os.path.join(output_dir, "audio_index.tsv")
    with files.open_output(path) as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for clip in clips:
            recording = clip.recording
            writer.writerow(
                [
                    clip.segment_id,
                    # So that it counts wherever commands run.
                    recording.path
                    if files.is_remote(recording.path)
                    else os.path.abspath(recording.path),
                    f"{clip.start_ms / 1000:.3f}",
                    f"{clip.duration_ms / 1000:.3f}",
                    recording.group,
                ]
            )
