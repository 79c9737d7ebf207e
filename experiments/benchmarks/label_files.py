r"""How long label files of release size take, and how much memory.

    python -m experiments.benchmarks.label_files --work_dir=runs/label_files \
        --other_tree=../before --other_python=../before/.venv/bin/python

Generates a strong TSV of 934,821 events and a weak CSV of 2,041,789 segments
into --work_dir (once), then times, each in a process of its own:

  frame_labels  the command: reads, checks and frames the TSV, writes the result
  framed        reads and checks its first 958,528 rows, as the release has
  weak          reads and checks the weak CSV

With --other_tree, another version of this repository does the same in turns
with this one. Prints JSON: of each task and version the medians of wall-clock
and CPU seconds, start of Python and imports included, and the peak MiB.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from experiments.benchmarks.generated_labels import (
    NUM_FRAMED_ROWS,
    generate_all,
    write_sample,
)

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated files.", required=True
)
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 3, "Runs of each task.")
_OTHER_TREE = flags.DEFINE_string(
    "other_tree", None, "Checkout to compare with; None for no comparison."
)
_OTHER_PYTHON = flags.DEFINE_string(
    "other_python", sys.executable, "Python interpreter for --other_tree."
)

_READ = (
    "from audioset_strong.labels.label_files import read_{0}_labels; "
    "from audioset_strong.labels.problems import ProblemLog; "
    "print(len(read_{0}_labels({1!r}, ProblemLog())))"
)


def _measure(python: str, tree: str, arguments: Sequence[str]) -> list[float]:
    """Runs Python on a checkout: wall-clock and CPU seconds, peak MiB."""
    started = time.monotonic()
    process = subprocess.Popen(
        [python, *arguments],
        cwd=tree,  # which Python imports from first
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return [
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
    ]


def main(argv: Sequence[str]) -> None:
    """Times the tasks and prints JSON."""
    run_flags.refuse_arguments(argv)
    folder = os.path.abspath(_WORK_DIR.value)
    strong_path, weak_path = generate_all(folder)
    framed_path = os.path.join(folder, "framed.tsv")
    released_path = os.path.join(folder, "framed_eval.tsv")
    versions = {"this": (sys.executable, os.getcwd())}
    if _OTHER_TREE.value:
        other_tree = os.path.abspath(_OTHER_TREE.value)
        versions["other"] = (_OTHER_PYTHON.value, other_tree)
    tasks = {
        "frame_labels": [
            *("-m", "audioset_strong.frame_labels"),
            f"--strong_labels={strong_path}",
            f"--output={framed_path}",
        ],
        "framed": ["-c", _READ.format("framed", released_path)],
        "weak": ["-c", _READ.format("weak", weak_path)],
    }
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, arguments in tasks.items():
        runs: dict[str, list[list[float]]] = {v: [] for v in versions}
        for _ in range(_NUM_REPEATS.value):
            for version, (python, tree) in versions.items():
                runs[version].append(_measure(python, tree, arguments))
        if name == "frame_labels":
            write_sample(framed_path, released_path, NUM_FRAMED_ROWS + 1)
        results[name] = {
            version: {
                "seconds": round(statistics.median(r[0] for r in of), 2),
                "cpu_seconds": round(statistics.median(r[1] for r in of), 2),
                "peak_mib": round(max(r[2] for r in of)),
            }
            for version, of in runs.items()
        }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    run_flags.run(main)
