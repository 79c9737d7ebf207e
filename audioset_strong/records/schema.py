"""The record: one `tf.train.Example` a clip, written and parsed side by side.

    segment_id                      bytes
    log_mel                         bytes [num_stft_frames, mel_bands], raw:
                                    little-endian float16, or uint8 levels
    log_mel_minimum, log_mel_step   float; with uint8 only: what level 0 stands
                                    for, and the distance of two levels
    audio_seconds                   float, seconds of audio behind log_mel
    label_source                    bytes list, of "weak" and "strong": the
                                    label sets that know this clip
    {weak,strong}_event_class           int64 [num_events], class index
    {weak,strong}_event_onset_seconds   float [num_events]
    {weak,strong}_event_offset_seconds  float [num_events]

One record carries both label sets, so that no audio is stored twice: Weak,
Diffuse and Strong are readings of it. A clip that a label set knows and that
has no event of a known class is still an example, of negatives; that is why
`label_source` is written and not inferred.

Features are raw bytes and not float lists so that the reader can cut one patch
out of the 128 KB instead of decoding all of it (`log_mel_bytes.py`).
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from audioset_strong.params import FeatureParams, RecordParams
from audioset_strong.records.log_mel_bytes import (
    StoredLogMel,
    check_log_mel_dtype,
    cut_bytes,
    decode_all_rows,
    encode_log_mel,
    row_bytes,
    to_float32,
)

LABEL_SETS = ("weak", "strong")
_DEFAULT_DTYPE = RecordParams.log_mel_dtype


class ClassEvents(NamedTuple):
    """Events of one clip, as parallel arrays (or tensors).

    Attributes:
      event_class: int64 `[num_events]`, class index.
      onset_seconds: float32 `[num_events]`, from the start of the clip.
      offset_seconds: float32 `[num_events]`.
    """

    event_class: np.ndarray | tf.Tensor
    onset_seconds: np.ndarray | tf.Tensor
    offset_seconds: np.ndarray | tf.Tensor


@dataclasses.dataclass(frozen=True)
class ClipRecord:
    """What one record holds.

    Attributes:
      segment_id: Name of the clip.
      log_mel: float `[num_stft_frames, mel_bands]`.
      audio_seconds: Seconds of audio behind `log_mel`.
      events: Events of each label set that knows the clip.
    """

    segment_id: str
    log_mel: np.ndarray
    audio_seconds: float
    events: dict[str, ClassEvents]


class ParsedRecord(NamedTuple):
    """A record in the graph, features still as bytes.

    Attributes:
      segment_id: string scalar.
      log_mel: Values are a string scalar.
      num_stft_frames: int64 scalar.
      label_source: string `[num_label_sets]`.
      events: `ClassEvents` of tensors of the label set that was asked for.
      log_mel_dtype: How the features are stored.
    """

    segment_id: tf.Tensor
    log_mel: StoredLogMel
    num_stft_frames: tf.Tensor
    label_source: tf.Tensor
    events: ClassEvents
    log_mel_dtype: str


def _bytes_feature(values: list[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _float_feature(values: np.ndarray | list[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _event_features(
    label_set: str, events: ClassEvents
) -> dict[str, tf.train.Feature]:
    classes = tf.train.Int64List(value=events.event_class)
    return {
        f"{label_set}_event_class": tf.train.Feature(int64_list=classes),
        f"{label_set}_event_onset_seconds": _float_feature(
            events.onset_seconds
        ),
        f"{label_set}_event_offset_seconds": _float_feature(
            events.offset_seconds
        ),
    }


def serialize_record(
    record: ClipRecord, log_mel_dtype: str = _DEFAULT_DTYPE
) -> bytes:
    """Writes one clip as a serialized `tf.train.Example`.

    Args:
      record: The clip.
      log_mel_dtype: How to store the features: "float16" or "uint8".

    Raises:
      InputError: The dtype is unknown, or features to quantise are not finite.
    """
    stored = encode_log_mel(record.log_mel, log_mel_dtype)
    features = {
        "segment_id": _bytes_feature([record.segment_id.encode()]),
        "log_mel": _bytes_feature([stored.values]),
        "audio_seconds": _float_feature([record.audio_seconds]),
        "label_source": _bytes_feature(
            [name.encode() for name in LABEL_SETS if name in record.events]
        ),
    }
    if stored.step is not None:
        features["log_mel_minimum"] = _float_feature([stored.minimum])
        features["log_mel_step"] = _float_feature([stored.step])
    for label_set, events in record.events.items():
        features.update(_event_features(label_set, events))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def event_keys(label_set: str) -> list[str]:
    """Names of the features of events: class, onset, offset."""
    names = ("class", "onset_seconds", "offset_seconds")
    return [f"{label_set}_event_{name}" for name in names]


def parsed_features(label_set: str, log_mel_dtype: str) -> dict[str, Any]:
    """What to parse, for TensorFlow's parsers."""
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
    log_mel_dtype: str = _DEFAULT_DTYPE,
) -> ParsedRecord:
    """Parses one record, in the graph.

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
    keys = event_keys(label_set)
    return ParsedRecord(
        segment_id=parsed["segment_id"],
        log_mel=stored_log_mel(parsed),
        num_stft_frames=num_stft_frames(
            parsed["log_mel"], params, log_mel_dtype
        ),
        label_source=parsed["label_source"].values,
        events=ClassEvents(*(parsed[key].values for key in keys)),
        log_mel_dtype=log_mel_dtype,
    )


def cut_patch(
    record: ParsedRecord, start_stft_frame: tf.Tensor, params: FeatureParams
) -> tf.Tensor:
    """Cuts one patch out of the raw bytes of a record.

    Args:
      record: The record; holds at least `start_stft_frame` plus one patch.
      start_stft_frame: int64 scalar, first STFT frame of the patch.
      params: Size of a patch.

    Returns:
      float32 `[patch_stft_frames, mel_bands]`.
    """
    values = cut_bytes(
        record.log_mel.values, start_stft_frame, params, record.log_mel_dtype
    )
    return to_float32(record.log_mel._replace(values=values))


def decode_log_mel(record: ParsedRecord, params: FeatureParams) -> tf.Tensor:
    """Decodes all of a record: float32 `[num_stft_frames, mel_bands]`."""
    values = decode_all_rows(
        record.log_mel.values, params, record.log_mel_dtype
    )
    return to_float32(record.log_mel._replace(values=values))
