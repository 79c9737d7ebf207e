r"""How fast exported models run, beside each other and beside PyTorch.

    python -m experiments.benchmarks.inference --pytorch="torch_env/bin/python \
      pytorch_step.py --forward --threads=1 --classes=527 --batch=16"

Writes a random network in every format and starts a process for each way to run
it, with one thread. They are asked in turns for some batches of 16 patches, so
that all meet the same machine. Prints the size of each file, the median of the
patches per second of CPU time, and the median over rounds of the ratio to the
fastest of PyTorch's. PyTorch's command takes --width; it is started as it is
(channels-last), with --contiguous (eager) and with --compile. What is not
installed is left out. Takes 4 minutes for each network.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError

_PYTORCH = flags.DEFINE_string("pytorch", "", "PyTorch's command.")
_WIDTHS = flags.DEFINE_list("widths", ["0.25", "1"], "Factors on the filters.")
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 15, "Turns of each process.")
_TURN_PATCHES = flags.DEFINE_integer(
    "turn_patches", 32, "Patches of a turn of the full network."
)
_ANSWER = flags.DEFINE_list(
    "answer", [], "Runtime and model of a process that answers."
)

_BATCH = 16
_NUM_CLASSES = 527
_RUNS = (
    ("SavedModel", "tensorflow", ""),
    ("ONNX Runtime", "onnxruntime", "model.onnx"),
    ("ONNX Runtime, int8 weights", "onnxruntime", "model_int8.onnx"),
    ("OpenVINO", "openvino", "model.onnx"),
    ("LiteRT", "tflite", "model.tflite"),
    ("LiteRT, int8 weights", "tflite", "model_int8.tflite"),
)
_PYTORCH_RUNS = (
    ("PyTorch, eager", "--contiguous"),
    ("PyTorch, channels-last", ""),
    ("PyTorch, compiled", "--compile"),
)


def _answer(runtime: str, path: str) -> None:
    """Runs as many batches as each line of standard input says."""
    from audioset_strong.inference.engines import load_engine

    _, engine = load_engine(path, runtime, num_threads=1)
    patches = np.random.default_rng(0).normal(-1.0, 1.5, (_BATCH, 96, 64))
    patches = patches.astype(np.float32)
    for _ in range(2):
        engine(patches)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        count = int(line)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            engine(patches)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps([wall / count, cpu / count]), flush=True)


def _write_models(width: float, folder: str) -> None:
    """Writes a random network in every format."""
    from audioset_strong.export import formats, saved_model
    from audioset_strong.inference.metadata import ModelMetadata
    from audioset_strong.labels.class_map import ClassMap
    from audioset_strong.models.folding import fold_batch_norm
    from audioset_strong.models.frame_classifier import build_frame_classifier
    from audioset_strong.params import FeatureParams, ModelParams

    names = tuple(f"/m/{i}" for i in range(_NUM_CLASSES))
    metadata = ModelMetadata("random", ClassMap(names, names), FeatureParams())
    classifier = fold_batch_norm(
        build_frame_classifier(
            _NUM_CLASSES, ModelParams(width=width), metadata.features
        )
    )
    saved_model.write_saved_model(classifier, metadata, folder)
    formats.write_files(classifier, metadata, folder, list(formats.FORMATS))


def _start(command: Sequence[str]) -> subprocess.Popen[str] | None:
    """Starts a process that answers; None if it cannot."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_NUM_INTEROP_THREADS": "1"},
    )
    assert process.stdout is not None
    return process if process.stdout.readline() else None


def _megabytes(folder: str, file: str) -> float:
    """Size of a file, or of the SavedModel if none is named."""
    paths = [os.path.join(folder, file)]
    if not file:
        paths = [os.path.join(folder, "saved_model.pb")] + [
            entry.path for entry in os.scandir(f"{folder}/variables")
        ]
    return sum(map(os.path.getsize, paths)) / 1e6


def _measure(width: float, folder: str) -> list[str]:
    """Returns the rows of the table of one network."""
    _write_models(width, folder)
    processes, sizes = {}, {}
    for name, runtime, file in _RUNS:
        model = os.path.join(folder, file)
        command = [sys.executable, "-m", "experiments.benchmarks.inference"]
        processes[name] = _start([*command, f"--answer={runtime},{model}"])
        sizes[name] = f"{_megabytes(folder, file):.1f}"
    for name, option in _PYTORCH_RUNS if _PYTORCH.value else ():
        command = f"{_PYTORCH.value} --width={width} {option}"
        processes[name] = _start(shlex.split(command))
    running = {name: p for name, p in processes.items() if p is not None}
    # About as long in a small network.
    count = max(1, round(_TURN_PATCHES.value / _BATCH / max(width, 0.2) ** 1.5))
    speeds: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(_NUM_ROUNDS.value):
        for name, process in running.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
            _, cpu = json.loads(process.stdout.readline())
            speeds[name].append(_BATCH / cpu)
    for process in running.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    names = [n for n, _ in _PYTORCH_RUNS if n in running] or list(running)
    best = max(names, key=lambda name: float(np.median(speeds[name])))
    return [
        f"| {name} | {sizes.get(name, '')} | {np.median(values):.1f} | "
        f"{np.median(np.divide(values, speeds[best])):.2f} |"
        for name, values in speeds.items()
    ]


def main(argv: Sequence[str]) -> None:
    """Prints the table of each network."""
    run_flags.refuse_arguments(argv)
    if _ANSWER.value:
        if len(_ANSWER.value) != 2:
            raise InputError("Expected --answer=runtime,model.")
        _answer(*_ANSWER.value)
        return
    for width in map(float, _WIDTHS.value):
        with tempfile.TemporaryDirectory() as folder:
            print(f"\nResNet-50, width {width:g}\n")
            print(
                "| runs on | MB | patches per CPU-second | of PyTorch's best |"
            )
            print("| :--- | ---: | ---: | ---: |")
            print("\n".join(_measure(width, folder)), flush=True)


if __name__ == "__main__":
    run_flags.run(main)
