"""The only code that knows about hardware: which devices, and what each reads.

Training is synchronous: in every step each replica takes its part of the global
batch, and gradients are summed. So a run sees the same examples and takes the
same steps on any number of devices of one host, up to rounding.
"""

import os

import keras
import tensorflow as tf
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.params import RecipeParams, TrainParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import InputWorker, training_stream
from audioset_strong.training.augmentation import make_augment

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
            f"Expected a strategy of {_CHOICES}. Received: {choice!r}."
        )
    if choice == "tpu":
        return _tpu_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    if choice == "gpu" and not gpus:
        raise InputError(
            "TensorFlow sees no GPU for the strategy 'gpu'. Install TensorFlow "
            "with CUDA ('pip install tensorflow[and-cuda]') or choose the "
            "strategy 'cpu'."
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
            f"There is no TPU {name!r} for the strategy 'tpu' ({error}). Set "
            f"TPU_NAME, or choose another strategy."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def distribute_stream(
    strategy: tf.distribute.Strategy,
    records: Records,
    params: TrainParams,
    first_step: int,
    recipe: RecipeParams = RecipeParams(),
) -> tf.distribute.DistributedDataset:
    """Streams the batches of a run to the replicas of a strategy.

    Each host has an input pipeline that reads its own share of the clips
    (`InputWorker`) and gives each of its replicas a batch of its own. On one
    host the replicas' batches are the parts of one global batch, in order.

    Args:
      strategy: How steps are distributed.
      records: Where the clips are.
      params: The run.
      first_step: Step to start from.
      recipe: What changes the examples, and how clips are drawn.

    Raises:
      InputError: A batch cannot be shared evenly, or what `training_stream`
        raises.
    """

    def stream_of(context: tf.distribute.InputContext) -> tf.data.Dataset:
        num_hosts = context.num_input_pipelines
        worker = InputWorker(context.input_pipeline_id, num_hosts)
        return training_stream(
            records,
            params,
            first_step,
            worker,
            num_splits=context.num_replicas_in_sync // num_hosts,
            augment=make_augment(records.features, recipe, params.seed, worker),
            balance_classes=recipe.balance_classes,
        )

    # Not experimental_distribute_dataset, which would rebatch and re-shard.
    return strategy.distribute_datasets_from_function(stream_of)


def make_reproducible(seed: int, deterministic: bool) -> None:
    """Seeds everything and, if asked, chooses deterministic kernels.

    Args:
      seed: Of the first weights.
      deterministic: Whether equal runs must end in equal bits. Besides
        deterministic kernels this takes one operation at a time on a CPU: with
        two, gradients of a batch of 128 differ in the last bit now and then
        (BUILD_NOTES.md "Determinism").
    """
    # Otherwise names and memory of earlier models in this process stay.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if not deterministic:
        return
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # TensorFlow has already started
        if tf.config.threading.get_inter_op_parallelism_threads() != 1:
            logging.warning(
                "TensorFlow already runs several threads, so this run may "
                "differ from an equal one in the last bits."
            )
