r"""Parses the lines of label files with pyarrow and names those that are bad.

A file is read as columns at once, and each distinct text of a column is checked
against the regular expression of its field. Only where that fails are the lines
looked at one by one, to leave out the bad ones and to say what was expected.
Both ways accept the same lines: those that match the fields' expressions,
joined by the delimiter.

Numbers are plain decimals: at most seven digits before the point and nine after
it, no sign, no exponent. Up to 1,000,000 s float64 gives back every digit.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import (
    MID_PATTERN,
    SEGMENT_ID_PATTERN,
    YTID_PATTERN,
)
from audioset_strong.labels.problems import ProblemLog

Path = str | os.PathLike[str]

_MAX_SHOWN_CHARS = 200
_SECONDS = r"[0-9]{1,7}(?:\.[0-9]{1,9})?"
_NAME = r"[^\t\n\r\x00-\x1f\ud800-\udfff]+"
_BOM = b"\xef\xbb\xbf"


class LabelText:
    r"""The bytes of a label file, split into header and numbered lines.

    Lines end in "\n" or "\r\n" and nothing else; Python's `splitlines` would
    also split at characters that display names may hold. Where lines are shown,
    bytes that are not UTF-8 become lone surrogates, which no field allows.

    Attributes:
      path: The file, for messages.
      header: Its first lines, without line ends.
      body: The other lines, with "\n" as line end.
      first_line: Number of the first line of `body`, from 1.
    """

    def __init__(
        self, path: Path, num_header_lines: int, text: str | None = None
    ) -> None:
        """Reads a file; `text` is its content if it has been read already."""
        if text is None:
            with open(path, "rb") as file:
                content = file.read()
        else:
            content = text.encode("utf-8", errors="surrogatepass")
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n")
        content = content.removeprefix(_BOM)
        self.path = path
        self.first_line = num_header_lines + 1
        self.header: list[str] = []
        start = 0
        while len(self.header) < num_header_lines and start < len(content):
            end = content.find(b"\n", start)
            end = len(content) if end < 0 else end
            self.header.append(_decode(content[start:end]))
            start = end + 1
        self.body = content[start:]

    def check_header(self, header: str, example: str) -> None:
        """Refuses a file whose last header line is not `header`."""
        number = self.first_line - 1
        is_whole = len(self.header) == number
        if not is_whole or self.header[-1] != header:
            found = f"{len(self.header)} lines"
            if is_whole:
                found = shown(self.header[-1])
            raise InputError(
                f"{self.path}:{number}: expected the header {header!r}, found "
                f"{found}. Give a label file such as {example}."
            )

    @property
    def is_cut(self) -> bool:
        """Whether the last line has no end, as in half of a file."""
        return bool(self.body) and not self.body.endswith(b"\n")

    @functools.cached_property
    def num_lines(self) -> int:
        """Number of lines of the body."""
        return self.body.count(b"\n") + self.is_cut

    @functools.cached_property
    def _line_starts(self) -> npt.NDArray[np.int64]:
        """Where each line of the body starts, and one past its end."""
        ends = np.flatnonzero(np.frombuffer(self.body, np.uint8) == ord("\n"))
        return np.concatenate([[0], ends + 1, [len(self.body) + 1]])

    def line(self, number: int) -> str:
        """Returns a line of the body by its number in the file."""
        index = number - self.first_line
        start, end = self._line_starts[index : index + 2]
        return _decode(self.body[start : end - 1])


def read_first_line(path: Path) -> str:
    """Reads a file's first line, which tells what file it is."""
    with open(path, "rb") as file:
        line = file.readline().removeprefix(_BOM)
    return _decode(line.rstrip(b"\r\n"))


def _decode(line: bytes) -> str:
    return line.decode("utf-8", errors="surrogateescape")


def shown(line: str) -> str:
    """Quotes a line for a message, only its beginning if it is long."""
    if len(line) <= _MAX_SHOWN_CHARS:
        return repr(line)
    return f"{line[:_MAX_SHOWN_CHARS]!r}... ({len(line)} characters)"


@dataclasses.dataclass(frozen=True)
class LineFormat:
    """The form of a file's lines.

    Attributes:
      delimiter: One character between two fields.
      fields: By name, the regular expression of each field.
      explain: Says what was expected of a line that does not match.
    """

    delimiter: str
    fields: Mapping[str, str]
    explain: Callable[[str], str]

    @functools.cached_property
    def line_pattern(self) -> re.Pattern[str]:
        """Matches a line without its end."""
        return re.compile(self.delimiter.join(self.fields.values()))


@dataclasses.dataclass(frozen=True, eq=False)
class ParsedLines:
    """Fields of the lines that match their format.

    Attributes:
      columns: By name, `pa.DictionaryArray` `[num_rows]` of the fields' texts.
      line_numbers: int64 `[num_rows]`, from 1.
    """

    columns: dict[str, Any]
    line_numbers: npt.NDArray[np.int64]


