"""Event metrics: PSDS and F1 of events, by `sed_scores_eval`.

    pip install '.[psds]'

A detection is a run of frames, at the scores' own hop, that reach a threshold.

  PSDS             area under the curve of found events against false alarms an
                   hour, over all thresholds, less the spread of classes. A
                   detection counts if `dtc_threshold` of it lies in events of
                   its class, an event is found if `gtc_threshold` of it lies in
                   such detections.
  intersection F1  the same two criteria, at one threshold
  collar F1        onset and offset within a collar, at one threshold

Conventions:
  * The truth is complete: what is no event is a false alarm. Explicit negatives
    play no part, so that these numbers do not compare with the paper's.
  * Evaluated are clips that are scored and have an event, and classes that are
    scored and have an event in these clips. Listed clips without an event count
    with their false alarms and their length, unless a protocol drops them.
  * Events of one class that overlap or touch are one event: metrics that match
    events cannot tell which of two overlapping ones a detection is. (Framing
    never merges: `labels/frame_rule.py`.)
  * Frames after the end of a clip are no false alarm: they are cut.

The library takes a third of a millisecond for a clip and class, half an hour
for AudioSet on two processors. Nearly all pairs have no event, and detections
there are false alarms of any length, which are counted here for all such clips
of a class at once. So are only those that the area can hold: below the score
that more clips reach than there may be false alarms, every threshold has too
many. The library does the rest and gives the same numbers (tests).

Source: Bilen et al., "A framework for the robust evaluation of sound event
detection", ICASSP 2020; Ebbers et al., "Threshold independent evaluation of
sound event detection scores", ICASSP 2022.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import importlib
import importlib.metadata
import math
import multiprocessing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from audioset_strong.errors import InputError
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.labels.clips import check_listed
from audioset_strong.labels.frame_rule import to_milliseconds
from audioset_strong.labels.problems import listed

Thresholds = float | Mapping[str, float]

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Scores = npt.NDArray[np.floating[Any]]
_T = TypeVar("_T")

# Classes that are read at a time; 70 MB of float32 for all of AudioSet's eval
# clips at 40 ms.
_CLASSES_AT_ONCE = 4
# Frames of all classes from which on starting processes pays.
_MANY_FRAMES = 50_000_000
# With cross triggers the library holds every other class for each clip and
# class: about 60 bytes each.
_MOST_CROSS_TRIGGERS = 100_000_000

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
      num_clips_dropped: Clips without an event of these classes, if dropped.
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
    num_clips_dropped: int
    events_left_out: dict[str, int]


def make_event_truth(
    strong: pd.DataFrame,
    scored_clips: Sequence[str],
    scored_mids: Sequence[str],
    clips: pd.DataFrame | None = None,
    classes: Collection[str] | None = None,
    drops_empty: bool = False,
) -> EventTruth:
    """Finds the clips, classes and events to evaluate.

    Args:
      strong: Strong table (`label_files`).
      scored_clips: segment_id of every scored clip.
      scored_mids: Mid of every scored class.
      clips: Clips table (`labels/clips.py`): clips that annotators listened to,
        with or without an event; None for those with one.
      classes: Mids that are evaluated; None for all.
      drops_empty: Whether clips without an event of an evaluated class are not
        evaluated.

    Raises:
      InputError: No scored clip has an event of such a class, or a clip with an
        event is not listed.
    """
    if classes is not None:
        scored_mids = [mid for mid in scored_mids if mid in classes]
    labelled = with_events = set(strong["segment_id"])
    if clips is not None:
        check_listed(strong["segment_id"], clips)
        labelled = set(clips["segment_id"])
    segment_ids = tuple(clip for clip in scored_clips if clip in labelled)
    # All bool [num_events].
    in_clip = strong["segment_id"].isin(segment_ids).to_numpy()
    in_class = strong["mid"].isin(scored_mids).to_numpy()
    asked = set(strong["mid"]) if classes is None else set(classes)
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
    num_labelled = len(segment_ids)
    if drops_empty:
        kept = set(events["segment_id"])
        segment_ids = tuple(clip for clip in segment_ids if clip in kept)
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
        mids_not_scored=tuple(
            sorted(asked & set(strong["mid"]) - set(scored_mids))
        ),
        mids_without_events=tuple(
            mid for mid in scored_mids if mid not in mids_with_events
        ),
        num_clips_dropped=num_labelled - len(segment_ids),
        events_left_out={
            "clip_not_evaluated": int((~in_clip).sum()),
            "class_not_evaluated": int((in_clip & ~in_class).sum()),
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


# --- Scores, class by class --------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class EqualClips:
    """Evaluated clips with the same length and frames.

    Attributes:
      clips: int64 `[num_clips]`, places among the evaluated clips.
      first_rows: int64 `[num_clips]`, row of each one's first frame in the
        scores of all clips.
      edges: float64 `[num_frames + 1]`, in seconds, of the frames that begin
        before the end of the clip.
      seconds: Length of each clip.
    """

    clips: _Ints
    first_rows: _Ints
    edges: _Floats
    seconds: float

    def frames_of(self, column: _Scores, median_frames: int = 1) -> _Scores:
        """Returns a class's scores, `[num_clips, num_frames]`.

        Args:
          column: float `[num_frames_of_all]`.
          median_frames: Length of a median filter over frames, as SciPy's
            `ndimage.median_filter` does it: what lies before a clip mirrors it.
        """
        rows = self.first_rows[:, np.newaxis] + np.arange(self.edges.size - 1)
        frames: _Scores = column[rows]
        if median_frames > 1:
            if frames.dtype == np.float16:  # SciPy does not know it.
                frames = frames.astype(np.float32)
            frames = ndimage.median_filter(frames, size=(1, median_frames))
        return frames


def group_clips(
    scores: NativeScores, segment_ids: Sequence[str]
) -> list[EqualClips]:
    """Groups the clips that are evaluated by their length and frames."""
    places = pd.Index(scores.segment_ids).get_indexer(pd.Index(segment_ids))
    groups: dict[tuple[bytes, float], list[int]] = collections.defaultdict(list)
    for clip, place in enumerate(places.tolist()):
        edges = scores.edges_seconds(place)
        key = edges.tobytes(), float(scores.audio_seconds[place])
        groups[key].append(clip)
    return [
        EqualClips(
            clips=np.array(clips, dtype=np.int64),
            first_rows=scores.rows[places[clips]],
            edges=np.frombuffer(edges),
            seconds=seconds,
        )
        for (edges, seconds), clips in groups.items()
    ]


def score_of_nothing(column: _Scores) -> float:
    """Returns 0, the least probability; less than any score that is no such."""
    lowest = float(column.min())
    return 0.0 if lowest >= 0 else lowest - 1.0


class ClassTask(NamedTuple):
    """What is needed of one class.

    Attributes:
      mid: The class.
      column: float `[num_frames_of_all]`, its scores.
      events: Onset and offset in seconds of its events, in order, by the place
        of their clip among the evaluated ones.
      median_frames: Length of the median filter; 1 for none.
    """

    mid: str
    column: _Scores
    events: dict[int, list[tuple[float, float]]]
    median_frames: int


def map_classes(
    function: Callable[[ClassTask], _T],
    scores: NativeScores,
    truth: EventTruth,
    median_frames: Mapping[str, int],
    num_jobs: int = 1,
) -> dict[str, _T]:
    """Calls a function for each evaluated class, in processes if it pays.

    Args:
      function: Can be pickled.
      scores: Scores of the evaluated clips and classes, among others.
      truth: What is evaluated.
      median_frames: Length of the median filter of each class.
      num_jobs: Processes.

    Returns:
      What the function returned for each mid, in the order of the truth.
    """
    place_of = {clip: i for i, clip in enumerate(truth.segment_ids)}
    column_of = {mid: i for i, mid in enumerate(scores.mids.tolist())}
    events: dict[str, dict[int, list[tuple[float, float]]]] = {
        mid: {} for mid in truth.mids
    }
    for clip, onset, offset, mid in truth.events.itertuples(index=False):
        of_clip = events[mid].setdefault(place_of[clip], [])
        of_clip.append((float(onset), float(offset)))

    def tasks_of(mids: Sequence[str]) -> list[ClassTask]:
        # Read together, since what is read of a row-major file are pages.
        columns = np.array(
            scores.scores[:, [column_of[mid] for mid in mids]].T, order="C"
        )
        scores.release()
        return [
            ClassTask(mid, column, events[mid], median_frames[mid])
            for mid, column in zip(mids, columns, strict=True)
        ]

    blocks = [
        truth.mids[start : start + _CLASSES_AT_ONCE]
        for start in range(0, len(truth.mids), _CLASSES_AT_ONCE)
    ]
    found: list[_T] = []
    if num_jobs == 1 or len(scores.scores) * len(truth.mids) < _MANY_FRAMES:
        for mids in blocks:
            found += map(function, tasks_of(mids))
    else:
        # Never a copy of this process, whose threads would be missing in it.
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        with concurrent.futures.ProcessPoolExecutor(num_jobs, context) as pool:
            waiting: collections.deque[concurrent.futures.Future[list[_T]]]
            waiting = collections.deque()
            for mids in blocks:
                waiting.append(pool.submit(_call_all, function, tasks_of(mids)))
                # Each holds the scores of its classes.
                if len(waiting) > num_jobs:
                    found += waiting.popleft().result()
            for block in waiting:
                found += block.result()
    return dict(zip(truth.mids, found, strict=True))


def _call_all(
    function: Callable[[ClassTask], _T], tasks: Sequence[ClassTask]
) -> list[_T]:
    return list(map(function, tasks))


# --- Metrics -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class PsdsParams:
    """What a PSDS depends on besides scores and truth.

    Attributes:
      dtc_threshold: Least share of a detection inside events.
      gtc_threshold: Least share of an event inside detections.
      cttc_threshold: Least share of a detection inside events of another class
        for a cross trigger; None where alpha_ct is 0.
      alpha_ct: Weight of cross triggers.
      alpha_st: Weight of the spread of classes (variance penalty).
      max_efpr: False alarms an hour up to which the area is taken.
      classes: "all", or the group of classes that it is of.
    """

    dtc_threshold: float = 0.7
    gtc_threshold: float = 0.7
    cttc_threshold: float | None = None
    alpha_ct: float = 0.0
    alpha_st: float = 0.0
    max_efpr: float = 100.0
    classes: str = "all"

    def arguments(self) -> dict[str, Any]:
        """Returns the parameters by their names in the library."""
        return {
            "dtc_threshold": self.dtc_threshold,
            "gtc_threshold": self.gtc_threshold,
            "cttc_threshold": self.cttc_threshold,
            "alpha_ct": self.alpha_ct,
            "alpha_st": self.alpha_st,
            "unit_of_time": "hour",
            "max_efpr": self.max_efpr,
        }

    @property
    def curve_key(self) -> tuple[float, ...]:
        """What the curve of a class depends on."""
        return (
            self.dtc_threshold,
            self.gtc_threshold,
            self.cttc_threshold or 0.0,
            self.alpha_ct,
            self.max_efpr,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class F1Params:
    """What an F1 of events depends on besides scores and truth.

    Attributes:
      matching: "intersection" or "collar".
      criteria: Parameters of the matching, by their names in the library.
      threshold: Least score of an event, or that of each mid.
      counts_threshold: Whether a score of just the threshold is an event.
      average: "mean of classes", or "all together": of all classes' detections.
    """

    matching: str
    criteria: Mapping[str, float]
    threshold: Thresholds = 0.5
    counts_threshold: bool = False
    average: str = "mean of classes"

    def threshold_of(self, mid: str) -> float:
        """Returns the threshold of a class."""
        if isinstance(self.threshold, Mapping):
            return self.threshold.get(mid, math.nan)
        return self.threshold


EventMetric = PsdsParams | F1Params


class _ClassCurve(NamedTuple):
    """PSD ROC of a class, by ascending false alarms an hour."""

    found: _Floats
    false_alarms: _Floats


class _ClassCounts(NamedTuple):
    """Found events, detections that are none, and events of a class."""

    num_found: float
    num_false: float
    num_events: int


_ClassResult = dict[str, "_ClassCurve | _ClassCounts"]


def score_events(
    scores: NativeScores,
    truth: EventTruth,
    metrics: Mapping[str, EventMetric],
    median_frames: Mapping[str, int],
    masks_absent: bool = False,
    groups: Mapping[str, str] | None = None,
    num_jobs: int = 1,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Computes metrics of events.

    Args:
      scores: Scores whose lengths are those of the clips.
      truth: What is evaluated.
      metrics: What is computed, by name.
      median_frames: Length of the median filter of each class.
      masks_absent: Whether scores of classes that a clip has no event of are
        set to 0 (`score_of_nothing`).
      groups: Group of each class, for metrics of a group.
      num_jobs: Processes.

    Returns:
      The value of each metric, and a table of the classes: mid str, num_events
      int64 and each metric that classes have, float64 in [0, 1].

    Raises:
      InputError: `sed_scores_eval` is not installed, a threshold is missing or
        not a number, or cross triggers would take too much memory.
    """
    library = import_library()
    for metric in metrics.values():
        if isinstance(metric, F1Params):
            _check_thresholds(metric, truth.mids)
    clips = group_clips(scores, truth.segment_ids)
    seconds = sum(float(group.clips.size * group.seconds) for group in clips)
    found = map_classes(
        functools.partial(
            _score_class,
            clips=clips,
            metrics={
                name: metric
                for name, metric in metrics.items()
                if isinstance(metric, F1Params) or not metric.alpha_ct
            },
            masks_absent=masks_absent,
            seconds=seconds,
        ),
        scores,
        truth,
        median_frames,
        num_jobs,
    )
    for name, metric in metrics.items():
        if isinstance(metric, PsdsParams) and metric.alpha_ct:
            curves = _curves_with_cross_triggers(
                scores, truth, metric, median_frames, num_jobs
            )
            for mid, curve in curves.items():
                found[mid][name] = curve
    values, columns = {}, {}
    module = library.intersection_based
    for name, metric in metrics.items():
        of_classes = {mid: found[mid][name] for mid in truth.mids}
        if isinstance(metric, PsdsParams):
            if metric.classes != "all":
                kept = [
                    mid
                    for mid in truth.mids
                    if (groups or {}).get(mid) == metric.classes
                ]
                of_classes = {mid: of_classes[mid] for mid in kept}
            if not of_classes:
                values[name] = math.nan
                continue
            curve = module.multi_class_psd_roc_from_single_class_psd_rocs(
                of_classes, metric.alpha_st, metric.max_efpr
            )
            psds = module.psds_from_psd_roc
            values[name] = float(psds(*curve, metric.max_efpr))
            columns[name] = {
                mid: float(psds(*of_class, metric.max_efpr))
                for mid, of_class in of_classes.items()
            }
        else:
            f1 = {mid: _f1([counts]) for mid, counts in of_classes.items()}
            if metric.average == "all together":
                values[name] = _f1(list(of_classes.values()))
            else:
                values[name] = float(np.mean(list(f1.values())))
                columns[name] = f1
    num_events = truth.events["mid"].value_counts()
    table = pd.DataFrame(
        {
            "mid": pd.Series(list(truth.mids), dtype=object),
            "num_events": [int(num_events[mid]) for mid in truth.mids],
        }
        | {
            name: [column.get(mid, math.nan) for mid in truth.mids]
            for name, column in columns.items()
        }
    )
    return values, table


