"""The way in: scores, truth and settings -> every evaluation they allow.

Classes are joined on mid. Scores and a baseline are compared over the classes
that both have, because a difference over other classes, or a rank among others,
says nothing of the models; and, if asked for, over the clips and label frames
that both have scored. Whatever is left out is counted in words.

The output of any model, in any framework, is evaluated as it is, here at 25
scores a second (`torch.sigmoid(model(waveforms)).numpy()` in place of `array`):

>>> import numpy as np
>>> import pandas as pd
>>> from audioset_strong import evaluation
>>> array = np.full((2, 250, 2), 0.1)  # [clips, frames, classes]
>>> array[0, 50:100, 0] = 0.9  # Clip 0 has Speech from 2 to 4 s.
>>> array[1, :, 1] = 0.8
>>> scores = evaluation.make_scores(
...     array,
...     segment_ids=["s9d-2nhuJCQ_30000", "BfvyPmVMo_20000"],
...     classes=["/m/09x0r", "/m/04rlf"],
...     frame_seconds=0.04,
... )
>>> strong_labels = pd.DataFrame(
...     {
...         "segment_id": ["s9d-2nhuJCQ_30000", "BfvyPmVMo_20000"],
...         "onset_seconds": [2.0, 0.0],
...         "offset_seconds": [4.0, 5.0],
...         "mid": ["/m/09x0r", "/m/04rlf"],
...     }
... )
>>> truth = evaluation.read_truth(strong_labels=strong_labels)  # Or a path.
>>> settings = evaluation.EvalSettings(negatives=["explicit"])
>>> report = evaluation.evaluate_scores(scores, truth, settings)
>>> [result] = report.results
>>> result.evaluation, result.num_items, result.num_classes
('strong', 20, 2)
>>> result.per_class[["mid", "auc"]].to_numpy().tolist()
[['/m/09x0r', 1.0], ['/m/04rlf', 0.5]]

`evaluation.write_report(report, "report")` writes what the binary writes,
`evaluation.read_scores(path)` reads the scores that it reads.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

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
from audioset_strong.evaluation.breakdowns import (
    Breakdown,
    break_down,
    join_breakdowns,
)
from audioset_strong.evaluation.details import Curves, make_curves, worst_items
from audioset_strong.evaluation.items import (
    EvalItems,
    warn_of_gaps,
    within_clips,
)
from audioset_strong.evaluation.ranking_metrics import ClassRanking
from audioset_strong.evaluation.results import (
    EvalDetails,
    EvalReport,
    EvalResult,
    evaluate_items,
)
from audioset_strong.evaluation.scores import (
    LabelFrameScores,
    warn_unless_probabilities,
)
from audioset_strong.evaluation.thresholds import (
    PooledReliability,
    pooled_reliability,
)
from audioset_strong.evaluation.truth import Truth, map_truth
from audioset_strong.labels.class_map import describe_other_classes
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.params import LabelFrameParams


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootstrapSettings:
    """How confidence intervals are made.

    Attributes:
      num_resamples: Resamples of the clips; 0 for no intervals.
      seed: Seed to draw clips with.
      level: Share of resamples that an interval holds, in (0, 1).
    """

    num_resamples: int = 1000
    seed: int = 0
    level: float = 0.95


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EvalSettings:
    """What is computed of scores and labels.

    Attributes:
      rank_over: Classes that lwlrap ranks: "all" that are scored, or the
        "evaluated" ones, which have a positive.
      negatives: Kinds of negatives (`results.py`); None for all.
      mapping: What labels become first; None to take them as they are.
      clips: segment_ids to evaluate on; None for all.
      only_common_label_frames: Whether scores and baseline are evaluated on
        the clips and label frames that both have scored.
      has_details: Whether ROC curves, worst errors and intervals are made.
      bootstrap: How intervals are made. There are none against implied
        negatives, which would take longer than all others together.
    """

    rank_over: str = "all"
    negatives: Sequence[str] | None = None
    mapping: LabelMapping | None = None
    clips: Collection[str] | None = None
    only_common_label_frames: bool = False
    has_details: bool = True
    bootstrap: BootstrapSettings = BootstrapSettings()


def evaluate_scores(
    scores: LabelFrameScores,
    truth: Truth,
    settings: EvalSettings = EvalSettings(),
    baseline: LabelFrameScores | None = None,
) -> EvalReport:
    """Evaluates scores, and a baseline, against labels.

    Args:
      scores: What the model scored: of `read_scores` or `make_scores`.
      truth: The labels: of `read_truth`.
      settings: What is computed.
      baseline: Scores to compare with. Both are evaluated over their common
        classes; a warning and the report's inputs list those left out.

    Returns:
      All evaluations that the labels allow, the paper's two first.

    Raises:
      InputError: Scores and labels, or scores and baseline, have no class or no
        clip in common, or the settings need a baseline and there is none.
    """
    if settings.only_common_label_frames and baseline is None:
        raise InputError(
            "Expected a baseline to have label frames in common with, found "
            "none. Give baseline scores, or evaluate on all label frames."
        )
    inputs: dict[str, str | None] = {
        "scores": scores.source,
        "baseline_scores": None if baseline is None else baseline.source,
        **truth.sources,
    }
    if truth.notes:
        inputs["truth"] = "; ".join(truth.notes)
    events = truth.strong
    if settings.mapping is not None and not settings.mapping.is_identity:
        # Mapped label frames have classes that no event has.
        events = None
        truth, inputs["label_mapping"] = map_truth(truth, settings.mapping)
    if settings.clips is not None:
        truth = truth.of_clips(settings.clips)
    evaluations = truth.evaluations(settings.negatives)
    is_weak = any(evaluation == "weak" for evaluation, _ in evaluations)

    systems = []
    for name, system in (("scores", scores), ("baseline_scores", baseline)):
        if system is None:
            continue
        notes = list(system.notes)
        system, text = within_clips(system, truth.clips, truth.params, name)
        notes.append(text)
        if settings.clips is not None:
            system, text = on_listed_clips(system, settings.clips, name)
            notes.append(text)
        clip_scores = "clip scores, which are means (the Weak eval),"
        notes.append(
            warn_unless_probabilities(
                system, [clip_scores] if is_weak else [], name
            )
        )
        if any(notes):
            inputs[f"{name}_notes"] = "; ".join(filter(None, notes))
        systems.append(system)
    if baseline is not None:
        *systems, text = on_common_classes(*systems)
        if text:
            inputs["compared_classes"] = text
        if settings.only_common_label_frames:
            *systems, inputs["compared_clips"] = on_common_label_frames(
                *systems
            )
    _check_classes(systems[0], truth)

    # Kinds of negatives share their positives: one breakdown is enough.
    to_break_down = next((e for e in evaluations if e[0] == "strong"), None)
    results: list[list[EvalResult]] = []
    details = []
    # Kinds of negatives share their positives, and so lwlrap.
    lwlraps: dict[tuple[str, int], npt.NDArray[np.float64]] = {}
    for evaluation, negatives in evaluations:
        of_systems, summaries = [], []
        for index, system in enumerate(systems):
            # Only one system's items are in memory at a time.
            items = truth.items(system, evaluation, negatives)
            if (evaluation, index) not in lwlraps:
                # Kinds of negatives share their gaps too.
                name = f"the {evaluation.capitalize()} eval of " + (
                    "the baseline" if index else "the scores"
                )
                has_clips = truth.clips is not None
                warn_of_gaps(
                    items.alignment,
                    f"Left out of {name}",
                    f"{evaluation} labels",
                    has_clips,
                )
            rankings = items.rank_classes()
            result = evaluate_items(
                items,
                evaluation,
                negatives,
                settings.rank_over,
                scores.display_names,
                rankings,
                lwlraps.get((evaluation, index)),
            )
            lwlraps[evaluation, index] = result.per_class["lwlrap"].to_numpy()[
                : system.mids.size
            ]
            of_systems.append(result)
            if settings.has_details:
                summary = summarize_items(
                    items,
                    evaluation,
                    settings.bootstrap if negatives != "implied" else None,
                    settings.rank_over,
                    scores.display_names,
                    rankings,
                    has_worst=index == 0,
                    label_frame_seconds=truth.params.label_frame_seconds,
                )
                if negatives == "implied":
                    summary = summary._replace(
                        reliability=pooled_reliability(
                            items, settings.bootstrap.level
                        )
                    )
                if (evaluation, negatives) == to_break_down:
                    summary = summary._replace(
                        breakdown=break_down(
                            items,
                            events,
                            settings.bootstrap.num_resamples
                            if summary.resamples is not None
                            else 0,
                            settings.bootstrap.seed,
                            truth.params,
                        )
                    )
                summaries.append(summary)
            del items, rankings
        results.append(of_systems)
        if settings.has_details:
            level = settings.bootstrap.level
            details.append(
                join_details(evaluation, negatives, level, *summaries)
            )
    return EvalReport(
        inputs=inputs,
        rank_over=settings.rank_over,
        results=tuple(of_systems[0] for of_systems in results),
        baseline_results=tuple(r for rs in results for r in rs[1:]),
        problems=truth.problems,
        details=tuple(details),
    )


def _check_classes(scores: LabelFrameScores, truth: Truth) -> None:
    """Raises `InputError` if no labelled class is scored; warns of no name."""
    labelled, mids = truth.mids(), scores.mids.tolist()
    if labelled.isdisjoint(mids):
        raise InputError(
            f"The scores and the labels have no class in common: scored are "
            f"{len(mids)} classes (class hash {scores.class_map_hash}) such as "
            f"{mids[0]}, labelled are {len(labelled)} such as "
            f"{min(labelled, default='')}. Give scores of the labels' mids, or "
            f"the class map of the scores' columns."
        )
    # Names are only shown, so that classes without one are evaluated too.
    nameless = [mid for mid in mids if mid not in scores.display_names]
    if scores.display_names and nameless:
        logging.warning(
            "%d of %d scored classes (class hash %s) have no display name in "
            "the class map and display names given, such as %s. They are "
            "evaluated; is this the class map of the scores?",
            len(nameless),
            len(mids),
            scores.class_map_hash,
            nameless[0],
        )


# --- Two systems, or a list of clips, on the same footing --------------------


def on_common_classes(
    ours: LabelFrameScores, theirs: LabelFrameScores
) -> tuple[LabelFrameScores, LabelFrameScores, str]:
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
        our_mids, their_mids, ours.source, theirs.source
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

    kept = []
    for system in (ours, theirs):
        is_kept = np.isin(system.mids, common)
        if not is_kept.all():  # Otherwise nothing need be copied.
            system = dataclasses.replace(
                system,
                mids=system.mids[is_kept],
                scores=system.scores[:, :, is_kept],
            )
        kept.append(system)
    return kept[0], kept[1], text


def on_common_label_frames(
    ours: LabelFrameScores, theirs: LabelFrameScores
) -> tuple[LabelFrameScores, LabelFrameScores, str]:
    """Leaves out the clips and label frames that only one of two has scored.

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
    systems = [_of_clips(system, common) for system in (ours, theirs)]
    # Scored label frames of each clip, in the order of `common`, which is
    # ascending.
    counts = [s.num_label_frames[np.argsort(s.segment_ids)] for s in systems]
    least = np.minimum(*counts)  # [num_common_clips]
    num_left_out = [int(own.sum() - least.sum()) for own in counts]
    ours_common, theirs_common = (
        dataclasses.replace(
            s, num_label_frames=least[np.searchsorted(common, s.segment_ids)]
        )
        for s in systems
    )
    text = (
        f"{common.size} clips in both; {ours.segment_ids.size - common.size} "
        f"clips and {num_left_out[0]} label frames of others only in the score "
        f"file, {theirs.segment_ids.size - common.size} and {num_left_out[1]} "
        f"only in the baseline"
    )
    logging.info("Common clips: %s.", text)
    return ours_common, theirs_common, text


