"""One score table: its lines, and what can be wrong with them.

Tables are parsed by NumPy at once. Only if something is wrong the lines are
read again one by one, to say which.
"""

import csv
import dataclasses
import itertools
import os
import warnings

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.evaluation.label_frame_pooling import (
    TIME_TOLERANCE_SECONDS,
)

_Floats = npt.NDArray[np.float64]

DELIMITERS = {".tsv": "\t", ".csv": ","}

_TIMES = ["onset", "offset"]
_HIGHEST = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTable:
    """A table as it stands.

    Attributes:
      path: The file.
      columns: Names of the score columns, unique.
      edges_seconds: float64 `[num_windows + 1]`, ascending: the start of each
        window, then the end of the last.
      scores: float64 `[num_windows, num_columns]`, finite as float32 too.
    """

    path: str
    columns: list[str]
    edges_seconds: _Floats
    scores: _Floats


def read_score_table(path: str) -> ScoreTable:
    """Reads the table of one clip.

    Args:
      path: A `.tsv` or `.csv` (`score_tables`).

    Returns:
      The checked table.

    Raises:
      InputError: It is not as `score_tables` says; names file and line.
    """
    delimiter = DELIMITERS[os.path.splitext(path)[1].lower()]
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader([file.readline()], delimiter=delimiter), [])
        _check_header(path, header, delimiter)
        try:
            with warnings.catch_warnings():
                # Of a table without rows.
                warnings.simplefilter("ignore", UserWarning)
                values: _Floats = np.loadtxt(
                    file,
                    delimiter=delimiter,
                    comments=None,
                    quotechar='"',
                    ndmin=2,
                )
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


def _check_header(path: str, header: list[str], delimiter: str) -> None:
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
                if not _is_number(text):
                    return InputError(
                        f"{path}:{lines.line_num}: expected a finite number "
                        f"for {name!r}, found {text[:40]!r}. Check the model "
                        f"that wrote it."
                    )
    return InputError(f"{path}: expected rows of numbers; cannot read them.")


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) <= _HIGHEST
    except ValueError:
        return False


def _check_times(path: str, onsets: _Floats, offsets: _Floats) -> None:
    """Checks that windows follow each other from the start of the clip."""
    ends_before = np.concatenate(([0.0], offsets[:-1]))[: len(onsets)]
    starts_before = np.concatenate(([-np.inf], onsets[:-1]))[: len(onsets)]
    steps = onsets - ends_before
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
            raise InputError(
                f"{path}:{_line_of_row(path, row)}: expected {expected}, found "
                f"{onsets[row]:g} to {offsets[row]:g} s after {before}."
            )


def _line_of_row(path: str, row: int) -> int:
    """Returns the line number of a row; empty lines are no rows."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        numbers = (n for n, line in enumerate(file, start=1) if line.strip())
        return next(itertools.islice(numbers, row + 1, None))
