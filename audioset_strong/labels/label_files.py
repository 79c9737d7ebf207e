"""Reads and writes the AudioSet label files.

Here and in `line_parser.py` alone the files' own words are known (`YTID`,
`positive_labels`, `start_time_seconds`, `label`, `present`). Everywhere else
columns are named as in these tables, all pandas data frames with a plain
integer index and texts of dtype object:

  weak    one row a clip:        segment_id str, start_seconds float64,
                                 end_seconds float64, mids tuple[str, ...]
  strong  one row an event:      segment_id str, onset_seconds float64,
                                 offset_seconds float64, mid str
  framed  one row a label frame  segment_id str, label_frame int64, mid str,
          and class:             is_present bool
  pairs   one row a (clip,       segment_id str, mid str
          class) pair:

Event times are seconds from the start of the clip. Writers give back the bytes
of the released files: times have three decimals, and more only where a table
has more. Readers check every row. A row that cannot be used is left out: it
ends before it starts, repeats a segment, or is off the grid of label frames. A
row that looks wrong is kept, because the file says so, but reported: a repeated
event, a time outside the clip, rows out of order, an unknown class.

All readers return the rows in file order and take

  problems    the log of these rows; None to refuse the first to leave out
  known_mids  the vocabulary; None to take any class
  params      the length of a clip and the grid of label frames

and raise InputError for another header and, without `problems`, for a malformed
line. Writers expect that the folder exists.

Source: https://research.google.com/audioset/download.html and the files.
"""

import csv
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.frame_rule import label_frames_of_clips
from audioset_strong.labels.line_parser import (
    FRAMED_LINE,
    NAME_LINE,
    PAIR_LINE,
    STRONG_LINE,
    WEAK_LINE,
    LabelText,
    ParsedLines,
    Path,
    encode_texts,
    parse_lines,
    parse_own_weak_lines,
    read_first_line,
    shown,
)
from audioset_strong.labels.problems import ProblemLog, log_or_stop
from audioset_strong.params import LabelFrameParams

OWN_WEAK_HEADER = "segment_id,labels"
WEAK_HEADER = "# YTID, start_seconds, end_seconds, positive_labels"
STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
FRAMED_HEADER = STRONG_HEADER + "\tpresent"
PAIR_HEADER = "segment_id\tlabel"

_CREATED = "# Segments csv created "
_CTIME = "%a %b %d %H:%M:%S %Y"
# The date of a weak CSV made of a table that has none: the release's, so that
# equal tables give equal bytes.
_NO_DATE = datetime(2017, 3, 5)

_YOUTUBE_SEGMENT = "^[A-Za-z0-9_-]{11}_[0-9]+$"
# Times are written with three decimals.
_TOLERANCE_SECONDS = 1e-6
# Label frames are multiples of 0.96 s written with 2 or 3 decimals, so a start
# further than this from the grid is another grid, not a rounding.
_GRID_TOLERANCE_SECONDS = 0.0015
# Joining a file of millions of lines at once would double the memory.
_ROWS_AT_ONCE = 1 << 17

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


# --- Checks -----------------------------------------------------------------


