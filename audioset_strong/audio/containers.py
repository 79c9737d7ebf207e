"""Audio inside Parquet files and tars, listed and read where it lies.

Hosted copies of AudioSet hold a clip in each row of a Parquet file, or in a
`<key>.wav` with a `<key>.json` of a WebDataset tar. Such a *member* is written
as a path with a locator, and is read as a row or as a range of bytes, also from
object storage:

    train/bal-007.parquet#row=17        counted from 0 over the whole file
    train/000012.tar#bytes=1536+320044  offset and size

Nothing but this exact form is a locator; any other `#` belongs to a file name.

Nothing in a container is trusted. Nothing is unpacked or unpickled, and names
of members never become paths: they are texts that a clip may match. Sizes are
checked before anything is read. Links, devices, sparse files and members of
absurd size are left out and counted; a row without audio is an empty file. A
cut tar gives what comes before the cut, and says so; a Parquet file without its
end gives nothing.
BUILD_NOTES.md "Hosted copies" has the reasons.
"""

import bisect
import collections
import concurrent.futures
import dataclasses
import errno
import io
import itertools
import json
import os
import re
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import tqdm

from audioset_strong import files
from audioset_strong.errors import InputError

# Loaded where it is used: most audio is in no container, and it is slow.
if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

EXTENSIONS = (".parquet", ".tar")

# Parts of these cannot be read without what comes before.
COMPRESSED_EXTENSIONS = (
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4"),
    *(".tgz", ".tbz2", ".txz", ".tzst"),
)

_NUMBER = r"(0|[1-9][0-9]{0,14})"
_LOCATOR = re.compile(
    rf"(.+\.tar)#bytes={_NUMBER}\+{_NUMBER}|(.+\.parquet)#row={_NUMBER}",
    re.DOTALL | re.IGNORECASE,
)

# No audio of a clip is larger; an hour of 48 kHz stereo is 0.7 GB.
_MAX_MEMBER_BYTES = 1 << 30
# Descriptions of a clip, and headers of long names, are far smaller.
_MAX_TEXT_BYTES = 1 << 20
# A name that is longer is none.
_MAX_NAME_CHARACTERS = 1000

# Columns that may name a clip.
_NAME_COLUMNS = ("segment_id", "video_id", "id")

# Rows whose names are read at a time.
_NAMES_AT_ONCE = 1 << 14

# Rows decoded at a time: few, as they are whole audio files.
_ROWS_AT_ONCE = 8
# Files with larger row groups are read in pieces, others by whole columns of a
# row group. Those of 100 clips, as Hugging Face writes, hold 20 to 100 MB.
_MAX_GROUP_BYTES = 128 << 20
_PARQUET_BUFFER_BYTES = 1 << 20
# Headers of a tar lie between the audio. A remote one is read through: with
# clips of 300 kB a request for each header would take ten times as long.
_TAR_BUFFER_BYTES = 8 << 20
# Containers opened at a time: object storage answers slowly, but many at once.
_NUM_THREADS = 16

_BLOCK_BYTES = tarfile.BLOCKSIZE
_REGULAR_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_TYPES_WITHOUT_DATA = {
    tarfile.LNKTYPE: "links",
    tarfile.SYMTYPE: "links",
    tarfile.CHRTYPE: "devices",
    tarfile.BLKTYPE: "devices",
    tarfile.FIFOTYPE: "devices",
    tarfile.DIRTYPE: "",  # a folder is no loss
}


class Member(NamedTuple):
    """A member that may be audio.

    Attributes:
      path: The container's path with a locator.
      name: Its file name in the container, for people and for its extension;
        "audio" for a row without one.
      keys: Names that a clip may have, such as its YouTube id: the stem of the
        file name, the WebDataset key, `video_id`, and `id` of the `.json`.
      num_bytes: Its size; -1 for a row, whose size only reading tells.
      fields: Label columns of the row, or the `.json`, if they were asked for.
    """

    path: str
    name: str
    keys: tuple[str, ...]
    num_bytes: int
    fields: Mapping[str, Any]


