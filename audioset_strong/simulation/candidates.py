"""Explicit negatives by mining: annotators check what a model finds.

Section 3.2 of the paper: clips with high scores for a class that was not
confirmed are shown to annotators, and those without the class become its
explicit negatives. They are harder than negatives by chance.

Annotators are shown a random draw of a long list of candidates, not its top:
the very top holds only the model's worst mistakes, and d' on those alone can
fall below zero.
"""

import csv
import hashlib
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels import label_files
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.simulation import annotators, release_labels
from audioset_strong.simulation.release import read_classes

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
        os.path.join(labels_dir, release_labels.GROUND_TRUTH_NAME)
    )
    negatives = annotators.answer_candidates(
        shown, annotators.present_pairs(truth, classes)
    )
    release_labels.write_framed(labels_dir, negatives)
    return _count(shown, negatives)


def _check_candidates(
    path: str | os.PathLike[str], candidates: pd.DataFrame, labels_dir: str
) -> None:
    """Raises `InputError` for classes or clips that are not in the release."""
    class_map = read_class_map(
        os.path.join(labels_dir, release_labels.CLASS_MAP_NAME)
    )
    weak = label_files.read_weak_labels(
        os.path.join(labels_dir, release_labels.EVAL_WEAK_NAME)
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