def on_listed_clips(
    scores: LabelFrameScores, segment_ids: Collection[str], name: str = "scores"
) -> tuple[LabelFrameScores, str]:
    """Leaves out the scores of clips that a list does not have.

    Args:
      scores: The scores.
      segment_ids: The list.
      name: What to call the scores in messages.

    Returns:
      The scores of listed clips, and what was left out.

    Raises:
      InputError: No listed clip is scored.
    """
    listed = _of_clips(scores, segment_ids)
    if not listed.segment_ids.size:
        raise InputError(
            f"Expected {name} to have scores of listed clips, found none: the "
            f"first are {scores.segment_ids[:1].tolist()} and "
            f"{list(segment_ids)[:1]}. Give the list of the set that was "
            f"scored."
        )
    return listed, (
        f"{listed.segment_ids.size} of {len(segment_ids)} listed clips are "
        f"scored, {scores.segment_ids.size - listed.segment_ids.size} "
        f"scored ones are not listed"
    )


def _of_clips(
    scores: LabelFrameScores,
    segment_ids: Collection[str] | npt.NDArray[np.str_],
) -> LabelFrameScores:
    """Keeps some clips, in their order."""
    is_kept = pd.Index(scores.segment_ids).isin(list(segment_ids))
    if is_kept.all():  # There is nothing to copy.
        return scores
    return dataclasses.replace(
        scores,
        segment_ids=scores.segment_ids[is_kept],
        scores=scores.scores[is_kept],
        num_label_frames=scores.num_label_frames[is_kept],
    )


