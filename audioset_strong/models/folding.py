"""Folds batch norm into the convolutions before it, for use without training.

With running statistics batch norm is a factor and an offset of each channel,
which the convolution before it can carry in its kernel and its bias:

    scale    gamma / sqrt(variance + epsilon)
    kernel'  kernel * scale
    bias'    (bias - mean) * scale + beta

The folded network is made of Keras's own layers, computes in float32 whatever
the other did, and says the same up to rounding, with less to do.

Source: Jacob et al., "Quantization and training of neural networks for
efficient integer-arithmetic-only inference", Section 3.2.
"""

from collections import Counter
from typing import Any

import keras
import numpy as np
from keras import layers

# Largest difference of an output, as a share of the largest output. Rounding is
# 1e-6 in ResNet-50; that of a network which computes in bfloat16 is 1e-2.
_MAX_DIFFERENCE = {"float32": 1e-4, "float16": 0.01, "bfloat16": 0.05}

# How many random patches the two networks are compared on.
_NUM_CHECKED = 8


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Makes a network without the batch norm that follows convolutions.

    Takes any functional network; what it cannot fold it copies.

    Args:
      model: Functional; each layer is used once. It is not changed.

    Returns:
      A network of the same inputs and outputs with weights of its own.

    Raises:
      RuntimeError: The two do not say the same of random patches.
    """
    norm_of = _foldable_norms(model)
    folded_norms = {id(norm) for norm in norm_of.values()}
    copies: list[tuple[layers.Layer, layers.Layer]] = []

    def copy(layer: Any) -> Any:
        if not isinstance(layer, layers.Layer):
            return layer  # an operation, which has no weights
        if id(layer) in folded_norms:
            return lambda inputs, **_: inputs
        config = {**layer.get_config(), "dtype": "float32"}
        kind, pool = type(layer), None
        if id(layer) in norm_of:
            config["use_bias"] = True
        if isinstance(layer, layers.Conv2D):
            kind = layers.Conv2D
            if layer.kernel_size == (1, 1) and layer.strides != (1, 1):
                # As in `resnet.py`: several times as fast on a CPU.
                pool = layers.AveragePooling2D(
                    1, layer.strides, name=f"{layer.name}_places"
                )
                config["strides"] = (1, 1)
        made = kind.from_config(config)
        copies.append((layer, made))
        return made if pool is None else lambda inputs: made(pool(inputs))

    folded = keras.models.clone_model(model, clone_function=copy)
    for layer, made in copies:
        norm = norm_of.get(id(layer))
        made.set_weights(
            layer.get_weights() if norm is None else _fold(layer, norm)
        )
    _compare(model, folded)
    return folded


def _foldable_norms(model: keras.Model) -> dict[int, layers.Layer]:
    """Finds the batch norm of each convolution that it can be folded into.

    Returns:
      By `id` of the convolution: nothing but the batch norm uses its output.
    """
    operations = [
        operation
        for operation in model.operations
        if not isinstance(operation, layers.InputLayer)
    ]
    used = [
        *keras.tree.flatten([operation.input for operation in operations]),
        *keras.tree.flatten(model.outputs),
    ]
    num_uses = Counter(map(id, used))
    made_by = {
        id(operation.output): operation
        for operation in operations
        if isinstance(operation, layers.Conv2D | layers.DepthwiseConv2D)
        and operation.activation is keras.activations.linear
        and operation.data_format == "channels_last"
    }
    return {
        id(made_by[id(operation.input)]): operation
        for operation in operations
        if isinstance(operation, layers.BatchNormalization)
        and operation.axis in (-1, 3)
        and id(operation.input) in made_by
        and num_uses[id(operation.input)] == 1
    }


def _fold(layer: layers.Layer, norm: layers.Layer) -> list[np.ndarray]:
    """Computes kernel and bias of the folded convolution, in float64."""

    def values(variable: Any) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)

    kernel, *biases = map(values, layer.weights)
    # Each [channels].
    mean, variance = values(norm.moving_mean), values(norm.moving_variance)
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale *= values(norm.gamma)
    bias = (sum(biases, np.zeros_like(mean)) - mean) * scale
    if norm.center:
        bias += values(norm.beta)
    # A kernel is [height, width, in_channels, channels], a depthwise one
    # [height, width, in_channels, multiplier], and then channels are both.
    if isinstance(layer, layers.DepthwiseConv2D):
        scale = scale.reshape(kernel.shape[2:])
    return [
        (kernel * scale).astype(np.float32),
        bias.astype(np.float32),
    ]


def _compare(model: keras.Model, folded: keras.Model) -> None:
    """Compares the two networks on random patches.

    Raises:
      RuntimeError: They do not say the same.
    """
    rng = np.random.default_rng(0)
    # Log-mel of noise at the loudness of speech is about -1 with deviation 1.
    patches = rng.normal(
        -1.0, 1.5, (_NUM_CHECKED, *model.input.shape[1:])
    ).astype(np.float32)
    expected, found = (
        keras.tree.map_structure(
            lambda outputs: np.asarray(
                keras.ops.convert_to_numpy(outputs), np.float64
            ),
            network(patches, training=False),
        )
        for network in (model, folded)
    )
    most = max(_MAX_DIFFERENCE[layer.compute_dtype] for layer in model.layers)
    for e, f in zip(
        keras.tree.flatten(expected), keras.tree.flatten(found), strict=True
    ):
        difference = np.max(np.abs(e - f)) / (1.0 + np.max(np.abs(e)))
        if not difference <= most:  # NaN fails too
            raise RuntimeError(
                f"With batch norm folded, an output of the network differs by "
                f"{difference:.2g} of the largest, more than {most}."
            )
