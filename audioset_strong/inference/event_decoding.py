"""Turns scores of label frames into events with times.

An event is a run of label frames whose scores all reach the threshold of a
class. Times are therefore multiples of 0.96 s, the resolution at which the
model scores.
"""

from typing import NamedTuple

import numpy as np

from audioset_strong.errors import InputError


class ScoredEvent(NamedTuple):
    """One event that a model found.

    Attributes:
      class_index: Index of its class.
      onset_seconds: From the start of the audio.
      offset_seconds: From the start of the audio.
      score: Highest score of its label frames, in [0, 1].
    """

    class_index: int
    onset_seconds: float
    offset_seconds: float
    score: float


def decode_events(
    scores: np.ndarray,
    thresholds: np.ndarray | float,
    label_frame_seconds: float,
    audio_seconds: float,
) -> list[ScoredEvent]:
    """Joins neighbouring label frames that reach the threshold into events.

    Args:
      scores: float `[num_label_frames, num_classes]`, in [0, 1].
      thresholds: float, or float `[num_classes]`: the score that a class must
        reach; not NaN.
      label_frame_seconds: Length and hop of a label frame.
      audio_seconds: No event ends later; audio shorter than a label frame was
        padded to one.

    Returns:
      Events, by onset, then class index.

    Raises:
      InputError: `scores` is not two-dimensional, or `thresholds` is neither
        one number nor one for each class, or is NaN.
    """
    if scores.ndim != 2:
        raise InputError(
            f"scores must be [num_label_frames, num_classes]. Received: "
            f"shape={scores.shape}."
        )
    # One threshold a label frame would broadcast too, and mean nothing.
    if np.shape(thresholds) not in ((), (scores.shape[1],)):
        raise InputError(
            f"thresholds must be one number or one for each of "
            f"{scores.shape[1]} classes. Received: "
            f"shape={np.shape(thresholds)}."
        )
    if np.isnan(thresholds).any():
        raise InputError("thresholds must not be NaN: no score reaches it.")
    is_active = scores >= thresholds  # [num_label_frames, num_classes]
    # Silence before the first and after the last label frame, so that every run
    # begins and ends.
    padded = np.pad(is_active, ((1, 1), (0, 0))).astype(np.int8)
    changes = np.diff(padded, axis=0).T  # [num_classes, num_label_frames + 1]
    # By class, then time, so that the n-th start and the n-th end belong
    # together. [num_events] each.
    classes, first_frames = np.nonzero(changes == 1)
    _, end_frames = np.nonzero(changes == -1)
    events = [
        ScoredEvent(
            int(class_index),
            float(first * label_frame_seconds),
            float(min(end * label_frame_seconds, audio_seconds)),
            float(scores[first:end, class_index].max()),
        )
        for class_index, first, end in zip(
            classes, first_frames, end_frames, strict=True
        )
    ]
    return sorted(events, key=lambda e: (e.onset_seconds, e.class_index))
