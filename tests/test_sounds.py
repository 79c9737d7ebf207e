"""Synthesizers and the parts that they are built from."""

import numpy as np
import pytest

from audioset_strong.simulation import sounds
from audioset_strong.simulation.sounds import SYNTHESIZERS
from audioset_strong.simulation.sources import SYNTHETIC_CLASSES

_RATE = sounds.SAMPLE_RATE


@pytest.mark.parametrize("name", sorted(SYNTHETIC_CLASSES))
def test_sounds_are_finite_loud_short_and_all_different(name):
    sounds = [
        SYNTHESIZERS[name](np.random.default_rng(seed), 2.0)
        for seed in range(5)
    ]
    again = SYNTHESIZERS[name](np.random.default_rng(4), 2.0)
    np.testing.assert_array_equal(again, sounds[-1])
    for sound in sounds:
        assert sound.ndim == 1
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() > 0.01
        # Decays of single hits may pass the longest time; the source cuts them.
        assert len(sound) < 3.5 * _RATE
    # Equal lengths with equal samples would be the same sound.
    assert len({sound.tobytes() for sound in sounds}) == len(sounds)


def test_classes_can_be_told_apart_but_not_by_mean_spectrum_alone():
    """Nearest centroid of the mean log spectrum: above chance, not solved."""
    classes = sorted(SYNTHESIZERS)
    rng = np.random.default_rng(0)

    def draw_features(num_sounds):
        return np.array(
            [
                [_mean_log_spectrum(SYNTHESIZERS[c](rng, 2.0)) for c in classes]
                for _ in range(num_sounds)
            ]
        )

    centroids = draw_features(12).mean(axis=0)  # [num_classes, num_bands]
    tested = draw_features(6)  # [num_sounds, num_classes, num_bands]
    distances = np.square(tested[:, :, np.newaxis] - centroids).sum(axis=-1)
    accuracy = np.mean(distances.argmin(axis=-1) == np.arange(len(classes)))
    assert 4 / len(classes) < accuracy < 0.8


def _mean_log_spectrum(sound):
    sound = np.pad(sound, (0, 512)) / sound.std()
    frames = np.lib.stride_tricks.sliding_window_view(sound, 512)[::256]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(512))))
    bands = power[:, 1:].reshape(len(frames), 16, 16).mean(axis=2)
    return np.log(bands + 1e-3).mean(axis=0)


def test_tone_has_its_pitch_and_level_and_no_harmonics_beyond_nyquist():
    sound = sounds.tone(np.full(_RATE, 440.0), [1.0])
    assert np.abs(np.fft.rfft(sound)).argmax() == 440
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1.0, abs=0.01)
    # 5 kHz would fold its second harmonic down to 6 kHz.
    spectrum = np.abs(np.fft.rfft(sounds.tone(np.full(_RATE, 5e3), [1, 1])))
    assert spectrum[6000] < 0.01 * spectrum[5000]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_colored_noise_falls_with_its_exponent(exponent):
    rng = np.random.default_rng(0)
    noise = sounds.colored_noise(rng, 20 * _RATE, exponent)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / _RATE)
    low = power[(hz > 400) & (hz < 600)].mean()
    high = power[(hz > 3200) & (hz < 4800)].mean()
    # Three octaves between the bands.
    assert np.log2(low / high) == pytest.approx(3 * exponent, abs=0.15)


def test_room_keeps_the_time_limit():
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(_RATE)
    assert len(sounds.place_in_room(rng, sound, 1.0)) == _RATE
    assert len(sounds.place_in_room(rng, sound, 4.0)) > _RATE
