"""Exports a run as a SavedModel, which needs nothing but TensorFlow.

What can be called is in `waveform_model.py`. On the way batch norm is folded
into the convolutions (`models/folding.py`), and the export is loaded in a
process without this package and compared. A folder of an export is whole or not
there. `formats.py` calls all this.
"""

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from audioset_strong import __version__
from audioset_strong.errors import InputError
from audioset_strong.evaluation.thresholds import read_model_thresholds
from audioset_strong.export.elsewhere import run_elsewhere
from audioset_strong.export.waveform_model import WaveformClassifier
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.labels.class_map import write_class_map
from audioset_strong.models.folding import fold_batch_norm
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import FeatureParams
from audioset_strong.training.workdir import (
    read_run,
    restore_weights,
    weights_hash,
)

# Largest difference between a score of the export and of the model in memory.
# The two run the same kernels, so this is room for another order of additions.
_MAX_SCORE_DIFFERENCE = 1e-4


def load_for_export(
    workdir: str,
    checkpoint: str = "best",
    thresholds: str | None = None,
    licence: str = "",
    name: str = "",
) -> tuple[keras.Model, ModelMetadata]:
    """Loads the model of a run with batch norm folded, as all formats hold it.

    Arguments and errors are those of `formats.export_model`.
    """
    params, class_map = read_run(workdir)
    chosen = (
        None
        if thresholds is None
        else tuple(read_model_thresholds(thresholds, class_map.mids).tolist())
    )
    classifier = build_frame_classifier(
        class_map.num_classes, params.model, params.features
    )
    path = restore_weights(workdir, classifier, checkpoint)
    metadata = ModelMetadata(
        name=name or os.path.basename(os.path.abspath(workdir)),
        class_map=class_map,
        features=params.features,
        thresholds=chosen,
        training={
            **dataclasses.asdict(params),
            "checkpoint": checkpoint,
            "step": int(path.rpartition("-")[2]),
            "weights_hash": weights_hash(workdir, checkpoint),
        },
        licence=licence,
        version=__version__,
    )
    return fold_batch_norm(classifier), metadata


@contextlib.contextmanager
def folder_when_whole(output_dir: str) -> Iterator[str]:
    """Gives a folder to write to, which becomes `output_dir` in the end.

    Raises:
      InputError: `output_dir` exists and is not empty.
    """
    output_dir = os.path.abspath(output_dir)
    if os.path.exists(output_dir) and (
        not os.path.isdir(output_dir) or os.listdir(output_dir)
    ):
        raise InputError(
            f"{output_dir} is not empty. Give a new output_dir or delete it."
        )
    parent, name = os.path.split(output_dir)
    os.makedirs(parent, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=f".{name}.", dir=parent)
    try:
        yield folder
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(folder, 0o777 & ~umask)  # mkdtemp keeps others out
        os.replace(folder, output_dir)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_saved_model(
    classifier: keras.Model, metadata: ModelMetadata, output_dir: str
) -> float:
    """Writes a SavedModel, reloads it and compares it with the network.

    Args:
      classifier: From `load_for_export`.
      metadata: Likewise.
      output_dir: Folder, which may hold other files.

    Returns:
      The largest difference of a score.

    Raises:
      RuntimeError: The reloaded model has other outputs.
    """
    with tempfile.TemporaryDirectory() as folder:
        class_map_path = os.path.join(folder, "class_map.csv")
        write_class_map(metadata.class_map, class_map_path)
        model = WaveformClassifier(classifier, metadata, class_map_path)
        tf.saved_model.save(model, output_dir, signatures=model.signatures())
        return _compare_reloaded(model, output_dir, metadata.features)


def check_waveforms(features: FeatureParams) -> dict[str, np.ndarray]:
    """Makes the sounds that exports are compared on, by name.

    float32 `[num_samples]` each; the last is shorter than one patch.
    """
    rng = np.random.default_rng(0)
    num_samples = 3 * features.sample_rate
    seconds = np.arange(num_samples) / features.sample_rate
    waveforms = {
        "silence": np.zeros(num_samples),
        "noise": rng.uniform(-0.5, 0.5, num_samples),
        "tone": 0.5 * np.sin(2 * np.pi * 440.0 * seconds),
        "short": rng.uniform(-0.5, 0.5, features.sample_rate // 4),
    }
    return {name: w.astype(np.float32) for name, w in waveforms.items()}


def _compare_reloaded(
    model: WaveformClassifier, output_dir: str, features: FeatureParams
) -> float:
    """Compares a model with its export, loaded without this package."""
    waveforms = check_waveforms(features)
    outputs = run_elsewhere(output_dir, waveforms)
    largest = 0.0
    for name, waveform in waveforms.items():
        values = model(tf.constant(waveform))
        for key, value in zip(
            ("scores", "embeddings", "log_mel"), values, strict=True
        ):
            found = outputs[f"{name}/{key}"]
            if found.shape != value.shape:
                raise RuntimeError(
                    f"Expected {key} of {name} with shape {value.shape} from "
                    f"the export. Received: shape={found.shape}."
                )
        scores = outputs[f"{name}/scores"]  # [num_patches, num_classes]
        difference = np.abs(scores - values[0].numpy()).max()
        largest = max(largest, float(difference))
    if not largest <= _MAX_SCORE_DIFFERENCE:  # NaN fails too
        raise RuntimeError(
            f"In the export a score differs by {largest:.2g}, more than "
            f"{_MAX_SCORE_DIFFERENCE}."
        )
    return largest
