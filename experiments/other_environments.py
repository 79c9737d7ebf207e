r"""Runs an export where nothing but its runtime is installed.

    python -m experiments.other_environments --workdir=runs/strong \
      --records_dir=records/eval --group=strong --envs_dir=/tmp/environments

Exports the model in all formats, makes an environment for each runtime with pip
(kept in --envs_dir), and runs each file on the same patches of records as the
network of `score_records`, without this package. Prints the largest difference
of a score, and fails if it is above 1e-5 (float16: 1e-2, int8: 0.1). Records
hold log-mel as float16: both are given those values as float32.
"""

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence

import numpy as np
from absl import flags

from audioset_strong import run_flags
from audioset_strong.export import formats
from audioset_strong.export.elsewhere import run_elsewhere
from audioset_strong.models.clip_scores import make_score_patches
from audioset_strong.records.manifest import read_records
from audioset_strong.records.streams import label_frame_batches, read_batches
from audioset_strong.training.workdir import load_classifier

_WORKDIR = run_flags.define_workdir()
_RECORDS_DIR = flags.DEFINE_string("records_dir", None, "", required=True)
_GROUP = flags.DEFINE_string("group", "strong", "Group of shards.")
_ENVS_DIR = flags.DEFINE_string(
    "envs_dir", None, "Folder for the environments.", required=True
)
_NUM_PATCHES = flags.DEFINE_integer("num_patches", 160, "Patches to compare.")

_TFLITE = ("model.tflite", "model_float16.tflite", "model_int8.tflite")
# By name what pip installs, and which files are run.
_ENVIRONMENTS = {
    "tensorflow216": (["tensorflow-cpu==2.16.2"], (".", *_TFLITE)),
    "tensorflow": (["tensorflow-cpu"], (".", *_TFLITE)),
    "litert": (["ai-edge-litert"], _TFLITE),
    "tflite_runtime": (["tflite-runtime", "numpy<2"], _TFLITE),
    "onnxruntime": (["onnxruntime"], ("model.onnx", "model_int8.onnx")),
}


def _python_of(name: str, packages: Sequence[str]) -> str:
    """Makes an environment, unless it is there, and returns its Python."""
    folder = os.path.join(_ENVS_DIR.value, name)
    python = os.path.join(folder, "bin", "python")
    done = os.path.join(folder, "installed")
    if not os.path.exists(done):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *packages], check=True
        )
        with open(done, "w", encoding="utf-8"):
            pass
    return python


def _read_patches() -> np.ndarray:
    """Reads the first patches of records."""
    records = read_records(_RECORDS_DIR.value)
    parts, count = [], 0
    for batch in read_batches(
        label_frame_batches(records, [_GROUP.value], "strong"), records
    ):
        patches = batch["patches"].numpy()
        parts.append(patches.reshape(-1, *patches.shape[2:]))
        count += len(parts[-1])
        if count >= _NUM_PATCHES.value:
            break
    return np.concatenate(parts)[: _NUM_PATCHES.value].astype(np.float32)


def main(argv: Sequence[str]) -> None:
    """Compares each file in each environment."""
    run_flags.refuse_arguments(argv)
    patches = _read_patches()
    classifier, _, _ = load_classifier(_WORKDIR.value)
    expected = make_score_patches(classifier)(patches).numpy()
    is_wrong = False
    with tempfile.TemporaryDirectory() as folder:
        export = os.path.join(folder, "export")
        formats.export_model(_WORKDIR.value, export, list(formats.FORMATS))
        for name, (packages, files) in _ENVIRONMENTS.items():
            python = _python_of(name, packages)
            for file in files:
                found = run_elsewhere(
                    os.path.join(export, file), {"patches": patches}, python
                )["patches/scores"]
                difference = float(np.abs(found - expected).max())
                allowed = formats.TOLERANCES.get(file, 1e-5)
                is_wrong |= not difference <= allowed
                label = "SavedModel" if file == "." else file
                print(f"| {name} | {label} | {difference:.1e} |", flush=True)
    if is_wrong:
        sys.exit(1)


if __name__ == "__main__":
    run_flags.run(main)
