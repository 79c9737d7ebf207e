"""Writes one shard; the same bytes wherever and however often it is called.

A shard is a pure function of its task and the audio. It is written under a
temporary name of its own process and renamed when it is whole; its report,
written last, says that it is finished.
"""

import collections
import dataclasses
import hashlib
import os

import tensorflow as tf

from audioset_strong import storage
from audioset_strong.features.audio_files import AudioError
from audioset_strong.records.clip_records import make_record
from audioset_strong.records.manifest import Shard, write_json
from audioset_strong.records.progress import (
    MISSING,
    UNUSABLE,
    WRITTEN,
    ClipTally,
)
from audioset_strong.records.schema import serialize_record
from audioset_strong.records.shard_tasks import (
    Clip,
    Report,
    ShardSettings,
    ShardTask,
    read_report,
)


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
    with (
        storage.clear_storage_errors(task.path),
        storage.replace_when_whole(task.path) as temporary_path,
    ):
        with tf.io.TFRecordWriter(temporary_path) as writer:
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
