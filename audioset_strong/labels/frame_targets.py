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
      Framed table (`label_files`), sorted by segment_id, mid, label_frame.
    """
    num_label_frames = params.num_label_frames
    pair_of_event, pairs = _number_pairs(strong)
    is_present = np.zeros((len(pairs), num_label_frames), dtype=bool)
    is_positive = events_to_label_frames(
        strong["onset_seconds"].to_numpy(),
        strong["offset_seconds"].to_numpy(),
        params,
    )
    # Events of a pair are joined by "or", frame by frame: never pooled.
    np.logical_or.at(is_present, pair_of_event, is_positive)
    reaches_a_frame = is_present.any(axis=1)
    tables = [_frame_table(pairs[reaches_a_frame], is_present[reaches_a_frame])]
    if explicit_negatives is not None:
        _, absent = _number_pairs(explicit_negatives)
        has_events = pd.MultiIndex.from_frame(absent).isin(
            pd.MultiIndex.from_frame(pairs)
        )
        absent = absent[~has_events]
        none = np.zeros((len(absent), num_label_frames), dtype=bool)
        tables.append(_frame_table(absent, none))
    framed = pd.concat(tables, ignore_index=True)
    keys = ["segment_id", "mid", "label_frame"]
    return framed.sort_values(keys, kind="stable", ignore_index=True)


def _number_pairs(
    table: pd.DataFrame,
) -> tuple[npt.NDArray[np.int64], pd.DataFrame]:
    """Numbers the distinct (clip, class) pairs of a table.

    Returns:
      pair_of_row: int64 `[num_rows]`.
      pairs: The distinct pairs, in the order of their numbers.
    """
    keys = ["segment_id", "mid"]
    numbers = table.groupby(keys, sort=False).ngroup()
    pair_of_row = np.asarray(numbers, dtype=np.int64)
    pairs = table[keys].drop_duplicates().reset_index(drop=True)
    return pair_of_row, pairs


def _frame_table(
    pairs: pd.DataFrame, is_present: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    """Writes bool `[num_pairs, num_label_frames]` out as framed rows."""
    num_pairs, num_label_frames = is_present.shape
    return pd.DataFrame(
        {
            "segment_id": pairs["segment_id"].repeat(num_label_frames).array,
            "label_frame": np.tile(np.arange(num_label_frames), num_pairs),
            "mid": pairs["mid"].repeat(num_label_frames).array,
            "is_present": is_present.reshape(-1),
        }
    )
