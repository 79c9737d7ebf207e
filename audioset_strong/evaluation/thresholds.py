"""Thresholds: the score from which on a class counts as present.

For each class the threshold that maximises F1 over the items of a validation
set: label frames (Strong eval) or clips (Weak eval). An item is accepted where
its score is the threshold or more.

Conventions:
  * A threshold lies halfway between the lowest accepted score and the next
    lower one, so that rounding of scores moves no item across it; where nothing
    lies below, it is the lowest score.
  * Where several give the same F1, the highest holds: fewest false alarms.
  * F1 says nothing of a class without positives, and accepting everything is
    best for one without negatives. Such classes get a default, and a reason.
  * F1 is of the items that chose the threshold: optimistic where they are few.

F1 depends on how common the class is among the items. Explicit negatives are
some of the hardest clips and few, so that thresholds chosen against them are
too low for audio as it comes; implied ones are the default.

Source: our choice, the paper uses no thresholds (BUILD_NOTES.md "Thresholds").
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.ground_truth import EvalItems

DEFAULT_THRESHOLD = 0.5

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]

# Classes copied to contiguous columns at a time, as in `d_prime.py`.
_CLASS_BLOCK = 32

# Float rounding of probabilities.
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class ThresholdParams:
    """How thresholds are chosen.

    Attributes:
      default_threshold: Threshold of classes that the items say nothing of.
      min_positives: Classes with fewer positives get the default.
    """

    default_threshold: float = DEFAULT_THRESHOLD
    min_positives: int = 1

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not np.isfinite(self.default_threshold):
            raise InputError(
                f"default_threshold must be finite. Received: "
                f"{self.default_threshold}."
            )
        if self.min_positives < 1:
            raise InputError(
                f"min_positives must be 1 or more. Received: "
                f"{self.min_positives}."
            )


class Accepted(NamedTuple):
    """What a threshold accepts of one class.

    Attributes:
      threshold: Least score that is accepted.
      f1: Harmonic mean of precision and recall, in [0, 1]; NaN without any
        positive.
      precision: Share of accepted items that are positive; NaN if none is.
      recall: Share of positives that are accepted; NaN without any.
    """

    threshold: float
    f1: float
    precision: float
    recall: float


def best_f1_threshold(
    positive_scores: npt.NDArray[np.floating[Any]],
    negative_scores: npt.NDArray[np.floating[Any]],
) -> Accepted:
    """Finds the threshold of one class with the highest F1.

    Args:
      positive_scores: float `[num_positives]`, at least one, finite.
      negative_scores: float `[num_negatives]`, finite.

    Returns:
      The threshold (module docstring) and what it accepts.
    """
    # The lowest accepted score is a positive's: a negative there only costs.
    candidates, num_equal = np.unique(positive_scores, return_counts=True)
    candidates, num_equal = candidates[::-1], num_equal[::-1]
    num_true = np.cumsum(num_equal)
    negatives = np.sort(negative_scores[negative_scores >= candidates[-1]])
    num_false = negatives.size - np.searchsorted(negatives, candidates)
    # 2 precision recall / (precision + recall), in whole numbers up to the one
    # division, so that equal values are equal in floating point too.
    f1 = 2 * num_true / (num_true + num_false + positive_scores.size)
    best = int(np.argmax(f1))  # the first, which is the highest score
    lowest = candidates[best]
    lower = [
        scores[scores < lowest] for scores in (candidates, negative_scores)
    ]
    next_lower = np.concatenate(lower).max(initial=-np.inf)
    if np.isneginf(next_lower):
        next_lower = lowest
    # float64 holds the middle of any two float16 or float32.
    threshold = _middle(float(lowest), float(next_lower))
    return accepted_at(threshold, positive_scores, negative_scores)


def _middle(high: float, low: float) -> float:
    """Returns the middle of two scores, above `low` where `high` is."""
    middle = low + (high - low) / 2
    return middle if middle > low else high


def accepted_at(
    threshold: float,
    positive_scores: npt.NDArray[np.floating[Any]],
    negative_scores: npt.NDArray[np.floating[Any]],
) -> Accepted:
    """Counts what a threshold accepts of one class.

    Args:
      threshold: Least score that is accepted.
      positive_scores: float `[num_positives]`.
      negative_scores: float `[num_negatives]`.

    Returns:
      F1, precision and recall.
    """
    # As arrays of float64, because NumPy would round a float to float16.
    least = np.asarray([threshold])
    num_true = int((positive_scores >= least).sum())
    num_accepted = num_true + int((negative_scores >= least).sum())
    return Accepted(
        threshold=float(threshold),
        f1=_share(2 * num_true, num_accepted + positive_scores.size)
        if positive_scores.size
        else float("nan"),
        precision=_share(num_true, num_accepted),
        recall=_share(num_true, positive_scores.size),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def choose_thresholds(
    items: EvalItems,
    params: ThresholdParams = ThresholdParams(),
    display_names: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Chooses the threshold of each class that maximises F1.

    Args:
      items: Label frames or clips of a validation set (`ground_truth.py`).
        Those that are neither positive nor negative take no part.
      params: What is left to choose.
      display_names: Name of each mid.

    Returns:
      One row a class, in the order of the scores: mid str, display_name str,
      threshold float64, f1, precision and recall float64 in [0, 1] with NaN
      where undefined, num_positives and num_negatives int64, reason str: why
      the class has the default threshold, "" where F1 chose.
    """
    names = display_names or {}
    rows = []
    for start in range(0, items.mids.size, _CLASS_BLOCK):
        block = np.s_[start : start + _CLASS_BLOCK]
        # float16 is widened, which is exact: NumPy sorts it slowly.
        wide = np.result_type(items.scores.dtype, np.float32)
        scores = np.ascontiguousarray(items.scores[:, block].T, dtype=wide)
        positive = np.ascontiguousarray(items.is_positive[:, block].T)
        negative = np.ascontiguousarray(items.is_negative[:, block].T)
        for row, p, n in zip(scores, positive, negative, strict=True):
            rows.append(_class_row(row[p], row[n], params))
    table = pd.DataFrame(rows)
    mids = [str(mid) for mid in items.mids]
    table.insert(0, "mid", mids)
    table.insert(1, "display_name", [names.get(mid, "") for mid in mids])
    return table


