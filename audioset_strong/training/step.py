"""One training step: forward, backward, update; compiled, on every replica.

    batch -> logits -> loss -> gradients -> `Optimizer.apply`

A call of the host runs `steps_per_call` of them, reads the batches inside the
graph, and returns what each step measured.
"""

import math
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from audioset_strong.models.frame_classifier import classification_loss
from audioset_strong.params import TrainParams
from audioset_strong.training.optimizer import Optimizer
from audioset_strong.training.strategy import average_over_replicas

# What is measured in each step, the columns of what a call returns: the number
# of steps, 1; the mean loss; the sums of the losses of examples of the first
# training set and of the one mixed in; the number of the latter's examples; the
# global norm of the gradients; the learning rate.
COLUMNS = (
    "num_steps",
    "loss",
    "loss_sum",
    "mixed_loss_sum",
    "num_mixed",
    "gradient_norm",
    "learning_rate",
)

RunSteps = Callable[
    [Iterator[dict[str, tf.Tensor]], int], tuple[tf.Tensor, float]
]


def make_run_steps(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: Optimizer,
    params: TrainParams,
    average: Callable[[tf.Tensor], None] | None = None,
) -> RunSteps:
    """Compiles the training steps.

    Args:
      strategy: How steps are distributed.
      model: What is trained.
      optimizer: Of its weights.
      params: The run.
      average: From `make_average`: what follows each update.

    Returns:
      A function from the iterator over a distributed stream and the number of
      steps to run, 1 if `steps_per_call` is 1, to float32 `[num_steps,
      len(COLUMNS)]` and the seconds of waiting for batches, NaN where they are
      read inside the graph.
    """
    weights = [variable.value for variable in model.trainable_variables]
    statistics = [
        variable.value
        for variable in model.non_trainable_variables
        if variable.dtype == "float32"
    ]

    def losses_and_gradients(
        batch: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = model(batch["patches"], training=True)["logits"]
            # [per_replica_batch_size, num_classes]
            losses = classification_loss(
                logits, batch["targets"], batch["target_mask"]
            )  # [per_replica_batch_size]
            # The mean over the global batch, since gradients are summed over
            # the replicas.
            loss = tf.reduce_sum(losses) / params.global_batch_size
            scaled_loss = optimizer.scale_loss(loss)
        return losses, tape.gradient(scaled_loss, weights)

    if params.jit_compile:
        losses_and_gradients = tf.function(
            losses_and_gradients, jit_compile=True, autograph=False
        )

    def replica_step(
        batch: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        losses, gradients = losses_and_gradients(batch)
        update = optimizer.apply(gradients, weights)
        average_over_replicas(statistics)
        if average:
            average(optimizer.iterations)
        is_mixed = batch["source"]  # [per_replica_batch_size]
        mixed_loss_sum = tf.reduce_sum(losses * is_mixed)
        loss_sum = tf.reduce_sum(losses) - mixed_loss_sum
        loss = tf.reduce_sum(losses) / params.global_batch_size
        sums = tf.stack(
            [loss, loss_sum, mixed_loss_sum, tf.reduce_sum(is_mixed)]
        )
        return sums, tf.stack([update.gradient_norm, update.learning_rate])

    def step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        sums, equal = strategy.run(replica_step, args=(batch,))
        sums = strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)
        # The same on all replicas.
        equal = strategy.reduce(tf.distribute.ReduceOp.MEAN, equal, axis=None)
        return tf.concat([[1.0], sums, equal], axis=0)  # [num_columns]

    def several_steps(
        batches: Iterator[dict[str, tf.Tensor]], num_steps: tf.Tensor
    ) -> tf.Tensor:
        rows = tf.TensorArray(
            tf.float32, num_steps, element_shape=[len(COLUMNS)]
        )
        for number in tf.range(num_steps):
            rows = rows.write(number, unconverted_step(next(batches)))
        return rows.stack()  # [num_steps, num_columns]

    # To rewrite the step's Python, which has no loop or choice that is made in
    # the graph, would be a third of the time of compilation.
    unconverted_step = tf.autograph.experimental.do_not_convert(step)
    compiled_step = tf.function(step, autograph=False)
    compiled_steps = tf.function(several_steps)

    def run_steps(
        batches: Iterator[dict[str, tf.Tensor]], num_steps: int
    ) -> tuple[tf.Tensor, float]:
        if params.steps_per_call > 1:
            # A tensor, so that another number is not compiled anew.
            return compiled_steps(batches, tf.constant(num_steps)), math.nan
        started = time.monotonic()
        batch = next(batches)
        waited_seconds = time.monotonic() - started
        return compiled_step(batch)[tf.newaxis], waited_seconds

    return run_steps


def mean_metrics(
    total: np.ndarray, learning_rate: float, params: TrainParams
) -> dict[str, float]:
    """Sums up what some steps measured.

    Args:
      total: float64 `[len(COLUMNS)]`, sums over the steps.
      learning_rate: Of the last step.
      params: Names of the training sets and size of the batch.

    Returns:
      Means over the steps, and over the examples of each training set.
    """
    sums = dict(zip(COLUMNS, total.tolist(), strict=True))
    num_steps, num_mixed = sums["num_steps"], sums["num_mixed"]
    num_examples = num_steps * params.global_batch_size
    means = {
        "loss": sums["loss"] / num_steps,
        "mixed_share": num_mixed / num_examples,
        "gradient_norm": sums["gradient_norm"] / num_steps,
        "learning_rate": learning_rate,
    }
    if params.mixed_training_set:
        for name, loss_sum, count in (
            (params.training_set, "loss_sum", num_examples - num_mixed),
            (params.mixed_training_set, "mixed_loss_sum", num_mixed),
        ):
            if count:
                means[f"loss_{name}"] = sums[loss_sum] / count
    return means
