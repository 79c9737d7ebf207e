"""Odds ratios: by hand, by sets and the textbook's formula, against SciPy."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import contingency

from audioset_strong.errors import InputError
from audioset_strong.label_analysis.odds_ratios import (
    OddsRatioParams,
    odds_ratio_of_cells,
    odds_ratios,
    top_associations,
)
from audioset_strong.label_analysis.statistics import (
    match_clips,
    strong_clip_labels,
    weak_clip_labels,
)

_CELLS = ["num_both", "num_weak_only", "num_strong_only", "num_neither"]
_UNCORRECTED = OddsRatioParams(haldane_correction=0.0)


def _common(classes_of_clip):
    """Makes common clips of [(weak classes, strong classes)] a clip."""
    weak_rows, strong_rows = [], []
    for clip, (weak, strong) in enumerate(classes_of_clip):
        weak_rows.append((f"c{clip}_0", 0.0, 10.0, tuple(sorted(weak))))
        strong_rows += [(f"c{clip}_0", 0.0, 1.0, mid) for mid in sorted(strong)]
    weak_names = ["segment_id", "start_seconds", "end_seconds", "mids"]
    strong_names = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return match_clips(
        weak_clip_labels(pd.DataFrame(weak_rows, columns=weak_names)),
        strong_clip_labels(pd.DataFrame(strong_rows, columns=strong_names)),
    )


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 2000), min_size=4, max_size=4),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_uncorrected_ratios_and_intervals_vs_scipy(cells, confidence):
    both, weak_only, strong_only, neither = cells
    params = OddsRatioParams(haldane_correction=0.0, confidence=confidence)
    ours = odds_ratio_of_cells(np.array(cells)[:, np.newaxis], params)
    scipys = contingency.odds_ratio(
        [[both, weak_only], [strong_only, neither]], kind="sample"
    )
    interval = scipys.confidence_interval(confidence_level=confidence)
    assert ours["odds_ratio"][0] == pytest.approx(scipys.statistic)
    assert ours["ci_low"][0] == pytest.approx(interval.low)
    assert ours["ci_high"][0] == pytest.approx(interval.high)


_CLASSES = st.sets(st.sampled_from("uvwxyz"), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(_CLASSES, _CLASSES), min_size=1, max_size=12),
    st.sampled_from([0.5, 1.0]),
)
def test_against_sets_and_the_formula(clips, correction):
    common = _common(clips)
    params = OddsRatioParams(haldane_correction=correction)
    pairs = odds_ratios(common, params)
    expected = {}
    for weak in "uvwxyz":
        for strong in "uvwxyz":
            has_weak = {i for i, (w, _) in enumerate(clips) if weak in w}
            has_strong = {i for i, (_, s) in enumerate(clips) if strong in s}
            both = len(has_weak & has_strong)
            if not both:
                continue
            weak_only = len(has_weak - has_strong)
            strong_only = len(has_strong - has_weak)
            neither = len(clips) - len(has_weak | has_strong)
            cells = (both, weak_only, strong_only, neither)
            a, b, c, d = (cell + correction for cell in cells)
            error = math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
            z = statistics.NormalDist().inv_cdf(0.975)
            expected[weak, strong] = [
                *cells,
                a * d / (b * c),
                a * d / (b * c) * math.exp(-z * error),
                a * d / (b * c) * math.exp(z * error),
            ]
    found = pairs.set_index(["weak_mid", "strong_mid"])
    found = found[[*_CELLS, "odds_ratio", "ci_low", "ci_high"]]
    assert found.index.tolist() == sorted(expected)
    for pair, values in expected.items():
        np.testing.assert_allclose(found.loc[pair].tolist(), values)


def test_empty_cells_without_correction():
    # Columns: strong only is empty; both is empty; both products are 0.
    cells = np.array([[3, 0, 2], [1, 2, 0], [0, 4, 3], [5, 6, 0]])
    ratios = odds_ratio_of_cells(cells, _UNCORRECTED)
    np.testing.assert_array_equal(ratios["odds_ratio"], [np.inf, 0, np.nan])
    for name in ("log_odds_ratio_se", "ci_low", "ci_high"):
        assert np.isnan(ratios[name]).all()
    corrected = odds_ratio_of_cells(cells)
    # 3.5 * 5.5 / (1.5 * 0.5)
    assert corrected["odds_ratio"][0] == pytest.approx(25.6667, rel=1e-4)
    assert all(np.isfinite(values).all() for values in corrected.values())


def _hand_pairs():
    # (other class, common clips, odds ratio)
    rows = [("a", 9, 3.0), ("b", 4, 99.0), ("c", 7, 5.0), ("d", 8, 5.0)]
    rows += [("w", 6, 1.0), ("e", 50, np.nan)]
    return pd.DataFrame(
        [("w", other, both, ratio) for other, both, ratio in rows]
        + [("x", "a", 9, 70.0)],
        columns=["weak_mid", "strong_mid", "num_both", "odds_ratio"],
    )


@pytest.mark.parametrize(
    ("min_common_clips", "num_top", "expected"),
    [
        # b has too few common clips; c and d tie, and d has more; w itself is
        # fourth and added; e has no ratio.
        (5, 2, [[1, "d"], [2, "c"], [4, "w"]]),
        # w has too few common clips for a rank.
        (7, 1, [[1, "d"], [0, "w"]]),
    ],
)
def test_ranking_by_hand(min_common_clips, num_top, expected):
    params = OddsRatioParams(min_common_clips=min_common_clips, num_top=num_top)
    top = top_associations(_hand_pairs(), "w", "weak", params)
    assert top[["rank", "strong_mid"]].to_numpy().tolist() == expected


def test_ranking_the_other_way():
    top = top_associations(_hand_pairs(), "a", "strong")
    assert top[["rank", "weak_mid"]].to_numpy().tolist() == [[1, "x"], [2, "w"]]
    assert top_associations(_hand_pairs(), "never", "weak").empty


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"confidence": 1.0}, "0 < confidence < 1. Received: 1.0"),
        ({"haldane_correction": -1.0}, ">= 0. Received: -1.0"),
        ({"min_common_clips": 0}, "Received: 0, 10"),
        ({"num_top": 0}, "Received: 5, 0"),
    ],
)
def test_settings_out_of_range(settings_, message):
    with pytest.raises(InputError, match=message):
        OddsRatioParams(**settings_)
