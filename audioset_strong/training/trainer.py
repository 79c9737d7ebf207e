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

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.problems import listed
from audioset_strong.models.clip_scores import make_score_patches
from audioset_strong.models.frame_classifier import (
    HEAD_NAME,
    build_frame_classifier,
)
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import Records, read_records
from audioset_strong.records.streams import (
    read_batches,
    reading,
    training_stream,
)
from audioset_strong.training import workdir as workdirs
from audioset_strong.training.averaging import make_average
from audioset_strong.training.first_scores import set_first_scores
from audioset_strong.training.metrics_log import MetricsLog
from audioset_strong.training.optimizer import Optimizer
from audioset_strong.training.progress import Progress
from audioset_strong.training.selection import Selection
from audioset_strong.training.shown_clips import draw_clips, is_drawn_at
from audioset_strong.training.step import (
    COLUMNS,
    RunSteps,
    make_run_steps,
    mean_metrics,
)
from audioset_strong.training.strategy import (
    distribute_stream,
    ends_together,
    from_chief,
    get_strategy,
    is_chief,
    log_distribution,
    make_reproducible,
    refuse_other_workers,
    send_state,
    workdir_of_worker,
)
from audioset_strong.training.validation import (
    log_what_is_validated,
    validate,
    validation_label_set,
)


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
        workdir; another process holds the workdir; or the loss is no longer a
        number.
    """
    _check_params(params)
    # Before anything else makes TensorFlow start its threads.
    make_reproducible(params.seed, params.deterministic)
    strategy = get_strategy(params.strategy)
    with contextlib.ExitStack() as stack:
        stack.enter_context(ends_together(strategy))
        records = read_records(records_dir, params.cache_dir)
        run_params = workdirs.RunParams(
            records.features,
            records.label_frames,
            model_params,
            params,
            workdirs.RecordsUsed(records.records_hash),
            recipe,
        )
        refuse_other_workers(
            strategy, run_params, records.class_map.content_hash
        )
        workdir = stack.enter_context(workdir_of_worker(strategy, workdir))
        run = workdir, run_params, records.class_map
        # An old workdir is compared and locked before anything that takes time,
        # a new one made after everything that can refuse the run.
        is_new = not workdirs.is_run(workdir)
        if not is_new:
            stack.enter_context(workdirs.resume(*run))

        # Within the scope, so that each replica has its copy of every variable.
        # Nothing else is: all workers together make what is made there.
        with strategy.scope():
            model = build_frame_classifier(
                records.class_map.num_classes, model_params, records.features
            )
            optimizer = Optimizer(
                [weight.value for weight in model.trainable_variables],
                params,
                recipe,
            )
            # What is validated and exported: the weights or their averages.
            averaged = model
            if recipe.ema_decay:
                averaged = build_frame_classifier(
                    records.class_map.num_classes,
                    model_params,
                    records.features,
                )
            # In the checkpoint, so that a resumed run knows what it has to
            # beat.
            selection = Selection(
                params.selection_metric, recipe.patience_validations
            )
            # And what the line of metrics that is under way has to count.
            total = tf.Variable(tf.zeros([len(COLUMNS)], tf.float64))
        last = workdirs.last_manager(
            workdir,
            model=averaged,
            trained=model,
            optimizer=optimizer,
            selection=selection,
            total=total,
        )
        best = workdirs.best_manager(workdir, averaged)
        # A checkpoint of this run takes precedence over the start from
        # another.
        if last.latest_checkpoint:
            last.checkpoint.restore(last.latest_checkpoint).assert_consumed()
        # Only the chief needs the weights of another run.
        elif is_chief(strategy):
            if recipe.initial_scores_from_labels:
                set_first_scores(model, records, params, recipe.balance_classes)
            if params.warm_start_workdir:
                _warm_start(model, run_params, records.class_map)
            if averaged is not model:
                averaged.set_weights(model.get_weights())
        send_state(
            strategy,
            [
                variable.value
                for network in dict.fromkeys([model, averaged])
                for variable in network.variables
            ]
            + [*optimizer.variables, *selection.variables, total],
        )

        # The optimizer counts its steps: those of the checkpoint, or none.
        first_step = int(optimizer.iterations.numpy())
        stream = None
        if first_step < params.num_steps and not selection.is_over():
            stream = distribute_stream(
                strategy, records, params, first_step, recipe
            )
        log_what_is_validated(records, recipe.patience_validations)
        if is_new:
            stack.enter_context(workdirs.begin(*run))
        if stream is None:
            logging.info("%s is finished, at step %d.", workdir, first_step)
        elif first_step:
            logging.info("Resuming %s at step %d.", workdir, first_step)
        log_distribution(strategy, records, params, first_step)

        metrics_log = MetricsLog(workdir, first_step)
        run_steps = make_run_steps(
            strategy,
            model,
            optimizer,
            params,
            make_average(model, averaged, recipe.ema_decay),
        )
        score_patches = make_score_patches(averaged, strategy)
        progress = stack.enter_context(Progress(first_step, params))
        for step, metrics in _run_steps(
            stream,
            run_steps,
            total,
            progress,
            records,
            params,
            recipe,
            first_step,
        ):
            metrics_log.write(step, metrics)
            progress.show(metrics)
            is_last = step == params.num_steps
            if step % params.checkpoint_interval_steps and not is_last:
                continue
            # The last bits of metrics may depend on a worker's CPU.
            validation, value = from_chief(
                strategy,
                validate(
                    score_patches, records, params.selection_metric, strategy
                ),
            )
            metrics_log.write(step, validation)
            progress.log(step, validation)
            if validation and is_chief(strategy) and is_drawn_at(step, params):
                images = draw_clips(
                    score_patches, records, validation_label_set(records)
                )
                metrics_log.write_images(step, "clips", images)
            if selection.is_best(value, step) and is_chief(strategy):
                best.save(checkpoint_number=step)
            # After the best: a run killed in between only validates again.
            if is_chief(strategy):
                last.save(checkpoint_number=step)
            if selection.is_over():
                break
    return selection.result()


def _check_params(params: TrainParams) -> None:
    """Checks the settings that do not depend on records.

    Raises:
      InputError: One is out of range, or two do not fit each other.
    """
    for names, is_right, expected in (
        (
            (
                "num_steps",
                "global_batch_size",
                "shuffle_block_clips",
                "checkpoint_interval_steps",
                "log_interval_steps",
            ),
            lambda value: value >= 1,
            "of at least 1",
        ),
        (("warmup_steps",), lambda value: value >= 0, "of at least 0"),
        (
            ("learning_rate",),
            lambda value: 0 < value < math.inf,
            "above 0",
        ),
        (
            ("warm_start_classes",),
            lambda value: value in ("same", "match", "new"),
            "of 'same', 'match' or 'new'",
        ),
        (
            ("learning_rate_decay",),
            lambda value: value in ("constant", "cosine", "step"),
            "of 'constant', 'cosine' or 'step'",
        ),
    ):
        for name in names:
            if not is_right(getattr(params, name)):
                raise InputError(
                    f"Expected {name} {expected}. Received: "
                    f"{getattr(params, name)!r}."
                )
    if params.deterministic and not params.deterministic_input:
        raise InputError(
            "Without deterministic_input every run sees other examples, so "
            "deterministic kernels are of no use. Turn deterministic off too."
        )
    if params.warm_start_classes != "same" and not params.warm_start_workdir:
        raise InputError(
            f"warm_start_classes {params.warm_start_classes!r} is about a "
            f"start from another run. Give its folder as warm_start_workdir."
        )


def _warm_start(
    model: keras.Model, run_params: workdirs.RunParams, class_map: ClassMap
) -> None:
    """Starts from the best weights of another run.

    Raises:
      InputError: The other run does not fit (`workdir.check_start`) or has no
        checkpoint.
    """
    source_dir = run_params.train.warm_start_workdir
    classes = run_params.train.warm_start_classes
    workdirs.check_start(source_dir, classes, run_params, class_map)
    if classes == "same":
        path = workdirs.restore_weights(source_dir, model)
        logging.info("Starting from the weights in %s.", path)
        return
    source, _, source_map = workdirs.load_classifier(source_dir)
    kept = {
        index: source_map.index_of_mid[mid]
        for index, mid in enumerate(class_map.mids)
        if classes == "match" and mid in source_map.index_of_mid
    }
    # Layers are in the order of the network; only their names may differ.
    for layer, source_layer in zip(model.layers, source.layers, strict=True):
        weights = source_layer.get_weights()
        if layer.name == HEAD_NAME:
            # Kernel [embedding_size, num_classes] and bias [num_classes].
            of_source, weights = weights, layer.get_weights()
            for new, old in zip(weights, of_source, strict=True):
                new[..., list(kept)] = old[..., list(kept.values())]
        layer.set_weights(weights)
    names = class_map.display_names
    logging.info(
        "Starting from the network of %s; of the last layer %d classes keep "
        "their weights (%s) and %d start anew (%s).",
        source_dir,
        len(kept),
        listed(repr(names[index]) for index in kept),
        len(names) - len(kept),
        listed(repr(name) for i, name in enumerate(names) if i not in kept),
    )


def _run_steps(
    stream: tf.distribute.DistributedDataset | None,
    run_steps: RunSteps,
    total: tf.Variable,
    progress: Progress,
    records: Records,
    params: TrainParams,
    recipe: RecipeParams,
    first_step: int,
) -> Iterator[tuple[int, dict[str, float]]]:
    """Runs the remaining steps, if any.

    Args:
      stream: Their batches; None if no step remains.
      run_steps: From `make_run_steps`.
      total: float64 `[len(COLUMNS)]`: what was measured since the last line of
        metrics, kept up to date for a checkpoint.
      progress: Shows them, and measures rates.
      records: Where the batches come from.
      params: The run.
      recipe: What it adds.
      first_step: Steps that were taken before.

    Yields:
      After each call its last step and, where a line of metrics is due, the
      means since the line before; else no metrics.

    Raises:
      InputError: The loss or the gradients are not finite, or the records
        cannot be read.
    """
    if stream is None:
        return
    batches = iter(stream)
    # What calls have returned stays on the device; only a line of metrics or a
    # checkpoint waits for the numbers.
    measured: list[tf.Tensor] = []
    step = first_step
    while step < params.num_steps:
        num_steps = min(
            params.steps_per_call,
            params.num_steps - step,
            _steps_to(params.log_interval_steps, step),
            _steps_to(params.checkpoint_interval_steps, step),
        )
        with reading(records):
            rows, waited_seconds = run_steps(batches, num_steps)
        measured.append(rows)
        step += num_steps
        progress.advance(num_steps, waited_seconds)
        is_last = step == params.num_steps
        is_line = is_last or step % params.log_interval_steps == 0
        if not is_line and step % params.checkpoint_interval_steps:
            yield step, {}
            continue
        rows = np.concatenate([part.numpy() for part in measured])
        measured = []
        _check_finite(rows, step, records, params, recipe)
        # One after the other, so that a checkpoint between two lines does not
        # change what they add up to.
        total.assign(functools.reduce(np.add, rows, total.numpy()))
        metrics: dict[str, float] = {}
        if is_line:
            metrics = {
                **mean_metrics(
                    total.numpy(),
                    float(rows[-1, COLUMNS.index("learning_rate")]),
                    params,
                ),
                **progress.rates(),
            }
            total.assign(tf.zeros_like(total))
        yield step, metrics
        # The caller's validation and checkpoint are no part of the rates.
        progress.restart_clock()


def _steps_to(interval_steps: int, step: int) -> int:
    """Steps until the next multiple of an interval."""
    return interval_steps - step % interval_steps


def _check_finite(
    rows: np.ndarray,
    last_step: int,
    records: Records,
    params: TrainParams,
    recipe: RecipeParams,
) -> None:
    """Checks what steps have measured.

    Args:
      rows: float32 `[num_steps, len(COLUMNS)]`.
      last_step: Number of the last of them.
      records: Where their batches came from.
      params: The run.
      recipe: What it adds.

    Raises:
      InputError: A loss is not finite, or gradients are not.
    """
    loss, norm, learning_rate = (
        rows[:, COLUMNS.index(name)]
        for name in ("loss", "gradient_norm", "learning_rate")
    )
    is_bad = ~np.isfinite(loss)
    # Loss scaling leaves a step out whose float16 gradients overflow.
    if params.precision != "float16":
        is_bad |= ~np.isfinite(norm)
    if not is_bad.any():
        return
    bad = int(is_bad.argmax())
    step = last_step - len(rows) + 1 + bad
    raise InputError(
        f"Training ends at step {step}: the loss is {loss[bad]:.6g} and the "
        f"norm of the gradients {norm[bad]:.6g}, at a learning rate of "
        f"{learning_rate[bad]:.3g}. The batch has "
        f"{_describe_batch(records, params, recipe, step)}. Lower "
        f"learning_rate, raise warmup_steps or set clip_norm; the last "
        f"checkpoint stays."
    )


def _describe_batch(
    records: Records, params: TrainParams, recipe: RecipeParams, step: int
) -> str:
    """Names the clips of a step's batch, by reading it again."""
    if not params.deterministic_input:
        return "unknown clips, for without deterministic_input none is recorded"
    stream = training_stream(
        records,
        params,
        first_step=step - 1,
        with_segment_ids=True,
        balance_classes=recipe.balance_classes,
    )
    batch = next(iter(read_batches(stream, records)))
    return "the clips " + listed(
        name.decode() for name in batch["segment_id"].numpy()
    )
