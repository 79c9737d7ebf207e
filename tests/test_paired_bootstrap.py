import dataclasses

import numpy as np
import pytest
from scipy.stats import kstest
from simulated_items import gaussian_systems, random_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation.bootstrap import (
    compare_resamples,
    overall_metrics,
    paired_bootstrap,
    resample_classes,
)


def other_scores(items, seed=1):
    noise = np.random.default_rng(seed).normal(size=items.scores.shape)
    return dataclasses.replace(
        items, scores=(items.scores + noise).astype(items.scores.dtype)
    )


def test_a_system_does_not_differ_from_itself():
    result = paired_bootstrap(random_items(), random_items(), 50)
    for name, own in result.overall.items():
        if name == "mean_d_prime":  # infinite less infinite
            continue
        assert (own.difference, own.low, own.high) == (0, 0, 0)
        assert own.p_value == 1


def test_differences_are_of_the_same_resamples():
    items, baseline = random_items(), other_scores(random_items())
    result = paired_bootstrap(items, baseline, 99, seed=5, level=0.8)
    ours, theirs = (
        overall_metrics(resample_classes(own, 99, seed=5))
        for own in (items, baseline)
    )
    differences = ours["lwlrap"] - theirs["lwlrap"]
    ordered = np.sort(differences[1:])
    own = result.overall["lwlrap"]
    # k = floor(100 * 0.1) = 10.
    assert own.difference == differences[0]
    assert (own.low, own.high) == (ordered[9], ordered[-10])
    fewer = min((ordered <= 0).sum(), (ordered >= 0).sum())
    assert own.p_value == min(1, 2 * (1 + fewer) / 100)
    assert (result.seed, result.num_resamples, result.level) == (5, 99, 0.8)


def test_swapping_the_systems_changes_signs_only():
    items, baseline = random_items(), other_scores(random_items())
    there = paired_bootstrap(items, baseline, 60)
    back = paired_bootstrap(baseline, items, 60)
    for name in ("d_prime", "lwlrap", "mean_average_precision"):
        one, two = there.overall[name], back.overall[name]
        assert two.difference == -one.difference
        assert (two.low, two.high) == (-one.high, -one.low)
        assert two.p_value == one.p_value


@pytest.mark.parametrize("seed", range(20))
def test_p_value_and_interval_agree(seed):
    rng = np.random.default_rng(seed)
    items, baseline = gaussian_systems(rng, [1.0, 1.0 + 0.03 * seed], 30)
    result = paired_bootstrap(items, baseline, 199, num_threads=1)
    for own in result.overall.values():
        if np.isnan(own.p_value):
            continue
        is_apart = own.low > 0 or own.high < 0
        assert (own.p_value <= 0.05 + 1e-12) == is_apart


def test_undefined_differences_have_no_p_value():
    items = random_items()
    perfect = dataclasses.replace(
        items, scores=items.is_positive.astype(np.float32)
    )
    result = paired_bootstrap(perfect, items, 50)
    own = result.overall["mean_d_prime"]
    assert own.difference == np.inf
    assert np.isnan(own.p_value)
    twice = paired_bootstrap(perfect, perfect, 50).overall["mean_d_prime"]
    assert np.isnan([twice.difference, twice.low, twice.p_value]).all()
    assert twice.num_undefined == 50


def test_classes_in_another_order_are_joined_on_mid():
    items, baseline = random_items(), other_scores(random_items())
    turned = dataclasses.replace(
        baseline,
        scores=baseline.scores[:, ::-1],
        is_positive=baseline.is_positive[:, ::-1],
        is_negative=baseline.is_negative[:, ::-1],
        mids=baseline.mids[::-1],
    )
    straight = paired_bootstrap(items, baseline, 60)
    result = paired_bootstrap(items, turned, 60)
    assert result.per_class.equals(straight.per_class)
    assert result.overall["d_prime"].p_value == (
        straight.overall["d_prime"].p_value
    )


def test_per_class_differences():
    items, baseline = random_items(), other_scores(random_items())
    result = paired_bootstrap(items, baseline, 60)
    ours, theirs = resample_classes(items, 60), resample_classes(baseline, 60)
    differences = ours.aucs - theirs.aucs
    table = result.per_class
    np.testing.assert_array_equal(table["auc_difference"], differences[0])
    # k = floor(61 * 0.025) = 1.
    for column in range(3):
        own = table.iloc[column]
        assert own["auc_difference_low"] == differences[1:, column].min()
        assert own["auc_difference_high"] == differences[1:, column].max()
    assert table["num_undefined"].iloc[4] == 60


def changed(**arrays):
    return dataclasses.replace(random_items(), **arrays)


def flipped_negative():
    is_negative = random_items().is_negative.copy()
    is_negative[
        np.nonzero(is_negative)[0][0], np.nonzero(is_negative)[1][0]
    ] = 0
    return is_negative


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: changed(
                segment_ids=np.array([f"z{i}_0" for i in range(12)])
            ),
            "12 and 12 clips, 0 of them in both",
        ),
        (
            lambda: changed(mids=np.array([f"/m/{i}" for i in range(1, 6)])),
            "5 and 5 classes, 4 of them in both",
        ),
        (
            lambda: changed(is_negative=flipped_negative()),
            "other label frames, positives or negatives",
        ),
    ],
)
def test_other_items_are_refused(other, message):
    with pytest.raises(InputError, match=message):
        paired_bootstrap(random_items(), other(), 50)


def test_other_resamples_are_refused():
    one, two = (resample_classes(random_items(), 50, seed=s) for s in (0, 1))
    with pytest.raises(InputError, match="seeds 0 and 1, 50 and 50"):
        compare_resamples(one, two)


def test_too_few_resamples():
    with pytest.raises(InputError, match="at least 39"):
        paired_bootstrap(random_items(), random_items(), 10)


def _p_values(num_simulations, num_resamples, seed, **sizes):
    """Compares two systems that differ by noise only, again and again."""
    rng = np.random.default_rng(seed)
    for simulation in range(num_simulations):
        items, baseline = gaussian_systems(rng, [1.0, 1.0], **sizes)
        result = paired_bootstrap(
            items, baseline, num_resamples, seed=simulation, num_threads=1
        )
        yield result.overall["d_prime"].p_value


@pytest.mark.parametrize(
    ("num_simulations", "num_resamples"),
    [(150, 100), pytest.param(1000, 400, marks=pytest.mark.slow)],
)
def test_p_values_are_uniform_under_the_null(num_simulations, num_resamples):
    p_values = list(_p_values(num_simulations, num_resamples, seed=3))
    assert kstest(p_values, "uniform").pvalue > 0.01


def test_systems_that_differ_by_noise_are_not_called_different():
    p_values = list(
        _p_values(5, 100, seed=0, num_clips=2000, num_frames=2, num_classes=20)
    )
    assert min(p_values) > 0.05


def test_systems_that_differ_by_a_tenth_are_called_different():
    rng = np.random.default_rng(0)
    for simulation in range(5):
        items, baseline = gaussian_systems(
            rng, [1.1, 1.0], num_clips=2000, num_frames=2, num_classes=20
        )
        result = paired_bootstrap(items, baseline, 200, seed=simulation)
        own = result.overall["d_prime"]
        assert own.p_value < 0.01
        assert own.low < 0.1 < own.high
