"""PSDS and F1 of events, from `sed_scores_eval`: an optional extra.

    pip install '.[psds]'

Three ways to compare detected events with strong labels. A detection is a run
of windows (label frames, or the rows of a score table) that reach a threshold:

  PSDS             area under the curve of found events against false alarms an
                   hour, over all thresholds, less the spread of classes. A
                   detection counts if `dtc_threshold` of it lies in events of
                   its class, an event is found if `gtc_threshold` of it lies in
                   such detections. The defaults are "PSDS1"; papers share the
                   name and not the parameters, so they are always printed.
  intersection F1  the same two criteria, at one threshold
  collar F1        onset and offset within a collar, at one threshold

The truth is complete: what is no event is a false alarm. Explicit negatives
play no part, so that these numbers say nothing of the paper's. On label frames
of 0.96 s few events meet a collar of 0.2 s: score tables of a finer frame rate
are what collars are for.

Classes are computed a few at a time: `sed_scores_eval` holds every threshold of
every clip and class, about 2 kB a pair, so 14 GB for 17,000 clips and 416
classes. Time is about a third of a millisecond a pair: `num_jobs` shares it.

Source: Bilen et al., "A framework for the robust evaluation of sound event
detection", ICASSP 2020; Ebbers et al., "Threshold independent evaluation of
sound event detection scores", ICASSP 2022. Defaults: PSDS1 and the F1 of DCASE
2021 to 2023, task 4 (BUILD_NOTES.md "Event scores").
"""

import importlib
import importlib.metadata
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.event_inputs import (
    Events,
    ScoreTables,
    events_of_clips,
    score_tables,
    scored_clips_and_mids,
    seconds_of_clip,
    threshold_of_mid,
)
from audioset_strong.evaluation.event_results import (
    EventScoreParams,
    EventScores,
)
from audioset_strong.evaluation.event_truth import EventTruth, make_event_truth
from audioset_strong.evaluation.score_files import ScoreFile

Thresholds = float | Mapping[str, float]

# Classes at a time: some 1 GB for 17,000 clips.
_CLASS_BLOCK = 32

_CLIP_SECONDS = 10.0


