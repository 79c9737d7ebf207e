"""Segment metrics against scikit-learn, sed_scores_eval and by hand."""

import inspect

import numpy as np
import pandas as pd
import pytest

from audioset_strong.evaluation.events import make_event_truth
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.segments import (
    SegmentParams,
    partial_auc,
    pool_segments,
    score_segments,
)
from audioset_strong.labels.clips import make_clips_table

_MIDS = ["/m/x", "/m/y"]


def test_partial_auc_by_hand():
    # Ranks, best first: + - + - -. Rates (0, 1/2), (1/3, 1/2), (1/3, 1), ...
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    is_positive = np.array([True, False, True, False, False])
    assert partial_auc(scores, is_positive) == pytest.approx(5 / 6)
    assert partial_auc(scores, is_positive, 1 / 3) == pytest.approx(1 / 2)
    assert partial_auc(scores, is_positive, 0.5) == pytest.approx(
        (1 / 6 + 1 / 6) / 0.5
    )
    # All equal: a straight line, or nothing until the last.
    equal = np.zeros(5)
    assert partial_auc(equal, is_positive, 0.1) == pytest.approx(0.05)
    assert partial_auc(equal, is_positive, 0.1, "stairs") == 0
    assert np.isnan(partial_auc(equal, np.ones(5, bool)))
    assert np.isnan(partial_auc(equal, np.zeros(5, bool)))


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("max_fpr", [0.01, 0.1, 0.35, 1.0])
def test_partial_auc_is_that_of_scikit_learn(decimals, max_fpr):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn")
    rng = np.random.default_rng(decimals)
    is_positive = rng.random(700) < 0.15
    scores = np.round(rng.random(700) + 0.4 * is_positive, decimals)
    area = partial_auc(scores, is_positive, max_fpr)
    # McClish: chance, max_fpr / 2 here, becomes 0.5.
    chance = max_fpr / 2 if max_fpr < 1 else 0.5
    corrected = 0.5 * (1 + (area - chance) / (1 - chance))
    expected = metrics.roc_auc_score(is_positive, scores, max_fpr=max_fpr)
    assert (area if max_fpr == 1 else corrected) == pytest.approx(expected)


def test_frames_become_segments():
    frames = np.array([[0.1, 0.9, 0.2, 0.4], [0.0, 0.0, 1.0, 0.0]])
    # The second frame lies in both segments, the last is cut at the end.
    edges = np.array([0.0, 0.8, 1.6, 2.4, 2.5])
    segments = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    pooled = pool_segments(frames, edges, segments, "max", lowest=-1.0)
    assert pooled.tolist() == [[0.9, 0.9, 0.4, -1.0], [0.0, 1.0, 1.0, -1.0]]
    pooled = pool_segments(frames, edges, segments, "mean", lowest=-1.0)
    np.testing.assert_allclose(
        pooled,
        [
            [0.8 * 0.1 + 0.2 * 0.9, 0.6 * 0.9 + 0.4 * 0.2, 0.24, -1],
            [0, 0.4, 0.8, -1],
        ],
    )


def _simulated(hop, seed, levels=None):
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, 40, 30)
    values = rng.random((counts.sum(), 2)).astype(np.float32)
    if levels:
        values = np.round(values * levels) / np.float32(levels)
    ids = [f"c{i}_0" for i in range(30)]
    seconds = counts * hop
    rows = [
        (clip, onset, min(onset + 0.7, length), mid)
        for clip, length in zip(ids, seconds.tolist(), strict=True)
        for mid in _MIDS
        if rng.random() < 0.5
        for onset in [round(rng.random() * length * 0.9, 3)]
    ]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    strong = pd.DataFrame(rows, columns=columns)
    scores = NativeScores(
        segment_ids=np.array(ids),
        mids=np.array(_MIDS),
        scores=values,
        num_frames=counts,
        frame_seconds=hop,
        audio_seconds=seconds,
    )
    clips = make_clips_table(ids, seconds.tolist(), ids)
    return scores, make_event_truth(strong, ids, _MIDS, clips)


