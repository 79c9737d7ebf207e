r"""Reads the label files of other tools and data sets.

  audacity  label tracks (`onset<TAB>offset<TAB>text`), one file a recording;
            lines that begin with a backslash hold frequencies and are passed
            over; an empty track says that the recording has no event
  csv       a header that names file and label, or file, onset, offset and
            label, in any of the words of `_ROLES`; between the fields a comma,
            a semicolon or a tab
  dcase     DESED's TSV: `filename onset offset event_label`, or `filename
            event_labels`; a row with a file name alone is a clip without events
  esc50     `filename,fold,target,category,...`; the fold is the group
  events    JSON lines or Parquet of Hugging Face, one recording a row, with
            `events: [{event_name, start, end}]`
  fsd50k    `fname,labels,mids,...`; classes keep these mids
  raven     selection tables; a selection in several views counts once

All give `Row`s, which know the line that they come from. Nothing is guessed: a
line that does not say what a row needs is a problem of the log, and a file that
is in no such format is an error. `imported_clips.py` makes classes and clips of
the rows.

Source: the Audacity manual, "Importing and Exporting Labels"; Raven Pro's saved
tables; DESED, FSD50K and ESC-50 as released. Why not with crowsetta:
BUILD_NOTES.md "Labels of other tools".
"""

import csv
import dataclasses
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from audioset_strong.errors import InputError
from audioset_strong.labels.line_parser import shown
from audioset_strong.labels.problems import ProblemLog, listed, log_or_stop

# Extensions of the label files that are read from a folder.
FORMATS = {
    "audacity": (".txt",),
    "csv": (".csv", ".tsv", ".txt"),
    "dcase": (".tsv", ".csv", ".txt"),
    "esc50": (".csv",),
    "events": (".jsonl", ".ndjson", ".json", ".parquet"),
    "fsd50k": (".csv",),
    "raven": (".txt", ".tsv"),
}

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\r|\n")
AUDIOSET_MID = re.compile(r"/[a-z]/[a-z0-9_]+")
_RAVEN_ENDING = re.compile(
    r"(\.Table\.\d+)?(\.selections?)?(\.table)?\.(txt|tsv)$", re.IGNORECASE
)

# What a column is for, by its name in lower case, without units, with
# underscores for spaces and dashes.
_ROLES = {
    "file": "file filename file_name fname filepath file_path path audio "
    "audio_file audio_path wav wav_file recording clip begin_file begin_path "
    "segment_id video_id",
    "onset": "onset onset_time onset_seconds onset_s start start_time "
    "start_seconds start_s start_time_seconds begin begin_time begin_seconds",
    "offset": "offset offset_time offset_seconds offset_s end end_time "
    "end_seconds end_s end_time_seconds stop stop_time",
    "label": "label class class_name event event_label event_name category "
    "annotation species tag label_name common_name",
    "labels": "labels event_labels tags classes",
    "mids": "mids",
    "group": "group",
}
_ROLE_OF_NAME = {
    name: role for role, names in _ROLES.items() for name in names.split()
}
# The shortest event that a strong TSV can hold: a millisecond.
_MIN_EVENT_MS = 1
# A clip shorter than this has no whole patch of 0.975 s.
MIN_CLIP_MS = 1000


@dataclasses.dataclass(frozen=True)
class ImportParams:
    """How label files of other tools become labels of clips.

    Source: our choices (BUILD_NOTES.md "Labels of other tools").

    Attributes:
      clip_seconds: Length of the clips that recordings are cut into; 0 for one
        clip a recording.
      clip_hop_seconds: Seconds from the start of a clip to that of the next; 0
        for `clip_seconds`, so that clips do not overlap.
      point_seconds: Length of the event that a point label starts, which has no
        length of its own; 0 to refuse point labels.
      label_column: Column of the labels, where several may be it.
      unlabelled: What recordings are that no label file names: "unknown", not
        listened to and left out, or "negative", without any event.
    """

    clip_seconds: float = 0.0
    clip_hop_seconds: float = 0.0
    point_seconds: float = 0.0
    label_column: str = ""
    unlabelled: str = "unknown"

    def __post_init__(self) -> None:
        """Checks that clips leave out no audio."""
        length, hop = self.clip_seconds, self.clip_hop_seconds
        if not (length == 0 or length >= MIN_CLIP_MS / 1000):
            raise InputError(
                f"Expected clip_seconds of 0 or at least "
                f"{MIN_CLIP_MS / 1000:g}. Received: {length}."
            )
        if not (hop == 0 or 0.001 <= hop <= length):
            raise InputError(
                f"Expected clip_hop_seconds of at most clip_seconds "
                f"({length:g}), so that no audio is lost. Received: {hop}."
            )
        if not 0 <= self.point_seconds < math.inf:
            raise InputError(
                f"Expected point_seconds of 0 or more. Received: "
                f"{self.point_seconds}."
            )


