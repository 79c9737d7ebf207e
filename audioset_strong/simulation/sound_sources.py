"""Isolated sounds to mix soundscapes from: synthetic ones and ESC-50.

Conventions:
  * A sound is float32 `[num_samples]`, mono, 16 kHz, and sounds from its first
    sample to its last: silence around it is cut away, so that the onset and
    offset of its event are true.
  * Sounds belong to one split, "train", "validation" or "eval". No recording,
    and no synthetic sound, is in two.
"""

import dataclasses
import functools
from typing import Protocol

import numpy as np

from audioset_strong.errors import InputError
from audioset_strong.simulation import esc50
from audioset_strong.simulation.active_regions import (
    ActivityParams,
    find_active_regions,
)
from audioset_strong.simulation.sound_classes import (
    ESC50_CLASSES,
    SYNTHETIC_CLASSES,
    SoundClass,
)
from audioset_strong.simulation.synthesis import (
    SAMPLE_RATE,
    attack_release,
    place_in_room,
)
from audioset_strong.simulation.synthetic_sounds import SYNTHESIZERS

SPLITS = ("train", "validation", "eval")
_FADE_IN_SECONDS = 0.005
_FADE_OUT_SECONDS = 0.02
# A longer cut than this from a texture, so that it can be told from a burst.
_MIN_TEXTURE_SECONDS = 1.0
# Of five seconds each, as 16-bit samples: 80 MB a process.
_NUM_CACHED_RECORDINGS = 512


class SoundSource(Protocol):
    """Where isolated sounds come from.

    Attributes:
      classes: The classes that can be drawn, in a fixed order.
      description: What tells one source from another; JSON-ready.
    """

    classes: tuple[SoundClass, ...]
    description: dict[str, str | int]

    def draw(
        self,
        mid: str,
        split: str,
        rng: np.random.Generator,
        max_seconds: float,
    ) -> np.ndarray:
        """Draws one sound.

        Args:
          mid: One of the classes.
          split: One of `SPLITS`.
          rng: Source of chance; the sound is a function of its state.
          max_seconds: Longest sound allowed.

        Returns:
          float32 `[num_samples]`, see the module docstring.
        """
        ...


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """Which sound source to use.

    Attributes:
      name: "synthetic" or "esc50".
      esc50_dir: Folder of ESC-50, for "esc50".
    """

    name: str = "synthetic"
    esc50_dir: str = ""


def make_source(settings: SourceSettings) -> SoundSource:
    """Makes a sound source.

    Raises:
      InputError: The name is unknown, or the ESC-50 folder is not one.
    """
    if settings.name == "synthetic":
        return SyntheticSource()
    if settings.name == "esc50":
        return Esc50Source(settings.esc50_dir)
    raise InputError(
        f"Expected 'synthetic' or 'esc50' as the sound source. Received: "
        f"{settings.name!r}."
    )


def _pad(waveform: np.ndarray) -> np.ndarray:
    """Appends silence, so that a burst at the end can be an event too."""
    silence = ActivityParams().min_region_seconds
    return np.pad(waveform, (0, round(silence * SAMPLE_RATE)))


def _cut(
    waveform: np.ndarray, onset_seconds: float, offset_seconds: float
) -> np.ndarray:
    """Cuts a part out, with short fades; float32 `[num_samples]`."""
    start = round(onset_seconds * SAMPLE_RATE)
    end = round(offset_seconds * SAMPLE_RATE)
    part = waveform[start:end].astype(np.float32)
    return part * attack_release(
        len(part), _FADE_IN_SECONDS, _FADE_OUT_SECONDS
    ).astype(np.float32)


def _check_split(split: str) -> int:
    """Returns the number of a split."""
    if split not in SPLITS:
        raise ValueError(f"Expected a split of {SPLITS}. Received: {split!r}.")
    return SPLITS.index(split)


