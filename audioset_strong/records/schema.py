"""The record of a clip, and the TFRecord file around it.

A record is one `tf.train.Example`:

    segment_id                      bytes
    log_mel                         bytes [num_stft_frames, mel_bands], raw:
                                    little-endian float16, or uint8 levels
    log_mel_minimum, log_mel_step   float, with uint8 only: what level 0 stands
                                    for, and the distance between two levels
    audio_seconds                   float, seconds of audio behind log_mel
    label_source                    bytes list of "weak" and "strong": the label
                                    sets that know this clip
    {weak,strong}_event_class           int64 [num_events], class index
    {weak,strong}_event_onset_seconds   float [num_events]
    {weak,strong}_event_offset_seconds  float [num_events]

One record carries both label sets, so that no audio is stored twice: Weak,
Diffuse and Strong are readings of it. A clip that a label set knows but that
has no event of a known class is still an example, of negatives; that is why
`label_source` is stored and not inferred from the events.

Features are raw bytes rather than a float list, so that a reader can cut one
patch out of 128 KB without decoding the rest. As float16 they are less than
0.004 away from float32. As uint8 they are round((log_mel - minimum) / step)
with step = (maximum - minimum) / 255, at most step / 2 away. Minimum and step
are the clip's own, because a fixed range that holds every clip has coarser
steps: on 400 recordings of ESC-50 the error is at most 0.019 and 0.0078 in RMS
(0.17 and 0.07 dB); with a fixed range from ln(0.01) to 7, 0.023 and 0.0124.

Nothing here needs TensorFlow, whose import takes longer than a worker process
needs for 200 clips. `parse.py` reads records in the TensorFlow graph.
"""

import dataclasses
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)

from audioset_strong.errors import InputError
from audioset_strong.params import RecordParams

# To be raised when a record's fields change.
SCHEMA_VERSION = 1

LABEL_SETS = ("weak", "strong")
LOG_MEL_DTYPES = ("float16", "uint8")
_MAX_LEVEL = 255

# The messages of tensorflow/core/example/{example,feature}.proto. They are
# declared here because TensorFlow's own cannot be imported without all of it.
_EXAMPLE_PROTO = """
name: "example.proto" package: "records" syntax: "proto3"
message_type { name: "BytesList"
  field { name: "value" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
message_type { name: "FloatList"
  field { name: "value" number: 1 type: TYPE_FLOAT label: LABEL_REPEATED } }
message_type { name: "Int64List"
  field { name: "value" number: 1 type: TYPE_INT64 label: LABEL_REPEATED } }
message_type { name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE
          type_name: "BytesList" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE
          type_name: "FloatList" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE
          type_name: "Int64List" label: LABEL_OPTIONAL oneof_index: 0 } }
message_type { name: "Features"
  field { name: "feature" number: 1 type: TYPE_MESSAGE
          type_name: "FeatureEntry" label: LABEL_REPEATED }
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE
            type_name: "Feature" label: LABEL_OPTIONAL } } }
message_type { name: "Example"
  field { name: "features" number: 1 type: TYPE_MESSAGE
          type_name: "Features" label: LABEL_OPTIONAL } }
"""
_MESSAGES = message_factory.GetMessages(
    [text_format.Parse(_EXAMPLE_PROTO, descriptor_pb2.FileDescriptorProto())],
    pool=descriptor_pool.DescriptorPool(),
)
_Example: Any = _MESSAGES["records.Example"]
_Feature: Any = _MESSAGES["records.Feature"]


class StoredLogMel(NamedTuple):
    """Features of one clip, or of several, as they are stored.

    Attributes:
      values: bytes of one clip, or string tensor of any shape; or the decoded
        float16 or uint8 tensor.
      minimum: float32, one a clip: what level 0 stands for. None for float16.
      step: float32, one a clip: the distance of two levels. None for float16.
    """

    values: Any
    minimum: Any = None
    step: Any = None


class ClassEvents(NamedTuple):
    """Events of one clip, as parallel arrays (or tensors).

    Attributes:
      event_class: int64 `[num_events]`, class index.
      onset_seconds: float32 `[num_events]`, from the start of the clip.
      offset_seconds: float32 `[num_events]`.
    """

    event_class: Any
    onset_seconds: Any
    offset_seconds: Any


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


