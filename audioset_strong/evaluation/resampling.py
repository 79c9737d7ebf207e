"""How far metrics depend on the choice of clips: random halves of the clips.

Resample: a random half of the clips, each once; metrics of that half. What a
mean over half of the clips is off by, from that over all, varies as much as
that over all does from set to set of as many clips (1 / (n / 2) - 1 / n =
1 / n). Clips are drawn, not items, because the label frames of a clip are
alike: drawing them one by one would make intervals too narrow. Clips are drawn
in the order of their segment_id from one seed, so that two systems, or two
evaluations, of the same clips are resampled alike, however their files are
ordered. Where a list puts clips into groups (a recording, a speaker, a site),
half of the groups are drawn, for the same reason.

What an interval is of: the metric's median over sets of as many clips, drawn as
these were. Average precision is higher in smaller sets and classes without a
clip drop out of the means, so that a much larger set may give another value.

Why not clips drawn with repetition, as a bootstrap does: a repeated clip ties
with itself, which raises average precision; and a class with one or two clips
varies too little, because its few clips are repeated together. 95 % intervals
held 50 to 70 % of the mAPs and balanced lwlraps of sets with rare classes
(experiments/results/interval_coverage.md).

Interval of one system, or of the difference of two on the same resamples (so
that what makes a clip hard for both cancels out):
  * A half has fewer clips a class, and so a higher average precision and mean
    d'. Resamples of an overall metric are moved so that their median is the
    estimate: on the scale of d', sqrt(2) * Phi^-1(metric), which keeps them
    between 0 and 1 and widens or narrows them as the metric itself would be. If
    the median or the estimate is infinite, nothing is known of either end, and
    the interval is NaN.
  * With n resamples in which a metric is defined, the interval of level 0.95
    goes from the k-th smallest value to the k-th largest, k = floor((n + 1) *
    0.025), not interpolated, so that an infinite value does no harm. If k is 0,
    there are too few to say, and the interval is NaN.
  * A class that has no positive, or no negative, in a half has no AUC and no
    average precision there, and one without positives no lwlrap. The means of
    that resample leave it out, as the metrics themselves do; its own interval
    is over the other resamples, and counts these.
  * A class with a positive, or a negative, in fewer than five clips (or groups)
    has no interval of its own: it would hold the true AUC in 45 to 90 %.

P-value of a difference: two-sided, p = min(1, 2 * (1 + m) / (n + 1)), where m
is the fewer of the resamples with a difference <= 0 and those with one >= 0. It
is at most 1 - level exactly where the interval of that level leaves 0 out. Of
many metrics that are looked at, some are small by chance; the classes have
intervals and no p-values for that reason.

Time and memory, N cells listed, P positives, R resamples: N * R multiply-adds
and P * R divisions; the cells of one class in memory at a time, beside the
items and a byte a clip and resample. Implied negatives list every cell.

Source: half-samples are McCarthy, "Pseudo-replication: half samples", 1969, and
the delete-half jackknife of Shao and Wu, "A general theory for jackknife
variance estimation", 1989; p-values and order statistics Efron and Tibshirani,
"An introduction to the bootstrap", 1993, chapters 13 and 15. That the median is
moved, and clips as the unit, are our choice (BUILD_NOTES.md "Confidence
intervals").
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from audioset_strong.errors import InputError
from audioset_strong.evaluation import ranking_metrics
from audioset_strong.evaluation.items import EvalItems
from audioset_strong.evaluation.ranking_metrics import (
    label_precisions,
    sortable,
)

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Weights = npt.NDArray[np.floating[Any]]

# Resamples at a time: their weights of all clips stay in the processor's cache.
_BLOCK_RESAMPLES = 64

# Classes that a thread copies at a time, fewer than for a plain ranking.
_CLASSES_AT_ONCE = 8

# Clips, or groups, that intervals were found right from.
MIN_CLIPS = 100

# Clips, or groups, of either kind that a class's own interval needs.
MIN_CLIPS_OF_CLASS = 5

# float32 counts exactly up to here.
_MAX_COUNT = 2**24


# --- AUC and average precision under many weightings of the clips ------------
#
# The order of the scores stays, so it is found once: a sparse matrix counts the
# class's items of each clip between one positive's score and the next, and its
# product with the clip weights gives the counts of every resample. They are
# whole numbers up to the last division, so that AUC is the same number as that
# of the plain metric on the items drawn.


class ClassCounts(NamedTuple):
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

    Scores are real `[num_positives]` and `[num_negatives]`, no NaN; clips are
    int64 of the same shapes, in [0, num_clips).
    """
    distinct, index = np.unique(positive_scores, return_inverse=True)
    num_places = distinct.size
    num_not_above = np.searchsorted(distinct, negative_scores, side="right")
    place = num_places - num_not_above  # [num_negatives], 0 is the highest
    is_tied = np.zeros(place.size, dtype=bool)
    if num_places:
        below = distinct[np.maximum(num_not_above - 1, 0)]
        is_tied = (num_not_above > 0) & (below == negative_scores)
    rows = [num_places - 1 - index, num_places + place]
    clips = [positive_clips, negative_clips]
    if is_tied.any():
        rows.append(2 * num_places + 1 + place[is_tied])
        clips.append(negative_clips[is_tied])
    num_rows = len(rows) * num_places + 1
    row, clip = np.concatenate(rows), np.concatenate(clips)
    # float32, the type of the weights, which a product then keeps.
    counts = sparse.coo_array(
        (np.ones(row.size, np.float32), (row, clip)),
        shape=(num_rows, num_clips),
    )
    return ClassCounts(num_places, counts.tocsr())


