"""Trains a run that is killed again and again, and one that is left alone.

    python tests/disturbed_training.py /tmp/disturbed --ema_decay=0.9 ...

trains twice on a tiny release, for 200 steps with the flags given, and compares
what is left: the bytes of all checkpoints, metrics.jsonl and the points for
TensorBoard, but for times.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from tensorboard_points import read_points
from tiny_release import prepare_tiny, write_tiny_release

_ROOT = pathlib.Path(__file__).parents[1]
_TIMEOUT_SECONDS = 900
# What differs between equal runs.
TIMES = ("examples_per_second", "input_share", "steps_per_second")
_NUM_STEPS = 200
_FLAGS = {
    "width": 1 / 32,
    "stem_stride": 4,
    "training_set": "weak",
    "mixed_training_set": "strong",
    "mu": 0.5,
    "num_steps": _NUM_STEPS,
    "global_batch_size": 8,
    "learning_rate": 0.003,
    "checkpoint_interval_steps": 20,
    # No divisor of the above, so that lines of metrics are cut.
    "log_interval_steps": 3,
    "shuffle_block_clips": 4,
    "strategy": "cpu",
}


def start(records_dir, workdir, *flags):
    """Starts a process that trains."""
    settings = {"records_dir": records_dir, "workdir": workdir, **_FLAGS}
    return subprocess.Popen(
        [sys.executable, "-m", "audioset_strong.train"]
        + [f"--{name}={value}" for name, value in settings.items()]
        + list(flags),
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Waits for the end of a run, which must be a good one."""
    _, errors = process.communicate(timeout=_TIMEOUT_SECONDS)
    assert process.returncode == 0, errors
    return errors


def metrics(workdir):
    """Reads the lines of metrics that are there, without times."""
    path = pathlib.Path(workdir, "metrics.jsonl")
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [
        {k: v for k, v in json.loads(line).items() if k not in TIMES}
        for line in lines
    ]


def points(workdir):
    """Reads what TensorBoard shows, without times."""
    found = read_points(workdir)
    return {tag: values for tag, values in found.items() if tag not in TIMES}


def checkpoints(workdir):
    """Reads all files of checkpoints/ and best/."""
    return {
        f"{folder}/{path.name}": path.read_bytes()
        for folder in ("checkpoints", "best")
        for path in pathlib.Path(workdir, folder).iterdir()
    }


def _last_step(workdir):
    return max((line["step"] for line in metrics(workdir)), default=0)


def _wait_for(process, workdir, step):
    """Waits for a step, or if it is None until a checkpoint is written."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    folder = pathlib.Path(workdir, "checkpoints")
    while process.poll() is None:
        if step is None and [*folder.glob(".tmp-*")]:
            break
        if step is not None and _last_step(workdir) >= step:
            break
        assert time.monotonic() < deadline
        time.sleep(0.001)


def disturb(records_dir, workdir, signals, seed, *flags):
    """Trains, and sends each process but the last a signal.

    Signals come at random moments: while the process starts, in or between
    steps, and while a checkpoint is written.
    """
    rng = random.Random(seed)
    for number, name in enumerate(signals):
        process = start(records_dir, workdir, *flags)
        try:
            moment = rng.choice(["step", "step", "step", "saving", "start"])
            if moment == "start":
                time.sleep(rng.uniform(0, 8))
            elif moment == "step":
                # Progress on the average, so that none runs to its end.
                most = 2 * (_NUM_STEPS - _last_step(workdir))
                most //= len(signals) - number + 1
                step = _last_step(workdir) + rng.randint(1, max(1, most))
                _wait_for(process, workdir, step)
            else:
                _wait_for(process, workdir, None)
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(getattr(signal, name))
            _, errors = process.communicate(timeout=_TIMEOUT_SECONDS)
        finally:
            process.kill()
        status = process.returncode
        print(f"{name} ({moment}): status {status}, ", end="")
        print(f"step {_last_step(workdir)}", flush=True)
        if name == "SIGTERM" and status not in (0, -signal.SIGTERM):
            assert status == 143, errors
            assert "Ended by SIGTERM at step" in errors, errors
        else:
            assert status in (0, -getattr(signal, name)), errors
    finish(start(records_dir, workdir, *flags))


def compare(whole, disturbed):
    """Asserts that nothing but times differs between two workdirs."""
    assert metrics(whole) == metrics(disturbed)
    ours, theirs = checkpoints(whole), checkpoints(disturbed)
    assert set(ours) == set(theirs)
    assert [n for n in ours if ours[n] != theirs[n]] == []
    assert points(whole) == points(disturbed)
    assert len(points(whole)["loss"]) == -(-_NUM_STEPS // 3)
    left = pathlib.Path(disturbed).rglob("*")
    assert [p for p in left if "tmp" in p.name or "temp" in p.name] == []


def signals_in_order(seed, num_kills=10, num_terms=5):
    """Shuffles the signals."""
    signals = ["SIGKILL"] * num_kills + ["SIGTERM"] * num_terms
    random.Random(seed).shuffle(signals)
    return signals


def main():
    """Makes a tiny release and compares two runs on it."""
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True)
    write_tiny_release(folder / "release")
    prepare_tiny(folder / "release", folder / "records")
    runs = str(folder / "whole"), str(folder / "disturbed")
    flags = sys.argv[2:]
    finish(start(folder / "records", runs[0], *flags))
    seed = int(time.time())
    print("seed", seed)
    disturb(folder / "records", runs[1], signals_in_order(seed), seed, *flags)
    compare(*runs)
    print("equal")


if __name__ == "__main__":
    main()
