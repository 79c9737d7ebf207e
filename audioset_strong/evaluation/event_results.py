"""Event-based metrics: what they depend on, and what came out.

`event_scores.py` computes them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from audioset_strong.evaluation.event_truth import EventTruth


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
        has_cross_triggers = self.alpha_ct > 0
        return {
            "dtc_threshold": self.dtc_threshold,
            "gtc_threshold": self.gtc_threshold,
            "cttc_threshold": self.cttc_threshold
            if has_cross_triggers
            else None,
            "alpha_ct": self.alpha_ct,
            "alpha_st": self.alpha_st,
            "unit_of_time": "hour",
            "max_efpr": self.max_efpr,
        }

    def intersection_arguments(self) -> dict[str, float]:
        """Returns the parameters of the intersection F1."""
        return {
            "dtc_threshold": self.f1_dtc_threshold,
            "gtc_threshold": self.f1_gtc_threshold,
        }

    def collar_arguments(self) -> dict[str, float]:
        """Returns the parameters of the collar F1."""
        return {
            "onset_collar": self.onset_collar,
            "offset_collar": self.offset_collar,
            "offset_collar_rate": self.offset_collar_rate,
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
        truth, threshold = self.truth, {"threshold": self.threshold_text}
        return [
            _line("PSDS", self.psds, self.params.psds_arguments()),
            *(
                _line(f"{name} F1, {average}", value, arguments | threshold)
                for name, arguments, values in (
                    (
                        "Intersection",
                        self.params.intersection_arguments(),
                        (self.intersection_f1, self.intersection_f1_micro),
                    ),
                    (
                        "Collar",
                        self.params.collar_arguments(),
                        (self.collar_f1, self.collar_f1_micro),
                    ),
                )
                for average, value in zip(
                    ("mean of classes", "all together"), values, strict=True
                )
            ),
            f"over {len(truth.events)} events ({truth.num_events_merged} "
            f"overlapped one of their class and were merged) of "
            f"{len(truth.mids)} classes in {len(truth.segment_ids)} clips, "
            f"{self.audio_seconds / 3600:.2f} hours; sed_scores_eval "
            f"{self.version}",
        ]


def _line(name: str, value: float, arguments: Mapping[str, Any]) -> str:
    text = ", ".join(
        f"{key} {'none' if item is None else item}"
        for key, item in arguments.items()
    )
    return f"{name}: {value:.4f} ({text})"
