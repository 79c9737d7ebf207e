import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    W,
    X,
    Y,
    Z,
    framed_table,
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
    weak_table,
)

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import (
    absent_pairs,
    strong_items,
    weak_items,
)


def cells(items, mask):
    """Lists (segment_id, running item of the clip, mid) of true cells."""
    first = np.searchsorted(items.clip_of_item, np.arange(100))
    return {
        (
            str(items.segment_ids[items.clip_of_item[i]])[0],
            int(i - first[items.clip_of_item[i]]),
            str(items.mids[c])[-1],
        )
        for i, c in np.argwhere(mask)
    }


def test_strong_explicit_items_are_the_listed_rows():
    items = strong_items(hand_score_file(), hand_framed())
    assert items.clip_of_item.tolist() == [0, 0, 1, 1, 2]
    assert cells(items, items.is_positive) == {
        ("a", 0, "x"),
        ("a", 0, "y"),
        ("b", 0, "y"),
    }
    assert cells(items, items.is_negative) == {
        ("a", 1, "x"),
        ("b", 0, "x"),
        ("b", 1, "x"),
        ("b", 1, "y"),
        ("c", 0, "y"),
    }
    np.testing.assert_allclose(
        items.scores[:, 0], [0.6, 0.4, 0.5, 0.8, 0.3], rtol=1e-6
    )


def test_strong_implied_negatives_are_everything_else():
    items = strong_items(hand_score_file(), hand_framed(), "implied")
    np.testing.assert_array_equal(items.is_negative, ~items.is_positive)
    assert items.is_positive.sum() == 3


def test_strong_explicit_and_complementary_negatives_part_the_explicit_ones():
    together = strong_items(hand_score_file(), hand_framed())
    parts = {
        negatives: strong_items(hand_score_file(), hand_framed(), negatives)
        for negatives in ("explicit_only", "complementary_only")
    }
    for items in parts.values():
        np.testing.assert_array_equal(items.is_positive, together.is_positive)
    # Clips b, of x, and c, of y, have no PRESENT row of the class.
    assert cells(
        parts["explicit_only"], parts["explicit_only"].is_negative
    ) == {
        ("b", 0, "x"),
        ("b", 1, "x"),
        ("c", 0, "y"),
    }
    one, two = (items.is_negative for items in parts.values())
    np.testing.assert_array_equal(one | two, together.is_negative)
    assert not (one & two).any()


def test_complementary_where_the_present_row_is_beyond_the_audio():
    # Clip a has only label frames 0 and 1 scored; the class is at 7.
    framed = framed_table({("a_0", X): {7}})
    items = strong_items(hand_score_file(), framed, "complementary_only")
    assert cells(items, items.is_negative) == {("a", 0, "x"), ("a", 1, "x")}
    items = strong_items(hand_score_file(), framed, "explicit_only")
    assert not items.is_negative.any()
    assert items.alignment.labels_left_out["other_kind_of_negative"] == 2


def test_strong_alignment_counts_everything():
    alignment = strong_items(hand_score_file(), hand_framed()).alignment
    assert alignment.num_clips_labelled == 4
    assert alignment.num_clips_scored == 4
    assert alignment.num_clips_evaluated == 3
    assert alignment.clips_not_scored == ("d_0",)
    assert alignment.clips_without_labels == ("e_0",)
    assert alignment.clips_without_scores == ()
    assert alignment.mids_not_scored == (W,)
    assert alignment.mids_without_labels == (Z,)
    # a and b lack 8 label frames each, c 9.
    assert alignment.num_label_frames_not_scored == 25
    assert alignment.labels_left_out == {
        "repeated": 0,
        "contradicts_a_positive": 0,
        "clip_not_scored": 10,  # d x
        "class_not_scored": 10,  # a w
        # a x 8, b x 8, b y 8, c y 9; a y is listed on label frame 0 only.
        "label_frame_not_scored": 33,
    }


@pytest.mark.parametrize(
    "negatives", ["explicit", "explicit_only", "complementary_only"]
)
def test_every_label_is_used_or_counted(negatives):
    framed = hand_framed()
    items = strong_items(hand_score_file(), framed, negatives)
    num_used = items.is_positive.sum() + items.is_negative.sum()
    num_left_out = sum(items.alignment.labels_left_out.values())
    assert num_used + num_left_out == len(framed)


def test_repeated_and_contradicting_labels():
    rows = [
        ("a_0", 0, X, False),
        ("a_0", 0, X, True),  # contradicts the first: PRESENT holds
        ("a_0", 1, X, False),
        ("a_0", 1, X, False),  # repeated
    ]
    framed = pd.DataFrame(
        rows, columns=["segment_id", "label_frame", "mid", "is_present"]
    )
    items = strong_items(hand_score_file(), framed)
    assert cells(items, items.is_positive) == {("a", 0, "x")}
    assert cells(items, items.is_negative) == {("a", 1, "x")}
    left_out = items.alignment.labels_left_out
    assert left_out["repeated"] == 1
    assert left_out["contradicts_a_positive"] == 1


