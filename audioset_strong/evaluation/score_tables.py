r"""Score tables: a folder with one table a clip, at any frame rate.

`<segment_id>.tsv`, as `sed_scores_eval` writes them, or `<segment_id>.csv`; a
segment id with slashes is in subfolders:

    onset<TAB>offset<TAB>/m/09x0r<TAB>/m/04rlf
    0.0<TAB>0.04<TAB>0.012<TAB>0.93
    0.04<TAB>0.08<TAB>0.013<TAB>0.95

A row is a window; rows are in order of time, without gaps, from the start of
the clip. They can overlap if they do so evenly, as YAMNet's do. Columns are
classes, named as in score files (`scores.py`), the same in every file, in any
order.

pyarrow parses a whole table at once, exactly, and several tables are read at
the same time. Only if that fails are the lines read again one by one, to name
the one at fault. Scores that would fill the memory wait in a file (`_Store`).
"""

import concurrent.futures
import csv
import dataclasses
import os
import tempfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import tqdm
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.native_scores import (
    NativeScores,
    check_windows,
    frame_times,
    make_native,
    read_score_file,
)
from audioset_strong.evaluation.score_arrays import TIME_COLUMNS, make_scores
from audioset_strong.evaluation.scores import (
    TIME_TOLERANCE_SECONDS,
    Path,
    find_classes,
)
from audioset_strong.labels.class_map import KnownClasses
from audioset_strong.params import LabelFrameParams

DELIMITERS = {".tsv": "\t", ".csv": ","}

_GRID = LabelFrameParams()
_HIGHEST = float(np.finfo(np.float64).max)
# Scores beyond this go into a file: 1 GB.
_MOST_BYTES = 1 << 30
_TABLES_AT_ONCE = 64
_ROWS_AT_ONCE = 1 << 16

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
      path: A score file (`native_scores.py`, `scores.py`), a folder of score
        tables, or one table of all clips (`score_arrays.py`).
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
            return _read_one_table(path, known, frame_seconds, is_logits)
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


def _read_one_table(
    path: Path,
    known: KnownClasses,
    frame_seconds: float | None,
    is_logits: bool,
) -> NativeScores:
    """Reads one table of all clips."""
    delimiter = DELIMITERS[os.path.splitext(path)[1].lower()]
    try:
        # Some of pandas' parsers are off by a bit now and then.
        parsing = pa_csv.ParseOptions(delimiter=delimiter)
        table = pa_csv.read_csv(path, parse_options=parsing).to_pandas()
        made = make_scores(
            table,
            frame_seconds=frame_seconds or _GRID.label_frame_seconds,
            is_logits=is_logits,
            known=known,
        )
    except (ValueError, InputError) as error:
        raise InputError(
            f"{path}: {error} One table holds the scores of all clips; tables "
            f"of a clip each are read from their folder."
        ) from error
    return dataclasses.replace(made, source=os.fspath(path))


