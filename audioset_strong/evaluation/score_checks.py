"""Checks of scores: shapes, dtypes, names, ranges, in parts of a few clips.

Scores of a whole release are hundreds of megabytes, so nothing here makes an
array of their size.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.params import LabelFrameParams

_GRID = LabelFrameParams()

_Scores = npt.NDArray[np.floating[Any]]
_Strings = npt.NDArray[np.str_]
_Counts = npt.NDArray[np.integer[Any]]

# A few megabytes at 527 classes.
_CLIPS_AT_ONCE = 256


def parts_of_clips(num_clips: int) -> Iterator[slice]:
    """Gives slices of clips, in order, that are small enough to copy."""
    for start in range(0, num_clips, _CLIPS_AT_ONCE):
        yield slice(start, start + _CLIPS_AT_ONCE)


def check_grid(label_frame_seconds: float) -> None:
    """Raises `InputError` unless this is the length of a label frame."""
    expected = _GRID.label_frame_seconds
    # float32 writers store 0.96 with an error of 2e-8.
    if not abs(label_frame_seconds - expected) < 1e-6:
        raise InputError(
            f"label_frame_seconds must be {expected}, found "
            f"{label_frame_seconds}. Pool the scores onto {expected} s label "
            f"frames: evaluation.make_score_file does."
        )


def check_names(name: str, values: npt.NDArray[Any]) -> None:
    """Raises `InputError` unless this is an array of unique strings."""
    if values.ndim != 1 or values.dtype.kind != "U":
        raise InputError(
            f"{name} must be a 1-D array of str, found shape "
            f"{values.shape} of {values.dtype}."
        )
    unique, counts = np.unique(values, return_counts=True)
    repeated = unique[counts > 1]
    if repeated.size:
        raise InputError(
            f"{name} must be unique; {repeated.size} stand more than once, "
            f"such as {str(repeated[0])!r}. Keep one of each."
        )


def check_scores(
    scores: _Scores, segment_ids: _Strings, mids: _Strings
) -> None:
    """Raises `InputError` unless shape and dtype are those of scores."""
    expected = (segment_ids.size, _GRID.num_label_frames, mids.size)
    if scores.shape != expected:
        raise InputError(
            f"scores must be [num_clips, num_label_frames, num_classes] = "
            f"{list(expected)}, found {list(scores.shape)}."
        )
    if scores.dtype not in (np.float16, np.float32):
        raise InputError(
            f"scores must be float16 or float32, found {scores.dtype}. "
            f"Convert them before saving."
        )


def check_num_label_frames(counts: _Counts, num_clips: int) -> None:
    """Raises `InputError` unless these are counts of label frames."""
    if counts.shape != (num_clips,) or counts.dtype.kind not in "iu":
        raise InputError(
            f"num_label_frames must be int [num_clips] = [{num_clips}], found "
            f"{list(counts.shape)} of {counts.dtype}."
        )
    most = _GRID.num_label_frames
    if num_clips and not 0 <= counts.min() <= counts.max() <= most:
        raise InputError(
            f"num_label_frames must lie in [0, {most}], found "
            f"{counts.min()} to {counts.max()}."
        )


def check_finite(
    scores: _Scores,
    is_scored: npt.NDArray[np.bool_],
    segment_ids: _Strings,
    mids: _Strings,
) -> None:
    """Raises `InputError` if a scored label frame is NaN or infinite."""
    num_bad, first = 0, None
    for part in parts_of_clips(len(scores)):
        is_finite = np.isfinite(scores[part])
        if is_finite.all():
            continue
        is_bad = ~is_finite & is_scored[part, :, np.newaxis]
        num_bad += int(is_bad.sum())
        if first is None and is_bad.any():
            clip, label_frame, column = np.argwhere(is_bad)[0].tolist()
            first = part.start + clip, label_frame, column
    if first is not None:
        clip, label_frame, column = first
        raise InputError(
            f"scores must be finite, found {num_bad} NaN or infinite, the "
            f"first for segment {segment_ids[clip]}, label frame "
            f"{label_frame}, class {mids[column]}. Check the model that wrote "
            f"them."
        )


def score_range(
    scores: _Scores, is_scored: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Returns the lowest and highest score of scored label frames.

    Args:
      scores: float `[num_clips, num_label_frames, num_classes]`.
      is_scored: bool `[num_clips, num_label_frames]`.

    Returns:
      Both; 0 and 0 if nothing was scored.
    """
    lows, highs = [], []
    for part in parts_of_clips(len(scores)):
        scored = scores[part][is_scored[part]]
        if scored.size:
            lows.append(float(scored.min()))
            highs.append(float(scored.max()))
    return (min(lows), max(highs)) if lows else (0.0, 0.0)
