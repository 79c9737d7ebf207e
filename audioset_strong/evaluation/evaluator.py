"""One evaluation: per-class and overall metrics of a score file.

The Strong eval scores label frames, the Weak eval whole clips, by the mean of
their label frames. Either sets positives against one kind of negatives:

  strong  explicit            NOT_PRESENT label frames, complementary negatives
                              among them: the paper's Strong eval
  strong  explicit_only       of those, where the clip never has the class
  strong  complementary_only  of those, where the clip has it at other times
  strong  implied             every other label frame of the labelled clips
  weak    explicit            clips that the framed file rules out, or listed
                              pairs: the paper's Weak eval
  weak    implied             every other clip: the field's usual AudioSet
                              evaluation, as of YAMNet and PANNs

lwlrap uses positives only and is the same for all kinds of negatives.

Source: Section 4.1 of the paper.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation import d_prime as d_prime_lib
from audioset_strong.evaluation import lwlrap as lwlrap_lib
from audioset_strong.evaluation.alignment import Alignment
from audioset_strong.evaluation.average_precision import mean_average_precision
from audioset_strong.evaluation.class_metrics import RANK_OVER, class_table
from audioset_strong.evaluation.ground_truth import (
    WEAK_NEGATIVES,
    EvalItems,
    check_negatives,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.ranking import ClassRanking
from audioset_strong.evaluation.score_files import ScoreFile

__all__ = [
    "RANK_OVER",
    "EvalResult",
    "evaluate_items",
    "evaluate_strong",
    "evaluate_weak",
    "strong_validation_d_prime",
]


@dataclasses.dataclass(frozen=True, eq=False)
class EvalResult:
    """Metrics of one evaluation.

    Attributes:
      evaluation: "strong" or "weak".
      negatives: Kind of negatives (module docstring).
      rank_over: Classes that lwlrap ranks: "all" or "evaluated".
      d_prime: d' of the mean AUC: the headline.
      mean_auc: Unweighted mean over classes with an AUC.
      mean_d_prime: Mean of the classes' d'; may be infinite.
      mean_average_precision: mAP: unweighted mean over the same classes.
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
        and num_negatives int64, auc, d_prime, average_precision and lwlrap
        float64 with NaN where undefined, undefined_reason str, "" where auc
        (and so average_precision) is defined.
      alignment: What was left out.
    """

    evaluation: str
    negatives: str
    rank_over: str
    d_prime: float
    mean_auc: float
    mean_d_prime: float
    mean_average_precision: float
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
      negatives: One of `STRONG_NEGATIVES` (module docstring).
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
    return evaluate_items(items, "strong", negatives, rank_over, display_names)


def evaluate_weak(
    score_file: ScoreFile,
    weak: pd.DataFrame,
    framed: pd.DataFrame | None = None,
    negatives: str = "explicit",
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
    explicit_negatives: pd.DataFrame | None = None,
) -> EvalResult:
    """Evaluates clips, scored by their mean, against a weak table.

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`).
      framed: Framed table, for explicit negatives; else unused.
      negatives: One of `WEAK_NEGATIVES` (module docstring).
      rank_over: As in `evaluate_strong`.
      display_names: Name of each mid, for the per-class table.
      explicit_negatives: Instead of a framed table, columns segment_id and mid:
        the pairs that annotators marked absent.

    Returns:
      The metrics.

    Raises:
      InputError: No clip is both scored and labelled, explicit negatives have
        no table or two, or an argument is not one of its values.
    """
    check_negatives(negatives, WEAK_NEGATIVES)
    if negatives == "implied":
        framed = explicit_negatives = None
    elif framed is None and explicit_negatives is None:
        raise InputError(
            "Explicit negatives of the Weak eval come from framed labels or a "
            "table of pairs; found neither. Give one, or ask for implied "
            "negatives."
        )
    items = weak_items(score_file, weak, framed, explicit_negatives)
    return evaluate_items(items, "weak", negatives, rank_over, display_names)


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


def evaluate_items(
    items: EvalItems,
    evaluation: str,
    negatives: str,
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    lwlraps: npt.NDArray[np.float64] | None = None,
) -> EvalResult:
    """Computes every metric of aligned items.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak": what the items are, for the result.
      negatives: Their kind of negatives, for the result.
      rank_over: As in `evaluate_strong`.
      display_names: Name of each mid, for the per-class table.
      rankings: As in `class_table`.
      lwlraps: As in `class_table`.

    Returns:
      The metrics.

    Raises:
      InputError: A score is NaN, or rank_over is not one of its values.
    """
    per_class = class_table(items, rank_over, display_names, rankings, lwlraps)
    aucs = per_class["auc"].to_numpy()
    num_positives = per_class["num_positives"].to_numpy()
    of_classes = per_class["lwlrap"].to_numpy()
    return EvalResult(
        evaluation=evaluation,
        negatives=negatives,
        rank_over=rank_over,
        d_prime=d_prime_lib.d_prime_of_mean_auc(aucs),
        mean_auc=d_prime_lib.mean_auc(aucs),
        mean_d_prime=d_prime_lib.mean_d_prime(aucs),
        mean_average_precision=mean_average_precision(
            per_class["average_precision"].to_numpy()
        ),
        lwlrap=lwlrap_lib.overall_lwlrap(
            of_classes, num_positives / max(1, num_positives.sum())
        ),
        balanced_lwlrap=lwlrap_lib.balanced_lwlrap(of_classes),
        num_classes=int((~np.isnan(aucs)).sum()),
        num_classes_lwlrap=int((num_positives > 0).sum()),
        num_classes_infinite_d_prime=int(np.isin(aucs, (0.0, 1.0)).sum()),
        num_items=len(items.scores),
        num_positives=int(num_positives.sum()),
        num_negatives=int(per_class["num_negatives"].sum()),
        per_class=per_class,
        alignment=items.alignment,
    )
