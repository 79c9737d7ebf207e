"""Gives each replica its part of every batch."""

import tensorflow as tf

from audioset_strong.params import TrainParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import InputWorker, training_stream


def distribute_stream(
    strategy: tf.distribute.Strategy,
    records: Records,
    params: TrainParams,
    first_step: int,
) -> tf.distribute.DistributedDataset:
    """Streams the batches of a run to the replicas of a strategy.

    Each host has an input pipeline that reads its own share of the clips
    (`input_workers.py`), and gives each of its replicas a batch of its own. On
    one host the replicas' batches are the parts of one global batch, in order,
    so that a run sees the same examples on any number of its devices.

    Args:
      strategy: How steps are distributed.
      records: Where the clips are.
      params: The run.
      first_step: Step to start from.

    Raises:
      InputError: A batch cannot be shared evenly, or what `training_stream`
        raises.
    """

    def stream_of(context: tf.distribute.InputContext) -> tf.data.Dataset:
        num_hosts = context.num_input_pipelines
        return training_stream(
            records,
            params,
            first_step,
            InputWorker(context.input_pipeline_id, num_hosts),
            num_splits=context.num_replicas_in_sync // num_hosts,
        )

    return strategy.distribute_datasets_from_function(stream_of)
