"""Decoding and resampling audio, in whatever state it is."""

import io

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.decode import AudioError, decode_audio


def _sine(hertz, sample_rate, seconds=1.0):
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    return 0.5 * np.sin(2 * np.pi * hertz * time)


def _amplitude(waveform, hertz, sample_rate=16000):
    """Amplitude of one frequency, away from the ends."""
    middle = waveform[1600:-1600]
    time = np.arange(len(middle)) / sample_rate
    return 2 * abs(np.mean(middle * np.exp(-2j * np.pi * hertz * time)))


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_samples_at_the_right_rate_are_kept(tmp_path, extension):
    path = str(tmp_path / f"a.{extension}")
    samples = np.round(_sine(440, 16000) * 32768) / 32768
    soundfile.write(path, samples, 16000)
    audio = decode_audio(path, 16000)
    assert audio.waveform.dtype == np.float32
    np.testing.assert_array_equal(audio.waveform, samples.astype(np.float32))
    assert audio[1:6] == (16000, 1, 1.0, extension, False)
    assert (audio.clipped_fraction, audio.truncation) == (0.0, "")
    assert audio.file_peak == np.float32(np.abs(samples).max())


def test_stereo_is_averaged(tmp_path):
    path = str(tmp_path / "a.wav")
    left, right = _sine(440, 16000), _sine(1000, 16000)
    soundfile.write(path, np.stack([left, right], axis=1), 16000, "FLOAT")
    audio = decode_audio(path, 16000)
    assert audio.num_channels == 2
    np.testing.assert_allclose(audio.waveform, (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, _sine(1000, sample_rate), sample_rate, "FLOAT")
    audio = decode_audio(path, 16000)
    assert audio.file_sample_rate == sample_rate
    assert abs(len(audio.waveform) - 16000) <= 1
    assert _amplitude(audio.waveform, 1000) == pytest.approx(0.5, abs=1e-3)


def test_resampling_does_not_alias(tmp_path):
    # Every second sample of 11 kHz at 32 kHz would be heard at 5 kHz.
    path = str(tmp_path / "a.wav")
    samples = _sine(11000, 32000)
    soundfile.write(path, samples, 32000, "FLOAT")
    assert _amplitude(samples[::2], 5000) == pytest.approx(0.5, abs=1e-3)
    waveform = decode_audio(path, 16000).waveform
    assert _amplitude(waveform, 5000) < 1e-5
    assert np.abs(waveform[1600:-1600]).max() < 1e-4


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_max_seconds_cuts_and_the_duration_stays(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, _sine(440, sample_rate, 3.0), sample_rate)
    audio = decode_audio(path, 16000, max_seconds=1.5)
    assert len(audio.waveform) == 24000
    assert audio.file_seconds == 3.0
    assert len(decode_audio(path, 16000, max_seconds=9).waveform) == 48000


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "DOUBLE"),
        ("WAV", "ULAW"),
        ("FLAC", "PCM_24"),
        ("OGG", "OPUS"),
        ("AIFF", "PCM_16"),
        ("CAF", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("extension", ["wav", "raw", "x y", "\u00e9\n"])
def test_extensions_do_not_matter(tmp_path, container, subtype, extension):
    path = str(tmp_path / f"a.{extension}")
    samples = _sine(440, 48000)
    soundfile.write(path, samples, 48000, subtype, format=container)
    audio = decode_audio(path, 16000, 10.0)
    assert audio.container == container.lower()
    assert not audio.is_truncated
    assert _amplitude(audio.waveform, 440) == pytest.approx(0.5, abs=0.02)


def test_tags_before_the_sound(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, _sine(440, 16000), 16000)
    expected = decode_audio(str(path), 16000)
    # A picture of 100,000 bytes: 6 * 16384 + 13 * 128 + 32.
    tag = b"ID3\3\0\0" + bytes([0, 6, 13, 32]) + b"x" * 100_000
    path.write_bytes(tag + path.read_bytes())
    audio = decode_audio(str(path), 16000)
    np.testing.assert_array_equal(audio.waveform, expected.waveform)
    assert audio[1:6] == (16000, 1, 1.0, "mp3", False)


@pytest.mark.parametrize("num_samples", [1, 2, 3, 100])
@pytest.mark.parametrize("sample_rate", [8000, 16000, 96000])
def test_few_samples(tmp_path, num_samples, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, np.full((num_samples, 2), 0.5), sample_rate)
    audio = decode_audio(path, 16000)
    assert len(audio.waveform) <= 2 * num_samples
    assert audio.file_seconds == num_samples / sample_rate


def test_clipping_is_measured_in_the_file(tmp_path):
    path = str(tmp_path / "a.flac")
    samples = np.zeros((44100, 2))
    samples[1000:2000, 0] = 1  # the second channel is silent
    soundfile.write(path, samples, 44100)
    audio = decode_audio(path, 16000)
    assert audio.clipped_fraction == pytest.approx(1000 / 88200)
    assert audio.file_peak == pytest.approx(1.0, abs=1e-4)
    assert np.abs(audio.waveform).max() < 0.7


def test_channels_that_cancel(tmp_path):
    path = str(tmp_path / "a.wav")
    sine = _sine(440, 16000)
    soundfile.write(path, np.stack([sine, -sine], axis=1), 16000, "FLOAT")
    audio = decode_audio(path, 16000)
    assert np.abs(audio.waveform).max() == 0
    assert audio.file_peak == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_remote_files(monkeypatch, tmp_path, container):
    file = io.BytesIO()
    soundfile.write(file, _sine(440, 16000), 16000, format=container)
    path = tmp_path / "a.x"
    path.write_bytes(file.getvalue())
    contents = {"s3://b/a.x": file.getvalue(), "s3://b/zero.wav": b""}

    def read_bytes(path):
        if path not in contents:
            raise FileNotFoundError(2, "No such file", path)
        return contents[path]

    monkeypatch.setattr("audioset_strong.files.read_bytes", read_bytes)
    audio = decode_audio("s3://b/a.x", 16000, 10.0)
    local = decode_audio(str(path), 16000, 10.0)
    np.testing.assert_array_equal(audio.waveform, local.waveform)
    assert audio[1:] == local[1:]
    with pytest.raises(AudioError, match="empty_file: s3://b/zero.wav"):
        decode_audio("s3://b/zero.wav", 16000)
    with pytest.raises(AudioError, match="missing: s3://b/no.wav"):
        decode_audio("s3://b/no.wav", 16000)


def test_storage_that_does_not_answer_is_no_fault_of_a_clip(monkeypatch):
    def read_bytes(path):
        raise OSError(5, "timed out", path)

    monkeypatch.setattr("audioset_strong.files.read_bytes", read_bytes)
    with pytest.raises(OSError, match="timed out"):
        decode_audio("s3://b/a.wav", 16000)
