r"""Parses the lines of label files with pyarrow and names those that are bad.

A file is read as columns at once, and each distinct text of a column is checked
against the regular expression of its field. Only where that fails are the lines
matched one by one, to leave out the bad ones and to say what was expected. Both
ways accept the same lines: those that match the fields' expressions, joined by
the delimiter. Blank lines say nothing and are passed over.

Numbers are decimals of any form, as pandas and spreadsheets write them. Labels
are any text here: `label_files.py` decides what is a class.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
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
    make_segment_id,
)
from audioset_strong.labels.problems import ProblemLog

Path = str | os.PathLike[str]

_MAX_SHOWN_CHARS = 200
_SECONDS = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NAME = r"[^\t\n\r\x00-\x1f\ud800-\udfff]+"
_LABELS = r'[^"\t\n\r\x00-\x1f\ud800-\udfff]+'
EXPECTED_SECONDS = "expected times in seconds, 0 or more"
# Of smaller files pyarrow would only start threads, which abort a process
# (pyarrow 25) that ends while they start, as a command with bad input does.
_MIN_BYTES_AT_ONCE = 1 << 17
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
        # Writers of CSV may quote names.
        if not is_whole or self.header[-1].replace('"', "") != header:
            found = f"{len(self.header)} lines"
            if is_whole:
                line = self.header[-1]
                is_text = not any("\udc80" <= c <= "\udcff" for c in line)
                is_text = is_text and "\0" not in line
                found = shown(line) if is_text else "what is no UTF-8 text"
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
    def _line_pattern(self) -> re.Pattern[str]:
        fields = (f"({pattern})" for pattern in self.fields.values())
        return re.compile(self.delimiter.join(fields))

    def match(self, line: str) -> tuple[str, ...] | None:
        """Returns the fields of a line without its end; None if it is bad."""
        match = self._line_pattern.fullmatch(line)
        return match.groups() if match else None


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
    columns = None
    if len(text.body) >= _MIN_BYTES_AT_ONCE:
        columns = _read_columns(text.body, text.num_lines, line_format)
    if columns is not None:
        numbers = np.arange(text.num_lines, dtype=np.int64) + text.first_line
        parsed = ParsedLines(columns, numbers)
    else:
        parsed = _match_lines(
            text,
            list(line_format.fields),
            line_format.match,
            line_format.explain,
            problems,
        )
    if text.is_cut:
        line = text.first_line + text.num_lines - 1
        message = "expected a newline after the last line, as in a whole file"
        found = shown(text.line(line))
        problems.add(
            text.path, line, f"{message}, found {found}", is_left_out=False
        )
    return parsed


def _match_lines(
    text: LabelText,
    names: Sequence[str],
    match: Callable[[str], Sequence[str] | None],
    explain: Callable[[str], str],
    problems: ProblemLog,
) -> ParsedLines:
    """Parses line by line: slow, but says what is wrong.

    Args:
      text: The file.
      names: Of the fields.
      match: Returns the fields of a line, None if it is bad.
      explain: Says what was expected of a bad line.
      problems: Takes the bad lines.
    """
    rows: list[Sequence[str]] = []
    numbers = []
    for index, content in enumerate(text.body.split(b"\n")):
        line = _decode(content)
        if line.isspace() or not line:
            continue
        number = text.first_line + index
        fields = match(line)
        if fields is None:
            reason = _explain_text(line) or explain(line)
            problems.add(
                text.path,
                number,
                f"{reason}, found {shown(line)}",
                clip=_clip_of_bad_line(line)
                if names[0] in ("segment_id", "ytid")
                else None,
            )
        else:
            rows.append(fields)
            numbers.append(number)
    texts = zip(*rows) if rows else [[] for _ in names]
    columns = {
        name: encode_texts(pa.array(column, pa.string()))
        for name, column in zip(names, texts, strict=True)
    }
    return ParsedLines(columns, np.array(numbers, dtype=np.int64))


# The fields of own weak labels, as CSV writers quote them.
_CSV_FIELD = r'(?:"((?:[^"]|"")+)"|([^",]+))'
_OWN_WEAK_LINE = re.compile(f"{_CSV_FIELD},{_CSV_FIELD}")
_OWN_WEAK_START = re.compile(f"{_CSV_FIELD},")
_WEAK_START = re.compile(f"({YTID_PATTERN}), ({_SECONDS}), ")


def parse_own_weak_lines(text: LabelText, problems: ProblemLog) -> ParsedLines:
    """Parses own weak labels: a segment id and class ids, a clip a line.

    As `parse_lines`, with the columns `segment_id` and `mids`.
    """
    names = ("segment_id", "mids")
    return _match_lines(
        text, names, _match_own_weak, _explain_own_weak, problems
    )


def _clip_of_bad_line(line: str) -> str:
    """Returns the clip that a bad line seems to be about."""
    if "\t" in line:
        return line.partition("\t")[0]
    if match := _WEAK_START.match(line):
        return make_segment_id(match[1], min(abs(float(match[2])), 1e9))
    if match := _OWN_WEAK_START.match(line):
        return (match[1] or match[2]).replace('""', '"')
    return ""


def _split_own_weak(line: str) -> tuple[str, str]:
    """Returns a line's segment id and labels; empty texts without them."""
    match = _OWN_WEAK_LINE.fullmatch(line)
    if match is None:
        return "", ""
    segment_id = match[1] or match[2]
    return segment_id.replace('""', '"'), match[3] or match[4]


