"""Writes the label files of a simulated release, as its annotators see it.

File names and formats are those of the real release; `release.py` lists them.

Makes a simulated release: audio, label files and the settings behind them.

A release folder:

  audio/train/<segment_id>.flac   clips of the subsets "weak" and "strong"
  audio/eval/<segment_id>.flac
  labels/                         the official file names and formats
    balanced_train_segments.csv   weak labels of the clips with strong labels
    unbalanced_train_segments.csv weak labels of the other training clips
    eval_segments.csv             weak labels
    audioset_train_strong.tsv, audioset_eval_strong.tsv
    audioset_eval_strong_framed_posneg.tsv
    class_labels_indices.csv      the classes of the sounds, then their parents
    mid_to_display_name.tsv       the classes of the sounds
    ground_truth.tsv              the true events of all clips, strong format
  clips.jsonl                     finished clips and their events
  soundscapes.json                settings, classes and counts

Explicit negatives by mining: annotators check what a model finds.

Section 3.2 of the paper: clips with high scores for a class that was not
confirmed are shown to annotators, and those without the class become its
explicit negatives. They are harder than negatives by chance.

Annotators are shown a random draw of a long list of candidates, not its top:
the very top holds only the model's worst mistakes, and d' on those alone can
fall below zero.
"""

import csv
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.labels import label_files
from audioset_strong.labels.class_map import (
    ClassMap,
    read_class_map,
    write_class_map,
)
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.params import to_dict
from audioset_strong.simulation import annotators
from audioset_strong.simulation.soundscapes import (
    SUBSETS,
    SoundscapeParams,
    check_soundscape_params,
    make_clips,
)
from audioset_strong.simulation.sources import (
    SoundClass,
    SoundSource,
    SourceSettings,
    make_source,
    release_vocabulary,
)

# --- release labels --------------------------------------------------------


EVAL_STRONG_NAME = "audioset_eval_strong.tsv"
EVAL_WEAK_NAME = "eval_segments.csv"
FRAMED_NAME = "audioset_eval_strong_framed_posneg.tsv"
GROUND_TRUTH_NAME = "ground_truth.tsv"
CLASS_MAP_NAME = "class_labels_indices.csv"
_WEAK_NAMES = {
    "weak": "unbalanced_train_segments.csv",
    "strong": "balanced_train_segments.csv",
    "eval": EVAL_WEAK_NAME,
}
_STRONG_NAMES = {
    "strong": "audioset_train_strong.tsv",
    "eval": EVAL_STRONG_NAME,
}


def write_labels(
    labels_dir: str,
    truth: pd.DataFrame,
    classes: Sequence[SoundClass],
    params: SoundscapeParams,
) -> None:
    """Lets the annotators label all clips and writes the label files.

    A framed file that is there is kept: it may hold the mined negatives of
    `candidates.annotate_candidates`, which are harder than random ones.

    Args:
      labels_dir: Where to write; the folder exists.
      truth: Ground truth (`annotators`) with a column subset.
      classes: The classes of the sounds.
      params: Settings of the annotators.
    """
    _write_vocabulary(labels_dir, classes)
    _write_strong(truth, labels_dir, GROUND_TRUTH_NAME)
    of_subset = {
        subset: truth[truth["subset"] == subset] for subset in _WEAK_NAMES
    }
    for subset, name in _WEAK_NAMES.items():
        weak = annotators.annotate_weakly(of_subset[subset], classes, params)
        # In ascending order, as the released files are.
        weak = weak.sort_values("segment_id", ignore_index=True)
        label_files.write_weak_labels(weak, os.path.join(labels_dir, name))
    for subset, name in _STRONG_NAMES.items():
        strong = annotators.annotate_strongly(of_subset[subset], params)
        _write_strong(strong, labels_dir, name)
    if not os.path.exists(os.path.join(labels_dir, FRAMED_NAME)):
        negatives = annotators.draw_random_negatives(
            of_subset["eval"], classes, params
        )
        write_framed(labels_dir, negatives)


def write_framed(labels_dir: str, negatives: pd.DataFrame) -> None:
    """Writes the framed file of the evaluation set.

    Args:
      labels_dir: Has the strong labels of the evaluation set.
      negatives: Explicit negatives, columns segment_id and mid.
    """
    strong = label_files.read_strong_labels(
        os.path.join(labels_dir, EVAL_STRONG_NAME)
    )
    framed = frame_strong_labels(strong, negatives)
    label_files.write_framed_labels(
        framed, os.path.join(labels_dir, FRAMED_NAME)
    )


def _write_strong(strong: pd.DataFrame, labels_dir: str, name: str) -> None:
    """Writes a strong TSV with times in milliseconds, as the release has."""
    seconds = ["onset_seconds", "offset_seconds"]
    rounded = strong.assign(**strong[seconds].round(3))
    label_files.write_strong_labels(rounded, os.path.join(labels_dir, name))