def psds_scores(
    scores: ScoreFile | ScoreTables,
    strong: pd.DataFrame,
    params: EventScoreParams = EventScoreParams(),
    thresholds: Thresholds = 0.5,
    *,
    audio_seconds: float | Mapping[str, float] = _CLIP_SECONDS,
    clips: Collection[str] | None = None,
    display_names: Mapping[str, str] | None = None,
    num_jobs: int = 1,
) -> EventScores:
    """Computes PSDS and the F1 of events.

    Args:
      scores: Score file, for label frames; or at any frame rate a table for
        each segment_id, with the columns onset and offset (seconds, gapless)
        and one column a class, named by its mid, the same in every table.
      strong: Strong table (`label_files`) of all events of its clips.
      params: What the numbers depend on.
      thresholds: Of the F1: least score of an event, or that of each mid, such
        as `threshold_files.ThresholdFile.thresholds`. PSDS needs none.
      audio_seconds: Length of the clips, or of each: what false alarms are
        counted by.
      clips: Clips that annotators listened to, with or without an event; None
        for those with one (`event_truth.py`).
      display_names: Name of each mid.
      num_jobs: Processes.

    Returns:
      The numbers, with all that they depend on.

    Raises:
      InputError: `sed_scores_eval` is not installed, no scored clip has an
        event of a scored class, or a threshold or length is missing or not a
        number.
    """
    classes = _ClassScores(_import_library(), params, num_jobs)
    truth = make_event_truth(strong, *scored_clips_and_mids(scores), clips)
    threshold_of = threshold_of_mid(thresholds, truth.mids)
    seconds_of = seconds_of_clip(audio_seconds, truth.segment_ids)
    block = len(truth.mids) if params.alpha_ct > 0 else _CLASS_BLOCK
    for start in range(0, len(truth.mids), block):
        mids = truth.mids[start : start + block]
        classes.add(
            dict(score_tables(scores, truth.segment_ids, mids)),
            events_of_clips(truth, mids),
            {mid: threshold_of[mid] for mid in mids},
            seconds_of,
        )
    return EventScores(
        psds=classes.psds_of_all(),
        intersection_f1=classes.mean_f1("intersection"),
        intersection_f1_micro=classes.micro_f1("intersection"),
        collar_f1=classes.mean_f1("collar"),
        collar_f1_micro=classes.micro_f1("collar"),
        per_class=_per_class_table(
            truth,
            display_names or {},
            threshold=threshold_of,
            psds=classes.psds(),
            intersection_f1=classes.f1["intersection"],
            collar_f1=classes.f1["collar"],
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
        raise InputError(
            f"PSDS and the F1 of events come from sed_scores_eval, an optional "
            f"extra: expected it to be installed, found no module "
            f"{error.name}. Install it: pip install '.[psds]'."
        ) from error


class _ClassScores:
    """Gathers the scores of classes, a few classes at a time."""

    def __init__(
        self, library: Any, params: EventScoreParams, num_jobs: int
    ) -> None:
        self._library = library
        self._params = params
        self._num_jobs = num_jobs
        self._rocs: dict[str, Any] = {}
        self.f1: dict[str, dict[str, float]] = {
            "intersection": {},
            "collar": {},
        }
        # Found events, detections that are none, events: of each class.
        self._counts: dict[str, list[tuple[int, int, int]]] = {
            name: [] for name in self.f1
        }

    def add(
        self,
        tables: dict[str, pd.DataFrame],
        events: Events,
        threshold_of: Mapping[str, float],
        seconds_of: Mapping[str, float],
    ) -> None:
        """Computes a few classes: those of the thresholds."""
        _, rocs = self._library.intersection_based.psd_roc(
            tables,
            events,
            seconds_of,
            **self._params.psds_arguments(),
            num_jobs=self._num_jobs,
        )
        self._rocs |= rocs
        # `sed_scores_eval` detects above a threshold, we from it on.
        just_below = {
            mid: float(np.nextafter(threshold, -np.inf))
            for mid, threshold in threshold_of.items()
        }
        for name, module, arguments in (
            (
                "intersection",
                self._library.intersection_based,
                self._params.intersection_arguments(),
            ),
            (
                "collar",
                self._library.collar_based,
                self._params.collar_arguments(),
            ),
        ):
            f1, _, _, counts = module.fscore(
                tables,
                events,
                just_below,
                **arguments,
                num_jobs=self._num_jobs,
            )
            for mid in threshold_of:
                self.f1[name][mid] = float(f1[mid])
                self._counts[name].append(
                    tuple(counts[mid][key] for key in ("tps", "fps", "n_ref"))
                )

    def mean_f1(self, name: str) -> float:
        """Returns the mean F1 of classes."""
        return float(np.mean(list(self.f1[name].values())))

    def micro_f1(self, name: str) -> float:
        """Returns the F1 of all classes' detections together."""
        num_true, num_false, num_events = np.sum(self._counts[name], axis=0)
        return float(2 * num_true / (num_true + num_false + num_events))

    def psds(self) -> dict[str, float]:
        """Returns the area under the curve of each class."""
        area = self._library.intersection_based.psds_from_psd_roc
        return {
            mid: float(area(found, false_alarms, self._params.max_efpr))
            for mid, (found, false_alarms, _) in self._rocs.items()
        }

    def psds_of_all(self) -> float:
        """Joins the curves of all classes, and returns the area."""
        module, params = self._library.intersection_based, self._params
        curve = module.multi_class_psd_roc_from_single_class_psd_rocs(
            self._rocs, alpha_st=params.alpha_st, max_efpr=params.max_efpr
        )
        return float(module.psds_from_psd_roc(*curve, params.max_efpr))


def _per_class_table(
    truth: EventTruth,
    names: Mapping[str, str],
    **columns: Mapping[str, float],
) -> pd.DataFrame:
    """Makes `EventScores.per_class`."""
    num_events = truth.events["mid"].value_counts()
    return pd.DataFrame(
        {
            "mid": list(truth.mids),
            "display_name": [names.get(mid, "") for mid in truth.mids],
            "num_events": [int(num_events[mid]) for mid in truth.mids],
            **{
                name: [values[mid] for mid in truth.mids]
                for name, values in columns.items()
            },
        }
    )
