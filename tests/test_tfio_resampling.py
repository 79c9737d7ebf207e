"""tensorflow-io's resampler without its delay, against soxr."""

import math

import numpy as np
import pytest
import soxr
import tensorflow as tf

from audioset_strong.audio.tfio_backend import filter_delay, resample

tfio = pytest.importorskip(
    "tensorflow_io", reason="tensorflow-io is an extra and not installed"
)

_RATES = [8000, 11025, 16000, 22050, 32000, 44100, 44101, 48000, 96000]


@pytest.fixture(scope="module")
def resample_to_16000():
    signature = [tf.TensorSpec([None]), tf.TensorSpec([], tf.int64)]

    @tf.function(input_signature=signature, autograph=False)
    def run(waveform, sample_rate):
        return resample(waveform, sample_rate, 16000)

    return lambda waveform, rate: run(waveform.astype(np.float32), rate).numpy()


def _pulse(sample_rate, at, num_samples):
    """A pulse of 1 ms, so slow that no filter changes its form."""
    time = np.arange(num_samples) / sample_rate
    return np.exp(-0.5 * ((time - at) / 0.001) ** 2)


@pytest.mark.parametrize("sample_rate", _RATES)
def test_nothing_is_late_or_cut_off(resample_to_16000, sample_rate):
    # The last pulse ends 5 ms before the end, within half of a filter of some.
    for at in (0.005, 0.1003, 0.195):
        num_samples = round(0.2 * sample_rate)
        waveform = _pulse(sample_rate, at, num_samples)
        resampled = resample_to_16000(waveform, sample_rate)
        num_new = round(num_samples * 16000 / sample_rate)
        assert len(resampled) == num_new
        expected = _pulse(16000, at, num_new)
        # A hundredth of a sample of the result would give 4e-4.
        np.testing.assert_allclose(resampled, expected, atol=3e-4)


@pytest.mark.parametrize("sample_rate", _RATES)
def test_delay_is_that_of_the_resampler(sample_rate):
    delay, old, new = filter_delay(tf.constant(sample_rate, tf.int64), 16000)
    assert int(old) * 16000 == int(new) * sample_rate
    assert math.gcd(int(old), int(new)) == 1
    if sample_rate == 16000:
        return
    pulse = _pulse(sample_rate, 0.1, round(0.25 * sample_rate))
    resampled = tfio.audio.resample(
        pulse.astype(np.float32), sample_rate, 16000
    ).numpy()
    centre = resampled @ np.arange(len(resampled)) / resampled.sum() / 16000
    assert (centre - 0.1) * sample_rate == pytest.approx(int(delay), abs=0.01)


@pytest.mark.parametrize("sample_rate", _RATES)
def test_lengths_are_those_of_soxr(resample_to_16000, sample_rate):
    for num_samples in (1, 2, 3, 100, 999, 1000, 1001, 1003, 44101):
        zeros = np.zeros(num_samples, np.float32)
        expected = len(soxr.resample(zeros, sample_rate, 16000))
        assert len(resample_to_16000(zeros, sample_rate)) == expected


@pytest.mark.parametrize("sample_rate", [22050, 44100, 48000, 96000])
def test_what_would_alias_is_gone(resample_to_16000, sample_rate):
    time = np.arange(sample_rate // 2) / sample_rate
    for hertz, gain in ((6500, 1.0), (8700, 0.0), (10500, 0.0)):
        tone = np.sin(2 * np.pi * hertz * time)
        middle = resample_to_16000(tone, sample_rate)[1000:-1000]
        rms = math.sqrt(2 * np.mean(middle**2))
        assert rms == pytest.approx(gain, abs=2e-3)


def test_the_right_rate_is_kept(resample_to_16000):
    waveform = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(
        resample_to_16000(waveform, 16000), waveform.astype(np.float32)
    )