def check_log_mel_dtype(log_mel_dtype: str) -> str:
    """Returns the dtype if features can be stored as it.

    Raises:
      InputError: They cannot.
    """
    if log_mel_dtype not in LOG_MEL_DTYPES:
        raise InputError(
            f"Expected log_mel_dtype of {list(LOG_MEL_DTYPES)}. Received: "
            f"{log_mel_dtype!r}."
        )
    return log_mel_dtype


def encode_log_mel(log_mel: np.ndarray, log_mel_dtype: str) -> StoredLogMel:
    """Turns features into bytes.

    Args:
      log_mel: float `[num_stft_frames, mel_bands]`.
      log_mel_dtype: One of `LOG_MEL_DTYPES`.

    Returns:
      Little-endian bytes, row by row, and what is needed to read them.

    Raises:
      InputError: The dtype is unknown, or a value to quantise is not finite.
    """
    if check_log_mel_dtype(log_mel_dtype) == "float16":
        return StoredLogMel(log_mel.astype("<f2").tobytes())
    if not np.isfinite(log_mel).all():
        raise InputError("Expected finite log-mel features; some are not.")
    minimum = np.float32(log_mel.min() if log_mel.size else 0)
    maximum = np.float32(log_mel.max() if log_mel.size else 0)
    step = (maximum - minimum) / np.float32(_MAX_LEVEL)
    above = log_mel.astype(np.float64) - minimum
    # A clip whose values are all equal has step 0.
    levels = np.rint(above / step) if step else np.zeros_like(above)
    # [num_stft_frames, mel_bands], 0 to 255
    data = np.clip(levels, 0, _MAX_LEVEL).astype(np.uint8).tobytes()
    return StoredLogMel(data, float(minimum), float(step))


def event_keys(label_set: str) -> list[str]:
    """Names of the features of events: class, onset, offset."""
    names = ("class", "onset_seconds", "offset_seconds")
    return [f"{label_set}_event_{name}" for name in names]


def serialize_record(
    record: ClipRecord, log_mel_dtype: str = RecordParams.log_mel_dtype
) -> bytes:
    """Writes one clip as a serialized `tf.train.Example`.

    Returns:
      Bytes that are the same for equal records.

    Raises:
      InputError: The dtype is unknown, or features to quantise are not finite.
    """
    stored = encode_log_mel(record.log_mel, log_mel_dtype)
    sources = [name for name in LABEL_SETS if name in record.events]
    features = {
        "segment_id": _feature("bytes", [record.segment_id.encode()]),
        "log_mel": _feature("bytes", [stored.values]),
        "audio_seconds": _feature("float", [record.audio_seconds]),
        "label_source": _feature("bytes", [name.encode() for name in sources]),
    }
    if stored.step is not None:
        features["log_mel_minimum"] = _feature("float", [stored.minimum])
        features["log_mel_step"] = _feature("float", [stored.step])
    for label_set, events in record.events.items():
        kinds = ("int64", "float", "float")
        for key, kind, values in zip(
            event_keys(label_set), kinds, events, strict=True
        ):
            features[key] = _feature(kind, values)
    example = _Example(features={"feature": features})
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _feature(kind: str, values: Any) -> Any:
    """Makes a `Feature` of "bytes", "float" or "int64" values."""
    return _Feature(**{f"{kind}_list": {"value": values}})


def frame_record(serialized: bytes) -> bytes:
    """Puts a record's length before it and checksums behind both.

    Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
    """
    length = struct.pack("<Q", len(serialized))
    return b"".join(
        [length, _masked_crc(length), serialized, _masked_crc(serialized)]
    )


def read_frames(content: bytes) -> Iterator[bytes]:
    """Takes the serialized records out of the bytes of a TFRecord file.

    Raises:
      ValueError: A checksum is wrong, or the file ends within a record.
    """
    start = 0
    while start < len(content):
        length = content[start : start + 8]
        found_crc = content[start + 8 : start + 12]
        if len(length) < 8 or _masked_crc(length) != found_crc:
            raise ValueError(f"no record begins at byte {start}")
        start += 12
        end = start + struct.unpack("<Q", length)[0]
        serialized = content[start:end]
        if _masked_crc(serialized) != content[end : end + 4]:
            raise ValueError(f"wrong checksum of the record at byte {start}")
        yield serialized
        start = end + 4


def _masked_crc(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted as the TFRecord format asks for."""
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
