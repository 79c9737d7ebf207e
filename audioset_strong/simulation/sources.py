"""Isolated sounds to mix soundscapes from: synthetic ones, or ESC-50's.

A source draws sounds of its classes, which `sound_classes.csv` ties to AudioSet
mids. ESC-50 is read from a folder with the layout of its repository:
`meta/esc50.csv` and the clips in `audio/`, in any format that soundfile reads.

Conventions:
  * A sound is float32 `[num_samples]`, mono, 16 kHz, and sounds from its first
    sample to its last: the silence around it is cut away, so that the onset and
    offset of its event are true. Times are in seconds.
  * Sounds belong to one split, "train", "validation", "eval" or "strong", the
    training clips with strong labels where these have recordings of their own.
    No recording, and no synthetic sound, is in two.
  * A source draws one sound, or all events of a class in a clip, which are of
    one recording, as long as wanted.

Source: Piczak, "ESC: Dataset for environmental sound classification", 2015,
https://github.com/karolpiczak/ESC-50; thresholds and shares are our choice
(BUILD_NOTES.md "Simulated release").
"""

import csv
import dataclasses
import functools
import importlib.resources
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import stable_fraction
from audioset_strong.simulation.sounds import (
    SAMPLE_RATE,
    SYNTHESIZERS,
    attack_release,
    place_in_room,
)

SPLITS = ("train", "validation", "eval")
# With recordings of their own for strong labels. The order is part of seeds.
_ALL_SPLITS = (*SPLITS, "strong")

# Levels are measured in frames of 20 ms, one every 10 ms. A float waveform of
# zeros counts as -120 dB, below the quantisation noise of 16 bits.
_FRAME_SECONDS = 0.02
LEVEL_HOP_SECONDS = 0.01
_SILENCE_DB = -120.0

# Where a recording sounds. A region starts where the level is at most 26 dB
# below the loudest frame and at least 12 dB above the noise floor; but never
# nearer to the loudest frame than 14 dB, so that a steady texture, which is its
# own floor, is active throughout. It ends 6 dB further down. Shorter silences
# than 0.25 s belong to the region around them, and regions shorter than 0.2 s
# are stretched into their decay.
_BELOW_PEAK_DB = 26.0
_ABOVE_FLOOR_DB = 12.0
_MAX_BELOW_PEAK_DB = 14.0
_HYSTERESIS_DB = 6.0
_QUIETEST_PEAK_DB = -80.0
_MIN_GAP_SECONDS = 0.25
_MIN_REGION_SECONDS = 0.2

# Fades at the cut ends of a sound, against clicks.
_FADE_IN_SECONDS = 0.005
_FADE_OUT_SECONDS = 0.02
# A cut from a texture such as rain is at least this long, so that it can be
# told from a burst.
_MIN_TEXTURE_SECONDS = 1.0
# An event that is longer than what a recording has of it goes on with another
# part: textures cross-fade, shorter sounds follow each other with pauses that
# are too short to end an event.
_CROSSFADE_SECONDS = 0.1
_PAUSE_SECONDS = (0.05, 0.2)
# A sound is not cut down to less than half where a shorter one is there.
_MOST_CUT = 2.0
# Of a part that is cut out at random, the loudest of so many is taken, so that
# it is not a pause.
_NUM_CUTS_TRIED = 4
# A synthetic "recording": so many sounds of at most so many seconds.
_NUM_SYNTHETIC_TAKES = 3
_SYNTHETIC_TAKE_SECONDS = 4.0

_ESC50_COLUMNS = ("filename", "category", "src_file")
# Shares of a category's recordings; the rest is for training.
_ESC50_SHARES = {"eval": 0.25, "validation": 0.15}
# Of five seconds each, as 16-bit samples: 80 MB a process.
_NUM_CACHED_RECORDINGS = 512