def parse_lines(
    text: LabelText, line_format: LineFormat, problems: ProblemLog
) -> ParsedLines:
    """Parses the body of a file; lines that do not match are left out.

    `problems` takes these lines, and a last line that is cut.
    """
    numbers = np.arange(text.num_lines, dtype=np.int64) + text.first_line
    columns = _read_columns(text.body, text.num_lines, line_format)
    if columns is None:
        body, numbers = _leave_out_bad_lines(text, line_format, problems)
        columns = _read_columns(body, len(numbers), line_format, len(body))
    if columns is None:  # The two ways of reading differ: a bug of ours.
        raise AssertionError(f"{text.path}: good lines cannot be parsed.")
    if text.is_cut:
        line = text.first_line + text.num_lines - 1
        message = "expected a newline after the last line, as in a whole file"
        found = shown(text.line(line))
        problems.add(
            text.path, line, f"{message}, found {found}", is_left_out=False
        )
    return ParsedLines(columns, numbers)


# The fields of own weak labels, as CSV writers quote them.
_CSV_FIELD = r'(?:"((?:[^"]|"")+)"|([^",]+))'
_OWN_WEAK_LINE = re.compile(f"{_CSV_FIELD},{_CSV_FIELD}")


def parse_own_weak_lines(text: LabelText, problems: ProblemLog) -> ParsedLines:
    """Parses own weak labels: a segment id and class ids, a clip a line.

    As `parse_lines`, with the columns `segment_id` and `mids`.
    """
    rows: list[tuple[str, str]] = []
    numbers = []
    for number in range(text.first_line, text.first_line + text.num_lines):
        line = text.line(number)
        match = _OWN_WEAK_LINE.fullmatch(line)
        segment_id = labels = ""
        if match:
            segment_id = (match[1] or match[2]).replace('""', '"')
            labels = match[3] or match[4]
        if re.fullmatch(SEGMENT_ID_PATTERN, segment_id) and re.fullmatch(
            _MIDS, labels
        ):
            rows.append((segment_id, labels))
            numbers.append(number)
        else:
            reason = _explain_text(line) or _explain_own_weak(
                segment_id, labels
            )
            problems.add(text.path, number, f"{reason}, found {shown(line)}")
    columns = {
        name: encode_texts(pa.array([row[i] for row in rows], pa.string()))
        for i, name in enumerate(("segment_id", "mids"))
    }
    return ParsedLines(columns, np.array(numbers, dtype=np.int64))


def encode_texts(texts: Any) -> Any:
    """Encodes a `pa.StringArray` as a `pa.DictionaryArray`."""
    if pc.all(pc.less(texts[:-1], texts[1:])).as_py():
        # In ascending order, as the ids of the released files are: all differ.
        codes = pa.array(np.arange(len(texts), dtype=np.int32))
        return pa.DictionaryArray.from_arrays(codes, texts)
    return texts.dictionary_encode()


def _read_columns(
    body: bytes, num_lines: int, line_format: LineFormat, block_size: int = 0
) -> dict[str, Any] | None:
    """Reads all lines at once; None if a line is bad or longer than a block."""
    few_values = pa.dictionary(pa.int32(), pa.string())
    if not num_lines:
        empty = pa.array([], few_values)
        return {name: empty for name in line_format.fields}
    if body.startswith(_BOM):
        body = _BOM + body  # pyarrow drops one, which is part of a field here
    types = {
        # Of many values each block would make a large dictionary.
        name: pa.string() if name in ("ytid", "mids") else few_values
        for name in line_format.fields
    }
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(body),
            pa.csv.ReadOptions(
                column_names=list(types),
                block_size=min(max(1 << 20, block_size + 4), 2**31 - 1),
            ),
            pa.csv.ParseOptions(
                delimiter=line_format.delimiter,
                quote_char=False,
                ignore_empty_lines=False,
            ),
            pa.csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pa.ArrowInvalid:  # another number of fields, or not UTF-8
        return None
    if table.num_rows != num_lines:  # pyarrow also ends lines at "\r"
        return None
    columns = {}
    for name, pattern in line_format.fields.items():
        column = table[name].combine_chunks()
        if types[name] != few_values:
            column = encode_texts(column)
        texts = column.dictionary
        if pc.all(pc.string_is_ascii(texts)).as_py():
            # The expression means the same to pyarrow, but for surrogates,
            # which it cannot have.
            pattern = pattern.replace(r"\ud800-\udfff", "")
            is_match = pc.match_substring_regex(texts, f"^(?:{pattern})$")
            all_match = pc.all(is_match).as_py()
        else:
            all_match = all(
                re.fullmatch(pattern, text) for text in texts.to_pylist()
            )
        if not all_match:
            return None
        columns[name] = column
    return columns


