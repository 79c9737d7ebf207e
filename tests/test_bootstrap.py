import numpy as np
import pytest
from reference.bootstrap_reference import bootstrap_reference
from scipy.stats import binom
from simulated_items import gaussian_systems, make_items, random_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation.bootstrap import (
    bootstrap,
    draw_clips,
    intervals_of,
    overall_metrics,
    percentile_bounds,
    resample_classes,
)
from audioset_strong.evaluation.results import evaluate_items

METRICS = (
    "d_prime",
    "mean_auc",
    "mean_d_prime",
    "mean_average_precision",
    "lwlrap",
    "balanced_lwlrap",
)


@pytest.mark.parametrize("num_values", [None, 3])  # without and with ties
def test_overall_metrics_against_literally_repeated_clips(num_values):
    items = random_items(num_values=num_values)
    values = overall_metrics(resample_classes(items, 60, seed=2))
    assert tuple(values) == METRICS
    draws = draw_clips(items.segment_ids, 60, seed=2)
    results = bootstrap_reference(items, draws)
    for name in METRICS:
        expected = [getattr(result, name) for result in results]
        # d' and AUC to the bit; the others are summed in another order.
        rtol = 0 if "d_prime" in name or "auc" in name else 1e-12
        np.testing.assert_allclose(values[name][1:], expected, rtol=rtol)


def test_estimates_are_the_metrics():
    items = random_items()
    result = evaluate_items(items, "strong", "explicit")
    intervals = bootstrap(items, 50)
    for name in METRICS:
        own = intervals.overall[name]
        np.testing.assert_allclose(
            own.estimate, getattr(result, name), rtol=1e-12
        )
    np.testing.assert_array_equal(
        intervals.per_class["auc"], result.per_class["auc"]
    )
    assert intervals.per_class["mid"].tolist() == items.mids.tolist()


def test_bounds_by_hand():
    # Row 0 is the estimate. Of 39 values, k = floor(40 * 0.025) = 1: the
    # smallest and the largest. With one of them undefined, 38 are too few.
    values = np.arange(40.0)[:, np.newaxis] * [1, -1, 1]
    values[0] = 1000
    values[7, 2] = np.nan
    bounds = percentile_bounds(values, 0.95)
    np.testing.assert_array_equal(bounds.low, [1, -39, np.nan])
    np.testing.assert_array_equal(bounds.high, [39, -1, np.nan])
    np.testing.assert_array_equal(bounds.median, [20, -20, np.nan])
    assert bounds.num_undefined.tolist() == [0, 0, 1]
    # At 0.8 k = 4 of 39, and of 38 floor(39 * 0.1) = 3: 1 2 3 and 37 38 39.
    bounds = percentile_bounds(values, 0.8)
    np.testing.assert_array_equal(bounds.low, [4, -36, 3])
    np.testing.assert_array_equal(bounds.high, [36, -4, 37])


def test_infinite_values_have_a_place():
    values = np.concatenate([[0], np.arange(36.0), [np.inf] * 3])
    bounds = percentile_bounds(values[:, np.newaxis], 0.8)
    assert (bounds.low[0], bounds.high[0]) == (3, 35)
    assert percentile_bounds(values[:, np.newaxis], 0.95).high[0] == np.inf


def test_classes_that_lose_their_positives_are_left_out_and_counted():
    items = random_items()
    resamples = resample_classes(items, 200, seed=1)
    per_class = intervals_of(resamples).per_class.set_index("mid")
    num_lost = int(np.isnan(resamples.aucs[1:, 3]).sum())
    # One clip of 12 is missed with a chance of (11 / 12)^12 = 0.35.
    assert 40 < num_lost < 100
    assert per_class.loc["/m/3", "num_undefined"] == num_lost
    assert 0 < per_class.loc["/m/3", "auc_low"] < 1
    # A class that is never defined has nothing.
    assert per_class.loc["/m/4", "num_undefined"] == 200
    assert per_class.loc["/m/4", ["auc", "auc_low", "auc_high"]].isna().all()
    # The mean of a resample is over the classes that it has.
    lost = np.isnan(resamples.aucs[:, 3])
    np.testing.assert_allclose(
        overall_metrics(resamples)["mean_auc"][lost],
        np.nanmean(resamples.aucs[lost, :3], axis=1),
    )


def test_undefined_overall_metrics():
    none = np.zeros((4, 1), bool)
    result = bootstrap(
        make_items(np.zeros((4, 1)), none, ~none, np.arange(4)), 40
    )
    for interval in result.overall.values():
        assert np.isnan([interval.estimate, interval.low, interval.high]).all()
        assert interval.num_undefined == 40


def test_what_it_was_made_with_is_reported():
    items = random_items()
    result = bootstrap(items, 60, seed=9, level=0.8)
    assert (result.num_resamples, result.seed) == (60, 9)
    assert (result.level, result.num_clips) == (0.8, 12)
    assert bootstrap(items, 60, seed=9, level=0.8).overall == result.overall
    assert bootstrap(items, 60, seed=8, level=0.8).overall != result.overall


def test_bad_arguments():
    with pytest.raises(InputError, match="at least 39 resamples. Received: 38"):
        bootstrap(random_items(), 38)
    with pytest.raises(InputError, match="between 0 and 1.*Received: 95"):
        bootstrap(random_items(), 1000, level=95)


def test_label_frames_of_a_clip_are_not_drawn_apart():
    # Half of the variance is common to a clip's ten label frames: an interval
    # over clips is sqrt(1 + 9 / 2) = 2.3 times as wide as one over items.
    (items,) = gaussian_systems(
        np.random.default_rng(0), [1.0], 200, num_frames=10
    )
    apart = make_items(
        items.scores,
        items.is_positive,
        items.is_negative,
        np.arange(len(items.scores)),
    )
    widths = [
        own.high - own.low
        for own in (
            bootstrap(i, 200).overall["d_prime"] for i in (items, apart)
        )
    ]
    assert 1.8 < widths[0] / widths[1] < 2.8


def _coverage(num_simulations, num_resamples, seed):
    """Counts the intervals that hold the true d' of 1."""
    rng = np.random.default_rng(seed)
    num_covered = 0
    for simulation in range(num_simulations):
        (items,) = gaussian_systems(rng, [1.0])
        interval = bootstrap(
            items, num_resamples, seed=simulation, num_threads=1
        ).overall["d_prime"]
        num_covered += interval.low <= 1.0 <= interval.high
    return num_covered


@pytest.mark.parametrize(
    ("num_simulations", "num_resamples"),
    [(300, 200), pytest.param(1000, 400, marks=pytest.mark.slow)],
)
def test_coverage_of_a_known_d_prime(num_simulations, num_resamples):
    num_covered = _coverage(num_simulations, num_resamples, seed=1)
    # Right but for one time in 1,000 if the coverage is 0.95; the interval of a
    # hundred clips is known to be a little narrow, so 0.94 must pass too.
    low = binom.ppf(0.0005, num_simulations, 0.94)
    high = binom.ppf(0.9995, num_simulations, 0.95)
    assert low <= num_covered <= high
