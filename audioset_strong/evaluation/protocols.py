"""Protocols by name: the event and segment metrics that papers report.

Papers share the names of metrics and not what these depend on: the same scores
get PSDS1 0.1 or 0.35 by the classes, the filter and the penalty. `PROTOCOLS`
says for each published protocol what its code does, and every number is printed
with all of it. `docs/protocols.md` is the same table.

What all have in common (`events.py`, `segments.py`): clips that are scored and
labelled, classes that are scored and have an event in these clips, events of a
class that overlap or touch as one, frames at the scores' own hop and cut at the
end of their clip. A median filter takes what lies before the clip as its mirror
image (SciPy's `ndimage.median_filter`); a length in seconds becomes the nearest
odd number of frames.

`hershey2021` is the paper's own evaluation, of label frames and with explicit
negatives (`evaluating.py`), and stands here for its name.

Source: the code named with each protocol, read in 2026-11 and run beside ours
on the same scores (experiments/results/protocols.md).
"""

import dataclasses
import importlib.metadata
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from absl import logging
from scipy.special import logit

from audioset_strong.errors import InputError
from audioset_strong.evaluation.events import (
    EventMetric,
    EventTruth,
    F1Params,
    PsdsParams,
    Thresholds,
    make_event_truth,
    score_events,
)
from audioset_strong.evaluation.items import NO_LIST_ADVICE, log_gaps
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.segments import SegmentParams, score_segments
from audioset_strong.evaluation.truth import Truth
from audioset_strong.labels.clips import check_onsets
from audioset_strong.labels.problems import listed

HERSHEY = "hershey2021"

# Classes of both splits of AudioSet Strong.
_NUM_CLASSES_OF_BOTH = 407
_RARE_SECONDS = 360.0
COMMON, RARE = "common", "rare"

_Path = str | os.PathLike[str]


