"""Classes of the simulated release: the AudioSet mids of its sounds.

Every mid is in the 527 classes of class_labels_indices.csv, and every class
that sounds are made of is also in the vocabulary of the strong labels. The
parent is the class one step up in ontology.json, where the 527 have it; weak
annotators are sometimes offered the parent instead of the class.

Source: the released class_labels_indices.csv, mid_to_display_name.tsv and
ontology.json; the choice of classes is ours (BUILD_NOTES.md "Simulated
release").

Finds where a recording sounds, so that onsets and offsets are true.

Times are in seconds from the start of the waveform. Thresholds are our choice
(BUILD_NOTES.md "Simulated release").

Reads ESC-50: its table of clips, the split of its recordings, its audio.

The folder has the layout of the ESC-50 repository: `meta/esc50.csv` with at
least the columns filename, category and src_file, and the clips in `audio/`, in
any format that soundfile reads and at any sample rate.

Source: Piczak, "ESC: Dataset for environmental sound classification", 2015;
https://github.com/karolpiczak/ESC-50.

Isolated sounds to mix soundscapes from: synthetic ones and ESC-50.

Conventions:
  * A sound is float32 `[num_samples]`, mono, 16 kHz, and sounds from its first
    sample to its last: silence around it is cut away, so that the onset and
    offset of its event are true.
  * Sounds belong to one split, "train", "validation" or "eval". No recording,
    and no synthetic sound, is in two.
"""

import csv
import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
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

# --- sound classes ---------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SoundClass:
    """One class of sounds.

    Attributes:
      mid: The most specific class of the sound, which strong labels name.
      display_name: Its name in class_labels_indices.csv.
      parent_mid: The class above it; "" if the 527 have none.
      parent_display_name: Name of the parent.
      other_ancestor_mids: Further classes of the same table that the sound is
        an instance of: other parents, grandparents.
    """

    mid: str
    display_name: str
    parent_mid: str = ""
    parent_display_name: str = ""
    other_ancestor_mids: tuple[str, ...] = ()

    @property
    def all_mids(self) -> frozenset[str]:
        """Every class that is truly present when this sound is heard."""
        mids = {self.mid, self.parent_mid, *self.other_ancestor_mids}
        return frozenset(mids - {""})


def release_vocabulary(classes: Sequence[SoundClass]) -> dict[str, str]:
    """Returns the classes and then their parents, in a fixed order.

    Args:
      classes: The classes of a sound source.

    Returns:
      Display name of each mid; every mid once.
    """
    names = {c.mid: c.display_name for c in classes}
    for sound_class in classes:
        if sound_class.parent_mid:
            names.setdefault(
                sound_class.parent_mid, sound_class.parent_display_name
            )
    return names


# Class of each synthesizer in synthetic_sounds.py.
SYNTHETIC_CLASSES: dict[str, SoundClass] = {
    "accelerating": SoundClass(
        "/m/07q2z82", "Accelerating, revving, vroom", "/m/02mk9", "Engine"
    ),
    "bark": SoundClass("/m/05tny_", "Bark", "/m/0bt9lr", "Dog"),
    "beep": SoundClass("/m/02fs_r", "Beep, bleep"),
    "chirp": SoundClass(
        "/m/07pggtn",
        "Chirp, tweet",
        "/m/020bb7",
        "Bird vocalization, bird call, bird song",
    ),
    "church_bell": SoundClass("/m/03w41f", "Church bell", "/m/0395lw", "Bell"),
    "civil_defense_siren": SoundClass(
        "/m/0dgbq", "Civil defense siren", "/m/03kmc9", "Siren"
    ),
    "cricket": SoundClass("/m/09xqv", "Cricket", "/m/03vt0", "Insect"),
    "drip": SoundClass("/m/07r5v4s", "Drip", "/m/04k94", "Liquid"),
    "gunshot": SoundClass(
        "/m/032s66", "Gunshot, gunfire", "/m/014zdl", "Explosion"
    ),
    "idling": SoundClass("/m/07pb8fc", "Idling", "/m/02mk9", "Engine"),
    "knock": SoundClass("/m/07r4wb8", "Knock", "/m/02dgv", "Door"),
    "mosquito": SoundClass("/m/09f96", "Mosquito", "/m/03vt0", "Insect"),
    "police_siren": SoundClass(
        "/m/04qvtq", "Police car (siren)", "/m/03kmc9", "Siren"
    ),
    "rain": SoundClass("/t/dd00038", "Rain on surface", "/m/06mb1", "Rain"),
    "squeak": SoundClass("/m/07q6cd_", "Squeak", "/m/02dgv", "Door"),
    "steam_whistle": SoundClass(
        "/m/06hck5", "Steam whistle", "/m/0l156k", "Whistle"
    ),
    "tick": SoundClass("/m/07qjznt", "Tick", "/m/01x3z", "Clock"),
    "vehicle_horn": SoundClass(
        "/m/0912c9", "Vehicle horn, car horn, honking", "/m/0k4j", "Car"
    ),
    "white_noise": SoundClass("/m/0chx_", "White noise", "/m/096m7z", "Noise"),
    "wind": SoundClass(
        "/t/dd00092", "Wind noise (microphone)", "/m/03m9d0z", "Wind"
    ),
}