def _f1(counts: Sequence[Any]) -> float:
    """Returns the F1 of the counts of one or more classes together."""
    num_found, num_false, num_events = np.sum(counts, axis=0).tolist()
    return float(2 * num_found / (num_found + num_false + num_events))


def _check_thresholds(metric: F1Params, mids: Sequence[str]) -> None:
    without = [
        mid for mid in mids if not math.isfinite(metric.threshold_of(mid))
    ]
    if without:
        raise InputError(
            f"Expected a finite threshold of every evaluated class, found none "
            f"of {len(without)}: {listed(without)}. Give one number, or a file "
            f"with all of them."
        )


def _score_class(
    task: ClassTask,
    clips: Sequence[EqualClips],
    metrics: Mapping[str, EventMetric],
    masks_absent: bool,
    seconds: float,
) -> _ClassResult:
    """Computes what metrics need of one class."""
    library = import_library()
    blocks = []
    for group in clips:
        frames = group.frames_of(task.column, task.median_frames)
        has_events = np.array([i in task.events for i in group.clips.tolist()])
        if masks_absent:
            frames[~has_events] = score_of_nothing(task.column)
        blocks.append((group, frames, has_events))
    results: _ClassResult = {}
    curves: dict[tuple[float, ...], _ClassCurve] = {}
    for name, metric in metrics.items():
        if isinstance(metric, F1Params):
            results[name] = _count_events(library, task, blocks, metric)
        else:
            if metric.curve_key not in curves:
                curves[metric.curve_key] = _curve(
                    library, task, blocks, metric, seconds
                )
            results[name] = curves[metric.curve_key]
    return results


