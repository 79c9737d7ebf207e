"""A few held-out clips, drawn as training goes on, for TensorBoard.

They are the same each time: the first of the records that have a target.
Drawing a clip takes a fifth of a second, so that a run is drawn ten times, at
validations, however many it has.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from audioset_strong.params import TrainParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import label_frame_batches, read_batches

_NUM_CLIPS = 3
_NUM_TIMES = 10
# More would be too narrow to read.
_MOST_LABEL_FRAMES = 20


def is_drawn_at(step: int, params: TrainParams) -> bool:
    """Whether the clips are drawn at the validation after a step."""
    interval = params.checkpoint_interval_steps
    num_validations = -(-params.num_steps // interval)
    every = -(-num_validations // _NUM_TIMES)
    return step == params.num_steps or step % (every * interval) == 0


def draw_clips(
    score_patches: Callable[[tf.Tensor], tf.Tensor],
    records: Records,
    label_set: str,
) -> np.ndarray:
    """Draws spectrograms, targets and scores.

    Args:
      score_patches: From `make_score_patches`.
      records: With held-out clips.
      label_set: "weak" or "strong": whose events make the targets.

    Returns:
      uint8 `[num_images, height, width, 3]`, RGB.

    Raises:
      InputError: The records cannot be read.
    """
    # Loading it takes as long as TensorFlow's first step.
    from audioset_strong.plots import scores_image

    batches = label_frame_batches(
        records, ["held_out"], label_set, only_known=True
    )
    batch = next(read_batches(batches, records))
    has_target = batch["targets"].numpy().any(axis=(1, 2))  # [num_clips]
    chosen = np.argsort(~has_target, kind="stable")[:_NUM_CLIPS]
    images = []
    for clip in chosen:
        num_inside = min(
            int(batch["num_label_frames"][clip]), _MOST_LABEL_FRAMES
        )
        patches = batch["patches"][clip, :num_inside]
        # [num_label_frames, patch_stft_frames, mel_bands]
        images.append(
            scores_image(
                # [num_label_frames * patch_stft_frames, mel_bands]
                np.concatenate(patches.numpy()),
                batch["targets"][clip, :num_inside].numpy(),
                score_patches(patches).numpy(),
                records.class_map.display_names,
                records.label_frames.label_frame_seconds,
                title=batch["segment_id"][clip].numpy().decode(),
            )
        )
    return np.stack(images)
