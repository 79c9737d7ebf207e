"""Every class's metrics under resampling of clips.

A resample draws as many clips as there are, each with the same chance and with
repetition; an item counts as often as its clip was drawn. Clips are drawn, not
items, because the label frames of a clip are alike: drawing them one by one
would make intervals too narrow.

Clips are drawn in the order of their segment_id from one seed, so that two
systems, or two evaluations, of the same clips are resampled alike, however
their files are ordered.

Time and memory, N cells listed, P positives, R resamples: N * R multiply-adds
and P * R divisions, in blocks of resamples; one class's cells in memory at a
time, beside the items and 4 bytes a clip and resample. Implied negatives list
every cell.

Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993; clips as
the unit is our choice (BUILD_NOTES.md "Confidence intervals").

Confidence intervals: how far metrics depend on the choice of clips.

A percentile bootstrap over clips: the metrics are computed on many resamples of
the clips (`resampling.py`), and an interval holds the middle share of them.

Conventions:
  * With n resamples in which a metric is defined, the interval of level 0.95
    goes from the k-th smallest value to the k-th largest, k = floor((n + 1) *
    0.025), not interpolated, so that an infinite value does no harm. If k is 0,
    there are too few to say, and the interval is NaN.
  * A class that loses all its positives, or all its negatives, in a resample
    has no AUC and no average precision there, and one without positives no
    lwlrap. The means of that resample leave it out, as the metrics themselves
    do; its own interval is over the other resamples, and counts these.
  * An item that was drawn twice ties with itself, which raises average
    precision, and d' is convex in AUC, which raises its mean over classes with
    few clips: resamples of mAP and of the mean d' lie above the estimate, which
    may fall out of a narrow interval. `median_bias` says by how much; the
    differences of two systems hardly have it.
  * The interval says nothing of other seeds of training, of other annotators,
    or of classes other than these.

Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter
13; the rest is our choice (BUILD_NOTES.md "Confidence intervals").

Whether two systems differ: a paired bootstrap over clips.

Both are evaluated on the same resamples of the same clips, so that what makes a
clip hard for both cancels out of the difference.

Conventions:
  * A difference is the first system less the second, the baseline.
  * The p-value is two-sided, from the resamples' differences: with n in which
    the difference is defined, p = min(1, 2 * (1 + m) / (n + 1)), m the fewer of
    those <= 0 and those >= 0. It is at most 1 - level just where the interval
    of that level leaves 0 out, and never below 2 / (n + 1).
  * It is of one metric of one evaluation: of many that are looked at, some are
    small by chance. The classes have intervals and no p-values for that reason.

Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters
13 and 15; the choice is ours (BUILD_NOTES.md "Confidence intervals").
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from audioset_strong.errors import InputError
from audioset_strong.evaluation import metrics
from audioset_strong.evaluation.items import EvalItems, ranked_classes
from audioset_strong.evaluation.metrics import (
    count_items,
    label_precisions,
    mean_average_precision,
    sortable,
    thread_pool,
    weighted_auc_and_average_precision,
)

# --- resampling ------------------------------------------------------------


_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Weights = npt.NDArray[np.floating[Any]]

# Resamples at a time: their weights of all clips stay in the processor's cache.
_BLOCK_RESAMPLES = 64

# Classes at a time, copied to contiguous columns.
_BLOCK_CLASSES = 8

# float32 counts exactly up to here.
_MAX_COUNT = 2**24


@dataclasses.dataclass(frozen=True, eq=False)
class ClassResamples:
    """Metrics of each class, as it is and in each resample.

    Row 0 of the arrays is of the items as they are, the others of resamples.

    Attributes:
      seed: What the clips were drawn with.
      num_resamples: How often.
      segment_ids: str `[num_clips]`, ascending.
      num_labels_of_clip: int64 `[num_clips, 3]`, items, positives and
        negatives of each clip, to tell whether two systems share them.
      mids: str `[num_classes]`, in the order of the items.
      num_labels_of_class: int64 `[num_classes, 2]`, positives and negatives.
      aucs: float64 `[1 + num_resamples, num_classes]`, NaN where undefined.
      average_precisions: float64, same shape.
      lwlraps: float64, same shape.
      num_positives: float64, same shape: positives, as often as drawn.
    """

    seed: int
    num_resamples: int
    segment_ids: npt.NDArray[np.str_]
    num_labels_of_clip: _Ints
    mids: npt.NDArray[np.str_]
    num_labels_of_class: _Ints
    aucs: _Floats
    average_precisions: _Floats
    lwlraps: _Floats
    num_positives: _Floats


def draw_clips(
    segment_ids: npt.NDArray[np.str_], num_resamples: int, seed: int
) -> npt.NDArray[np.int32]:
    """Draws clips with repetition.

    Args:
      segment_ids: str `[num_clips]`, unique, in any order.
      num_resamples: How often to draw `num_clips` clips.
      seed: Same seed and clips, same draws; the first resamples do not depend
        on how many follow.

    Returns:
      int32 `[num_resamples, num_clips]`: how often each clip was drawn.
    """
    rng = np.random.default_rng(seed)
    num_clips = segment_ids.size
    order = np.argsort(segment_ids)
    draws = np.empty((num_resamples, num_clips), dtype=np.int32)
    for row in draws:
        drawn = rng.integers(0, num_clips, num_clips)
        row[order] = np.bincount(drawn, minlength=num_clips)
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
      seed: What clips are drawn with.
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
    draws = draw_clips(items.segment_ids, num_resamples, seed)
    blocks = _weight_blocks(draws, items)
    aucs, average_precisions = _resample_rankings(items, blocks, num_threads)
    lwlraps, num_positives = _resample_lwlraps(
        items, blocks, rank_over, num_threads
    )
    order = np.argsort(items.segment_ids)
    return ClassResamples(
        seed=seed,
        num_resamples=num_resamples,
        segment_ids=items.segment_ids[order],
        num_labels_of_clip=_num_labels_of_clip(items)[order],
        mids=items.mids,
        num_labels_of_class=np.stack(
            [items.is_positive.sum(axis=0), items.is_negative.sum(axis=0)],
            axis=1,
        ),
        aucs=aucs,
        average_precisions=average_precisions,
        lwlraps=lwlraps,
        num_positives=num_positives,
    )


def _weight_blocks(
    draws: npt.NDArray[np.int32], items: EvalItems
) -> list[_Weights]:
    """Parts draws, after one that leaves all as it is, into blocks.

    Returns:
      float `[num_clips, up to _BLOCK_RESAMPLES]` each.
    """
    most_of_clip = int(np.bincount(items.clip_of_item).max(initial=0))
    is_small = most_of_clip * draws.shape[1] < _MAX_COUNT
    dtype = np.float32 if is_small else np.float64
    once = np.ones((1, draws.shape[1]), dtype=np.int32)
    rows = np.concatenate([once, draws])
    return [
        np.ascontiguousarray(rows[start : start + _BLOCK_RESAMPLES].T, dtype)
        for start in range(0, len(rows), _BLOCK_RESAMPLES)
    ]


def _resample_rankings(
    items: EvalItems, blocks: list[_Weights], num_threads: int | None
) -> tuple[_Floats, _Floats]:
    """Computes AUC and average precision in each resample."""
    num_classes = items.mids.size
    num_rows = sum(block.shape[1] for block in blocks)
    aucs, average_precisions = np.empty((2, num_rows, num_classes))

    def resample_block(start: int) -> None:
        part = np.s_[:, start : start + _BLOCK_CLASSES]
        by_class = sortable(np.ascontiguousarray(items.scores[part].T))
        positive = np.ascontiguousarray(items.is_positive[part].T)
        negative = np.ascontiguousarray(items.is_negative[part].T)
        for column, (row, p, n) in enumerate(
            zip(by_class, positive, negative, strict=True), start
        ):
            counts = count_items(
                row[p],
                items.clip_of_item[p],
                row[n],
                items.clip_of_item[n],
                items.segment_ids.size,
            )
            values = [
                weighted_auc_and_average_precision(counts, block)
                for block in blocks
            ]
            aucs[:, column] = np.concatenate([v[0] for v in values])
            average_precisions[:, column] = np.concatenate(
                [v[1] for v in values]
            )

    with thread_pool(num_threads) as pool:
        # A list, so that what a thread raises is raised here.
        list(pool.map(resample_block, range(0, num_classes, _BLOCK_CLASSES)))
    return aucs, average_precisions


def _resample_lwlraps(
    items: EvalItems,
    blocks: list[_Weights],
    rank_over: str,
    num_threads: int | None,
) -> tuple[_Floats, _Floats]:
    """Computes per-class lwlrap, and the positives, in each resample."""
    is_ranked = ranked_classes(items, rank_over)
    columns = np.arange(items.mids.size)[is_ranked]
    item, class_index, precision = label_precisions(
        items.scores[:, is_ranked],
        items.is_positive[:, is_ranked],
        num_threads,
    )
    cells = columns[class_index], items.clip_of_item[item]
    shape = items.mids.size, items.segment_ids.size
    sums = sparse.coo_array((precision, cells), shape=shape).tocsr()
    ones = np.ones(precision.size)
    counts = sparse.coo_array((ones, cells), shape=shape).tocsr()
    num_positives = np.concatenate([(counts @ block).T for block in blocks])
    totals = np.concatenate([(sums @ block).T for block in blocks])
    lwlraps = np.full(totals.shape, np.nan)
    np.divide(totals, num_positives, out=lwlraps, where=num_positives > 0)
    return lwlraps, num_positives


def _num_labels_of_clip(items: EvalItems) -> _Ints:
    """Counts items, positives and negatives: int64 `[num_clips, 3]`."""
    num_clips = items.segment_ids.size
    of_item = (
        np.ones(items.clip_of_item.size),
        items.is_positive.sum(axis=1),
        items.is_negative.sum(axis=1),
    )
    counts = [
        np.bincount(items.clip_of_item, values, minlength=num_clips)
        for values in of_item
    ]
    return np.stack(counts, axis=1).astype(np.int64)


# --- bootstrap -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric and how far it may be off.

    Attributes:
      estimate: Of the items as they are; NaN where undefined.
      low: Lower end of the interval; NaN where too few resamples define it.
      high: Upper end.
      median_bias: Median of the resamples less the estimate; NaN where `low`
        is.
      num_undefined: Resamples in which the metric is undefined.
    """

    estimate: float
    low: float
    high: float
    median_bias: float
    num_undefined: int


