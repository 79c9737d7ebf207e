"""Finding, decoding and resampling audio."""

import numpy as np
import pytest
import soundfile

from audioset_strong.features.audio_files import (
    AudioError,
    decode_audio,
)


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
    assert audio[1:] == (16000, 1, 1.0)


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


def _zero_bytes(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("<html>404</html>" * 100)


def _truncated(path):
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.3 * rng.standard_normal(16000), 16000)
    path.write_bytes(path.read_bytes()[:5000])


def _no_samples(path):
    soundfile.write(path, np.zeros(0), 16000)


def _nan(path):
    soundfile.write(path, np.array([0.0, np.nan]), 16000, "FLOAT", format="WAV")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (_zero_bytes, "empty_file"),
        (_text, "unreadable"),
        (_truncated, "unreadable"),
        (_no_samples, "empty_file"),
        (_nan, "unreadable"),
    ],
)
def test_unusable_files_give_a_reason(tmp_path, write, reason):
    path = tmp_path / "a.flac"
    write(path)
    with pytest.raises(AudioError) as error:
        decode_audio(str(path), 16000, max_seconds=10.0)
    assert error.value.reason == reason
    assert str(path) in error.value.detail


def _write(folder, *names, content="x"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
