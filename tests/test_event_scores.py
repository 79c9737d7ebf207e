"""PSDS and F1 of events by hand; most tests skip without sed_scores_eval.

Two clips, /m/x and /m/y, label frames of 0.96 s. All scores are .1 but for

    /m/x  a 0  .9   an event         /m/y  a 3  .8   an event
          a 5  .6   nothing                b 7  .8   an event
          b 2  .3   an event

and every event fills its label frame.
"""

import sys

import numpy as np
import pandas as pd
import pytest
from eval_examples import X, Y, Z, make_score_file
from test_event_truth import strong_table

from audioset_strong.errors import InputError
from audioset_strong.evaluation.events import (
    EventScoreParams,
    EventScores,
    _WritableFrame,
    make_event_truth,
    psds_scores,
)

_FRAME = 0.96


def _strong():
    return strong_table(
        *(
            (clip, frame * _FRAME, (frame + 1) * _FRAME, mid)
            for clip, frame, mid in [
                ("a_0", 0, X),
                ("b_0", 2, X),
                ("a_0", 3, Y),
                ("b_0", 7, Y),
            ]
        )
    )


def _scores():
    scores = np.full((2, 10, 3), 0.1, dtype=np.float32)
    scores[0, 0, 0], scores[0, 5, 0], scores[1, 2, 0] = 0.9, 0.6, 0.3
    scores[0, 3, 1] = scores[1, 7, 1] = 0.8
    return make_score_file(scores, ["a_0", "b_0"], [X, Y, Z])


def _psds(scores=None, strong=None, **options):
    pytest.importorskip("sed_scores_eval", reason="pip install '.[psds]'")
    return psds_scores(
        _scores() if scores is None else scores,
        _strong() if strong is None else strong,
        **options,
    )


# Two clips of an hour, so that one false alarm is half of one an hour.
_HOURS = {"audio_seconds": 3600.0}


def test_psds_by_hand():
    # x finds 1 of 2 events without a false alarm, and both at one in two hours;
    # y finds both without. Of one an hour at most: .5 for half of it, then 1.
    result = _psds(params=EventScoreParams(max_efpr=1.0), **_HOURS)
    assert result.per_class["mid"].tolist() == [X, Y]
    assert result.per_class["psds"].tolist() == pytest.approx([0.75, 1.0])
    assert result.per_class["num_events"].tolist() == [2, 2]
    # Both: mean .75 less deviation .25, then 1.
    assert result.psds == pytest.approx(0.5 * 0.5 + 0.5 * 1.0)
    assert result.audio_seconds == 7200
    # Without the deviation.
    params = EventScoreParams(max_efpr=1.0, alpha_st=0.0)
    assert _psds(params=params, **_HOURS).psds == pytest.approx(0.875)
    # PSDS1: up to 100 an hour; .5 of an hour of 100 at .5, then 1.
    assert _psds(**_HOURS).psds == pytest.approx(0.9975)


def test_f1_at_a_threshold_that_counts_itself():
    # At .6, exactly: x finds 1 of 2 with 1 false alarm, F1 .5; y has 1.
    threshold = float(np.float32(0.6))
    result = _psds(thresholds=threshold)
    f1 = result.per_class["intersection_f1"].tolist()
    assert f1 == pytest.approx([0.5, 1.0])
    assert result.per_class["collar_f1"].tolist() == pytest.approx(f1)
    assert result.intersection_f1 == pytest.approx(0.75)
    # Together: 3 found, 1 false alarm, 4 events.
    assert result.intersection_f1_micro == pytest.approx(6 / 8)
    assert result.collar_f1_micro == pytest.approx(6 / 8)
    # A little above, x has no false alarm.
    above = _psds(thresholds=np.nextafter(threshold, 1))
    assert above.per_class["intersection_f1"].iloc[0] == pytest.approx(2 / 3)
    # A threshold of each class.
    own = _psds(thresholds={X: 0.2, Y: 0.9, Z: 0.5})
    assert own.per_class["intersection_f1"].tolist() == pytest.approx([0.8, 0])
    assert own.per_class["threshold"].tolist() == [0.2, 0.9]


