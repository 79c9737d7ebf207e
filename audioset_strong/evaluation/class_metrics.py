"""Every metric of every class, in one table."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation import average_precision as ap_lib
from audioset_strong.evaluation import d_prime as d_prime_lib
from audioset_strong.evaluation import lwlrap as lwlrap_lib
from audioset_strong.evaluation.alignment import Alignment
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.ranking import ClassRanking, rank_classes

RANK_OVER = ("all", "evaluated")

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]


def class_table(
    items: EvalItems,
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    lwlraps: _Floats | None = None,
) -> pd.DataFrame:
    """Computes the metrics of each class.

    Args:
      items: Aligned scores, positives and negatives.
      rank_over: Classes that lwlrap ranks: "all" of the score file, or the
        "evaluated" ones, which have a positive.
      display_names: Name of each mid.
      rankings: `ranking.rank_classes` of the items, if it is there already.
      lwlraps: float64 `[num_classes]`, from items with the same positives; None
        to compute them.

    Returns:
      `EvalResult.per_class`.

    Raises:
      InputError: A score is NaN, or rank_over is not one of its values.
    """
    if rankings is None:
        rankings = rank_classes(
            items.scores, items.is_positive, items.is_negative
        )
    aucs = np.array([d_prime_lib.auc_of_ranking(r) for r in rankings])
    if lwlraps is None:
        is_ranked = ranked_classes(items, rank_over)
        lwlraps = np.full(items.mids.size, np.nan)
        lwlraps[is_ranked] = lwlrap_lib.per_class_lwlrap(
            items.scores[:, is_ranked], items.is_positive[:, is_ranked]
        )
    scored = pd.DataFrame(
        {
            "mid": items.mids.astype(object),
            "num_positives": [r.true_positives.size for r in rankings],
            "num_negatives": [r.num_negatives for r in rankings],
            "auc": aucs,
            "d_prime": d_prime_lib.d_prime_from_auc(aucs),
            "average_precision": [
                ap_lib.average_precision_of_ranking(r) for r in rankings
            ],
            "lwlrap": lwlraps,
        }
    )
    table = pd.concat([scored, _not_scored(items)], ignore_index=True)
    names = [(display_names or {}).get(mid, "") for mid in table["mid"]]
    table.insert(1, "display_name", pd.Series(names, dtype=object))
    table["undefined_reason"] = _undefined_reasons(table, items.alignment)
    return table


def ranked_classes(items: EvalItems, rank_over: str) -> "_Bools | slice":
    """Finds the classes that lwlrap ranks.

    Having a positive, not having an AUC, makes a class "evaluated": lwlrap then
    stays independent of the negatives.

    Args:
      items: Aligned scores, positives and negatives.
      rank_over: "all" or "evaluated".

    Returns:
      Index of these classes; for all a slice, which copies no scores.

    Raises:
      InputError: rank_over is not one of its values.
    """
    if rank_over not in RANK_OVER:
        raise InputError(
            f"rank_over must be one of {list(RANK_OVER)}. Received: "
            f"{rank_over!r}."
        )
    if rank_over == "all":
        return slice(None)
    is_ranked: _Bools = items.is_positive.any(axis=0)
    return is_ranked


def _not_scored(items: EvalItems) -> pd.DataFrame:
    """Makes rows of the labelled classes that the score file lacks."""
    mids = items.alignment.mids_not_scored
    return pd.DataFrame(
        {
            "mid": pd.Series(mids, dtype=object),
            "num_positives": 0,
            "num_negatives": 0,
            "auc": np.nan,
            "d_prime": np.nan,
            "average_precision": np.nan,
            "lwlrap": np.nan,
        }
    )


def _undefined_reasons(
    table: pd.DataFrame, alignment: Alignment
) -> npt.NDArray[np.object_]:
    """Says why a class has no AUC, "" where it has one."""
    reasons: npt.NDArray[np.object_] = np.select(
        [
            table["mid"].isin(alignment.mids_not_scored),
            table["mid"].isin(alignment.mids_without_labels),
            (table["num_positives"] == 0) & (table["num_negatives"] == 0),
            table["num_positives"] == 0,
            table["num_negatives"] == 0,
        ],
        [
            "not in the score file",
            "not in the labels",
            "no label of an evaluated clip",
            "no positive",
            "no negative",
        ],
        default="",
    ).astype(object)
    return reasons