class Row(NamedTuple):
    """What one line says of a recording.

    Attributes:
      path: The label file.
      line: Its line number, or the row of a Parquet file, from 1.
      recording: The recording's name in it, with or without extension.
      label: The label's text; "" for a recording without events.
      onset_ms: Milliseconds from the start of the recording; None if the label
        has no times.
      offset_ms: End of the event.
      mid: The class id that the file gives; "" if it gives none.
      group: The group that the file gives; "" if it gives none.
    """

    path: str
    line: int
    recording: str
    label: str = ""
    onset_ms: int | None = None
    offset_ms: int | None = None
    mid: str = ""
    group: str = ""


class _BadLineError(Exception):
    """What was expected of a line."""


# --- Files ------------------------------------------------------------------


def list_label_files(labels: str, label_format: str) -> list[str]:
    """Lists the label files: `labels` itself, or those below that folder.

    Raises:
      InputError: There is no such file or folder, or no label file in it.
    """
    if os.path.isfile(labels):
        return [labels]
    if not os.path.isdir(labels):
        raise InputError(f"{labels} is no file and no folder of label files.")
    extensions = FORMATS[label_format]
    paths = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(labels)
        for name in names
        # macOS leaves files such as ._a.txt on foreign disks.
        if name.lower().endswith(extensions) and not name.startswith(".")
    ]
    if not paths:
        raise InputError(
            f"{labels}: expected {label_format} label files "
            f"({', '.join(extensions)}), found none."
        )
    return sorted(paths)


def read_foreign_labels(
    labels: str,
    label_format: str,
    params: ImportParams = ImportParams(),
    problems: ProblemLog | None = None,
) -> list[Row]:
    """Reads label files of another tool (module docstring).

    Args:
      labels: A file, or a folder with those of several recordings.
      label_format: One of `FORMATS`.
      params: `point_seconds` and `label_column` count here.
      problems: Takes the lines that cannot be read; None to refuse them.

    Returns:
      The rows in file order, without repeated ones; all with times, or none.

    Raises:
      InputError: A file is not of this format, some labels have times and
        others have none, or there is no row.
    """
    rows: list[Row] = []
    with log_or_stop(problems) as log:
        for path in list_label_files(labels, label_format):
            rows += _read_file(path, labels, label_format, params, log)
        rows = _once(rows, log)
    if not rows:
        raise InputError(
            f"{labels}: expected at least one recording in {label_format} "
            f"format, found none."
        )
    timed = next((r for r in rows if r.onset_ms is not None), None)
    weak = next((r for r in rows if r.label and r.onset_ms is None), None)
    if timed and weak:
        raise InputError(
            f"Expected labels that all have times or all have none; "
            f"{timed.path}:{timed.line} has and {weak.path}:{weak.line} has "
            f"not. Import them one after the other, into two folders."
        )
    return rows


def _read_file(
    path: str,
    labels: str,
    label_format: str,
    params: ImportParams,
    log: ProblemLog,
) -> list[Row]:
    # A track or table belongs to the recording of the same name, in the
    # subfolder of the same name.
    root = os.path.dirname(labels) if os.path.isfile(labels) else labels
    name = os.path.relpath(path, root or ".").replace(os.sep, "/")
    if label_format == "audacity":
        name = os.path.splitext(name)[0]
        found = _audacity_rows(path, name, params, log)
    elif label_format == "raven":
        name = _RAVEN_ENDING.sub("", name)
        found = _raven_rows(path, name, params, log)
    elif label_format == "events":
        found = _event_list_rows(path, params, log)
    else:
        found = _table_rows(path, label_format, params, log)
    return list(found)


def _once(rows: Iterable[Row], log: ProblemLog) -> list[Row]:
    """Leaves out rows that repeat all but the place of an earlier one."""
    first: dict[Row, Row] = {}
    repeated = []
    for row in rows:
        before = first.setdefault(row._replace(path="", line=0), row)
        if before is not row and row.label:
            repeated.append((row, before))
    if repeated:
        row, before = repeated[0]
        log.add(
            row.path,
            row.line,
            f"expected each label once, {row.label!r} stands at "
            f"{before.path}:{before.line} already; it counts once",
            num_lines=len(repeated),
            is_left_out=False,
        )
    return list(first.values())


