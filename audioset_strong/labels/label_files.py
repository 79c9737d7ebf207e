"""Readers and writers of the AudioSet label files.

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
"""

from collections.abc import Collection

import pandas as pd

from audioset_strong.labels import label_checks, label_columns
from audioset_strong.labels.label_checks import RowChecks
from audioset_strong.labels.label_lines import (
    FRAMED_LINE,
    NAME_LINE,
    PAIR_LINE,
    STRONG_LINE,
    WEAK_LINE,
    LineFormat,
    parse_lines,
)
from audioset_strong.labels.label_text import LabelText, Path, shown
from audioset_strong.labels.label_writers import (
    FRAMED_HEADER,
    PAIR_HEADER,
    STRONG_HEADER,
    WEAK_HEADER,
)
from audioset_strong.labels.problems import ProblemLog, noting
from audioset_strong.params import LabelFrameParams


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
        label_checks.leave_out_backward(checks, "a segment")
        checks.table = label_columns.with_segment_ids(checks.table)
        label_checks.leave_out_repeated(checks, ["segment_id"], "segment")
        label_checks.doubt_long_segments(checks, params.clip_seconds)
        label_checks.doubt_strange_ids(checks)
        label_checks.doubt_unsorted(checks, "ytid", "YTIDs")
        checks.table["mids"] = label_columns.split_labels(checks)
        label_checks.doubt_unknown_mids(checks, known_mids)
        created = label_columns.check_comments(text, checks.table, log)
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
        label_checks.leave_out_backward(checks, "an event")
        label_checks.doubt_times_outside(checks, params.clip_seconds)
        label_checks.doubt_repeated(checks, names, "event")
        label_checks.doubt_strange_ids(checks)
        label_checks.doubt_scattered(
            checks,
            "onset_seconds",
            "expected a clip's events together, in order of onset",
        )
        label_checks.doubt_unknown_mids(checks, known_mids)
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
        label_checks.leave_out_backward(checks, "a label frame")
        label_columns.find_label_frames(checks, params)
        keys = ["segment_id", "label_frame", "mid"]
        label_checks.doubt_repeated(checks, keys, "label frame and class")
        label_checks.doubt_strange_ids(checks)
        label_checks.doubt_scattered(
            checks, None, "expected a clip's label frames together"
        )
        label_checks.doubt_unknown_mids(checks, known_mids)
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
        label_checks.doubt_repeated(checks, names, "pair")
        label_checks.doubt_strange_ids(checks)
        label_checks.doubt_unknown_mids(checks, known_mids)
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
        label_checks.leave_out_repeated(checks, ["mid"], "mid")
        label_checks.doubt_repeated(checks, ["display_name"], "display name")
    columns = (checks.table["mid"], checks.table["display_name"])
    return dict(zip(*columns, strict=True))
