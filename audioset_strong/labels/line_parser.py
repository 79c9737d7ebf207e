r"""Text of a label file: decoded, its header checked, its lines numbered.

Lines of the AudioSet label files: what is one, and why a line is not.

A line format is a regular expression that takes a whole line, so that a file of
good lines is parsed without a Python loop over lines, and a function that says
what is wrong with a line that does not match. What is wrong with a row besides
its syntax is in `label_checks.py`.

Numbers are plain decimals: at most seven digits before the point and nine after
it, no sign, no exponent. Up to 1,000,000 s float64 gives back every digit.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import MID_PATTERN as _MID
from audioset_strong.labels.ids import SEGMENT_ID_PATTERN as _SEGMENT_ID
from audioset_strong.labels.ids import YTID_PATTERN as _YTID
from audioset_strong.labels.problems import ProblemLog

# --- label text ------------------------------------------------------------


Path = str | os.PathLike[str]

# About 30,000 lines: long enough to be parsed at full speed, short enough that
# a release-sized file is never in memory as millions of small strings.
_BLOCK_CHARS = 1 << 20
_MAX_SHOWN_CHARS = 200


class LabelText:
    r"""Lines of a label file.

    Lines end in "\n" or "\r\n" and nothing else; Python's `splitlines` would
    also split at characters that display names may hold. Bytes that are not
    UTF-8 become lone surrogates, which no line format allows, so that the lines
    that hold them can be named.

    Attributes:
      path: The file, for messages.
      header: Its first lines, without line ends.
      body: The rest, with "\n" as line end.
      first_line: Number of the first line of `body`, from 1.
    """

    def __init__(
        self, path: Path, num_header_lines: int, text: str | None = None
    ) -> None:
        """Reads a file.

        Args:
          path: The file.
          num_header_lines: How many of its lines are the header.
          text: Its content, if it has been read already.
        """
        if text is None:
            with open(path, "rb") as file:
                text = file.read().decode("utf-8", errors="surrogateescape")
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        self.path = path
        self.header: list[str] = []
        position = 0
        while len(self.header) < num_header_lines and position < len(text):
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            self.header.append(text[position:end])
            position = end + 1
        self.body = text[position:]
        self.first_line = num_header_lines + 1

    def check_header(self, header: str, example: str) -> None:
        """Checks the last line of the header.

        Raises:
          InputError: It is not `header`; suggests a file like `example`.
        """
        number = self.first_line - 1
        found = f"{len(self.header)} lines"
        if len(self.header) == number:
            found = shown(self.header[-1])
        if self.header[-1:] != [header] or len(self.header) < number:
            raise InputError(
                f"{self.path}:{number}: expected the header {header!r}, found "
                f"{found}. Give a label file such as {example}."
            )

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Yields the body in parts of whole lines, each with its first line."""
        number, position = self.first_line, 0
        while position < len(self.body):
            end = self.body.find("\n", position + _BLOCK_CHARS) + 1
            block = self.body[position : end or len(self.body)]
            yield number, block
            number += block.count("\n")
            position += len(block)

    @property
    def num_lines(self) -> int:
        """Number of lines of the body."""
        return self.body.count("\n") + self.is_cut

    @functools.cached_property
    def _line_starts(self) -> npt.NDArray[np.int64]:
        """Where each line of the body starts, and one past its end."""
        ends = np.array(
            [match.start() for match in re.finditer("\n", self.body)],
            dtype=np.int64,
        )
        return np.concatenate([[0], ends + 1, [len(self.body) + 1]])

    def line(self, number: int) -> str:
        """Returns a line of the body by its number in the file."""
        index = number - self.first_line
        start, end = self._line_starts[index : index + 2]
        return self.body[start : end - 1]

    @property
    def is_cut(self) -> bool:
        """Whether the last line has no end, as in half of a file."""
        return bool(self.body) and not self.body.endswith("\n")


def shown(line: str) -> str:
    """Quotes a line for a message, the beginning of it if it is long."""
    if len(line) <= _MAX_SHOWN_CHARS:
        return repr(line)
    return f"{line[:_MAX_SHOWN_CHARS]!r}... ({len(line)} characters)"


# --- label lines -----------------------------------------------------------


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