def _leave_out_bad_lines(
    text: LabelText, line_format: LineFormat, problems: ProblemLog
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """Notes the lines that do not match; returns the others and their numbers.

    Not for speed: this is where a file with bad lines ends up.
    """
    lines = text.body.removesuffix(b"\n").split(b"\n") if text.body else []
    good, numbers = [], []
    for number, content in enumerate(lines, start=text.first_line):
        line = _decode(content)
        if line_format.line_pattern.fullmatch(line):
            good.append(content)
            numbers.append(number)
        else:
            reason = _explain_text(line) or line_format.explain(line)
            problems.add(text.path, number, f"{reason}, found {shown(line)}")
    body = b"".join(content + b"\n" for content in good)
    return body, np.array(numbers, dtype=np.int64)


# What was expected of a line that does not match: the first thing that a
# person would correct.


def _explain_text(line: str) -> str | None:
    """Says what no line of any format may hold, or None."""
    if not line:
        return "expected no empty line"
    if any("\ud800" <= character <= "\udfff" for character in line):
        return "expected UTF-8 text"
    if "\r" in line:
        return "expected lines that end in a newline, not a carriage return"
    return None


def _explain_weak(line: str) -> str:
    fields = line.split(", ", 3)
    if len(fields) != 4:
        return "expected '<YTID>, <start>, <end>, \"<mid>,<mid>,...\"'"
    ytid, start, end, mids = fields
    if not re.fullmatch(YTID_PATTERN, ytid):
        return "expected a YTID without spaces, commas and quotes"
    if not (re.fullmatch(_SECONDS, start) and re.fullmatch(_SECONDS, end)):
        return "expected times in seconds, 0 or more, such as 30.000"
    if len(mids) < 3 or mids[0] != '"' or mids[-1] != '"':
        return 'expected mids in quotes, such as "/m/09x0r,/m/04rlf"'
    return "expected mids separated by commas without spaces"


def _explain_own_weak(segment_id: str, labels: str) -> str:
    if not labels:
        return "expected '<segment id>,\"<class>,<class>,...\"'"
    if not re.fullmatch(SEGMENT_ID_PATTERN, segment_id):
        return "expected a segment id that does not begin with a space"
    if any(map(str.isspace, labels)):
        return "expected class ids without spaces, separated by commas"
    return "expected class ids separated by commas, none of them empty"


def _explain_tabs(num_fields: int, line: str) -> str:
    """Explains lines that begin with a segment id: 2, 4 or 5 fields."""
    fields = line.split("\t")
    if len(fields) != num_fields:
        return f"expected {num_fields} tab-separated fields, not {len(fields)}"
    if num_fields == 5 and fields[4] not in ("PRESENT", "NOT_PRESENT"):
        return "expected PRESENT or NOT_PRESENT in the fifth field"
    if not re.fullmatch(SEGMENT_ID_PATTERN, fields[0]):
        return "expected a segment id that does not begin with a space"
    if num_fields == 2:
        return "expected a mid such as /m/09x0r"
    if not (
        re.fullmatch(_SECONDS, fields[1]) and re.fullmatch(_SECONDS, fields[2])
    ):
        return "expected times in seconds, 0 or more, such as 1.234"
    return "expected a mid such as /m/09x0r after the times"


_MIDS = f"{MID_PATTERN}(?:,{MID_PATTERN})*"
_EVENT = {
    "segment_id": SEGMENT_ID_PATTERN,
    "onset_seconds": _SECONDS,
    "offset_seconds": _SECONDS,
    "mid": MID_PATTERN,
}
# Split at spaces, as the delimiter is one character: fields keep their commas
# and the mids their quotes.
WEAK_LINE = LineFormat(
    " ",
    {
        "ytid": f"{YTID_PATTERN},",
        "start_seconds": f"{_SECONDS},",
        "end_seconds": f"{_SECONDS},",
        "mids": f'"{_MIDS}"',
    },
    _explain_weak,
)
STRONG_LINE = LineFormat("\t", _EVENT, functools.partial(_explain_tabs, 4))
FRAMED_LINE = LineFormat(
    "\t",
    {**_EVENT, "present": "(?:NOT_)?PRESENT"},
    functools.partial(_explain_tabs, 5),
)
PAIR_LINE = LineFormat(
    "\t",
    {"segment_id": SEGMENT_ID_PATTERN, "mid": MID_PATTERN},
    functools.partial(_explain_tabs, 2),
)
NAME_LINE = LineFormat(
    "\t",
    {"mid": MID_PATTERN, "display_name": _NAME},
    lambda line: "expected '<mid>\\t<display name>'",
)
