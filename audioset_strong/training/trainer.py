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
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tqdm
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.metrics import strong_validation_d_prime
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.problems import listed
from audioset_strong.models.clip_scores import make_score_patches, score_clips
from audioset_strong.models.frame_classifier import (
    HEAD_NAME,
    build_frame_classifier,
    classification_loss,
)
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import Records, read_records
from audioset_strong.records.streams import read_batches
from audioset_strong.training import workdir as workdirs
from audioset_strong.training.metrics_log import MetricsLog
from audioset_strong.training.strategy import (
    distribute_stream,
    get_strategy,
    make_reproducible,
)


def learning_rate_schedule(
    params: TrainParams,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up, then constant or a cosine to zero at `num_steps`."""
    # What the cosine ends at, as a share of its start: one that ends where it
    # starts is constant, so that both are one class with one checkpoint.
    final_share = {"constant": 1.0, "cosine": 0.0}
    if params.learning_rate_decay not in final_share:
        raise InputError(
            f"Expected learning_rate_decay of {sorted(final_share)}. Received: "
            f"{params.learning_rate_decay!r}."
        )
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=(
            0.0 if params.warmup_steps else params.learning_rate
        ),
        decay_steps=max(1, params.num_steps - params.warmup_steps),
        alpha=final_share[params.learning_rate_decay],
        warmup_target=params.learning_rate if params.warmup_steps else None,
        warmup_steps=params.warmup_steps,
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
    records = read_records(records_dir, params.cache_dir)
    run_params = workdirs.RunParams(
        records.features,
        records.label_frames,
        model_params,
        params,
        workdirs.RecordsUsed(records.records_hash),
        recipe,
    )
    run = workdir, run_params, records.class_map
    with contextlib.ExitStack() as stack:
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
            optimizer = keras.optimizers.Adam(learning_rate_schedule(params))
            # Its slots must exist for a checkpoint to be restored into them.
            optimizer.build(model.trainable_variables)
            # In the checkpoint, so that a resumed run knows what it has to
            # beat; -inf without validation.
            best_d_prime = tf.Variable(-float("inf"), dtype=tf.float64)
            best_step = tf.Variable(0, dtype=tf.int64)
            last = workdirs.last_manager(
                workdir,
                model=model,
                optimizer=optimizer,
                best_d_prime=best_d_prime,
                best_step=best_step,
            )
            best = workdirs.best_manager(workdir, model)
            # A checkpoint of this run takes precedence over the start from
            # another.
            if last.latest_checkpoint:
                last.checkpoint.restore(
                    last.latest_checkpoint
                ).assert_consumed()
            elif params.warm_start_workdir:
                _warm_start(model, run_params, records.class_map)

        # The optimizer counts its updates: those of the checkpoint, or none.
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
        validation_set = _validation_label_set(records)
        if not validation_set:
            logging.info(
                "No validation, for the records hold no held-out clip: the "
                "last checkpoint counts as the best."
            )
        elif validation_set == "weak":
            logging.info(
                "Validation is of whole clips, for those held out have weak "
                "labels only."
            )

        metrics_log = MetricsLog(workdir, first_step)
        train_step = _make_train_step(strategy, model, optimizer, params)
        score_patches = make_score_patches(model)
        for step, metrics in _run_steps(
            stream, train_step, records, params, first_step
        ):
            if metrics:
                metrics_log.write(step, metrics)
            is_last = step == params.num_steps
            if step % params.checkpoint_interval_steps and not is_last:
                continue
            validation, d_prime = _validate(score_patches, records)
            metrics_log.write(step, validation)
            # Without a held-out d' there is no choice: the last is the best.
            if d_prime is None or d_prime >= best_d_prime.numpy():
                if d_prime is not None:
                    best_d_prime.assign(d_prime)
                best_step.assign(step)
                best.save(checkpoint_number=step)
            # After the best: a run killed in between only validates again.
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


def _make_train_step(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: keras.Optimizer,
    params: TrainParams,
) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    """Compiles one optimizer update of one global batch.

    Returns:
      A function from a batch of `training_stream` to float32 `[2]`: the mean
      loss and the share of examples of the mixed-in training set.
    """

    def replica_step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(batch["patches"], training=True)["logits"]
            # [per_replica_batch_size, num_classes]
            losses = classification_loss(
                logits, batch["targets"], batch["target_mask"]
            )  # [per_replica_batch_size]
            # The mean over the global batch, since gradients are summed over
            # the replicas.
            loss = tf.reduce_sum(losses) / params.global_batch_size
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        num_mixed = tf.reduce_sum(batch["source"])
        return tf.stack([loss, num_mixed / params.global_batch_size])

    def train_step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        of_replicas = strategy.run(replica_step, args=(batch,))  # [2] each
        return strategy.reduce(
            tf.distribute.ReduceOp.SUM, of_replicas, axis=None
        )

    compiled: Callable[[dict[str, tf.Tensor]], tf.Tensor] = tf.function(
        train_step
    )
    return compiled


def _run_steps(
    stream: tf.distribute.DistributedDataset | None,
    train_step: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    records: Records,
    params: TrainParams,
    first_step: int,
) -> Iterator[tuple[int, dict[str, float]]]:
    """Runs the remaining steps, if any, with a progress bar.

    Yields:
      After each step its number and, where a line of metrics is due, the means
      since the line before; else no metrics.

    Raises:
      InputError: The loss is not finite, or the records cannot be read.
    """
    if stream is None:
        return
    batches = read_batches(stream, records)
    sums, num_summed, started = tf.zeros([2]), 0, time.monotonic()
    progress = tqdm.trange(
        first_step,
        params.num_steps,
        initial=first_step,
        total=params.num_steps,
        unit="step",
        desc="train",
    )
    for step in (step + 1 for step in progress):
        # Stays on the device; only a line of metrics waits for the numbers.
        sums += train_step(next(batches))
        num_summed += 1
        metrics: dict[str, float] = {}
        if step % params.log_interval_steps == 0 or step == params.num_steps:
            loss, mixed_share = (sums / num_summed).numpy().tolist()
            if not math.isfinite(loss):
                raise InputError(
                    f"The loss is {loss} between steps {step - num_summed} and "
                    f"{step}. Lower learning_rate or raise warmup_steps."
                )
            seconds = time.monotonic() - started
            rate = num_summed * params.global_batch_size / seconds
            progress.set_postfix_str(
                f"loss {loss:.3f}, {rate:.0f} examples/s", refresh=False
            )
            metrics = {
                "loss": loss,
                "mixed_share": mixed_share,
                "examples_per_second": rate,
            }
        yield step, metrics
        if metrics:
            # Not before the yield: the caller's validation and checkpoint are
            # no part of the rate.
            sums, num_summed, started = tf.zeros([2]), 0, time.monotonic()


def _validation_label_set(records: Records) -> str:
    """Which labels held-out clips are validated by: "strong", "weak" or ""."""
    shards = records.shards_of("held_out")
    for label_set in ("strong", "weak"):
        if any(shard.num_clips_with(label_set) for shard in shards):
            return label_set
    return ""


def _validate(
    score_patches: Callable[[tf.Tensor], tf.Tensor], records: Records
) -> tuple[dict[str, float], float | None]:
    """Scores the held-out clips.

    Clips with strong labels are scored label frame by label frame. If there are
    none, those with weak labels are, by clip: the mean of its label frames
    against its weak labels, where a class that is not listed is a negative.

    Returns:
      metrics: What to log.
      d_prime: By which to choose the checkpoint; None if there is none.
    """
    label_set = _validation_label_set(records)
    if not label_set:
        return {}, None
    scored = score_clips(
        score_patches, records, ["held_out"], label_set, only_known=True
    )
    scores, targets, prefix = scored.scores, scored.targets, "validation"
    # Label frames inside the audio, of all clips: [num_frames, num_classes].
    if label_set == "weak":
        # [num_clips, num_classes]; every clip has a label frame.
        first = scored.first_label_frames
        scores = np.add.reduceat(scores, first, dtype=np.float32)
        scores /= scored.num_label_frames[:, np.newaxis].astype(np.float32)
        targets = np.maximum.reduceat(targets, first)
        prefix = "validation_weak"
    d_prime, lwlrap = strong_validation_d_prime(scores, targets)
    # Items without a positive of any class have no ROC curve.
    if math.isnan(d_prime):
        logging.warning(
            "No class has both a positive and a negative in the held-out clips."
        )
        return {}, None
    metrics = {f"{prefix}_d_prime": d_prime, f"{prefix}_lwlrap": lwlrap}
    return metrics, d_prime
