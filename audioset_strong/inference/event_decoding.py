"""Turns scores over time into events with times.

The steps, each with a setting of `DecodingParams`:

1. A median filter over the frames of each class.
2. Only the k highest classes of a frame can be present.
3. An event begins at a frame that reaches the threshold of its class, and goes
   on while frames reach `hold_share` of it.
4. Events of a class with a short gap between them become one.
5. Events end with the audio, and short ones are left out.

Times are multiples of the hop: scores at a finer hop give finer times. Frames
are read in blocks, so that scores can be a memory map of many hours.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.params import DecodingParams

# A few MB of scores at a time.
_BLOCK_FRAMES = 1024
# Sums and products of times are off by less.
_TOLERANCE_SECONDS = 1e-6

_Scores = npt.NDArray[np.floating[Any]]
_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


class ScoredEvent(NamedTuple):
    """One event that a model found.

    Attributes:
      class_index: Index of its class.
      onset_seconds: From the start of the audio.
      offset_seconds: From the start of the audio.
      score: Highest score of its frames, after the median filter, in [0, 1].
    """

    class_index: int
    onset_seconds: float
    offset_seconds: float
    score: float


class _Runs(NamedTuple):
    """Neighbouring frames of one class each, as arrays `[num_runs]`."""

    classes: _Ints
    first_frames: _Ints
    end_frames: _Ints
    scores: _Scores


def decode_events(
    scores: _Scores,
    thresholds: npt.NDArray[np.floating[Any]] | float,
    hop_seconds: float,
    audio_seconds: float,
    params: DecodingParams = DecodingParams(),
    class_indices: Sequence[int] | None = None,
) -> list[ScoredEvent]:
    """Finds the events of one recording (module docstring).

    Args:
      scores: float `[num_frames, num_classes]`, in [0, 1]. Frame i stands for
        the audio from second i * hop_seconds to second (i + 1) * hop_seconds.
      thresholds: float, or float `[num_classes]`: the score that an event of a
        class must reach; not NaN. `params.threshold` does not count here.
      hop_seconds: Length and hop of a frame.
      audio_seconds: No event ends later; the last frame can be padded.
      params: The settings of the steps.
      class_indices: Classes to keep; None for all. Others still count for the
        k highest of a frame.

    Returns:
      Events, by onset, then class index.

    Raises:
      InputError: `scores` is not two-dimensional or not finite, or `thresholds`
        is neither one number nor one for each class, or is NaN.
    """
    if scores.ndim != 2:
        raise InputError(
            f"scores must be [num_frames, num_classes]. Received: "
            f"shape={scores.shape}."
        )
    num_classes = scores.shape[1]
    # One threshold a frame would broadcast too, and mean nothing.
    if np.shape(thresholds) not in ((), (num_classes,)):
        raise InputError(
            f"thresholds must be one number or one for each of {num_classes} "
            f"classes. Received: shape={np.shape(thresholds)}."
        )
    if np.isnan(thresholds).any():
        raise InputError("thresholds must not be NaN: no score reaches it.")
    # A score of 0.7 in float32 reaches a threshold of 0.7.
    levels = np.broadcast_to(
        np.asarray(thresholds, None if np.ndim(thresholds) else scores.dtype),
        (num_classes,),
    )
    is_kept = np.ones(num_classes, dtype=bool)
    if class_indices is not None:
        is_kept[:] = False
        is_kept[list(class_indices)] = True
    # What begins after the end of the audio is padding alone.
    num_frames = math.ceil((audio_seconds - _TOLERANCE_SECONDS) / hop_seconds)
    found = list(
        _find_runs(scores[:num_frames], levels, hop_seconds, params, is_kept)
    )
    if not found:
        return []
    runs = _Runs(*map(np.concatenate, zip(*found, strict=True)))
    max_gap = (params.max_gap_seconds + _TOLERANCE_SECONDS) / hop_seconds
    runs = _join(runs, int(max_gap))
    onsets = runs.first_frames * float(hop_seconds)
    offsets = np.minimum(runs.end_frames * float(hop_seconds), audio_seconds)
    least = params.min_event_seconds - _TOLERANCE_SECONDS
    order = np.lexsort((runs.classes, onsets))
    order = order[(offsets - onsets)[order] >= least]
    columns = (runs.classes, onsets, offsets, runs.scores)
    return [
        ScoredEvent(*event)
        for event in zip(*(c[order].tolist() for c in columns), strict=True)
    ]


def _find_runs(
    scores: _Scores,
    thresholds: npt.NDArray[np.floating[Any]],
    hop_seconds: float,
    params: DecodingParams,
    is_kept: _Bools,
) -> Iterator[_Runs]:
    """Yields the runs of each block of frames, which end with the block."""
    num_frames, num_classes = scores.shape
    # The odd length that is nearest: 2 * half + 1 frames.
    half = int(
        (params.median_filter_seconds + _TOLERANCE_SECONDS) / hop_seconds / 2
    )
    hold_levels = thresholds * params.hold_share
    is_held = np.zeros(num_classes, dtype=bool)  # after the block before
    for start in range(0, num_frames, _BLOCK_FRAMES):
        end = min(start + _BLOCK_FRAMES, num_frames)
        first = max(start - half, 0)
        # With the frames that the filter of the first and the last reach.
        block = np.asarray(scores[first : end + half])
        if not np.isfinite(block).all():
            raise InputError(
                f"scores must be finite, found NaN or infinite ones between "
                f"{first * hop_seconds:g} and "
                f"{(first + len(block)) * hop_seconds:g} s. Check the model."
            )
        # Few classes come near their threshold. A median is at most the
        # highest, so the filter needs no others, if their rank does not count.
        is_used = is_kept & (block.max(axis=0) >= hold_levels)
        columns = np.flatnonzero(is_used)
        used = np.arange(num_classes) if params.top_k else columns
        block = _filtered(block[:, used], half)[start - first :][: end - start]
        is_present = np.ones(block.shape, dtype=bool)
        if 0 < params.top_k < num_classes:
            # Equal ones are all among the highest.
            lowest = np.partition(block, -params.top_k, axis=1)
            is_present = block >= lowest[:, [-params.top_k]]
        if params.top_k:
            block, is_present = block[:, columns], is_present[:, columns]
        is_on = _hold(
            is_present & (block >= thresholds[columns]),
            is_present & (block >= hold_levels[columns]),
            is_held[columns],
        )  # [block_frames, num_columns]
        is_held[:] = False
        is_held[columns] = is_on[-1]
        # Silence before the first and after the last frame, so that every run
        # begins and ends.
        changes = np.diff(
            np.pad(is_on, ((1, 1), (0, 0))).astype(np.int8), axis=0
        )
        # By class, then time, so that the n-th start and the n-th end belong
        # together. [num_runs] each.
        of_run, starts = np.nonzero(changes.T == 1)
        _, ends = np.nonzero(changes.T == -1)
        highest = [
            block[a:b, c].max()
            for c, a, b in zip(of_run, starts, ends, strict=True)
        ]
        yield _Runs(
            columns[of_run],
            starts + start,
            ends + start,
            np.array(highest, dtype=block.dtype),
        )


def _filtered(block: _Scores, half: int) -> _Scores:
    """Applies a median filter of 2 * half + 1 frames to each class."""
    if not half or not block.size:
        return block
    from scipy import ndimage  # 0.1 s, and few need it

    # float16 is not filtered. Ends are mirrored, SciPy's and DCASE's default.
    values = block.astype(np.result_type(block, np.float32), copy=False)
    filtered: _Scores = ndimage.median_filter(values, size=(2 * half + 1, 1))
    return filtered


def _hold(is_begun: _Bools, is_held: _Bools, is_on_before: _Bools) -> _Bools:
    """Marks the frames of events, from where they begin to where they break.

    Args:
      is_begun: bool `[num_frames, num_classes]`, reaches the threshold.
      is_held: The same shape, reaches what an event needs to go on.
      is_on_before: bool `[num_classes]`, an event reaches the first frame.
    """
    frames = np.arange(1, len(is_begun) + 1, dtype=np.int32)[:, np.newaxis]
    begun = np.where(is_begun, frames, 0)
    broken = np.where(is_held | is_begun, 0, frames)
    # Frame 0 is the one before; an event that is not on broke there.
    last_begun = np.maximum.accumulate(begun, axis=0)
    last_broken = np.maximum.accumulate(broken, axis=0)
    is_on: _Bools = (last_begun > last_broken) | (
        is_on_before & (last_broken == 0)
    )
    return is_on


def _join(runs: _Runs, max_gap_frames: int) -> _Runs:
    """Joins runs of a class that are near; those of two blocks touch."""
    order = np.lexsort((runs.first_frames, runs.classes))
    classes, starts = runs.classes[order], runs.first_frames[order]
    ends, scores = runs.end_frames[order], runs.scores[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (classes[1:] != classes[:-1]) | (
        starts[1:] - ends[:-1] > max_gap_frames
    )
    firsts = np.flatnonzero(is_new)
    if not firsts.size:
        return runs
    return _Runs(
        classes[firsts],
        starts[firsts],
        ends[np.append(firsts[1:], len(order)) - 1],
        np.maximum.reduceat(scores, firsts),
    )
