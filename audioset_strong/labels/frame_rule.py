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
    pairs = _number_pairs(rows)
    pair_of_event = pairs.pair_of_row[: len(strong)]

    is_present = _mark_positive(strong, pair_of_event, len(pairs.clip), params)
    has_events = np.zeros(len(pairs.clip), dtype=bool)
    has_events[pair_of_event] = True
    # A pair without events is an explicit negative.
    is_listed = is_present.any(axis=1) | ~has_events
    return _framed_table(pairs, is_present, is_listed)


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
        )
        events, label_frames = np.nonzero(is_positive)
        # Events of a pair are joined by "or", frame by frame: never pooled.
        is_present[pair_of_event[part][events], label_frames] = True
    return is_present


class _Pairs(NamedTuple):
    """Distinct (clip, class) pairs in the order of their ids and mids.

    Attributes:
      segment_ids: object `[num_clips]`, ascending.
      mids: object `[num_classes]`, ascending.
      clip: int64 `[num_pairs]`, index into segment_ids.
      class_index: int64 `[num_pairs]`, index into mids.
      pair_of_row: int64 `[num_rows]`, index of each row's pair.
    """

    segment_ids: npt.NDArray[np.object_]
    mids: npt.NDArray[np.object_]
    clip: npt.NDArray[np.int64]
    class_index: npt.NDArray[np.int64]
    pair_of_row: npt.NDArray[np.int64]


def _number_pairs(rows: pd.DataFrame) -> _Pairs:
    """Numbers the pairs of a table with columns segment_id and mid."""
    clips, segment_ids = pd.factorize(rows["segment_id"].to_numpy(), sort=True)
    classes, mids = pd.factorize(rows["mid"].to_numpy(), sort=True)
    # One number a pair, so that sorting is of integers.
    numbers, pair_of_row = np.unique(
        clips * max(len(mids), 1) + classes, return_inverse=True
    )
    clip, class_index = np.divmod(numbers, max(len(mids), 1))
    return _Pairs(segment_ids, mids, clip, class_index, pair_of_row)


def _framed_table(
    pairs: _Pairs,
    is_present: npt.NDArray[np.bool_],
    is_listed: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """Writes out the label frames of the listed pairs as framed rows.

    Args:
      pairs: All pairs.
      is_present: bool `[num_pairs, num_label_frames]`.
      is_listed: bool `[num_pairs]`.

    Returns:
      Framed table, sorted by segment_id, label_frame and mid.
    """
    num_label_frames = is_present.shape[1]
    listed = np.flatnonzero(is_listed)
    pair = np.repeat(listed, num_label_frames)
    label_frame = np.tile(np.arange(num_label_frames), len(listed))
    # Pairs are in order of clip and class; a stable sort by clip and label
    # frame leaves the classes in order.
    order = np.argsort(
        pairs.clip[pair] * num_label_frames + label_frame, kind="stable"
    )
    pair, label_frame = pair[order], label_frame[order]
    columns = {
        "segment_id": pairs.segment_ids[pairs.clip[pair]],
        "label_frame": label_frame,
        "mid": pairs.mids[pairs.class_index[pair]],
        "is_present": is_present[pair, label_frame],
    }
    # The dtype is given because pandas would take str for object.
    return pd.DataFrame(
        {name: pd.Series(c, dtype=c.dtype) for name, c in columns.items()}
    )
