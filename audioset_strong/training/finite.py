"""Checks that a run is still made of numbers, before anything is saved.

A loss or a weight that is infinite or not a number stays so for ever, and a
checkpoint with it is of no use. So the run ends, and its message names what led
there: step, learning rate, norm of the gradients and the clips of the batch.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.problems import listed
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import (
    InputWorker,
    read_batches,
    training_stream,
)
from audioset_strong.training.step import COLUMNS
from audioset_strong.training.strategy import read_cluster
from audioset_strong.training.workdir import RunParams

# More would not help to find a bad record, and would fill the screen.
_NUM_CLIPS_SHOWN = 256


def check_finite(
    rows: np.ndarray,
    last_step: int,
    variables: Mapping[str, tf.Variable],
    records: Records,
    run_params: RunParams,
) -> None:
    """Checks what steps have measured, and what they have made of the weights.

    Args:
      rows: float32 `[num_steps, len(COLUMNS)]`, what they have measured.
      last_step: Number of the last of them.
      variables: Weights and state of the optimizer after it, by name.
      records: Where their batches came from.
      run_params: Settings of the run.

    Raises:
      InputError: A loss, gradient, weight or moment is not finite.
    """
    loss, norm, learning_rate = (
        rows[:, COLUMNS.index(name)]
        for name in ("loss", "gradient_norm", "learning_rate")
    )
    is_bad = ~np.isfinite(loss) | ~np.isfinite(norm)
    if is_bad.any():
        bad, what = int(is_bad.argmax()), ""
    else:
        names = [
            name
            for name, variable in variables.items()
            if variable.dtype.is_floating
            and not tf.reduce_all(tf.math.is_finite(variable))
        ]
        if not names:
            return
        # The step before this one would have made the loss infinite.
        bad, what = -1, f"its update left infinite values in {listed(names)}, "
    step = last_step + 1 + bad - (len(rows) if bad >= 0 else 0)
    raise InputError(
        f"Training ends at step {step}: {what}the loss is {loss[bad]:.6g} and "
        f"the norm of the gradients {norm[bad]:.6g}, at a learning rate of "
        f"{learning_rate[bad]:.3g}. The last checkpoint is from before. In a "
        f"new workdir, lower learning_rate, raise warmup_steps or set "
        f"clip_norm; if one clip is to blame, prepare the records without it. "
        f"The batch: {_describe_batch(records, run_params, step)}."
    )


def _describe_batch(records: Records, run_params: RunParams, step: int) -> str:
    """Names the clips of a step's batch, by reading it again."""
    if not run_params.train.deterministic_input:
        return "unknown, for without deterministic_input no order is kept"
    cluster = read_cluster()
    num_workers = len(cluster.addresses) if cluster else 1
    streams = [
        training_stream(
            records,
            run_params.train,
            first_step=step - 1,
            worker=InputWorker(index, num_workers),
            with_segment_ids=True,
            balance_classes=run_params.recipe.balance_classes,
        )
        for index in range(num_workers)
    ]
    batches = [next(iter(read_batches(s, records))) for s in streams]
    return listed(
        (
            name.decode()
            for batch in batches
            for name in batch["segment_id"].numpy()
        ),
        _NUM_CLIPS_SHOWN,
    )
