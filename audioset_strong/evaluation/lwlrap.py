"""lwlrap: label-weighted label-ranking average precision.

For every (item, true class) pair, rank the item's classes by score and take the
precision at the true class: true classes ranked at or above it / classes ranked
at or above it. lwlrap is the mean over all pairs, so each label weighs the
same; the mean of one class's pairs is its per-class lwlrap.

Conventions:
  * Only positives count. Negatives and unknown classes are competitors alike,
    so lwlrap does not depend on the choice of negatives.
  * Classes with equal scores share the worst rank of the group, as in
    scikit-learn's `label_ranking_average_precision_score`, to which the result
    is equal when that is weighted by the number of labels. The DCASE 2019
    definition ranks ties by class index instead; without ties they agree.
  * Items without a true class have no pair and so are left out (scikit-learn
    alone would count them as 1).

Source: Fonseca et al., "Audio tagging with noisy labels and minimal
supervision", DCASE 2019, which the paper cites.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.evaluation.ranking import sortable, thread_pool

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]

# Score cells compared at a time: 4 MB of float32.
_BLOCK_CELLS = 1_000_000


def label_precisions(
    scores: npt.NDArray[np.floating[Any]],
    is_positive: _Bools,
    num_threads: int | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], _Floats]:
    """Computes the precision at the rank of each true class.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      is_positive: bool, same shape.
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      item: int64 `[num_pairs]`, the item of each (item, true class) pair.
      class_index: int64 `[num_pairs]`.
      precision: float64 `[num_pairs]` in (0, 1].

    Raises:
      InputError: The shapes differ or an item with positives has a NaN.
    """
    if scores.ndim != 2 or scores.shape != is_positive.shape:
        raise InputError(
            f"scores and is_positive must have one shape "
            f"[num_items, num_classes]. Received: {scores.shape}, "
            f"{is_positive.shape}."
        )
    item, class_index = np.nonzero(is_positive)
    block_pairs = max(1, _BLOCK_CELLS // max(1, scores.shape[1]))
    starts = range(0, item.size, block_pairs)

    def precisions_from(start: int) -> _Floats:
        block = np.s_[start : start + block_pairs]
        return _block_precisions(
            scores, is_positive, item[block], class_index[block]
        )

    with thread_pool(num_threads) as pool:
        precisions = [np.zeros(0), *pool.map(precisions_from, starts)]
    return item, class_index, np.concatenate(precisions)


def _block_precisions(
    scores: npt.NDArray[np.floating[Any]],
    is_positive: _Bools,
    item: npt.NDArray[np.int64],
    class_index: npt.NDArray[np.int64],
) -> _Floats:
    """Computes the precisions of some (item, true class) pairs."""
    rows = sortable(scores[item])  # [num_pairs, num_classes]
    own = rows[np.arange(item.size), class_index]
    is_at_or_above = rows >= own[:, np.newaxis]
    rank = _count_true(is_at_or_above)
    hits = _count_true(is_at_or_above & is_positive[item])
    precisions: _Floats = hits / rank
    return precisions


def _count_true(is_true: _Bools) -> npt.NDArray[np.int32]:
    """Counts the true cells of each row; faster than a sum of bool."""
    counts: npt.NDArray[np.int32] = is_true.view(np.uint8).sum(
        axis=1, dtype=np.int32
    )
    return counts


def per_class_lwlrap(
    scores: npt.NDArray[np.floating[Any]], is_positive: _Bools
) -> _Floats:
    """Returns the mean precision over each class's positives.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      is_positive: bool, same shape.

    Returns:
      float64 `[num_classes]` in (0, 1]; NaN for a class without positives.
    """
    _, class_index, precision = label_precisions(scores, is_positive)
    num_classes = scores.shape[1]
    sums = np.bincount(class_index, precision, minlength=num_classes)
    counts = np.bincount(class_index, minlength=num_classes)
    with np.errstate(invalid="ignore"):
        per_class: _Floats = sums / counts
    return per_class


def class_weights(is_positive: _Bools) -> _Floats:
    """Returns each class's share of all positives.

    Args:
      is_positive: bool `[num_items, num_classes]`.

    Returns:
      float64 `[num_classes]`, sums to 1; all 0 without any positive.
    """
    counts = is_positive.sum(axis=0)
    weights: _Floats = counts / max(1, counts.sum())
    return weights


def overall_lwlrap(per_class: _Floats, weights: _Floats) -> float:
    """Returns lwlrap: the mean over all (item, true class) pairs.

    Args:
      per_class: float64 `[num_classes]` from `per_class_lwlrap`.
      weights: float64 `[num_classes]` from `class_weights`.

    Returns:
      lwlrap in (0, 1]; NaN without any positive.
    """
    has_positives = weights > 0
    if not has_positives.any():
        return float("nan")
    return float(per_class[has_positives] @ weights[has_positives])


def balanced_lwlrap(per_class: _Floats) -> float:
    """Returns the unweighted mean over classes with positives.

    Args:
      per_class: float64 `[num_classes]`, NaN without positives.

    Returns:
      The mean in (0, 1]; NaN without any positive.
    """
    defined = per_class[~np.isnan(per_class)]
    return float(defined.mean()) if defined.size else float("nan")
