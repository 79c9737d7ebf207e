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
import math
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tqdm
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
from audioset_strong.training.optimizer import Optimizer
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
      `best_step` and `best_d_prime`: of the best checkpoint by validation;
      without validation, those of the last checkpoint and None.

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
        with strategy.scope():
            model = build_frame_classifier(
                records.class_map.num_classes, model_params, records.features
            )
            optimizer = Optimizer(
                [weight.value for weight in model.trainable_variables],
                params,
                recipe,
            )
            # In the checkpoint, so that a resumed run knows what it has to
            # beat; -inf without validation.
            best_d_prime = tf.Variable(-float("inf"), dtype=tf.float64)
            best_step = tf.Variable(0, dtype=tf.int64)
            # And what the line of metrics that is under way has to count.
            total = tf.Variable(tf.zeros([len(COLUMNS)], tf.float64))
            last = workdirs.last_manager(
                workdir,
                model=model,
                optimizer=optimizer,
                best_d_prime=best_d_prime,
                best_step=best_step,
                total=total,
            )
            best = workdirs.best_manager(workdir, model)
            # A checkpoint of this run takes precedence over the start from
            # another.
            if last.latest_checkpoint:
                last.checkpoint.restore(
                    last.latest_checkpoint
                ).assert_consumed()
            elif params.warm_start_workdir and is_chief(strategy):
                _warm_start(model, run_params, records.class_map)
        send_state(
            strategy,
            [variable.value for variable in model.variables]
            + [*optimizer.variables, best_d_prime, best_step, total],
        )

        # The optimizer counts its steps: those of the checkpoint, or none.
        first_step = int(optimizer.iterations.numpy())
        stream = None
        if first_step < params.num_steps:
            stream = distribute_stream(strategy, records, params, first_step)
        if is_new:
            stack.enter_context(workdirs.begin(*run))
        if stream is None:
            logging.info("%s is finished, at step %d.", workdir, first_step)
        elif first_step:
            logging.info("Resuming %s at step %d.", workdir, first_step)
        log_distribution(strategy, records, params, first_step)
        log_what_is_validated(records)

        metrics_log = workdirs.MetricsLog(workdir, first_step)
        run_steps = make_run_steps(strategy, model, optimizer, params)
        score_patches = make_score_patches(model, strategy)
        for step, metrics in _run_steps(
            stream, run_steps, total, records, params, first_step
        ):
            if metrics:
                metrics_log.write(step, metrics)
            is_last = step == params.num_steps
            if step % params.checkpoint_interval_steps and not is_last:
                continue
            # The last bits of metrics may depend on a worker's CPU.
            validation, d_prime = from_chief(
                strategy, validate(score_patches, records, strategy)
            )
            metrics_log.write(step, validation)
            # Without a held-out d' there is no choice: the last is the best.
            if d_prime is None or d_prime >= best_d_prime.numpy():
                if d_prime is not None:
                    best_d_prime.assign(d_prime)
                best_step.assign(step)
                if is_chief(strategy):
                    best.save(checkpoint_number=step)
            # After the best: a run killed in between only validates again.
            if is_chief(strategy):
                last.save(checkpoint_number=step)
    found = float(best_d_prime.numpy())
    return {
        "best_step": int(best_step.numpy()),
        "best_d_prime": found if math.isfinite(found) else None,
    }


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
    records: Records,
    params: TrainParams,
    first_step: int,
) -> Iterator[tuple[int, dict[str, float]]]:
    """Runs the remaining steps, if any, with a progress bar.

    Args:
      stream: Their batches; None if no step remains.
      run_steps: From `make_run_steps`.
      total: float64 `[len(COLUMNS)]`: what was measured since the last line of
        metrics, kept up to date for a checkpoint.
      records: Where the batches come from.
      params: The run.
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
    num_timed, waited_seconds, started = 0, 0.0, time.monotonic()
    with tqdm.tqdm(
        initial=first_step, total=params.num_steps, unit="step", desc="train"
    ) as progress:
        while step < params.num_steps:
            num_steps = min(
                params.steps_per_call,
                params.num_steps - step,
                _steps_to(params.log_interval_steps, step),
                _steps_to(params.checkpoint_interval_steps, step),
            )
            with reading(records):
                rows, seconds = run_steps(batches, num_steps)
            measured.append(rows)
            waited_seconds += seconds
            step += num_steps
            progress.update(num_steps)
            is_last = step == params.num_steps
            is_line = is_last or step % params.log_interval_steps == 0
            if not is_line and step % params.checkpoint_interval_steps:
                yield step, {}
                continue
            rows = np.concatenate([part.numpy() for part in measured])
            measured = []
            _check_finite(rows, step, records, params)
            total.assign_add(rows.sum(axis=0, dtype=np.float64))
            num_timed += len(rows)
            if not is_line:
                yield step, {}
                continue
            seconds = time.monotonic() - started
            rate = num_timed * params.global_batch_size / seconds
            metrics = {
                **mean_metrics(
                    total.numpy(),
                    float(rows[-1, COLUMNS.index("learning_rate")]),
                    params,
                ),
                "examples_per_second": rate,
            }
            if math.isfinite(waited_seconds):
                metrics["input_share"] = waited_seconds / seconds
            total.assign(tf.zeros_like(total))
            progress.set_postfix_str(
                f"loss {metrics['loss']:.3f}, {rate:.0f} examples/s",
                refresh=False,
            )
            yield step, metrics
            # Not before the yield: the caller's validation and checkpoint are
            # no part of the rate.
            num_timed, waited_seconds, started = 0, 0.0, time.monotonic()


def _steps_to(interval_steps: int, step: int) -> int:
    """Steps until the next multiple of an interval."""
    return interval_steps - step % interval_steps


def _check_finite(
    rows: np.ndarray, last_step: int, records: Records, params: TrainParams
) -> None:
    """Checks what steps have measured.

    Args:
      rows: float32 `[num_steps, len(COLUMNS)]`.
      last_step: Number of the last of them.
      records: Where their batches came from.
      params: The run.

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
        f"{_describe_batch(records, params, step)}. Lower learning_rate, raise "
        f"warmup_steps or set clip_norm; the last checkpoint stays."
    )


def _describe_batch(records: Records, params: TrainParams, step: int) -> str:
    """Names the clips of a step's batch, by reading it again."""
    if not params.deterministic_input:
        return "unknown clips, for without deterministic_input none is recorded"
    stream = training_stream(
        records, params, first_step=step - 1, with_segment_ids=True
    )
    batch = next(iter(read_batches(stream, records)))
    return "the clips " + listed(
        name.decode() for name in batch["segment_id"].numpy()
    )
