"""Twenty kinds of sounds, made from noise, tones and resonances.

Each synthesizer takes a random generator and the longest allowed time, and
returns one sound: float64 `[num_samples]`, mono at `SAMPLE_RATE`, of any level.
Pitch, rate, timbre, envelope and length are drawn anew each time, in ranges
that overlap between classes (a beep, a whistle and a siren may share a pitch; a
knock, a tick and a shot are all bursts), so that no single number tells the
classes apart. The ranges are our choice (BUILD_NOTES.md "Simulated release").
"""

from collections.abc import Callable

import numpy as np

from audioset_strong.simulation import synthetic_noises as noises
from audioset_strong.simulation import synthetic_tones as tones

Synthesizer = Callable[[np.random.Generator, float], np.ndarray]

# Names are the keys of `sound_classes.SYNTHETIC_CLASSES`.
SYNTHESIZERS: dict[str, Synthesizer] = {
    "accelerating": noises.accelerating,
    "bark": tones.bark,
    "beep": tones.beep,
    "chirp": tones.chirp,
    "church_bell": tones.church_bell,
    "civil_defense_siren": tones.civil_defense_siren,
    "cricket": tones.cricket,
    "drip": noises.drip,
    "gunshot": noises.gunshot,
    "idling": noises.idling,
    "knock": noises.knock,
    "mosquito": tones.mosquito,
    "police_siren": tones.police_siren,
    "rain": noises.rain,
    "squeak": noises.squeak,
    "steam_whistle": tones.steam_whistle,
    "tick": noises.tick,
    "vehicle_horn": tones.vehicle_horn,
    "white_noise": noises.white_noise,
    "wind": noises.wind,
}
