"""Columns of the label tables that the files write in another way.

segment_id from a weak line's YTID and start, mids from its text, label_frame
from a framed line's times. Also the comments of a weak CSV, which say what its
lines should add up to.
"""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from audioset_strong.labels.label_checks import RowChecks
from audioset_strong.labels.label_text import LabelText
from audioset_strong.labels.label_writers import weak_comments
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

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
