"""Scores and labels of the size of the released eval set, generated.

14,203 clips of ten label frames and 527 classes, 300,307 PRESENT and 658,221
NOT_PRESENT rows, which is what the released framed file holds. Classes have
priors that fall as 1 / rank; events are runs of label frames; scores are
sigmoids of Gaussians, higher where the class is present, with noise that the
label frames of a clip share.
"""

import os

import numpy as np
import pandas as pd

from audioset_strong.evaluation.scores import LabelFrameScores, write_score_file
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_weak_labels,
)

NUM_CLIPS = 14_203
NUM_LABEL_FRAMES = 10
NUM_CLASSES = 527
NUM_PRESENT = 300_307
NUM_NOT_PRESENT = 658_221
# (clip, class) pairs with a PRESENT row; the other pairs are all NOT_PRESENT.
NUM_PRESENT_PAIRS = 51_700

SCORE_FILES = ("scores.npz", "baseline.npz")


def _pairs(rng: np.random.Generator, num_pairs: int) -> np.ndarray:
    """Draws distinct (clip, class) pairs: int64 clip * NUM_CLASSES + class."""
    priors = 1.0 / np.arange(1, NUM_CLASSES + 1)
    size = 2 * num_pairs
    classes = rng.choice(NUM_CLASSES, size, p=priors / priors.sum())
    clips = rng.integers(0, NUM_CLIPS, size)
    # Every clip has a label.
    clips[:NUM_CLIPS] = rng.permutation(NUM_CLIPS)
    _, first = np.unique(clips * NUM_CLASSES + classes, return_index=True)
    kept = np.sort(first)[:num_pairs]
    return clips[kept] * NUM_CLASSES + classes[kept]


def _presence(rng: np.random.Generator) -> np.ndarray:
    """Draws runs: bool `[NUM_PRESENT_PAIRS, NUM_LABEL_FRAMES]`."""
    onset = rng.integers(0, NUM_LABEL_FRAMES, NUM_PRESENT_PAIRS)
    length = rng.integers(1, NUM_LABEL_FRAMES + 8, NUM_PRESENT_PAIRS)
    frames = np.arange(NUM_LABEL_FRAMES)
    start = np.maximum(0, onset - length // 2)[:, np.newaxis]
    is_present = (frames >= start) & (frames < start + length[:, np.newaxis])
    # The first label frame of a run stays, so that no pair loses all.
    is_first = frames == start
    surplus = int(is_present.sum()) - NUM_PRESENT
    candidates = np.nonzero(
        (is_present & ~is_first if surplus > 0 else ~is_present).ravel()
    )[0]
    flipped = rng.choice(candidates, abs(surplus), replace=False)
    is_present.ravel()[flipped] ^= True
    return is_present


def generate_truth() -> tuple[np.ndarray, np.ndarray]:
    """Makes the labels of every cell.

    Returns:
      is_present: bool `[NUM_CLIPS, NUM_LABEL_FRAMES, NUM_CLASSES]`.
      is_absent: bool, same shape.
    """
    rng = np.random.default_rng(0)
    num_rows = NUM_PRESENT + NUM_NOT_PRESENT
    num_pairs = -(-num_rows // NUM_LABEL_FRAMES)
    clip, column = np.divmod(_pairs(rng, num_pairs), NUM_CLASSES)
    presence = np.zeros((num_pairs, NUM_LABEL_FRAMES), dtype=bool)
    presence[:NUM_PRESENT_PAIRS] = _presence(rng)
    is_present, is_absent = np.zeros(
        (2, NUM_CLIPS, NUM_LABEL_FRAMES, NUM_CLASSES), dtype=bool
    )
    is_present[clip, :, column] = presence
    absence = ~presence
    # Whole pairs hold a few rows too many: the last pair loses them.
    absence[-1, : num_pairs * NUM_LABEL_FRAMES - num_rows] = False
    is_absent[clip, :, column] = absence
    return is_present, is_absent


def generate_scores(is_present: np.ndarray, seed: int) -> np.ndarray:
    """Makes float16 scores of the shape of `is_present`, clip by clip."""
    rng = np.random.default_rng(seed)
    scores = np.empty(is_present.shape, dtype=np.float16)
    shape = is_present.shape[1:]
    for clip, present in enumerate(is_present):
        logits = rng.standard_normal(shape, dtype=np.float32)
        logits += 0.7 * rng.standard_normal(shape[1], dtype=np.float32)
        logits += 1.5 * present - 4
        scores[clip] = 1 / (1 + np.exp(-logits))
    return scores


def mids() -> np.ndarray:
    """Names the classes: str `[NUM_CLASSES]`."""
    return np.array([f"/m/0{index:04x}" for index in range(NUM_CLASSES)])


def segment_ids() -> np.ndarray:
    """Names the clips: str `[NUM_CLIPS]`, ascending."""
    return np.array([f"clip{index:07d}_30000" for index in range(NUM_CLIPS)])


def framed_table(is_present: np.ndarray, is_absent: np.ndarray) -> pd.DataFrame:
    """Lists the labels of all cells as a framed table."""
    clip, label_frame, column = np.nonzero(is_present | is_absent)
    return pd.DataFrame(
        {
            "segment_id": segment_ids().astype(object)[clip],
            "label_frame": label_frame,
            "mid": mids().astype(object)[column],
            "is_present": is_present[clip, label_frame, column],
        }
    )


def weak_table(is_present: np.ndarray) -> pd.DataFrame:
    """Lists the classes of each clip as a weak table."""
    names = mids()
    in_clip = is_present.any(axis=1)
    return pd.DataFrame(
        {
            "segment_id": segment_ids().astype(object),
            "start_seconds": 30.0,
            "end_seconds": 40.0,
            "mids": [tuple(names[row].tolist()) for row in in_clip],
        }
    )


def generate_all(folder: str) -> None:
    """Writes two score files, framed.tsv and weak.csv, where they are not."""
    names = (*SCORE_FILES, "framed.tsv", "weak.csv")
    paths = [os.path.join(folder, name) for name in names]
    if all(map(os.path.exists, paths)):
        return
    os.makedirs(folder, exist_ok=True)
    is_present, is_absent = generate_truth()
    write_framed_labels(framed_table(is_present, is_absent), paths[2])
    write_weak_labels(weak_table(is_present), paths[3])
    for seed, path in enumerate(paths[:2], start=1):
        score_file = LabelFrameScores(
            segment_ids=segment_ids(),
            mids=mids(),
            scores=generate_scores(is_present, seed),
            num_label_frames=np.full(NUM_CLIPS, NUM_LABEL_FRAMES),
        )
        write_score_file(score_file, path)
