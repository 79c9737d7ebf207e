"""Log-mel features as raw bytes in records: float16, or 8-bit quantised.

    float16   two bytes a value; less than 0.004 away from float32
    uint8     one byte a value: level = round((log_mel - minimum) / step), with
              the minimum of the clip and step = (maximum - minimum) / 255

So no value of a uint8 clip is further than step / 2 from the feature, whatever
the front end, and the reader can cut a patch out of the bytes of both. The two
numbers are the clip's own because a range that holds every clip gives coarser
steps: on 400 recordings of ESC-50 the error is at most 0.019 and 0.0078 in RMS
(0.17 and 0.07 dB), in a fixed range from ln(0.01) to 7 0.023 and 0.0124.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

_GRAPH_DTYPES = {"float16": tf.float16, "uint8": tf.uint8}
LOG_MEL_DTYPES = tuple(_GRAPH_DTYPES)
_MAX_LEVEL = 255


class StoredLogMel(NamedTuple):
    """Features of one clip, or of several, as they are stored.

    Attributes:
      values: bytes of one clip, or string tensor of any shape; or the decoded
        float16 or uint8 tensor.
      minimum: float32, one a clip: what level 0 stands for. None for float16.
      step: float32, one a clip: the distance of two levels. None for float16.
    """

    values: bytes | tf.Tensor
    minimum: float | tf.Tensor | None = None
    step: float | tf.Tensor | None = None


def check_log_mel_dtype(log_mel_dtype: str) -> str:
    """Returns the dtype, if records can have it.

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
    minimum = np.float32(log_mel.min(initial=np.inf) if log_mel.size else 0)
    maximum = np.float32(log_mel.max(initial=-np.inf) if log_mel.size else 0)
    step = (maximum - minimum) / np.float32(_MAX_LEVEL)
    above = log_mel.astype(np.float64) - minimum
    # A clip whose values are all equal has step 0.
    levels = np.rint(above / step) if step else np.zeros_like(above)
    data = np.clip(levels, 0, _MAX_LEVEL).astype(np.uint8).tobytes()
    return StoredLogMel(data, float(minimum), float(step))


def row_bytes(params: FeatureParams, log_mel_dtype: str) -> int:
    """Bytes of one STFT frame."""
    return int(_GRAPH_DTYPES[log_mel_dtype].size) * params.mel_bands


def cut_bytes(
    data: tf.Tensor,
    start_stft_frame: tf.Tensor,
    params: FeatureParams,
    log_mel_dtype: str,
) -> tf.Tensor:
    """Cuts one patch out of the bytes of each clip, in the graph.

    Args:
      data: string, any shape: bytes of clips, of at least `start_stft_frame`
        plus one patch.
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
    # TensorFlow does not pad float16 here.
    same_size = {1: tf.uint8, 2: tf.int16}[dtype.size]
    values = tf.io.decode_raw(
        data,
        same_size,
        fixed_length=num_rows * row_bytes(params, log_mel_dtype),
    )
    values = tf.reshape(values, [-1, num_rows, params.mel_bands])
    return values if dtype == same_size else tf.bitcast(values, dtype)


def decode_all_rows(
    data: tf.Tensor, params: FeatureParams, log_mel_dtype: str
) -> tf.Tensor:
    """Decodes one clip: float16 or uint8 `[num_stft_frames, mel_bands]`."""
    values = tf.io.decode_raw(data, _GRAPH_DTYPES[log_mel_dtype])
    return tf.reshape(values, [-1, params.mel_bands])


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
    step, minimum = (
        number[..., tf.newaxis, tf.newaxis]
        for number in (stored.step, stored.minimum)
    )
    return values * step + minimum