def weighted_auc_and_average_precision(
    counts: ClassCounts, weights: _Weights
) -> tuple[_Floats, _Floats]:
    """Computes both metrics for several weightings of the clips.

    Args:
      counts: Items of the class.
      weights: float `[num_clips, num_resamples]`, whole numbers >= 0: how
        often each clip was drawn.

    Returns:
      AUC in [0, 1] and average precision in (0, 1], both float64
      `[num_resamples]`; NaN where no positive or no negative was drawn.
    """
    if not counts.num_places:
        nothing = np.full(weights.shape[1], np.nan)
        return nothing, nothing
    n = counts.num_places
    drawn = (counts.matrix @ weights).astype(np.float64)
    positives = drawn[:n]  # [num_places, num_resamples]
    true_positives = np.cumsum(positives, axis=0)
    false_positives = np.cumsum(drawn[n : 2 * n + 1], axis=0)
    num_positives = true_positives[-1]  # [num_resamples]
    twice_pairs = 2 * num_positives * false_positives[-1]
    false_positives = false_positives[:-1]  # [num_places, num_resamples]

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


# --- Every class's metrics in every resample ---------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class ClassResamples:
    """Metrics of each class, as it is and in each resample.

    Row 0 of the arrays is of the items as they are, the others of halves.

    Attributes:
      seed: Seed that the clips were drawn with.
      num_resamples: How many resamples were drawn.
      num_groups: Groups that were drawn from; None if it was single clips.
      segment_ids: str `[num_clips]`, ascending.
      num_labels_of_clip: int64 `[num_clips, 3]`, items, positives and
        negatives of each clip, to tell whether two systems share them.
      mids: str `[num_classes]`, in the order of the items.
      num_labels_of_class: int64 `[num_classes, 2]`, positives and negatives.
      num_clips_of_class: int64 `[num_classes, 2]`, clips, or groups, with a
        positive and with a negative.
      aucs: float64 `[1 + num_resamples, num_classes]`, NaN where undefined.
      average_precisions: float64, same shape.
      lwlraps: float64, same shape.
      num_positives: float64, same shape: positives drawn.
    """

    seed: int
    num_resamples: int
    num_groups: int | None
    segment_ids: npt.NDArray[np.str_]
    num_labels_of_clip: _Ints
    mids: npt.NDArray[np.str_]
    num_labels_of_class: _Ints
    num_clips_of_class: _Ints
    aucs: _Floats
    average_precisions: _Floats
    lwlraps: _Floats
    num_positives: _Floats

    @functools.cached_property
    def overall(self) -> dict[str, _Floats]:
        """The overall metrics of each resample.

        Each is float64 `[1 + num_resamples]`, by its name in `EvalResult`, NaN
        where undefined. Computed once, however many systems these are compared
        with.
        """
        values = {
            "d_prime": map(ranking_metrics.d_prime_of_mean_auc, self.aucs),
            "mean_auc": map(ranking_metrics.mean_of_defined, self.aucs),
            "mean_d_prime": map(ranking_metrics.mean_d_prime, self.aucs),
            "mean_average_precision": map(
                ranking_metrics.mean_of_defined, self.average_precisions
            ),
            "lwlrap": map(
                ranking_metrics.overall_lwlrap, self.lwlraps, self.num_positives
            ),
            "balanced_lwlrap": map(
                ranking_metrics.mean_of_defined, self.lwlraps
            ),
        }
        return {name: np.array(list(rows)) for name, rows in values.items()}

    def for_pairs(self) -> "ClassResamples":
        """Keeps overall metrics and AUCs, which are all that comparisons take.

        A quarter of the memory: of many systems, all have to be kept.
        """
        nothing = np.zeros((0, 0))
        kept = dataclasses.replace(
            self,
            average_precisions=nothing,
            lwlraps=nothing,
            num_positives=nothing,
        )
        # Where the property looks for what it has computed.
        vars(kept)["overall"] = self.overall
        return kept


