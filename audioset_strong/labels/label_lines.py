"""Lines of the AudioSet label files: what one line says, or what is wrong.

The parsers behind `label_files.py`. A parser takes a line without its end and
gives the values of a row of that module's tables or, for a bad line, a string
that says what was expected.
"""

import os
import re
from collections.abc import Callable, Sequence

from audioset_strong.errors import InputError
from audioset_strong.labels.problems import ProblemLog, note_problem
from audioset_strong.labels.segments import is_segment_id, make_segment_id
from audioset_strong.params import LabelFrameParams

Path = str | os.PathLike[str]
# What parsing one line gives: the row's values, or what is wrong with it.
Parsed = tuple[object, ...] | str

_WEAK_LINE = re.compile(
    r"(?P<ytid>[^,\s]+), (?P<start>\d+(?:\.\d+)?), (?P<end>\d+(?:\.\d+)?), "
    r'"(?P<mids>[^",\s]+(?:,[^",\s]+)*)"'
)
_PRESENT = {"PRESENT": True, "NOT_PRESENT": False}
# Label frames are multiples of 0.96 s written with 2 or 3 decimals, so a start
# further than this from the grid is another grid, not a rounding.
_GRID_TOLERANCE_SECONDS = 0.0015


def read_lines(path: Path) -> list[str]:
    """Reads a UTF-8 text file as lines without their ends.

    Raises:
      InputError: The file is not UTF-8 text.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return [line.removesuffix("\n") for line in file]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text: {error}.") from error


def check_header(path: Path, lines: Sequence[str], header: str) -> None:
    """Checks the first line of a file.

    Raises:
      InputError: It is not `header`.
    """
    found = lines[0] if lines else "an empty file"
    if found != header:
        raise InputError(
            f"{path}:1: expected the header {header!r}, found {found!r}."
        )


def parse_lines(
    path: Path,
    lines: Sequence[str],
    first_line: int,
    parse: Callable[[str], Parsed],
    problems: ProblemLog | None,
) -> list[tuple[object, ...]]:
    """Parses each line; a line that does not parse is noted and left out.

    Args:
      path: The file, for messages.
      lines: Its lines after the header.
      first_line: Number of the first of them, from 1.
      parse: Parses one line.
      problems: Takes the lines that are left out; None is strict.

    Returns:
      The rows.

    Raises:
      InputError: A line is bad and `problems` is None.
    """
    rows = []
    for number, line in enumerate(lines, start=first_line):
        parsed = parse(line)
        if isinstance(parsed, str):
            note_problem(problems, path, number, f"{parsed}, found {line!r}")
        else:
            rows.append(parsed)
    return rows


def weak_line_parser() -> Callable[[str], Parsed]:
    """Returns a parser of weak lines that takes each segment once."""
    seen: set[str] = set()

    def parse(line: str) -> Parsed:
        match = _WEAK_LINE.fullmatch(line)
        if match is None:
            return "expected '<YTID>, <start>, <end>, \"<mid>,<mid>,...\"'"
        start, end = float(match["start"]), float(match["end"])
        if end <= start:
            return "expected a segment that ends after it starts"
        segment_id = make_segment_id(match["ytid"], start)
        if segment_id in seen:
            return f"expected each segment once, {segment_id} stands twice"
        seen.add(segment_id)
        return segment_id, start, end, tuple(match["mids"].split(","))

    return parse


def _parse_seconds(text: str) -> float | None:
    """Parses a time; None if it is not a finite number of seconds >= 0."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _parse_event(fields: Sequence[str]) -> tuple[str, float, float, str] | str:
    """Parses segment id, onset, offset and mid."""
    segment_id, onset_text, offset_text, mid = fields
    onset, offset = _parse_seconds(onset_text), _parse_seconds(offset_text)
    if not is_segment_id(segment_id) or not mid:
        return "expected '<ytid>_<start ms>' first and then, after times, a mid"
    if onset is None or offset is None:
        return "expected times in seconds, 0 or more"
    if offset <= onset:
        return "expected an event that ends after it starts"
    return segment_id, onset, offset, mid


def parse_strong_line(line: str) -> Parsed:
    """Parses an event: segment id, onset, offset, mid."""
    fields = line.split("\t")
    if len(fields) != 4:
        return f"expected 4 tab-separated fields, not {len(fields)}"
    return _parse_event(fields)


def framed_line_parser(params: LabelFrameParams) -> Callable[[str], Parsed]:
    """Returns a parser of framed lines on this grid of label frames."""
    seconds = params.label_frame_seconds

    def parse(line: str) -> Parsed:
        fields = line.split("\t")
        if len(fields) != 5:
            return f"expected 5 tab-separated fields, not {len(fields)}"
        if fields[4] not in _PRESENT:
            return "expected PRESENT or NOT_PRESENT in the fifth field"
        parsed = _parse_event(fields[:4])
        if isinstance(parsed, str):
            return parsed
        segment_id, onset, offset, mid = parsed
        label_frame = round(onset / seconds)
        off_grid = max(
            abs(onset - label_frame * seconds),
            abs(offset - (label_frame + 1) * seconds),
        )
        is_on_grid = off_grid <= _GRID_TOLERANCE_SECONDS
        if not is_on_grid or label_frame >= params.num_label_frames:
            return (
                f"expected one of the {params.num_label_frames} label frames "
                f"of {seconds} s"
            )
        return segment_id, label_frame, mid, _PRESENT[fields[4]]

    return parse


def parse_display_name_line(line: str) -> Parsed:
    """Parses a mid and its display name."""
    fields = line.split("\t")
    if len(fields) != 2 or not all(fields):
        return "expected '<mid>\\t<display name>'"
    return tuple(fields)
