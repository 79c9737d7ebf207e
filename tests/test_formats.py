"""Each format gives the scores of the run, with and without this package."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.export import formats
from audioset_strong.export.quantizing import quantize_to_int8
from audioset_strong.export.saved_model import load_for_export
from audioset_strong.inference.engines import load_engine
from audioset_strong.inference.metadata import parse_metadata

_RNG = np.random.default_rng(3)
_PATCHES = _RNG.normal(-1.0, 1.5, (37, 96, 64)).astype(np.float32)
_HAS_ONNX = all(map(importlib.util.find_spec, formats.FORMATS["onnx"]))
_NEEDS_ONNX = pytest.mark.skipif(
    not _HAS_ONNX, reason="the extra `export` is not installed"
)
# Weights of 8 bits of an untrained network.
_INT8_TOLERANCE = 0.02


@pytest.fixture(scope="module")
def loaded(untrained_workdir):
    return load_for_export(untrained_workdir)


@pytest.fixture(scope="module")
def files_dir(loaded, tmp_path_factory):
    """All files of an export but the SavedModel, not yet compared."""
    folder = tmp_path_factory.mktemp("files")
    names = ["tflite", "keras"] + ["onnx"] * _HAS_ONNX
    formats.write_files(*loaded, str(folder), names)
    return folder


@pytest.fixture(scope="module")
def expected(loaded):
    outputs = loaded[0](_PATCHES, training=False)
    return tf.sigmoid(outputs["logits"]).numpy(), outputs["embeddings"].numpy()


def _check_engine(path, runtime, loaded, expected, tolerance):
    metadata, engine = load_engine(str(path), runtime)
    assert metadata == loaded[1]
    scores, embeddings = engine(_PATCHES)
    np.testing.assert_allclose(scores, expected[0], rtol=0, atol=tolerance)
    assert embeddings.shape == expected[1].shape
    # To the bit, however patches are cut into calls.
    for cut in (1, 5, 33):
        parts = [engine(_PATCHES[:cut]), engine(_PATCHES[cut:])]
        np.testing.assert_array_equal(
            np.concatenate([part.scores for part in parts]), scores
        )
        np.testing.assert_array_equal(
            np.concatenate([part.embeddings for part in parts]), embeddings
        )
    nothing = engine(_PATCHES[:0])
    assert nothing.scores.shape == (0, 3)
    assert nothing.embeddings.shape == (0, embeddings.shape[1])
    with pytest.raises(InputError, match=r"Received: shape=\(2, 64, 96\)"):
        engine(np.zeros((2, 64, 96), np.float32))


@pytest.mark.slow
def test_saved_model_scores_as_the_run(export_dir, loaded, expected):
    _check_engine(export_dir, "tensorflow", loaded, expected, 1e-5)


@pytest.mark.parametrize(
    ("file", "tolerance"),
    [
        ("model.tflite", 1e-5),
        ("model_float16.tflite", 1e-3),
        ("model_int8.tflite", _INT8_TOLERANCE),
    ],
)
def test_tflite_scores_as_the_run(files_dir, loaded, expected, file, tolerance):
    _check_engine(files_dir / file, None, loaded, expected, tolerance)


@_NEEDS_ONNX
@pytest.mark.parametrize(
    ("file", "tolerance"),
    [("model.onnx", 1e-5), ("model_int8.onnx", _INT8_TOLERANCE)],
)
def test_onnx_scores_as_the_run(files_dir, loaded, expected, file, tolerance):
    _check_engine(files_dir / file, "onnxruntime", loaded, expected, tolerance)


@pytest.mark.skipif(
    not _HAS_ONNX or not importlib.util.find_spec("openvino"),
    reason="openvino or the extra `export` is not installed",
)
def test_openvino_scores_as_the_run(files_dir, loaded, expected):
    path = files_dir / "model.onnx"
    _check_engine(path, "openvino", loaded, expected, 1e-5)


@pytest.mark.slow
def test_keras_file_needs_keras_only(files_dir, loaded):
    path = str(files_dir / "model.keras")
    assert formats.compare_file(*loaded, path) <= 1e-5


@pytest.mark.slow
def test_tflite_scores_waveforms_without_this_package(files_dir, loaded):
    path = str(files_dir / "model_int8.tflite")
    assert 0 < formats.compare_file(*loaded, path) <= _INT8_TOLERANCE


def test_files_tell_their_classes(files_dir, loaded):
    with zipfile.ZipFile(files_dir / "model_float16.tflite") as archive:
        assert archive.read("class_names.txt") == b"Bell\nDog\nRain\n"
    text = (files_dir / "metadata.json").read_text()
    assert parse_metadata(text, "metadata.json") == loaded[1]


def test_smaller_weights_make_smaller_files(files_dir):
    whole, half, quarter = (
        os.path.getsize(files_dir / f"model{kind}.tflite")
        for kind in ("", "_float16", "_int8")
    )
    assert quarter < half < whole


@pytest.mark.slow
def test_a_file_with_other_scores_is_found(files_dir, loaded, tmp_path):
    # Weights of 8 bits pass for those of 32 by name only.
    shutil.copy(files_dir / "model_int8.tflite", tmp_path / "model.tflite")
    with pytest.raises(RuntimeError, match="differs by"):
        formats.compare_file(*loaded, str(tmp_path / "model.tflite"))


def test_rounding_by_channel():
    weights = np.array([[1.0, 0.011, 0.0], [-0.4, 0.02, 0.0]], np.float32)
    rounded, scales = quantize_to_int8(weights, axis=1)
    np.testing.assert_array_equal(rounded, [[127, 70, 0], [-51, 127, 0]])
    np.testing.assert_allclose(scales[:2], [1 / 127, 0.02 / 127])
    np.testing.assert_allclose(rounded * scales, weights, atol=0.5 / 127)


def test_what_cannot_be_written_is_refused_first(
    untrained_workdir, tmp_path, monkeypatch
):
    output_dir = tmp_path / "export"
    with pytest.raises(InputError, match=r"Expected formats of .*'tflight'"):
        formats.export_model(
            untrained_workdir, str(output_dir), ["saved_model", "tflight"]
        )
    monkeypatch.setitem(formats.FORMATS, "onnx", ("no_such_converter",))
    with pytest.raises(InputError, match=r"audioset_strong\[export\]"):
        formats.export_model(untrained_workdir, str(output_dir), ["onnx"])
    assert not output_dir.exists()


def test_missing_runtimes_and_models_are_named(
    files_dir, tmp_path, monkeypatch
):
    with pytest.raises(InputError, match="does not exist"):
        load_engine(str(tmp_path / "none"))
    with pytest.raises(InputError, match="holds no model"):
        load_engine(str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    monkeypatch.setenv("AUDIOSET_STRONG_RUNTIME", "tensorrt")
    with pytest.raises(InputError, match="Received: 'tensorrt'"):
        load_engine(str(tmp_path))
    monkeypatch.setenv("AUDIOSET_STRONG_RUNTIME", "tflite")
    with pytest.raises(InputError, match="holds no model for tflite"):
        load_engine(str(tmp_path))
    monkeypatch.delenv("AUDIOSET_STRONG_RUNTIME")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install onnxruntime.*openvino"):
        load_engine(str(tmp_path))


def test_loading_takes_no_tensorflow():
    code = (
        "import sys, audioset_strong.inference.sound_model; "
        "print({'tensorflow', 'keras', 'pandas', 'matplotlib', 'scipy.signal'}"
        " & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
