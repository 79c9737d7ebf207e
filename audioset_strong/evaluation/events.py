"""Event-based metrics: PSDS and F1 of events, from `sed_scores_eval`.

    pip install '.[psds]'

Three ways to compare detected events with strong labels. A detection is a run
of windows (label frames, frames of scores at the hop used, or the rows of a
score table) that reach a threshold:

  PSDS             area under the curve of found events against false alarms an
                   hour, over all thresholds, less the spread of classes. A
                   detection counts if `dtc_threshold` of it lies in events of
                   its class, an event is found if `gtc_threshold` of it lies in
                   such detections. The defaults are "PSDS1"; papers share the
                   name and not the parameters, so they are always printed.
  intersection F1  the same two criteria, at one threshold
  collar F1        onset and offset within a collar, at one threshold

Conventions:
  * The truth is complete: what is no event is a false alarm. Explicit negatives
    play no part, so that these numbers do not compare with the paper's.
  * Evaluated are the clips that are scored and have an event, and the classes
    that are scored and have an event in these clips. A strong label file does
    not name clips that annotators found empty; `clips`, a list of annotated
    clips, can: they hold no event, but false alarms and their length count.
  * Events of one class that overlap or touch are one event: metrics that match
    events cannot tell which of two overlapping ones a detection is. (Framing
    never merges: `labels/frame_rule.py`.)
  * Few events meet a collar of 0.2 s on label frames of 0.96 s: collars are for
    scores at a finer hop.

Classes are computed a few at a time: `sed_scores_eval` holds every threshold of
every clip and class, about 2 kB a pair, so 14 GB for 17,000 clips and 416
classes. Time is about a third of a millisecond a pair: `num_jobs` shares it.

Source: Bilen et al., "A framework for the robust evaluation of sound event
detection", ICASSP 2020; Ebbers et al., "Threshold independent evaluation of
sound event detection scores", ICASSP 2022. Defaults: PSDS1 and the F1 of DCASE
2021 to 2023, task 4 (BUILD_NOTES.md "Event scores").
"""

import dataclasses
import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import within_clips
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.scores import LabelFrameScores
from audioset_strong.labels.clips import check_listed, check_onsets
from audioset_strong.labels.frame_rule import to_milliseconds

# Score table of each clip.
ScoreTables = Mapping[str, pd.DataFrame]
Thresholds = float | Mapping[str, float]

# Classes at a time: some 1 GB for 17,000 clips.
_CLASSES_AT_ONCE = 32

# --- Truth -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class EventTruth:
    """Events of the clips and classes that are evaluated.

    Attributes:
      segment_ids: Clips that are evaluated, in the order of the scores.
      mids: Classes that are evaluated, in the order of the scores.
      events: Strong table (`label_files`), merged.
      num_events_merged: How many events were merged into others.
      clips_not_scored: Labelled clips without scores.
      clips_without_labels: Scored clips without an event, unless they were
        named as labelled.
      clips_without_events: Evaluated clips without an event of any class.
      mids_not_scored: Labelled classes without scores.
      mids_without_events: Scored classes without an event in these clips.
      events_left_out: How many events were left out, for each reason.
    """

    segment_ids: tuple[str, ...]
    mids: tuple[str, ...]
    events: pd.DataFrame
    num_events_merged: int
    clips_not_scored: tuple[str, ...]
    clips_without_labels: tuple[str, ...]
    clips_without_events: tuple[str, ...]
    mids_not_scored: tuple[str, ...]
    mids_without_events: tuple[str, ...]
    events_left_out: dict[str, int]


