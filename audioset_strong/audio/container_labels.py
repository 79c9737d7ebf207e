"""Reads the labels that hosted copies of AudioSet hold beside the audio.

  agkphysics/AudioSet       video_id, audio, labels (mids), human_labels (names)
  enyoukai/AudioSet-Strong  the same, and events [{event_name, start, end}]
  confit/audioset-*-wds     <key>.wav, <key>.json {id, label (names), label_id}
  CLAPv2/audioset_strong    audio, text (a name, or a list of them)

A clip is called what the container calls it (`video_id`, the `id` of the
`.json`, else the file name), and the audio index says where its audio is, so
that labels and audio belong together whatever the keys are. Names of classes
become mids; one that is unknown, or that two classes have, is a bad line:
nothing is guessed. `label_id` counts classes in an order that no file states,
and is not used.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from absl import logging

from audioset_strong.audio.containers import Member, list_containers
from audioset_strong.audio.listing import AUDIO_EXTENSIONS
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import KnownClasses
from audioset_strong.labels.ids import is_segment_id
from audioset_strong.labels.problems import ProblemLog, listed, log_or_stop

# Where the classes of a clip may stand; the first that is there counts.
_CLASS_FIELDS = ("labels", "human_labels", "label", "text")
_FIELDS = (*_CLASS_FIELDS, "events")

# The same for the parts of an event.
_EVENT_FIELDS = {
    "class": ("event_name", "event_label", "label", "mid"),
    "onset": ("start", "onset", "start_time_seconds", "start_time"),
    "offset": ("end", "offset", "end_time_seconds", "end_time"),
}

_AUDIOSET_MID = re.compile("/[mgt]/[0-9a-z_]+")


class ContainerLabels(NamedTuple):
    """Labels of containers, as tables (`labels/label_files.py`).

    Attributes:
      weak: Weak table, with ends of NaN: how long a clip is is not said. None
        if no container has classes of clips.
      strong: Strong table; None if no container has events.
      audio_index: segment_id and path, with a locator, of each clip.
    """

    weak: pd.DataFrame | None
    strong: pd.DataFrame | None
    audio_index: pd.DataFrame


class _BadClipError(Exception):
    """The labels of a clip cannot be used."""


def read_container_labels(
    paths: Sequence[str],
    known_classes: KnownClasses,
    problems: ProblemLog | None = None,
) -> ContainerLabels:
    """Reads labels and places of audio from Parquet files and WebDataset tars.

    A clip whose labels cannot be used is left out as a whole: an event that is
    lost would make its label frames negatives.

    Args:
      paths: The containers, local or remote.
      known_classes: Classes and names that labels may have. Mids of AudioSet
        may be others: they are kept as they are.
      problems: Takes the clips that are left out, by the number of the row or
        file; None to stop at them.

    Raises:
      InputError: A container cannot be read, or there is no audio with labels.
    """
    mid_of = _mids_by_text(known_classes)
    place_of_clip: dict[str, str] = {}
    weak: list[tuple[str, tuple[str, ...]]] = []
    strong: list[tuple[str, float, float, str]] = []
    num_without = 0
    with log_or_stop(problems) as log:
        for container in list_containers(paths, _FIELDS):
            if container.note:
                logging.warning("%s", container.note)
            for kind, number in container.num_left_out.items():
                logging.warning(
                    "%s: %d %s are not used.", container.path, number, kind
                )
            for number, member in enumerate(_audio_of(container.members), 1):
                try:
                    segment_id = _name_clip(member, container.path, number)
                    if segment_id in place_of_clip:
                        raise _BadClipError(
                            f"expected each clip once, {segment_id!r} is also "
                            f"{place_of_clip[segment_id]}"
                        )
                    mids = _classes_of_clip(member.fields, mid_of)
                    events = list(_events_of_clip(member.fields, mid_of))
                except _BadClipError as error:
                    log.add(container.path, number, str(error))
                    continue
                place_of_clip[segment_id] = member.path
                if mids:
                    weak.append((segment_id, mids))
                strong += [(segment_id, *event) for event in events]
                num_without += not mids and not events
    if not weak and not strong:
        raise InputError(
            f"Expected audio with labels in {listed(paths, 3)}: a column or "
            f".json field of {', '.join(_FIELDS)}, found none that can be "
            f"used. Give label files instead."
        )
    if num_without:
        logging.warning("%d clips have no label.", num_without)
    return ContainerLabels(
        _weak_table(weak) if weak else None,
        _strong_table(strong) if strong else None,
        pd.DataFrame(
            {
                "segment_id": pd.Series(list(place_of_clip), dtype=object),
                "path": pd.Series(list(place_of_clip.values()), dtype=object),
            }
        ),
    )


def _weak_table(rows: Sequence[tuple[str, tuple[str, ...]]]) -> pd.DataFrame:
    ids, mids = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "segment_id": pd.Series(ids, dtype=object),
            "start_seconds": 0.0,
            "end_seconds": math.nan,
            "mids": pd.Series(mids, dtype=object),
        }
    )


def _strong_table(
    rows: Sequence[tuple[str, float, float, str]],
) -> pd.DataFrame:
    ids, onsets, offsets, mids = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "segment_id": pd.Series(ids, dtype=object),
            "onset_seconds": pd.Series(onsets, dtype=float),
            "offset_seconds": pd.Series(offsets, dtype=float),
            "mid": pd.Series(mids, dtype=object),
        }
    )


def _audio_of(members: Iterable[Member]) -> Iterator[Member]:
    """Yields the members that are audio; rows always are."""
    for member in members:
        if member.num_bytes < 0 or member.name.lower().endswith(
            AUDIO_EXTENSIONS
        ):
            yield member


def _name_clip(member: Member, path: str, number: int) -> str:
    """Returns the segment id of a member; a row may have no name at all."""
    container = os.path.splitext(os.path.basename(path))[0]
    segment_id = (member.keys or (f"{container}_{number - 1}",))[0]
    if not is_segment_id(segment_id):
        raise _BadClipError(
            f"expected a name of one line without tabs, found "
            f"{ascii(segment_id[:80])}"
        )
    return segment_id


# --- Classes ----------------------------------------------------------------


def _mids_by_text(known: KnownClasses) -> dict[str, list[str]]:
    """Returns what a text may mean: a mid itself, or mids of that name."""
    mids = known.mids_of_name()
    mids.update((mid, [mid]) for mid in known.name_of_mid)
    return mids


def _find_mid(text: object, mid_of: Mapping[str, Sequence[str]]) -> str:
    """Returns the class that a label names.

    Raises:
      _BadClipError: There is none, or more than one.
    """
    if isinstance(text, str):
        mids = mid_of.get(text, ())
        if len(mids) == 1:
            return mids[0]
        if mids:
            raise _BadClipError(
                f"expected a label that one class has, {text!r} is the name "
                f"of {' and '.join(mids)}"
            )
        if _AUDIOSET_MID.fullmatch(text):
            return text
    raise _BadClipError(
        f"expected a mid or the display name of a class, found "
        f"{ascii(text)[:80]}"
    )


def _classes_of_clip(
    fields: Mapping[str, Any], mid_of: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Returns the classes of a clip, each once; none if none are given."""
    for name in _CLASS_FIELDS:
        labels = fields.get(name)
        if labels is not None:
            texts = labels if isinstance(labels, list) else [labels]
            mids = [_find_mid(text, mid_of) for text in texts]
            return tuple(dict.fromkeys(mids))
    return ()


