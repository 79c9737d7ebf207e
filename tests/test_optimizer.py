"""The learning rate, and Adam against Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.params import RecipeParams, TrainParams
from audioset_strong.training.optimizer import Optimizer, learning_rate_at


def _learning_rates(steps, **settings):
    params = TrainParams(learning_rate=0.1, **settings)
    return [float(learning_rate_at(step, params)) for step in steps]


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        ({}, [0, 5, 99, 200], [0.1, 0.1, 0.1, 0.1]),
        (
            {"learning_rate_decay": "cosine"},
            [0, 25, 50, 100],
            [0.1, 0.05 * (1 + np.cos(np.pi / 4)), 0.05, 0],
        ),
        (
            {"learning_rate_decay": "cosine", "warmup_steps": 10},
            [0, 5, 10, 55, 100],
            [0, 0.05, 0.1, 0.05, 0],
        ),
        ({"warmup_steps": 10}, [0, 5, 10, 60], [0, 0.05, 0.1, 0.1]),
        (
            {
                "learning_rate_decay": "step",
                "warmup_steps": 10,
                "decay_interval_steps": 20,
                "decay_factor": 0.3,
            },
            [5, 29, 30, 49, 50, 99],
            [0.05, 0.1, 0.03, 0.03, 0.009, 0.1 * 0.3**4],
        ),
    ],
)
def test_learning_rates(settings, steps, expected):
    found = _learning_rates(steps, num_steps=100, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-7)


_SHAPES = ((5, 3), (3,), (2, 2, 4, 3))


def _gradients(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [
        tf.constant(scale * rng.normal(size=shape), tf.float32)
        for shape in _SHAPES
    ]


def _weights():
    return [tf.Variable(values) for values in _gradients(99)]


@pytest.mark.parametrize(
    ("weight_decay", "clip_norm"), [(0.0, 0.0), (0.3, 0.0), (0.0, 2.5)]
)
def test_updates_are_those_of_keras(weight_decay, clip_norm):
    params = TrainParams(learning_rate=0.02, warmup_steps=3)
    recipe = RecipeParams(weight_decay=weight_decay, clip_norm=clip_norm)
    found, expected = _weights(), _weights()
    ours = Optimizer(found, params, recipe)
    theirs = keras.optimizers.AdamW(
        learning_rate=0.02,
        weight_decay=weight_decay,
        global_clipnorm=clip_norm or None,
    )
    theirs.exclude_from_weight_decay(var_list=[expected[1]])
    theirs.build(expected)
    for step in range(7):
        gradients = _gradients(step)
        update = ours.apply(gradients, found)
        theirs.learning_rate = 0.02 * min(step / 3, 1.0)
        theirs.apply_gradients(zip(gradients, expected))
        norm = np.sqrt(sum(float(tf.reduce_sum(g**2)) for g in gradients))
        assert float(update.gradient_norm) == pytest.approx(norm, rel=1e-5)
        for ours_now, theirs_now in zip(found, expected):
            np.testing.assert_allclose(ours_now, theirs_now, atol=2e-6)
    assert int(ours.iterations) == 7


def test_the_loss_scale_follows_overflows():
    params = TrainParams(precision="float16", learning_rate=0.01)
    weights = _weights()
    optimizer = Optimizer(weights, params, RecipeParams())
    first_scale = float(optimizer.loss_scale)
    assert float(optimizer.scale_loss(tf.constant(0.25))) == first_scale / 4
    before = [weight.numpy() for weight in weights]
    overflowing = _gradients(0)
    overflowing[1] *= np.inf
    update = optimizer.apply(overflowing, weights)
    assert float(update.gradient_norm) == 0.0
    assert float(optimizer.loss_scale) == first_scale / 2
    for weight, values in zip(weights, before):
        np.testing.assert_array_equal(weight, values)
    # The batch is used, though without effect.
    assert int(optimizer.iterations) == 1
    optimizer.good_steps.assign(1998)
    for expected in (first_scale / 2, first_scale):
        optimizer.apply(_gradients(1, scale=first_scale / 2), weights)
        assert float(optimizer.loss_scale) == expected
    assert int(optimizer.good_steps) == 0
    assert not np.array_equal(weights[0], before[0])
    # Gradients that overflow at any scale are a fault, which has to be seen.
    optimizer.loss_scale.assign(1.0)
    update = optimizer.apply(overflowing, weights)
    assert not np.isfinite(update.gradient_norm)
    assert float(optimizer.loss_scale) == 1.0
