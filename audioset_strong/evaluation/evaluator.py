"""One evaluation: per-class and overall metrics of a score file.

    evaluation  negatives  d' over
    strong      explicit   PRESENT against NOT_PRESENT label frames: the paper's
                           Strong eval, complementary negatives among them
    strong      implied    PRESENT against every other label frame of the
                           labelled clips
    weak        explicit   weak positives against clips that the framed file
                           rules out: the paper's Weak eval
    weak        implied    weak positives against every other clip: the field's
                           usual AudioSet evaluation

lwlrap uses positives only and is the same for both kinds of negatives.

Source: Section 4.1 of the paper.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation import d_prime as d_prime_lib
from audioset_strong.evaluation import lwlrap as lwlrap_lib
from audioset_strong.evaluation.alignment import Alignment
from audioset_strong.evaluation.ground_truth import (
    EvalItems,
    check_negatives,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.score_files import ScoreFile

RANK_OVER = ("all", "evaluated")

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class EvalResult:
    """Metrics of one evaluation.

    Attributes:
      evaluation: "strong" or "weak".
      negatives: "explicit" or "implied".
      rank_over: Classes that lwlrap ranks: "all" or "evaluated".
      d_prime: d' of the mean AUC: the headline.
      mean_auc: Unweighted mean over classes with an AUC.
      mean_d_prime: Mean of the classes' d'; may be infinite.
      lwlrap: Mean over all (item, true class) pairs.
      balanced_lwlrap: Unweighted mean over classes with positives.
      num_classes: Classes with an AUC.
      num_classes_lwlrap: Classes with positives.
      num_classes_infinite_d_prime: Classes with AUC 0 or 1.
      num_items: Clips or label frames.
      num_positives: (item, class) pairs, over all classes.
      num_negatives: The same for negatives.
      per_class: One row a class, those of the score file in its order and then
        labelled ones that it lacks: mid str, display_name str, num_positives
        and num_negatives int64, auc, d_prime and lwlrap float64 with NaN where
        undefined, undefined_reason str, "" where auc is defined.
      alignment: What was left out.
    """

    evaluation: str
    negatives: str
    rank_over: str
    d_prime: float
    mean_auc: float
    mean_d_prime: float
    lwlrap: float
    balanced_lwlrap: float
    num_classes: int
    num_classes_lwlrap: int
    num_classes_infinite_d_prime: int
    num_items: int
    num_positives: int
    num_negatives: int
    per_class: pd.DataFrame
    alignment: Alignment

    @property
    def undefined_classes(self) -> pd.DataFrame:
        """Rows of `per_class` without an AUC."""
        return self.per_class[self.per_class["undefined_reason"] != ""]


def evaluate_strong(
    score_file: ScoreFile,
    framed: pd.DataFrame,
    negatives: str = "explicit",
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
) -> EvalResult:
    """Evaluates label frames against a framed table.

    Args:
      score_file: What the model scored.
      framed: Framed table (`label_files`).
      negatives: "explicit" or "implied" (module docstring).
      rank_over: Classes that lwlrap ranks: "all" of the score file, or the
        "evaluated" ones, which have a positive.
      display_names: Name of each mid, for the per-class table.

    Returns:
      The metrics.

    Raises:
      InputError: No clip is both scored and labelled, or an argument is not
        one of its values.
    """
    items = strong_items(score_file, framed, negatives)
    return _evaluate_items(items, "strong", negatives, rank_over, display_names)


def evaluate_weak(
    score_file: ScoreFile,
    weak: pd.DataFrame,
    framed: pd.DataFrame | None = None,
    negatives: str = "explicit",
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
) -> EvalResult:
    """Evaluates clips, scored by their mean, against a weak table.

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`).
      framed: Framed table; needed for explicit negatives, else unused.
      negatives: "explicit" or "implied" (module docstring).
      rank_over: As in `evaluate_strong`.
      display_names: Name of each mid, for the per-class table.

    Returns:
      The metrics.

    Raises:
      InputError: No clip is both scored and labelled, explicit negatives have
        no framed table, or an argument is not one of its values.
    """
    check_negatives(negatives)
    if negatives == "explicit" and framed is None:
        raise InputError(
            "Explicit negatives of the Weak eval come from framed labels; "
            "found none. Give them, or ask for implied negatives."
        )
    items = weak_items(
        score_file, weak, framed if negatives == "explicit" else None
    )
    return _evaluate_items(items, "weak", negatives, rank_over, display_names)


def strong_validation_d_prime(
    scores: npt.NDArray[np.floating[Any]], targets: npt.NDArray[Any]
) -> tuple[float, float]:
    """Scores a checkpoint on held-out label frames.

    Every item that is not positive for a class is a negative: held-out clips
    of the training set need no explicit negatives.

    Args:
      scores: float `[num_items, num_classes]`, no NaN.
      targets: float, int or bool, same shape; > 0 is positive.

    Returns:
      d_prime: d' of the mean AUC, NaN if no class has both kinds of items.
      lwlrap: Ranked over all classes, NaN without any positive.

    Raises:
      InputError: The shapes differ or a score is NaN.
    """
    is_positive = np.asarray(targets) > 0
    aucs = d_prime_lib.per_class_auc(scores, is_positive, ~is_positive)
    per_class = lwlrap_lib.per_class_lwlrap(scores, is_positive)
    weights = lwlrap_lib.class_weights(is_positive)
    return (
        d_prime_lib.d_prime_of_mean_auc(aucs),
        lwlrap_lib.overall_lwlrap(per_class, weights),
    )


def _evaluate_items(
    items: EvalItems,
    evaluation: str,
    negatives: str,
    rank_over: str,
    display_names: Mapping[str, str] | None,
) -> EvalResult:
    """Computes every metric of aligned items."""
    per_class = _class_table(items, rank_over, display_names or {})
    aucs = per_class["auc"].to_numpy()
    num_positives = per_class["num_positives"].to_numpy()
    lwlraps = per_class["lwlrap"].to_numpy()
    return EvalResult(
        evaluation=evaluation,
        negatives=negatives,
        rank_over=rank_over,
        d_prime=d_prime_lib.d_prime_of_mean_auc(aucs),
        mean_auc=d_prime_lib.mean_auc(aucs),
        mean_d_prime=d_prime_lib.mean_d_prime(aucs),
        lwlrap=lwlrap_lib.overall_lwlrap(
            lwlraps, num_positives / max(1, num_positives.sum())
        ),
        balanced_lwlrap=lwlrap_lib.balanced_lwlrap(lwlraps),
        num_classes=int((~np.isnan(aucs)).sum()),
        num_classes_lwlrap=int((num_positives > 0).sum()),
        num_classes_infinite_d_prime=int(np.isin(aucs, (0.0, 1.0)).sum()),
        num_items=len(items.scores),
        num_positives=int(num_positives.sum()),
        num_negatives=int(per_class["num_negatives"].sum()),
        per_class=per_class,
        alignment=items.alignment,
    )


def _class_table(
    items: EvalItems, rank_over: str, display_names: Mapping[str, str]
) -> pd.DataFrame:
    """Makes the per-class table of `EvalResult`."""
    aucs = d_prime_lib.per_class_auc(
        items.scores, items.is_positive, items.is_negative
    )
    scored = pd.DataFrame(
        {
            "mid": items.mids.astype(object),
            "num_positives": items.is_positive.sum(axis=0),
            "num_negatives": items.is_negative.sum(axis=0),
            "auc": aucs,
            "d_prime": d_prime_lib.d_prime_from_auc(aucs),
            "lwlrap": _ranked_lwlrap(items, rank_over),
        }
    )
    not_scored = pd.DataFrame(
        {
            "mid": pd.Series(items.alignment.mids_not_scored, dtype=object),
            "num_positives": 0,
            "num_negatives": 0,
            "auc": np.nan,
            "d_prime": np.nan,
            "lwlrap": np.nan,
        }
    )
    table = pd.concat([scored, not_scored], ignore_index=True)
    names = [display_names.get(mid, "") for mid in table["mid"]]
    table.insert(1, "display_name", pd.Series(names, dtype=object))
    table["undefined_reason"] = _undefined_reasons(table, items.alignment)
    return table


def _ranked_lwlrap(items: EvalItems, rank_over: str) -> _Floats:
    """Computes per-class lwlrap, float64 `[num_classes]`."""
    if rank_over not in RANK_OVER:
        raise InputError(
            f"rank_over must be one of {list(RANK_OVER)}. Received: "
            f"{rank_over!r}."
        )
    if rank_over == "all":
        return lwlrap_lib.per_class_lwlrap(items.scores, items.is_positive)
    # Having a positive, not having an AUC, makes a class ranked: lwlrap then
    # stays independent of the negatives.
    is_ranked = items.is_positive.any(axis=0)
    per_class = np.full(items.mids.size, np.nan)
    per_class[is_ranked] = lwlrap_lib.per_class_lwlrap(
        items.scores[:, is_ranked], items.is_positive[:, is_ranked]
    )
    return per_class


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