def _read_lines(
    path: str, log: ProblemLog, recording: str = ""
) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, each with its number.

    Args:
      path: The file.
      log: Takes lines that are no text.
      recording: What the file is about; "" if each line says it.
    """
    with open(path, "rb") as file:
        content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(
            f"{path}: expected UTF-8 text, found UTF-16. Save it as UTF-8."
        )
    text = content.decode("utf-8-sig", errors="surrogateescape")
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip():
            continue
        if _NOT_UTF8.search(line):
            log.add(
                path,
                number,
                f"expected UTF-8 text, found {shown(line)}",
                clip=recording,
            )
        elif _CONTROL.search(line):
            log.add(
                path,
                number,
                f"expected text without control characters, found "
                f"{shown(line)}",
                clip=recording,
            )
        else:
            yield number, line


# --- Fields -----------------------------------------------------------------


def _label_text(text: str) -> str:
    """Writes a label in one way: composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _milliseconds(text: str, what: str) -> int:
    """Reads a time, any decimal number of seconds."""
    text = text.strip()
    seconds = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not abs(seconds) < 1e7:
        hint = ""
        if ":" in text:
            hint = ", not hours and minutes"
        elif "," in text:
            hint = ", with a decimal point"
        raise _BadLineError(
            f"expected the {what} in seconds, such as 7.64{hint}"
        )
    milliseconds = round(seconds * 1000)
    if milliseconds < 0:
        raise _BadLineError(f"expected the {what} to be 0 or more")
    return milliseconds


def _timed_row(row: Row, onset: str, offset: str, params: ImportParams) -> Row:
    """Adds the times of an event."""
    onset_ms = _milliseconds(onset, "onset")
    offset_ms = _milliseconds(offset, "offset")
    if not row.label:
        raise _BadLineError("expected a label with the times")
    if float(onset) == float(offset):
        if not params.point_seconds > 0:
            raise _BadLineError(
                "expected an event that has a length, not a point; "
                "point_seconds gives points one"
            )
        offset_ms = onset_ms + round(1000 * params.point_seconds)
    elif float(offset) < float(onset):
        raise _BadLineError("expected an event that ends after it starts")
    offset_ms = max(offset_ms, onset_ms + _MIN_EVENT_MS)
    return row._replace(onset_ms=onset_ms, offset_ms=offset_ms)


def _add_problem(log: ProblemLog, row: Row, message: str, found: str) -> None:
    log.add(
        row.path,
        row.line,
        f"{message}, found {shown(found)}",
        clip=row.recording,
    )


# --- Audacity ---------------------------------------------------------------


def _audacity_rows(
    path: str, recording: str, params: ImportParams, log: ProblemLog
) -> Iterator[Row]:
    # Says that the recording was annotated, even if the track is empty.
    yield Row(path, 1, recording)
    for number, line in _read_lines(path, log, recording):
        if line.startswith("\\"):  # frequencies of the label before
            continue
        row = Row(path, number, recording)
        fields = line.split("\t")
        try:
            if len(fields) != 3:
                raise _BadLineError(
                    "expected onset, offset and label, separated by tabs"
                )
            # Audacity writes, and reads, a decimal comma in some languages.
            onset, offset = (field.replace(",", ".") for field in fields[:2])
            row = row._replace(label=_label_text(fields[2]))
            yield _timed_row(row, onset, offset, params)
        except _BadLineError as error:
            _add_problem(log, row, str(error), line)


# --- Tables -----------------------------------------------------------------


