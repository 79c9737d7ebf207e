"""Launch scripts of experiments/audioset/: what they make hosts do."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_AUDIOSET = "experiments/audioset"
_TRAIN = ["-m", "audioset_strong.train"]
_TIMEOUT_SECONDS = 900


def _run(*command, **variables):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=_ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "name", ["launch_multi_worker.sh", "launch_tpu.sh", "run.sh"]
)
def test_scripts_are_bash(name):
    _run("bash", "-n", f"{_AUDIOSET}/{name}")
    assert os.access(_ROOT / _AUDIOSET / name, os.X_OK)


def _on_host(command):
    """Runs what a host would get, and returns TF_CONFIG and arguments."""
    show = 'import os, sys; print(os.environ["TF_CONFIG"]); print(sys.argv[1:])'
    lines = _run("bash", "-c", command, SHOW=show)
    config = json.loads(lines[0])
    return config["cluster"]["worker"], config["task"], lines[1]


@pytest.fixture
def python(tmp_path):
    """A program in Python's place that shows its environment and arguments."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/bash\nexec {sys.executable} -c "$SHOW" "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_hosts_by_ssh(python):
    lines = _run(
        f"{_AUDIOSET}/launch_multi_worker.sh",
        "--workdir=runs/it's mine",
        HOSTS="gpu0 gpu1 gpu2",
        DRY_RUN="1",
        PORT="77",
        PYTHON=python,
        SLURM_JOB_NODELIST="",
    )
    commands = sorted(shlex.split(line)[-2:] for line in lines)
    assert [host for host, _ in commands] == ["gpu0", "gpu1", "gpu2"]
    arguments = [*_TRAIN, "--strategy=multi_worker", "--workdir=runs/it's mine"]
    for index, (_, command) in enumerate(commands):
        assert _on_host(command) == (
            ["gpu0:77", "gpu1:77", "gpu2:77"],
            {"type": "worker", "index": index},
            str(arguments),
        )


def test_hosts_of_a_slurm_job(python, tmp_path):
    for name, script in {
        "scontrol": 'test "$3" = "gpu[4-5]" && printf "gpu4\\ngpu5\\n"',
        # Runs the task with the number 1, without its own flags.
        "srun": "while [[ $1 == --* ]]; do shift; done; "
        'SLURM_PROCID=1 exec "$@"',
    }.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
    found = _on_host(
        f"PATH={tmp_path}:$PATH SLURM_JOB_NODELIST='gpu[4-5]' PYTHON={python} "
        f"{_AUDIOSET}/launch_multi_worker.sh --flagfile=some.flags"
    )
    assert found == (
        ["gpu4:2222", "gpu5:2222"],
        {"type": "worker", "index": 1},
        str([*_TRAIN, "--strategy=multi_worker", "--flagfile=some.flags"]),
    )


def test_no_hosts():
    done = subprocess.run(
        ["bash", f"{_AUDIOSET}/launch_multi_worker.sh"],
        cwd=_ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "names no hosts" in done.stderr


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("1", "TPU_NAME=local NEXT_PLUGGABLE_DEVICE_USE_C_API=true"),
        ("4", "TPU_NAME=slice TPU_LOAD_LIBRARY=0"),
    ],
)
def test_a_tpu_slice(hosts, expected):
    text = "\n".join(
        _run(
            f"{_AUDIOSET}/launch_tpu.sh",
            "--flagfile=some.flags",
            TPU="slice",
            ZONE="zone",
            SOURCE="gs://b/source.tar.gz",
            RECORDS="gs://b/records",
            HOSTS=hosts,
            DRY_RUN="1",
        )
    )
    prepare, start = text.split("\ngcloud")
    ssh = ["compute", "tpus", "tpu-vm", "ssh", "slice", "--zone=zone"]
    assert shlex.split(prepare)[1:8] == [*ssh, "--worker=all"]
    *first, command = shlex.split(start)
    assert first == [*ssh, "--worker=0"]
    assert expected in command
    assert command.rstrip().endswith(
        "python -m audioset_strong.train --strategy=tpu --flagfile=some.flags"
    )
