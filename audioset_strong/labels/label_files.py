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

Event times are seconds from the start of the clip, rounded to milliseconds.
Writers give back the bytes of the released files: times have three decimals,
and more only where a table has more. Readers check every row. A row that cannot
be used is bad: it ends before it starts, contradicts an earlier one, is off the
grid of label frames, or has a label that is no class. A row that looks wrong is
kept, because the file says so, but noted: a repeated event, a time outside the
clip, an unknown class.

All readers return the rows in file order and take

  problems    the log (`problems.py`); None to stop at bad lines
  known_mids  the vocabulary; None to take any class
  names       the mids of each display name (`KnownClasses.mids_of_name`), so
              that labels that are a name become its mid; None to take none
  params      the length of a clip and the grid of label frames

and raise InputError for another header, for bad lines that are not to be
skipped, and where most lines are bad. Writers expect that the folder exists.

A class is any text without spaces, commas and quotes. Where half of a file's
labels, or of the classes known, are AudioSet's mids (`/m/09x0r`), a text of
another form is a display name or a mistake, never a class of its own. So is an
unknown one where other labels of the file are display names.

Source: https://research.google.com/audioset/download.html and the files.
"""

import collections
import contextlib
import csv
import itertools
import os
import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
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
from audioset_strong.labels.ids import (
    YTID_PATTERN,
    make_segment_id,
)
from audioset_strong.labels.label_rows import (
    LabelRows,
    Names,
    find_mids,
    note_of_names,
)
from audioset_strong.labels.line_parser import (
    FRAMED_LINE,
    NAME_LINE,
    PAIR_LINE,
    SCORED_LINE,
    STRONG_LINE,
    WEAK_LINE,
    LabelText,
    LineFormat,
    ParsedLines,
    Path,
    encode_texts,
    parse_lines,
    parse_own_weak_lines,
    read_first_line,
)
from audioset_strong.labels.problems import ProblemLog, log_or_stop
from audioset_strong.params import LabelFrameParams

OWN_WEAK_HEADER = "segment_id,labels"
WEAK_HEADER = "# YTID, start_seconds, end_seconds, positive_labels"
STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
# As `predict` writes, with a score of each event.
SCORED_HEADER = STRONG_HEADER + "\tscore"
FRAMED_HEADER = STRONG_HEADER + "\tpresent"
PAIR_HEADER = "segment_id\tlabel"

_CREATED = "# Segments csv created "
_CTIME = "%a %b %d %H:%M:%S %Y"
# The date of a weak CSV made of a table that has none: the release's, so that
# equal tables give equal bytes.
_NO_DATE = datetime(2017, 3, 5)

# Label frames are multiples of 0.96 s written with 2 or 3 decimals, so a start
# further than this from the grid is another grid, not a rounding.
_GRID_TOLERANCE_SECONDS = 0.0015
# Joining a file of millions of lines at once would double the memory.
_ROWS_AT_ONCE = 1 << 17

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


# --- Checks -----------------------------------------------------------------


@contextlib.contextmanager
def _read_rows(
    path: Path,
    parse: LineFormat | Callable[[LabelText, ProblemLog], ParsedLines],
    header: str,
    example: str,
    problems: ProblemLog | None,
    num_header_lines: int = 1,
) -> Iterator[LabelRows]:
    """Yields the rows of a file; stops at bad lines when the block ends.

    Raises:
      InputError: The header is not `header`, there are bad lines that are not
        to be skipped, or most lines are bad.
    """
    text = LabelText(path, num_header_lines)
    if header:
        text.check_header(header, example)
    with log_or_stop(problems) as log:
        num_before = log.num_left_out
        if isinstance(parse, LineFormat):
            parsed = parse_lines(text, parse, log)
        else:
            parsed = parse(text, log)
        rows = LabelRows(text, parsed, log)
        yield rows
        if not text.body.strip():
            message = "expected lines below the header, found none"
            log.add(path, num_header_lines + 1, message, is_left_out=False)
        num_bad = log.num_left_out - num_before
        if log.skip_bad_lines and num_bad > text.num_lines / 2:
            first = next(p for p in log.problems if p.path == os.fspath(path))
            raise InputError(
                f"{num_bad:,} of {text.num_lines:,} lines of {path} cannot be "
                f"used, too many to skip. The first: {first}. Give a file such "
                f"as {example}."
            )


# --- Weak labels ------------------------------------------------------------


def read_weak_labels(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    known_mids: Collection[str] | None = None,
    names: Names | None = None,
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
    return _read_weak(path, problems, known_mids, names, params)[0]


def _read_weak(
    path: Path,
    problems: ProblemLog | None,
    known_mids: Collection[str] | None,
    names: Names | None,
    params: LabelFrameParams,
) -> tuple[pd.DataFrame, _Ints]:
    """Reads a weak table and the line of each row."""
    if read_first_line(path).lstrip('"').startswith("segment_id"):
        example = "weak.csv of import_labels"
        source = _read_rows(
            path, parse_own_weak_lines, OWN_WEAK_HEADER, example, problems
        )
        with source as rows:
            _resolve_weak_labels(rows, known_mids, names)
            _merge_weak(rows)
            mids_of_text, _ = _split_labels(rows, known_mids)
        table = rows.table(["segment_id"])
        table = table.assign(start_seconds=0.0, end_seconds=np.nan)
    else:
        source = _read_rows(
            path, WEAK_LINE, WEAK_HEADER, "eval_segments.csv", problems, 3
        )
        with source as rows:
            # The texts keep the comma that follows them in the file.
            rows.values["ytid"] = pc.ascii_rtrim(rows.values["ytid"], ",")
            rows.leave_out_backward("a segment", "start_seconds", "end_seconds")
            _add_segment_ids(rows)
            _resolve_weak_labels(rows, known_mids, names)
            _merge_weak(rows)
            seconds = rows.array("end_seconds") - rows.array("start_seconds")
            rows.report_as_one(
                np.round(seconds, 3) > np.round(params.clip_seconds, 3),
                f"expected a segment of at most {params.clip_seconds:g} s",
            )
            rows.report_strange_ids()
            mids_of_text, num_labels = _split_labels(rows, known_mids)
            created = _check_comments(rows, num_labels)
        table = rows.table(["segment_id", "start_seconds", "end_seconds"])
        table.attrs["created"] = created
    mids = mids_of_text[rows.codes["mids"]]
    table["mids"] = pd.Series(mids, dtype="object")
    return table, rows.line_numbers


def _merge_weak(rows: LabelRows) -> None:
    """Takes clips that are repeated with the same labels once."""

    def is_same(repeated: _Ints, first: _Ints) -> Any:
        texts, codes = rows.values["mids"].to_pylist(), rows.codes["mids"]
        pairs = zip(codes[repeated], codes[first], strict=True)
        # In any order.
        is_same = [
            set(texts[a].split(",")) == set(texts[b].split(","))
            for a, b in pairs
        ]
        if "end_seconds" in rows.codes:
            ends = rows.array("end_seconds")
            return np.array(is_same) & (ends[repeated] == ends[first])
        return is_same

    rows.merge_repeated(["segment_id"], "clip", is_same)


def _add_segment_ids(rows: LabelRows) -> None:
    """Adds the column segment_id (`ids.make_segment_id`)."""
    starts_ms = np.rint(rows.values["start_seconds"] * 1000)
    endings = pa.array([f"_{int(ms)}" for ms in starts_ms], pa.string())
    ending_of_row = endings.take(pa.array(rows.codes["start_seconds"]))
    ytids = rows.encoded("ytid").dictionary_decode()
    ids = pc.binary_join_element_wise(ytids, ending_of_row, "")
    rows.add_texts("segment_id", encode_texts(ids))


def _resolve_weak_labels(
    rows: LabelRows, known_mids: Collection[str] | None, names: Names | None
) -> None:
    """Replaces display names by mids; leaves out lines with no class."""
    rows.values["mids"] = pc.utf8_trim(rows.values["mids"], '"')
    labels = pc.split_pattern(rows.values["mids"], ",").flatten()
    distinct = labels.unique().to_pylist()
    counts = np.ones(len(distinct), np.int64)
    mids, reasons = find_mids(distinct, counts, known_mids, names)
    if mids == distinct and not reasons:
        return
    texts = rows.values["mids"].to_pylist()
    parts_of_text = [_split_at_names(text, names or {}) for text in texts]
    number = collections.Counter(itertools.chain.from_iterable(parts_of_text))
    distinct, counts = list(number), np.array(list(number.values()))
    mids, reasons = find_mids(distinct, counts, known_mids, names)
    mid_of = dict(zip(distinct, mids, strict=True))
    new = [
        ",".join(mid_of[part] or "" for part in parts)
        for parts in parts_of_text
    ]
    reason_of = [
        next((reasons[part] for part in parts if part in reasons), "")
        for parts in parts_of_text
    ]
    codes = rows.codes["mids"]
    is_bad = np.array([reason != "" for reason in reason_of], dtype=bool)
    is_named = ~is_bad & (np.array(new, object) != np.array(texts, object))
    rows.report_as_one(
        is_named[codes],
        lambda row: note_of_names(texts[codes[row]], new[codes[row]]),
    )
    rows.values["mids"] = pa.array(new, pa.string())
    rows.leave_out(is_bad[codes], lambda row: reason_of[codes[row]])
    # Two texts can have become one.
    mids_of_row = rows.encoded("mids").dictionary_decode()
    rows.add_texts("mids", mids_of_row.dictionary_encode())


def _split_at_names(text: str, names: Names) -> list[str]:
    """Splits labels at commas, but for those inside of a display name."""
    pieces = text.split(",")
    parts: list[str] = []
    start = 0
    while start < len(pieces):
        end = len(pieces)
        while (
            end > start + 1 and ",".join(pieces[start:end]).strip() not in names
        ):
            end -= 1
        parts.append(",".join(pieces[start:end]))
        start = end
    return parts


def _split_labels(
    rows: LabelRows, known_mids: Collection[str] | None
) -> tuple[npt.NDArray[np.object_], int]:
    """Splits and checks the texts of several mids.

    Returns:
      The mids of each distinct text, object `[num_texts]` of tuples, each mid
      once; and the number of labels of all rows.
    """
    texts = rows.values["mids"]
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
    rows.report_as_one(
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


def _check_comments(rows: LabelRows, num_labels: int) -> datetime | None:
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

    Raises:
      InputError: A segment id is not of the form `<ytid>_<start ms>`.
    """
    created = created or table.attrs.get("created") or _NO_DATE
    ytids = []
    for segment_id, start in zip(table["segment_id"], table["start_seconds"]):
        ytid = segment_id.removesuffix(make_segment_id("", start))
        if ytid == segment_id or not re.fullmatch(YTID_PATTERN, ytid):
            raise InputError(
                f"A weak CSV of the release's form holds ids such as "
                f"<ytid>_{start * 1000:.0f}. Received: {segment_id!r}. Write "
                f"own weak labels (write_own_weak_labels) instead."
            )
        ytids.append(ytid)
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
    names: Names | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a strong TSV such as `audioset_eval_strong.tsv`.

    It has a header, then one line an event. A further column `score`, which
    `predict` writes, is passed over. Returns the strong table.
    """
    return _read_strong(path, problems, known_mids, names, params)[0]


def _read_strong(
    path: Path,
    problems: ProblemLog | None,
    known_mids: Collection[str] | None,
    names: Names | None,
    params: LabelFrameParams,
) -> tuple[pd.DataFrame, _Ints]:
    """Reads a strong table and the line of each row."""
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    example = "audioset_eval_strong.tsv"
    form = STRONG_LINE, STRONG_HEADER
    if read_first_line(path) == SCORED_HEADER:
        form = SCORED_LINE, SCORED_HEADER
    with _read_rows(path, *form, example, problems) as rows:
        rows.leave_out_backward("an event", "onset_seconds", "offset_seconds")
        rows.resolve_labels(known_mids, names)
        rows.report_as_one(
            rows.array("offset_seconds") > np.round(params.clip_seconds, 3),
            f"expected an event inside the clip of {params.clip_seconds:g} s",
        )
        rows.report_repeated(columns, "event")
        rows.report_strange_ids()
        rows.report_unknown_mids(known_mids)
    return rows.table(columns), rows.line_numbers


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
    names: Names | None = None,
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
    example = "audioset_eval_strong_framed_posneg.tsv"
    keys = ["segment_id", "label_frame", "mid"]
    seconds = params.label_frame_seconds
    with _read_rows(
        path, FRAMED_LINE, FRAMED_HEADER, example, problems
    ) as rows:
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
        rows.resolve_labels(known_mids, names)
        present = rows.codes["present"]
        rows.merge_repeated(
            keys,
            "label frame and class",
            lambda repeated, first: present[repeated] == present[first],
        )
        rows.report_strange_ids()
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
    names: Names | None = None,
) -> pd.DataFrame:
    """Reads (clip, class) pairs, such as what annotators marked absent.

    The release has no such file; this is our format for explicit negatives:
    the header `segment_id<TAB>label`, then a segment id and a mid a line.
    Returns the table of pairs (module docstring).
    """
    example = "explicit_negatives.tsv"
    with _read_rows(path, PAIR_LINE, PAIR_HEADER, example, problems) as rows:
        rows.resolve_labels(known_mids, names)
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


def is_complementary(framed: pd.DataFrame) -> "pd.Series[bool]":
    """Marks the complementary negatives among the rows of a framed table.

    They are the NOT_PRESENT rows of classes that the clip has in another label
    frame. The other NOT_PRESENT rows are explicit: annotators marked the class
    absent.
    """
    is_present = framed["is_present"].astype(bool)  # also that of no rows
    keys = [framed["segment_id"], framed["mid"]]
    has_class = is_present.groupby(keys, sort=False).transform("max")
    return ~is_present & has_class.astype(bool)


def read_explicit_negatives(
    path: Path,
    problems: ProblemLog | None = None,
    *,
    names: Names | None = None,
    params: LabelFrameParams = LabelFrameParams(),
    clips: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Reads pairs that annotators marked absent, from pairs or a framed TSV.

    Returns the table of pairs (module docstring). `clips` as in
    `read_framed_labels`.
    """
    if read_first_line(path) != FRAMED_HEADER:
        return read_pairs(path, problems, names=names)
    keys = ["segment_id", "mid"]
    with log_or_stop(problems) as log:
        framed = read_framed_labels(
            path, log, names=names, params=params, clips=clips
        )
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
    example = "mid_to_display_name.tsv"
    with _read_rows(path, NAME_LINE, "", example, problems, 0) as rows:
        display_names = rows.codes["display_name"]
        rows.merge_repeated(
            ["mid"],
            "mid",
            lambda repeated, first: (
                display_names[repeated] == display_names[first]
            ),
        )
        rows.report_repeated(["display_name"], "display name")
    table = rows.table(["mid", "display_name"])
    return dict(zip(table["mid"], table["display_name"], strict=True))


