"""Reads and writes numbers in the bytes of a file, in the TensorFlow graph.

Nothing here fails at the end of a file: what lies behind it is zero or empty,
and whoever reads a header checks what it says.

Makes WAV and FLAC safe for tensorflow-io's decoders, which some files upset.

A WAV header can make the decoder divide by zero or ask for less than no memory,
and FLAC that is cut off between two of its frames lets it wait for ever
(BUILD_NOTES.md "tensorflow-io"). So WAV gets a new header here, and FLAC an end
that stops the decoder. All happens in the TensorFlow graph.

Decodes audio in the TensorFlow graph, with tensorflow-io's decoders.

Resamples in the TensorFlow graph, with tensorflow-io, without its delay.

`tfio.audio.resample` is Speex's resampler at quality 4. It begins with a buffer
of zeros, so what it gives comes late by half of its filter, and as much is cut
off at the end. Here the delay is rounded up to whole samples of the result and
left out.

Finds out what a file is, for tensorflow-io's decoders, in the graph.

They return samples without their rate, so headers are read here. WAV and FLAC
are also made safe (`tfio_lossless.py`); Ogg with more than one stream, with
which the decoder may end the process, is refused.

Audio files -> log-mel features in one TensorFlow graph, by tensorflow-io.

    contents -> samples [num_samples, num_channels] -> mono, cut to the clip
    -> waveform at features.sample_rate -> log-mel

An alternative to `audio_files.py` and `log_mel.py` for input pipelines that
must be TensorFlow all through; slower, of fewer formats and with another
resampler (BUILD_NOTES.md "tensorflow-io"). `audio_graph` is for `tf.data`,
`compute_log_mel` for preparing records.
"""

import functools
import hashlib
import io
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from audioset_strong import files
from audioset_strong.audio import log_mel_graph
from audioset_strong.audio.decode import (
    AudioError,
    BadSamplesError,
    DecodedAudio,
    Mixer,
    decode_audio,
)
from audioset_strong.audio.formats import (
    HEAD_BYTES,
    find_truncation,
    id3_bytes,
    sniff_format,
)
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

# --- graph bytes -----------------------------------------------------------


def _start(contents: tf.Tensor, position: int | tf.Tensor) -> tf.Tensor:
    """Returns the position, or the end of the file if that comes first."""
    return tf.minimum(tf.cast(position, tf.int64), size_of(contents))