@dataclasses.dataclass(frozen=True)
class SoundClass:
    """One class of sounds.

    Attributes:
      mid: The most specific class of the sound, which strong labels name.
      display_name: Its name in class_labels_indices.csv.
      parent_mid: The class one step up in ontology.json; "" if that is not one
        of the 527.
      parent_display_name: Name of the parent.
      other_ancestor_mids: Further classes of the 527 that the sound is an
        instance of: other parents, grandparents.
      typical_seconds: Mean length of an active region of the source's
        recordings; the order of classes by it says which last.
    """

    mid: str
    display_name: str
    parent_mid: str = ""
    parent_display_name: str = ""
    other_ancestor_mids: tuple[str, ...] = ()
    typical_seconds: float = 1.0

    @property
    def all_mids(self) -> frozenset[str]:
        """Every class that is truly present when this sound is heard."""
        mids = {self.mid, self.parent_mid, *self.other_ancestor_mids}
        return frozenset(mids - {""})


def _read_sound_classes(source: str) -> dict[str, SoundClass]:
    """Reads the classes of a source from the package's table, by name."""
    package = importlib.resources.files("audioset_strong.simulation")
    text = (package / "sound_classes.csv").read_text(encoding="utf-8")
    classes = {}
    for row in csv.DictReader(text.splitlines()):
        if row.pop("source") == source:
            name, ancestors = row.pop("name"), row.pop("other_ancestor_mids")
            seconds = float(row.pop("typical_seconds"))
            classes[name] = SoundClass(
                **row,
                other_ancestor_mids=tuple(ancestors.split()),
                typical_seconds=seconds,
            )
    return classes


# Class of each synthesizer, and of each category of ESC-50. Every mid is one of
# the 527 classes, and in the vocabulary of the strong labels too. Four
# categories have no exact class and take the nearest one: can_opening (Burst,
# pop), drinking_sipping (Gurgling), insects, which are flying ones (Fly,
# housefly), and washing_machine (Whir).
SYNTHETIC_CLASSES = _read_sound_classes("synthetic")
ESC50_CLASSES = _read_sound_classes("esc50")


def release_vocabulary(classes: Sequence[SoundClass]) -> dict[str, str]:
    """Lists the classes of a source and then their parents, in a fixed order.

    Returns:
      Display name of each mid; every mid once.
    """
    names = {c.mid: c.display_name for c in classes}
    for sound_class in classes:
        mid = sound_class.parent_mid
        if mid:
            names.setdefault(mid, sound_class.parent_display_name)
    return names


