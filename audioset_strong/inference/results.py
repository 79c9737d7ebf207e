"""Turns kept scores into the results of a batch.

    events.tsv, ...   what `event_files.py` writes
    scores.npz        scores over time, for `evaluate`
    embeddings/       <segment_id>.npy, float32 [num_frames, embedding_size]
    files.tsv         a row for each recording, also those that failed
    predict.json      the model, the settings, what there is in all

All is written elsewhere first and then takes its place, a file at a time,
`predict.json` last. What an earlier run wrote and this one does not is removed.
The same recordings, model and settings give the same bytes.
"""

import collections
import contextlib
import dataclasses
import heapq
import io
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.files import make_folder, open_output
from audioset_strong.inference.batch import Outcome
from audioset_strong.inference.event_decoding import decode_events
from audioset_strong.inference.event_files import (
    EVENT_TABLES,
    EVENT_TRACKS,
    recording_path,
    write_embeddings_parquet,
    write_event_files,
    write_native_scores,
)
from audioset_strong.inference.events import Events
from audioset_strong.inference.inputs import Recording, one_line, real_path
from audioset_strong.inference.kept_scores import Kept
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.problems import listed
from audioset_strong.params import DecodingParams

FORMATS = (
    *EVENT_TABLES,
    *EVENT_TRACKS,
    "scores",
    "embeddings",
    "embeddings_parquet",
)
# As `labels/clips.py` has it, which loads pandas.
_FILES_HEADER = (
    "segment_id\tduration_seconds\tpath\tstatus\tnum_events\thighest_score\t"
    "highest_class\thighest_seconds\tnotes\n"
)
_FILES, _SUMMARY = "files.tsv", "predict.json"
_SCORES, _EMBEDDINGS = "scores.npz", "embeddings"
_EMBEDDING_TABLE = "embeddings.parquet"
# How many of the highest scores are told where there are no events.
_NUM_PEAKS = 5
# Times have three decimals, and a list of clips takes none of 0 s.
_LEAST_SECONDS = 0.001


