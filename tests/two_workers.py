"""Run by test_strategy.py: one of two workers on loopback, named by TF_CONFIG.

    two_workers.py RECORDS_DIR WORKDIR [SECONDS_A_STEP]

A small network stands in for ResNet-50, whose tracing takes a minute. Without
SECONDS_A_STEP it first compares steps and validation with those of one device,
then trains, then fails on the second worker only; prints JSON. With it, it only
trains, that slowly, so that it can be killed.
"""

import dataclasses
import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from two_devices import small_network, take_step

from audioset_strong.errors import InputError
from audioset_strong.models.clip_scores import make_score_patches
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.streams import training_stream
from audioset_strong.training import run, state, trainer
from audioset_strong.training import strategy as strategies
from audioset_strong.training.augmentation import make_augment
from audioset_strong.training.validation import validate

PARAMS = TrainParams(
    mixed_training_set="strong",
    mu=0.5,
    num_steps=12,
    global_batch_size=8,
    learning_rate=0.01,
    shuffle_block_clips=4,
    checkpoint_interval_steps=4,
    log_interval_steps=1,
)
RECIPE = RecipeParams(
    ema_decay=0.9,
    mixup_share=0.5,
    max_masked_stft_frames=20,
    balance_classes=True,
)


def _check_messages(strategy):
    """Returns what workers told each other."""
    worker = strategies.worker_of(strategy)
    with strategy.scope():
        variables = [
            tf.Variable(float(worker.index) - np.inf, dtype=tf.float64),
            tf.Variable([worker.index + 5, 2], dtype=tf.int64),
            tf.Variable(tf.fill([3, 5], 0.1)),
        ]
    variables[1].assign([worker.index + 5, 2])
    strategies.send_state(strategy, variables)
    rows = np.full([3 * worker.index, 2], 0.1, np.float32)
    try:
        params = TrainParams(seed=worker.index, cache_dir=str(worker.index))
        strategies.refuse_other_workers(
            strategy, dataclasses.make_dataclass("Run", ["train"])(params), "h"
        )
        refusal = ""
    except InputError as error:
        refusal = str(error)
    return {
        "contents": [
            content.decode()
            for content in strategies.exchange(strategy, b"ab" * worker.index)
        ],
        "rows": strategies.gather(strategy, rows).tolist(),
        "state": [variable.numpy().tolist() for variable in variables],
        "from_chief": strategies.from_chief(strategy, [0.1, worker.index]),
        "refusal": refusal,
    }


def _check_stream(strategy, records):
    """Whether this worker's batches are its share of the stream."""
    worker = strategies.worker_of(strategy)
    stream = iter(
        strategies.distribute_stream(strategy, records, PARAMS, 3, RECIPE)
    )
    expected = training_stream(
        records,
        PARAMS,
        3,
        worker,
        augment=make_augment(records.features, RECIPE, PARAMS.seed, worker),
        balance_classes=True,
    ).take(3)
    found = [
        strategy.experimental_local_results(next(stream)["patches"])
        for _ in range(3)
    ]
    return all(
        np.array_equal(patches, batch["patches"])
        for [patches], batch in zip(found, expected, strict=True)
    )


def _check_step(strategy):
    """Returns how a step on two workers differs from one on one device."""
    rng = np.random.default_rng(0)
    patches = np.arange(8).reshape(-1, 1, 1) + rng.normal(size=[8, 96, 64])
    batch = {
        "patches": patches.astype(np.float32),
        "targets": rng.integers(0, 2, [8, 3]).astype(np.float32),
        "target_mask": np.ones([8, 3], np.float32),
        "source": np.zeros(8, np.float32),
    }
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    expected, loss = take_step(one, batch, False)
    found, loss_of_two = take_step(strategy, batch, True)
    return {
        "losses": [loss["loss"], loss_of_two["loss"]],
        "difference": max(
            float(np.abs(a - b).max()) for a, b in zip(expected, found)
        ),
    }


def _check_validation(strategy, records):
    """Returns the metrics of validation on both workers and on one device."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = small_network(True, records.class_map.num_classes)
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    return [
        validate(make_score_patches(model, where), records, "lwlrap", where)
        for where in (strategy, one)
    ]


def main():
    records_dir, workdir, *seconds = sys.argv[1:]
    report = {}
    strategies.make_reproducible(0, True)
    strategy = strategies.get_strategy("auto")
    if not seconds:
        records = read_records(records_dir)
        report |= _check_messages(strategy)
        report["equal_streams"] = _check_stream(strategy, records)
        report |= _check_step(strategy)
        report["validation"] = _check_validation(strategy, records)
    run.get_strategy = lambda _: strategy
    state.build_frame_classifier = lambda num_classes, *_: small_network(
        True, num_classes
    )
    if seconds:
        run_steps = trainer.make_run_steps

        def make_slow_steps(*arguments):
            fast = run_steps(*arguments)
            return lambda *a: (time.sleep(float(seconds[0])), fast(*a))[1]

        trainer.make_run_steps = make_slow_steps
    report |= trainer.train(records_dir, workdir, ModelParams(), PARAMS, RECIPE)
    if not seconds:
        try:
            with strategies.ends_together(strategy):
                if not strategies.is_chief(strategy):
                    raise InputError("No space left on this worker.")
                strategies.exchange(strategy, b"")
        except InputError as error:
            report["error"] = str(error)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
