import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.evaluation.events import (
    make_event_truth,
    merge_overlapping,
)


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


def test_clips_can_be_labelled_without_an_event():
    truth = make_event_truth(
        strong_table(("a_0", 0, 2, "/m/x"), ("b_0", 0, 2, "/m/x")),
        scored_clips=["e_0", "a_0", "b_0"],
        scored_mids=["/m/x"],
        clips=["a_0", "e_0", "gone_0"],
    )
    assert truth.segment_ids == ("e_0", "a_0")
    assert len(truth.events) == 1
    assert truth.clips_without_labels == ("b_0",)
    assert truth.clips_not_scored == ("gone_0",)


def test_nothing_in_common_is_an_error():
    with pytest.raises(InputError, match="found none among 1 events, 1 scored"):
        make_event_truth(strong_table(("a_0", 0, 2, "/m/x")), ["b_0"], ["/m/x"])
    with pytest.raises(InputError, match="such as none"):
        make_event_truth(strong_table(("a_0", 0, 2, "/m/x")), [], ["/m/x"])


def test_release_size_takes_seconds():
    rng = np.random.default_rng(0)
    num_events = 140_000  # the eval set's
    onset = rng.uniform(0, 9, num_events).round(3)
    strong = pd.DataFrame(
        {
            "segment_id": rng.integers(0, 17_000, num_events).astype(str),
            "onset_seconds": onset,
            "offset_seconds": onset + 0.5,
            "mid": rng.integers(0, 400, num_events).astype(str),
        }
    )
    merged = merge_overlapping(strong)
    assert 0 < len(merged) <= num_events
