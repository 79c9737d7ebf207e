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
from audioset_strong.records.manifest import Records
from audioset_strong.records.reader import training_examples

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
    """

    mu: float
    seed: int

    def __post_init__(self) -> None:
        """Checks the range of mu."""
        if not 0.0 <= self.mu <= 1.0:
            raise InputError(f"Expected 0 <= mu <= 1. Received: {self.mu}.")

    def _draw_block(self, block: tf.Tensor) -> tf.Tensor:
        """Draws the choices of one block: int64 `[_BLOCK]`, 0 or 1."""
        seed = tf.stack(
            [tf.constant(self.seed, tf.int64), tf.cast(block, tf.int64)]
        )
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
    name: str,
    source_index: int,
    num_skipped: int,
) -> tf.data.Dataset:
    """Streams one source, with its loss mask and its index."""
    training_set = get_training_set(name)
    examples = training_examples(
        records,
        training_set,
        # Two sources of the same clips must not draw the same windows.
        seed=2 * params.seed + source_index,
        shuffle_block_clips=params.shuffle_block_clips,
        num_skipped=num_skipped,
    )
    mask = class_mask(records, training_set, params.mask_unlabelled_classes)
    return examples.map(
        lambda patch, targets: {
            "patches": patch,
            "targets": targets,
            "target_mask": tf.constant(mask),
            "source": tf.constant(float(source_index)),
        }
    )


def training_stream(
    records: Records, params: TrainParams, first_step: int = 0
) -> tf.data.Dataset:
    """Streams the batches of a training run, without end.

    Args:
      records: Where the clips are.
      params: Training sets, mu, batch size and seed.
      first_step: Step to start from; earlier batches are skipped, and what
        follows is what an unbroken run would have seen.

    Returns:
      Dataset of dicts: patches, float32 `[global_batch_size, patch_stft_frames,
      mel_bands]`; targets and target_mask, float32 `[global_batch_size,
      num_classes]`; source, float32 `[global_batch_size]`, 1 for the mixed-in
      training set.

    Raises:
      InputError: A training set is unknown or has no clips, or mu is not in
        [0, 1].
    """
    num_used = first_step * params.global_batch_size
    if not params.mixed_training_set:
        stream = _source(records, params, params.training_set, 0, num_used)
    else:
        mixture = Mixture(params.mu, params.seed)
        num_second = mixture.count_second(num_used)
        sources = [
            _source(
                records, params, params.training_set, 0, num_used - num_second
            ),
            _source(records, params, params.mixed_training_set, 1, num_second),
        ]
        stream = tf.data.Dataset.choose_from_datasets(
            sources, mixture.choices(num_used), stop_on_empty_dataset=True
        )
    batches = stream.batch(params.global_batch_size, drop_remainder=True)
    options = tf.data.Options()
    # The tuner's model of the pipeline grows with every pass; on small sources
    # it then takes longer than the training it should speed up.
    options.autotune.enabled = False
    return batches.prefetch(_PREFETCHED_BATCHES).with_options(options)
