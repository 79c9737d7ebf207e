"""Event-based metrics against sed_scores_eval and by hand."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from eval_examples import X, Y, Z, make_score_file
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.evaluation.events import (
    EventScoreParams,
    EventScores,
    _WritableFrame,
    make_event_truth,
    merge_overlapping,
    psds_scores,
)
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.clips import (
    make_clips_table,
    write_annotated_clips,
)
from audioset_strong.labels.label_files import write_strong_labels


def strong_table(*rows):
    """Strong table of (segment_id, onset, offset, mid)."""
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"onset_seconds": float, "offset_seconds": float})


def _rows(table):
    return [tuple(row) for row in table.to_numpy()]


def test_overlapping_and_touching_events_of_a_class_are_one():
    merged = merge_overlapping(
        strong_table(
            ("a_0", 5, 6, "/m/x"),  # touches the next
            ("a_0", 6, 7, "/m/x"),
            ("a_0", 0, 4, "/m/x"),  # holds the next two
            ("a_0", 1, 2, "/m/x"),
            ("a_0", 3, 4.5, "/m/x"),
            ("a_0", 3, 4, "/m/y"),
            ("b_0", 4, 5, "/m/x"),
        )
    )
    assert _rows(merged) == [
        ("a_0", 0.0, 4.5, "/m/x"),
        ("a_0", 5.0, 7.0, "/m/x"),
        ("a_0", 3.0, 4.0, "/m/y"),
        ("b_0", 4.0, 5.0, "/m/x"),
    ]


def test_times_are_compared_as_milliseconds():
    # .1 + .2 is a little more than .3.
    merged = merge_overlapping(
        strong_table(("a_0", 0, 0.3, "/m/x"), ("a_0", 0.1 + 0.2, 1, "/m/x"))
    )
    assert _rows(merged) == [("a_0", 0.0, 1.0, "/m/x")]


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a_0", "b_0"]),
        st.integers(0, 20),
        st.integers(1, 6),
        st.sampled_from(["/m/x", "/m/y"]),
    ),
    min_size=1,
    max_size=14,
)


@settings(deadline=None, max_examples=50)
@given(_EVENTS)
def test_merging_keeps_every_second_and_parts_all_events(events):
    # On a grid of seconds: which are covered, by clip and class.
    def covered(rows):
        return {
            (clip, mid, second)
            for clip, onset, offset, mid in rows
            for second in range(int(onset), int(offset))
        }

    rows = [(clip, on, on + length, mid) for clip, on, length, mid in events]
    merged = _rows(merge_overlapping(strong_table(*rows)))
    assert covered(merged) == covered(rows)
    for clip, onset, _, mid in merged:
        assert (clip, mid, int(onset) - 1) not in covered(rows)
    seconds = sum(offset - onset for _, onset, offset, _ in merged)
    assert seconds == len(covered(rows))


def test_what_is_left_out_is_counted_and_listed():
    truth = make_event_truth(
        strong_table(
            ("a_0", 0, 2, "/m/x"),
            ("a_0", 1, 3, "/m/x"),  # merged
            ("a_0", 1, 1, "/m/y"),  # no length
            ("a_0", 0, 2, "/m/new"),
            ("gone_0", 0, 2, "/m/x"),
        ),
        scored_clips=["e_0", "a_0"],
        scored_mids=["/m/y", "/m/x"],
    )
    assert truth.segment_ids == ("a_0",)
    assert truth.mids == ("/m/x",)
    assert _rows(truth.events) == [("a_0", 0.0, 3.0, "/m/x")]
    assert truth.num_events_merged == 1
    assert truth.clips_not_scored == ("gone_0",)
    assert truth.clips_without_labels == ("e_0",)
    assert truth.mids_not_scored == ("/m/new",)
    assert truth.mids_without_events == ("/m/y",)
    assert truth.events_left_out == {
        "clip_not_evaluated": 1,
        "class_not_scored": 1,
        "no_length": 1,
    }


def _clips(**seconds):
    ids = list(seconds)
    return make_clips_table(ids, list(seconds.values()), ids)


def test_clips_can_be_labelled_without_an_event():
    truth = make_event_truth(
        strong_table(("a_0", 0, 2, "/m/x"), ("b_0", 0, 2, "/m/x")),
        scored_clips=["e_0", "a_0", "b_0", "unknown_0"],
        scored_mids=["/m/x"],
        clips=_clips(a_0=10, b_0=7, e_0=4, gone_0=10),
    )
    assert truth.segment_ids == ("e_0", "a_0", "b_0")
    assert truth.clips_without_events == ("e_0",)
    assert truth.clips_without_labels == ("unknown_0",)
    assert truth.clips_not_scored == ("gone_0",)
    with pytest.raises(InputError, match="of 2; 1 are not: 'b_0'"):
        make_event_truth(
            strong_table(("a_0", 0, 2, "/m/x"), ("b_0", 0, 2, "/m/x")),
            ["a_0"],
            ["/m/x"],
            _clips(a_0=10, e_0=10),
        )


def test_nothing_in_common_is_an_error():
    with pytest.raises(InputError, match="found none among 1 events, 1 scored"):
        make_event_truth(strong_table(("a_0", 0, 2, "/m/x")), ["b_0"], ["/m/x"])
    with pytest.raises(InputError, match="such as none"):
        make_event_truth(strong_table(("a_0", 0, 2, "/m/x")), [], ["/m/x"])


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


def test_false_alarms_in_clips_without_events_count_by_their_length():
    scores = np.concatenate([_scores().scores, np.zeros((3, 10, 3))])
    # Higher than all. The clip of 2 s has two label frames, the score in its
    # fourth is of padding; of `unknown` nobody knows what it holds.
    scores[2, 0, 0] = scores[3, 3, 0] = scores[4, 0, 0] = 0.95
    scores = make_score_file(
        scores.astype(np.float32),
        ["a_0", "b_0", "long", "brief", "unknown"],
        [X, Y, Z],
    )
    listed = _clips(brief=2.0, b_0=3600, long=7200.0, a_0=3598, missing=9)
    result = _psds(scores, params=EventScoreParams(max_efpr=1.0), clips=listed)
    assert result.truth.segment_ids == ("a_0", "b_0", "long", "brief")
    assert result.truth.clips_without_labels == ("unknown",)
    assert result.truth.clips_not_scored == ("missing",)
    # Four hours. x: a false alarm before any event, 1 of 2 events at .25 an
    # hour, both at .5.
    assert result.audio_seconds == 4 * 3600
    assert result.per_class["psds"].tolist() == pytest.approx(
        [0.25 * 0.5 + 0.5 * 1.0, 1.0]
    )
    # At .7: x finds 1 of 2, with the false alarm.
    result = _psds(scores, clips=listed, thresholds=0.7)
    assert result.per_class["intersection_f1"].tolist() == pytest.approx(
        [2 / 4, 1.0]
    )
    assert "in 4 clips (2 without any event), 4.00 hours" in result.lines()[-1]
    # Tables at any rate give the same.
    tables = {
        clip: pd.DataFrame(
            {
                "onset": _FRAME * np.arange(10),
                "offset": _FRAME * np.arange(1, 11),
            }
            | dict(zip([X, Y, Z], scores.scores[row].T, strict=True))
        )
        for row, clip in enumerate(scores.segment_ids.tolist())
    }
    of_tables = _psds(
        {c: t.assign(offset=[*t["onset"][1:], 9.6]) for c, t in tables.items()},
        clips=listed,
        thresholds=0.7,
    )
    pd.testing.assert_frame_equal(
        of_tables.per_class.drop(columns="psds"),
        result.per_class.drop(columns="psds"),
    )


def test_scores_at_the_hop_used_are_taken_as_they_are():
    rng = np.random.default_rng(4)
    # 100 and 42 frames; the last of the second hears 0.16 s.
    counts, seconds = np.array([100, 42]), np.array([24.0, 10.0])
    scores = NativeScores(
        segment_ids=np.array(["a_0", "b_0"]),
        mids=np.array([X, Y, Z]),
        scores=rng.random((142, 3), dtype=np.float32),
        num_frames=counts,
        frame_seconds=0.24,
        audio_seconds=seconds,
    )
    strong = strong_table(
        ("a_0", 20.16, 22.08, X), ("b_0", 9.6, 10.0, X), ("b_0", 1, 2, Y)
    )
    result = _psds(scores, strong)
    assert result.audio_seconds == 34
    tables = {
        clip: pd.DataFrame(
            {
                "onset": 0.24 * np.arange(number),
                "offset": [*(0.24 * np.arange(1, number)), end],
            }
            | dict(zip([X, Y, Z], scores.of_clip(row).T, strict=True))
        )
        for row, (clip, number, end) in enumerate(
            zip(["a_0", "b_0"], counts, seconds, strict=True)
        )
    }
    of_tables = _psds(
        tables,
        strong,
        audio_seconds=dict(zip(["a_0", "b_0"], seconds, strict=True)),
    )
    pd.testing.assert_frame_equal(result.per_class, of_tables.per_class)
    assert result.psds == of_tables.psds
    # A list of clips shortens them.
    brief = _psds(scores, strong, clips=_clips(a_0=24.0, b_0=9.8))
    assert brief.audio_seconds == pytest.approx(33.8)


def test_a_model_that_hears_events_in_empty_clips_has_no_psds():
    rng = np.random.default_rng(3)
    names = [f"event {i}" for i in range(7)] + [f"empty {i}" for i in range(5)]
    scores = np.zeros((12, 10, 1), dtype=np.float32)
    scores[:7, 4, 0], scores[7:, 4, 0] = 0.7 + 0.1 * rng.random(7), 0.95
    scores = make_score_file(scores, names, ["dog"])
    strong = strong_table(
        *((name, 4 * _FRAME, 5 * _FRAME, "dog") for name in names[:7])
    )
    # All events are found, as if nothing else were there.
    assert _psds(scores, strong).psds == 1
    # 5 false alarms in two minutes are 150 an hour, before any event.
    clips = _clips(**dict.fromkeys(names, 10.0))
    assert _psds(scores, strong, clips=clips).psds == 0


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
    monkeypatch.setattr("audioset_strong.evaluation.events._CLASSES_AT_ONCE", 2)
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
        tables, ground_truth, 0.5, **params.f1_arguments()["intersection"]
    )
    assert result.intersection_f1 == pytest.approx(f1["macro_average"])
    assert result.intersection_f1_micro == pytest.approx(f1["micro_average"])
    # The tables themselves are scores too.
    assert _psds(
        {clip: pd.DataFrame(table) for clip, table in tables.items()},
        strong_table(*rows),
        params=params,
    ).psds == pytest.approx(expected)


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


def _table(**changes):
    columns = {"onset": [0.0, 1.0], "offset": [1.0, 2.0], X: [0.5, 0.1]}
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (None, {"thresholds": float("nan")}, "threshold of /m/x, found nan"),
        (None, {"thresholds": {X: 0.5}}, "threshold of /m/y, found None"),
        (None, {"audio_seconds": 0.0}, "length in seconds of a_0, found 0.0"),
        ({}, {}, "Expected a score table for each clip, found none"),
        ({"a_0": pd.DataFrame({X: [1.0]})}, {}, "first onset and offset"),
        ({"a_0": _table(), "b_0": _table(z=1)}, {}, "Received: 2 lists"),
        ({"a_0": _table(onset=[0.0, 1.1])}, {}, "must end where the next"),
        ({"a_0": _table(**{X: [0.5, np.nan]})}, {}, "rows of finite numbers"),
    ],
)
def test_bad_input(scores, options, message):
    with pytest.raises(InputError, match=message):
        _psds(scores, **options)


_ROOT = pathlib.Path(__file__).parents[1]


def _run(tmp_path, *arguments, **environment):
    write_score_file(_scores(), tmp_path / "S.npz")
    write_strong_labels(_strong(), tmp_path / "T.tsv")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.evaluate_events",
            f"--scores={tmp_path / 'S.npz'}",
            f"--strong_labels={tmp_path / 'T.tsv'}",
            f"--output_dir={tmp_path / 'out'}",
            "--num_workers=1",
            *arguments,
        ],
        cwd=_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_extra_it_says_what_to_install(tmp_path):
    # A module of that name that cannot be imported, as if it were not there.
    (tmp_path / "sed_scores_eval.py").write_text(
        "raise ModuleNotFoundError('No module', name=__name__)\n"
    )
    done = _run(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{_ROOT}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("evaluate_events: error: ")
    assert "pip install '.[psds]'" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("sed_scores_eval") is None,
    reason="pip install '.[psds]'",
)
def test_numbers_come_with_their_parameters(tmp_path):
    done = _run(tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "event_scores.txt").read_text()
    assert done.stdout == text
    # Within 20 s one false alarm is 180 an hour, over the 100 that count, so x
    # finds one of its two events and y both: mean 0.75, spread 0.25.
    assert text.startswith("PSDS: 0.5000 (dtc_threshold 0.7, gtc_threshold 0.7")
    assert "alpha_st 1.0" in text
    per_class = pd.read_csv(tmp_path / "out" / "per_class.csv")
    assert per_class["mid"].tolist() == ["/m/x", "/m/y"]
    assert "Left out" not in done.stderr
    # The list says that the clips are longer, and that one is not scored.
    write_annotated_clips(
        _clips(a_0=36.0, b_0=36.0, c_0=36.0), tmp_path / "clips.tsv"
    )
    done = _run(tmp_path, f"--clips={tmp_path / 'clips.tsv'}")
    assert "1 labelled clips are not scored, such as c_0" in done.stderr
    assert "in 2 clips, 0.02 hours" in done.stdout
    # One false alarm is 50 an hour: up to there x finds half of its events.
    psds = pd.read_csv(tmp_path / "out" / "per_class.csv")["psds"]
    assert psds.tolist() == pytest.approx([0.75, 1.0])
