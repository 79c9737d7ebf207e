"""Worker processes of this machine: same bytes, progress, and how they end."""

import dataclasses
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from audioset_strong.errors import InputError
from audioset_strong.records import pool
from audioset_strong.records.shard import write_shard
from audioset_strong.records.tasks import Clip, ShardTask, save_tasks

# Of 10 s of audio: with so many a shard takes a minute to write.
_MANY_CLIPS = 4000


@pytest.fixture
def tone(tmp_path):
    """Path of ten seconds of audio."""
    path = tmp_path / "tone.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(160_000)
    soundfile.write(path, samples, 16000)
    return str(path)


def _plan(folder, audio_path, num_shards, num_clips):
    """Saves plans of shards whose clips all have the same audio."""
    for name in ("plan", "reports"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tasks = [
        ShardTask(
            str(folder),
            "weak",
            f"weak-{shard:05d}-of-{num_shards:05d}.tfrecord",
            tuple(
                Clip(f"{shard}x{clip}_0", audio_path, 10.0, {"weak": []})
                for clip in range(num_clips)
            ),
        )
        for shard in range(num_shards)
    ]
    save_tasks(tasks)
    return tasks


def _write(tasks, num_workers):
    names = [task.name for task in tasks]
    num_clips = sum(len(task.clips) for task in tasks)
    pool.write_shards(names, tasks[0].output_dir, num_workers, num_clips)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_write_what_single_calls_write(
    tone, tmp_path, num_workers, capfd
):
    tasks = _plan(tmp_path / "out", tone, 3, 2)
    _write(tasks, num_workers)
    assert "6/6" in capfd.readouterr().err.split("\r")[-1]
    _plan(tmp_path / "alone", tone, 3, 2)
    for task in tasks:
        alone = dataclasses.replace(task, output_dir=str(tmp_path / "alone"))
        write_shard(alone)
        assert pathlib.Path(task.path).read_bytes() == (
            pathlib.Path(alone.path).read_bytes()
        )


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_shard_that_cannot_be_written_ends_the_run(
    tone, tmp_path, num_workers
):
    tasks = _plan(tmp_path, tone, 3, 1)
    pathlib.Path(tasks[1].path).mkdir()
    with pytest.raises(InputError, match=f"{tasks[1].name}: .*directory"):
        _write(tasks, num_workers)
    assert not list(tmp_path.glob(".tmp-*"))
    assert not multiprocessing.active_children()


def _when_shards_are_begun(folder, act):
    """Starts a thread that acts once two shards are being written."""

    def wait():
        while len(list(folder.glob(".tmp-*"))) < 2:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_dead_worker_ends_the_run_with_its_signal(tone, tmp_path):
    tasks = _plan(tmp_path, tone, 2, _MANY_CLIPS)
    _when_shards_are_begun(
        tmp_path, lambda: multiprocessing.active_children()[0].kill()
    )
    with pytest.raises(InputError) as caught:
        _write(tasks, 2)
    message = str(caught.value)
    assert "\n" not in message
    assert "ended with SIGKILL (out of memory?)" in message
    assert "fewer workers need less memory" in message
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("statuses", "cause"),
    [
        ([-15, -11], "SIGSEGV"),
        ([-15, -15], "SIGTERM"),
        ([3, -15], "status 3"),
        ([], "SIGTERM"),
    ],
)
def test_how_a_worker_ended(statuses, cause):
    assert f"ended with {cause}." in pool._describe_death(statuses)


@pytest.fixture
def command(tone, tmp_path):
    """A preparation of two long shards, begun in a group of its own."""
    audio = tmp_path / "audio"
    audio.mkdir()
    header = "# YTID, start_seconds, end_seconds, positive_labels"
    lines = ["# a", "# b", header]
    for number in range(_MANY_CLIPS):
        os.link(tone, audio / f"clip{number:07d}.wav")
        lines.append(f'clip{number:07d}, 0.000, 10.000, "/m/x"')
    (tmp_path / "weak.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "classes.csv").write_text("index,mid,display_name\n0,/m/x,X\n")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "audioset_strong.prepare_records",
            f"--audio_dir={audio}",
            f"--weak_labels={tmp_path / 'weak.csv'}",
            f"--class_map={tmp_path / 'classes.csv'}",
            f"--output_dir={tmp_path / 'out'}",
            f"--clips_per_shard={_MANY_CLIPS // 2}",
            "--num_workers=2",
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()


def _wait_for_end_of_group(process):
    """Waits until no process of the group is left."""
    try:
        while True:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        pass


@pytest.mark.slow
def test_ctrl_c_ends_the_run_and_its_workers(command, tmp_path):
    _when_shards_are_begun(tmp_path / "out", lambda: None).join()
    # As a terminal does, to every process of the group.
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate()
    assert command.returncode == 130
    assert said.splitlines()[-1] == (
        "Interrupted. The same command again goes on from here."
    )
    assert "Traceback" not in said
    _wait_for_end_of_group(command)
    assert not list((tmp_path / "out").glob("weak-*.tfrecord"))


@pytest.mark.slow
def test_workers_end_when_the_run_is_killed(command, tmp_path):
    _when_shards_are_begun(tmp_path / "out", lambda: None).join()
    command.kill()
    command.communicate()
    _wait_for_end_of_group(command)
    # They have not gone on to the end.
    assert not list((tmp_path / "out").glob("weak-*.tfrecord"))


def test_the_bar_counts_what_several_processes_append(capfd):
    code = (
        "import sys\nfor _ in range(1000): open(sys.argv[1], 'ab').write(b'w')"
    )
    with pool.show_progress(3003) as path:
        processes = [
            subprocess.Popen([sys.executable, "-c", code, path])
            for _ in range(3)
        ]
        with open(path, "ab") as tally:
            tally.write(b"muu")
        assert [process.wait() for process in processes] == [0, 0, 0]
    assert not os.path.exists(path)
    last = capfd.readouterr().err.split("\r")[-1]
    assert "3003/3003" in last
    assert "1 missing, 2 unusable" in last


def test_neither_tensorflow_nor_beam_is_imported(tmp_path):
    """Importing them would take longer than writing hundreds of clips."""
    code = (
        "import sys\n"
        "from audioset_strong import prepare_records\n"
        "from audioset_strong.records import pool\n"
        "print({'tensorflow', 'apache_beam'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_machine_that_reads_nothing_is_given_up(tone, tmp_path, num_workers):
    """Its shards fail; one such shard among others does not stop them."""
    tasks = _plan(tmp_path / "out", tone, 14, 1)
    gone = [
        dataclasses.replace(
            task,
            clips=(
                dataclasses.replace(
                    task.clips[0],
                    audio_path=str(tmp_path / "gone.wav"),
                    audio_version="1",
                ),
            ),
        )
        for task in tasks
    ]
    save_tasks(gone[:1])
    _write(tasks, num_workers)
    assert os.path.exists(gone[0].failure_path)
    written = [os.path.exists(task.path) for task in tasks]
    assert written == [False] + [True] * 13
    for task in tasks[1:]:
        os.remove(task.path)
    save_tasks(gone)
    _write(gone, num_workers)
    num_failed = sum(os.path.exists(task.failure_path) for task in gone)
    # Several workers may be done with others by then.
    assert num_failed == 10 if num_workers == 1 else num_failed >= 10
