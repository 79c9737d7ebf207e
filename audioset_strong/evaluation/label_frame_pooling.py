"""Pooling: scores at any frame rate -> label frames.

A model that scores every 40 ms, or windows of unequal length, is evaluated on
the label frames of 0.96 s. Its windows follow each other without gaps and start
where the clip starts; each counts for every label frame that it reaches:

  mean  weighted by how long the window and the label frame overlap
  max   of the windows that reach the label frame

A window reaches a label frame if they overlap by more than 1 ms, or by more
than half of a window that is shorter than 2 ms: times in files are rounded, and
what is left of a rounding must not bring in the neighbour's score. A label
frame counts as scored if windows cover at least half of it.

Source: our choice, BUILD_NOTES.md "Pooling".
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.params import LabelFrameParams

POOLING = ("mean", "max")

# Share of a label frame that must be covered for it to count as scored.
MIN_COVERED = 0.5

# The precision of the label files; what is shorter is taken for rounding.
TIME_TOLERANCE_SECONDS = 0.001
# Sums of window lengths are off by less.
_FLOAT_TOLERANCE_SECONDS = 1e-6

_Floats = npt.NDArray[np.float64]


def pool_onto_label_frames(
    scores: npt.NDArray[np.floating[Any]],
    edges_seconds: _Floats,
    pooling: str = "mean",
    params: LabelFrameParams = LabelFrameParams(),
) -> tuple[npt.NDArray[np.float32], int]:
    """Pools scores of windows onto label frames.

    Args:
      scores: float `[..., num_windows, num_classes]`, finite.
      edges_seconds: float64 `[num_windows + 1]`, ascending, from about 0: the
        start of each window, then the end of the last.
      pooling: "mean" or "max" (module docstring).
      params: The grid of label frames.

    Returns:
      pooled: float32 `[..., num_label_frames, num_classes]`, zero on label
        frames that are not scored.
      num_scored: Label frames scored, from the start of the clip.

    Raises:
      InputError: `pooling` is neither of its values.
    """
    check_pooling(pooling)
    overlaps = _overlap_seconds(edges_seconds, params)
    least = MIN_COVERED * params.label_frame_seconds - _FLOAT_TOLERANCE_SECONDS
    # Windows have no gaps, so the scored label frames are the first ones.
    num_scored = int((overlaps.sum(axis=1) >= least).sum())
    shortest = np.minimum(TIME_TOLERANCE_SECONDS, np.diff(edges_seconds) / 2)
    reaches = overlaps > shortest
    *clips, _, num_classes = scores.shape
    pooled = np.zeros(
        (*clips, params.num_label_frames, num_classes), dtype=np.float32
    )
    for label_frame in range(num_scored):
        windows = np.flatnonzero(reaches[label_frame])
        # A slice, which copies nothing: the windows follow each other.
        part = scores[..., windows[0] : windows[-1] + 1, :]
        if pooling == "max":
            pooled[..., label_frame, :] = part.max(axis=-2)
        else:
            weights = overlaps[label_frame, windows]
            pooled[..., label_frame, :] = (weights / weights.sum()) @ part
    return pooled, num_scored


def check_pooling(pooling: str) -> None:
    """Raises `InputError` unless this is a way to pool."""
    if pooling not in POOLING:
        raise InputError(
            f"pooling must be one of {list(POOLING)}. Received: {pooling!r}."
        )


def _overlap_seconds(
    edges_seconds: _Floats, params: LabelFrameParams
) -> _Floats:
    """Returns how long each label frame and window overlap.

    float64 `[num_label_frames, num_windows]`.
    """
    starts = (
        np.arange(params.num_label_frames)[:, np.newaxis]
        * params.label_frame_seconds
    )
    ends = np.minimum(starts + params.label_frame_seconds, edges_seconds[1:])
    overlaps: _Floats = ends - np.maximum(starts, edges_seconds[:-1])
    return np.maximum(overlaps, 0)