def size_of(contents: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a file: int64 `[]` of string `[]`."""
    return tf.cast(tf.strings.length(contents), tf.int64)


def text_at(
    contents: tf.Tensor, position: int | tf.Tensor, num_bytes: int | tf.Tensor
) -> tf.Tensor:
    """Cuts out a part of a file.

    Args:
      contents: string `[]`.
      position: int64 `[]`, where the part begins.
      num_bytes: int64 `[]`, its length.

    Returns:
      string `[]`, shorter where the file ends.
    """
    return tf.strings.substr(
        contents, _start(contents, position), tf.cast(num_bytes, tf.int64)
    )


def rest_of(contents: tf.Tensor, position: int | tf.Tensor) -> tf.Tensor:
    """Returns what follows a position: string `[]`."""
    start = _start(contents, position)
    return tf.strings.substr(contents, start, size_of(contents) - start)


def bytes_at(
    contents: tf.Tensor, position: int | tf.Tensor, num_bytes: int
) -> tf.Tensor:
    """Reads int64 `[num_bytes]`, each in [0, 255]."""
    piece = text_at(contents, position, num_bytes)
    digits = tf.io.decode_raw(piece, tf.uint8, fixed_length=num_bytes)
    return tf.cast(digits, tf.int64)


def little_endian(digits: tf.Tensor) -> tf.Tensor:
    """Makes one number of bytes: int64 `[]` of int64 `[num_bytes]`."""
    powers = tf.constant([256**i for i in range(digits.shape[0])], tf.int64)
    return tf.reduce_sum(digits * powers)


def big_endian(digits: tf.Tensor) -> tf.Tensor:
    """Makes one number of bytes, the highest first."""
    return little_endian(digits[::-1])


def to_big_endian(value: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Writes a number, the highest byte first.

    Args:
      value: int64 `[]`, not negative; higher bytes than `num_bytes` are left
        out.
      num_bytes: How many bytes, 7 at most.

    Returns:
      string `[]`.
    """
    return tf.strings.reduce_join(_digits(value, num_bytes)[::-1])


def to_little_endian(value: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Writes a number, the lowest byte first; see `to_big_endian`."""
    return tf.strings.reduce_join(_digits(value, num_bytes))


def _digits(value: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Returns the bytes of a number, the lowest first: string `[num_bytes]`."""
    powers = tf.constant([256**i for i in range(num_bytes)], tf.int64)
    every_byte = tf.constant([bytes([byte]) for byte in range(256)])
    return tf.gather(every_byte, tf.cast(value, tf.int64) // powers % 256)


def checked(value: tf.Tensor, condition: tf.Tensor, message: str) -> tf.Tensor:
    """Returns `value`, or fails with `message` before anything uses it.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, if the condition is false.
    """
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(value)


# --- tfio lossless ---------------------------------------------------------


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


# --- tfio decoding ---------------------------------------------------------


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


# --- tfio resampling -------------------------------------------------------


# Of Speex's quality 4: taps of the filter where it does not lower the rate.
# Source: quality_map and update_filter in SpeexDSP 1.2.0's resample.c.
_FILTER_TAPS = 64


def filter_delay(
    sample_rate: tf.Tensor, new_rate: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds the delay of Speex's resampler.

    Args:
      sample_rate: int64 `[]`, in Hz.
      new_rate: Rate of the result.

    Returns:
      All int64 `[]`: the delay in samples of the input, and the two rates as a
      reduced fraction.
    """
    divisors = tf.constant(
        [d for d in range(1, new_rate + 1) if new_rate % d == 0], tf.int64
    )
    common = tf.reduce_max(tf.where(sample_rate % divisors == 0, divisors, 1))
    old, new = sample_rate // common, new_rate // common
    # The filter grows with the ratio, up to a multiple of 8.
    longer = (_FILTER_TAPS * old // new - 1) // 8 * 8 + 8
    taps = tf.where(old > new, longer, _FILTER_TAPS)
    return taps // 2, old, new


def resample(
    waveform: tf.Tensor, sample_rate: tf.Tensor, new_rate: int
) -> tf.Tensor:
    """Resamples a waveform.

    Args:
      waveform: float32 `[num_samples]`.
      sample_rate: int64 `[]`, its rate in Hz.
      new_rate: Rate of the result.

    Returns:
      float32 `[num_samples * new_rate / sample_rate, rounded]`.
    """
    return tf.cond(
        sample_rate == new_rate,
        lambda: waveform,
        lambda: _resample(waveform, sample_rate, new_rate),
    )


def _resample(
    waveform: tf.Tensor, sample_rate: tf.Tensor, new_rate: int
) -> tf.Tensor:
    """Resamples what lies between zeros, and cuts these out of the result."""
    tfio = import_tfio()
    delay, old, new = filter_delay(sample_rate, new_rate)
    num_samples = tf.size(waveform, tf.int64)
    # Rounded, as soxr does.
    num_wanted = (num_samples * new * 2 + old) // (old * 2)
    # Zeros before, so that delay and zeros are whole samples of the result.
    num_before = -delay % old
    num_left_out = (num_before + delay) // old * new
    num_needed = -(-(num_left_out + num_wanted) * old // new)
    num_after = tf.maximum(num_needed - num_before - num_samples, 0)
    padded = tf.pad(waveform, [[num_before, num_after]])
    resampled = tfio.audio.resample(padded, sample_rate, new_rate)
    end = num_left_out + num_wanted
    return tf.ensure_shape(resampled, [None])[num_left_out:end]


# --- tfio headers ----------------------------------------------------------


# Only damaged headers name others; resampling from them would take any time.
# The same as of the default backend.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1000, 1_000_000

# Two days at 384 kHz. Ogg pages that claim more are damaged.
_MAX_SAMPLES = 1 << 36

# Sample rates of MPEG 2.5, 2 and 1 by the header's two fields; 0 is no rate.
# Source: ISO/IEC 11172-3, 2.4.2.3; MPEG 2 and 2.5 have a half and a quarter.
_MP3_RATES = (
    *(11025, 12000, 8000, 0),
    *(0, 0, 0, 0),
    *(22050, 24000, 16000, 0),
    *(44100, 48000, 32000, 0),
)


def read_header(contents: tf.Tensor, max_seconds: tf.Tensor) -> TfioInput:
    """Finds out what a file is and makes it safe to decode.

    Args:
      contents: string `[]`, a whole file.
      max_seconds: float64 `[]`, audio after this need not be decoded.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, if tensorflow-io does not
        decode the file; the message says why.
    """
    contents = _after_id3(contents)
    magic = text_at(contents, 0, 4)
    is_wave = tf.equal(text_at(contents, 8, 4), b"WAVE")
    audio = tf.case(
        [
            (
                tf.equal(magic, b"RIFF") & is_wave,
                lambda: read_wav(contents, max_seconds),
            ),
            (
                tf.equal(magic, b"fLaC"),
                lambda: read_flac(contents, max_seconds),
            ),
            (tf.equal(magic, b"OggS"), lambda: _read_vorbis(contents)),
        ],
        default=lambda: _read_mp3(contents),
    )
    is_rate = (audio.sample_rate >= MIN_SAMPLE_RATE) & (
        audio.sample_rate <= MAX_SAMPLE_RATE
    )
    safe = checked(audio.contents, is_rate, "a sample rate that no sound has")
    return audio._replace(contents=safe)


def _after_id3(contents: tf.Tensor) -> tf.Tensor:
    """Returns the file without the ID3 tag that it may begin with.

    Source: ID3v2.4, section 3.1: four bytes of seven bits each.
    """
    head = bytes_at(contents, 0, 10)
    sevens = tf.constant([1 << 21, 1 << 14, 1 << 7, 1], tf.int64)
    footer_bytes = 10 * (head[5] // 16 % 2)
    tag_bytes = 10 + tf.reduce_sum(head[6:10] * sevens) + footer_bytes
    is_tagged = tf.equal(text_at(contents, 0, 3), b"ID3")
    return rest_of(contents, tf.where(is_tagged, tag_bytes, 0))


def _read_vorbis(contents: tf.Tensor) -> TfioInput:
    """Reads Ogg Vorbis.

    Source: RFC 3533, section 6 (pages); Vorbis I specification, section 4.2.2.
    """
    num_segments = bytes_at(contents, 26, 1)[0]
    packet_at = 27 + num_segments
    head = bytes_at(contents, packet_at, 16)
    is_vorbis = tf.equal(text_at(contents, packet_at, 7), b"\x01vorbis")
    contents = checked(contents, is_vorbis, "Ogg that does not hold Vorbis")
    # The decoder keeps to the channels of the first stream, whatever comes.
    pages = tf.strings.split(contents, b"OggS")
    begins_stream = tf.io.decode_raw(pages, tf.uint8, fixed_length=2)[:, 1] & 2
    contents = checked(
        contents,
        tf.reduce_sum(tf.cast(begins_stream > 0, tf.int32)) == 1,
        "Ogg of several streams",
    )
    # Number of the last sample that ends on each page, -1 if none does.
    heads = tf.io.decode_raw(pages[1:], tf.uint8, fixed_length=10)
    last_samples = tf.bitcast(heads[:, 2:], tf.int64)
    contents = checked(
        contents,
        tf.reduce_all(last_samples < _MAX_SAMPLES),
        "Ogg that claims to last for days",
    )
    return TfioInput(
        contents,
        tf.constant(ENCODINGS.index("vorbis")),
        little_endian(head[12:16]),
        tf.constant(-1, tf.int64),
    )


def _read_mp3(contents: tf.Tensor) -> TfioInput:
    """Reads the first frame header of MP3; nothing may come before it."""
    head = bytes_at(contents, 0, 4)
    version, layer = head[1] // 8 % 4, head[1] // 2 % 4
    bit_rate = head[2] // 16
    rates = tf.constant(_MP3_RATES, tf.int64)
    sample_rate = rates[version * 4 + head[2] // 4 % 4]
    is_mp3 = (head[0] == 0xFF) & (head[1] >= 0xE0) & (layer > 0)
    contents = checked(
        contents,
        is_mp3 & (bit_rate < 15) & (sample_rate > 0),
        "neither WAV, FLAC, Ogg nor MP3",
    )
    return TfioInput(
        contents,
        tf.constant(ENCODINGS.index("mp3")),
        sample_rate,
        tf.constant(-1, tf.int64),
    )


# --- tfio audio ------------------------------------------------------------


class GraphAudio(NamedTuple):
    """What the graph makes of a file.

    Attributes:
      log_mel: float32 `[num_stft_frames, mel_bands]`; no rows if the clip is
        shorter than one STFT window.
      waveform: float32 `[num_samples]`, mono, at the rate of the features.
      file_samples: float32 `[num_file_samples, num_channels]`, in [-1, 1], at
        the file's rate: all that was decoded, which may go on after the clip.
      num_clip_samples: int64 `[]`, how many of them are the clip's.
      file_sample_rate: int64 `[]`, in Hz.
      file_seconds: float64 `[]`, duration of the whole file.
    """

    log_mel: tf.Tensor
    waveform: tf.Tensor
    file_samples: tf.Tensor
    num_clip_samples: tf.Tensor
    file_sample_rate: tf.Tensor
    file_seconds: tf.Tensor


@functools.lru_cache(maxsize=8)
def audio_graph(features: FeatureParams) -> Callable[..., GraphAudio]:
    """Builds the graph; once, whatever files it is then called with.

    Args:
      features: The front end.

    Returns:
      A `tf.function` of the contents of a file (string `[]`) and of how many
      seconds of it to use (float64 `[]`). It raises `tf.errors.OpError` for
      files that tensorflow-io does not decode. In `tf.data`:

          files.map(lambda contents: graph(contents, 10.0).log_mel)

    Raises:
      InputError: tensorflow-io is not installed.
    """
    import_tfio()
    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.float64)]

    @tf.function(input_signature=signature, autograph=False)
    def run(contents: tf.Tensor, clip_seconds: tf.Tensor) -> GraphAudio:
        return _run(contents, clip_seconds, features)

    with _without_while_loop_warning():
        run.get_concrete_function()
    return run


def _run(
    contents: tf.Tensor, clip_seconds: tf.Tensor, features: FeatureParams
) -> GraphAudio:
    """Does all that the graph does."""
    audio = read_header(contents, clip_seconds)
    samples = decode(audio)
    samples = checked(
        samples,
        tf.reduce_all(tf.math.is_finite(samples)),
        "NaN or infinite samples",
    )
    num_samples = tf.shape(samples, tf.int64)[0]
    rate = tf.cast(audio.sample_rate, tf.float64)
    num_clip_samples = tf.minimum(
        num_samples, tf.cast(clip_seconds * rate, tf.int64)
    )
    mono = tf.reduce_mean(samples[:num_clip_samples], axis=1)
    waveform = resample(mono, audio.sample_rate, features.sample_rate)
    log_mel = tf.cond(
        tf.size(waveform) >= features.stft_window_samples,
        lambda: log_mel_graph.waveform_to_log_mel(waveform, features),
        lambda: tf.zeros([0, features.mel_bands]),
    )
    is_known = audio.num_samples >= 0
    file_samples = tf.where(is_known, audio.num_samples, num_samples)
    return GraphAudio(
        tf.ensure_shape(log_mel, [None, features.mel_bands]),
        waveform,
        samples,
        num_clip_samples,
        audio.sample_rate,
        tf.cast(file_samples, tf.float64) / rate,
    )


@contextmanager
def _without_while_loop_warning() -> Iterator[None]:
    """Keeps one of TensorFlow's warnings from users, who can do nothing.

    It says that `tfio.audio.resample` does not run over several waveforms at
    once; there is one.
    """

    def is_another(record: logging.LogRecord) -> bool:
        return "Using a while_loop" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


def compute_log_mel(
    path: str, clip_seconds: float, features: FeatureParams
) -> tuple[DecodedAudio, np.ndarray]:
    """Decodes an audio file and computes its features, all in the graph.

    A file that tensorflow-io does not decode is looked at with the default
    backend, so that the reason is the same with both.

    Args:
      path: WAV, FLAC, Ogg Vorbis or MP3 by its content, local or remote.
      clip_seconds: Audio after this is not used.
      features: The front end.

    Returns:
      The waveform with what the file was like, and float32 `[num_stft_frames,
      mel_bands]`.

    Raises:
      AudioError: The file is gone, empty or truncated, holds no samples, or
        tensorflow-io does not decode it.
      InputError: tensorflow-io is not installed.
      OSError: Object storage does not answer.
    """
    graph = audio_graph(features)
    contents = _read_contents(path)
    try:
        found = graph(contents, clip_seconds)
    except tf.errors.OpError as error:
        raise _explain(path, _cause(error), clip_seconds) from error
    samples = found.file_samples.numpy()
    if not len(samples):
        raise AudioError("empty_file", f"{path} holds no samples")
    container = _container(contents)
    if container == "flac" and not _has_right_checksum(contents, samples):
        message = "its checksum is not that of the samples"
        raise _explain(path, message, clip_seconds)
    mixer = Mixer()
    try:
        mixer.add(samples[: int(found.num_clip_samples)])
    except BadSamplesError as error:
        raise AudioError("unreadable", f"{path}: {error}") from error
    truncation = find_truncation(io.BytesIO(contents), container, len(contents))
    audio = DecodedAudio(
        waveform=found.waveform.numpy(),
        file_sample_rate=int(found.file_sample_rate),
        num_channels=samples.shape[1],
        file_seconds=float(found.file_seconds),
        container=container,
        is_truncated=bool(truncation),
        clipped_fraction=mixer.clipped_fraction,
        file_peak=mixer.file_peak,
        truncation=truncation,
    )
    return audio, found.log_mel.numpy()


def _read_contents(path: str) -> bytes:
    """Reads a file.

    Raises:
      AudioError: It is gone, cannot be read or is empty.
    """
    try:
        # Reading a pipe may never end.
        if not files.is_remote(path) and not stat.S_ISREG(
            os.stat(path).st_mode
        ):
            raise AudioError("unreadable", f"{path} is not a regular file")
        contents = files.read_bytes(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("missing", f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        if files.is_remote(path):
            raise
        raise AudioError("unreadable", f"{path}: {error}") from error
    if not contents:
        raise AudioError("empty_file", f"{path} has zero bytes")
    return contents


def _container(contents: bytes) -> str:
    """Names the format, after the ID3 tag if there is one."""
    start = id3_bytes(contents[:HEAD_BYTES])
    return sniff_format(contents[start : start + HEAD_BYTES])


def _has_right_checksum(contents: bytes, samples: np.ndarray) -> bool:
    """Compares the samples of an FLAC file with the MD5 in its header.

    tensorflow-io replaces what does not match a frame's checksum by silence,
    and does not tell.

    Args:
      contents: The file.
      samples: float32 `[num_samples, num_channels]`, what was decoded.

    Returns:
      Whether they are the same; also true if the header has no MD5, or of a
      file of which only the beginning was decoded.

    Source: RFC 9639, section 8.2: samples as signed little-endian integers.
    """
    start = id3_bytes(contents[:HEAD_BYTES])
    info = contents[start + 18 : start + 42]
    num_samples = int.from_bytes(info[3:8], "big") & (1 << 36) - 1
    if len(samples) < num_samples or not any(info[8:]):
        return True
    num_bytes = ((info[2] & 1) << 4 | info[3] >> 4) // 8 + 1
    scale = float(1 << 8 * num_bytes - 1)
    integers = (samples.astype(np.float64) * scale).astype("<i4")
    digits = integers.reshape(-1, 1).view(np.uint8)[:, :num_bytes]
    return hashlib.md5(digits.tobytes()).digest() == info[8:]


def _cause(error: tf.errors.OpError) -> str:
    """Returns the one line that says what went wrong, without where."""
    message = str(error.message)
    if found := re.search(r"assertion failed: \[(.*?)\]", message):
        return found[1]
    if found := re.search(r"^(.+)\n\s*\[\[\{\{node", message, re.MULTILINE):
        return found[1]
    return message.splitlines()[0] if message else type(error).__name__


def _explain(path: str, message: str, clip_seconds: float) -> AudioError:
    """Finds out why tensorflow-io does not decode a file."""
    try:
        audio = decode_audio(path, FeatureParams().sample_rate, clip_seconds)
    except AudioError as error:
        return error
    if audio.is_truncated:
        return AudioError("truncated", f"{path}: {audio.truncation}")
    return AudioError(
        "unreadable",
        f"{path}: tensorflow-io does not decode it ({message}); "
        f"--audio_backend=soundfile does",
    )
