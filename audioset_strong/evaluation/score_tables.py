r"""Score tables: a folder with one table a clip, at any frame rate.

`<segment_id>.tsv`, as `sed_scores_eval` writes them, or `<segment_id>.csv`:

    onset<TAB>offset<TAB>/m/09x0r<TAB>/m/04rlf
    0.0<TAB>0.04<TAB>0.012<TAB>0.93
    0.04<TAB>0.08<TAB>0.013<TAB>0.95

A row is a window; rows are in order of time, without gaps or overlaps, from the
start of the clip. Columns are classes (`score_classes.py`), the same in every
file, in any order. Windows are pooled onto label frames
(`label_frame_pooling.py`); a clip whose rows end early is scored that far.
"""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.label_frame_pooling import (
    TIME_TOLERANCE_SECONDS,
    check_pooling,
    pool_onto_label_frames,
)
from audioset_strong.evaluation.score_classes import KnownClasses, find_classes
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.evaluation.score_scale import logits_to_probabilities
from audioset_strong.evaluation.score_table_lines import (
    DELIMITERS,
    ScoreTable,
    read_score_table,
)
from audioset_strong.params import LabelFrameParams

_Path = str | os.PathLike[str]

_GRID = LabelFrameParams()


def read_score_tables(
    folder: _Path,
    known: KnownClasses = KnownClasses(),
    pooling: str = "mean",
    is_logits: bool = False,
) -> ScoreFile:
    """Reads a folder of score tables.

    Args:
      folder: The folder (module docstring).
      known: What its columns can name.
      pooling: How windows become label frames, "mean" or "max".
      is_logits: Whether to turn scores into probabilities before pooling.

    Returns:
      The scores, clips in the order of their names. Its notes say what the
      columns are, how long the windows and what was left out.

    Raises:
      InputError: There is no table, a clip has two, or a table is not as the
        module docstring says; names file and line.
    """
    check_pooling(pooling)
    paths, notes = _find_tables(folder)
    segment_ids = list(paths)
    first = read_score_table(paths[segment_ids[0]])
    try:
        classes = find_classes(first.columns, known)
    except InputError as error:
        raise InputError(f"{first.path}:1: {error}") from error
    columns = [first.columns[position] for position in classes.columns]
    scores = np.zeros(
        (len(paths), _GRID.num_label_frames, len(columns)), dtype=np.float32
    )
    num_label_frames = np.zeros(len(paths), dtype=np.int64)
    seen = _SeenTables()
    # No bar where nobody watches.
    for clip, path in enumerate(
        tqdm.tqdm(paths.values(), desc="score tables", disable=None)
    ):
        table = first if clip == 0 else read_score_table(path)
        values: npt.NDArray[np.floating[Any]]
        values = _scores_of(table, first, columns)
        seen.add(table, first)
        if is_logits:
            values = logits_to_probabilities(values)
        scores[clip], num_label_frames[clip] = pool_onto_label_frames(
            values, table.edges_seconds, pooling
        )
    notes += [f"classes: {classes.describe()}", *seen.notes(pooling)]
    if is_logits:
        notes.append("logits were turned into probabilities")
    return ScoreFile(
        segment_ids=np.array(segment_ids, dtype=str),
        mids=np.array(classes.mids, dtype=str),
        scores=scores,
        num_label_frames=num_label_frames,
        notes=tuple(notes),
    )


def _find_tables(folder: _Path) -> tuple[dict[str, str], list[str]]:
    """Finds the table of each clip, and notes what else is there."""
    paths: dict[str, str] = {}
    others = []
    for name in sorted(os.listdir(folder)):
        segment_id, ending = os.path.splitext(name)
        path = os.path.join(folder, name)
        if ending.lower() not in DELIMITERS or not os.path.isfile(path):
            others.append(name)
        elif segment_id in paths:
            raise InputError(
                f"{path}: expected one table a clip, found "
                f"{paths[segment_id]} too. Keep one of them."
            )
        else:
            paths[segment_id] = path
    if not paths:
        raise InputError(
            f"{folder}: expected score tables '<segment_id>.tsv', found none "
            f"among {len(others)} files."
        )
    if not others:
        return paths, []
    note = (
        f"{len(others)} of {len(others) + len(paths)} files in the folder are "
        f"no score tables and were left out, such as {others[0]}"
    )
    logging.warning("%s: %s.", folder, note)
    return paths, [note]


def _scores_of(
    table: ScoreTable, first: ScoreTable, columns: list[str]
) -> npt.NDArray[np.floating[Any]]:
    """Returns the columns that are used, in the order of the first table."""
    if table.columns == first.columns and len(columns) == len(first.columns):
        return table.scores
    if set(table.columns) != set(first.columns):
        extra = [c for c in table.columns if c not in first.columns]
        lacking = [c for c in first.columns if c not in table.columns]
        raise InputError(
            f"{table.path}:1: expected the classes of {first.path} in every "
            f"table, found {len(table.columns)} instead of "
            f"{len(first.columns)}; lacking {lacking[:5]}, further "
            f"{extra[:5]}."
        )
    position = {name: index for index, name in enumerate(table.columns)}
    return table.scores[:, [position[name] for name in columns]]


class _SeenTables:
    """Remembers what is worth saying of all tables."""

    def __init__(self) -> None:
        self._num_tables = 0
        self._num_rows = 0
        self._shortest = np.inf
        self._longest = 0.0
        self._num_beyond = 0
        self._num_reordered = 0

    def add(self, table: ScoreTable, first: ScoreTable) -> None:
        """Takes the times of a table, and the order of its columns."""
        lengths = np.diff(table.edges_seconds)
        self._num_tables += 1
        self._num_rows += lengths.size
        self._num_reordered += table.columns != first.columns
        if lengths.size:
            self._shortest = min(self._shortest, float(lengths.min()))
            self._longest = max(self._longest, float(lengths.max()))
            # Models pad clips to a round number of their own frames; what goes
            # on for longer than that is another clip.
            most = _GRID.clip_seconds + _GRID.label_frame_seconds
            self._num_beyond += int(table.edges_seconds[-1] > most)

    def notes(self, pooling: str) -> list[str]:
        """Says what was seen, and warns of what may be wrong."""
        is_even = self._longest - self._shortest < 2 * TIME_TOLERANCE_SECONDS
        longest = "" if is_even else f" to {self._longest:.3f}"
        lengths = (
            f" of {self._shortest:.3f}{longest} s" if self._num_rows else ""
        )
        notes = [
            f"{self._num_rows} windows{lengths} in {self._num_tables} tables, "
            f"pooled by {pooling}"
        ]
        framed = _GRID.num_label_frames * _GRID.label_frame_seconds
        doubts = {
            f"tables go on long after {_GRID.clip_seconds:g} s; what is after "
            f"{framed:g} s was not used": self._num_beyond,
            "tables have their columns in another order than the first; they "
            "were joined by name": self._num_reordered,
        }
        for doubt, num_tables in doubts.items():
            if num_tables:
                notes.append(f"{num_tables} {doubt}")
                logging.warning("Score tables: %s.", notes[-1])
        return notes
