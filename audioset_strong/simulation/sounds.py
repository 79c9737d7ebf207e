"""Twenty kinds of sounds, synthesised from noise, tones and resonances.

First the parts that synthesizers are built from, then the synthesizers: engines
and machines, impacts, weather, bells and alarms, animals.

A synthesizer takes a random generator and the longest time allowed, and returns
one sound. Pitch, rate, timbre, envelope and length are drawn anew each time,
from ranges that overlap between classes (a beep, a whistle and a siren may
share a pitch; a knock, a tick and a shot are all bursts), so that no single
number tells the classes apart. The ranges are our choice (BUILD_NOTES.md
"Simulated release").

Conventions: waveforms are float64 `[num_samples]`, mono at `SAMPLE_RATE`, of
any level; curves such as a pitch in Hz are float64 `[num_samples]`; `rng` is
the only source of randomness.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from audioset_strong.params import FeatureParams

Floats = npt.NDArray[np.float64]

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
    gain_at_hz: Callable[[Floats], Floats],
) -> Floats:
    """Makes noise with a given spectrum.

    Args:
      rng: Source of randomness.
      length: Number of samples.
      gain_at_hz: Maps frequencies float64 `[num_bins]` in Hz to gains.

    Returns:
      float64 `[length]`, RMS 1.
    """
    fft_length = scipy.fft.next_fast_len(length, real=True)
    hz = np.arange(fft_length // 2 + 1) * SAMPLE_RATE / fft_length
    # Random spectra instead of filtered noise: no filter to warm up.
    spectrum = rng.standard_normal(2 * len(hz)).view(np.complex128)
    spectrum *= gain_at_hz(hz)  # complex128 [num_bins]
    noise: Floats = scipy.fft.irfft(spectrum, fft_length)[:length]
    return noise / (float(np.sqrt(np.mean(noise**2))) + 1e-12)


def colored_noise(
    rng: np.random.Generator, length: int, exponent: float
) -> Floats:
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
) -> Floats:
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


def wander(rng: np.random.Generator, length: int, rate_hz: float) -> Floats:
    """Makes a smooth random curve.

    Args:
      rng: Source of randomness.
      length: Number of samples.
      rate_hz: How many independent values it takes a second.

    Returns:
      float64 `[length]`, mostly within [-2, 2], standard deviation about 0.8.
    """
    num_knots = max(4, round(length / SAMPLE_RATE * rate_hz) + 3)
    knots = rng.standard_normal(num_knots)  # [num_knots], a normal draw each
    positions = np.linspace(0, num_knots - 1, length)
    return np.interp(positions, np.arange(num_knots), knots)


def tone(frequency_hz: Floats, harmonics: Sequence[float] | Floats) -> Floats:
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
    # One cycle, [_WAVETABLE_SAMPLES].
    table: Floats = scipy.fft.irfft(spectrum, _WAVETABLE_SAMPLES)
    table /= np.sqrt(np.mean(table**2)) + 1e-12
    # Position in the table, in samples of it, [num_samples].
    phase = np.cumsum(frequency_hz) * (_WAVETABLE_SAMPLES / SAMPLE_RATE)
    return table[phase.astype(np.int64) % _WAVETABLE_SAMPLES]


def random_harmonics(
    rng: np.random.Generator, num_harmonics: int, slope: float
) -> Floats:
    """Draws a timbre.

    Returns:
      float64 `[num_harmonics]`: amplitudes that fall as number to the minus
      `slope`, each off by a random factor.
    """
    numbers = np.arange(1, num_harmonics + 1)
    return numbers**-slope * rng.uniform(0.3, 1.0, num_harmonics)


def resonate(
    waveform: Floats, frequency_hz: float, bandwidth_hz: float
) -> Floats:
    """Passes a waveform through one resonance.

    Returns:
      float64, same shape; gain 1 at the resonance.
    """
    frequency_hz = min(frequency_hz, 0.95 * _NYQUIST_HZ)
    b, a = scipy.signal.iirpeak(
        frequency_hz, frequency_hz / bandwidth_hz, fs=SAMPLE_RATE
    )
    filtered: Floats = scipy.signal.lfilter(b, a, waveform)
    return filtered


def decay(length: int, seconds: float) -> Floats:
    """Makes an envelope that falls by 60 dB in `seconds`; `[length]`."""
    return 10 ** (-3 * np.arange(length) / (seconds * SAMPLE_RATE))


def attack_release(
    length: int, attack_seconds: float, release_seconds: float
) -> Floats:
    """Makes an envelope that rises, holds and falls; `[length]`, in [0, 1]."""
    time = np.arange(length) / SAMPLE_RATE
    # Straight lines up and down; a fade of 0 s must not divide by it.
    rise = time / max(attack_seconds, 1e-4)
    fall = (length / SAMPLE_RATE - time) / max(release_seconds, 1e-4)
    return np.clip(np.minimum(rise, fall), 0.0, 1.0)


def sequence(
    rng: np.random.Generator,
    make_hit: Callable[[], Floats],
    num_hits: int,
    mean_gap_seconds: float,
    irregularity: float = 0.2,
) -> Floats:
    """Repeats a short sound.

    Args:
      rng: Source of randomness.
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
    make_hit: Callable[[], Floats],
    max_hits: int,
    gap_seconds: tuple[float, float],
    max_seconds: float,
) -> Floats:
    """Repeats a hit as often as chance and `max_seconds` allow."""
    gap = log_uniform(rng, *gap_seconds)
    # Gaps may be 20 % longer than their mean.
    max_hits = min(max_hits, max(1, int(max_seconds / (1.3 * gap))))
    return sequence(rng, make_hit, int(rng.integers(1, max_hits + 1)), gap)


