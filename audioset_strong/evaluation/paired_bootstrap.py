"""Whether two systems differ: a paired bootstrap over clips.

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

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.bootstrap import (
    check_level,
    overall_metrics,
    percentile_bounds,
)
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.resampling import (
    ClassResamples,
    resample_classes,
)

_Floats = npt.NDArray[np.float64]


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
        overall={name: _difference(v, level) for name, v in values.items()},
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


def _difference(values: _Floats, level: float) -> Difference:
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
