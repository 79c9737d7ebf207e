"""What each shard is to hold, as files that a worker anywhere can read.

    plan/<shard>.json     the clips of a shard: what `write_shard` is given
    reports/<shard>.json  what came of it, written last

A shard is finished when its report is there, was made for the same plan, and
the shard has the size that the report says. The plan names each audio file and
its size, so a file that came or changed makes its shard anew.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from audioset_strong import storage
from audioset_strong.params import AudioParams, FeatureParams, RecordParams
from audioset_strong.params_json import from_dict
from audioset_strong.records.manifest import read_json, write_text

PLAN_DIR_NAME = "plan"
REPORTS_DIR_NAME = "reports"

# What `write_shard` says of a shard: "fingerprint" of its plan, "shard" (a
# `Shard` as a dict), "left_out" and "faults" (rows of segment_id, reason,
# detail) and "notes" (number of clips by note).
Report = dict[str, Any]

# Files looked at at the same time: object storage takes long to answer, but
# answers many.
_NUM_THREADS = 16


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip to write.

    Attributes:
      segment_id: Its name.
      audio_path: Its audio; "" if there is none.
      clip_seconds: Audio after this is left out.
      events: For each label set that knows the clip, its events: class index,
        onset and offset in seconds.
      audio_bytes: Size of the audio file when it was listed.
    """

    segment_id: str
    audio_path: str
    clip_seconds: float
    events: dict[str, list[tuple[int, float, float]]]
    audio_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class ShardSettings:
    """Settings that the bytes of a shard depend on.

    Attributes:
      features: The front end.
      audio: How audio is decoded and which faults are left out.
      log_mel_dtype: How log-mel features are stored.
    """

    features: FeatureParams = FeatureParams()
    audio: AudioParams = AudioParams()
    log_mel_dtype: str = RecordParams.log_mel_dtype


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to write.

    Attributes:
      output_dir: Folder of the records.
      group: Group of the shard.
      name: File name of the shard.
      clips: Its clips, sorted by segment_id.
      settings: What its bytes depend on besides the clips.
    """

    output_dir: str
    group: str
    name: str
    clips: tuple[Clip, ...]
    settings: ShardSettings = ShardSettings()

    @property
    def path(self) -> str:
        """Where the shard is written."""
        return os.path.join(self.output_dir, self.name)

    @property
    def report_path(self) -> str:
        """Where the report is written."""
        name = f"{self.name}.json"
        return os.path.join(self.output_dir, REPORTS_DIR_NAME, name)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the shard depends on but the audio's samples."""
        return hashlib.sha256(_format_task(self).encode()).hexdigest()[:16]


def _plan_path(output_dir: str, name: str) -> str:
    return os.path.join(output_dir, PLAN_DIR_NAME, f"{name}.json")


def _format_task(task: ShardTask) -> str:
    """Writes a task as JSON, a line for each clip."""
    head = {
        "group": task.group,
        "name": task.name,
        "settings": dataclasses.asdict(task.settings),
    }
    clips = ",\n".join(
        json.dumps(
            [
                clip.segment_id,
                clip.audio_path,
                clip.clip_seconds,
                clip.events,
                clip.audio_bytes,
            ]
        )
        for clip in task.clips
    )
    return f'{json.dumps(head)[:-1]}, "clips": [\n{clips}\n]}}\n'


def save_task(task: ShardTask) -> None:
    """Writes the plan of a shard; its folder exists."""
    write_text(_format_task(task), _plan_path(task.output_dir, task.name))


def load_task(output_dir: str, name: str) -> ShardTask:
    """Reads what `save_task` wrote.

    Args:
      output_dir: Folder of the records.
      name: File name of the shard.
    """
    values = read_json(_plan_path(output_dir, name))
    settings = values["settings"]
    return ShardTask(
        output_dir,
        values["group"],
        values["name"],
        tuple(_read_clip(*fields) for fields in values["clips"]),
        ShardSettings(
            from_dict(FeatureParams, settings["features"]),
            from_dict(AudioParams, settings["audio"]),
            settings["log_mel_dtype"],
        ),
    )


def _read_clip(
    segment_id: str,
    audio_path: str,
    clip_seconds: float,
    events: dict[str, list[list[Any]]],
    audio_bytes: int,
) -> Clip:
    """Makes a clip from JSON, which knows no tuples."""
    as_tuples = {
        label_set: [(index, onset, offset) for index, onset, offset in of_set]
        for label_set, of_set in events.items()
    }
    return Clip(segment_id, audio_path, clip_seconds, as_tuples, audio_bytes)


def read_report(task: ShardTask) -> Report | None:
    """Reads the report of a finished shard; None if it is not finished."""
    return read_reports([task]).get(task.name)


def read_reports(tasks: Sequence[ShardTask]) -> dict[str, Report]:
    """Reads the reports of all finished shards, by the shard's name."""
    sizes = storage.num_bytes_of([task.path for task in tasks])
    report_sizes = storage.num_bytes_of([task.report_path for task in tasks])
    found = [
        (task, size)
        for task, size, report_size in zip(
            tasks, sizes, report_sizes, strict=True
        )
        if size is not None and report_size is not None
    ]
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        reports = executor.map(
            lambda item: read_json(item[0].report_path), found
        )
        return {
            task.name: report
            for (task, size), report in zip(found, reports, strict=True)
            if report["shard"]["num_bytes"] == size
            and report["fingerprint"] == task.fingerprint
        }


def save_tasks(tasks: Sequence[ShardTask]) -> None:
    """Writes the plans of shards."""
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        list(executor.map(save_task, tasks))