def test_collar_and_intersection_differ_where_edges_do():
    # The event begins .5 s into the label frame and ends .3 s after it: .46 of
    # .96 s overlap, less than half.
    strong = strong_table(("a_0", 0.5, 1.26, X), ("a_0", 3 * _FRAME, 3.84, Y))
    scores = make_score_file(_scores().scores[:1], ["a_0"], [X, Y, Z])
    result = _psds(scores, strong, thresholds=0.7)
    assert result.per_class["collar_f1"].tolist() == [0, 1]
    assert result.per_class["intersection_f1"].tolist() == [0, 1]
    loose = EventScoreParams(f1_dtc_threshold=0.4, onset_collar=0.6)
    result = _psds(scores, strong, params=loose, thresholds=0.7)
    assert result.per_class["intersection_f1"].iloc[0] == pytest.approx(1)
    assert result.per_class["collar_f1"].iloc[0] == 0  # the offset is off
    looser = EventScoreParams(onset_collar=0.6, offset_collar=0.4)
    result = _psds(scores, strong, params=looser, thresholds=0.7)
    assert result.per_class["collar_f1"].iloc[0] == pytest.approx(1)


def test_blocks_of_classes_give_what_all_at_once_give(monkeypatch):
    library = pytest.importorskip("sed_scores_eval")
    rng = np.random.default_rng(0)
    mids = [f"/m/{i}" for i in range(5)]
    scores = make_score_file(
        rng.random((12, 10, 5), dtype=np.float32), mids=mids
    )
    rows = [
        (clip, frame, frame + 1.5, mid)
        for clip in scores.segment_ids.tolist()
        for mid in mids
        for frame in (1.0, 5.0)
        if rng.random() < 0.5
    ]
    monkeypatch.setattr("audioset_strong.evaluation.events._CLASS_BLOCK", 2)
    params = EventScoreParams(0.3, 0.3, alpha_st=0.2, max_efpr=2000.0)
    result = _psds(scores, strong_table(*rows), params=params)
    ground_truth = {}
    for clip, onset, offset, mid in rows:
        ground_truth.setdefault(clip, []).append((onset, offset, mid))
    edges = np.arange(11) * _FRAME
    tables = {
        str(clip): _WritableFrame(
            np.column_stack([edges[:-1], edges[1:], values]),
            columns=["onset", "offset", *mids],
        )
        for clip, values in zip(scores.segment_ids, scores.scores, strict=True)
        if clip in ground_truth
    }
    expected, per_class, *_ = library.intersection_based.psds(
        tables,
        ground_truth,
        dict.fromkeys(tables, 10.0),
        **params.psds_arguments(),
    )
    assert 0.01 < result.psds == pytest.approx(expected)
    assert result.per_class["psds"].tolist() == pytest.approx(
        [per_class[mid] for mid in mids]
    )
    f1, *_ = library.intersection_based.fscore(
        tables, ground_truth, 0.5, **params.intersection_arguments()
    )
    assert result.intersection_f1 == pytest.approx(f1["macro_average"])
    assert result.intersection_f1_micro == pytest.approx(f1["micro_average"])
    # The tables themselves are scores too.
    assert _psds(
        {clip: pd.DataFrame(table) for clip, table in tables.items()},
        strong_table(*rows),
        params=params,
    ).psds == pytest.approx(expected)


def test_overlapping_events_of_a_class_are_merged():
    # sed_scores_eval alone stops with an AssertionError.
    twice = pd.concat([_strong(), _strong()], ignore_index=True)
    result = _psds(strong=twice, **_HOURS)
    assert result.psds == pytest.approx(0.9975)
    assert result.truth.num_events_merged == 4


def test_short_clips_are_scored_that_far():
    scores = make_score_file(
        _scores().scores, ["a_0", "b_0"], [X, Y, Z], [10, 3]
    )
    # y's event at label frame 7 of b is beyond: 1 of 2 found.
    result = _psds(scores, params=EventScoreParams(max_efpr=1.0), **_HOURS)
    assert result.per_class["psds"].iloc[1] == pytest.approx(0.5)


