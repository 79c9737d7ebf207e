"""Synthesizers of sounds with a pitch: bells, sirens, horns, animals.

Conventions of every synthesizer: see `synthetic_sounds`.
"""

import numpy as np

from audioset_strong.simulation.synthesis import (
    SAMPLE_RATE,
    attack_release,
    band_noise,
    burst,
    colored_noise,
    decay,
    draw_hits,
    draw_length,
    log_uniform,
    num_samples,
    random_harmonics,
    resonate,
    sequence,
    tone,
    wander,
)

# --- Bells, alarms, whistles -------------------------------------------------


def church_bell(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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
    bell = np.sum(partials, axis=0)
    strike = burst(rng, 0.05, 500, 6000)[:length]
    bell[: len(strike)] += rng.uniform(0.2, 1.5) * strike
    return bell


def civil_defense_siren(
    rng: np.random.Generator, max_seconds: float
) -> np.ndarray:
    """A rich tone that rises and falls slowly."""
    length = draw_length(rng, 1.2, 4.0, max_seconds)
    period = rng.uniform(3.0, 10.0)
    time = np.arange(length) / SAMPLE_RATE + rng.uniform(0, period)
    swing = rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * time / period)
    pitch = log_uniform(rng, 300, 1000) * 2**swing
    harmonics = random_harmonics(rng, 12, rng.uniform(0.5, 1.5))
    return tone(pitch, harmonics) * attack_release(length, 0.2, 0.3)


def police_siren(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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


def beep(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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


def vehicle_horn(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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


def steam_whistle(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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


def bark(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Short hoarse calls whose pitch jumps up and falls."""
    pitch_hz = log_uniform(rng, 180, 800)
    formant_hz = log_uniform(rng, 600, 2000)
    hoarseness = rng.uniform(0.1, 1.0)

    def make_bark() -> np.ndarray:
        length = num_samples(rng.uniform(0.08, 0.25))
        phase = np.linspace(0, 1, length)
        pitch = pitch_hz * (0.7 + 0.5 * np.sin(np.pi * phase**0.6))
        voiced = tone(pitch, random_harmonics(rng, 20, 0.7))
        rough = voiced + hoarseness * colored_noise(rng, length, 0.7)
        shaped = resonate(rough, formant_hz, formant_hz / 2) + 0.3 * rough
        return shaped * np.sin(np.pi * phase**0.5)

    return draw_hits(rng, make_bark, 5, (0.2, 0.42), max_seconds)


def chirp(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Quick sweeps of a nearly pure tone."""
    center_hz = log_uniform(rng, 1800, 6000)
    sweep = rng.uniform(-0.6, 0.6)
    seconds = log_uniform(rng, 0.03, 0.2)
    trill_hz = rng.uniform(15, 60)
    trill = rng.choice([0.0, 0.08])

    def make_chirp() -> np.ndarray:
        length = num_samples(seconds)
        phase = np.linspace(-0.5, 0.5, length)
        octaves = sweep * phase + trill * np.sin(
            2 * np.pi * trill_hz * seconds * phase
        )
        pitch = np.minimum(center_hz * 2**octaves, 7500.0)
        voice = tone(pitch, [1.0, rng.uniform(0.0, 0.3)])
        return voice * np.cos(np.pi * phase)

    return draw_hits(rng, make_chirp, 12, (seconds + 0.02, 0.3), max_seconds)


def cricket(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """A high tone in fast pulses, in groups."""
    length = draw_length(rng, 0.8, 4.0, max_seconds)
    time = np.arange(length) / SAMPLE_RATE
    pulses = np.sin(2 * np.pi * rng.uniform(15, 60) * time)
    groups = np.sin(2 * np.pi * rng.uniform(1.5, 6.0) * time + 1.0)
    envelope = np.maximum(pulses, 0) * (groups > rng.uniform(-1.0, 0.3))
    pitch = log_uniform(rng, 2500, 6000) * (1 + 0.01 * wander(rng, length, 5))
    return tone(pitch, [1.0, 0.1]) * (envelope + 0.03)


def mosquito(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """A thin buzz that drifts in pitch and level."""
    length = draw_length(rng, 0.8, 4.0, max_seconds)
    pitch = log_uniform(rng, 300, 1000) * 2 ** (0.1 * wander(rng, length, 2.0))
    buzz = tone(pitch, random_harmonics(rng, 16, rng.uniform(0.3, 1.2)))
    level = 10 ** (0.25 * wander(rng, length, 2.0))
    return buzz * level * attack_release(length, 0.2, 0.2)
