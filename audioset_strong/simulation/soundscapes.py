"""Mixes ten-second clips from isolated sounds over a background.

Everything about a clip is a pure function of (params, source, subset, number),
so clips can be made in any order, on any number of cores, and one alone.

Conventions: waveforms are `[num_samples]`, mono, 16 kHz, in [-1, 1] when
finished; times are in seconds from the start of the clip, rounded to
milliseconds. A subset is "weak" (training, weak labels only), "strong"
(training, weak and strong labels) or "eval".

`PRESETS` has two kinds of releases. "short" has short single events, a few a
clip, which suits a small demonstration. "audioset" has as many classes and
events as AudioSet, and as long ones (`timing.py`), and annotators who miss,
widen and mistake as much as its weak labels do.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.ids import group_of_segment, make_segment_id
from audioset_strong.labels.training_sets import is_held_out
from audioset_strong.params import LabelFrameParams
from audioset_strong.simulation.sounds import (
    SAMPLE_RATE,
    Floats,
    colored_noise,
    tone,
    wander,
)
from audioset_strong.simulation.sources import (
    LEVEL_HOP_SECONDS,
    SoundSource,
    frame_levels_db,
)
from audioset_strong.simulation.timing import (
    TimingParams,
    draw_num_classes,
    draw_pattern,
    rank_lasting,
)

SUBSETS = ("weak", "strong", "eval")
CLIP_SECONDS = LabelFrameParams().clip_seconds
_CLIP_SAMPLES = round(CLIP_SECONDS * SAMPLE_RATE)
# Sounds that are further below the background than this are not heard, so
# nobody would mark them. Less than the masking threshold of noise by a tone.
_INAUDIBLE_DB = -10.0
# Annotators do not cut off a shorter silence than this at an event's ends.
_UNNOTICED_SECONDS = 0.25
# Levels of the finished clip's highest sample; AudioSet's vary as much.
_PEAK_RANGE_DB = (-20.0, -0.5)
# Starts are whole seconds, as nearly all of AudioSet's are.
_MAX_START_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class SoundscapeParams:
    """The simulated release: soundscapes and their annotators.

    Attributes:
      num_weak_clips: Training clips with weak labels only.
      num_strong_clips: Training clips with weak and strong labels.
      num_eval_clips: Evaluation clips, with both.
      seed: Of everything, but for `class_seed`.
      class_seed: Of how common classes are and of what weak annotators make of
        each; `seed` if None. With it another `seed` gives other clips of the
        same classes, as another draw from one world.
      min_events: Fewest events of a clip; without `timing`.
      max_events: Most events of a clip; without `timing`.
      min_event_seconds: Shortest event; without `timing`.
      max_event_seconds: Longest event; without `timing`.
      timing: How many classes a clip has and when they are heard; None for
        single events, each of a class drawn anew.
      min_snr_db: Quietest event over the background, by RMS; with `timing`,
        over all that lies under it.
      max_snr_db: Loudest event over the same.
      class_imbalance: Exponent of Zipf's law for the class frequencies: 0 is a
        fixed balance, which would hide the problem that the paper solves.
      weak_recall: Chance that weak annotators are asked about a class that is
        in the clip, on average; the others become missing positives. Higher
        for long and loud sounds.
      weak_salience: By how much the logit of that chance is higher than on
        average for the loudest and longest sounds, and lower for the least; 0
        for a chance that rises from as far below `weak_recall` as it can.
      weak_parent_share: Chance that they are asked about the parent of the
        class instead, where it has one.
      weak_class_spread: Standard deviation, between classes, of the logits of
        `weak_recall` and `weak_parent_share`: annotators know some classes and
        are never offered others.
      weak_false_share: Share of weak labels whose class is not in the clip.
      strong_jitter_seconds: Standard deviation of marked onsets and offsets.
      num_explicit_negatives: Clips of the evaluation set that annotators mark
        as without a class, per class.
      held_out_fraction: Share of the clips with strong labels that training
        will hold out; their sounds come from the validation split.
      strong_recordings_share: Share of the training recordings of each class,
        at least one, that the clips with strong labels draw from, and no
        others; 0 if all training clips draw from all. In AudioSet every clip is
        another video, so that the Strong set holds its share of them.
    """

    num_weak_clips: int = 4000
    num_strong_clips: int = 400
    num_eval_clips: int = 400
    seed: int = 0
    class_seed: int | None = None
    min_events: int = 1
    max_events: int = 5
    min_event_seconds: float = 0.2
    max_event_seconds: float = 4.0
    timing: TimingParams | None = None
    min_snr_db: float = -5.0
    max_snr_db: float = 20.0
    class_imbalance: float = 0.7
    weak_recall: float = 0.6
    weak_salience: float = 0.0
    weak_parent_share: float = 0.25
    weak_class_spread: float = 0.0
    weak_false_share: float = 0.0
    strong_jitter_seconds: float = 0.05
    num_explicit_negatives: int = 15
    held_out_fraction: float = 0.05
    strong_recordings_share: float = 0.0

    def __post_init__(self) -> None:
        """Raises `InputError` for a setting that is out of its range."""
        longest = self.max_event_seconds
        is_sensible = {
            "num_weak_clips": self.num_weak_clips >= 0,
            "num_strong_clips": self.num_strong_clips >= 1,
            "num_eval_clips": self.num_eval_clips >= 1,
            "seed": self.seed >= 0,
            "class_seed": self.class_seed is None or self.class_seed >= 0,
            "min_events": 1 <= self.min_events <= self.max_events,
            "min_event_seconds": 0 < self.min_event_seconds <= longest,
            "max_event_seconds": longest < CLIP_SECONDS,
            "min_snr_db": self.min_snr_db <= self.max_snr_db,
            "class_imbalance": self.class_imbalance >= 0,
            "weak_recall": 0 < self.weak_recall <= 1,
            "weak_parent_share": 0 <= self.weak_parent_share <= 1,
            "weak_salience": self.weak_salience >= 0,
            "weak_class_spread": self.weak_class_spread >= 0,
            "weak_false_share": 0 <= self.weak_false_share < 1,
            "strong_jitter_seconds": self.strong_jitter_seconds >= 0,
            "num_explicit_negatives": self.num_explicit_negatives >= 0,
            "held_out_fraction": 0 <= self.held_out_fraction < 1,
            "strong_recordings_share": 0 <= self.strong_recordings_share < 1,
        }
        for name, is_met in is_sensible.items():
            if not is_met:
                raise InputError(
                    f"{name}={getattr(self, name)} is out of range or does not "
                    f"fit the other settings; see SoundscapeParams."
                )


PRESETS = {
    "short": SoundscapeParams(),
    "audioset": SoundscapeParams(
        timing=TimingParams(),
        min_snr_db=0.0,
        max_snr_db=15.0,
        class_imbalance=1.1,
        weak_recall=0.35,
        weak_salience=6.0,
        weak_parent_share=0.6,
        weak_class_spread=1.8,
        weak_false_share=0.15,
        strong_recordings_share=1 / 27,
    ),
}


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
    waveform: npt.NDArray[np.float32]
    events: tuple[Event, ...]
    snr_db: tuple[float, ...]


def clip_rng(
    params: SoundscapeParams, purpose: str, key: str
) -> np.random.Generator:
    """Makes the generator of one clip and purpose, independent of others."""
    return _make_rng(params.seed, purpose, key)


def class_rng(
    params: SoundscapeParams, purpose: str, key: str
) -> np.random.Generator:
    """Makes the generator of what holds for a class in every clip."""
    seed = params.seed if params.class_seed is None else params.class_seed
    return _make_rng(seed, purpose, key)


def _make_rng(seed: int, purpose: str, key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}\n{purpose}\n{key}".encode())
    return np.random.default_rng(int.from_bytes(digest.digest()[:16], "big"))


def segment_id_of_clip(
    params: SoundscapeParams, subset: str, number: int
) -> str:
    """Returns the name of a clip, arguments as `make_soundscape`.

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
    ytid = group_of_segment(segment_id_of_clip(params, subset, number))
    is_validation = subset == "strong" and is_held_out(
        ytid, params.held_out_fraction
    )
    if is_validation:
        return "validation"
    has_its_own = subset == "strong" and params.strong_recordings_share > 0
    return "strong" if has_its_own else "train"


