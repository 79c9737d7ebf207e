r"""Writes events, scores and embeddings of many recordings.

One file for all recordings, a line for each event:

  tsv    events.tsv    a strong TSV with a further column `score`; every command
                       that takes strong labels reads it, and so does sed_eval:
                       `sed_eval.io.load_event_list(path, fields=["filename",
                       "onset", "offset", "event_label", "score"],
                       file_format="CSV", delimiter="\t")`
  csv    events.csv    the path of the recording and display names, for people
  jsonl  events.jsonl  a line for each recording, also those without events

One file for each recording, at `<segment_id>.<ending>` below the folder:

  audacity  audacity/*.txt             a label track
  raven     raven/*.selections.txt     a selection table

`import_labels` reads csv (--label_column=display_name), jsonl (--format=events)
and both kinds of tracks. Labels of tracks are display names, or class ids where
several classes share a name.

Times have three decimals and scores four. Fields without quotes hold no tab and
no line end: white space in names is one space there.
"""

import collections
import contextlib
import csv
import functools
import io
import json
import os
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.files import make_folder, open_output, temporary_path
from audioset_strong.inference.event_decoding import ScoredEvent
from audioset_strong.inference.events import Events
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import FeatureParams

# Segment id, path of the audio, and events of each recording.
Recordings = Iterable[tuple[str, str, Events]]

# Some 20 MB of embeddings.
_FRAMES_AT_ONCE = 4096
_FORMULA_STARTS = ("=", "+", "-", "@")
_RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Annotation",
    "Class ID",
    "Score",
)


class EventTable(NamedTuple):
    """A file of the events of all recordings.

    Attributes:
      file_name: Its name.
      header: Its first line; "" for none.
      format_rows: The lines of one recording, from its segment id, the path of
        its audio and its events.
    """

    file_name: str
    header: str
    format_rows: Callable[[str, str, Events], str]


class EventTrack(NamedTuple):
    """Files of the events of one recording each.

    Attributes:
      folder: Where they are, below the folder of all results.
      suffix: What follows the segment id in their names.
      format_track: The whole file of a recording; arguments as in
        `EventTable.format_rows`.
    """

    folder: str
    suffix: str
    format_track: Callable[[str, str, Events], str]


# --- Formats ----------------------------------------------------------------


def _times(event: ScoredEvent) -> tuple[str, str]:
    """Returns onset and offset, in seconds."""
    onset_ms = round(1000 * event.onset_seconds)
    # What ends less than a millisecond later would be a point.
    offset_ms = max(round(1000 * event.offset_seconds), onset_ms + 1)
    return f"{onset_ms / 1000:.3f}", f"{offset_ms / 1000:.3f}"


def _tsv_rows(segment_id: str, path: str, events: Events) -> str:
    rows = []
    for event in events:
        fields = (segment_id, *_times(event), events.mid(event))
        rows.append("\t".join((*fields, f"{event.score:.4f}\n")))
    return "".join(rows)


def _csv_rows(segment_id: str, path: str, events: Events) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # The same file by a name that is no formula either.
    path = f"./{path}" if path.startswith(_FORMULA_STARTS) else path
    for event in events:
        names = events.display_name(event), events.mid(event)
        cells = (_one_line(name) for name in names)
        # A spreadsheet would calculate what begins like a formula.
        cells = (f" {c}" if c.startswith(_FORMULA_STARTS) else c for c in cells)
        writer.writerow([path, *_times(event), *cells, f"{event.score:.4f}"])
    return text.getvalue()


