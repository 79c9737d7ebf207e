"""Makes classes and clips of imported labels and recordings.

Labels are texts, and class ids are made of them: `dog_bark` of "dog bark".
Recordings are cut into clips, and events are moved into them:

    rows (`importers.py`) -> classes
    recordings            -> clips -> the strong table

Times are whole milliseconds until the table is made, so that none is rounded
twice. Nothing is lost: the clips of a recording cover all of it, and an event
across an edge is in both clips.
"""

import bisect
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, KnownClasses
from audioset_strong.labels.ids import make_segment_id
from audioset_strong.labels.importers import (
    AUDIOSET_MID,
    MIN_CLIP_MS,
    ImportParams,
    Row,
)
from audioset_strong.labels.problems import ProblemLog, listed, log_or_stop

# An event that ends later than this after its recording is another's.
_MAX_BEYOND_SECONDS = 1.0


# --- Classes ----------------------------------------------------------------


def class_id_of_label(label: str) -> str:
    """Makes a class id of a label's text: "Dog bark" is `dog_bark`.

    Lower case and composed characters, with one underscore for each run of
    spaces, commas and quotes. A Freebase mid stays as it is. Returns "" if
    nothing is left.
    """
    if AUDIOSET_MID.fullmatch(label):
        return label
    composed = unicodedata.normalize("NFC", label.casefold())
    return re.sub(r"[\s\",_]+", "_", composed).strip("_")


def name_classes(
    rows: Sequence[Row],
    class_map: ClassMap | None = None,
    problems: ProblemLog | None = None,
) -> tuple[ClassMap, dict[str, str]]:
    """Gives each label a class.

    Args:
      rows: Their labels and, where the file gives them, mids.
      class_map: Classes that there are, which labels name by id, by display
        name, or by a display name that differs in capitals and spaces; None to
        make a class of each label, sorted by id.
      problems: Takes labels that are none of them; None to refuse them.

    Returns:
      The class map, and the mid of each label; unknown labels have none.

    Raises:
      InputError: Two labels would have one id.
    """
    first_rows: dict[str, Row] = {}
    counts: dict[str, int] = {}
    for row in rows:
        if row.label:
            first_rows.setdefault(row.label, row)
            counts[row.label] = counts.get(row.label, 0) + 1
    if class_map is not None:
        found = _find_classes(first_rows, class_map)
        with log_or_stop(problems) as log:
            for label in (n for n in first_rows if n not in found):
                log.add(
                    first_rows[label].path,
                    first_rows[label].line,
                    f"expected one of the {class_map.num_classes} classes of "
                    f"the class map, found {label!r}",
                    num_lines=counts[label],
                )
        return class_map, found
    if not first_rows:
        raise InputError(
            "Expected at least one label to make classes of, found none. Give "
            "a class map."
        )
    for row in rows:
        first = first_rows.get(row.label, row)
        if row.mid != first.mid:
            raise InputError(
                f"{row.path}:{row.line}: expected the mid {first.mid!r} for "
                f"{row.label!r}, as {first.path}:{first.line} has, found "
                f"{row.mid!r}."
            )
    labels_of_mid: dict[str, list[str]] = {}
    for label, row in first_rows.items():
        mid = row.mid or class_id_of_label(label)
        if not mid:
            raise InputError(
                f"{row.path}:{row.line}: expected a label with a letter or a "
                f"sign other than commas and quotes, found {label!r}."
            )
        labels_of_mid.setdefault(mid, []).append(label)
    shared = [
        f"{mid}: "
        + ", ".join(
            f"{label!r} ({first_rows[label].path}:{first_rows[label].line})"
            for label in labels
        )
        for mid, labels in labels_of_mid.items()
        if len(labels) > 1
    ]
    if shared:
        raise InputError(
            f"Expected one way to write each class; {len(shared)} ids stand "
            f"for several: {listed(shared, 10, '; ')}. Write them in one way, "
            f"or give a class map, whose names may differ in capitals and "
            f"spaces."
        )
    mids = sorted(labels_of_mid)
    names = [labels_of_mid[mid][0] for mid in mids]
    return ClassMap(tuple(mids), tuple(names)), dict(
        zip(names, mids, strict=True)
    )


def _find_classes(
    first_rows: Mapping[str, Row], class_map: ClassMap
) -> dict[str, str]:
    """Finds the class that each label names; the surest way counts."""
    mids_of_id: dict[str, list[str]] = {}
    for mid, name in zip(class_map.mids, class_map.display_names, strict=True):
        for text in {class_id_of_label(mid), class_id_of_label(name)}:
            mids_of_id.setdefault(text, []).append(mid)
    mids_of_name = KnownClasses(class_map).mids_of_name()
    found = {}
    for label, row in first_rows.items():
        known = [m for m in (row.mid, label) if m in class_map.index_of_mid]
        ways = (
            known[:1],
            mids_of_name.get(label, []),
            mids_of_id.get(class_id_of_label(label), []),
        )
        mids = next((mids for mids in ways if mids), [])
        if len(mids) == 1:
            found[label] = mids[0]
    return found