@dataclasses.dataclass(frozen=True, eq=False)
class BootstrapResult:
    """Confidence intervals of one evaluation.

    Attributes:
      level: Share of resamples that an interval holds, in (0, 1).
      num_resamples: Resamples.
      seed: What clips were drawn with.
      num_clips: Clips that were drawn from.
      overall: Interval of each overall metric, by its name in `EvalResult`:
        d_prime, mean_auc, mean_d_prime, mean_average_precision, lwlrap and
        balanced_lwlrap.
      per_class: One row a class of the score file, in its order: mid str, auc,
        auc_low and auc_high float64, NaN where undefined, num_undefined int64.
    """

    level: float
    num_resamples: int
    seed: int
    num_clips: int
    overall: dict[str, Interval]
    per_class: pd.DataFrame


class IntervalBounds(NamedTuple):
    """Ends of the intervals of several metrics, each array of their shape.

    Attributes:
      low: float64.
      high: float64.
      median: float64.
      num_undefined: int64.
    """

    low: _Floats
    high: _Floats
    median: _Floats
    num_undefined: npt.NDArray[np.int64]


def bootstrap(
    items: EvalItems,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    rank_over: str = "all",
    num_threads: int | None = None,
) -> BootstrapResult:
    """Computes confidence intervals of every overall metric and class AUC.

    Args:
      items: Aligned scores, positives and negatives.
      num_resamples: Resamples; at least 39 for a level of 0.95.
      seed: What clips are drawn with.
      level: Share of resamples that an interval holds, in (0, 1).
      rank_over: Classes that lwlrap ranks (`resample_classes`).
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      The intervals.

    Raises:
      InputError: A score is NaN, or an argument is out of range.
    """
    check_level(level, num_resamples)
    return intervals_of(
        resample_classes(items, num_resamples, seed, rank_over, num_threads),
        level,
    )