# --- The table ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """One published way to score sound events.

    Attributes:
      name: How to ask for it.
      source: Paper or code that it is from.
      metrics: What it computes, by name; the first is its headline.
      of_both_splits: Whether classes must have events in the training labels
        too.
      drops_empty_clips: Whether clips without an event of these classes are
        left out, though a list of annotated clips has them.
      masks_absent: Whether scores of classes that a clip has no event of are
        set to 0.
      median_seconds: Length of the median filter; None for none.
      median_frames: The same in frames of any length.
      note: What else a reader must know.
    """

    name: str
    source: str
    metrics: Mapping[str, EventMetric | SegmentParams]
    of_both_splits: bool = False
    drops_empty_clips: bool = True
    masks_absent: bool = False
    median_seconds: float | None = None
    median_frames: int | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class EventScoreParams:
    """Parameters of the protocol `events`.

    Attributes:
      dtc_threshold: PSDS: least share of a detection inside events.
      gtc_threshold: PSDS: least share of an event inside detections.
      cttc_threshold: PSDS: least share of a detection inside events of another
        class for a cross trigger; used where alpha_ct is above 0.
      alpha_ct: PSDS: weight of cross triggers.
      alpha_st: PSDS: weight of the spread of classes.
      max_efpr: PSDS: false alarms an hour up to which the area is taken.
      f1_dtc_threshold: Intersection F1: as dtc_threshold.
      f1_gtc_threshold: Intersection F1: as gtc_threshold.
      onset_collar: Collar F1: seconds.
      offset_collar: Collar F1: seconds, or `offset_collar_rate` of the event
        where that is more.
      offset_collar_rate: Collar F1: share of an event's length.
    """

    dtc_threshold: float = 0.7
    gtc_threshold: float = 0.7
    cttc_threshold: float = 0.3
    alpha_ct: float = 0.0
    alpha_st: float = 1.0
    max_efpr: float = 100.0
    f1_dtc_threshold: float = 0.5
    f1_gtc_threshold: float = 0.5
    onset_collar: float = 0.2
    offset_collar: float = 0.2
    offset_collar_rate: float = 0.2


def events_protocol(
    params: EventScoreParams = EventScoreParams(), thresholds: Thresholds = 0.5
) -> Protocol:
    """Makes the protocol `events`.

    Args:
      params: What the numbers depend on.
      thresholds: Of the F1: least score of an event, or that of each mid, such
        as `thresholds.ThresholdFile.thresholds`.
    """
    metrics: dict[str, EventMetric] = {
        "psds": PsdsParams(
            dtc_threshold=params.dtc_threshold,
            gtc_threshold=params.gtc_threshold,
            cttc_threshold=params.cttc_threshold if params.alpha_ct else None,
            alpha_ct=params.alpha_ct,
            alpha_st=params.alpha_st,
            max_efpr=params.max_efpr,
        )
    }
    criteria = {
        "intersection": {
            "dtc_threshold": params.f1_dtc_threshold,
            "gtc_threshold": params.f1_gtc_threshold,
        },
        "collar": {
            "onset_collar": params.onset_collar,
            "offset_collar": params.offset_collar,
            "offset_collar_rate": params.offset_collar_rate,
        },
    }
    for matching, of_matching in criteria.items():
        f1 = F1Params(
            matching=matching,
            criteria=of_matching,
            threshold=thresholds,
            counts_threshold=True,
        )
        metrics[f"{matching}_f1"] = f1
        metrics[f"{matching}_f1_micro"] = dataclasses.replace(
            f1, average="all together"
        )
    return Protocol(
        name="events",
        source="own parameters",
        metrics=metrics,
        drops_empty_clips=False,
    )


_PSDS1 = PsdsParams()
_PENALIZED = PsdsParams(alpha_st=1.0)
_DESED_TASK = "DCASE-REPO/DESED_task, recipes/dcase2024_task4_baseline"
_STAIRS = SegmentParams(max_fpr=0.1, curve="stairs")

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name=HERSHEY,
            source="Hershey et al., ICASSP 2021, Section 4.1",
            metrics={},
            note="d', mAP and lwlrap of label frames of 0.96 s, against "
            "explicit and complementary negatives: the default",
        ),
        Protocol(
            name="psds1_audioset_strong_407",
            source="fschmid56/PretrainedSED and theMoro/EfficientSED, "
            "ex_audioset_strong.py",
            metrics={"psds_macro": _PSDS1, "psds": _PENALIZED},
            of_both_splits=True,
            median_seconds=0.36,
            note="psds_macro, the mean of the classes, is their headline",
        ),
        Protocol(
            name="psds1_a",
            source="JHU-LCAP/FlexSED src/val.py (PSDS1_A)",
            metrics={"psds": _PSDS1},
            median_seconds=0.36,
        ),
        Protocol(
            name="psds1_t",
            source="JHU-LCAP/FlexSED src/val.py (PSDS1_T)",
            metrics={"psds": _PSDS1},
            masks_absent=True,
            median_seconds=0.36,
        ),
        Protocol(
            name="psds1_open",
            source="xiquan-li/FineLAP evaluate.py; Ming-er/MGA-CLAP "
            "zero_shot_sed.py",
            metrics={"psds": _PSDS1, "psds_penalized": _PENALIZED},
            median_frames=3,
            note="FineLAP's code computes psds, MGA-CLAP's psds_penalized",
        ),
        Protocol(
            name="psds1_common_rare",
            source="cai525/Transformer4SED recipes/audioset_strong (DASM)",
            metrics={
                "psds": _PSDS1,
                "psds_common": PsdsParams(classes=COMMON),
                "psds_rare": PsdsParams(classes=RARE),
            },
            of_both_splits=True,
            note="rare are classes with less than 6 minutes of training events",
        ),
        Protocol(
            name="segment_auroc",
            source="scikit-learn's roc_auc_score over segments",
            metrics={"auroc": SegmentParams()},
        ),
        Protocol(
            name="segment_pauroc",
            source="scikit-learn's roc_auc_score over segments, without its "
            "correction",
            metrics={"pauroc": SegmentParams(max_fpr=0.1)},
        ),
        Protocol(
            name="segment_pauroc_407",
            source="fschmid56/PretrainedSED and theMoro/EfficientSED, "
            "ex_audioset_strong.py",
            metrics={"pauroc": _STAIRS},
            of_both_splits=True,
            median_seconds=0.36,
        ),
        Protocol(
            name="dcase2024_mpauc",
            source=f"{_DESED_TASK}, test of MAESTRO",
            metrics={
                "mpauc": dataclasses.replace(_STAIRS, pooling="mean"),
                "mauc": SegmentParams(pooling="mean", curve="stairs"),
            },
            note="MAESTRO's events are those of a confidence above 0.5, of 11 "
            "classes: give such labels",
        ),
        Protocol(
            name="dcase_psds1",
            source=f"{_DESED_TASK} (since 2021)",
            metrics={"psds": _PENALIZED},
        ),
        Protocol(
            name="dcase_psds2",
            source=f"{_DESED_TASK} (since 2021)",
            metrics={
                "psds": PsdsParams(
                    dtc_threshold=0.1,
                    gtc_threshold=0.1,
                    cttc_threshold=0.3,
                    alpha_ct=0.5,
                    alpha_st=1.0,
                )
            },
        ),
        Protocol(
            name="dcase_intersection_f1",
            source=_DESED_TASK,
            metrics={
                "f1": F1Params(
                    matching="intersection",
                    criteria={"dtc_threshold": 0.5, "gtc_threshold": 0.5},
                )
            },
        ),
        Protocol(
            name="dcase_collar_f1",
            source=_DESED_TASK,
            metrics={
                "f1": F1Params(
                    matching="collar",
                    criteria={
                        "onset_collar": 0.2,
                        "offset_collar": 0.2,
                        "offset_collar_rate": 0.2,
                    },
                )
            },
        ),
        events_protocol(),
    )
}


# --- What a protocol is given ------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ClassList:
    """Classes that a protocol is restricted to.

    Attributes:
      mids: The classes.
      group_of_mid: Group of each, such as "common" or "rare"; may be empty.
      source: Where they are from, in words.
    """

    mids: frozenset[str]
    group_of_mid: Mapping[str, str]
    source: str


def classes_of_training(strong: pd.DataFrame, source: str) -> ClassList:
    """Finds the classes of training labels, and which of them are rare.

    Args:
      strong: Strong table (`label_files`) of the training set.
      source: Where it is from.
    """
    seconds = strong["offset_seconds"] - strong["onset_seconds"]
    of_class = seconds.groupby(strong["mid"]).sum()
    return ClassList(
        mids=frozenset(of_class.index),
        group_of_mid={
            str(mid): RARE if seconds < _RARE_SECONDS else COMMON
            for mid, seconds in of_class.items()
        },
        source=f"with events in {source}",
    )


def read_class_list(
    path: _Path, mids_of_name: Mapping[str, Sequence[str]]
) -> ClassList:
    """Reads a list of classes: one a line, and its group after a tab.

    Args:
      path: Mids, or display names.
      mids_of_name: Mids of each display name.

    Raises:
      InputError: There is none, a name has several mids, or a class stands
        twice; names file and line.
    """
    groups: dict[str, str] = {}
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            name, _, group = (part.strip() for part in line.partition("\t"))
            if not name:
                continue
            mids = list(mids_of_name.get(name, ())) or [name]
            if len(mids) > 1 or mids[0] in groups:
                found = (
                    f"a name of {len(mids)}: {listed(mids)}"
                    if len(mids) > 1
                    else "one that an earlier line has"
                )
                raise InputError(
                    f"{path}:{number}: expected the mid of a class, found "
                    f"{found} ({name!r})."
                )
            groups[mids[0]] = group
    if not groups:
        raise InputError(f"{path}: expected a class a line, found none.")
    return ClassList(
        mids=frozenset(groups),
        group_of_mid={mid: group for mid, group in groups.items() if group},
        source=f"listed in {os.fspath(path)}",
    )


@dataclasses.dataclass(frozen=True)
class MedianFilter:
    """Length of a median filter over frames, instead of the protocol's.

    Attributes:
      length: Of all classes, or of each mid; above 0.
      unit: "seconds" or "frames".
    """

    length: float | Mapping[str, float]
    unit: str = "seconds"

    def frames_of(self, mids: Sequence[str], hop: float) -> dict[str, int]:
        """Returns the number of frames for each class.

        Raises:
          InputError: A class has none, or one that is not a number above 0.
        """
        frames = {}
        for mid in mids:
            length = (
                self.length.get(mid, math.nan)
                if isinstance(self.length, Mapping)
                else self.length
            )
            if not 0 < length < math.inf or (
                self.unit == "frames" and length != int(length)
            ):
                raise InputError(
                    f"Expected a length of the median filter of {mid} in "
                    f"{self.unit}, found {length}. Give one number, or a file "
                    f"with all classes."
                )
            frames[mid] = (
                int(length)
                if self.unit == "frames"
                else max(1, 2 * round((length / hop - 1) / 2) + 1)
            )
        return frames


def read_lengths(path: _Path) -> dict[str, float]:
    """Reads a CSV of classes and lengths of their median filters.

    Raises:
      InputError: It has not the columns mid and length, or a class twice.
    """
    table = pd.read_csv(path)
    if not {"mid", "length"} <= set(table) or table["mid"].duplicated().any():
        raise InputError(
            f"{path}: expected a CSV with the columns mid and length, each "
            f"class once, found {list(table.columns)} and {len(table)} lines."
        )
    return dict(zip(table["mid"], table["length"].astype(float), strict=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProtocolSettings:
    """What protocols are given besides scores and truth.

    Attributes:
      classes: Classes that protocols of both splits need, and others are then
        restricted to as well; None for none.
      median_filter: Instead of that of the protocols; None for theirs.
      events: Parameters of the protocol `events`.
      thresholds: Of its F1 (`events_protocol`).
      num_jobs: Processes. More than 1 only where a script may be imported again
        (`if __name__ == "__main__"`).
    """

    classes: ClassList | None = None
    median_filter: MedianFilter | None = None
    events: EventScoreParams = EventScoreParams()
    thresholds: Thresholds = 0.5
    num_jobs: int = 1


# --- Results -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class ProtocolResult:
    """What a protocol gives for one system.

    Attributes:
      name: The protocol.
      source: Paper or code that it is from.
      values: Each metric, in [0, 1]; NaN where undefined. The headline first.
      parameters: Of each metric.
      conditions: Everything else that the values depend on, in words.
      per_class: One row an evaluated class, in the order of the scores: mid and
        display_name str, num_events int64 (merged), for segments num_positives
        and num_negatives int64, and the metrics that classes have, float64.
      truth: Clips, classes and events, and what was left out.
    """

    name: str
    source: str
    values: dict[str, float]
    parameters: dict[str, dict[str, Any]]
    conditions: dict[str, str]
    per_class: pd.DataFrame
    truth: EventTruth

    def lines(self) -> list[str]:
        """Returns each value beside all that it depends on."""
        lines = []
        for metric, value in self.values.items():
            number = "undefined" if math.isnan(value) else f"{value:.4f}"
            lines.append(
                f"{self.name} {metric}: {number} "
                f"({self.parameter_text(metric)})"
            )
        return [*lines, f"    {self.condition_text()}"]

    def parameter_text(self, metric: str) -> str:
        """Returns the parameters of a metric in a line."""
        return ", ".join(
            f"{key} {_shown(item)}"
            for key, item in self.parameters[metric].items()
        )

    def condition_text(self) -> str:
        """Returns what else the values depend on in a line."""
        conditions = {**self.conditions, "source": self.source}
        return "; ".join(
            f"{key.replace('_', ' ')}: {text}"
            for key, text in conditions.items()
        )


def _shown(item: Any) -> str:
    if isinstance(item, float):
        return f"{item:g}"
    return "none" if item is None else str(item)


def _parameters(metric: EventMetric | SegmentParams) -> dict[str, Any]:
    """Returns the parameters of a metric, those of a matching beside it."""
    parameters = dataclasses.asdict(metric)
    criteria = parameters.pop("criteria", {})
    if isinstance(parameters.get("threshold"), dict):
        parameters["threshold"] = "of each class"
    return {**criteria, **parameters}


# --- Scoring -----------------------------------------------------------------


def check_protocols(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names, each once.

    Raises:
      InputError: One is unknown.
    """
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown or not names:
        raise InputError(
            f"Expected protocols of {', '.join(PROTOCOLS)}; found "
            f"{listed(unknown) if unknown else 'none'}."
        )
    return tuple(dict.fromkeys(names))


