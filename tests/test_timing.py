"""When sounds are heard: patterns as AudioSet has them."""

import dataclasses

import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.simulation.timing import (
    TimingParams,
    draw_num_classes,
    draw_pattern,
    rank_lasting,
)

_PARAMS = TimingParams()


def _patterns(lasting, number=1000, params=_PARAMS, clip_seconds=10.0):
    rng = np.random.default_rng(0)
    return [
        draw_pattern(params, rng, lasting, clip_seconds) for _ in range(number)
    ]


def _filled(patterns):
    return np.array([sum(end - start for start, end in p) for p in patterns])


@pytest.mark.parametrize("lasting", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("clip_seconds", [10.0, 4.0])
def test_events_are_in_the_clip_in_order_and_do_not_overlap(
    lasting, clip_seconds
):
    for pattern in _patterns(lasting, 300, clip_seconds=clip_seconds):
        times = np.ravel(pattern)
        assert (np.diff(times) >= -1e-9).all()
        assert times[0] >= 0
        assert times[-1] <= clip_seconds + 1e-9
        assert all(b - a >= 0.05 - 1e-9 for a, b in pattern)


def test_classes_that_last_fill_more_of_the_clip():
    shares = [_filled(_patterns(rank)) for rank in (0.05, 0.5, 0.95)]
    means = [share.mean() / 10 for share in shares]
    assert means[0] < 0.2 < means[1] < 0.6 < 0.8 < means[2]
    # The whole clip is one event.
    whole = [p for p in _patterns(0.95) if p == [(0.0, 10.0)]]
    assert len(whole) > 500


def test_all_classes_together_fill_what_the_table_says():
    rng = np.random.default_rng(1)
    ranks = rng.uniform(size=6000)
    patterns = [draw_pattern(_PARAMS, rng, rank, 10.0) for rank in ranks]
    found = np.quantile(_filled(patterns) / 10, [0.1, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(found, [0.043, 0.118, 0.387, 0.929], rtol=0.1)
    assert np.mean([len(p) for p in patterns]) == pytest.approx(2.3, abs=0.2)


def test_without_classes_that_last_all_are_alike():
    params = dataclasses.replace(_PARAMS, variance_between_classes=0.0)
    low, high = (_filled(_patterns(r, 3000, params)) for r in (0.01, 0.99))
    assert low.mean() == pytest.approx(high.mean(), abs=0.4)


def test_ranks_halve_the_pairs_and_follow_the_seconds():
    # One class in a clip: shares of pairs are those of draws.
    params = dataclasses.replace(_PARAMS, mean_classes=1.0)
    weights = np.array([0.5, 0.2, 0.3])
    ranks = rank_lasting(params, [3.0, 1.0, 2.0], weights)
    assert list(np.argsort(ranks)) == [1, 2, 0]
    assert (ranks > 0).all()
    assert (ranks < 1).all()
    # All classes in every clip: every class has a third of the pairs.
    params = dataclasses.replace(_PARAMS, mean_classes=3.0)
    ranks = rank_lasting(params, [3.0, 1.0, 2.0], weights)
    np.testing.assert_allclose(ranks, [5 / 6, 1 / 6, 1 / 2], atol=0.12)


def test_number_of_classes_has_the_mean_and_its_bounds():
    rng = np.random.default_rng(0)
    drawn = [draw_num_classes(_PARAMS, rng, 50) for _ in range(5000)]
    assert np.mean(drawn) == pytest.approx(3.5, abs=0.1)
    assert min(drawn) == 1
    few = [draw_num_classes(_PARAMS, rng, 2) for _ in range(100)]
    assert set(few) == {1, 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"mean_classes": 0.5},
        {"filled_shares": (0.1, 0.05)},
        {"filled_shares": (0.1, 1.5)},
        {"single_shares": (0.5,)},
        {"mean_events": (1.0,) * 10},
        {"typical_seconds": (0.0, 1.0)},
        {"min_event_seconds": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(InputError, match="TimingParams"):
        dataclasses.replace(_PARAMS, **changes)