class _Table:
    """A file of fields below a header, and what its columns are for.

    Attributes:
      path: The file.
      header: Names of the columns, as they are.
      columns: Index of the column of each role that there is.
    """

    def __init__(
        self,
        path: str,
        delimiters: str,
        params: ImportParams,
        log: ProblemLog,
        expected: str,
        roles: Mapping[str, str] = _ROLE_OF_NAME,
        recording: str = "",
    ) -> None:
        """Reads the header; the first delimiter that gives columns counts.

        Raises:
          InputError: No column is that of files or labels, or several are.
        """
        self.path = path
        self._log = log
        self._recording = recording
        self._lines = list(_read_lines(path, log, recording))
        first = self._lines[0] if self._lines else (1, "an empty file")
        # Fields of TSV files are never quoted.
        self._quotes = delimiters != "\t"
        for self._delimiter in delimiters:
            [(_, self.header)] = self._split(first[1:], [first[0]])
            self.columns = _find_roles(path, self.header, roles, params)
            if {"label", "labels"} & set(self.columns):
                break
        else:
            raise InputError(
                f"{path}:{first[0]}: expected a header such as {expected!r}, "
                f"found {shown(first[1])}."
            )
        self._num_header_lines = 1

    def _split(
        self, lines: Sequence[str], numbers: Sequence[int]
    ) -> list[tuple[int, list[str]]]:
        """Splits lines into fields; gives each row's first line number."""
        if not self._quotes:
            return [
                (number, line.split(self._delimiter))
                for number, line in zip(numbers, lines, strict=True)
            ]
        reader = csv.reader(
            (f"{line}\n" for line in lines),
            delimiter=self._delimiter,
            strict=True,
        )
        rows, start = [], 0
        try:
            for fields in reader:
                rows.append((numbers[start], fields))
                start = reader.line_num
        except csv.Error as error:
            raise InputError(
                f"{self.path}:{numbers[start]}: expected quotes around whole "
                f"fields, each closed, found {shown(lines[start])} ({error})."
            ) from None
        return rows

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yields line number and fields; a row of one field may be short."""
        numbers, lines = (
            zip(*self._lines[1:], strict=True) if self._lines[1:] else ((), ())
        )
        num_columns = len(self.header)
        index = self.columns.get("file", -1)
        for number, fields in self._split(lines, numbers):
            if len(fields) == 1:
                fields = fields + [""] * (num_columns - 1)
            if len(fields) != num_columns:
                self._log.add(
                    self.path,
                    number,
                    f"expected {num_columns} fields, as the header has, not "
                    f"{len(fields)}, found "
                    f"{shown(self._delimiter.join(fields))}",
                    clip=fields[index].strip()
                    if -1 < index < len(fields)
                    else self._recording,
                )
                continue
            yield number, fields

    def get(self, fields: Sequence[str], role: str) -> str:
        """Returns the field of a role; "" if no column has it."""
        index = self.columns.get(role)
        return "" if index is None else fields[index].strip()


def _column_name(name: str) -> str:
    """Writes a column's name as `_ROLES` does."""
    name = re.sub(r"\((s|sec|seconds)\)", "", name.strip().lower())
    return re.sub(r"[\s-]+", "_", name.strip())


def _find_roles(
    path: str,
    header: Sequence[str],
    roles: Mapping[str, str],
    params: ImportParams,
) -> dict[str, int]:
    """Finds the column of each role; {} if those of any format lack.

    Raises:
      InputError: Two columns have one role, or `label_column` is none.
    """
    found: dict[str, int] = {}
    is_chosen = params.label_column in header
    for index, name in enumerate(header):
        role = roles.get(_column_name(name))
        if is_chosen:
            if name == params.label_column:
                role = "labels" if role == "labels" else "label"
            elif role in ("label", "labels"):
                role = None
        if role is None:
            continue
        if role in found:
            raise InputError(
                f"{path}: expected one column of the {role}, found "
                f"{header[found[role]]!r} and {name!r}."
                + (
                    " Give label_column, the one that counts."
                    if role == "label"
                    else " Remove or rename one."
                )
            )
        found[role] = index
    if params.label_column and not is_chosen and len(header) > 1:
        raise InputError(
            f"{path}: expected a column {params.label_column!r}, as "
            f"label_column says, found {listed(header, 20)}."
        )
    if "label" in found and "labels" in found:
        raise InputError(
            f"{path}: expected one column of labels, found "
            f"{header[found['label']]!r} and {header[found['labels']]!r}. Give "
            f"label_column, the one that counts."
        )
    if ("onset" in found) != ("offset" in found):
        role = "onset" if "onset" in found else "offset"
        raise InputError(
            f"{path}: expected columns of onset and offset, found only "
            f"{header[found[role]]!r} in {listed(header, 20)}."
        )
    return found if "file" in found or roles is not _ROLE_OF_NAME else {}