def score_protocols(
    scores: NativeScores,
    truth: Truth,
    names: Sequence[str],
    settings: ProtocolSettings = ProtocolSettings(),
    allow_partial: bool = False,
) -> tuple[ProtocolResult, ...]:
    """Scores a system by protocols of events and segments.

    Args:
      scores: What the model scored, at its own hop: of `read_scores` or
        `make_scores`.
      truth: Labels, with strong ones: of `read_truth`.
      names: Protocols; `hershey2021` is passed over.
      settings: What else they are given.
      allow_partial: Whether most clips may have scores that end long before or
        after them.

    Raises:
      InputError: A protocol is unknown, there are no strong labels, a protocol
        needs classes and there are none, no scored clip has an event of a
        scored class, or `sed_scores_eval` is needed and not installed.
    """
    asked = [name for name in check_protocols(names) if name != HERSHEY]
    if not asked:
        return ()
    if truth.strong is None:
        raise InputError(
            f"Expected strong labels for {listed(asked)}, found none. Give "
            f"strong_labels, all events of the clips."
        )
    check_onsets(truth.strong, truth.clips, truth.params.clip_seconds)
    scores = truth.fit(scores, allow_partial)
    results = []
    for name in asked:
        protocol = PROTOCOLS[name]
        if name == "events":
            protocol = events_protocol(settings.events, settings.thresholds)
        results.append(_score_protocol(scores, truth, protocol, settings))
    _warn_of_gaps([result.truth for result in results], truth.clips is not None)
    return tuple(results)


