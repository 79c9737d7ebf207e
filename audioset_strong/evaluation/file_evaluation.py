"""Files -> every evaluation that they allow.

Scores are a score file or a folder of score tables (`score_reading.py`); labels
are what `truth_files.py` takes; `score_evaluation.py` does the rest.
"""

import os
from collections.abc import Sequence
from typing import Any

from audioset_strong.evaluation.report import report_dict
from audioset_strong.evaluation.report_content import EvalReport
from audioset_strong.evaluation.report_details import BootstrapSettings
from audioset_strong.evaluation.score_classes import Path, read_known_classes
from audioset_strong.evaluation.score_evaluation import (
    EvalSettings,
    evaluate_scores,
)
from audioset_strong.evaluation.score_reading import read_scores
from audioset_strong.evaluation.truth_files import read_truth
from audioset_strong.labels.clip_lists import read_clip_list
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.problems import ProblemLog


def evaluate_files(
    scores_path: Path,
    framed_labels_path: Path | None = None,
    weak_labels_path: Path | None = None,
    *,
    strong_labels_path: Path | None = None,
    explicit_negatives_path: Path | None = None,
    baseline_scores_path: Path | None = None,
    class_map_path: Path | None = None,
    display_names_path: Path | None = None,
    pooling: str = "mean",
    is_logits: bool = False,
    clip_list_path: Path | None = None,
    is_on_common_label_frames: bool = False,
    rank_over: str = "all",
    negatives: Sequence[str] | None = None,
    mapping: LabelMapping | None = None,
    bootstrap: BootstrapSettings = BootstrapSettings(),
    has_details: bool = True,
    problems: ProblemLog | None = None,
) -> EvalReport:
    """Evaluates scores, and a baseline, against label files.

    Bad label lines are left out and noted in the report. With a baseline, both
    are evaluated over their common classes; if that leaves any out, a warning
    and the report's inputs say so.

    Args:
      scores_path: Score file, or folder of score tables.
      framed_labels_path: Framed TSV, for the Strong eval.
      weak_labels_path: Weak CSV, for the Weak eval.
      strong_labels_path: Strong TSV, to be framed, instead of a framed one.
      explicit_negatives_path: TSV of pairs that annotators marked absent, or a
        framed TSV that holds them.
      baseline_scores_path: Scores to compare with, as `scores_path`.
      class_map_path: Class map of the scores, for class indices and names.
      display_names_path: `mid_to_display_name.tsv`, for names; holds over the
        class map where they differ.
      pooling: How windows of score tables become label frames: "mean", "max".
      is_logits: Whether to turn scores into probabilities.
      clip_list_path: Clip list: the clips to evaluate on; None for all.
      is_on_common_label_frames: As in `EvalSettings`.
      rank_over: As in `EvalSettings`.
      negatives: As in `EvalSettings`.
      mapping: As in `EvalSettings`. The report's inputs say what it did.
      bootstrap: As in `EvalSettings`.
      has_details: As in `EvalSettings`.
      problems: Takes what is wrong with label files; None for a new log, which
        the result has.

    Returns:
      All evaluations that the labels allow, the paper's two first.

    Raises:
      InputError: No labels were given, a file is not what it should be, or the
        scores have no class or no clip in common with the labels or baseline.
    """
    problems = problems or ProblemLog()
    known = read_known_classes(class_map_path, display_names_path, problems)
    truth = read_truth(
        framed_labels_path,
        strong_labels_path,
        weak_labels_path,
        explicit_negatives_path,
        problems,
    )
    clips = None if clip_list_path is None else read_clip_list(clip_list_path)
    problems.report()
    return evaluate_scores(
        read_scores(scores_path, known, pooling, is_logits),
        truth,
        None
        if baseline_scores_path is None
        else read_scores(baseline_scores_path, known, pooling, is_logits),
        settings=EvalSettings(
            rank_over=rank_over,
            negatives=negatives,
            mapping=mapping,
            clips=clips,
            is_on_common_label_frames=is_on_common_label_frames,
            bootstrap=bootstrap,
            has_details=has_details,
        ),
        names=known.name_of_mid,
        inputs={
            "scores": _text(scores_path),
            "baseline_scores": _text(baseline_scores_path),
            "framed_labels": _text(framed_labels_path),
            "strong_labels": _text(strong_labels_path),
            "weak_labels": _text(weak_labels_path),
            "explicit_negatives": _text(explicit_negatives_path),
        },
        problems=problems,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)


def evaluate_score_file(
    scores_path: Path,
    framed_labels_path: Path | None = None,
    weak_labels_path: Path | None = None,
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
