"""The state of a run: all that its last checkpoint holds, and its first values.

Its first weights are random ones, the first scores those that labels give or
one number, or both come from another run.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from audioset_strong.labels.class_map import ClassMap
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.records.manifest import Records
from audioset_strong.training.checkpoints import Checkpoints
from audioset_strong.training.first_scores import set_first_scores
from audioset_strong.training.optimizer import Optimizer
from audioset_strong.training.selection import Selection
from audioset_strong.training.step import COLUMNS
from audioset_strong.training.warm_start import warm_start
from audioset_strong.training.workdir import (
    RunParams,
    hash_run,
    open_checkpoints,
)


class TrainingState:
    """Network, optimizer and what else a resumed run has to know.

    Attributes:
      model: The network that is trained.
      averaged: The one that is validated and exported: the same, or another one
        with the moving averages of its weights.
      optimizer: Adam.
      selection: The best checkpoint so far.
      total: float64 `[len(COLUMNS)]`, sums of what steps have measured since
        the last line of metrics.
      validated_step: int64, the step of the last validation.
    """

    def __init__(self, run_params: RunParams, num_classes: int) -> None:
        """Makes the variables, within the strategy's scope."""
        params, recipe = run_params.train, run_params.recipe

        def build() -> Any:
            return build_frame_classifier(
                num_classes,
                run_params.model,
                run_params.features,
                params.precision,
            )

        self._run_params = run_params
        self.model = build()
        self.averaged = build() if recipe.ema_decay else self.model
        self.optimizer = Optimizer(
            [weight.value for weight in self.model.trainable_variables],
            params,
            recipe,
        )
        self.selection = Selection(
            params.selection_metric, recipe.patience_validations
        )
        self.total = tf.Variable(tf.zeros([len(COLUMNS)], tf.float64))
        self.validated_step = tf.Variable(0, dtype=tf.int64)

    def open_checkpoints(
        self, workdir: str, class_map: ClassMap
    ) -> tuple[Checkpoints, Checkpoints]:
        """Opens the run's folders of checkpoints.

        Returns:
          The last ones, with the whole state, to resume from; and the best,
          with what is validated and exported.
        """
        run_hash = hash_run(self._run_params, class_map)
        last = open_checkpoints(
            workdir,
            "last",
            run_hash,
            self._run_params.train.checkpoint_interval_steps,
            model=self.averaged,
            trained=self.model,
            optimizer=self.optimizer,
            selection=self.selection,
            total=self.total,
            validated_step=self.validated_step,
        )
        best = open_checkpoints(
            workdir,
            "best",
            run_hash,
            model=self.averaged,
            best_value=self.selection.best_value,
        )
        return last, best

    def all_variables(self) -> list[tf.Variable]:
        """All that a checkpoint holds, in a fixed order."""
        networks = dict.fromkeys([self.model, self.averaged])
        return [
            *(weight.value for net in networks for weight in net.variables),
            *self.optimizer.variables,
            *self.selection.variables,
            self.total,
            self.validated_step,
        ]

    def variables(self) -> Mapping[str, tf.Variable]:
        """All that an update changes, by name."""
        return {
            **{weight.path: weight.value for weight in self.model.variables},
            # Those of the optimizer have no names of their own.
            **{
                f"optimizer/{number}": state
                for number, state in enumerate(self.optimizer.variables)
            },
        }

    def initialize(self, records: Records) -> None:
        """Gives the weights of a new run their first values.

        Raises:
          InputError: The run to start from does not fit.
        """
        params, recipe = self._run_params.train, self._run_params.recipe
        if recipe.initial_scores_from_labels:
            set_first_scores(
                self.model, records, params, recipe.balance_classes
            )
        if params.warm_start_workdir:
            warm_start(self.model, self._run_params, records.class_map)
        if self.averaged is not self.model:
            self.averaged.set_weights(self.model.get_weights())
