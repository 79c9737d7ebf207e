"""Finds out what a file is, for tensorflow-io's decoders, in the graph.

They return samples without their rate, so headers are read here. WAV and FLAC
are also made safe (`tfio_lossless.py`); Ogg with more than one stream, with
which the decoder may end the process, is refused.
"""

import tensorflow as tf

from audioset_strong.features.graph_bytes import (
    bytes_at,
    checked,
    little_endian,
    rest_of,
    text_at,
)
from audioset_strong.features.tfio_lossless import (
    ENCODINGS,
    TfioInput,
    read_flac,
    read_wav,
)

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