def make_event_truth(
    strong: pd.DataFrame,
    scored_clips: Sequence[str],
    scored_mids: Sequence[str],
    clips: pd.DataFrame | None = None,
) -> EventTruth:
    """Finds the clips, classes and events to evaluate.

    Args:
      strong: Strong table (`label_files`).
      scored_clips: segment_id of every scored clip.
      scored_mids: Mid of every scored class.
      clips: As in `psds_scores`.

    Raises:
      InputError: No scored clip has an event of a scored class, or a clip with
        an event is not listed.
    """
    labelled = with_events = set(strong["segment_id"])
    if clips is not None:
        check_listed(strong["segment_id"], clips)
        labelled = set(clips["segment_id"])
    segment_ids = tuple(clip for clip in scored_clips if clip in labelled)
    # All bool [num_events].
    in_clip = strong["segment_id"].isin(segment_ids).to_numpy()
    in_class = strong["mid"].isin(scored_mids).to_numpy()
    # An event of no length has no overlap with anything.
    has_length = (strong["offset_seconds"] > strong["onset_seconds"]).to_numpy()
    used = strong[in_clip & in_class & has_length]
    events = merge_overlapping(used)
    mids_with_events = set(events["mid"])
    if events.empty:
        raise InputError(
            f"Expected events of scored classes in scored clips; found none "
            f"among {len(strong)} events, {len(scored_clips)} scored clips "
            f"(such as {', '.join(scored_clips[:1]) or 'none'}) and "
            f"{len(scored_mids)} scored classes (such as "
            f"{', '.join(scored_mids[:1]) or 'none'}). Give strong labels of "
            f"the set that was scored."
        )
    return EventTruth(
        segment_ids=segment_ids,
        mids=tuple(mid for mid in scored_mids if mid in mids_with_events),
        events=events,
        num_events_merged=len(used) - len(events),
        clips_not_scored=tuple(sorted(labelled - set(scored_clips))),
        clips_without_labels=tuple(
            clip for clip in scored_clips if clip not in labelled
        ),
        clips_without_events=tuple(
            clip for clip in segment_ids if clip not in with_events
        ),
        mids_not_scored=tuple(sorted(set(strong["mid"]) - set(scored_mids))),
        mids_without_events=tuple(
            mid for mid in scored_mids if mid not in mids_with_events
        ),
        events_left_out={
            "clip_not_evaluated": int((~in_clip).sum()),
            "class_not_scored": int((in_clip & ~in_class).sum()),
            "no_length": int((in_clip & in_class & ~has_length).sum()),
        },
    )


def merge_overlapping(strong: pd.DataFrame) -> pd.DataFrame:
    """Makes one event of events of a class that overlap or touch.

    Takes and returns a strong table, the latter by clip, class and onset. Times
    are compared as whole milliseconds, the precision of the label files.
    """
    ordered = strong.sort_values(
        ["segment_id", "mid", "onset_seconds"], kind="stable", ignore_index=True
    )
    pair = ordered.groupby(["segment_id", "mid"], sort=False).ngroup()
    onset = pd.Series(to_milliseconds(ordered["onset_seconds"]))
    offset = pd.Series(to_milliseconds(ordered["offset_seconds"]))
    # When everything before an event has ended: not its neighbour alone, since
    # a long event can hold several short ones.
    ended = offset.groupby(pair).cummax().groupby(pair).shift()
    is_new = ended.isna() | (onset > ended)
    merged = ordered.groupby(is_new.cumsum().to_numpy(), sort=False).agg(
        segment_id=("segment_id", "first"),
        onset_seconds=("onset_seconds", "first"),
        offset_seconds=("offset_seconds", "max"),
        mid=("mid", "first"),
    )
    return merged.reset_index(drop=True)


# --- Inputs of `sed_scores_eval` ---------------------------------------------


class _WritableFrame(pd.DataFrame):
    """A data frame whose array is a copy, which can be written to.

    `sed_scores_eval` 0.0.4 asks for a writable array of scores (though it does
    not write), and pandas 3 gives a read-only one.
    """

    @property
    def _constructor(self) -> type["_WritableFrame"]:
        return _WritableFrame

    def to_numpy(self, *args: Any, **kwargs: Any) -> npt.NDArray[Any]:
        return super().to_numpy(*args, **kwargs).copy()