def draw_halves(
    segment_ids: npt.NDArray[np.str_],
    num_resamples: int,
    seed: int,
    group_of_clip: npt.NDArray[np.object_] | None = None,
) -> _Bools:
    """Draws random halves of clips, or of groups of clips.

    Args:
      segment_ids: str `[num_clips]`, unique, in any order.
      num_resamples: How many halves; of an odd number of clips, or groups,
        every other one has one more than the others.
      seed: The first halves do not depend on how many follow.
      group_of_clip: str `[num_clips]`; None if each clip is a group.

    Returns:
      bool `[num_resamples, num_clips]`: whether each clip was drawn.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(segment_ids)
    groups = segment_ids if group_of_clip is None else group_of_clip
    # Groups are numbered as they appear: [num_clips]
    group, names = pd.factorize(groups[order])
    draws = np.empty((num_resamples, segment_ids.size), dtype=bool)
    for index, row in enumerate(draws):
        is_drawn = np.arange(len(names)) < (len(names) + index % 2) // 2
        row[order] = rng.permutation(is_drawn)[group]
    return draws


def resample_classes(
    items: EvalItems,
    num_resamples: int = 1000,
    seed: int = 0,
    rank_over: str = "all",
    num_threads: int | None = None,
) -> ClassResamples:
    """Computes every class's metrics in each resample of clips.

    Args:
      items: Aligned scores, positives and negatives.
      num_resamples: How many.
      seed: Seed to draw clips with.
      rank_over: Classes that lwlrap ranks: "all", or the "evaluated" ones,
        which have a positive among the items as they are.
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      The metrics.

    Raises:
      InputError: A score is NaN, or an argument is not one of its values.
    """
    if num_resamples < 1:
        raise InputError(
            f"num_resamples must be at least 1. Received: {num_resamples}."
        )
    num_clips, num_groups = items.segment_ids.size, None
    group_of_clip: _Ints = np.arange(num_clips)
    if items.group_of_clip is not None:
        group_of_clip, names = pd.factorize(items.group_of_clip)
        num_groups = len(names)
    draws = draw_halves(
        items.segment_ids, num_resamples, seed, items.group_of_clip
    )
    blocks = _weight_blocks(draws, items.clip_of_item.size)

    def resample_class(
        _: int, item: _Ints, scores: _Weights, p: _Bools, n: _Bools
    ) -> tuple[_Floats, list[int]]:
        numbers, clips = sortable(scores), items.clip_of_item[item]
        counts = count_items(
            numbers[p], clips[p], numbers[n], clips[n], num_clips
        )
        values = np.concatenate(
            [weighted_auc_and_average_precision(counts, b) for b in blocks],
            axis=1,
        )  # [2, 1 + num_resamples]
        return values, [
            int(np.count_nonzero(np.bincount(group_of_clip[clips[own]])))
            for own in (p, n)
        ]

    of_classes = items.map_classes(
        resample_class, num_threads, _CLASSES_AT_ONCE
    )
    aucs, average_precisions = np.stack([v for v, _ in of_classes], axis=2)
    lwlraps, num_positives = _resample_lwlraps(
        items, blocks, rank_over, num_threads
    )
    labels = np.stack(
        [
            np.ones(items.clip_of_item.size, dtype=np.int64),
            items.is_positive.sum(axis=1),
            items.is_negative.sum(axis=1),
        ],
        axis=1,
    )  # [num_items, 3]
    num_labels_of_clip = np.zeros((num_clips, 3), dtype=np.int64)
    np.add.at(num_labels_of_clip, items.clip_of_item, labels)
    order = np.argsort(items.segment_ids)
    return ClassResamples(
        seed=seed,
        num_resamples=num_resamples,
        num_groups=num_groups,
        segment_ids=items.segment_ids[order],
        num_labels_of_clip=num_labels_of_clip[order],
        mids=items.mids,
        num_labels_of_class=np.stack(
            [items.is_positive.sum(axis=0), items.is_negative.sum(axis=0)],
            axis=1,
        ),
        num_clips_of_class=np.array([counts for _, counts in of_classes]),
        aucs=aucs,
        average_precisions=average_precisions,
        lwlraps=lwlraps,
        num_positives=num_positives,
    )


def _weight_blocks(draws: _Bools, num_items: int) -> list[_Weights]:
    """Cuts draws, after one that leaves all as it is, into blocks.

    Each is float `[num_clips, up to _BLOCK_RESAMPLES]`, 1 where drawn.
    """
    dtype = np.float32 if num_items < _MAX_COUNT else np.float64
    once = np.ones((1, draws.shape[1]), dtype=bool)
    rows = np.concatenate([once, draws])
    return [
        np.ascontiguousarray(rows[start : start + _BLOCK_RESAMPLES].T, dtype)
        for start in range(0, len(rows), _BLOCK_RESAMPLES)
    ]


def _resample_lwlraps(
    items: EvalItems,
    blocks: list[_Weights],
    rank_over: str,
    num_threads: int | None,
) -> tuple[_Floats, _Floats]:
    """Computes per-class lwlrap, and the positives, in each resample."""
    is_ranked = items.ranked_classes(rank_over)
    columns = np.arange(items.mids.size)[is_ranked]
    item, class_index, precision = label_precisions(
        items.scores[:, is_ranked],
        items.is_positive[:, is_ranked],
        num_threads,
    )
    cells = columns[class_index], items.clip_of_item[item]

    def resample(values: _Floats) -> _Floats:
        """Sums values of pairs: float64 `[1 + num_resamples, num_classes]`."""
        shape = items.mids.size, items.segment_ids.size
        matrix = sparse.coo_array((values, cells), shape=shape).tocsr()
        return np.concatenate([(matrix @ block).T for block in blocks])

    num_positives = resample(np.ones(precision.size))
    totals = resample(precision)
    lwlraps = np.full(totals.shape, np.nan)
    np.divide(totals, num_positives, out=lwlraps, where=num_positives > 0)
    return lwlraps, num_positives


# --- Intervals of one system, and of the difference of two -------------------


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric, or the difference of two systems, and how far it may be off.

    Attributes:
      estimate: Of the items as they are; NaN where undefined.
      low: Lower end of the interval; NaN where too few resamples define it.
      high: Upper end.
      median_bias: Median of the resamples less the estimate, which the
        interval leaves out, NaN where unknown; None for a difference.
      p_value: Of a difference, in (0, 1]; NaN where it is undefined or
        infinite, or `low` is NaN; None for a metric.
      num_undefined: Resamples in which the metric is undefined.
    """

    estimate: float
    low: float
    high: float
    median_bias: float | None
    p_value: float | None
    num_undefined: int


