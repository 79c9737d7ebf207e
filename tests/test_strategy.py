"""Devices: which are chosen, what each reads, and a step on two of them."""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.errors import InputError
from audioset_strong.params import RecipeParams, TrainParams
from audioset_strong.records.streams import InputWorker, training_stream
from audioset_strong.training import strategy as strategies
from audioset_strong.training.metrics_log import read_metrics
from audioset_strong.training.strategy import (
    distribute_stream,
    get_strategy,
    make_reproducible,
    read_cluster,
    worker_of,
)

_TESTS = pathlib.Path(__file__).parent
# Generous, for a busy machine.
_TIMEOUT_SECONDS = 600
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
    params = dataclasses.replace(_PARAMS, global_batch_size=3)
    with pytest.raises(InputError, match="mixup_share.* 6. Received: 3"):
        distribute_stream(
            _Hosts(3), records, params, 0, RecipeParams(mixup_share=0.1)
        )


def test_one_device_gets_whole_batches(tmp_path):
    records = write_pinned_records(tmp_path)
    found = iter(distribute_stream(get_strategy("cpu"), records, _PARAMS, 2))
    for expected in training_stream(records, _PARAMS, first_step=2).take(2):
        np.testing.assert_array_equal(
            next(found)["patches"], expected["patches"]
        )


@pytest.mark.slow
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
    assert report["difference_scores"] < 1e-6
    assert report["loss_shared"] == pytest.approx(report["loss"], rel=1e-5)
    # Another order of additions; weights are of the order of 1.
    assert report["difference_shared"] < 1e-4
    # The test would notice.
    assert report["difference_own"] > 1e-2


# --- several workers ---------------------------------------------------------


def _free_ports(count):
    """Finds ports below those that systems give to outgoing connections."""
    found = []
    for port in random.sample(range(15000, 32000), 1000):
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
        if len(found) == count:
            break
    return found


def _start_workers(*arguments):
    """Starts both workers of tests/two_workers.py."""
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    return [
        subprocess.Popen(
            [sys.executable, str(_TESTS / "two_workers.py"), *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    [str(_TESTS.parent), str(_TESTS)]
                ),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": addresses},
                        "task": {"type": "worker", "index": index},
                    }
                ),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def _finish(processes):
    """Returns what the workers printed, both of which must end well."""
    try:
        ends = [p.communicate(timeout=_TIMEOUT_SECONDS) for p in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, ends):
        assert process.returncode == 0, errors
    return [json.loads(output.splitlines()[-1]) for output, _ in ends]


def _weights(workdir):
    path = tf.train.latest_checkpoint(os.path.join(workdir, "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


@pytest.mark.slow
def test_two_workers_do_what_one_process_does(tiny_records_dir, tmp_path):
    workdir = tmp_path / "run"
    reports = _finish(_start_workers(tiny_records_dir, str(workdir)))
    for report in reports:
        # What they tell each other, as the chief has it or joined.
        assert report["contents"] == ["", "ab"]
        assert report["rows"] == np.full([3, 2], 0.1, np.float32).tolist()
        infinite, numbers, floats = report["state"]
        assert infinite == -np.inf
        assert numbers == [5, 2]
        assert floats == np.full([3, 5], 0.1, np.float32).tolist()
        assert report["from_chief"] == [0.1, 0]
        assert (
            "Worker 1 was started for another run (train.seed: 1 there, 0 on "
            "the chief)"
        ) in report["refusal"]
        # What they read, compute and find.
        assert report["equal_streams"]
        loss, loss_of_two = report["losses"]
        assert loss_of_two == pytest.approx(loss, rel=1e-5)
        assert report["difference"] < 1e-4
        of_two, of_one = report["validation"]
        assert of_two == of_one
        assert of_two[1] is not None
        assert report["best_step"] in (4, 8, 12)
    chief, other = reports
    assert chief["best_value"] == other["best_value"]
    # Only the chief writes.
    steps = [m["step"] for m in read_metrics(str(workdir / "metrics.jsonl"))]
    assert sorted(set(steps)) == list(range(1, 13))
    assert len(_weights(workdir)) > 20
    # And where one fails, the other says so and ends too.
    assert other["error"] == "No space left on this worker."
    assert (
        "worker 1 ended: No space left on this worker. Start all workers again"
    ) in chief["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "sent_to"),
    [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGTERM, 1)],
)
def test_ended_workers_go_on_to_the_same_bits(
    tiny_records_dir, tmp_path, number, sent_to
):
    _finish(_start_workers(tiny_records_dir, str(tmp_path / "whole"), "0"))
    arguments = tiny_records_dir, str(tmp_path / "ended")
    processes = _start_workers(*arguments, "0.5")
    metrics_path = tmp_path / "ended" / "metrics.jsonl"
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    try:
        while not metrics_path.exists() or all(
            m["step"] < 6 for m in read_metrics(str(metrics_path))
        ):
            codes = [process.poll() for process in processes]
            assert codes == [None, None], processes[sent_to].communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        processes[sent_to].send_signal(number)
        # The other does not wait for ever.
        ends = [p.communicate(timeout=_TIMEOUT_SECONDS)[1] for p in processes]
    finally:
        for process in processes:
            process.kill()
    if number == signal.SIGTERM:
        assert [process.returncode for process in processes] == [143, 143]
    else:
        assert processes[1 - sent_to].returncode == 1
        assert "does not answer any more" in ends[1 - sent_to]
    _finish(_start_workers(*arguments, "0"))
    whole, ended = (_weights(tmp_path / n) for n in ("whole", "ended"))
    assert set(whole) == set(ended)
    for name, values in whole.items():
        np.testing.assert_array_equal(values, ended[name], err_msg=name)


def test_workers_draw_every_clip_once_a_pass(tmp_path):
    records = write_pinned_records(tmp_path)
    params = TrainParams(
        training_set="strong", global_batch_size=3, shuffle_block_clips=4
    )
    num_clips = 15  # 5 for each of 3 workers, one a step
    drawn = [
        batch["segment_id"].numpy()[0]
        for index in range(3)
        for batch in training_stream(
            records,
            params,
            first_step=5,
            worker=InputWorker(index, 3),
            with_segment_ids=True,
        ).take(5)
    ]
    assert len(set(drawn)) == len(drawn) == num_clips


_BAD_CLUSTERS = {
    "no JSON": "{'cluster': 1}",
    "a list": "[1, 2]",
    "no task": '{"cluster": {"worker": ["a:1", "b:2"]}}',
    "no port": '{"cluster": {"worker": ["a", "b:2"]}, "task": {"type": '
    '"worker", "index": 0}}',
    "the same twice": '{"cluster": {"worker": ["a:1", "a:1"]}, "task": '
    '{"type": "worker", "index": 0}}',
    "no such worker": '{"cluster": {"worker": ["a:1", "b:2"]}, "task": '
    '{"type": "worker", "index": 2}}',
    "no such job": '{"cluster": {"worker": ["a:1", "b:2"]}, "task": '
    '{"type": "chief", "index": 0}}',
    "parameter server": '{"cluster": {"worker": ["a:1"], "ps": ["b:2"]}, '
    '"task": {"type": "worker", "index": 0}}',
    "two chiefs": '{"cluster": {"chief": ["a:1", "b:2"]}, "task": {"type": '
    '"chief", "index": 0}}',
}


@pytest.mark.parametrize("text", _BAD_CLUSTERS.values(), ids=_BAD_CLUSTERS)
def test_a_bad_cluster_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="Expected TF_CONFIG like") as caught:
        get_strategy("auto")
    assert str(caught.value).endswith(f"Received: {text}")
    assert "\n" not in str(caught.value)