def test_order_of_clips_in_the_labels_does_not_matter():
    framed = hand_framed()
    items = strong_items(hand_score_file(), framed)
    shuffled = strong_items(
        hand_score_file(), framed.sample(frac=1, random_state=0)
    )
    np.testing.assert_array_equal(items.is_positive, shuffled.is_positive)
    np.testing.assert_array_equal(items.is_negative, shuffled.is_negative)


def test_clip_without_scored_label_frames_is_left_out_and_listed():
    score_file = make_score_file(
        np.zeros((2, 10, 1), np.float32), ["a_0", "b_0"], [X], [0, 10]
    )
    framed = framed_table({("a_0", X): {0}, ("b_0", X): {0}})
    alignment = strong_items(score_file, framed).alignment
    assert alignment.clips_without_scores == ("a_0",)
    assert alignment.num_clips_evaluated == 1
    assert alignment.labels_left_out["clip_not_scored"] == 10


def test_weak_implied_items():
    items = weak_items(hand_score_file(), hand_weak())
    assert items.segment_ids.tolist() == ["a_0", "b_0", "c_0"]
    np.testing.assert_array_equal(items.is_positive, np.eye(3, dtype=bool))
    np.testing.assert_array_equal(items.is_negative, ~np.eye(3, dtype=bool))
    np.testing.assert_allclose(
        items.scores,
        [[0.5, 0.4, 0.1], [0.65, 0.2, 0.3], [0.3, 0.4, 0.5]],
        rtol=1e-6,
    )
    assert items.alignment.labels_left_out == {
        "clip_not_scored": 1,  # d x
        "class_not_scored": 1,  # b w
    }


def test_weak_clip_without_labels_is_a_negative_of_everything():
    weak = weak_table({"a_0": [X], "b_0": []})
    items = weak_items(hand_score_file(), weak)
    assert items.is_negative.tolist() == [[False, True, True], [True] * 3]
    assert items.alignment.mids_not_scored == ()
    assert items.alignment.labels_left_out["class_not_scored"] == 0


def test_weak_explicit_negatives_are_absent_in_all_ten():
    items = weak_items(hand_score_file(), hand_weak(), hand_framed())
    assert cells(items, items.is_negative) == {("b", 0, "x"), ("c", 0, "y")}


def test_absent_pairs_need_all_ten_label_frames():
    framed = framed_table({("a_0", X): set(), ("a_0", Y): {3}})
    nine = framed_table({("b_0", X): set()}).iloc[:9]
    repeated = pd.concat([framed, nine, nine])
    assert absent_pairs(repeated).to_numpy().tolist() == [["a_0", X]]


def test_weak_explicit_negatives_as_pairs():
    rows = [
        ("b_0", X),
        ("b_0", X),  # repeated
        ("a_0", X),  # a weak positive, which holds
        ("d_0", Y),  # not scored
        ("q_0", X),  # not a weak clip
        ("c_0", W),  # class not scored
    ]
    pairs = pd.DataFrame(rows, columns=["segment_id", "mid"])
    items = weak_items(hand_score_file(), hand_weak(), explicit_negatives=pairs)
    assert cells(items, items.is_negative) == {("b", 0, "x")}
    assert items.alignment.labels_left_out == {
        "clip_not_scored": 2,  # d x, positive, and d y
        "class_not_scored": 2,  # b w, positive, and c w
        "repeated": 1,
        "negative_of_a_clip_without_weak_labels": 1,
        "contradicts_a_positive": 1,
    }


def test_one_table_of_explicit_negatives_only():
    pairs = pd.DataFrame([("b_0", X)], columns=["segment_id", "mid"])
    with pytest.raises(InputError, match="found both. Give one"):
        weak_items(hand_score_file(), hand_weak(), hand_framed(), pairs)


def test_weak_positive_wins_over_explicit_negative_and_is_counted():
    framed = framed_table({("a_0", X): set(), ("b_0", X): set()})
    items = weak_items(hand_score_file(), hand_weak(), framed)
    assert cells(items, items.is_positive) >= {("a", 0, "x")}
    assert cells(items, items.is_negative) == {("b", 0, "x")}
    assert items.alignment.labels_left_out["contradicts_a_positive"] == 1


def test_negatives_of_clips_without_weak_labels_are_counted():
    weak = weak_table({"a_0": [X]})
    framed = framed_table({("b_0", X): set()})
    items = weak_items(hand_score_file(), weak, framed)
    assert not items.is_negative.any()
    left_out = items.alignment.labels_left_out
    assert left_out["negative_of_a_clip_without_weak_labels"] == 1


def test_no_common_clip():
    with pytest.raises(InputError, match=r"such as a_0.*such as q_0"):
        strong_items(hand_score_file(), framed_table({("q_0", X): {0}}))
    with pytest.raises(InputError, match="none of the 4 scored clips"):
        weak_items(hand_score_file(), weak_table({}))


def test_unknown_negatives():
    with pytest.raises(InputError, match="'hard'"):
        strong_items(hand_score_file(), hand_framed(), "hard")