@dataclasses.dataclass
class Container:
    """What a container holds.

    Attributes:
      path: The container.
      num_bytes: Its size.
      members: In their order. Of a tar, all files but `.json`.
      num_left_out: Number of members that are not used, by what they are.
      note: A line for people: where a tar breaks off, or that a Parquet file
        has no audio; "" if all is well.
    """

    path: str
    num_bytes: int
    members: list[Member] = dataclasses.field(default_factory=list)
    num_left_out: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    note: str = ""


def is_container(path: str) -> bool:
    """Whether a file is named like a container, or a compressed one."""
    return path.lower().endswith((*EXTENSIONS, *COMPRESSED_EXTENSIONS))


def container_of(path: str) -> str:
    """Returns the file that holds some audio: the path without a locator."""
    match = _LOCATOR.fullmatch(path)
    return (match[1] or match[4]) if match else path


def is_member(path: str) -> bool:
    """Whether a path names a member of a container."""
    return _LOCATOR.fullmatch(path) is not None


def list_container(
    path: str, field_columns: Sequence[str] | None = None
) -> Container:
    """Lists the members of a Parquet file or tar, local or remote.

    Args:
      path: The container.
      field_columns: Columns of labels to read into `Member.fields`; None for
        none. Of a tar every `.json` is kept whole.

    Raises:
      InputError: It is compressed, no container, or a Parquet file that is cut.
      OSError: It is not there, or cannot be read on this machine.
    """
    if path.lower().endswith(COMPRESSED_EXTENSIONS):
        raise InputError(
            f"Expected an uncompressed tar, of which parts can be read, found "
            f"{path}. Decompress it (gunzip and the like make a .tar of it)."
        )
    if not is_container(path):
        raise InputError(
            f"Expected a file that ends in {' or '.join(EXTENSIONS)}, found "
            f"{path}."
        )
    num_bytes = files.num_bytes_of([path])[0]
    if num_bytes is None:
        raise FileNotFoundError(errno.ENOENT, "No such file", path)
    container = Container(path, num_bytes)
    if path.lower().endswith(".tar"):
        _list_tar(container, field_columns is not None)
    else:
        _list_parquet(container, field_columns or ())
    return container


def list_containers(
    paths: Sequence[str], field_columns: Sequence[str] | None = None
) -> Iterator[Container]:
    """Does what `list_container` does for many, in their order."""
    # Local ones are limited by the processor, which threads share.
    is_slow = any(map(files.is_remote, paths))
    with (
        concurrent.futures.ThreadPoolExecutor(
            _NUM_THREADS if is_slow else 1
        ) as executor,
        tqdm.tqdm(
            total=len(paths), desc="containers", unit="file", delay=1
        ) as bar,
    ):
        for container in executor.map(
            lambda path: list_container(path, field_columns), paths
        ):
            yield container
            bar.update()


def open_member(path: str) -> BinaryIO:
    """Opens a member; it is read whole.

    Raises:
      ValueError: What the locator names is not there, or damaged.
      OSError: The container is not there, or cannot be read on this machine.
    """
    import pyarrow as pa

    match = _LOCATOR.fullmatch(path)
    if match is None:
        raise ValueError(f"Expected a member of a container, found {path}.")
    if match[4]:
        # Reads what was decoded without another copy of it.
        return cast(
            BinaryIO, pa.BufferReader(_read_row(match[4], int(match[5])))
        )
    offset, num_bytes = int(match[2]), int(match[3])
    if num_bytes > _MAX_MEMBER_BYTES:
        raise ValueError(f"{num_bytes:,} bytes are too many for audio")
    content = files.read_range(match[1], offset, num_bytes)
    if len(content) < num_bytes:
        raise ValueError(
            f"{match[1]} ends after {len(content):,} of the member's "
            f"{num_bytes:,} bytes"
        )
    return io.BytesIO(content)


# --- Tar --------------------------------------------------------------------


class _TarDamageError(Exception):
    """A tar cannot be read from here on; the message says where."""


