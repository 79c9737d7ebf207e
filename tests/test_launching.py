"""Flagfiles and launch scripts of experiments/: what they make hosts do."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_AUDIOSET = "experiments/audioset"
_FLAGFILES = sorted(
    str(path.relative_to(_ROOT))
    for path in (_ROOT / _AUDIOSET).glob("*.flags")
    # Part of the others, and of another command.
    if path.stem not in ("common", "table1")
)
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


def _settings(*arguments):
    lines = _run(sys.executable, "tests/flagfile_steps.py", *arguments)
    found = {}
    for line in lines:
        found |= json.loads(line)
    return found


def test_flagfiles_of_the_paper():
    found = _settings(*_FLAGFILES)
    sets = {
        name: (p["training_set"], p["mixed_training_set"], p["mu"])
        for name, p in found.items()
    }
    # Section 4 of the paper.
    assert sets == {
        "weak": ("weak", "", 0.0),
        "weak_small": ("weak_small", "", 0.0),
        "diffuse_small": ("diffuse", "", 0.0),
        "strong_small": ("strong", "", 0.0),
        "plus_diffuse": ("weak", "diffuse", 0.7),
        "plus_strong": ("weak", "strong", 0.8),
    }
    for name, params in found.items():
        assert params["precision"] == "bfloat16"
        # Shared evenly by 8 hosts of 8 GPUs.
        assert params["global_batch_size"] % 64 == 0
        assert bool(params["warm_start_workdir"]) == name.startswith("plus_")
    assert found["plus_strong"]["warm_start_workdir"] == "runs/audioset/weak"


def test_the_flagfile_of_the_demo():
    lines = (_ROOT / "experiments/demo.flags").read_text().splitlines()
    given = {line[2:].split("=")[0] for line in lines if line.startswith("--")}
    code = "import sys; from absl import flags; import experiments.table1; "
    code += (
        "print(flags.FLAGS(['table1', '--flagfile=experiments/demo.flags']))"
    )
    assert given
    assert _run(sys.executable, "-c", code) == ["['table1']"]


@pytest.mark.slow
def test_one_step_of_each_flagfile(tiny_records_dir, tmp_path):
    small = [
        f"--records_dir={tiny_records_dir}",
        f"--workdir={tmp_path}/{{name}}",
        "--num_steps=1",
        "--global_batch_size=4",
        "--warmup_steps=0",
    ]
    # A warm start takes the network from its source, so that one comes first.
    _settings(
        *(path for path in _FLAGFILES if "plus_" not in path),
        "--",
        *small,
        "--width=0.03125",
        "--stem_stride=4",
    )
    _settings(
        *(path for path in _FLAGFILES if "plus_" in path),
        "--",
        *small,
        f"--warm_start_workdir={tmp_path}/weak",
    )
    for path in _FLAGFILES:
        best = tmp_path / pathlib.Path(path).stem / "best"
        assert (best / "ckpt-1.index").exists()


# --- launch scripts ----------------------------------------------------------


@pytest.mark.parametrize("name", ["launch_multi_worker.sh", "launch_tpu.sh"])
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
