"""Items of one evaluation -> its intervals, ROC curves and worst errors.

Made while the items are in memory, so that a report of all evaluations never
needs the items of more than one.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from audioset_strong.errors import InputError
from audioset_strong.evaluation.bootstrap import check_level, intervals_of
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.paired_bootstrap import compare_resamples
from audioset_strong.evaluation.ranking import ClassRanking
from audioset_strong.evaluation.report_content import EvalDetails
from audioset_strong.evaluation.report_curves import roc_curves
from audioset_strong.evaluation.report_errors import worst_items
from audioset_strong.evaluation.resampling import resample_classes


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootstrapSettings:
    """How intervals are made.

    Attributes:
      num_resamples: Resamples of the clips; 0 for no intervals.
      seed: What clips are drawn with.
      level: Share of resamples that an interval holds, in (0, 1).
    """

    num_resamples: int = 1000
    seed: int = 0
    level: float = 0.95


def detail_items(
    items: EvalItems,
    evaluation: str,
    negatives: str,
    baseline_items: EvalItems | None = None,
    *,
    settings: BootstrapSettings = BootstrapSettings(),
    rank_over: str = "all",
    names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    baseline_rankings: Sequence[ClassRanking] | None = None,
) -> EvalDetails:
    """Makes everything that a report shows beside the metrics.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak".
      negatives: Their kind of negatives.
      baseline_items: Those of the baseline.
      settings: How intervals are made; without resamples there are none.
      rank_over: Classes that lwlrap ranks.
      names: Display name of each mid.
      rankings: `ranking.rank_classes` of the items, if it is there already.
      baseline_rankings: The same of the baseline.

    Returns:
      The details.

    Raises:
      InputError: A score is NaN, or there are too few resamples for the level.
    """
    details = EvalDetails(
        evaluation,
        negatives,
        curves=roc_curves(items, rankings=rankings),
        baseline_curves=None
        if baseline_items is None
        else roc_curves(baseline_items, rankings=baseline_rankings),
        worst=worst_items(items, evaluation, names=names),
    )
    if not settings.num_resamples:
        return details
    return _with_intervals(details, items, baseline_items, settings, rank_over)


def _with_intervals(
    details: EvalDetails,
    items: EvalItems,
    baseline_items: EvalItems | None,
    settings: BootstrapSettings,
    rank_over: str,
) -> EvalDetails:
    """Adds intervals, and differences if both systems have the same items."""
    check_level(settings.level, settings.num_resamples)
    options = (settings.num_resamples, settings.seed, rank_over)
    ours = resample_classes(items, *options)
    intervals = intervals_of(ours, settings.level)
    if baseline_items is None:
        return dataclasses.replace(details, intervals=intervals)
    theirs = resample_classes(baseline_items, *options)
    paired, reason = None, ""
    try:
        paired = compare_resamples(ours, theirs, settings.level)
    except InputError as error:
        reason = str(error)
    return dataclasses.replace(
        details,
        intervals=intervals,
        baseline_intervals=intervals_of(theirs, settings.level),
        paired=paired,
        not_paired_reason=reason,
    )
