"""Decodes audio in the TensorFlow graph, with tensorflow-io's decoders."""

from collections.abc import Callable
from types import ModuleType

import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.features.tfio_lossless import ENCODINGS, TfioInput


def import_tfio() -> ModuleType:
    """Imports tensorflow-io, which is an extra.

    Raises:
      InputError: It is not installed, or not for this TensorFlow.
    """
    try:
        import tensorflow_io

        # Attributes are looked up late; this one needs the compiled library.
        _ = tensorflow_io.audio.resample
    except (ImportError, NotImplementedError) as error:
        raise InputError(
            f"--audio_backend=tfio needs tensorflow-io, which does not load "
            f"({str(error).splitlines()[0]}). Run: pip install "
            f"'audioset_strong[io]'; or use --audio_backend=soundfile."
        ) from error
    return tensorflow_io


def decode(audio: TfioInput) -> tf.Tensor:
    """Decodes a file.

    Args:
      audio: What `read_header` gives.

    Returns:
      float32 `[num_samples, num_channels]`, in [-1, 1].

    Raises:
      tf.errors.OpError: When it runs, if the file is damaged.
    """
    tfio = import_tfio()
    contents = audio.contents

    def wav(dtype: tf.DType) -> tf.Tensor:
        return tfio.audio.decode_wav(contents, dtype=dtype)

    def flac(dtype: tf.DType) -> tf.Tensor:
        return tfio.audio.decode_flac(contents, dtype=dtype)

    decoders: dict[str, Callable[[], tf.Tensor]] = {
        "wav_uint8": lambda: _from_uint8(wav(tf.uint8)),
        "wav_int16": lambda: _from_integer(wav(tf.int16)),
        # Shifted to 32 bits by the decoder, as are the other 24 bits.
        "wav_int24": lambda: _from_integer(wav(tf.int32)),
        # The decoder takes all 32 bits for floating point, and copies them.
        "wav_int32": lambda: _from_integer(
            tf.bitcast(wav(tf.float32), tf.int32)
        ),
        "wav_float32": lambda: wav(tf.float32),
        "flac_8": lambda: _from_uint8(flac(tf.uint8)),
        "flac_16": lambda: _from_integer(flac(tf.int16)),
        "flac_24": lambda: _from_integer(flac(tf.int32)),
        "vorbis": lambda: tfio.audio.decode_vorbis(contents),
        "mp3": lambda: tfio.audio.decode_mp3(contents),
    }
    samples = tf.switch_case(
        audio.encoding, [decoders[name] for name in ENCODINGS]
    )
    return tf.ensure_shape(samples, [None, None])


def _from_uint8(samples: tf.Tensor) -> tf.Tensor:
    """Scales unsigned samples, whose middle is 128, to [-1, 1]."""
    return (tf.cast(samples, tf.float32) - 128.0) / 128.0


def _from_integer(samples: tf.Tensor) -> tf.Tensor:
    """Scales signed samples to [-1, 1]: the lowest becomes -1."""
    return tf.cast(samples, tf.float32) / -float(samples.dtype.min)