_Blocks = Sequence[tuple[EqualClips, _Scores, npt.NDArray[np.bool_]]]


def _curve(
    library: Any,
    task: ClassTask,
    blocks: _Blocks,
    metric: PsdsParams,
    seconds: float,
) -> _ClassCurve:
    """Returns the PSD ROC of a class, up to `max_efpr`."""
    module = library.intersection_based
    # Of each clip without an event: it has a false alarm from this score down.
    highest = np.concatenate([f[~has].max(axis=1) for _, f, has in blocks])
    most_false = math.floor(metric.max_efpr * seconds / 3600 * (1 + 1e-9))
    lowest = -math.inf
    if highest.size > most_false:
        # At this score, and below, there are more false alarms than count.
        lowest = float(-np.partition(-highest, most_false)[most_false])
    false_scores, false_deltas = [], []
    for _, frames, has_events in blocks:
        is_used = ~has_events & (frames.max(axis=1) > lowest)
        of_clips = frames[is_used].astype(np.float64)
        before = np.pad(
            of_clips[:, :-1], ((0, 0), (1, 0)), constant_values=-math.inf
        )
        is_onset = of_clips > before
        # A detection begins where scores rise. It joins the one before it when
        # the threshold falls to the score between them.
        false_scores += [of_clips[is_onset], before[is_onset]]
        false_deltas += [1.0, -1.0]
    changes = np.concatenate(false_scores)
    deltas = np.repeat(false_deltas, [s.size for s in false_scores])
    is_kept = changes > lowest
    changes, deltas = changes[is_kept], deltas[is_kept]
    of_empty = changes, {"tps": np.zeros_like(deltas), "fps": deltas}
    tables, events = _tables(task, blocks, lowest)
    statistics = module.intermediate_statistics_deltas(
        tables,
        events,
        dtc_threshold=metric.dtc_threshold,
        gtc_threshold=metric.gtc_threshold,
    )
    for of_clip in statistics.values():
        scores, deltas_of = of_clip[task.mid]
        is_used = scores > lowest
        of_clip[task.mid] = (
            scores[is_used],
            {key: deltas_of[key][is_used] for key in ("tps", "fps")},
        )
    if not changes.size and not any(
        of_clip[task.mid][0].size for of_clip in statistics.values()
    ):
        # Any threshold has too many false alarms.
        return _ClassCurve(np.zeros(1), np.zeros(1))
    # The clips without an event, as one.
    statistics[""], events[""] = {task.mid: of_empty}, []
    _, rocs = module.psd_roc(
        None,
        events,
        {clip: 0.0 for clip in tables} | {"": seconds},
        deltas=statistics,
        **metric.arguments(),
    )
    found, false_alarms, *_ = rocs[task.mid]
    return _ClassCurve(found, false_alarms)


