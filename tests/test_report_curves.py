import numpy as np
import pytest
from eval_examples import hand_framed, hand_score_file
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from audioset_strong.evaluation.details import roc_corners, roc_curves, thinned
from audioset_strong.evaluation.items import strong_items
from audioset_strong.evaluation.metrics import (
    auc_of_ranking,
    rank_class,
    rank_classes,
)


def slow_curve(positives, negatives):
    """The curve as it is defined: the rates at every threshold."""
    thresholds = sorted({*positives, *negatives}, reverse=True)
    return np.array(
        [(0.0, 0.0)]
        + [
            (np.mean(negatives >= t), np.mean(positives >= t))
            for t in thresholds
        ]
    )


def area(points):
    return trapezoid(points[:, 1], points[:, 0])


_SCORES = st.lists(st.integers(0, 12), min_size=1, max_size=60)


@settings(deadline=None, max_examples=100)
@given(_SCORES, _SCORES)
def test_corners_hold_the_whole_curve(positives, negatives):
    positives, negatives = np.array(positives), np.array(negatives)
    ranking = rank_class(positives, negatives)
    corners = roc_corners(ranking)
    assert corners[0].tolist() == [0, 0]
    assert corners[-1].tolist() == [1, 1]
    assert (np.diff(corners, axis=0) >= 0).all()
    assert (np.diff(corners, axis=0).sum(axis=1) > 0).all()
    assert area(corners) == pytest.approx(auc_of_ranking(ranking))
    # Both axes rise, so that their sum tells where on the curve a point is.
    slow = slow_curve(positives, negatives)
    for axis in (0, 1):
        np.testing.assert_allclose(
            np.interp(slow.sum(axis=1), corners.sum(axis=1), corners[:, axis]),
            slow[:, axis],
            atol=1e-9,
        )


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(-3, 3))
def test_thinned_curves_stay_near(seed, max_points, separation):
    rng = np.random.default_rng(seed)
    corners = roc_corners(
        rank_class(rng.normal(separation, 1, 90), rng.normal(0, 1, 200))
    )
    kept = thinned(corners, max_points)
    assert len(kept) <= max_points
    assert kept[0].tolist() == [0, 0]
    assert kept[-1] == pytest.approx([1, 1])
    # Distance along the axes from each corner to densely drawn lines.
    steps = np.linspace(0, 1, 200)[:, np.newaxis, np.newaxis]
    drawn = (kept[:-1] + steps * np.diff(kept, axis=0)).reshape(-1, 2)
    distances = np.abs(corners[:, np.newaxis] - drawn).sum(axis=2).min(axis=1)
    assert distances.max() <= 1 / (max_points - 1) + 0.011  # 2 / 199 between


def test_short_curves_are_kept_whole():
    corners = np.array([[0, 0], [0, 0.5], [0.5, 1], [1, 1]])
    assert thinned(corners, 4) is corners


def test_hand_example():
    items = strong_items(hand_score_file(), hand_framed())
    curves = roc_curves(items)
    assert set(curves.points) == {"/m/x", "/m/y"}
    # x: its positive, .6, has one of three negatives above it, .8.
    np.testing.assert_allclose(
        curves.points["/m/x"], [[0, 0], [1 / 3, 0], [1 / 3, 1], [1, 1]]
    )
    rankings = rank_classes(items.scores, items.is_positive, items.is_negative)
    again = roc_curves(items, rankings=rankings)
    for mid, points in curves.points.items():
        np.testing.assert_array_equal(again.points[mid], points)
