"""What a file is, for tensorflow-io, which does not say."""

import contextlib
import struct

import pytest
import tensorflow as tf
from audio_bytes import encode, noise

from audioset_strong.audio.tfio_backend import ENCODINGS, read_header


@tf.function(
    input_signature=[
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([], tf.float64),
    ],
    autograph=False,
)
def _header(contents, seconds):
    return read_header(contents, seconds)


def _read(contents):
    audio = _header(contents, 10.0)
    return ENCODINGS[int(audio.encoding)], int(audio.sample_rate)


# All rates that MP3 has but for MPEG 2.5's, which libsndfile does not write.
_MP3_RATES = [16000, 22050, 24000, 32000, 44100, 48000]


@pytest.mark.parametrize(
    ("container", "subtype", "encoding", "rates"),
    [
        ("WAV", "PCM_16", "wav_int16", [8000, 96000]),
        ("FLAC", "PCM_16", "flac_16", [8000, 22050, 44100, 96000, 192000]),
        ("OGG", "VORBIS", "vorbis", [8000, 44100, 96000]),
        ("MP3", "MPEG_LAYER_III", "mp3", _MP3_RATES),
    ],
)
def test_rates_are_those_that_were_written(container, subtype, encoding, rates):
    for rate in rates:
        contents = encode(noise(3000, 2), rate, container, subtype)
        assert _read(contents) == (encoding, rate)


@pytest.mark.parametrize("flags", [0, 0x10])
def test_id3_tags_are_passed_over(flags):
    # Lengths have seven bits a byte: 200 is 1, 72. A footer is 10 bytes more.
    tag = b"ID3\x04\0" + bytes([flags, 0, 0, 1, 72])
    tag += bytes(200 + (10 if flags else 0))
    for container, encoding in (("MP3", "mp3"), ("FLAC", "flac_16")):
        contents = encode(noise(3000), 16000, container)
        assert _read(tag + contents) == (encoding, 16000)


def _ogg_with_last_sample(contents, number):
    """Changes the number of samples that the last page claims."""
    at = contents.rindex(b"OggS") + 6
    return contents[:at] + struct.pack("<q", number) + contents[at + 8 :]


_OGG = encode(noise(3000), 16000, "OGG", "VORBIS")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "neither WAV"),
        (b"<html>404</html>" * 100, "neither WAV"),
        (bytes(1000), "neither WAV"),
        (b"\xff" * 1000, "neither WAV"),
        (encode(noise(3000), 16000, "AIFF"), "neither WAV"),
        (encode(noise(3000), 48000, "OGG", "OPUS"), "does not hold Vorbis"),
        (b"OggS", "does not hold Vorbis"),
        # The decoder ends the process where channels change.
        (_OGG + encode(noise(3000, 2), 16000, "OGG"), "several streams"),
        (_ogg_with_last_sample(_OGG, 1 << 62), "for days"),
        (encode(noise(99), 999, "WAV"), "no sound has"),
        (encode(noise(99), 1_000_001, "WAV"), "no sound has"),
    ],
)
def test_what_tfio_does_not_decode_is_refused(contents, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _read(contents)


def test_pages_on_which_no_sample_ends_are_fine():
    assert _read(_ogg_with_last_sample(_OGG, -1)) == ("vorbis", 16000)


def test_any_end_is_refused_or_read():
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        contents = encode(noise(3000), 16000, container)
        for num_bytes in (1, 4, 11, 12, 20, 26, 36, 40, 44, 58):
            # Each is read or refused; any other error is ours.
            with contextlib.suppress(tf.errors.InvalidArgumentError):
                assert _read(contents[:num_bytes])[1] == 16000


def test_files_of_all_kinds_use_one_graph():
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        _read(encode(noise(2000, 1 + len(container) % 2), 16000, container))
    assert _header.experimental_get_tracing_count() == 1