def _tables(
    task: ClassTask, blocks: _Blocks, lowest: float = -math.inf
) -> tuple[dict[str, pd.DataFrame], dict[str, list[tuple[float, float, str]]]]:
    """Makes the library's tables of the clips with events of a class.

    Args:
      task: The class.
      blocks: Its scores.
      lowest: Scores below are raised to this one: their order plays no part.

    Returns:
      The score table and the events of each clip.
    """
    tables: dict[str, pd.DataFrame] = {}
    events: dict[str, list[tuple[float, float, str]]] = {}
    for group, frames, has_events in blocks:
        edges = {"onset": group.edges[:-1], "offset": group.edges[1:]}
        of_clips = np.maximum(frames[has_events].astype(np.float64), lowest)
        names = group.clips[has_events].tolist()
        for clip, of_clip in zip(names, of_clips, strict=True):
            tables[str(clip)] = _WritableFrame(edges | {task.mid: of_clip})
            events[str(clip)] = [
                (onset, offset, task.mid) for onset, offset in task.events[clip]
            ]
    return tables, events


def _count_events(
    library: Any, task: ClassTask, blocks: _Blocks, metric: F1Params
) -> _ClassCounts:
    """Counts found events and false detections of a class at its threshold."""
    # In float64: float32 would round the threshold.
    threshold = np.float64(metric.threshold_of(task.mid))
    is_above = np.greater_equal if metric.counts_threshold else np.greater
    active = [
        (group, is_above(f.astype(np.float64), threshold).astype(float), has)
        for group, f, has in blocks
    ]
    module = {
        "intersection": library.intersection_based,
        "collar": library.collar_based,
    }[metric.matching]
    tables, events = _tables(task, active)
    statistics = module.intermediate_statistics_deltas(
        tables, events, **metric.criteria
    )
    counts = np.zeros(2)
    for of_clip in statistics.values():
        scores, deltas = of_clip[task.mid]
        is_active = scores > 0  # What changes as the threshold falls below 1.
        counts += [deltas[key][is_active].sum() for key in ("tps", "fps")]
    for _, frames, has_events in active:
        # [num_clips, 1 + num_frames]
        padded = np.pad(frames[~has_events], ((0, 0), (1, 0)))
        counts[1] += (np.diff(padded, axis=1) > 0).sum()
    num_events = sum(map(len, task.events.values()))
    return _ClassCounts(float(counts[0]), float(counts[1]), num_events)


