"""Progress of many worker processes on one machine, without talking to them.

Each worker appends one byte a clip to a file, which says what became of the
clip; whoever shows progress counts the bytes. Appends of one byte are not torn
apart, so that no lock is needed. Workers on other machines cannot: their runner
shows its own progress.

One clip: its audio becomes features and what is wrong with it is told.

A clip whose audio is missing, unreadable or too short is left out with the
reason; nothing is ever padded or written empty. Other faults are told, and
leave the clip out where `AudioParams` says so.

Writes one shard; the same bytes wherever and however often it is called.

A shard is a pure function of its task and the audio. It is written under a
temporary name of its own process and renamed when it is whole; its report,
written last, says that it is finished.
"""

import collections
import contextlib
import dataclasses
import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tqdm

from audioset_strong import files
from audioset_strong.audio.backends import compute_log_mel
from audioset_strong.audio.decode import AudioError, DecodedAudio
from audioset_strong.audio.faults import conversions, find_faults, is_left_out
from audioset_strong.records.manifest import Shard, write_json
from audioset_strong.records.plan import (
    Clip,
    Report,
    ShardSettings,
    ShardTask,
    read_report,
)
from audioset_strong.records.schema import (
    ClassEvents,
    ClipRecord,
    serialize_record,
)

# --- progress --------------------------------------------------------------


WRITTEN, MISSING, UNUSABLE = b"w", b"m", b"u"
_SECONDS_BETWEEN_LOOKS = 0.5


class ClipTally:
    """Counts clips in a file.

    Args:
      path: A file that exists, on this machine; "" to count nothing.
    """

    def __init__(self, path: str) -> None:
        self._file_number = (
            os.open(path, os.O_WRONLY | os.O_APPEND) if path else -1
        )

    def add(self, outcome: bytes) -> None:
        """Counts one clip as `WRITTEN`, `MISSING` or `UNUSABLE`."""
        if self._file_number >= 0:
            os.write(self._file_number, outcome)

    def close(self) -> None:
        """Closes the file."""
        if self._file_number >= 0:
            os.close(self._file_number)
            self._file_number = -1


@contextlib.contextmanager
def show_progress(num_clips: int) -> Iterator[str]:
    """Shows a progress bar while clips are counted.

    Args:
      num_clips: Clips that are to be counted.

    Yields:
      The path for `ClipTally`.
    """
    done = threading.Event()
    with (
        tempfile.NamedTemporaryFile(prefix="clips-") as tally_file,
        tqdm.tqdm(total=num_clips, unit="clip", desc="records") as bar,
    ):
        thread = threading.Thread(
            target=_follow, args=(tally_file.name, bar, done), daemon=True
        )
        thread.start()
        try:
            yield tally_file.name
        finally:
            done.set()
            thread.join()


def _follow(
    tally_path: str, bar: "tqdm.tqdm[None]", done: threading.Event
) -> None:
    """Moves the bar as the file grows, until it is done."""
    num_missing = num_unusable = 0
    with open(tally_path, "rb") as file:
        is_last_look = False
        while not is_last_look:
            is_last_look = done.wait(_SECONDS_BETWEEN_LOOKS)
            outcomes = file.read()
            num_missing += outcomes.count(MISSING)
            num_unusable += outcomes.count(UNUSABLE)
            bar.set_postfix_str(
                f"{num_missing} missing, {num_unusable} unusable",
                refresh=False,
            )
            bar.update(len(outcomes))


# --- clip records ----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CheckedRecord:
    """A record, and what is to be said of its audio.

    Attributes:
      record: The record.
      faults: What is wrong with the audio: fault -> detail.
      notes: How the audio was converted.
    """

    record: ClipRecord
    faults: dict[str, str]
    notes: list[str]


def make_record(clip: Clip, settings: ShardSettings) -> CheckedRecord:
    """Decodes a clip and computes its features.

    Args:
      clip: The clip.
      settings: Front end, decoding, and which faults are left out.

    Raises:
      AudioError: The audio is missing, unreadable or shorter than one patch, or
        has a fault that is left out.
    """
    if not clip.audio_path:
        raise AudioError("missing", "no audio file for this clip")
    features = settings.features
    audio, log_mel = compute_log_mel(
        clip.audio_path,
        clip.clip_seconds,
        features,
        settings.audio.audio_backend,
    )
    faults = find_faults(
        audio, clip.clip_seconds, features.sample_rate, settings.audio
    )
    for fault, detail in faults.items():
        if is_left_out(fault, settings.audio):
            raise AudioError(fault, f"{clip.audio_path}: {detail}")
    _check_length(clip, audio, log_mel, settings)
    record = ClipRecord(
        segment_id=clip.segment_id,
        log_mel=log_mel,
        audio_seconds=len(audio.waveform) / features.sample_rate,
        events={name: class_events(e) for name, e in clip.events.items()},
    )
    notes = conversions(audio, clip.audio_path, features.sample_rate)
    return CheckedRecord(record, faults, notes)


