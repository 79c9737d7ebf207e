"""Writes the label files of a simulated release, as its annotators see it.

File names and formats are those of the real release; `release.py` lists them.
"""

import os
from collections.abc import Sequence

import pandas as pd

from audioset_strong.labels import label_files, label_writers
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.labels.frame_targets import frame_strong_labels
from audioset_strong.simulation import annotators
from audioset_strong.simulation.sound_classes import (
    SoundClass,
    release_vocabulary,
)
from audioset_strong.simulation.soundscape_params import SoundscapeParams

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
        label_writers.write_weak_labels(weak, os.path.join(labels_dir, name))
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
    label_writers.write_framed_labels(
        framed, os.path.join(labels_dir, FRAMED_NAME)
    )


def _write_strong(strong: pd.DataFrame, labels_dir: str, name: str) -> None:
    """Writes a strong TSV with times in milliseconds, as the release has."""
    seconds = ["onset_seconds", "offset_seconds"]
    rounded = strong.assign(**strong[seconds].round(3))
    label_writers.write_strong_labels(rounded, os.path.join(labels_dir, name))


def _write_vocabulary(labels_dir: str, classes: Sequence[SoundClass]) -> None:
    """Writes the class map and the names of the strong labels."""
    vocabulary = release_vocabulary(classes)
    write_class_map(
        ClassMap(tuple(vocabulary), tuple(vocabulary.values())),
        os.path.join(labels_dir, CLASS_MAP_NAME),
    )
    label_writers.write_display_names(
        [(c.mid, c.display_name) for c in classes],
        os.path.join(labels_dir, "mid_to_display_name.tsv"),
    )
