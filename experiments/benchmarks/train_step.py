r"""How fast the training step is beside PyTorch's, and which bits it gives.

    python -m experiments.benchmarks.train_step --width=1 --batch_size=16 \
      --pytorch="torch_env/bin/python pytorch_step.py --width=1 --batch=16"
    python -m experiments.benchmarks.train_step --num_gradients=30
    CUDA_VISIBLE_DEVICES=0 python -m experiments.benchmarks.train_step \
      --strategy=gpu --width=1 --precision=bfloat16 --nodeterministic \
      --batch_size=128

The first asks two processes in turns for some steps of one random batch, the
one with this package's compiled training step and another, so that both meet
the same machine. It prints the median and the quartiles of the ratios of their
times (above 1: this package is faster), over rounds of one turn each. The
command of the other process prints one line of JSON when it is ready; then, for
each line with a number n, it runs n steps and prints [wall seconds a step, CPU
seconds a step]. Without --pytorch this package is timed alone.
--nodeterministic times it without deterministic kernels.

The second computes the gradients of one batch again and again and counts the
repetitions that differ from the first in any bit. The third times an
accelerator: `examples_per_second` is what experiments/audioset/costs.py takes.
The batch is on the device, so it does not count how fast records are read.
"""

import itertools
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from audioset_strong import run_flags
from audioset_strong.models.frame_classifier import (
    build_frame_classifier,
    classification_loss,
)
from audioset_strong.params import (
    FeatureParams,
    ModelParams,
    RecipeParams,
    TrainParams,
)
from audioset_strong.training.optimizer import Optimizer
from audioset_strong.training.settings import CHOICES
from audioset_strong.training.step import make_run_steps
from audioset_strong.training.strategy import get_strategy, make_reproducible

_PYTORCH = flags.DEFINE_string(
    "pytorch", "", "Command of the process to compare with."
)
_WIDTH = flags.DEFINE_float("width", 0.25, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 1, "1 in the paper.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 64, "Examples of a step on each replica."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy", "cpu", ["cpu", "gpu", "tpu"], "As in train."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", CHOICES["precision"], "As in train."
)
_JIT_COMPILE = flags.DEFINE_boolean("jit_compile", False, "As in train.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 527, "Classes of the head.")
_DETERMINISTIC = flags.DEFINE_boolean(
    "deterministic", True, "Whether to use deterministic kernels, the default."
)
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 15, "Turns of each process.")
_TURN_SECONDS = flags.DEFINE_float("turn_seconds", 3.0, "Length of a turn.")
_NUM_GRADIENTS = flags.DEFINE_integer(
    "num_gradients", 0, "Gradients to compare, instead of timing steps."
)
_ANSWER = flags.DEFINE_boolean(
    "answer", False, "Run as many steps as each line of standard input says."
)

Batch = dict[str, tf.Tensor]


def main(argv: Sequence[str]) -> None:
    """Compares, and prints one line of JSON."""
    run_flags.refuse_arguments(argv)
    if _ANSWER.value:
        _answer()
    elif _NUM_GRADIENTS.value:
        print(json.dumps(_count_differing_gradients() | _settings()))
    else:
        print(json.dumps(_compare() | _settings()))


def _settings() -> dict[str, Any]:
    return {
        "width": _WIDTH.value,
        "stem_stride": _STEM_STRIDE.value,
        "batch_size": _BATCH_SIZE.value,
        "deterministic": _DETERMINISTIC.value,
        "strategy": _STRATEGY.value,
        "precision": _PRECISION.value,
        "jit_compile": _JIT_COMPILE.value,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


# --- two processes in turns --------------------------------------------------


class _Side:
    """A process that answers numbers of steps with seconds a step."""

    def __init__(self, command: Sequence[str]) -> None:
        started = time.monotonic()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready = self._read()
        self.start_seconds = time.monotonic() - started

    def _read(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"{self._process.args} ended.")
        return json.loads(line)

    def run(self, num_steps: int) -> list[float]:
        """Runs steps; returns wall and CPU seconds a step."""
        print(num_steps, file=self._process.stdin, flush=True)
        seconds: list[float] = self._read()
        return seconds

    def stop(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()


def _compare() -> dict[str, Any]:
    """Asks both sides in turns."""
    own = [sys.executable, "-m", "experiments.benchmarks.train_step"]
    sides = [_Side([*own, *sys.argv[1:], "--answer"])]
    if _PYTORCH.value:
        sides.append(_Side(shlex.split(_PYTORCH.value)))
    # Of about equal length; two steps at least hide what a turn begins with.
    num_steps = [
        max(2, round(_TURN_SECONDS.value / side.run(2)[0])) for side in sides
    ]
    rounds = []
    for number in range(_NUM_ROUNDS.value):
        # Each goes first as often as the other, so that a machine that becomes
        # slower favours neither.
        order = range(len(sides))[:: 1 if number % 2 else -1]
        turns = {index: sides[index].run(num_steps[index]) for index in order}
        rounds.append([turns[index] for index in range(len(sides))])
    for side in sides:
        side.stop()
    # Each [num_sides, num_rounds].
    seconds, cpu_seconds = np.array(rounds).T
    num_replicas = sides[0].ready["replicas"]
    result = {
        "step_seconds": np.median(seconds[0]),
        "replicas": num_replicas,
        "examples_per_second": round(
            num_replicas * _BATCH_SIZE.value / np.median(seconds[0]), 1
        ),
        "cpu_seconds": np.median(cpu_seconds[0]),
        "first_step_seconds": sides[0].start_seconds,
        "steps_of_a_turn": num_steps,
    }
    if _PYTORCH.value:
        ratios = seconds[1] / seconds[0]
        low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75]).round(3)
        result |= {
            "times_as_fast": median,
            "quartiles": [low, high],
            "pytorch_step_seconds": np.median(seconds[1]),
            "pytorch_cpu_seconds": np.median(cpu_seconds[1]),
            **sides[1].ready,
        }
    return result


