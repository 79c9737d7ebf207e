"""Results of evaluations, and what every report says of them.

The Strong eval scores label frames, the Weak eval whole clips, by the mean of
their label frames. Either sets positives against one kind of negatives:

  strong  explicit            NOT_PRESENT label frames, complementary negatives
                              among them, as in the paper's Strong eval
  strong  explicit_only       of those, where the clip never has the class
  strong  complementary_only  of those, where the clip has it at other times
  strong  implied             every other label frame of the labelled clips
  weak    explicit            clips that the framed file rules out, or listed
                              pairs, as in the paper's Weak eval
  weak    implied             every other clip: the field's usual AudioSet
                              evaluation, as of YAMNet and PANNs

lwlrap uses positives only and is the same for all kinds of negatives. Without
any explicit negative there is no "explicit": it would be "complementary_only"
under another name.

Source: Section 4.1 of the paper.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation import ranking_metrics
from audioset_strong.evaluation.details import Curves
from audioset_strong.evaluation.identity import ReportIdentity
from audioset_strong.evaluation.items import Alignment, EvalItems
from audioset_strong.evaluation.protocols import ProtocolResult
from audioset_strong.evaluation.ranking_metrics import ClassRanking
from audioset_strong.evaluation.resampling import (
    MIN_CLIPS,
    MIN_CLIPS_OF_CLASS,
    ResamplingResult,
)
from audioset_strong.evaluation.thresholds import PooledReliability
from audioset_strong.labels.problems import ProblemLog

METRIC_NAMES = {
    "d_prime": "d' of the mean AUC",
    "mean_auc": "mean AUC",
    "mean_d_prime": "mean d' over classes",
    "mean_average_precision": "mean average precision (mAP)",
    "lwlrap": "lwlrap",
    "balanced_lwlrap": "balanced lwlrap (mean over classes)",
}
OVERALL_METRICS = tuple(METRIC_NAMES)
CLASS_METRICS = ("auc", "d_prime", "average_precision", "lwlrap")

_Floats = npt.NDArray[np.float64]
_T = TypeVar("_T", "EvalResult", "EvalDetails")
# --- One evaluation ----------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class EvalResult:
    """Metrics of one evaluation.

    Attributes:
      evaluation: "strong" or "weak"; "arrays" of plain arrays.
      negatives: Kind of negatives (module docstring).
      rank_over: Classes that lwlrap ranks: "all" or "evaluated".
      d_prime: d' of the mean AUC: the headline.
      mean_auc: Unweighted mean over classes with an AUC.
      mean_d_prime: Mean of the classes' d'; may be infinite.
      mean_average_precision: mAP: unweighted mean over the same classes.
      lwlrap: Mean over all (item, true class) pairs.
      balanced_lwlrap: Unweighted mean over classes with positives.
      num_classes: Classes with an AUC.
      num_classes_lwlrap: Classes with positives.
      num_classes_infinite_d_prime: Classes with AUC 0 or 1.
      num_items: Clips or label frames.
      num_positives: (item, class) pairs, over all classes.
      num_negatives: The same for negatives.
      per_class: One row a class, those of the score file in its order and then
        labelled ones that it lacks: mid str, display_name str, num_positives
        and num_negatives int64, auc, d_prime, average_precision and lwlrap
        float64 with NaN where undefined, undefined_reason str, "" where auc
        (and so average_precision) is defined.
      alignment: What was left out.
    """

    evaluation: str
    negatives: str
    rank_over: str
    d_prime: float
    mean_auc: float
    mean_d_prime: float
    mean_average_precision: float
    lwlrap: float
    balanced_lwlrap: float
    num_classes: int
    num_classes_lwlrap: int
    num_classes_infinite_d_prime: int
    num_items: int
    num_positives: int
    num_negatives: int
    per_class: pd.DataFrame
    alignment: Alignment

    @property
    def num_classes_ranked(self) -> int:
        """Classes that lwlrap ranks."""
        if self.rank_over == "evaluated":
            return self.num_classes_lwlrap
        return len(self.per_class) - len(self.alignment.mids_not_scored)

    @property
    def undefined_classes(self) -> pd.DataFrame:
        """Rows of `per_class` without an AUC."""
        return self.per_class[self.per_class["undefined_reason"] != ""]


def evaluate_items(
    items: EvalItems,
    evaluation: str,
    negatives: str,
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    lwlraps: _Floats | None = None,
) -> EvalResult:
    """Computes every metric of aligned items.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak": what the items are, for the result.
      negatives: Their kind of negatives, for the result.
      rank_over: Classes that lwlrap ranks: "all" of the score file, or the
        "evaluated" ones, which have a positive.
      display_names: Name of each mid, for the per-class table.
      rankings: `items.rank_classes()`, if it was already computed.
      lwlraps: float64 `[num_classes]`, from items with the same positives; None
        to compute them.

    Raises:
      InputError: A score is NaN, or rank_over is not one of its values.
    """
    if rankings is None:
        rankings = items.rank_classes()
    if lwlraps is None:
        is_ranked = items.ranked_classes(rank_over)
        lwlraps = np.full(items.mids.size, np.nan)
        lwlraps[is_ranked] = ranking_metrics.per_class_lwlrap(
            items.scores[:, is_ranked], items.is_positive[:, is_ranked]
        )
    per_class = _class_table(items, rankings, lwlraps, display_names or {})
    aucs = per_class["auc"].to_numpy()
    precisions = per_class["average_precision"].to_numpy()
    num_positives = per_class["num_positives"].to_numpy()
    # With the classes that are labelled and not scored, which have none.
    of_classes = per_class["lwlrap"].to_numpy()
    return EvalResult(
        evaluation=evaluation,
        negatives=negatives,
        rank_over=rank_over,
        d_prime=ranking_metrics.d_prime_of_mean_auc(aucs),
        mean_auc=ranking_metrics.mean_of_defined(aucs),
        mean_d_prime=ranking_metrics.mean_d_prime(aucs),
        mean_average_precision=ranking_metrics.mean_of_defined(precisions),
        lwlrap=ranking_metrics.overall_lwlrap(of_classes, num_positives),
        balanced_lwlrap=ranking_metrics.mean_of_defined(of_classes),
        num_classes=int((~np.isnan(aucs)).sum()),
        num_classes_lwlrap=int((num_positives > 0).sum()),
        num_classes_infinite_d_prime=int(np.isin(aucs, (0.0, 1.0)).sum()),
        num_items=len(items.scores),
        num_positives=int(num_positives.sum()),
        num_negatives=int(per_class["num_negatives"].sum()),
        per_class=per_class,
        alignment=items.alignment,
    )


def _class_table(
    items: EvalItems,
    rankings: Sequence[ClassRanking],
    lwlraps: _Floats,
    names: Mapping[str, str],
) -> pd.DataFrame:
    """Makes `EvalResult.per_class`."""
    mids_not_scored = items.alignment.mids_not_scored
    num_not_scored = len(mids_not_scored)
    mids = [*items.mids.tolist(), *mids_not_scored]

    def column(values: Iterable[float], missing: float = np.nan) -> _Floats:
        return np.array([*values, *[missing] * num_not_scored])

    aucs = column(map(ranking_metrics.auc_of_ranking, rankings))
    num_positives = column((r.true_positives.size for r in rankings), 0)
    num_negatives = column((r.num_negatives for r in rankings), 0)
    reasons = {
        "not in the score file": pd.Index(mids).isin(mids_not_scored),
        "not in the labels": pd.Index(mids).isin(
            items.alignment.mids_without_labels
        ),
        "no label of an evaluated clip": num_positives + num_negatives == 0,
        "no positive": num_positives == 0,
        "no negative": num_negatives == 0,
    }
    return pd.DataFrame(
        {
            "mid": pd.Series(mids, dtype=object),
            "display_name": pd.Series(
                [names.get(mid, "") for mid in mids], dtype=object
            ),
            "num_positives": num_positives.astype(np.int64),
            "num_negatives": num_negatives.astype(np.int64),
            "auc": aucs,
            "d_prime": ranking_metrics.d_prime_from_auc(aucs),
            "average_precision": column(
                map(ranking_metrics.average_precision_of_ranking, rankings)
            ),
            "lwlrap": column(lwlraps),
            "undefined_reason": np.select(
                list(reasons.values()), list(reasons), default=""
            ).astype(object),
        }
    )


# --- What a report shows -----------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class EvalDetails:
    """What is known of one evaluation beyond its metrics, all optional.

    Attributes:
      evaluation: "strong" or "weak"; "arrays" of plain arrays.
      negatives: Kind of negatives, as in `EvalResult`.
      intervals: Confidence intervals.
      baseline_intervals: Those of the baseline.
      paired: Differences from the baseline on the same resamples.
      not_paired_reason: Why there are none, "" if there are or none are asked.
      curves: `details.make_curves`.
      baseline_curves: Those of the baseline.
      worst: `details.worst_items`.
      breakdowns: `breakdowns.join_breakdowns`; of one Strong eval of a report.
      lengths_of: What its event lengths and shares are of, in words.
      reliability: `thresholds.pooled_reliability`, against implied negatives.
      baseline_reliability: That of the baseline.
    """

    evaluation: str
    negatives: str
    intervals: ResamplingResult | None = None
    baseline_intervals: ResamplingResult | None = None
    paired: ResamplingResult | None = None
    not_paired_reason: str = ""
    curves: Curves | None = None
    baseline_curves: Curves | None = None
    worst: pd.DataFrame | None = None
    breakdowns: pd.DataFrame | None = None
    lengths_of: str = ""
    reliability: PooledReliability | None = None
    baseline_reliability: PooledReliability | None = None


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
        are (`evaluating.join_details`), in any order.
      identity: What the report is of: system, date, version, files.
      protocols: What protocols of events and segments gave.
      baseline_protocols: The same of the baseline.
    """

    inputs: Mapping[str, str | None]
    rank_over: str
    results: tuple[EvalResult, ...]
    baseline_results: tuple[EvalResult, ...] = ()
    problems: ProblemLog = dataclasses.field(default_factory=ProblemLog)
    details: tuple[EvalDetails, ...] = ()
    identity: ReportIdentity = ReportIdentity()
    protocols: tuple[ProtocolResult, ...] = ()
    baseline_protocols: tuple[ProtocolResult, ...] = ()

    def baseline_of(self, result: EvalResult) -> EvalResult | None:
        """Returns the same evaluation of the baseline, if there is one."""
        return _same_evaluation(self.baseline_results, result)

    def details_of(self, result: EvalResult) -> EvalDetails:
        """Returns the details of an evaluation, without any if it has none."""
        return _same_evaluation(self.details, result) or EvalDetails(
            result.evaluation, result.negatives
        )