def burst(
    rng: np.random.Generator, seconds: float, low_hz: float, high_hz: float
) -> Floats:
    """Makes one decaying burst of noise."""
    length = num_samples(seconds)
    return band_noise(rng, length, low_hz, high_hz) * decay(length, seconds)


def place_in_room(
    rng: np.random.Generator, waveform: Floats, max_seconds: float
) -> Floats:
    """Plays a sound in a random room and records it with a random microphone.

    Args:
      rng: Source of randomness.
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
    # Convolution as a product of spectra, complex128 [num_bins].
    spectrum = scipy.fft.rfft(waveform, fft_length)
    spectrum *= scipy.fft.rfft(response, fft_length)
    spectrum *= _microphone_gains(rng, len(spectrum))
    recorded: Floats = scipy.fft.irfft(spectrum, fft_length)
    return recorded[: min(length, num_samples(max_seconds))]


def _microphone_gains(rng: np.random.Generator, num_bins: int) -> Floats:
    """Draws gains that change smoothly with frequency; `[num_bins]`."""
    octaves = np.log2(np.linspace(1 / 128, 1, num_bins) * 128)
    knots_db = 6.0 * rng.standard_normal(8)  # one an octave
    return 10.0 ** (np.interp(octaves, np.arange(8), knots_db) / 20)


# --- Engines and machines ----------------------------------------------------


def _firing(
    rng: np.random.Generator, rate_hz: Floats, body_hz: float
) -> Floats:
    """Makes the sound of cylinders firing at a rate that may change."""
    length = len(rate_hz)
    phase = np.cumsum(rate_hz * (1 + 0.03 * wander(rng, length, 15))) / (
        SAMPLE_RATE
    )
    pulse = np.exp(-8 * (phase % 1.0)) - 0.12
    noise = colored_noise(rng, length, 1.0)
    fired = pulse * (1 + rng.uniform(0.2, 1.0) * noise)
    body = resonate(fired, body_hz, body_hz) + 0.2 * fired
    return body / float(body.std()) + rng.uniform(0.05, 0.5) * noise


def idling(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Slow, slightly uneven firing."""
    length = draw_length(rng, 1.2, 4.0, max_seconds)
    rate = np.full(length, log_uniform(rng, 10, 50))
    engine = _firing(rng, rate, log_uniform(rng, 80, 600))
    return engine * attack_release(length, 0.1, 0.1)


