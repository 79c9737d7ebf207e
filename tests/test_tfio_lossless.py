"""WAV and FLAC before tensorflow-io gets them; libsndfile reads the result."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from audio_bytes import encode, noise, samples_of

from audioset_strong.audio.tfio_backend import ENCODINGS, read_flac, read_wav

_SIGNATURE = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.float64)]
_GRAPHS = {
    read: tf.function(read, input_signature=_SIGNATURE, autograph=False)
    for read in (read_wav, read_flac)
}


def _read(read, contents, max_seconds=10.0):
    audio = _GRAPHS[read](contents, max_seconds)
    return (
        audio.contents.numpy(),
        ENCODINGS[int(audio.encoding)],
        int(audio.sample_rate),
        int(audio.num_samples),
    )


@pytest.mark.parametrize("num_channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("subtype", "encoding"),
    [
        ("PCM_U8", "wav_uint8"),
        ("PCM_16", "wav_int16"),
        ("PCM_24", "wav_int24"),
        ("PCM_32", "wav_int32"),
        ("FLOAT", "wav_float32"),
    ],
)
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_wav_keeps_its_samples(container, subtype, encoding, num_channels):
    original = encode(noise(500, num_channels), 22050, container, subtype)
    contents, *header = _read(read_wav, original)
    assert header == [encoding, 22050, 500]
    np.testing.assert_array_equal(samples_of(contents), samples_of(original))


def _wav(data_bytes=400, size=None, before=b"", align=2, rate=8000):
    """A mono WAV of 16 bits, with a lie where one is asked for."""
    data = np.arange(data_bytes // 2, dtype="<i2").tobytes()
    size = len(data) if size is None else size
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, align, 16)
    body = b"WAVE" + before + b"fmt " + fmt
    body += b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "settings",
    [
        {"align": 0},  # the decoder divides by it
        {"align": 1, "size": 0xFFFFFFFF},  # -1 samples for the decoder
        {"size": 0xFFFFFFFF},  # as of a stream that was piped
        {"size": 500},  # cut off
        # A chunk of odd size, and the byte after it.
        {"before": b"LIST\x03\0\0\0abc\0"},
    ],
)
def test_wav_gets_a_true_header(settings):
    contents, *_, num_samples = _read(read_wav, _wav(**settings))
    assert num_samples == 200
    # 12 bytes of RIFF, 24 of format, 8 before the samples.
    assert contents == _wav()[:44] + contents[44:]
    expected = (np.arange(200) / 32768)[:, np.newaxis]
    np.testing.assert_array_equal(samples_of(contents), expected)


def test_only_the_clip_of_wav_is_decoded():
    contents, *_, num_samples = _read(read_wav, _wav(), max_seconds=0.01)
    assert num_samples == 200  # of the whole file
    assert len(samples_of(contents)) == 80


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"RIFF\0\0\0\0WAVE", "without format"),
        (b"RIFF\0\0\0\0WAVE" + bytes(100_000), "without format"),
        (_wav()[:36], "without format"),
        (encode(noise(9), 8000, "WAV", "DOUBLE"), "not PCM or 32-bit"),
        (encode(noise(9), 8000, "WAV", "ULAW"), "not PCM or 32-bit"),
    ],
)
def test_other_wav_is_refused(contents, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _read(read_wav, contents)


@pytest.mark.parametrize(
    ("subtype", "encoding"),
    [("PCM_S8", "flac_8"), ("PCM_16", "flac_16"), ("PCM_24", "flac_24")],
)
def test_flac_keeps_its_samples(subtype, encoding):
    original = encode(noise(9000, 2), 48000, "FLAC", subtype)
    contents, *header = _read(read_flac, original)
    assert header == [encoding, 48000, 9000]
    # What is appended comes after the last sample that the header promises.
    assert contents.startswith(original)
    np.testing.assert_array_equal(samples_of(contents), samples_of(original))


def test_only_the_beginning_of_long_flac_is_decoded():
    original = encode(noise(8000 * 8), 8000, "FLAC")
    contents, *_, num_samples = _read(read_flac, original, max_seconds=1.0)
    assert num_samples == 8000 * 8
    # One second, and five in which a checksum may be worth the time.
    np.testing.assert_array_equal(
        samples_of(contents), samples_of(original)[: 6 * 8000]
    )


def test_appended_frames_are_out_of_order_and_right_otherwise():
    original = encode(noise(9000, 2), 48000, "FLAC")
    contents, *_ = _read(read_flac, original)
    appended = contents[len(original) :]
    frame = appended[:17]
    assert appended == frame * (len(appended) // 17)
    # More of them than the largest frame of 4096 samples, uncompressed.
    assert len(appended) > 4096 * 2 * 2
    # The sample number is 2**36 - 1, written as UTF-8 would.
    assert frame[4:11] == b"\xfe" + 6 * b"\xbf"
    # With that of the first sample and a header to match, libsndfile decodes
    # it, so all but the number is right: 192 samples of silence.
    assert _crc(frame[:11], 8, 0x07) == frame[11]
    assert _crc(frame[:15], 16, 0x8005) == int.from_bytes(frame[15:], "big")
    first = frame[:4] + b"\0"
    first += bytes([_crc(first, 8, 0x07)]) + frame[12:15]
    first += _crc(first, 16, 0x8005).to_bytes(2, "big")
    info = struct.pack(">HH6x", 192, 192)
    info += (8000 << 44 | 15 << 36 | 192).to_bytes(8, "big") + bytes(16)
    silence = samples_of(b"fLaC\x80\0\0\x22" + info + first)
    np.testing.assert_array_equal(silence, np.zeros((192, 1)))


def _crc(data, num_bits, polynomial):
    """The remainder of bytes, bit by bit."""
    rest = 0
    for bit in "".join(f"{byte:08b}" for byte in data):
        high = rest >> (num_bits - 1) ^ int(bit)
        rest = (rest << 1) % (1 << num_bits) ^ (polynomial if high else 0)
    return rest


def _with_num_samples(contents, num_samples):
    """Writes the 36 bits of the header that say how many samples follow."""
    number = int.from_bytes(contents[18:26], "big")
    number = number >> 36 << 36 | num_samples
    return contents[:18] + number.to_bytes(8, "big") + contents[26:]


def test_flac_without_a_number_of_samples_is_refused():
    piped = _with_num_samples(encode(noise(900), 8000, "FLAC"), 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="how long"):
        _read(read_flac, piped)


def test_flac_of_other_bits_is_refused():
    contents = bytearray(encode(noise(900), 8000, "FLAC"))
    contents[20] &= 0xFE  # the highest of five bits: 16 bits become ...
    contents[21] = contents[21] & 0x0F | 0xB0  # ... 12
    with pytest.raises(tf.errors.InvalidArgumentError, match="8, 16 or 24"):
        _read(read_flac, bytes(contents))
