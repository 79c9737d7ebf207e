"""Parses records in the TensorFlow graph, and cuts features out of their bytes.

`schema.py` says what a record holds. Features stay bytes until a patch or the
first rows are cut out of them; `to_float32` makes numbers of the result. All
functions work on many clips at once.
"""

from typing import NamedTuple

import tensorflow as tf

from audioset_strong.params import FeatureParams, RecordParams
from audioset_strong.records.schema import (
    StoredLogMel,
    check_log_mel_dtype,
    event_keys,
)

_GRAPH_DTYPES = {"float16": tf.float16, "uint8": tf.uint8}


def _row_bytes(params: FeatureParams, log_mel_dtype: str) -> int:
    """Bytes of one STFT frame."""
    return int(_GRAPH_DTYPES[log_mel_dtype].size) * params.mel_bands


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
      audio_seconds: float32 `[num_clips]`.
      is_known: bool `[num_clips]`, whether the parsed label set knows the clip.
      events: Events of the parsed label set.
    """

    segment_id: tf.Tensor
    log_mel: StoredLogMel
    num_stft_frames: tf.Tensor
    audio_seconds: tf.Tensor
    is_known: tf.Tensor
    events: EventsOfClips


def parse_records(
    serialized: tf.Tensor,
    label_set: str,
    params: FeatureParams,
    log_mel_dtype: str = RecordParams.log_mel_dtype,
) -> ParsedRecords:
    """Parses several records.

    Args:
      serialized: string `[num_clips]`.
      label_set: "weak" or "strong": whose events to parse.
      params: Gives the number of mel bands.
      log_mel_dtype: How the features are stored, as the manifest says.

    Returns:
      The parsed records. Clips that `label_set` does not know have no events.

    Raises:
      InputError: The dtype is unknown.
    """
    features = {
        "segment_id": tf.io.FixedLenFeature([], tf.string),
        "log_mel": tf.io.FixedLenFeature([], tf.string),
        "audio_seconds": tf.io.FixedLenFeature([], tf.float32),
        "label_source": tf.io.VarLenFeature(tf.string),
    }
    if check_log_mel_dtype(log_mel_dtype) == "uint8":
        features["log_mel_minimum"] = tf.io.FixedLenFeature([], tf.float32)
        features["log_mel_step"] = tf.io.FixedLenFeature([], tf.float32)
    keys = event_keys(label_set)
    for key, dtype in zip(
        keys, (tf.int64, tf.float32, tf.float32), strict=True
    ):
        features[key] = tf.io.VarLenFeature(dtype)
    parsed = tf.io.parse_example(serialized, features)
    sources = parsed["label_source"]  # sparse [num_clips, num_label_sets]
    num_mentions = tf.math.unsorted_segment_sum(
        tf.cast(sources.values == label_set, tf.int32),
        sources.indices[:, 0],
        tf.shape(serialized)[0],
    )  # [num_clips]
    num_bytes = tf.strings.length(parsed["log_mel"])  # [num_clips]
    events = [parsed[key] for key in keys]
    return ParsedRecords(
        segment_id=parsed["segment_id"],
        log_mel=StoredLogMel(
            parsed["log_mel"],
            parsed.get("log_mel_minimum"),
            parsed.get("log_mel_step"),
        ),
        num_stft_frames=tf.cast(
            num_bytes // _row_bytes(params, log_mel_dtype), tf.int64
        ),
        audio_seconds=parsed["audio_seconds"],
        is_known=num_mentions > 0,
        events=EventsOfClips(
            # The three features of an event are sparse in the same places.
            events[0].indices[:, 0],
            *(feature.values for feature in events),
        ),
    )


def cut_bytes(
    data: tf.Tensor,
    start_stft_frame: tf.Tensor,
    params: FeatureParams,
    log_mel_dtype: str,
) -> tf.Tensor:
    """Cuts one patch out of the bytes of each clip.

    Args:
      data: string `[num_clips]`: bytes of clips, each at least as long as its
        patch needs.
      start_stft_frame: int64 `[num_clips]`, first STFT frame of each patch.
      params: Size of a patch.
      log_mel_dtype: How the features are stored.

    Returns:
      float16 or uint8 `[num_clips, patch_stft_frames, mel_bands]`.
    """
    num_bytes = _row_bytes(params, log_mel_dtype)
    patch_bytes = tf.strings.substr(
        data,
        start_stft_frame * num_bytes,
        tf.zeros_like(start_stft_frame) + params.patch_stft_frames * num_bytes,
    )
    values = tf.io.decode_raw(patch_bytes, _GRAPH_DTYPES[log_mel_dtype])
    # [num_clips, patch_stft_frames * mel_bands]
    return tf.reshape(values, [-1, params.patch_stft_frames, params.mel_bands])


def decode_first_rows(
    data: tf.Tensor,
    num_rows: tf.Tensor | int,
    params: FeatureParams,
    log_mel_dtype: str,
) -> tf.Tensor:
    """Decodes the first STFT frames of clips of different lengths.

    Args:
      data: string `[num_clips]`.
      num_rows: STFT frames to decode, int32; level 0 where a clip has fewer.
      params: Gives the number of mel bands.
      log_mel_dtype: How the features are stored.

    Returns:
      float16 or uint8 `[num_clips, num_rows, mel_bands]`.
    """
    dtype = _GRAPH_DTYPES[log_mel_dtype]
    # decode_raw with fixed_length, which pads, does not know float16.
    same_size = {1: tf.uint8, 2: tf.int16}[dtype.size]
    values = tf.io.decode_raw(
        data,
        same_size,
        fixed_length=num_rows * _row_bytes(params, log_mel_dtype),
    )  # [num_clips, num_rows * mel_bands]
    values = tf.reshape(values, [-1, num_rows, params.mel_bands])
    return values if dtype == same_size else tf.bitcast(values, dtype)


def to_float32(stored: StoredLogMel) -> tf.Tensor:
    """Reads stored values as features.

    Args:
      stored: Values `[..., num_rows, mel_bands]`; minimum and step `[...]`.

    Returns:
      float32, the shape of the values, in natural-log units.
    """
    values = tf.cast(stored.values, tf.float32)
    if stored.step is None:
        return values
    step = stored.step[..., tf.newaxis, tf.newaxis]  # [..., 1, 1]
    minimum = stored.minimum[..., tf.newaxis, tf.newaxis]
    return values * step + minimum
