"""Parses many records at once, which costs much less than one by one.

Random windows of clips: one a clip and pass, a function of both.

The frame rule in the TensorFlow graph: events -> targets of windows.

The same rule as `labels.frame_targets.is_window_positive`, for training windows
at any offset; a property test holds the two together.
"""

from typing import NamedTuple

import tensorflow as tf

from audioset_strong.params import FeatureParams, LabelFrameParams, RecordParams
from audioset_strong.records.parse import (
    num_stft_frames,
    parsed_features,
    stored_log_mel,
)
from audioset_strong.records.schema import StoredLogMel, event_keys

# --- parsed records --------------------------------------------------------


class EventsOfClips(NamedTuple):
    """Events of several clips, as parallel tensors.

    Attributes:
      clip_number: int64 `[num_events]`, place of the event's clip.
      event_class: int64 `[num_events]`, class index.
      onset_seconds: float32 `[num_events]`, from the start of the clip.
      offset_seconds: float32 `[num_events]`.
    """

    clip_number: tf.Tensor
    event_class: tf.Tensor
    onset_seconds: tf.Tensor
    offset_seconds: tf.Tensor


class ParsedRecords(NamedTuple):
    """Several records in the graph, features still as bytes.

    Attributes:
      segment_id: string `[num_clips]`.
      log_mel: Values are string `[num_clips]`.
      num_stft_frames: int64 `[num_clips]`.
      is_known: bool `[num_clips]`: whether the label set that was asked for
        knows the clip.
      events: Those of this label set.
    """

    segment_id: tf.Tensor
    log_mel: StoredLogMel
    num_stft_frames: tf.Tensor
    is_known: tf.Tensor
    events: EventsOfClips


def parse_records(
    serialized: tf.Tensor,
    label_set: str,
    params: FeatureParams,
    log_mel_dtype: str = RecordParams.log_mel_dtype,
) -> ParsedRecords:
    """Parses several records, in the graph.

    Args:
      serialized: string `[num_clips]`.
      label_set: "weak" or "strong": whose events to parse.
      params: Gives the number of mel bands.
      log_mel_dtype: How the features are stored, as the manifest says.

    Returns:
      The parsed records; no events of clips that `label_set` does not know.

    Raises:
      InputError: The dtype is unknown.
    """
    parsed = tf.io.parse_example(
        serialized, parsed_features(label_set, log_mel_dtype)
    )
    sources = parsed["label_source"]
    events = [parsed[key] for key in event_keys(label_set)]
    return ParsedRecords(
        segment_id=parsed["segment_id"],
        log_mel=stored_log_mel(parsed),
        num_stft_frames=num_stft_frames(
            parsed["log_mel"], params, log_mel_dtype
        ),
        is_known=tf.math.unsorted_segment_sum(
            tf.cast(sources.values == label_set, tf.int32),
            sources.indices[:, 0],
            tf.shape(serialized)[0],
        )
        > 0,
        events=EventsOfClips(
            events[0].indices[:, 0], *(feature.values for feature in events)
        ),
    )


# --- windows ---------------------------------------------------------------


def draw_windows(
    records: ParsedRecords,
    seed: int,
    pass_number: tf.Tensor,
    features: FeatureParams,
    max_clips: int,
) -> tf.Tensor:
    """Draws the first STFT frame of a random window inside each clip's audio.

    Each clip has a generator of its own, so that its window depends neither on
    its place in the stream nor on the other clips.

    Args:
      records: The clips.
      seed: Of the source.
      pass_number: int64 scalar: which pass over the source this is.
      features: Size of a patch.
      max_clips: Clips that `records` holds at most; so many draws are in the
        graph.

    Returns:
      int64 `[num_clips]`, the same for the same (seed, pass, clip).
    """
    keys = tf.strings.join(
        [records.segment_id, tf.strings.as_string(pass_number)], separator="/"
    )
    clip_seeds = tf.strings.to_hash_bucket_strong(keys, 2**62, [seed, 0])
    num_starts = records.num_stft_frames - features.patch_stft_frames + 1
    num_clips = tf.shape(clip_seeds)[0]
    # TensorFlow draws many numbers with one seed, but not one number each with
    # many seeds; a loop in the graph would cost more than all other work.
    padding = [[0, max_clips - num_clips]]
    clip_seeds = tf.ensure_shape(tf.pad(clip_seeds, padding), [max_clips])
    num_starts = tf.ensure_shape(
        tf.pad(num_starts, padding, constant_values=1), [max_clips]
    )
    seeds = tf.stack(
        [tf.fill([max_clips], tf.constant(seed, tf.int64)), clip_seeds], axis=1
    )
    starts = [
        tf.random.stateless_uniform(
            [], clip_seed, minval=0, maxval=maxval, dtype=tf.int64
        )
        for clip_seed, maxval in zip(
            tf.unstack(seeds), tf.unstack(num_starts), strict=True
        )
    ]
    return tf.stack(starts)[:num_clips]


# --- window targets --------------------------------------------------------


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
