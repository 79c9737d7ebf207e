import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_thresholds import make_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation.thresholds import reliability_curve


def test_by_hand():
    # Class 0, two bins: .1 and .3 (one positive), then .5, .9 and 1 (two).
    # Class 1: unknown but for one item.
    scores = [[0.1, 0.2], [0.3, 0.2], [0.5, 0.2], [0.9, 0.2], [1.0, 0.2]]
    positive = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [1, 0]], dtype=bool)
    negative = ~positive
    negative[1:, 1] = False
    items = make_items(scores, positive, negative)
    curve = reliability_curve(items, num_bins=2)
    assert curve.num_items.tolist() == [[2, 3], [1, 0]]
    assert curve.num_positives.tolist() == [[1, 2], [0, 0]]
    np.testing.assert_allclose(curve.mean_scores, [[0.2, 0.8], [0.2, np.nan]])
    np.testing.assert_allclose(
        curve.positive_shares, [[0.5, 2 / 3], [0, np.nan]]
    )
    # 2/5 of .3 and 3/5 of .8 - 2/3; then .2.
    np.testing.assert_allclose(curve.calibration_errors(), [0.2, 0.2])
    # Pooled: 3 items of mean .2 with 1 positive, 3 of mean .8 with 2.
    pooled = curve.pooled()
    np.testing.assert_allclose(pooled.calibration_errors(), [2 / 15])


def test_table_has_pooled_rows_first_and_no_empty_bins():
    items = make_items([[0.1, 0.2], [0.9, 0.2]], [[0, 0], [1, 0]])
    table = reliability_curve(items, num_bins=2).table({"/m/0": "Dog"})
    assert table["mid"].tolist() == ["pooled"] * 2 + ["/m/0"] * 2 + ["/m/1"]
    assert table["display_name"].tolist() == ["", "", "Dog", "Dog", ""]
    assert table["bin_low"].tolist() == [0, 0.5, 0, 0.5, 0]
    assert table["bin_high"].tolist() == [0.5, 1, 0.5, 1, 0.5]
    assert table["num_items"].tolist() == [3, 1, 1, 1, 2]
    np.testing.assert_allclose(
        table["calibration_error"], [0.15, 0.15, 0.1, 0.1, 0.2]
    )


def test_edges_belong_to_the_upper_bin_and_one_to_the_last():
    items = make_items([[0.0], [0.5], [1.0]], [[0], [0], [1]])
    assert reliability_curve(items, 2).num_items.tolist() == [[1, 2]]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1),
    st.integers(1, 12),
)
def test_against_a_loop(pairs, num_bins):
    scores = np.array([[score] for score, _ in pairs])
    items = make_items(scores, [[is_true] for _, is_true in pairs])
    curve = reliability_curve(items, num_bins)
    error = 0.0
    for i in range(num_bins):
        inside = [
            pair
            for pair in pairs
            if i == min(int(pair[0] * num_bins), num_bins - 1)
        ]
        assert curve.num_items[0, i] == len(inside)
        if inside:
            means = np.mean(inside, axis=0)
            error += len(inside) / len(pairs) * abs(means[0] - means[1])
    assert curve.calibration_errors()[0] == pytest.approx(error, abs=1e-12)


def test_calibrated_scores_have_almost_no_error():
    rng = np.random.default_rng(0)
    scores = rng.random((20_000, 40), dtype=np.float32)
    items = make_items(scores, rng.random(scores.shape) < scores)
    curve = reliability_curve(items)
    # Of each class, 10 bins of 2,000 items: a share is off by about .009.
    assert curve.calibration_errors().max() < 0.03
    assert curve.pooled().calibration_errors()[0] < 0.003
    # Scores of half the probability are off by a quarter on average.
    halved = make_items(scores / 2, items.is_positive)
    assert reliability_curve(halved).pooled().calibration_errors()[
        0
    ] == pytest.approx(0.25, abs=0.01)


def test_class_without_items_has_no_error():
    nothing = np.zeros((2, 1), dtype=bool)
    curve = reliability_curve(make_items([[0.1], [0.2]], nothing, nothing))
    assert np.isnan(curve.calibration_errors()).all()
    assert curve.table().empty


def test_logits_are_refused():
    items = make_items([[-2.5], [3.0]], [[0], [1]])
    with pytest.raises(InputError, match=r"found -2.5 to 3. If they are"):
        reliability_curve(items)
    with pytest.raises(InputError, match="num_bins must be 1 or more"):
        reliability_curve(items, 0)
