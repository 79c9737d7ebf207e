"""Preparation on a cluster: runners of Apache Beam, their options and errors.

Two clusters are started here: a Dask scheduler with two worker processes, and a
Beam job service with a pool of workers. Their processes have working folders of
their own and share nothing with the run but the folders of audio and records.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest
from tiny_release import prepare_tiny

from audioset_strong.errors import InputError
from audioset_strong.records.prepare import WorkerParams, import_beam
from audioset_strong.records.tasks import Clip, ShardTask, save_tasks

apache_beam = pytest.importorskip("apache_beam")

from audioset_strong.records import beam  # noqa: E402

_ROOT = str(pathlib.Path(__file__).parents[1])


def test_an_unknown_runner_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'Bogus'.* DaskRunner, .*FlinkRunner"):
        beam.make_runner("Bogus")


def test_a_runner_whose_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "no_such_package", None)
    with pytest.raises(InputError, match="cannot be loaded .*no_such_package"):
        beam.make_runner("no_such_package.Runner")


def test_beam_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "audioset_strong.records.beam")
    monkeypatch.delattr("audioset_strong.records.beam")
    with pytest.raises(InputError, match=r"'audioset_strong\[beam\]'"):
        import_beam("FlinkRunner")


def test_unknown_options_are_found():
    flags = ["--job_endpoint=a:1", "--weak_lables=x", "--region", "r", "stray"]
    unknown = ["--weak_lables=x", "stray"]
    assert beam.unknown_options("FlinkRunner", flags) == unknown
    with pytest.raises(InputError, match=r"no options \['--nope'\]"):
        beam.write_shards([], "", "FlinkRunner", 0, ["--nope"])


def test_missing_options_are_told_in_one_line():
    pytest.importorskip("google.cloud.storage")
    with pytest.raises(InputError, match="Missing required option: project"):
        beam.write_shards([], "", "DataflowRunner")


def test_counters_tell_runners_what_was_done(tmp_path):
    for name in ("plan", "reports"):
        (tmp_path / name).mkdir()
    missing = Clip("a_0", "", 10.0, {"weak": []})
    name = "weak-00000-of-00001.tfrecord"
    save_tasks([ShardTask(str(tmp_path), "weak", name, (missing,))])
    pipeline = apache_beam.Pipeline(runner="FnApiRunner")
    _ = (
        pipeline
        | apache_beam.Create([name])
        | apache_beam.ParDo(beam._WriteShard(str(tmp_path)))
    )
    result = pipeline.run()
    result.wait_until_finish()
    counters = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
    }
    assert counters == {"clips_written": 0, "clips_left_out": 1}


def test_mistakes_of_ours_keep_their_traceback(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(beam, "write_planned_shard", fail)
    with pytest.raises(Exception, match="ours") as caught:
        beam.write_shards(["a"], "", "FnApiRunner")
    assert not isinstance(caught.value, InputError)


def _start(stack, arguments, **settings):
    """Starts a process whose children end with it."""
    process = stack.enter_context(
        subprocess.Popen(
            arguments,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **settings,
        )
    )
    stack.callback(os.killpg, process.pid, 9)
    return process


def _environment():
    """Environment variables by which other processes find this package."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([_ROOT, *sys.path]),
        # Beam's pool of workers starts `python`, which has to be this one.
        "PATH": os.pathsep.join(
            [os.path.dirname(sys.executable), os.environ["PATH"]]
        ),
    }


