"""Event metrics against sed_scores_eval and by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from audioset_strong.errors import InputError
from audioset_strong.evaluation import events as events_module
from audioset_strong.evaluation.events import (
    F1Params,
    PsdsParams,
    make_event_truth,
    merge_overlapping,
    score_events,
)
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.labels.clips import make_clips_table

_EXTRA = "pip install '.[psds]'"


@pytest.mark.parametrize(
    ("lacks", "advice"),
    [
        ("sed_scores_eval", "pip install '.[psds]'"),
        # It is there, and what it is built on lacks a part of setuptools.
        ("pkg_resources", "pip install 'setuptools<81'"),
    ],
)
def test_what_is_not_installed_is_said(monkeypatch, lacks, advice):
    def import_module(_):
        raise ModuleNotFoundError(f"No module named {lacks!r}", name=lacks)

    monkeypatch.setattr(events_module.importlib, "import_module", import_module)
    with pytest.raises(InputError, match="found no module") as error:
        events_module.import_library()
    assert str(error.value).endswith(f"{lacks}. Install it: {advice}.")


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
        "class_not_evaluated": 1,
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


def test_protocols_choose_classes_and_drop_clips():
    strong = strong_table(
        ("a_0", 0, 2, "/m/x"), ("b_0", 0, 2, "/m/y"), ("b_0", 0, 2, "/m/gone")
    )
    scored = ["a_0", "b_0", "e_0"], ["/m/x", "/m/y", "/m/z"]
    clips = _clips(a_0=10, b_0=10, e_0=10)
    truth = make_event_truth(strong, *scored, clips, {"/m/x", "/m/z"})
    assert truth.mids == ("/m/x",)
    assert truth.segment_ids == ("a_0", "b_0", "e_0")
    assert truth.mids_not_scored == ()
    assert truth.events_left_out["class_not_evaluated"] == 2
    dropped = make_event_truth(strong, *scored, clips, {"/m/x"}, True)
    assert dropped.segment_ids == ("a_0",)
    assert dropped.num_clips_dropped == 2


_HOP = 0.4
_MIDS = ["/m/x", "/m/y", "/m/z"]


def _simulated(seed, num_clips=12, rate=0.3, levels=None):
    """Random scores and events, clips of 5 to 10 frames."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, 11, num_clips)
    values = rng.random((counts.sum(), 3)).astype(np.float32)
    ids = [f"c{i}_0" for i in range(num_clips)]
    rows = [("c0_0", 0.1, 0.9, mid) for mid in _MIDS]
    for clip, count in zip(ids, counts, strict=True):
        for column, mid in enumerate(_MIDS):
            onset = 1.1
            while rng.random() < rate and onset < (count - 2) * _HOP:
                offset = onset + rng.integers(100, 900) / 1000
                rows.append((clip, onset, offset, mid))
                start = int(counts[: ids.index(clip)].sum())
                frames = np.arange(count) * _HOP
                is_inside = (frames > onset - _HOP) & (frames < offset)
                values[start : start + count, column] += is_inside
                onset = offset + 0.3
    if levels:
        values = np.round(values * levels) / np.float32(levels)
    scores = NativeScores(
        segment_ids=np.array(ids),
        mids=np.array(_MIDS),
        scores=values,
        num_frames=counts,
        frame_seconds=_HOP,
        audio_seconds=counts * _HOP,
    )
    clips = make_clips_table(ids, (counts * _HOP).tolist(), ids)
    return scores, make_event_truth(strong_table(*rows), ids, _MIDS, clips)


