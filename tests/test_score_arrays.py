import numpy as np
import pytest
from test_score_classes import CLASS_MAP

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import (
    make_score_file,
    read_score_file,
    write_score_file,
)


class Tensor:
    """What NumPy sees of a PyTorch tensor on the CPU."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


def test_frames_of_40_ms():
    scores = np.random.default_rng(0).random((3, 250, 2))
    score_file = make_score_file(
        Tensor(scores),
        ["a_0", "b_0", "c_0"],
        ["/m/x", "/m/y"],
        frame_seconds=0.04,
    )
    assert score_file.scores.dtype == np.float32
    np.testing.assert_allclose(
        score_file.scores,
        scores[:, :240].reshape(3, 10, 24, 2).mean(axis=2),
        rtol=1e-6,
    )
    assert score_file.num_label_frames.tolist() == [10, 10, 10]
    assert "250 frames up to 10 s, pooled by mean" in score_file.notes


def test_label_frames_stay_what_they_are():
    scores = np.random.default_rng(0).random((2, 10, 2)).astype(np.float16)
    score_file = make_score_file(scores, ["a_0", "b_0"], ["/m/x", "/m/y"])
    np.testing.assert_array_equal(score_file.scores, scores)


def test_padding_is_not_looked_at():
    scores = np.full((300, 20, 1), np.nan)
    counts = np.arange(300) % 21
    for clip, count in enumerate(counts):
        scores[clip, :count] = clip
    score_file = make_score_file(
        scores,
        [f"{clip}_0" for clip in range(300)],
        ["/m/x"],
        frame_seconds=0.48,
        num_frames=counts.tolist(),
    )
    # Half of a label frame is enough.
    expected = (counts + 1) // 2
    np.testing.assert_array_equal(score_file.num_label_frames, expected)
    for clip in range(300):
        assert (score_file.scores[clip, : expected[clip]] == clip).all()
        assert not score_file.scores[clip, expected[clip] :].any()


def test_uneven_frames_and_max():
    scores = np.array([[[0.2], [0.9], [0.4]]])
    score_file = make_score_file(
        scores,
        ["a_0"],
        ["/m/x"],
        edges_seconds=[0, 0.5, 1.5, 2.88],
        pooling="max",
    )
    np.testing.assert_allclose(
        score_file.scores[0, :4, 0], [0.9, 0.9, 0.4, 0], rtol=1e-6
    )


def test_logits():
    logits = np.array([[[0.0, 20.0]] * 10], dtype=np.float16)
    scores = make_score_file(
        logits, ["a_0"], ["/m/x", "/m/y"], is_logits=True
    ).scores
    np.testing.assert_allclose(scores[0, 0], [0.5, 1], atol=1e-6)


def test_classes_by_index_or_name(tmp_path):
    scores = np.random.default_rng(0).random((1, 10, 3))
    by_index = make_score_file(scores, ["a_0"], [2, 0, 1], class_map=CLASS_MAP)
    assert by_index.mids.tolist() == ["/m/c", "/m/a", "/m/b"]
    some = make_score_file(
        scores, ["a_0"], ["Bark", "??", "Speech"], class_map=CLASS_MAP
    )
    assert some.mids.tolist() == ["/m/b", "/m/a"]
    np.testing.assert_allclose(some.scores, scores[:, :, [0, 2]], rtol=1e-6)
    write_score_file(some, tmp_path / "S.npz")
    read = read_score_file(tmp_path / "S.npz")
    np.testing.assert_array_equal(read.scores, some.scores)


GOOD = np.zeros((2, 20, 2))


def with_score(value):
    scores = GOOD.copy()
    scores[1, 7, 0] = value
    return scores


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (GOOD[0], {}, r"2 segment_ids and 2 classes, found \[20, 2\]"),
        (GOOD[:1], {}, r"found \[1, 20, 2\]"),
        (GOOD[:, :, :1], {}, r"found \[2, 20, 1\]"),
        (GOOD.astype(int), {}, "of int64"),
        (with_score(np.nan), {}, "found nan for segment b_0, frame 7, class /"),
        (with_score(-np.inf), {}, "found -inf for segment b_0"),
        (with_score(1e40), {}, "give num_frames if frames are padded"),
        (GOOD, {"frame_seconds": 0}, "above 0, found 0"),
        (GOOD, {"frame_seconds": np.nan}, "above 0, found nan"),
        (GOOD, {"edges_seconds": [0, 1]}, r"= \[21\] numbers"),
        (GOOD, {"edges_seconds": np.arange(21) + 1.0}, "ascending from 0"),
        (GOOD, {"edges_seconds": np.zeros(21)}, "ascending from 0"),
        (GOOD, {"num_frames": [20]}, r"\[num_clips\] = \[2\]"),
        (GOOD, {"num_frames": [20, 21]}, r"in \[0, 20\]"),
        (GOOD, {"num_frames": [1.5, 2]}, "of float64"),
        (GOOD, {"pooling": "median"}, "Received: 'median'"),
    ],
)
def test_bad_arrays(scores, options, message):
    with pytest.raises(InputError, match=message):
        make_score_file(
            scores,
            ["a_0", "b_0"],
            ["/m/x", "/m/y"],
            **{"frame_seconds": 0.48, **options},
        )


def test_duplicated_clips():
    with pytest.raises(InputError, match="such as 'a_0'"):
        make_score_file(GOOD, ["a_0", "a_0"], ["/m/x", "/m/y"])
