"""ResNet-50 for 96 x 64 log-mel patches.

The network of "CNN architectures for large-scale audio classification":
ResNet-50 whose first convolution has stride 1, so that a patch ends as a 6 x 4
map. `keras.applications.ResNet50` is not this network: its stem has stride 2
and its convolutions have biases.

    patch          [batch, 96, 64, 1]
    stem           [batch, 96, 64, 64]    7x7, stride 1
    max pool       [batch, 48, 32, 64]    3x3, stride 2
    stage 1        [batch, 48, 32, 256]   3 blocks
    stage 2        [batch, 24, 16, 512]   4 blocks
    stage 3        [batch, 12, 8, 1024]   6 blocks
    stage 4        [batch, 6, 4, 2048]    3 blocks
    average pool   [batch, 2048]          the embedding

Source: He et al., "Deep residual learning for image recognition", Table 1 and
Figure 5 (stride in the first 1x1 of a block, batch norm after each
convolution).
"""

import keras
from keras import layers

from audioset_strong.params import ModelParams

# (filters of the bottleneck, blocks, stride of the first block) of each stage.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_STEM_FILTERS = 64
# Filters of a block's last convolution over those of its bottleneck.
_EXPANSION = 4


def _scaled(filters: int, params: ModelParams) -> int:
    """Number of filters at this width, at least 1."""
    return max(1, round(filters * params.width))


def _convolution(
    inputs: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    stride: int,
    params: ModelParams,
    name: str,
) -> keras.KerasTensor:
    """Convolution without bias, then batch norm."""
    convolved = layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(inputs)
    return layers.BatchNormalization(
        momentum=params.batch_norm_momentum,
        epsilon=params.batch_norm_epsilon,
        synchronized=params.sync_batch_norm,
        name=f"{name}_norm",
    )(convolved)


def _bottleneck_block(
    inputs: keras.KerasTensor,
    filters: int,
    stride: int,
    params: ModelParams,
    name: str,
) -> keras.KerasTensor:
    """1x1 down, 3x3, 1x1 up, added to the shortcut."""
    out_filters = filters * _EXPANSION
    hidden = _convolution(inputs, filters, 1, stride, params, f"{name}_a")
    hidden = layers.ReLU(name=f"{name}_a_relu")(hidden)
    hidden = _convolution(hidden, filters, 3, 1, params, f"{name}_b")
    hidden = layers.ReLU(name=f"{name}_b_relu")(hidden)
    hidden = _convolution(hidden, out_filters, 1, 1, params, f"{name}_c")
    shortcut = inputs
    if stride != 1 or inputs.shape[-1] != out_filters:
        shortcut = _convolution(
            inputs, out_filters, 1, stride, params, f"{name}_shortcut"
        )
    added = layers.Add(name=f"{name}_add")([hidden, shortcut])
    return layers.ReLU(name=f"{name}_relu")(added)


def resnet50(
    patches: keras.KerasTensor, params: ModelParams
) -> keras.KerasTensor:
    """Applies the network up to its last map.

    Args:
      patches: float32 `[batch, patch_stft_frames, mel_bands, 1]`.
      params: Width and stem stride.

    Returns:
      float32 `[batch, 6, 4, 2048 * width]` for 96 x 64 patches and stem stride
      1; stride 2 halves the map.
    """
    hidden = _convolution(
        patches,
        _scaled(_STEM_FILTERS, params),
        7,
        params.stem_stride,
        params,
        "stem",
    )
    hidden = layers.ReLU(name="stem_relu")(hidden)
    hidden = layers.MaxPooling2D(
        3, strides=2, padding="same", name="stem_pool"
    )(hidden)
    for stage, (filters, num_blocks, stage_stride) in enumerate(_STAGES, 1):
        for block in range(1, num_blocks + 1):
            hidden = _bottleneck_block(
                hidden,
                _scaled(filters, params),
                stage_stride if block == 1 else 1,
                params,
                f"stage{stage}_block{block}",
            )
    return hidden


def count_multiply_adds(model: keras.Model) -> int:
    """Counts the multiply-adds of convolutions and dense layers, per example.

    Args:
      model: Built functional model with fixed patch size.

    Returns:
      Multiply-adds of one forward pass of one patch.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += height * width * layer.kernel.shape.num_elements()
        elif isinstance(layer, layers.Dense):
            total += layer.kernel.shape.num_elements()
    return total