def intervals_of(
    resamples: ClassResamples, level: float = 0.95
) -> BootstrapResult:
    """Computes `bootstrap` from resamples that were already made."""
    check_level(level, resamples.num_resamples)
    values = overall_metrics(resamples)
    bounds = percentile_bounds(np.stack(list(values.values()), axis=1), level)
    class_bounds = percentile_bounds(resamples.aucs, level)
    return BootstrapResult(
        level=level,
        num_resamples=resamples.num_resamples,
        seed=resamples.seed,
        num_clips=resamples.segment_ids.size,
        overall={
            name: Interval(
                estimate=float(values[name][0]),
                low=float(bounds.low[index]),
                high=float(bounds.high[index]),
                median_bias=_difference(bounds.median[index], values[name][0]),
                num_undefined=int(bounds.num_undefined[index]),
            )
            for index, name in enumerate(values)
        },
        per_class=pd.DataFrame(
            {
                "mid": resamples.mids.astype(object),
                "auc": resamples.aucs[0],
                "auc_low": class_bounds.low,
                "auc_high": class_bounds.high,
                "num_undefined": class_bounds.num_undefined,
            }
        ),
    )


def _difference(value: float, other: float) -> float:
    with np.errstate(invalid="ignore"):  # inf - inf
        return float(np.subtract(value, other))