# --- Clips ------------------------------------------------------------------


class Recording(NamedTuple):
    """A recording that was annotated.

    Attributes:
      recording_id: Its path below the folder of audio, without extension.
      path: Its audio.
      duration_ms: Its length in whole milliseconds.
      group: Which recordings belong together.
    """

    recording_id: str
    path: str
    duration_ms: int
    group: str


class ImportedClip(NamedTuple):
    """A clip of a recording; times in milliseconds."""

    segment_id: str
    recording: Recording
    start_ms: int
    duration_ms: int


def cut_into_clips(
    recordings: Iterable[Recording], params: ImportParams
) -> list[ImportedClip]:
    """Cuts recordings into clips of `clip_seconds`.

    All of a recording is in a clip. The last clip ends with the recording, so
    that it is shorter, but not shorter than a second: it begins earlier if it
    must. Clips are named `<recording>_<start ms>`, or, if recordings are not
    cut, as the recording.

    Raises:
      InputError: Two clips have one name.
    """
    length = round(1000 * params.clip_seconds)
    hop = round(1000 * params.clip_hop_seconds) or length
    clips: dict[str, ImportedClip] = {}
    for recording in recordings:
        total = recording.duration_ms
        starts = [0]
        while length and starts[-1] + length < total:
            start = min(starts[-1] + hop, total - MIN_CLIP_MS)
            starts.append(start)
        for start in starts:
            segment_id = recording.recording_id
            if length:
                segment_id = make_segment_id(segment_id, start / 1000)
            clip = ImportedClip(
                segment_id,
                recording,
                start,
                min(length or total, total - start),
            )
            other = clips.setdefault(segment_id, clip)
            if other is not clip:
                raise InputError(
                    f"Expected clips of different names; {recording.path} and "
                    f"{other.recording.path} both have the clip "
                    f"{segment_id!r}. Rename one."
                )
    return list(clips.values())


def fit_into_recording(
    row: Row, recording: Recording, problems: ProblemLog
) -> Row | None:
    """Cuts an event at the end of its recording.

    Returns:
      The event, or None, which `problems` then knows, if it starts after the
      end or ends more than a second after it, and so belongs elsewhere.
    """
    if row.onset_ms is None or row.offset_ms is None:
        return row
    seconds = recording.duration_ms / 1000
    beyond = row.offset_ms - recording.duration_ms
    if (
        row.onset_ms >= recording.duration_ms
        or beyond > _MAX_BEYOND_SECONDS * 1000
    ):
        problems.add(
            row.path,
            row.line,
            f"expected an event inside {recording.path}, which is "
            f"{seconds:.3f} s long, found {row.label!r} from "
            f"{row.onset_ms / 1000:.3f} to {row.offset_ms / 1000:.3f} s",
        )
        return None
    return row._replace(offset_ms=min(row.offset_ms, recording.duration_ms))


def events_of_clips(
    clips: Iterable[ImportedClip],
    rows_of_recording: Mapping[str, Sequence[Row]],
    mid_of_label: Mapping[str, str],
) -> tuple[pd.DataFrame, int]:
    """Moves events of recordings into their clips.

    An event across the edge of a clip is cut there, and the clip on the other
    side has the rest.

    Args:
      clips: As `cut_into_clips` makes them.
      rows_of_recording: The events of each recording id.
      mid_of_label: As `name_classes` makes it.

    Returns:
      The strong table, ordered by clip, then onset; and how many events lie
      across an edge.
    """
    clips_of_recording: dict[str, list[ImportedClip]] = {}
    for clip in clips:
        of_recording = clips_of_recording.setdefault(
            clip.recording.recording_id, []
        )
        of_recording.append(clip)
    events: list[tuple[str, float, float, str]] = []
    num_cut = 0
    for recording_id, of_recording in clips_of_recording.items():
        ends = [clip.start_ms + clip.duration_ms for clip in of_recording]
        parts = [set[tuple[int, int, str]]() for _ in of_recording]
        for row in rows_of_recording.get(recording_id, ()):
            if row.onset_ms is None or row.offset_ms is None:
                continue
            is_cut = False
            # Clips are in order, so those of an event are neighbours.
            index = bisect.bisect_right(ends, row.onset_ms)
            while index < len(ends):
                start = of_recording[index].start_ms
                if start >= row.offset_ms:
                    break
                onset = max(row.onset_ms, start)
                offset = min(row.offset_ms, ends[index])
                is_cut |= (onset, offset) != (row.onset_ms, row.offset_ms)
                mid = mid_of_label[row.label]
                parts[index].add((onset - start, offset - start, mid))
                index += 1
            num_cut += is_cut
        for clip, of_clip in zip(of_recording, parts, strict=True):
            events += [
                (clip.segment_id, onset / 1000, offset / 1000, mid)
                for onset, offset, mid in sorted(of_clip)
            ]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    table = pd.DataFrame(events, columns=columns).astype(
        {
            "segment_id": object,
            "onset_seconds": float,
            "offset_seconds": float,
            "mid": object,
        }
    )
    return table, num_cut