def _json_line(segment_id: str, path: str, events: Events) -> str:
    record = {
        "segment_id": segment_id,
        "path": path,
        "audio_seconds": round(events.audio_seconds, 3),
        "notes": events.notes,
        "events": [
            {
                "event_name": events.display_name(event),
                "mid": events.mid(event),
                "start": float(_times(event)[0]),
                "end": float(_times(event)[1]),
                "score": round(event.score, 4),
            }
            for event in events
        ],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def _audacity_track(segment_id: str, path: str, events: Events) -> str:
    label_of = _track_labels(events.class_map)
    return "".join(
        "\t".join((*_times(event), label_of[event.class_index])) + "\n"
        for event in events
    )


def _raven_table(segment_id: str, path: str, events: Events) -> str:
    label_of = _track_labels(events.class_map)
    # Boxes are as high as what a model hears.
    heard = FeatureParams()
    rows = [_RAVEN_COLUMNS]
    for number, event in enumerate(events, start=1):
        rows.append(
            (
                str(number),
                "Spectrogram 1",
                "1",
                *_times(event),
                f"{heard.mel_min_hz:g}",
                f"{heard.mel_max_hz:g}",
                label_of[event.class_index],
                _one_line(events.mid(event)),
                f"{event.score:.4f}",
            )
        )
    return "".join("\t".join(row) + "\n" for row in rows)


def _one_line(text: str) -> str:
    return " ".join(text.split())


@functools.lru_cache(maxsize=4)
def _track_labels(class_map: ClassMap) -> list[str]:
    """Returns a label of each class by which `import_labels` finds it.

    That is the display name, unless it is another class's name or id, or is
    written otherwise in a track.
    """
    labels: list[str] = []
    counts = collections.Counter(
        name.casefold() for name in class_map.display_names
    )
    for mid, name in zip(class_map.mids, class_map.display_names, strict=True):
        is_sure = (
            counts[name.casefold()] == 1
            and name == _one_line(unicodedata.normalize("NFC", name))
            and class_map.index_of_mid.get(name) in (None, len(labels))
        )
        labels.append(name if is_sure else mid)
    return labels


EVENT_TABLES = {
    "tsv": EventTable(
        "events.tsv",
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tscore\n",
        _tsv_rows,
    ),
    "csv": EventTable(
        "events.csv",
        "path,onset_seconds,offset_seconds,display_name,mid,score\n",
        _csv_rows,
    ),
    "jsonl": EventTable("events.jsonl", "", _json_line),
}
EVENT_TRACKS = {
    "audacity": EventTrack("audacity", ".txt", _audacity_track),
    "raven": EventTrack("raven", ".selections.txt", _raven_table),
}


# --- Files ------------------------------------------------------------------


def recording_path(folder: str, segment_id: str, suffix: str) -> str:
    """Returns the path of a recording's own file; makes its folder.

    Raises:
      InputError: The segment id would lead out of the folder.
    """
    parts = segment_id.split("/")
    if {"", ".", ".."} & set(parts) or os.path.isabs(segment_id):
        raise InputError(
            f"Expected a segment id that can name a file below {folder}, found "
            f"{segment_id!r}. Name recordings by the folder that they are in."
        )
    path = os.path.join(folder, *parts) + suffix
    make_folder(os.path.dirname(path))
    return path


def write_event_files(
    recordings: Recordings, output_dir: str, formats: Collection[str]
) -> None:
    """Writes events as they come, a recording at a time.

    Args:
      recordings: Segment id, path of the audio and events of each.
      output_dir: A folder that exists.
      formats: Of `EVENT_TABLES` and `EVENT_TRACKS`; others are passed over.

    Raises:
      InputError: A segment id cannot name a file.
    """
    tables = [EVENT_TABLES[name] for name in EVENT_TABLES if name in formats]
    tracks = [EVENT_TRACKS[name] for name in EVENT_TRACKS if name in formats]
    with contextlib.ExitStack() as stack:
        files = []
        for table in tables:
            path = os.path.join(output_dir, table.file_name)
            files.append(stack.enter_context(open_output(path)))
            files[-1].write(table.header)
        for track in tracks:
            make_folder(os.path.join(output_dir, track.folder))
        for recording in recordings:
            for table, file in zip(tables, files, strict=True):
                file.write(table.format_rows(*recording))
            for track in tracks:
                folder = os.path.join(output_dir, track.folder)
                path = recording_path(folder, recording[0], track.suffix)
                with open_output(path) as file:
                    file.write(track.format_track(*recording))


def write_native_scores(
    path: str,
    class_map: ClassMap,
    frame_seconds: float,
    segment_ids: Sequence[str],
    num_frames: Sequence[int],
    audio_seconds: Sequence[float],
    blocks: Iterable[npt.NDArray[np.float32]],
    made_from: str = "",
) -> None:
    """Writes a score file at the hop used (`evaluation/scores.py`).

    Args:
      path: The `.npz`; its folder exists.
      class_map: The classes of the scores.
      frame_seconds: Length and hop of a frame.
      segment_ids: Names of the recordings.
      num_frames: How many frames each has.
      audio_seconds: How long each is.
      blocks: float32 `[any, num_classes]`: the frames of the first recording,
        then of the second, and so on. One at a time is in memory.
      made_from: What model they are of, for reports; "" if that is not known.

    Raises:
      InputError: The blocks have not so many frames or classes.
    """
    total, num_classes = int(sum(num_frames)), class_map.num_classes
    arrays = {
        "segment_ids": np.array(segment_ids, dtype=str),
        "mids": np.array(class_map.mids, dtype=str),
        "display_names": np.array(class_map.display_names, dtype=str),
        "num_frames": np.array(num_frames, dtype=np.int64),
        "frame_seconds": np.float64(frame_seconds),
        "audio_seconds": np.array(audio_seconds, dtype=np.float64),
        "class_map_hash": np.str_(class_map.content_hash),
    }
    if made_from:
        arrays["made_from"] = np.str_(made_from)
    header = {
        "descr": "<f4",
        "fortran_order": False,
        "shape": (total, num_classes),
    }
    num_written = 0
    with (
        open_output(path, "wb") as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name, array in arrays.items():
            # A ZipInfo has no date, so that equal scores are equal bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as entry:
                np.lib.format.write_array(entry, np.asarray(array))
        info = zipfile.ZipInfo("scores.npy")
        with archive.open(info, "w", force_zip64=True) as entry:
            np.lib.format.write_array_header_1_0(entry, header)
            for block in blocks:
                if block.ndim != 2 or block.shape[1] != num_classes:
                    raise InputError(
                        f"blocks must be [any, num_classes] = [any, "
                        f"{num_classes}], found {list(block.shape)}."
                    )
                num_written += len(block)
                entry.write(np.ascontiguousarray(block, "<f4").data)
        if num_written != total:
            raise InputError(
                f"blocks must have as many frames as num_frames says, {total}; "
                f"found {num_written}."
            )


def write_embeddings_parquet(
    path: str,
    recordings: Iterable[tuple[str, float, npt.NDArray[np.float32]]],
    embedding_size: int,
) -> None:
    """Writes embeddings as one Parquet file, a row for each frame.

    Columns: segment_id str, onset_seconds float64 from the start of the
    recording, embedding, a list of embedding_size float32.

    Args:
      path: Where to write; the folder exists.
      recordings: Segment id, seconds of a frame, and float32 `[num_frames,
        embedding_size]` of each, which can be a memory map.
      embedding_size: Numbers of an embedding.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        {
            "segment_id": pa.string(),
            "onset_seconds": pa.float64(),
            "embedding": pa.list_(pa.float32(), embedding_size),
        }
    )
    with (
        temporary_path(path) as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        for segment_id, hop_seconds, embeddings in recordings:
            for start in range(0, len(embeddings), _FRAMES_AT_ONCE):
                part = embeddings[start : start + _FRAMES_AT_ONCE]
                frames = np.arange(start, start + len(part))
                values = pa.array(np.ascontiguousarray(part, "<f4").ravel())
                columns = [
                    pa.array([segment_id] * len(part)),
                    pa.array(frames * hop_seconds),
                    pa.FixedSizeListArray.from_arrays(values, embedding_size),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
