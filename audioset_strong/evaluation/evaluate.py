"""Items of one evaluation -> its intervals, ROC curves and worst errors.

Made of one system after another while its items are in memory, so that a report
never needs the items of more than one system and one evaluation.

Common items: two systems, or a list of clips, on the same footing.

Evaluations over other clips, label frames or classes say nothing of the models.
Everything that is left out here is counted in words.

Scores and labels -> every evaluation that the labels allow.

Classes are joined on mid. Scores and a baseline are compared over the classes
that both have, because a difference over other classes, or a rank among others,
says nothing of the models; and, if asked for, over the clips and label frames
that both have scored.

Evaluation from Python: arrays of scores, in any framework.

What a PyTorch model gives is evaluated as it is, here at 25 scores a second
(`torch.sigmoid(model(waveforms)).numpy()` in place of `scores`):

>>> import numpy as np
>>> import pandas as pd
>>> from audioset_strong.evaluation import evaluate_arrays
>>> scores = np.full((2, 250, 2), 0.1)  # [clips, frames, classes]
>>> scores[0, 50:100, 0] = 0.9  # Clip 0 has Speech from 2 to 4 s.
>>> scores[1, :, 1] = 0.8
>>> strong_labels = pd.DataFrame(
...     {
...         "segment_id": ["s9d-2nhuJCQ_30000", "BfvyPmVMo_20000"],
...         "onset_seconds": [2.0, 0.0],
...         "offset_seconds": [4.0, 5.0],
...         "mid": ["/m/09x0r", "/m/04rlf"],
...     }
... )
>>> report = evaluate_arrays(
...     scores,
...     segment_ids=["s9d-2nhuJCQ_30000", "BfvyPmVMo_20000"],
...     classes=["/m/09x0r", "/m/04rlf"],
...     frame_seconds=0.04,
...     strong_labels=strong_labels,  # Or the path of a TSV.
...     negatives=["explicit"],
... )
>>> [result] = report.results
>>> result.evaluation, result.num_items, result.num_classes
('strong', 20, 2)
>>> result.per_class[["mid", "auc"]].to_numpy().tolist()
[['/m/09x0r', 1.0], ['/m/04rlf', 0.5]]

`evaluation.write_report(report, "report")` writes what the binary writes, and
`evaluation.write_score_file(make_score_file(...), "scores.npz")` what it reads.

Files -> every evaluation that they allow.

Scores are a score file or a folder of score tables (`score_reading.py`); labels
are what `truth_files.py` takes; `score_evaluation.py` does the rest.
"""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.bootstrap import (
    ClassResamples,
    check_level,
    compare_resamples,
    intervals_of,
    resample_classes,
)
from audioset_strong.evaluation.details import (
    RocCurves,
    roc_curves,
    worst_items,
)
from audioset_strong.evaluation.items import EvalItems
from audioset_strong.evaluation.metrics import ClassRanking, rank_classes
from audioset_strong.evaluation.results import (
    EvalDetails,
    EvalReport,
    EvalResult,
    evaluate_items,
)
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import (
    Path,
    ScoreFile,
    make_score_file,
    read_known_classes,
    warn_unless_probabilities,
)
from audioset_strong.evaluation.truth import Truth, map_truth, read_truth
from audioset_strong.labels.class_map import ClassMap, describe_other_classes
from audioset_strong.labels.ids import read_clip_list
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

# --- report details --------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootstrapSettings:
    """How intervals are made.

    Attributes:
      num_resamples: Resamples of the clips; 0 for no intervals.
      seed: What clips are drawn with.
      level: Share of resamples that an interval holds, in (0, 1).
    """

    num_resamples: int = 1000
    seed: int = 0
    level: float = 0.95


