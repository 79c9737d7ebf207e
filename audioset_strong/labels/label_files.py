"""Writers of the AudioSet label files, byte for byte as the released ones.

They take the tables of `label_files.py`, whose readers give back what was
written. Times have three decimals as in the release, and more only where a
table has more.

What can be wrong with the rows of a label file besides their syntax.

Rows that cannot be used are left out: segments and events that end before they
start, a segment's second line, times off the grid of label frames. Rows that
look wrong are noted and kept, because the files say them: a repeated event, a
time outside the clip, rows out of order, an unknown class, an id that is not
YouTube's. What concerns many rows at once is one problem, with their number and
the first of them.

Columns of the label tables that the files write in another way.

segment_id from a weak line's YTID and start, mids from its text, label_frame
from a framed line's times. Also the comments of a weak CSV, which say what its
lines should add up to.

Readers and writers of the AudioSet label files.

Here and in `label_lines.py` alone the files' own words are known (`YTID`,
`positive_labels`, `start_time_seconds`, `label`, `present`); everywhere else
columns are named as in these tables, all pandas data frames with a plain
integer index:

  weak    one row a clip:        segment_id str, start_seconds float64,
                                 end_seconds float64, mids tuple[str, ...]
  strong  one row an event:      segment_id str, onset_seconds float64,
                                 offset_seconds float64, mid str
  framed  one row a label frame  segment_id str, label_frame int64, mid str,
          and class:             is_present bool
  pairs   one row a pair         segment_id str, mid str
          of clip and class:

Event times are seconds from the start of the clip. Every reader takes an
optional `ProblemLog` (`problems.py`), and the mids that are known, if the file
is to be checked against a vocabulary. `class_map.py` reads
class_labels_indices.csv, `ontology.py` reads ontology.json.

Source: https://research.google.com/audioset/download.html and the files.

Explicit negatives: (clip, class) pairs that annotators marked absent.

The release has them only inside its framed file, as pairs that are NOT_PRESENT
in all ten label frames; our own format is a TSV of pairs
(`label_files.read_pairs`). Either can be given where they are asked for.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.line_parser import (
    FRAMED_LINE,
    NAME_LINE,
    PAIR_LINE,
    STRONG_LINE,
    WEAK_LINE,
    LabelText,
    LineFormat,
    Path,
    parse_lines,
    shown,
)
from audioset_strong.labels.problems import ProblemLog, noting
from audioset_strong.params import LabelFrameParams

# --- label writers ---------------------------------------------------------


WEAK_HEADER = "# YTID, start_seconds, end_seconds, positive_labels"
STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
FRAMED_HEADER = STRONG_HEADER + "\tpresent"
PAIR_HEADER = "segment_id\tlabel"

# Joining a file of millions of lines at once would double the memory.
_ROWS_AT_ONCE = 1 << 17
# The date of a weak CSV made of a table that has none: the release's, so that
# equal tables give equal bytes.
_NO_DATE = datetime(2017, 3, 5)


def seconds_texts(seconds: "pd.Series[float]") -> npt.NDArray[np.object_]:
    """Writes times as the files do; object `[num_rows]` of str."""
    distinct, inverse = np.unique(seconds.to_numpy(), return_inverse=True)
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [_seconds_text(value) for value in distinct.tolist()]
    return texts[inverse]


def _seconds_text(seconds: float) -> str:
    """Writes a time with three decimals, or with up to nine if it has more."""
    # Further from a millisecond than any rounding of float64.
    milliseconds = seconds * 1000
    rounding = max(1e-7, 1e-15 * milliseconds)
    if abs(milliseconds - round(milliseconds)) > rounding:
        return f"{seconds:.9f}".rstrip("0")
    return f"{seconds:.3f}"


def write_weak_labels(
    table: pd.DataFrame, path: Path, created: datetime | None = None
) -> None:
    """Writes a weak table as a weak CSV.

    Args:
      table: Weak table (`label_files`).
      path: Where to write; the folder exists.
      created: Date for the first comment line; by default the table's own
        (`attrs["created"]`), or else the release's.
    """
    ytids = [s.rsplit("_", 1)[0] for s in table["segment_id"]]
    starts = seconds_texts(table["start_seconds"])
    ends = seconds_texts(table["end_seconds"])
    with open_output(path) as file:
        created = created or table.attrs.get("created")
        comments = weak_comments(
            table["mids"].tolist(), np.array(ytids, dtype=object), created
        )
        file.write("\n".join((*comments, WEAK_HEADER, "")))
        file.writelines(
            f'{ytid}, {start}, {end}, "{",".join(mids)}"\n'
            for ytid, start, end, mids in zip(
                ytids, starts, ends, table["mids"], strict=True
            )
        )


def weak_comments(
    mids_of_row: Sequence[tuple[str, ...]],
    ytids: npt.NDArray[np.object_],
    created: datetime | None,
) -> tuple[str, str]:
    """Makes the two comment lines before the header of a weak CSV.

    Args:
      mids_of_row: The mids of each row.
      ytids: object `[num_rows]`, the YouTube id of each row.
      created: When the file was made; None for the release's date.
    """
    labels = set(itertools.chain.from_iterable(mids_of_row))
    num_labels = sum(map(len, mids_of_row))
    return (
        f"# Segments csv created {(created or _NO_DATE).ctime()}",
        f"# num_ytids={_count_distinct(ytids)}, num_segs={len(mids_of_row)}, "
        f"num_unique_labels={len(labels)}, num_positive_labels={num_labels}",
    )


def _count_distinct(values: npt.NDArray[np.object_]) -> int:
    if (values[1:] > values[:-1]).all():
        return len(values)  # In ascending order, as the released files are.
    return len(set(values))


def write_strong_labels(table: pd.DataFrame, path: Path) -> None:
    """Writes a strong table as a strong TSV.

    Args:
      table: Strong table (`label_files`).
      path: Where to write; the folder exists.
    """
    onsets = seconds_texts(table["onset_seconds"])
    offsets = seconds_texts(table["offset_seconds"])
    columns = (table["segment_id"], onsets, offsets, table["mid"])
    _write_lines(
        STRONG_HEADER, map("\t".join, zip(*columns, strict=True)), path
    )


def write_framed_labels(
    table: pd.DataFrame,
    path: Path,
    params: LabelFrameParams = LabelFrameParams(),
) -> None:
    """Writes a framed table as a framed TSV.

    Args:
      table: Framed table (`label_files`).
      path: Where to write; the folder exists.
      params: The grid of label frames.

    Raises:
      InputError: A label frame is not on the grid.
    """
    # Lines differ in little but their id, so the rest is formatted once for
    # each (class, label frame, presence): millions of rows take a second.
    mid_codes, mids = pd.factorize(table["mid"])
    endings = np.array(_framed_endings(mids.tolist(), params), dtype=object)
    label_frames = table["label_frame"].to_numpy()
    if len(table) and not (
        0 <= label_frames.min() <= label_frames.max() < params.num_label_frames
    ):
        raise InputError(
            f"Expected label frames 0 to {params.num_label_frames - 1}, found "
            f"{label_frames.min()} to {label_frames.max()}."
        )
    codes = (mid_codes * params.num_label_frames + label_frames) * 2
    codes = codes + table["is_present"].to_numpy()
    segment_ids = table["segment_id"].to_numpy()
    with open_output(path) as file:
        file.write(FRAMED_HEADER + "\n")
        for start in range(0, len(table), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            file.write("".join(segment_ids[part] + endings[codes[part]]))


def _framed_endings(mids: Sequence[str], params: LabelFrameParams) -> list[str]:
    """Formats what follows the id, by (mid, label frame, is present)."""
    edges = [
        _seconds_text(label_frame * params.label_frame_seconds)
        for label_frame in range(params.num_label_frames + 1)
    ]
    return [
        f"\t{edges[label_frame]}\t{edges[label_frame + 1]}\t{mid}\t{present}\n"
        for mid in mids
        for label_frame in range(params.num_label_frames)
        for present in ("NOT_PRESENT", "PRESENT")
    ]


def write_pairs(table: pd.DataFrame, path: Path) -> None:
    """Writes (clip, class) pairs, columns segment_id and mid, as a TSV."""
    columns = (table["segment_id"], table["mid"])
    _write_lines(PAIR_HEADER, map("\t".join, zip(*columns, strict=True)), path)


def write_display_names(names: Iterable[tuple[str, str]], path: Path) -> None:
    """Writes (mid, display name) pairs as `mid_to_display_name.tsv`."""
    with open_output(path) as file:
        file.writelines(f"{mid}\t{name}\n" for mid, name in names)


def _write_lines(header: str, lines: Iterable[str], path: Path) -> None:
    with open_output(path) as file:
        file.write(header + "\n")
        file.writelines(f"{line}\n" for line in lines)


# --- label checks ----------------------------------------------------------


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


# --- label columns ---------------------------------------------------------


_CREATED = "# Segments csv created "
_CTIME = "%a %b %d %H:%M:%S %Y"
# Label frames are multiples of 0.96 s written with 2 or 3 decimals, so a start
# further than this from the grid is another grid, not a rounding.
_GRID_TOLERANCE_SECONDS = 0.0015


def with_segment_ids(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the column segment_id (`segments.make_segment_id`)."""
    starts_ms = np.rint(table["start_seconds"].to_numpy() * 1000)
    codes, distinct = pd.factorize(starts_ms)
    endings = np.array([f"_{int(start)}" for start in distinct], dtype=object)
    ids = table["ytid"].to_numpy() + endings[codes]
    return table.assign(segment_id=pd.Series(ids, dtype="object"))


