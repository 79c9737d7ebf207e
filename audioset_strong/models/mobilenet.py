"""MobileNet v1 for 96 x 64 log-mel patches: the network of YAMNet.

Small enough to train on a CPU and to run on a phone: 3.7 M weights and 69 M
multiply-adds a patch, where ResNet-50 has 24.6 M and 1.85 G. A separable
convolution is a 3x3 one of each channel alone, then a 1x1 one over channels.

    patch                     [batch, 96, 64, 1]
    convolution, stride 2     [batch, 48, 32, 32]
    13 separable ones         [batch, 3, 2, 1024]
    average pool              [batch, 1024]   the embedding
                                              (`frame_classifier.py`)

Source: Howard et al., "MobileNets: efficient convolutional neural networks for
mobile vision applications", Table 1, with YAMNet's single input channel. Unlike
YAMNet, batch norm has a scale and this package's settings.
"""

import keras
from keras import layers

from audioset_strong.errors import InputError
from audioset_strong.models.batch_norm import FusedBatchNormalization
from audioset_strong.params import ModelParams

_STEM_FILTERS = 32
# (filters, stride) of each separable convolution.
_SEPARABLE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def mobilenet_v1(
    patches: keras.KerasTensor, params: ModelParams
) -> keras.KerasTensor:
    """Applies the network up to its last map.

    Args:
      patches: float32 `[batch, patch_stft_frames, mel_bands, 1]`.
      params: Width and batch norm.

    Returns:
      float32 `[batch, 3, 2, 1024 * width]` for 96 x 64 patches.

    Raises:
      InputError: A stem stride is given; that of this network is always 2.
    """
    if params.stem_stride != ModelParams.stem_stride:
        raise InputError(
            f"mobilenet_v1 has no stem_stride: its first convolution has "
            f"stride 2. Received: {params.stem_stride}. Leave it out, and "
            f"choose the size of the network by width."
        )

    def apply(
        layer: layers.Layer, inputs: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Applies a convolution, then batch norm and ReLU."""
        norm = FusedBatchNormalization(
            momentum=params.batch_norm_momentum,
            epsilon=params.batch_norm_epsilon,
            synchronized=params.sync_batch_norm,
            name=f"{layer.name}_norm",
        )
        relu = layers.ReLU(name=f"{layer.name}_relu")
        return relu(norm(layer(inputs)))

    def convolution(
        filters: int, kernel_size: int, stride: int, name: str
    ) -> layers.Layer:
        return layers.Conv2D(
            max(1, round(filters * params.width)),
            kernel_size,
            strides=stride,
            padding="same",
            use_bias=False,  # batch norm would subtract it again
            kernel_initializer="he_normal",  # for ReLUs
            name=name,
        )

    hidden = apply(convolution(_STEM_FILTERS, 3, 2, "stem"), patches)
    # [batch, 48, 32, 32]
    for number, (filters, stride) in enumerate(_SEPARABLE, 1):
        depthwise = layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer="he_normal",
            name=f"separable{number}_depthwise",
        )
        pointwise = convolution(filters, 1, 1, f"separable{number}_pointwise")
        hidden = apply(pointwise, apply(depthwise, hidden))
    # [batch, 3, 2, 1024]
    return hidden
