r"""Audio index: which file holds the audio of each clip, and where in it.

Without one, files are found by their names (`audio/listing.py`), which works
for AudioSet's ids only. With one a segment id can be any text, files can be
named in any way, and clips are cut out of long files as they are read.

The index is a CSV, a TSV or a Parquet file. Fields are quoted as in any CSV,
empty ones say nothing, and further columns are ignored:

  segment_id        the clip
  path              its audio; relative to `audio_dir` if that is given, or to
                    the folder of the index; may be in object storage
  start_seconds     optional: where in the file the clip starts, 0 if not given
  duration_seconds  optional: how long the clip is
  group             optional: clips of one recording, speaker or site, which
                    stay on one side of every split

Clips of a file stay together where no group is given: their group is the path
as it stands in the index, so that a moved folder is split as before. Clips of
AudioSet keep their YouTube id as their group.
"""

import contextlib
import csv
import dataclasses
import io
import math
import os
from collections.abc import Generator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.ids import group_of_segment, is_segment_id

_REQUIRED = ("segment_id", "path")
_SECONDS = ("start_seconds", "duration_seconds")
COLUMNS = (*_REQUIRED, *_SECONDS, "group")
_NAMED = ", ".join(_REQUIRED)

# Each row with its place, in words.
_Rows = Generator[tuple[str, dict[str, str]], None, None]


@dataclasses.dataclass(frozen=True)
class AudioIndex:
    """An audio index; the rows are in file order.

    Attributes:
      source: The file.
      base_dir: What relative paths are relative to, with a slash at its end.
      row_of_clip: The row of each segment id.
      paths: As they stand in the file, `[num_rows]`.
      start_seconds: float64 `[num_rows]`, 0 or more; NaN where not given.
      duration_seconds: float64 `[num_rows]`, above 0; NaN where not given.
      groups: `[num_rows]`; "" where not given.
      mixed_paths: Paths of more than one file of AudioSet, whose clips are kept
        together.
    """

    source: str
    base_dir: str
    row_of_clip: dict[str, int]
    paths: list[str]
    start_seconds: npt.NDArray[np.float64]
    duration_seconds: npt.NDArray[np.float64]
    groups: list[str]
    mixed_paths: frozenset[str] = frozenset()

    def path_of(self, row: int) -> str:
        """Where the audio of a row is."""
        path = self.paths[row]
        if os.path.isabs(path) or ("://" in path and files.is_remote(path)):
            return path
        return self.base_dir + path

    def group_of(self, segment_id: str) -> str:
        """The group of a clip, "" if the index does not name the clip."""
        row = self.row_of_clip.get(segment_id)
        if row is None:
            return ""
        own, path = group_of_segment(segment_id), self.paths[row]
        is_of_file = own == segment_id or path in self.mixed_paths
        return self.groups[row] or (_plain(path) if is_of_file else own)


def read_audio_index(path: str, audio_dir: str = "") -> AudioIndex:
    """Reads an audio index.

    Args:
      path: The file, local or in object storage.
      audio_dir: What relative paths are relative to; "" for the file's folder.

    Raises:
      InputError: A column is missing, a row cannot be used or repeats another,
        or there is no row; names file and line.
    """
    source: Any = path
    if files.is_remote(path):
        source = io.BytesIO(files.read_bytes(path))
    with open(path, "rb") if source is path else source as file:
        is_parquet = file.read(4) == b"PAR1"
        file.seek(0)
        read = _read_parquet if is_parquet else _read_text
        table = read(path, file)
        seconds = [_to_seconds(table, name) for name in _SECONDS]
        texts = {
            name: table[name].to_pylist() for name in (*_REQUIRED, "group")
        }
        del table
        is_right = _are_right(texts, seconds)
        row_of_clip = {s: row for row, s in enumerate(texts["segment_id"])}
        if not is_right or len(row_of_clip) < len(texts["path"]):
            # Row by row it is slow, but the line is known.
            file.seek(0)
            rows = _parquet_rows if is_parquet else _text_rows
            _check_rows(path, rows(path, file))
    index = AudioIndex(
        source=path,
        base_dir=os.path.join(audio_dir or os.path.dirname(path), ""),
        row_of_clip=row_of_clip,
        paths=texts["path"],
        start_seconds=seconds[0],
        duration_seconds=seconds[1],
        groups=texts["group"],
    )
    if len(set(index.paths)) == len(index.paths):
        return index
    _check_places(index)
    return dataclasses.replace(index, mixed_paths=_mixed_paths(index))


