r"""Trains a classifier of label frames, from scratch or from another run.

    python -m audioset_strong.train --records_dir=records/train \
      --workdir=runs/weak --training_set=weak --num_steps=100000
    python -m audioset_strong.train --records_dir=records/train \
      --workdir=runs/weak_and_strong --warm_start_workdir=runs/weak \
      --training_set=weak --mixed_training_set=strong --mu=0.8 --num_steps=20000
    python -m audioset_strong.train --records_dir=records/own \
      --workdir=runs/own --warm_start_workdir=runs/weak_and_strong \
      --warm_start_classes=match --training_set=strong --num_steps=2000

The first is the paper's training on Weak; the second fine-tunes its model on a
mixture of Weak and Strong, "+ Strong" of Table 1. The third fine-tunes it to
other classes: those that both runs have, by class id, keep their weights of the
last layer. --workdir receives settings, checkpoints, the weights that are best
by validation, and metrics as JSON lines and for TensorBoard
(`training/workdir.py`).

SIGTERM and Ctrl-C finish the step, write a checkpoint and leave with status 143
or 130. The same command again resumes a run, however it ended; intervals,
strategy and, but for the cosine, --num_steps may change then.

--model chooses the network; the default is the paper's. A run that starts from
another has its network: leave out flags such as --model and --width.
Validation is on the held-out clips of the records; without any there is none,
and the last checkpoint counts as the best.
"""

from collections.abc import Sequence

import tensorflow as tf
from absl import logging

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.models.networks import NETWORKS
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.training.settings import CHOICES
from audioset_strong.training.trainer import train
from audioset_strong.training.warm_start import model_params_of_start

_RECORDS_DIR = run_flags.define_records_dir()
_WORKDIR = run_flags.define_workdir()
_TRAIN_FLAGS = run_flags.define_params(TrainParams, choices=CHOICES)
_RECIPE_FLAGS = run_flags.define_params(RecipeParams)
_MODEL_FLAGS = run_flags.define_params(
    ModelParams, choices={"model": sorted(NETWORKS)}
)


def main(argv: Sequence[str]) -> None:
    """Trains and reports which checkpoint is best."""
    run_flags.refuse_arguments(argv)
    params = run_flags.read_params(TrainParams, _TRAIN_FLAGS)
    # A warm start takes the network from its source; flags that somebody gave
    # must agree.
    chosen = {n: flag.value for n, flag in _MODEL_FLAGS.items() if flag.present}
    model_params = model_params_of_start(
        chosen, _WORKDIR.value, params.warm_start_workdir
    )
    recipe = run_flags.read_params(RecipeParams, _RECIPE_FLAGS)
    try:
        result = train(
            _RECORDS_DIR.value, _WORKDIR.value, model_params, params, recipe
        )
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise InputError(
            f"There is not enough memory for global_batch_size of "
            f"{params.global_batch_size}: take a smaller one, or more devices. "
            f"({str(error).splitlines()[0][:200]})"
        ) from error
    if result["best_value"] is None:
        logging.info(
            "Done, without validation: the records hold no held-out clip that "
            "could give a %s. The best checkpoint in %s is the last, step %d.",
            result["selection_metric"],
            _WORKDIR.value,
            result["best_step"],
        )
        return
    logging.info(
        "Done. Best checkpoint in %s: step %d, validation %s %.3f.",
        _WORKDIR.value,
        result["best_step"],
        result["selection_metric"],
        result["best_value"],
    )


if __name__ == "__main__":
    run_flags.run(main)
