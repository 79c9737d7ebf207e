"""Events -> label frames: the frame rule and complementary negatives.

The frame rule: a window is positive for a class when one single event of that
class satisfies

    overlap >= 0.5 * min(window length, event length)

which is both clauses of Section 3.2 of the paper (half of the window is filled,
or the window holds half of the event). Events are never pooled: two short
events that only together fill half of a window do not make it positive.

Times are compared as whole milliseconds, the precision of the label files, so
that an overlap of exactly 0.48 s counts.

Source: Section 3.2; the reading "one single event" is the one that reproduces
the released framed file (BUILD_NOTES.md "Frame rule").
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.clips import (
    check_listed,
    check_onsets,
    lengths_of_clips,
)
from audioset_strong.params import LabelFrameParams

# Framing a million events at once would take some 100 MB for each step.
_EVENTS_AT_ONCE = 100_000


class Event(NamedTuple):
    """One label with times, in seconds from the start of its clip."""

    mid: str
    onset_seconds: float
    offset_seconds: float


def to_milliseconds(seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Rounds seconds to int64 milliseconds, same shape."""
    exact = np.asarray(seconds, dtype=np.float64) * 1000
    milliseconds: npt.NDArray[np.int64] = np.rint(exact).astype(np.int64)
    return milliseconds


def num_label_frames_of(
    seconds: npt.ArrayLike, params: LabelFrameParams = LabelFrameParams()
) -> npt.NDArray[np.int64]:
    """Counts the whole label frames that fit into clips, in milliseconds.

    Args:
      seconds: float, any shape, lengths of clips.
      params: Length of a label frame.

    Returns:
      int64, same shape.

    Raises:
      InputError: A length is below 0 or not finite.
    """
    lengths = np.asarray(seconds, dtype=np.float64)
    is_bad = ~((lengths >= 0) & (lengths < np.inf))
    if is_bad.any():
        raise InputError(
            f"Expected lengths of clips in seconds, from 0 up, found "
            f"{lengths[is_bad].flat[0]}."
        )
    window_ms = round(params.label_frame_seconds * 1000)
    counts: npt.NDArray[np.int64] = to_milliseconds(lengths) // window_ms
    return counts


def label_frames_of_clips(
    segment_ids: npt.ArrayLike,
    clips: pd.DataFrame | None,
    params: LabelFrameParams = LabelFrameParams(),
) -> npt.NDArray[np.int64]:
    """Counts the label frames of clips.

    Args:
      segment_ids: str `[num_clips]`.
      clips: Clips table (`clips`), where as many fit as fit; None for no list.
      params: The grid; says how many the clips have that are not listed.

    Returns:
      int64 `[num_clips]`.
    """
    # What is not listed is counted by the grid: it has no length here.
    lengths = lengths_of_clips(segment_ids, clips, np.nan)
    is_listed = ~np.isnan(lengths)
    counts = np.full(len(lengths), params.num_label_frames)
    counts[is_listed] = num_label_frames_of(lengths[is_listed], params)
    return counts


def params_of_length(
    clip_seconds: float,
    label_frame_seconds: float = LabelFrameParams().label_frame_seconds,
) -> LabelFrameParams:
    """Returns the grid of clips of one length: as many label frames as fit.

    Raises:
      InputError: A label frame is not of whole milliseconds, the precision of
        label files.
    """
    window_ms = label_frame_seconds * 1000
    if not window_ms >= 1 or abs(window_ms - round(window_ms)) > 1e-6:
        raise InputError(
            f"label_frame_seconds must be whole milliseconds, as the times of "
            f"label files are, found {label_frame_seconds} s. Give "
            f"{max(round(window_ms), 1) / 1000 if window_ms > 0 else 0.96}."
        )
    params = LabelFrameParams(
        label_frame_seconds=float(label_frame_seconds),
        clip_seconds=float(clip_seconds),
    )
    num_label_frames = int(num_label_frames_of(clip_seconds, params))
    return dataclasses.replace(params, num_label_frames=num_label_frames)


def params_of_longest(
    clips: pd.DataFrame | None, params: LabelFrameParams
) -> LabelFrameParams:
    """Returns the grid of the longest clip, of those listed and of `params`."""
    if clips is None or clips["duration_seconds"].max() <= params.clip_seconds:
        return params
    return params_of_length(
        clips["duration_seconds"].max(), params.label_frame_seconds
    )