def _class_row(
    positive_scores: npt.NDArray[np.floating[Any]],
    negative_scores: npt.NDArray[np.floating[Any]],
    params: ThresholdParams,
) -> dict[str, Any]:
    """Chooses the threshold of one class."""
    num_positives, num_negatives = positive_scores.size, negative_scores.size
    reason = ""
    if num_positives == 0:
        reason = "no positives"
    elif num_negatives == 0:
        reason = "no negatives"
    elif num_positives < params.min_positives:
        reason = f"fewer than {params.min_positives} positives"
    if reason:
        accepted = accepted_at(
            params.default_threshold, positive_scores, negative_scores
        )
    else:
        accepted = best_f1_threshold(positive_scores, negative_scores)
    return {
        **accepted._asdict(),
        "num_positives": num_positives,
        "num_negatives": num_negatives,
        "reason": reason,
    }


def summary_text(table: pd.DataFrame) -> str:
    """Says how many thresholds `choose_thresholds` chose, and their F1."""
    f1 = table.loc[table["reason"] == "", "f1"]
    mean = f", mean F1 {f1.mean():.3f}" if len(f1) else ""
    return f"Thresholds of {len(f1)} of {len(table)} classes{mean}"


def warn_of_defaults(table: pd.DataFrame) -> None:
    """Logs which classes of `choose_thresholds` have the default, and why."""
    for reason, rows in table[table["reason"] != ""].groupby("reason"):
        logging.warning(
            "%d classes get the default threshold %g: %s, such as %s.",
            len(rows),
            rows["threshold"].iloc[0],
            reason,
            rows["mid"].iloc[0],
        )


def score_range(items: EvalItems) -> tuple[float, float]:
    """Returns the lowest and the highest score of the items."""
    return float(items.scores.min()), float(items.scores.max())


def are_probabilities(low: float, high: float) -> bool:
    """Whether scores of this range can be probabilities."""
    return low >= -_TOLERANCE and high <= 1 + _TOLERANCE
