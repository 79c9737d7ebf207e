"""Writes one shard: audio -> log-mel features -> records -> a TFRecord file.

A shard is a pure function of its plan and the audio, so it has the same bytes
wherever and however often it is written. It appears under its name when it is
whole; its report, written last, says that it is finished.

A clip whose audio is missing, unreadable or shorter than one patch is left out
with the reason; nothing is ever padded or written empty. Other faults are
reported, and leave the clip out where `AudioParams` says so.

What depends on the machine and not on the file, such as a package that is not
installed, a permission or a mount that is gone, is no loss: the shard fails,
and the next run tries it again.

`pool.py` and `beam.py` call `write_planned_shard` in worker processes, each in
its own way.
"""

import collections
import dataclasses
import functools
import hashlib
import importlib.metadata
import os
import platform
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile
import threadpoolctl

from audioset_strong import __version__, files
from audioset_strong.audio.backends import compute_log_mel
from audioset_strong.audio.decode import AudioError, DecodedAudio
from audioset_strong.audio.faults import conversions, find_faults, is_left_out
from audioset_strong.errors import InputError
from audioset_strong.records.manifest import Shard, write_json
from audioset_strong.records.schema import (
    SCHEMA_VERSION,
    ClassEvents,
    ClipRecord,
    frame_record,
    serialize_record,
)
from audioset_strong.records.tasks import (
    Clip,
    Report,
    ShardSettings,
    ShardTask,
    describe_clips,
    hash_audio,
    load_task,
    read_reports,
)

# What a tally says of a clip, one byte each.
WRITTEN, MISSING, UNUSABLE = b"w", b"m", b"u"


# Longer than any file: for clips that go on to the end of theirs.
_TO_THE_END_SECONDS = 1e6


class ShardError(InputError):
    """A shard cannot be written; the message is one line for the user."""


class MachineError(Exception):
    """This machine cannot read the audio of a clip; another one may."""


class CheckedRecord(NamedTuple):
    """A record, the faults of its audio by name, and how it was converted."""

    record: ClipRecord
    faults: dict[str, str]
    notes: list[str]


def make_record(clip: Clip, settings: ShardSettings) -> CheckedRecord:
    """Decodes a clip and computes its features.

    Raises:
      AudioError: The audio is missing, unreadable or shorter than one patch, or
        has a fault that is left out.
    """
    if not clip.audio_path:
        raise AudioError("missing", "no audio file for this clip")
    features = settings.features
    start, audio, log_mel = _cut_out(clip, settings)
    audio_seconds = len(audio.waveform) / features.sample_rate
    clip_seconds = clip.clip_seconds or audio_seconds
    is_part = start is not None
    if is_part:
        # What follows the clip in the file is no fault.
        left_seconds = audio.file_seconds - (start or 0.0)
        left_seconds = min(left_seconds, clip_seconds)
        audio = audio._replace(file_seconds=left_seconds)
    faults = find_faults(
        audio, clip_seconds, features.sample_rate, settings.audio
    )
    for fault, detail in faults.items():
        if is_left_out(fault, settings.audio):
            raise AudioError(fault, f"{clip.audio_path}: {detail}")
    if len(log_mel) < features.patch_stft_frames:
        needed = features.patch_window_samples / features.sample_rate
        raise AudioError(
            "too_short",
            f"{clip.audio_path} has {audio_seconds:.3f} s of the clip, one "
            f"patch needs {needed:.3f} s",
        )
    events = clip.events
    if not clip.clip_seconds and "weak" in events:
        # Only now it is known how far they span.
        weak = [
            (c, on, max(off, audio_seconds)) for c, on, off in events["weak"]
        ]
        events = {**events, "weak": weak}
    record = ClipRecord(
        segment_id=clip.segment_id,
        log_mel=log_mel,
        audio_seconds=audio_seconds,
        events={name: class_events(e) for name, e in events.items()},
    )
    notes = conversions(audio, clip.audio_path, features.sample_rate)
    if is_part and clip.extent == "video":
        notes.append("cut out of the whole video")
    return CheckedRecord(record, faults, notes)


def _cut_out(
    clip: Clip, settings: ShardSettings
) -> tuple[float | None, DecodedAudio, np.ndarray]:
    """Decodes a clip, and says where in its file it was cut out.

    A file that has the bare name of a video holds one clip or the whole video.
    It is the video if it is longer than the clip and reaches its start.

    Returns:
      The start in seconds, or None if the file holds the clip alone; the audio;
      and its log-mel features, float32 `[num_stft_frames, mel_bands]`.
    """

    def decode(start: float) -> tuple[DecodedAudio, np.ndarray]:
        return compute_log_mel(
            clip.audio_path,
            clip.clip_seconds or _TO_THE_END_SECONDS,
            settings.features,
            settings.audio.audio_backend,
            start,
        )

    if clip.extent == "part":
        return clip.start_seconds, *decode(clip.start_seconds)
    audio, log_mel = decode(0.0)
    tolerance = settings.audio.length_tolerance_seconds
    if (
        clip.extent == "video"
        and clip.clip_seconds
        and audio.file_seconds > clip.clip_seconds + tolerance
        and audio.file_seconds > clip.start_seconds
    ):
        if clip.start_seconds:
            audio, log_mel = decode(clip.start_seconds)
        return clip.start_seconds, audio, log_mel
    return None, audio, log_mel


