"""Where the positives of a class stand among its negatives.

AUC and average precision of a class depend on the order of its listed scores
only: on how many positives and negatives score at or above each positive. Here
those are counted, once for both metrics.
"""

import concurrent.futures
import dataclasses
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]
_Scores = npt.NDArray[np.floating[Any]]

# Classes copied to contiguous columns at a time: a column of a row-major array
# would be read from memory cell by cell.
_CLASS_BLOCK = 32

# The bits of an infinite float16 without its sign; those of NaN are larger.
_INFINITE_FLOAT16 = 0x7C00


@dataclasses.dataclass(frozen=True, eq=False)
class ClassRanking:
    """Listed scores of one class, at each of its positives.

    Attributes:
      num_negatives: Negatives of the class.
      true_positives: int64 `[num_positives]`, ascending scores: positives that
        score at or above this one, itself among them.
      false_positives: int64 `[num_positives]`, negatives at or above it.
      num_tied: int64 `[num_positives]`, negatives with its very score.
    """

    num_negatives: int
    true_positives: _Ints
    false_positives: _Ints
    num_tied: _Ints

    @property
    def num_pairs(self) -> int:
        """(positive, negative) pairs; 0 where the metrics are undefined."""
        return self.true_positives.size * self.num_negatives


def rank_class(
    positive_scores: npt.NDArray[Any], negative_scores: npt.NDArray[Any]
) -> ClassRanking:
    """Counts what scores at or above each positive of a class.

    Args:
      positive_scores: real `[num_positives]`, no NaN.
      negative_scores: real `[num_negatives]`, no NaN.

    Returns:
      The counts.
    """
    positives = _sort(positive_scores)
    negatives = _sort(negative_scores)
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    first_of_tie = np.searchsorted(positives, positives, side="left")
    return ClassRanking(
        num_negatives=negatives.size,
        true_positives=positives.size - first_of_tie,
        false_positives=negatives.size - below,
        num_tied=not_above - below,
    )


def rank_classes(
    scores: _Scores,
    is_positive: _Bools,
    is_negative: _Bools,
    num_threads: int | None = None,
) -> list[ClassRanking]:
    """Ranks the listed items of every class.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      is_positive: bool, same shape.
      is_negative: bool, same shape; an item that is neither is unknown and
        takes no part.
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      One ranking a class.

    Raises:
      InputError: The shapes differ or a score is NaN.
    """
    if not scores.shape == is_positive.shape == is_negative.shape:
        raise InputError(
            f"scores, is_positive and is_negative must have one shape "
            f"[num_items, num_classes]. Received: {scores.shape}, "
            f"{is_positive.shape}, {is_negative.shape}."
        )

    def rank_block(start: int) -> list[ClassRanking]:
        block = np.s_[:, start : start + _CLASS_BLOCK]
        positive = np.ascontiguousarray(is_positive[block].T)
        negative = np.ascontiguousarray(is_negative[block].T)
        by_class = sortable(np.ascontiguousarray(scores[block].T))
        rows = zip(by_class, positive, negative, strict=True)
        return [rank_class(row[p], row[n]) for row, p, n in rows]

    starts = range(0, scores.shape[1], _CLASS_BLOCK)
    with thread_pool(num_threads) as pool:
        blocks = pool.map(rank_block, starts)
        return [ranking for block in blocks for ranking in block]


def sortable(scores: _Scores) -> npt.NDArray[Any]:
    """Turns scores into numbers that NumPy sorts and compares fast.

    Args:
      scores: float, any shape.

    Returns:
      Numbers of the same order and the same ties, same shape: int16 for
      float16, for which NumPy is ten times slower; else the scores themselves.

    Raises:
      InputError: A score is NaN.
    """
    if scores.dtype != np.float16:
        _refuse_nan(bool(np.isnan(scores).any()))
        return scores
    # Without its sign bit, a float is larger where its bits are. Both zeros
    # become 0.
    bits = scores.view(np.int16)
    magnitude = bits & np.int16(0x7FFF)
    _refuse_nan(bool((magnitude > _INFINITE_FLOAT16).any()))
    return np.where(bits < 0, -magnitude, magnitude)


def _refuse_nan(is_any_nan: bool) -> None:
    if is_any_nan:
        raise InputError("scores must not be NaN. Check the model.")


def thread_pool(num_threads: int | None) -> concurrent.futures.Executor:
    """Opens a pool; None is one thread a processor, but no more than 8.

    Each thread needs memory of its own.
    """
    return concurrent.futures.ThreadPoolExecutor(
        num_threads or min(8, os.cpu_count() or 1)
    )


def _sort(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # For 16-bit integers "stable" is a radix sort; for others it is slower.
    is_short = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    return np.sort(values, kind="stable" if is_short else "quicksort")