def _check_length(
    clip: Clip,
    audio: DecodedAudio,
    log_mel: np.ndarray,
    settings: ShardSettings,
) -> None:
    """Raises `AudioError` if there is not one patch."""
    features = settings.features
    if len(log_mel) < features.patch_stft_frames:
        found = len(audio.waveform) / features.sample_rate
        needed = features.patch_window_samples / features.sample_rate
        raise AudioError(
            "too_short",
            f"{clip.audio_path} has {found:.3f} s of the clip, one patch needs "
            f"{needed:.3f} s",
        )


def class_events(events: list[tuple[int, float, float]]) -> ClassEvents:
    """Turns a list of (class index, onset, offset) into parallel arrays."""
    table = np.array(events, dtype=np.float64).reshape(-1, 3)
    return ClassEvents(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.float32),
        table[:, 2].astype(np.float32),
    )


# --- shard writer ----------------------------------------------------------


@dataclasses.dataclass
class _Findings:
    """What is told of the clips of a shard, in their order.

    Attributes:
      left_out: segment_id, reason and detail of clips that are left out.
      faults: segment_id, fault and detail of clips that are kept.
      notes: Number of clips by how they were converted.
      num_clips: Number of records by label set, and "all".
      audio_seconds: Of all records.
    """

    left_out: list[tuple[str, str, str]] = dataclasses.field(
        default_factory=list
    )
    faults: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    notes: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    num_clips: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    audio_seconds: float = 0.0


def write_shard(task: ShardTask, tally: ClipTally = ClipTally("")) -> Report:
    """Writes one shard and its report, or finds them already there.

    Args:
      task: What to write.
      tally: Counts clips as they are done.

    Returns:
      The report (`shard_tasks.Report`).

    Raises:
      OSError: The shard cannot be written: disk full, not allowed.
    """
    report = read_report(task)
    if report is not None:
        return report
    findings, content = _Findings(), hashlib.sha256()
    with files.replace_when_whole(task.path) as temporary_path:
        with (
            _os_errors(task.path),
            tf.io.TFRecordWriter(temporary_path) as writer,
        ):
            for clip in task.clips:
                serialized = _serialize_clip(
                    clip, task.settings, findings, tally
                )
                if serialized is not None:
                    writer.write(serialized)
                    content.update(serialized)
        num_bytes = os.path.getsize(temporary_path)
    shard = Shard(
        group=task.group,
        name=task.name,
        num_bytes=num_bytes,
        num_clips=findings.num_clips["all"],
        num_weak_clips=findings.num_clips["weak"],
        num_strong_clips=findings.num_clips["strong"],
        audio_seconds=round(findings.audio_seconds, 3),
        content_hash=content.hexdigest()[:16],
    )
    report = {
        "fingerprint": task.fingerprint,
        "shard": dataclasses.asdict(shard),
        "left_out": findings.left_out,
        "faults": findings.faults,
        "notes": dict(sorted(findings.notes.items())),
    }
    write_json(report, task.report_path)
    return report


@contextlib.contextmanager
def _os_errors(path: str) -> Iterator[None]:
    """Turns TensorFlow's errors about a local file, such as a full disk's."""
    try:
        yield
    except tf.errors.OpError as error:
        is_full = isinstance(error, tf.errors.ResourceExhaustedError)
        number = errno.ENOSPC if is_full else errno.EIO
        text = f"{os.strerror(number)} ({error.message})"
        raise OSError(number, text, path) from error


def _serialize_clip(
    clip: Clip, settings: ShardSettings, findings: _Findings, tally: ClipTally
) -> bytes | None:
    """Makes the bytes of one record; None for a clip that is left out."""
    try:
        checked = make_record(clip, settings)
    except AudioError as error:
        findings.left_out.append((clip.segment_id, error.reason, error.detail))
        tally.add(MISSING if error.reason == "missing" else UNUSABLE)
        return None
    findings.faults += [
        (clip.segment_id, fault, detail)
        for fault, detail in checked.faults.items()
    ]
    findings.notes.update(checked.notes)
    findings.num_clips.update(["all", *clip.events])
    findings.audio_seconds += checked.record.audio_seconds
    tally.add(WRITTEN)
    return serialize_record(checked.record, settings.log_mel_dtype)
