"""ResNet-50 for 96 x 64 log-mel patches.

The network of "CNN architectures for large-scale audio classification":
ResNet-50 whose first convolution has stride 1, so that a patch ends as a 6 x 4
map. `keras.applications.ResNet50` is not this network: its stem has stride 2
and its convolutions have biases.

    patch          [batch, 96, 64, 1]
    stem           [batch, 96, 64, 64]    7x7, stride 1
    max pool       [batch, 48, 32, 64]    3x3, stride 2
    stage 1        [batch, 48, 32, 256]   3 blocks of 1x1 64, 3x3 64, 1x1 256
    stage 2        [batch, 24, 16, 512]   4 blocks of 1x1 128, 3x3 128, 1x1 512
    stage 3        [batch, 12, 8, 1024]   6 blocks of 1x1 256, 3x3 256, 1x1 1024
    stage 4        [batch, 6, 4, 2048]    3 blocks of 1x1 512, 3x3 512, 1x1 2048
    average pool   [batch, 2048]          the embedding (`frame_classifier.py`)

Source: He et al., "Deep residual learning for image recognition", Table 1 and
Figure 5 (stride in the first 1x1 of a block, batch norm after each
convolution).
"""

import keras
from keras import layers

from audioset_strong.models.batch_norm import FusedBatchNormalization
from audioset_strong.params import ModelParams

_STEM_FILTERS = 64
# (filters of the bottleneck, blocks, stride of the first block) of each stage.
# Stage 1 has stride 1, because the max pool has just halved the map.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
# Filters of a block's last convolution over those of its bottleneck.
_EXPANSION = 4


def _scaled(filters: int, params: ModelParams) -> int:
    """Number of filters at this width, at least 1."""
    return max(1, round(filters * params.width))


@keras.saving.register_keras_serializable(package="audioset_strong")
class _Convolution(layers.Conv2D):  # type: ignore[misc]  # an untyped base
    """`Conv2D` whose 1x1 convolutions of stride 2 are fast on a CPU.

    oneDNN's strided ones take several times as long as those of stride 1, so
    the places that they read are taken out first. That is not a layer of its
    own, because weights are restored by the number of their layer.
    """

    def convolution_op(
        self, inputs: keras.KerasTensor, kernel: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Convolves."""
        if self.kernel_size != (1, 1) or self.strides == (1, 1):
            return super().convolution_op(inputs, kernel)
        # A pool of size 1 only leaves places out, also in its gradient.
        inputs = keras.ops.average_pool(inputs, 1, self.strides)
        return keras.ops.conv(inputs, kernel, padding="same")


def _convolution(
    inputs: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    stride: int,
    params: ModelParams,
    name: str,
) -> keras.KerasTensor:
    """Convolution, then batch norm."""
    # [batch, height, width, channels]
    convolved = _Convolution(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,  # batch norm would subtract it again
        kernel_initializer="he_normal",  # for ReLUs, as in the paper
        name=f"{name}_conv",
    )(inputs)
    # [batch, height / stride, width / stride, filters]
    return FusedBatchNormalization(
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
    # [batch, height / stride, width / stride, filters]
    hidden = _convolution(hidden, filters, 3, 1, params, f"{name}_b")
    hidden = layers.ReLU(name=f"{name}_b_relu")(hidden)
    # The same shape.
    hidden = _convolution(hidden, out_filters, 1, 1, params, f"{name}_c")
    # [batch, height / stride, width / stride, 4 * filters]
    shortcut = inputs
    if stride != 1 or inputs.shape[-1] != out_filters:
        # The first block of a stage changes the shape, so its shortcut must.
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
        filters=_scaled(_STEM_FILTERS, params),
        kernel_size=7,
        stride=params.stem_stride,
        params=params,
        name="stem",
    )
    hidden = layers.ReLU(name="stem_relu")(hidden)
    # [batch, 96, 64, 64], here and below at width 1 and stem stride 1
    hidden = layers.MaxPooling2D(
        3, strides=2, padding="same", name="stem_pool"
    )(hidden)
    # [batch, 48, 32, 64]
    for stage, (filters, num_blocks, stage_stride) in enumerate(_STAGES, 1):
        for block in range(1, num_blocks + 1):
            hidden = _bottleneck_block(
                hidden,
                filters=_scaled(filters, params),
                stride=stage_stride if block == 1 else 1,
                params=params,
                name=f"stage{stage}_block{block}",
            )
        # [batch, 48, 32, 256], [24, 16, 512], [12, 8, 1024], [6, 4, 2048]
    return hidden


def count_multiply_adds(model: keras.Model) -> int:
    """Counts the multiply-adds of convolutions and dense layers, per example.

    Args:
      model: Built functional model with fixed patch size.

    Returns:
      Multiply-adds of one forward pass of one patch.
    """
    total = 0  # batch norm, ReLU and additions are left out, as in papers
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            # Every weight is used once at each place of the output.
            _, height, width, _ = layer.output.shape
            total += height * width * layer.kernel.shape.num_elements()
        elif isinstance(layer, layers.Dense):
            total += layer.kernel.shape.num_elements()
    return total
