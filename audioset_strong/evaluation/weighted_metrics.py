"""AUC and average precision of a class under many weightings of the clips.

In a bootstrap resample a clip counts as often as it was drawn. The order of the
scores stays, so it is found once: a sparse matrix counts the class's items of
each clip between one positive's score and the next, and its product with the
clip weights gives the counts of every resample.

Everything is a whole number up to the last division, so that AUC is the very
number of the plain metric on the items repeated.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class ClassCounts:
    """Items of one class, by clip and by their place in the ranking.

    Place g is the g-th highest distinct score of a positive; a negative has
    the place of the highest positive that it does not score below, and the
    place `num_places` below them all.

    Attributes:
      num_places: Distinct scores of positives.
      matrix: `[2 * num_places + 1 (+ num_places), num_clips]`: the positives at
        each place, the negatives at each place and below, and, if any are tied
        with a positive, the tied ones at each place.
    """

    num_places: int
    matrix: sparse.csr_array


def count_items(
    positive_scores: npt.NDArray[Any],
    positive_clips: _Ints,
    negative_scores: npt.NDArray[Any],
    negative_clips: _Ints,
    num_clips: int,
) -> ClassCounts:
    """Counts the items of a class by clip and place.

    Args:
      positive_scores: real `[num_positives]`, no NaN.
      positive_clips: int64, same shape, in [0, num_clips).
      negative_scores: real `[num_negatives]`, no NaN.
      negative_clips: int64, same shape.
      num_clips: How many clips there are.

    Returns:
      The counts.
    """
    distinct, index = np.unique(positive_scores, return_inverse=True)
    num_places = distinct.size
    num_not_above = np.searchsorted(distinct, negative_scores, side="right")
    place = num_places - num_not_above
    is_tied = np.zeros(place.size, dtype=bool)
    if num_places:
        below = distinct[np.maximum(num_not_above - 1, 0)]
        is_tied = (num_not_above > 0) & (below == negative_scores)
    rows = [num_places - 1 - index, num_places + place]
    clips = [positive_clips, negative_clips]
    if is_tied.any():
        rows.append(2 * num_places + 1 + place[is_tied])
        clips.append(negative_clips[is_tied])
    num_rows = (len(rows)) * num_places + 1
    row, clip = np.concatenate(rows), np.concatenate(clips)
    # float32, the type of the weights, which a product then keeps.
    counts = sparse.coo_array(
        (np.ones(row.size, np.float32), (row, clip)),
        shape=(num_rows, num_clips),
    )
    return ClassCounts(num_places, counts.tocsr())


def weighted_auc_and_average_precision(
    counts: ClassCounts, weights: npt.NDArray[np.floating[Any]]
) -> tuple[_Floats, _Floats]:
    """Computes both metrics for several weightings of the clips.

    Args:
      counts: Items of the class.
      weights: float `[num_clips, num_resamples]`, whole numbers >= 0: how
        often each clip was drawn.

    Returns:
      auc: float64 `[num_resamples]` in [0, 1]; NaN where no positive or no
        negative was drawn.
      average_precision: float64 `[num_resamples]` in (0, 1]; NaN likewise.
    """
    if not counts.num_places:
        nothing = np.full(weights.shape[1], np.nan)
        return nothing, nothing
    n = counts.num_places
    drawn = (counts.matrix @ weights).astype(np.float64)
    positives = drawn[:n]
    true_positives = np.cumsum(positives, axis=0)
    false_positives = np.cumsum(drawn[n : 2 * n + 1], axis=0)
    num_positives = true_positives[-1]
    twice_pairs = 2 * num_positives * false_positives[-1]
    false_positives = false_positives[:-1]

    # A negative above a positive is wrong by two halves, a tied one by one.
    twice_wrong = 2 * false_positives
    if drawn.shape[0] > 2 * n + 1:
        twice_wrong -= drawn[2 * n + 1 :]
    num_twice_wrong = np.einsum("pr,pr->r", twice_wrong, positives)

    # Where nothing was drawn so far there is no positive either: 0 / 1.
    precision = true_positives / np.maximum(true_positives + false_positives, 1)
    precisions = np.einsum("pr,pr->r", precision, positives)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (twice_pairs - num_twice_wrong) / twice_pairs
        average_precision = precisions / num_positives
    average_precision[twice_pairs == 0] = np.nan
    return auc, average_precision