def accelerating(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Firing that speeds up, sometimes falling back."""
    length = draw_length(rng, 1.0, 4.0, max_seconds)
    rise = np.linspace(0, 1, length) ** rng.uniform(0.6, 2.0)
    if rng.uniform() < 0.4:
        rise = np.sin(np.pi * rise)
    rate = log_uniform(rng, 25, 70) * 2 ** (rng.uniform(0.6, 2.0) * rise)
    engine = _firing(rng, rate, log_uniform(rng, 150, 900))
    return engine * attack_release(length, 0.1, 0.2) * (0.4 + 0.6 * rise)


# --- Impacts and friction ----------------------------------------------------


def knock(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Dull hits on a board."""
    board_hz = rng.uniform(1.0, 3.0, 3) * log_uniform(rng, 90, 500)
    ring_seconds = log_uniform(rng, 0.04, 0.2)

    def make_knock() -> Floats:
        hit = burst(rng, ring_seconds, 60, 2500)
        return hit + sum(3 * resonate(hit, hz, hz / 5) for hz in board_hz)

    return draw_hits(rng, make_knock, 7, (0.1, 0.3), max_seconds)


def tick(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Small dry clicks, every other one different."""
    click_hz = log_uniform(rng, 900, 5500) * np.array(
        [1.0, rng.uniform(0.7, 1.4)]
    )
    ring_seconds = log_uniform(rng, 0.015, 0.1)
    count = iter(range(1000))

    def make_tick() -> Floats:
        hz = float(click_hz[next(count) % 2])
        click = burst(rng, ring_seconds, 300, 7000)
        return 0.3 * click + resonate(click, hz, hz / 8)

    return draw_hits(rng, make_tick, 14, (0.09, 0.28), max_seconds)


def gunshot(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Loud bursts with a low boom and an echo."""
    seconds = log_uniform(rng, 0.1, 0.9)
    high_hz = log_uniform(rng, 1500, 7000)
    boom = rng.uniform(0.2, 1.5)
    echo_start = num_samples(rng.uniform(0.06, 0.2))

    def make_shot() -> Floats:
        shot = burst(rng, seconds, 60, high_hz)
        shot += boom * burst(rng, seconds, 40, 200)
        shot[echo_start:] += 0.3 * shot[:-echo_start][: len(shot) - echo_start]
        return shot

    if seconds * SAMPLE_RATE < 2 * echo_start:
        echo_start = num_samples(seconds / 2)
    return draw_hits(rng, make_shot, 5, (0.1, 0.5), max_seconds)


def squeak(rng: np.random.Generator, max_seconds: float) -> Floats:
    """A strained tone that slips and slides."""
    length = draw_length(rng, 0.2, 1.6, max_seconds)
    slide = rng.uniform(-0.6, 0.6) * np.linspace(0, 1, length)
    wobble = rng.uniform(0.03, 0.2) * wander(rng, length, 12)
    pitch = log_uniform(rng, 500, 3000) * 2 ** (slide + wobble)
    harmonics = random_harmonics(rng, 10, rng.uniform(0.3, 1.2))
    slip = np.clip(0.8 + 0.5 * wander(rng, length, 20), 0.1, None)
    return tone(pitch, harmonics) * slip * attack_release(length, 0.05, 0.08)


# --- Water, wind, noise ------------------------------------------------------


def drip(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Drops: short tones that glide up."""
    drop_hz = log_uniform(rng, 500, 3000)

    def make_drop() -> Floats:
        seconds = log_uniform(rng, 0.04, 0.2)
        length = num_samples(seconds)
        glide = rng.uniform(0.1, 0.6) * np.linspace(0, 1, length)
        pitch = drop_hz * rng.uniform(0.8, 1.25) * 2**glide
        splash = 0.2 * band_noise(rng, length, 1000, 7000)
        return (tone(pitch, [1.0]) + splash) * decay(length, seconds)

    return draw_hits(rng, make_drop, 8, (0.08, 0.3), max_seconds)


def rain(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Dense drops on a surface over a rush of noise."""
    length = draw_length(rng, 1.5, 4.0, max_seconds)
    high_hz = log_uniform(rng, 2500, 7500)
    rush = band_noise(rng, length, log_uniform(rng, 200, 1500), high_hz)
    drops_per_sample = log_uniform(rng, 30, 500) / SAMPLE_RATE
    is_drop = rng.uniform(size=length) < drops_per_sample
    drops = is_drop * rng.exponential(size=length)
    surface_hz = log_uniform(rng, 500, 5000)
    drops = resonate(drops, surface_hz, surface_hz / 2)
    drops *= rng.uniform(0.3, 1.5) / (drops.std() + 1e-9)
    return (rush + drops) * attack_release(length, 0.2, 0.2)


def wind(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Low noise in gusts, brighter where it is stronger."""
    length = draw_length(rng, 1.5, 4.0, max_seconds)
    strength = wander(rng, length, 1.5)
    rumble = colored_noise(rng, length, rng.uniform(1.2, 2.2))
    low_hz = log_uniform(rng, 150, 700)
    howl = band_noise(rng, length, low_hz, rng.uniform(1.2, 4.0) * low_hz)
    gusts = rumble * 10 ** (0.25 * strength)
    gusts += rng.uniform(0.1, 1.0) * howl * 10 ** (0.4 * strength)
    return gusts * attack_release(length, 0.3, 0.3)


def white_noise(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Steady hiss, nearly flat, switched on and off."""
    length = draw_length(rng, 0.4, 4.0, max_seconds)
    exponent = rng.uniform(-0.3, 0.8)
    high_hz = log_uniform(rng, 3000, 16000)
    hiss = shaped_noise(
        rng,
        length,
        lambda hz: (
            np.maximum(hz, 40.0) ** (-exponent / 2)
            / np.sqrt(1 + (hz / high_hz) ** 4)
        ),
    )
    return hiss * attack_release(length, 0.02, 0.05)


# --- Bells, alarms, whistles -------------------------------------------------


def church_bell(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Inharmonic partials that ring out, higher ones sooner."""
    length = draw_length(rng, 1.0, 4.0, max_seconds)
    strike_hz = log_uniform(rng, 180, 900)
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.67, 3, 4, 5.3, 6.7])
    ratios = ratios * rng.uniform(0.97, 1.03, len(ratios))
    ring_seconds = log_uniform(rng, 0.8, 4.0) / ratios**0.7
    partials = [
        rng.uniform(0.1, 1.0)
        * tone(np.full(length, strike_hz * ratio), [1.0])
        * decay(length, seconds)
        for ratio, seconds in zip(ratios, ring_seconds, strict=True)
        if strike_hz * ratio < SAMPLE_RATE / 2
    ]
    bell: Floats = np.sum(partials, axis=0)  # [num_samples]
    strike = burst(rng, 0.05, 500, 6000)[:length]
    bell[: len(strike)] += rng.uniform(0.2, 1.5) * strike
    return bell


def civil_defense_siren(rng: np.random.Generator, max_seconds: float) -> Floats:
    """A rich tone that rises and falls slowly."""
    length = draw_length(rng, 1.2, 4.0, max_seconds)
    period = rng.uniform(3.0, 10.0)
    time = np.arange(length) / SAMPLE_RATE + rng.uniform(0, period)
    swing = rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * time / period)
    pitch = log_uniform(rng, 300, 1000) * 2**swing
    harmonics = random_harmonics(rng, 12, rng.uniform(0.5, 1.5))
    return tone(pitch, harmonics) * attack_release(length, 0.2, 0.3)


def police_siren(rng: np.random.Generator, max_seconds: float) -> Floats:
    """A tone that wails, yelps or switches between two pitches."""
    length = draw_length(rng, 0.6, 4.0, max_seconds)
    cycles = np.arange(length) / SAMPLE_RATE * log_uniform(rng, 0.5, 5.0)
    cycles += rng.uniform()
    swing = np.sin(2 * np.pi * cycles)
    if rng.uniform() < 0.35:
        swing = np.sign(swing)
    pitch = log_uniform(rng, 500, 1500) * 2 ** (rng.uniform(0.2, 0.7) * swing)
    harmonics = random_harmonics(rng, 8, rng.uniform(0.7, 2.0))
    return tone(pitch, harmonics) * attack_release(length, 0.03, 0.1)


def beep(rng: np.random.Generator, max_seconds: float) -> Floats:
    """One or several short tones of one pitch."""
    on_seconds = log_uniform(rng, 0.05, 0.5)
    length = num_samples(on_seconds)
    pitch = np.full(length, log_uniform(rng, 400, 3600))
    harmonics = random_harmonics(rng, int(rng.integers(1, 8)), 1.0)
    once = tone(pitch, harmonics) * attack_release(length, 0.005, 0.01)
    gap = on_seconds + rng.uniform(0.04, 0.2)
    max_hits = max(1, int(max_seconds / gap))
    num_hits = int(rng.integers(1, min(8, max_hits) + 1))
    return sequence(rng, lambda: once, num_hits, gap, irregularity=0.0)


def vehicle_horn(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Two bright tones at once, steady."""
    length = draw_length(rng, 0.2, 2.5, max_seconds)
    pitch = log_uniform(rng, 220, 700)
    harmonics = random_harmonics(rng, 20, rng.uniform(0.2, 1.0))
    ratio = rng.choice([1.19, 1.25, 1.26, 1.33, 1.5])
    horn = tone(np.full(length, pitch), harmonics)
    horn += rng.uniform(0.0, 1.0) * tone(
        np.full(length, pitch * ratio), harmonics
    )
    return horn * attack_release(length, 0.02, 0.06)


def steam_whistle(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Tones in a cloud of noise, sliding in and out."""
    length = draw_length(rng, 0.4, 4.0, max_seconds)
    rise = 1 - np.exp(-np.arange(length) / SAMPLE_RATE / rng.uniform(0.02, 0.2))
    pitch = log_uniform(rng, 400, 2500) * (0.8 + 0.2 * rise)
    pitch = pitch * (1 + 0.01 * wander(rng, length, 8.0))
    ratios = [1.0, 1.25, 1.5][: int(rng.integers(1, 4))]
    chord = sum(tone(pitch * r, random_harmonics(rng, 4, 1.5)) for r in ratios)
    low_hz = float(pitch.mean())
    breath = band_noise(rng, length, low_hz, 3 * low_hz)
    whistle = chord / len(ratios) + rng.uniform(0.2, 1.0) * breath
    return whistle * attack_release(length, 0.08, 0.15)


# --- Animals -----------------------------------------------------------------


def bark(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Short hoarse calls whose pitch jumps up and falls."""
    pitch_hz = log_uniform(rng, 180, 800)
    formant_hz = log_uniform(rng, 600, 2000)
    hoarseness = rng.uniform(0.1, 1.0)

    def make_bark() -> Floats:
        length = num_samples(rng.uniform(0.08, 0.25))
        phase = np.linspace(0, 1, length)
        pitch = pitch_hz * (0.7 + 0.5 * np.sin(np.pi * phase**0.6))
        voiced = tone(pitch, random_harmonics(rng, 20, 0.7))
        rough = voiced + hoarseness * colored_noise(rng, length, 0.7)
        shaped = resonate(rough, formant_hz, formant_hz / 2) + 0.3 * rough
        return shaped * np.sin(np.pi * phase**0.5)

    return draw_hits(rng, make_bark, 5, (0.2, 0.42), max_seconds)


def chirp(rng: np.random.Generator, max_seconds: float) -> Floats:
    """Quick sweeps of a nearly pure tone."""
    center_hz = log_uniform(rng, 1800, 6000)
    sweep = rng.uniform(-0.6, 0.6)
    seconds = log_uniform(rng, 0.03, 0.2)
    trill_hz = rng.uniform(15, 60)
    trill = rng.choice([0.0, 0.08])

    def make_chirp() -> Floats:
        length = num_samples(seconds)
        phase = np.linspace(-0.5, 0.5, length)
        octaves = sweep * phase + trill * np.sin(
            2 * np.pi * trill_hz * seconds * phase
        )
        pitch = np.minimum(center_hz * 2**octaves, 7500.0)
        voice = tone(pitch, [1.0, rng.uniform(0.0, 0.3)])
        return voice * np.cos(np.pi * phase)

    return draw_hits(rng, make_chirp, 12, (seconds + 0.02, 0.3), max_seconds)


def cricket(rng: np.random.Generator, max_seconds: float) -> Floats:
    """A high tone in fast pulses, in groups."""
    length = draw_length(rng, 0.8, 4.0, max_seconds)
    time = np.arange(length) / SAMPLE_RATE
    pulses = np.sin(2 * np.pi * rng.uniform(15, 60) * time)
    groups = np.sin(2 * np.pi * rng.uniform(1.5, 6.0) * time + 1.0)
    envelope = np.maximum(pulses, 0) * (groups > rng.uniform(-1.0, 0.3))
    pitch = log_uniform(rng, 2500, 6000) * (1 + 0.01 * wander(rng, length, 5))
    return tone(pitch, [1.0, 0.1]) * (envelope + 0.03)


def mosquito(rng: np.random.Generator, max_seconds: float) -> Floats:
    """A thin buzz that drifts in pitch and level."""
    length = draw_length(rng, 0.8, 4.0, max_seconds)
    pitch = log_uniform(rng, 300, 1000) * 2 ** (0.1 * wander(rng, length, 2.0))
    buzz = tone(pitch, random_harmonics(rng, 16, rng.uniform(0.3, 1.2)))
    level = 10 ** (0.25 * wander(rng, length, 2.0))
    return buzz * level * attack_release(length, 0.2, 0.2)


Synthesizer = Callable[[np.random.Generator, float], Floats]

# By the names that `sound_classes.csv` gives them.
SYNTHESIZERS: dict[str, Synthesizer] = {
    synthesizer.__name__: synthesizer
    for synthesizer in (
        *(accelerating, bark, beep, chirp, church_bell, civil_defense_siren),
        *(cricket, drip, gunshot, idling, knock, mosquito, police_siren, rain),
        *(squeak, steam_whistle, tick, vehicle_horn, white_noise, wind),
    )
}