# --- What a report shows beside the metrics ----------------------------------


class ItemSummary(NamedTuple):
    """What is kept of the items of one system, small beside them.

    Made while the items are in memory, so that a report never needs the items
    of more than one system and one evaluation.

    Attributes:
      curves: `details.make_curves`.
      worst: `details.worst_items`; None of a baseline.
      resamples: Metrics of resamples; None for no intervals.
      breakdown: `breakdowns.break_down`; None for none.
      reliability: `thresholds.pooled_reliability`; None for none.
    """

    curves: Curves
    worst: pd.DataFrame | None
    resamples: ClassResamples | None
    breakdown: Breakdown | None = None
    reliability: PooledReliability | None = None


def summarize_items(
    items: EvalItems,
    evaluation: str,
    bootstrap: BootstrapSettings | None,
    rank_over: str,
    names: Mapping[str, str],
    rankings: Sequence[ClassRanking],
    has_worst: bool = True,
    label_frame_seconds: float = LabelFrameParams().label_frame_seconds,
) -> ItemSummary:
    """Makes everything of one system that a report shows beside the metrics.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak".
      bootstrap: How intervals are made; None for none.
      rank_over: Classes that lwlrap ranks.
      names: Display name of each mid.
      rankings: `items.rank_classes()`.
      has_worst: Whether the worst errors are listed.
      label_frame_seconds: Length of a label frame.

    Raises:
      InputError: A score is NaN, or there are too few resamples for the level.
    """
    resamples = None
    if bootstrap is not None and bootstrap.num_resamples:
        check_level(bootstrap.level, bootstrap.num_resamples)
        resamples = resample_classes(
            items, bootstrap.num_resamples, bootstrap.seed, rank_over
        )
    return ItemSummary(
        make_curves(items.mids.tolist(), rankings),
        worst_items(items, evaluation, names, label_frame_seconds)
        if has_worst
        else None,
        resamples,
    )


