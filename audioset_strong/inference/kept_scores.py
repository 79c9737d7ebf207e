"""Keeps the scores of finished recordings, so that a killed batch can go on.

A folder of these files:

    run.json        what scores depend on besides the recording
    finished.jsonl  a line for each recording whose scores are whole
    scores.bin      float32 [num_frames, num_classes] of one after the other
    embeddings.bin  float32 [num_frames, embedding_size], if they are wanted

A line is written after the rows that it is about. What follows the rows of the
last whole line, because the process was killed, is cut off. After a crash of
the machine rows may be missing in spite of their line: checksums show it.
"""

import json
import os
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np

from audioset_strong.errors import InputError
from audioset_strong.files import open_output

_RUN, _FINISHED = "run.json", "finished.jsonl"
# Rows that are looked at in one go.
_BLOCK_ROWS = 4096


class _Rows(NamedTuple):
    """Where rows lie in a file: first byte, shape, CRC-32 of their bytes."""

    start: int
    num_rows: int
    num_columns: int
    checksum: int

    @property
    def end(self) -> int:
        """The byte after the last."""
        return self.start + 4 * self.num_rows * self.num_columns


class KeptRows(NamedTuple):
    """Rows of a recording in a file."""

    path: str
    rows: _Rows

    def __len__(self) -> int:
        return self.rows.num_rows

    def open(self) -> np.ndarray:
        """Returns float32 `[num_rows, num_columns]`, read as it is used.

        A process can map some 65,000 such arrays at a time.
        """
        shape = self.rows.num_rows, self.rows.num_columns
        return np.memmap(self.path, np.float32, "r", self.rows.start, shape)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the rows a few at a time."""
        values = self.open()
        for start in range(0, len(self), _BLOCK_ROWS):
            yield np.array(values[start : start + _BLOCK_ROWS])


class Kept(NamedTuple):
    """The scores of a finished recording.

    Attributes:
      scores: `[num_frames, num_classes]`.
      embeddings: `[num_frames, embedding_size]`; None if they are not kept.
      audio_seconds: Length of the recording.
      notes: What is odd about it, a line each.
    """

    scores: KeptRows
    embeddings: KeptRows | None
    audio_seconds: float
    notes: tuple[str, ...]


class _RowFile:
    """Rows of float32, written one recording after the other."""

    def __init__(self, path: str) -> None:
        # Unbuffered: rows are there before their line is.
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
        self._path = path
        self._rows = _Rows(0, 0, 0, 0)

    def close(self) -> None:
        self._file.close()

    def begin(self, start: int) -> None:
        """Cuts off what follows the last whole recording."""
        self._file.truncate(start)
        self._rows = _Rows(start, 0, 0, 0)

    def append(self, values: np.ndarray) -> None:
        """Writes rows of the recording that was begun."""
        content = np.ascontiguousarray(values, np.float32).data.cast("B")
        written = 0
        while written < len(content):
            written += self._file.write(content[written:]) or 0
        self._rows = _Rows(
            self._rows.start,
            self._rows.num_rows + values.shape[0],
            values.shape[1],
            zlib.crc32(content, self._rows.checksum),
        )

    @property
    def rows(self) -> _Rows:
        """Where the rows of the recording are."""
        return self._rows

    def kept(self, rows: _Rows) -> KeptRows:
        """Returns rows that were written."""
        return KeptRows(self._path, rows)

    def is_whole(self, rows: _Rows) -> bool:
        """Whether rows are on disk as they were written."""
        if not rows.num_rows or os.path.getsize(self._path) < rows.end:
            return False
        checksum = 0
        for block in self.kept(rows).blocks():
            checksum = zlib.crc32(block.data.cast("B"), checksum)
        return checksum == rows.checksum


class KeptScores:
    """The scores in a folder; one process writes at a time.

    Recordings are known by a text that changes when they do.
    """

    def __init__(self, folder: str, run: dict[str, Any]) -> None:
        """Opens or begins a folder, which exists.

        Args:
          folder: Where the files are.
          run: What scores depend on, JSON-ready; "keeps_embeddings" says
            whether they are kept.

        Raises:
          InputError: It holds scores of another run.
        """
        self._finished: dict[str, dict[str, Any]] = {}
        path = os.path.join(folder, _RUN)
        if os.path.exists(path):
            _check_same(path, run)
        else:
            with open_output(path) as file:
                file.write(json.dumps(run))
        names = ["scores", *(["embeddings"] if run["keeps_embeddings"] else [])]
        self._row_files = {
            name: _RowFile(os.path.join(folder, f"{name}.bin"))
            for name in names
        }
        path = os.path.join(folder, _FINISHED)
        self._lines: IO[bytes] = open(path, "a+b", buffering=0)  # noqa: SIM115
        self._read_lines()

    def __enter__(self) -> "KeptScores":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        for file in self._row_files.values():
            file.close()

    def _read_lines(self) -> None:
        """Reads the lines to the first that is not whole, and cuts the rest."""
        self._lines.seek(0)
        num_bytes = 0
        self._ends = dict.fromkeys(self._row_files, 0)
        for line in self._lines.read().splitlines(keepends=True):
            try:
                entry = json.loads(line)
                rows = {name: _Rows(*entry[name]) for name in self._row_files}
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n") or not all(
                file.is_whole(rows[name])
                for name, file in self._row_files.items()
            ):
                break
            num_bytes += len(line)
            self._take(entry)
        self._lines.truncate(num_bytes)

    def _take(self, entry: dict[str, Any]) -> None:
        self._finished[entry["key"]] = entry
        for name in self._row_files:
            self._ends[name] = _Rows(*entry[name]).end

    def __contains__(self, key: str) -> bool:
        return key in self._finished

    def find(self, key: str) -> Kept | None:
        """Returns the scores of a recording; None if it is not finished."""
        entry = self._finished.get(key)
        if entry is None:
            return None
        kept = {
            name: file.kept(_Rows(*entry[name]))
            for name, file in self._row_files.items()
        }
        return Kept(
            kept["scores"],
            kept.get("embeddings"),
            entry["audio_seconds"],
            tuple(entry["notes"]),
        )

    def begin(self) -> None:
        """Begins a recording; one that was begun and not finished is gone."""
        for name, file in self._row_files.items():
            file.begin(self._ends[name])

    def append(self, scores: np.ndarray, embeddings: np.ndarray) -> None:
        """Writes the next frames of the recording."""
        self._row_files["scores"].append(scores)
        if "embeddings" in self._row_files:
            self._row_files["embeddings"].append(embeddings)

    def finish(
        self, key: str, audio_seconds: float, notes: tuple[str, ...]
    ) -> None:
        """Says that all of the recording is there."""
        entry = {
            "key": key,
            "audio_seconds": audio_seconds,
            "notes": notes,
            **{name: file.rows for name, file in self._row_files.items()},
        }
        self._lines.write(json.dumps(entry).encode() + b"\n")
        self._take(entry)


def _check_same(path: str, run: dict[str, Any]) -> None:
    """Raises `InputError` if scores were kept under other settings."""
    try:
        with open(path, encoding="utf-8") as file:
            there = dict(json.load(file))
    except (ValueError, TypeError):
        there = {}
    other = [
        f"{name} ({there.get(name)}, now {run[name]})"
        for name in run
        if run[name] != there.get(name)
    ]
    if other:
        raise InputError(
            f"{os.path.dirname(path)} keeps scores with another "
            f"{', '.join(other)}. Give another output folder, or overwrite "
            f"what is there."
        )
