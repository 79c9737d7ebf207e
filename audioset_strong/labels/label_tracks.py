"""Event labels of one's own recordings: strong TSVs and Audacity label tracks.

A strong TSV is read as ever (`label_files.py`). A label track is the labels of
one recording, which has its name; a folder of tracks those of several, also in
subfolders (`importers.py`). Labels of tracks are class ids or display names of
a class map. Tracks say which recordings were listened to: one without labels
has no event.
"""

import collections
import dataclasses
import os
import re
from collections.abc import Collection

import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.imported_clips import name_classes
from audioset_strong.labels.importers import read_foreign_labels
from audioset_strong.labels.label_files import (
    empty_strong_labels,
    read_strong_labels,
)
from audioset_strong.labels.label_rows import Names
from audioset_strong.labels.line_parser import read_first_line
from audioset_strong.labels.problems import ProblemLog, listed, log_or_stop
from audioset_strong.params import LabelFrameParams

_Path = str | os.PathLike[str]

_TRACK_LINE = re.compile(r"\s*|\\.*|[0-9.,]+\t[0-9.,]+\t.*")


def is_label_track(path: _Path) -> bool:
    """Whether a path is a label track, or a folder, which is of tracks."""
    if os.path.isdir(path):
        return True
    is_text = os.fspath(path).lower().endswith(".txt")
    return is_text and bool(_TRACK_LINE.fullmatch(read_first_line(path)))


def read_event_labels(
    path: _Path,
    problems: ProblemLog | None = None,
    names: Names | None = None,
    params: LabelFrameParams = LabelFrameParams(),
    class_map: ClassMap | None = None,
    recordings: Collection[str] = (),
) -> tuple[pd.DataFrame, list[str] | None]:
    """Reads a strong TSV, a label track or a folder of tracks.

    Args:
      path: The file or folder.
      problems: As in the readers of label files.
      names: The same; for TSVs.
      params: The same; for TSVs.
      class_map: Classes that labels of tracks name.
      recordings: Segment ids that there are. A track whose name is none of them
        is of the only one that ends in it, below a folder.

    Returns:
      The strong table, and the segment ids that tracks are about; None if the
      labels are a TSV, which names no clip without events.

    Raises:
      InputError: As the readers, or there is no class map for tracks.
    """
    if not is_label_track(path):
        strong = read_strong_labels(path, problems, names=names, params=params)
        return strong, None
    if class_map is None:
        raise InputError(
            f"{path}: expected a class map for the labels of tracks. Give "
            f"class_map, or scores that predict wrote, which hold theirs."
        )
    with log_or_stop(problems) as log:
        first = len(log.problems)
        rows = read_foreign_labels(os.fspath(path), "audacity", problems=log)
        _, mid_of_label = name_classes(rows, class_map, log)
        id_of = _find_recordings([row.recording for row in rows], recordings)
        log.problems[first:] = [
            dataclasses.replace(p, clip=id_of.get(p.clip or "", p.clip))
            for p in log.problems[first:]
        ]
    events = [
        (
            id_of[row.recording],
            row.onset_ms / 1000,
            row.offset_ms / 1000,
            mid_of_label[row.label],
        )
        for row in rows
        if row.label in mid_of_label
        and row.onset_ms is not None
        and row.offset_ms is not None
    ]
    empty = empty_strong_labels()
    strong = pd.DataFrame(events, columns=list(empty.columns))
    return strong.astype(empty.dtypes.to_dict()), list(
        dict.fromkeys(id_of.values())
    )


def _find_recordings(
    names: Collection[str], recordings: Collection[str]
) -> dict[str, str]:
    """Finds the segment id of each track's name.

    Raises:
      InputError: Two tracks are of one recording.
    """
    ends: dict[str, list[str]] = collections.defaultdict(list)
    for segment_id in recordings:
        parts = segment_id.split("/")
        for start in range(1, len(parts)):
            ends["/".join(parts[start:])].append(segment_id)
    found = {
        name: ends[name][0]
        if name not in recordings and len(ends.get(name, ())) == 1
        else name
        for name in dict.fromkeys(names)
    }
    moved = {name: to for name, to in found.items() if name != to}
    if moved:
        pairs = (f"{name!r} of {to!r}" for name, to in moved.items())
        logging.info("Label tracks by their end of a name: %s.", listed(pairs))
    names_of: dict[str, list[str]] = collections.defaultdict(list)
    for name, segment_id in found.items():
        names_of[segment_id].append(name)
    for segment_id, of_one in names_of.items():
        if len(of_one) > 1:
            raise InputError(
                f"Expected one label track of {segment_id!r}, found "
                f"{listed(map(repr, of_one))}. Keep one, or name them by the "
                f"folder of their recording."
            )
    return found
