"""Scores every label frame of clips; used by validation and by scoring.

A label frame is one patch of the model, so a clip of ten label frames gets
`[10, num_classes]` scores. Clip scores, their mean, are computed in evaluation.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tqdm

from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import label_frame_batches, read_batches


class ScoredClips(NamedTuple):
    """Scores of clips, label frame by label frame.

    Attributes:
      segment_ids: str `[num_clips]`.
      scores: float32 `[num_clips, num_label_frames, num_classes]`, in [0, 1];
        zeros beyond the audio.
      targets: float32, same shape, 0 or 1, from the records' strong labels.
      num_label_frames: int64 `[num_clips]`, label frames inside the audio.
    """

    segment_ids: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    num_label_frames: np.ndarray

    @property
    def is_inside(self) -> np.ndarray:
        """Bool `[num_clips, num_label_frames]`: frames inside the audio."""
        frames = np.arange(self.scores.shape[1])  # [num_label_frames]
        return frames < self.num_label_frames[:, np.newaxis]


def make_score_patches(
    model: keras.Model,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compiles the forward pass of a model.

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
        score_patches, input_signature=[patches_spec]
    )
    return compiled


def score_clips(
    score_patches: Callable[[tf.Tensor], tf.Tensor],
    records: Records,
    groups: Sequence[str],
    show_progress: bool = False,
) -> ScoredClips:
    """Scores all label frames of all clips of some groups, in record order.

    Args:
      score_patches: From `make_score_patches`.
      records: Where the clips are.
      groups: Groups of shards to score.
      show_progress: Whether to show a progress bar.

    Raises:
      InputError: There is no clip, or the records cannot be read.
    """
    batches = label_frame_batches(records, groups)
    num_clips = sum(shard.num_clips for shard in records.shards_of(*groups))
    parts: list[ScoredClips] = []
    with tqdm.tqdm(
        total=num_clips, unit="clip", desc="scores", disable=not show_progress
    ) as progress:
        for batch in read_batches(batches, records):
            parts.append(_score_batch(score_patches, batch))
            progress.update(len(batch["segment_id"]))
    return ScoredClips(*(np.concatenate(column) for column in zip(*parts)))


def _score_batch(
    score_patches: Callable[[tf.Tensor], tf.Tensor], batch: dict[str, tf.Tensor]
) -> ScoredClips:
    """Scores one batch of clips."""
    patches = batch["patches"]
    # [num_clips, num_label_frames, patch_stft_frames, mel_bands]
    num_clips, num_label_frames, *patch_shape = patches.shape
    scores = score_patches(tf.reshape(patches, [-1, *patch_shape])).numpy()
    # [num_clips * num_label_frames, num_classes]
    scored = ScoredClips(
        batch["segment_id"].numpy().astype(str),
        scores.reshape(num_clips, num_label_frames, -1),
        batch["targets"].numpy(),
        batch["num_label_frames"].numpy(),
    )
    # Patches beyond the audio are zeros, which no clip sounds like.
    scored.scores[~scored.is_inside] = 0.0
    return scored
