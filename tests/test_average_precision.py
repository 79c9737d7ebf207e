import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_scores import nasty_classes
from reference.average_precision_reference import average_precision_reference
from sklearn.metrics import average_precision_score

from audioset_strong.errors import InputError
from audioset_strong.evaluation import metrics


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0),  # perfect
        # Inverted: 1 of 3, 2 of 4.
        ([0.0, 1.0], [2.0, 3.0], (1 / 3 + 2 / 4) / 2),
        ([1.0, 1.0], [1.0, 1.0, 1.0], 2 / 5),  # all equal: the share
        ([1.0], [0.0, 1.0], 1 / 2),  # a tie counts as above
        ([0.6, 0.3], [0.4, 0.5, 0.8], (1 / 2 + 2 / 5) / 2),
        ([], [1.0], np.nan),
        ([1.0], [], np.nan),  # scikit-learn: 1, whatever the model does
    ],
)
def test_by_hand(positives, negatives, expected):
    result = metrics.class_average_precision(
        np.array(positives), np.array(negatives)
    )
    np.testing.assert_allclose(result, expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", nasty_classes())
def test_nasty_classes_against_references(name, dtype):
    scores, truth = nasty_classes()[name]
    scores = scores.astype(dtype)
    result = metrics.per_class_average_precision(
        scores[:, np.newaxis],
        (truth > 0)[:, np.newaxis],
        (truth < 0)[:, np.newaxis],
    )[0]
    if not (truth > 0).any() or not (truth < 0).any():
        assert np.isnan(result)
        return
    known = truth != 0
    sklearn = average_precision_score(truth[known] > 0, scores[known])
    slow = average_precision_reference(scores[truth > 0], scores[truth < 0])
    # Different order of summing only.
    np.testing.assert_allclose(result, sklearn, rtol=1e-12)
    np.testing.assert_allclose(result, slow, rtol=1e-12)


@pytest.mark.parametrize("num_values", [3, 1000])  # with and without ties
def test_random_classes_against_sklearn(num_values):
    rng = np.random.default_rng(1)
    scores = rng.permuted(
        np.tile(np.arange(90) % num_values, (40, 1)), axis=1
    ).T.astype(np.float32)
    truth = rng.integers(-1, 2, scores.shape)
    results = metrics.per_class_average_precision(scores, truth > 0, truth < 0)
    for column in range(40):
        known = truth[:, column] != 0
        expected = average_precision_score(
            truth[known, column] > 0, scores[known, column]
        )
        np.testing.assert_allclose(results[column], expected, rtol=1e-12)


def test_mean_is_over_defined_classes():
    mean = metrics.mean_average_precision
    assert mean(np.array([0.5, np.nan, 0.75])) == 0.625
    assert np.isnan(mean(np.array([np.nan])))


def test_no_classes():
    none = np.zeros((3, 0), bool)
    results = metrics.per_class_average_precision(np.zeros((3, 0)), none, none)
    assert results.shape == (0,)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=2),
    st.randoms(use_true_random=False),
)
def test_depends_on_order_only(items, random):
    scores = np.array([score for score, _ in items], dtype=np.float64)
    truth = np.array([label for _, label in items])
    before = metrics.class_average_precision(scores[truth], scores[~truth])
    order = list(range(len(items)))
    random.shuffle(order)
    raised, shuffled = (np.exp(scores) + scores)[order], truth[order]
    after = metrics.class_average_precision(raised[shuffled], raised[~shuffled])
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_nan_scores_are_refused():
    truth = np.ones((1, 1), bool)
    with pytest.raises(InputError, match="must not be NaN"):
        metrics.per_class_average_precision(
            np.full((1, 1), np.nan), truth, ~truth
        )
