import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_scores import nasty_classes

from audioset_strong.errors import InputError
from audioset_strong.evaluation import metrics


def test_by_hand():
    # Positives .2 .6 .6, negatives .1 .6 .9. At or above .2: all three
    # positives, two negatives; at or above .6: two and two, one of them tied.
    ranked = metrics.rank_class(
        np.array([0.6, 0.2, 0.6]), np.array([0.9, 0.1, 0.6])
    )
    assert ranked.true_positives.tolist() == [3, 2, 2]
    assert ranked.false_positives.tolist() == [2, 2, 2]
    assert ranked.num_tied.tolist() == [0, 1, 1]
    assert ranked.num_negatives == 3
    assert ranked.num_pairs == 9


def test_without_items():
    ranked = metrics.rank_class(np.zeros(0), np.ones(2))
    assert ranked.true_positives.size == ranked.num_pairs == 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_classes_are_those_of_one_at_a_time(dtype, num_threads, monkeypatch):
    monkeypatch.setattr(metrics, "_CLASS_BLOCK", 4)  # the last is not full
    cases = nasty_classes().values()
    scores = np.stack([s for s, _ in cases], axis=1).astype(dtype)
    truth = np.stack([t for _, t in cases], axis=1)
    ranked = metrics.rank_classes(scores, truth > 0, truth < 0, num_threads)
    assert len(ranked) == len(cases)
    for column, own in enumerate(ranked):
        wide, label = scores[:, column].astype(np.float64), truth[:, column]
        alone = metrics.rank_class(wide[label > 0], wide[label < 0])
        assert own.num_negatives == alone.num_negatives
        for name in ("true_positives", "false_positives", "num_tied"):
            np.testing.assert_array_equal(
                getattr(own, name), getattr(alone, name)
            )


def test_every_float16_keeps_its_order():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[~np.isnan(every)]
    keys = metrics.sortable(every)
    assert keys.dtype == np.int16
    # Ascending values: each above the one before, but for the two zeros.
    by_value = np.argsort(every.astype(np.float64), kind="stable")
    values, keys = every.astype(np.float64)[by_value], keys[by_value]
    np.testing.assert_array_equal(
        values[1:] > values[:-1], keys[1:] > keys[:-1]
    )
    assert (keys[1:] == keys[:-1]).sum() == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(width=16, allow_nan=False), min_size=2, max_size=2))
def test_float16_pairs_compare_as_floats(pair):
    low, high = np.array(pair, np.float16)
    keys = metrics.sortable(np.array(pair, np.float16))
    assert (keys[0] < keys[1]) == (low < high)
    assert (keys[0] == keys[1]) == (low == high)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nan_is_refused(dtype):
    for nan in (np.nan, -np.nan):
        with pytest.raises(InputError, match="must not be NaN"):
            metrics.sortable(np.array([0.5, nan], dtype))