def _cluster(addresses, index, job="worker"):
    jobs = {"worker": addresses}
    if job == "chief":
        jobs = {"chief": addresses[:1], "worker": addresses[1:]}
    task = {"type": "worker" if index or job == "worker" else job}
    task["index"] = index - (job == "chief" and index > 0)
    return json.dumps({"cluster": jobs, "task": task})


def test_clusters(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert read_cluster() is None
    with pytest.raises(InputError, match="needs the environment variable"):
        get_strategy("multi_worker")
    for text in ("", "{}", '{"cluster": {}}'):
        monkeypatch.setenv("TF_CONFIG", text)
        assert read_cluster() is None
    addresses = ("a:1", "b:2", "c:3")
    for job in ("worker", "chief"):
        for index in range(3):
            monkeypatch.setenv("TF_CONFIG", _cluster(addresses, index, job))
            assert read_cluster() == (addresses, index)
    with pytest.raises(InputError, match="names 3 workers, but .* 'cpu' is"):
        get_strategy("cpu")
    # One worker is one process.
    monkeypatch.setenv("TF_CONFIG", _cluster(("a:1",), 0))
    strategy = get_strategy("multi_worker")
    assert not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    assert worker_of(strategy) == InputWorker(0, 1)


def test_workers_that_do_not_come(monkeypatch):
    ports = _free_ports(2)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    monkeypatch.setenv("TF_CONFIG", _cluster(addresses, 0))
    monkeypatch.setattr(strategies, "_START_SECONDS", 0.3)
    with pytest.raises(InputError, match=f"Waited .* for {addresses[1]} of"):
        get_strategy("multi_worker")
    with (
        socket.create_server(("", ports[0])),
        pytest.raises(
            InputError, match=f"cannot listen at the port {ports[0]}"
        ),
    ):
        get_strategy("multi_worker")


# --- TPU ---------------------------------------------------------------------


class _Resolver:
    """Stands in for TPUClusterResolver."""

    def __init__(self, addresses=()):
        self._addresses = addresses

    def cluster_spec(self):
        jobs = {"worker": list(self._addresses)} if self._addresses else {}
        return tf.train.ClusterSpec(jobs)


@pytest.mark.parametrize("name", ["", "my-tpu"])
def test_a_tpu_is_connected_to(monkeypatch, name):
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        resolver = _Resolver([address] if name else [])

        def record(call, value=None):
            return lambda *arguments: calls.append((call, *arguments)) or value

        monkeypatch.setenv("TPU_NAME", name)
        for place, attribute, value in (
            (tf.distribute.cluster_resolver, "TPUClusterResolver", resolver),
            (tf.config, "experimental_connect_to_cluster", None),
            (tf.tpu.experimental, "initialize_tpu_system", None),
            (tf.distribute, "TPUStrategy", "strategy"),
        ):
            monkeypatch.setattr(place, attribute, record(attribute, value))
        assert get_strategy("tpu") == "strategy"
    assert calls == [
        ("TPUClusterResolver", name or "local"),
        ("experimental_connect_to_cluster", resolver),
        ("initialize_tpu_system", resolver),
        ("TPUStrategy", resolver),
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("local", "TPUs not found in the cluster"),
        ("grpc://127.0.0.1:PORT", "refused"),
        ("grpc://none.invalid:8470", "for the strategy .tpu."),
    ],
)
def test_a_missing_tpu_is_one_line(monkeypatch, name, reason):
    name = name.replace("PORT", str(_free_ports(1)[0]))
    monkeypatch.setenv("TPU_NAME", name)
    with pytest.raises(InputError, match=reason) as caught:
        get_strategy("tpu")
    assert str(caught.value).startswith(f"There is no TPU {name!r} for")
    assert "\n" not in str(caught.value)