def _events_of_clip(
    fields: Mapping[str, Any], mid_of: Mapping[str, Sequence[str]]
) -> Iterator[tuple[float, float, str]]:
    """Yields onset, offset and mid of the events of a clip."""
    events = fields.get("events")
    if events is None:
        return
    if isinstance(events, dict):
        # Hugging Face writes a sequence of structs as a struct of lists.
        columns = [value or () for value in events.values()]
        if len({len(column) for column in columns}) > 1:
            raise _BadClipError("expected events with as many starts as names")
        events = [
            dict(zip(events, row, strict=True))
            for row in zip(*columns, strict=True)
        ]
    if not isinstance(events, list):
        raise _BadClipError(f"expected a list of events, found {events!r:.80}")
    for event in events:
        parts = {}
        for part, names in _EVENT_FIELDS.items():
            found = [n for n in names if isinstance(event, dict) and n in event]
            if not found:
                raise _BadClipError(
                    f"expected an event with {' or '.join(names)}, found "
                    f"{ascii(event)[:80]}"
                )
            parts[part] = event[found[0]]
        onset, offset = (
            _milliseconds(parts[name], name) / 1000
            for name in ("onset", "offset")
        )
        if offset <= onset:
            raise _BadClipError(
                f"expected an event that ends after it starts, found "
                f"{onset:g} to {offset:g} s"
            )
        yield onset, offset, _find_mid(parts["class"], mid_of)


def _milliseconds(value: object, name: str) -> int:
    """Reads a time in seconds, to the nearest millisecond."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
        if 0 <= seconds < 1e9 and not isinstance(value, bool):
            return round(seconds * 1000)
    except (TypeError, ValueError):
        pass
    raise _BadClipError(
        f"expected the {name} of an event in seconds, found {ascii(value)[:80]}"
    )