@dataclasses.dataclass(frozen=True, eq=False)
class SystemDetails:
    """What one system gives to the details; small beside its items.

    Attributes:
      curves: ROC curves.
      worst: `report_errors.worst_items`; None of a baseline.
      resamples: Metrics of resamples; None for no intervals.
    """

    curves: RocCurves
    worst: pd.DataFrame | None
    resamples: ClassResamples | None


def system_details(
    items: EvalItems,
    evaluation: str,
    *,
    settings: BootstrapSettings = BootstrapSettings(),
    rank_over: str = "all",
    names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    is_baseline: bool = False,
) -> SystemDetails:
    """Makes everything of one system that a report shows beside the metrics.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak".
      settings: How intervals are made; without resamples there are none.
      rank_over: Classes that lwlrap ranks.
      names: Display name of each mid.
      rankings: `ranking.rank_classes` of the items, if it is there already.
      is_baseline: Whether the worst errors, which are not shown, are left out.

    Raises:
      InputError: A score is NaN, or there are too few resamples for the level.
    """
    resamples = None
    if settings.num_resamples:
        check_level(settings.level, settings.num_resamples)
        resamples = resample_classes(
            items, settings.num_resamples, settings.seed, rank_over
        )
    return SystemDetails(
        roc_curves(items, rankings=rankings),
        None if is_baseline else worst_items(items, evaluation, names=names),
        resamples,
    )


def join_details(
    evaluation: str,
    negatives: str,
    ours: SystemDetails,
    baseline: SystemDetails | None = None,
    level: float = BootstrapSettings.level,
) -> EvalDetails:
    """Puts the details of one or two systems together.

    Args:
      evaluation: "strong" or "weak".
      negatives: The kind of negatives.
      ours: Of the system that is evaluated.
      baseline: Of the system that it is compared with.
      level: Of the intervals.

    Returns:
      The details, with differences if both systems have the same items.
    """
    details = EvalDetails(
        evaluation, negatives, curves=ours.curves, worst=ours.worst
    )
    if ours.resamples is not None:
        intervals = intervals_of(ours.resamples, level)
        details = dataclasses.replace(details, intervals=intervals)
    if baseline is None:
        return details
    details = dataclasses.replace(details, baseline_curves=baseline.curves)
    if ours.resamples is None or baseline.resamples is None:
        return details
    paired, reason = None, ""
    try:
        paired = compare_resamples(ours.resamples, baseline.resamples, level)
    except InputError as error:
        reason = str(error)
    return dataclasses.replace(
        details,
        baseline_intervals=intervals_of(baseline.resamples, level),
        paired=paired,
        not_paired_reason=reason,
    )


# --- common items ----------------------------------------------------------


_SCORES, _BASELINE = "the score file", "the baseline"


