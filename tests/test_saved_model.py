"""An export gives the scores of its checkpoint, and needs only TensorFlow."""

import json

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.audio.decode import decode_audio
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.export.saved_model import (
    WaveformClassifier,
    _compare_reloaded,
    check_waveforms,
    export_saved_model,
)
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.sound_model import load_model
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import FeatureParams
from audioset_strong.training.workdir import load_classifier

_FEATURES = FeatureParams()


def _checkpoint_scores(workdir, waveform):
    """Scores as training and scoring compute them: NumPy front end."""
    model, params, _ = load_classifier(workdir)
    log_mel = waveform_to_log_mel(waveform, params.features)
    num_patches = len(log_mel) // 96
    patches = log_mel[: num_patches * 96].reshape(num_patches, 96, 64)
    return tf.sigmoid(model(patches)["logits"]).numpy()


def test_real_recording_scores_as_with_the_checkpoint(
    untrained_workdir, export_dir, esc50_dir
):
    path = sorted((esc50_dir / "audio").glob("*.ogg"))[7]
    waveform = decode_audio(str(path), 16000).waveform
    expected = _checkpoint_scores(untrained_workdir, waveform)
    found = load_model(export_dir).score(waveform).scores
    assert found.shape == (6, 3)
    found = found[:5]
    # The two front ends differ in rounding; the network magnifies it a little.
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected) > 1e-3  # scores that say something


def test_an_export_is_as_documented(untrained_workdir, export_dir):
    model = tf.saved_model.load(export_dir)
    outputs = model(tf.zeros([16000 * 10]))
    assert outputs["scores"].shape == (10, 3)
    assert outputs["log_mel"].shape == (998, 64)
    assert outputs["embeddings"].shape[0] == 10
    # Short waveforms are padded to one patch.
    assert model(tf.zeros([100]))["scores"].shape == (1, 3)
    assert model(tf.zeros([0]))["scores"].shape == (1, 3)
    waveform = tf.constant(check_waveforms(_FEATURES)["noise"])
    served = model.signatures["serving_default"](waveform=waveform)
    np.testing.assert_array_equal(served["scores"], model(waveform)["scores"])
    # Classes and settings travel with it.
    path = model.class_map_path().numpy().decode()
    assert path.startswith(export_dir)
    with open(path, encoding="utf-8") as file:
        assert file.readline() == "index,mid,display_name\n"
    metadata = json.loads(model.metadata().numpy())
    _, _, class_map = load_classifier(untrained_workdir)
    assert metadata["class_map_hash"] == class_map.content_hash
    assert metadata["features"]["log_offset"] == 0.01


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


def test_other_scores_after_reloading_are_found(untrained_workdir, tmp_path):
    # An export that is not the model: its front end has another offset.
    model, _, _ = load_classifier(untrained_workdir)
    class_map_path = tmp_path / "class_map.csv"
    class_map_path.write_text('index,mid,display_name\n0,/m/x,"x"\n')

    metadata = ModelMetadata("x", ClassMap(("/m/x",), ("x",)), _FEATURES)

    def wrap(log_offset):
        features = FeatureParams(log_offset=log_offset)
        return WaveformClassifier(
            model, features, str(class_map_path), metadata
        )

    tf.saved_model.save(wrap(0.001), str(tmp_path / "export"))
    with pytest.raises(RuntimeError, match="a score differs by"):
        _compare_reloaded(
            wrap(0.01), str(tmp_path / "export"), _FEATURES, str(tmp_path)
        )


def test_wrong_folders_are_refused(untrained_workdir, tmp_path):
    with pytest.raises(InputError, match="holds no params.json"):
        export_saved_model(str(tmp_path), str(tmp_path / "export"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not empty"):
        export_saved_model(untrained_workdir, str(tmp_path))
