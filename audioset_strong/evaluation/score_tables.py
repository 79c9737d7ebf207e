r"""Score tables: a folder with one table a clip, at any frame rate.

`<segment_id>.tsv`, as `sed_scores_eval` writes them, or `<segment_id>.csv`; a
segment id with slashes is in subfolders:

    onset<TAB>offset<TAB>/m/09x0r<TAB>/m/04rlf
    0.0<TAB>0.04<TAB>0.012<TAB>0.93
    0.04<TAB>0.08<TAB>0.013<TAB>0.95

A row is a window; rows are in order of time, without gaps or overlaps, from the
start of the clip. Columns are classes, named as in score files (`scores.py`),
the same in every file, in any order. A clip whose rows end early is scored that
far.

NumPy parses a whole table at once. Only if that fails are the lines read again
one by one, to name the one at fault.
"""

import csv
import dataclasses
import os
import warnings

import numpy as np
import numpy.typing as npt
import tqdm
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.native_scores import (
    NativeScores,
    make_native,
    read_score_file,
)
from audioset_strong.evaluation.scores import (
    TIME_TOLERANCE_SECONDS,
    Path,
    find_classes,
)
from audioset_strong.labels.class_map import KnownClasses
from audioset_strong.params import LabelFrameParams

DELIMITERS = {".tsv": "\t", ".csv": ","}

_GRID = LabelFrameParams()
_TIMES = ["onset", "offset"]
_HIGHEST = float(np.finfo(np.float64).max)

_Floats = npt.NDArray[np.float64]


def read_scores(
    path: Path,
    known: KnownClasses = KnownClasses(),
    *,
    frame_seconds: float | None = None,
    window_seconds: float | None = None,
    is_logits: bool = False,
) -> NativeScores:
    """Reads scores, whatever they were written as.

    Args:
      path: A score file (`native_scores.py`, `scores.py`), or a folder of score
        tables.
      known: What class columns can name, besides mids.
      frame_seconds: Between the starts of two frames of a score file that does
        not say it.
      window_seconds: How much audio a frame of it stands for, if they overlap.
      is_logits: Whether the scores are logits.

    Raises:
      InputError: The path is neither, or its contents are not as they should
        be.
    """
    if not os.path.isdir(path):
        if os.path.splitext(path)[1].lower() in DELIMITERS:
            raise InputError(
                f"{path}: expected a score file (.npz) or a folder of score "
                f"tables, found one table. Give the folder."
            )
        return read_score_file(
            path,
            known,
            frame_seconds=frame_seconds,
            window_seconds=window_seconds,
            is_logits=is_logits,
        )
    if frame_seconds is not None or window_seconds is not None:
        raise InputError(
            f"{path}: score tables hold the times of their rows. Leave out "
            f"frame_seconds and window_seconds."
        )
    return read_score_tables(path, known, is_logits)


def read_score_tables(
    folder: Path, known: KnownClasses = KnownClasses(), is_logits: bool = False
) -> NativeScores:
    """Reads a folder of score tables; arguments as in `read_scores`.

    Returns:
      The scores, clips in the order of their names. Its notes describe the
      columns, the length of the windows and what was left out.

    Raises:
      InputError: There is no table, a clip has two, or a table is not as the
        module docstring says; names file and line.
    """
    paths, notes = _find_tables(folder)
    segment_ids = list(paths)
    first = read_score_table(paths[segment_ids[0]])
    try:
        classes = find_classes(first.columns, known)
    except InputError as error:
        raise InputError(f"{first.path}:1: {error}") from error
    columns = [first.columns[position] for position in classes.columns]
    num_reordered = 0
    tables, edges = [], []  # of each clip
    # No progress bar where nobody watches.
    for clip, path in enumerate(
        tqdm.tqdm(paths.values(), desc="score tables", disable=None)
    ):
        table = first if clip == 0 else read_score_table(path)
        # [num_windows, num_classes]
        tables.append(_scores_of(table, first, columns))
        edges.append(table.edges_seconds)
        num_reordered += table.columns != first.columns
    notes.append(f"classes: {classes.describe()}")
    num_frames = np.array([len(table) for table in tables])
    onsets = np.concatenate([e[:-1] for e in edges])  # [num_windows_of_all]
    offsets = np.concatenate([e[1:] for e in edges])
    lengths = offsets - onsets
    length, text = _GRID.label_frame_seconds, ""
    if len(lengths):
        length = float(np.median(lengths))
        low, high = lengths.min(), lengths.max()
        is_even = high - low < 2 * TIME_TOLERANCE_SECONDS
        text = f" of {low:.3f}{'' if is_even else f' to {high:.3f}'} s"
    notes.append(f"{len(lengths)} windows{text} in {len(paths)} tables")
    if num_reordered:
        notes.append(
            f"{num_reordered} tables have their columns in another order than "
            f"the first; they were joined by name"
        )
        logging.warning("Score tables: %s.", notes[-1])
    return make_native(
        NativeScores(
            segment_ids=np.array(segment_ids, dtype=str),
            mids=np.array(classes.mids, dtype=str),
            scores=np.concatenate(tables),
            num_frames=num_frames,
            frame_seconds=length,
            onset_seconds=onsets,
            offset_seconds=offsets,
            audio_seconds=np.full(len(paths), np.nan),
            is_logits=is_logits,
            display_names=known.name_of_mid,
            source=os.fspath(folder),
            notes=tuple(notes),
        )
    )


