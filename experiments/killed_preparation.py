r"""Kills a preparation again and again, and compares the records it leaves.

    python -m experiments.killed_preparation --work_dir=runs/killed

Writes --num_clips clips of noise, prepares them undisturbed, and again into
another folder, where the run is killed with SIGKILL at --num_kills random
moments and started again. Then both folders must hold the same bytes, and no
shard that was finished at a kill may have been written again. Prints one line a
kill and the result; the exit status is 1 if anything differs.
"""

import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import soundfile
from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError

_WORK_DIR = flags.DEFINE_string("work_dir", None, "Where everything is put.")
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 5000, "Clips of ten seconds.")
_NUM_KILLS = flags.DEFINE_integer("num_kills", 10, "How often to kill.")
_NUM_WORKERS = flags.DEFINE_integer("num_workers", 2, "Processes.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")

_CLIPS_PER_SHARD = 50
_LONGEST_DELAY_SECONDS = 1.0
# About as long as a run takes until its first shards are done.
_START_SECONDS = 10.0


def write_clips(folder: pathlib.Path, num_clips: int) -> None:
    """Writes audio, a weak label file and a class map."""
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(160_000 + num_clips)
    lines = [
        "# a",
        "# b",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    for number in range(num_clips):
        ytid = f"clip{number:07d}"
        lines.append(f'{ytid}, 0.000, 10.000, "/m/noise"')
        path = audio / f"{ytid}.wav"
        if number % 20 and not path.exists():  # every twentieth is missing
            soundfile.write(path, noise[number : number + 160_000], 16000)
    (folder / "weak.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.csv").write_text(
        'index,mid,display_name\n0,/m/noise,"Noise"\n'
    )


def start(
    folder: pathlib.Path, output_dir: pathlib.Path, num_workers: int
) -> "subprocess.Popen[str]":
    """Starts `prepare_records`; what it says goes to a file."""
    with open(folder / "log.txt", "a", encoding="utf-8") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "audioset_strong.prepare_records",
                f"--audio_dir={folder / 'audio'}",
                f"--weak_labels={folder / 'weak.csv'}",
                f"--class_map={folder / 'classes.csv'}",
                f"--output_dir={output_dir}",
                f"--clips_per_shard={_CLIPS_PER_SHARD}",
                f"--num_workers={num_workers}",
            ],
            stdout=log,
            stderr=log,
            text=True,
        )


def finish(process: "subprocess.Popen[str]", folder: pathlib.Path) -> None:
    """Waits for the end of a run, which must be a good one.

    Raises:
      InputError: It failed.
    """
    if process.wait():
        raise InputError(
            f"prepare_records ended with status {process.returncode}; see "
            f"{folder / 'log.txt'}."
        )


def finished_shards(output_dir: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Identifies the shards that have a report, by inode and time."""
    reports = output_dir / "reports"
    names = [p.stem for p in reports.glob("*.json")] if reports.is_dir() else []
    found = {}
    for name in names:
        if not name.startswith("."):
            status = (output_dir / name).stat()
            found[name] = (status.st_ino, status.st_mtime_ns)
    return found


def kill_once(
    folder: pathlib.Path,
    output_dir: pathlib.Path,
    num_workers: int,
    num_finished: int,
    delay_seconds: float,
) -> bool:
    """Starts a run and kills it.

    Args:
      folder: Of the clips.
      output_dir: Of the records.
      num_workers: Processes of the run.
      num_finished: Finished shards to wait for.
      delay_seconds: Time to wait after that.

    Returns:
      Whether it was killed; False if it ended before.
    """
    process = start(folder, output_dir, num_workers)
    while len(finished_shards(output_dir)) < num_finished:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    time.sleep(delay_seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def digest_folder(folder: pathlib.Path) -> dict[str, str]:
    """Hashes every file below a folder, by its relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kill_and_compare(
    folder: pathlib.Path,
    num_clips: int,
    num_kills: int,
    num_workers: int,
    seed: int,
) -> list[str]:
    """Makes both folders.

    Returns:
      What differs; nothing if all is well.
    """
    write_clips(folder, num_clips)
    finish(start(folder, folder / "undisturbed", num_workers), folder)
    killed = folder / "killed"
    rng = random.Random(seed)
    num_shards = len(finished_shards(folder / "undisturbed"))
    kept: dict[str, tuple[int, int]] = {}
    differences = []
    for number in range(num_kills):
        # Spread over the work that is left, the start of a run included.
        num_left = num_shards - len(kept)
        num_more = rng.randint(0, 2 * num_left // (num_kills - number + 1))
        delay = rng.uniform(
            0, _LONGEST_DELAY_SECONDS if num_more else _START_SECONDS
        )
        was_killed = kill_once(
            folder, killed, num_workers, len(kept) + num_more, delay
        )
        now = finished_shards(killed)
        differences += _rewritten(kept, now)
        kept = now
        temporary = len(list(killed.rglob(".tmp-*")))
        print(
            f"kill {number + 1}: {'killed' if was_killed else 'had ended'}, "
            f"{len(now)} of {num_shards} shards finished, {temporary} "
            f"temporary files left",
            flush=True,
        )
    finish(start(folder, killed, num_workers), folder)
    differences += _rewritten(kept, finished_shards(killed))
    expected = digest_folder(folder / "undisturbed")
    found = digest_folder(killed)
    return differences + [
        f"{name} differs"
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]


def _rewritten(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]
) -> list[str]:
    """Lists shards that were finished before and are other files now."""
    return [
        f"{name} was written again"
        for name, identity in before.items()
        if after.get(name) != identity
    ]


def main(argv: Sequence[str]) -> None:
    """Runs the experiment."""
    run_flags.refuse_arguments(argv)
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    folder = pathlib.Path(_WORK_DIR.value).absolute()
    differences = kill_and_compare(
        folder,
        _NUM_CLIPS.value,
        _NUM_KILLS.value,
        _NUM_WORKERS.value,
        _SEED.value,
    )
    for line in differences:
        print(line)
    num_files = len(digest_folder(folder / "killed"))
    print(
        f"{len(differences)} differences in {num_files} files after "
        f"{_NUM_KILLS.value} kills."
    )
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    flags.mark_flag_as_required("work_dir")
    run_flags.run(main)
