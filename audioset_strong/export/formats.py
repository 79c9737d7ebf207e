"""Exports a run in the formats that are asked for, and compares each file.

Every file is loaded in a process that cannot import this package, and scores
the same sounds as the network in memory before the export's folder is there.

    saved_model   SavedModel            `saved_model.py`
    tflite        `model*.tflite`       `tflite_file.py`
    onnx          `model*.onnx`         `onnx_file.py`
    keras         `model.keras`         plain Keras layers, from `patches` to a
                                        dict of `scores` and `embeddings`
"""

import importlib.util
import os
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.export.elsewhere import run_elsewhere
from audioset_strong.export.model_card import write_model_card
from audioset_strong.export.onnx_file import write_onnx
from audioset_strong.export.saved_model import (
    check_waveforms,
    folder_when_whole,
    load_for_export,
    write_saved_model,
)
from audioset_strong.export.tflite_file import write_tflite
from audioset_strong.export.waveform_model import WaveformClassifier
from audioset_strong.inference.metadata import METADATA_FILE, ModelMetadata

# Each format with the modules that writing and comparing it needs.
FORMATS: dict[str, tuple[str, ...]] = {
    "saved_model": (),
    "tflite": (),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "keras": (),
}

# Largest difference of a score between a file and the network in memory, on the
# same patches. Weights of 16 and 8 bits: several times what was measured on
# networks (`experiments/results/export.md`), since a file that is wrong differs
# by more.
TOLERANCES = {
    "model.onnx": 1e-5,
    "model.keras": 1e-5,
    "model.tflite": 1e-5,
    "model_float16.tflite": 1e-2,
    "model_int8.tflite": 0.1,
    "model_int8.onnx": 0.1,
}
# What the rounding of another FFT adds if a file is given the waveform: a pure
# tone has bands that hold little but rounding. An inexact front end differs by
# 0.04 in log-mel.
_WAVEFORM_TOLERANCE = 1e-3


def export_model(
    workdir: str,
    output_dir: str,
    formats: Sequence[str] = ("saved_model",),
    checkpoint: str = "best",
    thresholds: str | None = None,
    licence: str = "",
    name: str = "",
    report: str | None = None,
    notice: str = "",
    dataset: str = "",
) -> dict[str, float]:
    """Exports the model of a run and compares each file with it.

    Args:
      workdir: Folder of the run.
      output_dir: Folder of the export; must be new or empty.
      formats: Some of `FORMATS`.
      checkpoint: "best" or "last".
      thresholds: File of `choose_thresholds` that the export is to hold.
      licence: Of the weights, such as "CC-BY-4.0".
      name: What to call the model; "" for the name of the run's folder.
      report: `report.json` of `evaluate`, whose metrics the card shows.
      notice: Markdown for the card's section on the licence, such as the
        authors of the recordings.
      dataset: What the report is about, in words.

    Returns:
      For each file the largest difference of a score, over test sounds.

    Raises:
      InputError: A format is unknown or needs what is not installed, the folder
        is not empty, the run has no checkpoint, the thresholds are not for its
        classes or the report is none. Nothing was written.
      RuntimeError: A file has other outputs. Nothing was written.
    """
    check_formats(formats)
    with folder_when_whole(output_dir) as folder:
        classifier, metadata = load_for_export(
            workdir, checkpoint, thresholds, licence, name
        )
        differences = {}
        if "saved_model" in formats:
            differences["saved_model.pb"] = write_saved_model(
                classifier, metadata, folder
            )
        write_files(classifier, metadata, folder, formats)
        for file in TOLERANCES:
            if os.path.exists(os.path.join(folder, file)):
                differences[file] = compare_file(
                    classifier, metadata, os.path.join(folder, file)
                )
        write_model_card(metadata, folder, report, notice, dataset)
    return differences


def check_formats(formats: Sequence[str]) -> None:
    """Checks that formats can be written.

    Raises:
      InputError: A format is unknown or needs what is not installed.
    """
    if not formats or not set(formats) <= set(FORMATS):
        raise InputError(
            f"Expected formats of {list(FORMATS)}. Received: {list(formats)}."
        )
    for name in formats:
        missing = [
            module
            for module in FORMATS[name]
            if importlib.util.find_spec(module) is None
        ]
        if missing:
            raise InputError(
                f"Format {name!r} needs {', '.join(missing)}, which is not "
                f"installed: pip install 'audioset_strong[export]'."
            )


