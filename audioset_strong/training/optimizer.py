"""Adam and AdamW, their learning rate, and what happens to gradients before.

    gradients of each replica -> summed over the replicas -> [clipped] -> Adam

Each weight is updated by one fused operation. Keras's Adam writes some ten for
each of 161 variables, which took 8 % of a step and half of the tracing.

Source: Kingma and Ba, "Adam"; Loshchilov and Hutter, "Decoupled weight decay
regularization", with the decay in units of the learning rate as in PyTorch and
Keras; constants as in the paper on Adam, epsilon as in Keras.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from audioset_strong.params import RecipeParams, TrainParams

_BETA_1 = 0.9
_BETA_2 = 0.999
_EPSILON = 1e-7

# Dynamic loss scaling: Micikevicius et al., "Mixed precision training", with
# the constants that Keras and PyTorch have.
_FIRST_LOSS_SCALE = 2.0**15
_STEPS_TO_DOUBLE = 2000


def learning_rate_at(step: tf.Tensor, params: TrainParams) -> tf.Tensor:
    """Returns the learning rate of a step: float32 scalar.

    It rises linearly from zero for `warmup_steps`, and then stays, falls as a
    cosine to zero at `num_steps` (Loshchilov and Hutter, "SGDR"), or is
    multiplied by `decay_factor` every `decay_interval_steps`.

    Args:
      step: Integer scalar, number of updates before this one.
      params: The schedule.
    """
    # Of steps in float64, which counts them exactly.
    step = tf.cast(step, tf.float64)
    after_warmup = tf.maximum(step - params.warmup_steps, 0.0)
    factor = tf.ones([], tf.float64)
    if params.warmup_steps:
        factor = tf.minimum(step / params.warmup_steps, 1.0)
    if params.learning_rate_decay == "cosine":
        decay_steps = max(1, params.num_steps - params.warmup_steps)
        share = tf.minimum(after_warmup / decay_steps, 1.0)
        factor *= 0.5 * (1.0 + tf.cos(math.pi * share))
    elif params.learning_rate_decay == "step":
        num_decays = after_warmup // params.decay_interval_steps
        factor *= params.decay_factor**num_decays
    return tf.cast(params.learning_rate * factor, tf.float32)


class Update(NamedTuple):
    """What one update did.

    Attributes:
      learning_rate: float32 scalar.
      gradient_norm: float32 scalar, global norm before clipping; 0 if float16
        gradients overflowed and the step was left out, but as it is if even
        those of the unscaled loss did.
    """

    learning_rate: tf.Tensor
    gradient_norm: tf.Tensor


class Optimizer(tf.Module):  # type: ignore[misc]  # an untyped base
    """Adam's state, and its update in the context of a replica.

    Attributes:
      iterations: int64, the steps taken; those that loss scaling left out
        count too, so that it is the position in the stream of batches.
    """

    def __init__(
        self,
        weights: Sequence[tf.Variable],
        params: TrainParams,
        recipe: RecipeParams,
    ) -> None:
        """Makes the state for some weights, within the strategy's scope."""
        super().__init__()
        self._params = params
        self._recipe = recipe

        def zeros() -> list[tf.Variable]:
            return [
                tf.Variable(tf.zeros(weight.shape, tf.float32), trainable=False)
                for weight in weights
            ]

        self.iterations = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.first_moments = zeros()
        self.second_moments = zeros()
        if params.precision == "float16":
            self.loss_scale = tf.Variable(_FIRST_LOSS_SCALE, trainable=False)
            self.good_steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Makes a loss so large that float16 gradients do not vanish."""
        if self._params.precision != "float16":
            return loss
        return loss * self.loss_scale

    def apply(
        self, gradients: Sequence[tf.Tensor], weights: Sequence[tf.Variable]
    ) -> Update:
        """Updates weights by the gradients of a loss from `scale_loss`.

        Every replica calls it with its own gradients, and does the same update.

        Args:
          gradients: One for each weight.
          weights: Those that the optimizer was made for, in the same order.
        """
        gradients = _sum_over_replicas(gradients)
        if self._params.precision == "float16":
            gradients = [gradient / self.loss_scale for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        learning_rate = learning_rate_at(self.iterations, self._params)
        if self._recipe.clip_norm:
            # Pascanu et al., "On the difficulty of training recurrent neural
            # networks". A norm that is not finite stays so, and is reported.
            factor = self._recipe.clip_norm / tf.maximum(
                norm, self._recipe.clip_norm
            )
            gradients = [gradient * factor for gradient in gradients]
        if self._params.precision == "float16":
            is_finite = tf.math.is_finite(norm)
            # A smaller scale mends it, so it is no fault to report.
            is_mended = ~is_finite & (self.loss_scale > 1.0)
            norm = tf.where(is_mended, 0.0, norm)
            self._adapt_loss_scale(is_finite)
            tf.cond(
                is_finite,
                lambda: self._update(gradients, weights, learning_rate),
                lambda: None,
            )
        else:
            self._update(gradients, weights, learning_rate)
        # On this replica's own copy, as are all updates here: each replica does
        # the same, so the copies stay equal without a word between them.
        tf.raw_ops.AssignAddVariableOp(
            resource=self.iterations.handle, value=tf.ones([], tf.int64)
        )
        return Update(learning_rate, norm)

    def _update(
        self,
        gradients: Sequence[tf.Tensor],
        weights: Sequence[tf.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
        """Lets Adam update each weight."""
        number = tf.cast(self.iterations + 1, tf.float32)
        constants = {
            "beta1_power": _BETA_1**number,
            "beta2_power": _BETA_2**number,
            "lr": learning_rate,
            "beta1": _BETA_1,
            "beta2": _BETA_2,
            "epsilon": _EPSILON,
        }
        for weight, gradient, first, second in zip(
            weights,
            gradients,
            self.first_moments,
            self.second_moments,
            strict=True,
        ):
            # Of kernels only: batch norm and biases have one dimension.
            if self._recipe.weight_decay and len(weight.shape) > 1:
                decay = learning_rate * self._recipe.weight_decay
                tf.raw_ops.AssignSubVariableOp(
                    resource=weight.handle, value=decay * weight
                )
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=first.handle,
                v=second.handle,
                grad=gradient,
                **constants,
            )

    def _adapt_loss_scale(self, is_finite: tf.Tensor) -> None:
        """Halves the scale after an overflow, doubles it after long without."""
        num_good = tf.where(is_finite, self.good_steps + 1, 0)
        is_due = num_good >= _STEPS_TO_DOUBLE
        factor = tf.where(is_finite, tf.where(is_due, 2.0, 1.0), 0.5)
        tf.raw_ops.AssignVariableOp(
            resource=self.loss_scale.handle,
            value=tf.maximum(self.loss_scale * factor, 1.0),
        )
        tf.raw_ops.AssignVariableOp(
            resource=self.good_steps.handle,
            value=tf.where(is_due, tf.zeros([], tf.int64), num_good),
        )


def _sum_over_replicas(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(gradients)
    summed: list[tf.Tensor] = context.all_reduce(
        tf.distribute.ReduceOp.SUM, list(gradients)
    )
    return summed
