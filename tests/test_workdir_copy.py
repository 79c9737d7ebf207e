"""Workdirs in object storage hold what local ones do, at every moment."""

import dataclasses
import os

import keras
import numpy as np
import pytest

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.models.frame_classifier import HEAD_NAME
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.training import state, workdir
from audioset_strong.training.trainer import train
from audioset_strong.training.workdir import is_run, read_run, restore_weights
from audioset_strong.training.workdir_copy import local_workdir

_PARAMS = TrainParams(
    num_steps=4,
    global_batch_size=4,
    shuffle_block_clips=4,
    checkpoint_interval_steps=2,
    log_interval_steps=1,
    deterministic=False,
    strategy="cpu",
)


def _write(folder, name, content):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(content)


def _contents(folder):
    return {
        path.removeprefix(f"{folder}/"): files.read_bytes(path).decode()
        for path, _ in files.list_files(folder)
    }


def test_a_local_workdir_is_itself(tmp_path):
    with local_workdir(str(tmp_path)) as (folder, send):
        send()
        assert folder == str(tmp_path)


def test_what_changed_is_sent_in_order(s3_dir, monkeypatch):
    with files.replace_when_whole(f"{s3_dir}/report.csv") as path:
        _write(*os.path.split(path), "mine")
    done = []
    replace_when_whole, remove = files.replace_when_whole, files.remove
    monkeypatch.setattr(
        files,
        "replace_when_whole",
        lambda path: done.append(path) or replace_when_whole(path),
    )
    monkeypatch.setattr(
        files, "remove", lambda path: done.append(f"-{path}") or remove(path)
    )
    with local_workdir(f"{s3_dir}/") as (folder, send):
        assert os.listdir(folder) == []
        names = [
            "metrics.jsonl",
            "best/ckpt-2.data-00000-of-00001",
            "checkpoints/ckpt-2.data-00000-of-00001",
            "checkpoints/ckpt-2.index",
            "checkpoints/checkpoint",
            "params.json",
        ]
        for name in (*reversed(names), ".lock", "checkpoints/.tmp-x", "notes"):
            _write(folder, name, name)
        send()
        assert done == [f"{s3_dir}/{name}" for name in names]
        done.clear()
        send()
        assert done == []
        _write(folder, "metrics.jsonl", "more")
        for name in names[2:4]:
            os.remove(os.path.join(folder, name))
        send()
        # The index is removed before its data.
        assert done == [
            f"{s3_dir}/metrics.jsonl",
            f"-{s3_dir}/{names[3]}",
            f"-{s3_dir}/{names[2]}",
        ]
    expected = {name: name for name in (names[1], *names[4:])}
    expected["metrics.jsonl"] = "more"
    assert _contents(s3_dir) == {**expected, "report.csv": "mine"}
    # The next run begins with it, on any host.
    with local_workdir(s3_dir) as (folder, _):
        assert _contents(folder) == expected


def test_a_remote_workdir_is_locked(s3_dir, monkeypatch):
    monkeypatch.setattr(files, "_LOCK_RENEWAL_SECONDS", 0.5)
    with (
        local_workdir(s3_dir),
        pytest.raises(InputError, match="the only process"),
        local_workdir(s3_dir),
    ):
        pass
    # And free again.
    with local_workdir(s3_dir):
        pass


@pytest.mark.slow
def test_a_remote_run_goes_on_as_a_local_one(
    s3_dir, tiny_records_dir, tmp_path, monkeypatch
):
    def build(num_classes, *_):
        patches = keras.Input((96, 64))
        means = keras.layers.GlobalAveragePooling1D()(patches)
        logits = keras.layers.Dense(num_classes, name=HEAD_NAME)(means)
        return keras.Model(patches, {"logits": logits})

    monkeypatch.setattr(state, "build_frame_classifier", build)
    monkeypatch.setattr(workdir, "build_frame_classifier", build)
    results = []
    for folder in (s3_dir, str(tmp_path / "run")):
        assert not is_run(folder)
        for num_steps in (2, 4):
            params = dataclasses.replace(_PARAMS, num_steps=num_steps)
            result = train(tiny_records_dir, folder, ModelParams(), params)
        results.append(result)
        assert is_run(folder)
    assert results[0] == results[1]
    remote, local = (
        sorted(name for name in _contents_names(folder))
        for folder in (s3_dir, str(tmp_path / "run"))
    )
    assert remote == local
    assert read_run(s3_dir)[0].train.num_steps == 4
    weights = []
    for folder in (s3_dir, str(tmp_path / "run")):
        model = build(4)
        restore_weights(folder, model)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match=r"train\.seed: 0 there, 1 now"):
        train(
            tiny_records_dir,
            s3_dir,
            ModelParams(),
            dataclasses.replace(_PARAMS, seed=1),
        )


def _contents_names(folder):
    """Names of a workdir's files but for those that hold a time."""
    for path, _ in files.list_files(folder):
        name = path.removeprefix(f"{folder}/")
        if "tfevents" not in name and name != ".lock":
            yield name


def test_a_missing_bucket_is_one_line(s3_bucket, tiny_records_dir):
    with pytest.raises(OSError, match="bucket no-such-bucket does not exist"):
        train(
            tiny_records_dir, "s3://no-such-bucket/run", ModelParams(), _PARAMS
        )