def read_score_tables(
    folder: Path,
    known: KnownClasses = KnownClasses(),
    is_logits: bool = False,
    num_threads: int | None = None,
) -> NativeScores:
    """Reads a folder of score tables.

    Args:
      folder: The folder.
      known: As in `read_scores`.
      is_logits: As in `read_scores`.
      num_threads: Tables that are read at once; None for one a processor.

    Returns:
      The scores, clips in the order of their names. Its notes describe the
      columns, the length of the windows and what was left out.

    Raises:
      InputError: There is no table, a clip has two, or a table is not as the
        module docstring says; names file and line.
    """
    paths, notes = _find_tables(folder)
    names = list(paths.values())
    first = read_score_table(names[0])
    try:
        classes = find_classes(first.columns, known)
    except InputError as error:
        raise InputError(f"{first.path}:1: {error}") from error
    columns = [first.columns[position] for position in classes.columns]
    num_threads = num_threads or os.cpu_count() or 1
    num_reordered = 0
    onsets, offsets = [], []  # of each clip
    store = _Store(len(columns), _expected_bytes(names, first))
    with (
        concurrent.futures.ThreadPoolExecutor(num_threads) as threads,
        # No progress bar where nobody watches.
        tqdm.tqdm(total=len(names), desc="score tables", disable=None) as bar,
    ):
        for start in range(0, len(names), _TABLES_AT_ONCE):
            part = names[start : start + _TABLES_AT_ONCE]
            tables = list(threads.map(read_score_table, part))
            store.add([_scores_of(table, first, columns) for table in tables])
            onsets += [table.onset_seconds for table in tables]
            offsets += [table.offset_seconds for table in tables]
            num_reordered += sum(t.columns != first.columns for t in tables)
            bar.update(len(part))
    notes.append(f"classes: {classes.describe()}")
    num_frames = np.array([len(of_clip) for of_clip in onsets])
    # [num_windows_of_all] each
    all_onsets, all_offsets = np.concatenate(onsets), np.concatenate(offsets)
    text = ""
    if len(all_onsets):
        lengths = all_offsets - all_onsets
        low, high = lengths.min(), lengths.max()
        is_even = high - low < 2 * TIME_TOLERANCE_SECONDS
        text = f" of {low:.3f}{'' if is_even else f' to {high:.3f}'} s"
    notes.append(f"{len(all_onsets)} windows{text} in {len(names)} tables")
    if num_reordered:
        notes.append(
            f"{num_reordered} tables have their columns in another order than "
            f"the first; they were joined by name"
        )
        logging.warning("Score tables: %s.", notes[-1])
    return make_native(
        NativeScores(
            segment_ids=np.array(list(paths), dtype=str),
            mids=np.array(classes.mids, dtype=str),
            scores=store.scores(),
            num_frames=num_frames,
            **frame_times(all_onsets, all_offsets, num_frames)._asdict(),
            audio_seconds=np.full(len(names), np.nan),
            is_logits=is_logits,
            display_names=known.name_of_mid,
            source=os.fspath(folder),
            notes=tuple(notes),
        ),
        is_finite=True,
    )


def _expected_bytes(paths: Sequence[str], first: "ScoreTable") -> int:
    """Estimates how large the scores of all tables are, by the first."""
    of_files = sum(os.path.getsize(path) for path in paths)
    share = first.scores.nbytes / max(os.path.getsize(first.path), 1)
    return int(share * of_files)


class _Store:
    """Scores that are added clip by clip, in memory or in a file.

    The file has no name, so that it is gone when the process ends. It holds a
    class after the other, each with room for as many rows as there can be, so
    that the rows of a class, or of a few, are read at once. What is never
    written takes no space. float64 that are float32 in truth, as most models'
    are, take half of it.
    """

    def __init__(self, num_classes: int, expected_bytes: int) -> None:
        """Takes the number of classes, and about how large all will be."""
        self._parts: list[_Floats] = []
        self._file: BinaryIO | None = None
        self._num_rows = 0
        self._num_classes = num_classes
        self._dtype = np.dtype(np.float32)
        # Half as many again, for tables that are longer than the first.
        self._room = int(1.5 * expected_bytes / 8 / num_classes) + 1
        if expected_bytes > _MOST_BYTES:
            self._file = self._open()

    def _open(self) -> BinaryIO:
        # It is open as long as its scores are used.
        file = tempfile.TemporaryFile(prefix="score_tables_")  # noqa: SIM115
        num_bytes = self._dtype.itemsize * self._num_classes * self._room
        file.truncate(num_bytes)
        folder = tempfile.gettempdir()
        logging.info(
            "Score tables: they are kept in a file in %s, up to %.1f GB, until "
            "the end of this process (TMPDIR names another folder).",
            folder,
            num_bytes / 1e9,
        )
        return file

    def add(self, tables: list[_Floats]) -> None:
        """Adds the scores of some clips, `[num_windows, num_classes]` each."""
        rows = np.concatenate(tables)
        if self._file is None:
            self._parts.append(rows)
            return
        narrow = rows.astype(np.float32)
        is_wide = self._dtype == np.float32 and not (narrow == rows).all()
        if is_wide or self._num_rows + len(rows) > self._room:
            dtype = np.dtype(np.float64) if is_wide else self._dtype
            self._move(dtype, 2 * (self._num_rows + len(rows)))
        columns = np.ascontiguousarray(rows.T, dtype=self._dtype)
        self._write(columns, self._num_rows)
        self._num_rows += len(rows)

    def _write(self, columns: npt.NDArray[Any], first_row: int) -> None:
        """Writes rows of all classes, `[num_classes, num_rows]`."""
        assert self._file is not None
        for number, column in enumerate(columns):
            place = number * self._room + first_row
            self._file.seek(place * self._dtype.itemsize)
            self._file.write(column.tobytes())

    def _move(self, dtype: np.dtype[Any], room: int) -> None:
        """Starts another file, of another type or with more room."""
        old, num_rows = self.scores(), self._num_rows
        self._dtype, self._room = dtype, max(room, self._room)
        self._file = self._open()
        for start in range(0, num_rows, _ROWS_AT_ONCE):
            part = old[start : min(start + _ROWS_AT_ONCE, num_rows)]
            self._write(np.ascontiguousarray(part.T, dtype=dtype), start)

    def scores(self) -> npt.NDArray[np.floating[Any]]:
        """Returns all scores, `[num_rows, num_classes]`; none are added."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._file.flush()
        mapped: npt.NDArray[np.floating[Any]] = np.memmap(
            self._file,
            dtype=self._dtype,
            mode="r",
            shape=(self._num_classes, self._room),
        )
        self._file.close()  # What is mapped stays.
        return mapped[:, : self._num_rows].T


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
        such = f" (such as {others[0]!r})" if others else ""
        raise InputError(
            f"{folder}: expected score tables '<segment_id>.tsv', found none "
            f"among {len(others)} files{such}. Give the folder that holds "
            f"them, or a score file (.npz)."
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
      onset_seconds: float64 `[num_windows]`, ascending.
      offset_seconds: float64 `[num_windows]`.
      scores: float64 `[num_windows, num_columns]`, finite.
    """

    path: str
    columns: list[str]
    onset_seconds: _Floats
    offset_seconds: _Floats
    scores: _Floats


