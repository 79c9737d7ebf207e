"""The pipeline: the same shards in one process and in two, and clear errors."""

import dataclasses
import pathlib

import apache_beam as beam
import numpy as np
import pytest
import soundfile

from audioset_strong.errors import InputError
from audioset_strong.records.beam import BeamRun, WriteShard, write_shards
from audioset_strong.records.plan import Clip, ShardTask, save_tasks
from audioset_strong.records.shard import write_shard


def _make_folder(folder):
    for name in ("plan", "reports"):
        (folder / name).mkdir(parents=True)
    return str(folder)


@pytest.fixture
def tasks(tmp_path):
    """Plans of three shards of two clips each, saved to a folder."""
    rng = np.random.default_rng(0)
    output_dir = _make_folder(tmp_path / "out")
    tasks = []
    for number in range(3):
        clips = []
        for name in ("a", "b"):
            path = tmp_path / f"{name}{number}.wav"
            soundfile.write(path, 0.1 * rng.standard_normal(32000), 16000)
            clips.append(
                Clip(f"{name}{number}_0", str(path), 10.0, {"weak": []})
            )
        name = f"weak-{number:05d}-of-00003.tfrecord"
        tasks.append(ShardTask(output_dir, "weak", name, tuple(clips)))
    save_tasks(tasks)
    return tasks


def _bytes_of_shards(output_dir):
    paths = sorted(pathlib.Path(output_dir).glob("*.tfrecord"))
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_pipeline_writes_what_single_calls_write(
    tasks, tmp_path, num_workers
):
    names = [task.name for task in tasks]
    write_shards(names, tasks[0].output_dir, BeamRun(num_workers=num_workers))
    alone = _make_folder(tmp_path / "alone")
    for task in tasks:
        write_shard(dataclasses.replace(task, output_dir=alone))
    assert _bytes_of_shards(tasks[0].output_dir) == _bytes_of_shards(alone)
    assert len(_bytes_of_shards(alone)) == 3


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_shard_that_cannot_be_written_ends_the_run_in_one_line(
    tasks, num_workers
):
    # A folder stands where the shard should go.
    pathlib.Path(tasks[1].path).mkdir()
    with pytest.raises(InputError) as caught:
        write_shards(
            [task.name for task in tasks],
            tasks[0].output_dir,
            BeamRun(num_workers=num_workers),
        )
    message = str(caught.value)
    assert "\n" not in message
    assert f"{tasks[1].name}: [Errno 21] Is a directory" in message
    assert "the same command goes on from there" in message
    left = pathlib.Path(tasks[0].output_dir).glob(".tmp-*")
    assert not list(left)


def test_mistakes_of_ours_keep_their_traceback(tasks, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(WriteShard, "setup", fail)
    with pytest.raises(Exception, match="ours") as caught:
        write_shards([tasks[0].name], tasks[0].output_dir, BeamRun("local", 1))
    assert not isinstance(caught.value, InputError)


def test_counters_tell_runners_what_was_done(tasks):
    missing = Clip("c_0", "", 10.0, {"weak": []})
    task = dataclasses.replace(tasks[0], clips=(*tasks[0].clips, missing))
    save_tasks([task])
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = (
        pipeline
        | beam.Create([task.name])
        | beam.ParDo(WriteShard(task.output_dir))
    )
    result = pipeline.run()
    result.wait_until_finish()
    counters = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
    }
    assert counters == {"clips_written": 2, "clips_left_out": 1}