@dataclasses.dataclass(frozen=True, eq=False)
class ResamplingResult:
    """Confidence intervals of one evaluation, or of a difference of two.

    Attributes:
      level: Share of resamples that an interval holds, in (0, 1).
      num_resamples: Resamples.
      seed: Seed that the clips were drawn with.
      num_clips: Clips that were drawn from.
      num_groups: Groups of clips that were drawn from; None if it was single
        clips.
      overall: Interval of each overall metric, by its name in `EvalResult`.
      num_classes_few_clips: Classes with an AUC, but with a positive or a
        negative in too few clips (or groups) for an interval of it.
      per_class: One row a class of the (first) score file, in its order: mid
        str; auc, auc_low and auc_high, or auc_difference, auc_difference_low
        and auc_difference_high, float64, NaN where undefined; num_undefined
        int64.
    """

    level: float
    num_resamples: int
    seed: int
    num_clips: int
    num_groups: int | None
    overall: dict[str, Interval]
    num_classes_few_clips: int
    per_class: pd.DataFrame


class _Bounds(NamedTuple):
    """Ends of intervals, each `[num_metrics]`: float64, the count int64."""

    low: _Floats
    high: _Floats
    num_undefined: _Ints


def intervals_of(
    resamples: ClassResamples, level: float = 0.95
) -> ResamplingResult:
    """Computes confidence intervals of every overall metric and class AUC.

    Args:
      resamples: Metrics of the resamples; at least 39 for a level of 0.95.
      level: Share of resamples that an interval holds, in (0, 1).

    Returns:
      The intervals.

    Raises:
      InputError: The level is out of range, or there are too few resamples.
    """
    check_level(level, resamples.num_resamples)
    overall = {
        name: interval_of(name, values, level)
        for name, values in resamples.overall.items()
    }
    return _result(resamples, level, overall, "auc", resamples.aucs)


