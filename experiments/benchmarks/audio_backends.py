r"""How long both audio backends take for a clip, step by step.

    python -m experiments.benchmarks.audio_backends --audio_dir=esc50/audio

Joins the recordings of --audio_dir to clips of ten seconds, 44.1 kHz, stereo,
writes them as FLAC, WAV, Ogg and MP3, and prints a Markdown table of
milliseconds: the shortest of some repetitions of a clip, its median over clips,
both backends in turns in one process. Once with one thread, once with as many
as TensorFlow takes by default; the default backend always uses one. "Graph
only" leaves out the check of the file by the default backend.
"""

import glob
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile
import soxr
import tensorflow as tf
from absl import flags

from audioset_strong import run_flags
from audioset_strong.audio import decode, log_mel, log_mel_graph, tfio_backend
from audioset_strong.audio.backends import compute_log_mel
from audioset_strong.audio.samples import ReadAudio
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir", None, "Folder of recordings.", required=True
)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 10, "Clips of each format.")
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 5, "Times for each clip.")

_SAMPLE_RATE, _SECONDS = 44100, 10.0
_CONTAINERS = ("flac", "wav", "ogg", "mp3")
_FEATURES = FeatureParams()

_Steps = dict[str, Callable[[Any], Any]]


def _write_clips(audio_dir: str, folder: str, num_clips: int) -> None:
    """Writes the clips in every format; speed and pitch do not matter here."""
    paths = sorted(glob.glob(os.path.join(audio_dir, "*")))
    if not paths:
        raise InputError(f"{audio_dir} holds no recordings.")
    num_samples = round(_SAMPLE_RATE * _SECONDS)
    num_files, rng = 0, np.random.default_rng(0)
    for clip in range(num_clips):
        sound = np.zeros(0)
        while len(sound) < num_samples:
            path = paths[num_files * len(paths) // (7 * num_clips) % len(paths)]
            own, _ = soundfile.read(path, always_2d=True)
            sound, num_files = np.append(sound, own[:, 0]), num_files + 1
        left = sound[:num_samples]
        right = 0.7 * np.roll(left, 20) + 1e-3 * rng.standard_normal(len(left))
        stereo = np.stack([left, right], axis=1).clip(-1, 1)
        for container in _CONTAINERS:
            path = os.path.join(folder, f"{clip}.{container}")
            soundfile.write(path, stereo, _SAMPLE_RATE)


def _default_steps(path: str) -> _Steps:
    """The default backend; each step takes what the one before gave."""

    def read(_: Any) -> np.ndarray:
        read_audio = ReadAudio()
        read_audio.container = os.path.splitext(path)[1][1:]
        with open(path, "rb", buffering=0) as file:
            blocks = decode.read_with_soundfile(file, read_audio, _SECONDS)
            return np.concatenate(list(blocks))

    return {
        "decode and mix": read,
        "resample": lambda x: soxr.resample(x, _SAMPLE_RATE, 16000),
        "log-mel": lambda x: log_mel.waveform_to_log_mel(x, _FEATURES),
        "all": lambda _: compute_log_mel(path, _SECONDS, _FEATURES)[1],
    }


def _make_graphs() -> dict[str, Any]:
    """tensorflow-io's steps after decoding, each a graph of its own."""
    waveform = [tf.TensorSpec([None], tf.float32)]

    def make_graph(function: Callable[..., Any]) -> Any:
        return tf.function(function, waveform, autograph=False)

    return {
        "resample": make_graph(
            lambda x: tfio_backend.resample(
                x, _SAMPLE_RATE, _FEATURES.sample_rate
            )
        ),
        "log-mel": make_graph(
            lambda x: log_mel_graph.waveform_to_log_mel(x, _FEATURES)
        ),
    }


def _tfio_steps(path: str, graphs: dict[str, Any]) -> _Steps:
    """The tensorflow-io backend."""
    audio = tfio_backend.import_tfio().audio
    container = os.path.splitext(path)[1][1:]
    decode_file, encoding = {
        "flac": (lambda x: audio.decode_flac(x, dtype=tf.int16), "PCM_16"),
        "wav": (lambda x: audio.decode_wav(x, dtype=tf.int16), "PCM_16"),
        "ogg": (audio.decode_vorbis, "VORBIS"),
        "mp3": (audio.decode_mp3, ""),
    }[container]
    whole = tfio_backend.audio_graph(
        _FEATURES, container, encoding, _SAMPLE_RATE
    )

    def decode_and_mix(_: Any) -> tf.Tensor:
        samples = tf.cast(decode_file(tf.io.read_file(path)), tf.float32)
        return tf.reduce_mean(samples, axis=1)

    return {
        "decode and mix": decode_and_mix,
        "resample": graphs["resample"],
        "log-mel": graphs["log-mel"],
        "all": lambda _: compute_log_mel(path, _SECONDS, _FEATURES, "tfio"),
        "all, graph only": lambda _: whole(
            tf.io.read_file(path), _SECONDS, 0.0
        ),
    }


def _time_steps(steps: _Steps) -> dict[str, float]:
    """Runs each step once; milliseconds."""
    value, milliseconds = None, {}
    for name, step in steps.items():
        started = time.perf_counter()
        value = step(value)
        milliseconds[name] = 1000 * (time.perf_counter() - started)
    return milliseconds


def _measure(
    folder: str, num_clips: int, repeats: int, num_threads: int
) -> list[str]:
    """Measures all formats and returns rows of the table."""
    if num_threads:
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    rows, graphs = [], _make_graphs()
    for container in _CONTAINERS:
        clips = [
            _time_clip(
                os.path.join(folder, f"{n}.{container}"), graphs, repeats
            )
            for n in range(num_clips)
        ]
        median = {
            key: float(np.median([clip[key] for clip in clips]))
            for key in clips[0]
        }
        for step in [step for backend, step in median if backend == "tfio"]:
            tfio = median["tfio", step]
            default = median["default", step.partition(",")[0]]
            rows.append(
                f"| {container} | {num_threads or 'default'} | {step} | "
                f"{default:.1f} | {tfio:.1f} | {tfio / default:.1f} |"
            )
    return rows


def _time_clip(
    path: str, graphs: dict[str, Any], repeats: int
) -> dict[tuple[str, str], float]:
    """Runs both backends in turns; the shortest time of each step."""
    backends = {
        "default": _default_steps(path),
        "tfio": _tfio_steps(path, graphs),
    }
    best: dict[tuple[str, str], float] = {}
    for repeat in range(repeats + 1):
        for backend, steps in backends.items():
            for step, milliseconds in _time_steps(steps).items():
                if repeat:  # the first compiles
                    key = backend, step
                    best[key] = min(best.get(key, np.inf), milliseconds)
    return best


def main(argv: Sequence[str]) -> None:
    """Measures all and prints the table."""
    run_flags.refuse_arguments(argv)
    print(
        "| format | threads | step | default, ms | tfio, ms | tfio / default |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        _write_clips(_AUDIO_DIR.value, folder, _NUM_CLIPS.value)
        for num_threads in (1, 0):
            # TensorFlow takes its number of threads once in a process.
            context = multiprocessing.get_context("spawn")
            arguments = (_NUM_CLIPS.value, _NUM_REPEATS.value, num_threads)
            with context.Pool(1) as pool:
                rows = pool.apply(_measure, (folder, *arguments))
            print("\n".join(rows), flush=True)


if __name__ == "__main__":
    run_flags.run(main)
