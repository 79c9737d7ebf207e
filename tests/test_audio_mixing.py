"""Blocks of samples become a waveform."""

import numpy as np
import pytest

from audioset_strong.audio.decode import (
    BadSamplesError,
    Mixer,
    check_sample_rate,
    count_clipped,
    mix_to_mono,
)


def _noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("num_channels", [1, 2, 3, 6])
def test_mixing_gives_the_bits_of_the_mean(num_channels):
    samples = _noise(1000, num_channels)
    mono = mix_to_mono(samples)
    assert mono.dtype == np.float32
    np.testing.assert_array_equal(mono, samples.mean(axis=1))


def _column(*values):
    return np.array(values, dtype=np.float32)[:, np.newaxis]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 1, 1), 3),
        ((1, 1), 0),
        ((0, 1, 1, 0, 1, 1, 1, 1), 4),
        ((1, 1, 1, 0, -1, -1, -1), 6),
        ((1, -1, 1), 3),  # of either sign
        ((0.9989, 1, 1), 0),
        ((0.9991, 1.5, 1), 3),
        ((1, 1, 0, 1, 1), 0),
        ((), 0),
    ],
)
def test_clipped_runs_by_hand(values, expected):
    assert count_clipped(_column(*values)) == expected


def test_runs_are_those_of_a_channel():
    # Interleaved the ones lie side by side; in a channel never three.
    samples = np.array([[1, 1], [1, 1], [0, 0], [1, 1]], np.float32)
    assert count_clipped(samples) == 0
    samples[2, 1] = -1
    assert count_clipped(samples) == 4


def test_clipping_against_a_slow_count():
    samples = np.clip(1.5 * _noise(500, 2), -1, 1)
    expected = 0
    for channel in samples.T:
        text = "".join("x" if abs(s) >= 0.999 else " " for s in channel)
        expected += sum(len(run) for run in text.split() if len(run) >= 3)
    assert expected > 50
    assert count_clipped(samples) == expected


def test_blocks_follow_each_other():
    samples = 0.1 * _noise(900, 2)
    samples[100] = -0.75
    mixer = Mixer()
    for block in np.split(samples, [0, 300, 301]):
        mixer.add(block)
    assert mixer.num_samples == 900
    np.testing.assert_array_equal(mixer.waveform(), samples.mean(axis=1))
    assert mixer.file_peak == 0.75
    assert mixer.clipped_fraction == 0
    mixer.add(np.ones((100, 2), np.float32))
    assert mixer.clipped_fraction == 0.1
    mixer.clear()
    assert (mixer.num_samples, mixer.file_peak) == (0, 0)
    assert mixer.waveform().shape == (0,)
    assert mixer.clipped_fraction == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7, -3e38])
def test_what_is_no_sound_is_refused(value):
    samples = _noise(100, 2)
    samples[50, 1] = value
    with pytest.raises(BadSamplesError, match="NaN"):
        Mixer().add(samples)


@pytest.mark.parametrize("sample_rate", [0, 1, 999, 1_000_001, 4_000_000_000])
def test_rates_of_no_sound_are_refused(sample_rate):
    with pytest.raises(BadSamplesError, match="expected 1,000 to 1,000,000"):
        check_sample_rate(sample_rate)


def test_rates_of_sound():
    for sample_rate in (4000, 8000, 192000, 768000):
        check_sample_rate(sample_rate)
