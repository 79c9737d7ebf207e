"""Odds ratios between weak and strong classes over common clips.

For a weak class w and a strong class s, each clip falls in one cell:

                     strong s      not strong s
    weak w           num_both      num_weak_only
    not weak w       num_strong_only   num_neither

    odds ratio = num_both * num_neither / (num_weak_only * num_strong_only)

Above 1, a clip with one label is likelier to have the other. The ratio is the
same from either side; the paper's "both directions" are two rankings of the
same numbers: the strong classes of a weak class, and the weak classes of a
strong class (`top_associations`).

The Haldane-Anscombe correction adds 0.5 to each cell, so that an empty cell
gives a large but finite ratio. The interval is Wald's, on the corrected cells:

    log OR +- z * sqrt(1/num_both + 1/num_weak_only + ...)

Source: Section 3.1 of the paper, which does not mention a correction; the
correction, the interval and the least number of common clips are our choice
(BUILD_NOTES.md "Odds ratios").
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from audioset_strong.errors import InputError
from audioset_strong.label_analysis.statistics import CommonClips

# For which side of a pair the other side is ranked.
DIRECTIONS = ("weak", "strong")


@dataclasses.dataclass(frozen=True)
class OddsRatioParams:
    """How odds ratios are computed and ranked.

    Attributes:
      haldane_correction: Added to each cell of the 2x2 tables; 0 for none, and
        then a ratio can be inf, 0 or NaN.
      confidence: Level of the confidence intervals.
      min_common_clips: Fewest clips with both classes for a place in a ranked
        list. The ratio of a few clips is large by chance.
      num_top: Length of a ranked list.
    """

    haldane_correction: float = 0.5
    confidence: float = 0.95
    min_common_clips: int = 5
    num_top: int = 10

    def __post_init__(self) -> None:
        """Raises `InputError` for a setting that is out of its range."""
        if not 0 < self.confidence < 1:
            raise InputError(
                f"Expected 0 < confidence < 1. Received: {self.confidence}."
            )
        if not 0 <= self.haldane_correction < math.inf:
            raise InputError(
                f"Expected a finite haldane_correction >= 0. Received: "
                f"{self.haldane_correction}."
            )
        if self.min_common_clips < 1 or self.num_top < 1:
            raise InputError(
                f"Expected min_common_clips >= 1 and num_top >= 1. Received: "
                f"{self.min_common_clips}, {self.num_top}."
            )


def odds_ratios(
    common: CommonClips, params: OddsRatioParams = OddsRatioParams()
) -> pd.DataFrame:
    """Computes the odds ratio of every pair of classes that share a clip.

    Pairs without a common clip are left out: most of them are two rare classes
    about which nothing is known, and there are as many as classes squared.

    Returns:
      A row a pair, sorted by weak_mid, strong_mid: `weak_mid`, `strong_mid`
      str; the cells `num_both`, `num_weak_only`, `num_strong_only`,
      `num_neither` int64, uncorrected; and as `odds_ratio_of_cells` returns
      them `odds_ratio`, `log_odds_ratio`, `log_odds_ratio_se`, `ci_low`,
      `ci_high` float64.
    """
    weak, strong = common.weak, common.strong
    # Sparse [num_weak_classes, num_strong_classes]: num_both where it is not 0.
    both = (weak.matrix.T @ strong.matrix).tocsr()
    both.sort_indices()
    both = both.tocoo()
    num_both = both.data.astype(np.int64)  # [num_pairs], as those that follow
    num_weak_only = weak.clips_per_class[both.row] - num_both
    num_strong_only = strong.clips_per_class[both.col] - num_both
    cells = {
        "num_both": num_both,
        "num_weak_only": num_weak_only,
        "num_strong_only": num_strong_only,
        "num_neither": (
            common.num_clips - num_both - num_weak_only - num_strong_only
        ),
    }
    mids = {
        "weak_mid": weak.mids[both.row],
        "strong_mid": strong.mids[both.col],
    }
    ratios = odds_ratio_of_cells(np.stack(list(cells.values())), params)
    return pd.DataFrame({**mids, **cells, **ratios})


def odds_ratio_of_cells(
    cells: npt.NDArray[np.int64], params: OddsRatioParams = OddsRatioParams()
) -> dict[str, npt.NDArray[np.float64]]:
    """Computes odds ratios and their confidence intervals of 2x2 tables.

    Args:
      cells: int64 `[4, num_pairs]`, at least 0: clips with both classes, the
        weak one only, the strong one only, neither.
      params: Correction and confidence.

    Returns:
      float64 `[num_pairs]` each: `odds_ratio`, `log_odds_ratio` (natural
      logarithm), `log_odds_ratio_se` (its standard error), `ci_low` and
      `ci_high` (bounds of the odds ratio). Without a correction an empty cell
      gives a ratio of inf or 0, or NaN where both products are 0; Wald's
      interval is not defined then, and the last three are NaN.
    """
    corrected = cells.astype(np.float64) + params.haldane_correction
    # [num_pairs] each
    both, weak_only, strong_only, neither = corrected
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (both * neither) / (weak_only * strong_only)
        log_ratio = np.log(ratio)
        standard_error = np.sqrt((1.0 / corrected).sum(axis=0))
    standard_error[~np.isfinite(standard_error)] = np.nan
    z = scipy.special.ndtri(0.5 + params.confidence / 2)
    half_width = z * standard_error
    return {
        "odds_ratio": ratio,
        "log_odds_ratio": log_ratio,
        "log_odds_ratio_se": standard_error,
        "ci_low": np.exp(log_ratio - half_width),
        "ci_high": np.exp(log_ratio + half_width),
    }


def top_associations(
    pairs: pd.DataFrame,
    mid: str,
    direction: str,
    params: OddsRatioParams = OddsRatioParams(),
) -> pd.DataFrame:
    """Ranks the classes of the other label set for one class.

    Args:
      pairs: What `odds_ratios` returned.
      mid: The class.
      direction: "weak": `mid` is a weak class and strong ones are ranked;
        "strong": the other way round.
      params: Fewest common clips, and how many to return.

    Returns:
      Rows of `pairs`, largest odds ratio first, of equal ones that with more
      common clips; `rank` int64 from 1 is put in front. The class itself is
      added at the end where it is not among the first, with its rank, or with
      rank 0 where it has too few common clips to have one. No rows if there is
      no such class.
    """
    (other,) = set(DIRECTIONS) - {direction}
    of_class = pairs[pairs[f"{direction}_mid"] == mid]
    is_ranked = (of_class["num_both"] >= params.min_common_clips) & of_class[
        "odds_ratio"
    ].notna()
    keys = ["odds_ratio", "num_both", f"{other}_mid"]
    ranked = of_class[is_ranked].sort_values(
        keys, ascending=[False, False, True], ignore_index=True
    )
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1, dtype=np.int64))
    unranked = of_class[~is_ranked].assign(rank=0)[ranked.columns]
    is_itself = ranked[f"{other}_mid"] == mid
    return pd.concat(
        [
            ranked[(ranked["rank"] <= params.num_top) | is_itself],
            unranked[unranked[f"{other}_mid"] == mid],
        ],
        ignore_index=True,
    )
