"""The only code that knows about hardware."""

import os

import keras
import tensorflow as tf
from absl import logging

from audioset_strong.errors import InputError

_CHOICES = ("auto", "cpu", "gpu", "tpu")


def get_strategy(choice: str) -> tf.distribute.Strategy:
    """Chooses how steps are distributed.

    Args:
      choice: "cpu"; "gpu", all visible ones; "tpu", the one named by the
        environment variable TPU_NAME, or the local one; "auto", the GPUs if
        there are any, else the CPU.

    Returns:
      A strategy for synchronous training.

    Raises:
      InputError: The choice is unknown, or there is no such device.
    """
    if choice not in _CHOICES:
        raise InputError(
            f"Expected a strategy of {_CHOICES}, found {choice!r}."
        )
    if choice == "tpu":
        return _tpu_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    if choice == "gpu" and not gpus:
        raise InputError(
            "--strategy=gpu, but TensorFlow sees no GPU. Install tensorflow "
            "with CUDA ('pip install tensorflow[and-cuda]') or give "
            "--strategy=cpu."
        )
    if choice == "cpu" or not gpus:
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])


def _tpu_strategy() -> tf.distribute.Strategy:
    """Connects to a TPU."""
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(
            name
        )
    except (ValueError, tf.errors.OpError) as error:
        raise InputError(
            f"--strategy=tpu, but there is no TPU {name!r} ({error}). Set "
            f"TPU_NAME, or give another --strategy."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def make_reproducible(seed: int, deterministic: bool) -> None:
    """Seeds everything and, if asked, chooses deterministic kernels.

    Also drops what Keras keeps of models that this process made before.

    Args:
      seed: Of the first weights.
      deterministic: Whether equal runs must end in equal bits. Besides
        deterministic kernels this takes one operation at a time on a CPU: with
        two, gradients of a batch of 128 differ in the last bit now and then
        (BUILD_NOTES.md "Determinism").
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if not deterministic:
        return
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        if tf.config.threading.get_inter_op_parallelism_threads() != 1:
            logging.warning(
                "TensorFlow already runs with several threads, so this run may "
                "differ from an equal one in the last bits."
            )
