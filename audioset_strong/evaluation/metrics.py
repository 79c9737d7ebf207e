"""Where the positives of a class stand among its negatives.

AUC and average precision of a class depend on the order of its listed scores
only: on how many positives and negatives score at or above each positive. Here
those are counted, once for both metrics.

AUC and d' of each class.

    d' = sqrt(2) * Phi^-1(AUC)

is the distance between two unit-variance Gaussians, one of the scores of
positives and one of negatives, that would give this area under the ROC curve:
0 is chance, about 1.4 the paper's best model on the Strong eval.

Conventions:
  * An item is what is scored: a label frame (Strong eval) or a clip (Weak
    eval). Items of all clips are pooled.
  * A class without a positive or without a negative has no AUC: NaN, never 0.5.
  * AUC 1 gives d' = +inf and AUC 0 gives -inf.

Two averages are in use and differ, because d' is convex above chance: d' of the
mean AUC (the headline here, as in the field) and the mean of the classes' d'.
They never share a name.

Source: Section 4.1 of the paper; Hershey et al., "CNN architectures for
large-scale audio classification", for the formula.

Average precision of each class, and its mean over classes (mAP).

For each positive of a class, the precision among the items that score at or
above it: positives / listed items. Average precision is the mean over the
class's positives.

Conventions:
  * Not interpolated; items with equal scores enter together, so that their
    order does not matter: scikit-learn's `average_precision_score`.
  * Over the listed items, as AUC: an item that is neither positive nor negative
    takes no part.
  * A class without a positive or without a negative has none: NaN. Without a
    negative every precision is 1, whatever the model does (scikit-learn gives
    1 there, and 0 without a positive). So mAP is over the classes of mean AUC.
  * Unlike AUC it depends on the share of positives: values against different
    kinds of negatives, or from different sets, do not compare.

lwlrap: label-weighted label-ranking average precision.

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

AUC and average precision of a class under many weightings of the clips.

In a bootstrap resample a clip counts as often as it was drawn. The order of the
scores stays, so it is found once: a sparse matrix counts the class's items of
each clip between one positive's score and the next, and its product with the
clip weights gives the counts of every resample.

Everything is a whole number up to the last division, so that AUC is the very
number of the plain metric on the items repeated.
"""

import concurrent.futures
import dataclasses
import os
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtri

from audioset_strong.errors import InputError

# --- ranking ---------------------------------------------------------------


_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]
_Scores = npt.NDArray[np.floating[Any]]

# Classes copied to contiguous columns at a time: a column of a row-major array
# would be read from memory cell by cell.
_CLASS_BLOCK = 32

# The bits of an infinite float16 without its sign; those of NaN are larger.
_INFINITE_FLOAT16 = 0x7C00


@dataclasses.dataclass(frozen=True, eq=False)
class ClassRanking:
    """Listed scores of one class, at each of its positives.

    Attributes:
      num_negatives: Negatives of the class.
      true_positives: int64 `[num_positives]`, ascending scores: positives that
        score at or above this one, itself among them.
      false_positives: int64 `[num_positives]`, negatives at or above it.
      num_tied: int64 `[num_positives]`, negatives with its very score.
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

    Args:
      positive_scores: real `[num_positives]`, no NaN.
      negative_scores: real `[num_negatives]`, no NaN.

    Returns:
      The counts.
    """
    positives = _sort(positive_scores)
    negatives = _sort(negative_scores)
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    first_of_tie = np.searchsorted(positives, positives, side="left")
    return ClassRanking(
        num_negatives=negatives.size,
        true_positives=positives.size - first_of_tie,
        false_positives=negatives.size - below,
        num_tied=not_above - below,
    )