def on_common_classes(
    ours: ScoreFile,
    theirs: ScoreFile,
    our_name: str = _SCORES,
    their_name: str = _BASELINE,
) -> tuple[ScoreFile, ScoreFile, str]:
    """Leaves out the classes that only one of two score files has.

    Args:
      ours: The score file.
      theirs: The baseline.
      our_name: What they are, for messages.
      their_name: The same for the baseline.

    Returns:
      Both, and what was left out; "" for nothing.

    Raises:
      InputError: They have no class in common.
    """
    our_mids, their_mids = ours.mids.tolist(), theirs.mids.tolist()
    if set(our_mids) == set(their_mids):
        return ours, theirs, ""
    difference = describe_other_classes(
        our_mids, their_mids, our_name, their_name
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
    if is_kept.all():
        return score_file
    return dataclasses.replace(
        score_file,
        mids=score_file.mids[is_kept],
        scores=score_file.scores[:, :, is_kept],
    )


def on_common_label_frames(
    ours: ScoreFile, theirs: ScoreFile
) -> tuple[ScoreFile, ScoreFile, str]:
    """Leaves out the clips and label frames that only one of two has scored.

    Args:
      ours: The score file.
      theirs: The baseline.

    Returns:
      Both, over the same clips, each in its own order, and as many label frames
      of each clip; and what was left out.

    Raises:
      InputError: They have no clip in common.
    """
    common = np.intersect1d(ours.segment_ids, theirs.segment_ids)
    if not common.size:
        raise InputError(
            f"The score file and the baseline have no clip in common; the "
            f"first are {ours.segment_ids[:1].tolist()} and "
            f"{theirs.segment_ids[:1].tolist()}. Give scores of one set."
        )
    restricted = [_with_clips(s, common) for s in (ours, theirs)]
    least = np.min([_counts_of(s, common) for s in restricted], axis=0)
    ours_common, theirs_common = (
        _with_label_frames(s, common, least) for s in restricted
    )
    frames = [int(s.num_label_frames.sum() - least.sum()) for s in restricted]
    text = (
        f"{common.size} clips in both; {ours.segment_ids.size - common.size} "
        f"clips and {frames[0]} label frames of others only in the score file, "
        f"{theirs.segment_ids.size - common.size} and {frames[1]} only in the "
        f"baseline"
    )
    logging.info("Common clips: %s.", text)
    return ours_common, theirs_common, text


def _counts_of(
    score_file: ScoreFile, segment_ids: npt.NDArray[np.str_]
) -> npt.NDArray[np.integer[Any]]:
    rows = pd.Index(score_file.segment_ids).get_indexer(pd.Index(segment_ids))
    return score_file.num_label_frames[rows]


def _with_label_frames(
    score_file: ScoreFile,
    segment_ids: npt.NDArray[np.str_],
    counts: npt.NDArray[np.integer[Any]],
) -> ScoreFile:
    """Scores no more label frames of each clip than these."""
    rows = pd.Index(segment_ids).get_indexer(pd.Index(score_file.segment_ids))
    return dataclasses.replace(score_file, num_label_frames=counts[rows])


def _with_clips(
    score_file: ScoreFile, segment_ids: Collection[str] | npt.NDArray[np.str_]
) -> ScoreFile:
    """Keeps some clips, in their order."""
    kept = pd.Index(score_file.segment_ids).isin(list(segment_ids))
    if kept.all():
        return score_file
    return dataclasses.replace(
        score_file,
        segment_ids=score_file.segment_ids[kept],
        scores=score_file.scores[kept],
        num_label_frames=score_file.num_label_frames[kept],
    )


def on_listed_clips(
    score_file: ScoreFile, segment_ids: Collection[str], name: str = _SCORES
) -> tuple[ScoreFile, str]:
    """Leaves out the scores of clips that a list does not have.

    Args:
      score_file: The scores.
      segment_ids: The list.
      name: What the scores are, for messages.

    Returns:
      The scores of listed clips, and what was left out.

    Raises:
      InputError: No listed clip is scored.
    """
    listed = _with_clips(score_file, segment_ids)
    if not listed.segment_ids.size:
        raise InputError(
            f"Expected {name} to have scores of listed clips, found none: the "
            f"first are {score_file.segment_ids[:1].tolist()} and "
            f"{list(segment_ids)[:1]}. Give the list of the set that was "
            f"scored."
        )
    return listed, (
        f"{listed.segment_ids.size} of {len(segment_ids)} listed clips are "
        f"scored, {score_file.segment_ids.size - listed.segment_ids.size} "
        f"scored ones are not listed"
    )


def truth_of_clips(truth: Truth, segment_ids: Collection[str]) -> Truth:
    """Leaves out the labels of clips that a list does not have.

    Args:
      truth: The labels.
      segment_ids: The list.

    Returns:
      The labels of listed clips.

    Raises:
      InputError: No listed clip has labels.
    """
    listed = set(segment_ids)

    def of_listed(table: pd.DataFrame | None) -> pd.DataFrame | None:
        return (
            table if table is None else table[table["segment_id"].isin(listed)]
        )

    for name, table in (("framed", truth.framed), ("weak", truth.weak)):
        if table is not None and not table["segment_id"].isin(listed).any():
            raise InputError(
                f"Expected {name} labels of listed clips, found none. Give the "
                f"list of the set that is labelled."
            )
    return dataclasses.replace(
        truth,
        framed=of_listed(truth.framed),
        weak=of_listed(truth.weak),
        explicit_negatives=of_listed(truth.explicit_negatives),
    )


# --- score evaluation ------------------------------------------------------


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


# --- array evaluation ------------------------------------------------------


_GRID = LabelFrameParams()


def evaluate_arrays(
    scores: npt.ArrayLike,
    segment_ids: Sequence[str],
    classes: Sequence[str | int],
    *,
    framed_labels: Path | pd.DataFrame | None = None,
    strong_labels: Path | pd.DataFrame | None = None,
    weak_labels: Path | pd.DataFrame | None = None,
    explicit_negatives: Path | pd.DataFrame | None = None,
    frame_seconds: float = _GRID.label_frame_seconds,
    edges_seconds: Sequence[float] | None = None,
    num_frames: Sequence[int] | None = None,
    pooling: str = "mean",
    is_logits: bool = False,
    class_map: Path | ClassMap | None = None,
    display_names: Path | Mapping[str, str] | None = None,
    baseline: ScoreFile | None = None,
    rank_over: str = "all",
    negatives: Sequence[str] | None = None,
    clips: Sequence[str] | None = None,
    is_on_common_label_frames: bool = False,
    bootstrap: BootstrapSettings = BootstrapSettings(),
) -> EvalReport:
    """Evaluates scores in memory against labels.

    Args:
      scores: As in `make_score_file`, and so are segment_ids, classes,
        frame_seconds, edges_seconds, num_frames, pooling, is_logits, class_map
        and display_names.
      segment_ids: The clips.
      classes: The classes.
      framed_labels: Framed TSV or table (`label_files`), for the Strong eval.
      strong_labels: Strong TSV or table, to be framed, instead of framed ones.
      weak_labels: Weak CSV or table, for the Weak eval.
      explicit_negatives: TSV or table of pairs that annotators marked absent.
      frame_seconds: Length of a frame.
      edges_seconds: Edges of frames of unequal length.
      num_frames: Frames of each clip.
      pooling: "mean" or "max".
      is_logits: Whether scores are logits.
      class_map: Class map, for class indices and names.
      display_names: Display name of each mid.
      baseline: Scores to compare with, of `make_score_file` or `read_scores`.
      rank_over: As in `EvalSettings`, and so are the following.
      negatives: Kinds of negatives; None for all.
      clips: Clips to evaluate on; None for all.
      is_on_common_label_frames: Whether only clips and label frames count that
        the baseline has too.
      bootstrap: As in `EvalSettings`.

    Returns:
      All evaluations that the labels allow.

    Raises:
      InputError: Scores or labels are not what they should be, or have no clip
        in common.
    """
    problems = ProblemLog()
    known = read_known_classes(class_map, display_names, problems)
    truth = read_truth(
        framed_labels, strong_labels, weak_labels, explicit_negatives, problems
    )
    problems.report()
    score_file = make_score_file(
        scores,
        segment_ids,
        classes,
        frame_seconds=frame_seconds,
        edges_seconds=edges_seconds,
        num_frames=num_frames,
        pooling=pooling,
        is_logits=is_logits,
        class_map=known.class_map,
        display_names=known.display_names,
    )
    settings = EvalSettings(
        rank_over=rank_over,
        negatives=negatives,
        clips=clips,
        is_on_common_label_frames=is_on_common_label_frames,
        bootstrap=bootstrap,
        has_details=True,
    )
    return evaluate_scores(
        score_file,
        truth,
        baseline,
        settings=settings,
        names=known.name_of_mid,
        inputs={"scores": "an array"},
        problems=problems,
    )


# --- file evaluation -------------------------------------------------------


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
