"""The training loop, from top to bottom.

`train` sets up the run and goes through it: steps, then now and then a
validation on the held-out clips and a checkpoint. The state of a run is in its
last checkpoint, and the input is a pure function of the step, so a killed run
resumes and ends in the same bits as an unbroken one. Everything that can refuse
a run does so before its workdir is made.

Source: Section 4 of the paper: ResNet-50, Adam, one random window of each clip
in each pass, mixing by mu, the checkpoint picked on a held-out set. Learning
rate and its schedule, batch size: our choices, since the paper gives none.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from audioset_strong.models.clip_scores import make_score_patches
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import check_unchanged, find_shard_states
from audioset_strong.records.streams import reading
from audioset_strong.training.averaging import make_average
from audioset_strong.training.finite import check_finite
from audioset_strong.training.metrics_log import MetricsLog
from audioset_strong.training.progress import Progress
from audioset_strong.training.run import Run, open_run
from audioset_strong.training.shown_clips import draw_clips, is_drawn_at
from audioset_strong.training.signals import Signals
from audioset_strong.training.step import (
    COLUMNS,
    RunSteps,
    make_run_steps,
    mean_metrics,
)
from audioset_strong.training.strategy import from_chief
from audioset_strong.training.validation import validate, validation_label_set


def train(
    records_dir: str,
    workdir: str,
    model_params: ModelParams,
    params: TrainParams,
    recipe: RecipeParams = RecipeParams(),
) -> dict[str, Any]:
    """Trains a model, or resumes its training.

    Args:
      records_dir: Folder that `prepare_records` wrote.
      workdir: Folder of the run. One that holds a run with the same settings is
        resumed from its last checkpoint.
      model_params: The network.
      params: The run.
      recipe: What it adds to the paper's training.

    Returns:
      `best_step`, `selection_metric` and `best_value`, its value: of the best
      checkpoint by validation; without validation, the step of the last
      checkpoint, and None for the value.

    Raises:
      InputError: The settings do not fit each other, the records or the
        workdir; another process holds the workdir; a file is damaged or cannot
        be written; or the loss is no longer a number.
      SystemExit: After SIGTERM, with status 143; the state is saved.
      KeyboardInterrupt: After SIGINT; the state is saved.
    """
    settings = model_params, params, recipe
    with (
        open_run(records_dir, workdir, *settings) as run,
        Progress(run.first_step, params) as progress,
        Signals(run.strategy) as stop,
    ):
        state, records = run.state, run.records
        metrics_log = MetricsLog(
            run.workdir,
            run.first_step,
            # The first column counts the steps since the last line.
            logged_step=run.is_writer * (run.first_step - int(state.total[0])),
            is_validated=state.validated_step.numpy() == run.first_step,
        )
        run_steps = make_run_steps(
            run.strategy,
            state.model,
            state.optimizer,
            params,
            make_average(state.model, state.averaged, recipe.ema_decay),
        )
        score_patches = make_score_patches(state.averaged, run.strategy)
        shard_states = find_shard_states(records)
        steps = _run_steps(run, run_steps, progress, stop)
        # A signal may have broken off the validation at the first step.
        for step, metrics, is_checkpoint in itertools.chain(
            [(run.first_step, {}, False)], steps
        ):
            metrics_log.write(step, metrics)
            progress.show(metrics)
            is_due = (
                step % params.checkpoint_interval_steps == 0
                or step == params.num_steps
            ) and step != state.validated_step.numpy()
            if not (is_checkpoint or is_due):
                continue
            shard_states = check_unchanged(records, shard_states)
            validated = is_due and stop.unless_received(
                functools.partial(
                    validate,
                    score_patches,
                    records,
                    params.selection_metric,
                    run.strategy,
                )
            )
            is_best = False
            if validated:
                # The last bits of metrics may depend on a worker's CPU.
                validation, value = from_chief(run.strategy, validated)
                metrics_log.write(step, validation)
                progress.log(step, validation)
                if validation and run.is_writer and is_drawn_at(step, params):
                    images = draw_clips(
                        score_patches, records, validation_label_set(records)
                    )
                    metrics_log.write_images(step, "clips", images)
                is_best = state.selection.is_best(value, step)
                state.validated_step.assign(step)
            run.save(step, is_best)
            if stop.agree():
                stop.leave(run.workdir, step)
            if state.selection.is_over():
                break
    return state.selection.result()


def _run_steps(
    run: Run, run_steps: RunSteps, progress: Progress, stop: Signals
) -> Iterator[tuple[int, dict[str, float], bool]]:
    """Runs the remaining steps, if any.

    Args:
      run: The `total` of its state is kept up to date for a checkpoint.
      run_steps: From `make_run_steps`.
      progress: Shows the steps, and measures rates.
      stop: Whether to end.

    Yields:
      step: Where a line of metrics or a checkpoint is due.
      metrics: The means since the line before, if a line is due; else none.
      is_checkpoint: Whether a checkpoint is.

    Raises:
      InputError: The loss, the gradients or what is to be saved is not finite,
        or the records cannot be read.
    """
    if run.stream is None:
        return
    params, state = run.params.train, run.state
    logging.info("Compiling the training step.")
    batches = iter(run.stream)
    # What calls have returned stays on the device; only a line of metrics or a
    # checkpoint waits for the numbers.
    measured: list[tf.Tensor] = []
    step = run.first_step
    while step < params.num_steps:
        num_steps = min(
            params.steps_per_call,
            params.num_steps - step,
            _steps_to(params.log_interval_steps, step),
            _steps_to(params.checkpoint_interval_steps, step),
        )
        with reading(run.records):
            rows, waited_seconds = run_steps(batches, num_steps)
        measured.append(rows)
        step += num_steps
        progress.advance(num_steps, waited_seconds)
        is_last = step == params.num_steps
        is_line = is_last or step % params.log_interval_steps == 0
        is_checkpoint = (
            stop.agree()
            or is_last
            or step % params.checkpoint_interval_steps == 0
        )
        if not is_line and not is_checkpoint:
            continue
        rows = np.concatenate([part.numpy() for part in measured])
        measured = []
        changed = state.variables() if is_checkpoint else {}
        check_finite(rows, step, changed, run.records, run.params)
        # One after the other, so that a checkpoint between two lines does not
        # change what they add up to.
        state.total.assign(functools.reduce(np.add, rows, state.total.numpy()))
        metrics: dict[str, float] = {}
        if is_line:
            metrics = {
                **mean_metrics(
                    state.total.numpy(),
                    float(rows[-1, COLUMNS.index("learning_rate")]),
                    params,
                ),
                **progress.rates(),
            }
            state.total.assign(tf.zeros_like(state.total))
        yield step, metrics, is_checkpoint
        # The caller's validation and checkpoint are no part of the rates.
        progress.restart_clock()


def _steps_to(interval_steps: int, step: int) -> int:
    """Steps until the next multiple of an interval."""
    return interval_steps - step % interval_steps