def _list_tar(container: Container, keeps_fields: bool) -> None:
    """Lists a tar by its headers, without reading audio."""
    found: list[tuple[str, int, int]] = []
    fields_of_key: dict[str, dict[str, Any]] = {}
    num_left_out = container.num_left_out
    try:
        with files.open_to_seek(container.path, _TAR_BUFFER_BYTES) as file:
            for name, offset, num_bytes in _walk_tar(
                file, container.num_bytes, num_left_out
            ):
                if not name.lower().endswith(".json"):
                    found.append((name, offset, num_bytes))
                elif fields := _read_json(file, offset, num_bytes):
                    if not keeps_fields:
                        fields = {"id": fields.get("id")}
                    fields_of_key[os.path.splitext(name)[0]] = fields
                else:
                    num_left_out["unreadable .json files"] += 1
    except _TarDamageError as error:
        if not found and not fields_of_key:
            raise InputError(
                f"{container.path} is no tar that can be read: {error}. Is it "
                f"compressed, or cut? Download it again, or move it away."
            ) from error
        container.note = (
            f"{container.path} is damaged: {error}. The {len(found):,} files "
            f"before that are used, whatever followed is lost. Download it "
            f"again."
        )
    for name, offset, num_bytes in found:
        folder, base = os.path.split(name)
        stem = os.path.splitext(base)[0]
        # WebDataset's keys end at the first point, other names at the last.
        key = base.partition(".")[0] if base[:1] != "." else stem
        fields = fields_of_key.get(os.path.join(folder, stem))
        if fields is None:
            fields = fields_of_key.get(os.path.join(folder, key), {})
        container.members.append(
            Member(
                f"{container.path}#bytes={offset}+{num_bytes}",
                name,
                _unique_names((_as_name(fields.get("id")), stem, key)),
                num_bytes,
                fields if keeps_fields else {},
            )
        )


def _walk_tar(
    file: BinaryIO,
    num_bytes: int,
    num_left_out: collections.Counter[str],
) -> Iterator[tuple[str, int, int]]:
    """Yields name, offset and size of the regular files of a tar.

    Reads ustar, pax and GNU headers. Archives that were joined are read to the
    last. `num_left_out` takes what is no regular file.

    Raises:
      _TarDamageError: A header is broken, or the tar ends too soon.
    """
    offset, has_ended = 0, False
    # What headers before that of a file say of it.
    long_name: str | None = None
    pax: dict[str, str] = {}
    while True:
        file.seek(offset)
        block = file.read(_BLOCK_BYTES)
        if not block:
            if has_ended and long_name is None and not pax:
                return
            raise _TarDamageError(f"it ends at byte {offset:,} without an end")
        if not block.strip(b"\0"):
            has_ended = True
            offset += len(block)
            continue
        try:
            header_name, kind, size = _parse_header(block)
            size = int(pax.get("size", size))
        except ValueError as error:
            raise _TarDamageError(
                f"no header of a file at byte {offset:,} ({error})"
            ) from error
        has_ended = False
        if kind in _TYPES_WITHOUT_DATA:
            size = 0
        data_offset = offset + _BLOCK_BYTES
        if kind == tarfile.GNUTYPE_SPARSE:
            data_offset += _sparse_map_bytes(file, block)
        end = data_offset + size
        name = pax.get("path") or long_name or header_name
        if size < 0 or end > num_bytes:
            raise _TarDamageError(
                f"{_shown(name)} at byte {offset:,} has {size:,} bytes, only "
                f"{num_bytes - data_offset:,} follow"
            )
        offset = data_offset + -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
        if kind in (
            tarfile.XHDTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
        ):
            if size > _MAX_TEXT_BYTES:
                raise _TarDamageError(f"a header of {size:,} bytes")
            file.seek(data_offset)
            text = file.read(size)
            if kind == tarfile.GNUTYPE_LONGNAME:
                long_name = text.rstrip(b"\0").decode(errors="surrogateescape")
            else:
                pax = _parse_pax(text)
            continue
        if kind in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            continue
        is_sparse = any(field.startswith("GNU.sparse.") for field in pax)
        long_name, pax = None, {}
        if kind == tarfile.GNUTYPE_SPARSE or is_sparse:
            num_left_out["sparse files"] += 1
        elif kind in _TYPES_WITHOUT_DATA:
            if what := _TYPES_WITHOUT_DATA[kind]:
                num_left_out[what] += 1
        elif kind not in _REGULAR_TYPES:
            num_left_out["members of an unknown kind"] += 1
        elif size > _MAX_MEMBER_BYTES:
            num_left_out["files larger than 1 GiB"] += 1
        else:
            yield name, data_offset, size


