"""Parses records in the TensorFlow graph, and cuts features out of their bytes.

`schema.py` says what a record holds. Features stay bytes until a patch or the
first rows are cut out of them; `to_float32` makes numbers of the result. All
functions but `parse_record` work on many clips at once.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from audioset_strong.params import FeatureParams, RecordParams
from audioset_strong.records.schema import (
    ClassEvents,
    StoredLogMel,
    check_log_mel_dtype,
    event_keys,
)

_GRAPH_DTYPES = {"float16": tf.float16, "uint8": tf.uint8}


class ParsedRecord(NamedTuple):
    """A record in the graph, features still as bytes.

    Attributes:
      segment_id: string scalar.
      log_mel: Values are a string scalar.
      num_stft_frames: int64 scalar.
      label_source: string `[num_label_sets]`.
      events: `ClassEvents` of tensors of the parsed label set.
      log_mel_dtype: How the features are stored.
    """

    segment_id: tf.Tensor
    log_mel: StoredLogMel
    num_stft_frames: tf.Tensor
    label_source: tf.Tensor
    events: ClassEvents
    log_mel_dtype: str


def parsed_features(label_set: str, log_mel_dtype: str) -> dict[str, Any]:
    """Says what to parse, for TensorFlow's parsers.

    Raises:
      InputError: The dtype is unknown.
    """
    features = {
        "segment_id": tf.io.FixedLenFeature([], tf.string),
        "log_mel": tf.io.FixedLenFeature([], tf.string),
        "label_source": tf.io.VarLenFeature(tf.string),
    }
    if check_log_mel_dtype(log_mel_dtype) == "uint8":
        features["log_mel_minimum"] = tf.io.FixedLenFeature([], tf.float32)
        features["log_mel_step"] = tf.io.FixedLenFeature([], tf.float32)
    dtypes = (tf.int64, tf.float32, tf.float32)
    for key, dtype in zip(event_keys(label_set), dtypes, strict=True):
        features[key] = tf.io.VarLenFeature(dtype)
    return features


def stored_log_mel(parsed: dict[str, tf.Tensor]) -> StoredLogMel:
    """Takes the features, still as bytes, from what a parser returns."""
    return StoredLogMel(
        parsed["log_mel"],
        parsed.get("log_mel_minimum"),
        parsed.get("log_mel_step"),
    )


def row_bytes(params: FeatureParams, log_mel_dtype: str) -> int:
    """Bytes of one STFT frame."""
    return int(_GRAPH_DTYPES[log_mel_dtype].size) * params.mel_bands


def num_stft_frames(
    data: tf.Tensor, params: FeatureParams, log_mel_dtype: str
) -> tf.Tensor:
    """Counts the STFT frames of clips: int64, the shape of `data`."""
    num_bytes = tf.strings.length(data)
    return tf.cast(num_bytes // row_bytes(params, log_mel_dtype), tf.int64)


def parse_record(
    serialized: tf.Tensor,
    label_set: str,
    params: FeatureParams,
    log_mel_dtype: str = RecordParams.log_mel_dtype,
) -> ParsedRecord:
    """Parses one record.

    Args:
      serialized: string scalar.
      label_set: "weak" or "strong": whose events to parse.
      params: Gives the number of mel bands.
      log_mel_dtype: How the features are stored, as the manifest says.

    Returns:
      The parsed record; no events if `label_set` does not know the clip.

    Raises:
      InputError: The dtype is unknown.
    """
    parsed = tf.io.parse_single_example(
        serialized, parsed_features(label_set, log_mel_dtype)
    )
    return ParsedRecord(
        segment_id=parsed["segment_id"],
        log_mel=stored_log_mel(parsed),
        num_stft_frames=num_stft_frames(
            parsed["log_mel"], params, log_mel_dtype
        ),
        label_source=parsed["label_source"].values,
        events=ClassEvents(*(parsed[k].values for k in event_keys(label_set))),
        log_mel_dtype=log_mel_dtype,
    )


def cut_bytes(
    data: tf.Tensor,
    start_stft_frame: tf.Tensor,
    params: FeatureParams,
    log_mel_dtype: str,
) -> tf.Tensor:
    """Cuts one patch out of the bytes of each clip.

    Args:
      data: string, any shape: bytes of clips, each at least as long as its
        patch needs.
      start_stft_frame: int64, same shape: first STFT frame of each patch.
      params: Size of a patch.
      log_mel_dtype: How the features are stored.

    Returns:
      float16 or uint8 `[..., patch_stft_frames, mel_bands]`.
    """
    num_bytes = row_bytes(params, log_mel_dtype)
    patch_bytes = tf.strings.substr(
        data,
        start_stft_frame * num_bytes,
        tf.zeros_like(start_stft_frame) + params.patch_stft_frames * num_bytes,
    )
    values = tf.io.decode_raw(patch_bytes, _GRAPH_DTYPES[log_mel_dtype])
    # [..., patch_stft_frames * mel_bands]
    sizes = [params.patch_stft_frames, params.mel_bands]
    if data.shape.rank == 0:
        return tf.reshape(values, sizes)
    return tf.reshape(values, [-1, *sizes])


def decode_first_rows(
    data: tf.Tensor, num_rows: int, params: FeatureParams, log_mel_dtype: str
) -> tf.Tensor:
    """Decodes the first STFT frames of clips of different lengths.

    Args:
      data: string `[num_clips]`.
      num_rows: STFT frames to decode; level 0 where a clip has fewer.
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
        fixed_length=num_rows * row_bytes(params, log_mel_dtype),
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


def decode_log_mel(record: ParsedRecord, params: FeatureParams) -> tf.Tensor:
    """Decodes all of a record: float32 `[num_stft_frames, mel_bands]`."""
    values = tf.io.decode_raw(
        record.log_mel.values, _GRAPH_DTYPES[record.log_mel_dtype]
    )  # [num_stft_frames * mel_bands]
    values = tf.reshape(values, [-1, params.mel_bands])
    return to_float32(record.log_mel._replace(values=values))
