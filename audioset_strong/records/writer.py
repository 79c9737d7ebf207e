"""Writes shards of records; the seam is `write_shard`, one call a shard.

A shard is a pure function of its task: whoever runs the calls (one process,
a pool, a cluster) gets the same bytes. Clips go to shards by a stable hash of
their segment_id. A shard is written under a temporary name and renamed when it
is whole; its report, written last, says that it is finished.

A clip whose audio is missing, unreadable or too short is left out and listed
with the reason; nothing is ever padded or written empty.
"""

import collections
import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf

from audioset_strong.features.audio_files import AudioError, decode_audio
from audioset_strong.features.log_mel import waveform_to_log_mel
from audioset_strong.labels.frame_targets import Event
from audioset_strong.params import FeatureParams
from audioset_strong.records.manifest import Shard, read_json, write_json
from audioset_strong.records.schema import (
    ClassEvents,
    ClipRecord,
    serialize_record,
)


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip to write.

    Attributes:
      segment_id: Its name.
      audio_path: Its audio; "" if there is none.
      clip_seconds: Audio after this is left out.
      events: For each label set that knows the clip, its events: class index,
        onset and offset in seconds.
    """

    segment_id: str
    audio_path: str
    clip_seconds: float
    events: dict[str, list[tuple[int, float, float]]]


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to write.

    Attributes:
      output_dir: Folder of the records.
      group: Group of the shard.
      name: File name of the shard.
      clips: Its clips, sorted by segment_id.
      features: The front end.
    """

    output_dir: str
    group: str
    name: str
    clips: tuple[Clip, ...]
    features: FeatureParams

    @property
    def path(self) -> str:
        """Where the shard is written."""
        return os.path.join(self.output_dir, self.name)

    @property
    def report_path(self) -> str:
        """Where the report is written."""
        return os.path.join(self.output_dir, "reports", f"{self.name}.json")

    @property
    def fingerprint(self) -> str:
        """Hash of all that the shard depends on but the audio's samples."""
        content = repr((self.group, self.clips, self.features))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def class_events(events: list[tuple[int, float, float]]) -> ClassEvents:
    """Turns a list of (class index, onset, offset) into parallel arrays."""
    table = np.array(events, dtype=np.float64).reshape(-1, 3)
    return ClassEvents(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.float32),
        table[:, 2].astype(np.float32),
    )


def index_events(
    events: list[Event],
    index_of_mid: dict[str, int],
    unmapped: collections.Counter[str],
) -> list[tuple[int, float, float]]:
    """Replaces mids by class indices.

    Args:
      events: Events of one clip.
      index_of_mid: The class map.
      unmapped: Counts the events whose mid is not in the class map; they are
        left out, the clip and its other events are kept.
    """
    indexed = []
    for mid, onset, offset in events:
        if mid in index_of_mid:
            indexed.append((index_of_mid[mid], onset, offset))
        else:
            unmapped[mid] += 1
    return indexed


def make_record(
    clip: Clip, features: FeatureParams, notes: collections.Counter[str]
) -> ClipRecord:
    """Decodes a clip and computes its features.

    Args:
      clip: The clip.
      features: The front end.
      notes: Counts clips that were converted, cut or are short.

    Raises:
      AudioError: The audio is missing, unreadable or shorter than one patch.
    """
    if not clip.audio_path:
        raise AudioError("missing", "no audio file for this clip")
    audio = decode_audio(
        clip.audio_path, features.sample_rate, clip.clip_seconds
    )
    log_mel = waveform_to_log_mel(audio.waveform, features)
    if len(log_mel) < features.patch_stft_frames:
        needed = features.patch_window_samples / features.sample_rate
        raise AudioError(
            "too_short",
            f"{clip.audio_path} has {audio.file_seconds:.3f} s, one patch "
            f"needs {needed:.3f} s",
        )
    notes["mixed to mono"] += audio.num_channels > 1
    notes["resampled"] += audio.file_sample_rate != features.sample_rate
    # Half an STFT window: shorter than this is rounding, not missing audio.
    tolerance = features.stft_window_seconds / 2
    notes["longer than the clip, cut"] += (
        audio.file_seconds > clip.clip_seconds + tolerance
    )
    notes["shorter than the clip"] += (
        audio.file_seconds < clip.clip_seconds - tolerance
    )
    return ClipRecord(
        segment_id=clip.segment_id,
        log_mel=log_mel,
        audio_seconds=len(audio.waveform) / features.sample_rate,
        events={name: class_events(e) for name, e in clip.events.items()},
    )


def write_shard(task: ShardTask) -> dict[str, object]:
    """Writes one shard and its report, or finds them already there.

    Args:
      task: What to write.

    Returns:
      The report: the `Shard` as a dict under "shard", "left_out" (lists of
      segment_id, reason, detail), "notes" and the task's fingerprint.
    """
    if tf.io.gfile.exists(task.report_path):
        report = read_json(task.report_path)
        if report["fingerprint"] == task.fingerprint and _is_whole(
            task, report["shard"]["num_bytes"]
        ):
            return report
    left_out: list[tuple[str, str, str]] = []
    notes: collections.Counter[str] = collections.Counter()
    num_clips: collections.Counter[str] = collections.Counter()
    temporary_path = f"{task.path}.tmp"
    with tf.io.TFRecordWriter(temporary_path) as writer:
        for clip in task.clips:
            try:
                record = make_record(clip, task.features, notes)
            except AudioError as error:
                left_out.append((clip.segment_id, error.reason, error.detail))
                continue
            writer.write(serialize_record(record))
            num_clips.update(["all", *clip.events])
    tf.io.gfile.rename(temporary_path, task.path, overwrite=True)
    shard = Shard(
        group=task.group,
        name=task.name,
        num_bytes=tf.io.gfile.stat(task.path).length,
        num_clips=num_clips["all"],
        num_weak_clips=num_clips["weak"],
        num_strong_clips=num_clips["strong"],
    )
    report = {
        "fingerprint": task.fingerprint,
        "shard": dataclasses.asdict(shard),
        "left_out": left_out,
        "notes": {note: count for note, count in notes.items() if count},
    }
    write_json(report, task.report_path)
    return report


def _is_whole(task: ShardTask, num_bytes: int) -> bool:
    """Whether the shard of a report is there with its size."""
    return (
        tf.io.gfile.exists(task.path)
        and tf.io.gfile.stat(task.path).length == num_bytes
    )
