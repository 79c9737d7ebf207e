"""Label files of the release's row counts, with made-up clips and events.

The counts are those of the released files; ids, times and classes are random
with roughly their statistics: a few classes a clip, frequent ones far more
often than rare ones, most events shorter than two seconds.
"""

import os
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from audioset_strong.labels.ids import make_segment_id
from audioset_strong.labels.label_files import (
    write_strong_labels,
    write_weak_labels,
)

NUM_WEAK_CLIPS = 2_041_789
NUM_STRONG_EVENTS = 934_821
NUM_STRONG_CLIPS = 103_463
NUM_FRAMED_ROWS = 300_307 + 658_221
NUM_CLASSES = 527

_YOUTUBE_ALPHABET = np.frombuffer(
    b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
    dtype=np.uint8,
)


def _ytids(rng: np.random.Generator, num_clips: int) -> list[str]:
    """Makes distinct ids of 11 characters, in ascending order."""
    letters = _YOUTUBE_ALPHABET[rng.integers(0, 64, (num_clips * 2, 11))]
    ids = np.unique(letters.view("S11").reshape(-1))[: 2 * num_clips : 2]
    return [name.decode() for name in ids[:num_clips]]


def _mids() -> list[str]:
    return [f"/m/0{index:04x}" for index in range(NUM_CLASSES)]


def _draw_classes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws int64 class indices with priors that fall as 1 / rank."""
    priors = 1.0 / np.arange(1, NUM_CLASSES + 1)
    return rng.choice(NUM_CLASSES, size, p=priors / priors.sum())


def generate_weak(path: str, num_clips: int = NUM_WEAK_CLIPS) -> None:
    """Writes a weak CSV: one to four classes a clip, two on average."""
    rng = np.random.default_rng(0)
    num_labels = rng.choice([1, 2, 3, 4], num_clips, p=[0.35, 0.35, 0.2, 0.1])
    classes = _draw_classes(rng, 4 * num_clips).reshape(num_clips, 4)
    mids = _mids()
    starts = 10.0 * rng.integers(0, 60, num_clips)
    ids = map(make_segment_id, _ytids(rng, num_clips), starts.tolist())
    table = pd.DataFrame(
        {
            "segment_id": list(ids),
            "start_seconds": starts,
            "end_seconds": starts + 10.0,
            "mids": [
                tuple(sorted({mids[index] for index in row[:count]}))
                for row, count in zip(
                    classes.tolist(), num_labels.tolist(), strict=True
                )
            ],
        }
    )
    write_weak_labels(table, path, datetime(2017, 3, 5))


def generate_strong(
    path: str,
    num_events: int = NUM_STRONG_EVENTS,
    num_clips: int = NUM_STRONG_CLIPS,
) -> None:
    """Writes a strong TSV: nine events of up to five classes a clip."""
    rng = np.random.default_rng(1)
    clip = np.sort(
        np.concatenate(
            [
                np.arange(num_clips),
                rng.integers(0, num_clips, num_events - num_clips),
            ]
        )
    )
    classes = _draw_classes(rng, 5 * num_clips).reshape(num_clips, 5)
    class_index = classes[clip, rng.integers(0, 5, num_events)]
    onset_ms = rng.integers(0, 9_900, num_events)
    # Log-normal with a median of 0.7 s, at least the 20 ms of the shortest.
    length_ms = np.exp(rng.normal(np.log(700), 1.2, num_events)).astype(int)
    offset_ms = np.minimum(onset_ms + 20 + length_ms, 10_000)
    order = np.lexsort((onset_ms, clip))
    ids = np.array([f"{ytid}_30000" for ytid in _ytids(rng, num_clips)], object)
    table = pd.DataFrame(
        {
            "segment_id": ids[clip[order]],
            "onset_seconds": onset_ms[order] / 1000,
            "offset_seconds": offset_ms[order] / 1000,
            "mid": np.array(_mids(), object)[class_index[order]],
        }
    )
    write_strong_labels(table, path)


def write_sample(path: str, sample_path: str, num_lines: int) -> None:
    """Copies the first lines of a file, header included."""
    with open(path) as file, open(sample_path, "w") as sample:
        for _, line in zip(range(num_lines), file, strict=False):
            sample.write(line)


def generate_all(folder: str) -> Sequence[str]:
    """Writes both files into a folder; returns their paths, strong first."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, name) for name in ("strong.tsv", "weak.csv")]
    for path, generate in zip(
        paths, (generate_strong, generate_weak), strict=True
    ):
        if not os.path.exists(path):
            generate(path)
    return paths