class _Rows:
    """The rows of one file, and checks that leave out or report some of them.

    A column is kept as codes of its distinct values, so that checks compare
    integers and look at each text once. Texts are numbered as they appear.

    Attributes:
      text: The file.
      log: Takes the problems.
      line_numbers: int64 `[num_rows]`, the line of each row.
      codes: By name, int `[num_rows]`, index into `values`.
      values: By name, the distinct values: texts as `pa.StringArray`, seconds
        as float64, label frames as int64.
    """

    def __init__(
        self, text: LabelText, parsed: ParsedLines, log: ProblemLog
    ) -> None:
        self.text = text
        self.log = log
        self.line_numbers = parsed.line_numbers
        self.codes: dict[str, npt.NDArray[Any]] = {}
        self.values: dict[str, Any] = {}
        for name, column in parsed.columns.items():
            if name.endswith("_seconds"):
                texts = column.dictionary.to_pylist()
                # Texts can differ in zeros at their end.
                self.values[name], code_of_text = np.unique(
                    np.array([t.rstrip(",") for t in texts], dtype=np.float64),
                    return_inverse=True,
                )
                self.codes[name] = code_of_text[column.indices.to_numpy()]
            else:
                self.add_texts(name, column)

    def add_texts(self, name: str, column: Any) -> None:
        """Adds a `pa.DictionaryArray`, without the texts that no row has."""
        self.codes[name], used = pd.factorize(column.indices.to_numpy())
        self.values[name] = column.dictionary.take(pa.array(used))

    def encoded(self, name: str) -> Any:
        """Returns a column of texts as `pa.DictionaryArray` `[num_rows]`."""
        codes = pa.array(self.codes[name])
        return pa.DictionaryArray.from_arrays(codes, self.values[name])

    def array(self, name: str) -> npt.NDArray[Any]:
        """Returns a column `[num_rows]`; equal texts are one object."""
        values = self.values[name]
        if isinstance(values, pa.Array):
            values = values.to_numpy(zero_copy_only=False)
        array: npt.NDArray[Any] = values[self.codes[name]]
        return array

    def table(self, names: Iterable[str]) -> pd.DataFrame:
        """Makes a table of some columns."""
        # The dtype is given because pandas would take str for object.
        columns = {
            name: pd.Series(array, dtype=array.dtype)
            for name, array in ((name, self.array(name)) for name in names)
        }
        return pd.DataFrame(columns, copy=False)

    def leave_out(
        self, is_bad: _Bools, expected: str | Callable[[int], str]
    ) -> None:
        """Drops rows, bool `[num_rows]`, and reports each."""
        self.report(is_bad, expected, is_left_out=True)
        if is_bad.any():
            self.line_numbers = self.line_numbers[~is_bad]
            for name, codes in self.codes.items():
                self.codes[name] = codes[~is_bad]
            for name, values in self.values.items():
                if isinstance(values, pa.Array):
                    self.add_texts(name, self.encoded(name))

    def report(
        self,
        is_odd: _Bools,
        expected: str | Callable[[int], str],
        is_left_out: bool = False,
    ) -> None:
        """Reports each of these rows; `expected` can be a function of it."""
        for row in np.flatnonzero(is_odd).tolist():
            reason = expected if isinstance(expected, str) else expected(row)
            self._add(row, reason, 1, is_left_out)

    def report_as_one(self, is_odd: _Bools, expected: str) -> None:
        """Reports these rows as one problem, at the first of them."""
        if is_odd.any():
            row = int(np.argmax(is_odd))
            self._add(row, expected, int(np.sum(is_odd)))

    def report_texts(
        self,
        codes: _Ints,
        rows: _Ints | None,
        is_odd: _Bools,
        expected: Callable[[int], str],
    ) -> None:
        """Reports each odd text once, with the number of times it stands.

        Args:
          codes: int64 `[num_labels]`, a text each.
          rows: int64 `[num_labels]`, ascending, the row of each; None for one
            a row.
          is_odd: bool `[num_texts]`.
          expected: Says of a code what was expected.
        """
        odd = np.flatnonzero(is_odd[codes])
        found, first, counts = np.unique(
            codes[odd], return_index=True, return_counts=True
        )
        for index in np.argsort(first).tolist():
            label = odd[first[index]]
            row = label if rows is None else rows[label]
            self._add(row, expected(int(found[index])), int(counts[index]))

    def _add(
        self, row: int, expected: str, num_lines: int, is_left_out: bool = False
    ) -> None:
        line = int(self.line_numbers[row])
        self.log.add(
            self.text.path,
            line,
            f"{expected}, found {shown(self.text.line(line))}",
            num_lines=num_lines,
            is_left_out=is_left_out,
        )

    def leave_out_backward(self, what: str, start: str, end: str) -> None:
        """Leaves out rows that do not end after they start."""
        self.leave_out(
            self.array(end) <= self.array(start),
            f"expected {what} that ends after it starts",
        )

    def report_repeated(
        self, keys: list[str], what: str, is_left_out: bool = False
    ) -> None:
        """Reports rows that repeat an earlier one in these columns."""
        codes: _Ints = np.zeros(len(self.line_numbers), np.int64)
        num_codes = 1
        for key in keys:
            num_values = len(self.values[key])
            if num_values == len(codes):
                return  # all differ
            if num_codes * num_values >= 2**63:
                codes, distinct = pd.factorize(codes)
                num_codes = len(distinct)
            codes = codes * num_values + self.codes[key]
            num_codes *= num_values
        codes = pd.factorize(codes)[0]
        # Numbered as they appear: a row is new if its number is.
        largest_before = np.maximum.accumulate(np.append(-1, codes))[:-1]
        is_new = codes > largest_before  # [num_rows]
        first_rows = np.flatnonzero(is_new)  # [num_codes]
        report = self.leave_out if is_left_out else self.report
        report(
            ~is_new,
            lambda row: (
                f"expected each {what} once, this one stands at line "
                f"{self.line_numbers[first_rows[codes[row]]]} already"
            ),
        )

    def report_strange_ids(self) -> None:
        """Reports ids that are not YouTube's, in a file where most are.

        A file of one's own sounds can name them as it likes; a few odd ids
        among YouTube's are ids that a spreadsheet changed.
        """
        ids = self.values["segment_id"]
        is_youtube = pc.match_substring_regex(ids, _YOUTUBE_SEGMENT)
        is_odd = ~is_youtube.to_numpy(zero_copy_only=False)  # [num_clips]
        if is_odd.any() and is_odd.mean() < 0.5:
            self.report_texts(
                self.codes["segment_id"],
                None,
                is_odd,
                lambda _: "expected a YouTube id of 11 characters, as most are",
            )

    def report_unknown_mids(
        self,
        known_mids: Collection[str] | None,
        column: str = "mid",
        codes: _Ints | None = None,
        rows: _Ints | None = None,
    ) -> None:
        """Reports classes outside the vocabulary, one problem a class.

        Args:
          known_mids: The vocabulary; None to take any class.
          column: Holds the classes.
          codes: As in `report_texts`; None for those of the column.
          rows: As there.
        """
        if known_mids is not None:
            known = frozenset(known_mids)
            mids = self.values[column].to_pylist()
            self.report_texts(
                self.codes[column] if codes is None else codes,
                rows,
                np.array([mid not in known for mid in mids], dtype=bool),
                lambda code: (
                    f"expected one of the {len(known)} known mids, not "
                    f"{mids[code]!r}"
                ),
            )

    def report_scattered(self, within: str | None, expected: str) -> None:
        """Reports, as one problem, rows of clips that are not together.

        Within a clip, the column `within` must not fall.
        """
        # Numbered as they appear, so a clip whose rows are together never makes
        # the number fall.
        clips = self.codes["segment_id"]
        is_odd = np.zeros(len(clips), dtype=bool)
        is_odd[1:] = clips[1:] < clips[:-1]
        if within is not None:
            values = self.array(within)
            falls = values[1:] < values[:-1]
            is_odd[1:] |= (clips[1:] == clips[:-1]) & falls
        self.report_as_one(is_odd, expected)