def _write_vocabulary(labels_dir: str, classes: Sequence[SoundClass]) -> None:
    """Writes the class map and the names of the strong labels."""
    vocabulary = release_vocabulary(classes)
    write_class_map(
        ClassMap(tuple(vocabulary), tuple(vocabulary.values())),
        os.path.join(labels_dir, CLASS_MAP_NAME),
    )
    label_files.write_display_names(
        [(c.mid, c.display_name) for c in classes],
        os.path.join(labels_dir, "mid_to_display_name.tsv"),
    )


# --- release ---------------------------------------------------------------


_SETTINGS_NAME = "soundscapes.json"


def make_release(
    output_dir: str,
    params: SoundscapeParams,
    source_settings: SourceSettings,
    num_workers: int | None = None,
) -> dict[str, Any]:
    """Makes a release, or finishes one that was interrupted.

    With several workers the caller must be importable without side effects
    (`if __name__ == "__main__":`), as Python's spawned processes need it.

    Args:
      output_dir: Folder of the release (module docstring); made if missing.
      params: Settings of the release.
      source_settings: Where sounds come from.
      num_workers: Processes; all cores if None.

    Returns:
      What `soundscapes.json` holds.

    Raises:
      InputError: Settings make no sense, the folder holds something else, or
        the sound source cannot be read.
    """
    check_soundscape_params(params)
    source = make_source(source_settings)
    settings = _settings(params, source)
    _claim_folder(output_dir, settings)
    truth = make_clips(
        output_dir, params, source_settings, num_workers or _num_cores()
    )
    write_labels(
        os.path.join(output_dir, "labels"), truth, source.classes, params
    )
    settings["event_counts"] = _event_counts(truth, source)
    _write_settings(output_dir, settings)
    return settings


def _num_cores() -> int:
    """Counts the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- Settings ----------------------------------------------------------------


def _settings(params: SoundscapeParams, source: SoundSource) -> dict[str, Any]:
    """Describes a release as JSON-ready values."""
    return {
        "params": to_dict(params),
        "source": dict(source.description),
        "classes": [dataclasses.asdict(c) for c in source.classes],
    }


def _write_settings(output_dir: str, settings: dict[str, Any]) -> None:
    """Writes `soundscapes.json`."""
    with open_output(os.path.join(output_dir, _SETTINGS_NAME)) as file:
        file.write(json.dumps(settings, indent=2) + "\n")


def read_settings(output_dir: str) -> dict[str, Any]:
    """Reads `soundscapes.json`.

    Raises:
      InputError: It is missing or broken.
    """
    path = os.path.join(output_dir, _SETTINGS_NAME)
    if not os.path.exists(path):
        raise InputError(
            f"Expected {path!r}, found no such file. Give a folder that "
            f"make_soundscapes wrote."
        )
    with open(path, encoding="utf-8") as file:
        try:
            return dict(json.load(file))
        except ValueError as error:
            raise InputError(f"{path}: expected JSON: {error}.") from error


def read_classes(output_dir: str) -> tuple[SoundClass, ...]:
    """Reads the classes of a release.

    Args:
      output_dir: Folder of the release.

    Raises:
      InputError: `soundscapes.json` is missing or of another version.
    """
    saved = read_settings(output_dir).get("classes", [])
    try:
        return tuple(
            SoundClass(
                **{
                    **fields,
                    "other_ancestor_mids": tuple(fields["other_ancestor_mids"]),
                }
            )
            for fields in saved
        )
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{output_dir}/{_SETTINGS_NAME}: expected the classes of a release "
            f"of this version ({error}). Make it again."
        ) from error


def _claim_folder(output_dir: str, settings: dict[str, Any]) -> None:
    """Makes sure that a folder is empty or holds this release.

    Raises:
      InputError: It holds another release, or audio and labels of something
        else.
    """
    make_output_folder(os.path.join(output_dir, "labels"))
    if os.path.exists(os.path.join(output_dir, _SETTINGS_NAME)):
        found = read_settings(output_dir)
        differences = _differences(found, settings)
        if differences:
            raise InputError(
                f"{output_dir!r} holds a release with other settings: "
                f"{'; '.join(differences)}. Give another --output_dir, or the "
                f"settings of that release to finish it."
            )
    elif os.listdir(os.path.join(output_dir, "labels")):
        raise InputError(
            f"Expected an empty or new folder, found label files in "
            f"{output_dir!r} that make_soundscapes did not write. Give another "
            f"--output_dir."
        )
    else:
        _write_settings(output_dir, settings)


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Lists settings that differ, as 'name: found, not wanted'."""
    pairs = [
        (name, found.get(part, {}).get(name), wanted[part].get(name))
        for part in ("params", "source")
        for name in sorted({*found.get(part, {}), *wanted[part]})
    ]
    return [f"{n}={old!r}, not {new!r}" for n, old, new in pairs if old != new]


