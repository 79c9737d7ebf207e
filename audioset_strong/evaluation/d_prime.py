"""AUC and d' of each class.

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
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from audioset_strong.evaluation.ranking import (
    ClassRanking,
    rank_class,
    rank_classes,
)

_Bools = npt.NDArray[np.bool_]
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
