"""Networks by name: what they are, and that a run keeps its own."""

import dataclasses
import hashlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from untrained_run import CLASS_MAP

from audioset_strong.errors import InputError
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.models.networks import NETWORKS
from audioset_strong.models.resnet import count_multiply_adds
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
)
from audioset_strong.training import warm_start
from audioset_strong.training import workdir as workdirs

_MOBILENET = ModelParams("mobilenet_v1", width=1 / 32)


def _run_params(model_params):
    return workdirs.RunParams(
        FeatureParams(), LabelFrameParams(), model_params, TrainParams()
    )


def _save_run(workdir, model_params):
    model = build_frame_classifier(3, model_params, FeatureParams())
    params = _run_params(model_params)
    with workdirs.begin(workdir, params, CLASS_MAP):
        run_hash = workdirs.hash_run(params, CLASS_MAP)
        workdirs.open_checkpoints(workdir, "best", run_hash, model=model).save(
            1
        )
    return model


def test_the_network_of_yamnet():
    model = build_frame_classifier(
        521, ModelParams("mobilenet_v1"), FeatureParams()
    )
    # Published: 3.7 M weights, 69.2 M multiplies for each patch.
    assert count_multiply_adds(model) == pytest.approx(69.2e6, rel=1e-3)
    # 3,751,369 without the scales of batch norm.
    scales = sum(
        layer.gamma.shape[0]
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    assert model.count_params() - scales == 3_751_369
    assert model.get_layer("separable13_pointwise_relu").output.shape == (
        None,
        3,
        2,
        1024,
    )


def test_settings_reach_every_layer():
    params = dataclasses.replace(
        _MOBILENET,
        batch_norm_momentum=0.7,
        batch_norm_epsilon=0.01,
        sync_batch_norm=True,
    )
    model = build_frame_classifier(2, params, FeatureParams())
    assert model.output["embeddings"].shape == (None, 32)
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 27
    for norm in norms:
        assert (norm.momentum, norm.epsilon) == (0.7, 0.01)
        assert norm.synchronized


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            ModelParams("resnet18"),
            r"model of \['mobilenet_v1', 'resnet50'\]. Received: 'resnet18'",
        ),
        (
            ModelParams("mobilenet_v1", stem_stride=4),
            "no stem_stride: .* Received: 4",
        ),
    ],
)
def test_what_no_network_has(params, message):
    with pytest.raises(InputError, match=message):
        build_frame_classifier(2, params, FeatureParams())


def test_a_network_of_ones_own(monkeypatch):
    def one_convolution(patches, params):
        assert patches.shape == (None, 96, 64, 1)
        return keras.layers.Conv2D(round(8 * params.width), 16, 16)(patches)

    monkeypatch.setitem(NETWORKS, "one_convolution", one_convolution)
    params = ModelParams("one_convolution", width=2)
    model = build_frame_classifier(5, params, FeatureParams())
    outputs = model(np.zeros([3, 96, 64], np.float32))
    assert outputs["embeddings"].shape == (3, 16)
    assert outputs["logits"].shape == (3, 5)


def test_a_run_keeps_its_network(tmp_path):
    workdir = str(tmp_path / "run")
    saved = _save_run(workdir, _MOBILENET)
    loaded, params, _ = workdirs.load_classifier(workdir)
    assert params.model == _MOBILENET
    for found, expected in zip(loaded.variables, saved.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    # Another is refused by name, to resume and to start from.
    here = _run_params(ModelParams(width=1 / 32))
    names = "model: mobilenet_v1 there, resnet50 "
    with (
        pytest.raises(InputError, match=rf"model\.{names}now"),
        workdirs.resume(workdir, here, CLASS_MAP),
    ):
        pass
    with pytest.raises(InputError, match=rf"another network \({names}in this"):
        warm_start.check_start(workdir, "new", here, CLASS_MAP)
    with pytest.raises(InputError, match=rf"{names}now"):
        warm_start.model_params_of_start(
            {"model": "resnet50"}, str(tmp_path / "new"), workdir
        )


def test_params_that_name_another_network_than_the_weights(tmp_path):
    workdir = str(tmp_path)
    _save_run(workdir, _MOBILENET)
    path = tmp_path / "params.json"
    saved = json.loads(path.read_text())
    # As a version before there was a choice wrote it: the paper's network.
    del saved["model"]["model"]
    path.write_text(json.dumps(saved))
    assert workdirs.read_run(workdir)[0].model.model == "resnet50"
    with pytest.raises(InputError, match="ckpt-1: it is of another run"):
        workdirs.load_classifier(workdir)
    # And one that this version does not have.
    saved["model"]["model"] = "passt"
    path.write_text(json.dumps(saved))
    with pytest.raises(InputError, match="Received: 'passt'"):
        workdirs.load_classifier(workdir)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("resnet50", (267, "e656317f962133ae")),
        ("mobilenet_v1", (137, "1ebdc19e55f25d7e")),
    ],
)
def test_weights_of_earlier_versions_fit(model, expected, tmp_path):
    """Pins the names under which weights are saved: a new layer moves them."""
    params = ModelParams(model, width=1 / 64)
    network = build_frame_classifier(3, params, FeatureParams())
    path = tf.train.Checkpoint(model=network).write(str(tmp_path / "weights"))
    shapes = tf.train.load_checkpoint(path).get_variable_to_shape_map()
    lines = sorted(
        f"{name} {shape}"
        for name, shape in shapes.items()
        if name.startswith("model/")
    )
    names_hash = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (len(lines), names_hash) == expected
