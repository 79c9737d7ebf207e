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

Event times are seconds from the start of the clip. Every reader takes an
optional `ProblemLog`: without it the first bad line is an `InputError`, with it
bad lines are left out and noted. `class_map.py` reads class_labels_indices.csv,
`ontology.py` reads ontology.json.

Source: https://research.google.com/audioset/download.html and the files.
"""

import datetime
from collections.abc import Iterable, Sequence

import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.label_lines import (
    Path,
    check_header,
    framed_line_parser,
    parse_display_name_line,
    parse_lines,
    parse_strong_line,
    read_lines,
    weak_line_parser,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

_WEAK_HEADER = "# YTID, start_seconds, end_seconds, positive_labels"
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
_FRAMED_HEADER = _STRONG_HEADER + "\tpresent"


def _table(
    rows: Sequence[tuple[object, ...]], dtypes: dict[str, str]
) -> pd.DataFrame:
    """Makes a data frame with exactly these columns, also when empty."""
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


# --- Weak labels ------------------------------------------------------------

_WEAK_DTYPES = {
    "segment_id": "object",
    "start_seconds": "float64",
    "end_seconds": "float64",
    "mids": "object",
}


def read_weak_labels(
    path: Path, problems: ProblemLog | None = None
) -> pd.DataFrame:
    """Reads a weak CSV such as `eval_segments.csv`.

    Args:
      path: The file: three comment lines, then one line a segment.
      problems: Takes the lines that are left out; None is strict.

    Returns:
      The weak table (module docstring), in file order.

    Raises:
      InputError: The header is not that of a weak CSV; or, without `problems`,
        a line is malformed or repeats a segment.
    """
    lines = read_lines(path)
    if len(lines) < 3 or lines[2] != _WEAK_HEADER:
        found = lines[2] if len(lines) > 2 else f"{len(lines)} lines"
        raise InputError(
            f"{path}:3: expected the header '{_WEAK_HEADER}', found '{found}'. "
            f"Give a weak label file such as eval_segments.csv."
        )
    rows = parse_lines(path, lines[3:], 4, weak_line_parser(), problems)
    return _table(rows, _WEAK_DTYPES)


def empty_weak_labels() -> pd.DataFrame:
    """Makes a weak table without rows."""
    return _table([], _WEAK_DTYPES)


def write_weak_labels(
    table: pd.DataFrame, path: Path, created: datetime.datetime | None = None
) -> None:
    """Writes a weak table as a weak CSV.

    Args:
      table: Weak table (module docstring).
      path: Where to write; the folder exists.
      created: Time for the first comment line; a fixed date if None, so that
        equal tables give equal bytes.
    """
    created = created or datetime.datetime(2017, 3, 5)
    labels = [mid for mids in table["mids"] for mid in mids]
    ytids = [s.rsplit("_", 1)[0] for s in table["segment_id"]]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# Segments csv created {created.ctime()}\n")
        file.write(
            f"# num_ytids={len(set(ytids))}, num_segs={len(table)}, "
            f"num_unique_labels={len(set(labels))}, "
            f"num_positive_labels={len(labels)}\n{_WEAK_HEADER}\n"
        )
        columns = (table["start_seconds"], table["end_seconds"], table["mids"])
        for ytid, start, end, mids in zip(ytids, *columns, strict=True):
            file.write(f'{ytid}, {start:.3f}, {end:.3f}, "{",".join(mids)}"\n')


# --- Strong labels ----------------------------------------------------------

_STRONG_DTYPES = {
    "segment_id": "object",
    "onset_seconds": "float64",
    "offset_seconds": "float64",
    "mid": "object",
}


def read_strong_labels(
    path: Path, problems: ProblemLog | None = None
) -> pd.DataFrame:
    """Reads a strong TSV such as `audioset_eval_strong.tsv`.

    Args:
      path: The file: a header, then one line an event.
      problems: Takes the lines that are left out; None is strict.

    Returns:
      The strong table (module docstring), in file order.

    Raises:
      InputError: The header is not that of a strong TSV; or, without
        `problems`, a line is malformed.
    """
    lines = read_lines(path)
    check_header(path, lines, _STRONG_HEADER)
    rows = parse_lines(path, lines[1:], 2, parse_strong_line, problems)
    return _table(rows, _STRONG_DTYPES)


def empty_strong_labels() -> pd.DataFrame:
    """Makes a strong table without rows."""
    return _table([], _STRONG_DTYPES)


def write_strong_labels(table: pd.DataFrame, path: Path) -> None:
    """Writes a strong table as a strong TSV, times with three decimals.

    Args:
      table: Strong table (module docstring).
      path: Where to write; the folder exists.
    """
    columns = (table[name] for name in _STRONG_DTYPES)
    with open(path, "w", encoding="utf-8") as file:
        file.write(_STRONG_HEADER + "\n")
        for segment_id, onset, offset, mid in zip(*columns, strict=True):
            file.write(f"{segment_id}\t{onset:.3f}\t{offset:.3f}\t{mid}\n")


# --- Framed labels ----------------------------------------------------------

_FRAMED_DTYPES = {
    "segment_id": "object",
    "label_frame": "int64",
    "mid": "object",
    "is_present": "bool",
}


def read_framed_labels(
    path: Path,
    problems: ProblemLog | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> pd.DataFrame:
    """Reads a framed TSV such as `audioset_eval_strong_framed_posneg.tsv`.

    Args:
      path: The file: a header, then one line a (label frame, class) that is
        known to be present or not. Negatives are kept.
      problems: Takes the lines that are left out; None is strict.
      params: The grid of label frames.

    Returns:
      The framed table (module docstring), in file order.

    Raises:
      InputError: The header is not that of a framed TSV; or, without
        `problems`, a line is malformed or off the grid.
    """
    lines = read_lines(path)
    check_header(path, lines, _FRAMED_HEADER)
    parser = framed_line_parser(params)
    rows = parse_lines(path, lines[1:], 2, parser, problems)
    return _table(rows, _FRAMED_DTYPES)


def write_framed_labels(
    table: pd.DataFrame,
    path: Path,
    params: LabelFrameParams = LabelFrameParams(),
) -> None:
    """Writes a framed table as a framed TSV, times with three decimals.

    Args:
      table: Framed table (module docstring).
      path: Where to write; the folder exists.
      params: The grid of label frames.
    """
    seconds = params.label_frame_seconds
    columns = (table[name] for name in _FRAMED_DTYPES)
    with open(path, "w", encoding="utf-8") as file:
        file.write(_FRAMED_HEADER + "\n")
        for segment_id, label_frame, mid, is_present in zip(
            *columns, strict=True
        ):
            onset, offset = label_frame * seconds, (label_frame + 1) * seconds
            present = "PRESENT" if is_present else "NOT_PRESENT"
            file.write(
                f"{segment_id}\t{onset:.3f}\t{offset:.3f}\t{mid}\t{present}\n"
            )


# --- Display names ----------------------------------------------------------


def read_display_names(
    path: Path, problems: ProblemLog | None = None
) -> dict[str, str]:
    """Reads `mid_to_display_name.tsv`: a mid and a name a line, no header.

    Returns:
      Display name of each mid, in file order.

    Raises:
      InputError: Without `problems`, a line is not a mid, a tab and a name.
    """
    rows = parse_lines(
        path, read_lines(path), 1, parse_display_name_line, problems
    )
    return {str(mid): str(name) for mid, name in rows}


def write_display_names(names: Iterable[tuple[str, str]], path: Path) -> None:
    """Writes (mid, display name) pairs as `mid_to_display_name.tsv`."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{mid}\t{name}\n" for mid, name in names)
