"""The metrics of plain arrays, without files, clips or names.

>>> import numpy as np
>>> from audioset_strong import evaluation
>>> scores = np.array([[0.9, 0.2], [0.4, 0.8], [0.6, 0.1], [0.1, 0.3]])
>>> is_positive = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=bool)
>>> result = evaluation.metrics(scores, is_positive)
>>> result.mean_auc, result.lwlrap
(1.0, 1.0)
>>> is_negative = np.array([[0, 1], [1, 0], [0, 0], [0, 0]], dtype=bool)
>>> evaluation.metrics(scores, is_positive, is_negative).num_negatives
2
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import Alignment, EvalItems
from audioset_strong.evaluation.results import EvalResult, evaluate_items
from audioset_strong.evaluation.score_arrays import as_array


def metrics(
    scores: npt.ArrayLike,
    is_positive: npt.ArrayLike,
    is_negative: npt.ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
) -> EvalResult:
    """Computes AUC, d', average precision and lwlrap of arrays.

    Args:
      scores: float `[num_items, num_classes]`, finite, array or tensor: items
        are label frames, clips or whatever was scored.
      is_positive: bool or 0 and 1, same shape.
      is_negative: The same, never where positive; what is neither is unknown.
        None: whatever is not positive.
      class_names: `[num_classes]`, unique; None to number the classes from 0.

    Returns:
      The metrics of all classes and, in `per_class`, of each.

    Raises:
      InputError: The shapes differ, a score is NaN or infinite, a label is not
        0 or 1, or an item is both positive and negative for a class.
    """
    array = as_array(scores)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InputError(
            f"scores must be float [num_items, num_classes], found "
            f"{list(array.shape)} of {array.dtype}."
        )
    is_bad = ~np.isfinite(array)
    if is_bad.any():
        item, column = np.argwhere(is_bad)[0].tolist()
        raise InputError(
            f"scores must be finite, found {int(is_bad.sum())} NaN or "
            f"infinite, the first of item {item}, class {column}. Check the "
            f"model."
        )
    positive = _marks("is_positive", is_positive, array.shape)
    negative = ~positive
    if is_negative is not None:
        negative = _marks("is_negative", is_negative, array.shape)
        is_both = positive & negative
        if is_both.any():
            item, column = np.argwhere(is_both)[0].tolist()
            raise InputError(
                f"is_positive and is_negative must exclude each other, found "
                f"{int(is_both.sum())} marked as both, the first of item "
                f"{item}, class {column}."
            )
    num_items, num_classes = array.shape
    names = class_names
    if names is None:
        names = [str(column) for column in range(num_classes)]
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise InputError(
            f"class_names must be {num_classes} different names, found "
            f"{len(set(names))}."
        )
    items = EvalItems(
        scores=array,
        is_positive=positive,
        is_negative=negative,
        clip_of_item=np.arange(num_items),
        segment_ids=np.arange(num_items).astype(str),
        mids=np.array(names, dtype=str),
        alignment=Alignment(
            num_clips_labelled=num_items,
            num_clips_scored=num_items,
            num_clips_evaluated=num_items,
            clips_not_scored=(),
            clips_without_labels=(),
            clips_without_scores=(),
            mids_not_scored=(),
            mids_without_labels=(),
            num_label_frames_not_scored=0,
            labels_left_out={},
        ),
    )
    kind = "implied" if is_negative is None else "explicit"
    return evaluate_items(items, "arrays", kind)


def _marks(
    name: str, values: npt.ArrayLike, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Returns labels as bool, checked."""
    array = as_array(values)
    if array.shape != shape:
        raise InputError(
            f"{name} must have the shape of scores, {list(shape)}, found "
            f"{list(array.shape)}."
        )
    marks = array.astype(bool)
    if not (marks == array).all():
        raise InputError(
            f"{name} must be bool, or 0 and 1, found other values."
        )
    return marks