def _curves_with_cross_triggers(
    scores: NativeScores,
    truth: EventTruth,
    metric: PsdsParams,
    median_frames: Mapping[str, int],
    num_jobs: int,
) -> dict[str, _ClassCurve]:
    """Returns PSD ROCs of all classes, which need each other's events."""
    num_held = len(truth.segment_ids) * len(truth.mids) ** 2
    if num_held > _MOST_CROSS_TRIGGERS:
        raise InputError(
            f"Expected cross triggers (alpha_ct {metric.alpha_ct:g}) of few "
            f"classes, as they are counted for every clip and two classes: "
            f"found {len(truth.segment_ids)} clips and {len(truth.mids)} "
            f"classes, some {num_held * 60 / 1e9:.0f} GB. Evaluate fewer "
            f"classes, or a protocol without cross triggers."
        )
    _, rocs = import_library().intersection_based.psd_roc(
        *library_inputs(scores, truth, median_frames),
        **metric.arguments(),
        num_jobs=num_jobs,
    )
    return {mid: _ClassCurve(*roc[:2]) for mid, roc in rocs.items()}


def library_inputs(
    scores: NativeScores, truth: EventTruth, median_frames: Mapping[str, int]
) -> tuple[
    dict[str, pd.DataFrame],
    dict[str, list[tuple[float, float, str]]],
    dict[str, float],
]:
    """Makes the library's inputs of all clips and classes: for few of them.

    Returns:
      The score table, the events and the length of each clip.
    """
    column_of = {mid: i for i, mid in enumerate(scores.mids.tolist())}
    tables: dict[str, pd.DataFrame] = {}
    seconds = {}
    for group in group_clips(scores, truth.segment_ids):
        edges = {"onset": group.edges[:-1], "offset": group.edges[1:]}
        # Each [num_clips, num_frames].
        frames = {
            mid: group.frames_of(
                np.asarray(scores.scores[:, column_of[mid]]), median_frames[mid]
            ).astype(np.float64)
            for mid in truth.mids
        }
        for row, place in enumerate(group.clips.tolist()):
            clip = truth.segment_ids[place]
            tables[clip] = _WritableFrame(
                edges | {mid: of_class[row] for mid, of_class in frames.items()}
            )
            seconds[clip] = group.seconds
    events: dict[str, list[tuple[float, float, str]]]
    events = {clip: [] for clip in truth.segment_ids}
    for clip, onset, offset, mid in truth.events.itertuples(index=False):
        events[clip].append((float(onset), float(offset), mid))
    return tables, events, seconds


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


def import_library() -> Any:
    """Imports `sed_scores_eval`, which takes a second and many packages."""
    try:
        return importlib.import_module("sed_scores_eval")
    except ModuleNotFoundError as error:
        advice = "pip install '.[psds]'"
        if error.name == "pkg_resources":
            # setuptools 82 has it no more, and dcase_util needs it.
            advice = "pip install 'setuptools<81'"
        raise InputError(
            f"PSDS and the F1 of events come from sed_scores_eval, an optional "
            f"extra: expected it to be installed, found no module "
            f"{error.name}. Install it: {advice}."
        ) from error