# --- Weak labels ------------------------------------------------------------


def read_weak_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a weak CSV such as `eval_segments.csv`, or one of own labels.

    The release's has three comment lines, then one line a segment; own labels
    have the header `segment_id,labels` and their fields in CSV's quotes, such
    as `"kitchen 1","dog_bark,cat"`.

    Returns:
      The weak table (module docstring). Its `attrs["created"]` is the date in
      the file's first line; own labels have none, start at 0 and end at NaN,
      because the file does not say how long the clips are.
    """
    if read_first_line(path).replace('"', "") == OWN_WEAK_HEADER:
        return _read_own_weak_labels(path, problems, known_mids)
    text = LabelText(path, 3)
    text.check_header(WEAK_HEADER, "eval_segments.csv")
    with log_or_stop(problems) as log:
        rows = _Rows(text, parse_lines(text, WEAK_LINE, log), log)
        _add_segment_ids(rows)
        rows.leave_out_backward("a segment", "start_seconds", "end_seconds")
        rows.report_repeated(["segment_id"], "segment", is_left_out=True)
        seconds = rows.array("end_seconds") - rows.array("start_seconds")
        rows.report(
            seconds > params.clip_seconds + _TOLERANCE_SECONDS,
            f"expected a segment of at most {params.clip_seconds:g} s",
        )
        rows.report_strange_ids()
        ytids = rows.encoded("ytid").dictionary_decode()
        is_odd = np.zeros(len(ytids), dtype=bool)
        is_odd[1:] = pc.less(ytids[1:], ytids[:-1])
        rows.report_as_one(is_odd, "expected YTIDs in ascending order")
        mids_of_text, num_labels = _split_labels(rows, known_mids)
        created = _check_comments(rows, num_labels)
    table = rows.table(["segment_id", "start_seconds", "end_seconds"])
    mids = mids_of_text[rows.codes["mids"]]
    table["mids"] = pd.Series(mids, dtype="object")
    table.attrs["created"] = created
    return table


def _read_own_weak_labels(
    path: Path, problems: ProblemLog | None, known_mids: Collection[str] | None
) -> pd.DataFrame:
    """Reads own weak labels below their header."""
    text = LabelText(path, 1)
    with log_or_stop(problems) as log:
        rows = _Rows(text, parse_own_weak_lines(text, log), log)
        rows.report_repeated(["segment_id"], "clip", is_left_out=True)
        mids_of_text, _ = _split_labels(rows, known_mids)
    table = rows.table(["segment_id"])
    table = table.assign(start_seconds=0.0, end_seconds=np.nan)
    mids = mids_of_text[rows.codes["mids"]]
    table["mids"] = pd.Series(mids, dtype="object")
    return table


def _add_segment_ids(rows: _Rows) -> None:
    """Adds the column segment_id (`ids.make_segment_id`)."""
    starts_ms = np.rint(rows.values["start_seconds"] * 1000)
    endings = pa.array([f"_{int(ms)}" for ms in starts_ms], pa.string())
    ending_of_row = endings.take(pa.array(rows.codes["start_seconds"]))
    # The texts keep the comma that follows them in the file.
    rows.values["ytid"] = pc.ascii_rtrim(rows.values["ytid"], ",")
    ytids = rows.encoded("ytid").dictionary_decode()
    ids = pc.binary_join_element_wise(ytids, ending_of_row, "")
    rows.add_texts("segment_id", encode_texts(ids))


def _split_labels(
    rows: _Rows, known_mids: Collection[str] | None
) -> tuple[npt.NDArray[np.object_], int]:
    """Splits and checks the texts of several mids.

    Returns:
      The mids of each distinct text, object `[num_texts]` of tuples, each mid
      once; and the number of labels of all rows.
    """
    texts = pc.utf8_trim(rows.values["mids"], '"')
    lists = pc.split_pattern(texts, ",")
    labels = lists.flatten().dictionary_encode()  # [num_labels_of_texts]
    rows.values["label"] = labels.dictionary
    codes, mids = labels.indices.to_numpy(), labels.dictionary.to_pylist()
    text_of_label = np.repeat(
        np.arange(len(texts)), np.diff(lists.offsets.to_numpy())
    )
    is_repeated = pd.Series(text_of_label * len(mids) + codes).duplicated()
    is_odd = np.zeros(len(texts), dtype=bool)
    is_odd[text_of_label[is_repeated]] = True
    rows.report(
        is_odd[rows.codes["mids"]],
        "expected each mid of a segment once, counted once",
    )
    codes, text_of_label = codes[~is_repeated], text_of_label[~is_repeated]
    counts = np.bincount(text_of_label, minlength=len(texts))  # [num_texts]
    ends = np.cumsum(counts)

    num_labels = int(counts[rows.codes["mids"]].sum())
    if known_mids is not None:
        # The labels of all rows: [num_labels]
        of_text = pa.ListArray.from_arrays(
            pa.array(np.append(0, ends), pa.int32()), pa.array(codes)
        )
        of_row = of_text.take(pa.array(rows.codes["mids"]))
        rows.report_unknown_mids(
            known_mids,
            "label",
            of_row.flatten().to_numpy(),
            pc.list_parent_indices(of_row).to_numpy(),
        )
    flat = np.array(mids, dtype=object)[codes].tolist()
    mids_of_text = np.empty(len(texts), dtype=object)
    mids_of_text[:] = [
        tuple(flat[end - count : end])
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True)
    ]
    return mids_of_text, num_labels


def _check_comments(rows: _Rows, num_labels: int) -> datetime | None:
    """Checks the comments of a weak CSV; returns the date, if there is one."""
    header = rows.text.header

    def report(line: int, expected: str) -> None:
        message = f"expected {expected}, found {header[line - 1]!r}"
        rows.log.add(rows.text.path, line, message, is_left_out=False)

    try:
        created = datetime.strptime(header[0].removeprefix(_CREATED), _CTIME)
    except ValueError:
        created = None
        report(1, f"'{_CREATED}' and a date")
    num_rows = len(rows.line_numbers)
    counts = _weak_counts(
        len(rows.values["ytid"]),
        num_rows,
        len(rows.values["label"]),
        num_labels,
    )
    # Lines that were left out are reported already, and explain a difference.
    if num_rows == rows.text.num_lines and header[1] != counts:
        report(2, f"'{counts}', as the lines add up")
    return created


def _weak_counts(
    num_ytids: int, num_rows: int, num_classes: int, num_labels: int
) -> str:
    return (
        f"# num_ytids={num_ytids}, num_segs={num_rows}, "
        f"num_unique_labels={num_classes}, num_positive_labels={num_labels}"
    )


def empty_weak_labels() -> pd.DataFrame:
    """Makes a weak table without rows."""
    seconds = {"start_seconds": float, "end_seconds": float}
    return _empty({"segment_id": object, **seconds, "mids": object})


def _empty(dtypes: dict[str, type]) -> pd.DataFrame:
    return pd.DataFrame({n: pd.Series([], dtype=t) for n, t in dtypes.items()})


def write_weak_labels(
    table: pd.DataFrame, path: Path, created: datetime | None = None
) -> None:
    """Writes a weak table as a weak CSV.

    The date of the first comment line is `created`, by default the table's own
    (`attrs["created"]`), or else the release's.
    """
    created = created or table.attrs.get("created") or _NO_DATE
    ytids = [s.rsplit("_", 1)[0] for s in table["segment_id"]]
    mids = [mid for of_clip in table["mids"] for mid in of_clip]
    counts = (len(set(ytids)), len(table), len(set(mids)), len(mids))
    columns = (
        ytids,
        seconds_texts(table["start_seconds"]),
        seconds_texts(table["end_seconds"]),
        [f'"{",".join(of_clip)}"' for of_clip in table["mids"]],
    )
    header = [f"{_CREATED}{created.ctime()}", _weak_counts(*counts)]
    _write_lines([*header, WEAK_HEADER], columns, path, ", ")


def write_own_weak_labels(weak: pd.DataFrame, path: Path) -> None:
    """Writes the clips and classes of a weak table as own weak labels."""
    with open_output(path) as file:
        file.write(OWN_WEAK_HEADER + "\n")
        rows = zip(weak["segment_id"], map(",".join, weak["mids"]))
        csv.writer(file, lineterminator="\n").writerows(rows)


# --- Strong labels ----------------------------------------------------------


def read_strong_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a strong TSV such as `audioset_eval_strong.tsv`.

    It has a header, then one line an event. Returns the strong table.
    """
    text = LabelText(path, 1)
    text.check_header(STRONG_HEADER, "audioset_eval_strong.tsv")
    names = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    with log_or_stop(problems) as log:
        rows = _Rows(text, parse_lines(text, STRONG_LINE, log), log)
        rows.leave_out_backward("an event", "onset_seconds", "offset_seconds")
        rows.report(
            rows.array("offset_seconds")
            > params.clip_seconds + _TOLERANCE_SECONDS,
            f"expected an event inside the clip of {params.clip_seconds:g} s",
        )
        rows.report_repeated(names, "event")
        rows.report_strange_ids()
        rows.report_scattered(
            "onset_seconds",
            "expected a clip's events together, in order of onset",
        )
        rows.report_unknown_mids(known_mids)
    return rows.table(names)