def overall_metrics(resamples: ClassResamples) -> dict[str, _Floats]:
    """Computes the overall metrics of each resample.

    Args:
      resamples: Metrics of each class.

    Returns:
      float64 `[1 + num_resamples]` of each metric, by its name in `EvalResult`;
      the first of the items as they are, NaN where undefined.
    """
    counts = resamples.num_positives
    weights = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    aucs, lwlraps = resamples.aucs, resamples.lwlraps
    precisions = resamples.average_precisions
    values = {
        "d_prime": map(metrics.d_prime_of_mean_auc, aucs),
        "mean_auc": map(metrics.mean_auc, aucs),
        "mean_d_prime": map(metrics.mean_d_prime, aucs),
        "mean_average_precision": map(mean_average_precision, precisions),
        "lwlrap": map(metrics.overall_lwlrap, lwlraps, weights),
        "balanced_lwlrap": map(metrics.balanced_lwlrap, lwlraps),
    }
    return {name: np.array(list(rows)) for name, rows in values.items()}


def percentile_bounds(values: _Floats, level: float) -> IntervalBounds:
    """Finds the ends of percentile intervals (module docstring).

    Args:
      values: float64 `[1 + num_resamples, num_metrics]`, NaN where undefined;
        the first row, of the items as they are, is not a resample.
      level: Share of resamples that an interval holds.

    Returns:
      The ends, each `[num_metrics]`.
    """
    ordered = np.sort(values[1:], axis=0)  # NaN last
    num_undefined = np.isnan(ordered).sum(axis=0)
    num_defined = len(ordered) - num_undefined
    rank = num_outside(num_defined, level)
    column = np.arange(values.shape[1])

    def kth_smallest(k: npt.NDArray[np.int64]) -> _Floats:
        values = ordered[np.clip(k, 1, len(ordered)) - 1, column]
        return np.where(rank > 0, values, np.nan)

    return IntervalBounds(
        low=kth_smallest(rank),
        high=kth_smallest(num_defined + 1 - rank),
        median=kth_smallest((num_defined + 1) // 2),
        num_undefined=num_undefined,
    )


def num_outside(
    num_defined: npt.NDArray[np.int64], level: float
) -> npt.NDArray[np.int64]:
    """Returns k of the module docstring, for each count of resamples."""
    share = (1 - level) / 2
    # Rounded first: (999 + 1) * 0.025 must be 25, not a little less.
    ranks: npt.NDArray[np.int64] = np.floor(
        np.round((num_defined + 1) * share, 9)
    ).astype(np.int64)
    return ranks


def check_level(level: float, num_resamples: int) -> None:
    """Raises `InputError` unless there are resamples enough for the level."""
    if not 0 < level < 1:
        raise InputError(
            f"level must lie between 0 and 1, such as 0.95. Received: {level}."
        )
    if num_outside(np.array(num_resamples), level) < 1:
        least = math.ceil(round(2 / (1 - level), 6)) - 1
        raise InputError(
            f"An interval of level {level} needs at least {least} resamples. "
            f"Received: {num_resamples}."
        )


# --- paired bootstrap ------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Difference:
    """How much higher a metric of one system is than of its baseline.

    Attributes:
      difference: Of the items as they are; NaN where undefined.
      low: Lower end of its interval; NaN where too few resamples define it.
      high: Upper end.
      p_value: In (0, 1]; NaN where the difference is undefined or infinite, or
        `low` is NaN.
      num_undefined: Resamples in which the difference is undefined.
    """

    difference: float
    low: float
    high: float
    p_value: float
    num_undefined: int


@dataclasses.dataclass(frozen=True, eq=False)
class PairedResult:
    """Differences of two systems on the same items.

    Attributes:
      level: Share of resamples that an interval holds, in (0, 1).
      num_resamples: Resamples.
      seed: What clips were drawn with.
      num_clips: Clips that were drawn from.
      overall: Difference of each overall metric, by its name in `EvalResult`.
      per_class: One row a class, in the first system's order: mid str,
        auc_difference, auc_difference_low and auc_difference_high float64, NaN
        where undefined, num_undefined int64.
    """

    level: float
    num_resamples: int
    seed: int
    num_clips: int
    overall: dict[str, Difference]
    per_class: pd.DataFrame


def paired_bootstrap(
    items: EvalItems,
    baseline_items: EvalItems,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    rank_over: str = "all",
    num_threads: int | None = None,
) -> PairedResult:
    """Compares two systems on the same resamples of the same clips.

    Args:
      items: What the system scored, with its positives and negatives.
      baseline_items: The same items, scored by the baseline; clips and classes
        may be in another order.
      num_resamples: Resamples; at least 39 for a level of 0.95.
      seed: What clips are drawn with.
      level: Share of resamples that an interval holds, in (0, 1).
      rank_over: Classes that lwlrap ranks (`resample_classes`).
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      The differences.

    Raises:
      InputError: The systems were not evaluated on the same items, a score is
        NaN, or an argument is out of range.
    """
    check_level(level, num_resamples)
    resamples, baseline = (
        resample_classes(own, num_resamples, seed, rank_over, num_threads)
        for own in (items, baseline_items)
    )
    return compare_resamples(resamples, baseline, level)


def compare_resamples(
    resamples: ClassResamples, baseline: ClassResamples, level: float = 0.95
) -> PairedResult:
    """Computes `paired_bootstrap` from resamples that were already made."""
    check_level(level, resamples.num_resamples)
    column = _check_paired(resamples, baseline)
    ours, theirs = overall_metrics(resamples), overall_metrics(baseline)
    with np.errstate(invalid="ignore"):  # inf - inf
        values = {name: ours[name] - theirs[name] for name in ours}
    auc_differences = resamples.aucs - baseline.aucs[:, column]
    bounds = percentile_bounds(auc_differences, level)
    return PairedResult(
        level=level,
        num_resamples=resamples.num_resamples,
        seed=resamples.seed,
        num_clips=resamples.segment_ids.size,
        overall={
            name: _difference_paired_bootstrap(v, level)
            for name, v in values.items()
        },
        per_class=pd.DataFrame(
            {
                "mid": resamples.mids.astype(object),
                "auc_difference": auc_differences[0],
                "auc_difference_low": bounds.low,
                "auc_difference_high": bounds.high,
                "num_undefined": bounds.num_undefined,
            }
        ),
    )


def _difference_paired_bootstrap(values: _Floats, level: float) -> Difference:
    """Sums up one metric's differences, the first of the items as they are."""
    bounds = percentile_bounds(values[:, np.newaxis], level)
    return Difference(
        difference=float(values[0]),
        low=float(bounds.low[0]),
        high=float(bounds.high[0]),
        p_value=_p_value(values, bool(np.isnan(bounds.low[0]))),
        num_undefined=int(bounds.num_undefined[0]),
    )


def _p_value(values: _Floats, are_too_few: bool) -> float:
    """Computes the two-sided p-value of the module docstring."""
    defined = values[1:][~np.isnan(values[1:])]
    if are_too_few or not np.isfinite(values[0]):
        return float("nan")
    fewer = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1, 2 * (1 + fewer) / (defined.size + 1)))


