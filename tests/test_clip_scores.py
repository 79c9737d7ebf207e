"""Scores of the label frames of clips."""

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.models.clip_scores import make_score_patches, score_clips
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import FeatureParams, ModelParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.streams import label_frame_batches


def _mean_and_max(patches):
    """A stand-in for a model: four numbers a patch, in [0, 1]."""
    flat = tf.reshape(patches, [tf.shape(patches)[0], -1])
    columns = [tf.reduce_mean(flat, 1), tf.reduce_max(flat, 1)]
    return tf.sigmoid(tf.stack([*columns, *columns], axis=1))


def test_every_clip_is_scored_once_in_record_order(tiny_records_dir):
    records = read_records(tiny_records_dir)
    groups = ["weak", "strong"]
    scored = score_clips(_mean_and_max, records, groups)
    assert scored.scores.shape == (10, 10, 4)
    clips = list(label_frame_batches(records, groups).unbatch())
    assert scored.segment_ids.tolist() == [
        clip["segment_id"].numpy().decode() for clip in clips
    ]
    for clip, scores, targets, number in zip(clips, *scored[1:]):
        assert number == clip["num_label_frames"]
        expected = _mean_and_max(clip["patches"]).numpy()
        expected[number:] = 0  # beyond the audio
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        np.testing.assert_array_equal(targets, clip["targets"])
    short = scored.segment_ids.tolist().index("nuka_weak03_0")
    assert scored.is_inside[short].tolist() == [True] * 4 + [False] * 6
    assert np.delete(scored.is_inside, short, axis=0).all()


def test_scores_are_the_sigmoid_of_the_logits():
    model = build_frame_classifier(
        3, ModelParams(width=1 / 64, stem_stride=4), FeatureParams()
    )
    score_patches = make_score_patches(model)
    for number in (1, 3):  # any batch size
        patches = tf.random.stateless_normal([number, 96, 64], seed=[0, 0])
        logits = model(patches, training=False)["logits"].numpy()
        np.testing.assert_allclose(
            score_patches(patches), 1 / (1 + np.exp(-logits)), atol=1e-5
        )


def test_groups_without_clips(tiny_records_dir):
    records = read_records(tiny_records_dir)
    with pytest.raises(InputError, match="no clip in the groups"):
        score_clips(_mean_and_max, records, [])