def split_labels(checks: RowChecks) -> "pd.Series[Any]":
    """Makes a tuple of mids of each row's text; a repeated mid counts once."""
    codes, texts = pd.factorize(checks.table["labels"])
    split = [tuple(text.split(",")) for text in texts]
    is_repeated = np.array([len(set(s)) < len(s) for s in split], dtype=bool)
    checks.doubt(
        is_repeated[codes], "expected each mid of a segment once, counted once"
    )
    for index in np.flatnonzero(is_repeated).tolist():
        split[index] = tuple(dict.fromkeys(split[index]))
    distinct = np.empty(len(split), dtype=object)
    distinct[:] = split
    return pd.Series(distinct[codes], dtype="object")


def check_comments(
    text: LabelText, table: pd.DataFrame, log: ProblemLog
) -> datetime | None:
    """Checks the comments of a weak CSV against its lines.

    Args:
      text: The file.
      table: Its lines; columns mids and ytid.
      log: Takes what is wrong.

    Returns:
      The date in the first comment; None if there is none.
    """
    date = text.header[0].removeprefix(_CREATED)
    try:
        created = datetime.strptime(date, _CTIME)
    except ValueError:
        created = None
        _doubt_comment(text, log, 1, f"'{_CREATED}' and a date")
    _, counts = weak_comments(
        table["mids"].tolist(), table["ytid"].to_numpy(), created
    )
    # Lines that were left out are noted already, and explain a difference.
    is_whole = len(table) == text.num_lines
    if is_whole and text.header[1] != counts:
        _doubt_comment(text, log, 2, f"'{counts}', as the lines add up")
    return created


