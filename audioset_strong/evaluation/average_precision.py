"""Average precision of each class, and its mean over classes (mAP).

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
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.evaluation.ranking import (
    ClassRanking,
    rank_class,
    rank_classes,
)

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]


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
