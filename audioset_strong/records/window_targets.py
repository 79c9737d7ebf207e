"""The frame rule in the TensorFlow graph: events -> targets of windows.

The same rule as `labels.frame_targets.is_window_positive`, for training windows
at any offset; a property test holds the two together.
"""

import tensorflow as tf

from audioset_strong.params import LabelFrameParams
from audioset_strong.records.parsed_records import EventsOfClips


def to_milliseconds(seconds: tf.Tensor) -> tf.Tensor:
    """Rounds seconds to int64 milliseconds, same shape."""
    return tf.cast(tf.round(tf.cast(seconds, tf.float64) * 1000.0), tf.int64)


def stretch_to_clip(
    events: EventsOfClips, label_frames: LabelFrameParams
) -> EventsOfClips:
    """Reads events as Diffuse: each spans its clip."""
    start = tf.zeros_like(events.onset_seconds)
    return events._replace(
        onset_seconds=start, offset_seconds=start + label_frames.clip_seconds
    )


def window_targets(
    events: EventsOfClips,
    window_start_ms: tf.Tensor,
    num_classes: int,
    params: LabelFrameParams,
) -> tf.Tensor:
    """Applies the frame rule to the events of several clips.

    Args:
      events: Tensors `[num_events]`; classes in [0, num_classes).
      window_start_ms: int64 `[num_clips, num_windows]`, starts of the windows
        of each clip.
      num_classes: Number of classes.
      params: Window length and least overlap.

    Returns:
      float32 `[num_clips, num_windows, num_classes]`, 1 where one single event
      of the class satisfies the rule.
    """
    window_ms = round(params.label_frame_seconds * 1000)
    start_ms = tf.gather(window_start_ms, events.clip_number)
    onset_ms = to_milliseconds(events.onset_seconds)[:, tf.newaxis]
    offset_ms = to_milliseconds(events.offset_seconds)[:, tf.newaxis]
    overlap_ms = tf.minimum(offset_ms, start_ms + window_ms)
    overlap_ms -= tf.maximum(onset_ms, start_ms)
    shorter_ms = tf.minimum(
        tf.constant(window_ms, tf.int64), offset_ms - onset_ms
    )  # [num_events, 1]
    least_ms = params.min_overlap * tf.cast(shorter_ms, tf.float64)
    is_positive = (overlap_ms > 0) & (
        tf.cast(overlap_ms, tf.float64) >= least_ms
    )  # [num_events, num_windows]
    num_clips, num_windows = tf.unstack(tf.shape(window_start_ms))
    num_positive_events = tf.math.unsorted_segment_sum(
        tf.cast(is_positive, tf.float32),
        events.clip_number * num_classes + events.event_class,
        num_clips * num_classes,
    )
    targets = tf.reshape(
        tf.minimum(num_positive_events, 1.0),
        [num_clips, num_classes, num_windows],
    )
    return tf.transpose(targets, [0, 2, 1])
