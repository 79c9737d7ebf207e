"""The fused batch norm is Keras's, up to rounding, and loads its weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.models.batch_norm import FusedBatchNormalization

_SETTINGS = {"momentum": 0.7, "epsilon": 1e-5, "name": "norm"}
# Of [2, 3, 4, 5]: 24 values to a channel, so that the biased and the unbiased
# variance differ by 4 %.
_SHAPE = (2, 3, 4, 5)


def _layer(layer_class, **settings):
    layer = layer_class(**_SETTINGS, **settings)
    layer.build(_SHAPE)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 2.0, 5) for _ in range(4)])
    return layer


def _run(layer, inputs, training):
    """Outputs, gradients by inputs, scale and offset, and the statistics."""
    inputs = tf.constant(inputs)
    upstream = np.random.default_rng(2).normal(size=inputs.shape)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
    sources = [inputs, layer.gamma.value, layer.beta.value]
    found = [outputs, *tape.gradient(loss, sources)]
    found += [layer.moving_mean.value, layer.moving_variance.value]
    return [tf.cast(values, tf.float32).numpy() for values in found]


def _inputs(shape=_SHAPE):
    # A mean unlike 0, and channels that differ.
    channels = np.arange(1, 6, dtype=np.float32)
    noise = np.random.default_rng(0).normal(size=shape)
    return (2.0 + channels * noise).astype(np.float32)


@pytest.mark.parametrize(
    ("training", "dtype", "tolerance"),
    [
        (True, "float32", 1e-5),
        (False, "float32", 1e-5),
        # 8 bits of mantissa; those of float16 are 11.
        (True, "mixed_bfloat16", 2e-2),
        (False, "mixed_bfloat16", 2e-2),
        (True, "mixed_float16", 3e-3),
    ],
)
def test_equals_kerass_layer(training, dtype, tolerance):
    inputs = _inputs()
    found, expected = (
        _run(_layer(layer_class, dtype=dtype), inputs, training)
        for layer_class in (
            FusedBatchNormalization,
            keras.layers.BatchNormalization,
        )
    )
    for name, ours, kerass in zip(
        ("outputs", "by inputs", "by gamma", "by beta", "mean", "variance"),
        found,
        expected,
        strict=True,
    ):
        scale = np.abs(kerass).max()
        np.testing.assert_allclose(
            ours, kerass, rtol=0, atol=tolerance * scale, err_msg=name
        )


def test_a_batch_of_unknown_size_counts_its_values():
    compiled = {}
    for shape in ((None, *_SHAPE[1:]), _SHAPE):
        layer = _layer(FusedBatchNormalization)
        spec = tf.TensorSpec(shape, tf.float32)
        function = tf.function(
            lambda x, layer=layer: layer(x, training=True),
            input_signature=[spec],
        )
        function(_inputs())
        compiled[shape] = layer.moving_variance.numpy()
    unknown, known = compiled.values()
    np.testing.assert_allclose(unknown, known, rtol=1e-6)


def test_one_value_to_a_channel_has_no_variance():
    layer = _layer(FusedBatchNormalization)
    before = layer.moving_variance.numpy()
    outputs = layer(_inputs((1, 1, 1, 5)), training=True)
    np.testing.assert_allclose(outputs[0, 0, 0], layer.beta, rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.7 * before, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"synchronized": True},
        {"axis": 1},
        {"scale": False},
        {"trainable": False},
    ],
    ids=str,
)
def test_kerass_own_code_runs_for_the_rest(change):
    @tf.function
    def run(layer, inputs):
        return layer(inputs, training=True)

    layer = FusedBatchNormalization(**_SETTINGS, **change)
    layer.build(_SHAPE)
    graph = run.get_concrete_function(layer, tf.constant(_inputs())).graph
    assert not [op for op in graph.get_operations() if "Fused" in op.type]


def test_weights_of_kerass_layer_load_and_back(tmp_path):
    def model(layer_class):
        inputs = keras.Input(_SHAPE[1:])
        return keras.Model(inputs, layer_class(**_SETTINGS)(inputs))

    ours, kerass = (
        model(FusedBatchNormalization),
        model(keras.layers.BatchNormalization),
    )
    assert [v.path for v in ours.variables] == [
        v.path for v in kerass.variables
    ]
    kerass.layers[-1].set_weights([np.arange(5) + i for i in range(4)])
    path = tf.train.Checkpoint(model=kerass).save(str(tmp_path / "weights"))
    tf.train.Checkpoint(model=ours).restore(path).assert_consumed()
    for mine, theirs in zip(ours.weights, kerass.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    ours.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is FusedBatchNormalization
    assert again.layers[-1].momentum == 0.7
    np.testing.assert_array_equal(again(_inputs()), ours(_inputs()))
