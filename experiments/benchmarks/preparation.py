r"""How fast clips become records on one core, against other ways.

    pip install librosa
    python -m experiments.benchmarks.preparation --work_dir=runs/preparation

Generates --num_clips clips of ten seconds, stereo FLAC at 44.1 kHz, into
--work_dir (once). Then, on one core, in one process, on the same files, the
ways in turn and --num_repeats times:

  records  what prepare_records does: decode, check, log-mel, quantise to
           float16, serialise, write a shard
  floor    the least that this takes: soundfile's decoding, soxr's resampling
           and the bare FFTs of the windows, nothing else
  librosa  a script: librosa.load(path, sr=16000), melspectrogram, log
  tfio     the same features by tensorflow-io's decoders, in the graph

Prints JSON: milliseconds a clip (median over the repeats) and ratios.
"""

import json
import os
import pathlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft
import soundfile
import soxr
import threadpoolctl
from absl import flags

from audioset_strong import run_flags
from audioset_strong.audio.backends import compute_log_mel
from audioset_strong.params import FeatureParams
from audioset_strong.records.shard import write_shard
from audioset_strong.records.tasks import Clip, ShardTask
from experiments.benchmarks.generated_audio import write_clips

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated files.", required=True
)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 60, "Clips.")
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 7, "Repeats of each way.")

_FEATURES = FeatureParams()
_CLIP_SECONDS = 10.0


def _write_records(paths: Sequence[str], folder: pathlib.Path) -> None:
    """Writes one shard, anew each time."""
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    name = "weak-00000-of-00001.tfrecord"
    clips = tuple(
        Clip(f"{pathlib.Path(path).stem}_0", path, _CLIP_SECONDS, {"weak": []})
        for path in paths
    )
    task = ShardTask(str(folder), "weak", name, clips)
    pathlib.Path(task.report_path).unlink(missing_ok=True)
    report = write_shard(task)
    assert report["shard"]["num_clips"] == len(paths), report["left_out"]


def _compute_floor(path: str) -> None:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform = soxr.resample(samples[:, 0], rate, _FEATURES.sample_rate)
    windows = np.lib.stride_tricks.sliding_window_view(
        waveform, _FEATURES.stft_window_samples
    )[:: _FEATURES.stft_hop_samples]
    scipy.fft.rfft(windows, n=_FEATURES.fft_length, axis=-1)


def _compute_with_librosa(path: str) -> np.ndarray:
    import librosa

    waveform, rate = librosa.load(path, sr=_FEATURES.sample_rate)
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=rate,
        n_fft=_FEATURES.fft_length,
        win_length=_FEATURES.stft_window_samples,
        hop_length=_FEATURES.stft_hop_samples,
        n_mels=_FEATURES.mel_bands,
        fmin=_FEATURES.mel_min_hz,
        fmax=_FEATURES.mel_max_hz,
        power=1.0,
        htk=True,
        norm=None,
        center=False,
    )
    return np.log(mel + _FEATURES.log_offset)


def _each(
    compute: Callable[[str], object],
) -> Callable[[Sequence[str]], None]:
    """Makes a way of a function of one path."""

    def compute_all(paths: Sequence[str]) -> None:
        for path in paths:
            compute(path)

    return compute_all


def measure(
    ways: dict[str, Callable[[Sequence[str]], None]],
    paths: Sequence[str],
    num_repeats: int,
) -> dict[str, float]:
    """Times the ways in turn.

    Args:
      ways: What to time, by name.
      paths: The clips.
      num_repeats: Rounds; one before them is not counted.

    Returns:
      Milliseconds a clip, the median over the rounds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(num_repeats + 1):
        for name, compute_all in ways.items():
            started = time.perf_counter()
            compute_all(paths)
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return {
        name: 1000 * float(np.median(values)) / len(paths)
        for name, values in seconds.items()
    }


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark."""
    run_flags.refuse_arguments(argv)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    folder = pathlib.Path(_WORK_DIR.value)
    paths = write_clips(folder / "audio", _NUM_CLIPS.value)
    ways: dict[str, Callable[[Sequence[str]], None]] = {
        "records": lambda paths: _write_records(paths, folder / "records"),
        "floor": _each(_compute_floor),
        "librosa": _each(_compute_with_librosa),
        "tfio": _each(
            lambda path: compute_log_mel(path, _CLIP_SECONDS, _FEATURES, "tfio")
        ),
    }
    with threadpoolctl.threadpool_limits(1):
        milliseconds = measure(ways, paths, _NUM_REPEATS.value)
    ours = milliseconds["records"]
    print(
        json.dumps(
            {
                "milliseconds_a_clip": {
                    name: round(value, 2)
                    for name, value in milliseconds.items()
                },
                "share_of_floor_speed": round(milliseconds["floor"] / ours, 3),
                "times_librosa": round(milliseconds["librosa"] / ours, 2),
                "times_tfio": round(milliseconds["tfio"] / ours, 1),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    run_flags.run(main)
