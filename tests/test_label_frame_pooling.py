import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import pool_onto_label_frames


def slow_pool(scores, edges_ms, pooling):
    """Looks up the score of every millisecond, and pools those."""
    of_ms = np.repeat(scores, np.diff(edges_ms), axis=0)
    pooled = np.zeros((10, scores.shape[1]))
    num_scored = 0
    for label_frame in range(10):
        part = of_ms[label_frame * 960 : (label_frame + 1) * 960]
        if len(part) < 480:
            break
        num_scored += 1
        pooled[label_frame] = (
            part.mean(axis=0) if pooling == "mean" else part.max(axis=0)
        )
    return pooled, num_scored


def edges_every(hop_ms, end_ms):
    return np.arange(0, end_ms + 1, hop_ms)


# 40 ms divides a label frame, the others do not.
@pytest.mark.parametrize("hop_ms", [10, 40, 64, 100, 500, 1000, 2500])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_even_windows(hop_ms, pooling):
    edges_ms = edges_every(hop_ms, 10000)
    scores = np.random.default_rng(hop_ms).random((len(edges_ms) - 1, 3))
    pooled, num_scored = pool_onto_label_frames(
        scores, edges_ms / 1000, pooling
    )
    expected, num_expected = slow_pool(scores, edges_ms, pooling)
    assert pooled.dtype == np.float32
    assert num_scored == num_expected == 10
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


@given(
    # From 2 ms, because what overlaps by one is taken for rounding.
    lengths_ms=st.lists(st.integers(2, 3000), min_size=1, max_size=30),
    pooling=st.sampled_from(["mean", "max"]),
)
@settings(deadline=None, max_examples=50)
def test_uneven_windows(lengths_ms, pooling):
    edges_ms = np.concatenate([[0], np.cumsum(lengths_ms)])
    # An edge 1 ms beside that of a label frame is moved onto it.
    beside = np.isin(edges_ms % 960, (1, 959))
    edges_ms = np.where(beside, np.rint(edges_ms / 960) * 960, edges_ms)
    edges_ms = np.unique(edges_ms.astype(int))
    scores = np.random.default_rng(0).normal(size=(len(edges_ms) - 1, 2))
    if not len(scores):
        return
    pooled, num_scored = pool_onto_label_frames(
        scores, edges_ms / 1000, pooling
    )
    expected, num_expected = slow_pool(scores, edges_ms, pooling)
    assert num_scored == num_expected
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_label_frames_stay_what_they_are():
    scores = np.random.default_rng(0).random((10, 4), dtype=np.float32)
    # Multiples of 0.96 are not exact: no neighbour may come in.
    for pooling in ("mean", "max"):
        pooled, _ = pool_onto_label_frames(
            scores, np.arange(11) * 0.96, pooling
        )
        np.testing.assert_array_equal(pooled, scores)


def test_by_hand():
    # Label frame 0 has 0.5 s of the first and 0.46 s of the second window.
    scores = np.array([[0.2], [0.8]])
    edges = np.array([0.0, 0.5, 1.92])
    pooled, num_scored = pool_onto_label_frames(scores, edges)
    assert num_scored == 2
    expected = (0.5 * 0.2 + 0.46 * 0.8) / 0.96
    np.testing.assert_allclose(pooled[:3, 0], [expected, 0.8, 0])
    pooled, _ = pool_onto_label_frames(scores, edges, "max")
    np.testing.assert_allclose(pooled[:3, 0], [0.8, 0.8, 0])


@pytest.mark.parametrize(
    ("end_seconds", "num_scored"),
    # 0.48 s of a label frame are half of it.
    [(0.4, 0), (0.479, 0), (0.48, 1), (1.43, 1), (1.44, 2), (9.12, 10)],
)
def test_a_label_frame_counts_if_half_is_covered(end_seconds, num_scored):
    edges = np.linspace(0, end_seconds, 8)
    pooled, found = pool_onto_label_frames(np.full((7, 1), 0.3), edges)
    assert found == num_scored
    np.testing.assert_allclose(pooled[:num_scored], 0.3)
    assert not pooled[num_scored:].any()


def test_the_uncovered_rest_is_not_averaged_in():
    # 0.5 s of score 1, then nothing.
    pooled, _ = pool_onto_label_frames(np.ones((1, 1)), np.array([0, 0.5]))
    assert pooled[0, 0] == 1


def test_what_is_left_of_rounding_does_not_reach():
    # The second window starts 0.4 ms before the label frame that it is of.
    scores = np.array([[0.1], [0.9]])
    edges = np.array([0, 0.9596, 1.92])
    pooled, _ = pool_onto_label_frames(scores, edges, "max")
    np.testing.assert_allclose(pooled[:2, 0], [0.1, 0.9])


def test_windows_shorter_than_a_millisecond():
    edges = np.arange(0, 9601) * 0.0002  # 1.92 s
    scores = np.linspace(0, 1, 9600)[:, np.newaxis]
    pooled, num_scored = pool_onto_label_frames(scores, edges, "max")
    assert num_scored == 2
    np.testing.assert_allclose(pooled[:2, 0], [0.5, 1], atol=1e-3)


def test_many_clips_at_once():
    rng = np.random.default_rng(1)
    scores = rng.random((5, 250, 3)).astype(np.float16)
    edges = np.arange(251) * 0.04
    pooled, _ = pool_onto_label_frames(scores, edges)
    assert pooled.shape == (5, 10, 3)
    for clip in range(5):
        one, _ = pool_onto_label_frames(scores[clip], edges)
        np.testing.assert_allclose(pooled[clip], one, rtol=1e-6)


def test_no_windows():
    pooled, num_scored = pool_onto_label_frames(np.zeros((0, 2)), np.zeros(0))
    assert num_scored == 0
    assert pooled.shape == (10, 2)


def test_unknown_pooling():
    with pytest.raises(InputError, match="one of .* Received: 'sum'"):
        pool_onto_label_frames(np.ones((1, 1)), np.array([0, 1.0]), "sum")
