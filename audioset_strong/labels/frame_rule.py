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

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

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
) -> pd.DataFrame:
    """Frames strong labels, with complementary and explicit negatives.

    For a (clip, class) pair with at least one positive label frame, every other
    label frame of the clip is a complementary negative. A pair whose events
    reach no label frame gives neither. An explicit negative gives ten negative
    label frames, unless the clip has events of the class: then the events,
    which say more, are kept.

    Args:
      strong: Strong table (`label_files`).
      explicit_negatives: Columns segment_id and mid: pairs that annotators
        marked absent; None for none.
      params: The grid of label frames.

    Returns:
      Framed table (`label_files`), sorted by segment_id, label_frame and mid
      as the released one.
    """
    keys = ["segment_id", "mid"]
    rows = strong[keys]
    if explicit_negatives is not None:
        rows = pd.concat([rows, explicit_negatives[keys]])
    # Codes in the order of the texts: [num_rows], [num_clips], [num_classes]
    clips, segment_ids = pd.factorize(rows["segment_id"].to_numpy(), sort=True)
    classes, mids = pd.factorize(rows["mid"].to_numpy(), sort=True)
    # One number a pair, so that sorting is of integers, by clip and class.
    num_classes = max(len(mids), 1)
    pairs, pair_of_row = np.unique(
        clips * num_classes + classes, return_inverse=True
    )  # [num_pairs], [num_rows]
    pair_of_event = pair_of_row[: len(strong)]

    is_present = _mark_positive(strong, pair_of_event, len(pairs), params)
    has_events = np.zeros(len(pairs), dtype=bool)
    has_events[pair_of_event] = True
    # A pair without events is an explicit negative.
    listed = np.flatnonzero(is_present.any(axis=1) | ~has_events)
    clip, class_index = np.divmod(pairs[listed], num_classes)  # [num_listed]

    # The rows of a clip go through all its pairs, label frame by label frame.
    first = np.searchsorted(clip, clip, side="left")
    num_pairs_of_clip = np.searchsorted(clip, clip, side="right") - first
    frames = np.arange(params.num_label_frames)
    place = first * len(frames) + np.arange(len(listed)) - first
    row = place[:, np.newaxis] + np.multiply.outer(num_pairs_of_clip, frames)
    label_frame = np.empty(row.size, np.int64)
    label_frame[row] = frames  # row is [num_listed, num_label_frames]
    pair = np.empty(row.size, np.int32)
    pair[row] = np.arange(len(listed))[:, np.newaxis]
    columns = {
        "segment_id": segment_ids[clip[pair]],
        "label_frame": label_frame,
        "mid": mids[class_index[pair]],
        "is_present": is_present[listed][pair, label_frame],
    }
    # The dtype is given because pandas would take str for object.
    return pd.DataFrame(
        {name: pd.Series(c, dtype=c.dtype) for name, c in columns.items()},
        copy=False,
    )


def _mark_positive(
    strong: pd.DataFrame,
    pair_of_event: npt.NDArray[np.int64],
    num_pairs: int,
    params: LabelFrameParams,
) -> npt.NDArray[np.bool_]:
    """Marks bool `[num_pairs, num_label_frames]` where events are."""
    is_present = np.zeros((num_pairs, params.num_label_frames), dtype=bool)
    onsets = strong["onset_seconds"].to_numpy()
    offsets = strong["offset_seconds"].to_numpy()
    for start in range(0, len(strong), _EVENTS_AT_ONCE):
        part = slice(start, start + _EVENTS_AT_ONCE)
        is_positive = events_to_label_frames(
            onsets[part], offsets[part], params
        )  # [num_events, num_label_frames]
        events, label_frames = np.nonzero(is_positive)
        # Events of a pair are joined by "or", frame by frame: never pooled.
        is_present[pair_of_event[part][events], label_frames] = True
    return is_present
