"""The network is the paper's: its size, its cost and its last map."""

import keras
import numpy as np
import pytest

from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.models.resnet import count_multiply_adds, resnet50
from audioset_strong.params import FeatureParams, ModelParams


def test_the_network_of_the_paper():
    model = build_frame_classifier(527, ModelParams(), FeatureParams())
    # With the moving statistics of batch norm, 24.6 M either way.
    assert model.count_params() == 24_634_703
    num_trainable = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert num_trainable == 24_581_583
    # The source's 3,087 classes: each adds 2048 weights and a bias.
    further = (3087 - 527) * (2048 + 1)
    assert model.count_params() + further == pytest.approx(29.88e6, rel=1e-3)
    assert count_multiply_adds(model) == pytest.approx(1.851e9, rel=1e-3)
    convolutions, norms = (
        [layer for layer in model.layers if isinstance(layer, kind)]
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization)
    )
    # 1 stem, 16 blocks of 3, 4 shortcuts; batch norm after each.
    assert len(convolutions) == len(norms) == 1 + 16 * 3 + 4
    assert not any(layer.use_bias for layer in convolutions)
    last_map = model.get_layer("stage4_block3_relu").output
    assert last_map.shape == (None, 6, 4, 2048)


@pytest.mark.parametrize(
    ("params", "shape"),
    [
        (ModelParams(width=1 / 64), (6, 4, 32)),
        (ModelParams(width=1 / 32, stem_stride=2), (3, 2, 64)),
        (ModelParams(width=1 / 128, stem_stride=4), (2, 1, 16)),
    ],
    ids=["stride 1", "stride 2", "stride 4"],
)
def test_last_map(params, shape):
    patches = keras.Input((96, 64, 1))
    assert resnet50(patches, params).shape == (None, *shape)


def test_the_small_network_of_the_readme():
    model = build_frame_classifier(
        527, ModelParams(width=0.25, stem_stride=2), FeatureParams()
    )
    assert model.count_params() == pytest.approx(1.8e6, rel=0.03)


def test_batch_norm_settings_reach_every_layer():
    params = ModelParams(
        width=1 / 64,
        batch_norm_momentum=0.7,
        batch_norm_epsilon=0.01,
        sync_batch_norm=True,
    )
    model = build_frame_classifier(2, params, FeatureParams())
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.7, 0.01)
            assert layer.synchronized
