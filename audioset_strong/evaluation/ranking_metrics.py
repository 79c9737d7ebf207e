"""The metrics of the paper: AUC, d', average precision and lwlrap.

Conventions:
  * An item is what is scored: a label frame (Strong eval) or a clip (Weak
    eval). The items of all clips are pooled.
  * AUC, d' and average precision of a class are over its listed items, which
    are positive or negative for it; the others are unknown and take no part.
    Without a positive or without a negative they are NaN, never 0.5.
  * lwlrap uses positives only.
  * Scores are float `[num_items, num_classes]` without NaN; is_positive and
    is_negative are bool of the same shape. Other shapes, and NaN, raise
    `InputError`.
  * Everything is a whole number up to the last division, so that no result
    depends on the order of the items, nor on the number of threads.

Source: Section 4.1 of the paper. Why these are our own: they agree with
scikit-learn and are 10 to 80 times as fast (experiments/results/evaluation.md).
"""

import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from audioset_strong.errors import InputError

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Scores = npt.NDArray[np.floating[Any]]
_T = TypeVar("_T")

# The bits of an infinite float16 without its sign; those of NaN are larger.
_INFINITE_FLOAT16 = 0x7C00

# Cells for each listed one from which only these are looked at.
_LISTED_CELLS = 16

# Score cells that lwlrap compares at a time: 4 MB of float32.
_BLOCK_CELLS = 1_000_000


# --- Ranking: where the positives of a class stand among its negatives -------


@dataclasses.dataclass(frozen=True, eq=False)
class ClassRanking:
    """Listed scores of one class, counted at each of its positives.

    AUC and average precision depend on these counts alone.

    Attributes:
      num_negatives: Negatives of the class.
      true_positives: int64 `[num_positives]`, ascending scores: positives that
        score at or above this one, itself among them.
      false_positives: int64 `[num_positives]`, negatives at or above it.
      num_tied: int64 `[num_positives]`, negatives with exactly its score.
    """

    num_negatives: int
    true_positives: _Ints
    false_positives: _Ints
    num_tied: _Ints

    @property
    def num_pairs(self) -> int:
        """(positive, negative) pairs; 0 where the metrics are undefined."""
        return self.true_positives.size * self.num_negatives


def rank_class(
    positive_scores: npt.NDArray[Any], negative_scores: npt.NDArray[Any]
) -> ClassRanking:
    """Counts what scores at or above each positive of a class.

    Both arguments are real `[num_scores]`.
    """
    positives = _sort(positive_scores)
    negatives = _sort(negative_scores)
    # All [num_positives].
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    first_of_tie = np.searchsorted(positives, positives, side="left")
    return ClassRanking(
        num_negatives=negatives.size,
        true_positives=positives.size - first_of_tie,
        false_positives=negatives.size - below,
        num_tied=not_above - below,
    )