def write_display_names(names: Iterable[tuple[str, str]], path: Path) -> None:
    """Writes (mid, display name) pairs as `mid_to_display_name.tsv`."""
    pairs = list(names)
    _write_lines([], [[pair[i] for pair in pairs] for i in (0, 1)], path)


# --- Several files ----------------------------------------------------------


def read_label_files(
    kind: str,
    paths: Sequence[Path],
    problems: ProblemLog | None = None,
    names: Names | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads weak CSVs or strong TSVs into one table.

    A clip that stands in several files with the same labels is taken once, and
    noted. With others, its lines in the later file are bad.

    Args:
      kind: "weak" or "strong".
      paths: The files.
      problems: As in the readers of one file, as the rest.
      names: The mids of each display name.
      params: The length of a clip.
    """
    read = {"weak": _read_weak, "strong": _read_strong}[kind]
    with log_or_stop(problems) as log:
        read_files = [read(path, log, None, names, params) for path in paths]
        if not read_files:
            return (
                empty_weak_labels() if kind == "weak" else empty_strong_labels()
            )
        if len(read_files) == 1:
            return read_files[0][0]
        tables, lines = zip(*read_files, strict=True)
        is_kept = _find_first_files(paths, tables, lines, log)
    table: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return table if is_kept.all() else table[is_kept].reset_index(drop=True)


def _find_first_files(
    paths: Sequence[Path],
    tables: Sequence[pd.DataFrame],
    lines: Sequence[_Ints],
    log: ProblemLog,
) -> _Bools:
    """Finds, for each clip, the rows of the first file that has it.

    Args:
      paths: The files.
      tables: Table of each file.
      lines: int64 `[num_rows]` of each file, the line of each row.
      log: Takes what the other files say of these clips.

    Returns:
      bool `[num_rows_of_all]`.
    """
    ids = np.concatenate([table["segment_id"].to_numpy() for table in tables])
    clip, segment_ids = pd.factorize(ids)
    file = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    pair = clip * len(tables) + file
    pairs, first_row, pair_of_row = np.unique(
        pair, return_index=True, return_inverse=True
    )  # [num_pairs], [num_pairs], [num_rows]
    clip_of_pair, file_of_pair = np.divmod(pairs, len(tables))
    # Pairs are sorted: the first of a clip is in the first file that has it.
    _, firsts, number = np.unique(
        clip_of_pair, return_index=True, return_inverse=True
    )
    first_pair = firsts[number]  # [num_pairs]
    is_first = first_pair == np.arange(len(pairs))
    if is_first.all():
        return np.ones(len(ids), dtype=bool)

    # What a file says of a clip: the sum of hashes of its distinct labels.
    is_shared = np.bincount(clip_of_pair)[clip] > 1  # [num_rows]
    labels = pd.concat(tables, ignore_index=True)[is_shared]
    labels = labels.drop(columns="segment_id").reset_index(drop=True)
    if "mids" in labels:
        labels = labels.explode("mids")
    hashes = pd.DataFrame(
        {
            "pair": pair_of_row[is_shared][labels.index],
            "hash": pd.util.hash_pandas_object(labels, index=False).to_numpy(),
        }
    ).drop_duplicates()
    content = np.zeros(len(pairs), dtype=np.uint64)
    np.add.at(content, hashes["pair"], hashes["hash"])

    line_of_pair = np.concatenate(lines)[first_row]
    num_rows_of_pair = np.bincount(pair_of_row)
    is_same = content == content[first_pair]
    for index, path in enumerate(paths):
        of_file = ~is_first & (file_of_pair == index)
        for later in np.flatnonzero(of_file & ~is_same).tolist():
            first = int(first_pair[later])
            log.add(
                path,
                int(line_of_pair[later]),
                f"expected each clip in one file; "
                f"{segment_ids[clip_of_pair[later]]!r} also stands at "
                f"{paths[file_of_pair[first]]}:{line_of_pair[first]}, with "
                f"other labels",
                num_lines=int(num_rows_of_pair[later]),
                clip=segment_ids[clip_of_pair[later]],
            )
        merged = np.flatnonzero(of_file & is_same)
        if len(merged):
            later = int(merged[np.argmin(line_of_pair[merged])])
            first = int(first_pair[later])
            log.add(
                path,
                int(line_of_pair[later]),
                f"expected each clip in one file; {len(merged):,} also stand "
                f"in another with the same labels, and are taken once, such as "
                f"{segment_ids[clip_of_pair[later]]!r} at "
                f"{paths[file_of_pair[first]]}:{line_of_pair[first]}",
                num_lines=int(num_rows_of_pair[merged].sum()),
                is_left_out=False,
            )
    is_kept: _Bools = is_first[pair_of_row]
    return is_kept


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
