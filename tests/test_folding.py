"""A network without batch norm says what the one with it says."""

import keras
import numpy as np
import pytest
from keras import layers

from audioset_strong.models.folding import fold_batch_norm
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.models.networks import NETWORKS
from audioset_strong.params import FeatureParams, ModelParams


def _as_if_trained(model, seed=0):
    """Gives batch norm statistics, scales and offsets that all matter."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [
                    rng.uniform(0.3, 2.0, weight.shape)
                    for weight in layer.get_weights()
                ]
            )
    return model


def _build(name, precision="float32"):
    params = ModelParams(model=name, width=1 / 16, batch_norm_epsilon=0.02)
    return _as_if_trained(
        build_frame_classifier(5, params, FeatureParams(), precision)
    )


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_is_folded_whole(name):
    model = _build(name)
    folded = fold_batch_norm(model)
    assert not any(
        isinstance(layer, layers.BatchNormalization) for layer in folded.layers
    )
    # Keras's own layers only, so that it loads without this package.
    assert {
        type(layer).__module__.split(".")[0] for layer in folded.layers
    } == {"keras"}
    patches = np.random.default_rng(1).normal(-2, 1, (3, 96, 64))
    expected, found = model(patches), folded(patches)
    assert expected.keys() == found.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(
            found[key], values, rtol=1e-4, atol=1e-5 * np.abs(values).max()
        )
    assert np.ptp(expected["logits"]) > 1e-3


def test_a_network_of_another_precision_becomes_float32():
    model = _build("resnet50", "bfloat16")
    folded = fold_batch_norm(model)
    assert {layer.compute_dtype for layer in folded.layers} == {"float32"}
    as_float32 = _build("resnet50")
    as_float32.set_weights(model.get_weights())
    patches = np.random.default_rng(1).normal(-2, 1, (3, 96, 64))
    expected = as_float32(patches)["logits"]
    np.testing.assert_allclose(
        folded(patches)["logits"], expected, rtol=1e-3, atol=1e-3
    )


def test_only_what_can_be_folded_is():
    inputs = keras.Input((9, 7, 3))
    biased = layers.Conv2D(4, 3, strides=2, activation=None, name="biased")
    hidden = layers.BatchNormalization(scale=False, name="gone")(biased(inputs))
    hidden = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(
        keras.ops.relu(hidden) * 2.0
    )
    hidden = layers.BatchNormalization(center=False, name="gone_too")(hidden)
    # An activation is in between, or another layer sees what comes before.
    active = layers.Conv2D(4, 1, activation="relu")(hidden)
    normalized = layers.BatchNormalization(name="kept")(active)
    shared = layers.Conv2D(4, 1, strides=2, padding="same")(normalized)
    again = layers.BatchNormalization(name="kept_too")(shared)
    model = keras.Model(inputs, [layers.Add()([shared, again]), normalized])
    biased.set_weights([biased.get_weights()[0], np.arange(4.0)])
    folded = fold_batch_norm(_as_if_trained(model))
    kept = [
        layer.name
        for layer in folded.layers
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert sorted(kept) == ["kept", "kept_too"]
    images = np.random.default_rng(2).normal(size=(2, 9, 7, 3))
    for expected, found in zip(model(images), folded(images), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_network_that_folds_wrongly_is_found(monkeypatch):
    model = _build("mobilenet_v1")
    from audioset_strong.models import folding

    right = folding._fold
    monkeypatch.setattr(
        folding, "_fold", lambda *pair: [1.01 * w for w in right(*pair)]
    )
    with pytest.raises(RuntimeError, match="batch norm folded"):
        fold_batch_norm(model)
