"""Metrics of plain arrays, against scikit-learn, and what is refused."""

import doctest

import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.evaluation import array_metrics, metrics

sklearn_metrics = pytest.importorskip("sklearn.metrics")


def _case(num_items=200, num_classes=5, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(num_items, num_classes))
    is_positive = rng.random(scores.shape) < 0.2
    is_negative = ~is_positive & (rng.random(scores.shape) < 0.5)
    return scores + is_positive, is_positive, is_negative


def test_as_scikit_learn_over_listed_items():
    scores, is_positive, is_negative = _case()
    result = metrics(scores, is_positive, is_negative, list("abcde"))
    assert result.per_class["mid"].tolist() == list("abcde")
    for column, row in result.per_class.iterrows():
        is_listed = is_positive[:, column] | is_negative[:, column]
        listed = is_positive[is_listed, column], scores[is_listed, column]
        np.testing.assert_allclose(
            [row["auc"], row["average_precision"]],
            [
                sklearn_metrics.roc_auc_score(*listed),
                sklearn_metrics.average_precision_score(*listed),
            ],
        )
    has_label = is_positive.any(axis=1)
    expected = sklearn_metrics.label_ranking_average_precision_score(
        is_positive[has_label],
        scores[has_label],
        sample_weight=is_positive[has_label].sum(axis=1),
    )
    np.testing.assert_allclose(result.lwlrap, expected)


def test_without_negatives_all_others_are():
    scores, is_positive, _ = _case(seed=1)
    implied = metrics(scores, is_positive.astype(int))
    given = metrics(scores, is_positive, ~is_positive)
    assert implied.negatives == "implied"
    assert implied.d_prime == given.d_prime


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((3, 2), int)}, "must be float"),
        ({"scores": np.zeros(3)}, r"found \[3\]"),
        ({"scores": np.array([[0.1, np.nan]] * 3)}, "item 0, class 1"),
        ({"is_positive": np.zeros((2, 2))}, "shape of scores"),
        ({"is_positive": np.full((3, 2), 0.5)}, "0 and 1"),
        ({"is_negative": np.ones((3, 2))}, "both, the first of item 1"),
        ({"class_names": ["a", "a"]}, "2 different names"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(change, message):
    arguments = {
        "scores": np.zeros((3, 2)),
        "is_positive": np.array([[0, 0], [1, 0], [0, 1]]),
        **change,
    }
    with pytest.raises(InputError, match=message) as error:
        metrics(**arguments)
    assert "\n" not in str(error.value)


def test_the_example_of_the_module():
    results = doctest.testmod(array_metrics)
    assert results.attempted
    assert not results.failed