@pytest.mark.parametrize("hop", [0.04, 0.24, 0.96, 1.3])
@pytest.mark.parametrize("levels", [None, 5])
def test_segments_are_as_in_the_library(monkeypatch, hop, levels):
    library = pytest.importorskip(
        "sed_scores_eval", reason="pip install '.[psds]'"
    )
    _sort_stably(monkeypatch)
    scores, truth = _simulated(hop, seed=round(100 * hop), levels=levels)
    metrics = {
        "auroc": SegmentParams(curve="stairs"),
        "pauroc": SegmentParams(curve="stairs", max_fpr=0.1),
        "other": SegmentParams(
            curve="stairs", max_fpr=0.3, segment_seconds=0.7
        ),
    }
    values, table = score_segments(
        scores, truth, metrics, dict.fromkeys(_MIDS, 1)
    )
    events = {clip: [] for clip in truth.segment_ids}
    for clip, onset, offset, mid in truth.events.itertuples(index=False):
        events[clip].append((onset, offset, mid))
    tables, seconds = {}, {}
    for row, clip in enumerate(truth.segment_ids):
        edges = scores.edges_seconds(row)
        tables[clip] = pd.DataFrame(
            np.column_stack([edges[:-1], edges[1:], scores.of_clip(row)]),
            columns=["onset", "offset", *_MIDS],
        )
        seconds[clip] = float(scores.audio_seconds[row])
    for name, metric in metrics.items():
        expected, _ = library.segment_based.auroc(
            tables,
            events,
            seconds,
            segment_length=metric.segment_seconds,
            max_fpr=metric.max_fpr if metric.max_fpr < 1 else None,
        )
        assert values[name] == pytest.approx(expected["mean"], abs=1e-12)
        assert table[name].tolist() == pytest.approx(
            [expected[mid] for mid in _MIDS], abs=1e-12
        )


def _sort_stably(monkeypatch):
    """Mends one line of the library.

    It sorts points that have the same false positive rate in any order, as
    `np.argsort` is not stable, and then takes any of them for the last.
    """
    curves = pytest.importorskip("sed_scores_eval.base_modules.curves")
    roc = pytest.importorskip("sed_scores_eval.base_modules.roc")
    for name in ("staircase_auc", "linear_auc"):
        if hasattr(roc, name):
            source = inspect.getsource(getattr(curves, name))
            mended = dict(vars(curves))
            exec(source.replace("(x)", "(x, kind='stable')", 1), mended)
            monkeypatch.setattr(roc, name, mended[name])


def test_a_class_without_negatives_has_no_part_in_the_mean():
    scores = NativeScores(
        segment_ids=np.array(["a_0", "b_0"]),
        mids=np.array(_MIDS),
        scores=np.array([[0.9, 0.9], [0.1, 0.5], [0.2, 0.5], [0.1, 0.5]]),
        num_frames=np.array([2, 2]),
        frame_seconds=1.0,
        audio_seconds=np.array([2.0, 2.0]),
    )
    strong = pd.DataFrame(
        {
            "segment_id": ["a_0", "a_0", "b_0"],
            "onset_seconds": 0.0,
            "offset_seconds": [1.0, 2.0, 2.0],
            "mid": ["/m/x", "/m/y", "/m/y"],
        }
    )
    truth = make_event_truth(strong, ["a_0", "b_0"], _MIDS)
    values, table = score_segments(
        scores, truth, {"auroc": SegmentParams()}, dict.fromkeys(_MIDS, 1)
    )
    assert values["auroc"] == 1
    assert table["num_positives"].tolist() == [1, 4]
    assert table["num_negatives"].tolist() == [3, 0]
    assert np.isnan(table["auroc"].iloc[1])