def read_score_table(path: str) -> ScoreTable:
    """Reads and checks the table of one clip.

    Raises:
      InputError: It is not as the module docstring says; names file and line.
    """
    delimiter = DELIMITERS[os.path.splitext(path)[1].lower()]
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        line = file.readline()
        is_empty = not file.read(1)
    header = next(csv.reader([line], delimiter=delimiter), [])
    if tuple(header[:2]) not in TIME_COLUMNS or len(header) < 3:
        expected = delimiter.join(["onset", "offset", "<class>", "..."])
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
    values: _Floats = np.zeros((len(header), 0))
    if not is_empty:
        columns = list(map(str, range(len(header))))
        try:
            # A thread a table, and a table in one piece.
            table = pa_csv.read_csv(
                path,
                pa_csv.ReadOptions(
                    use_threads=False,
                    block_size=min(os.path.getsize(path) + 1, 1 << 30),
                    column_names=columns,
                    skip_rows=1,
                ),
                pa_csv.ParseOptions(delimiter=delimiter),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.float64())
                ),
            )
        except pa.ArrowInvalid as error:
            raise _bad_line(path, len(header), delimiter) from error
        if len(table):
            # [2 + num_columns, num_windows]
            values = np.stack([c.to_numpy() for c in table.columns])
    # Infinities and NaN, which is what is empty too, fail the comparison.
    if not (np.abs(values) <= _HIGHEST).all():
        raise _bad_line(path, len(header), delimiter)
    _check_times(path, values[0], values[1])
    return ScoreTable(
        path=path,
        columns=header[2:],
        # Copies, which do not keep the scores in memory.
        onset_seconds=values[0].copy(),
        offset_seconds=values[1].copy(),
        scores=values[2:].T,
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
    problem = check_windows(onsets, offsets)
    if problem is None:
        return
    row, expected = problem
    before = f"{offsets[row - 1]:g} s" if row else "the start, 0 s"
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        # Empty lines are no rows.
        lines = [n for n, line in enumerate(file, 1) if line.strip()]
    raise InputError(
        f"{path}:{lines[row + 1]}: expected {expected}, found "
        f"{onsets[row]:g} to {offsets[row]:g} s after {before}."
    )