# Class of each category of ESC-50. Four categories have no exact class and take
# the nearest one: can_opening (Burst, pop), drinking_sipping (Gurgling),
# insects, which are flying ones (Fly, housefly), and washing_machine (Whir).
ESC50_CLASSES: dict[str, SoundClass] = {
    "airplane": SoundClass(
        "/m/0cmf2", "Fixed-wing aircraft, airplane", "/m/0k5j", "Aircraft"
    ),
    "breathing": SoundClass("/m/0lyf6", "Breathing"),
    "brushing_teeth": SoundClass("/m/012xff", "Toothbrush"),
    "can_opening": SoundClass(
        "/m/07qsvvw", "Burst, pop", "/m/014zdl", "Explosion"
    ),
    "car_horn": SoundClass(
        "/m/0912c9",
        "Vehicle horn, car horn, honking",
        "/m/0k4j",
        "Car",
        ("/m/07pp_mv",),
    ),
    "cat": SoundClass("/m/07qrkrw", "Meow", "/m/01yrx", "Cat"),
    "chainsaw": SoundClass(
        "/m/01j4z9",
        "Chainsaw",
        "/t/dd00065",
        "Light engine (high frequency)",
        ("/m/02mk9",),
    ),
    "chirping_birds": SoundClass(
        "/m/07pggtn",
        "Chirp, tweet",
        "/m/020bb7",
        "Bird vocalization, bird call, bird song",
    ),
    "church_bells": SoundClass("/m/03w41f", "Church bell", "/m/0395lw", "Bell"),
    "clapping": SoundClass("/m/0l15bq", "Clapping", "/m/0k65p", "Hands"),
    "clock_alarm": SoundClass(
        "/m/046dlr", "Alarm clock", "/m/07pp_mv", "Alarm"
    ),
    "clock_tick": SoundClass("/m/07qjznl", "Tick-tock", "/m/01x3z", "Clock"),
    "coughing": SoundClass("/m/01b_21", "Cough"),
    "cow": SoundClass("/m/07rpkh9", "Moo", "/m/01xq0k1", "Cattle, bovinae"),
    "crackling_fire": SoundClass("/m/07pzfmf", "Crackle", "/m/02_41", "Fire"),
    "crickets": SoundClass("/m/09xqv", "Cricket", "/m/03vt0", "Insect"),
    "crow": SoundClass("/m/07r5c2p", "Caw", "/m/04s8yn", "Crow"),
    "crying_baby": SoundClass(
        "/t/dd00002", "Baby cry, infant cry", "/m/0463cq4", "Crying, sobbing"
    ),
    "dog": SoundClass("/m/05tny_", "Bark", "/m/0bt9lr", "Dog"),
    "door_wood_creaks": SoundClass("/m/07qh7jl", "Creak"),
    "door_wood_knock": SoundClass("/m/07r4wb8", "Knock", "/m/02dgv", "Door"),
    "drinking_sipping": SoundClass(
        "/m/07swgks", "Gurgling", "/m/0838f", "Water"
    ),
    "engine": SoundClass(
        "/t/dd00066", "Medium engine (mid frequency)", "/m/02mk9", "Engine"
    ),
    "fireworks": SoundClass("/m/0g6b5", "Fireworks", "/m/014zdl", "Explosion"),
    "footsteps": SoundClass("/m/07pbtc8", "Walk, footsteps"),
    "frog": SoundClass("/m/07st88b", "Croak", "/m/09ld4", "Frog"),
    "glass_breaking": SoundClass("/m/07rn7sz", "Shatter", "/m/039jq", "Glass"),
    "hand_saw": SoundClass("/m/01b82r", "Sawing", "/m/07k1x", "Tools"),
    "helicopter": SoundClass("/m/09ct_", "Helicopter", "/m/0k5j", "Aircraft"),
    "hen": SoundClass("/m/07st89h", "Cluck", "/m/09b5t", "Chicken, rooster"),
    "insects": SoundClass("/m/0h2mp", "Fly, housefly", "/m/03vt0", "Insect"),
    "keyboard_typing": SoundClass(
        "/m/01m2v", "Computer keyboard", "/m/0316dw", "Typing"
    ),
    "laughing": SoundClass("/m/01j3sz", "Laughter"),
    "mouse_click": SoundClass("/m/07qc9xj", "Clicking"),
    "pig": SoundClass("/t/dd00018", "Oink", "/m/068zj", "Pig"),
    "pouring_water": SoundClass("/m/07prgkl", "Pour", "/m/04k94", "Liquid"),
    "rain": SoundClass(
        "/t/dd00038", "Rain on surface", "/m/06mb1", "Rain", ("/m/0838f",)
    ),
    "rooster": SoundClass(
        "/m/07qn5dc",
        "Crowing, cock-a-doodle-doo",
        "/m/09b5t",
        "Chicken, rooster",
    ),
    "sea_waves": SoundClass(
        "/m/034srq", "Waves, surf", "/m/05kq4", "Ocean", ("/m/0838f",)
    ),
    "sheep": SoundClass("/m/07q0h5t", "Bleat", "/m/07bgp", "Sheep"),
    "siren": SoundClass("/m/03kmc9", "Siren", "/m/07pp_mv", "Alarm"),
    "sneezing": SoundClass("/m/01hsr_", "Sneeze"),
    "snoring": SoundClass("/m/01d3sd", "Snoring", "/m/0lyf6", "Breathing"),
    "thunderstorm": SoundClass(
        "/m/0ngt1", "Thunder", "/m/0jb2l", "Thunderstorm"
    ),
    "toilet_flush": SoundClass("/m/01jt3m", "Toilet flush"),
    "train": SoundClass("/m/07jdr", "Train", "/m/06d_3", "Rail transport"),
    "vacuum_cleaner": SoundClass("/m/0d31p", "Vacuum cleaner"),
    "washing_machine": SoundClass("/m/07s34ls", "Whir"),
    "water_drops": SoundClass("/m/07r5v4s", "Drip", "/m/04k94", "Liquid"),
    "wind": SoundClass(
        "/t/dd00092", "Wind noise (microphone)", "/m/03m9d0z", "Wind"
    ),
}