def write_files(
    classifier: keras.Model,
    metadata: ModelMetadata,
    folder: str,
    formats: Sequence[str],
) -> None:
    """Writes `metadata.json` and all formats but the SavedModel.

    Args:
      classifier: From `load_for_export`.
      metadata: Likewise.
      folder: Where to.
      formats: Some of `FORMATS`.
    """
    with open(
        os.path.join(folder, METADATA_FILE), "w", encoding="utf-8"
    ) as file:
        file.write(metadata.to_json() + "\n")
    if "tflite" in formats:
        write_tflite(classifier, metadata, folder)
    network = with_scores(classifier)
    if "onnx" in formats:
        write_onnx(network, metadata, folder)
    if "keras" in formats:
        network.save(os.path.join(folder, "model.keras"))


def with_scores(classifier: keras.Model) -> keras.Model:
    """Returns a network of the same weights, with `scores` for `logits`."""
    outputs = classifier.output
    scores = keras.layers.Activation("sigmoid", name="scores")
    return keras.Model(
        classifier.input,
        {
            "scores": scores(outputs["logits"]),
            "embeddings": outputs["embeddings"],
        },
        name="frame_classifier",
    )


def compare_file(
    classifier: keras.Model, metadata: ModelMetadata, path: str
) -> float:
    """Compares a file with the network that it was written from.

    Args:
      classifier: From `load_for_export`.
      metadata: Likewise.
      path: One of the files of `TOLERANCES`.

    Returns:
      The largest difference of a score, on the same patches.

    Raises:
      RuntimeError: The file cannot be loaded, or has other outputs.
    """
    kind, file = os.path.splitext(path)[1], os.path.basename(path)
    waveforms = check_waveforms(metadata.features)
    patches = _patches_of(waveforms, metadata)
    outputs = classifier(patches, training=False)
    expected = {
        "patches/scores": tf.sigmoid(outputs["logits"]).numpy(),
        "patches/embeddings": outputs["embeddings"].numpy(),
    }
    inputs = {"patches": patches}
    if kind == ".tflite":
        inputs |= waveforms
        model = WaveformClassifier(classifier, metadata, "")
        for name, waveform in waveforms.items():
            for key, value in zip(
                ("scores", "embeddings", "log_mel"),
                model.score_at_once(tf.constant(waveform)),
                strict=True,
            ):
                expected[f"{name}/{key}"] = value.numpy()
    found = run_elsewhere(path, inputs)
    for name, value in expected.items():
        if found[name].shape != value.shape:
            raise RuntimeError(
                f"Expected {name} with shape {value.shape} from {file}. "
                f"Received: shape={found[name].shape}."
            )
    most = TOLERANCES[file]
    for name, value in expected.items():
        if name.endswith("/embeddings"):
            continue  # without a scale; scores are made of them
        difference = float(np.abs(found[name] - value).max())
        allowed = {
            "patches/scores": most,
            # Front ends stay exact, whatever the weights.
            f"{name.rpartition('/')[0]}/log_mel": _WAVEFORM_TOLERANCE,
        }.get(name, most + _WAVEFORM_TOLERANCE)
        if not difference <= allowed:  # NaN fails too
            raise RuntimeError(
                f"In {file} {name} differs by {difference:.2g}, more than "
                f"{allowed:.2g}."
            )
    differences = found["patches/scores"] - expected["patches/scores"]
    return float(np.abs(differences).max())


def _patches_of(
    waveforms: dict[str, np.ndarray], metadata: ModelMetadata
) -> np.ndarray:
    """Cuts sounds: `[num_patches, patch_stft_frames, mel_bands]`."""
    features = metadata.features
    length = features.patch_stft_frames
    patches = []
    for waveform in waveforms.values():
        padded = np.pad(waveform, (0, features.patch_window_samples))
        log_mel = waveform_to_log_mel(padded, features)
        whole = len(log_mel) // length * length
        patches.append(log_mel[:whole].reshape(-1, length, features.mel_bands))
    return np.concatenate(patches)
