"""Makes WAV and FLAC safe for tensorflow-io's decoders, which some files upset.

A WAV header can make the decoder divide by zero or ask for less than no memory,
and FLAC that is cut off between two of its frames lets it wait for ever
(BUILD_NOTES.md "tensorflow-io"). So WAV gets a new header here, and FLAC an end
that stops the decoder. All happens in the TensorFlow graph.
"""

from typing import NamedTuple

import tensorflow as tf

from audioset_strong.features.graph_bytes import (
    big_endian,
    bytes_at,
    checked,
    little_endian,
    rest_of,
    size_of,
    text_at,
    to_big_endian,
    to_little_endian,
)

# What a decoder is called with; `TfioInput.encoding` is an index.
ENCODINGS = (
    *("wav_uint8", "wav_int16", "wav_int24", "wav_int32", "wav_float32"),
    *("flac_8", "flac_16", "flac_24", "vorbis", "mp3"),
)

# FLAC that is longer than the clip by no more than this is decoded whole, so
# that its checksum can be compared (`tfio_audio.py`).
EXTRA_SECONDS = 5.0

_WAV_PCM, _WAV_FLOAT, _WAV_EXTENSIBLE = 1, 3, 0xFFFE

# Chunks that are looked at, so that a large file of zeros
# ends soon.
_MAX_BLOCKS = 256

_MAX_CHANNELS = 255

# An FLAC frame, whole and right in its checksums, of 192 samples of silence
# that claims the last sample number there can be. Source: RFC 9639, section 9.
_LAST_FLAC_FRAME = bytes.fromhex("fff91008febfbfbfbfbfbf680000004cce")


class TfioInput(NamedTuple):
    """What a decoder is given, and what it does not return.

    Attributes:
      contents: string `[]`, a file that is safe to decode.
      encoding: int32 `[]`, index in `ENCODINGS`.
      sample_rate: int64 `[]`, of the file, in Hz.
      num_samples: int64 `[]`, samples of a channel of the whole file; -1 where
        only decoding tells.
    """

    contents: tf.Tensor
    encoding: tf.Tensor
    sample_rate: tf.Tensor
    num_samples: tf.Tensor


def _samples_in(sample_rate: tf.Tensor, seconds: tf.Tensor) -> tf.Tensor:
    """Returns the whole samples of some seconds: int64 `[]`."""
    return tf.cast(tf.cast(sample_rate, tf.float64) * seconds, tf.int64)


