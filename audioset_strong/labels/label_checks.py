"""What can be wrong with the rows of a label file besides their syntax.

Rows that cannot be used are left out: segments and events that end before they
start, a segment's second line, times off the grid of label frames. Rows that
look wrong are noted and kept, because the files say them: a repeated event, a
time outside the clip, rows out of order, an unknown class, an id that is not
YouTube's. What concerns many rows at once is one problem, with their number and
the first of them.
"""

import re
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.labels.label_text import LabelText, shown
from audioset_strong.labels.problems import ProblemLog

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]

# Times are written with three decimals.
_TOLERANCE_SECONDS = 1e-6
_YOUTUBE_SEGMENT = re.compile(r"[A-Za-z0-9_-]{11}_[0-9]+")
_YOUTUBE_SEGMENTS = re.compile(rf"(?:{_YOUTUBE_SEGMENT.pattern}\n)*+")


class RowChecks:
    """Checks the rows of one file and notes what is wrong with them.

    Attributes:
      text: The file.
      problems: Takes the problems.
      table: The rows that are still in, with a plain integer index.
      line_numbers: int64 `[num_rows]`, the line of each.
    """

    def __init__(
        self,
        text: LabelText,
        problems: ProblemLog,
        table: pd.DataFrame,
        line_numbers: _Ints,
    ) -> None:
        self.text = text
        self.problems = problems
        self.table = table
        self.line_numbers = line_numbers

    def leave_out(
        self, is_bad: npt.ArrayLike, expected: str | Callable[[int], str]
    ) -> None:
        """Drops rows and notes each.

        Args:
          is_bad: bool `[num_rows]`.
          expected: What was expected, or a function of the row that says it.
        """
        bad = np.asarray(is_bad, dtype=bool)
        self._note_each(bad, expected, is_left_out=True)
        if bad.any():
            self.table = self.table[~bad].reset_index(drop=True)
            self.line_numbers = self.line_numbers[~bad]

    def doubt(
        self, is_odd: npt.ArrayLike, expected: str | Callable[[int], str]
    ) -> None:
        """Notes rows and keeps them; arguments as `leave_out`."""
        self._note_each(np.asarray(is_odd), expected, is_left_out=False)

    def doubt_all(self, is_odd: npt.ArrayLike, expected: str) -> None:
        """Notes all of these rows as one problem, at the first of them."""
        rows = np.flatnonzero(np.asarray(is_odd))
        if len(rows):
            line = int(self.line_numbers[rows[0]])
            self.problems.add(
                self.text.path,
                line,
                f"{expected}, found {shown(self.text.line(line))}",
                num_lines=len(rows),
                is_left_out=False,
            )

    def _note_each(
        self,
        is_noted: _Bools,
        expected: str | Callable[[int], str],
        is_left_out: bool,
    ) -> None:
        for row in np.flatnonzero(is_noted).tolist():
            line = int(self.line_numbers[row])
            reason = expected if isinstance(expected, str) else expected(row)
            self.problems.add(
                self.text.path,
                line,
                f"{reason}, found {shown(self.text.line(line))}",
                is_left_out=is_left_out,
            )

    def first_line_of(self, is_repeated: _Bools, keys: list[str]) -> list[int]:
        """Finds the line that each repeated row repeats.

        Args:
          is_repeated: bool `[num_rows]`, from `DataFrame.duplicated(keys)`.
          keys: The columns that are equal.

        Returns:
          One line number a row, 0 where the row repeats nothing.
        """
        lines = pd.Series(self.line_numbers, index=self.table.index)
        # Only rows with equals, which are few, are grouped.
        equals = self.table[self.table.duplicated(keys, keep=False)]
        groups = lines[equals.index].groupby([equals[key] for key in keys])
        first = groups.transform("first").reindex(lines.index, fill_value=0)
        return [int(line) for line in first.where(is_repeated, 0)]


def leave_out_backward(checks: RowChecks, what: str) -> None:
    """Leaves out rows that do not end after they start.

    Args:
      checks: Rows with two columns of seconds, at positions 1 and 2.
      what: "an event" or "a segment".
    """
    start = checks.table.iloc[:, 1].to_numpy()
    end = checks.table.iloc[:, 2].to_numpy()
    checks.leave_out(end <= start, f"expected {what} that ends after it starts")


def leave_out_repeated(checks: RowChecks, keys: list[str], what: str) -> None:
    """Leaves out rows that repeat an earlier one in these columns."""
    first_key = checks.table[keys[0]].to_numpy()
    if (first_key[1:] > first_key[:-1]).all():
        return  # In ascending order, as the released files are: no repeats.
    is_repeated = checks.table.duplicated(keys).to_numpy()
    checks.leave_out(is_repeated, _expect_once(checks, is_repeated, keys, what))