_TABLES = {
    # Delimiters, an example for messages, and roles of other names.
    "csv": (",;\t", "file,onset,offset,label", _ROLE_OF_NAME),
    "dcase": ("\t", "filename\tonset\toffset\tevent_label", _ROLE_OF_NAME),
    "esc50": (
        ",",
        "filename,fold,target,category",
        {"filename": "file", "fold": "group", "category": "label"},
    ),
    "fsd50k": (
        ",",
        "fname,labels,mids",
        {"fname": "file", "labels": "labels", "mids": "mids"},
    ),
}


def _table_rows(
    path: str, label_format: str, params: ImportParams, log: ProblemLog
) -> Iterator[Row]:
    delimiters, example, roles = _TABLES[label_format]
    table = _Table(path, delimiters, params, log, example, roles)
    if "file" not in table.columns:
        raise InputError(
            f"{path}:1: expected a header such as {example!r}, found "
            f"{table.header!r}."
        )
    line_of_file: dict[str, int] = {}
    for number, fields in table.rows():
        row = Row(path, number, table.get(fields, "file"))
        try:
            found = list(_rows_of_fields(row, table, fields, params))
            # A list of labels is all that is said of its file.
            if "labels" in table.columns and "onset" not in table.columns:
                before = line_of_file.setdefault(row.recording, number)
                if before != number:
                    raise _BadLineError(
                        f"expected each file once, this one stands at line "
                        f"{before} already"
                    )
            yield from found
        except _BadLineError as error:
            _add_problem(log, row, str(error), delimiters[0].join(fields))


def _rows_of_fields(
    row: Row, table: _Table, fields: Sequence[str], params: ImportParams
) -> Iterator[Row]:
    if not row.recording:
        raise _BadLineError("expected a file name")
    group = table.get(fields, "group")
    if group:
        # The fold of ESC-50 is a number.
        is_fold = table.header[table.columns["group"]] == "fold"
        row = row._replace(group=f"fold{group}" if is_fold else group)
    onset, offset = table.get(fields, "onset"), table.get(fields, "offset")
    role = "labels" if "labels" in table.columns else "label"
    text = table.get(fields, role)
    if not text and not onset and not offset:
        yield row
        return
    texts = [_label_text(t) for t in text.split(",")]
    if role == "label":
        texts = [_label_text(text)]
    if not all(texts):
        raise _BadLineError("expected a label, or no comma more than labels")
    mids = [""] * len(texts)
    if "mids" in table.columns:
        mids = [m.strip() for m in table.get(fields, "mids").split(",")]
        if len(mids) != len(texts) or not all(
            map(AUDIOSET_MID.fullmatch, mids)
        ):
            raise _BadLineError("expected a mid such as /m/0bt9lr a label")
    for label, mid in zip(texts, mids, strict=True):
        one = row._replace(label=label, mid=mid)
        if "onset" in table.columns:
            one = _timed_row(one, onset, offset, params)
        yield one


# --- Raven ------------------------------------------------------------------

_RAVEN_ROLES = {
    "selection": "selection",
    "begin_time": "onset",
    "end_time": "offset",
    "begin_file": "file",
    "begin_path": "path",
    "file_offset": "file_offset",
    **{n: "label" for n in ("annotation", "species", "common_name", "label")},
}


def _raven_rows(
    path: str, recording: str, params: ImportParams, log: ProblemLog
) -> Iterator[Row]:
    table = _Table(
        path,
        "\t",
        params,
        log,
        "Selection<TAB>View<TAB>Channel<TAB>Begin Time (s)<TAB>End Time (s)"
        "<TAB>...<TAB>Annotation",
        _RAVEN_ROLES,
        recording,
    )
    if "onset" not in table.columns:
        raise InputError(
            f"{path}:1: expected the columns 'Begin Time (s)' and 'End Time "
            f"(s)', found {listed(table.header, 20)}. Give a selection table "
            f"that Raven saved."
        )
    file_role = "file" if "file" in table.columns else "path"
    if file_role not in table.columns:
        yield Row(path, 1, recording)
    rows = list(table.rows())
    files = {table.get(fields, file_role) for _, fields in rows}
    if len(files) > 1 and "file_offset" not in table.columns:
        # Begin Time counts from the start of the first of several files.
        raise InputError(
            f"{path}: expected a column 'File Offset (s)' beside the several "
            f"files of '{table.header[table.columns[file_role]]}', found none. "
            f"Add that measurement in Raven and save the table again, or, if "
            f"times count from the start of each file, use format csv."
        )
    times_of_selection: dict[str, tuple[int, Row]] = {}
    for number, fields in rows:
        name = table.get(fields, file_role) or recording
        row = Row(path, number, name, _label_text(table.get(fields, "label")))
        try:
            onset = table.get(fields, "onset")
            offset = table.get(fields, "offset")
            if table.get(fields, "file_offset"):
                start_ms = _milliseconds(
                    table.get(fields, "file_offset"), "file offset"
                )
                length_ms = _milliseconds(offset, "end") - _milliseconds(
                    onset, "begin"
                )
                onset = f"{start_ms / 1000}"
                offset = f"{(start_ms + length_ms) / 1000}"
            row = _timed_row(row, onset, offset, params)
            selection = table.get(fields, "selection") or f"line {number}"
            same = row._replace(line=0)
            before = times_of_selection.setdefault(selection, (number, same))
            if before[0] != number:
                if before[1] != same:
                    raise _BadLineError(
                        f"expected selection {selection} to be in all views "
                        f"what it is in line {before[0]}"
                    )
                continue
            yield row
        except _BadLineError as error:
            _add_problem(log, row, str(error), "\t".join(fields))


