"""libsndfile's samples, and what it does not say."""

import io

import numpy as np
import pytest
import soundfile

from audioset_strong.audio import decode
from audioset_strong.audio.decode import (
    BadSamplesError,
    Mixer,
    NotDecodableError,
    read_with_soundfile,
)
from audioset_strong.audio.formats import sniff_format


def _encode(container, seconds=2.0, sample_rate=16000, num_channels=2):
    rng = np.random.default_rng(0)
    shape = round(seconds * sample_rate), num_channels
    file = io.BytesIO()
    samples = 0.1 * rng.standard_normal(shape)
    soundfile.write(file, samples, sample_rate, format=container)
    return file.getvalue()


def _read(content, max_seconds=None):
    mixer = Mixer()
    read = read_with_soundfile(
        io.BytesIO(content), sniff_format(content[:256]), max_seconds, mixer
    )
    return read, mixer


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_files_by_number_and_in_memory_give_the_same(tmp_path, container):
    content = _encode(container)
    # MP3 of libsndfile has no ID3 tag, which it does not know by itself.
    path = tmp_path / "a.raw"  # libsndfile asks for rate and channels of .raw
    path.write_bytes(content)
    mixer = Mixer()
    with path.open("rb", buffering=0) as file:
        name = sniff_format(content[:256])
        read = read_with_soundfile(file, name, None, mixer)
    in_memory, other = _read(content)
    assert read == in_memory
    np.testing.assert_array_equal(mixer.waveform(), other.waveform())
    path = tmp_path / f"a.{container.lower()}"
    path.write_bytes(content)
    with soundfile.SoundFile(path) as sound:
        samples = sound.read(dtype="float32")
    np.testing.assert_array_equal(mixer.waveform(), samples.mean(axis=1))
    assert (read.sample_rate, read.num_channels) == (16000, 2)
    assert (read.file_seconds, read.truncation) == (2.0, "")


def test_blocks_change_nothing(monkeypatch):
    content = _encode("FLAC")
    expected = _read(content)[1].waveform()
    monkeypatch.setattr(decode, "_BLOCK_VALUES", 1000)
    read, mixer = _read(content)
    np.testing.assert_array_equal(mixer.waveform(), expected)
    read, mixer = _read(content, 1.3)
    np.testing.assert_array_equal(mixer.waveform(), expected[:20800])
    # What comes before an error is kept there too.
    read, mixer = _read(content[: len(content) // 2])
    assert 10000 < mixer.num_samples < 17000
    np.testing.assert_array_equal(
        mixer.waveform(), expected[: mixer.num_samples]
    )
    assert "promises 2.000 s, decoding ends" in read.truncation


def test_flac_of_a_pipe_has_no_length():
    # STREAMINFO holds the number of samples in the last 36 of bits 144 to 208.
    content = bytearray(_encode("FLAC", 6.0))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    read, mixer = _read(bytes(content), 1.5)
    assert (read.file_seconds, read.truncation) == (6.0, "")
    assert mixer.num_samples == 24000
    read, mixer = _read(bytes(content))
    assert mixer.num_samples == 96000


def test_claims_of_billions_of_samples_take_no_memory(monkeypatch):
    content = bytearray(_encode("FLAC"))
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    sizes = []
    empty = np.empty
    monkeypatch.setattr(
        decode.np,
        "empty",
        lambda shape, *rest: (
            sizes.append(np.prod(shape)) or empty(shape, *rest)
        ),
    )
    read, mixer = _read(bytes(content))
    assert mixer.num_samples == 32000
    assert max(sizes) <= 1 << 22
    assert read.truncation
    assert read.file_seconds == pytest.approx((2**36 - 1) / 16000)


def test_a_block_of_ten_seconds_is_read_at_once():
    # Blocks cost a search each in FLAC: 48 kHz in 5.1 still fits.
    assert decode._BLOCK_VALUES >= 480_000 * 6


def test_mp3_that_does_not_say_its_length_is_counted():
    from pyav_files import encode_with_pyav  # skips without PyAV

    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal((5 * 44100, 1))
    content = encode_with_pyav(samples, 44100, "mp3", write_xing="0")
    read, mixer = _read(content, 2.0)
    assert mixer.num_samples == 88200
    # With the encoder's delay and padding, of a few times 1,152 samples.
    assert read.file_seconds == pytest.approx(5.0, abs=0.1)
    assert read.truncation == ""


def test_what_is_no_audio(tmp_path):
    for content in (b"<html>404</html>" * 100, b"RIFF", b"OggS" + bytes(50)):
        with pytest.raises(NotDecodableError, match="libsndfile: "):
            _read(content)
    content = bytearray(_encode("WAV"))
    content[24:28] = (1).to_bytes(4, "little")  # the sample rate
    with pytest.raises(BadSamplesError, match="sample rate is 1 Hz"):
        _read(bytes(content))
