"""Parts that the synthesizers of `synthetic_sounds` are built from.

Conventions: waveforms are float64 `[num_samples]` at `SAMPLE_RATE`, of any
level; curves such as a pitch in Hz are float64 `[num_samples]`; `rng` is the
only source of chance.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft
import scipy.signal

from audioset_strong.params import FeatureParams

SAMPLE_RATE = FeatureParams().sample_rate
# One cycle of a tone; long enough that looking up the nearest sample puts the
# error 60 dB below the tone.
_WAVETABLE_SAMPLES = 4096
_NYQUIST_HZ = SAMPLE_RATE / 2


def num_samples(seconds: float) -> int:
    """Samples of a time span, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draws between `low` and `high`, evenly on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shaped_noise(
    rng: np.random.Generator,
    length: int,
    gain_at_hz: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Makes noise with a given spectrum.

    Args:
      rng: Source of chance.
      length: Number of samples.
      gain_at_hz: Maps frequencies float64 `[num_bins]` in Hz to gains.

    Returns:
      float64 `[length]`, RMS 1.
    """
    fft_length = scipy.fft.next_fast_len(length, real=True)
    frequencies = np.arange(fft_length // 2 + 1) * SAMPLE_RATE / fft_length
    # Random spectra instead of filtered noise: no filter to warm up.
    spectrum = rng.standard_normal(2 * len(frequencies)).view(np.complex128)
    spectrum *= gain_at_hz(frequencies)
    noise = scipy.fft.irfft(spectrum, fft_length)[:length]
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def colored_noise(
    rng: np.random.Generator, length: int, exponent: float
) -> np.ndarray:
    """Makes noise with power falling as frequency to the minus `exponent`.

    Returns:
      float64 `[length]`, RMS 1: white for 0, pink for 1, brown for 2.
    """
    # Flat below 40 Hz, so that steep spectra do not become a slow drift.
    return shaped_noise(
        rng, length, lambda hz: np.maximum(hz, 40.0) ** (-exponent / 2)
    )


def band_noise(
    rng: np.random.Generator, length: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Makes noise between two frequencies, with soft edges.

    Returns:
      float64 `[length]`, RMS 1.
    """
    return shaped_noise(
        rng,
        length,
        lambda hz: (
            1
            / np.sqrt(
                (1 + (low_hz / np.maximum(hz, 1.0)) ** 4)
                * (1 + (hz / high_hz) ** 4)
            )
        ),
    )


def wander(rng: np.random.Generator, length: int, rate_hz: float) -> np.ndarray:
    """Makes a smooth random curve.

    Args:
      rng: Source of chance.
      length: Number of samples.
      rate_hz: How many independent values it takes a second.

    Returns:
      float64 `[length]`, mostly within [-2, 2], standard deviation about 0.8.
    """
    num_knots = max(4, round(length / SAMPLE_RATE * rate_hz) + 3)
    knots = rng.standard_normal(num_knots)
    positions = np.linspace(0, num_knots - 1, length)
    return np.interp(positions, np.arange(num_knots), knots)


def tone(
    frequency_hz: np.ndarray, harmonics: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Makes a periodic tone whose frequency may change.

    Args:
      frequency_hz: float64 `[num_samples]`, the fundamental.
      harmonics: float `[num_harmonics]`, amplitude of each; those that would
        pass the Nyquist frequency at the highest pitch are left out.

    Returns:
      float64 `[num_samples]`, RMS about 1.
    """
    num_allowed = max(1, int(_NYQUIST_HZ / max(frequency_hz.max(), 1.0)))
    amplitudes = np.asarray(harmonics, dtype=np.float64)[:num_allowed]
    spectrum = np.zeros(_WAVETABLE_SAMPLES // 2 + 1, dtype=np.complex128)
    # Phases that grow with the square of the number keep the peaks low.
    numbers = np.arange(1, len(amplitudes) + 1)
    spectrum[numbers] = amplitudes * np.exp(1j * np.pi * numbers**2 / 7)
    table = scipy.fft.irfft(spectrum, _WAVETABLE_SAMPLES)
    table /= np.sqrt(np.mean(table**2)) + 1e-12
    phase = np.cumsum(frequency_hz) * (_WAVETABLE_SAMPLES / SAMPLE_RATE)
    return table[phase.astype(np.int64) % _WAVETABLE_SAMPLES]


def random_harmonics(
    rng: np.random.Generator, num_harmonics: int, slope: float
) -> np.ndarray:
    """Draws a timbre.

    Returns:
      float64 `[num_harmonics]`: amplitudes that fall as number to the minus
      `slope`, each off by a random factor.
    """
    numbers = np.arange(1, num_harmonics + 1)
    return numbers**-slope * rng.uniform(0.3, 1.0, num_harmonics)


def resonate(
    waveform: np.ndarray, frequency_hz: float, bandwidth_hz: float
) -> np.ndarray:
    """Passes a waveform through one resonance.

    Returns:
      float64, same shape; gain 1 at the resonance.
    """
    frequency_hz = min(frequency_hz, 0.95 * _NYQUIST_HZ)
    b, a = scipy.signal.iirpeak(
        frequency_hz, frequency_hz / bandwidth_hz, fs=SAMPLE_RATE
    )
    return scipy.signal.lfilter(b, a, waveform)


def decay(length: int, seconds: float) -> np.ndarray:
    """Makes an envelope that falls by 60 dB in `seconds`; `[length]`."""
    return 10 ** (-3 * np.arange(length) / (seconds * SAMPLE_RATE))


def attack_release(
    length: int, attack_seconds: float, release_seconds: float
) -> np.ndarray:
    """Makes an envelope that rises, holds and falls; `[length]`, in [0, 1]."""
    time = np.arange(length) / SAMPLE_RATE
    rise = time / max(attack_seconds, 1e-4)
    fall = (length / SAMPLE_RATE - time) / max(release_seconds, 1e-4)
    return np.clip(np.minimum(rise, fall), 0.0, 1.0)


def sequence(
    rng: np.random.Generator,
    make_hit: Callable[[], np.ndarray],
    num_hits: int,
    mean_gap_seconds: float,
    irregularity: float = 0.2,
) -> np.ndarray:
    """Repeats a short sound.

    Args:
      rng: Source of chance.
      make_hit: Makes one hit; called once a hit, so that hits can differ.
      num_hits: How many.
      mean_gap_seconds: From onset to onset.
      irregularity: Share by which a gap may be shorter or longer.

    Returns:
      float64 `[num_samples]`: the hits, overlapping where they are long.
    """
    gaps = mean_gap_seconds * (
        1 + irregularity * rng.uniform(-1, 1, num_hits - 1)
    )
    onsets = np.concatenate([[0.0], np.cumsum(gaps)])
    hits = [make_hit() * rng.uniform(0.5, 1.0) for _ in range(num_hits)]
    starts = [round(onset * SAMPLE_RATE) for onset in onsets]
    mixed = np.zeros(max(s + len(h) for s, h in zip(starts, hits, strict=True)))
    for start, hit in zip(starts, hits, strict=True):
        mixed[start : start + len(hit)] += hit
    return mixed


def draw_length(
    rng: np.random.Generator, low: float, high: float, max_seconds: float
) -> int:
    """Draws a length in samples: `low` to `high` seconds, at most the max."""
    return num_samples(min(log_uniform(rng, low, high), max_seconds))


def draw_hits(
    rng: np.random.Generator,
    make_hit: Callable[[], np.ndarray],
    max_hits: int,
    gap_seconds: tuple[float, float],
    max_seconds: float,
) -> np.ndarray:
    """Repeats a hit as often as chance and `max_seconds` allow."""
    gap = log_uniform(rng, *gap_seconds)
    # Gaps may be 20 % longer than their mean.
    max_hits = min(max_hits, max(1, int(max_seconds / (1.3 * gap))))
    return sequence(rng, make_hit, int(rng.integers(1, max_hits + 1)), gap)


def burst(
    rng: np.random.Generator, seconds: float, low_hz: float, high_hz: float
) -> np.ndarray:
    """Makes one decaying burst of noise."""
    length = num_samples(seconds)
    return band_noise(rng, length, low_hz, high_hz) * decay(length, seconds)


def place_in_room(
    rng: np.random.Generator, waveform: np.ndarray, max_seconds: float
) -> np.ndarray:
    """Plays a sound in a random room and records it with a random microphone.

    Args:
      rng: Source of chance.
      waveform: float64 `[num_samples]`.
      max_seconds: Longest result allowed.

    Returns:
      float64, longer by the reverberation, at most `max_seconds`.
    """
    room_seconds = log_uniform(rng, 0.05, 0.5)
    room_length = num_samples(room_seconds)
    response = rng.standard_normal(room_length)
    response *= decay(room_length, room_seconds)
    # From close by to far away.
    response *= log_uniform(rng, 0.02, 0.6) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    length = len(waveform) + room_length
    fft_length = scipy.fft.next_fast_len(length, real=True)
    spectrum = scipy.fft.rfft(waveform, fft_length)
    spectrum *= scipy.fft.rfft(response, fft_length)
    spectrum *= _microphone_gains(rng, len(spectrum))
    recorded = scipy.fft.irfft(spectrum, fft_length)
    return recorded[: min(length, num_samples(max_seconds))]


def _microphone_gains(rng: np.random.Generator, num_bins: int) -> np.ndarray:
    """Draws gains that change smoothly with frequency; float64 `[num_bins]`."""
    octaves = np.log2(np.linspace(1 / 128, 1, num_bins) * 128)
    knots_db = 6.0 * rng.standard_normal(8)
    return 10 ** (np.interp(octaves, np.arange(8), knots_db) / 20)
