r"""How many examples a second one training step takes, and which bits it gives.

    python -m experiments.benchmarks.train_step --width=0.25 --stem_stride=2
    TF_ENABLE_ONEDNN_OPTS=0 python -m experiments.benchmarks.train_step ...

Computes the gradients of one random batch again and again. Prints examples/s,
the time to compile, and how many repetitions differed from the first in any
bit, with the deterministic settings of training or without them
(--nodeterministic).
"""

import json
import os
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import flags

from audioset_strong import run_flags
from audioset_strong.models.frame_classifier import (
    build_frame_classifier,
    classification_loss,
)
from audioset_strong.params import FeatureParams, ModelParams
from audioset_strong.training.strategy import make_reproducible

_WIDTH = flags.DEFINE_float("width", 0.25, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 2, "1 in the paper.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Examples of a step.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 82, "Classes of the head.")
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 30, "Steps to time.")
_DETERMINISTIC = flags.DEFINE_boolean(
    "deterministic", True, "Whether to use the settings of training."
)


def main(argv: Sequence[str]) -> None:
    """Times the steps and prints one line of JSON."""
    run_flags.refuse_arguments(argv)
    make_reproducible(0, _DETERMINISTIC.value)
    model = build_frame_classifier(
        _NUM_CLASSES.value,
        ModelParams(width=_WIDTH.value, stem_stride=_STEM_STRIDE.value),
        FeatureParams(),
    )

    @tf.function
    def gradients(patches: tf.Tensor, targets: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(patches, training=True)["logits"]
            mask = tf.ones_like(targets)
            loss = tf.reduce_mean(classification_loss(logits, targets, mask))
        return tape.gradient(loss, model.trainable_variables)

    rng = np.random.default_rng(0)
    shape = (_BATCH_SIZE.value, 96, 64)
    patches = tf.constant(rng.standard_normal(shape, dtype=np.float32))
    targets = rng.uniform(size=(_BATCH_SIZE.value, _NUM_CLASSES.value)) < 0.05
    targets = tf.constant(targets.astype(np.float32))
    started = time.monotonic()
    first = [g.numpy() for g in gradients(patches, targets)]
    compile_seconds = time.monotonic() - started
    step_seconds, num_differing = [], 0
    for _ in range(_NUM_REPEATS.value):
        started = time.monotonic()
        again = [g.numpy() for g in gradients(patches, targets)]
        step_seconds.append(time.monotonic() - started)
        num_differing += any(
            not np.array_equal(a, b) for a, b in zip(first, again, strict=True)
        )
    result = {
        "examples_per_second": _BATCH_SIZE.value / np.median(step_seconds),
        "compile_seconds": compile_seconds,
        "differing_repeats": num_differing,
        "repeats": _NUM_REPEATS.value,
        "width": _WIDTH.value,
        "stem_stride": _STEM_STRIDE.value,
        "batch_size": _BATCH_SIZE.value,
        "deterministic": _DETERMINISTIC.value,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        "tensorflow": tf.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    run_flags.run(main)
