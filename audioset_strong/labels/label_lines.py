r"""Lines of the AudioSet label files: what is one, and why a line is not.

A line format is a regular expression that takes a whole line, so that a file of
good lines is parsed without a Python loop over lines, and a function that says
what is wrong with a line that does not match. What is wrong with a row besides
its syntax is in `label_checks.py`.

Numbers are plain decimals: at most seven digits before the point and nine after
it, no sign, no exponent. Up to 1,000,000 s float64 gives back every digit.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.labels.class_map import MID_PATTERN as _MID
from audioset_strong.labels.label_text import LabelText, shown
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.segments import (
    SEGMENT_ID_PATTERN as _SEGMENT_ID,
)
from audioset_strong.labels.segments import YTID_PATTERN as _YTID

_SECONDS = r"[0-9]{1,7}(?:\.[0-9]{1,9})?"
_NAME = r"[^\t\n\r\x00-\x1f\ud800-\udfff]+"

Column = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class LineFormat:
    """What a line of a file looks like.

    Attributes:
      line: Regular expression of a line without its end.
      split: Splits a text of good lines, line ends included, into its fields.
      kinds: What each field of a line is: "text", "seconds", or "id" for a text
        that no other line has.
      explain: Says what was expected of a line that does not match.
    """

    line: str
    split: Callable[[str], list[str]]
    kinds: tuple[str, ...]
    explain: Callable[[str], str]

    @functools.cached_property
    def line_pattern(self) -> re.Pattern[str]:
        """Matches a line without its end."""
        return re.compile(self.line)

    @functools.cached_property
    def lines_pattern(self) -> re.Pattern[str]:
        """Matches any number of lines with their ends."""
        # Possessive, so that no state is kept for going back.
        return re.compile(f"(?:{self.line}\n)*+")


@dataclasses.dataclass(frozen=True)
class ParsedLines:
    """Fields of the lines that match their format.

    Attributes:
      columns: One array `[num_rows]` a field: float64 seconds, or object text;
        equal texts are one object.
      line_numbers: int64 `[num_rows]`, from 1.
    """

    columns: tuple[Column, ...]
    line_numbers: npt.NDArray[np.int64]


def parse_lines(
    text: LabelText, line_format: LineFormat, problems: ProblemLog
) -> ParsedLines:
    """Parses the body of a file; lines that do not match are left out.

    Args:
      text: The file.
      line_format: What its lines look like.
      problems: Takes the lines that are left out.

    Returns:
      The fields, in file order.
    """
    kinds = line_format.kinds
    parts: list[list[Column]] = [[] for _ in kinds]
    line_parts = [np.empty(0, np.int64)]
    seconds = _SecondsOfText()
    for first_line, block in text.blocks():
        good_lines, line_numbers = _leave_out_bad(
            text, first_line, block, line_format, problems
        )
        line_parts.append(line_numbers)
        fields = line_format.split(good_lines)
        for field, part in enumerate(parts):
            values = fields[field :: len(kinds)]
            part.append(_column(values, kinds[field], seconds))
    columns = []
    for kind, part in zip(kinds, parts, strict=True):
        column = np.concatenate([_column([], kind, seconds), *part])
        columns.append(_intern(column) if kind == "text" else column)
    return ParsedLines(tuple(columns), np.concatenate(line_parts))


def _leave_out_bad(
    text: LabelText,
    first_line: int,
    block: str,
    line_format: LineFormat,
    problems: ProblemLog,
) -> tuple[str, npt.NDArray[np.int64]]:
    """Keeps the lines of a block that match, and their numbers."""
    if not block.endswith("\n"):
        block += "\n"
    num_lines = block.count("\n")
    numbers = np.arange(first_line, first_line + num_lines)
    if line_format.lines_pattern.fullmatch(block):
        return block, numbers
    lines = block[:-1].split("\n")
    is_good = np.ones(num_lines, dtype=bool)
    for index, line in enumerate(lines):
        if not line_format.line_pattern.fullmatch(line):
            is_good[index] = False
            reason = line_format.explain(line)
            message = f"{reason}, found {shown(line)}"
            problems.add(text.path, first_line + index, message)
    good_lines = [f"{lines[index]}\n" for index in np.flatnonzero(is_good)]
    return "".join(good_lines), numbers[is_good]


class _SecondsOfText(dict[str, float]):
    """Times by their text: a file of millions has a few thousand of them."""

    def __missing__(self, text: str) -> float:
        self[text] = seconds = float(text)
        return seconds


def _column(fields: list[str], kind: str, seconds: _SecondsOfText) -> Column:
    if kind == "seconds":
        values = map(seconds.__getitem__, fields)
        return np.fromiter(values, np.float64, len(fields))
    return np.array(fields, dtype=object)


def _intern(column: Column) -> Column:
    """Makes equal texts one object, which saves memory and hashing."""
    codes, distinct = pd.factorize(column)
    interned: Column = distinct[codes]
    return interned


def _split_at_tabs(lines: str) -> list[str]:
    return lines.replace("\n", "\t").split("\t")[:-1]


def _split_weak(lines: str) -> list[str]:
    # No field holds a quote or a space.
    return lines.replace(', "', ", ").replace('"\n', ", ").split(", ")[:-1]


def _is(field: str, text: str) -> bool:
    return re.fullmatch(field, text) is not None


def _explain_text(line: str) -> str | None:
    """Says what is wrong with a line of any format, or None."""
    if not line:
        return "expected no empty line"
    if any("\ud800" <= character <= "\udfff" for character in line):
        return "expected UTF-8 text"
    if "\r" in line:
        return "expected lines that end in a newline, not a carriage return"
    return None


def _explain_event(fields: list[str]) -> str:
    """Says what is wrong with a segment id, two times and a mid."""
    if not _is(_SEGMENT_ID, fields[0]):
        return "expected '<ytid>_<start ms>' as segment id"
    if not (_is(_SECONDS, fields[1]) and _is(_SECONDS, fields[2])):
        return "expected times in seconds, 0 or more, such as 1.234"
    return "expected a mid such as /m/09x0r after the times"


def _explain_weak(line: str) -> str:
    fields = line.split(", ", 3)
    if len(fields) != 4:
        return "expected '<YTID>, <start>, <end>, \"<mid>,<mid>,...\"'"
    ytid, start, end, mids = fields
    if not _is(_YTID, ytid):
        return "expected a YTID without spaces, commas and quotes"
    if not (_is(_SECONDS, start) and _is(_SECONDS, end)):
        return "expected times in seconds, 0 or more, such as 30.000"
    if len(mids) < 3 or mids[0] != '"' or mids[-1] != '"':
        return 'expected mids in quotes, such as "/m/09x0r,/m/04rlf"'
    return "expected mids separated by commas without spaces"


def _explain_strong(line: str) -> str:
    fields = line.split("\t")
    if len(fields) != 4:
        return f"expected 4 tab-separated fields, not {len(fields)}"
    return _explain_event(fields)


def _explain_framed(line: str) -> str:
    fields = line.split("\t")
    if len(fields) != 5:
        return f"expected 5 tab-separated fields, not {len(fields)}"
    if fields[4] not in ("PRESENT", "NOT_PRESENT"):
        return "expected PRESENT or NOT_PRESENT in the fifth field"
    return _explain_event(fields)


def _explain_pair(line: str) -> str:
    fields = line.split("\t")
    if len(fields) != 2:
        return f"expected 2 tab-separated fields, not {len(fields)}"
    if not _is(_SEGMENT_ID, fields[0]):
        return "expected '<ytid>_<start ms>' as segment id"
    return "expected a mid such as /m/09x0r"


def _explain_name(line: str) -> str:
    return "expected '<mid>\\t<display name>'"


def _tab_format(
    fields: Sequence[str],
    kinds: tuple[str, ...],
    explain: Callable[[str], str],
) -> LineFormat:
    return LineFormat(
        "\t".join(fields),
        _split_at_tabs,
        kinds,
        lambda line: _explain_text(line) or explain(line),
    )


_EVENT = (_SEGMENT_ID, _SECONDS, _SECONDS, _MID)
_EVENT_KINDS = ("text", "seconds", "seconds", "text")
WEAK_LINE = LineFormat(
    rf'{_YTID}, {_SECONDS}, {_SECONDS}, "{_MID}(?:,{_MID})*"',
    _split_weak,
    ("id", "seconds", "seconds", "text"),
    lambda line: _explain_text(line) or _explain_weak(line),
)
STRONG_LINE = _tab_format(_EVENT, _EVENT_KINDS, _explain_strong)
FRAMED_LINE = _tab_format(
    (*_EVENT, "(?:NOT_)?PRESENT"), (*_EVENT_KINDS, "text"), _explain_framed
)
PAIR_LINE = _tab_format((_SEGMENT_ID, _MID), ("text", "text"), _explain_pair)
NAME_LINE = _tab_format((_MID, _NAME), ("id", "id"), _explain_name)