def _score_protocol(
    scores: NativeScores,
    truth: Truth,
    protocol: Protocol,
    settings: ProtocolSettings,
) -> ProtocolResult:
    assert truth.strong is not None
    classes = settings.classes
    if protocol.of_both_splits and classes is None:
        raise InputError(
            f"Expected the classes that {protocol.name} is over, which have "
            f"events in the training labels too; found none. Give the strong "
            f"training labels (train_strong_labels), or a list of the classes "
            f"(protocol_classes)."
        )
    grouped = {
        metric.classes
        for metric in protocol.metrics.values()
        if isinstance(metric, PsdsParams)
    } - {"all"}
    if classes is not None and grouped - set(classes.group_of_mid.values()):
        raise InputError(
            f"Expected classes of the groups {listed(sorted(grouped))} for "
            f"{protocol.name}, found "
            f"{listed(sorted(set(classes.group_of_mid.values()))) or 'none'}. "
            f"Give the strong training labels (train_strong_labels), or a list "
            f"of classes with a tab and the group after each."
        )
    has_frames = scores.num_frames > 0
    of_truth = make_event_truth(
        truth.strong,
        [str(clip) for clip in scores.segment_ids[has_frames]],
        [str(mid) for mid in scores.mids],
        truth.clips,
        None if classes is None else classes.mids,
        protocol.drops_empty_clips,
    )
    given = settings.median_filter
    filter_ = given
    if filter_ is None and protocol.median_seconds is not None:
        filter_ = MedianFilter(protocol.median_seconds)
    elif filter_ is None:
        filter_ = MedianFilter(protocol.median_frames or 1, "frames")
    hop = scores.frame_seconds
    median_frames = filter_.frames_of(of_truth.mids, hop)
    segments = {
        name: metric
        for name, metric in protocol.metrics.items()
        if isinstance(metric, SegmentParams)
    }
    how = scores, of_truth
    if segments:
        values, per_class = score_segments(
            *how, segments, median_frames, settings.num_jobs
        )
    else:
        values, per_class = score_events(
            *how,
            {
                name: _on_scale(metric, scores)
                for name, metric in protocol.metrics.items()
                if not isinstance(metric, SegmentParams)
            },
            median_frames,
            protocol.masks_absent,
            classes.group_of_mid if classes is not None else None,
            settings.num_jobs,
        )
    per_class.insert(
        1,
        "display_name",
        [scores.display_names.get(mid, "") for mid in of_truth.mids],
    )
    conditions = _conditions(protocol, of_truth, scores, classes)
    conditions["median_filter"] = _describe_filter(median_frames, hop) + (
        "" if given is None else " (given, not the protocol's)"
    )
    if not segments:
        version = importlib.metadata.version("sed_scores_eval")
        conditions["code"] = f"sed_scores_eval {version}"
    if protocol.note:
        conditions["note"] = protocol.note
    return ProtocolResult(
        name=protocol.name,
        source=protocol.source,
        values=values,
        parameters={
            name: _parameters(metric)
            for name, metric in protocol.metrics.items()
        },
        conditions=conditions,
        per_class=per_class,
        truth=of_truth,
    )


