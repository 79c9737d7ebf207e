"""Score arrays: what a model scored in memory, at any frame rate.

Frames of any length are pooled onto label frames (`label_frame_pooling.py`), so
that what comes out is a score file like any other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.evaluation.label_frame_pooling import (
    TIME_TOLERANCE_SECONDS,
    check_pooling,
    pool_onto_label_frames,
)
from audioset_strong.evaluation.score_checks import parts_of_clips
from audioset_strong.evaluation.score_classes import (
    Path,
    find_classes,
    read_known_classes,
)
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.evaluation.score_scale import logits_to_probabilities
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import LabelFrameParams

_GRID = LabelFrameParams()

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


def make_score_file(
    scores: npt.ArrayLike,
    segment_ids: Sequence[str],
    classes: Sequence[str | int],
    *,
    frame_seconds: float = _GRID.label_frame_seconds,
    edges_seconds: Sequence[float] | None = None,
    num_frames: Sequence[int] | None = None,
    pooling: str = "mean",
    is_logits: bool = False,
    class_map: Path | ClassMap | None = None,
    display_names: Path | Mapping[str, str] | None = None,
) -> ScoreFile:
    """Pools scores of frames of any length onto label frames.

    Args:
      scores: float `[num_clips, num_frames, num_classes]`; anything that NumPy
        makes an array of, such as a PyTorch tensor on the CPU.
      segment_ids: `[num_clips]`, such as "s9d-2nhuJCQ_30000".
      classes: `[num_classes]`: mids, or class indices or display names of
        `class_map` or `display_names`.
      frame_seconds: Length and hop of a frame.
      edges_seconds: Instead of it, `[num_frames + 1]`, ascending from 0: where
        each frame starts, then where the last ends.
      num_frames: `[num_clips]`: how many frames, from the first, are of the
        clip; the others are padding and can hold anything. None for all.
      pooling: How frames become label frames: "mean" or "max".
      is_logits: Whether to turn scores into probabilities before pooling.
      class_map: `class_labels_indices.csv` or a class map.
      display_names: `mid_to_display_name.tsv` or the name of each mid.

    Returns:
      The scores on label frames, float32.

    Raises:
      InputError: An array has another shape, a score of a clip is not finite,
        or an argument is not one of its values.
    """
    check_pooling(pooling)
    array = np.asarray(scores)
    _check_shape(array, len(segment_ids), len(classes))
    known = read_known_classes(class_map, display_names)
    columns = find_classes([str(name) for name in classes], known)
    if columns.unknown:
        array = array[:, :, list(columns.columns)]
    edges = _edges(array.shape[1], frame_seconds, edges_seconds)
    counts = _counts(num_frames, *array.shape[:2])
    _check_finite(array, counts, segment_ids, columns.mids)
    pooled, num_label_frames = _pool(array, edges, counts, pooling, is_logits)
    notes = [
        f"classes: {columns.describe()}",
        f"{array.shape[1]} frames up to {edges[-1]:g} s, pooled by {pooling}",
    ]
    if is_logits:
        notes.append("logits were turned into probabilities")
    return ScoreFile(
        segment_ids=np.array(list(segment_ids), dtype=str),
        mids=np.array(columns.mids, dtype=str),
        scores=pooled,
        num_label_frames=num_label_frames,
        notes=tuple(notes),
    )


def _check_shape(
    scores: npt.NDArray[Any], num_clips: int, num_classes: int
) -> None:
    is_clips_and_classes = scores.ndim == 3 and (
        scores.shape[0] == num_clips and scores.shape[2] == num_classes
    )
    if not is_clips_and_classes or scores.dtype.kind != "f":
        raise InputError(
            f"scores must be float [num_clips, num_frames, num_classes] with "
            f"{num_clips} segment_ids and {num_classes} classes, found "
            f"{list(scores.shape)} of {scores.dtype}."
        )


def _edges(
    num_frames: int,
    frame_seconds: float,
    edges_seconds: Sequence[float] | None,
) -> _Floats:
    """Returns where frames start and end, float64 `[num_frames + 1]`."""
    if edges_seconds is None:
        if not 0 < frame_seconds < np.inf:
            raise InputError(
                f"frame_seconds must be above 0, found {frame_seconds}."
            )
        return np.arange(num_frames + 1) * float(frame_seconds)
    edges = np.asarray(edges_seconds, dtype=np.float64)
    if (
        edges.shape != (num_frames + 1,)
        or not (np.diff(edges) > 0).all()
        or not abs(edges[0]) <= TIME_TOLERANCE_SECONDS
    ):
        raise InputError(
            f"edges_seconds must be [num_frames + 1] = [{num_frames + 1}] "
            f"numbers, ascending from 0, found {list(edges.shape)}, the first "
            f"are {edges.ravel()[:3].tolist()}."
        )
    return edges


def _counts(
    num_frames: Sequence[int] | None, num_clips: int, most: int
) -> _Ints:
    """Returns how many frames each clip has, int64 `[num_clips]`."""
    if num_frames is None:
        return np.full(num_clips, most, dtype=np.int64)
    counts = np.asarray(num_frames)
    is_count = counts.shape == (num_clips,) and counts.dtype.kind in "iu"
    if not is_count or not ((counts >= 0) & (counts <= most)).all():
        raise InputError(
            f"num_frames must be int [num_clips] = [{num_clips}] in [0, "
            f"{most}], found {list(counts.shape)} of {counts.dtype}."
        )
    return counts.astype(np.int64)


def _check_finite(
    scores: npt.NDArray[Any],
    counts: _Ints,
    segment_ids: Sequence[str],
    mids: Sequence[str],
) -> None:
    """Raises `InputError` if a frame of a clip is NaN or infinite."""
    frames = np.arange(scores.shape[1])
    for part in parts_of_clips(len(scores)):
        # Too large for float32 is as bad as infinite.
        is_good = np.abs(scores[part]) <= np.finfo(np.float32).max
        is_good |= (frames >= counts[part, np.newaxis])[:, :, np.newaxis]
        if not is_good.all():
            clip, frame, column = np.argwhere(~is_good)[0].tolist()
            clip += part.start
            raise InputError(
                f"scores must be finite, found {scores[clip, frame, column]} "
                f"for segment {segment_ids[clip]}, frame {frame}, class "
                f"{mids[column]}. Check the model, or give num_frames if "
                f"frames are padded."
            )


def _pool(
    scores: npt.NDArray[Any],
    edges: _Floats,
    counts: _Ints,
    pooling: str,
    is_logits: bool,
) -> tuple[npt.NDArray[np.float32], _Ints]:
    """Pools all clips, a few at a time; those of one length at once."""
    num_clips, _, num_classes = scores.shape
    pooled = np.zeros(
        (num_clips, _GRID.num_label_frames, num_classes), dtype=np.float32
    )
    num_label_frames = np.zeros(num_clips, dtype=np.int64)
    for part in parts_of_clips(num_clips):
        for count in np.unique(counts[part]).tolist():
            clips = part.start + np.flatnonzero(counts[part] == count)
            values = scores[clips, :count]
            if is_logits:
                values = logits_to_probabilities(values)
            pooled[clips], num_label_frames[clips] = pool_onto_label_frames(
                values, edges[: count + 1], pooling
            )
    return pooled, num_label_frames