def is_window_positive(
    onset_ms: npt.NDArray[np.int64],
    offset_ms: npt.NDArray[np.int64],
    window_start_ms: npt.NDArray[np.int64],
    params: LabelFrameParams = LabelFrameParams(),
) -> npt.NDArray[np.bool_]:
    """Applies the frame rule to events and windows.

    Args:
      onset_ms: int64, any shape, event onsets.
      offset_ms: int64, same shape, event offsets, after their onsets.
      window_start_ms: int64, broadcastable to the events: starts of windows of
        `params.label_frame_seconds`.
      params: Window length and least overlap.

    Returns:
      bool, the broadcast shape: whether this event makes this window positive.
    """
    window_ms = round(params.label_frame_seconds * 1000)
    overlap_ms = np.minimum(offset_ms, window_start_ms + window_ms)
    overlap_ms = overlap_ms - np.maximum(onset_ms, window_start_ms)
    shorter_ms = np.minimum(window_ms, offset_ms - onset_ms)
    # An event of no length has no overlap with anything.
    is_positive: npt.NDArray[np.bool_] = (overlap_ms > 0) & (
        overlap_ms >= params.min_overlap * shorter_ms
    )
    return is_positive


def events_to_label_frames(
    onset_seconds: npt.NDArray[np.float64],
    offset_seconds: npt.NDArray[np.float64],
    params: LabelFrameParams = LabelFrameParams(),
) -> npt.NDArray[np.bool_]:
    """Marks the label frames that each event makes positive.

    Args:
      onset_seconds: float `[num_events]`, from the start of the clip.
      offset_seconds: float `[num_events]`.
      params: The grid of label frames.

    Returns:
      bool `[num_events, num_label_frames]`.
    """
    window_ms = round(params.label_frame_seconds * 1000)
    starts_ms = np.arange(params.num_label_frames, dtype=np.int64) * window_ms
    return is_window_positive(
        to_milliseconds(onset_seconds)[:, np.newaxis],
        to_milliseconds(offset_seconds)[:, np.newaxis],
        starts_ms[np.newaxis, :],
        params,
    )


def events_to_frame_targets(
    events: Sequence[Event],
    index_of_mid: dict[str, int],
    params: LabelFrameParams = LabelFrameParams(),
) -> npt.NDArray[np.float32]:
    """Makes the targets of all label frames of one clip.

    Args:
      events: Labels of the clip, any order, overlaps allowed.
      index_of_mid: Class index of each mid; events of other mids are left out,
        the caller counts them.
      params: The grid of label frames.

    Returns:
      float32 `[num_label_frames, num_classes]`, 1 where the class is present.
    """
    targets = np.zeros(
        (params.num_label_frames, len(index_of_mid)), dtype=np.float32
    )
    known = [event for event in events if event.mid in index_of_mid]
    if known:
        _, onsets, offsets = zip(*known, strict=True)
        is_positive = events_to_label_frames(
            np.array(onsets), np.array(offsets), params
        )
        for event, frames in zip(known, is_positive, strict=True):
            targets[frames, index_of_mid[event.mid]] = 1.0
    return targets