def _plain(path: str) -> str:
    """Writes a path in one way: `./a//b.wav` is `a/b.wav`."""
    return path if files.is_remote(path) else os.path.normpath(path)


def _mixed_paths(index: AudioIndex) -> frozenset[str]:
    """Finds the files that hold clips of several groups by their ids."""
    group_of_path: dict[str, str] = {}
    mixed = set()
    for segment_id, row in index.row_of_clip.items():
        own = group_of_segment(segment_id)
        if group_of_path.setdefault(index.paths[row], own) != own:
            mixed.add(index.paths[row])
    return frozenset(mixed)


def _check_places(index: AudioIndex) -> None:
    """Refuses two clips that would be the same audio."""
    places = zip(
        index.paths,
        np.nan_to_num(index.start_seconds).tolist(),
        np.nan_to_num(index.duration_seconds).tolist(),
    )
    clip_of_place: dict[tuple[str, float, float], str] = {}
    for segment_id, place in zip(index.row_of_clip, places):
        other = clip_of_place.setdefault(place, segment_id)
        if other != segment_id:
            raise InputError(
                f"{index.source}: expected each clip to have audio of its own; "
                f"{other!r} and {segment_id!r} are both {place[0]} from "
                f"{place[1]:g} s. Give start_seconds, and duration_seconds."
            )


# --- Fast: whole columns ------------------------------------------------------