def empty_strong_labels() -> pd.DataFrame:
    """Makes a strong table without rows."""
    seconds = {"onset_seconds": float, "offset_seconds": float}
    return _empty({"segment_id": object, **seconds, "mid": object})


def write_strong_labels(table: pd.DataFrame, path: Path) -> None:
    """Writes a strong table as a strong TSV."""
    columns = (
        table["segment_id"],
        seconds_texts(table["onset_seconds"]),
        seconds_texts(table["offset_seconds"]),
        table["mid"],
    )
    _write_lines([STRONG_HEADER], columns, path)


# --- Framed labels ----------------------------------------------------------


def read_framed_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    params: LabelFrameParams = LabelFrameParams(),
    clips: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Reads a framed TSV such as `audioset_eval_strong_framed_posneg.tsv`.

    It has a header, then one line a (label frame, class) that is known to be
    present or not. A line off the grid is malformed; the grid of a clip that
    is in `clips`, a clips table (`labels/clips.py`), is as long as the clip.

    Returns:
      The framed table (module docstring), with its negatives.
    """
    text = LabelText(path, 1)
    text.check_header(FRAMED_HEADER, "audioset_eval_strong_framed_posneg.tsv")
    keys = ["segment_id", "label_frame", "mid"]
    seconds = params.label_frame_seconds
    with log_or_stop(problems) as log:
        rows = _Rows(text, parse_lines(text, FRAMED_LINE, log), log)
        rows.leave_out_backward(
            "a label frame", "onset_seconds", "offset_seconds"
        )
        # Times to label frames; those between the frames are left out.
        onsets = rows.array("onset_seconds")
        label_frames = np.rint(onsets / seconds).astype(np.int64)  # [num_rows]
        off_grid = np.maximum(
            np.abs(onsets - label_frames * seconds),
            np.abs(rows.array("offset_seconds") - (label_frames + 1) * seconds),
        )
        ids = rows.values["segment_id"].to_numpy(zero_copy_only=False)
        num_of_clip = label_frames_of_clips(ids, clips, params)
        num_label_frames = num_of_clip[rows.codes["segment_id"]]  # [num_rows]
        rows.codes["label_frame"] = label_frames
        rows.leave_out(
            (off_grid > _GRID_TOLERANCE_SECONDS)
            | (label_frames >= num_label_frames),
            lambda row: (
                f"expected one of the {num_label_frames[row]} label frames of "
                f"{seconds} s"
            ),
        )
        longest = num_of_clip.max(initial=params.num_label_frames)
        rows.values["label_frame"] = np.arange(longest)
        rows.report_repeated(keys, "label frame and class")
        rows.report_strange_ids()
        rows.report_scattered(None, "expected a clip's label frames together")
        rows.report_unknown_mids(known_mids)
    is_present = pc.equal(rows.values["present"], "PRESENT").to_numpy(False)
    return rows.table(keys).assign(is_present=is_present[rows.codes["present"]])


def write_framed_labels(
    table: pd.DataFrame,
    path: Path,
    params: LabelFrameParams = LabelFrameParams(),
) -> None:
    """Writes a framed table as a framed TSV.

    Raises:
      InputError: A label frame is below 0.
    """
    label_frames = table["label_frame"].to_numpy()
    num_label_frames = int(label_frames.max(initial=0)) + 1
    if label_frames.min(initial=0) < 0:
        raise InputError(
            f"Expected label frames from 0 on, found {label_frames.min()}."
        )
    # Lines differ in little but their id, so the rest is formatted once for
    # each (class, label frame, presence): millions of rows take a second.
    mid_codes, mids = pd.factorize(table["mid"])
    edges = [
        _seconds_text(label_frame * params.label_frame_seconds)
        for label_frame in range(num_label_frames + 1)
    ]
    endings = [
        f"{edges[label_frame]}\t{edges[label_frame + 1]}\t{mid}\t{present}"
        for mid in mids
        for label_frame in range(num_label_frames)
        for present in ("NOT_PRESENT", "PRESENT")
    ]
    codes = (mid_codes * num_label_frames + label_frames) * 2
    codes = codes + table["is_present"].to_numpy()  # [num_rows]
    ending_of_row = pa.DictionaryArray.from_arrays(
        pa.array(codes), pa.array(endings, pa.string())
    )
    columns = (table["segment_id"], ending_of_row)
    _write_lines([FRAMED_HEADER], columns, path)


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
    Returns the table of pairs (module docstring).
    """
    text = LabelText(path, 1)
    text.check_header(PAIR_HEADER, "explicit_negatives.tsv")
    with log_or_stop(problems) as log:
        rows = _Rows(text, parse_lines(text, PAIR_LINE, log), log)
        rows.report_repeated(["segment_id", "mid"], "pair")
        rows.report_strange_ids()
        rows.report_unknown_mids(known_mids)
    return rows.table(["segment_id", "mid"])


