"""Calibration: do scores of 0.8 mean that 8 of 10 items are positive?

A reliability curve sorts items into bins of equal width by their score and sets
the mean score of a bin beside its share of positives. The expected calibration
error (ECE) is the mean distance of the two over bins, weighted by items:

    ECE = sum over bins of  num_items / num_all_items * |mean score - share|

Conventions:
  * Bin i of n holds scores in [i / n, (i + 1) / n); the last holds 1 too.
  * An item takes part in a class's curve if it is positive or negative for it.
    Pooled: all such (item, class) pairs together.
  * The share of positives depends on which negatives are counted: a curve over
    explicit negatives is of that set, not of audio as it comes.

Source: Guo et al., "On calibration of modern neural networks", ICML 2017,
Section 2; for one class at a time, as its items are (BUILD_NOTES.md
"Calibration").
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.thresholds import (
    are_probabilities,
    score_range,
)
from audioset_strong.output_files import open_output

NUM_BINS = 10

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

# Classes binned at a time: their items are widened to float64.
_CLASS_BLOCK = 32


@dataclasses.dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Scores against shares of positives, in bins.

    Attributes:
      mids: str `[num_classes]`.
      num_items: int64 `[num_classes, num_bins]`.
      num_positives: int64, same shape.
      score_sums: float64, same shape: sum of the scores of a bin.
    """

    mids: npt.NDArray[np.str_]
    num_items: _Ints
    num_positives: _Ints
    score_sums: _Floats

    @property
    def bin_edges(self) -> _Floats:
        """Edges of the bins, float64 `[num_bins + 1]`, from 0 to 1."""
        num_bins = self.num_items.shape[1]
        return np.arange(num_bins + 1) / num_bins

    @property
    def mean_scores(self) -> _Floats:
        """Mean score of each class's bin; NaN where it is empty."""
        return _ratio(self.score_sums, self.num_items)

    @property
    def positive_shares(self) -> _Floats:
        """Share of positives in each class's bin; NaN where it is empty."""
        return _ratio(self.num_positives, self.num_items)

    def pooled(self) -> "ReliabilityCurve":
        """Returns the curve of all classes together, as one class "pooled"."""
        return ReliabilityCurve(
            mids=np.array(["pooled"]),
            num_items=self.num_items.sum(axis=0, keepdims=True),
            num_positives=self.num_positives.sum(axis=0, keepdims=True),
            score_sums=self.score_sums.sum(axis=0, keepdims=True),
        )

    def calibration_errors(self) -> _Floats:
        """Returns the ECE of each class.

        Returns:
          float64 `[num_classes]` in [0, 1]; NaN for a class without items.
        """
        # A bin's weight cancels the division in its two means.
        distances = np.abs(self.score_sums - self.num_positives)
        return _ratio(distances.sum(axis=1), self.num_items.sum(axis=1))

    def table(
        self, display_names: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """Returns the curve as rows, the pooled one first.

        Args:
          display_names: Name of each mid.

        Returns:
          One row for each bin that has items: mid str ("pooled" for all
          classes), display_name str, bin_low and bin_high float64, num_items
          and num_positives int64, mean_score and positive_share float64, and
          calibration_error float64: the ECE over all bins of the class.
        """
        both = [_rows_of_bins(curve) for curve in (self.pooled(), self)]
        rows = pd.concat(both, ignore_index=True)
        names = display_names or {}
        rows.insert(1, "display_name", [names.get(m, "") for m in rows["mid"]])
        return rows


def _ratio(part: _Floats | _Ints, whole: _Ints) -> _Floats:
    with np.errstate(invalid="ignore"):  # 0 / 0
        ratio: _Floats = np.asarray(part / whole, dtype=np.float64)
    return ratio


def _rows_of_bins(curve: ReliabilityCurve) -> pd.DataFrame:
    """Lists the bins that have items."""
    column, bin_index = np.nonzero(curve.num_items)
    cells = column, bin_index
    return pd.DataFrame(
        {
            "mid": curve.mids[column].astype(object),
            "bin_low": curve.bin_edges[bin_index],
            "bin_high": curve.bin_edges[bin_index + 1],
            "num_items": curve.num_items[cells],
            "num_positives": curve.num_positives[cells],
            "mean_score": curve.mean_scores[cells],
            "positive_share": curve.positive_shares[cells],
            "calibration_error": curve.calibration_errors()[column],
        }
    )


def reliability_curve(
    items: EvalItems, num_bins: int = NUM_BINS
) -> ReliabilityCurve:
    """Bins the items of each class by their scores.

    Args:
      items: Label frames or clips (`ground_truth.py`), with scores in [0, 1].
      num_bins: Bins of [0, 1].

    Returns:
      The curve of every class.

    Raises:
      InputError: Scores are not probabilities, or `num_bins` is below 1.
    """
    if num_bins < 1:
        raise InputError(f"num_bins must be 1 or more. Received: {num_bins}.")
    low, high = score_range(items)
    if not are_probabilities(low, high):
        raise InputError(
            f"A reliability curve needs probabilities, scores in [0, 1]; found "
            f"{low:g} to {high:g}. If they are logits, take their sigmoid."
        )
    num_classes = items.mids.size
    counts = np.zeros((2, num_classes, num_bins), dtype=np.int64)
    sums = np.zeros((num_classes, num_bins))
    for start in range(0, num_classes, _CLASS_BLOCK):
        block = np.s_[start : start + _CLASS_BLOCK]
        counts[:, block], sums[block] = _bin_block(items, block, num_bins)
    return ReliabilityCurve(items.mids, counts[0], counts[1], sums)


def write_reliability(
    curve: ReliabilityCurve,
    path: str | os.PathLike[str],
    display_names: Mapping[str, str] | None = None,
) -> None:
    """Writes `ReliabilityCurve.table` as a CSV.

    Args:
      curve: Of every class.
      path: CSV to write; the folder exists.
      display_names: Name of each mid.
    """
    with open_output(path) as file:
        table = curve.table(display_names)
        table.to_csv(file, index=False, lineterminator="\n")


def _bin_block(
    items: EvalItems, block: slice, num_bins: int
) -> tuple[_Ints, _Floats]:
    """Bins a few classes.

    Returns:
      int64 `[2, num_classes_of_block, num_bins]`: items and positives.
      float64 `[num_classes_of_block, num_bins]`: sums of scores.
    """
    positive = items.is_positive[:, block]
    row, column = np.nonzero(positive | items.is_negative[:, block])
    scores = items.scores[:, block][row, column].astype(np.float64)
    # The last bin holds 1 too.
    bins = np.clip((scores * num_bins).astype(np.int64), 0, num_bins - 1)
    cell = column * num_bins + bins
    num_classes = positive.shape[1]

    def sums_of(values: npt.NDArray[Any]) -> _Floats:
        sums = np.bincount(cell, values, minlength=num_classes * num_bins)
        return sums.astype(np.float64).reshape(num_classes, num_bins)

    # Sums of ones in float64 are whole numbers.
    ones = np.ones(scores.size)
    counts = np.stack([sums_of(ones), sums_of(positive[row, column])])
    return counts.astype(np.int64), sums_of(scores)
