"""Run by test_trainer.py: one step on two logical CPUs and one on one.

Logical devices have to be set before TensorFlow starts, so this is a process of
its own. The network is small, since tracing ResNet-50 twice takes a minute;
that ResNet-50 hands the setting to its layers is tested elsewhere. Prints the
largest difference of any variable, with shared batch statistics and without.
"""

import json

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audioset_strong.params import TrainParams
from audioset_strong.training.trainer import _make_train_step

_BATCH = 8


def _small_network(is_synchronized):
    patches = keras.Input((96, 64))
    hidden = layers.Reshape((96, 64, 1))(patches)
    for stride in (4, 2):
        hidden = layers.Conv2D(4, 3, strides=stride, use_bias=False)(hidden)
        norm = layers.BatchNormalization(synchronized=is_synchronized)
        hidden = layers.ReLU()(norm(hidden))
    pooled = layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(patches, {"logits": layers.Dense(3)(pooled)})


def _step(strategy, batch, is_synchronized):
    """Returns all variables after one step, and the loss."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = _small_network(is_synchronized)
        # Linear in the gradients; Adam's first step is their sign, which
        # rounding decides where they are nearly zero.
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
    train_step = _make_train_step(
        strategy, model, optimizer, TrainParams(global_batch_size=_BATCH)
    )
    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(_BATCH)
    distributed = strategy.experimental_distribute_dataset(dataset)
    loss, _ = train_step(next(iter(distributed))).numpy().tolist()
    return [np.array(v) for v in model.variables], loss


def main():
    [cpu] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    rng = np.random.default_rng(0)
    # Halves that differ much, so that their own statistics would show.
    levels = np.arange(_BATCH).reshape(-1, 1, 1)
    patches = levels + rng.normal(size=[_BATCH, 96, 64])
    batch = {
        "patches": patches.astype(np.float32),
        "targets": rng.integers(0, 2, [_BATCH, 3]).astype(np.float32),
        "target_mask": np.ones([_BATCH, 3], np.float32),
        "source": np.zeros(_BATCH, np.float32),
    }
    mirrored = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    expected, loss = _step(one, batch, False)
    report = {"num_replicas": mirrored.num_replicas_in_sync, "loss": loss}
    for name, is_synchronized in (("shared", True), ("own", False)):
        variables, report[f"loss_{name}"] = _step(
            mirrored, batch, is_synchronized
        )
        report[f"difference_{name}"] = max(
            float(np.abs(a - b).max()) for a, b in zip(expected, variables)
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