def class_probabilities(params: SoundscapeParams, num_classes: int) -> Floats:
    """Draws how common each class is, by Zipf's law in a random order.

    Returns:
      float64 `[num_classes]`, sums to 1.
    """
    ranks = np.arange(1.0, num_classes + 1)  # [num_classes]
    weights = ranks**-params.class_imbalance
    order = class_rng(params, "class order", "").permutation(num_classes)
    return weights[order] / float(weights.sum())


def make_background(rng: np.random.Generator) -> Floats:
    """Makes ambience: coloured noise that swells slowly, sometimes with a hum.

    Returns:
      float64 `[num_samples]`, RMS 1.
    """
    noise = colored_noise(rng, _CLIP_SAMPLES, rng.uniform(0.6, 2.0))
    # Swells of some dB within seconds.
    noise *= 10 ** (rng.uniform(0.0, 0.2) * wander(rng, _CLIP_SAMPLES, 0.5))
    if rng.uniform() < 0.3:
        mains_hz = np.full(_CLIP_SAMPLES, rng.choice([50.0, 60.0]))
        harmonics = rng.uniform(0.0, 1.0, 8)
        noise += rng.uniform(0.05, 0.4) * tone(mains_hz, harmonics)
    return noise / float(np.sqrt(np.mean(noise**2)))


def _audible_extent(sound: npt.NDArray[Any]) -> tuple[float, float] | None:
    """Returns (onset, offset) of what is heard over a background of RMS 1."""
    heard = np.flatnonzero(frame_levels_db(sound) > _INAUDIBLE_DB)
    if not len(heard):
        return None
    end = min((heard[-1] + 1) * LEVEL_HOP_SECONDS, len(sound) / SAMPLE_RATE)
    return heard[0] * LEVEL_HOP_SECONDS, end


