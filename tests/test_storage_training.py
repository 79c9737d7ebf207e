"""Training on records in object storage ends in the weights of local ones."""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.files import list_files
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.streams import training_stream
from audioset_strong.training.workdir import begin_or_resume, read_metrics

pytestmark = pytest.mark.xdist_group("s3")
_ROOT = pathlib.Path(__file__).parents[1]
_TIMEOUT_SECONDS = 600
_NETWORK = ModelParams(width=1 / 32, stem_stride=4)
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    num_steps=20,
    global_batch_size=4,
    checkpoint_interval_steps=5,
    log_interval_steps=1,
    shuffle_block_clips=4,
    strategy="cpu",
)


@pytest.fixture(scope="module")
def remote_records_dir(s3_bucket, tiny_records_dir):
    """The records of the tiny release in a bucket."""
    folder = f"{s3_bucket}/tiny_records"
    for path, _ in list_files(tiny_records_dir):
        name = os.path.relpath(path, tiny_records_dir)
        with files.replace_when_whole(f"{folder}/{name}") as temporary:
            shutil.copy(path, temporary)
    return folder


@pytest.mark.parametrize("first_step", [0, 7])
def test_batches_are_the_same(tiny_records_dir, remote_records_dir, first_step):
    local, remote = (
        training_stream(read_records(folder), _PARAMS, first_step).take(20)
        for folder in (tiny_records_dir, remote_records_dir)
    )
    num_batches = 0
    for batch, other in zip(local, remote, strict=True):
        for name, values in batch.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)
        num_batches += 1
    assert num_batches == 20


def test_missing_shards_are_found(remote_records_dir, s3_dir):
    for path, _ in list_files(remote_records_dir):
        if not path.endswith("strong-00000-of-00002.tfrecord"):
            name = path.removeprefix(f"{remote_records_dir}/")
            with files.replace_when_whole(f"{s3_dir}/{name}") as temporary:
                pathlib.Path(temporary).write_bytes(files.read_bytes(path))
    with pytest.raises(InputError, match="00000-of-00002.tfrecord is missing"):
        read_records(s3_dir)


def test_a_remote_workdir_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="local path, found s3://b/run"):
        begin_or_resume("s3://b/run", None, None)
    assert list(tmp_path.iterdir()) == []


def _start(records_dir, workdir):
    settings = {**dataclasses.asdict(_NETWORK), **dataclasses.asdict(_PARAMS)}
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "audioset_strong.train",
            f"--records_dir={records_dir}",
            f"--workdir={workdir}",
            *(f"--{name}={value}" for name, value in settings.items()),
        ],
        cwd=_ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    _, errors = process.communicate(timeout=_TIMEOUT_SECONDS)
    assert process.returncode == 0, errors
    return errors


def _kill_after_step(process, workdir, step):
    path = workdir / "metrics.jsonl"
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not path.exists() or all(
        metrics["step"] < step for metrics in read_metrics(str(path))
    ):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _weights(workdir):
    path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


@pytest.mark.slow
def test_weights_are_the_same_after_a_kill(
    tiny_records_dir, remote_records_dir, tmp_path
):
    local_run = _start(tiny_records_dir, tmp_path / "local")
    remote_run = _start(remote_records_dir, tmp_path / "remote")
    try:
        _kill_after_step(remote_run, tmp_path / "remote", 7)
        remote_run = _start(remote_records_dir, tmp_path / "remote")
        assert "at step 5." in _finish(remote_run)
        _finish(local_run)
    finally:
        local_run.kill()
        remote_run.kill()
    local, remote = (_weights(tmp_path / n) for n in ("local", "remote"))
    assert len(local) > 250
    assert set(local) == set(remote)
    for name, values in local.items():
        np.testing.assert_array_equal(values, remote[name], err_msg=name)
