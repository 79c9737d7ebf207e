"""Mixes ten-second clips from isolated sounds over a background.

Everything about a clip is a pure function of (params, source, subset, number),
so clips can be made in any order, on any number of cores, and one alone.

Conventions: waveforms are float32 `[num_samples]`, mono, 16 kHz, in [-1, 1];
times are in seconds from the start of the clip, rounded to milliseconds. A
subset is "weak" (training, weak labels only), "strong" (training, weak and
strong labels) or "eval".
"""

import base64
import dataclasses
import hashlib

import numpy as np

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_targets import Event
from audioset_strong.labels.segments import make_segment_id, ytid_of_segment
from audioset_strong.labels.training_sets import is_held_out
from audioset_strong.params import LabelFrameParams
from audioset_strong.simulation.active_regions import (
    ActivityParams,
    frame_levels_db,
)
from audioset_strong.simulation.sound_sources import SoundSource
from audioset_strong.simulation.soundscape_params import SoundscapeParams
from audioset_strong.simulation.synthesis import (
    SAMPLE_RATE,
    colored_noise,
    tone,
    wander,
)

SUBSETS = ("weak", "strong", "eval")
CLIP_SECONDS = LabelFrameParams().clip_seconds
_CLIP_SAMPLES = round(CLIP_SECONDS * SAMPLE_RATE)
# Sounds that are further below the background than this are not heard, so
# nobody would mark them. Less than the masking threshold of noise by a tone.
_INAUDIBLE_DB = -10.0
# Levels of the finished clip's highest sample; AudioSet's vary as much.
_PEAK_RANGE_DB = (-20.0, -0.5)
# Starts are whole seconds, as nearly all of AudioSet's are.
_MAX_START_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Soundscape:
    """One finished clip and the truth about it.

    Attributes:
      segment_id: Name of the clip.
      waveform: float32 `[num_samples]`.
      events: What is heard and when, by onset.
      snr_db: Level of each event over the background, same order.
    """

    segment_id: str
    waveform: np.ndarray
    events: tuple[Event, ...]
    snr_db: tuple[float, ...]


def check_soundscape_params(params: SoundscapeParams) -> None:
    """Refuses settings that make no sense.

    Raises:
      InputError: Names the setting, its value and what was expected.
    """
    longest = params.max_event_seconds
    expectations = {
        "num_weak_clips": params.num_weak_clips >= 0,
        "num_strong_clips": params.num_strong_clips >= 1,
        "num_eval_clips": params.num_eval_clips >= 1,
        "seed": params.seed >= 0,
        "min_events": 1 <= params.min_events <= params.max_events,
        "min_event_seconds": 0 < params.min_event_seconds <= longest,
        "max_event_seconds": longest < CLIP_SECONDS,
        "min_snr_db": params.min_snr_db <= params.max_snr_db,
        "class_imbalance": params.class_imbalance >= 0,
        "weak_recall": 0 < params.weak_recall <= 1,
        "weak_parent_share": 0 <= params.weak_parent_share <= 1,
        "strong_jitter_seconds": params.strong_jitter_seconds >= 0,
        "num_explicit_negatives": params.num_explicit_negatives >= 0,
        "held_out_fraction": 0 <= params.held_out_fraction < 1,
    }
    for name, is_met in expectations.items():
        if not is_met:
            raise InputError(
                f"{name}={getattr(params, name)} is out of range or does not "
                f"fit the other settings; see SoundscapeParams."
            )


def clip_rng(
    params: SoundscapeParams, purpose: str, key: str
) -> np.random.Generator:
    """Makes the generator of one clip and purpose, independent of others."""
    digest = hashlib.sha256(f"{params.seed}\n{purpose}\n{key}".encode())
    return np.random.default_rng(int.from_bytes(digest.digest()[:16], "big"))


def segment_id_of_clip(
    params: SoundscapeParams, subset: str, number: int
) -> str:
    """Returns the name of a clip: its ytid looks like a real one.

    Args:
      params: Gives the seed.
      subset: One of `SUBSETS`.
      number: Number of the clip in its subset, from 0.

    Returns:
      `<ytid>_<start ms>`; the ytid has 11 characters of the YouTube alphabet,
      so some begin with '-' and some hold '_'.
    """
    digest = hashlib.sha256(f"{params.seed}\n{subset}\n{number}".encode())
    # 66 of 256 bits: no two of a billion clips are likely to be equal.
    ytid = base64.urlsafe_b64encode(digest.digest()).decode()[:11]
    start = int.from_bytes(digest.digest()[-4:], "big") % _MAX_START_SECONDS
    return make_segment_id(ytid, start)


