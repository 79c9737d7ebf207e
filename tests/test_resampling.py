import dataclasses

import numpy as np
import pytest
from reference.bootstrap_reference import bootstrap_reference
from simulated_items import random_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation import bootstrap
from audioset_strong.evaluation.bootstrap import draw_clips, resample_classes


def test_draws_are_of_clips_with_repetition():
    ids = np.array([f"c{i}_0" for i in range(200)])
    draws = draw_clips(ids, 300, seed=3)
    assert draws.shape == (300, 200)
    assert (draws.sum(axis=1) == 200).all()
    # A clip is drawn Binomial(200, 1/200) times: variance 199/200.
    assert abs(draws.var() - 199 / 200) < 0.02


def test_draws_belong_to_clips_not_to_rows():
    ids = np.array([f"c{i:02d}_0" for i in range(20)])
    order = np.random.default_rng(0).permutation(20)
    draws = draw_clips(ids, 5, seed=1)
    np.testing.assert_array_equal(
        draw_clips(ids[order], 5, seed=1), draws[:, order]
    )
    np.testing.assert_array_equal(draw_clips(ids, 3, seed=1), draws[:3])
    assert (draw_clips(ids, 5, seed=2) != draws).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("num_values", [None, 3])  # without and with ties
def test_against_literally_repeated_clips(num_values, dtype):
    items = random_items(num_values=num_values, dtype=dtype)
    num_resamples = 70  # more than a block
    resamples = resample_classes(items, num_resamples, seed=4)
    draws = draw_clips(items.segment_ids, num_resamples, seed=4)
    as_it_is = np.ones((1, draws.shape[1]), int)
    results = bootstrap_reference(items, np.concatenate([as_it_is, draws]))
    for row, result in enumerate(results):
        table = result.per_class
        np.testing.assert_array_equal(resamples.aucs[row], table["auc"])
        np.testing.assert_array_equal(
            resamples.num_positives[row], table["num_positives"]
        )
        # Different order of summing only.
        for ours, name in [
            (resamples.average_precisions, "average_precision"),
            (resamples.lwlraps, "lwlrap"),
        ]:
            np.testing.assert_allclose(ours[row], table[name], rtol=1e-12)
    # Class 3 is in one clip only, which many resamples lack; class 4 has no
    # positive in any.
    is_undefined = np.isnan(resamples.aucs)
    assert 0.2 < is_undefined[1:, 3].mean() < 0.6
    assert is_undefined[:, 4].all()


def test_blocks_and_threads_do_not_show(monkeypatch):
    items = random_items(num_values=4)
    whole = resample_classes(items, 50, num_threads=1)
    monkeypatch.setattr(bootstrap, "_BLOCK_RESAMPLES", 16)
    monkeypatch.setattr(bootstrap, "_BLOCK_CLASSES", 2)
    parts = resample_classes(items, 50, num_threads=3)
    for name in ("aucs", "average_precisions", "lwlraps", "num_positives"):
        ours, theirs = getattr(parts, name), getattr(whole, name)
        if name == "aucs":
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


def test_double_weights_where_float32_could_not_count(monkeypatch):
    items = random_items()
    single = resample_classes(items, 20)
    monkeypatch.setattr(bootstrap, "_MAX_COUNT", 1)
    double = resample_classes(items, 20)
    np.testing.assert_array_equal(double.aucs, single.aucs)


def test_order_of_clips_and_classes_does_not_matter():
    items = random_items()
    clips = np.random.default_rng(0).permutation(items.segment_ids.size)
    rows = np.concatenate(
        [np.nonzero(items.clip_of_item == clip)[0] for clip in clips]
    )
    rank_of_clip = np.argsort(clips)
    other = dataclasses.replace(
        items,
        scores=items.scores[rows][:, ::-1],
        is_positive=items.is_positive[rows][:, ::-1],
        is_negative=items.is_negative[rows][:, ::-1],
        clip_of_item=rank_of_clip[items.clip_of_item[rows]],
        segment_ids=items.segment_ids[clips],
        mids=items.mids[::-1],
    )
    ours, theirs = resample_classes(items, 40), resample_classes(other, 40)
    np.testing.assert_array_equal(theirs.aucs[:, ::-1], ours.aucs)
    np.testing.assert_array_equal(theirs.segment_ids, ours.segment_ids)
    np.testing.assert_array_equal(
        theirs.num_labels_of_clip, ours.num_labels_of_clip
    )


def test_lwlrap_over_evaluated_classes_ranks_the_same_ones_in_all():
    items = random_items()
    resamples = resample_classes(items, 40, rank_over="evaluated")
    # Class 4 has no positive, so that it is as if it were not scored.
    part = dataclasses.replace(
        items,
        scores=items.scores[:, :4],
        is_positive=items.is_positive[:, :4],
        is_negative=items.is_negative[:, :4],
        mids=items.mids[:4],
    )
    expected = resample_classes(part, 40)
    np.testing.assert_array_equal(resamples.lwlraps[:, :4], expected.lwlraps)
    assert np.isnan(resamples.lwlraps[:, 4]).all()


def test_bad_arguments():
    with pytest.raises(InputError, match="at least 1. Received: 0"):
        resample_classes(random_items(), 0)
    with pytest.raises(InputError, match="'some'"):
        resample_classes(random_items(), 5, rank_over="some")
    bad = random_items()
    bad.scores[3, 1] = np.nan
    with pytest.raises(InputError, match="must not be NaN"):
        resample_classes(bad, 5)