def _doubt_comment(
    text: LabelText, log: ProblemLog, line: int, expected: str
) -> None:
    found = text.header[line - 1]
    message = f"expected {expected}, found {found!r}"
    log.add(text.path, line, message, is_left_out=False)


def find_label_frames(checks: RowChecks, params: LabelFrameParams) -> None:
    """Adds the column label_frame; leaves out rows that are off the grid."""
    seconds = params.label_frame_seconds
    onsets = checks.table["onset_seconds"].to_numpy()
    offsets = checks.table["offset_seconds"].to_numpy()
    label_frames = np.rint(onsets / seconds).astype(np.int64)
    off_grid = np.maximum(
        np.abs(onsets - label_frames * seconds),
        np.abs(offsets - (label_frames + 1) * seconds),
    )
    checks.table["label_frame"] = label_frames
    checks.leave_out(
        (off_grid > _GRID_TOLERANCE_SECONDS)
        | (label_frames >= params.num_label_frames),
        f"expected one of the {params.num_label_frames} label frames of "
        f"{seconds} s",
    )


# --- label files -----------------------------------------------------------


def _parse(
    text: LabelText,
    line_format: LineFormat,
    names: list[str],
    log: ProblemLog,
) -> RowChecks:
    """Parses a file into a table of these columns, to be checked."""
    parsed = parse_lines(text, line_format, log)
    if text.is_cut:
        line = text.first_line + text.num_lines - 1
        message = "expected a newline after the last line, as in a whole file"
        found = shown(text.line(line))
        log.add(text.path, line, f"{message}, found {found}", is_left_out=False)
    table = pd.DataFrame(
        {
            # The dtype is given because pandas would take str for object.
            name: pd.Series(column, dtype=column.dtype)
            for name, column in zip(names, parsed.columns, strict=True)
        }
    )
    return RowChecks(text, log, table, parsed.line_numbers)