def frame_levels_db(waveform: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Measures the level of every frame of a waveform `[num_samples]`.

    Returns:
      float64 `[num_frames]`, RMS in dB re full scale; frame i is centred on
      (i + 0.5) hops, and the last one may reach past the end.
    """
    hop = round(LEVEL_HOP_SECONDS * SAMPLE_RATE)
    frame = round(_FRAME_SECONDS * SAMPLE_RATE)
    num_frames = -(-len(waveform) // hop)
    before = (frame - hop) // 2
    padded = np.zeros((num_frames - 1) * hop + frame + 1)
    padded[before + 1 : before + 1 + len(waveform)] = waveform
    # A frame's energy is the difference of two running sums.
    energy = np.cumsum(padded**2)
    starts = np.arange(num_frames) * hop  # [num_frames]
    power = np.maximum(energy[starts + frame] - energy[starts], 0.0) / frame
    return 10.0 * np.log10(power + 10 ** (_SILENCE_DB / 10))


def find_active_regions(
    waveform: npt.NDArray[Any],
) -> list[tuple[float, float]]:
    """Finds the parts of a waveform `[num_samples]` in which something sounds.

    Returns:
      (onset, offset) of each region in seconds, in order, not overlapping;
      none if the waveform is silent.
    """
    if not len(waveform):
        return []
    levels = frame_levels_db(waveform)  # [num_frames]
    peak = float(levels.max())
    if peak < _QUIETEST_PEAK_DB:
        return []
    floor = float(np.percentile(levels, 10))
    start_level = max(peak - _BELOW_PEAK_DB, floor + _ABOVE_FLOOR_DB)
    start_level = min(start_level, peak - _MAX_BELOW_PEAK_DB)
    is_active = levels > start_level - _HYSTERESIS_DB
    padded = np.concatenate([[False], is_active, [False]])
    # [num_runs, 2]: the first frame of each run, and the one after it.
    runs = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
    regions: list[tuple[float, float]] = []
    for first, end in runs.tolist():
        if not (levels[first:end] > start_level).any():
            continue
        onset = first * LEVEL_HOP_SECONDS
        offset = max(end * LEVEL_HOP_SECONDS, onset + _MIN_REGION_SECONDS)
        offset = min(offset, len(waveform) / SAMPLE_RATE)
        if regions and onset - regions[-1][1] < _MIN_GAP_SECONDS:
            onset, last_offset = regions.pop()
            offset = max(offset, last_offset)
        regions.append((onset, offset))
    return regions


class SoundSource(Protocol):
    """Where isolated sounds come from; can be pickled for other processes.

    Attributes:
      classes: The classes that can be drawn, in a fixed order.
      description: What tells one source from another; JSON-ready.
    """

    classes: tuple[SoundClass, ...]
    description: dict[str, str | int]

    def draw(
        self, mid: str, split: str, rng: np.random.Generator, max_seconds: float
    ) -> npt.NDArray[np.float32]:
        """Draws one sound.

        Args:
          mid: One of the classes.
          split: One of `SPLITS`, or "strong".
          rng: Source of randomness; the sound is a function of its state.
          max_seconds: Longest sound allowed.

        Returns:
          float32 `[num_samples]`, see the module docstring.
        """
        ...

    def draw_events(
        self,
        mid: str,
        split: str,
        rng: np.random.Generator,
        seconds: Sequence[float],
    ) -> list[npt.NDArray[np.float32]]:
        """Draws all events of a class in a clip, from one recording.

        Args:
          mid: One of the classes.
          split: One of `SPLITS`, or "strong".
          rng: Source of randomness; the sounds are a function of its state.
          seconds: Length of each event.

        Returns:
          float32 `[num_samples]` of each event, as long as wanted: cut, or
          `_string_together`.
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


def make_source(
    settings: SourceSettings, strong_recordings_share: float = 0.0
) -> SoundSource:
    """Makes a sound source.

    Args:
      settings: Which one.
      strong_recordings_share: Share of the training recordings of each class
        that are the split "strong", at least one; 0 for no such split.

    Raises:
      InputError: The name is unknown, or the ESC-50 folder is not one.
    """
    if settings.name == "synthetic":
        return SyntheticSource()
    if settings.name == "esc50":
        return Esc50Source(settings.esc50_dir, strong_recordings_share)
    raise InputError(
        f"Expected 'synthetic' or 'esc50' as the sound source. Received: "
        f"{settings.name!r}."
    )


def _pad(waveform: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Appends silence, so that a burst at the end can be an event too."""
    return np.pad(waveform, (0, round(_MIN_REGION_SECONDS * SAMPLE_RATE)))


def _cut(
    waveform: npt.NDArray[Any], onset_seconds: float, offset_seconds: float
) -> npt.NDArray[np.float32]:
    """Cuts a part out, with short fades; float32 `[num_samples]`."""
    start = round(onset_seconds * SAMPLE_RATE)
    end = round(offset_seconds * SAMPLE_RATE)
    part = waveform[start:end].astype(np.float32)
    fades = attack_release(len(part), _FADE_IN_SECONDS, _FADE_OUT_SECONDS)
    return part * fades.astype(np.float32)


def _make_events(
    parts: Sequence[npt.NDArray[np.float32]],
    rng: np.random.Generator,
    seconds: Sequence[float],
) -> list[npt.NDArray[np.float32]]:
    """Makes events of given lengths from the parts of one recording."""
    events = []
    for length in seconds:
        wanted = round(length * SAMPLE_RATE)
        enough = [part for part in parts if len(part) >= wanted]
        if not enough:
            events.append(_string_together(parts, rng, wanted))
            continue
        most = _MOST_CUT * min(len(part) for part in enough)
        enough = [part for part in enough if len(part) <= most]
        part = enough[rng.integers(len(enough))]
        events.append(_fade(_random_cut(part, rng, wanted)))
    return events


def _random_cut(
    part: npt.NDArray[np.float32], rng: np.random.Generator, wanted: int
) -> npt.NDArray[np.float32]:
    """Cuts `wanted` samples: of a texture anywhere, else from its attack."""
    if len(part) < _MIN_TEXTURE_SECONDS * SAMPLE_RATE:
        return part[:wanted]
    starts = rng.integers(0, len(part) - wanted + 1, _NUM_CUTS_TRIED)
    cuts = [part[start : start + wanted] for start in starts]
    return max(cuts, key=lambda cut: float(np.square(cut).sum()))


def _fade(
    part: npt.NDArray[np.float32],
    fade_in: float = _FADE_IN_SECONDS,
    fade_out: float = _FADE_OUT_SECONDS,
) -> npt.NDArray[np.float32]:
    """Fades both ends of a sound."""
    fades = attack_release(len(part), fade_in, fade_out)
    return part * fades.astype(np.float32)


def _string_together(
    parts: Sequence[npt.NDArray[np.float32]],
    rng: np.random.Generator,
    wanted: int,
) -> npt.NDArray[np.float32]:
    """Goes on with further parts of a recording until `wanted` samples.

    Every part is used once, in a random order, before one is used again.
    """
    sound = np.zeros(wanted, np.float32)
    crossfade = round(_CROSSFADE_SECONDS * SAMPLE_RATE)
    order: list[int] = []
    position = 0
    while position < wanted:
        order = order or rng.permutation(len(parts)).tolist()
        part = parts[order.pop()]
        is_texture = len(part) >= _MIN_TEXTURE_SECONDS * SAMPLE_RATE
        overlap = crossfade if is_texture and position else 0
        start = position - min(overlap, position)
        part = part[: wanted - start]
        edge = _CROSSFADE_SECONDS if overlap else _FADE_IN_SECONDS
        is_last = start + len(part) >= wanted
        end = _CROSSFADE_SECONDS if is_texture else _FADE_OUT_SECONDS
        part = _fade(part, edge, _FADE_OUT_SECONDS if is_last else end)
        sound[start : start + len(part)] += part
        position = start + len(part)
        if not is_texture:
            position += round(rng.uniform(*_PAUSE_SECONDS) * SAMPLE_RATE)
    return sound


class SyntheticSource:
    """Sounds that `sounds.py` synthesises; every one is new."""

    def __init__(self) -> None:
        self.classes = tuple(SYNTHETIC_CLASSES.values())
        self.description: dict[str, str | int] = {"name": "synthetic"}
        self._synthesizer_of_mid = {
            sound_class.mid: SYNTHESIZERS[name]
            for name, sound_class in SYNTHETIC_CLASSES.items()
        }

    def draw(
        self, mid: str, split: str, rng: np.random.Generator, max_seconds: float
    ) -> npt.NDArray[np.float32]:
        """See `SoundSource.draw`."""
        # The split is part of the seed, so that equal generators give
        # different sounds in different splits.
        seed = [_ALL_SPLITS.index(split), int(rng.integers(2**62))]
        split_rng = np.random.default_rng(seed)
        sound = self._synthesizer_of_mid[mid](split_rng, max_seconds)
        sound = place_in_room(split_rng, sound, max_seconds)
        sound = _pad(sound / (float(np.abs(sound).max()) + 1e-12))
        regions = find_active_regions(sound)
        onset, offset = regions[0][0], regions[-1][1]
        return _cut(sound, onset, min(offset, onset + max_seconds))

    def draw_events(
        self,
        mid: str,
        split: str,
        rng: np.random.Generator,
        seconds: Sequence[float],
    ) -> list[npt.NDArray[np.float32]]:
        """See `SoundSource.draw_events`."""
        takes = [
            self.draw(mid, split, rng, _SYNTHETIC_TAKE_SECONDS)
            for _ in range(_NUM_SYNTHETIC_TAKES)
        ]
        return _make_events(takes, rng, seconds)


class Esc50Source:
    """Sounds cut out of the recordings of ESC-50.

    A sound is one active region of a clip, such as one bark; of a region longer
    than allowed, such as rain, it is a random part.
    """

    def __init__(
        self, folder: str, strong_recordings_share: float = 0.0
    ) -> None:
        """Reads the table of clips; audio is decoded when it is drawn.

        Args:
          folder: Holds `audio/` and `meta/esc50.csv`, as the repository does.
          strong_recordings_share: See `make_source`.

        Raises:
          InputError: See `read_esc50_clips` and `split_recordings`.
        """
        clips = read_esc50_clips(folder)
        split_of_recording = split_recordings(clips, strong_recordings_share)
        categories = sorted({clip.category for clip in clips})
        self.classes = tuple(ESC50_CLASSES[c] for c in categories)
        self.description: dict[str, str | int] = {
            "name": "esc50",
            "num_recordings": len(split_of_recording),
            "num_clips": len(clips),
        }
        self._paths: dict[tuple[str, str], list[str]] = {}
        self._takes: dict[tuple[str, str], dict[str, list[str]]] = {}
        for clip in clips:
            mid = ESC50_CLASSES[clip.category].mid
            key = mid, split_of_recording[clip.recording]
            self._paths.setdefault(key, []).append(clip.path)
            takes = self._takes.setdefault(key, {})
            takes.setdefault(clip.recording, []).append(clip.path)

    def draw(
        self, mid: str, split: str, rng: np.random.Generator, max_seconds: float
    ) -> npt.NDArray[np.float32]:
        """See `SoundSource.draw`.

        Raises:
          InputError: All clips of the class are silent.
        """
        paths = self._paths[mid, split]
        for index in rng.permutation(len(paths)):
            samples, regions = _load(paths[index])
            if regions:
                onset, offset = regions[rng.integers(len(regions))]
                if offset - onset > max_seconds:
                    shortest = min(_MIN_TEXTURE_SECONDS, max_seconds)
                    length = rng.uniform(shortest, max_seconds)
                    onset = rng.uniform(onset, offset - length)
                    offset = onset + length
                return _cut(samples, onset, offset) / np.float32(2**15)
        raise _all_silent(mid, paths)

    def draw_events(
        self,
        mid: str,
        split: str,
        rng: np.random.Generator,
        seconds: Sequence[float],
    ) -> list[npt.NDArray[np.float32]]:
        """See `SoundSource.draw_events`; all clips of a recording are used.

        Raises:
          InputError: All clips of the class are silent.
        """
        recordings = list(self._takes[mid, split].values())
        for index in rng.permutation(len(recordings)):
            parts = [
                _cut(samples, *region) / np.float32(2**15)
                for samples, regions in map(_load, recordings[index])
                for region in regions
            ]
            if parts:
                return _make_events(parts, rng, seconds)
        raise _all_silent(mid, self._paths[mid, split])


def _all_silent(mid: str, paths: Sequence[str]) -> InputError:
    return InputError(
        f"Expected sound in at least one of {len(paths)} clips of class "
        f"{mid}, such as {paths[0]}; all are silent."
    )


@dataclasses.dataclass(frozen=True)
class Esc50Clip:
    """One clip of ESC-50.

    Attributes:
      path: Audio file.
      category: Name of its category, a key of `ESC50_CLASSES`.
      recording: `src_file`: the Freesound recording that it was cut from.
    """

    path: str
    category: str
    recording: str


def read_esc50_clips(folder: str) -> list[Esc50Clip]:
    """Reads the table of clips of an ESC-50 folder, in file order.

    Raises:
      InputError: The folder is not ESC-50's, a column or an audio file is
        missing, or a category is unknown.
    """
    table_path = os.path.join(folder, "meta", "esc50.csv")
    if not os.path.isfile(table_path):
        raise InputError(
            f"Expected the ESC-50 table {table_path!r}, found no such file. "
            f"Give the folder that holds 'meta' and 'audio' as esc50_dir."
        )
    with open(table_path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        absent = sorted(set(_ESC50_COLUMNS) - set(reader.fieldnames or ()))
        if absent:
            raise InputError(
                f"{table_path}:1: expected the columns {list(_ESC50_COLUMNS)}, "
                f"found no {absent}."
            )
        clips = [
            Esc50Clip(
                os.path.join(folder, "audio", row["filename"] or ""),
                row["category"],
                row["src_file"],
            )
            for row in reader
        ]
    if not clips:
        raise InputError(f"{table_path}: expected clips, found none.")
    unknown = sorted({str(c.category) for c in clips} - set(ESC50_CLASSES))
    if unknown:
        raise InputError(
            f"{table_path}: expected the categories of ESC-50, found {unknown}."
        )
    missing = [c.path for c in clips if not os.path.isfile(c.path)]
    if missing:
        raise InputError(
            f"{table_path} lists {len(missing)} audio files that are not "
            f"there, first {missing[0]!r}. Copy the whole 'audio' folder."
        )
    return clips


def split_recordings(
    clips: Sequence[Esc50Clip], strong_recordings_share: float = 0.0
) -> dict[str, str]:
    """Splits recordings 60 / 15 / 25 into train, validation and eval.

    The split is made category by category, in the order of a stable hash, so
    that every category has recordings in every split. The few recordings with
    clips of two categories stay where the first category put them.

    Args:
      clips: All clips.
      strong_recordings_share: Share of each category's training recordings
        that become the split "strong", at least one and never all; 0 for none.

    Returns:
      Split of each recording.

    Raises:
      InputError: A category has too few recordings for three splits.
    """
    recordings_of: dict[str, set[str]] = {}
    for clip in clips:
        recordings_of.setdefault(clip.category, set()).add(clip.recording)
    split_of: dict[str, str] = {}
    for category, recordings in sorted(recordings_of.items()):
        taken = [split_of.get(recording) for recording in recordings]
        lacking = {
            split: max(1, round(share * len(recordings))) - taken.count(split)
            for split, share in _ESC50_SHARES.items()
        }
        for recording in sorted(
            recordings - split_of.keys(),
            key=lambda r: stable_fraction(r, salt="recording"),
        ):
            split = next((s for s, n in lacking.items() if n > 0), "train")
            split_of[recording] = split
            lacking[split] = lacking.get(split, 0) - 1
        if len({split_of[r] for r in recordings}) < len(SPLITS):
            raise InputError(
                f"Expected at least 3 recordings (src_file) of {category!r} to "
                f"split into train, validation and eval. Received: "
                f"{len(recordings)}."
            )
    if strong_recordings_share:
        _split_off_strong(split_of, recordings_of, strong_recordings_share)
    return split_of


def _split_off_strong(
    split_of: dict[str, str],
    recordings_of: Mapping[str, set[str]],
    share: float,
) -> None:
    """Moves training recordings of every category to the split "strong"."""
    for category, recordings in sorted(recordings_of.items()):
        training = [r for r in recordings if split_of[r] == "train"]
        strong = [r for r in recordings if split_of[r] == "strong"]
        of_both = len(training) + len(strong)
        if of_both < 2:
            raise InputError(
                f"Expected at least 2 training recordings (src_file) of "
                f"{category!r}, one of them for strong labels. Received: "
                f"{of_both}."
            )
        wanted = min(max(1, round(share * of_both)), of_both - 1)
        training.sort(key=lambda r: stable_fraction(r, salt="strong"))
        for recording in training[: max(0, wanted - len(strong))]:
            split_of[recording] = "strong"


def read_waveform(path: str) -> npt.NDArray[np.float32]:
    """Decodes an audio file of any rate and number of channels.

    Returns:
      float32 `[num_samples]`, mono, 16 kHz, in about [-1, 1].

    Raises:
      InputError: The file cannot be decoded or holds no audio.
    """
    try:
        samples, sample_rate = soundfile.read(
            path, dtype="float32", always_2d=True
        )  # [num_samples, num_channels]
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(
            f"{path}: expected an audio file, found one that cannot be read "
            f"({error}). Copy it again."
        ) from error
    mono: npt.NDArray[np.float32] = samples.mean(axis=1)  # [num_samples]
    if not len(mono) or not np.isfinite(mono).all():
        raise InputError(f"{path}: expected audio, found none. Copy it again.")
    if sample_rate != SAMPLE_RATE:
        mono = soxr.resample(mono, sample_rate, SAMPLE_RATE)
    return mono


@functools.lru_cache(_NUM_CACHED_RECORDINGS)
def _load(path: str) -> tuple[npt.NDArray[np.int16], list[tuple[float, float]]]:
    """Decodes a clip to int16, half the memory, and finds what sounds in it."""
    waveform = _pad(read_waveform(path))
    samples = np.clip(np.rint(waveform * 2**15), -(2**15), 2**15 - 1)
    return samples.astype(np.int16), find_active_regions(waveform)
