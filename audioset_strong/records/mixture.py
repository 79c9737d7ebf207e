"""Mixing training sets by mu.

Per source: shuffle, repeat. Then sample by mu, example by example; then batch;
then prefetch. Sampling comes after repeating, so that the share of the small
source stays mu for as long as one trains (sampling first would run it dry).

The choice of source at example i is a pure function of (seed, i), so a resumed
run can count how many examples of each source it has used.

Source: Section 4 of the paper: mu in [0, 1], 0 selects only Weak and 1 selects
only Diffuse or Strong.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import TrainingSet, get_training_set
from audioset_strong.params import TrainParams
from audioset_strong.records.example_blocks import (
    Block,
    Reading,
    decode_block,
    example_blocks,
)
from audioset_strong.records.input_workers import InputWorker
from audioset_strong.records.manifest import Records
from audioset_strong.records.reader import without_tuner

# Choices are drawn in blocks of this many, so that counting hundreds of
# millions of them takes seconds. Part of the definition of the stream: do not
# change.
_BLOCK = 1 << 16
# Enough to hide the pause in which a source reads its next block of clips.
_PREFETCHED_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Two sources and how often the second is drawn.

    Attributes:
      mu: Probability of the second source, in [0, 1].
      seed: Of the choices.
      worker_index: Which input worker draws; each has its own choices.
    """

    mu: float
    seed: int
    worker_index: int = 0

    def __post_init__(self) -> None:
        """Checks the range of mu."""
        if not 0.0 <= self.mu <= 1.0:
            raise InputError(f"Expected 0 <= mu <= 1. Received: {self.mu}.")

    def _draw_block(self, block: tf.Tensor) -> tf.Tensor:
        """Draws the choices of one block: int64 `[_BLOCK]`, 0 or 1."""
        # No run has 2**32 blocks.
        stream = self.worker_index * 2**32 + tf.cast(block, tf.int64)
        seed = tf.stack([tf.constant(self.seed, tf.int64), stream])
        uniform = tf.random.stateless_uniform([_BLOCK], seed, dtype=tf.float64)
        return tf.cast(uniform < self.mu, tf.int64)

    def choices(self, first_example: int) -> tf.data.Dataset:
        """Streams the source of each example from `first_example` on."""
        block, position = divmod(first_example, _BLOCK)
        blocks = tf.data.Dataset.counter(start=block)
        return blocks.flat_map(
            lambda number: tf.data.Dataset.from_tensor_slices(
                self._draw_block(number)
            )
        ).skip(position)

    def count_second(self, num_examples: int) -> int:
        """Counts how many of the first examples come from the second source."""
        num_blocks, position = divmod(num_examples, _BLOCK)
        total = sum(
            int(tf.reduce_sum(self._draw_block(tf.constant(block))))
            for block in range(num_blocks)
        )
        last = self._draw_block(tf.constant(num_blocks))
        return total + int(tf.reduce_sum(last[:position]))


def class_mask(
    records: Records, training_set: TrainingSet, mask_unlabelled_classes: bool
) -> np.ndarray:
    """Says which classes count in the loss of examples of a training set.

    Returns:
      float32 `[num_classes]`: 0 for classes without any strong label, if they
      are to be masked and the set reads strong labels; 1 otherwise.
    """
    mask = np.ones(records.class_map.num_classes, dtype=np.float32)
    if mask_unlabelled_classes and training_set.label_set == "strong":
        counts = np.array(records.events_per_class["strong"])
        mask = (counts > 0).astype(np.float32)
    return mask


def _source(
    records: Records,
    params: TrainParams,
    source_index: int,
    num_skipped: int,
    worker: InputWorker,
) -> tf.data.Dataset:
    """Streams one source in blocks, each with the index of the source."""
    names = (params.training_set, params.mixed_training_set)
    reading = Reading(
        # Two sources of the same clips must not draw the same windows.
        seed=2 * params.seed + source_index,
        shuffle_block_clips=params.shuffle_block_clips,
        num_skipped=num_skipped,
        is_deterministic=params.deterministic_input,
        worker=worker,
    )
    blocks = example_blocks(
        records, get_training_set(names[source_index]), reading
    )
    return blocks.map(
        lambda block: {
            **block,
            "source": tf.fill(
                tf.shape(block["targets"])[:1], float(source_index)
            ),
        }
    )


def _mixed(
    records: Records,
    params: TrainParams,
    num_used: int,
    batch_size: int,
    worker: InputWorker,
) -> tf.data.Dataset:
    """Streams batches that are chosen example by example from two sources."""
    mixture = Mixture(params.mu, params.seed, worker.index)
    num_second = mixture.count_second(num_used)
    sources = [
        _source(records, params, index, num_skipped, worker).unbatch()
        for index, num_skipped in enumerate((num_used - num_second, num_second))
    ]
    stream = tf.data.Dataset.choose_from_datasets(
        sources, mixture.choices(num_used), stop_on_empty_dataset=True
    )
    return stream.batch(batch_size, drop_remainder=True)


def _source_masks(records: Records, params: TrainParams) -> np.ndarray:
    """Masks of the loss, float32 `[num_sources, num_classes]`."""
    names = [params.training_set]
    if params.mixed_training_set:
        names.append(params.mixed_training_set)
    return np.stack(
        [
            class_mask(
                records, get_training_set(name), params.mask_unlabelled_classes
            )
            for name in names
        ]
    )


def training_stream(
    records: Records,
    params: TrainParams,
    first_step: int = 0,
    worker: InputWorker = InputWorker(),
    num_splits: int = 1,
) -> tf.data.Dataset:
    """Streams the batches of a training run, without end.

    Args:
      records: Where the clips are.
      params: Training sets, mu, batch size and seed.
      first_step: Step to start from; earlier batches are skipped, and what
        follows is what an unbroken run would have seen.
      worker: Which of the processes or hosts that read the records this is.
      num_splits: Batches that the worker's part of a global batch is split
        into: one for each of its replicas.

    Returns:
      Dataset of dicts: patches, float32 `[batch_size, patch_stft_frames,
      mel_bands]`; targets and target_mask, float32 `[batch_size, num_classes]`;
      source, float32 `[batch_size]`, 1 for the mixed-in training set. All of
      static shape; batch_size is `global_batch_size`, divided by the number of
      workers and by `num_splits`.

    Raises:
      InputError: A training set is unknown or has no clips, mu is not in
        [0, 1], or a batch cannot be shared evenly.
    """
    share = worker.share_of(params.global_batch_size)
    if share % num_splits:
        raise InputError(
            f"A batch of {share} cannot be shared evenly by {num_splits} "
            f"replicas. Give a --global_batch_size that can."
        )
    batch_size = share // num_splits
    num_used = first_step * share
    if params.mixed_training_set:
        batches = _mixed(records, params, num_used, batch_size, worker)
    else:
        blocks = _source(records, params, 0, num_used, worker)
        batches = blocks.rebatch(batch_size, drop_remainder=True)
    masks = _source_masks(records, params)

    def finish(block: Block) -> dict[str, tf.Tensor]:
        patches, targets = decode_block(block)
        source = block["source"]
        return {
            "patches": patches,
            "targets": targets,
            "target_mask": tf.gather(masks, tf.cast(source, tf.int32)),
            "source": source,
        }

    batches = batches.map(finish, num_parallel_calls=1, deterministic=True)
    return without_tuner(batches.prefetch(_PREFETCHED_BATCHES))