def _scored_clips_and_mids(
    scores: LabelFrameScores | NativeScores | ScoreTables,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the clips and classes that have scores; checks tables."""
    if isinstance(scores, LabelFrameScores | NativeScores):
        counts = (
            scores.num_frames
            if isinstance(scores, NativeScores)
            else scores.num_label_frames
        )
        has_scores = counts > 0
        clips = tuple(map(str, scores.segment_ids[has_scores]))
        return clips, tuple(map(str, scores.mids))
    if not scores:
        raise InputError("Expected a score table for each clip, found none.")
    columns = [tuple(table.columns) for table in scores.values()]
    if len(set(columns)) != 1 or columns[0][:2] != ("onset", "offset"):
        raise InputError(
            f"Score tables must have one list of columns, first onset and "
            f"offset. Received: {len(set(columns))} lists, such as "
            f"{list(columns[0][:4])}."
        )
    for segment_id, table in scores.items():
        onset, offset = table["onset"].to_numpy(), table["offset"].to_numpy()
        if not len(table) or not np.isfinite(table.to_numpy(np.float64)).all():
            raise InputError(
                f"The score table of {segment_id} must have rows of finite "
                f"numbers. Check the model that wrote it."
            )
        if (offset <= onset).any() or (offset[:-1] != onset[1:]).any():
            raise InputError(
                f"Each row of the score table of {segment_id} must end where "
                f"the next begins, after its own begin. Write gapless windows."
            )
    return tuple(scores), columns[0][2:]


def _score_tables(
    scores: LabelFrameScores | NativeScores | ScoreTables,
    segment_ids: Sequence[str],
    mids: Sequence[str],
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yields each clip's scores of a few classes as `sed_scores_eval` reads."""
    names = ["onset", "offset", *mids]
    if not isinstance(scores, LabelFrameScores | NativeScores):
        for segment_id in segment_ids:
            yield segment_id, _WritableFrame(scores[segment_id][names])
        return
    rows = pd.Index(scores.segment_ids).get_indexer(pd.Index(segment_ids))
    columns = pd.Index(scores.mids).get_indexer(pd.Index(mids))
    for segment_id, row in zip(segment_ids, rows.tolist(), strict=True):
        if isinstance(scores, NativeScores):
            edges, of_clip = scores.edges_seconds(row), scores.of_clip(row)
        else:
            edges = (
                np.arange(scores.num_label_frames[row] + 1)
                * scores.label_frame_seconds
            )
            of_clip = scores.scores[row]
        num_frames = len(edges) - 1
        values = np.empty((num_frames, len(names)))
        values[:, 0], values[:, 1] = edges[:-1], edges[1:]
        values[:, 2:] = of_clip[:num_frames, columns]
        yield segment_id, _WritableFrame(values, columns=names)


def _checked(
    what: str, values: Thresholds, keys: Sequence[str], low: float
) -> dict[str, float]:
    """Returns a finite number above `low` of each key, the same or its own."""
    if isinstance(values, int | float):
        values = dict.fromkeys(keys, float(values))
    for key in keys:
        if not low < values.get(key, np.nan) < np.inf:
            raise InputError(
                f"Expected a {what} of {key}, found {values.get(key)}."
            )
    return {key: float(values[key]) for key in keys}


# --- Results -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class EventScoreParams:
    """All that the numbers depend on besides scores and truth.

    Attributes:
      dtc_threshold: PSDS: least share of a detection inside events.
      gtc_threshold: PSDS: least share of an event inside detections.
      cttc_threshold: PSDS: least share of a detection inside events of another
        class for a cross trigger; used where alpha_ct is above 0.
      alpha_ct: PSDS: weight of cross triggers. Above 0 all classes are computed
        at once, which takes memory by their square.
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

    def psds_arguments(self) -> dict[str, Any]:
        """Returns the parameters of PSDS by their names there."""
        cttc_threshold = self.cttc_threshold if self.alpha_ct > 0 else None
        return {
            "dtc_threshold": self.dtc_threshold,
            "gtc_threshold": self.gtc_threshold,
            "cttc_threshold": cttc_threshold,
            "alpha_ct": self.alpha_ct,
            "alpha_st": self.alpha_st,
            "unit_of_time": "hour",
            "max_efpr": self.max_efpr,
        }

    def f1_arguments(self) -> dict[str, dict[str, float]]:
        """Returns the parameters of both F1, by their names there."""
        return {
            "intersection": {
                "dtc_threshold": self.f1_dtc_threshold,
                "gtc_threshold": self.f1_gtc_threshold,
            },
            "collar": {
                "onset_collar": self.onset_collar,
                "offset_collar": self.offset_collar,
                "offset_collar_rate": self.offset_collar_rate,
            },
        }


@dataclasses.dataclass(frozen=True, eq=False)
class EventScores:
    """Event-based metrics of one system.

    Attributes:
      psds: In [0, 1].
      intersection_f1: Mean over classes, in [0, 1].
      intersection_f1_micro: Of all classes' detections together.
      collar_f1: Mean over classes, in [0, 1].
      collar_f1_micro: Of all classes' detections together.
      per_class: One row an evaluated class, in the order of the scores: mid
        str, display_name str, num_events int64 (merged), threshold, psds,
        intersection_f1 and collar_f1 float64 in [0, 1].
      params: What the numbers depend on.
      threshold_text: What the thresholds of the F1 are.
      audio_seconds: Of all evaluated clips together.
      truth: Clips, classes and events, and what was left out.
      version: Of `sed_scores_eval`.
    """

    psds: float
    intersection_f1: float
    intersection_f1_micro: float
    collar_f1: float
    collar_f1_micro: float
    per_class: pd.DataFrame
    params: EventScoreParams
    threshold_text: str
    audio_seconds: float
    truth: EventTruth
    version: str

    def lines(self) -> list[str]:
        """Returns each number beside all of its parameters, a line each."""
        truth = self.truth
        lines = [_line("PSDS", self.psds, self.params.psds_arguments())]
        values = {
            "intersection": (self.intersection_f1, self.intersection_f1_micro),
            "collar": (self.collar_f1, self.collar_f1_micro),
        }
        for name, arguments in self.params.f1_arguments().items():
            shown = {**arguments, "threshold": self.threshold_text}
            mean, micro = values[name]
            title = f"{name.capitalize()} F1"
            lines.append(_line(f"{title}, mean of classes", mean, shown))
            lines.append(_line(f"{title}, all together", micro, shown))
        num_empty = len(truth.clips_without_events)
        empty = f" ({num_empty} without any event)" if num_empty else ""
        lines.append(
            f"over {len(truth.events)} events ({truth.num_events_merged} "
            f"overlapped one of their class and were merged) of "
            f"{len(truth.mids)} classes in {len(truth.segment_ids)} clips"
            f"{empty}, {self.audio_seconds / 3600:.2f} hours; sed_scores_eval "
            f"{self.version}"
        )
        return lines


def _line(name: str, value: float, arguments: Mapping[str, Any]) -> str:
    text = ", ".join(
        f"{key} {'none' if item is None else item}"
        for key, item in arguments.items()
    )
    return f"{name}: {value:.4f} ({text})"


# --- Metrics -----------------------------------------------------------------


def psds_scores(
    scores: LabelFrameScores | NativeScores | ScoreTables,
    strong: pd.DataFrame,
    params: EventScoreParams = EventScoreParams(),
    thresholds: Thresholds = 0.5,
    *,
    audio_seconds: float | Mapping[str, float] = 10.0,
    clips: pd.DataFrame | None = None,
    display_names: Mapping[str, str] | None = None,
    num_jobs: int = 1,
) -> EventScores:
    """Computes PSDS and the F1 of events.

    Args:
      scores: Score file, for label frames; scores at the hop used, for those
        frames; or at any frame rate a table for each segment_id, with the
        columns onset and offset (seconds, gapless) and one column a class,
        named by its mid, the same in every table.
      strong: Strong table (`label_files`) of all events of its clips.
      params: What the numbers depend on.
      thresholds: Of the F1: least score of an event, or that of each mid, such
        as `thresholds.ThresholdFile.thresholds`. PSDS needs none.
      audio_seconds: Length of the clips, or of each, unless `clips` or the
        scores say it: what false alarms are counted by.
      clips: Clips table (`labels/clips.py`): clips that annotators listened to,
        with or without an event, and their lengths; None for those with one.
      display_names: Name of each mid.
      num_jobs: Processes.

    Raises:
      InputError: `sed_scores_eval` is not installed, no scored clip has an
        event of a scored class, a clip with an event is not listed, or a
        threshold or length is missing or not a number.
    """
    library = _import_library()
    if isinstance(scores, LabelFrameScores):
        scores, _ = within_clips(scores, clips)
    elif isinstance(scores, NativeScores):
        of_all = 10.0 if isinstance(audio_seconds, Mapping) else audio_seconds
        scores = scores.within(clips, of_all)
        audio_seconds = dict(
            zip(
                scores.segment_ids.tolist(),
                scores.audio_seconds.tolist(),
                strict=True,
            )
        )
    if clips is not None:
        audio_seconds = dict(
            zip(clips["segment_id"], clips["duration_seconds"], strict=True)
        )
        if not isinstance(scores, LabelFrameScores | NativeScores):
            # Models pad clips; what they hear in the padding is no false alarm.
            scores = {
                clip: table[table["onset"] < audio_seconds.get(clip, np.inf)]
                for clip, table in scores.items()
            }
    truth = make_event_truth(strong, *_scored_clips_and_mids(scores), clips)
    threshold_of = _checked("threshold", thresholds, truth.mids, low=-np.inf)
    seconds_of = _checked(
        "length in seconds", audio_seconds, truth.segment_ids, low=0.0
    )
    # Clips that are not evaluated have no length to check.
    of_all = np.inf if isinstance(audio_seconds, Mapping) else audio_seconds
    check_onsets(strong, clips, of_all)
    # `sed_scores_eval` detects above a threshold, we from it on.
    just_below = {
        mid: float(np.nextafter(threshold, -np.inf))
        for mid, threshold in threshold_of.items()
    }
    psds_module = library.intersection_based
    modules = {"intersection": psds_module, "collar": library.collar_based}
    rocs: dict[str, Any] = {}
    f1_of: dict[str, dict[str, float]] = {name: {} for name in modules}
    # Found events, detections that are none, events: summed over classes.
    counts = {name: np.zeros(3) for name in modules}
    at_once = len(truth.mids) if params.alpha_ct > 0 else _CLASSES_AT_ONCE
    for start in range(0, len(truth.mids), at_once):
        mids = truth.mids[start : start + at_once]
        # Of each clip: onset and offset in seconds, and mid.
        events: dict[str, list[tuple[float, float, str]]]
        events = {clip: [] for clip in truth.segment_ids}
        of_block = truth.events[truth.events["mid"].isin(mids)]
        for clip, onset, offset, mid in of_block.itertuples(index=False):
            events[clip].append((float(onset), float(offset), mid))
        tables = dict(_score_tables(scores, truth.segment_ids, mids))
        _, of_classes = psds_module.psd_roc(
            tables,
            events,
            seconds_of,
            **params.psds_arguments(),
            num_jobs=num_jobs,
        )
        rocs |= of_classes
        for name, arguments in params.f1_arguments().items():
            f1, _, _, found = modules[name].fscore(
                tables,
                events,
                {mid: just_below[mid] for mid in mids},
                **arguments,
                num_jobs=num_jobs,
            )
            for mid in mids:
                f1_of[name][mid] = float(f1[mid])
                counts[name] += [
                    found[mid][key] for key in ("tps", "fps", "n_ref")
                ]
    curve_of_all = psds_module.multi_class_psd_roc_from_single_class_psd_rocs(
        rocs, alpha_st=params.alpha_st, max_efpr=params.max_efpr
    )
    psds_of = {
        mid: psds_module.psds_from_psd_roc(*roc[:2], params.max_efpr)
        for mid, roc in rocs.items()
    }
    mean_f1 = {
        name: float(np.mean(list(values.values())))
        for name, values in f1_of.items()
    }
    micro_f1 = {
        name: float(2 * num_true / (num_true + num_false + num_events))
        for name, (num_true, num_false, num_events) in counts.items()
    }
    num_events_of = truth.events["mid"].value_counts()
    columns = {
        "threshold": threshold_of,
        "psds": psds_of,
        "intersection_f1": f1_of["intersection"],
        "collar_f1": f1_of["collar"],
    }
    return EventScores(
        psds=float(
            psds_module.psds_from_psd_roc(*curve_of_all, params.max_efpr)
        ),
        intersection_f1=mean_f1["intersection"],
        intersection_f1_micro=micro_f1["intersection"],
        collar_f1=mean_f1["collar"],
        collar_f1_micro=micro_f1["collar"],
        per_class=pd.DataFrame(
            {
                "mid": list(truth.mids),
                "display_name": [
                    (display_names or {}).get(mid, "") for mid in truth.mids
                ],
                "num_events": [int(num_events_of[mid]) for mid in truth.mids],
                **{
                    name: [float(values[mid]) for mid in truth.mids]
                    for name, values in columns.items()
                },
            }
        ),
        params=params,
        threshold_text=f"{thresholds:g}"
        if isinstance(thresholds, int | float)
        else "of each class",
        audio_seconds=sum(seconds_of.values()),
        truth=truth,
        version=importlib.metadata.version("sed_scores_eval"),
    )


def _import_library() -> Any:
    """Imports `sed_scores_eval`, which takes a second and many packages."""
    try:
        return importlib.import_module("sed_scores_eval")
    except ModuleNotFoundError as error:
        if error.name == "pkg_resources":
            # What it is built on needs it; setuptools 81 has it no more.
            raise InputError(
                "PSDS and the F1 of events come from sed_scores_eval, which "
                "needs pkg_resources, found no such module. Install an older "
                "setuptools: pip install 'setuptools<81'."
            ) from error
        raise InputError(
            f"PSDS and the F1 of events come from sed_scores_eval, an optional "
            f"extra: expected it to be installed, found no module "
            f"{error.name}. Install it: pip install '.[psds]'."
        ) from error