# --- Weak labels ------------------------------------------------------------


def read_weak_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a weak CSV such as `eval_segments.csv`.

    Args:
      path: The file: three comment lines, then one line a segment.
      problems: Takes what is wrong; None is strict about lines to leave out.
      known_mids: The vocabulary; None to take any class.
      params: Length of a clip.

    Returns:
      The weak table (module docstring), in file order; its
      `attrs["created"]` is the date that the file bears.

    Raises:
      InputError: The header is not that of a weak CSV; or, without `problems`,
        a line is malformed or repeats a segment.
    """
    text = LabelText(path, 3)
    text.check_header(WEAK_HEADER, "eval_segments.csv")
    names = ["ytid", "start_seconds", "end_seconds", "labels"]
    with noting(problems) as log:
        checks = _parse(text, WEAK_LINE, names, log)
        leave_out_backward(checks, "a segment")
        checks.table = with_segment_ids(checks.table)
        leave_out_repeated(checks, ["segment_id"], "segment")
        doubt_long_segments(checks, params.clip_seconds)
        doubt_strange_ids(checks)
        doubt_unsorted(checks, "ytid", "YTIDs")
        checks.table["mids"] = split_labels(checks)
        doubt_unknown_mids(checks, known_mids)
        created = check_comments(text, checks.table, log)
    table = checks.table[[*empty_weak_labels().columns]]
    table.attrs["created"] = created
    return table


def empty_weak_labels() -> pd.DataFrame:
    """Makes a weak table without rows."""
    columns = {
        "segment_id": "object",
        "start_seconds": "float64",
        "end_seconds": "float64",
        "mids": "object",
    }
    return pd.DataFrame(columns=list(columns)).astype(columns)


# --- Strong labels ----------------------------------------------------------


def read_strong_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a strong TSV such as `audioset_eval_strong.tsv`.

    Args:
      path: The file: a header, then one line an event.
      problems: Takes what is wrong; None is strict about lines to leave out.
      known_mids: The vocabulary; None to take any class.
      params: Length of a clip.

    Returns:
      The strong table (module docstring), in file order.

    Raises:
      InputError: The header is not that of a strong TSV; or, without
        `problems`, a line is malformed.
    """
    text = LabelText(path, 1)
    text.check_header(STRONG_HEADER, "audioset_eval_strong.tsv")
    names = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    with noting(problems) as log:
        checks = _parse(text, STRONG_LINE, names, log)
        leave_out_backward(checks, "an event")
        doubt_times_outside(checks, params.clip_seconds)
        doubt_repeated(checks, names, "event")
        doubt_strange_ids(checks)
        doubt_scattered(
            checks,
            "onset_seconds",
            "expected a clip's events together, in order of onset",
        )
        doubt_unknown_mids(checks, known_mids)
    return checks.table


def empty_strong_labels() -> pd.DataFrame:
    """Makes a strong table without rows."""
    columns = {
        "segment_id": "object",
        "onset_seconds": "float64",
        "offset_seconds": "float64",
        "mid": "object",
    }
    return pd.DataFrame(columns=list(columns)).astype(columns)


# --- Framed labels ----------------------------------------------------------


