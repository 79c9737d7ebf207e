"""Confidence intervals: how far metrics depend on the choice of clips.

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
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation import d_prime as d_prime_lib
from audioset_strong.evaluation import lwlrap as lwlrap_lib
from audioset_strong.evaluation.average_precision import mean_average_precision
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.resampling import (
    ClassResamples,
    resample_classes,
)

_Floats = npt.NDArray[np.float64]


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
        "d_prime": map(d_prime_lib.d_prime_of_mean_auc, aucs),
        "mean_auc": map(d_prime_lib.mean_auc, aucs),
        "mean_d_prime": map(d_prime_lib.mean_d_prime, aucs),
        "mean_average_precision": map(mean_average_precision, precisions),
        "lwlrap": map(lwlrap_lib.overall_lwlrap, lwlraps, weights),
        "balanced_lwlrap": map(lwlrap_lib.balanced_lwlrap, lwlraps),
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
