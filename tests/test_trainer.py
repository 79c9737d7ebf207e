"""Training: it learns, it starts warm, and a killed run ends in the same bits.

Runs are processes of their own where bits are compared, since deterministic
kernels are a setting of the whole process.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.training import trainer
from audioset_strong.training.trainer import learning_rate_schedule, train
from audioset_strong.training.workdir import read_metrics, read_run

_ROOT = pathlib.Path(__file__).parents[1]
# Tracing a ResNet-50 takes half a minute on a busy machine, several times that
# on an overloaded one.
_TIMEOUT_SECONDS = 600
_NETWORK = ModelParams(width=1 / 32, stem_stride=4)
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    num_steps=30,
    global_batch_size=8,
    learning_rate=0.003,
    checkpoint_interval_steps=10,
    log_interval_steps=1,
    shuffle_block_clips=4,
    strategy="cpu",
)


def _start_training(records_dir, workdir):
    settings = {
        "records_dir": records_dir,
        "workdir": workdir,
        **dataclasses.asdict(_NETWORK),
        **dataclasses.asdict(_PARAMS),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "audioset_strong.train"]
        + [f"--{name}={value}" for name, value in settings.items()],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    _, errors = process.communicate(timeout=_TIMEOUT_SECONDS)
    assert process.returncode == 0, errors
    return errors


def _metrics(workdir):
    path = pathlib.Path(workdir) / "metrics.jsonl"
    return read_metrics(str(path)) if path.exists() else []


def _kill_after_step(process, workdir, step):
    """Kills a run once its metrics have come to a step."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not any(m["step"] >= step for m in _metrics(workdir)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def workdirs(tiny_records_dir, tmp_path_factory):
    """Workdirs of a run, and of one that was killed and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    whole, killed = str(folder / "whole"), str(folder / "killed")
    whole_run = _start_training(tiny_records_dir, whole)
    killed_run = _start_training(tiny_records_dir, killed)
    processes = [whole_run, killed_run]
    try:
        _kill_after_step(killed_run, killed, 13)
        # Killed between its first checkpoint and its second.
        steps_killed = [m["step"] for m in _metrics(killed)]
        assert 13 <= max(steps_killed) < 20
        resumed_run = _start_training(tiny_records_dir, killed)
        processes.append(resumed_run)
        errors = _finish(resumed_run)
        _finish(whole_run)
    finally:
        for process in processes:
            process.kill()
    assert f"Resuming {killed} at step 10." in errors
    return whole, killed


def _variables(workdir, folder):
    path = tf.train.latest_checkpoint(os.path.join(workdir, folder))
    reader = tf.train.load_checkpoint(path)
    return os.path.basename(path), {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        # A graph of the objects and the manager's paths: no state of training.
        if not name.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


@pytest.mark.parametrize("folder", ["checkpoints", "best"])
def test_a_killed_run_ends_in_the_same_bits(workdirs, folder):
    whole, killed = (_variables(workdir, folder) for workdir in workdirs)
    assert whole[0] == killed[0]
    assert set(whole[1]) == set(killed[1])
    assert len(whole[1]) > 250
    for name, values in whole[1].items():
        assert values.dtype == killed[1][name].dtype
        np.testing.assert_array_equal(values, killed[1][name], err_msg=name)


def test_a_killed_run_writes_the_same_metrics(workdirs):
    whole, killed = (
        [
            {k: v for k, v in m.items() if k != "examples_per_second"}
            for m in _metrics(workdir)
        ]
        for workdir in workdirs
    )
    assert whole == killed
    assert [m["step"] for m in whole if "loss" in m] == list(range(1, 31))
    validated = [m["step"] for m in whole if "validation_d_prime" in m]
    assert validated == [10, 20, 30]


def test_it_learns_and_logs(workdirs):
    metrics = [m for m in _metrics(workdirs[0]) if "loss" in m]
    losses = [m["loss"] for m in metrics]
    # At first four scores of 0.01, one or two of which should be 1: 4.6 nats
    # each.
    assert losses[0] > 4.6
    assert np.mean(losses[-5:]) < 3
    # 240 examples at mu = 0.5: standard error 0.03.
    assert abs(np.mean([m["mixed_share"] for m in metrics]) - 0.5) < 0.13
    assert any(pathlib.Path(workdirs[0], "tensorboard").iterdir())


def test_settings_are_saved_with_the_run(workdirs):
    params, class_map = read_run(workdirs[0])
    assert (params.train, params.model) == (_PARAMS, _NETWORK)
    assert class_map.num_classes == 4


def test_a_finished_run_stays_as_it_is(workdirs, tiny_records_dir):
    before = _variables(workdirs[0], "checkpoints")[1]
    result = train(tiny_records_dir, workdirs[0], _NETWORK, _PARAMS)
    after = _variables(workdirs[0], "checkpoints")[1]
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])
    d_primes = {
        m["step"]: m["validation_d_prime"]
        for m in _metrics(workdirs[0])
        if "validation_d_prime" in m
    }
    # Of equal ones the last.
    assert result["best_d_prime"] == max(d_primes.values())
    assert d_primes[result["best_step"]] == result["best_d_prime"]


def test_a_warm_start_goes_on_from_the_weights(
    workdirs, tiny_records_dir, tmp_path, monkeypatch
):
    # A step that changes nothing shows the weights that training starts from.
    monkeypatch.setattr(
        trainer, "_make_train_step", lambda *_: lambda _: tf.zeros([2])
    )
    monkeypatch.setattr(
        trainer,
        "make_score_patches",
        lambda _: lambda patches: tf.zeros([len(patches), 4]),
    )
    params = dataclasses.replace(
        _PARAMS,
        num_steps=1,
        deterministic=False,
        warm_start_workdir=workdirs[0],
    )
    train(tiny_records_dir, str(tmp_path), _NETWORK, params)
    warm = _variables(tmp_path, "best")[1]
    source = _variables(workdirs[0], "best")[1]
    assert set(warm) == set(source)
    for name, values in source.items():
        np.testing.assert_array_equal(warm[name], values, err_msg=name)
    # The weights only: step and optimizer are new.
    state = _variables(tmp_path, "checkpoints")[1]
    [iterations] = [v for n, v in state.items() if "iterations" in n]
    assert iterations == 0


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            ModelParams(width=1 / 64, stem_stride=4),
            r"another network \(width: 0.03125 there, 0.015625 in",
        ),
        (_NETWORK, "holds no params"),
    ],
)
def test_a_warm_start_from_elsewhere_is_refused(
    workdirs, tiny_records_dir, tmp_path, network, message
):
    source = str(tmp_path / "none") if "no params" in message else workdirs[0]
    params = dataclasses.replace(
        _PARAMS, warm_start_workdir=source, deterministic=False
    )
    with pytest.raises(InputError, match=message):
        train(tiny_records_dir, str(tmp_path / "new"), network, params)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mu": 0.6, "deterministic": False},
            r"train\.mu: 0\.5 there, 0\.6 now",
        ),
        ({"deterministic_input": False}, "Turn deterministic off too"),
    ],
)
def test_settings_that_do_not_fit(workdirs, tiny_records_dir, changes, message):
    params = dataclasses.replace(_PARAMS, **changes)
    with pytest.raises(InputError, match=message):
        train(tiny_records_dir, workdirs[0], _NETWORK, params)


def _learning_rates(steps, **settings):
    params = TrainParams(learning_rate=0.1, **settings)
    schedule = learning_rate_schedule(params)
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        ({}, [0, 5, 99, 200], [0.1, 0.1, 0.1, 0.1]),
        (
            {"learning_rate_decay": "cosine"},
            [0, 25, 50, 100],
            [0.1, 0.05 * (1 + np.cos(np.pi / 4)), 0.05, 0],
        ),
        (
            {"learning_rate_decay": "cosine", "warmup_steps": 10},
            [0, 5, 10, 55, 100],
            [0, 0.05, 0.1, 0.05, 0],
        ),
        ({"warmup_steps": 10}, [0, 5, 10, 60], [0, 0.05, 0.1, 0.1]),
    ],
)
def test_learning_rates(settings, steps, expected):
    found = _learning_rates(steps, num_steps=100, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_an_unknown_decay_is_refused():
    with pytest.raises(InputError, match="Received: 'linear'"):
        _learning_rates([0], learning_rate_decay="linear")
