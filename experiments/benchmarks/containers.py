r"""What preparing from Parquet and tar costs a clip, against files.

    python -m experiments.benchmarks.containers --work_dir=runs/containers \
        --esc50_dir=esc50

Joins pairs of ESC-50's recordings to clips of ten seconds and writes them, as
FLAC and as WAV at 16 kHz, into files, into Parquet with row groups of 100 rows
as Hugging Face writes them, and into tars of 100 clips with a `.json` each.
Then prepares records from each in turn, --num_repeats times, in one process:
all of `prepare_records`, from listing to the manifest. With weak labels alone
each row group of Parquet is read once; with strong labels for every second clip
it is read for three groups of shards.

Prints JSON: milliseconds a clip of the processor, the least of the repeats, and
how much more than from files that is; and the median of the same ratio within
each repeat.
"""

import io
import json
import os
import pathlib
import shutil
import tarfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import threadpoolctl
from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.params import RecordParams
from audioset_strong.records.prepare import WorkerParams, prepare_records

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated files.", required=True
)
_ESC50_DIR = flags.DEFINE_string(
    "esc50_dir", None, "Folder of ESC-50.", required=True
)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 400, "Clips.")
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 7, "Runs of each way.")

_AT_ONCE = 100
_WAYS = ("files", "parquet", "tar")


def _clips(extension: str) -> dict[str, bytes]:
    """Makes the clips: content of a file by YouTube id."""
    paths = sorted(pathlib.Path(_ESC50_DIR.value, "audio").iterdir())
    clips = {}
    for number in range(_NUM_CLIPS.value):
        pair = [paths[(2 * number + i) % len(paths)] for i in range(2)]
        samples = [soundfile.read(path, dtype="float32")[0] for path in pair]
        file, rate = io.BytesIO(), soundfile.info(pair[0]).samplerate
        soundfile.write(file, np.concatenate(samples), rate, format=extension)
        clips[f"clip{number:07d}"] = file.getvalue()
    return clips


def _write_release(folder: pathlib.Path, extension: str) -> None:
    """Writes the clips in each way, and their labels."""
    for way in _WAYS:
        (folder / way).mkdir(parents=True)
    clips = list(_clips(extension).items())
    weak = ["# a", "# b", "# YTID, start_seconds, end_seconds, positive_labels"]
    strong = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    for number, (ytid, content) in enumerate(clips):
        (folder / "files" / f"{ytid}.{extension}").write_bytes(content)
        weak.append(f'{ytid}, 0.000, 10.000, "/m/x"')
        if number % 2:
            strong.append(f"{ytid}_0\t1.000\t2.000\t/m/x")
    rows = {
        "video_id": [ytid for ytid, _ in clips],
        "audio": [{"bytes": c, "path": f"{y}.{extension}"} for y, c in clips],
        "labels": [["/m/x"]] * len(clips),
    }
    path = folder / "parquet" / "0.parquet"
    pq.write_table(pa.table(rows), path, row_group_size=_AT_ONCE)
    for start in range(0, len(clips), _AT_ONCE):
        with tarfile.open(folder / "tar" / f"{start}.tar", "w") as tar:
            for number, (ytid, content) in enumerate(
                clips[start : start + _AT_ONCE]
            ):
                key = f"sample-{start + number}"
                members = {
                    f"{key}.json": json.dumps({"id": ytid}).encode(),
                    f"{key}.{extension}": content,
                }
                for name, data in members.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    (folder / "weak.csv").write_text("\n".join(weak) + "\n")
    (folder / "strong.tsv").write_text("\n".join(strong) + "\n")
    (folder / "classes.csv").write_text("index,mid,display_name\n0,/m/x,X\n")


def _time(folder: pathlib.Path, way: str, labels: str) -> float:
    """Prepares records; returns seconds of the processor."""
    output_dir = folder / "records"
    shutil.rmtree(output_dir, ignore_errors=True)
    started = time.process_time()
    manifest = prepare_records(
        str(folder / way),
        [str(folder / "weak.csv")],
        [str(folder / "strong.tsv")] if labels == "weak_and_strong" else [],
        str(folder / "classes.csv"),
        str(output_dir),
        RecordParams(clips_per_shard=_AT_ONCE),
        workers=WorkerParams(num_workers=1),
    )
    ended = time.process_time()
    # Some of ESC-50's recordings are silence, which is left out.
    lost = manifest["left_out_by_reason"]
    if set(lost) - {"silent"}:
        raise RuntimeError(f"Expected every clip, lost {lost}.")
    return ended - started


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark."""
    run_flags.refuse_arguments(argv)
    logging.set_verbosity(logging.ERROR)
    os.environ["TQDM_DISABLE"] = "1"
    numbers: dict[str, Any] = {}
    for extension in ("flac", "wav"):
        folder = pathlib.Path(_WORK_DIR.value).absolute() / extension
        if not folder.exists():
            _write_release(folder, extension)
        for labels in ("weak", "weak_and_strong"):
            with threadpoolctl.threadpool_limits(1):
                numbers[f"{extension}, {labels}"] = _compare(folder, labels)
            print(json.dumps(numbers, indent=1), flush=True)


def _compare(folder: pathlib.Path, labels: str) -> dict[str, Any]:
    """Times all ways in turn, each repeat in another order."""
    _time(folder, "files", labels)  # warms up
    num_repeats = _NUM_REPEATS.value
    # [num_repeats, ways]
    seconds = np.zeros((num_repeats, len(_WAYS)))
    for repeat in range(num_repeats):
        for way in np.roll(np.arange(len(_WAYS)), repeat):
            seconds[repeat, way] = _time(folder, _WAYS[way], labels)
    least = seconds.min(axis=0)  # [ways]
    more = np.median(seconds / seconds[:, :1] - 1, axis=0)  # [ways]
    return {
        way: {
            "cpu_ms_a_clip": round(1000 * least[i] / _NUM_CLIPS.value, 2),
            "more_than_files": round(least[i] / least[0] - 1, 3),
            "more_by_median": round(more[i], 3),
        }
        for i, way in enumerate(_WAYS)
    }


if __name__ == "__main__":
    run_flags.run(main)