def rank_classes(
    scores: _Scores,
    is_positive: _Bools,
    is_negative: _Bools,
    num_threads: int | None = None,
) -> list[ClassRanking]:
    """Ranks the listed items of every class.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      is_positive: bool, same shape.
      is_negative: bool, same shape; an item that is neither is unknown and
        takes no part.
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      One ranking a class.

    Raises:
      InputError: The shapes differ or a score is NaN.
    """
    if not scores.shape == is_positive.shape == is_negative.shape:
        raise InputError(
            f"scores, is_positive and is_negative must have one shape "
            f"[num_items, num_classes]. Received: {scores.shape}, "
            f"{is_positive.shape}, {is_negative.shape}."
        )

    def rank_block(start: int) -> list[ClassRanking]:
        block = np.s_[:, start : start + _CLASS_BLOCK]
        positive = np.ascontiguousarray(is_positive[block].T)
        negative = np.ascontiguousarray(is_negative[block].T)
        by_class = sortable(np.ascontiguousarray(scores[block].T))
        rows = zip(by_class, positive, negative, strict=True)
        return [rank_class(row[p], row[n]) for row, p, n in rows]

    starts = range(0, scores.shape[1], _CLASS_BLOCK)
    with thread_pool(num_threads) as pool:
        blocks = pool.map(rank_block, starts)
        return [ranking for block in blocks for ranking in block]


def sortable(scores: _Scores) -> npt.NDArray[Any]:
    """Turns scores into numbers that NumPy sorts and compares fast.

    Args:
      scores: float, any shape.

    Returns:
      Numbers of the same order and the same ties, same shape: int16 for
      float16, for which NumPy is ten times slower; else the scores themselves.

    Raises:
      InputError: A score is NaN.
    """
    if scores.dtype != np.float16:
        _refuse_nan(bool(np.isnan(scores).any()))
        return scores
    # Without its sign bit, a float is larger where its bits are. Both zeros
    # become 0.
    bits = scores.view(np.int16)
    magnitude = bits & np.int16(0x7FFF)
    _refuse_nan(bool((magnitude > _INFINITE_FLOAT16).any()))
    return np.where(bits < 0, -magnitude, magnitude)


def _refuse_nan(is_any_nan: bool) -> None:
    if is_any_nan:
        raise InputError("scores must not be NaN. Check the model.")


def thread_pool(num_threads: int | None) -> concurrent.futures.Executor:
    """Opens a pool; None is one thread a processor, but no more than 8.

    Each thread needs memory of its own.
    """
    return concurrent.futures.ThreadPoolExecutor(
        num_threads or min(8, os.cpu_count() or 1)
    )