def _check_paired(
    ours: ClassResamples, theirs: ClassResamples
) -> npt.NDArray[np.int64]:
    """Checks that two systems were resampled alike on the same items.

    Returns:
      int64 `[num_classes]`: column of theirs for each class of ours.

    Raises:
      InputError: They were not.
    """
    if (ours.seed, ours.num_resamples) != (theirs.seed, theirs.num_resamples):
        raise InputError(
            f"Two systems are compared on the same resamples. Received seeds "
            f"{ours.seed} and {theirs.seed}, {ours.num_resamples} and "
            f"{theirs.num_resamples} resamples. Make both alike."
        )
    order, their_order = np.argsort(ours.mids), np.argsort(theirs.mids)
    advice = (
        "Keep the clips, label frames and classes that both have, and give "
        "both the same labels."
    )
    for name, mine, other in (
        ("clips", ours.segment_ids, theirs.segment_ids),
        ("classes", ours.mids[order], theirs.mids[their_order]),
    ):
        if not np.array_equal(mine, other):
            num_shared = np.intersect1d(mine, other).size
            raise InputError(
                f"Two systems are compared on the same items; found "
                f"{mine.size} and {other.size} {name}, {num_shared} of them in "
                f"both. {advice}"
            )
    column = np.empty(order.size, dtype=np.int64)
    column[order] = their_order
    if not (
        np.array_equal(ours.num_labels_of_clip, theirs.num_labels_of_clip)
        and np.array_equal(
            ours.num_labels_of_class, theirs.num_labels_of_class[column]
        )
    ):
        raise InputError(
            f"Two systems are compared on the same items; found the same clips "
            f"and classes with other label frames, positives or negatives. "
            f"{advice}"
        )
    return column