def _event_counts(
    truth: pd.DataFrame, source: SoundSource
) -> dict[str, dict[str, int]]:
    """Counts the events of each class in each subset."""
    counts = truth.groupby(["subset", "mid"]).size().to_dict()
    return {
        subset: {
            c.mid: int(counts.get((subset, c.mid), 0)) for c in source.classes
        }
        for subset in SUBSETS
    }


# --- candidates ------------------------------------------------------------


_COLUMNS = ["mid", "segment_id", "score", "rank"]


def read_candidates(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads a candidates CSV, as mine_candidates writes it.

    Args:
      path: CSV with the columns mid, segment_id, score, rank.

    Returns:
      Columns mid str and segment_id str, one row a candidate, in file order.

    Raises:
      InputError: A column is missing, a line is short, or there is none.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or rows[0] != _COLUMNS:
        found = ",".join(rows[0]) if rows else "an empty file"
        raise InputError(
            f"{path}:1: expected the header '{','.join(_COLUMNS)}', found "
            f"'{found}'. Give a file that mine_candidates wrote."
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(_COLUMNS) or not row[0] or not row[1]:
            raise InputError(
                f"{path}:{number}: expected '<mid>,<segment_id>,<score>,"
                f"<rank>', found '{','.join(row)}'."
            )
    if len(rows) == 1:
        raise InputError(f"{path}: expected candidates, found none.")
    pairs = [(row[0], row[1]) for row in rows[1:]]
    table = pd.DataFrame(pairs, columns=["mid", "segment_id"], dtype="object")
    return table.drop_duplicates(ignore_index=True)


def draw_candidates(
    candidates: pd.DataFrame, num_per_class: int, seed: int
) -> pd.DataFrame:
    """Draws what annotators are shown.

    Args:
      candidates: What `read_candidates` returned.
      num_per_class: How many a class; all where there are fewer.
      seed: Of the draw, which is independent between classes.

    Returns:
      The drawn rows.
    """
    drawn = []
    for mid, of_class in candidates.groupby("mid", sort=True):
        digest = hashlib.sha256(f"{seed}\n{mid}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        number = min(num_per_class, len(of_class))
        rows = np.sort(rng.choice(len(of_class), number, replace=False))
        drawn.append(of_class.iloc[rows])
    return pd.concat(drawn, ignore_index=True)


def annotate_candidates(
    soundscapes_dir: str,
    candidates_path: str | os.PathLike[str],
    num_per_class: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Writes the framed file anew, with mined explicit negatives.

    Only the candidates make explicit negatives: those of an earlier run, and
    the random ones of make_soundscapes, are gone.

    Args:
      soundscapes_dir: Folder that make_soundscapes wrote.
      candidates_path: Candidates CSV; many candidates a class.
      num_per_class: How many candidates of a class annotators are shown.
      seed: Of the draw.

    Returns:
      One row a class with candidates: mid str, num_shown int64,
      num_negatives int64.

    Raises:
      InputError: A file is missing or malformed, or names a class or a clip
        that the evaluation set does not have.
    """
    if num_per_class < 1:
        raise InputError(
            f"Expected num_per_class of 1 or more. Received: {num_per_class}."
        )
    labels_dir = os.path.join(soundscapes_dir, "labels")
    classes = read_classes(soundscapes_dir)
    candidates = read_candidates(candidates_path)
    _check_candidates(candidates_path, candidates, labels_dir)
    shown = draw_candidates(candidates, num_per_class, seed)
    truth = label_files.read_strong_labels(
        os.path.join(labels_dir, GROUND_TRUTH_NAME)
    )
    negatives = annotators.answer_candidates(
        shown, annotators.present_pairs(truth, classes)
    )
    write_framed(labels_dir, negatives)
    return _count(shown, negatives)


def _check_candidates(
    path: str | os.PathLike[str], candidates: pd.DataFrame, labels_dir: str
) -> None:
    """Raises `InputError` for classes or clips that are not in the release."""
    class_map = read_class_map(os.path.join(labels_dir, CLASS_MAP_NAME))
    weak = label_files.read_weak_labels(
        os.path.join(labels_dir, EVAL_WEAK_NAME)
    )
    known: Mapping[str, Sequence[str]] = {
        "mid": class_map.mids,
        "segment_id": list(weak["segment_id"]),
    }
    for column, values in known.items():
        unknown = sorted(set(candidates[column]) - set(values))
        if unknown:
            raise InputError(
                f"{path}: expected candidates from the evaluation set of "
                f"{labels_dir!r}, found {len(unknown)} other values of "
                f"{column}, first {unknown[0]!r}. Mine scores of its clips."
            )


def _count(shown: pd.DataFrame, negatives: pd.DataFrame) -> pd.DataFrame:
    """Counts candidates and negatives of each class."""
    num_shown = shown.groupby("mid").size()
    num_negatives = negatives.groupby("mid").size()
    counts = pd.DataFrame(
        {
            "num_shown": num_shown,
            "num_negatives": num_negatives.reindex(
                num_shown.index, fill_value=0
            ),
        }
    )
    return counts.reset_index().astype({"mid": "object"})