def _library_inputs(scores, truth, masks=False, median_frames=1):
    """What sed_scores_eval is given for the same."""
    events = {clip: [] for clip in truth.segment_ids}
    for clip, onset, offset, mid in truth.events.itertuples(index=False):
        events[clip].append((onset, offset, mid))
    tables, seconds = {}, {}
    for row, clip in enumerate(truth.segment_ids):
        values = scores.of_clip(row).astype(float)
        for column, mid in enumerate(_MIDS):
            if masks and mid not in {event[2] for event in events[clip]}:
                values[:, column] = 0
        values = ndimage.median_filter(values, (median_frames, 1))
        edges = scores.edges_seconds(row)
        tables[clip] = events_module._WritableFrame(
            np.column_stack([edges[:-1], edges[1:], values]),
            columns=["onset", "offset", *_MIDS],
        )
        seconds[clip] = float(scores.audio_seconds[row])
    return tables, events, seconds


_INTERSECTION = {"dtc_threshold": 0.3, "gtc_threshold": 0.3}
_COLLAR = {"onset_collar": 0.4, "offset_collar": 0.4, "offset_collar_rate": 0.2}


# 12 clips are 36 s: 500 false alarms an hour are 5 of them.
@pytest.mark.parametrize("max_efpr", [100.0, 500.0, 3000.0])
@pytest.mark.parametrize(
    ("seed", "options", "masks", "median_frames"),
    [
        (0, {}, False, 1),
        (1, {"levels": 6}, False, 1),
        (2, {"rate": 0.05, "num_clips": 30}, False, 1),
        (3, {"rate": 0.1, "num_clips": 30, "levels": 4}, True, 1),
        (4, {}, False, 3),
    ],
)
def test_all_is_as_in_the_library(
    seed, options, masks, median_frames, max_efpr
):
    library = pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    scores, truth = _simulated(seed, **options)
    metrics = {
        "psds": PsdsParams(max_efpr=max_efpr),
        "loose": PsdsParams(
            dtc_threshold=0.3,
            gtc_threshold=0.2,
            alpha_st=0.5,
            max_efpr=max_efpr,
        ),
        "intersection": F1Params(
            matching="intersection", criteria=_INTERSECTION
        ),
        "collar": F1Params(
            matching="collar", criteria=_COLLAR, average="all together"
        ),
    }
    if not masks:
        metrics["crossed"] = PsdsParams(
            dtc_threshold=0.1,
            gtc_threshold=0.1,
            cttc_threshold=0.3,
            alpha_ct=0.5,
            max_efpr=max_efpr,
        )
    frames = dict.fromkeys(_MIDS, median_frames)
    values, table = score_events(scores, truth, metrics, frames, masks)
    inputs = _library_inputs(scores, truth, masks, median_frames)
    for name, metric in metrics.items():
        if isinstance(metric, PsdsParams):
            expected, of_class, *_ = library.intersection_based.psds(
                *inputs, **metric.arguments()
            )
            expected_column = [of_class[mid] for mid in _MIDS]
            np.testing.assert_allclose(table[name], expected_column, atol=1e-12)
        else:
            module = getattr(library, f"{metric.matching}_based")
            f1, *_ = module.fscore(*inputs[:2], 0.5, **metric.criteria)
            expected = f1[
                "micro_average" if name == "collar" else "macro_average"
            ]
        assert values[name] == pytest.approx(expected, abs=1e-12), name
    # Some detector is worth something, or all of this says little.
    assert max_efpr < 3000 or values["loose"] > 0.05


def test_float16_is_as_good():
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    scores, truth = _simulated(1, levels=8)  # Eighths are exact in float16.
    half = dataclasses.replace(scores, scores=scores.scores.astype(np.float16))
    metrics = {"psds": PsdsParams(max_efpr=900.0)}
    frames = dict.fromkeys(_MIDS, 3)
    expected = score_events(scores, truth, metrics, frames)[0]
    assert score_events(half, truth, metrics, frames)[0] == expected


def test_processes_give_what_one_gives(monkeypatch):
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    scores, truth = _simulated(5)
    monkeypatch.setattr(events_module, "_MANY_FRAMES", 0)
    monkeypatch.setattr(events_module, "_CLASSES_AT_ONCE", 1)
    metrics = {"psds": PsdsParams(max_efpr=900.0)}
    frames = dict.fromkeys(_MIDS, 1)
    one, table = score_events(scores, truth, metrics, frames)
    two, of_two = score_events(scores, truth, metrics, frames, num_jobs=2)
    assert one == two
    pd.testing.assert_frame_equal(table, of_two)