def write_pairs(table: pd.DataFrame, path: Path) -> None:
    """Writes (clip, class) pairs, columns segment_id and mid, as a TSV."""
    _write_lines([PAIR_HEADER], (table["segment_id"], table["mid"]), path)


def absent_pairs(
    framed: pd.DataFrame,
    params: LabelFrameParams = LabelFrameParams(),
    clips: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Returns the (clip, class) pairs that are NOT_PRESENT in all label frames.

    The release has explicit negatives, pairs that annotators marked absent,
    only in this form.

    Args:
      framed: Framed table, a label frame and class at most once.
      params: The grid of label frames.
      clips: Clips table (`labels/clips.py`) of clips of other lengths.
    """
    keys = ["segment_id", "mid"]
    pairs = framed.groupby(keys, sort=False)["is_present"].agg(["size", "any"])
    pairs = pairs.reset_index()
    num_of_clip = label_frames_of_clips(pairs["segment_id"], clips, params)
    is_absent = (pairs["size"] == num_of_clip) & ~pairs["any"]
    return pairs.loc[is_absent, keys].reset_index(drop=True)


def read_explicit_negatives(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    params: LabelFrameParams = LabelFrameParams(),
    clips: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Reads pairs that annotators marked absent, from pairs or a framed TSV.

    Returns the table of pairs (module docstring). `clips` as in
    `read_framed_labels`.
    """
    if read_first_line(path) != FRAMED_HEADER:
        return read_pairs(path, problems)
    keys = ["segment_id", "mid"]
    with log_or_stop(problems) as log:
        framed = read_framed_labels(path, log, params=params, clips=clips)
        framed = framed.drop_duplicates()
        absent = absent_pairs(framed, params, clips)
        # Pairs without a PRESENT row that list too few label frames.
        present = framed.loc[framed["is_present"], keys].drop_duplicates()
        num_pairs = len(framed[keys].drop_duplicates())
        num_partial = num_pairs - len(present) - len(absent)
        if num_partial:
            log.add(
                path,
                1,
                f"expected all label frames of each explicit negative (10 of "
                f"a clip of 10 s), found fewer of {num_partial} "
                f"(clip, class) pairs, which are not taken for explicit "
                f"negatives",
                num_lines=num_partial,
                is_left_out=False,
            )
    return absent


# --- Display names ----------------------------------------------------------


def read_display_names(
    path: Path, problems: ProblemLog | None = None
) -> dict[str, str]:
    """Reads the name of each mid from `mid_to_display_name.tsv`.

    It has a mid and a name a line, and no header.
    """
    text = LabelText(path, 0)
    with log_or_stop(problems) as log:
        rows = _Rows(text, parse_lines(text, NAME_LINE, log), log)
        rows.report_repeated(["mid"], "mid", is_left_out=True)
        rows.report_repeated(["display_name"], "display name")
    table = rows.table(["mid", "display_name"])
    return dict(zip(table["mid"], table["display_name"], strict=True))


def write_display_names(names: Iterable[tuple[str, str]], path: Path) -> None:
    """Writes (mid, display name) pairs as `mid_to_display_name.tsv`."""
    pairs = list(names)
    _write_lines([], [[pair[i] for pair in pairs] for i in (0, 1)], path)


# --- Writing ----------------------------------------------------------------


def seconds_texts(seconds: "pd.Series[float]") -> Any:
    """Writes times as the files do: a `pa.DictionaryArray` `[num_rows]`."""
    codes, distinct = pd.factorize(seconds.to_numpy(dtype=np.float64))
    texts = pa.array(map(_seconds_text, distinct.tolist()), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes), texts)


