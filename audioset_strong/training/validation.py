"""Validation on the held-out clips, by which the checkpoint is chosen.

Clips with strong labels are scored label frame by label frame. If there are
none, those with weak labels are, by clip: the mean of its label frames against
its weak labels. A class that is not listed is a negative.

Source: Section 4.1 of the paper: the checkpoint is picked by d' on a held-out
part. Negatives: our choice (BUILD_NOTES.md "Model and training").
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.ranking_metrics import validation_metrics
from audioset_strong.models.clip_scores import num_local_replicas, score_clips
from audioset_strong.records.manifest import Records
from audioset_strong.training.strategy import gather, worker_of


def validation_label_set(records: Records) -> str:
    """Which labels held-out clips are validated by: "strong", "weak" or ""."""
    shards = records.shards_of("held_out")
    for label_set in ("strong", "weak"):
        if any(shard.num_clips_with(label_set) for shard in shards):
            return label_set
    return ""


def log_what_is_validated(records: Records, patience: int) -> None:
    """Says so where it is not the label frames of strong labels.

    Raises:
      InputError: There is nothing to validate, and `patience_validations` needs
        it.
    """
    label_set = validation_label_set(records)
    if not label_set:
        if patience:
            raise InputError(
                f"{records.records_dir} holds no held-out clip, so there is no "
                f"validation that patience_validations {patience} could count. "
                f"Prepare records with held_out_fraction above 0, or leave it "
                f"out."
            )
        logging.info(
            "No validation, for the records hold no held-out clip: the last "
            "checkpoint counts as the best."
        )
    elif label_set == "weak":
        logging.info(
            "Validation is of whole clips, for those held out have weak labels "
            "only."
        )


def validate(
    score_patches: Callable[[tf.Tensor], tf.Tensor],
    records: Records,
    selection_metric: str,
    strategy: tf.distribute.Strategy,
) -> tuple[dict[str, float], float | None]:
    """Scores the held-out clips, spread over workers and replicas.

    Args:
      score_patches: From `make_score_patches`.
      records: Where the clips are.
      selection_metric: As in `TrainParams`.
      strategy: How steps are distributed.

    Returns:
      metrics: What to log.
      value: Of `selection_metric`, by which to choose the checkpoint; None if
        it has no value.
    """
    label_set = validation_label_set(records)
    if not label_set:
        return {}, None
    scored = score_clips(
        score_patches,
        records,
        ["held_out"],
        label_set,
        only_known=True,
        worker=worker_of(strategy),
        num_replicas=num_local_replicas(strategy),
    )
    scores, targets, prefix = scored.scores, scored.targets, "validation"
    # Label frames inside the audio, of all clips: [num_frames, num_classes].
    if label_set == "weak" and len(scores):
        # [num_clips, num_classes]; every clip has a label frame.
        first = scored.first_label_frames
        scores = np.add.reduceat(scores, first, dtype=np.float32)
        scores /= scored.num_label_frames[:, np.newaxis].astype(np.float32)
        targets = np.maximum.reduceat(targets, first)
    if label_set == "weak":
        prefix = "validation_weak"
    # Of all workers.
    scores, targets = gather(strategy, scores), gather(strategy, targets)
    values = validation_metrics(scores, targets)
    name = selection_metric.removeprefix("strong_")
    if name not in values:
        logging.warning(
            "%s of the held-out clips cannot be computed: %s. The last "
            "checkpoint counts as the best.",
            selection_metric,
            "no class is marked in them"
            if name == "lwlrap"
            else "no class has both a positive and a negative in them",
        )
    metrics = {f"{prefix}_{name}": value for name, value in values.items()}
    return metrics, values.get(name)
