"""Items of one evaluation -> its intervals, ROC curves and worst errors.

Made of one system after another while its items are in memory, so that a report
never needs the items of more than one system and one evaluation.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.bootstrap import check_level, intervals_of
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.paired_bootstrap import compare_resamples
from audioset_strong.evaluation.ranking import ClassRanking
from audioset_strong.evaluation.report_content import EvalDetails
from audioset_strong.evaluation.report_curves import RocCurves, roc_curves
from audioset_strong.evaluation.report_errors import worst_items
from audioset_strong.evaluation.resampling import (
    ClassResamples,
    resample_classes,
)


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


@dataclasses.dataclass(frozen=True, eq=False)
class SystemDetails:
    """What one system gives to the details; small beside its items.

    Attributes:
      curves: ROC curves.
      worst: `report_errors.worst_items`; None of a baseline.
      resamples: Metrics of resamples; None for no intervals.
    """

    curves: RocCurves
    worst: pd.DataFrame | None
    resamples: ClassResamples | None


def system_details(
    items: EvalItems,
    evaluation: str,
    *,
    settings: BootstrapSettings = BootstrapSettings(),
    rank_over: str = "all",
    names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    is_baseline: bool = False,
) -> SystemDetails:
    """Makes everything of one system that a report shows beside the metrics.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak".
      settings: How intervals are made; without resamples there are none.
      rank_over: Classes that lwlrap ranks.
      names: Display name of each mid.
      rankings: `ranking.rank_classes` of the items, if it is there already.
      is_baseline: Whether the worst errors, which are not shown, are left out.

    Raises:
      InputError: A score is NaN, or there are too few resamples for the level.
    """
    resamples = None
    if settings.num_resamples:
        check_level(settings.level, settings.num_resamples)
        resamples = resample_classes(
            items, settings.num_resamples, settings.seed, rank_over
        )
    return SystemDetails(
        roc_curves(items, rankings=rankings),
        None if is_baseline else worst_items(items, evaluation, names=names),
        resamples,
    )


def join_details(
    evaluation: str,
    negatives: str,
    ours: SystemDetails,
    baseline: SystemDetails | None = None,
    level: float = BootstrapSettings.level,
) -> EvalDetails:
    """Puts the details of one or two systems together.

    Args:
      evaluation: "strong" or "weak".
      negatives: The kind of negatives.
      ours: Of the system that is evaluated.
      baseline: Of the system that it is compared with.
      level: Of the intervals.

    Returns:
      The details, with differences if both systems have the same items.
    """
    details = EvalDetails(
        evaluation, negatives, curves=ours.curves, worst=ours.worst
    )
    if ours.resamples is not None:
        intervals = intervals_of(ours.resamples, level)
        details = dataclasses.replace(details, intervals=intervals)
    if baseline is None:
        return details
    details = dataclasses.replace(details, baseline_curves=baseline.curves)
    if ours.resamples is None or baseline.resamples is None:
        return details
    paired, reason = None, ""
    try:
        paired = compare_resamples(ours.resamples, baseline.resamples, level)
    except InputError as error:
        reason = str(error)
    return dataclasses.replace(
        details,
        baseline_intervals=intervals_of(baseline.resamples, level),
        paired=paired,
        not_paired_reason=reason,
    )
