"""Scores every label frame of clips; used by validation and by scoring.

A label frame is one patch of the model, so a clip of ten label frames gets
`[10, num_classes]` scores. Clips differ in their number of label frames; those
of all clips stand in one array, clip after clip, so that one long clip among
many short ones costs no more than its own. Clip scores, their mean, are
computed in evaluation.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tqdm

from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import (
    InputWorker,
    label_frame_batches,
    read_batches,
)

# Patches that each replica scores at a time: those of 16 clips of 10 s, enough
# to keep a CPU or a GPU busy.
_PATCHES_PER_CALL = 160


class ScoredClips(NamedTuple):
    """Scores of clips, label frame by label frame.

    Attributes:
      segment_ids: str `[num_clips]`.
      scores: float32 `[num_label_frames_of_all, num_classes]`, in [0, 1]: the
        label frames inside the audio of the first clip, then of the second.
      targets: float32, same shape, 0 or 1, from one label set of the records.
      num_label_frames: int64 `[num_clips]`, label frames whose STFT windows
        are all inside the audio (`records/examples.py`).
      audio_seconds: float32 `[num_clips]`.
    """

    segment_ids: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    num_label_frames: np.ndarray
    audio_seconds: np.ndarray

    @property
    def first_label_frames(self) -> np.ndarray:
        """int64 `[num_clips]`: where in `scores` each clip begins."""
        first: np.ndarray = (
            np.cumsum(self.num_label_frames) - self.num_label_frames
        )
        return first

    def padded_scores(self, most: int) -> np.ndarray:
        """Scores clip by clip: float32 `[num_clips, most, num_classes]`.

        Zeros beyond the audio; `most` is the number of label frames of the
        longest clip or more.
        """
        # Zeros that nobody touches take no memory.
        padded = np.zeros(
            (len(self.segment_ids), most, self.scores.shape[1]), np.float32
        )
        is_inside = np.arange(most) < self.num_label_frames[:, np.newaxis]
        padded[is_inside] = self.scores
        return padded


def make_score_patches(
    model: keras.Model, strategy: tf.distribute.Strategy | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compiles the forward pass of a model.

    Args:
      model: The model.
      strategy: Over whose replicas on this host patches are spread; None for
        one device.

    Returns:
      A function from patches, float32 `[batch, patch_stft_frames, mel_bands]`,
      to scores, float32 `[batch, num_classes]`, in [0, 1].
    """

    def score_patches(patches: tf.Tensor) -> tf.Tensor:
        # Not training: batch norm uses its running statistics.
        return tf.sigmoid(model(patches, training=False)["logits"])

    # Any batch size, so that the last, smaller batch is not compiled anew.
    patches_spec = tf.TensorSpec([None, *model.input.shape[1:]], tf.float32)
    compiled: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        score_patches, input_signature=[patches_spec], autograph=False
    )
    if strategy is None or num_local_replicas(strategy) == 1:
        return compiled
    return _spread(score_patches, strategy)


def num_local_replicas(strategy: tf.distribute.Strategy) -> int:
    """Number of replicas that this process gives their input."""
    return len(strategy.extended.worker_devices)


def _spread(
    score_patches: Callable[[tf.Tensor], tf.Tensor],
    strategy: tf.distribute.Strategy,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Lets each replica of this host score a part of the patches."""
    num_parts = num_local_replicas(strategy)
    # XLA compiles a TPU's program anew for each batch size.
    is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    multiple = num_parts * (_PATCHES_PER_CALL if is_tpu else 1)

    def score_parts(parts: tf.distribute.DistributedValues) -> tf.Tensor:
        scores = strategy.run(score_patches, args=(parts,))
        return tf.concat(strategy.experimental_local_results(scores), axis=0)

    compiled = tf.function(score_parts, reduce_retracing=True)

    def score_spread(patches: tf.Tensor) -> tf.Tensor:
        num_patches = len(patches)
        padding = [[0, -num_patches % multiple], [0, 0], [0, 0]]
        parts = tf.split(tf.pad(patches, padding), num_parts)
        values = strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group % num_parts]
        )
        return compiled(values)[:num_patches]

    return score_spread


def score_clips(
    score_patches: Callable[[tf.Tensor], tf.Tensor],
    records: Records,
    groups: Sequence[str],
    label_set: str = "strong",
    only_known: bool = False,
    show_progress: bool = False,
    worker: InputWorker = InputWorker(),
    num_replicas: int = 1,
) -> ScoredClips:
    """Scores all label frames of all clips of some groups, in record order.

    Args:
      score_patches: From `make_score_patches`.
      records: Where the clips are.
      groups: Groups of shards to score.
      label_set: "weak" or "strong": whose events make the targets.
      only_known: Whether to leave out clips that the label set does not know.
      show_progress: Whether to show a progress bar.
      worker: Which share of the clips to score. Those of all workers, one after
        the other, are all of them, batch by batch.
      num_replicas: Over how many `score_patches` spreads its patches.

    Raises:
      InputError: There is no clip, or the records cannot be read.
    """
    batches = label_frame_batches(
        records, groups, label_set, only_known, worker, num_replicas
    )
    num_clips = sum(
        shard.num_clips_with(label_set) if only_known else shard.num_clips
        for shard in records.shards_of(*groups)
    )
    parts: list[ScoredClips] = []
    with tqdm.tqdm(
        total=num_clips, unit="clip", desc="scores", disable=not show_progress
    ) as progress:
        for batch in read_batches(batches, records):
            parts.append(_score_batch(score_patches, batch, num_replicas))
            progress.update(len(batch["segment_id"]))
    if not parts:  # More workers than batches.
        nothing = np.zeros([0, records.class_map.num_classes], np.float32)
        return ScoredClips(
            np.zeros(0, str),
            nothing,
            nothing,
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
        )
    return ScoredClips(*(np.concatenate(column) for column in zip(*parts)))


def _score_batch(
    score_patches: Callable[[tf.Tensor], tf.Tensor],
    batch: dict[str, tf.Tensor],
    num_replicas: int,
) -> ScoredClips:
    """Scores one batch of clips."""
    most_patches = num_replicas * _PATCHES_PER_CALL
    patches, num_inside = batch["patches"], batch["num_label_frames"].numpy()
    # [num_clips, num_label_frames, patch_stft_frames, mel_bands]
    num_clips, num_label_frames, *patch_shape = patches.shape
    is_inside = np.arange(num_label_frames) < num_inside[:, np.newaxis]
    # [num_clips, num_label_frames]
    if num_clips * num_label_frames <= most_patches:
        # At once, with the few patches beyond the audio.
        flat = tf.reshape(patches, [-1, *patch_shape])
        scores = score_patches(flat).numpy()[is_inside.ravel()]
    else:
        flat = tf.boolean_mask(patches, is_inside)
        scores = np.concatenate(
            [
                score_patches(flat[start : start + most_patches])
                for start in range(0, len(flat), most_patches)
            ]
        )
    return ScoredClips(
        # Not astype(str), which knows ASCII only.
        np.array([name.decode() for name in batch["segment_id"].numpy()], str),
        scores,
        batch["targets"].numpy()[is_inside],
        num_inside,
        batch["audio_seconds"].numpy(),
    )
