"""Scores the label frames of clips with a model; for validation and scoring."""

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
        frames = np.arange(self.scores.shape[1])
        return frames < self.num_label_frames[:, np.newaxis]


def make_score_patches(
    model: keras.Model,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compiles the forward pass of a model.

    Returns:
      A function from patches, float32 `[batch, patch_stft_frames, mel_bands]`,
      to scores, float32 `[batch, num_classes]`, in [0, 1].
    """
    # Any batch size, so that the last, smaller batch is not compiled anew.
    patches_spec = tf.TensorSpec([None, *model.input.shape[1:]], tf.float32)

    @tf.function(input_signature=[patches_spec])
    def score_patches(patches: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(model(patches, training=False)["logits"])

    return score_patches


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
    parts: list[tuple[np.ndarray, ...]] = []
    with tqdm.tqdm(
        total=num_clips, unit="clip", desc="scores", disable=not show_progress
    ) as progress:
        for batch in read_batches(batches, records):
            parts.append(_score_batch(score_patches, batch))
            progress.update(len(parts[-1][0]))
    return ScoredClips(*(np.concatenate(column) for column in zip(*parts)))


def _score_batch(
    score_patches: Callable[[tf.Tensor], tf.Tensor], batch: dict[str, tf.Tensor]
) -> tuple[np.ndarray, ...]:
    """Scores one batch of clips; returns the fields of `ScoredClips`."""
    patches = batch["patches"]  # [clips, label frames, STFT frames, bands]
    num_clips, num_label_frames, num_stft_frames, num_bands = patches.shape
    flat = tf.reshape(patches, [-1, num_stft_frames, num_bands])
    scores = score_patches(flat).numpy()
    scores = scores.reshape(num_clips, num_label_frames, -1)
    num_inside = batch["num_label_frames"].numpy()
    scored = ScoredClips(
        batch["segment_id"].numpy().astype(str),
        scores,
        batch["targets"].numpy(),
        num_inside,
    )
    scores[~scored.is_inside] = 0.0
    return tuple(scored)
