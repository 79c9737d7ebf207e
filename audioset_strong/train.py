r"""Trains a classifier of label frames, from scratch or from another run.

    python -m audioset_strong.train --records_dir=records/train \
      --workdir=runs/weak --training_set=weak --num_steps=100000
    python -m audioset_strong.train --records_dir=records/train \
      --workdir=runs/weak_and_strong --warm_start_workdir=runs/weak \
      --training_set=weak --mixed_training_set=strong --mu=0.8 --num_steps=20000

The first is the paper's training on Weak; the second fine-tunes its model on a
mixture of Weak and Strong, "+ Strong" of Table 1. --workdir receives settings,
checkpoints, the weights that are best by validation, and metrics as JSON lines
and for TensorBoard (`training/workdir.py`). The same command again resumes a
run that was interrupted.
"""

from collections.abc import Sequence

from absl import logging

from audioset_strong import run_flags
from audioset_strong.labels.training_sets import TRAINING_SETS
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.training.trainer import train

_RECORDS_DIR = run_flags.define_records_dir()
_WORKDIR = run_flags.define_workdir()
_TRAIN_FLAGS = run_flags.define_params(
    TrainParams,
    choices={
        "training_set": sorted(TRAINING_SETS),
        "mixed_training_set": ["", "diffuse", "strong"],
        "learning_rate_decay": ["constant", "cosine"],
        "strategy": ["auto", "cpu", "gpu", "tpu"],
    },
)
_MODEL_FLAGS = run_flags.define_params(ModelParams)


def main(argv: Sequence[str]) -> None:
    """Trains and reports which checkpoint is best."""
    run_flags.refuse_arguments(argv)
    result = train(
        _RECORDS_DIR.value,
        _WORKDIR.value,
        run_flags.read_params(ModelParams, _MODEL_FLAGS),
        run_flags.read_params(TrainParams, _TRAIN_FLAGS),
    )
    logging.info(
        "Done. Best checkpoint in %s: step %d, validation d' %.3f.",
        _WORKDIR.value,
        result["best_step"],
        result["best_d_prime"],
    )


if __name__ == "__main__":
    run_flags.run(main)