def _find_tables(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Finds the path of each clip's table; a note lists what else is there."""
    paths: dict[str, str] = {}
    others = []
    # A segment id can hold slashes, as that of a recording in a subfolder.
    names = sorted(
        os.path.relpath(os.path.join(below, name), folder)
        for below, _, names_below in os.walk(folder)
        for name in names_below
    )
    for name in names:
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


# --- One table ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTable:
    """One table, as its file holds it.

    Attributes:
      path: The file.
      columns: Names of the score columns, unique.
      edges_seconds: float64 `[num_windows + 1]`, ascending: the start of each
        window, then the end of the last.
      scores: float64 `[num_windows, num_columns]`, finite.
    """

    path: str
    columns: list[str]
    edges_seconds: _Floats
    scores: _Floats


def read_score_table(path: str) -> ScoreTable:
    """Reads and checks the table of one clip.

    Raises:
      InputError: It is not as the module docstring says; names file and line.
    """
    delimiter = DELIMITERS[os.path.splitext(path)[1].lower()]
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader([file.readline()], delimiter=delimiter), [])
        if header[:2] != _TIMES or len(header) < 3:
            expected = delimiter.join([*_TIMES, "<class>", "..."])
            raise InputError(
                f"{path}:1: expected the header {expected!r}, found "
                f"{delimiter.join(header)[:80]!r}."
            )
        if len(set(header)) < len(header):
            repeated = next(name for name in header if header.count(name) > 1)
            raise InputError(
                f"{path}:1: expected each column once, found {repeated!r} more "
                f"than once."
            )
        try:
            with warnings.catch_warnings():
                # NumPy warns of a table without rows.
                warnings.simplefilter("ignore", UserWarning)
                values: _Floats = np.loadtxt(
                    file,
                    delimiter=delimiter,
                    comments=None,
                    quotechar='"',
                    ndmin=2,
                )  # [num_windows, 2 + num_columns]
        except ValueError as error:
            raise _bad_line(path, len(header), delimiter) from error
    if not values.size:
        values = np.zeros((0, len(header)))
    # Infinities and NaN fail the comparison too.
    is_valid = np.abs(values) <= _HIGHEST
    if values.shape[1] != len(header) or not is_valid.all():
        raise _bad_line(path, len(header), delimiter)
    _check_times(path, values[:, 0], values[:, 1])
    return ScoreTable(
        path=path,
        columns=header[2:],
        edges_seconds=np.append(values[:, 0], values[-1:, 1]),
        scores=values[:, 2:],
    )


def _scores_of(
    table: ScoreTable, first: ScoreTable, columns: list[str]
) -> _Floats:
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


def _bad_line(path: str, num_columns: int, delimiter: str) -> InputError:
    """Finds the first line that is not a row of finite numbers."""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter)
        names = next(lines)
        for fields in lines:
            if not fields:
                continue
            if len(fields) != num_columns:
                return InputError(
                    f"{path}:{lines.line_num}: expected {num_columns} columns, "
                    f"found {len(fields)}."
                )
            for name, text in zip(names, fields, strict=True):
                try:
                    is_number = abs(float(text)) <= _HIGHEST
                except ValueError:
                    is_number = False
                if not is_number:
                    return InputError(
                        f"{path}:{lines.line_num}: expected a finite number "
                        f"for {name!r}, found {text[:40]!r}. Check the model "
                        f"that wrote it."
                    )
    return InputError(f"{path}: expected rows of numbers; cannot read them.")


def _check_times(path: str, onsets: _Floats, offsets: _Floats) -> None:
    """Checks that windows follow each other from the start of the clip."""
    ends_before = np.concatenate(([0.0], offsets[:-1]))[: len(onsets)]
    starts_before = np.concatenate(([-np.inf], onsets[:-1]))[: len(onsets)]
    steps = onsets - ends_before  # [num_windows]
    problems = {
        "an offset after the onset": offsets <= onsets,
        "rows in order of time": onsets < starts_before,
        "no gap before the row": steps > TIME_TOLERANCE_SECONDS,
        "no overlap with the row before": steps < -TIME_TOLERANCE_SECONDS,
    }
    for expected, is_bad in problems.items():
        if is_bad.any():
            row = int(np.argmax(is_bad))
            before = f"{ends_before[row]:g} s" if row else "the start, 0 s"
            with open(path, encoding="utf-8-sig", errors="replace") as file:
                # Empty lines are no rows.
                lines = [n for n, line in enumerate(file, 1) if line.strip()]
            raise InputError(
                f"{path}:{lines[row + 1]}: expected {expected}, found "
                f"{onsets[row]:g} to {offsets[row]:g} s after {before}."
            )
