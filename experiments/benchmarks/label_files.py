r"""How long label files of release size take, and how much memory.

    python -m experiments.benchmarks.label_files --work_dir=runs/label_files

Generates a strong TSV of 934,821 events and a weak CSV of 2,041,789 segments
into --work_dir (once), then times, each in a process of its own:

  strong  read and validate the TSV, frame it, write the framed TSV
  framed  read and validate its first 958,528 rows, as many as the release has
  weak    read and validate the weak CSV

and, on the first --sample_lines lines of the strong and the weak file, the
same work by the obvious loop over rows, in turns with ours. Prints JSON:
seconds (median), peak memory in MiB, and how many times as long the loop takes.
"""

import json
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
    write_framed_labels,
)
from audioset_strong.labels.problems import ProblemLog
from experiments.benchmarks.generated_labels import (
    NUM_FRAMED_ROWS,
    generate_all,
    write_sample,
)

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated files.", required=True
)
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 3, "Runs of each task.")
_SAMPLE_LINES = flags.DEFINE_integer(
    "sample_lines", 50_000, "Lines that the loops over rows are given."
)


def _frame_file(path: str, output: str) -> int:
    """Reads a strong TSV, frames it and writes the framed TSV."""
    strong = read_strong_labels(path, ProblemLog())
    framed = frame_strong_labels(strong)
    write_framed_labels(framed, output)
    return len(framed)


def _read_framed(path: str, output: str) -> int:
    return len(read_framed_labels(path, ProblemLog()))


def _read_weak(path: str, output: str) -> int:
    return len(read_weak_labels(path, ProblemLog()))


def _frame_file_by_rows(path: str, output: str) -> int:
    """Does what `_frame_file` does, one row at a time."""
    present: dict[tuple[str, str], set[int]] = {}
    events = set()
    with open(path) as file:
        next(file)
        for line in file:
            segment_id, onset_text, offset_text, mid = line[:-1].split("\t")
            ytid, start_ms = segment_id.rsplit("_", 1)
            onset, offset = float(onset_text), float(offset_text)
            if not ytid or int(start_ms) < 0 or not 0 <= onset < offset <= 10:
                raise ValueError(line)
            if (segment_id, onset, offset, mid) in events:
                raise ValueError(line)
            events.add((segment_id, onset, offset, mid))
            label_frames = present.setdefault((segment_id, mid), set())
            for label_frame in range(10):
                window = label_frame * 0.96
                overlap = min(offset, window + 0.96) - max(onset, window)
                if overlap > 0 and (
                    overlap >= 0.5 * min(0.96, offset - onset) - 1e-6
                ):
                    label_frames.add(label_frame)
    rows = sorted(
        (segment_id, label_frame, mid, label_frame in label_frames)
        for (segment_id, mid), label_frames in present.items()
        if label_frames
        for label_frame in range(10)
    )
    with open(output, "w") as file:
        file.write("segment_id\tstart_time_seconds\tend_time_seconds\tlabel\t")
        file.write("present\n")
        for segment_id, label_frame, mid, is_present in rows:
            window = label_frame * 0.96
            word = "PRESENT" if is_present else "NOT_PRESENT"
            file.write(
                f"{segment_id}\t{window:.3f}\t{window + 0.96:.3f}\t{mid}\t"
                f"{word}\n"
            )
    return len(rows)


def _read_weak_by_rows(path: str, output: str) -> int:
    """Does what `_read_weak` does, one row at a time."""
    rows = {}
    with open(path) as file:
        for line in file:
            if line.startswith("#"):
                continue
            ytid, start_text, end_text, mids = line[:-1].split(", ", 3)
            start, end = float(start_text), float(end_text)
            if not 0 <= start < end <= start + 10 or mids[0] + mids[-1] != '""':
                raise ValueError(line)
            segment_id = f"{ytid}_{round(start * 1000)}"
            if segment_id in rows:
                raise ValueError(line)
            rows[segment_id] = (start, end, tuple(mids[1:-1].split(",")))
    return len(rows)


Task = Callable[[str, str], int]


def _measure(task: Task, path: str, output: str) -> tuple[float, float, int]:
    """Runs a task in a new process: seconds, peak MiB, rows."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_timed, (task, path, output))


def _timed(task: Task, path: str, output: str) -> tuple[float, float, int]:
    started = time.monotonic()
    num_rows = task(path, output)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds, peak, num_rows


def _repeat(task: Task, path: str, output: str) -> dict[str, float]:
    runs = [_measure(task, path, output) for _ in range(_NUM_REPEATS.value)]
    return {
        "seconds": round(statistics.median(run[0] for run in runs), 2),
        "peak_mib": round(max(run[1] for run in runs)),
        "rows": runs[0][2],
    }


def _compare(ours: Task, loop: Task, path: str) -> dict[str, float]:
    """Times ours and the loop on a sample, in turns."""
    folder = os.path.dirname(path)
    sample = os.path.join(folder, f"sample_{os.path.basename(path)}")
    write_sample(path, sample, _SAMPLE_LINES.value)
    outputs = [os.path.join(folder, f"{name}.tsv") for name in ("ours", "loop")]
    pairs = [
        [
            _measure(task, sample, output)
            for task, output in zip((ours, loop), outputs, strict=True)
        ]
        for _ in range(_NUM_REPEATS.value)
    ]
    if any(mine[2] != theirs[2] for mine, theirs in pairs):
        raise AssertionError("The loop finds another number of rows.")
    return {
        "ours_seconds": round(statistics.median(p[0][0] for p in pairs), 3),
        "loop_seconds": round(statistics.median(p[1][0] for p in pairs), 3),
        "loop_to_ours": round(
            statistics.median(p[1][0] / p[0][0] for p in pairs), 1
        ),
    }


def main(argv: Sequence[str]) -> None:
    """Times the tasks and prints JSON."""
    run_flags.refuse_arguments(argv)
    strong_path, weak_path = generate_all(_WORK_DIR.value)
    framed_path = os.path.join(_WORK_DIR.value, "framed.tsv")
    released_path = os.path.join(_WORK_DIR.value, "framed_eval.tsv")
    strong = _repeat(_frame_file, strong_path, framed_path)
    write_sample(framed_path, released_path, NUM_FRAMED_ROWS + 1)
    results = {
        "strong": strong,
        "framed": _repeat(_read_framed, released_path, ""),
        "weak": _repeat(_read_weak, weak_path, ""),
        "sample_strong": _compare(
            _frame_file, _frame_file_by_rows, strong_path
        ),
        "sample_weak": _compare(_read_weak, _read_weak_by_rows, weak_path),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    run_flags.run(main)
