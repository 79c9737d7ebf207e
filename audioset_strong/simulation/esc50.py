"""Reads ESC-50: its table of clips, the split of its recordings, its audio.

The folder has the layout of the ESC-50 repository: `meta/esc50.csv` with at
least the columns filename, category and src_file, and the clips in `audio/`, in
any format that soundfile reads and at any sample rate.

Source: Piczak, "ESC: Dataset for environmental sound classification", 2015;
https://github.com/karolpiczak/ESC-50.
"""

import csv
import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import soundfile
import soxr

from audioset_strong.errors import InputError
from audioset_strong.labels.segments import stable_fraction
from audioset_strong.simulation.sound_classes import ESC50_CLASSES
from audioset_strong.simulation.synthesis import SAMPLE_RATE

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