def _seconds_text(seconds: float) -> str:
    """Writes a time with three decimals, or with up to nine if it has more."""
    # Further from a millisecond than any rounding of float64.
    milliseconds = seconds * 1000
    rounding = max(1e-7, 1e-15 * milliseconds)
    if abs(milliseconds - round(milliseconds)) > rounding:
        return f"{seconds:.9f}".rstrip("0")
    return f"{seconds:.3f}"


def _write_lines(
    header: Sequence[str],
    columns: Sequence[Any],
    path: Path,
    separator: str = "\t",
) -> None:
    """Writes columns `[num_rows]` of texts as lines, below a header."""
    num_rows = len(columns[0])
    with open_output(path, "wb") as file:
        file.write("".join(f"{line}\n" for line in header).encode())
        for start in range(0, num_rows, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            texts = [
                column[part].dictionary_decode()
                if isinstance(column, pa.DictionaryArray)
                # Of a pandas column of str pyarrow would make a ChunkedArray.
                else pa.array(np.asarray(column[part], object), pa.string())
                for column in columns
            ]
            lines = pc.binary_join_element_wise(*texts, separator)
            # All lines as one list, to be joined by line ends.
            whole = pa.ListArray.from_arrays([0, len(lines)], lines)
            file.write(pc.binary_join(whole, "\n")[0].as_buffer())
            file.write(b"\n")