def _parse_header(block: bytes) -> tuple[str, bytes, int]:
    """Returns name, type and size of a member; `ValueError` for no header.

    Does what `tarfile.TarInfo.frombuf` does for these, in a third of its time:
    archives of AudioSet hold four million headers.
    """
    if len(block) < _BLOCK_BYTES:
        raise ValueError("truncated header")
    # The sum is made with spaces for itself.
    total = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    if total != int(block[148:156].strip(b" \0") or b"0", 8):
        raise ValueError("bad checksum")
    name = block[:100].partition(b"\0")[0]
    kind = block[156:157]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    if kind == tarfile.AREGTYPE and name.endswith(b"/"):
        kind = tarfile.DIRTYPE
    field = block[124:136]
    if field[0] in (0x80, 0xFF):  # too large, or negative, for octal digits
        size = int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    else:
        size = int(field.partition(b"\0")[0].strip() or b"0", 8)
    return name.decode(errors="surrogateescape"), kind, size


def _sparse_map_bytes(file: BinaryIO, block: bytes) -> int:
    """Returns the bytes between a sparse file's header and its data."""
    num_bytes, is_extended = 0, block[482:483] == b"\1"
    while is_extended:
        block = file.read(_BLOCK_BYTES)
        num_bytes += _BLOCK_BYTES
        is_extended = block[504:505] == b"\1"
    return num_bytes


def _parse_pax(data: bytes) -> dict[str, str]:
    """Parses the records `<length> <keyword>=<value>` of a pax header."""
    fields: dict[str, str] = {}
    start = 0
    while start < len(data) and data[start]:
        space = data.find(b" ", start, start + 20)
        digits = data[start:space] if space > 0 else b""
        end = start + (int(digits) if digits.isdigit() else 0)
        keyword, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or end > len(data):
            raise _TarDamageError("a pax header that does not fit its records")
        fields[keyword.decode(errors="replace")] = value.decode(
            errors="surrogateescape"
        )
        start = end
    return fields


def _read_json(
    file: BinaryIO, offset: int, num_bytes: int
) -> dict[str, Any] | None:
    """Reads the description of a clip; None if it is none."""
    if num_bytes > _MAX_TEXT_BYTES:
        return None
    file.seek(offset)
    try:
        fields = json.loads(file.read(num_bytes))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


# --- Parquet ----------------------------------------------------------------


class _AudioColumns(NamedTuple):
    """Where a Parquet file holds audio: names of its columns.

    Attributes:
      content: Of the bytes, such as "audio.bytes".
      names: Columns that may name a clip.
    """

    content: str
    names: list[str]


def _open_parquet(path: str) -> "pq.ParquetFile":
    """Opens a Parquet file so that memory does not grow with its row groups."""
    import pyarrow.parquet as pq

    source: Any = path
    if files.is_remote(path):
        source = files.open_to_seek(path, _PARQUET_BUFFER_BYTES)
    with pq.ParquetFile(source) as parquet:
        metadata = parquet.metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    largest = max((group.total_byte_size for group in groups), default=0)
    is_large = largest > _MAX_GROUP_BYTES
    return pq.ParquetFile(
        source,
        metadata=metadata,
        buffer_size=_PARQUET_BUFFER_BYTES if is_large else 0,
        pre_buffer=False,
    )


