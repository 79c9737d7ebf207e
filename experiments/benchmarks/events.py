r"""Times PSDS of a release's size, from a file that is mapped into memory.

    python -m experiments.benchmarks.events --work_dir=/tmp/events

Writes scores of --num_clips clips of 10 s at 40 ms for --num_classes classes, a
class after the other, float16 (3.5 GB by default), and as many events a clip
and class as AudioSet's strong evaluation set has; then scores them by
--protocol, and prints the seconds and the most memory that all processes
together held. Scores are smooth noise, higher in half of the events. Needs the
extra psds.
"""

import os
import resource
import threading
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from absl import flags
from scipy import ndimage

from audioset_strong import run_flags
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.protocols import (
    ClassList,
    ProtocolSettings,
    score_protocols,
)
from audioset_strong.evaluation.truth import Truth
from audioset_strong.files import make_output_folder
from audioset_strong.labels.clips import make_clips_table

_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder.", required=True)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 16996, "Clips of 10 s.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 407, "Classes.")
_PROTOCOL = flags.DEFINE_list(
    "protocol", ["psds1_audioset_strong_407"], "As of evaluate."
)
_NUM_WORKERS = flags.DEFINE_integer("num_workers", 2, "Processes.")

_HOP, _NUM_FRAMES = 0.04, 250
# AudioSet Strong: 139,538 events of 16,996 clips; a clip has 3.5 classes.
_CLASSES_A_CLIP, _EVENTS_A_CLASS = 3.5, 2.3


def _make_events(clips: list[str], mids: list[str]) -> pd.DataFrame:
    """Draws events; a few classes are frequent, most are rare."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, len(mids) + 1)
    weights *= _CLASSES_A_CLIP / weights.sum()
    is_there = rng.random((len(clips), len(mids))) < weights
    is_there[np.arange(len(mids)) % len(clips), np.arange(len(mids))] = True
    rows = []
    for clip, mid in np.argwhere(is_there).tolist():
        onset = 3 * rng.random()
        for _ in range(rng.poisson(_EVENTS_A_CLASS - 1) + 1):
            offset = min(onset + 0.1 + rng.exponential(1.5), 10)
            if onset >= 9.9:
                break
            rows.append((clips[clip], onset, offset, mids[mid]))
            onset = offset + 0.1 + rng.exponential(0.7)
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(rows, columns=columns).round(3)


def _write_scores(
    path: str, clips: list[str], mids: list[str], strong: pd.DataFrame
) -> None:
    shape = len(mids), len(clips), _NUM_FRAMES
    written = np.lib.format.open_memmap(path, "w+", np.float16, shape)
    place = {clip: i for i, clip in enumerate(clips)}
    rows_of = dict(list(strong.groupby("mid")))
    for column, mid in enumerate(mids):
        rng = np.random.default_rng(column)
        noise = rng.standard_normal(shape[1:], np.float32)
        scores = 9 * ndimage.uniform_filter1d(noise, 9, axis=1) - 4
        for row in rows_of[mid].itertuples(index=False):
            clip, onset, offset, _ = row
            if rng.random() < 0.5:
                inside = slice(int(onset / _HOP), int(offset / _HOP))
                scores[place[clip], inside] += 5
        written[column] = 1 / (1 + np.exp(-scores))
    written.flush()


def _watch(
    most: list[float], seconds_of: dict[int, float], is_done: threading.Event
) -> None:
    """Keeps what this process and those it started take.

    Args:
      most: The most memory of all together, in GB. Pages that they share count
        once, pages of the mapped file while they are used.
      seconds_of: Seconds of processors of each.
      is_done: Ends the watch.
    """
    own, ticks = os.getpid(), os.sysconf("SC_CLK_TCK")
    while not is_done.wait(0.5):
        total = 0
        times = {}
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                parents[int(name)] = int(fields[1])
                times[int(name)] = (int(fields[11]) + int(fields[12])) / ticks
            except OSError:
                continue
        family = {own}
        for _ in range(4):
            family |= {pid for pid, up in parents.items() if up in family}
        for pid in family:
            seconds_of[pid] = times.get(pid, seconds_of.get(pid, 0.0))
            try:
                with open(
                    f"/proc/{pid}/smaps_rollup", encoding="utf-8"
                ) as file:
                    total += sum(
                        int(line.split()[1])
                        for line in file
                        if line.startswith("Pss:")
                    )
            except OSError:
                continue
        most[0] = max(most[0], total / 1e6)


def main(argv: Sequence[str]) -> None:
    """Makes what is missing, scores and prints."""
    run_flags.refuse_arguments(argv)
    make_output_folder(_WORK_DIR.value)
    clips = [f"clip{i:05d}" for i in range(_NUM_CLIPS.value)]
    mids = [f"/m/{i:03d}" for i in range(_NUM_CLASSES.value)]
    strong = _make_events(clips, mids)
    name = f"scores-{len(clips)}-{len(mids)}.npy"
    path = os.path.join(_WORK_DIR.value, name)
    if not os.path.exists(path):
        start = time.perf_counter()
        _write_scores(path, clips, mids, strong)
        print(f"scores written in {time.perf_counter() - start:.0f} s")
    mapped = np.load(path, mmap_mode="r").reshape(len(mids), -1).T
    scores = NativeScores(
        segment_ids=np.array(clips),
        mids=np.array(mids),
        scores=mapped,
        num_frames=np.full(len(clips), _NUM_FRAMES),
        frame_seconds=_HOP,
        audio_seconds=np.full(len(clips), 10.0),
    )
    truth = Truth(
        strong=strong,
        clips=make_clips_table(clips, [10.0] * len(clips), clips),
    )
    settings = ProtocolSettings(
        classes=ClassList(frozenset(mids), {}, "of the training labels"),
        num_jobs=_NUM_WORKERS.value,
    )
    most, is_done = [0.0], threading.Event()
    seconds_of: dict[int, float] = {}
    watcher = threading.Thread(target=_watch, args=(most, seconds_of, is_done))
    watcher.start()
    start, before = time.perf_counter(), sum(os.times()[:2])
    results = score_protocols(scores, truth, _PROTOCOL.value, settings)
    seconds = time.perf_counter() - start
    is_done.set()
    watcher.join()
    for result in results:
        print("\n".join(result.lines()))
    processor = sum(seconds_of.values()) - before
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(strong):,} events; {seconds:.1f} s, {processor:.1f} s of "
        f"processors, {most[0]:.2f} GB in all processes (this one at most "
        f"{own:.2f} GB with the mapped file), load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    run_flags.run(main)
