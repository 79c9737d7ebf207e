"""An export gives the scores of its checkpoint, and needs only TensorFlow."""

import dataclasses
import json
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.audio.decode import decode_audio
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.export.formats import export_model
from audioset_strong.export.saved_model import (
    _compare_reloaded,
    folder_when_whole,
    load_for_export,
)
from audioset_strong.export.waveform_model import WaveformClassifier
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.sound_model import load_model
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.params import FeatureParams
from audioset_strong.training.workdir import load_classifier, weights_hash

_FEATURES = FeatureParams()


def _checkpoint_scores(workdir, waveform):
    """Scores as training and scoring compute them: NumPy front end."""
    model, params, _ = load_classifier(workdir)
    log_mel = waveform_to_log_mel(waveform, params.features)
    num_patches = len(log_mel) // 96
    patches = log_mel[: num_patches * 96].reshape(num_patches, 96, 64)
    return tf.sigmoid(model(patches)["logits"]).numpy()


@pytest.mark.slow
def test_real_recording_scores_as_with_the_checkpoint(
    untrained_workdir, export_dir, esc50_dir
):
    path = sorted((esc50_dir / "audio").glob("*.ogg"))[7]
    waveform = decode_audio(str(path), 16000).waveform
    expected = _checkpoint_scores(untrained_workdir, waveform)
    found = load_model(export_dir).score(waveform).scores
    assert found.shape == (6, 3)
    in_graph, _, _ = tf.saved_model.load(export_dir)(waveform)
    # The two front ends differ in rounding; the network magnifies it a little.
    np.testing.assert_allclose(found[:5], expected, atol=1e-4)
    np.testing.assert_allclose(in_graph, found, atol=1e-4)
    assert np.ptp(expected) > 1e-3  # scores that say something


@pytest.mark.slow
def test_an_export_is_loaded_with_its_classes(
    untrained_workdir, export_dir, tmp_path
):
    _, params, class_map = load_classifier(untrained_workdir)
    model = load_model(export_dir)
    assert model.metadata.features == params.features
    assert model.metadata.class_map == class_map
    found = model.score(np.zeros(16000 * 2, np.float32))
    # The last partial patch is padded, so that all is heard.
    assert found.scores.shape == (3, 3)
    with pytest.raises(InputError, match="holds no model"):
        load_model(str(tmp_path))


@pytest.mark.slow
def test_metadata_says_where_a_model_comes_from(untrained_workdir, tmp_path):
    _, params, class_map = load_classifier(untrained_workdir)
    thresholds = tmp_path / "thresholds.csv"
    thresholds.write_text(
        "mid,threshold\n/m/rain,0.75\n/m/bell,0.5\n/m/dog,0.25\n"
    )
    _, metadata = load_for_export(
        untrained_workdir,
        thresholds=str(thresholds),
        licence="CC-BY-4.0",
        name="tiny",
    )
    assert metadata.thresholds == (0.5, 0.25, 0.75)  # in the classes' order
    stored = json.loads(metadata.to_json())
    assert stored["name"] == "tiny"
    assert stored["licence"] == "CC-BY-4.0"
    assert stored["class_map_hash"] == class_map.content_hash
    assert stored["sample_rate"] == 16000
    assert stored["patch_hop_seconds"] == 0.96
    training = stored["training"]
    assert training["label_frames"]["label_frame_seconds"] == 0.96
    assert training["train"] == dataclasses.asdict(params.train)
    assert training["records"] == {"records_hash": ""}
    assert training["checkpoint"] == "best"
    assert training["step"] == 1
    assert training["weights_hash"] == weights_hash(untrained_workdir)

    _, metadata = load_for_export(untrained_workdir)
    assert metadata.name == os.path.basename(untrained_workdir)
    assert metadata.thresholds is None
    thresholds.write_text("mid,threshold\n/m/rain,0.75\n/m/bell,0.5\n")
    with pytest.raises(InputError, match="1 have none: /m/dog"):
        load_for_export(untrained_workdir, thresholds=str(thresholds))


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """Makes models of one layer with an offset; and an export at 0.001."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("dense")
    patches = keras.Input((96, 64))
    hidden = keras.layers.Flatten()(patches)
    logits = keras.layers.Dense(1)(hidden)
    model = keras.Model(patches, {"logits": logits, "embeddings": hidden})
    class_map = ClassMap(("/m/x",), ("x",))
    class_map_path = str(folder / "class_map.csv")
    write_class_map(class_map, class_map_path)

    def wrap(log_offset):
        features = FeatureParams(log_offset=log_offset)
        metadata = ModelMetadata("x", class_map, features)
        return WaveformClassifier(model, metadata, class_map_path)

    folder = str(folder / "export")
    classifier = wrap(0.001)
    tf.saved_model.save(classifier, folder, signatures=classifier.signatures())
    return wrap, folder


def test_a_small_export_scores_as_its_model(dense):
    wrap, folder = dense
    waveform = np.random.default_rng(0).uniform(-0.1, 0.1, 16000 * 2)
    waveform = waveform.astype(np.float32)
    expected, _, _ = wrap(0.001)(waveform)
    model = load_model(folder)
    assert model.metadata.class_map.mids == ("/m/x",)
    found = model.score(waveform).scores
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_other_scores_after_reloading_are_found(dense):
    # An export that is not the model: its front end has another offset.
    wrap, folder = dense
    with pytest.raises(RuntimeError, match="a score differs by"):
        _compare_reloaded(wrap(0.01), folder, _FEATURES)


def test_wrong_folders_are_refused(untrained_workdir, tmp_path):
    with pytest.raises(InputError, match="holds no params.json"):
        export_model(str(tmp_path), str(tmp_path / "export"))
    (tmp_path / "file").touch()
    for output_dir in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="is not empty"):
            export_model(untrained_workdir, str(output_dir))
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_whole_or_not_there(tmp_path):
    output_dir = tmp_path / "exports" / "model"

    def write(must_fail):
        with folder_when_whole(str(output_dir)) as folder:
            (pathlib.Path(folder) / "a").touch()
            assert not output_dir.exists() or not os.listdir(output_dir)
            if must_fail:
                raise KeyError

    with pytest.raises(KeyError):
        write(must_fail=True)
    assert not os.listdir(tmp_path / "exports")
    output_dir.mkdir()  # an empty one is taken
    write(must_fail=False)
    assert os.listdir(output_dir) == ["a"]
    assert os.listdir(tmp_path / "exports") == ["model"]
