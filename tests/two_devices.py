"""Run by test_strategy.py: batches and one step on two logical CPUs and on one.

Logical devices have to be set before TensorFlow starts, so this is a process of
its own. The network is small, since tracing ResNet-50 twice takes a minute;
that ResNet-50 passes the setting to its layers is tested elsewhere. Prints
JSON: whether the batches are equal, and the largest difference of any variable
after the step, with shared batch statistics and without.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from pinned_records import write_pinned_records

from audioset_strong.models.batch_norm import FusedBatchNormalization
from audioset_strong.models.clip_scores import make_score_patches
from audioset_strong.params import RecipeParams, TrainParams
from audioset_strong.records.streams import training_stream
from audioset_strong.training.augmentation import make_augment
from audioset_strong.training.averaging import make_average
from audioset_strong.training.optimizer import Optimizer
from audioset_strong.training.step import COLUMNS, make_run_steps
from audioset_strong.training.strategy import distribute_stream

_PARAMS = TrainParams(
    mixed_training_set="strong",
    mu=0.5,
    global_batch_size=8,
    shuffle_block_clips=8,
)

_RECIPE = RecipeParams(
    mixup_share=0.5,
    max_masked_stft_frames=20,
    max_gain_db=6.0,
    balance_classes=True,
)


def _compare_batches(mirrored, folder):
    records = write_pinned_records(folder)
    found = iter(distribute_stream(mirrored, records, _PARAMS, 0, _RECIPE))
    sizes, is_equal = [], True
    stream = training_stream(
        records,
        _PARAMS,
        augment=make_augment(records.features, _RECIPE, _PARAMS.seed),
        balance_classes=True,
    )
    for expected in stream.take(3):
        for name, values in next(found).items():
            parts = [p.numpy() for p in values.values]
            sizes.append([len(part) for part in parts])
            is_equal &= np.array_equal(np.concatenate(parts), expected[name])
    return {"sizes": np.unique(sizes).tolist(), "equal_batches": bool(is_equal)}


def small_network(is_synchronized, num_classes=3):
    patches = keras.Input((96, 64))
    hidden = layers.Reshape((96, 64, 1))(patches)
    for stride in (4, 2):
        hidden = layers.Conv2D(4, 3, strides=stride, use_bias=False)(hidden)
        norm = FusedBatchNormalization(synchronized=is_synchronized)
        hidden = layers.ReLU()(norm(hidden))
    pooled = layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(patches, {"logits": layers.Dense(num_classes)(pooled)})


def _compare_scores(mirrored):
    """Largest difference of scores on two devices from those on one."""
    with mirrored.scope():
        model = small_network(False)
    patches = np.random.default_rng(0).normal(size=[7, 96, 64])
    patches = tf.constant(patches, tf.float32)
    expected = make_score_patches(model)(patches)
    found = make_score_patches(model, mirrored)(patches)
    return float(np.abs(found - expected).max())


def take_step(strategy, batch, is_synchronized):
    """Returns statistics and moments after one step, and what it measured."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = small_network(is_synchronized)
        weights = [weight.value for weight in model.trainable_variables]
        optimizer = Optimizer(weights, _PARAMS, RecipeParams())
        averaged = small_network(is_synchronized)
        averaged.set_weights(model.get_weights())
    average = make_average(model, averaged, 0.5)
    run_steps = make_run_steps(strategy, model, optimizer, _PARAMS, average)
    dataset = tf.data.Dataset.from_tensors(batch).unbatch()

    def part_of(context):
        share = dataset.shard(
            context.num_input_pipelines, context.input_pipeline_id
        )
        return share.batch(8 // context.num_replicas_in_sync)

    distributed = strategy.distribute_datasets_from_function(part_of)
    [row] = run_steps(iter(distributed), 1)[0].numpy()
    # First moments are linear in the gradients. Adam's first step is their
    # sign, which rounding decides where they are nearly zero.
    state = [
        *model.non_trainable_variables,
        *averaged.non_trainable_variables,
        *optimizer.first_moments,
    ]
    return [np.array(v) for v in state], dict(zip(COLUMNS, row.tolist()))


def main():
    [cpu] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    mirrored = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    report = _compare_batches(mirrored, sys.argv[1])
    report["difference_scores"] = _compare_scores(mirrored)
    rng = np.random.default_rng(0)
    # Halves that differ much, so that their own statistics would show.
    patches = np.arange(8).reshape(-1, 1, 1) + rng.normal(size=[8, 96, 64])
    batch = {
        "patches": patches.astype(np.float32),
        "targets": rng.integers(0, 2, [8, 3]).astype(np.float32),
        "target_mask": np.ones([8, 3], np.float32),
        "source": np.zeros(8, np.float32),
    }
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    expected, measured = take_step(one, batch, False)
    report["loss"] = measured["loss"]
    for name, is_synchronized in (("shared", True), ("own", False)):
        found, measured = take_step(mirrored, batch, is_synchronized)
        report[f"loss_{name}"] = measured["loss"]
        report[f"difference_{name}"] = max(
            float(np.abs(a - b).max()) for a, b in zip(expected, found)
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
