"""Each fault gets its class, and good audio none."""

import dataclasses

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.decode import DecodedAudio, decode_audio
from audioset_strong.audio.faults import (
    FAULTS,
    Level,
    conversions,
    find_faults,
    is_left_out,
)
from audioset_strong.params import AudioParams

_PARAMS = AudioParams()


def _audio(seconds=10.0, peak=0.5, **changes):
    waveform = np.zeros(round(seconds * 16000), np.float32)
    waveform[::2] = peak
    fields = {
        "file_sample_rate": 16000,
        "num_channels": 1,
        "file_seconds": seconds,
        "container": "wav",
        "file_peak": peak,
    }
    return DecodedAudio(waveform, **{**fields, **changes})


def _find(audio, params=_PARAMS):
    return find_faults(audio, 10.0, 16000, params)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (_audio(), {}),
        (_audio(9.5), {}),  # within the tolerance
        (_audio(9.49), {"short": "9.490 s, 10 s expected, within 0.5 s"}),
        (_audio(10.0, file_seconds=10.5), {}),
        (
            _audio(10.0, file_seconds=60.0),
            {"long": "60.000 s, 10 s expected, within 0.5 s"},
        ),
        (
            _audio(peak=0.0),
            {"silent": "peak of -inf dBFS, more than -80 dBFS expected"},
        ),
        # 20 log10(1.1e-4) = -79.2, 20 log10(0.9e-4) = -80.9.
        (_audio(peak=1.1e-4), {}),
        (
            _audio(peak=0.9e-4),
            {"silent": "peak of -80.9 dBFS, more than -80 dBFS expected"},
        ),
        (
            _audio(peak=0.0, file_peak=0.5, num_channels=2),
            {
                "silent": "peak of -inf dBFS, more than -80 dBFS expected; its "
                "channels, which peak at -6.0 dBFS, cancel each other"
            },
        ),
        (_audio(clipped_fraction=0.0099), {}),
        (
            _audio(clipped_fraction=0.25),
            {
                "clipped": "25.00% of the samples stand at full scale, less "
                "than 1.00% expected"
            },
        ),
        (_audio(file_sample_rate=44100), {}),
        (
            _audio(file_sample_rate=8000),
            {
                "low_rate": "8,000 Hz, 16,000 Hz or more expected: bands above "
                "4,000 Hz are empty"
            },
        ),
        (_audio(truncation="half of it"), {"truncated": "half of it"}),
    ],
)
def test_by_hand(audio, expected):
    assert _find(audio) == expected


def test_faults_come_in_order():
    audio = _audio(
        3.0,
        peak=0.0,
        file_seconds=60.0,
        truncation="cut",
        clipped_fraction=0.5,
        file_sample_rate=8000,
    )
    params = dataclasses.replace(_PARAMS, leave_out_truncated=False)
    assert tuple(_find(audio, params)) == FAULTS


def test_what_is_missing_from_a_truncated_file_is_no_fault_of_its_own():
    audio = _audio(3.0, peak=0.0, file_seconds=10.0, truncation="cut")
    assert list(_find(audio)) == ["truncated"]
    # Unless the file is used: then the clip is what is there.
    params = dataclasses.replace(_PARAMS, leave_out_truncated=False)
    assert list(_find(audio, params)) == ["truncated", "silent", "short"]


def test_settings_say_what_is_left_out():
    left_out = [fault for fault in FAULTS if is_left_out(fault, _PARAMS)]
    assert left_out == ["truncated", "silent", "long"]
    params = AudioParams(
        leave_out_truncated=False,
        leave_out_silent=False,
        leave_out_long=False,
        leave_out_short=True,
        leave_out_clipped=True,
    )
    left_out = [fault for fault in FAULTS if is_left_out(fault, params)]
    assert left_out == ["short", "clipped"]


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_a_constant_is_silent(tmp_path, container, sample_rate):
    path = str(tmp_path / "a.x")
    noise = np.random.default_rng(0).uniform(-1, 1, 10 * sample_rate)
    for level, gain, is_silent in (
        (0.4, 0.0, True),
        (-0.02, 3e-5, True),
        (2e-4, 0.0, True),
        (0.4, 3e-3, False),
        (-2e-4, 1e-3, False),
        (0.0, 1e-3, False),
    ):
        samples = level + gain * noise
        soundfile.write(path, samples, sample_rate, format=container)
        faults = _find(decode_audio(path, 16000, 10.0))
        assert ("silent" in faults) == is_silent, (level, gain)
        if is_silent:
            assert "around a constant of" in faults["silent"]


def test_conversions():
    assert conversions(_audio(), "a.wav", 16000) == []
    audio = _audio(num_channels=6, file_sample_rate=96000, container="flac")
    assert conversions(audio, "a.wav", 16000) == [
        "mixed to mono",
        "resampled",
        "extension of another format",
    ]
    # What a member is called is not in its path.
    for path in ("b.tar#bytes=512+9", "b.parquet#row=3"):
        assert conversions(_audio(container="flac"), path, 16000) == []


@pytest.mark.parametrize(
    ("seconds", "sample_rate", "num_channels", "gain", "expected"),
    [
        (10.0, 44100, 2, 1.0, []),
        (9.8, 22050, 1, 1.0, []),
        (10.0, 16000, 1, 0.0, ["silent"]),
        (3.0, 32000, 1, 1.0, ["short"]),
        (60.0, 8000, 1, 1.0, ["long", "low_rate"]),
        (10.0, 44100, 1, 30.0, ["clipped"]),
    ],
)
def test_files(tmp_path, seconds, sample_rate, num_channels, gain, expected):
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    sine = np.clip(gain * 0.1 * np.sin(2 * np.pi * 200 * time), -1, 1)
    samples = np.repeat(sine[:, np.newaxis], num_channels, axis=1)
    path = str(tmp_path / "a.x")
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        soundfile.write(path, samples, sample_rate, format=container)
        audio = decode_audio(path, 16000, 10.0)
        assert list(_find(audio)) == expected, container


@pytest.mark.parametrize("num_samples", [1, 3, 6399, 6400, 6401, 50_000])
def test_levels_do_not_depend_on_blocks(num_samples):
    rng = np.random.default_rng(num_samples)
    waveform = (0.2 + 0.1 * rng.standard_normal(num_samples)).astype(np.float32)
    num_edge = min(1600, num_samples // 4)
    inner = waveform[num_edge : num_samples - num_edge].astype(float)
    for num_cuts in (0, 1, 20):
        level = Level()
        cuts = np.sort(rng.integers(0, num_samples + 1, num_cuts))
        for block in np.split(waveform, cuts):
            level.add(block)
        assert level.num_samples == num_samples
        assert level.peak == np.abs(waveform).max()
        assert level.mean == pytest.approx(waveform.mean(), rel=1e-5)
        mean, around = level.constant()
        assert mean == pytest.approx(inner.mean(), rel=1e-5)
        assert around == pytest.approx(np.abs(inner - mean).max(), abs=1e-6)