class SyntheticSource:
    """Sounds that `synthetic_sounds` makes; every one is new."""

    def __init__(self) -> None:
        self.classes = tuple(SYNTHETIC_CLASSES.values())
        self.description: dict[str, str | int] = {"name": "synthetic"}
        self._synthesizer_of_mid = {
            sound_class.mid: SYNTHESIZERS[name]
            for name, sound_class in SYNTHETIC_CLASSES.items()
        }

    def draw(
        self,
        mid: str,
        split: str,
        rng: np.random.Generator,
        max_seconds: float,
    ) -> np.ndarray:
        """See `SoundSource.draw`."""
        # The split is part of the seed, so that equal generators give
        # different sounds in different splits.
        seed = [_check_split(split), int(rng.integers(2**62))]
        split_rng = np.random.default_rng(seed)
        sound = self._synthesizer_of_mid[mid](split_rng, max_seconds)
        sound = place_in_room(split_rng, sound, max_seconds)
        sound = _pad(sound / (np.abs(sound).max() + 1e-12))
        regions = find_active_regions(sound)
        onset, offset = regions[0][0], regions[-1][1]
        return _cut(sound, onset, min(offset, onset + max_seconds))


class Esc50Source:
    """Sounds cut out of the recordings of ESC-50.

    A sound is one active region of a clip, such as one bark; of a region longer
    than allowed, such as rain, it is a random part.
    """

    def __init__(self, folder: str) -> None:
        """Reads the table of clips; audio is decoded when it is drawn.

        Args:
          folder: Holds `audio/` and `meta/esc50.csv`, as the repository does.

        Raises:
          InputError: See `esc50.read_clips` and `esc50.split_recordings`.
        """
        clips = esc50.read_clips(folder)
        split_of_recording = esc50.split_recordings(clips)
        categories = sorted({clip.category for clip in clips})
        self.classes = tuple(ESC50_CLASSES[c] for c in categories)
        self.description: dict[str, str | int] = {
            "name": "esc50",
            "num_recordings": len(split_of_recording),
            "num_clips": len(clips),
        }
        self._paths: dict[tuple[str, str], list[str]] = {}
        for clip in clips:
            mid = ESC50_CLASSES[clip.category].mid
            key = mid, split_of_recording[clip.recording]
            self._paths.setdefault(key, []).append(clip.path)
        self._load = functools.lru_cache(_NUM_CACHED_RECORDINGS)(_load)

    def draw(
        self,
        mid: str,
        split: str,
        rng: np.random.Generator,
        max_seconds: float,
    ) -> np.ndarray:
        """See `SoundSource.draw`.

        Raises:
          InputError: All clips of the class are silent.
        """
        _check_split(split)
        paths = self._paths[mid, split]
        for index in rng.permutation(len(paths)):
            samples, regions = self._load(paths[index])
            if regions:
                onset, offset = regions[rng.integers(len(regions))]
                onset, offset = _part(onset, offset, rng, max_seconds)
                return _cut(samples, onset, offset) / np.float32(2**15)
        raise InputError(
            f"Expected sound in at least one of {len(paths)} clips of class "
            f"{mid}, such as {paths[0]}; all are silent."
        )


def _load(path: str) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Decodes a clip and finds its active regions.

    Returns:
      samples: int16 `[num_samples]`, which take half the memory of float32.
      regions: (onset, offset) in seconds.
    """
    waveform = _pad(esc50.read_waveform(path))
    samples = np.clip(np.rint(waveform * 2**15), -(2**15), 2**15 - 1)
    return samples.astype(np.int16), find_active_regions(waveform)


def _part(
    onset: float, offset: float, rng: np.random.Generator, max_seconds: float
) -> tuple[float, float]:
    """Draws a part of a region that is longer than allowed."""
    if offset - onset <= max_seconds:
        return onset, offset
    shortest = min(_MIN_TEXTURE_SECONDS, max_seconds)
    length = rng.uniform(shortest, max_seconds)
    onset = rng.uniform(onset, offset - length)
    return onset, onset + length
