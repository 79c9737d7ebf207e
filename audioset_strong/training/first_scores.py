"""The first scores of a model: how often each class is marked.

Source: Lin et al., "Focal loss for dense object detection", Section 4.1, which
sets the last layer's bias by the prior of positives; here each class has its
own. Jeffreys' half a positive and half a negative keep scores off 0 and 1.
"""

import dataclasses

import keras
import numpy as np
from absl import logging

from audioset_strong.models.frame_classifier import HEAD_NAME
from audioset_strong.params import TrainParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import read_batches, training_stream

# The share of a class that is marked in a hundredth of the examples is then
# right to a tenth.
_NUM_EXAMPLES = 8192
_BATCH_SIZE = 256


def positive_shares(
    records: Records, params: TrainParams, balance_classes: bool
) -> np.ndarray:
    """Counts the positives among the first examples that a run would see.

    They are drawn as in training: from the mixture, with its windows; on every
    worker the same, those of a run with one.

    Returns:
      float64 `[num_classes]`, in (0, 1): share of positives where the class
      counts in the loss; NaN where it never does.
    """
    params = dataclasses.replace(params, global_batch_size=_BATCH_SIZE)
    stream = training_stream(records, params, balance_classes=balance_classes)
    counts = np.zeros([2, records.class_map.num_classes])
    num_batches = _NUM_EXAMPLES // _BATCH_SIZE
    for batch in read_batches(stream.take(num_batches), records):
        targets, mask = batch["targets"].numpy(), batch["target_mask"].numpy()
        counts += [(targets * mask).sum(axis=0), mask.sum(axis=0)]
    num_positives, num_known = counts
    shares: np.ndarray = np.where(
        num_known > 0, (num_positives + 0.5) / (num_known + 1.0), np.nan
    )
    return shares


def set_first_scores(
    model: keras.Model,
    records: Records,
    params: TrainParams,
    balance_classes: bool,
) -> None:
    """Sets the bias of the last layer so that scores start at these shares.

    Classes that never count keep their `initial_score`.
    """
    shares = positive_shares(records, params, balance_classes)
    bias = model.get_layer(HEAD_NAME).bias
    with np.errstate(invalid="ignore"):
        logits = np.log(shares / (1.0 - shares))
    bias.assign(np.where(np.isnan(logits), bias.numpy(), logits))
    logging.info(
        "First scores are the classes' shares of %d examples: %.2g to %.2g.",
        _NUM_EXAMPLES,
        np.nanmin(shares),
        np.nanmax(shares),
    )