def class_events(events: list[tuple[int, float, float]]) -> ClassEvents:
    """Turns a list of (class index, onset, offset) into parallel arrays."""
    table = np.array(events, dtype=np.float64).reshape(-1, 3)
    return ClassEvents(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.float32),
        table[:, 2].astype(np.float32),
    )  # each [num_events]


@functools.cache
def software_versions() -> dict[str, str]:
    """Returns the versions of what the bytes of a shard depend on."""
    versions = {
        "audioset_strong": __version__,
        "records": str(SCHEMA_VERSION),
        "libsndfile": soundfile.__libsndfile_version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    for name in ("soxr", "av"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions


def write_planned_shard(
    output_dir: str, name: str, tally_path: str = os.devnull
) -> Report | None:
    """Writes the shard of a name, in any process that reaches the folder.

    Args:
      output_dir: Folder of the records; the plan of the shard is there.
      name: File name of the shard.
      tally_path: Local file to which one byte a clip is appended: `WRITTEN`,
        `MISSING` or `UNUSABLE`.

    Returns:
      The report; None if this machine cannot read the audio of a clip, which is
      then said in `ShardTask.failure_path`.

    Raises:
      ShardError: The shard cannot be written: disk full, not allowed.
    """
    try:
        # Appended bytes are never torn apart, so that many processes can share
        # the tally without a lock. Threads of the matrix product would compete
        # with the other workers, of which there is one a core.
        with (
            open(tally_path, "ab", buffering=0) as tally,
            threadpoolctl.threadpool_limits(1),
        ):
            task = load_task(output_dir, name)
            try:
                return write_shard(task, tally)
            except MachineError as error:
                failure = {"host": platform.node(), "detail": str(error)}
                write_json(failure, task.failure_path)
                return None
    except (OSError, InputError) as error:
        text = " ".join(str(error).split())
        raise ShardError(
            f"A shard could not be written: {name}: {text}. Finished shards "
            f"are kept, and the same command goes on from there."
        ) from error


def write_shard(task: ShardTask, tally: BinaryIO | None = None) -> Report:
    """Writes one shard and its report, unless it is finished already.

    `tally` takes one byte a clip (`write_planned_shard`).

    Raises:
      MachineError: This machine cannot read the audio of a clip.
      OSError: The shard cannot be written.
    """
    finished = read_reports([task]).get(task.name)
    if finished is not None:
        return finished
    left_out: list[tuple[str, str, str]] = []
    faults: list[tuple[str, str, str]] = []
    notes: collections.Counter[str] = collections.Counter()
    num_clips: collections.Counter[str] = collections.Counter()
    audio_seconds = longest_clip_seconds = 0.0
    content = hashlib.sha256()
    with files.replace_when_whole(task.path) as temporary_path:
        with open(temporary_path, "wb") as file:
            for clip in task.clips:
                try:
                    checked = _try_record(clip, task.settings)
                except AudioError as error:
                    left_out.append(
                        (clip.segment_id, error.reason, error.detail)
                    )
                    is_missing = error.reason == "missing"
                    outcome = MISSING if is_missing else UNUSABLE
                else:
                    serialized = serialize_record(
                        checked.record, task.settings.log_mel_dtype
                    )
                    file.write(frame_record(serialized))
                    content.update(serialized)
                    faults += [
                        (clip.segment_id, *item)
                        for item in checked.faults.items()
                    ]
                    notes.update(checked.notes)
                    num_clips.update(["all", *clip.events])
                    audio_seconds += checked.record.audio_seconds
                    longest_clip_seconds = max(
                        longest_clip_seconds,
                        clip.clip_seconds or checked.record.audio_seconds,
                    )
                    outcome = WRITTEN
                if tally is not None:
                    tally.write(outcome)
        num_bytes = os.path.getsize(temporary_path)
    shard = Shard(
        group=task.group,
        name=task.name,
        num_bytes=num_bytes,
        num_clips=num_clips["all"],
        num_weak_clips=num_clips["weak"],
        num_strong_clips=num_clips["strong"],
        audio_seconds=round(audio_seconds, 3),
        content_hash=content.hexdigest()[:16],
    )
    names_left_out = {segment_id for segment_id, _, _ in left_out}
    report = {
        "fingerprint": task.fingerprint,
        "shard": dataclasses.asdict(shard),
        "left_out": left_out,
        "faults": faults,
        "notes": dict(sorted(notes.items())),
        "longest_clip_seconds": longest_clip_seconds,
        "versions": software_versions(),
        "clips": describe_clips(
            clip for clip in task.clips if clip.segment_id not in names_left_out
        ),
        "audio_versions": [clip.audio_version for clip in task.clips],
        "audio_hashes": [hash_audio(clip.audio_path) for clip in task.clips],
    }
    try:
        write_json(report, task.report_path)
    except OSError:
        # A full disk: without a report the shard would be written again.
        files.remove(task.path)
        raise
    return report


def _try_record(clip: Clip, settings: ShardSettings) -> CheckedRecord:
    """Makes a record; tells what the file lacks from what the machine lacks.

    Raises:
      AudioError: As from `make_record`, of the file.
      MachineError: The machine cannot read it.
    """
    try:
        return make_record(clip, settings)
    except AudioError as error:
        # A file that was not there when it was planned is missing for good.
        is_gone = error.reason == "missing"
        if error.is_of_machine and (clip.audio_version or not is_gone):
            raise MachineError(error.detail) from error
        raise
    except OSError as error:  # object storage does not answer
        raise MachineError(f"{clip.audio_path}: {error}") from error