# --- Lists of events --------------------------------------------------------


def _event_list_rows(
    path: str, params: ImportParams, log: ProblemLog
) -> Iterator[Row]:
    for number, record, text in _read_records(path, log):
        row = Row(path, number, "")
        try:
            row = row._replace(recording=_recording_of(record))
            yield row
            for event in _events_of(record.get("events")):
                label = event["event_name"]
                if not isinstance(label, str):
                    raise _BadLineError("expected event_name to be a text")
                yield _timed_row(
                    row._replace(label=_label_text(label)),
                    str(event["start"]),
                    str(event["end"]),
                    params,
                )
        except _BadLineError as error:
            _add_problem(log, row, str(error), text)


def _read_records(
    path: str, log: ProblemLog
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yields number, content and text of each row with `events`."""
    if path.lower().endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(path)
            schema = file.schema_arrow
            names = schema.names
            used = [n for n in names if n == "events" or _is_file_column(n)]
            # Without the bytes of audio, which are beside its path.
            has_bytes = "audio" in used and pa.types.is_struct(
                schema.field("audio").type
            )
            table = file.read(
                columns=[
                    "audio.path" if n == "audio" and has_bytes else n
                    for n in used
                ]
            )
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: expected Parquet ({error}).") from None
        if "events" not in names:
            raise InputError(
                f"{path}: expected a column 'events', found "
                f"{listed(names, 20)}."
            )
        for number, record in enumerate(table.to_pylist(), start=1):
            yield number, record, str(record)
        return
    for number, line in _read_lines(path, log):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict) and "events" in record:
            yield number, record, line
        else:
            log.add(
                path,
                number,
                f'expected JSON such as {{"file": "a.wav", "events": '
                f'[{{"event_name": "Dog", "start": 1.5, "end": 2}}]}} '
                f"in one line, found {shown(line)}",
                clip="",
            )


def _is_file_column(name: str) -> bool:
    return _ROLE_OF_NAME.get(_column_name(name)) == "file"


def _recording_of(record: Mapping[str, Any]) -> str:
    """Finds the name of a recording; `audio` may hold it as `path`."""
    values = {n: v for n, v in record.items() if _is_file_column(n)}
    names = {
        name: value.get("path") if isinstance(value, dict) else value
        for name, value in values.items()
    }
    # An id is surer than a path, which Hugging Face often leaves empty.
    names = {n: v for n, v in names.items() if isinstance(v, str) and v}
    if "segment_id" in names:
        return str(names["segment_id"])
    if len(names) > 1:
        names.pop("audio", None)
    if len(names) != 1:
        raise _BadLineError(
            f"expected one name of the recording, such as 'file', not "
            f"{listed(names)}"
        )
    return str(next(iter(names.values())))


def _events_of(events: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the events of one row, a list of dicts or a dict of lists."""
    keys = ("event_name", "start", "end")
    if isinstance(events, dict):
        columns = [events.get(key) for key in keys]
        if not all(isinstance(c, list) for c in columns) or (
            len({len(c) for c in columns if c is not None}) > 1
        ):
            raise _BadLineError(f"expected lists of {', '.join(keys)}")
        events = [
            dict(zip(keys, values, strict=True))
            for values in zip(*(c or [] for c in columns), strict=True)
        ]
    for event in events or []:
        if not isinstance(event, dict) or not set(keys) <= set(event):
            raise _BadLineError(f"expected events with {', '.join(keys)}")
        yield event
