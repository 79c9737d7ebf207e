"""The compiled step: static shapes, several a call, precisions and XLA."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.models import networks
from audioset_strong.models.batch_norm import FusedBatchNormalization
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import (
    FeatureParams,
    ModelParams,
    RecipeParams,
    TrainParams,
)
from audioset_strong.training.optimizer import Optimizer
from audioset_strong.training.step import COLUMNS, make_run_steps

_PARAMS = TrainParams(global_batch_size=8, learning_rate=0.01)
_NUM_CLASSES = 3


@pytest.fixture
def small_network(monkeypatch):
    """Stands in for ResNet-50, whose tracing takes seconds."""

    def network(patches, params):
        hidden = keras.layers.Conv2D(8, 3, strides=4, use_bias=False)(patches)
        return keras.layers.ReLU()(FusedBatchNormalization()(hidden))

    monkeypatch.setitem(networks.NETWORKS, "resnet50", network)


def _batches(num_batches):
    """Batches whose first class is the louder patches."""
    rng = np.random.default_rng(0)
    loudness = rng.integers(0, 2, [num_batches * 8, 1, 1])
    patches = rng.normal(size=[num_batches * 8, 96, 64]) + 3 * loudness
    targets = np.zeros([num_batches * 8, _NUM_CLASSES])
    targets[:, 0] = loudness[:, 0, 0]
    batch = {
        "patches": patches,
        "targets": targets,
        "target_mask": np.ones_like(targets),
        "source": np.zeros(len(targets)),
    }
    batch = {name: np.float32(values) for name, values in batch.items()}
    dataset = tf.data.Dataset.from_tensor_slices(batch)
    return dataset.batch(8, drop_remainder=True)


class _Recorded:
    """A model that notes the shapes of what it is given and gives."""

    def __init__(self, model):
        self.model = model
        self.shapes = []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, patches, training):
        outputs = self.model(patches, training=training)
        self.shapes += [patches.shape, outputs["logits"].shape]
        return outputs


def _run(params, num_calls, model_params=ModelParams()):
    """Runs the steps of some calls: the columns, and the recorded model."""
    keras.utils.set_random_seed(0)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = _Recorded(
            build_frame_classifier(
                _NUM_CLASSES, model_params, FeatureParams(), params.precision
            )
        )
        weights = [weight.value for weight in model.trainable_variables]
        optimizer = Optimizer(weights, params, RecipeParams())
    run_steps = make_run_steps(strategy, model, optimizer, params)
    num_steps = num_calls * params.steps_per_call
    batches = strategy.experimental_distribute_dataset(_batches(num_steps))
    batches = iter(batches)
    rows = np.concatenate(
        [
            run_steps(batches, params.steps_per_call)[0].numpy()
            for _ in range(num_calls)
        ]
    )  # [num_steps, num_columns]
    columns = dict(zip(COLUMNS, rows.T, strict=True))
    return columns, model, optimizer


@pytest.mark.usefixtures("small_network")
def test_several_steps_a_call_are_those_steps():
    one, model, _ = _run(_PARAMS, 6)
    # Traced once, all sizes known.
    assert model.shapes == [(8, 96, 64), (8, _NUM_CLASSES)]
    several = dataclasses.replace(_PARAMS, steps_per_call=3)
    found, model, _ = _run(several, 2)
    assert model.shapes == [(8, 96, 64), (8, _NUM_CLASSES)]
    for name, values in one.items():
        np.testing.assert_allclose(
            found[name], values, rtol=1e-4, atol=1e-6, err_msg=name
        )
    assert one["loss"][-1] < one["loss"][0]


@pytest.mark.usefixtures("small_network")
def test_xla_compiles_the_step():
    expected, _, _ = _run(_PARAMS, 3)
    compiled = dataclasses.replace(_PARAMS, jit_compile=True)
    found, model, _ = _run(compiled, 3)
    assert model.shapes == [(8, 96, 64), (8, _NUM_CLASSES)]
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-3)


@pytest.mark.usefixtures("small_network")
def test_float16_trains_with_a_scaled_loss():
    expected, _, _ = _run(_PARAMS, 10)
    halved = dataclasses.replace(_PARAMS, precision="float16")
    found, _, optimizer = _run(halved, 10)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=0.05)
    np.testing.assert_allclose(
        found["gradient_norm"], expected["gradient_norm"], rtol=0.1
    )
    assert float(optimizer.loss_scale) == 2.0**15


@pytest.mark.slow
def test_bfloat16_trains_the_network_of_the_paper():
    params = dataclasses.replace(_PARAMS, precision="bfloat16")
    model_params = ModelParams(width=1 / 64, stem_stride=4)
    measured, recorded, _ = _run(params, 12, model_params)
    assert np.isfinite(measured["loss"]).all()
    assert measured["loss"][-3:].mean() < 0.9 * measured["loss"][:3].mean()
    model = recorded.model
    assert {variable.dtype for variable in model.variables} == {"float32"}
    assert model.get_layer("stage4_block3_b_conv").output.dtype == "bfloat16"
    for name in ("embeddings", "logits"):
        assert model.output[name].dtype == "float32"
