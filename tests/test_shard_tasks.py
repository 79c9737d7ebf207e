"""Plans and reports of shards: read back as written; which are finished."""

import dataclasses
import json
import pathlib

import pytest

from audioset_strong.params import AudioParams, FeatureParams
from audioset_strong.records.plan import (
    Clip,
    ShardSettings,
    ShardTask,
    load_task,
    read_report,
    read_reports,
    save_task,
    save_tasks,
)


@pytest.fixture
def task(tmp_path):
    for name in ("plan", "reports"):
        (tmp_path / name).mkdir()
    clips = (
        Clip("-a_b_30000", '/x/é "q".wav', 10.0, {"weak": []}, 7),
        Clip("b_0", "", 9.5, {"weak": [(3, 0.0, 10.0)], "strong": []}),
        Clip("c_0", "s3://b/c.flac", 0.1, {"strong": [(0, 0.1, 1 / 3)]}, 2**40),
    )
    settings = ShardSettings(
        FeatureParams(log_offset=0.001), AudioParams(silent_peak_dbfs=-60.5)
    )
    name = "strong-00000-of-00001.tfrecord"
    return ShardTask(str(tmp_path), "strong", name, clips, settings)


def _report(task, num_bytes):
    report = {
        "fingerprint": task.fingerprint,
        "shard": {"num_bytes": num_bytes},
    }
    pathlib.Path(task.report_path).write_text(json.dumps(report))


def test_a_plan_is_read_back_as_it_was(task):
    save_task(task)
    assert load_task(task.output_dir, task.name) == task


def test_a_plan_without_clips(task):
    empty = dataclasses.replace(task, clips=())
    save_tasks([empty])
    assert load_task(task.output_dir, task.name) == empty


def test_all_that_changes_a_shard_changes_its_fingerprint(task):
    clip = task.clips[1]
    others = [
        dataclasses.replace(task, clips=task.clips[:2]),
        dataclasses.replace(task, group="weak"),
        dataclasses.replace(task, settings=ShardSettings()),
        *(
            dataclasses.replace(
                task, clips=(dataclasses.replace(clip, **change),)
            )
            for change in (
                {},
                {"audio_path": "found.wav"},
                {"audio_bytes": 1},
                {"clip_seconds": 9.0},
                {"events": {"weak": []}},
            )
        ),
    ]
    fingerprints = {other.fingerprint for other in others}
    assert len(fingerprints | {task.fingerprint}) == len(others) + 1
    # Where the folder lies does not matter.
    moved = dataclasses.replace(task, output_dir="/elsewhere")
    assert moved.fingerprint == task.fingerprint


def test_a_shard_is_finished_with_its_report_plan_and_size(task):
    assert read_report(task) is None
    _report(task, 3)
    assert read_report(task) is None  # no shard
    pathlib.Path(task.path).write_bytes(b"ab")
    assert read_report(task) is None  # too short
    pathlib.Path(task.path).write_bytes(b"abc")
    assert read_report(task)["shard"] == {"num_bytes": 3}
    other = dataclasses.replace(task, clips=task.clips[:1])
    assert read_report(other) is None  # made for another plan
    missing = dataclasses.replace(task, name="weak-00000-of-00001.tfrecord")
    assert set(read_reports([missing, task])) == {task.name}
