"""The frame rule: by hand, by rasterisation, and against released frames."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.frame_rule_reference import frame_targets_reference

from audioset_strong.errors import InputError
from audioset_strong.labels import frame_rule
from audioset_strong.labels.clips import make_clips_table
from audioset_strong.labels.frame_rule import (
    Event,
    events_to_frame_targets,
    events_to_label_frames,
    frame_strong_labels,
    is_window_positive,
    num_label_frames_of,
    params_of_length,
    to_milliseconds,
)
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
)
from audioset_strong.params import LabelFrameParams

_SNORING, _MACHINE_GUN = "/m/01d3sd", "/m/04zjc"


def _positive_frames(*events):
    targets = events_to_frame_targets(
        [Event("/m/x", onset, offset) for onset, offset in events], {"/m/x": 0}
    )
    return np.flatnonzero(targets[:, 0]).tolist()


@pytest.mark.parametrize(
    ("events", "frames"),
    [
        ([], []),
        ([(0.0, 10.0)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([(0.96, 1.92)], [1]),  # exactly a frame; touches 0 and 2
        ([(0.0, 0.96)], [0]),
        ([(0.48, 1.44)], [0, 1]),  # 0.48 s in each: half of the window
        ([(0.481, 1.441)], [1]),  # 0.479 s in frame 0
        ([(0.479, 1.439)], [0]),  # 0.479 s in frame 1
        ([(0.0, 1.44)], [0, 1]),  # 0.48 s of a long event
        ([(0.0, 1.439)], [0]),  # 0.479 s of a long event
        ([(0.3, 0.31)], [0]),  # 10 ms inside the window: all of the event
        ([(0.9, 1.02)], [0, 1]),  # 60 ms of 120 in each: 50 %
        ([(0.9, 1.021)], [1]),  # 60 of 121 ms in frame 0: less than 50 %
        ([(0.899, 1.019)], [0]),  # 59 of 120 ms in frame 1
        ([(0.96, 0.961)], [1]),  # one millisecond, at the edge
        ([(0.959, 0.961)], [0, 1]),
        ([(9.6, 10.0)], []),  # never framed
        ([(9.228, 10.0)], []),  # 372 of 772 ms inside: 48 %
        ([(9.2, 10.0)], [9]),  # 400 of 800 ms inside: 50 %
        ([(9.12, 12.0)], [9]),  # 0.48 s, of an event beyond the clip
        ([(0.0, 0.3), (0.3, 0.6)], [0]),
        # Never pooled: 0.3 s each of events that lie mostly elsewhere.
        ([(0.0, 1.26), (1.62, 3.0)], [0, 2]),
        # 0.271 and 0.327 s of the window 4.80-5.76 s, 0.598 in all.
        ([(4.016, 5.071), (5.433, 6.323)], [4, 6]),
    ],
)
def test_frames_by_hand(events, frames):
    assert _positive_frames(*events) == frames


def test_float_times_count_as_milliseconds():
    # In floating point half of the last label frame falls short of 0.48 s.
    assert 9.12 - 8.64 < 0.48
    assert _positive_frames((9.12, 12.0)) == [9]
    assert to_milliseconds([0.48, 4.605, 9.9999]).tolist() == [480, 4605, 10000]


def test_other_classes_do_not_help():
    events = [
        Event("/m/x", 0.0, 0.1),
        Event("/m/y", 2.0, 2.8),
        Event("/m/unmapped", 0.0, 10.0),
    ]
    targets = events_to_frame_targets(events, {"/m/y": 0, "/m/x": 2, "/m/z": 1})
    assert targets.dtype == np.float32
    assert targets.shape == (10, 3)
    assert np.argwhere(targets).tolist() == [[0, 2], [2, 0]]


def test_an_event_of_no_length_is_nowhere():
    # Readers refuse such events; the rule itself must not mark all windows.
    starts = np.arange(10) * 960
    assert not is_window_positive(np.int64(500), np.int64(500), starts).any()


_event_ms = st.tuples(st.integers(0, 9999), st.integers(1, 6000)).map(
    lambda event: (event[0], min(event[0] + event[1], 10000))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_event_ms, max_size=5))
def test_frames_equal_those_of_rasterisation(events_ms):
    events = [(onset / 1000, offset / 1000) for onset, offset in events_ms]
    expected = frame_targets_reference(events_ms)
    assert _positive_frames(*events) == np.flatnonzero(expected).tolist()


@st.composite
def _event_and_longer(draw):
    onset, offset = draw(_event_ms)
    longer = draw(st.integers(0, onset)), draw(st.integers(offset, 10000))
    return (onset, offset), longer


def _overlap_ms(event_ms, label_frame):
    start = label_frame * 960
    return min(event_ms[1], start + 960) - max(event_ms[0], start)


@settings(max_examples=300, deadline=None)
@given(_event_and_longer())
def test_a_longer_event_loses_frames_by_the_half_of_itself_clause_only(pair):
    event, longer = pair
    before, after = (
        set(_positive_frames((onset / 1000, offset / 1000)))
        for onset, offset in pair
    )
    for label_frame in range(10):
        overlap = _overlap_ms(event, label_frame)
        longer_overlap = _overlap_ms(longer, label_frame)
        if overlap >= 480:
            # Half of the label frame is filled: it stays filled.
            assert label_frame in before
            assert label_frame in after
        is_lost = label_frame in before and label_frame not in after
        # Lost are exactly the label frames that held half of the event, hold
        # less than half of the longer one, and are not half filled by it.
        assert is_lost == (
            overlap > 0
            and 2 * overlap >= event[1] - event[0]
            and 2 * longer_overlap < longer[1] - longer[0]
            and longer_overlap < 480
        )


def test_the_rule_is_a_setting():
    params = LabelFrameParams(
        label_frame_seconds=0.5, num_label_frames=4, min_overlap=0.8
    )
    is_positive = events_to_label_frames(
        np.array([0.1, 0.101]), np.array([2.0, 2.0]), params
    )
    assert is_positive.astype(int).tolist() == [[1, 1, 1, 1], [0, 1, 1, 1]]


# --- Framed tables ----------------------------------------------------------


def _strong(*rows):
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(rows, columns=columns)


def _pairs(framed):
    """Present label frames of each (segment_id, mid); all must have ten."""
    assert (framed.groupby(["segment_id", "mid"]).size() == 10).all()
    return {
        pair: rows.loc[rows["is_present"], "label_frame"].tolist()
        for pair, rows in framed.groupby(["segment_id", "mid"])
    }


def test_complementary_and_explicit_negatives():
    strong = _strong(
        ("b_0", 0.0, 1.0, "/m/x"),
        ("b_0", 5.0, 6.0, "/m/x"),
        ("b_0", 9.7, 10.0, "/m/y"),  # reaches no label frame
        ("a_0", 9.7, 9.9, "/m/x"),  # neither
        ("a_0", 2.9, 3.8, "/m/y"),
        ("d_0", 9.7, 9.9, "/m/x"),
    )
    absent = pd.DataFrame(
        # The second has events, which say more than the annotators.
        [("a_0", "/m/z"), ("a_0", "/m/y"), ("c_0", "/m/x"), ("c_0", "/m/x")]
        # An event that reaches no label frame leaves the pair unknown.
        + [("d_0", "/m/x")],
        columns=["segment_id", "mid"],
    )
    framed = frame_strong_labels(strong)
    assert _pairs(framed) == {("b_0", "/m/x"): [0, 5], ("a_0", "/m/y"): [3]}
    with_absent = frame_strong_labels(strong, absent)
    assert _pairs(with_absent) == {
        ("a_0", "/m/y"): [3],
        ("a_0", "/m/z"): [],
        ("b_0", "/m/x"): [0, 5],
        ("c_0", "/m/x"): [],
    }
    keys = ["segment_id", "label_frame", "mid"]
    pd.testing.assert_frame_equal(
        with_absent, with_absent.sort_values(keys, ignore_index=True)
    )
    assert with_absent["label_frame"].dtype == "int64"
    assert with_absent["is_present"].dtype == "bool"


_rows = st.lists(
    st.tuples(
        st.sampled_from(["a_0", "b_0"]), _event_ms, st.sampled_from("xyz")
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_rows, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(rows, random):
    table = [(i, on / 1000, off / 1000, f"/m/{m}") for i, (on, off), m in rows]
    framed = frame_strong_labels(_strong(*table))
    random.shuffle(table)
    pd.testing.assert_frame_equal(frame_strong_labels(_strong(*table)), framed)
    # Also not in how many parts it is framed: against the rule, pair by pair.
    for (segment_id, mid), frames in _pairs(framed).items():
        of_pair = [r[1:3] for r in table if (r[0], r[3]) == (segment_id, mid)]
        assert frames == _positive_frames(*of_pair)


def test_many_events_are_framed_in_parts(monkeypatch):
    table = _strong(*((f"{i}_0", 0.1 * i, 5.0, "/m/x") for i in range(7)))
    whole = frame_strong_labels(table)
    monkeypatch.setattr(frame_rule, "_EVENTS_AT_ONCE", 3)
    pd.testing.assert_frame_equal(frame_strong_labels(table), whole)


def test_no_labels_give_no_frames():
    framed = frame_strong_labels(_strong())
    assert len(framed) == 0
    assert list(framed) == ["segment_id", "label_frame", "mid", "is_present"]


# --- Clips of any length, and clips without events --------------------------


def test_label_frames_are_as_many_as_fit():
    lengths = [0.0, 0.9594, 0.9595, 0.96, 1.919, 9.6, 10.0, 37.25, 120.0]
    counts = num_label_frames_of(lengths)
    assert counts.dtype == np.int64
    assert counts.tolist() == [0, 0, 1, 1, 1, 10, 10, 38, 125]
    # In floating point 3 x 0.96 is a little more than 2.88.
    assert num_label_frames_of(2.88) == 3
    assert params_of_length(10.0) == LabelFrameParams()
    assert params_of_length(4.1).num_label_frames == 4
    for bad in (np.nan, np.inf, -1.0):
        with pytest.raises(InputError, match=f"lengths of clips.*{bad}"):
            num_label_frames_of([3.0, bad])


def _clips(**seconds):
    ids = list(seconds)
    return make_clips_table(ids, list(seconds.values()), ids)


def test_listed_clips_are_as_long_as_they_are():
    strong = _strong(
        ("short", 0.4, 2.9, "dog"),
        ("long", 30.0, 31.0, "dog"),
        ("long", 36.0, 40.0, "cat"),  # goes on after the clip
        ("late", 2.0, 2.1, "dog"),  # in the last 0.18 s: no label frame
    )
    absent = pd.DataFrame(
        [("short", "cat"), ("not listed", "cat")], columns=["segment_id", "mid"]
    )
    clips = _clips(long=37.25, empty=2.0, short=3.0, late=2.1, brief=0.5)
    framed = frame_strong_labels(strong, absent, clips=clips)
    found = {
        pair: ("".join("-+"[p] for p in rows["is_present"]))
        for pair, rows in framed.groupby(["segment_id", "mid"])
    }
    # 38 label frames fit into 37.25 s; 36 to 40 s reaches 0.48 s of the last,
    # and 30 to 31 s 0.72 s of 29.76 to 30.72 s.
    assert found == {
        ("short", "dog"): "+++",
        ("short", "cat"): "---",
        ("long", "dog"): "-" * 31 + "+" + "-" * 6,
        ("long", "cat"): "-" * 37 + "+",
        ("empty", "dog"): "--",
        ("empty", "cat"): "--",
        ("not listed", "cat"): "-" * 10,
    }
    keys = ["segment_id", "label_frame", "mid"]
    pd.testing.assert_frame_equal(
        framed, framed.sort_values(keys, ignore_index=True)
    )
    known = frame_strong_labels(
        strong, None, clips=clips, known_mids=["a", "b"]
    )
    assert set(known.loc[known["segment_id"] == "empty", "mid"]) == {"a", "b"}
    assert len(known[known["segment_id"] == "empty"]) == 2 * 2


def test_a_list_of_all_clips_changes_nothing_where_all_have_events(
    strong_excerpts,
):
    strong = read_strong_labels(
        strong_excerpts / "audioset_eval_strong.gun.tsv"
    )
    ids = strong["segment_id"].unique().tolist()
    clips = make_clips_table(ids[::-1], [10.0] * len(ids), ids)
    pd.testing.assert_frame_equal(
        frame_strong_labels(strong, clips=clips), frame_strong_labels(strong)
    )


def test_events_of_clips_that_are_not_listed_are_refused():
    strong = _strong(
        *((name, 0.0, 1.0, "dog") for name in ("a", "b 1", "c", "b 1"))
    )
    with pytest.raises(InputError, match="of 1; 2 are not: 'b 1', 'c'"):
        frame_strong_labels(strong, clips=_clips(a=5.0))


_lengths_ms = st.lists(st.integers(1, 9000), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(_rows, _lengths_ms)
def test_clips_of_any_length_are_framed_one_by_one(rows, lengths_ms):
    names = ["a_0", "b_0", "c_0"]
    seconds = [length / 1000 for length in lengths_ms]
    length_of = dict(zip(names, lengths_ms, strict=True))
    strong = _strong(
        *(
            (name, onset / 1000, offset / 1000, f"/m/{mid}")
            for name, (onset, offset), mid in rows
            if onset < length_of[name]
        )
    )
    framed = frame_strong_labels(
        strong, clips=make_clips_table(names, seconds, names)
    )
    for name, length in zip(names, seconds, strict=True):
        own = framed[framed["segment_id"] == name].reset_index(drop=True)
        of_clip = strong[strong["segment_id"] == name]
        if len(of_clip):
            expected = frame_strong_labels(
                of_clip, params=params_of_length(length)
            )
            pd.testing.assert_frame_equal(own, expected)
        else:
            num_frames = int(length * 1000 + 0.5) // 960
            assert not own["is_present"].any()
            assert len(own) == num_frames * strong["mid"].nunique()


# --- Released frames --------------------------------------------------------


@pytest.fixture(scope="module")
def gun_frames(strong_excerpts):
    """Present (segment_id, mid, label_frame): released, and by the rule."""
    released = read_framed_labels(
        strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv"
    )
    strong = read_strong_labels(
        strong_excerpts / "audioset_eval_strong.gun.tsv"
    )
    framed = frame_strong_labels(strong)
    columns = ["segment_id", "mid", "label_frame"]
    released, framed = (
        set(table.loc[table["is_present"], columns].itertuples(index=False))
        for table in (released, framed)
    )
    pairs = {frame[:2] for frame in released}
    return released, {f for f in framed if f[:2] in pairs}


def test_the_rule_gives_the_released_frames(gun_frames):
    released, framed = gun_frames
    assert len(released) == 807
    assert len({frame[:2] for frame in released}) == 235
    assert framed == released
    # Pooled events would differ: 8.64-9.60 s holds 0.409 and 0.189 s of two.
    clip = "Ar-qKACbnkg_200000"
    frames = {f for *pair, f in released if pair == [clip, _MACHINE_GUN]}
    assert frames
    assert 9 not in frames


def test_rows_are_in_the_order_of_the_released_file(strong_excerpts):
    released = read_framed_labels(
        strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv"
    )
    framed = frame_strong_labels(
        read_strong_labels(strong_excerpts / "audioset_eval_strong.gun.tsv")
    )
    framed = framed[framed["is_present"]]
    is_released = framed["segment_id"].isin(released["segment_id"])
    pairs = released[["segment_id", "mid"]].drop_duplicates()
    ours = framed[is_released].merge(pairs, on=["segment_id", "mid"])
    pd.testing.assert_frame_equal(ours, released)


def test_released_snoring_is_not_pooled(strong_excerpts):
    strong = read_strong_labels(
        strong_excerpts / "audioset_eval_strong.top110.tsv"
    )
    is_pair = (strong["segment_id"] == "ezsF6Lc-sQg_30000") & (
        strong["mid"] == _SNORING
    )
    framed = frame_strong_labels(strong[is_pair].reset_index(drop=True))
    [frames] = _pairs(framed).values()
    assert len(frames) > 5
    assert 5 not in frames
