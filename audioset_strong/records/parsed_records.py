"""Parses many records at once, which costs much less than one by one."""

from typing import NamedTuple

import tensorflow as tf

from audioset_strong.params import FeatureParams, RecordParams
from audioset_strong.records.log_mel_bytes import StoredLogMel
from audioset_strong.records.schema import (
    event_keys,
    num_stft_frames,
    parsed_features,
    stored_log_mel,
)


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
