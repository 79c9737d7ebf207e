r"""Whole preparations: one process against two, memory, and the slopes.

    python -m experiments.benchmarks.preparation_runs --work_dir=runs/runs

Generates 100 clips of ten seconds, stereo FLAC at 44.1 kHz, into --work_dir and
links them under as many names as a run needs. Then runs prepare_records

  * on --num_clips clips with one process and with two, in turn --num_repeats
    times: clips a second, of the whole command and without its start;
  * on --num_memory_clips clips with two processes, watching the memory of every
    process;
  * on --num_missing_clips clips without audio, which leaves what the driver
    does alone (reading labels, planning, summing up): seconds and memory.

Prints JSON; memory in MiB.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from experiments.benchmarks.generated_audio import write_clips

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated files.", required=True
)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 4000, "Clips of a timed run.")
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 3, "Timed runs of each.")
_NUM_MEMORY_CLIPS = flags.DEFINE_integer(
    "num_memory_clips", 20000, "Clips of the run whose memory is watched."
)
_NUM_MISSING_CLIPS = flags.DEFINE_list(
    "num_missing_clips", ["100000", "200000"], "Clips without audio."
)

_NUM_UNIQUE = 100
_SECONDS_BETWEEN_LOOKS = 0.5
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def make_release(
    folder: pathlib.Path, audio: Sequence[str], num_clips: int
) -> pathlib.Path:
    """Links audio under the names of clips and writes their labels.

    Args:
      folder: For the release.
      audio: Files to link; none for clips without audio.
      num_clips: Clips of the release.
    """
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    lines = [
        "# a",
        "# b",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    for number in range(num_clips):
        ytid = f"clip{number:07d}"
        lines.append(f'{ytid}, 0.000, 10.000, "/m/x"')
        path = folder / "audio" / f"{ytid}.flac"
        if audio and not path.exists():
            os.link(audio[number % len(audio)], path)
    if not audio:
        (folder / "audio" / "other.flac").write_text("no clip's audio")
    (folder / "weak.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.csv").write_text("index,mid,display_name\n0,/m/x,X\n")
    return folder


def run(
    release: pathlib.Path, output_dir: pathlib.Path, num_workers: int
) -> dict[str, Any]:
    """Prepares a release anew and watches the processes.

    Returns:
      seconds of the command; start_seconds, until the first shard is begun;
      memory: largest MiB of each process, and at tenths of the run those of all
      together.

    Raises:
      InputError: The command failed otherwise than for want of audio.
    """
    shutil.rmtree(output_dir, ignore_errors=True)
    log_path = release / "log.txt"
    started = time.monotonic()
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "audioset_strong.prepare_records",
                f"--audio_dir={release / 'audio'}",
                f"--weak_labels={release / 'weak.csv'}",
                f"--class_map={release / 'classes.csv'}",
                f"--output_dir={output_dir}",
                "--clips_per_shard=250",
                f"--num_workers={num_workers}",
            ],
            stdout=log,
            stderr=log,
        )
        looks: list[dict[int, float]] = []
        start_seconds = 0.0
        while process.poll() is None:
            looks.append(_memory_of_family(process.pid))
            if not start_seconds and any(output_dir.glob(".tmp-*")):
                start_seconds = time.monotonic() - started
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    if (
        process.returncode
        and "None of the labelled" not in log_path.read_text()
    ):
        raise InputError(f"prepare_records failed; see {log_path}.")
    largest: dict[int, float] = {}
    for look in looks:
        for pid, mib in look.items():
            largest[pid] = max(largest.get(pid, 0), mib)
    tenths = [looks[len(looks) * i // 10] for i in range(10)]
    return {
        "seconds": round(time.monotonic() - started, 1),
        "start_seconds": round(start_seconds, 1),
        "largest_of_each_process": sorted(round(m) for m in largest.values()),
        "all_at_tenths": [round(sum(look.values())) for look in tenths],
    }


def _memory_of_family(pid: int) -> dict[int, float]:
    """Returns the resident MiB of a process and of all below it."""
    memory, waiting = {}, [pid]
    while waiting:
        pid = waiting.pop()
        try:
            pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
            tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
            for task in tasks:
                waiting += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        memory[pid] = int(pages) * _PAGE_MIB
    return memory


def _time_workers(folder: pathlib.Path, audio: Sequence[str]) -> dict[str, Any]:
    """Compares one process with two."""
    num_clips = _NUM_CLIPS.value
    release = make_release(folder / "timed", audio, num_clips)
    rates: dict[str, list[float]] = {}
    for _ in range(_NUM_REPEATS.value):
        for num_workers in (1, 2):
            found = run(release, folder / "out", num_workers)
            seconds, start = found["seconds"], found["start_seconds"]
            for name, value in (
                (f"{num_workers}_whole", num_clips / seconds),
                (f"{num_workers}_started", num_clips / (seconds - start)),
                (f"{num_workers}_start_seconds", start),
            ):
                rates.setdefault(name, []).append(value)
    medians = {
        name: round(float(np.median(values)), 1)
        for name, values in rates.items()
    }
    return {
        "clips_a_second": medians,
        "two_over_one_whole": round(medians["2_whole"] / medians["1_whole"], 2),
        "two_over_one_started": round(
            medians["2_started"] / medians["1_started"], 2
        ),
    }


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark."""
    run_flags.refuse_arguments(argv)
    folder = pathlib.Path(_WORK_DIR.value).absolute()
    audio = write_clips(folder / "unique", _NUM_UNIQUE)
    numbers: dict[str, Any] = {}
    if _NUM_REPEATS.value:
        numbers["workers"] = _time_workers(folder, audio)
        print(json.dumps(numbers, indent=1), flush=True)
    if _NUM_MEMORY_CLIPS.value:
        release = make_release(folder / "many", audio, _NUM_MEMORY_CLIPS.value)
        numbers["memory"] = run(release, folder / "out", 2)
        print(json.dumps(numbers["memory"], indent=1), flush=True)
    for num_clips in _NUM_MISSING_CLIPS.value:
        release = make_release(
            folder / f"missing{num_clips}", [], int(num_clips)
        )
        numbers[f"missing_{num_clips}"] = run(release, folder / "out", 1)
    print(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    run_flags.run(main)
