import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_scores import nasty_classes
from reference.auc_reference import auc_reference
from sklearn.metrics import roc_auc_score

from audioset_strong.errors import InputError
from audioset_strong.evaluation import metrics


@pytest.mark.parametrize(
    ("positives", "negatives", "auc"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0),  # perfect
        ([0.0, 1.0], [2.0, 3.0], 0.0),  # inverted
        ([1.0, 1.0], [1.0, 1.0, 1.0], 0.5),  # all equal: every pair is half
        ([1.0], [0.0, 1.0], 0.75),  # one right, one tie
        ([0.6], [0.4, 0.5, 0.8], 2 / 3),
        ([], [1.0], np.nan),
        ([1.0], [], np.nan),
    ],
)
def test_class_auc(positives, negatives, auc):
    result = metrics.class_auc(np.array(positives), np.array(negatives))
    np.testing.assert_equal(result, auc)


@pytest.mark.parametrize("num_values", [3, 1000])  # with and without ties
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_auc_against_references(num_values, dtype):
    rng = np.random.default_rng(1)
    # 40 classes: more than one block, the last not full.
    scores = rng.permuted(
        np.tile(np.arange(90) % num_values, (40, 1)), axis=1
    ).T.astype(dtype)
    truth = rng.integers(-1, 2, scores.shape)  # -1 negative, 0 unknown, 1
    aucs = metrics.per_class_auc(scores, truth > 0, truth < 0)
    assert aucs.shape == (40,)
    for column in range(40):
        own, label = scores[:, column], truth[:, column]
        slow = auc_reference(own[label > 0], own[label < 0])
        known = label != 0
        sklearn_auc = roc_auc_score(label[known] > 0, own[known])
        # Different order of summing only.
        np.testing.assert_allclose(aucs[column], slow, rtol=1e-12)
        np.testing.assert_allclose(aucs[column], sklearn_auc, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", nasty_classes())
def test_nasty_classes_against_references(name, dtype):
    scores, truth = nasty_classes()[name]
    scores = scores.astype(dtype)
    is_positive, is_negative = truth > 0, truth < 0
    auc = metrics.per_class_auc(
        scores[:, np.newaxis],
        is_positive[:, np.newaxis],
        is_negative[:, np.newaxis],
    )[0]
    if not is_positive.any() or not is_negative.any():
        assert np.isnan(auc)  # scikit-learn: NaN and a warning
        return
    sklearn = roc_auc_score(is_positive[truth != 0], scores[truth != 0])
    slow = auc_reference(scores[is_positive], scores[is_negative])
    np.testing.assert_allclose(auc, sklearn, rtol=1e-12)
    np.testing.assert_allclose(auc, slow, rtol=1e-12)


def test_undefined_classes_are_nan_and_left_out():
    scores = np.array([[0.9, 0.1, 0.5], [0.1, 0.2, 0.4]])
    is_positive = np.array([[1, 0, 1], [0, 0, 0]], bool)
    is_negative = np.array([[0, 1, 0], [1, 1, 0]], bool)
    aucs = metrics.per_class_auc(scores, is_positive, is_negative)
    np.testing.assert_equal(aucs, [1.0, np.nan, np.nan])
    assert metrics.mean_auc(aucs) == 1.0


def test_no_class_defined():
    aucs = np.array([np.nan, np.nan])
    assert np.isnan(metrics.mean_auc(aucs))
    assert np.isnan(metrics.d_prime_of_mean_auc(aucs))
    assert np.isnan(metrics.mean_d_prime(aucs))


def test_no_classes():
    none = np.zeros((3, 0), bool)
    assert metrics.per_class_auc(np.zeros((3, 0)), none, none).shape == (0,)


def test_infinite_d_prime():
    np.testing.assert_array_equal(
        metrics.d_prime_from_auc([0.0, 0.5, 1.0]), [-np.inf, 0.0, np.inf]
    )
    assert metrics.mean_d_prime(np.array([0.5, 1.0])) == np.inf
    assert np.isnan(metrics.mean_d_prime(np.array([0.0, 1.0])))
    assert metrics.d_prime_of_mean_auc(np.array([0.0, 1.0])) == 0.0


def test_the_two_averages_differ():
    # Published beside each other in the field; 1.34 and 1.71.
    aucs = np.array([0.99, 0.95, 0.9, 0.7, 0.6])
    assert round(metrics.d_prime_of_mean_auc(aucs), 2) == 1.34
    assert round(metrics.mean_d_prime(aucs), 2) == 1.71


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_d_prime_is_the_distance_of_unit_gaussians(distance):
    rng = np.random.default_rng(2)
    auc = metrics.class_auc(
        rng.normal(distance, 1, 200_000), rng.normal(0, 1, 200_000)
    )
    # The standard error is below 0.006 at this size.
    assert abs(metrics.d_prime_from_auc(auc) - distance) < 0.02


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=2),
    st.randoms(use_true_random=False),
)
def test_auc_depends_on_order_only(items, random):
    scores = np.array([score for score, _ in items], dtype=np.float64)
    truth = np.array([label for _, label in items])
    before = metrics.class_auc(scores[truth], scores[~truth])
    raised = np.exp(scores) + scores  # strictly increasing
    order = list(range(len(items)))
    random.shuffle(order)
    raised, shuffled = raised[order], truth[order]
    after = metrics.class_auc(raised[shuffled], raised[~shuffled])
    np.testing.assert_equal(after, before)


def test_nan_scores_are_refused():
    truth = np.ones((1, 1), bool)
    with pytest.raises(InputError, match="must not be NaN"):
        metrics.per_class_auc(np.full((1, 1), np.nan), truth, ~truth)


def test_shapes_must_agree():
    truth = np.ones((2, 1), bool)
    with pytest.raises(InputError, match=r"\(1, 1\), \(2, 1\), \(2, 1\)"):
        metrics.per_class_auc(np.zeros((1, 1)), truth, truth)
