import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.lwlrap_reference import (
    per_class_lwlrap_reference,
    tied_lwlrap_reference,
)
from sklearn.metrics import label_ranking_average_precision_score

from audioset_strong.errors import InputError
from audioset_strong.evaluation import metrics


def overall(scores, is_positive):
    return metrics.overall_lwlrap(
        metrics.per_class_lwlrap(scores, is_positive),
        metrics.class_weights(is_positive),
    )


def random_case(num_items=300, num_classes=20, num_values=None):
    rng = np.random.default_rng(3)
    if num_values is None:
        scores = rng.normal(size=(num_items, num_classes))
    else:
        scores = rng.integers(num_values, size=(num_items, num_classes)) * 1.0
    is_positive = rng.random(scores.shape) < rng.random(num_classes) * 0.3
    is_positive[::7] = False  # items without labels
    is_positive[:, 5] = False  # a class without positives
    return scores, is_positive


def test_by_hand():
    # Ranks of item 0: class 2, 0, 1. True classes 0 and 1 are at ranks 2 and
    # 3, where 1/2 and 2/3 of the classes are true. Item 1: true class 1 leads.
    scores = np.array([[0.5, 0.1, 0.9], [0.1, 0.7, 0.2]])
    is_positive = np.array([[1, 1, 0], [0, 1, 0]], bool)
    item, class_index, precision = metrics.label_precisions(scores, is_positive)
    assert item.tolist() == [0, 0, 1]
    assert class_index.tolist() == [0, 1, 1]
    np.testing.assert_allclose(precision, [1 / 2, 2 / 3, 1])
    per_class = metrics.per_class_lwlrap(scores, is_positive)
    np.testing.assert_allclose(per_class, [1 / 2, 5 / 6, np.nan])
    weights = metrics.class_weights(is_positive)
    np.testing.assert_allclose(weights, [1 / 3, 2 / 3, 0])
    assert overall(scores, is_positive) == pytest.approx(13 / 18)
    assert metrics.balanced_lwlrap(per_class) == pytest.approx(2 / 3)


def test_perfect_and_inverted():
    is_positive = np.array([[1, 0, 0, 0]], bool)
    assert overall(np.array([[4.0, 3, 2, 1]]), is_positive) == 1.0
    assert overall(np.array([[1.0, 2, 3, 4]]), is_positive) == 0.25


def test_ties_take_the_worst_rank():
    is_positive = np.array([[1, 0, 0, 0]], bool)
    assert overall(np.zeros((1, 4)), is_positive) == 0.25


@pytest.mark.parametrize("num_values", [None, 3])  # without and with ties
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_against_sklearn(num_values, dtype):
    scores, is_positive = random_case(num_values=num_values)
    scores = scores.astype(dtype)
    labelled = is_positive.any(axis=1)
    expected = label_ranking_average_precision_score(
        is_positive[labelled],
        scores[labelled].astype(np.float64),
        sample_weight=is_positive[labelled].sum(axis=1),
    )
    np.testing.assert_allclose(overall(scores, is_positive), expected)


def test_against_the_dcase_definition():
    scores, is_positive = random_case()
    per_class, weights = per_class_lwlrap_reference(scores, is_positive)
    np.testing.assert_allclose(
        metrics.per_class_lwlrap(scores, is_positive),
        np.array(per_class, dtype=float),
    )
    np.testing.assert_allclose(metrics.class_weights(is_positive), weights)


def nasty_items():
    """Scores and labels `[3, 4]` that break careless rankings, by name."""
    rng = np.random.default_rng(6)
    noise = rng.permuted(np.arange(12.0).reshape(3, 4), axis=1)
    some = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]], bool)
    one = np.zeros((3, 4), bool)
    one[1, 2] = True
    return {
        "random": (noise, some),
        "all equal": (np.full((3, 4), 0.5), some),
        "two values": (noise % 2, some),
        "both zeros": (np.where(noise % 2, 0.0, -0.0), some),
        "perfect": (some * 1.0 + noise / 100, some),
        "inverted": (noise / 100 - some, some),
        "one positive": (noise, one),
        "one positive, tied": (noise // 2, one),
        "every class": (noise, np.ones((3, 4), bool)),
        "a class in one item only": (noise, some & (np.arange(4) == 0)),
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", nasty_items())
def test_nasty_items_against_references(name, dtype):
    scores, is_positive = nasty_items()[name]
    result = overall(scores.astype(dtype), is_positive)
    expected = tied_lwlrap_reference(scores, is_positive)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    labelled = is_positive.any(axis=1)
    sklearn = label_ranking_average_precision_score(
        is_positive[labelled],
        scores[labelled],
        sample_weight=is_positive[labelled].sum(axis=1),
    )
    np.testing.assert_allclose(result, sklearn, rtol=1e-12)
    if all(len(set(row)) == len(row) for row in scores.tolist()):
        per_class, weights = per_class_lwlrap_reference(scores, is_positive)
        dcase = sum(
            own * weight
            for own, weight in zip(per_class, weights, strict=True)
            if weight
        )
        np.testing.assert_allclose(result, dcase, rtol=1e-12)


def test_dcase_ranks_ties_by_class_index_and_we_do_not():
    is_positive = np.array([[1, 0]], bool)
    per_class, _ = per_class_lwlrap_reference(np.zeros((1, 2)), is_positive)
    assert per_class[0] == 1.0
    assert overall(np.zeros((1, 2)), is_positive) == 0.5


@pytest.mark.parametrize("num_threads", [1, 3])
def test_threads_do_not_show(num_threads, monkeypatch):
    scores, is_positive = random_case(num_values=5)
    whole = metrics.label_precisions(scores, is_positive)
    monkeypatch.setattr(metrics, "_BLOCK_CELLS", 7 * 20)
    parts = metrics.label_precisions(scores, is_positive, num_threads)
    np.testing.assert_array_equal(parts, whole)


def test_blocks_do_not_show(monkeypatch):
    scores, is_positive = random_case(num_values=5)
    whole = metrics.per_class_lwlrap(scores, is_positive)
    monkeypatch.setattr(metrics, "_BLOCK_CELLS", 7 * 20)
    np.testing.assert_array_equal(
        metrics.per_class_lwlrap(scores, is_positive), whole
    )


def test_without_any_positive():
    none = np.zeros((2, 3), bool)
    per_class = metrics.per_class_lwlrap(np.zeros((2, 3)), none)
    assert np.isnan(per_class).all()
    assert np.isnan(metrics.overall_lwlrap(per_class, np.zeros(3)))
    assert np.isnan(metrics.balanced_lwlrap(per_class))
    assert metrics.class_weights(none).tolist() == [0, 0, 0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(-8, 8), st.booleans()), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_depends_on_the_order_within_items_only(rows, random):
    cells = np.array(rows, dtype=np.float64)
    scores, is_positive = cells[..., 0], cells[..., 1] > 0
    before = metrics.per_class_lwlrap(scores, is_positive)
    order = list(range(len(rows)))
    random.shuffle(order)
    after = metrics.per_class_lwlrap(
        (np.exp(scores) + scores)[order], is_positive[order]
    )
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_nan_scores_are_refused():
    with pytest.raises(InputError, match="must not be NaN"):
        metrics.per_class_lwlrap(
            np.array([[0.5, np.nan]]), np.array([[True, False]])
        )


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"\(1, 2\), \(1, 3\)"):
        metrics.label_precisions(np.zeros((1, 2)), np.zeros((1, 3), bool))
