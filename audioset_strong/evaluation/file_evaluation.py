"""Files -> every evaluation that they allow.

framed labels          Strong eval, explicit and implied negatives
weak labels            Weak eval, implied negatives
both                   also Weak eval, explicit negatives

Classes are joined on mid. A score file and its baseline are compared over the
classes that both have, because a difference over other classes, or a rank among
others, says nothing of the models.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluator import (
    EvalResult,
    evaluate_strong,
    evaluate_weak,
)
from audioset_strong.evaluation.report import report_dict
from audioset_strong.evaluation.report_content import EvalReport
from audioset_strong.evaluation.score_files import ScoreFile, read_score_file
from audioset_strong.labels.class_map import (
    describe_other_classes,
    read_class_map,
)
from audioset_strong.labels.label_files import (
    read_display_names,
    read_framed_labels,
    read_weak_labels,
)
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.mapped_labels import (
    map_framed_labels,
    map_weak_labels,
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
    mapping: LabelMapping | None = None,
    problems: ProblemLog | None = None,
) -> EvalReport:
    """Evaluates a score file, and a baseline, against label files.

    Bad label lines are left out and noted in the report. With a baseline, both
    are evaluated over their common classes; if that leaves any out, a warning
    and the report's inputs say so.

    Args:
      scores_path: Score file.
      framed_labels_path: Framed TSV; None to leave out the Strong eval.
      weak_labels_path: Weak CSV; None to leave out the Weak eval.
      baseline_scores_path: Score file to compare with.
      class_map_path: `class_labels_indices.csv`, for display names.
      display_names_path: `mid_to_display_name.tsv`, for display names; holds
        over the class map where they differ.
      rank_over: Classes that lwlrap ranks, "all" or "evaluated".
      mapping: What the labels become first; None to take them as they are. The
        report's inputs say what it did.
      problems: Takes what is wrong with label files; None for a new log, which
        the result has.

    Returns:
      All evaluations that the labels allow, the paper's two first.

    Raises:
      InputError: No labels were given, a file is not what it should be, or the
        score files have no class in common.
    """
    if framed_labels_path is None and weak_labels_path is None:
        raise InputError(
            "Expected framed labels, weak labels or both; found neither. Give "
            "--framed_labels or --weak_labels."
        )
    problems = problems or ProblemLog()
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
    inputs: dict[str, str | None] = {
        "scores": _text(scores_path),
        "baseline_scores": _text(baseline_scores_path),
        "framed_labels": _text(framed_labels_path),
        "weak_labels": _text(weak_labels_path),
    }
    problems.report()
    if mapping is not None and not mapping.is_identity:
        weak, framed, done = _map_labels(weak, framed, mapping)
        inputs["label_mapping"] = done
    score_file = read_score_file(scores_path)
    baseline = None
    if baseline_scores_path is not None:
        score_file, baseline, classes = _on_common_classes(
            score_file, read_score_file(baseline_scores_path), inputs
        )
        if classes:
            inputs["compared_classes"] = classes
    if names:
        _warn_of_nameless(score_file, names)
    return EvalReport(
        inputs=inputs,
        rank_over=rank_over,
        results=_evaluate_all(score_file, framed, weak, rank_over, names),
        baseline_results=()
        if baseline is None
        else _evaluate_all(baseline, framed, weak, rank_over, names),
        problems=problems,
    )


def _text(path: _Path | None) -> str | None:
    return None if path is None else os.fspath(path)


def _map_labels(
    weak: pd.DataFrame | None,
    framed: pd.DataFrame | None,
    mapping: LabelMapping,
) -> tuple[pd.DataFrame | None, pd.DataFrame | None, str]:
    """Maps the labels that were given, and says what was done."""
    params = dataclasses.asdict(mapping.params)
    done = [", ".join(name for name, is_on in params.items() if is_on)]
    if weak is not None:
        before = weak["mids"].map(len).sum()
        weak = map_weak_labels(weak, mapping)
        after = weak["mids"].map(len).sum()
        done.append(f"{before} weak labels became {after}")
    if framed is not None:
        framed, counts = map_framed_labels(framed, mapping)
        done.append(
            f"{counts.num_pairs_gained} framed (clip, class) pairs gained "
            f"positives, against {counts.num_contradicted_pairs} explicit "
            f"negatives; {counts.num_overridden_negatives} negative label "
            f"frames became positive and {counts.num_replaced_negatives} of "
            f"replaced classes were left out"
        )
    text = "; ".join(done)
    logging.info("Label mapping: %s.", text)
    return weak, framed, text


def _on_common_classes(
    ours: ScoreFile, theirs: ScoreFile, inputs: Mapping[str, str | None]
) -> tuple[ScoreFile, ScoreFile, str]:
    """Leaves out the classes that only one of two score files has.

    Returns:
      Both, and what was left out; "" for nothing.

    Raises:
      InputError: They have no class in common.
    """
    our_mids, their_mids = ours.mids.tolist(), theirs.mids.tolist()
    if set(our_mids) == set(their_mids):
        return ours, theirs, ""
    difference = describe_other_classes(
        our_mids,
        their_mids,
        str(inputs["scores"]),
        str(inputs["baseline_scores"]),
    )
    common = np.intersect1d(ours.mids, theirs.mids)
    if not common.size:
        raise InputError(
            f"The score file and the baseline have no class in common: "
            f"{difference}. Give score files whose mids are of one ontology."
        )
    text = (
        f"{common.size} in both; {len(our_mids) - common.size} only in the "
        f"score file, {len(their_mids) - common.size} only in the baseline"
    )
    logging.warning(
        "Both score files are evaluated over their common classes (%s): %s.",
        text,
        difference,
    )
    return _with_classes(ours, common), _with_classes(theirs, common), text


def _with_classes(score_file: ScoreFile, mids: Any) -> ScoreFile:
    """Keeps the columns of some classes, in their order."""
    is_kept = np.isin(score_file.mids, mids)
    return dataclasses.replace(
        score_file,
        mids=score_file.mids[is_kept],
        scores=score_file.scores[:, :, is_kept],
    )


def _warn_of_nameless(score_file: ScoreFile, names: Mapping[str, str]) -> None:
    """Warns of classes that the files with display names lack.

    Names are only shown, so that such classes are evaluated as all others.
    """
    nameless = [mid for mid in score_file.mids.tolist() if mid not in names]
    if nameless:
        logging.warning(
            "%d of %d scored classes (class hash %s) have no display name in "
            "the class map and display names given, such as %s. They are "
            "evaluated; is this the class map of the scores?",
            len(nameless),
            score_file.mids.size,
            score_file.class_map_hash,
            nameless[0],
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
    score_file: ScoreFile,
    framed: pd.DataFrame | None,
    weak: pd.DataFrame | None,
    rank_over: str,
    names: dict[str, str],
) -> tuple[EvalResult, ...]:
    """Runs all evaluations of one score file: the explicit ones first."""
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