def _same_evaluation(candidates: Iterable[_T], result: EvalResult) -> _T | None:
    key = result.evaluation, result.negatives
    return next(
        (c for c in candidates if (c.evaluation, c.negatives) == key), None
    )


def count_of(count: int, noun: str) -> str:
    """Writes a count and its noun, such as "1 class" or "2,000 clips"."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def resamples_note(details: EvalDetails) -> str:
    """Says where intervals come from; "" without any."""
    intervals = details.intervals
    if intervals is None:
        return ""
    what = "clips"
    if intervals.num_groups not in (None, intervals.num_clips):
        what = f"{intervals.num_groups:,} groups of clips"
    return (
        f"Intervals of {100 * intervals.level:g} % are of "
        f"{intervals.num_resamples:,} random halves of the {what}, seed "
        f"{intervals.seed}."
    )


def result_notes(
    result: EvalResult,
    baseline: EvalResult | None = None,
    details: EvalDetails | None = None,
) -> list[str]:
    """Says in words what a reader of the numbers must know.

    Every number that is undefined or infinite, and every interval that is
    missing, has its reason here.
    """
    notes = []
    if result.num_classes == 0:
        notes.append(
            "No class has a positive and a negative: d', mean AUC, mean d' and "
            "mAP are undefined."
        )
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
    elif result.num_classes_ranked == 1:
        notes.append(
            "lwlrap ranks a single class, so that it is 1 whatever the scores "
            "are."
        )
    if baseline is not None:
        notes += [
            f"Baseline: {note}"
            for note in result_notes(baseline)
            if note not in notes
        ]
        notes += _undefined_differences(result, baseline)
    if details is not None and details.intervals is not None:
        notes += _interval_notes(details.intervals)
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


def _undefined_differences(
    result: EvalResult, baseline: EvalResult
) -> list[str]:
    """Says why overall differences are undefined."""
    infinite, undefined = [], []
    for metric, name in METRIC_NAMES.items():
        ours, theirs = (getattr(r, metric) for r in (result, baseline))
        if math.isinf(ours) and ours == theirs:
            infinite.append(name)
        elif math.isnan(theirs) and not math.isnan(ours):
            undefined.append(name)
    notes = []
    if infinite:
        notes.append(
            f"Infinite in both systems, without a difference: "
            f"{', '.join(infinite)}."
        )
    if undefined:
        notes.append(
            f"Undefined for the baseline, without a difference: "
            f"{', '.join(undefined)}."
        )
    return notes


def _interval_notes(intervals: ResamplingResult) -> list[str]:
    """Says which intervals are missing, or not to be trusted."""
    notes = []
    missing = [
        METRIC_NAMES[name]
        for name, own in intervals.overall.items()
        if math.isnan(own.low) and not math.isnan(own.estimate)
    ]
    if missing:
        notes.append(
            f"Without an interval: {', '.join(missing)}. In too many of the "
            f"{intervals.num_resamples:,} random halves of the clips they are "
            f"undefined or infinite, or they are infinite for the whole."
        )
    num_drawn = intervals.num_groups or intervals.num_clips
    if num_drawn < MIN_CLIPS:
        what = "clip" if intervals.num_groups is None else "group"
        notes.append(
            f"Intervals are unreliable: there are "
            f"{count_of(num_drawn, what)}, and {MIN_CLIPS} are needed."
        )
    if intervals.num_classes_few_clips:
        notes.append(
            f"{count_of(intervals.num_classes_few_clips, 'class')} with a "
            f"positive or a negative in fewer than {MIN_CLIPS_OF_CLASS} clips: "
            f"no interval of the class's AUC."
        )
    return notes


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
    result: EvalResult, baseline: EvalResult | None, details: EvalDetails
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
      baseline_auc_low, baseline_auc_high, auc_difference_low and
      auc_difference_high.
    """
    table = result.per_class.copy()

    def join(other: pd.DataFrame, columns: Sequence[str], prefix: str) -> None:
        by_mid = other.set_index("mid").reindex(table["mid"])
        for column in columns:
            table[prefix + column] = by_mid[column].to_numpy()

    if details.intervals is not None:
        join(details.intervals.per_class, ("auc_low", "auc_high"), "")
    if baseline is None:
        return table
    join(baseline.per_class, CLASS_METRICS, "baseline_")
    if details.baseline_intervals is not None:
        theirs = details.baseline_intervals.per_class
        join(theirs, ("auc_low", "auc_high"), "baseline_")
    for name in CLASS_METRICS:
        table[f"{name}_difference"] = table[name] - table[f"baseline_{name}"]
    if details.paired is not None:
        columns = ("auc_difference_low", "auc_difference_high")
        join(details.paired.per_class, columns, "")
    return table
