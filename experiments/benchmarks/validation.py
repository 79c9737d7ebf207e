r"""Whether validation takes longer than its forward passes.

    python -m experiments.benchmarks.validation --records_dir=records/train

Scores the held-out clips as training does, from their records, and scores the
same patches from memory, in turns; prints the median of the ratios of their
times and its quartiles.
"""

import json
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import flags

from audioset_strong import run_flags
from audioset_strong.models.clip_scores import make_score_patches, score_clips
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import ModelParams
from audioset_strong.records.manifest import read_records
from audioset_strong.training.strategy import make_reproducible

_RECORDS_DIR = run_flags.define_records_dir()
_WIDTH = flags.DEFINE_float("width", 0.25, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 2, "1 in the paper.")
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 9, "Turns of each.")


def main(argv: Sequence[str]) -> None:
    """Times both in turns and prints one line of JSON."""
    run_flags.refuse_arguments(argv)
    make_reproducible(0, deterministic=True)
    records = read_records(_RECORDS_DIR.value)
    params = ModelParams(width=_WIDTH.value, stem_stride=_STEM_STRIDE.value)
    score_patches = make_score_patches(
        build_frame_classifier(
            records.class_map.num_classes, params, records.features
        )
    )
    passes: list[tf.Tensor] = []

    def keep(patches: tf.Tensor) -> tf.Tensor:
        passes.append(patches)
        return score_patches(patches)

    def validate() -> None:
        score_clips(score_patches, records, ["held_out"], only_known=True)

    def run_passes() -> None:
        for patches in passes:
            score_patches(patches).numpy()

    score_clips(keep, records, ["held_out"], only_known=True)
    ratios = []
    for _ in range(_NUM_ROUNDS.value):
        times = []
        for run in (run_passes, validate, run_passes):
            started = time.monotonic()
            run()
            times.append(time.monotonic() - started)
        ratios.append(2.0 * times[1] / (times[0] + times[2]))
    low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75]).round(3)
    result = {
        "times_of_forward_passes": median,
        "quartiles": [low, high],
        "patches": sum(len(patches) for patches in passes),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    run_flags.run(main)
