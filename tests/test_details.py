"""Curves, worst errors, and what is joined of two systems."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    X,
    Y,
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import detail_items, random_labels, random_scores
from scipy.integrate import trapezoid
from simulated_items import own_intervals, paired_intervals
from sklearn.metrics import precision_recall_curve

from audioset_strong.errors import InputError
from audioset_strong.evaluation.details import (
    COLUMNS,
    make_curves,
    precision_recall_points,
    roc_corners,
    thinned,
    worst_items,
)
from audioset_strong.evaluation.evaluating import ResamplingSettings
from audioset_strong.evaluation.items import strong_items, weak_items
from audioset_strong.evaluation.ranking_metrics import (
    auc_of_ranking,
    average_precision_of_ranking,
    rank_class,
)

# --- Curves ------------------------------------------------------------------


def slow_curve(positives, negatives):
    """The curve as it is defined: the rates at every threshold."""
    thresholds = sorted({*positives, *negatives}, reverse=True)
    return np.array(
        [(0.0, 0.0)]
        + [
            (np.mean(negatives >= t), np.mean(positives >= t))
            for t in thresholds
        ]
    )


_SCORES = st.lists(st.integers(0, 12), min_size=1, max_size=60)


@settings(deadline=None, max_examples=100)
@given(_SCORES, _SCORES)
def test_corners_hold_the_whole_curve(positives, negatives):
    positives, negatives = np.array(positives), np.array(negatives)
    ranking = rank_class(positives, negatives)
    corners = roc_corners(ranking)
    assert corners[[0, -1]].tolist() == [[0, 0], [1, 1]]
    assert (np.diff(corners, axis=0) >= 0).all()
    assert (np.diff(corners, axis=0).sum(axis=1) > 0).all()
    area = trapezoid(corners[:, 1], corners[:, 0])
    assert area == pytest.approx(auc_of_ranking(ranking))
    # Both axes rise, so that their sum tells where on the curve a point is.
    slow = slow_curve(positives, negatives)
    for axis in (0, 1):
        np.testing.assert_allclose(
            np.interp(slow.sum(axis=1), corners.sum(axis=1), corners[:, axis]),
            slow[:, axis],
            atol=1e-9,
        )


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(-3, 3))
def test_thinned_curves_stay_near(seed, max_points, separation):
    rng = np.random.default_rng(seed)
    corners = roc_corners(
        rank_class(rng.normal(separation, 1, 90), rng.normal(0, 1, 200))
    )
    kept = thinned(corners, max_points)
    assert len(kept) <= max_points
    assert kept[0].tolist() == [0, 0]
    assert kept[-1] == pytest.approx([1, 1])
    # Distance along the axes from each corner to densely drawn lines.
    steps = np.linspace(0, 1, 200)[:, np.newaxis, np.newaxis]
    drawn = (kept[:-1] + steps * np.diff(kept, axis=0)).reshape(-1, 2)
    distances = np.abs(corners[:, np.newaxis] - drawn).sum(axis=2).min(axis=1)
    assert distances.max() <= 1 / (max_points - 1) + 0.011  # 2 / 199 between


@settings(deadline=None, max_examples=100)
@given(_SCORES, _SCORES)
def test_precision_and_recall_are_scikit_learns(positives, negatives):
    points = precision_recall_points(
        rank_class(np.array(positives), np.array(negatives))
    )
    precision, recall, _ = precision_recall_curve(
        np.repeat([1, 0], [len(positives), len(negatives)]),
        np.array([*positives, *negatives]),
    )
    # It has a point for each score: of equal recalls the highest precision is
    # the one at a positive. Its first point, recall 0, is no threshold.
    order = np.lexsort((-precision, recall))
    recall, precision = recall[order], precision[order]
    is_first = np.r_[True, np.diff(recall) > 0] & (recall > 0)
    np.testing.assert_allclose(points[:, 0], recall[is_first])
    np.testing.assert_allclose(points[:, 1], precision[is_first])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 300), st.floats(-1, 3))
def test_areas_and_distances_of_drawn_curves(seed, num_positives, separation):
    rng = np.random.default_rng(seed)
    ranking = rank_class(
        rng.normal(separation, 1, num_positives), rng.normal(0, 1, 400)
    )
    curves = make_curves([X], [ranking])
    drawn = curves.precision_recall[X]
    assert len(drawn) <= 26
    assert drawn[0, 0] == 0
    assert (np.diff(drawn[:, 0]) >= 0).all()
    points = precision_recall_points(ranking)
    if num_positives <= 13:
        # The steps of average precision itself.
        area = trapezoid(drawn[:, 1], drawn[:, 0])
        assert area == pytest.approx(average_precision_of_ranking(ranking))
    # Each point that is left out has a kept one nearby, measured along both
    # axes of the upper envelope.
    envelope = np.maximum.accumulate(points[::-1, 1])[::-1]
    length = points[:, 0] - envelope
    kept = length[np.isin(points[:, 0], drawn[:, 0])]
    assert np.abs(length[:, np.newaxis] - kept).min(axis=1).max() < 2 / 24


def test_mean_curves_have_the_areas_of_the_means():
    _, framed, strong = random_labels(60, 12)
    items = strong_items(random_scores(strong, 1.0, 3), framed)
    rankings = items.rank_classes()
    curves = make_curves(items.mids.tolist(), rankings)
    rate, true_rate = curves.mean_roc.T
    mean_auc = np.mean([auc_of_ranking(r) for r in rankings])
    assert trapezoid(true_rate, rate) == pytest.approx(mean_auc, abs=0.01)
    recall, precision = curves.mean_precision_recall.T
    m_ap = np.mean([average_precision_of_ranking(r) for r in rankings])
    assert trapezoid(precision, recall) == pytest.approx(m_ap, abs=0.02)
    empty = rank_class(np.zeros(0), np.ones(3))
    assert make_curves([X], [empty]).mean_roc is None


def test_curves_of_the_hand_example():
    items = strong_items(hand_score_file(), hand_framed())
    curves = make_curves(items.mids.tolist(), items.rank_classes())
    assert set(curves.roc) == set(curves.precision_recall) == {X, Y}
    # x: its positive, .6, has one of three negatives above it, .8.
    np.testing.assert_allclose(
        curves.roc[X], [[0, 0], [1 / 3, 0], [1 / 3, 1], [1, 1]]
    )
    np.testing.assert_allclose(
        curves.precision_recall[X], [[0, 1 / 2], [1, 1 / 2]]
    )
    assert thinned(curves.roc[X], 4) is curves.roc[X]


# --- Worst errors ------------------------------------------------------------


def test_errors_of_the_hand_example():
    items = strong_items(hand_score_file(), hand_framed())
    table = worst_items(items, "strong", names={X: "Ex"})
    assert tuple(table.columns) == COLUMNS
    alarms = table[table["kind"] == "false alarm"]
    # y: .4 in c0 outscores both positives, .2 and .3: 2 / 3.
    # x: .8 in b1 outscores its only positive, .6: 1 / 2. The other negatives
    # of both outscore none.
    assert alarms["mid"].tolist() == [Y, X]
    assert alarms["error"].tolist() == [2 / 3, 1 / 2]
    x = alarms.iloc[1]
    assert (x["segment_id"], x["label_frame"]) == ("b_0", 1)
    assert x["num_others"] == 1
    assert (x["onset_seconds"], x["offset_seconds"]) == (0.96, 1.92)
    assert (x["display_name"], x["score"]) == ("Ex", pytest.approx(0.8))
    misses = table[table["kind"] == "miss"].set_index("mid")
    # One of three negatives of x is above its positive; of y one of two above
    # both, of which the one of clip a, the lower, comes first.
    assert misses.loc[X, "error"] == 1 / 4
    assert misses.loc[[Y], "error"].tolist() == [1 / 3, 1 / 3]


def test_errors_of_clips_have_no_label_frame():
    table = worst_items(weak_items(hand_score_file(), hand_weak()), "weak")
    assert len(table) > 0
    assert table[["label_frame", "onset_seconds"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("ytids", "url"),
    [
        # Real ones end in one of 16 characters.
        (["s9d-2nhuJCQ", "--BfvyPmVMo", "c_0"], "s9d-2nhuJCQ&t="),
        (["s9d-2nhuJCQ", "6ih2hhBz_w-", "c_0"], ""),
        (["a_0", "b_0", "c_0"], ""),
    ],
    ids=["AudioSet", "generated", "others"],
)
def test_links_to_youtube_do_not_lie(ytids, url):
    names = {
        f"{old}_0": f"{new}_31500" if len(new) == 11 else new
        for old, new in zip("abc", ytids, strict=True)
    }
    scores, framed = hand_score_file(), hand_framed()
    scores = dataclasses.replace(
        scores,
        segment_ids=np.array([names.get(i, i) for i in scores.segment_ids]),
    )
    framed = framed.assign(segment_id=framed["segment_id"].replace(names))
    items = dataclasses.replace(
        strong_items(scores, framed), label_frame_seconds=2.0
    )
    table = worst_items(items, "strong")
    assert set(table.loc[table["segment_id"] == "c_0", "url"]) == {""}
    if not url:
        assert set(table["url"]) == {""}
        return
    alarm = table[table["segment_id"] == "--BfvyPmVMo_31500"].iloc[0]
    assert (alarm["label_frame"], alarm["onset_seconds"]) == (1, 2.0)
    # 31.5 s, and 2 s into the clip.
    address = "https://www.youtube.com/watch?v=--BfvyPmVMo&t=33s"
    assert alarm["url"] == address
    assert table["url"].str.contains(url, regex=False).any()


def slow_errors(items):
    """Every error of every item, by the definition."""
    rows = []
    for column, mid in enumerate(items.mids.tolist()):
        scores = items.scores[:, column].astype(float)
        for item, score in enumerate(scores):
            if items.is_negative[item, column]:
                others = scores[items.is_positive[:, column]]
                wrong = (others < score).sum()
                kind = "false alarm"
            elif items.is_positive[item, column]:
                others = scores[items.is_negative[:, column]]
                wrong = (others > score).sum()
                kind = "miss"
            else:
                continue
            wrong = wrong + 0.5 * (others == score).sum()
            clip = items.segment_ids[items.clip_of_item[item]]
            error = wrong / (others.size + 1)
            rows.append((kind, mid, clip, score, error, others.size))
    return pd.DataFrame(
        rows, columns=["kind", "mid", "segment_id", "score", "error", "n"]
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("evaluation", ["strong", "weak"])
def test_errors_against_the_definition(evaluation, dtype):
    weak, framed, strong = random_labels(50, 40, seed=3)
    score_file = random_scores(strong, 1.0, 4)
    score_file = dataclasses.replace(
        score_file, scores=score_file.scores.astype(dtype)
    )
    if evaluation == "strong":
        items = strong_items(score_file, framed, "implied")
    else:
        items = weak_items(score_file, weak)
    found = worst_items(items, evaluation)
    slow = slow_errors(items).sort_values("error", ascending=False)
    of_clip = slow.drop_duplicates(["kind", "mid", "segment_id"])
    of_class = of_clip.groupby(["kind", "mid"], sort=False).head(3)
    for kind in ("false alarm", "miss"):
        errors = of_class[of_class["kind"] == kind]["error"].head(15)
        mine = found[found["kind"] == kind]
        np.testing.assert_allclose(mine["error"], errors)
        assert mine.groupby("mid").size().max() <= 3
        assert not mine.duplicated(["mid", "segment_id"]).any()
        # Each listed one is what it says.
        merged = mine.merge(slow, on=["kind", "mid", "segment_id", "score"])
        assert len(merged) >= len(mine)
        np.testing.assert_allclose(merged["error_x"], merged["error_y"])
        assert (merged["num_others"] == merged["n"]).all()


def test_no_errors_are_an_empty_table():
    items = strong_items(hand_score_file(), hand_framed())
    scores = np.where(items.is_positive, 1.0, 0.0).astype(np.float32)
    table = worst_items(dataclasses.replace(items, scores=scores), "strong")
    assert tuple(table.columns) == COLUMNS
    assert table.empty


# --- Two systems -------------------------------------------------------------

SETTINGS = ResamplingSettings(num_resamples=50, seed=7, level=0.9)


@pytest.fixture(scope="module")
def pair():
    """Items of two systems."""
    _, framed, strong = random_labels(30, 6)
    return [
        strong_items(random_scores(strong, s, int(9 * s)), framed)
        for s in (1.5, 1.0)
    ]


def details_of(ours, *baseline, **settings):
    settings = dataclasses.replace(SETTINGS, **settings)
    return detail_items(
        ours, "strong", "explicit", *baseline, settings=settings
    )


def test_intervals_are_those_of_the_items(pair):
    details = details_of(*pair)
    # The same resamples serve both, and are those of the functions themselves.
    options = {"num_resamples": 50, "seed": 7, "level": 0.9}
    for mine, own in (
        (details.intervals, own_intervals(pair[0], **options)),
        (details.baseline_intervals, own_intervals(pair[1], **options)),
        (details.paired, paired_intervals(*pair, **options)),
    ):
        for name in ("d_prime", "lwlrap", "mean_average_precision"):
            assert mine.overall[name] == own.overall[name]
    assert details.not_paired_reason == ""
    alone = details_of(pair[0])
    lwlrap = alone.intervals.overall["lwlrap"]
    assert lwlrap == details.intervals.overall["lwlrap"]
    assert alone.paired is alone.baseline_curves is None


def test_without_resamples_there_are_no_intervals(pair):
    details = details_of(*pair, num_resamples=0)
    assert details.intervals is details.paired is None
    mids = pair[0].mids.tolist()
    assert set(details.curves.roc) == set(mids)
    ours = details.curves.roc[mids[2]]
    theirs = details.baseline_curves.roc[mids[2]]
    assert not np.array_equal(ours, theirs)
    assert len(details.worst) > 0
    with pytest.raises(InputError, match="at least 19"):
        details_of(pair[0], num_resamples=5)


def test_other_items_are_not_paired(pair):
    _, framed, strong = random_labels(30, 6)
    theirs = random_scores(strong, 1.0, 9)
    fewer = make_score_file(
        theirs.scores[1:], theirs.segment_ids[1:].tolist(), theirs.mids.tolist()
    )
    details = details_of(pair[0], strong_items(fewer, framed))
    assert details.paired is None
    assert "compared on the same items" in details.not_paired_reason
    assert details.baseline_intervals.num_clips == 29