def _free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _wait_for(port, process):
    while process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("localhost", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"{process.args} ended")


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory):
    """A scheduler and two workers, started as on two machines."""
    for name in ("dask", "distributed"):
        pytest.importorskip(name, reason=f"{name} is not installed: [beam]")
    import distributed

    folder, port = tmp_path_factory.mktemp("dask"), _free_port()
    settings = {"env": _environment()}
    with contextlib.ExitStack() as stack:
        _wait_for(
            port,
            _start(
                stack,
                [
                    *(sys.executable, "-m", "distributed.cli.dask_scheduler"),
                    f"--port={port}",
                    "--no-dashboard",
                ],
                **settings,
            ),
        )
        address = f"tcp://localhost:{port}"
        for name in ("first", "second"):
            (folder / name).mkdir()
            _start(
                stack,
                [
                    *(sys.executable, "-m", "distributed.cli.dask_worker"),
                    address,
                    "--nthreads=1",
                    "--no-dashboard",
                    f"--name={name}",
                    f"--local-directory={folder / name}",
                ],
                cwd=folder / name,
                **settings,
            )
        with distributed.Client(address) as client:
            client.wait_for_workers(2)
        yield WorkerParams(
            0, "DaskRunner", (f"--dask_client_address={address}",)
        )


@pytest.fixture(scope="module")
def beam_cluster(tmp_path_factory):
    """A job service and a pool of workers."""
    modules = {
        "apache_beam.runners.portability.local_job_service_main": "--port",
        "apache_beam.runners.worker.worker_pool_main": "--service_port",
    }
    with contextlib.ExitStack() as stack:
        ports = []
        for module, flag in modules.items():
            ports.append(_free_port())
            process = _start(
                stack,
                [sys.executable, "-m", module, f"{flag}={ports[-1]}"],
                env=_environment(),
                cwd=tmp_path_factory.mktemp("beam"),
            )
            _wait_for(ports[-1], process)
        yield WorkerParams(
            0,
            "PortableRunner",
            (
                f"--job_endpoint=localhost:{ports[0]}",
                "--environment_type=EXTERNAL",
                f"--environment_config=localhost:{ports[1]}",
            ),
        )


def _contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["dask_cluster", "beam_cluster"])
def test_the_same_bytes_as_on_one_machine(
    cluster, tiny_release, tiny_records_dir, tmp_path, request, monkeypatch
):
    workers = request.getfixturevalue(cluster)
    # A relative path: workers have other working folders.
    monkeypatch.chdir(tmp_path)
    prepare_tiny(tiny_release, "out", workers=workers)
    assert _contents("out") == _contents(tiny_records_dir)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["dask_cluster", "beam_cluster"])
def test_a_failure_comes_back_in_one_line(
    cluster, tiny_release, tmp_path, request
):
    workers = request.getfixturevalue(cluster)
    (tmp_path / "weak-00000-of-00002.tfrecord").mkdir()
    with pytest.raises(InputError) as caught:
        prepare_tiny(tiny_release, tmp_path, workers=workers)
    message = str(caught.value)
    assert "\n" not in message
    assert "weak-00000-of-00002.tfrecord: [Errno 21] Is a directory" in message
    assert message.endswith("the same command goes on from there.")


# Slow: on a very busy machine Dask's client waited for ever, twice in a day.
@pytest.mark.slow
def test_both_workers_of_dask_work(dask_cluster, tiny_release, tmp_path):
    """Five shards go to two workers, though Dask's default is 128 for each."""
    import distributed

    def num_tasks(dask_worker):
        return dask_worker.state.executed_count

    address = dask_cluster.runner_options[0].partition("=")[2]
    with distributed.Client(address) as client:
        before = client.run(num_tasks)
        prepare_tiny(tiny_release, tmp_path, workers=dask_cluster)
        after = client.run(num_tasks)
    assert len(after) == 2
    assert all(after[worker] > before[worker] for worker in after)


@pytest.mark.slow
def test_options_of_dask(dask_cluster, tiny_release, tmp_path):
    workers = WorkerParams(
        0,
        "DaskRunner",
        (*dask_cluster.runner_options, "--dask_npartitions=2"),
    )
    assert beam.unknown_options("DaskRunner", workers.runner_options) == []
    prepare_tiny(tiny_release, tmp_path, workers=workers)