# Two clips of an hour of ten frames: one false alarm is half of one an hour.
_FRAME = 360.0


def _hours(scores, strong, clips=None, **params):
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    num_clips, _, num_classes = scores.shape
    ids = [f"c{i}" for i in range(num_clips)]
    native = NativeScores(
        segment_ids=np.array(ids),
        mids=np.array(_MIDS[:num_classes]),
        scores=scores.reshape(-1, num_classes),
        num_frames=np.full(num_clips, 10),
        frame_seconds=_FRAME,
        audio_seconds=np.full(num_clips, 3600.0),
    )
    truth = make_event_truth(strong, ids, _MIDS[:num_classes], clips)
    return score_events(
        native,
        truth,
        {"psds": PsdsParams(**params)},
        dict.fromkeys(truth.mids, 1),
    )


def _two_clips():
    scores = np.full((2, 10, 2), 0.1)
    scores[0, 0, 0], scores[0, 5, 0], scores[1, 2, 0] = 0.9, 0.6, 0.3
    scores[0, 3, 1] = scores[1, 7, 1] = 0.8
    strong = strong_table(
        *(
            (clip, frame * _FRAME, (frame + 1) * _FRAME, mid)
            for clip, frame, mid in [
                ("c0", 0, "/m/x"),
                ("c1", 2, "/m/x"),
                ("c0", 3, "/m/y"),
                ("c1", 7, "/m/y"),
            ]
        )
    )
    return scores, strong


def test_psds_by_hand():
    # x finds 1 of 2 events without a false alarm, and both at one in two hours;
    # y finds both without. Of one an hour at most: .5 for half of it, then 1.
    values, table = _hours(*_two_clips(), max_efpr=1.0)
    assert table["psds"].tolist() == pytest.approx([0.75, 1.0])
    assert table["num_events"].tolist() == [2, 2]
    assert values["psds"] == pytest.approx(0.875)
    # Both: mean .75 less deviation .25, then 1.
    values, _ = _hours(*_two_clips(), max_efpr=1.0, alpha_st=1.0)
    assert values["psds"] == pytest.approx(0.5 * 0.5 + 0.5 * 1.0)
    # Up to 100 an hour; .5 of an hour of 100 at .5, then 1.
    values, _ = _hours(*_two_clips(), alpha_st=1.0)
    assert values["psds"] == pytest.approx(0.9975)


def test_false_alarms_in_clips_without_events_count_by_their_length():
    scores, strong = _two_clips()
    empty = np.zeros((2, 10, 2))
    empty[0, 0, 0] = 0.95  # Higher than all.
    scores = np.concatenate([scores, empty])
    listed = _clips(c0=3600.0, c1=3600.0, c2=3600.0, c3=3600.0)
    # Four hours. x: a false alarm before any event, 1 of 2 events at .25 an
    # hour, both at .5.
    _, table = _hours(scores, strong, listed, max_efpr=1.0)
    assert table["psds"].tolist() == pytest.approx([0.25 * 0.5 + 0.5, 1.0])
    # Without a list nobody knows that they are empty.
    _, table = _hours(scores, strong, max_efpr=1.0)
    assert table["psds"].tolist() == pytest.approx([0.75, 1.0])


def test_a_model_that_hears_events_in_empty_clips_has_no_psds():
    # Each of 5 empty clips has its false alarm, 1 an hour, before any event.
    scores = np.zeros((7, 10, 1))
    scores[:2, 4, 0], scores[2:, 4, 0] = 0.7, 0.95
    strong = strong_table(
        ("c0", 4 * _FRAME, 5 * _FRAME, "/m/x"),
        ("c1", 4 * _FRAME, 5 * _FRAME, "/m/x"),
    )
    clips = _clips(**{f"c{i}": 3600.0 for i in range(7)})
    assert _hours(scores, strong, clips, max_efpr=0.7)[0]["psds"] == 0
    assert _hours(scores, strong, max_efpr=0.7)[0]["psds"] == 1


