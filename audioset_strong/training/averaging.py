"""Moving averages of the weights, which validate better than the last weights.

    average <- decay * average + (1 - decay) * weight, after each step

of all weights and of the statistics of batch norm. The averages are a second
model, which is validated, kept as best and exported. They start as the first
weights; so that these are soon forgotten, the decay of step n is at most
(1 + n) / (10 + n).

Source: Polyak and Juditsky, "Acceleration of stochastic approximation by
averaging"; the decay's warm-up is that of `num_updates` of TensorFlow's
`tf.train.ExponentialMovingAverage`. Peers: PaSST averages weights over epochs,
AST and PSLA over checkpoints.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def make_average(
    model: keras.Model, averaged: keras.Model, decay: float
) -> Callable[[tf.Tensor], None] | None:
    """Averages the weights of a model.

    Args:
      model: The model that is trained.
      averaged: One of the same architecture, which holds the averages.
      decay: `ema_decay` of `RecipeParams`.

    Returns:
      A function that updates the averages, on the replica that calls it, after
      a step, whose number from 1, int64, it takes. None if `decay` is 0.
    """
    if not decay:
        return None
    pairs = [
        (average.value, variable.value)
        for average, variable in zip(
            averaged.variables, model.variables, strict=True
        )
        if variable.dtype == "float32"  # and not the seeds of dropout
    ]

    def average(step: tf.Tensor) -> None:
        number = tf.cast(step, tf.float32)
        share = 1.0 - tf.minimum(decay, (1.0 + number) / (10.0 + number))
        for average, variable in pairs:
            # On this replica's own copy, as in `Optimizer`.
            tf.raw_ops.AssignSubVariableOp(
                resource=average.handle, value=share * (average - variable)
            )

    return average
