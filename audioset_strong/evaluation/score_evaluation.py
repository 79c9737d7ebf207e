"""Scores and labels -> every evaluation that the labels allow.

Classes are joined on mid. Scores and a baseline are compared over the classes
that both have, because a difference over other classes, or a rank among others,
says nothing of the models; and, if asked for, over the clips and label frames
that both have scored.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.common_items import (
    on_common_classes,
    on_common_label_frames,
    on_listed_clips,
    truth_of_clips,
)
from audioset_strong.evaluation.evaluator import EvalResult, evaluate_items
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.ranking import ClassRanking, rank_classes
from audioset_strong.evaluation.report_content import EvalDetails, EvalReport
from audioset_strong.evaluation.report_details import (
    BootstrapSettings,
    SystemDetails,
    join_details,
    system_details,
)
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.evaluation.score_scale import warn_unless_probabilities
from audioset_strong.evaluation.truth_files import Truth
from audioset_strong.evaluation.truth_mapping import map_truth
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.problems import ProblemLog


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EvalSettings:
    """What is computed of scores and labels.

    Attributes:
      rank_over: Classes that lwlrap ranks, "all" or "evaluated".
      negatives: Kinds of negatives, as in `evaluator`; None for all.
      mapping: What labels become first; None to take them as they are.
      clips: segment_ids to evaluate on; None for all.
      is_on_common_label_frames: Whether scores and baseline are evaluated on
        the clips and label frames that both have scored.
      bootstrap: How confidence intervals are made. None are made against
        implied negatives, which would take longer than all others together.
      has_details: Whether ROC curves, worst errors and intervals are made.
    """

    rank_over: str = "all"
    negatives: Sequence[str] | None = None
    mapping: LabelMapping | None = None
    clips: Collection[str] | None = None
    is_on_common_label_frames: bool = False
    bootstrap: BootstrapSettings = BootstrapSettings()
    has_details: bool = False


def evaluate_scores(
    scores: ScoreFile,
    truth: Truth,
    baseline: ScoreFile | None = None,
    *,
    settings: EvalSettings = EvalSettings(),
    names: Mapping[str, str] | None = None,
    inputs: Mapping[str, str | None] | None = None,
    problems: ProblemLog | None = None,
) -> EvalReport:
    """Evaluates scores, and a baseline, against labels.

    Args:
      scores: What the model scored.
      truth: The labels.
      baseline: Scores to compare with.
      settings: What is computed.
      names: Display name of each mid, to be shown.
      inputs: What all of these were read from, for the report.
      problems: What was wrong with the files, for the report.

    Returns:
      All evaluations that the labels allow, the paper's two first.

    Raises:
      InputError: Scores and labels, or scores and baseline, have no class or no
        clip in common, or a baseline is needed and there is none.
    """
    if settings.is_on_common_label_frames and baseline is None:
        raise InputError(
            "Expected a baseline to have label frames in common with, found "
            "none. Give --baseline_scores, or leave out --common_with_baseline."
        )
    notes = dict(inputs or {})
    if truth.notes:
        notes["truth"] = "; ".join(truth.notes)
    if settings.mapping is not None and not settings.mapping.is_identity:
        truth, notes["label_mapping"] = map_truth(truth, settings.mapping)
    if settings.clips is not None:
        truth = truth_of_clips(truth, settings.clips)
    evaluations = truth.evaluations(settings.negatives)
    restricted = [_prepare(scores, "scores", evaluations, settings, notes)]
    if baseline is not None:
        restricted.append(
            _prepare(baseline, "baseline_scores", evaluations, settings, notes)
        )
        restricted = _on_common_items(restricted, settings, notes)
    _check_classes(restricted[0], truth)
    if names:
        _warn_of_nameless(restricted[0], names)
    results, details = _evaluate(
        restricted, truth, evaluations, settings, names
    )
    return EvalReport(
        inputs=notes,
        rank_over=settings.rank_over,
        results=tuple(of_systems[0] for of_systems in results),
        baseline_results=tuple(r for rs in results for r in rs[1:]),
        problems=problems or ProblemLog(),
        details=tuple(details),
    )


def _prepare(
    score_file: ScoreFile,
    name: str,
    evaluations: Sequence[tuple[str, str]],
    settings: EvalSettings,
    notes: dict[str, str | None],
) -> ScoreFile:
    """Keeps the clips to evaluate on, and notes what is to be said."""
    said = list(score_file.notes)
    if settings.clips is not None:
        score_file, text = on_listed_clips(score_file, settings.clips, name)
        said.append(text)
    is_weak = any(evaluation == "weak" for evaluation, _ in evaluations)
    asked = ["clip scores, which are means (the Weak eval),"] if is_weak else []
    scale = warn_unless_probabilities(score_file, asked, name)
    if said or scale:
        notes[f"{name}_notes"] = "; ".join([*said, *([scale] if scale else [])])
    return score_file


def _on_common_items(
    pair: list[ScoreFile],
    settings: EvalSettings,
    notes: dict[str, str | None],
) -> list[ScoreFile]:
    """Restricts scores and baseline to what both have."""
    ours, theirs, classes = on_common_classes(
        pair[0],
        pair[1],
        notes.get("scores") or "the scores",
        notes.get("baseline_scores") or "the baseline",
    )
    if classes:
        notes["compared_classes"] = classes
    if settings.is_on_common_label_frames:
        ours, theirs, notes["compared_clips"] = on_common_label_frames(
            ours, theirs
        )
    return [ours, theirs]


def _evaluate(
    systems: Sequence[ScoreFile],
    truth: Truth,
    evaluations: Sequence[tuple[str, str]],
    settings: EvalSettings,
    names: Mapping[str, str] | None,
) -> tuple[list[list[EvalResult]], list[EvalDetails]]:
    """Runs all evaluations of all systems, one evaluation after another.

    Returns:
      results: For each evaluation the result of each system.
      details: Of each evaluation; none if they are not wanted.
    """
    results: list[list[EvalResult]] = []
    details = []
    # Kinds of negatives share their positives, and so lwlrap.
    lwlraps: dict[tuple[str, int], npt.NDArray[np.float64]] = {}
    for evaluation, negatives in evaluations:
        of_systems: list[SystemDetails] = []
        results.append([])
        for system, score_file in enumerate(systems):
            items = truth.items(score_file, evaluation, negatives)
            rankings = rank_classes(
                items.scores, items.is_positive, items.is_negative
            )
            result = evaluate_items(
                items,
                evaluation,
                negatives,
                settings.rank_over,
                names,
                rankings,
                lwlraps.get((evaluation, system)),
            )
            lwlraps[evaluation, system] = result.per_class["lwlrap"].to_numpy()[
                : score_file.mids.size
            ]
            results[-1].append(result)
            if settings.has_details:
                of_systems.append(
                    _system_details(
                        items,
                        evaluation,
                        negatives,
                        rankings,
                        settings,
                        names,
                        is_baseline=system > 0,
                    )
                )
            # Only one system's items are in memory at a time.
            del items, rankings
        if settings.has_details:
            baseline = of_systems[1] if len(systems) > 1 else None
            joined = join_details(
                evaluation,
                negatives,
                of_systems[0],
                baseline,
                settings.bootstrap.level,
            )
            details.append(joined)
    return results, details


def _system_details(
    items: EvalItems,
    evaluation: str,
    negatives: str,
    rankings: Sequence[ClassRanking],
    settings: EvalSettings,
    names: Mapping[str, str] | None,
    is_baseline: bool,
) -> SystemDetails:
    """Makes curves, errors and resamples of one system."""
    bootstrap = settings.bootstrap
    if negatives == "implied":
        bootstrap = dataclasses.replace(bootstrap, num_resamples=0)
    return system_details(
        items,
        evaluation,
        settings=bootstrap,
        rank_over=settings.rank_over,
        names=names,
        rankings=rankings,
        is_baseline=is_baseline,
    )


def _check_classes(score_file: ScoreFile, truth: Truth) -> None:
    """Raises `InputError` if no labelled class is scored."""
    labelled: set[str] = set()
    if truth.framed is not None:
        labelled.update(truth.framed["mid"].unique())
    if truth.weak is not None:
        labelled.update(truth.weak["mids"].explode().dropna().unique())
    if labelled.isdisjoint(score_file.mids.tolist()):
        raise InputError(
            f"The scores and the labels have no class in common: scored are "
            f"{score_file.mids.size} classes (class hash "
            f"{score_file.class_map_hash}) such as {score_file.mids[0]}, "
            f"labelled are {len(labelled)} such as {min(labelled, default='')}."
            f" Give scores of the labels' mids, or the --class_map of the "
            f"scores' columns."
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
