"""Batch norm in one kernel.

Keras 3 writes batch norm as a dozen small operations, each of which reads the
whole map again. On TensorFlow, `FusedBatchNormV3` does the same in one pass
forward and one back, which takes a quarter off the training step of ResNet-50
on a CPU (`experiments/results/train_step.md`). Where the kernel does not do
what the layer is asked for (statistics shared by replicas, another backend),
Keras's own code runs. Variables, their names and the running statistics are
Keras's, so weights of either layer load into the other; graphs hold plain
TensorFlow operations.

Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network
training by reducing internal covariate shift"; keras.layers.BatchNormalization.
"""

import math
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="audioset_strong")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """`keras.layers.BatchNormalization` with TensorFlow's fused kernel.

    Inputs are float32, float16 or bfloat16 `[batch, height, width, channels]`;
    statistics, scale and offset are float32 in any case. Takes the arguments of
    Keras's layer and gives its results, up to rounding.
    """

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Normalizes; in training by the batch, whose statistics it records."""
        is_fused = (
            keras.backend.backend() == "tensorflow"
            and not self.synchronized
            and not getattr(self, "renorm", False)  # Keras 3.13 and later
            and mask is None
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            # A frozen layer in training: of its gradient there is no
            # deterministic kernel on a GPU.
            and (self.trainable or not training)
            and self.variable_dtype == "float32"
        )
        if not is_fused:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # not on other backends

        # Not tf.compat.v1.nn.fused_batch_norm, which raises a small epsilon.
        normalized = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,  # of no effect in training
            variance=self.moving_variance,
            epsilon=self.epsilon,
            is_training=bool(training),
        )
        if training:
            # The kernel gives the unbiased variance; Keras records the biased.
            # With one value to a channel both are 0.
            count = self._values_per_channel(inputs)
            variance = normalized.batch_variance * (
                (count - 1.0) / count
            )  # [channels]
            kept = self.momentum
            for moving, batch in (
                (self.moving_mean, normalized.batch_mean),
                (self.moving_variance, variance),
            ):
                moving.assign(moving * kept + batch * (1.0 - kept))
        return normalized.y

    @staticmethod
    def _values_per_channel(inputs: Any) -> Any:
        """Number of values that a channel's statistics are taken over."""
        shape = inputs.shape[:3]
        if None not in shape:
            return float(math.prod(shape))
        import tensorflow as tf

        return tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