def read_framed_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a framed TSV such as `audioset_eval_strong_framed_posneg.tsv`.

    Args:
      path: The file: a header, then one line a (label frame, class) that is
        known to be present or not. Negatives are kept.
      problems: Takes what is wrong; None is strict about lines to leave out.
      known_mids: The vocabulary; None to take any class.
      params: The grid of label frames.

    Returns:
      The framed table (module docstring), in file order.

    Raises:
      InputError: The header is not that of a framed TSV; or, without
        `problems`, a line is malformed or off the grid.
    """
    text = LabelText(path, 1)
    text.check_header(FRAMED_HEADER, "audioset_eval_strong_framed_posneg.tsv")
    names = ["segment_id", "onset_seconds", "offset_seconds", "mid", "present"]
    with noting(problems) as log:
        checks = _parse(text, FRAMED_LINE, names, log)
        leave_out_backward(checks, "a label frame")
        find_label_frames(checks, params)
        keys = ["segment_id", "label_frame", "mid"]
        doubt_repeated(checks, keys, "label frame and class")
        doubt_strange_ids(checks)
        doubt_scattered(checks, None, "expected a clip's label frames together")
        doubt_unknown_mids(checks, known_mids)
    present = checks.table["present"].to_numpy() == "PRESENT"
    return checks.table[keys].assign(is_present=present)


# --- Explicit negatives -----------------------------------------------------


def read_pairs(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
) -> pd.DataFrame:
    """Reads (clip, class) pairs, such as what annotators marked absent.

    The release has no such file; this is our format for explicit negatives:
    the header `segment_id<TAB>label`, then a segment id and a mid a line.

    Args:
      path: The file.
      problems: Takes what is wrong; None is strict about lines to leave out.
      known_mids: The vocabulary; None to take any class.

    Returns:
      The table of pairs (module docstring), in file order.

    Raises:
      InputError: The header is another; or, without `problems`, a line is
        malformed.
    """
    text = LabelText(path, 1)
    text.check_header(PAIR_HEADER, "explicit_negatives.tsv")
    names = ["segment_id", "mid"]
    with noting(problems) as log:
        checks = _parse(text, PAIR_LINE, names, log)
        doubt_repeated(checks, names, "pair")
        doubt_strange_ids(checks)
        doubt_unknown_mids(checks, known_mids)
    return checks.table


# --- Display names ----------------------------------------------------------


def read_display_names(
    path: Path, problems: ProblemLog | None = None
) -> dict[str, str]:
    """Reads `mid_to_display_name.tsv`: a mid and a name a line, no header.

    Returns:
      Display name of each mid, in file order.

    Raises:
      InputError: Without `problems`, a line is not a mid, a tab and a name, or
        repeats a mid.
    """
    text = LabelText(path, 0)
    with noting(problems) as log:
        checks = _parse(text, NAME_LINE, ["mid", "display_name"], log)
        leave_out_repeated(checks, ["mid"], "mid")
        doubt_repeated(checks, ["display_name"], "display name")
    columns = (checks.table["mid"], checks.table["display_name"])
    return dict(zip(*columns, strict=True))


# --- explicit negatives ----------------------------------------------------


def absent_pairs(
    framed: pd.DataFrame, params: LabelFrameParams = LabelFrameParams()
) -> pd.DataFrame:
    """Returns the (clip, class) pairs that a framed table rules out.

    Args:
      framed: Framed table (`label_files`), a label frame and class at most
        once.
      params: The grid of label frames.

    Returns:
      Columns segment_id and mid: the pairs that are NOT_PRESENT in all label
      frames.
    """
    keys = ["segment_id", "mid"]
    pairs = framed.groupby(keys, sort=False)["is_present"].agg(["size", "any"])
    pairs = pairs.reset_index()
    is_absent = (pairs["size"] == params.num_label_frames) & ~pairs["any"]
    return pairs.loc[is_absent, keys].reset_index(drop=True)


def read_explicit_negatives(
    path: Path, problems: ProblemLog | None = None
) -> pd.DataFrame:
    """Reads pairs that annotators marked absent.

    Args:
      path: A TSV of pairs, or a framed TSV.
      problems: Takes what is wrong; None is strict about lines to leave out.

    Returns:
      Columns segment_id and mid.

    Raises:
      InputError: The header is neither's; or, without `problems`, a line is
        malformed.
    """
    if LabelText(path, 1).header != [FRAMED_HEADER]:
        return read_pairs(path, problems)
    with noting(problems) as log:
        framed = read_framed_labels(path, log).drop_duplicates()
        absent = absent_pairs(framed)
        num_partial = _count_partial(framed, absent)
        if num_partial:
            log.add(
                path,
                1,
                f"expected {LabelFrameParams().num_label_frames} label frames "
                f"of each explicit negative, found fewer of {num_partial} "
                f"(clip, class) pairs, which are not taken for explicit "
                f"negatives",
                num_lines=num_partial,
                is_left_out=False,
            )
    return absent


def _count_partial(framed: pd.DataFrame, absent: pd.DataFrame) -> int:
    """Counts the pairs without a PRESENT row that are not taken as absent."""
    keys = ["segment_id", "mid"]
    present = framed.loc[framed["is_present"], keys].drop_duplicates()
    return len(framed[keys].drop_duplicates()) - len(present) - len(absent)