def _sort(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # For 16-bit integers "stable" is a radix sort; for others it is slower.
    is_short = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    return np.sort(values, kind="stable" if is_short else "quicksort")


# --- d prime ---------------------------------------------------------------


_Floats = npt.NDArray[np.float64]


def class_auc(
    positive_scores: npt.NDArray[np.floating[Any]],
    negative_scores: npt.NDArray[np.floating[Any]],
) -> float:
    """Returns the area under the ROC curve of one class.

    The chance that a positive scores above a negative, where equal scores count
    as half: the Mann-Whitney statistic with average ranks for ties, and
    scikit-learn's `roc_auc_score`.

    Args:
      positive_scores: float `[num_positives]`, no NaN.
      negative_scores: float `[num_negatives]`, no NaN.

    Returns:
      AUC in [0, 1]; NaN without a positive or without a negative.
    """
    return auc_of_ranking(rank_class(positive_scores, negative_scores))


def auc_of_ranking(ranking: ClassRanking) -> float:
    """Returns `class_auc` of listed scores that are already ranked."""
    if ranking.num_pairs == 0:
        return float("nan")
    at_or_above = int(ranking.false_positives.sum())
    num_tied = int(ranking.num_tied.sum())
    # Whole numbers up to here, so the result does not depend on any order.
    twice_right = 2 * (ranking.num_pairs - at_or_above) + num_tied
    return float(twice_right / (2 * ranking.num_pairs))


def per_class_auc(
    scores: npt.NDArray[np.floating[Any]],
    is_positive: _Bools,
    is_negative: _Bools,
) -> _Floats:
    """Returns the AUC of each class over exactly the items that are listed.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      is_positive: bool, same shape.
      is_negative: bool, same shape; an item that is neither is unknown and
        takes no part.

    Returns:
      float64 `[num_classes]` in [0, 1]; NaN without a positive or a negative.

    Raises:
      InputError: The shapes differ or a score is NaN.
    """
    rankings = rank_classes(scores, is_positive, is_negative)
    return np.array([auc_of_ranking(r) for r in rankings], dtype=np.float64)


def d_prime_from_auc(auc: npt.ArrayLike) -> _Floats:
    """Converts AUC to d'.

    Args:
      auc: float, any shape, in [0, 1] or NaN.

    Returns:
      float64, same shape: d' in [-inf, inf], NaN where the AUC is.
    """
    d_prime: _Floats = np.sqrt(2.0) * ndtri(np.asarray(auc, dtype=np.float64))
    return d_prime


def mean_auc(aucs: _Floats) -> float:
    """Returns the unweighted mean over classes that have an AUC.

    Args:
      aucs: float64 `[num_classes]`, NaN for undefined classes.

    Returns:
      The mean; NaN if no class has an AUC.
    """
    defined = aucs[~np.isnan(aucs)]
    return float(defined.mean()) if defined.size else float("nan")


def d_prime_of_mean_auc(aucs: _Floats) -> float:
    """Returns d' of the mean AUC over classes: the headline number.

    Args:
      aucs: float64 `[num_classes]`, NaN for undefined classes.

    Returns:
      d'; NaN if no class has an AUC, infinite only if every class has AUC 1 or
      every class AUC 0.
    """
    return float(d_prime_from_auc(mean_auc(aucs)))


def mean_d_prime(aucs: _Floats) -> float:
    """Returns the mean over classes of their d'.

    One class with AUC 1 makes it +inf, one with AUC 0 -inf, both NaN: a mean
    that dropped such classes would reward a model for worse ones.

    Args:
      aucs: float64 `[num_classes]`, NaN for undefined classes.

    Returns:
      The mean; NaN if no class has an AUC.
    """
    d_primes = d_prime_from_auc(aucs[~np.isnan(aucs)])
    with np.errstate(invalid="ignore"):  # inf - inf
        return float(d_primes.mean()) if d_primes.size else float("nan")


# --- average precision -----------------------------------------------------


def class_average_precision(
    positive_scores: npt.NDArray[np.floating[Any]],
    negative_scores: npt.NDArray[np.floating[Any]],
) -> float:
    """Returns the average precision of one class.

    Args:
      positive_scores: float `[num_positives]`, no NaN.
      negative_scores: float `[num_negatives]`, no NaN.

    Returns:
      In (0, 1]; NaN without a positive or without a negative.
    """
    return average_precision_of_ranking(
        rank_class(positive_scores, negative_scores)
    )


def average_precision_of_ranking(ranking: ClassRanking) -> float:
    """Returns `class_average_precision` of scores that are already ranked."""
    if ranking.num_pairs == 0:
        return float("nan")
    num_at_or_above = ranking.true_positives + ranking.false_positives
    return float((ranking.true_positives / num_at_or_above).mean())


def per_class_average_precision(
    scores: npt.NDArray[np.floating[Any]],
    is_positive: _Bools,
    is_negative: _Bools,
) -> _Floats:
    """Returns the average precision of each class over its listed items.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      is_positive: bool, same shape.
      is_negative: bool, same shape.

    Returns:
      float64 `[num_classes]` in (0, 1]; NaN without a positive or a negative.

    Raises:
      InputError: The shapes differ or a score is NaN.
    """
    rankings = rank_classes(scores, is_positive, is_negative)
    return np.array(
        [average_precision_of_ranking(r) for r in rankings], dtype=np.float64
    )


def mean_average_precision(average_precisions: _Floats) -> float:
    """Returns mAP: the unweighted mean over classes that have one.

    Args:
      average_precisions: float64 `[num_classes]`, NaN for undefined classes.

    Returns:
      The mean in (0, 1]; NaN if no class has one.
    """
    defined = average_precisions[~np.isnan(average_precisions)]
    return float(defined.mean()) if defined.size else float("nan")


# --- lwlrap ----------------------------------------------------------------


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


# --- weighted metrics ------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class ClassCounts:
    """Items of one class, by clip and by their place in the ranking.

    Place g is the g-th highest distinct score of a positive; a negative has
    the place of the highest positive that it does not score below, and the
    place `num_places` below them all.

    Attributes:
      num_places: Distinct scores of positives.
      matrix: `[2 * num_places + 1 (+ num_places), num_clips]`: the positives at
        each place, the negatives at each place and below, and, if any are tied
        with a positive, the tied ones at each place.
    """

    num_places: int
    matrix: sparse.csr_array


def count_items(
    positive_scores: npt.NDArray[Any],
    positive_clips: _Ints,
    negative_scores: npt.NDArray[Any],
    negative_clips: _Ints,
    num_clips: int,
) -> ClassCounts:
    """Counts the items of a class by clip and place.

    Args:
      positive_scores: real `[num_positives]`, no NaN.
      positive_clips: int64, same shape, in [0, num_clips).
      negative_scores: real `[num_negatives]`, no NaN.
      negative_clips: int64, same shape.
      num_clips: How many clips there are.

    Returns:
      The counts.
    """
    distinct, index = np.unique(positive_scores, return_inverse=True)
    num_places = distinct.size
    num_not_above = np.searchsorted(distinct, negative_scores, side="right")
    place = num_places - num_not_above
    is_tied = np.zeros(place.size, dtype=bool)
    if num_places:
        below = distinct[np.maximum(num_not_above - 1, 0)]
        is_tied = (num_not_above > 0) & (below == negative_scores)
    rows = [num_places - 1 - index, num_places + place]
    clips = [positive_clips, negative_clips]
    if is_tied.any():
        rows.append(2 * num_places + 1 + place[is_tied])
        clips.append(negative_clips[is_tied])
    num_rows = (len(rows)) * num_places + 1
    row, clip = np.concatenate(rows), np.concatenate(clips)
    # float32, the type of the weights, which a product then keeps.
    counts = sparse.coo_array(
        (np.ones(row.size, np.float32), (row, clip)),
        shape=(num_rows, num_clips),
    )
    return ClassCounts(num_places, counts.tocsr())


def weighted_auc_and_average_precision(
    counts: ClassCounts, weights: npt.NDArray[np.floating[Any]]
) -> tuple[_Floats, _Floats]:
    """Computes both metrics for several weightings of the clips.

    Args:
      counts: Items of the class.
      weights: float `[num_clips, num_resamples]`, whole numbers >= 0: how
        often each clip was drawn.

    Returns:
      auc: float64 `[num_resamples]` in [0, 1]; NaN where no positive or no
        negative was drawn.
      average_precision: float64 `[num_resamples]` in (0, 1]; NaN likewise.
    """
    if not counts.num_places:
        nothing = np.full(weights.shape[1], np.nan)
        return nothing, nothing
    n = counts.num_places
    drawn = (counts.matrix @ weights).astype(np.float64)
    positives = drawn[:n]
    true_positives = np.cumsum(positives, axis=0)
    false_positives = np.cumsum(drawn[n : 2 * n + 1], axis=0)
    num_positives = true_positives[-1]
    twice_pairs = 2 * num_positives * false_positives[-1]
    false_positives = false_positives[:-1]

    # A negative above a positive is wrong by two halves, a tied one by one.
    twice_wrong = 2 * false_positives
    if drawn.shape[0] > 2 * n + 1:
        twice_wrong -= drawn[2 * n + 1 :]
    num_twice_wrong = np.einsum("pr,pr->r", twice_wrong, positives)

    # Where nothing was drawn so far there is no positive either: 0 / 1.
    precision = true_positives / np.maximum(true_positives + false_positives, 1)
    precisions = np.einsum("pr,pr->r", precision, positives)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (twice_pairs - num_twice_wrong) / twice_pairs
        average_precision = precisions / num_positives
    average_precision[twice_pairs == 0] = np.nan
    return auc, average_precision
