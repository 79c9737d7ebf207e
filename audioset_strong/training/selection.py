"""Which checkpoint is the best, and when to wait no longer for a better one.

Source: picking the checkpoint by d' on a held-out set is Section 4.1 of the
paper; early stopping with patience is Prechelt, "Early stopping - but when?",
as in Keras's `EarlyStopping`.
"""

import math

import tensorflow as tf
from absl import logging


class Selection(tf.Module):  # type: ignore[misc]  # an untyped base
    """The best checkpoint so far, part of the state that a run resumes from.

    Attributes:
      metric: Name of the validation metric that selects.
      best_value: float64, its best value, -inf before there is one.
      best_step: int64, the step of the best checkpoint.
      num_worse: int64, validations since the last one with a new best value.
    """

    def __init__(self, metric: str, patience: int) -> None:
        """Makes the state; `patience` is `patience_validations`."""
        super().__init__()
        self.metric = metric
        self._patience = patience
        self.best_value = tf.Variable(
            -math.inf, dtype=tf.float64, trainable=False
        )
        self.best_step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.num_worse = tf.Variable(0, dtype=tf.int64, trainable=False)

    def is_best(self, value: float | None, step: int) -> bool:
        """Takes the value of a validation; None if it has none.

        Of equal ones the last is the best, as it is where there is no value to
        choose by. Only a higher value ends the waiting, so that one that never
        changes does not keep a run alive.
        """
        if value is not None and value <= self.best_value.numpy():
            self.num_worse.assign_add(1)
        elif value is not None:
            self.num_worse.assign(0)
        if value is not None:
            if value < self.best_value.numpy():
                return False
            self.best_value.assign(value)
        self.best_step.assign(step)
        return True

    def is_over(self) -> bool:
        """Whether the run has waited long enough; says so."""
        if not self._patience or self.num_worse.numpy() < self._patience:
            return False
        logging.info(
            "The run ends early: %d validations in a row without a %s above "
            "%.3f, that of step %d.",
            self.num_worse.numpy(),
            self.metric,
            self.best_value.numpy(),
            self.best_step.numpy(),
        )
        return True

    def result(self) -> dict[str, str | int | float | None]:
        """Returns what `train` does."""
        value = float(self.best_value.numpy())
        return {
            "best_step": int(self.best_step.numpy()),
            "selection_metric": self.metric,
            # Not -inf, which is no result.
            "best_value": value if math.isfinite(value) else None,
        }