# --- active regions --------------------------------------------------------


# Level of silence: below the quantisation noise of 16 bits.
_SILENCE_DB = -120.0


@dataclasses.dataclass(frozen=True)
class ActivityParams:
    """What counts as sound.

    Attributes:
      frame_seconds: Length of the frames whose level is measured.
      hop_seconds: Hop between them.
      below_peak_db: A region starts where the level is at most this far below
        the loudest frame ...
      above_floor_db: ... and at least this far above the noise floor ...
      max_below_peak_db: ... but never nearer to the loudest frame than this,
        so that a steady texture, which is its own floor, is active throughout.
      hysteresis_db: How much further the level falls before the region ends.
      min_gap_seconds: Shorter silences belong to the region around them.
      min_region_seconds: Shorter regions are stretched into their decay.
    """

    frame_seconds: float = 0.02
    hop_seconds: float = 0.01
    below_peak_db: float = 26.0
    above_floor_db: float = 12.0
    max_below_peak_db: float = 14.0
    hysteresis_db: float = 6.0
    min_gap_seconds: float = 0.25
    min_region_seconds: float = 0.2


def frame_levels_db(
    waveform: np.ndarray, params: ActivityParams = ActivityParams()
) -> np.ndarray:
    """Measures the level of every frame.

    Args:
      waveform: float `[num_samples]`.
      params: Length and hop of the frames.

    Returns:
      float64 `[num_frames]`, RMS in dB re full scale; frame i is centred on
      (i + 0.5) hops, and the last one may reach past the end.
    """
    hop = round(params.hop_seconds * SAMPLE_RATE)
    frame = round(params.frame_seconds * SAMPLE_RATE)
    num_frames = -(-len(waveform) // hop)
    before = (frame - hop) // 2
    padded = np.zeros((num_frames - 1) * hop + frame + 1)
    padded[before + 1 : before + 1 + len(waveform)] = waveform
    energy = np.cumsum(padded**2)
    starts = np.arange(num_frames) * hop
    power = np.maximum(energy[starts + frame] - energy[starts], 0.0) / frame
    return 10 * np.log10(power + 10 ** (_SILENCE_DB / 10))


def runs_of_true(is_true: np.ndarray) -> np.ndarray:
    """Finds runs of True.

    Args:
      is_true: bool `[num_frames]`.

    Returns:
      int64 `[num_runs, 2]`: first frame of each run, and the one after it.
    """
    padded = np.concatenate([[False], is_true, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def find_active_regions(
    waveform: np.ndarray, params: ActivityParams = ActivityParams()
) -> list[tuple[float, float]]:
    """Finds the parts of a waveform in which something sounds.

    Args:
      waveform: float `[num_samples]`.
      params: What counts as sound.

    Returns:
      (onset, offset) of each region in seconds, in order, not overlapping;
      none if the waveform is silent.
    """
    if not len(waveform):
        return []
    levels = frame_levels_db(waveform, params)
    peak = float(levels.max())
    if peak < -80.0:
        return []
    floor = float(np.percentile(levels, 10))
    start_level = max(
        peak - params.below_peak_db, floor + params.above_floor_db
    )
    start_level = min(start_level, peak - params.max_below_peak_db)
    runs = runs_of_true(levels > start_level - params.hysteresis_db)
    loud = [r for r in runs if (levels[r[0] : r[1]] > start_level).any()]
    return _merge(np.array(loud) * params.hop_seconds, waveform, params)


def _merge(
    runs: np.ndarray, waveform: np.ndarray, params: ActivityParams
) -> list[tuple[float, float]]:
    """Joins runs across short gaps and stretches the shortest."""
    end_seconds = len(waveform) / SAMPLE_RATE
    regions: list[tuple[float, float]] = []
    for start, end in runs:
        onset = float(start)
        shortest_end = onset + params.min_region_seconds
        offset = min(max(float(end), shortest_end), end_seconds)
        if regions and onset - regions[-1][1] < params.min_gap_seconds:
            onset, offset = regions[-1][0], max(offset, regions[-1][1])
            regions[-1] = (onset, offset)
        else:
            regions.append((onset, offset))
    return regions


# --- esc50 -----------------------------------------------------------------


_COLUMNS = ("filename", "category", "src_file")
# Shares of a category's recordings; the rest is for training. Our choice.
_EVAL_SHARE = 0.25
_VALIDATION_SHARE = 0.15


@dataclasses.dataclass(frozen=True)
class Esc50Clip:
    """One clip.

    Attributes:
      path: Audio file.
      category: Name of its category, a key of `ESC50_CLASSES`.
      recording: `src_file`: the Freesound recording that it was cut from.
    """

    path: str
    category: str
    recording: str


def read_clips(folder: str) -> list[Esc50Clip]:
    """Reads the table of clips.

    Args:
      folder: The ESC-50 folder.

    Returns:
      The clips, in file order.

    Raises:
      InputError: The folder is not ESC-50's, a column or an audio file is
        missing, or a category is unknown.
    """
    table_path = os.path.join(folder, "meta", "esc50.csv")
    if not os.path.isfile(table_path):
        raise InputError(
            f"Expected the ESC-50 table {table_path!r}, found no such file. "
            f"Give --esc50_dir the folder that holds 'meta' and 'audio'."
        )
    with open(table_path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(_COLUMNS) - set(reader.fieldnames or ()))
        if missing:
            raise InputError(
                f"{table_path}:1: expected the columns {list(_COLUMNS)}, found "
                f"no {missing}."
            )
        clips = [_make_clip(folder, row) for row in reader]
    _check_clips(table_path, clips)
    return clips


def _make_clip(folder: str, row: dict[str, str]) -> Esc50Clip:
    """Makes a clip of one row of the table."""
    path = os.path.join(folder, "audio", row["filename"] or "")
    return Esc50Clip(path, row["category"], row["src_file"])


def _check_clips(table_path: str, clips: Sequence[Esc50Clip]) -> None:
    """Raises `InputError` for no clips, unknown categories, missing files."""
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


def split_recordings(clips: Sequence[Esc50Clip]) -> dict[str, str]:
    """Splits recordings 60 / 15 / 25 into train, validation and eval.

    The split is made category by category, in the order of a stable hash, so
    that every category has recordings in every split. The few recordings with
    clips of two categories stay where the first category put them.

    Args:
      clips: All clips.

    Returns:
      Split of each recording.

    Raises:
      InputError: A category has too few recordings for three splits.
    """
    recordings: dict[str, set[str]] = {}
    for clip in clips:
        recordings.setdefault(clip.category, set()).add(clip.recording)
    split_of: dict[str, str] = {}
    for category in sorted(recordings):
        _split_category(recordings[category], split_of)
        splits = {split_of[r] for r in recordings[category]}
        if len(splits) < 3:
            raise InputError(
                f"Expected at least 3 recordings (src_file) of {category!r} to "
                f"split into train, validation and eval. Received: "
                f"{len(recordings[category])}."
            )
    return split_of


def _split_category(recordings: set[str], split_of: dict[str, str]) -> None:
    """Adds the recordings of one category to `split_of`."""
    num_recordings = len(recordings)
    quota = {
        "eval": max(1, round(_EVAL_SHARE * num_recordings)),
        "validation": max(1, round(_VALIDATION_SHARE * num_recordings)),
    }
    for recording in recordings & split_of.keys():
        if split_of[recording] in quota:
            quota[split_of[recording]] -= 1
    free = sorted(
        recordings - split_of.keys(),
        key=lambda r: stable_fraction(r, salt="recording"),
    )
    for recording in free:
        open_splits = [name for name, number in quota.items() if number > 0]
        split_of[recording] = open_splits[0] if open_splits else "train"
        if open_splits:
            quota[open_splits[0]] -= 1


def read_waveform(path: str) -> np.ndarray:
    """Decodes a clip.

    Args:
      path: Audio file, any rate and number of channels.

    Returns:
      float32 `[num_samples]`, mono, 16 kHz, in about [-1, 1].

    Raises:
      InputError: The file cannot be decoded or holds no audio.
    """
    try:
        samples, sample_rate = soundfile.read(
            path, dtype="float32", always_2d=True
        )
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(
            f"{path}: expected an audio file, found one that cannot be read "
            f"({error}). Copy it again."
        ) from error
    mono = samples.mean(axis=1)
    if not len(mono) or not np.isfinite(mono).all():
        raise InputError(f"{path}: expected audio, found none. Copy it again.")
    if sample_rate != SAMPLE_RATE:
        mono = soxr.resample(mono, sample_rate, SAMPLE_RATE)
    return mono


# --- sound sources ---------------------------------------------------------


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
        clips = read_clips(folder)
        split_of_recording = split_recordings(clips)
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
    waveform = _pad(read_waveform(path))
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
