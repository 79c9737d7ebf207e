"""Files -> every evaluation that they allow.

framed labels          Strong eval, explicit and implied negatives
weak labels            Weak eval, implied negatives
both                   also Weak eval, explicit negatives
"""

import os
from typing import Any

import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluator import (
    EvalResult,
    evaluate_strong,
    evaluate_weak,
)
from audioset_strong.evaluation.report import report_dict
from audioset_strong.evaluation.report_content import EvalReport
from audioset_strong.evaluation.score_files import read_score_file
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.label_files import (
    read_display_names,
    read_framed_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog

_Path = str | os.PathLike[str]


def evaluate_files(
    scores_path: _Path,
    framed_labels_path: _Path | None = None,
    weak_labels_path: _Path | None = None,
    *,
    baseline_scores_path: _Path | None = None,
    class_map_path: _Path | None = None,
    display_names_path: _Path | None = None,
    rank_over: str = "all",
) -> EvalReport:
    """Evaluates a score file, and a baseline, against label files.

    Bad label lines are left out and noted in the report.

    Args:
      scores_path: Score file.
      framed_labels_path: Framed TSV; None to leave out the Strong eval.
      weak_labels_path: Weak CSV; None to leave out the Weak eval.
      baseline_scores_path: Score file to compare with.
      class_map_path: `class_labels_indices.csv`, for display names.
      display_names_path: `mid_to_display_name.tsv`, for display names; holds
        over the class map where they differ.
      rank_over: Classes that lwlrap ranks, "all" or "evaluated".

    Returns:
      All evaluations that the labels allow, the paper's two first.

    Raises:
      InputError: No labels were given, or a file is not what it should be.
    """
    if framed_labels_path is None and weak_labels_path is None:
        raise InputError(
            "Expected framed labels, weak labels or both; found neither. Give "
            "--framed_labels or --weak_labels."
        )
    problems = ProblemLog()
    names = _read_names(class_map_path, display_names_path, problems)
    framed = (
        read_framed_labels(framed_labels_path, problems)
        if framed_labels_path is not None
        else None
    )
    weak = (
        read_weak_labels(weak_labels_path, problems)
        if weak_labels_path is not None
        else None
    )
    paths = {
        "scores": scores_path,
        "baseline_scores": baseline_scores_path,
        "framed_labels": framed_labels_path,
        "weak_labels": weak_labels_path,
    }
    return EvalReport(
        inputs={
            k: None if p is None else os.fspath(p) for k, p in paths.items()
        },
        rank_over=rank_over,
        results=_evaluate_all(scores_path, framed, weak, rank_over, names),
        baseline_results=()
        if baseline_scores_path is None
        else _evaluate_all(
            baseline_scores_path, framed, weak, rank_over, names
        ),
        problems=problems,
    )


def evaluate_score_file(
    scores_path: _Path,
    framed_labels_path: _Path | None = None,
    weak_labels_path: _Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluates a score file and returns what `report.json` would hold.

    Args:
      scores_path: Score file.
      framed_labels_path: Framed TSV; None to leave out the Strong eval.
      weak_labels_path: Weak CSV; None to leave out the Weak eval.
      **options: Keyword arguments of `evaluate_files`.

    Returns:
      The dict that `report.py` documents, such as
      `results["strong"]["explicit"]["d_prime"]`.

    Raises:
      InputError: As `evaluate_files`.
    """
    return report_dict(
        evaluate_files(
            scores_path, framed_labels_path, weak_labels_path, **options
        )
    )


def _evaluate_all(
    scores_path: _Path,
    framed: pd.DataFrame | None,
    weak: pd.DataFrame | None,
    rank_over: str,
    names: dict[str, str],
) -> tuple[EvalResult, ...]:
    """Runs all evaluations of one score file: the explicit ones first."""
    score_file = read_score_file(scores_path)
    results = []
    for negatives in ("explicit", "implied"):
        if framed is not None:
            results.append(
                evaluate_strong(score_file, framed, negatives, rank_over, names)
            )
        if weak is not None and (framed is not None or negatives == "implied"):
            results.append(
                evaluate_weak(
                    score_file, weak, framed, negatives, rank_over, names
                )
            )
    return tuple(results)


def _read_names(
    class_map_path: _Path | None,
    display_names_path: _Path | None,
    problems: ProblemLog,
) -> dict[str, str]:
    """Reads the display name of each mid, from what is given."""
    names: dict[str, str] = {}
    if class_map_path is not None:
        class_map = read_class_map(class_map_path)
        names.update(zip(class_map.mids, class_map.display_names, strict=True))
    if display_names_path is not None:
        names.update(read_display_names(display_names_path, problems))
    return names