def doubt_repeated(checks: RowChecks, keys: list[str], what: str) -> None:
    """Notes rows that repeat an earlier one in these columns."""
    is_repeated = checks.table.duplicated(keys).to_numpy()
    checks.doubt(is_repeated, _expect_once(checks, is_repeated, keys, what))


def _expect_once(
    checks: RowChecks, is_repeated: _Bools, keys: list[str], what: str
) -> Callable[[int], str]:
    """Says which line a row repeats."""
    first_lines = checks.first_line_of(is_repeated, keys)
    return lambda row: (
        f"expected each {what} once, this one stands at line "
        f"{first_lines[row]} already"
    )


def doubt_times_outside(checks: RowChecks, clip_seconds: float) -> None:
    """Notes events that end after the clip does."""
    offsets = checks.table["offset_seconds"].to_numpy()
    checks.doubt(
        offsets > clip_seconds + _TOLERANCE_SECONDS,
        f"expected an event inside the clip of {clip_seconds:g} s",
    )


def doubt_long_segments(checks: RowChecks, clip_seconds: float) -> None:
    """Notes segments that are longer than a clip."""
    table = checks.table
    seconds = (table["end_seconds"] - table["start_seconds"]).to_numpy()
    checks.doubt(
        seconds > clip_seconds + _TOLERANCE_SECONDS,
        f"expected a segment of at most {clip_seconds:g} s",
    )


def doubt_strange_ids(checks: RowChecks) -> None:
    """Notes ids that are not YouTube's, in a file where most are.

    A file of one's own sounds can name them as it likes; a few odd ids among
    YouTube's are ids that a spreadsheet changed.
    """
    ids = checks.table["segment_id"]
    # All at once, in the usual case that all are YouTube's.
    if _YOUTUBE_SEGMENTS.fullmatch("\n".join([*ids, ""])):
        return
    codes, distinct = pd.factorize(ids)
    is_odd = np.array(
        [
            _YOUTUBE_SEGMENT.fullmatch(segment_id) is None
            for segment_id in distinct
        ],
        dtype=bool,
    )
    if is_odd.mean() < 0.5:
        _doubt_values(
            checks,
            codes,
            np.arange(len(codes)),
            is_odd,
            lambda _: "expected a YouTube id of 11 characters, as most are",
        )


def doubt_unknown_mids(
    checks: RowChecks, known_mids: Collection[str] | None
) -> None:
    """Notes classes that are not in the vocabulary, one problem a class.

    Args:
      checks: Rows with a column mid, or mids of tuples.
      known_mids: The vocabulary; None to take any class.
    """
    if known_mids is None:
        return
    is_tuples = "mids" in checks.table
    mids = checks.table["mids" if is_tuples else "mid"]
    # A clip without mids, which no file has, would explode to NaN.
    labels = mids.explode().dropna() if is_tuples else mids
    codes, distinct = pd.factorize(labels)
    known = frozenset(known_mids)
    _doubt_values(
        checks,
        codes,
        labels.index.to_numpy(dtype=np.int64),
        np.array([mid not in known for mid in distinct], dtype=bool),
        lambda value: (
            f"expected one of the {len(known)} known mids, not "
            f"{distinct[value]!r}"
        ),
    )


def _doubt_values(
    checks: RowChecks,
    codes: _Ints,
    row_of_code: _Ints,
    is_odd: _Bools,
    expected: Callable[[int], str],
) -> None:
    """Notes each odd value once, with how often it stands."""
    values, first, counts = np.unique(
        codes, return_index=True, return_counts=True
    )
    for value in values[is_odd[values]].tolist():
        line = int(checks.line_numbers[row_of_code[first[value]]])
        found = shown(checks.text.line(line))
        checks.problems.add(
            checks.text.path,
            line,
            f"{expected(value)}, found {found}",
            num_lines=int(counts[value]),
            is_left_out=False,
        )


def doubt_scattered(
    checks: RowChecks, within: str | None, expected: str
) -> None:
    """Notes rows out of order, as one problem.

    Args:
      checks: Rows with a column segment_id.
      within: Column that must not fall within a clip; None for no such.
      expected: What was expected.
    """
    # Numbered as they appear, so a clip whose rows are together never makes
    # the number fall.
    clips = pd.factorize(checks.table["segment_id"])[0]
    is_odd = np.zeros(len(clips), dtype=bool)
    is_odd[1:] = clips[1:] < clips[:-1]
    if within is not None:
        values = checks.table[within].to_numpy()
        falls = values[1:] < values[:-1]
        is_odd[1:] |= (clips[1:] == clips[:-1]) & falls
    checks.doubt_all(is_odd, expected)


def doubt_unsorted(checks: RowChecks, key: str, what: str) -> None:
    """Notes rows whose key is smaller than the one before, as one problem."""
    values = checks.table[key].to_numpy(dtype=object)
    is_odd = np.zeros(len(values), dtype=bool)
    is_odd[1:] = values[1:] < values[:-1]
    checks.doubt_all(is_odd, f"expected {what} in ascending order")
