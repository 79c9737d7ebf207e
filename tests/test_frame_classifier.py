"""The classifier's outputs and its loss."""

import math

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.models.frame_classifier import (
    build_frame_classifier,
    classification_loss,
)
from audioset_strong.params import FeatureParams, ModelParams

_TINY = ModelParams(width=1 / 64, stem_stride=4)


def _loss(logits, targets, mask):
    values = (logits, targets, mask)
    return classification_loss(
        *(tf.constant(v, tf.float32) for v in values)
    ).numpy()


def test_training_starts_at_the_initial_score():
    params = ModelParams(width=1 / 64, stem_stride=4, initial_score=0.2)
    model = build_frame_classifier(50, params, FeatureParams())
    patches = tf.random.stateless_normal([4, 96, 64], seed=[0, 0])
    # As training sees it: batch norm has no running statistics yet.
    scores = tf.sigmoid(model(patches, training=True)["logits"]).numpy()
    np.testing.assert_allclose(scores, 0.2, atol=0.05)


def test_patches_of_a_batch_are_independent():
    model = build_frame_classifier(5, _TINY, FeatureParams())
    patches = tf.random.stateless_normal([3, 96, 64], seed=[0, 0])
    outputs = model(patches, training=False)
    assert outputs["embeddings"].shape == (3, 32)
    together = outputs["logits"].numpy()
    assert together.shape == (3, 5)
    alone = model(patches[1:2], training=False)["logits"].numpy()
    # Other batch sizes add in another order.
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_loss_by_hand():
    # -log of 0.5, of 0.75 and of 1 - 0.9; summed over classes, in nats.
    logits = [[0.0, math.log(3), math.log(9)], [0.0, 0.0, 0.0]]
    targets = [[1, 1, 0], [0, 0, 0]]
    expected = [
        math.log(2) - math.log(0.75) - math.log(0.1),
        3 * math.log(2),
    ]
    np.testing.assert_allclose(
        _loss(logits, targets, np.ones([2, 3])), expected, rtol=1e-6
    )


def test_masked_classes_do_not_count():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=[4, 6])
    targets = rng.integers(0, 2, [4, 6])
    mask = rng.integers(0, 2, [4, 6])
    expected = [
        _loss([row[m == 1]], [t[m == 1]], [m[m == 1]])[0]
        for row, t, m in zip(logits, targets, mask)
    ]
    np.testing.assert_allclose(
        _loss(logits, targets, mask), expected, rtol=1e-5
    )
    changed = np.where(mask == 1, logits, 100.0)
    np.testing.assert_allclose(
        _loss(changed, targets, mask), expected, rtol=1e-5
    )
    assert _loss(logits, targets, np.zeros([4, 6])) == pytest.approx(0)