def test_cross_triggers_cost():
    # The false alarm of x in a 5 lies in an event of y.
    strong = pd.concat(
        [_strong(), strong_table(("a_0", 5 * _FRAME, 6 * _FRAME, Y))],
        ignore_index=True,
    )
    params = {"max_efpr": 2000.0, "alpha_st": 0.0}
    without = _psds(strong=strong, params=EventScoreParams(**params), **_HOURS)
    crossed = EventScoreParams(**params, alpha_ct=0.5)
    result = _psds(strong=strong, params=crossed, **_HOURS)
    assert result.per_class["psds"].iloc[0] < without.per_class["psds"].iloc[0]


def _result(**changes):
    truth = make_event_truth(_strong(), ["a_0", "b_0"], [X, Y])
    values = {
        "psds": 0.5,
        "intersection_f1": 0.25,
        "intersection_f1_micro": 0.375,
        "collar_f1": 0.125,
        "collar_f1_micro": 0.0625,
        "per_class": pd.DataFrame(),
        "params": EventScoreParams(),
        "threshold_text": "0.5",
        "audio_seconds": 5400.0,
        "truth": truth,
        "version": "0.0.4",
    }
    return EventScores(**{**values, **changes})


def test_every_parameter_stands_beside_its_number():
    lines = _result().lines()
    assert lines[0] == (
        "PSDS: 0.5000 (dtc_threshold 0.7, gtc_threshold 0.7, cttc_threshold "
        "none, alpha_ct 0.0, alpha_st 1.0, unit_of_time hour, max_efpr 100.0)"
    )
    assert lines[2] == (
        "Intersection F1, all together: 0.3750 (dtc_threshold 0.5, "
        "gtc_threshold 0.5, threshold 0.5)"
    )
    assert lines[3].startswith("Collar F1, mean of classes: 0.1250 (onset_col")
    assert lines[-1] == (
        "over 4 events (0 overlapped one of their class and were merged) of 2 "
        "classes in 2 clips, 1.50 hours; sed_scores_eval 0.0.4"
    )
    crossed = _result(params=EventScoreParams(alpha_ct=0.5)).lines()[0]
    assert "cttc_threshold 0.3, alpha_ct 0.5" in crossed


def test_missing_extra_is_one_line(monkeypatch):
    # None in sys.modules is what Python has for a module that is not there.
    monkeypatch.setitem(sys.modules, "sed_scores_eval", None)
    with pytest.raises(InputError, match=r"pip install '.\[psds\]'") as raised:
        psds_scores(_scores(), _strong())
    assert "\n" not in str(raised.value)


def _table(**changes):
    columns = {"onset": [0.0, 1.0], "offset": [1.0, 2.0], X: [0.5, 0.1]}
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (None, {"thresholds": float("nan")}, "threshold of /m/x, found nan"),
        (None, {"thresholds": {X: 0.5}}, "threshold of /m/y, found None"),
        (None, {"audio_seconds": 0.0}, "length in seconds of a_0, found 0.0"),
        (None, {"audio_seconds": {"a_0": 10}}, "seconds of b_0, found None"),
        ({}, {}, "Expected a score table for each clip, found none"),
        ({"a_0": pd.DataFrame({X: [1.0]})}, {}, "first onset and offset"),
        ({"a_0": _table(), "b_0": _table(z=1)}, {}, "Received: 2 lists"),
        ({"a_0": _table(onset=[0.0, 1.1])}, {}, "must end where the next"),
        ({"a_0": _table(offset=[0.0, 2.0])}, {}, "must end where the next"),
        ({"a_0": _table(**{X: [0.5, np.nan]})}, {}, "rows of finite numbers"),
    ],
)
def test_bad_input(scores, options, message):
    with pytest.raises(InputError, match=message):
        _psds(scores, **options)