def _f1(scores, strong, **params):
    """The F1 of `_two_clips` and others like it, by class."""
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    native = NativeScores(
        segment_ids=np.array(["c0", "c1"]),
        mids=np.array(_MIDS[:2]),
        scores=scores.reshape(-1, 2),
        num_frames=np.full(2, 10),
        frame_seconds=_FRAME,
        audio_seconds=np.full(2, 3600.0),
    )
    truth = make_event_truth(strong, ["c0", "c1"], _MIDS[:2])
    metrics = {
        "intersection": F1Params(
            matching="intersection",
            criteria={"dtc_threshold": 0.5, "gtc_threshold": 0.5},
            **params,
        ),
        "collar": F1Params(
            matching="collar",
            criteria={
                "onset_collar": 60.0,
                "offset_collar": 60.0,
                "offset_collar_rate": 0.0,
            },
            **params,
        ),
    }
    frames = dict.fromkeys(truth.mids, 1)
    return score_events(native, truth, metrics, frames)


def test_a_threshold_counts_itself_or_not():
    scores, strong = _two_clips()
    scores = scores.astype(np.float32)
    threshold = float(np.float32(0.6))
    # From .6 on x finds 1 of 2 with 1 false alarm, F1 .5; y has 1.
    values, table = _f1(
        scores, strong, threshold=threshold, counts_threshold=True
    )
    for name in ("intersection", "collar"):
        assert table[name].tolist() == pytest.approx([0.5, 1.0])
        assert values[name] == pytest.approx(0.75)
    # Above it x has no false alarm.
    _, table = _f1(scores, strong, threshold=threshold)
    assert table["intersection"].iloc[0] == pytest.approx(2 / 3)
    # float32 holds .7 as less than .7, which is not taken for it.
    scores[0, 0, 0] = 0.7
    _, table = _f1(scores, strong, threshold=0.7, counts_threshold=True)
    assert table["intersection"].iloc[0] == 0
    # Together: 3 found, 1 false alarm, 4 events.
    values, _ = _f1(*_two_clips(), threshold=0.5, average="all together")
    assert values["collar"] == pytest.approx(6 / 8)
    # A threshold of each class.
    _, table = _f1(*_two_clips(), threshold={"/m/x": 0.2, "/m/y": 0.9})
    assert table["intersection"].tolist() == pytest.approx([0.8, 0])


def test_collar_and_intersection_differ_where_edges_do():
    scores, _ = _two_clips()
    # It begins 59 s and ends 61 s after the frame: 10 % of it is outside.
    strong = strong_table(
        ("c0", 59.0, 360.0 + 61.0, "/m/x"),
        ("c0", 3 * _FRAME, 4 * _FRAME, "/m/y"),
    )
    _, table = _f1(scores, strong, threshold=0.7)
    assert table["collar"].tolist() == pytest.approx([0.0, 1.0])
    assert table["intersection"].tolist() == pytest.approx([1.0, 1.0])


def test_too_many_cross_triggers_are_refused(monkeypatch):
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    monkeypatch.setattr(events_module, "_MOST_CROSS_TRIGGERS", 10)
    scores, truth = _simulated(0)
    crossed = PsdsParams(cttc_threshold=0.3, alpha_ct=0.5)
    with pytest.raises(InputError, match="found 12 clips and 3 classes"):
        score_events(scores, truth, {"psds": crossed}, dict.fromkeys(_MIDS, 1))


def test_a_threshold_of_every_class_is_needed():
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    scores, truth = _simulated(0)
    lacking = F1Params(
        matching="collar", criteria=_COLLAR, threshold={"/m/x": 0.5}
    )
    with pytest.raises(InputError, match="none of 2: /m/y, /m/z"):
        score_events(scores, truth, {"f1": lacking}, dict.fromkeys(_MIDS, 1))
