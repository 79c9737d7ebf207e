import numpy as np
import pytest
from eval_examples import (
    X,
    Y,
    Z,
    hand_framed,
    hand_weak,
    make_score_file,
)

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluate import (
    on_common_classes,
    on_common_label_frames,
    on_listed_clips,
    truth_of_clips,
)
from audioset_strong.evaluation.truth import read_truth


def scores_of(segment_ids, mids=(X, Y), num_label_frames=None):
    rng = np.random.default_rng(len(segment_ids))
    shape = (len(segment_ids), 10, len(mids))
    return make_score_file(
        rng.random(shape, dtype=np.float32),
        segment_ids,
        list(mids),
        num_label_frames,
    )


def test_common_classes():
    ours = scores_of(["a_0"], [X, Y])
    theirs = scores_of(["a_0"], [Z, Y])
    left, right, text = on_common_classes(ours, theirs)
    assert left.mids.tolist() == right.mids.tolist() == [Y]
    np.testing.assert_array_equal(left.scores[:, :, 0], ours.scores[:, :, 1])
    np.testing.assert_array_equal(right.scores[:, :, 0], theirs.scores[:, :, 1])
    assert text == (
        "1 in both; 1 only in the score file, 1 only in the baseline"
    )
    same = scores_of(["a_0"], [Y, X])
    assert on_common_classes(ours, same) == (ours, same, "")
    with pytest.raises(InputError, match="no class in common"):
        on_common_classes(ours, scores_of(["a_0"], [Z]))


def test_common_label_frames():
    ours = scores_of(["a_0", "b_0", "c_0"], num_label_frames=[10, 4, 10])
    theirs = scores_of(
        ["d_0", "c_0", "b_0", "e_0"], num_label_frames=[9, 7, 8, 9]
    )
    left, right, text = on_common_label_frames(ours, theirs)
    # Each in its own order.
    assert left.segment_ids.tolist() == ["b_0", "c_0"]
    assert right.segment_ids.tolist() == ["c_0", "b_0"]
    assert left.num_label_frames.tolist() == [4, 7]
    assert right.num_label_frames.tolist() == [7, 4]
    np.testing.assert_array_equal(left.scores, ours.scores[1:])
    np.testing.assert_array_equal(right.scores, theirs.scores[1:3])
    assert text == (
        "2 clips in both; 1 clips and 3 label frames of others only in the "
        "score file, 2 and 4 only in the baseline"
    )
    with pytest.raises(InputError, match=r"no clip in common; .*\['a_0'\]"):
        on_common_label_frames(ours, scores_of(["x_0"]))


def test_listed_clips():
    scores = scores_of(["a_0", "b_0", "c_0"], num_label_frames=[1, 2, 3])
    listed, text = on_listed_clips(scores, ["c_0", "x_0", "a_0"])
    assert listed.segment_ids.tolist() == ["a_0", "c_0"]
    assert listed.num_label_frames.tolist() == [1, 3]
    np.testing.assert_array_equal(listed.scores, scores.scores[[0, 2]])
    assert text == (
        "2 of 3 listed clips are scored, 1 scored ones are not listed"
    )
    with pytest.raises(InputError, match="found none: .*'a_0'.*'x_0'"):
        on_listed_clips(scores, ["x_0"])


def test_truth_of_listed_clips():
    truth = read_truth(framed_labels=hand_framed(), weak_labels=hand_weak())
    listed = truth_of_clips(truth, ["a_0", "d_0", "x_0"])
    assert set(listed.framed["segment_id"]) == {"a_0", "d_0"}
    assert listed.weak["segment_id"].tolist() == ["a_0", "d_0"]
    assert listed.evaluations() == truth.evaluations()
    with pytest.raises(InputError, match="framed labels of listed clips"):
        truth_of_clips(truth, ["x_0"])