def _check_header(path: str, where: str, names: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    repeated = [name for name in COLUMNS if names.count(name) > 1]
    if missing or repeated:
        what = f"the columns {_NAMED}" if missing else "each column once"
        raise InputError(
            f"{path}{where}: expected {what}, found "
            f"{', '.join(names)[:200] or 'nothing'}. Optional columns are "
            f"start_seconds, duration_seconds and group."
        )


def _header_and_delimiter(file: IO[bytes]) -> tuple[list[str], str]:
    """Reads the first line of a text file, and goes back."""
    line = file.readline().decode("utf-8-sig", "replace").rstrip("\r\n")
    file.seek(0)
    delimiter = "\t" if "\t" in line else ","
    return next(csv.reader([line], delimiter=delimiter), []), delimiter


def _read_text(path: str, file: IO[bytes]) -> pa.Table:
    """Reads CSV or TSV into columns of texts; numbers are not looked at."""
    header, delimiter = _header_and_delimiter(file)
    _check_header(path, ":1", header)
    try:
        table = pa_csv.read_csv(
            file,
            pa_csv.ReadOptions(block_size=1 << 24),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pa_csv.ConvertOptions(
                include_columns=[name for name in COLUMNS if name in header],
                column_types={name: pa.string() for name in header},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        file.seek(0)
        _check_rows(path, _text_rows(path, file))
        raise InputError(f"{path}: {error}") from error
    empty = pa.nulls(len(table), pa.string()).fill_null("")
    for name in COLUMNS:
        if name not in header:
            table = table.append_column(name, empty)
    return table


def _read_parquet(path: str, file: IO[bytes]) -> pa.Table:
    """Reads the same columns of Parquet; numbers may be numbers there."""
    try:
        parquet = pq.ParquetFile(file)
        _check_header(path, "", parquet.schema_arrow.names)
        names = [n for n in COLUMNS if n in parquet.schema_arrow.names]
        table = parquet.read(names)
    except pa.ArrowException as error:
        raise InputError(f"{path}: expected Parquet: {error}") from error
    columns = {}
    for name in COLUMNS:
        if name not in names:
            columns[name] = pa.nulls(len(table), pa.string()).fill_null("")
            continue
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name not in _SECONDS and not (
            pa.types.is_string(column.type)
            or pa.types.is_large_string(column.type)
            or pa.types.is_null(column.type)
        ):
            raise InputError(
                f"{path}: expected text in the column {name}, found "
                f"{column.type}. Numbers lose their zeros: write it as text."
            )
        if name not in _SECONDS:
            column = column.cast(pa.string()).fill_null("")
        columns[name] = column
    return pa.table(columns)


def _to_seconds(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Reads seconds; NaN where there are none, -inf where they are bad."""
    column = table[name]
    try:
        if pa.types.is_string(column.type):
            is_empty = pc.equal(column, "")
            if pc.any(pc.match_substring_regex(column, "[nN]")).as_py():
                raise pa.ArrowInvalid("inf or nan")
            column = pc.if_else(is_empty, None, column)
        column = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.full(len(table), -math.inf)
    array: npt.NDArray[np.float64] = column.to_numpy()  # null becomes NaN
    return array.astype(np.float64)


def _are_right(
    texts: dict[str, list[str]], seconds: list[npt.NDArray[np.float64]]
) -> bool:
    """Whether every row can be used; nothing is said of repeated clips."""
    start, duration = seconds
    return (
        bool(texts["path"])
        and bool(np.all(~(start < 0) & ~np.isinf(start)))
        and bool(np.all(~(duration <= 0) & ~np.isinf(duration)))
        and all(map(_is_path, texts["path"]))
        and all(map(is_segment_id, texts["segment_id"]))
        and all(map(_is_group, texts["group"]))
    )


def _is_path(text: str) -> bool:
    return bool(text.strip()) and "\0" not in text


def _is_group(text: str) -> bool:
    return not text or is_segment_id(text)


# --- Slow: rows, to name the line of what is wrong ----------------------------


def _text_rows(path: str, file: IO[bytes]) -> _Rows:
    """Yields each row of a text file."""
    header, delimiter = _header_and_delimiter(file)
    # Bytes that are not UTF-8 become halves of surrogate pairs.
    text = io.TextIOWrapper(
        file, "utf-8-sig", errors="surrogateescape", newline=""
    )
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        first = 1
        for number, fields in enumerate(reader):
            place = f"{path}:{first}"
            first = reader.line_num + 1
            if any("\udc80" <= c <= "\udcff" for f in fields for c in f):
                raise InputError(
                    f"{place}: expected UTF-8, found other bytes in "
                    f"{fields!r:.100}. Save the file as UTF-8."
                )
            if number == 0 or not fields:
                continue
            if len(fields) != len(header):
                raise InputError(
                    f"{place}: expected {len(header)} fields, found "
                    f"{len(fields)}: {fields!r:.100}. Put quotes around a "
                    f"field that holds the separator."
                )
            yield place, dict(zip(header, fields))
    except csv.Error as error:
        raise InputError(
            f"{path}:{first}: expected fields that are quoted as in a CSV; "
            f"{error}."
        ) from error
    finally:
        text.detach()


def _parquet_rows(path: str, file: IO[bytes]) -> _Rows:
    """Yields each row of a Parquet file."""
    table = _read_parquet(path, file)
    for number, row in enumerate(table.to_pylist(), start=1):
        yield (
            f"{path}, row {number}",
            {name: "" if v is None else str(v) for name, v in row.items()},
        )


def _within_file(place: str, path: str) -> str:
    """Says where in its file a row is: "line 3" or "row 3"."""
    rest = place.removeprefix(path)
    return f"line {rest[1:]}" if rest.startswith(":") else rest.strip(", ")


def _check_rows(path: str, rows: _Rows) -> None:
    """Raises `InputError` for the first row that is not right."""
    with contextlib.closing(rows):
        _check_each(path, rows)


def _check_each(path: str, rows: _Rows) -> None:
    place_of_clip: dict[str, str] = {}
    for place, row in rows:
        segment_id = row["segment_id"]
        if not is_segment_id(segment_id):
            raise InputError(
                f"{place}: expected a segment id without tabs or newlines, "
                f"found {segment_id!r:.100}."
            )
        if segment_id in place_of_clip:
            raise InputError(
                f"{place}: expected each clip once, {segment_id!r} is also in "
                f"{_within_file(place_of_clip[segment_id], path)}."
            )
        place_of_clip[segment_id] = place
        if not _is_path(row["path"]):
            raise InputError(
                f"{place}: expected the path of an audio file, found "
                f"{row['path']!r:.100}."
            )
        for name, least in zip(_SECONDS, ("0 or more", "above 0")):
            text = row.get(name, "")
            [seconds] = _to_seconds(pa.table({name: [text]}), name)
            is_bad = seconds < 0 or (seconds == 0 and name != _SECONDS[0])
            if is_bad or math.isinf(seconds):
                raise InputError(
                    f"{place}: expected {name} to be {least}, or empty; found "
                    f"{text!r:.100}."
                )
        if not _is_group(row.get("group", "")):
            raise InputError(
                f"{place}: expected a group on one line and without tabs, "
                f"found {row['group']!r:.100}."
            )
    if not place_of_clip:
        raise InputError(f"{path}: expected at least one clip, found none.")
