"""Loads an exported model and runs it, with whatever its format needs.

An engine is a function from patches to what the network says of them:

    patches      float32 [num_patches, 96, 64], log-mel
    scores       float32 [num_patches, num_classes], in [0, 1]
    embeddings   float32 [num_patches, 2048 * width]

Patches are independent: what comes of one does not depend on its neighbours in
the batch.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from audioset_strong.errors import InputError
from audioset_strong.inference.metadata import ModelMetadata, parse_metadata


class PatchOutputs(NamedTuple):
    """What a network says of patches (module docstring)."""

    scores: np.ndarray
    embeddings: np.ndarray


Engine = Callable[[np.ndarray], PatchOutputs]


def load_engine(path: str) -> tuple[ModelMetadata, Engine]:
    """Loads an exported model.

    Args:
      path: Folder that `export_saved_model` wrote.

    Raises:
      InputError: There is no model, or what its format needs is not installed.
    """
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return _load_saved_model(path)
    raise InputError(
        f"{path} holds no model. Give a folder that export_saved_model wrote."
    )


def _load_saved_model(path: str) -> tuple[ModelMetadata, Engine]:
    """Loads a SavedModel, which needs TensorFlow."""
    import tensorflow as tf

    model = tf.saved_model.load(path)
    metadata = parse_metadata(model.metadata().numpy().decode(), path)

    def run(patches: np.ndarray) -> PatchOutputs:
        scores, embeddings = model.score_patches(tf.constant(patches))
        return PatchOutputs(scores.numpy(), embeddings.numpy())

    return metadata, run
