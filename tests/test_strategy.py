"""Devices: which are chosen, what each reads, and a step on two of them."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.errors import InputError
from audioset_strong.params import TrainParams
from audioset_strong.records.streams import InputWorker, training_stream
from audioset_strong.training.strategy import (
    distribute_stream,
    get_strategy,
    make_reproducible,
)

_TESTS = pathlib.Path(__file__).parent
_PARAMS = TrainParams(global_batch_size=6, shuffle_block_clips=8)


def test_choices():
    with pytest.raises(InputError, match=r"'auto', 'cpu'.*Received: 'cuda'"):
        get_strategy("cuda")
    assert get_strategy("cpu").num_replicas_in_sync == 1
    if tf.config.list_logical_devices("GPU"):
        for choice in ("auto", "gpu"):
            strategy = get_strategy(choice)
            assert isinstance(strategy, tf.distribute.MirroredStrategy)
    else:
        strategy = get_strategy("auto")
        assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
        with pytest.raises(InputError, match="sees no GPU"):
            get_strategy("gpu")


def test_the_seed_decides_the_first_weights():
    weights = []
    for seed in (1, 1, 2):
        make_reproducible(seed, deterministic=False)
        weights.append(keras.random.normal([5]).numpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


class _Hosts:
    """Stands in for a strategy on several hosts, of two replicas each."""

    def __init__(self, num_hosts):
        self._num_hosts = num_hosts

    def distribute_datasets_from_function(self, dataset_of):
        return [
            dataset_of(
                tf.distribute.InputContext(
                    self._num_hosts, index, 2 * self._num_hosts
                )
            )
            for index in range(self._num_hosts)
        ]


def test_hosts_read_their_shares(tmp_path):
    records = write_pinned_records(tmp_path)
    streams = distribute_stream(_Hosts(3), records, _PARAMS, first_step=1)
    for index, stream in enumerate(streams):
        expected = training_stream(
            records, _PARAMS, 1, InputWorker(index, 3), num_splits=2
        )
        for batch, found in zip(expected.take(2), stream.take(2)):
            assert found["patches"].shape == (1, 96, 64)
            np.testing.assert_array_equal(batch["patches"], found["patches"])
    with pytest.raises(InputError, match="evenly by 4 input workers with 2"):
        distribute_stream(_Hosts(4), records, _PARAMS, first_step=0)


def test_one_device_gets_whole_batches(tmp_path):
    records = write_pinned_records(tmp_path)
    found = iter(distribute_stream(get_strategy("cpu"), records, _PARAMS, 2))
    for expected in training_stream(records, _PARAMS, first_step=2).take(2):
        np.testing.assert_array_equal(
            next(found)["patches"], expected["patches"]
        )


def test_two_devices_do_what_one_does(tmp_path):
    paths = [str(_TESTS.parent), str(_TESTS)]
    done = subprocess.run(
        [sys.executable, str(_TESTS / "two_devices.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["sizes"] == [4]
    assert report["equal_batches"]
    assert report["loss_shared"] == pytest.approx(report["loss"], rel=1e-5)
    # Another order of additions; weights are of the order of 1.
    assert report["difference_shared"] < 1e-4
    # The test would notice.
    assert report["difference_own"] > 1e-2