def _on_scale(metric: EventMetric, scores: NativeScores) -> EventMetric:
    """Turns the thresholds of an F1 into logits where scores are logits."""
    if isinstance(metric, PsdsParams) or not scores.is_logits:
        return metric
    logits = {
        mid: float(logit(metric.threshold_of(mid)))
        for mid in scores.mids.tolist()
    }
    return dataclasses.replace(metric, threshold=logits)


def _conditions(
    protocol: Protocol,
    truth: EventTruth,
    scores: NativeScores,
    classes: ClassList | None,
) -> dict[str, str]:
    """Describes which classes, clips and events the values are of."""
    which = "that are scored and have an event"
    if classes is not None:
        which += f", of {len(classes.mids)} {classes.source}"
    num_classes = len(truth.mids)
    if protocol.of_both_splits and num_classes != _NUM_CLASSES_OF_BOTH:
        which += f" ({_NUM_CLASSES_OF_BOTH} in the whole of AudioSet Strong)"
        logging.warning(
            "%s: expected %d classes, which have events in both splits of "
            "AudioSet Strong; found %d. The value does not compare with "
            "published ones.",
            protocol.name,
            _NUM_CLASSES_OF_BOTH,
            num_classes,
        )
    is_evaluated = pd.Index(scores.segment_ids).isin(truth.segment_ids)
    hours = float(scores.audio_seconds[is_evaluated].sum()) / 3600
    clips = f"{len(truth.segment_ids):,}, {hours:.2f} hours"
    if protocol.drops_empty_clips:
        clips += (
            f"; clips without an event of these classes are left out, "
            f"{truth.num_clips_dropped:,} here"
        )
    else:
        clips += f", {len(truth.clips_without_events):,} without any event"
    conditions = {
        "classes": f"{num_classes} {which}",
        "clips": clips,
        "events": f"{len(truth.events):,}; {truth.num_events_merged:,} "
        f"overlapped or touched one of their class and were merged",
        "frames": f"{scores.frame_seconds:.4g} s",
    }
    if protocol.masks_absent:
        conditions["scores"] = "0 for classes that the clip has no event of"
    return conditions


