r"""Whether training in bfloat16 is as good as in float32.

    python -m experiments.benchmarks.precision --records_dir=records/train \
      --output_dir=runs/precision --precisions=float32,bfloat16 --seeds=0,1,2

Trains a small network on Strong in each precision and with each seed, and
prints the validation d' of each run, their means, and the standard deviation
over seeds. The same command again does only what is missing.
"""

import json
import os
from collections.abc import Sequence

import numpy as np
from absl import flags

from audioset_strong import run_flags
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.training.trainer import train

_RECORDS_DIR = run_flags.define_records_dir()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder of the runs.", required=True
)
_PRECISIONS = flags.DEFINE_list(
    "precisions", ["float32", "bfloat16"], "Precisions to compare."
)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the runs.")
_NUM_STEPS = flags.DEFINE_integer("num_steps", 300, "Of each run.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Examples of a step.")
_WIDTH = flags.DEFINE_float("width", 0.125, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 4, "1 in the paper.")


def main(argv: Sequence[str]) -> None:
    """Trains all and prints a line of JSON for each precision."""
    run_flags.refuse_arguments(argv)
    for precision in _PRECISIONS.value:
        values = [_train(precision, int(seed)) for seed in _SEEDS.value]
        result = {
            "precision": precision,
            "d_primes": np.round(values, 3).tolist(),
            "mean": round(float(np.mean(values)), 3),
            "deviation": round(float(np.std(values, ddof=1)), 3),
        }
        print(json.dumps(result), flush=True)


def _train(precision: str, seed: int) -> float:
    """Trains one run, with a single validation at its end; returns its d'."""
    result = train(
        _RECORDS_DIR.value,
        os.path.join(_OUTPUT_DIR.value, f"{precision}_{seed}"),
        ModelParams(width=_WIDTH.value, stem_stride=_STEM_STRIDE.value),
        TrainParams(
            training_set="strong",
            num_steps=_NUM_STEPS.value,
            global_batch_size=_BATCH_SIZE.value,
            checkpoint_interval_steps=_NUM_STEPS.value,
            precision=precision,
            seed=seed,
        ),
    )
    d_prime: float = result["best_value"]
    return d_prime


if __name__ == "__main__":
    run_flags.run(main)
