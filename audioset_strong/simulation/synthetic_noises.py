"""Synthesizers of sounds without a clear pitch: engines, impacts, weather.

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
    shaped_noise,
    tone,
    wander,
)

# --- Engines and machines ----------------------------------------------------


def _firing(
    rng: np.random.Generator, rate_hz: np.ndarray, body_hz: float
) -> np.ndarray:
    """Makes the sound of cylinders firing at a rate that may change."""
    length = len(rate_hz)
    phase = np.cumsum(rate_hz * (1 + 0.03 * wander(rng, length, 15))) / (
        SAMPLE_RATE
    )
    pulse = np.exp(-8 * (phase % 1.0)) - 0.12
    noise = colored_noise(rng, length, 1.0)
    fired = pulse * (1 + rng.uniform(0.2, 1.0) * noise)
    body = resonate(fired, body_hz, body_hz) + 0.2 * fired
    return body / body.std() + rng.uniform(0.05, 0.5) * noise


def idling(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Slow, slightly uneven firing."""
    length = draw_length(rng, 1.2, 4.0, max_seconds)
    rate = np.full(length, log_uniform(rng, 10, 50))
    engine = _firing(rng, rate, log_uniform(rng, 80, 600))
    return engine * attack_release(length, 0.1, 0.1)


def accelerating(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Firing that speeds up, sometimes falling back."""
    length = draw_length(rng, 1.0, 4.0, max_seconds)
    rise = np.linspace(0, 1, length) ** rng.uniform(0.6, 2.0)
    if rng.uniform() < 0.4:
        rise = np.sin(np.pi * rise)
    rate = log_uniform(rng, 25, 70) * 2 ** (rng.uniform(0.6, 2.0) * rise)
    engine = _firing(rng, rate, log_uniform(rng, 150, 900))
    return engine * attack_release(length, 0.1, 0.2) * (0.4 + 0.6 * rise)


# --- Impacts and friction ----------------------------------------------------


def knock(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Dull hits on a board."""
    board_hz = rng.uniform(1.0, 3.0, 3) * log_uniform(rng, 90, 500)
    ring_seconds = log_uniform(rng, 0.04, 0.2)

    def make_knock() -> np.ndarray:
        hit = burst(rng, ring_seconds, 60, 2500)
        return hit + sum(3 * resonate(hit, hz, hz / 5) for hz in board_hz)

    return draw_hits(rng, make_knock, 7, (0.1, 0.3), max_seconds)


def tick(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Small dry clicks, every other one different."""
    click_hz = log_uniform(rng, 900, 5500) * np.array(
        [1.0, rng.uniform(0.7, 1.4)]
    )
    ring_seconds = log_uniform(rng, 0.015, 0.1)
    count = iter(range(1000))

    def make_tick() -> np.ndarray:
        hz = float(click_hz[next(count) % 2])
        click = burst(rng, ring_seconds, 300, 7000)
        return 0.3 * click + resonate(click, hz, hz / 8)

    return draw_hits(rng, make_tick, 14, (0.09, 0.28), max_seconds)


def gunshot(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Loud bursts with a low boom and an echo."""
    seconds = log_uniform(rng, 0.1, 0.9)
    high_hz = log_uniform(rng, 1500, 7000)
    boom = rng.uniform(0.2, 1.5)
    echo_start = num_samples(rng.uniform(0.06, 0.2))

    def make_shot() -> np.ndarray:
        shot = burst(rng, seconds, 60, high_hz)
        shot += boom * burst(rng, seconds, 40, 200)
        shot[echo_start:] += 0.3 * shot[:-echo_start][: len(shot) - echo_start]
        return shot

    if seconds * SAMPLE_RATE < 2 * echo_start:
        echo_start = num_samples(seconds / 2)
    return draw_hits(rng, make_shot, 5, (0.1, 0.5), max_seconds)


def squeak(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """A strained tone that slips and slides."""
    length = draw_length(rng, 0.2, 1.6, max_seconds)
    slide = rng.uniform(-0.6, 0.6) * np.linspace(0, 1, length)
    wobble = rng.uniform(0.03, 0.2) * wander(rng, length, 12)
    pitch = log_uniform(rng, 500, 3000) * 2 ** (slide + wobble)
    harmonics = random_harmonics(rng, 10, rng.uniform(0.3, 1.2))
    slip = np.clip(0.8 + 0.5 * wander(rng, length, 20), 0.1, None)
    return tone(pitch, harmonics) * slip * attack_release(length, 0.05, 0.08)


# --- Water, wind, noise ------------------------------------------------------


def drip(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Drops: short tones that glide up."""
    drop_hz = log_uniform(rng, 500, 3000)

    def make_drop() -> np.ndarray:
        seconds = log_uniform(rng, 0.04, 0.2)
        length = num_samples(seconds)
        glide = rng.uniform(0.1, 0.6) * np.linspace(0, 1, length)
        pitch = drop_hz * rng.uniform(0.8, 1.25) * 2**glide
        splash = 0.2 * band_noise(rng, length, 1000, 7000)
        return (tone(pitch, [1.0]) + splash) * decay(length, seconds)

    return draw_hits(rng, make_drop, 8, (0.08, 0.3), max_seconds)


def rain(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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


def wind(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
    """Low noise in gusts, brighter where it is stronger."""
    length = draw_length(rng, 1.5, 4.0, max_seconds)
    strength = wander(rng, length, 1.5)
    rumble = colored_noise(rng, length, rng.uniform(1.2, 2.2))
    low_hz = log_uniform(rng, 150, 700)
    howl = band_noise(rng, length, low_hz, rng.uniform(1.2, 4.0) * low_hz)
    gusts = rumble * 10 ** (0.25 * strength)
    gusts += rng.uniform(0.1, 1.0) * howl * 10 ** (0.4 * strength)
    return gusts * attack_release(length, 0.3, 0.3)


def white_noise(rng: np.random.Generator, max_seconds: float) -> np.ndarray:
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