def _list_parquet(container: Container, field_columns: Sequence[str]) -> None:
    """Lists the rows; whether one has audio only reading tells."""
    import pyarrow as pa

    path = container.path
    try:
        with _open_parquet(path) as parquet:
            columns = _find_audio_columns(parquet)
            present = parquet.schema_arrow.names
            if columns is None:
                container.note = (
                    f"{path} holds no audio: expected a column 'audio' of "
                    f"bytes or of a struct with 'bytes', found "
                    f"{', '.join(map(_shown, present)) or 'no column'}."
                )
                return
            if parquet.metadata.num_rows > container.num_bytes:
                raise ValueError("it has fewer bytes than rows")
            fields = [name for name in field_columns if name in present]
            rows = _iterate_rows(parquet, [*columns.names, *fields])
            for row, values in enumerate(rows):
                container.members.append(
                    _make_row(f"{path}#row={row}", values, columns, fields)
                )
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the machine
        raise InputError(
            f"{path} is no Parquet file that can be read "
            f"({_one_line(error)}). Is it cut? Download it again, or move it "
            f"away."
        ) from error


def _find_audio_columns(parquet: "pq.ParquetFile") -> _AudioColumns | None:
    """Finds the columns of audio and names; None if there is no audio."""
    import pyarrow as pa

    # Columns that hold values, such as "audio.bytes" of a struct "audio".
    leaves = [
        parquet.schema.column(index).path
        for index in range(len(parquet.schema))
    ]
    schema = parquet.schema_arrow
    found = schema.field("audio").type if "audio" in schema.names else None
    if found is not None and pa.types.is_struct(found):
        content = "audio.bytes"
        index = found.get_field_index("bytes")
        found = found.field(index).type if index >= 0 else None
    else:
        content = "audio"
    is_binary = found is not None and (
        pa.types.is_binary(found) or pa.types.is_large_binary(found)
    )
    if not is_binary or content not in leaves:
        return None
    names = [name for name in _NAME_COLUMNS if name in leaves]
    names += ["audio.path"] if "audio.path" in leaves else []
    return _AudioColumns(content, names)


