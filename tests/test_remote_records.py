"""Audio, labels and records in object storage give the same as local ones."""

import dataclasses
import gc
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from s3_server import environment_of, run_s3_server

from audioset_strong import files
from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.audio.listing import list_audio
from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, RecordParams, TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.prepare import WorkerParams, prepare_records
from audioset_strong.records.streams import (
    label_frame_batches,
    read_batches,
    training_stream,
)
from audioset_strong.training.metrics_log import read_metrics

_ROOT = pathlib.Path(__file__).parents[1]
# YAMNet's, which is traced in half the time of the paper's.
_NETWORK = ModelParams("mobilenet_v1", width=1 / 32)
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


def _upload(local_dir, remote_dir):
    for path, _ in files.list_files(local_dir):
        name = os.path.relpath(path, local_dir)
        with files.replace_when_whole(f"{remote_dir}/{name}") as temporary:
            shutil.copy(path, temporary)
    return remote_dir


def _prepare(release, output_dir):
    return prepare_records(
        f"{release}/audio",
        [f"{release}/weak.csv"],
        [f"{release}/strong.tsv"],
        f"{release}/classes.csv",
        str(output_dir),
        RecordParams(held_out_fraction=0.2, clips_per_shard=4),
        workers=WorkerParams(num_workers=1),
    )


@pytest.fixture(scope="module")
def remote_release(s3_bucket, tiny_release):
    """The tiny release in a bucket."""
    return _upload(str(tiny_release), f"{s3_bucket}/tiny_release")


@pytest.fixture(scope="module")
def remote_records_dir(s3_bucket, tiny_records_dir):
    """The records of the tiny release in a bucket."""
    return _upload(tiny_records_dir, f"{s3_bucket}/tiny_records")


def _run(module, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", f"audioset_strong.{module}", *arguments],
        cwd=_ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        **options,
    )


def test_audio_is_listed_as_in_a_local_folder(s3_dir, tmp_path):
    for name, num_bytes in {
        "b_30000.flac": 3,
        "a.wav": 2,
        "none.mp3": 0,
        "cut.webm.part": 5,
        "labels.csv": 4,
        "more/-dash.wav": 7,
        "more/deep/Y_under.ogg": 8,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(num_bytes))
    _upload(str(tmp_path), s3_dir)
    local = repr(list_audio(str(tmp_path)))
    assert repr(list_audio(s3_dir)) == local.replace(str(tmp_path), s3_dir)
    assert not any(vars(list_audio(f"{s3_dir}/none")).values())
    with pytest.raises(AudioError, match="empty_file"):
        decode_audio(f"{s3_dir}/none.mp3", 16000)
    with pytest.raises(AudioError, match="missing"):
        decode_audio(f"{s3_dir}/gone.mp3", 16000)


def test_records_are_those_of_local_files(
    remote_release, tiny_release, tiny_records_dir, s3_dir, monkeypatch
):
    manifest = _prepare(remote_release, s3_dir)
    local = _prepare(tiny_release, tiny_records_dir)  # reads the manifest
    problems = manifest.pop("label_problems")
    assert [p.replace(remote_release, str(tiny_release)) for p in problems] == (
        local.pop("label_problems")
    )
    assert manifest == local
    names = sorted(p[len(s3_dir) :] for p, _ in files.list_files(s3_dir))
    assert names == sorted(
        path[len(tiny_records_dir) :]
        for path, _ in files.list_files(tiny_records_dir)
        if not path.endswith(files.LOCK_NAME)
    )
    shards = [name for name in names if name.endswith(".tfrecord")]
    for name in shards:
        expected = pathlib.Path(tiny_records_dir + name).read_bytes()
        assert files.read_bytes(s3_dir + name) == expected
    # Only what is missing is written again.
    files.remove(s3_dir + shards[0])
    with pytest.raises(InputError, match=f"{shards[0]} is missing"):
        read_records(s3_dir)
    uploaded, replace_when_whole = [], files.replace_when_whole
    monkeypatch.setattr(
        files,
        "replace_when_whole",
        lambda path: uploaded.append(path) or replace_when_whole(path),
    )
    _prepare(remote_release, s3_dir)
    assert [p for p in uploaded if p.endswith(".tfrecord")] == [
        s3_dir + shards[0]
    ]
    assert files.read_bytes(s3_dir + shards[0])


