"""Preparation through a job service and workers that share nothing with it.

As on Flink, Spark or Dataflow: the pipeline goes to a service as a message, and
other processes, which the service asks for, run it.
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
from audioset_strong.records.beam import BeamRun

# What the module sets up takes long: once, in one test process.
pytestmark = pytest.mark.xdist_group("cluster")

_LONGEST_START_SECONDS = 60


def _free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _wait_for(port, process):
    for _ in range(_LONGEST_START_SECONDS * 10):
        with contextlib.suppress(OSError):
            socket.create_connection(("localhost", port), timeout=1).close()
            return
        assert process.poll() is None, "it ended"
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.fixture(scope="module")
def cluster():
    """A job service and a pool of workers; the run that uses them."""
    modules = {
        "apache_beam.runners.portability.local_job_service_main": "--port",
        "apache_beam.runners.worker.worker_pool_main": "--service_port",
    }
    # The pool starts `python`, which has to be this one.
    folder = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    with contextlib.ExitStack() as stack:
        ports = []
        for module, flag in modules.items():
            port = _free_port()
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", module, f"{flag}={port}"],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    # The pool's workers end with it.
                    start_new_session=True,
                )
            )
            stack.callback(os.killpg, process.pid, 9)
            _wait_for(port, process)
            ports.append(port)
        job_port, pool_port = ports
        yield BeamRun(
            "PortableRunner",
            beam_flags=(
                f"--job_endpoint=localhost:{job_port}",
                "--environment_type=EXTERNAL",
                f"--environment_config=localhost:{pool_port}",
            ),
        )


def _contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_as_in_one_process(
    cluster, tiny_release, tiny_records_dir, tmp_path
):
    prepare_tiny(tiny_release, tmp_path, beam_run=cluster)
    assert _contents(tmp_path) == _contents(tiny_records_dir)


def test_a_failure_comes_back_in_one_line(cluster, tiny_release, tmp_path):
    (tmp_path / "weak-00000-of-00002.tfrecord").mkdir()
    with pytest.raises(InputError, match="weak-00000-of-00002.*directory"):
        prepare_tiny(tiny_release, tmp_path, beam_run=cluster)
