"""The classifier of label frames: from a patch to one logit for each class.

A patch of 0.96 s gets one independent score for each class, since several
sounds can be heard at once.

Source: "CNN architectures for large-scale audio classification" and Section 4
of the paper: ResNet-50, trained with Adam. Initial values, other networks: our
choices.
"""

import contextlib
import math
from collections.abc import Iterator

import keras
import tensorflow as tf
from keras import layers

from audioset_strong.errors import InputError
from audioset_strong.models.networks import NETWORKS
from audioset_strong.params import FeatureParams, ModelParams

# Name of the last layer, the only one whose weights belong to classes.
HEAD_NAME = "logits"

# Keras's name of what layers compute in while their weights are float32.
_POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def build_frame_classifier(
    num_classes: int,
    model_params: ModelParams,
    feature_params: FeatureParams,
    precision: str = "float32",
) -> keras.Model:
    """Builds a network with one logit for each class.

    Args:
      num_classes: Number of classes of the class map.
      model_params: Which network, its width, stem stride and batch norm.
      feature_params: Size of a patch.
      precision: Of the arithmetic up to the last map: "float32", "bfloat16" or
        "float16". Weights, statistics of batch norm, embeddings and logits are
        float32 in any case, so weights load into a model of any precision.

    Returns:
      A Keras model from patches, float32 `[batch, patch_stft_frames,
      mel_bands]`, to a dict of `embeddings`, float32 `[batch, 2048 * width]`
      for ResNet-50, and `logits`, float32 `[batch, num_classes]`; scores are
      the sigmoid of the logits.

    Raises:
      InputError: A setting is out of range, or means nothing for the network.
    """
    if model_params.model not in NETWORKS:
        raise InputError(
            f"Expected model of {sorted(NETWORKS)}. Received: "
            f"{model_params.model!r}. docs/extending.md says how to add one."
        )
    for name, is_right, expected in (
        ("width", 0 < model_params.width < math.inf, "above 0"),
        ("stem_stride", model_params.stem_stride >= 1, "of at least 1"),
        ("initial_score", 0 < model_params.initial_score < 1, "in (0, 1)"),
    ):
        if not is_right:
            raise InputError(
                f"Expected {name} {expected}. Received: "
                f"{getattr(model_params, name)}."
            )
    if precision not in _POLICIES:
        raise InputError(
            f"Expected precision of {sorted(_POLICIES)}. Received: "
            f"{precision!r}."
        )
    patches = keras.Input(
        (feature_params.patch_stft_frames, feature_params.mel_bands),
        name="patches",
    )  # [batch, 96, 64]
    channels_last = layers.Reshape((*patches.shape[1:], 1))(patches)
    # [batch, 96, 64, 1]
    with _computing_in(precision):
        last_map = NETWORKS[model_params.model](channels_last, model_params)
    # [batch, 6, 4, 2048], here and below for ResNet-50
    embeddings = layers.GlobalAveragePooling2D(name="embeddings")(last_map)
    # [batch, 2048]

    # Most classes are absent from most patches. Starting at their score spares
    # the first steps, whose gradients would all say so; and small weights let
    # the bias decide at first.
    initial_score = model_params.initial_score
    initial_logit = math.log(initial_score / (1.0 - initial_score))
    logits = layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(initial_logit),
        name=HEAD_NAME,
    )(embeddings)  # [batch, num_classes]
    return keras.Model(patches, {"embeddings": embeddings, "logits": logits})


@contextlib.contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    """Makes the layers that are built within compute in a precision.

    Source: Micikevicius et al., "Mixed precision training".
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def classification_loss(
    logits: tf.Tensor, targets: tf.Tensor, target_mask: tf.Tensor
) -> tf.Tensor:
    """Sigmoid cross-entropy, summed over the classes that the mask keeps.

    Summed and not averaged, so that the gradient of a class does not depend on
    how many others there are.

    Args:
      logits: float32 `[batch, num_classes]`.
      targets: float32 `[batch, num_classes]`, 0 or 1.
      target_mask: float32 `[batch, num_classes]`, 1 where the label counts.

    Returns:
      float32 `[batch]`, in nats.
    """
    # From logits, because the logarithm of a rounded sigmoid can be -inf.
    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    # [batch, num_classes]
    return tf.reduce_sum(losses * target_mask, axis=-1)