def _answer() -> None:
    """Runs the training step on demand; see the module's docstring."""
    # Only the loss is divided by the global batch size, for the same work.
    params = TrainParams(
        global_batch_size=_BATCH_SIZE.value,
        deterministic=_DETERMINISTIC.value,
        strategy=_STRATEGY.value,
        precision=_PRECISION.value,
        jit_compile=_JIT_COMPILE.value,
    )
    make_reproducible(params.seed, params.deterministic)
    strategy = get_strategy(params.strategy)
    with strategy.scope():
        model = _build_model()
        weights = [weight.value for weight in model.trainable_variables]
        optimizer = Optimizer(weights, params, RecipeParams())
    run_steps = make_run_steps(strategy, model, optimizer, params)
    batches = itertools.repeat(_random_batch())
    # The first is traced, the second is the first with warm memory.
    for _ in range(2):
        run_steps(batches, 1)[0].numpy()
    ready = {
        "weights": model.count_params(),
        "replicas": strategy.num_replicas_in_sync,
    }
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        num_steps = int(line)
        wall, cpu = time.monotonic(), _cpu_seconds()
        for _ in range(num_steps):
            measured, _ = run_steps(batches, 1)
        measured.numpy()
        used = [time.monotonic() - wall, _cpu_seconds() - cpu]
        print(json.dumps([total / num_steps for total in used]), flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _build_model() -> keras.Model:
    params = ModelParams(width=_WIDTH.value, stem_stride=_STEM_STRIDE.value)
    return build_frame_classifier(
        _NUM_CLASSES.value, params, FeatureParams(), precision=_PRECISION.value
    )


def _random_batch() -> Batch:
    """A batch like those of `training_stream`."""
    rng = np.random.default_rng(0)
    shape = (_BATCH_SIZE.value, 96, 64)
    patches = rng.standard_normal(shape, dtype=np.float32)
    targets = rng.uniform(size=(_BATCH_SIZE.value, _NUM_CLASSES.value)) < 0.05
    return {
        "patches": tf.constant(patches),
        "targets": tf.constant(targets.astype(np.float32)),
        "target_mask": tf.ones(targets.shape),
        "source": tf.zeros([_BATCH_SIZE.value]),
    }


# --- bits ---------------------------------------------------------------------


def _count_differing_gradients() -> dict[str, int]:
    """Compares the gradients of one batch with those of the first time."""
    make_reproducible(0, _DETERMINISTIC.value)
    model, batch = _build_model(), _random_batch()

    @tf.function
    def gradients(batch: Batch) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(batch["patches"], training=True)["logits"]
            losses = classification_loss(
                logits, batch["targets"], batch["target_mask"]
            )
            loss = tf.reduce_mean(losses)
        of_loss: list[tf.Tensor] = tape.gradient(
            loss, model.trainable_variables
        )
        return of_loss

    first = [gradient.numpy() for gradient in gradients(batch)]
    num_differing = 0
    for _ in range(_NUM_GRADIENTS.value):
        again = [gradient.numpy() for gradient in gradients(batch)]
        num_differing += not all(map(np.array_equal, first, again))
    return {"gradients": _NUM_GRADIENTS.value, "differing": num_differing}


if __name__ == "__main__":
    run_flags.run(main)
