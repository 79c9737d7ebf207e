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
>>> report = evaluation.evaluate(scores, truth, settings)
>>> [result] = report.results
>>> result.evaluation, result.num_items, result.num_classes
('strong', 20, 2)
>>> result.per_class[["mid", "auc"]].to_numpy().tolist()
[['/m/09x0r', 1.0], ['/m/04rlf', 0.5]]

`evaluation.write_report(report, "report")` writes what the binary writes,
`evaluation.read_scores(path)` reads the scores that it reads.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.breakdowns import (
    Breakdown,
    break_down,
    join_breakdowns,
)
from audioset_strong.evaluation.details import Curves, make_curves, worst_items
from audioset_strong.evaluation.identity import identify, name_of_source
from audioset_strong.evaluation.items import (
    Alignment,
    EvalItems,
    warn_of_gaps,
    within_clips,
)
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.protocols import (
    HERSHEY,
    ProtocolResult,
    ProtocolSettings,
    check_protocols,
    score_protocols,
)
from audioset_strong.evaluation.ranking_metrics import ClassRanking
from audioset_strong.evaluation.resampling import (
    ClassResamples,
    check_level,
    compare_resamples,
    intervals_of,
    resample_classes,
)
from audioset_strong.evaluation.results import (
    EvalDetails,
    EvalReport,
    EvalResult,
    count_of,
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

# What messages call systems that are given by an argument.
# The items of one take 0.15 GB at release size, beside their scores.
_EVALUATIONS_AT_ONCE = 2

_NAMES = {"scores": "the scores", "baseline_scores": "the baseline"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResamplingSettings:
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
      pooling: How frames of another length become label frames, "mean" or
        "max" (`scores.py`).
      allow_partial_scores: Whether most clips may have scores that end long
        before or after them.
      only_common_label_frames: Whether scores and baseline are evaluated on
        the clips and label frames that both have scored.
      has_details: Whether ROC curves, worst errors and intervals are made.
      resampling: How intervals are made. There are none against implied
        negatives, which would take longer than all others together.
    """

    rank_over: str = "all"
    negatives: Sequence[str] | None = None
    mapping: LabelMapping | None = None
    clips: Collection[str] | None = None
    pooling: str = "mean"
    allow_partial_scores: bool = False
    only_common_label_frames: bool = False
    has_details: bool = True
    resampling: ResamplingSettings = ResamplingSettings()


def evaluate(
    scores: NativeScores | LabelFrameScores,
    truth: Truth,
    settings: EvalSettings = EvalSettings(),
    baseline: NativeScores | LabelFrameScores | None = None,
    *,
    protocols: Sequence[str] = (HERSHEY,),
    protocol_settings: ProtocolSettings = ProtocolSettings(),
    system_name: str = "",
    baseline_name: str = "",
    other_inputs: Mapping[str, str | None] = MappingProxyType({}),
) -> EvalReport:
    """Evaluates scores, and a baseline, against labels.

    Args:
      scores: What the model scored: of `read_scores` or `make_scores`.
      truth: The labels: of `read_truth`.
      settings: What is computed.
      baseline: Scores to compare with. Both are evaluated over their common
        classes; a warning and the report's inputs list those left out.
      protocols: Names of what is computed (`protocols.py`). The default is the
        paper's evaluation of label frames; events and segments need scores as
        they come, and score each system over its own classes and clips.
      protocol_settings: What protocols of events and segments are given.
      system_name: What the report calls the system; "" for a name of where the
        scores are from (`identity.name_of_source`).
      baseline_name: The same for the baseline.
      other_inputs: Paths of further files that the numbers depend on, such as
        class_map, for the report; None for those not given.

    Returns:
      All evaluations that the labels allow, the paper's two first, and what
      other protocols give.

    Raises:
      InputError: Scores and labels, or scores and baseline, have no class or no
        clip in common, the settings need a baseline and there is none, or a
        protocol cannot be computed (`score_protocols`).
    """
    protocols = check_protocols(protocols)
    if settings.only_common_label_frames and baseline is None:
        raise InputError(
            "Expected a baseline to have label frames in common with, found "
            "none. Give baseline scores, or evaluate on all label frames."
        )
    systems = {"scores": scores}
    if baseline is not None:
        systems["baseline_scores"] = baseline
    of_protocols = {
        name: score_own_protocols(
            system, truth, protocols, protocol_settings, settings
        )
        for name, system in systems.items()
    }
    evaluated = EvaluatedSystems([], {}, {})
    if HERSHEY in protocols:
        evaluated = evaluate_systems(systems.items(), truth, settings)
    inputs = {
        "scores": scores.source,
        "baseline_scores": None if baseline is None else baseline.source,
        **truth.sources,
        **other_inputs,
        **evaluated.notes,
    }
    if baseline is not None:
        baseline_name = baseline_name or name_of_source(baseline.source)
    level = settings.resampling.level
    of_evaluations = [
        [of_system[key] for of_system in evaluated.systems.values()]
        for key in evaluated.evaluations
    ]
    return EvalReport(
        inputs=inputs,
        identity=identify(
            system_name or name_of_source(scores.source),
            baseline_name,
            inputs,
            protocols,
        ),
        rank_over=settings.rank_over,
        results=tuple(ours.result for ours, *_ in of_evaluations),
        baseline_results=tuple(
            theirs.result
            for _, *baselines in of_evaluations
            for theirs in baselines
        ),
        problems=truth.problems,
        details=tuple(
            join_details(*key, level, *(e.summary for e in evaluations))
            for key, evaluations in zip(
                evaluated.evaluations, of_evaluations, strict=True
            )
        )
        if settings.has_details
        else (),
        protocols=of_protocols["scores"],
        baseline_protocols=of_protocols.get("baseline_scores", ()),
    )


def score_own_protocols(
    scores: NativeScores | LabelFrameScores,
    truth: Truth,
    names: Sequence[str],
    protocol_settings: ProtocolSettings,
    settings: EvalSettings,
) -> tuple[ProtocolResult, ...]:
    """Scores a system by protocols of events and segments, if there are any."""
    if set(names) <= {HERSHEY}:
        return ()
    if settings.mapping is not None and not settings.mapping.is_identity:
        raise InputError(
            "Expected labels as they are for protocols of events and segments, "
            "found a label mapping. Leave it out, or ask for hershey2021 alone."
        )
    if isinstance(scores, LabelFrameScores):
        raise InputError(
            "Expected scores as they come for protocols of events and "
            "segments, found label frames. Give what read_scores or "
            "make_scores returns."
        )
    if settings.clips is not None:
        truth = truth.of_clips(settings.clips)
    return score_protocols(
        scores, truth, names, protocol_settings, settings.allow_partial_scores
    )


class SystemEvaluation(NamedTuple):
    """One evaluation of one system, without its items.

    Attributes:
      result: The metrics.
      summary: What is shown beside them.
    """

    result: EvalResult
    summary: "ItemSummary"


class EvaluatedSystems(NamedTuple):
    """Several systems on the same footing.

    Attributes:
      evaluations: (evaluation, kind of negatives) of each, in the order to
        show.
      systems: By name, in the order given: each of these evaluations.
      notes: What a reader must know of labels and scores, in words, by what it
        is about: truth, label_mapping, compared_classes, compared_clips and
        NAME_notes of each system.
    """

    evaluations: list[tuple[str, str]]
    systems: dict[str, dict[tuple[str, str], SystemEvaluation]]
    notes: dict[str, str]


def evaluate_systems(
    systems: Iterable[tuple[str, NativeScores | LabelFrameScores]],
    truth: Truth,
    settings: EvalSettings,
    has_plots: bool = True,
    scratch_dir: str | None = None,
) -> EvaluatedSystems:
    """Evaluates systems one after the other, over what all have in common.

    Args:
      systems: Name and scores of each system, which may be read as they are
        asked for.
      truth: The labels.
      settings: What is computed.
      has_plots: Whether details have curves and breakdowns and, of the first
        system, the worst errors.
      scratch_dir: Folder where scores wait, so that only one system's need be
        in memory; None to keep them there.

    Raises:
      InputError: A system and the labels, or the systems, have no class or no
        clip in common.
    """
    notes = {"truth": "; ".join(truth.notes)}
    if settings.mapping is not None and not settings.mapping.is_identity:
        truth, notes["label_mapping"] = map_truth(truth, settings.mapping)
    if settings.clips is not None:
        truth = truth.of_clips(settings.clips)
    evaluations = truth.evaluations(settings.negatives)
    is_weak = any(evaluation == "weak" for evaluation, _ in evaluations)
    prepared: dict[str, LabelFrameScores] = {}
    extents: dict[str, Extent] = {}
    for name, given in systems:
        scores = truth.label_frames(
            given, settings.pooling, settings.allow_partial_scores
        )
        of_system = list(scores.notes)
        scores, text = within_clips(scores, truth.clips, truth.params, name)
        of_system.append(text)
        if settings.clips is not None:
            scores, text = on_listed_clips(scores, settings.clips, name)
            of_system.append(text)
        of_system.append(
            warn_unless_probabilities(
                scores,
                ["clip scores, which are means (the Weak eval),"]
                if is_weak
                else [],
                name,
            )
        )
        notes[f"{name}_notes"] = "; ".join(filter(None, of_system))
        if scratch_dir is not None:
            path = os.path.join(scratch_dir, f"{len(prepared)}.npy")
            scores = _moved_to_file(scores, path)
        extents[name], prepared[name] = Extent.of(scores), scores
    extents, notes["compared_classes"] = common_classes(extents)
    if settings.only_common_label_frames:
        extents, notes["compared_clips"] = common_label_frames(extents)

    evaluated: dict[str, dict[tuple[str, str], SystemEvaluation]] = {}
    names: Mapping[str, str] = {}
    # Systems on common clips have the same gaps, which are told once.
    told: list[tuple[str, Alignment]] = []
    for name, extent in extents.items():
        scores = extent.of_scores(prepared.pop(name))
        if not evaluated:
            names = scores.display_names
            _check_classes(scores, truth)
        evaluated[name] = _evaluate_system(
            _NAMES.get(name, name),
            scores,
            truth,
            evaluations,
            settings,
            names,
            told,
            has_plots,
            has_worst=not evaluated,
        )
    return EvaluatedSystems(
        evaluations,
        evaluated,
        {about: note for about, note in notes.items() if note},
    )


def _moved_to_file(scores: LabelFrameScores, path: str) -> LabelFrameScores:
    """Writes scores to a file and maps it into memory instead of them."""
    np.save(path, scores.scores)
    mapped = np.load(path, mmap_mode="r")
    return dataclasses.replace(scores, scores=mapped)


def _evaluate_system(
    name: str,
    scores: LabelFrameScores,
    truth: Truth,
    evaluations: Sequence[tuple[str, str]],
    settings: EvalSettings,
    display_names: Mapping[str, str],
    told: list[tuple[str, Alignment]],
    has_plots: bool,
    has_worst: bool,
) -> dict[tuple[str, str], SystemEvaluation]:
    """Makes every evaluation of one system, the items of two in memory."""
    # Kinds of negatives share their positives, and so lwlrap, their gaps and
    # the breakdown: the first kind of each evaluation makes them.
    first_kind = dict(reversed(evaluations))
    firsts = [*{e: (e, first_kind[e]) for e, _ in evaluations}.values()]
    others = [own for own in evaluations if own not in firsts]
    lwlraps: dict[str, npt.NDArray[np.float64]] = {}

    def make(own: tuple[str, str]) -> SystemEvaluation:
        evaluation, negatives = own
        items = truth.items(scores, evaluation, negatives)
        rankings = items.rank_classes()
        result = evaluate_items(
            items,
            evaluation,
            negatives,
            settings.rank_over,
            display_names,
            rankings,
            lwlraps.get(evaluation),
        )
        summary = ItemSummary(None, None, None)
        if not settings.has_details:
            return SystemEvaluation(result, summary)
        resampling = settings.resampling
        summary = summarize_items(
            items,
            evaluation,
            resampling if negatives != "implied" else None,
            settings.rank_over,
            display_names,
            rankings,
            has_curves=has_plots,
            has_worst=has_plots and has_worst,
        )
        if not has_plots:
            if summary.resamples is not None:
                summary = summary._replace(
                    resamples=summary.resamples.for_pairs()
                )
            return SystemEvaluation(result, summary)
        if negatives == "implied":
            summary = summary._replace(
                reliability=pooled_reliability(items, resampling.level)
            )
        if own in firsts and evaluation == "strong":
            breakdown = break_down(
                items,
                truth.strong,
                0 if summary.resamples is None else resampling.num_resamples,
                resampling.seed,
                truth.params,
                rankings,
                truth.clips,
            )
            summary = summary._replace(breakdown=breakdown)
        return SystemEvaluation(result, summary)

    found: dict[tuple[str, str], SystemEvaluation] = {}
    # Most of the work is NumPy's, which threads share. More would take memory.
    with concurrent.futures.ThreadPoolExecutor(_EVALUATIONS_AT_ONCE) as pool:
        found.update(zip(firsts, pool.map(make, firsts), strict=True))
        for evaluation, _ in firsts:
            result = found[evaluation, first_kind[evaluation]].result
            lwlraps[evaluation] = result.per_class["lwlrap"].to_numpy()[
                : scores.mids.size
            ]
            gaps = evaluation, result.alignment
            if gaps not in told:
                told.append(gaps)
                warn_of_gaps(
                    result.alignment,
                    f"Left out of the {evaluation.capitalize()} eval of {name}",
                    f"{evaluation} labels",
                    truth.clips is not None,
                )
    # One at a time: implied negatives are most of all label frames.
    found.update(zip(others, map(make, others), strict=True))
    return {own: found[own] for own in evaluations}


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


# --- Several systems, or a list of clips, on the same footing ----------------


class Extent(NamedTuple):
    """What a system has scored, without the scores.

    Attributes:
      source: Where the scores are from.
      mids: str `[num_classes]`.
      segment_ids: str `[num_clips]`.
      num_label_frames: int64 `[num_clips]`: label frames that count.
    """

    source: str
    mids: npt.NDArray[np.str_]
    segment_ids: npt.NDArray[np.str_]
    num_label_frames: npt.NDArray[np.integer[Any]]

    @staticmethod
    def of(scores: LabelFrameScores) -> "Extent":
        """Returns the extent of scores."""
        return Extent(
            scores.source,
            scores.mids,
            scores.segment_ids,
            scores.num_label_frames,
        )

    def of_scores(self, scores: LabelFrameScores) -> LabelFrameScores:
        """Leaves out of scores, in their order, what is not of this extent."""
        scores = _of_clips(scores, self.segment_ids)
        is_kept = np.isin(scores.mids, self.mids)
        if not is_kept.all():  # Otherwise nothing need be copied.
            scores = dataclasses.replace(
                scores,
                mids=scores.mids[is_kept],
                scores=scores.scores[:, :, is_kept],
            )
        if np.array_equal(scores.num_label_frames, self.num_label_frames):
            return scores
        return dataclasses.replace(
            scores, num_label_frames=self.num_label_frames
        )


def common_classes(
    extents: Mapping[str, Extent],
) -> tuple[dict[str, Extent], str]:
    """Leaves out the classes that not all systems have.

    Returns:
      The extents, and what was left out; "" for nothing.

    Raises:
      InputError: They have no class in common.
    """
    first, *others = extents.values()
    common = set(first.mids.tolist()).intersection(
        *(other.mids.tolist() for other in others)
    )
    counts = {
        name: extent.mids.size - len(common) for name, extent in extents.items()
    }
    if not any(counts.values()):
        return dict(extents), ""
    difference = "; ".join(
        describe_other_classes(
            first.mids.tolist(),
            other.mids.tolist(),
            first.source,
            other.source,
        )
        for other in others
        if set(other.mids.tolist()) != set(first.mids.tolist())
    )
    if not common:
        raise InputError(
            f"{_listed_names(extents)} have no class in common: {difference}. "
            f"Give scores whose mids are of one ontology."
        )
    text = f"{len(common)} in all; {_only_in(counts, 'classes')}"
    logging.warning(
        "Evaluated are the classes that %s have in common (%s): %s.",
        _listed_names(extents),
        text,
        difference,
    )
    return {
        name: extent._replace(
            mids=extent.mids[np.isin(extent.mids, list(common))]
        )
        for name, extent in extents.items()
    }, text


def common_label_frames(
    extents: Mapping[str, Extent],
) -> tuple[dict[str, Extent], str]:
    """Leaves out the clips and label frames that not all systems have scored.

    Returns:
      The extents, over the same clips, each in its own order, and as many label
      frames of each clip; and what was left out.

    Raises:
      InputError: They have no clip in common.
    """
    # [num_common_clips, num_systems]
    counts = pd.concat(
        [
            pd.Series(extent.num_label_frames, index=extent.segment_ids)
            for extent in extents.values()
        ],
        axis=1,
        join="inner",
    )
    if counts.empty:
        first = [e.segment_ids[:1].tolist() for e in extents.values()]
        raise InputError(
            f"{_listed_names(extents)} have no clip in common; the first are "
            f"{' and '.join(map(str, first))}. Give scores of one set."
        )
    least = counts.min(axis=1)
    kept, clips, label_frames = {}, {}, {}
    for (name, extent), own in zip(
        extents.items(), counts.sum().tolist(), strict=True
    ):
        clips[name] = extent.segment_ids.size - len(least)
        label_frames[name] = own - int(least.sum())
        segment_ids = extent.segment_ids[
            np.isin(extent.segment_ids, least.index.to_numpy(dtype=str))
        ]
        kept[name] = extent._replace(
            segment_ids=segment_ids,
            num_label_frames=least.loc[segment_ids.tolist()].to_numpy(
                dtype=np.int64
            ),
        )
    text = (
        f"{count_of(len(least), 'clip')} in all; {_only_in(clips, 'clips')}; "
        f"{_only_in(label_frames, 'label frames of these clips')}"
    )
    logging.info("Common clips: %s.", text)
    return kept, text


def _listed_names(names: Iterable[str]) -> str:
    *others, last = (_NAMES.get(name, name) for name in names)
    return f"{', '.join(others)} and {last}"


def _only_in(counts: Mapping[str, int], what: str) -> str:
    """Says what was left out of which systems, which others lack."""
    left_out = ", ".join(
        f"{count:,} of {_NAMES.get(name, name)}"
        for name, count in counts.items()
        if count
    )
    return f"{what} left out: {left_out or 'none'}"


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
      curves: `details.make_curves`; None for none.
      worst: `details.worst_items`; None of a baseline.
      resamples: Metrics of resamples; None for no intervals.
      breakdown: `breakdowns.break_down`; None for none.
      reliability: `thresholds.pooled_reliability`; None for none.
    """

    curves: Curves | None
    worst: pd.DataFrame | None
    resamples: ClassResamples | None
    breakdown: Breakdown | None = None
    reliability: PooledReliability | None = None


def summarize_items(
    items: EvalItems,
    evaluation: str,
    resampling: ResamplingSettings | None,
    rank_over: str,
    names: Mapping[str, str],
    rankings: Sequence[ClassRanking],
    has_curves: bool = True,
    has_worst: bool = True,
) -> ItemSummary:
    """Makes everything of one system that a report shows beside the metrics.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" or "weak".
      resampling: How intervals are made; None for none.
      rank_over: Classes that lwlrap ranks.
      names: Display name of each mid.
      rankings: `items.rank_classes()`.
      has_curves: Whether there are curves.
      has_worst: Whether the worst errors are listed.

    Raises:
      InputError: A score is NaN, or there are too few resamples for the level.
    """
    resamples = None
    if resampling is not None and resampling.num_resamples:
        check_level(resampling.level, resampling.num_resamples)
        resamples = resample_classes(
            items, resampling.num_resamples, resampling.seed, rank_over
        )
    return ItemSummary(
        make_curves(items.mids.tolist(), rankings) if has_curves else None,
        worst_items(items, evaluation, names) if has_worst else None,
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