def _add_event(
    mixture: Floats,
    params: SoundscapeParams,
    source: SoundSource,
    split: str,
    rng: np.random.Generator,
) -> tuple[Event, float]:
    """Mixes one sound into a clip, over a background of RMS 1, in place.

    Returns:
      The event and its level over the background in dB.
    """
    probabilities = class_probabilities(params, len(source.classes))
    mid = source.classes[rng.choice(len(source.classes), p=probabilities)].mid
    sound = source.draw(mid, split, rng, params.max_event_seconds)
    snr_db = rng.uniform(params.min_snr_db, params.max_snr_db)
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    # A Python number, so that the sound stays float32 in every NumPy.
    sound = sound * (10 ** (snr_db / 20) / (rms + 1e-9))
    start = int(rng.integers(0, _CLIP_SAMPLES - len(sound) + 1))
    mixture[start : start + len(sound)] += sound
    # Something is heard of every sound that is less than 10 dB below.
    onset, offset = _audible_extent(sound) or (0.0, len(sound) / SAMPLE_RATE)
    onset += start / SAMPLE_RATE
    offset += start / SAMPLE_RATE
    # Stretched to the shortest event, and moved back into the clip.
    offset = max(offset, onset + params.min_event_seconds)
    onset -= max(0.0, offset - CLIP_SECONDS)
    offset = min(offset, CLIP_SECONDS)
    return Event(mid, round(onset, 3), round(offset, 3)), round(snr_db, 2)


def _add_events(
    mixture: Floats,
    params: SoundscapeParams,
    timing: TimingParams,
    source: SoundSource,
    split: str,
    rng: np.random.Generator,
) -> list[tuple[Event, float]]:
    """Mixes the classes of a clip into it, as `timing` says, in place.

    Returns:
      Each event and its level in dB over what lies under it.
    """
    classes = source.classes
    probabilities = class_probabilities(params, len(classes))
    lasting = rank_lasting(
        timing, [c.typical_seconds for c in classes], probabilities
    )
    number = draw_num_classes(timing, rng, len(classes))
    chosen = rng.choice(len(classes), number, replace=False, p=probabilities)
    patterns = [
        draw_pattern(timing, rng, lasting[index], CLIP_SECONDS)
        for index in chosen
    ]
    # What lasts longest lies under the rest, so that all can be heard.
    filled = [sum(end - start for start, end in p) for p in patterns]
    made = []
    for place in np.argsort(filled, kind="stable")[::-1]:
        pattern, mid = patterns[place], classes[chosen[place]].mid
        lengths = [offset - onset for onset, offset in pattern]
        sounds = source.draw_events(mid, split, rng, lengths)
        starts = [
            min(round(onset * SAMPLE_RATE), _CLIP_SAMPLES - len(sound))
            for (onset, _), sound in zip(pattern, sounds, strict=True)
        ]
        under = [
            mixture[start : start + len(sound)]
            for start, sound in zip(starts, sounds, strict=True)
        ]  # views: what is added to them is added to the mixture
        snr_db = rng.uniform(params.min_snr_db, params.max_snr_db)
        # One level for all events of a class in a clip: they have one source.
        gain = 10 ** (snr_db / 20) * _rms(under) / (_rms(sounds) + 1e-9)
        for start, sound, below in zip(starts, sounds, under, strict=True):
            heard = _noticed_extent(sound * gain)
            below += sound * gain
            onset, offset = (start / SAMPLE_RATE + t for t in heard)
            event = Event(mid, round(onset, 3), round(offset, 3))
            made.append((event, round(float(snr_db), 2)))
    return made


def _rms(parts: Sequence[npt.NDArray[Any]]) -> float:
    """Root mean square of all samples of several waveforms."""
    samples = np.concatenate(parts)
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _noticed_extent(sound: npt.NDArray[Any]) -> tuple[float, float]:
    """Returns (onset, offset) of a sound without silence that is noticed."""
    seconds = len(sound) / SAMPLE_RATE
    onset, offset = _audible_extent(sound) or (0.0, seconds)
    return (
        onset if onset > _UNNOTICED_SECONDS else 0.0,
        offset if seconds - offset > _UNNOTICED_SECONDS else seconds,
    )


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
    mixture = make_background(rng)  # float64 [num_samples]
    if params.timing:
        made = _add_events(mixture, params, params.timing, source, split, rng)
    else:
        num_events = int(rng.integers(params.min_events, params.max_events + 1))
        made = [
            _add_event(mixture, params, source, split, rng)
            for _ in range(num_events)
        ]
    # By onset alone; events of equal onset stay in the order drawn.
    made.sort(key=lambda event_and_snr: event_and_snr[0].onset_seconds)
    peak = 10 ** (rng.uniform(*_PEAK_RANGE_DB) / 20)
    waveform = mixture * (peak / np.abs(mixture).max())
    return Soundscape(
        segment_id=segment_id_of_clip(params, subset, number),
        waveform=waveform.astype(np.float32),
        events=tuple(event for event, _ in made),
        snr_db=tuple(snr_db for _, snr_db in made),
    )