def _match_own_weak(line: str) -> tuple[str, str] | None:
    segment_id, labels = _split_own_weak(line)
    is_good = re.fullmatch(SEGMENT_ID_PATTERN, segment_id) and re.fullmatch(
        _LABELS, labels
    )
    return (segment_id, labels) if is_good else None


def encode_texts(texts: Any) -> Any:
    """Encodes a `pa.StringArray` as a `pa.DictionaryArray`."""
    if pc.all(pc.less(texts[:-1], texts[1:])).as_py():
        # In ascending order, as the ids of the released files are: all differ.
        codes = pa.array(np.arange(len(texts), dtype=np.int32))
        return pa.DictionaryArray.from_arrays(codes, texts)
    return texts.dictionary_encode()


def _read_columns(
    body: bytes, num_lines: int, line_format: LineFormat
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
                block_size=1 << 20,
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


# What was expected of a line that does not match: the first thing that a
# person would correct.


def _explain_text(line: str) -> str | None:
    """Says what no line of any format may hold, or None."""
    if any("\ud800" <= character <= "\udfff" for character in line):
        return "expected UTF-8 text"
    if "\r" in line:
        return "expected lines that end in a newline, not a carriage return"
    return None


def _explain_weak(line: str) -> str:
    fields = line.split(", ", 3)
    if len(fields) != 4:
        return "expected '<YTID>, <start>, <end>, \"<mid>,<mid>,...\"'"
    ytid, start, end, _ = fields
    if not re.fullmatch(YTID_PATTERN, ytid):
        return "expected a YTID without spaces, commas and quotes"
    if not (re.fullmatch(_SECONDS, start) and re.fullmatch(_SECONDS, end)):
        return f"{EXPECTED_SECONDS}, such as 30.000"
    return 'expected mids in quotes, such as "/m/09x0r,/m/04rlf"'


def _explain_own_weak(line: str) -> str:
    segment_id, labels = _split_own_weak(line)
    if labels and not re.fullmatch(SEGMENT_ID_PATTERN, segment_id):
        return "expected a segment id that does not begin with a space"
    return "expected '<segment id>,\"<class>,<class>,...\"'"


def _explain_tabs(num_fields: int, line: str, has_presence: bool = True) -> str:
    """Explains lines that begin with a segment id: 2, 4 or 5 fields."""
    fields = line.split("\t")
    if len(fields) != num_fields:
        return f"expected {num_fields} tab-separated fields, not {len(fields)}"
    is_presence = fields[-1] in ("PRESENT", "NOT_PRESENT")
    if num_fields == 5 and has_presence and not is_presence:
        return "expected PRESENT or NOT_PRESENT in the fifth field"
    if not re.fullmatch(SEGMENT_ID_PATTERN, fields[0]):
        return "expected a segment id that does not begin with a space"
    if num_fields == 2:
        return "expected a mid such as /m/09x0r"
    if not (
        re.fullmatch(_SECONDS, fields[1]) and re.fullmatch(_SECONDS, fields[2])
    ):
        return f"{EXPECTED_SECONDS}, such as 1.234"
    return "expected a mid such as /m/09x0r after the times"


_EVENT = {
    "segment_id": SEGMENT_ID_PATTERN,
    "onset_seconds": _SECONDS,
    "offset_seconds": _SECONDS,
    "mid": _NAME,
}
# Split at spaces, as the delimiter is one character: fields keep their commas
# and the mids their quotes.
WEAK_LINE = LineFormat(
    " ",
    {
        "ytid": f"{YTID_PATTERN},",
        "start_seconds": f"{_SECONDS},",
        "end_seconds": f"{_SECONDS},",
        "mids": f'"{_LABELS}"',
    },
    _explain_weak,
)
STRONG_LINE = LineFormat("\t", _EVENT, functools.partial(_explain_tabs, 4))
SCORED_LINE = LineFormat(
    "\t",
    {**_EVENT, "score": _NAME},
    functools.partial(_explain_tabs, 5, has_presence=False),
)
FRAMED_LINE = LineFormat(
    "\t",
    {**_EVENT, "present": "(?:NOT_)?PRESENT"},
    functools.partial(_explain_tabs, 5),
)
PAIR_LINE = LineFormat(
    "\t",
    {"segment_id": SEGMENT_ID_PATTERN, "mid": _NAME},
    functools.partial(_explain_tabs, 2),
)
NAME_LINE = LineFormat(
    "\t",
    {"mid": MID_PATTERN, "display_name": _NAME},
    lambda line: "expected '<mid>\\t<display name>'",
)