def split_of_clip(params: SoundscapeParams, subset: str, number: int) -> str:
    """Returns the split that the sounds of a clip come from."""
    if subset == "eval":
        return "eval"
    ytid = ytid_of_segment(segment_id_of_clip(params, subset, number))
    is_validation = subset == "strong" and is_held_out(
        ytid, params.held_out_fraction
    )
    return "validation" if is_validation else "train"


def class_probabilities(
    params: SoundscapeParams, num_classes: int
) -> np.ndarray:
    """Draws how common each class is, by Zipf's law in an order by chance.

    Returns:
      float64 `[num_classes]`, sums to 1.
    """
    ranks = np.arange(1, num_classes + 1)
    weights = ranks ** -float(params.class_imbalance)
    order = clip_rng(params, "class order", "").permutation(num_classes)
    return weights[order] / weights.sum()


def make_background(rng: np.random.Generator) -> np.ndarray:
    """Makes ambience: coloured noise that swells slowly, sometimes with a hum.

    Returns:
      float64 `[num_samples]`, RMS 1.
    """
    noise = colored_noise(rng, _CLIP_SAMPLES, rng.uniform(0.6, 2.0))
    noise *= 10 ** (rng.uniform(0.0, 0.2) * wander(rng, _CLIP_SAMPLES, 0.5))
    if rng.uniform() < 0.3:
        mains_hz = np.full(_CLIP_SAMPLES, rng.choice([50.0, 60.0]))
        harmonics = rng.uniform(0.0, 1.0, 8)
        noise += rng.uniform(0.05, 0.4) * tone(mains_hz, harmonics)
    return noise / np.sqrt(np.mean(noise**2))


def _audible_extent(sound: np.ndarray) -> tuple[float, float] | None:
    """Finds the part of a sound that is heard over a background of RMS 1.

    Returns:
      (onset, offset) in seconds; None if nothing of it is heard.
    """
    heard = np.flatnonzero(frame_levels_db(sound) > _INAUDIBLE_DB)
    if not len(heard):
        return None
    hop = ActivityParams().hop_seconds
    end = min((heard[-1] + 1) * hop, len(sound) / SAMPLE_RATE)
    return heard[0] * hop, end


def _add_event(
    mixture: np.ndarray,
    params: SoundscapeParams,
    source: SoundSource,
    split: str,
    rng: np.random.Generator,
) -> tuple[Event, float]:
    """Mixes one sound into a clip.

    Args:
      mixture: float64 `[num_samples]`, over a background of RMS 1; added to.
      params: Ranges of lengths and levels.
      source: Gives the sound.
      split: Which of its sounds.
      rng: Source of chance.

    Returns:
      The event and its level over the background in dB.
    """
    probabilities = class_probabilities(params, len(source.classes))
    mid = source.classes[rng.choice(len(source.classes), p=probabilities)].mid
    sound = source.draw(mid, split, rng, params.max_event_seconds)
    snr_db = rng.uniform(params.min_snr_db, params.max_snr_db)
    rms = np.sqrt(np.mean(np.square(sound, dtype=np.float64)))
    sound = sound * (10 ** (snr_db / 20) / (rms + 1e-9))
    start = int(rng.integers(0, _CLIP_SAMPLES - len(sound) + 1))
    mixture[start : start + len(sound)] += sound
    # Something is heard of every sound that is less than 10 dB below.
    onset, offset = _audible_extent(sound) or (0.0, len(sound) / SAMPLE_RATE)
    onset += start / SAMPLE_RATE
    offset += start / SAMPLE_RATE
    offset = max(offset, onset + params.min_event_seconds)
    onset -= max(0.0, offset - CLIP_SECONDS)
    offset = min(offset, CLIP_SECONDS)
    return Event(mid, round(onset, 3), round(offset, 3)), round(snr_db, 2)


def make_soundscape(
    params: SoundscapeParams, source: SoundSource, subset: str, number: int
) -> Soundscape:
    """Makes one clip.

    Args:
      params: Settings of the release.
      source: Gives the sounds.
      subset: One of `SUBSETS`.
      number: Number of the clip in its subset, from 0.

    Returns:
      The clip; the same one for the same arguments, always.
    """
    split = split_of_clip(params, subset, number)
    rng = clip_rng(params, "mix", f"{subset} {number}")
    mixture = make_background(rng)
    num_events = int(rng.integers(params.min_events, params.max_events + 1))
    made = [
        _add_event(mixture, params, source, split, rng)
        for _ in range(num_events)
    ]
    made.sort(key=lambda event_and_snr: event_and_snr[0].onset_seconds)
    peak = 10 ** (rng.uniform(*_PEAK_RANGE_DB) / 20)
    waveform = mixture * (peak / np.abs(mixture).max())
    return Soundscape(
        segment_id=segment_id_of_clip(params, subset, number),
        waveform=waveform.astype(np.float32),
        events=tuple(event for event, _ in made),
        snr_db=tuple(snr_db for _, snr_db in made),
    )