def compare_resamples(
    resamples: ClassResamples, baseline: ClassResamples, level: float = 0.95
) -> ResamplingResult:
    """Compares two systems on the same resamples of the same clips.

    Args:
      resamples: Of the system.
      baseline: Of the baseline on the same items, with the same seed; clips and
        classes may be in another order.
      level: Share of resamples that an interval holds, in (0, 1).

    Returns:
      Differences: the system less the baseline.

    Raises:
      InputError: The systems were not evaluated on the same items or not
        resampled alike, the level is out of range, or there are too few
        resamples.
    """
    check_level(level, resamples.num_resamples)
    column = _check_paired(resamples, baseline)
    theirs = baseline.overall
    overall = {
        name: interval_of_difference(name, values, theirs[name], level)
        for name, values in resamples.overall.items()
    }
    # [1 + num_resamples, num_classes]
    of_classes = resamples.aucs - baseline.aucs[:, column]
    return _result(resamples, level, overall, "auc_difference", of_classes)


def interval_of(name: str, values: _Floats, level: float) -> Interval:
    """Computes the interval of an overall metric.

    Args:
      name: The metric's, in `EvalResult`.
      values: float64 `[1 + num_resamples]`, the estimate first; NaN where
        undefined.
      level: Share of resamples that the interval holds, in (0, 1).
    """
    interval = _interval(recentred(name, values), level)
    with np.errstate(invalid="ignore"):  # inf - inf
        bias = float(_median(values[1:]) - values[0])
    num_undefined = int(np.isnan(values[1:]).sum())
    return dataclasses.replace(
        interval, median_bias=bias, num_undefined=num_undefined
    )


