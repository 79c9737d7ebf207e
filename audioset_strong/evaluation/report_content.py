"""What a report says, whatever it is written as."""

import dataclasses
import math
from collections.abc import Mapping

import pandas as pd

from audioset_strong.evaluation.bootstrap import BootstrapResult
from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.paired_bootstrap import PairedResult
from audioset_strong.evaluation.report_curves import RocCurves
from audioset_strong.labels.problems import ProblemLog

OVERALL_METRICS = (
    "d_prime",
    "mean_auc",
    "mean_d_prime",
    "mean_average_precision",
    "lwlrap",
    "balanced_lwlrap",
)
CLASS_METRICS = ("auc", "d_prime", "average_precision", "lwlrap")


@dataclasses.dataclass(frozen=True, eq=False)
class EvalDetails:
    """What is known of one evaluation beyond its metrics, all optional.

    Attributes:
      evaluation: "strong" or "weak".
      negatives: Kind of negatives, as in `EvalResult`.
      intervals: Confidence intervals.
      baseline_intervals: Those of the baseline.
      paired: Differences from the baseline on the same resamples.
      not_paired_reason: Why there are none, "" if there are or none are asked.
      curves: ROC curves.
      baseline_curves: Those of the baseline.
      worst: `report_errors.worst_items`.
    """

    evaluation: str
    negatives: str
    intervals: BootstrapResult | None = None
    baseline_intervals: BootstrapResult | None = None
    paired: PairedResult | None = None
    not_paired_reason: str = ""
    curves: RocCurves | None = None
    baseline_curves: RocCurves | None = None
    worst: pd.DataFrame | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class EvalReport:
    """Everything that a report shows.

    Attributes:
      inputs: Path of each input; None for those not given.
      rank_over: Classes that lwlrap ranks.
      results: One a (evaluation, negatives), in the order to show.
      baseline_results: The same evaluations of the baseline; empty without one.
      problems: Label lines that were left out.
      details: Intervals, curves and errors of as many of the results as there
        are (`report_details.join_details`), in any order.
    """

    inputs: Mapping[str, str | None]
    rank_over: str
    results: tuple[EvalResult, ...]
    baseline_results: tuple[EvalResult, ...] = ()
    problems: ProblemLog = dataclasses.field(default_factory=ProblemLog)
    details: tuple[EvalDetails, ...] = ()

    def baseline_of(self, result: EvalResult) -> EvalResult | None:
        """Returns the same evaluation of the baseline, if there is one."""
        key = (result.evaluation, result.negatives)
        for baseline in self.baseline_results:
            if (baseline.evaluation, baseline.negatives) == key:
                return baseline
        return None

    def details_of(self, result: EvalResult) -> EvalDetails:
        """Returns the details of an evaluation, without any if it has none."""
        key = (result.evaluation, result.negatives)
        for details in self.details:
            if (details.evaluation, details.negatives) == key:
                return details
        return EvalDetails(*key)


def count_of(count: int, noun: str) -> str:
    """Writes a count and its noun, such as "1 class" or "2,000 clips"."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def resamples_note(details: EvalDetails) -> str:
    """Says where intervals come from; "" without any."""
    intervals = details.intervals
    if intervals is None:
        return ""
    return (
        f"Intervals are {100 * intervals.level:g} % percentile intervals of "
        f"{intervals.num_resamples:,} bootstrap resamples of the clips, seed "
        f"{intervals.seed}."
    )


def result_notes(
    result: EvalResult,
    baseline: EvalResult | None = None,
    details: EvalDetails | None = None,
) -> list[str]:
    """Says in words what a reader of the numbers must know."""
    notes = []
    if result.num_classes == 0:
        notes.append("No class has a positive and a negative: d' is undefined.")
    elif not math.isfinite(result.d_prime):
        notes.append("The mean AUC is 0 or 1: d' is infinite.")
    if result.num_classes_infinite_d_prime:
        infinite = count_of(result.num_classes_infinite_d_prime, "class")
        notes.append(
            f"The mean d' over classes is infinite or undefined: {infinite} "
            f"with AUC 0 or 1."
        )
    if result.num_classes_lwlrap == 0:
        notes.append("No class has a positive: lwlrap is undefined.")
    outside = [] if details is None else _outside_interval(details)
    if outside:
        notes.append(
            f"Outside of their intervals: {', '.join(outside)}. Resamples "
            f"repeat clips, which raises these, most where classes have few "
            f"clips; compare systems by their difference."
        )
    if details is not None and details.not_paired_reason:
        notes.append(
            f"Differences have no intervals: {details.not_paired_reason}"
        )
    if baseline is not None and not _same_items(result, baseline):
        notes.append(
            "The baseline was evaluated on other clips, label frames or "
            "classes: the differences are not over the same items."
        )
    return notes


def _outside_interval(details: EvalDetails) -> list[str]:
    """Names the metrics whose resamples are too biased to hold them."""
    if details.intervals is None:
        return []
    return [
        name
        for name, interval in details.intervals.overall.items()
        if interval.estimate < interval.low or interval.estimate > interval.high
    ]


def _same_items(result: EvalResult, baseline: EvalResult) -> bool:
    """Whether two results are of the same clips, label frames and classes."""
    columns = ["mid", "num_positives", "num_negatives"]
    tables = [
        r.per_class[columns].sort_values("mid", ignore_index=True)
        for r in (result, baseline)
    ]
    ours, theirs = result.alignment, baseline.alignment
    return (
        tables[0].equals(tables[1])
        and result.num_items == baseline.num_items
        and ours.num_clips_evaluated == theirs.num_clips_evaluated
        and ours.clips_not_scored == theirs.clips_not_scored
        and ours.clips_without_scores == theirs.clips_without_scores
    )


def compare_per_class(
    result: EvalResult,
    baseline: EvalResult | None,
    details: EvalDetails | None = None,
) -> pd.DataFrame:
    """Puts intervals and the baseline beside a result's per-class metrics.

    Args:
      result: What to show.
      baseline: The same evaluation of the baseline; None for none.
      details: Its intervals, if there are any.

    Returns:
      `result.per_class` and, float64, NaN where undefined or for classes that
      the other lacks: with intervals auc_low and auc_high; with a baseline
      baseline_ and _difference of each of `CLASS_METRICS`; with both
      auc_difference_low and auc_difference_high.
    """
    table = result.per_class.copy()
    if details is not None and details.intervals is not None:
        _join(table, details.intervals.per_class, ("auc_low", "auc_high"))
    if baseline is None:
        return table
    theirs = baseline.per_class.set_index("mid").reindex(table["mid"])
    for name in CLASS_METRICS:
        table[f"baseline_{name}"] = theirs[name].to_numpy()
    for name in CLASS_METRICS:
        table[f"{name}_difference"] = table[name] - table[f"baseline_{name}"]
    if details is not None and details.paired is not None:
        columns = ("auc_difference_low", "auc_difference_high")
        _join(table, details.paired.per_class, columns)
    return table


def _join(
    table: pd.DataFrame, other: pd.DataFrame, columns: tuple[str, ...]
) -> None:
    """Adds columns of another table of classes, by mid."""
    by_mid = other.set_index("mid").reindex(table["mid"])
    for column in columns:
        table[column] = by_mid[column].to_numpy()
