"""ROC curves of each class, thinned to what a page can show.

Conventions:
  * A curve goes from (0, 0) to (1, 1), from the highest score down; a tie of
    positives and negatives is a slanted line, as AUC counts it.
  * A curve of more corners than may be kept is cut at equal lengths, measured
    along both axes, with n points 2 / (n - 1) apart. No point of the curve is
    then further than 1 / (n - 1), in both axes together, from what is drawn.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.ranking import ClassRanking, rank_classes

# Enough that no curve is off by more than 1/25 along the axes; 527 classes of
# two systems then take 0.2 MB of the page, one evaluation.
MAX_POINTS = 26

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class RocCurves:
    """Curves of the classes that have an AUC.

    Attributes:
      points: By mid, float64 `[num_points, 2]` in [0, 1], ascending: false
        positive rate and true positive rate.
      max_points: Points that a curve has at most.
    """

    points: dict[str, _Floats]
    max_points: int


def roc_curves(
    items: EvalItems,
    max_points: int = MAX_POINTS,
    rankings: Sequence[ClassRanking] | None = None,
) -> RocCurves:
    """Computes the ROC curve of every class that has one.

    Args:
      items: Aligned scores, positives and negatives.
      max_points: Points of a curve, at least 2.
      rankings: `ranking.rank_classes` of the items, if it is there already.

    Returns:
      The curves.

    Raises:
      InputError: A score is NaN.
    """
    if rankings is None:
        rankings = rank_classes(
            items.scores, items.is_positive, items.is_negative
        )
    return RocCurves(
        points={
            mid: thinned(roc_corners(ranking), max_points)
            for mid, ranking in zip(items.mids.tolist(), rankings, strict=True)
            if ranking.num_pairs
        },
        max_points=max_points,
    )


def roc_corners(ranking: ClassRanking) -> _Floats:
    """Finds the corners of the ROC curve of a class.

    Only positives make corners: between two of them the curve runs level.

    Args:
      ranking: Of a class with a positive and a negative.

    Returns:
      float64 `[num_corners, 2]` in [0, 1], ascending.
    """
    # One of each tie of positives, from the highest score down.
    _, first = np.unique(ranking.true_positives, return_index=True)
    true, false, tied = (
        values[first].astype(np.float64)
        for values in (
            ranking.true_positives,
            ranking.false_positives,
            ranking.num_tied,
        )
    )
    corners = np.zeros((2 * true.size + 2, 2))
    corners[1:-1:2, 0], corners[2:-1:2, 0] = false - tied, false
    corners[3:-1:2, 1], corners[2:-1:2, 1] = true[:-1], true
    corners /= ranking.num_negatives, ranking.true_positives.size
    corners[-1] = 1, 1
    is_new = np.r_[True, (np.diff(corners, axis=0) != 0).any(axis=1)]
    distinct: _Floats = corners[is_new]
    return distinct


def thinned(corners: _Floats, max_points: int) -> _Floats:
    """Cuts a curve at equal lengths if it has too many corners.

    Args:
      corners: float64 `[num_corners, 2]`, ascending from (0, 0) to (1, 1).
      max_points: Points to keep, at least 2.

    Returns:
      float64 `[at most max_points, 2]`, on the curve, ascending.
    """
    if len(corners) <= max_points:
        return corners
    length = corners.sum(axis=1)  # Both axes only ever rise.
    cuts = np.linspace(0, 2, max_points)
    return np.stack(
        [np.interp(cuts, length, corners[:, axis]) for axis in (0, 1)], axis=1
    )
