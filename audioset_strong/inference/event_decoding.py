"""Scores of label frames -> events with times."""

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
      thresholds: float, or float `[num_classes]`: least score of a class, not
        NaN.
      label_frame_seconds: Length and hop of a label frame.
      audio_seconds: No event ends later; audio shorter than a label frame was
        padded to one.

    Returns:
      Events, by onset, then class index.

    Raises:
      InputError: `scores` is not two-dimensional, or `thresholds` is neither
        one number nor one a class.
    """
    if scores.ndim != 2:
        raise InputError(
            f"scores must be [num_label_frames, num_classes]. Received: "
            f"shape={scores.shape}."
        )
    _check_thresholds(np.asarray(thresholds), scores.shape[1])
    is_active = scores >= thresholds
    # A frame of silence on both sides, so that every run starts and ends.
    padded = np.pad(is_active, ((1, 1), (0, 0))).astype(np.int8)
    changes = np.diff(padded, axis=0).T  # [num_classes, num_label_frames + 1]
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


def _check_thresholds(thresholds: np.ndarray, num_classes: int) -> None:
    # One threshold a label frame would broadcast too, and mean nothing.
    if thresholds.shape not in ((), (num_classes,)):
        raise InputError(
            f"thresholds must be one number or one for each of {num_classes} "
            f"classes. Received: shape={thresholds.shape}."
        )
    if np.isnan(thresholds).any():
        raise InputError("thresholds must not be NaN: no score reaches it.")