class Peak(NamedTuple):
    """The highest score of a class in a recording.

    Attributes:
      score: In [0, 1].
      class_index: Of which class.
      seconds: Where its frame begins.
      path: In which recording.
    """

    score: float
    class_index: int
    seconds: float
    path: str


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How scores become events.

    Attributes:
      class_map: Classes of the model.
      hop_seconds: Length of a frame.
      thresholds: float, or float `[num_classes]`.
      params: Steps from scores to events.
      class_indices: Classes to keep; None for all.
    """

    class_map: ClassMap
    hop_seconds: float
    thresholds: np.ndarray | float
    params: DecodingParams
    class_indices: list[int] | None

    def decode(self, kept: Kept) -> Events:
        """Finds the events of a recording."""
        events = decode_events(
            kept.scores.open(),
            self.thresholds,
            hop_seconds=self.hop_seconds,
            audio_seconds=kept.audio_seconds,
            params=self.params,
            class_indices=self.class_indices,
        )
        return Events(
            tuple(events), self.class_map, kept.audio_seconds, kept.notes
        )

    def find_peaks(self, kept: Kept, path: str) -> list[Peak]:
        """Finds the highest scores of a recording, each of another class."""
        num_classes = self.class_map.num_classes
        highest = np.full(num_classes, -np.inf)
        frames = np.zeros(num_classes, np.int64)
        first = 0
        for block in kept.scores.blocks():  # [num_block_frames, num_classes]
            block_highest = block.max(axis=0)  # [num_classes]
            is_higher = block_highest > highest
            highest[is_higher] = block_highest[is_higher]
            frames[is_higher] = first + block.argmax(axis=0)[is_higher]
            first += len(block)
        kept_classes = self.class_indices or range(num_classes)
        return heapq.nlargest(
            _NUM_PEAKS,
            (
                Peak(float(highest[c]), c, frames[c] * self.hop_seconds, path)
                for c in kept_classes
            ),
        )


@dataclasses.dataclass
class Tally:
    """What a batch has come to so far.

    Attributes:
      num_files: Recordings.
      failures: Recordings that failed, by the word for why.
      oddities: Recordings that are odd, by the word for how.
      num_odd: Recordings with a note.
      num_with_events: Recordings with an event.
      num_events: Events.
      audio_seconds: Of all that did not fail.
      new_seconds: Of these, of those that were scored now.
      seconds_taken: To score them.
      peaks: The highest scores.
    """

    num_files: int = 0
    failures: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    oddities: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    num_odd: int = 0
    num_with_events: int = 0
    num_events: int = 0
    audio_seconds: float = 0.0
    new_seconds: float = 0.0
    seconds_taken: float = 0.0
    peaks: list[Peak] = dataclasses.field(default_factory=list)

    @property
    def num_failed(self) -> int:
        """Number of recordings that failed."""
        return self.failures.total()

    def add_failure(self, outcome: Outcome) -> None:
        """Counts a recording that failed."""
        self.num_files += 1
        self.failures[outcome.failure.partition(":")[0]] += 1

    def add(self, outcome: Outcome, events: Events, peaks: list[Peak]) -> None:
        """Counts a recording that was scored."""
        self.num_files += 1
        self.num_events += len(events)
        self.num_with_events += bool(len(events))
        self.num_odd += bool(events.notes)
        self.oddities.update(note.partition(":")[0] for note in events.notes)
        self.audio_seconds += events.audio_seconds
        if outcome.seconds_taken:
            self.new_seconds += events.audio_seconds
            self.seconds_taken += outcome.seconds_taken
        self.peaks = heapq.nlargest(_NUM_PEAKS, [*self.peaks, *peaks])

    def lines(self, decoder: Decoder) -> list[str]:
        """Says for people what came out."""
        files = "file" if self.num_files == 1 else "files"
        lines = [
            f"{self.num_files:,} {files}, {_duration(self.audio_seconds)} of "
            f"audio: {self.num_events:,} events, in {self.num_with_events:,} "
            f"of them."
        ]
        if self.seconds_taken:
            speed = self.new_seconds / self.seconds_taken
            lines.append(
                f"Scored {_duration(self.new_seconds)} of audio in "
                f"{_duration(self.seconds_taken)}, {speed:,.0f} times real "
                f"time."
            )
        if self.failures:
            lines.append(
                f"Files that failed: {self.num_failed:,} "
                f"({_by_word(self.failures)})."
            )
        if self.oddities:
            lines.append(
                f"Files that are odd, but were scored: {self.num_odd:,} "
                f"({_by_word(self.oddities)})."
            )
        if self.peaks and not self.num_events:
            lines.append(
                "No score reached its threshold for long enough. The highest:"
            )
            for peak in self.peaks:
                index = peak.class_index
                level = np.broadcast_to(
                    decoder.thresholds, decoder.class_map.num_classes
                )[index]
                lines.append(
                    f"  {peak.score:.4f} (threshold {level:.4g}) "
                    f"{decoder.class_map.display_names[index]}, at "
                    f"{peak.seconds:.2f} s of {peak.path}"
                )
        return lines


def write_results(
    folder: str,
    outcomes: Sequence[Outcome],
    decoder: Decoder,
    formats: Collection[str],
    summary: dict[str, Any],
) -> Tally:
    """Writes all results to a folder, which exists; returns what they hold.

    Args:
      folder: Where to write.
      outcomes: What became of each recording, in the order of results.
      decoder: How scores become events.
      formats: Of `FORMATS`.
      summary: What predict.json begins with.
    """
    tally = Tally()
    with open_output(os.path.join(folder, _FILES)) as file:
        file.write(_FILES_HEADER)
        found = _find_all(outcomes, decoder, tally, file)
        write_event_files(found, folder, formats)
    scored = [
        (outcome.recording.segment_id, outcome.kept)
        for outcome in outcomes
        if outcome.kept is not None
    ]
    if "scores" in formats:
        write_native_scores(
            os.path.join(folder, _SCORES),
            decoder.class_map,
            decoder.hop_seconds,
            segment_ids=[segment_id for segment_id, _ in scored],
            num_frames=[len(kept.scores) for _, kept in scored],
            audio_seconds=[kept.audio_seconds for _, kept in scored],
            blocks=(b for _, kept in scored for b in kept.scores.blocks()),
            made_from=_describe_model(summary.get("model")),
        )
    embeddings = [
        (segment_id, kept.embeddings)
        for segment_id, kept in scored
        if kept.embeddings is not None
    ]
    if "embeddings" in formats:
        for segment_id, rows in embeddings:
            path = recording_path(
                os.path.join(folder, _EMBEDDINGS), segment_id, ".npy"
            )
            with open_output(path, "wb") as binary:
                np.save(binary, rows.open())
    if "embeddings_parquet" in formats:
        hop = decoder.hop_seconds
        write_embeddings_parquet(
            os.path.join(folder, _EMBEDDING_TABLE),
            ((name, hop, rows.open()) for name, rows in embeddings),
            embeddings[0][1].rows.num_columns if embeddings else 0,
        )
    with open_output(os.path.join(folder, _SUMMARY)) as file:
        counts = {
            "num_files": tally.num_files,
            "num_failed": tally.num_failed,
            "num_odd": tally.num_odd,
            "num_events": tally.num_events,
            "audio_seconds": round(tally.audio_seconds, 3),
        }
        file.write(
            json.dumps(
                {**summary, "formats": sorted(formats), **counts}, indent=2
            )
            + "\n"
        )
    return tally


def _describe_model(model: dict[str, str] | None) -> str:
    """Says what model scores are of; "" if the summary does not."""
    return f"the model {model['name']} {model['hash']}" if model else ""


def _find_all(
    outcomes: Iterable[Outcome], decoder: Decoder, tally: Tally, file: IO[str]
) -> Iterator[tuple[str, str, Events]]:
    """Yields segment id, path and events; writes the rows of files.tsv."""
    for outcome in outcomes:
        segment_id = outcome.recording.segment_id
        path = one_line(outcome.recording.path)
        row = [segment_id, "", path, "failed", *[""] * 4, outcome.failure]
        if outcome.kept is None:
            tally.add_failure(outcome)
        else:
            events = decoder.decode(outcome.kept)
            peaks = decoder.find_peaks(outcome.kept, path)
            tally.add(outcome, events, peaks)
            row = [
                segment_id,
                f"{max(events.audio_seconds, _LEAST_SECONDS):.3f}",
                path,
                "ok",
                str(len(events)),
                f"{peaks[0].score:.4f}",
                decoder.class_map.mids[peaks[0].class_index],
                f"{peaks[0].seconds:.3f}",
                one_line("; ".join(events.notes)),
            ]
            yield segment_id, path, events
        file.write("\t".join(row) + "\n")


def print_events(outcomes: Iterable[Outcome], decoder: Decoder) -> Tally:
    """Prints events as they come: for people, or as a strong TSV for pipes."""
    tally, table = Tally(), EVENT_TABLES["tsv"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    is_for_people = sys.stdout.isatty()
    if not is_for_people:
        sys.stdout.write(table.header)
    for outcome in outcomes:
        path = one_line(outcome.recording.path)
        if outcome.kept is None:
            tally.add_failure(outcome)
            continue
        events = decoder.decode(outcome.kept)
        tally.add(outcome, events, decoder.find_peaks(outcome.kept, path))
        for note in events.notes:
            logging.warning("%s is odd: %s", path, note)
        if is_for_people:
            text = _table_for_people(path, events)
        else:
            segment_id = outcome.recording.segment_id
            text = table.format_rows(segment_id, path, events)
        sys.stdout.write(text)
        sys.stdout.flush()
    return tally


def _table_for_people(path: str, events: Events) -> str:
    """Lists the events of a recording: start, end, score, class."""
    lines = [f"{path}  ({_duration(events.audio_seconds)})"]
    for event in events:
        lines.append(
            f"{event.onset_seconds:10.2f} {event.offset_seconds:10.2f} s "
            f"{event.score:7.3f}  {events.display_name(event)}"
        )
    return "\n".join([*lines, "" if len(events) else "    no events", ""])


def has_results(output_dir: str) -> bool:
    """Whether an earlier run wrote results here."""
    return os.path.exists(os.path.join(output_dir, _SUMMARY))


def replace_results(staging: str, output_dir: str) -> None:
    """Moves new results to where earlier ones are, and removes the others."""
    earlier = _files_of(output_dir)
    new = _files_of(staging)
    for name in new:
        path = os.path.join(output_dir, name)
        make_folder(os.path.dirname(path))
        os.replace(os.path.join(staging, name), path)
    for name in set(earlier) - set(new):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(output_dir, name))


def check_replaceable(
    output_dir: str,
    staging: str,
    recordings: Sequence[Recording],
    model_hash: str,
) -> None:
    """Checks that new results are about all that earlier ones are about.

    Args:
      output_dir: Where earlier results are.
      staging: From where a run that was killed may have moved some already.
      recordings: What new results are about.
      model_hash: Of the model.

    Raises:
      InputError: Results of another model, of further recordings, or not of
        this command would be lost.
    """
    advice = "Give another output folder, or overwrite what is there."
    try:
        path = os.path.join(output_dir, _SUMMARY)
        with open(path, encoding="utf-8") as file:
            earlier_hash = json.load(file)["model"]["hash"]
    except FileNotFoundError:
        if has_results(staging):
            return
        tables = [table.file_name for table in EVENT_TABLES.values()]
        for name in (_FILES, _SCORES, _EMBEDDING_TABLE, *tables):
            if os.path.exists(os.path.join(output_dir, name)):
                raise InputError(
                    f"{output_dir} holds {name}, but no {_SUMMARY}, so that "
                    f"predict did not write it. {advice}"
                ) from None
        return
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is none that predict writes ({error!r}). {advice}"
        ) from error
    if earlier_hash != model_hash:
        raise InputError(
            f"{output_dir} holds the results of another model (hash "
            f"{earlier_hash}, now {model_hash}). {advice}"
        )
    lost = {real_path(row["path"]) for row in _rows_of(output_dir)}
    lost -= {real_path(one_line(recording.path)) for recording in recordings}
    if lost:
        raise InputError(
            f"{output_dir} holds the results of {len(lost):,} recordings that "
            f"are not among those given now: {listed(sorted(lost), 3)}. "
            f"{advice}"
        )


def find_lost(output_dir: str, outcomes: Iterable[Outcome]) -> list[str]:
    """Lists recordings that failed now, and of which there are results."""
    rows = _rows_of(output_dir)
    there = {real_path(r["path"]) for r in rows if r["status"] == "ok"}
    failed = [one_line(o.recording.path) for o in outcomes if o.kept is None]
    return [path for path in failed if real_path(path) in there]


def _rows_of(folder: str) -> list[dict[str, str]]:
    """Reads files.tsv; no rows if there is none."""
    try:
        path = os.path.join(folder, _FILES)
        with open(path, encoding="utf-8", newline="") as file:
            lines = [line.rstrip("\n").split("\t") for line in file]
    except FileNotFoundError:
        return []
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _files_of(folder: str) -> list[str]:
    """Lists the results in a folder, as paths below it, the summary last."""
    try:
        with open(os.path.join(folder, _SUMMARY), encoding="utf-8") as file:
            formats = json.load(file)["formats"]
    except FileNotFoundError:
        return []
    ids = [r["segment_id"] for r in _rows_of(folder) if r["status"] == "ok"]
    names = [EVENT_TABLES[f].file_name for f in EVENT_TABLES if f in formats]
    for name, track in EVENT_TRACKS.items():
        if name in formats:
            names += [f"{track.folder}/{i}{track.suffix}" for i in ids]
    if "scores" in formats:
        names.append(_SCORES)
    if "embeddings" in formats:
        names += [f"{_EMBEDDINGS}/{i}.npy" for i in ids]
    if "embeddings_parquet" in formats:
        names.append(_EMBEDDING_TABLE)
    return [*names, _FILES, _SUMMARY]


def _by_word(counter: collections.Counter[str]) -> str:
    """Writes how often there is each word, the most frequent first."""
    return listed((f"{word} {n:,}" for word, n in counter.most_common()), 9)


def _duration(seconds: float) -> str:
    """Writes a duration in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.2f} h"
