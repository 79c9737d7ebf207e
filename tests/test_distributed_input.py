"""Replicas get the parts of the same batches, in order."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.errors import InputError
from audioset_strong.params import TrainParams
from audioset_strong.records.streams import InputWorker, training_stream
from audioset_strong.training.distributed_input import distribute_stream

_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    global_batch_size=6,
    shuffle_block_clips=8,
)


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


def test_one_device_gets_whole_batches(tmp_path):
    records = write_pinned_records(tmp_path)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    found = iter(distribute_stream(strategy, records, _PARAMS, first_step=2))
    for expected in training_stream(records, _PARAMS, first_step=2).take(3):
        batch = next(found)
        for name, values in expected.items():
            np.testing.assert_array_equal(batch[name], values)


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


def test_batches_that_hosts_cannot_share(tmp_path):
    records = write_pinned_records(tmp_path)
    with pytest.raises(InputError, match="cannot be shared evenly by 4"):
        distribute_stream(_Hosts(4), records, _PARAMS, first_step=0)


def test_two_devices_share_a_batch(tmp_path):
    # Logical devices have to be set before TensorFlow starts.
    done = subprocess.run(
        [sys.executable, str(pathlib.Path(__file__)), str(tmp_path)],
        cwd=pathlib.Path(__file__).parents[1],
        env={
            **os.environ,
            "PYTHONPATH": str(pathlib.Path(__file__).parents[1]),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "sizes": [[3, 3]] * 3,
        "equal": True,
    }


def _compare_devices(folder):
    """Prints whether two logical CPUs get the batches that one gets."""
    [cpu] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    records = write_pinned_records(folder)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    found = iter(distribute_stream(strategy, records, _PARAMS, first_step=0))
    sizes, is_equal = [], True
    for expected in training_stream(records, _PARAMS).take(3):
        batch = next(found)
        parts = strategy.experimental_local_results(batch["patches"])
        sizes.append([len(part) for part in parts])
        for name, values in expected.items():
            parts = strategy.experimental_local_results(batch[name])
            joined = np.concatenate([part.numpy() for part in parts])
            is_equal &= bool(np.array_equal(joined, values))
    print(json.dumps({"sizes": sizes, "equal": is_equal}))


if __name__ == "__main__":
    _compare_devices(sys.argv[1])