@pytest.mark.slow
def test_batches_are_those_of_local_records(
    tiny_records_dir, remote_records_dir
):
    local, remote = map(read_records, (tiny_records_dir, remote_records_dir))
    for expected, found in (
        (
            training_stream(local, _PARAMS, 7).take(20),
            training_stream(remote, _PARAMS, 7).take(20),
        ),
        (
            label_frame_batches(local, ["held_out", "strong"]),
            label_frame_batches(remote, ["held_out", "strong"]),
        ),
    ):
        for batch, other in zip(expected, found, strict=True):
            for name, values in batch.items():
                np.testing.assert_array_equal(values, other[name], name)


def test_a_missing_bucket_is_one_line(s3_bucket):
    done = _run("records_info", "--records_dir=s3://no-such-bucket/records")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "records_info: error: The bucket no-such-bucket does not exist: "
        "s3://no-such-bucket/records/manifest.json"
    )


@pytest.mark.slow
def test_a_server_that_dies_while_shards_are_written(s3_bucket, tiny_release):
    dies_at = "PUT /strong-00001-of-00002.tfrecord"
    with (
        run_s3_server(dies_at) as endpoint,
        environment_of(endpoint),
        pytest.raises(InputError, match="could not be used") as caught,
    ):
        _prepare(tiny_release, "s3://clips/records")
    assert endpoint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_dies_while_shards_are_read(s3_bucket, tiny_records_dir):
    dies_at = "GET /strong-00001-of-00002.tfrecord"
    with run_s3_server(dies_at) as endpoint, environment_of(endpoint):
        records = read_records(_upload(tiny_records_dir, "s3://clips/records"))
        batches = label_frame_batches(records, ["weak", "strong"])
        with pytest.raises(OSError, match="could not be used") as caught:
            list(read_batches(batches, records))
        assert endpoint in caught.value.strerror
        assert caught.value.filename.startswith("s3://clips/records/")
        # The stream, and copies under way, would go on in the next test.
        del caught, batches
        gc.collect()
        for thread in threading.enumerate():
            if "copy_ahead" in thread.name:
                thread.join()


# --- whole runs ------------------------------------------------------------


def _train_arguments(records_dir, workdir):
    settings = {**dataclasses.asdict(_NETWORK), **dataclasses.asdict(_PARAMS)}
    return [
        f"--records_dir={records_dir}",
        f"--workdir={workdir}",
        *(f"--{name}={value}" for name, value in settings.items()),
    ]


def _kill_after_step(arguments, workdir, step):
    process = subprocess.Popen(
        [sys.executable, "-m", "audioset_strong.train", *arguments],
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    path = workdir / "metrics.jsonl"
    while not path.exists() or all(
        metrics["step"] < step for metrics in read_metrics(str(path))
    ):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _weights(workdir):
    path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


@pytest.mark.stress
def test_weights_are_the_same_after_a_kill(
    tiny_records_dir, remote_records_dir, tmp_path
):
    done = _run(
        "train", *_train_arguments(tiny_records_dir, tmp_path / "local")
    )
    assert done.returncode == 0, done.stderr
    arguments = _train_arguments(remote_records_dir, tmp_path / "remote")
    _kill_after_step(arguments, tmp_path / "remote", 7)
    # A run may go on with another cache.
    done = _run("train", *arguments, f"--cache_dir={tmp_path / 'cache'}")
    assert done.returncode == 0, done.stderr
    assert "at step 5." in done.stderr
    local, remote = (_weights(tmp_path / n) for n in ("local", "remote"))
    assert len(local) > 250
    assert set(local) == set(remote)
    for name, values in local.items():
        np.testing.assert_array_equal(values, remote[name], err_msg=name)
    scores = []
    for records_dir in (tiny_records_dir, remote_records_dir):
        path = tmp_path / f"{len(scores)}.npz"
        done = _run(
            "score_records",
            f"--workdir={tmp_path / 'remote'}",
            f"--records_dir={records_dir}",
            f"--output={path}",
        )
        assert done.returncode == 0, done.stderr
        scores.append(path.read_bytes())
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_a_server_that_dies_ends_training_in_one_line(
    s3_bucket, tiny_records_dir, tmp_path
):
    dies_at = "GET /weak-00001-of-00002.tfrecord"
    with run_s3_server(dies_at) as endpoint, environment_of(endpoint):
        records_dir = _upload(tiny_records_dir, "s3://clips/records")
        done = _run("train", *_train_arguments(records_dir, tmp_path / "run"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("train: error: The object storage could not be used")
    assert endpoint in last
