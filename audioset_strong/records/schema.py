"""The record: one `tf.train.Example` a clip, written and parsed side by side.

    segment_id                      bytes
    log_mel                         bytes, raw little-endian float16
                                    [num_stft_frames, mel_bands]
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
out of the 128 KB instead of decoding all of it.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from audioset_strong.params import FeatureParams

LABEL_SETS = ("weak", "strong")
_BYTES_PER_VALUE = np.dtype("<f2").itemsize


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
      log_mel_bytes: string scalar.
      num_stft_frames: int64 scalar.
      label_source: string `[num_label_sets]`.
      events: `ClassEvents` of tensors of the label set that was asked for.
    """

    segment_id: tf.Tensor
    log_mel_bytes: tf.Tensor
    num_stft_frames: tf.Tensor
    label_source: tf.Tensor
    events: ClassEvents


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


def serialize_record(record: ClipRecord) -> bytes:
    """Writes one clip as a serialized `tf.train.Example`."""
    features = {
        "segment_id": _bytes_feature([record.segment_id.encode()]),
        "log_mel": _bytes_feature([record.log_mel.astype("<f2").tobytes()]),
        "audio_seconds": _float_feature([record.audio_seconds]),
        "label_source": _bytes_feature(
            [name.encode() for name in LABEL_SETS if name in record.events]
        ),
    }
    for label_set, events in record.events.items():
        features.update(_event_features(label_set, events))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def parse_record(
    serialized: tf.Tensor, label_set: str, params: FeatureParams
) -> ParsedRecord:
    """Parses one record, in the graph.

    Args:
      serialized: string scalar.
      label_set: "weak" or "strong": whose events to parse.
      params: Gives the number of mel bands.

    Returns:
      The parsed record; no events if `label_set` does not know the clip.
    """
    ragged = tf.io.RaggedFeature
    names = ("class", "onset_seconds", "offset_seconds")
    keys = [f"{label_set}_event_{name}" for name in names]
    dtypes = (tf.int64, tf.float32, tf.float32)
    parsed = tf.io.parse_single_example(
        serialized,
        {
            "segment_id": tf.io.FixedLenFeature([], tf.string),
            "log_mel": tf.io.FixedLenFeature([], tf.string),
            "label_source": ragged(tf.string),
            **{key: ragged(dtype) for key, dtype in zip(keys, dtypes)},
        },
    )
    num_bytes = tf.strings.length(parsed["log_mel"])
    return ParsedRecord(
        segment_id=parsed["segment_id"],
        log_mel_bytes=parsed["log_mel"],
        num_stft_frames=tf.cast(
            num_bytes // (_BYTES_PER_VALUE * params.mel_bands), tf.int64
        ),
        label_source=parsed["label_source"],
        events=ClassEvents(*(parsed[key] for key in keys)),
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
    shape = [params.patch_stft_frames, params.mel_bands]
    row_bytes = _BYTES_PER_VALUE * params.mel_bands
    patch_bytes = tf.strings.substr(
        record.log_mel_bytes,
        start_stft_frame * row_bytes,
        tf.constant(params.patch_stft_frames * row_bytes, tf.int64),
    )
    values = tf.io.decode_raw(patch_bytes, tf.float16, little_endian=True)
    return tf.reshape(tf.cast(values, tf.float32), shape)


def decode_log_mel(record: ParsedRecord, params: FeatureParams) -> tf.Tensor:
    """Decodes all of a record: float32 `[num_stft_frames, mel_bands]`."""
    values = tf.io.decode_raw(
        record.log_mel_bytes, tf.float16, little_endian=True
    )
    return tf.reshape(tf.cast(values, tf.float32), [-1, params.mel_bands])
