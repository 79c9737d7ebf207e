"""Scores of the label frames of clips."""

import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_clips

from audioset_strong.errors import InputError
from audioset_strong.models.clip_scores import make_score_patches, score_clips
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import FeatureParams, ModelParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.streams import InputWorker, label_frame_batches


def _mean_and_max(patches):
    """A stand-in for a model: four numbers a patch, in [0, 1]."""
    flat = tf.reshape(patches, [tf.shape(patches)[0], -1])
    columns = [tf.reduce_mean(flat, 1), tf.reduce_max(flat, 1)]
    return tf.sigmoid(tf.stack([*columns, *columns], axis=1))


def test_every_clip_is_scored_once_in_record_order(tiny_records_dir):
    records = read_records(tiny_records_dir)
    groups = ["weak", "strong"]
    scored = score_clips(_mean_and_max, records, groups)
    assert scored.scores.shape == (94, 4)
    padded = scored.padded_scores(10)
    clips = list(label_frame_batches(records, groups).unbatch())
    assert scored.segment_ids.tolist() == [
        clip["segment_id"].numpy().decode() for clip in clips
    ]
    for clip, scores, first, number in zip(
        clips, padded, scored.first_label_frames, scored.num_label_frames
    ):
        assert number == clip["num_label_frames"]
        expected = _mean_and_max(clip["patches"]).numpy()
        expected[number:] = 0  # beyond the audio
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        np.testing.assert_array_equal(
            scored.targets[first : first + number], clip["targets"][:number]
        )
    short = scored.segment_ids.tolist().index("nuka_weak03_0")
    assert scored.num_label_frames[short] == 4
    assert set(np.delete(scored.num_label_frames, short)) == {10}


def test_clips_of_any_length_are_scored_in_parts(tmp_path):
    seconds = [10.0, 130.0, 3.1, 0.98, 41.7]
    names = [f"Küche {number} \u2014 früh" for number in range(5)]
    records = write_clips(
        tmp_path, [(name, s, {"strong": []}) for name, s in zip(names, seconds)]
    )
    num_scored = []

    def score_patches(patches):
        num_scored.append(len(patches))
        return _mean_and_max(patches)

    scored = score_clips(score_patches, records, ["strong"])
    assert scored.segment_ids.tolist() == names
    assert scored.num_label_frames.tolist() == [10, 135, 3, 1, 43]
    assert scored.first_label_frames.tolist() == [0, 10, 145, 148, 149]
    # Nothing beyond the audio, and never more than 160 patches at a time.
    assert num_scored == [160, 32]
    clips = list(label_frame_batches(records, ["strong"]).unbatch())
    expected = [c["patches"][: c["num_label_frames"]] for c in clips]
    np.testing.assert_allclose(
        scored.scores, _mean_and_max(tf.concat(expected, 0)), rtol=1e-6
    )
    assert scored.padded_scores(140).shape == (5, 140, 4)


def test_only_clips_that_the_label_set_knows(tmp_path):
    records = write_clips(
        tmp_path,
        [
            (f"clip {i}", 4.0, {"strong": []} if i in (3, 17) else {"weak": []})
            for i in range(40)
        ],
    )
    scored = score_clips(_mean_and_max, records, ["strong"], "strong", True)
    assert scored.segment_ids.tolist() == ["clip 3", "clip 17"]
    scored = score_clips(_mean_and_max, records, ["strong"], "weak")
    assert len(scored.segment_ids) == 40


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


@pytest.mark.parametrize("num_workers", [2, 7])
def test_workers_score_what_one_does(tmp_path, num_workers):
    lengths = [10] * 16 + [3] + [60] * 2 + [10] * 30
    records = write_clips(
        tmp_path, [(str(i), s, {"strong": []}) for i, s in enumerate(lengths)]
    )
    whole = score_clips(_mean_and_max, records, ["strong"])
    parts = [
        score_clips(
            _mean_and_max,
            records,
            ["strong"],
            worker=InputWorker(index, num_workers),
            num_replicas=2,
        )
        for index in range(num_workers)
    ]
    for expected, *found in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(expected, np.concatenate(found))