def _describe_filter(frames: Mapping[str, int], hop: float) -> str:
    lengths = sorted(set(frames.values()))
    if lengths == [1]:
        return "none"
    text = " to ".join(f"{n}" for n in dict.fromkeys([lengths[0], lengths[-1]]))
    seconds = " to ".join(
        f"{n * hop:.4g}" for n in dict.fromkeys([lengths[0], lengths[-1]])
    )
    each = "" if len(lengths) == 1 else " by class"
    return f"{text} frames, {seconds} s{each}"


def _warn_of_gaps(truths: Sequence[EventTruth], has_clips: bool) -> None:
    """Logs once for all protocols what could not take part."""

    def united(name: str) -> list[str]:
        return sorted(
            {item for truth in truths for item in getattr(truth, name)}
        )

    advice = "" if has_clips else NO_LIST_ADVICE
    log_gaps(
        {
            f"scored clips have no strong labels{advice}": united(
                "clips_without_labels"
            ),
            "labelled clips are not scored": united("clips_not_scored"),
            "labelled classes are not scored": united("mids_not_scored"),
        },
        "Left out of events",
    )
    num_empty = max(truth.events_left_out["no_length"] for truth in truths)
    if num_empty:
        logging.warning(
            "Left out of events: %d that have no length.", num_empty
        )
