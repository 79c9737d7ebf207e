"""Exports a SavedModel: from a waveform to scores, embeddings and log-mel.

What an export offers, loaded with `tf.saved_model.load`:

    outputs = model(waveform)
      waveform     float32 [num_samples], mono, 16 kHz, [-1, 1]; any length;
                   shorter ones than a patch (0.975 s) are padded with zeros
      outputs      dict of
        scores       float32 [num_patches, num_classes], in [0, 1]
        embeddings   float32 [num_patches, 2048 * width]
        log_mel      float32 [num_stft_frames, 64]
    model.class_map_path()   string, path of the class map inside the export
    model.metadata()         string, JSON: settings, class hash, checkpoint

Patch i covers 0.96 s of audio from second 0.96 i on, as the label frames of a
clip do. The signature `serving_default` is the same function. An export needs
nothing but TensorFlow, neither Keras nor this package.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

from audioset_strong import __version__
from audioset_strong.audio.log_mel_graph import (
    log_mel_to_patches,
    pad_to_one_patch,
    waveform_to_log_mel,
)
from audioset_strong.errors import InputError
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.labels.class_map import write_class_map
from audioset_strong.params import FeatureParams
from audioset_strong.training.workdir import load_classifier

# Largest difference between a score of the export and of the model in memory.
# The two run the same kernels, so this is room for another order of additions.
_MAX_SCORE_DIFFERENCE = 1e-4

# Run in a process of its own that cannot import this package.
_RELOAD_SCRIPT = """
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
waveforms = np.load(sys.argv[2])
outputs = {}
for name in waveforms.files:
    for key, value in model(tf.constant(waveforms[name])).items():
        outputs[f"{name}/{key}"] = value.numpy()
np.savez(sys.argv[3], **outputs)
"""


class WaveformClassifier(tf.Module):  # type: ignore[misc]  # an untyped base
    """The whole way from a waveform to scores, as in the module docstring.

    The class map is copied into the export.
    """

    def __init__(
        self,
        classifier: keras.Model,
        features: FeatureParams,
        class_map_path: str,
        metadata: ModelMetadata,
    ) -> None:
        super().__init__()
        self._classifier = classifier
        self._features = features
        self._class_map = tf.saved_model.Asset(class_map_path)
        patch_shape = [None, features.patch_stft_frames, features.mel_bands]
        self.score_patches = tf.function(
            self._score_patches,
            input_signature=[tf.TensorSpec(patch_shape, tf.float32)],
        )
        self._metadata = tf.constant(metadata.to_json())

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None], tf.float32)]
    )
    def __call__(self, waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores a waveform; see the module docstring."""
        padded = pad_to_one_patch(waveform, self._features)
        # [num_samples], at least those of a patch
        log_mel = waveform_to_log_mel(padded, self._features)
        # [num_stft_frames, mel_bands]
        patches = log_mel_to_patches(log_mel, self._features)
        # [num_patches, patch_stft_frames, mel_bands]; the rest is left out
        outputs = self._classifier(patches, training=False)
        return {
            "scores": tf.sigmoid(outputs["logits"]),
            "embeddings": outputs["embeddings"],
            "log_mel": log_mel,
        }

    def _score_patches(self, patches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores patches: their scores and embeddings (`engines.py`)."""
        outputs = self._classifier(patches, training=False)
        return tf.sigmoid(outputs["logits"]), outputs["embeddings"]

    @tf.function(input_signature=[])  # type: ignore[untyped-decorator]
    def class_map_path(self) -> tf.Tensor:
        """Returns the path of the class map inside the export."""
        return self._class_map.asset_path

    @tf.function(input_signature=[])  # type: ignore[untyped-decorator]
    def metadata(self) -> tf.Tensor:
        """Returns settings, class hash and checkpoint as JSON."""
        return self._metadata


def export_saved_model(
    workdir: str, output_dir: str, checkpoint: str = "best"
) -> float:
    """Exports the model of a run, reloads the export and compares the two.

    Args:
      workdir: Folder of the run.
      output_dir: Folder of the export; must be new or empty.
      checkpoint: "best" or "last".

    Returns:
      The largest difference of a score between the two, over test sounds.

    Raises:
      InputError: The folder is not empty or the run has no checkpoint.
      RuntimeError: The reloaded model has other outputs.
    """
    if os.path.isdir(output_dir) and os.listdir(output_dir):
        raise InputError(
            f"{output_dir} is not empty. Give a new output_dir or delete it."
        )
    classifier, params, class_map = load_classifier(workdir, checkpoint)
    metadata = ModelMetadata(
        name=os.path.basename(os.path.abspath(output_dir)),
        class_map=class_map,
        features=params.features,
        training={"checkpoint": checkpoint, **dataclasses.asdict(params)},
        version=__version__,
    )
    with tempfile.TemporaryDirectory() as folder:
        class_map_path = os.path.join(folder, "class_map.csv")
        write_class_map(class_map, class_map_path)
        model = WaveformClassifier(
            classifier, params.features, class_map_path, metadata
        )
        tf.saved_model.save(
            model, output_dir, signatures={"serving_default": model.__call__}
        )
        return _compare_reloaded(model, output_dir, params.features, folder)


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
    model: WaveformClassifier,
    output_dir: str,
    features: FeatureParams,
    folder: str,
) -> float:
    """Compares a model with its export, loaded without this package."""
    waveforms = check_waveforms(features)
    waveforms_path = os.path.join(folder, "waveforms.npz")
    outputs_path = os.path.join(folder, "outputs.npz")
    np.savez(waveforms_path, **waveforms)  # type: ignore[arg-type]
    reloaded = subprocess.run(
        # -I ignores the current folder and PYTHONPATH.
        [sys.executable, "-I", "-c", _RELOAD_SCRIPT]
        + [os.path.abspath(output_dir), waveforms_path, outputs_path],
        capture_output=True,
        text=True,
        check=False,
    )
    if reloaded.returncode:
        raise RuntimeError(f"The export cannot be loaded:\n{reloaded.stderr}")
    largest = 0.0
    with np.load(outputs_path) as outputs:
        for name, waveform in waveforms.items():
            expected = model(tf.constant(waveform))
            for key, value in expected.items():
                found = outputs[f"{name}/{key}"]
                if found.shape != value.shape:
                    raise RuntimeError(
                        f"Expected {key} of {name} with shape {value.shape} "
                        f"from the export. Received: shape={found.shape}."
                    )
            scores = outputs[f"{name}/scores"]  # [num_patches, num_classes]
            difference = np.abs(scores - expected["scores"].numpy()).max()
            largest = max(largest, float(difference))
    if not largest <= _MAX_SCORE_DIFFERENCE:  # NaN fails too
        raise RuntimeError(
            f"In the export a score differs by {largest:.2g}, more than "
            f"{_MAX_SCORE_DIFFERENCE}."
        )
    return largest