def _iterate_rows(
    parquet: "pq.ParquetFile", columns: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Yields the values of some columns, row by row."""
    import pyarrow.compute as pc

    if not columns:
        yield from itertools.repeat((), parquet.metadata.num_rows)
        return
    for batch in parquet.iter_batches(
        _NAMES_AT_ONCE, columns=list(columns), use_threads=False
    ):
        # "audio.path" is the only field that is read of "audio".
        arrays = [
            pc.struct_field(batch["audio"], "path")
            if name == "audio.path"
            else batch[name]
            for name in columns
        ]
        yield from zip(*(array.to_pylist() for array in arrays), strict=True)


def _make_row(
    path: str,
    values: Sequence[Any],
    columns: _AudioColumns,
    fields: Sequence[str],
) -> Member:
    """Makes the member of a row from the columns of names and `fields`."""
    num_names = len(columns.names)
    names = [_as_name(value) for value in values[:num_names]]
    file_name = ""
    if columns.names[-1:] == ["audio.path"]:
        file_name = names[-1]
        names[-1] = os.path.splitext(os.path.basename(file_name))[0]
    return Member(
        path,
        file_name or "audio",
        _unique_names(names),
        -1,
        dict(zip(fields, values[num_names:], strict=True)),
    )


def _iterate_audio(
    parquet: "pq.ParquetFile", group: int, column: str
) -> Iterator[Any]:
    """Yields the audio of a row group, a few rows at a time, as `pa.Array`."""
    import pyarrow as pa

    for batch in parquet.iter_batches(
        _ROWS_AT_ONCE, [group], [column], use_threads=False
    ):
        array = batch.column(0)
        yield array.flatten()[0] if pa.types.is_struct(array.type) else array


class _ParquetReader:
    """Reads audio of one Parquet file; quick if the rows come in order.

    A row group is decoded from its start, so only going forward is cheap.
    """

    def __init__(self, path: str) -> None:
        self.path, self.identity = path, _identity_of(path)
        self._parquet = _open_parquet(path)
        columns = _find_audio_columns(self._parquet)
        if columns is None:
            raise ValueError("it has no column of audio")
        self._column = columns.content
        self._first_rows = _first_rows(self._parquet)
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        # What was decoded last, and the row of its first.
        self._batch: Any = ()
        self._batch_row = 0

    def read(self, row: int) -> "pa.Buffer":
        """Returns the audio of a row, nothing if it has none."""
        import pyarrow as pa

        group = _group_of_row(self._first_rows, row)
        if group != self._group or row < self._batch_row:
            self._batches = _iterate_audio(self._parquet, group, self._column)
            self._group, self._batch = group, ()
            self._batch_row = self._first_rows[group]
        while row >= self._batch_row + len(self._batch):
            self._batch_row += len(self._batch)
            self._batch = ()
            self._batch = next(self._batches)
        value = self._batch[row - self._batch_row]
        if not value.is_valid:
            return pa.py_buffer(b"")
        buffer = value.as_buffer()
        if buffer.size > _MAX_MEMBER_BYTES:
            raise ValueError(f"{buffer.size:,} bytes are too many for audio")
        return buffer


# The file that a thread read last: workers read a file's rows in their order.
_last_read = threading.local()


def _read_row(path: str, row: int) -> "pa.Buffer":
    """Reads the audio of a row, as `open_member` does."""
    import pyarrow as pa

    reader: _ParquetReader | None = getattr(_last_read, "reader", None)
    try:
        if reader is None or (reader.path, reader.identity) != (
            path,
            _identity_of(path),
        ):
            _last_read.reader = None  # frees what it holds
            reader = _ParquetReader(path)
        _last_read.reader = None  # after an error it is of no use
        content = reader.read(row)
        _last_read.reader = reader
    except pa.ArrowMemoryError as error:
        raise OSError(errno.ENOMEM, _one_line(error), path) from error
    except (pa.ArrowException, OSError, StopIteration) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the machine, not of the file
        raise ValueError(_one_line(error) or "the row group is cut") from error
    return content


def _identity_of(path: str) -> tuple[int, ...]:
    """Changes when a local file is replaced."""
    if files.is_remote(path):
        return ()
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _first_rows(parquet: "pq.ParquetFile") -> list[int]:
    """Returns the first row of each row group, and the number of rows."""
    sizes = (
        parquet.metadata.row_group(group).num_rows
        for group in range(parquet.num_row_groups)
    )
    return [0, *itertools.accumulate(sizes)]


def _group_of_row(first_rows: Sequence[int], row: int) -> int:
    """Finds the row group of a row.

    Raises:
      ValueError: There is no such row.
    """
    if row >= first_rows[-1]:
        raise ValueError(f"it has {first_rows[-1]:,} rows, no row {row:,}")
    return bisect.bisect_right(first_rows, row) - 1


def row_groups_of(paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Finds which rows of Parquet files are read together.

    Args:
      paths: Any paths of audio; those that are no rows are left out.

    Returns:
      For each row, the name of its row group and the row's number.
    """
    import pyarrow as pa

    rows: dict[str, list[tuple[str, int]]] = {}
    for path in paths:
        match = _LOCATOR.fullmatch(path) if "#row=" in path else None
        if match and match[4]:
            rows.setdefault(match[4], []).append((path, int(match[5])))

    def first_rows(path: str) -> list[int]:
        """Reads the footer; of a file that cannot be read there are no rows."""
        try:
            with _open_parquet(path) as parquet:
                return _first_rows(parquet)
        except (pa.ArrowException, OSError):
            return [0]  # each of its clips will say why

    groups: dict[str, tuple[str, int]] = {}
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        footers = executor.map(first_rows, rows)
        for (path, members), footer in zip(rows.items(), footers, strict=True):
            for member, row in members:
                if row < footer[-1]:
                    group = _group_of_row(footer, row)
                    groups[member] = f"{path}#{group}", row
    return groups


# --- Texts ------------------------------------------------------------------


def _as_name(value: object) -> str:
    """Returns what may name a clip, "" if it may not."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or len(value) > _MAX_NAME_CHARACTERS:
        return ""
    return value


def _unique_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _shown(name: str) -> str:
    """Shows a name from a container on one line, whatever it holds."""
    return ascii(name[:80])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