def frame_strong_labels(
    strong: pd.DataFrame,
    explicit_negatives: pd.DataFrame | None = None,
    params: LabelFrameParams = LabelFrameParams(),
    clips: pd.DataFrame | None = None,
    known_mids: Collection[str] | None = None,
) -> pd.DataFrame:
    """Frames strong labels, with complementary and explicit negatives.

    For a (clip, class) pair with at least one positive label frame, every other
    label frame of the clip is a complementary negative. A pair whose events
    reach no label frame gives neither. An explicit negative gives negative
    label frames all along the clip, unless the clip has events of the class:
    then the events, which say more, are kept. So does every class of a listed
    clip without any event.

    Args:
      strong: Strong table (`label_files`).
      explicit_negatives: Columns segment_id and mid: pairs that annotators
        marked absent; None for none.
      params: The grid of label frames.
      clips: Clips table (`clips`): listed clips have as many label frames as
        fit into them, in place of `params.num_label_frames`. None for no list.
      known_mids: Classes that are absent from listed clips without any event;
        None for those of the labels.

    Returns:
      Framed table (`label_files`), sorted by segment_id, label_frame and mid
      as the released one.

    Raises:
      InputError: A clip with an event is not on the list, or an event starts
        after the end of its clip.
    """
    keys = ["segment_id", "mid"]
    if clips is not None:
        check_listed(strong["segment_id"], clips)
    check_onsets(strong, clips, params.clip_seconds)
    rows = strong[keys]
    if explicit_negatives is not None:
        rows = pd.concat([rows, explicit_negatives[keys]])
    if clips is not None:
        mids = rows["mid"].unique() if known_mids is None else [*known_mids]
        is_empty = ~clips["segment_id"].isin(strong["segment_id"])
        absent = clips.loc[is_empty, ["segment_id"]].merge(
            pd.DataFrame({"mid": pd.Series(mids, dtype=object)}), how="cross"
        )
        rows = pd.concat([rows, absent])
    # Codes in the order of the texts: [num_rows], [num_clips], [num_classes]
    clip_of_row, ids = pd.factorize(rows["segment_id"].to_numpy(), sort=True)
    classes, mids = pd.factorize(rows["mid"].to_numpy(), sort=True)
    num_of_clip = label_frames_of_clips(ids, clips, params)  # [num_clips]
    # One number a pair, so that sorting is of integers, by clip and class.
    num_classes = max(len(mids), 1)
    pairs, pair_of_row = np.unique(
        clip_of_row * num_classes + classes, return_inverse=True
    )  # [num_pairs], [num_rows]
    pair_of_event = pair_of_row[: len(strong)]
    clip, class_index = np.divmod(pairs, num_classes)  # [num_pairs]

    # The label frames of a pair, one after the other, start at `start`.
    num_frames = num_of_clip[clip]  # [num_pairs]
    start = np.cumsum(num_frames) - num_frames
    is_present = np.zeros(num_frames.sum(), dtype=bool)
    _mark_positive(is_present, strong, start, num_frames, pair_of_event, params)
    has_events = np.zeros(len(pairs), dtype=bool)
    has_events[pair_of_event] = True
    pair = np.repeat(np.arange(len(pairs)), num_frames)  # [num_label_frames]
    has_positives = np.zeros(len(pairs), dtype=bool)
    has_positives[pair[is_present]] = True
    # A pair without events is an explicit negative.
    is_listed = has_positives | ~has_events
    label_frame = np.arange(len(pair)) - start[pair]
    kept = is_listed[pair]  # [num_label_frames]
    pair, label_frame = pair[kept], label_frame[kept]
    is_present = is_present[kept]

    # The rows of a clip go through all its pairs, label frame by label frame.
    frame_of_all = clip[pair] * (num_of_clip.max(initial=0) + 1) + label_frame
    order = np.argsort(frame_of_all, kind="stable")
    pair = pair[order]
    columns = {
        "segment_id": ids[clip[pair]],
        "label_frame": label_frame[order],
        "mid": mids[class_index[pair]],
        "is_present": is_present[order],
    }
    # The dtype is given because pandas would take str for object.
    return pd.DataFrame(
        {name: pd.Series(c, dtype=c.dtype) for name, c in columns.items()},
        copy=False,
    )


def _mark_positive(
    is_present: npt.NDArray[np.bool_],
    strong: pd.DataFrame,
    start: npt.NDArray[np.int64],
    num_frames: npt.NDArray[np.int64],
    pair_of_event: npt.NDArray[np.int64],
    params: LabelFrameParams,
) -> None:
    """Marks in place where events are.

    Args:
      is_present: bool `[num_label_frames]`, of all pairs.
      strong: Strong table.
      start: int64 `[num_pairs]`, where the label frames of a pair start.
      num_frames: int64 `[num_pairs]`, and how many there are.
      pair_of_event: int64 `[num_events]`.
      params: Window length and least overlap.
    """
    for begin in range(0, len(strong), _EVENTS_AT_ONCE):
        part = slice(begin, begin + _EVENTS_AT_ONCE)
        pair = pair_of_event[part]  # [num_events]
        event, frame = positive_label_frames(
            strong.iloc[part], num_frames[pair], params
        )
        # Events of a pair are joined by "or", frame by frame: never pooled.
        is_present[start[pair[event]] + frame] = True


def positive_label_frames(
    strong: pd.DataFrame,
    num_frames: npt.NDArray[np.int64],
    params: LabelFrameParams = LabelFrameParams(),
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lists the label frames that each event makes positive.

    Args:
      strong: Strong table (`label_files`).
      num_frames: int64 `[num_events]`: label frames of the event's clip.
      params: Window length and least overlap.

    Returns:
      Row of the event, and label frame, both int64 `[num_found]`.
    """
    window_ms = round(params.label_frame_seconds * 1000)
    onsets = to_milliseconds(strong["onset_seconds"])
    offsets = to_milliseconds(strong["offset_seconds"])
    # Only the label frames that an event reaches can be positive.
    first = np.maximum(onsets // window_ms, 0)
    end = np.minimum(-(-offsets // window_ms), num_frames)
    count = np.maximum(end - first, 0)
    event = np.repeat(np.arange(len(strong)), count)  # [num_reached]
    nth = np.arange(len(event)) - np.repeat(np.cumsum(count) - count, count)
    frame = first[event] + nth
    is_positive = is_window_positive(
        onsets[event], offsets[event], frame * window_ms, params
    )
    return event[is_positive], frame[is_positive]