def join_details(
    evaluation: str,
    negatives: str,
    level: float,
    ours: ItemSummary,
    baseline: ItemSummary | None = None,
) -> EvalDetails:
    """Joins the summaries of one or two systems.

    They have differences, with intervals of this level, if both systems have
    the same items.
    """
    theirs = None if baseline is None else baseline.resamples
    paired, reason = None, ""
    if ours.resamples is not None and theirs is not None:
        try:
            paired = compare_resamples(ours.resamples, theirs, level)
        except InputError as error:
            reason = str(error)
    intervals, baseline_intervals = (
        None if resamples is None else intervals_of(resamples, level)
        for resamples in (ours.resamples, theirs)
    )
    breakdowns = None
    if ours.breakdown is not None:
        breakdowns = join_breakdowns(
            ours.breakdown,
            None if baseline is None else baseline.breakdown,
            ours.resamples,
            theirs,
            level,
            is_paired=paired is not None,
        )
    return EvalDetails(
        evaluation,
        negatives,
        intervals=intervals,
        baseline_intervals=baseline_intervals,
        paired=paired,
        not_paired_reason=reason,
        curves=ours.curves,
        baseline_curves=None if baseline is None else baseline.curves,
        worst=ours.worst,
        breakdowns=breakdowns,
        lengths_of=ours.breakdown.lengths_of if ours.breakdown else "",
        reliability=ours.reliability,
        baseline_reliability=None if baseline is None else baseline.reliability,
    )