def interval_of_difference(
    name: str, values: _Floats, theirs: _Floats, level: float
) -> Interval:
    """Computes the interval of one system's metric less another's.

    Arguments as of `interval_of`; both are of the same resamples.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        differences = recentred(name, values) - recentred(name, theirs)
    interval = _interval(differences, level)
    return dataclasses.replace(
        interval, p_value=_p_value(differences, math.isnan(interval.low))
    )


def recentred(name: str, values: _Floats) -> _Floats:
    """Moves resamples of an overall metric to where its estimate is.

    Args:
      name: The metric's, in `EvalResult`.
      values: float64 `[1 + num_resamples]`, the estimate first; NaN where
        undefined.

    Returns:
      The same, moved on the scale of d' so that the median of the resamples is
      the estimate; all of them NaN if one of the two is infinite.
    """
    is_share = not name.endswith("d_prime")
    moved = ranking_metrics.d_prime_from_auc(values) if is_share else values
    estimate, median = moved[0], _median(moved[1:])
    if not is_share or estimate != median:  # Both may be 1: infinite, equal.
        with np.errstate(invalid="ignore"):  # inf - inf
            moved = moved + (estimate - median)
            is_known = np.isfinite(estimate - median)
        if not is_known:
            moved = np.full(values.shape, np.nan)
    if is_share:
        moved = ranking_metrics.auc_from_d_prime(moved)
    # The estimate itself is not rounded.
    return np.concatenate([values[:1], moved[1:]])


def _median(values: _Floats) -> float:
    """Returns the median of those defined, not interpolated, or NaN."""
    ordered = np.sort(values[~np.isnan(values)])
    return float(ordered[(ordered.size - 1) // 2]) if ordered.size else math.nan


def _interval(values: _Floats, level: float) -> Interval:
    """Returns the interval of values `[1 + num_resamples]`."""
    low, high, num_undefined = _bounds(values[:, np.newaxis], level)
    return Interval(
        estimate=float(values[0]),
        low=float(low[0]),
        high=float(high[0]),
        median_bias=None,
        p_value=None,
        num_undefined=int(num_undefined[0]),
    )


def _result(
    resamples: ClassResamples,
    level: float,
    overall: dict[str, Interval],
    name: str,
    of_classes: _Floats,
) -> ResamplingResult:
    """Adds the intervals of classes, `[1 + num_resamples, num_classes]`."""
    bounds = _bounds(of_classes, level)
    has_few = (resamples.num_clips_of_class < MIN_CLIPS_OF_CLASS).any(axis=1)
    return ResamplingResult(
        level=level,
        num_resamples=resamples.num_resamples,
        seed=resamples.seed,
        num_clips=resamples.segment_ids.size,
        num_groups=resamples.num_groups,
        overall=overall,
        num_classes_few_clips=int((has_few & ~np.isnan(of_classes[0])).sum()),
        per_class=pd.DataFrame(
            {
                "mid": resamples.mids.astype(object),
                name: of_classes[0],
                f"{name}_low": np.where(has_few, np.nan, bounds.low),
                f"{name}_high": np.where(has_few, np.nan, bounds.high),
                "num_undefined": bounds.num_undefined,
            }
        ),
    )


def _bounds(values: _Floats, level: float) -> _Bounds:
    """Finds the ends of percentile intervals.

    `values` is `[1 + num_resamples, num_metrics]`, NaN where undefined; row 0,
    of the items as they are, is no resample.
    """
    ordered = np.sort(values[1:], axis=0)  # NaN last
    num_undefined = np.isnan(ordered).sum(axis=0)  # [num_metrics]
    num_defined = len(ordered) - num_undefined
    rank = _num_outside(num_defined, level)
    column = np.arange(values.shape[1])

    def kth_smallest(k: _Ints) -> _Floats:
        values = ordered[np.clip(k, 1, len(ordered)) - 1, column]
        return np.where(rank > 0, values, np.nan)

    return _Bounds(
        low=kth_smallest(rank),
        high=kth_smallest(num_defined + 1 - rank),
        num_undefined=num_undefined,
    )


def _num_outside(num_defined: _Ints, level: float) -> _Ints:
    """Returns k of the module docstring, for each count of resamples."""
    share = (1 - level) / 2
    # Rounded first: (999 + 1) * 0.025 must be 25, not a little less.
    ranks = np.floor(np.round((num_defined + 1) * share, 9))
    return np.asarray(ranks.astype(np.int64))


def check_level(level: float, num_resamples: int) -> None:
    """Raises `InputError` unless there are resamples enough for the level."""
    if not 0 < level < 1:
        raise InputError(
            f"level must lie between 0 and 1, such as 0.95. Received: {level}."
        )
    if _num_outside(np.array(num_resamples), level) < 1:
        least = math.ceil(round(2 / (1 - level), 6)) - 1
        raise InputError(
            f"An interval of level {level} needs at least {least} resamples. "
            f"Received: {num_resamples}."
        )


def _p_value(values: _Floats, are_too_few: bool) -> float:
    """Computes the two-sided p-value of the module docstring."""
    defined = values[1:][~np.isnan(values[1:])]
    if are_too_few or not np.isfinite(values[0]):
        return float("nan")
    fewer = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1, 2 * (1 + fewer) / (defined.size + 1)))


def _check_paired(ours: ClassResamples, theirs: ClassResamples) -> _Ints:
    """Checks that two systems were resampled alike on the same items.

    Returns their column of each class of ours, int64 `[num_classes]`.
    """
    if (ours.seed, ours.num_resamples) != (theirs.seed, theirs.num_resamples):
        raise InputError(
            f"Two systems are compared on the same resamples. Received seeds "
            f"{ours.seed} and {theirs.seed}, {ours.num_resamples} and "
            f"{theirs.num_resamples} resamples. Make both alike."
        )
    found = ""
    for name, mine, other in (
        ("clips", ours.segment_ids, theirs.segment_ids),
        ("classes", np.sort(ours.mids), np.sort(theirs.mids)),
    ):
        if not found and not np.array_equal(mine, other):
            num_shared = np.intersect1d(mine, other).size
            found = (
                f"{mine.size} and {other.size} {name}, {num_shared} of them in "
                f"both"
            )
    column = pd.Index(theirs.mids).get_indexer(pd.Index(ours.mids))
    if not found and not (
        np.array_equal(ours.num_labels_of_clip, theirs.num_labels_of_clip)
        and np.array_equal(
            ours.num_labels_of_class, theirs.num_labels_of_class[column]
        )
    ):
        found = (
            "the same clips and classes with other label frames, positives or "
            "negatives"
        )
    if found:
        raise InputError(
            f"Two systems are compared on the same items; found {found}. Keep "
            f"the clips, label frames and classes that both have, and give "
            f"both the same labels."
        )
    return column.astype(np.int64)