def _sort(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # For 16-bit integers "stable" is a radix sort; for others it is slower.
    is_short = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    return np.sort(values, kind="stable" if is_short else "quicksort")


def rank_classes(
    scores: _Scores, is_positive: _Bools, is_negative: _Bools
) -> list[ClassRanking]:
    """Ranks the listed items of every class."""

    def rank(
        _: int, items: _Ints, scores: _Scores, p: _Bools, n: _Bools
    ) -> ClassRanking:
        numbers = sortable(scores)
        return rank_class(numbers[p], numbers[n])

    return map_classes(rank, scores, is_positive, is_negative)


def map_classes(
    function: Callable[[int, _Ints, _Scores, _Bools, _Bools], _T],
    scores: _Scores,
    is_positive: _Bools,
    is_negative: _Bools,
    num_threads: int | None = None,
    classes_at_once: int = 32,
) -> list[_T]:
    """Calls a function for each class, in threads.

    Args:
      function: Takes the index of a class and, each `[num_given]` and
        contiguous, items (int64, ascending), and their scores, is_positive and
        is_negative. They are all items, or those listed for the class.
      scores: float `[num_items, num_classes]`.
      is_positive: bool, same shape.
      is_negative: bool, same shape.
      num_threads: Threads; None for one a processor.
      classes_at_once: Classes that a thread copies to contiguous columns; a
        column of a row-major array would be read from memory cell by cell.

    Returns:
      What the function returned, in the order of the classes.
    """
    if not scores.shape == is_positive.shape == is_negative.shape:
        raise InputError(
            f"scores, is_positive and is_negative must have one shape "
            f"[num_items, num_classes]. Received: {scores.shape}, "
            f"{is_positive.shape}, {is_negative.shape}."
        )

    # Among 75 million cells of a release, one in 80 has an explicit label: then
    # it is faster to look for these than to copy every column.
    num_listed = np.count_nonzero(is_positive) + np.count_nonzero(is_negative)
    if num_listed < scores.size // _LISTED_CELLS:
        _check_not_nan(scores)
        of_classes = _listed_of_classes(scores, is_positive, is_negative)
        with _thread_pool(num_threads) as pool:
            return list(pool.map(lambda own: function(*own), of_classes))
    all_items = np.arange(len(scores))

    def map_block(start: int) -> list[_T]:
        block = np.s_[:, start : start + classes_at_once]
        columns = (
            np.ascontiguousarray(array[block].T)  # [classes_at_once, num_items]
            for array in (scores, is_positive, is_negative)
        )
        return [
            function(index, all_items, *of_class)
            for index, of_class in enumerate(zip(*columns, strict=True), start)
        ]

    starts = range(0, scores.shape[1], classes_at_once)
    with _thread_pool(num_threads) as pool:
        blocks = pool.map(map_block, starts)
        return [result for block in blocks for result in block]


def _listed_of_classes(
    scores: _Scores, is_positive: _Bools, is_negative: _Bools
) -> list[tuple[int, _Ints, _Scores, _Bools, _Bools]]:
    """Finds what `map_classes` calls its function with, of listed items."""
    num_classes = scores.shape[1]
    # Ascending, so that the items of a class are: [num_listed]
    cells = np.flatnonzero(is_positive | is_negative)
    item, column = np.divmod(cells, num_classes)
    order = np.argsort(column.astype(np.int32), kind="stable")
    ends = np.cumsum(np.bincount(column, minlength=num_classes))[:-1]
    item, cells = item[order], cells[order]
    arrays = [
        np.split(values, ends)
        for values in (
            item,
            scores.reshape(-1)[cells],
            is_positive.reshape(-1)[cells],
            is_negative.reshape(-1)[cells],
        )
    ]
    return list(zip(range(num_classes), *arrays, strict=True))


def _thread_pool(num_threads: int | None) -> concurrent.futures.Executor:
    # No more than 8 unless asked for: each thread needs memory of its own.
    return concurrent.futures.ThreadPoolExecutor(
        num_threads or min(8, os.cpu_count() or 1)
    )


def sortable(scores: _Scores) -> npt.NDArray[Any]:
    """Turns scores of any shape into numbers that NumPy sorts fast.

    They have the same order and the same ties: int16 for float16, for which
    NumPy is ten times slower; else the scores themselves.
    """
    _check_not_nan(scores)
    if scores.dtype != np.float16:
        return scores
    # Without its sign bit, a float is larger where its bits are. Both zeros
    # become 0.
    bits = scores.view(np.int16)
    magnitude = bits & np.int16(0x7FFF)
    return np.where(bits < 0, -magnitude, magnitude)


def _check_not_nan(scores: _Scores) -> None:
    """Raises `InputError` if a score is NaN."""
    # Rows at a time stay in the processor's cache.
    rows = max(1, _BLOCK_CELLS // max(1, math.prod(scores.shape[1:])))
    for start in range(0, len(scores), rows):
        block = scores[start : start + rows]
        if scores.dtype == np.float16:  # Its bits are tested faster.
            magnitude = block.view(np.int16) & np.int16(0x7FFF)
            is_nan = magnitude > _INFINITE_FLOAT16
        else:
            is_nan = np.isnan(block)
        if is_nan.any():
            raise InputError("scores must not be NaN. Check the model.")


# --- AUC and d' --------------------------------------------------------------
#
# d' = sqrt(2) * Phi^-1(AUC) is the distance between two unit-variance
# Gaussians, one of the scores of positives and one of negatives, that would
# give this area under the ROC curve: 0 is chance, about 1.4 the paper's best
# model on the Strong eval. AUC 1 gives +inf and AUC 0 gives -inf.
#
# Two averages are in use and differ, because d' is convex above chance: d' of
# the mean AUC (the headline here, as in the field) and the mean of the classes'
# d'. They never share a name.
#
# Source of the formula: Hershey et al., "CNN architectures for large-scale
# audio classification".


def auc_of_ranking(ranking: ClassRanking) -> float:
    """Returns the area under the ROC curve of one class, in [0, 1] or NaN.

    The chance that a positive scores above a negative, where equal scores count
    as half: the Mann-Whitney statistic with average ranks for ties, and
    scikit-learn's `roc_auc_score`.
    """
    if ranking.num_pairs == 0:
        return float("nan")
    at_or_above = int(ranking.false_positives.sum())
    num_tied = int(ranking.num_tied.sum())
    twice_right = 2 * (ranking.num_pairs - at_or_above) + num_tied
    return float(twice_right / (2 * ranking.num_pairs))


def per_class_auc(
    scores: _Scores, is_positive: _Bools, is_negative: _Bools
) -> _Floats:
    """Returns the AUC of each class, float64 `[num_classes]`."""
    rankings = rank_classes(scores, is_positive, is_negative)
    return np.array([auc_of_ranking(r) for r in rankings], dtype=np.float64)


def d_prime_from_auc(auc: npt.ArrayLike) -> _Floats:
    """Converts AUC, in [0, 1] or NaN, to d' of the same shape."""
    d_prime: _Floats = np.sqrt(2.0) * ndtri(np.asarray(auc, dtype=np.float64))
    return d_prime


def auc_from_d_prime(d_prime: npt.ArrayLike) -> _Floats:
    """Converts d' to AUC, in [0, 1], of the same shape; NaN stays NaN."""
    auc: _Floats = ndtr(np.asarray(d_prime, dtype=np.float64) / np.sqrt(2.0))
    return auc


def mean_of_defined(values: _Floats) -> float:
    """Returns the mean of `[num_classes]` without NaN: mean AUC, mAP, ...

    NaN if no class is defined.
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def d_prime_of_mean_auc(aucs: _Floats) -> float:
    """Returns d' of the mean of AUCs `[num_classes]`: the headline number.

    NaN if no class has an AUC, infinite only if every class has AUC 1 or every
    class AUC 0.
    """
    return float(d_prime_from_auc(mean_of_defined(aucs)))


def mean_d_prime(aucs: _Floats) -> float:
    """Returns the mean of the d' of AUCs `[num_classes]`.

    One class with AUC 1 makes it +inf, one with AUC 0 -inf, both NaN: a mean
    that dropped such classes would reward a model for worse ones.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        return mean_of_defined(d_prime_from_auc(aucs))


# --- Average precision -------------------------------------------------------
#
# For each positive of a class, the precision among the items that score at or
# above it: positives / listed items. Average precision is the mean over the
# class's positives; mAP the mean over classes.
#
#   * Not interpolated; items with equal scores enter together, so that their
#     order does not matter: scikit-learn's `average_precision_score`.
#   * Without a negative every precision is 1, whatever the model does
#     (scikit-learn gives 1 there, and 0 without a positive); here it is NaN, so
#     that mAP is over the classes of mean AUC.
#   * Unlike AUC it depends on the share of positives: values against different
#     kinds of negatives, or from different sets, do not compare.


def average_precision_of_ranking(ranking: ClassRanking) -> float:
    """Returns the average precision of one class, in (0, 1] or NaN."""
    if ranking.num_pairs == 0:
        return float("nan")
    num_at_or_above = ranking.true_positives + ranking.false_positives
    return float((ranking.true_positives / num_at_or_above).mean())


# --- lwlrap: label-weighted label-ranking average precision ------------------
#
# For every (item, true class) pair, rank the item's classes by score and take
# the precision at the true class: true classes ranked at or above it / classes
# ranked at or above it. lwlrap is the mean over all pairs, so that each label
# weighs the same; the mean of one class's pairs is its per-class lwlrap.
#
#   * Negatives and unknown classes are competitors alike, so lwlrap does not
#     depend on the choice of negatives.
#   * Classes with equal scores share the worst rank of the group, as in
#     scikit-learn's `label_ranking_average_precision_score`, to which the
#     result is equal when that is weighted by the number of labels. The DCASE
#     2019 definition ranks ties by class index; without ties they agree.
#   * Items without a true class have no pair and so are left out (scikit-learn
#     alone would count them as 1).
#
# Source: Fonseca et al., "Audio tagging with noisy labels and minimal
# supervision", DCASE 2019, which the paper cites.


def label_precisions(
    scores: _Scores, is_positive: _Bools, num_threads: int | None = None
) -> tuple[_Ints, _Ints, _Floats]:
    """Computes the precision at the rank of each true class.

    Args:
      scores: float `[num_items, num_classes]`; only items without positives
        may have NaN.
      is_positive: bool, same shape.
      num_threads: Threads; None for one a processor.

    Returns:
      item: int64 `[num_pairs]`, the item of each (item, true class) pair.
      class_index: int64 `[num_pairs]`.
      precision: float64 `[num_pairs]` in (0, 1].
    """
    if scores.ndim != 2 or scores.shape != is_positive.shape:
        raise InputError(
            f"scores and is_positive must have one shape "
            f"[num_items, num_classes]. Received: {scores.shape}, "
            f"{is_positive.shape}."
        )
    item, class_index = np.nonzero(is_positive)  # [num_pairs] each
    block_pairs = max(1, _BLOCK_CELLS // max(1, scores.shape[1]))

    def precisions_from(start: int) -> _Floats:
        items = item[start : start + block_pairs]
        own_class = class_index[start : start + block_pairs]
        rows = sortable(scores[items])  # [block_pairs, num_classes]
        own = rows[np.arange(items.size), own_class]  # [block_pairs]
        is_at_or_above = rows >= own[:, np.newaxis]
        # uint8 is summed faster than bool.
        hits, num_at_or_above = (
            is_true.view(np.uint8).sum(axis=1, dtype=np.int32)
            for is_true in (is_at_or_above & is_positive[items], is_at_or_above)
        )  # [block_pairs] each
        precisions: _Floats = hits / num_at_or_above
        return precisions

    starts = range(0, item.size, block_pairs)
    with _thread_pool(num_threads) as pool:
        precisions = [np.zeros(0), *pool.map(precisions_from, starts)]
    return item, class_index, np.concatenate(precisions)


def per_class_lwlrap(scores: _Scores, is_positive: _Bools) -> _Floats:
    """Returns the mean precision over each class's positives.

    float64 `[num_classes]` in (0, 1], NaN for a class without positives.
    """
    _, class_index, precision = label_precisions(scores, is_positive)
    num_classes = scores.shape[1]
    sums = np.bincount(class_index, precision, minlength=num_classes)
    counts = np.bincount(class_index, minlength=num_classes)
    with np.errstate(invalid="ignore"):  # 0 / 0
        per_class: _Floats = sums / counts
    return per_class


def overall_lwlrap(per_class: _Floats, num_positives: npt.ArrayLike) -> float:
    """Returns lwlrap: the mean over all (item, true class) pairs, or NaN.

    Args:
      per_class: float64 `[num_classes]` from `per_class_lwlrap`.
      num_positives: real `[num_classes]`, the positives of each class.
    """
    counts = np.asarray(num_positives)
    weights = counts / max(1, counts.sum())
    has_positives = weights > 0
    if not has_positives.any():
        return float("nan")
    return float(per_class[has_positives] @ weights[has_positives])


def validation_metrics(
    scores: _Scores, targets: npt.NDArray[Any]
) -> dict[str, float]:
    """Scores a checkpoint on held-out label frames, or clips.

    Every item that is not positive for a class is a negative: held-out clips
    of the training set need no explicit negatives.

    Where every pair is in the right order, as in a small held-out part, d'
    would be infinite: a number that nothing can beat and JSON cannot hold. Then
    half of the smallest error that a mean AUC can have is put in its place, and
    likewise where every pair is in the wrong order.

    Args:
      scores: float `[num_items, num_classes]`.
      targets: float, int or bool, same shape; > 0 is positive.

    Returns:
      Of these, those that can be computed, all finite: `d_prime`, d' of the
      mean AUC, and `mAP`, if a class has both kinds of items; `lwlrap`, ranked
      over all classes, if there is a positive.
    """
    is_positive = np.asarray(targets) > 0
    rankings = rank_classes(scores, is_positive, ~is_positive)
    per_class = per_class_lwlrap(scores, is_positive)
    num_positives = is_positive.sum(axis=0)  # [num_classes]
    d_prime = d_prime_of_mean_auc(
        np.array([auc_of_ranking(ranking) for ranking in rankings])
    )
    if np.isinf(d_prime):
        num_pairs = num_positives * (len(is_positive) - num_positives)
        num_classes = np.count_nonzero(num_pairs)
        # One tie in the class with most pairs is twice this.
        error = 0.25 / num_classes / num_pairs.max()
        d_prime = float(-np.sign(d_prime) * d_prime_from_auc(error))
    values = {
        "d_prime": d_prime,
        "lwlrap": overall_lwlrap(per_class, num_positives),
        "mAP": mean_of_defined(
            np.array([average_precision_of_ranking(r) for r in rankings])
        ),
    }
    return {name: v for name, v in values.items() if not np.isnan(v)}