def read_wav(contents: tf.Tensor, max_seconds: tf.Tensor) -> TfioInput:
    """Reads WAV; the decoder gets the samples behind a new header.

    The data chunk is taken as far as it is there: its size is too large in
    files that are cut off, and in those that were piped.

    Args:
      contents: string `[]`, a whole file that begins with `RIFF`.
      max_seconds: float64 `[]`, audio after this need not be decoded.
    """
    fmt_at, data_at = _find_wav_chunks(contents)
    fmt = bytes_at(contents, fmt_at, 26)
    tag, num_channels = little_endian(fmt[0:2]), little_endian(fmt[2:4])
    sample_rate, bits = little_endian(fmt[4:8]), little_endian(fmt[14:16])
    tag = tf.where(tag == _WAV_EXTENSIBLE, little_endian(fmt[24:26]), tag)
    is_pcm = tag == _WAV_PCM
    is_integer = is_pcm & tf.reduce_any(bits == [8, 16, 24, 32])
    is_float = (tag == _WAV_FLOAT) & (bits == 32)
    contents = checked(
        contents,
        (fmt_at > 0) & (data_at > 0) & _is_channels(num_channels),
        "WAV without format, data or channels",
    )
    contents = checked(
        contents, is_integer | is_float, "WAV that is not PCM or 32-bit float"
    )
    # Of all channels; not that of the header, which may be wrong.
    sample_bytes = tf.maximum(num_channels * bits // 8, 1)
    data_bytes = tf.minimum(
        little_endian(bytes_at(contents, data_at - 4, 4)),
        size_of(contents) - data_at,
    )
    num_samples = data_bytes // sample_bytes
    used_bytes = sample_bytes * tf.minimum(
        num_samples, _samples_in(sample_rate, max_seconds)
    )
    fields = (
        *((36 + used_bytes, 4), b"WAVEfmt ", (16, 4)),
        *((tf.where(is_pcm, _WAV_PCM, _WAV_FLOAT), 2), (num_channels, 2)),
        *((sample_rate, 4), (sample_rate * sample_bytes, 4)),
        *((sample_bytes, 2), (bits, 2), b"data", (used_bytes, 4)),
    )
    header = [
        f if isinstance(f, bytes) else to_little_endian(*f) for f in fields
    ]
    data = text_at(contents, data_at, used_bytes)
    return TfioInput(
        tf.strings.join([b"RIFF", *header, data]),
        tf.cast(tf.where(is_pcm, bits // 8 - 1, 4), tf.int32),
        sample_rate,
        num_samples,
    )


def _find_wav_chunks(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where the content of `fmt ` and `data` begins, 0 if nowhere.

    Source: "Multimedia Programming Interface and Data Specifications 1.0":
    chunks of odd size are followed by one byte.
    """
    num_bytes, zero = size_of(contents), tf.constant(0, tf.int64)

    def is_more(
        position: tf.Tensor, _: tf.Tensor, data_at: tf.Tensor
    ) -> tf.Tensor:
        return (position + 8 <= num_bytes) & (data_at == 0)

    def next_chunk(
        position: tf.Tensor, fmt_at: tf.Tensor, data_at: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        kind = text_at(contents, position, 4)
        size = little_endian(bytes_at(contents, position + 4, 4))
        fmt_at = tf.where(tf.equal(kind, b"fmt "), position + 8, fmt_at)
        data_at = tf.where(tf.equal(kind, b"data"), position + 8, data_at)
        return position + 8 + size + size % 2, fmt_at, data_at

    _, fmt_at, data_at = tf.while_loop(
        is_more,
        next_chunk,
        (zero + 12, zero, zero),
        maximum_iterations=_MAX_BLOCKS,
    )
    return fmt_at, data_at


def _is_channels(num_channels: tf.Tensor) -> tf.Tensor:
    return (num_channels >= 1) & (num_channels <= _MAX_CHANNELS)


def read_flac(contents: tf.Tensor, max_seconds: tf.Tensor) -> TfioInput:
    """Reads FLAC; the decoder gets an end that it does not run past.

    The decoder asks for samples until it has as many as the header promises,
    for ever if the file ends before. A frame behind the end that is out of
    order makes it stop. There are enough of them that the frame that was cut
    off, if one was, cannot swallow all.

    Args:
      contents: string `[]`, a whole file that begins with `fLaC`.
      max_seconds: float64 `[]`, audio after this need not be decoded.

    Source: RFC 9639, section 8.2 (the STREAMINFO block).
    """
    info = bytes_at(contents, 0, 26)
    sample_rate = info[18] * 4096 + info[19] * 16 + info[20] // 16
    num_channels = info[20] // 2 % 8 + 1
    bits = info[20] % 2 * 16 + info[21] // 16 + 1
    num_samples = info[21] % 16 * (1 << 32) + big_endian(info[22:26])
    contents = checked(
        contents, info[4] % 128 == 0, "FLAC that does not begin with its format"
    )
    contents = checked(
        contents,
        tf.reduce_any(bits == [8, 16, 24]),
        "FLAC that has not 8, 16 or 24 bits",
    )
    contents = checked(
        contents, num_samples > 0, "FLAC that does not say how long it is"
    )
    num_used = tf.minimum(
        num_samples, _samples_in(sample_rate, max_seconds + EXTRA_SECONDS)
    )
    high_byte = info[21] // 16 * 16 + num_used // (1 << 32)
    num_used_bytes = to_big_endian(num_used + high_byte * (1 << 32), 5)
    # Twice what the samples of the largest frame take uncompressed.
    frame_bytes = big_endian(info[10:12]) * num_channels * (bits // 8) * 2
    num_frames = 2 + frame_bytes // len(_LAST_FLAC_FRAME)
    end = tf.strings.reduce_join(tf.fill([num_frames], _LAST_FLAC_FRAME))
    return TfioInput(
        tf.strings.join(
            [text_at(contents, 0, 21), num_used_bytes]
            + [rest_of(contents, 26), end]
        ),
        tf.cast(ENCODINGS.index("flac_8") + bits // 8 - 1, tf.int32),
        sample_rate,
        num_samples,
    )
