"""Items by hand, their metrics by hand, and mined candidates."""

import subprocess
import sys

import forked
import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    W,
    X,
    Y,
    Z,
    evaluate_strong,
    evaluate_weak,
    framed_table,
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
    weak_table,
)
from scipy.stats import norm
from simulated_items import random_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import (
    absent_pairs,
    mine_candidates,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.ranking_metrics import (
    validation_metrics,
)
from audioset_strong.evaluation.results import evaluate_items
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.label_files import write_weak_labels


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


@pytest.mark.parametrize(
    ("negatives", "aucs", "num_negatives"),
    [
        # x: .6 against .4 .5 .8 .3: 3 of 4. y: .2 .3 against .6 .1 .4: 2 of 6.
        ("implied", [3 / 4, 1 / 3], [4, 3]),
        # Never in the clip: x in b (.5 .8), y in c (.4). x: .6 has 1 of 2; y:
        # .2 .3 have none.
        ("explicit_only", [1 / 2, 0], [2, 1]),
        # x in a (.4), y in b (.1), both below the positives.
        ("complementary_only", [1, 1], [1, 1]),
    ],
)
def test_other_negatives_by_hand(negatives, aucs, num_negatives):
    result = evaluate_strong(hand_score_file(), hand_framed(), negatives)
    assert result.negatives == negatives
    np.testing.assert_allclose(result.per_class["auc"][:2], aucs)
    assert result.per_class["auc"][2:].isna().all()
    assert result.per_class["num_positives"].tolist() == [1, 2, 0, 0]
    assert result.per_class["num_negatives"].tolist()[:2] == num_negatives
    assert result.lwlrap == pytest.approx(7 / 9)  # as with explicit ones


def test_strong_explicit_and_complementary_negatives_part_the_explicit_ones():
    together = strong_items(hand_score_file(), hand_framed())
    one, two = (
        strong_items(hand_score_file(), hand_framed(), negatives)
        for negatives in ("explicit_only", "complementary_only")
    )
    # Clips b, of x, and c, of y, have no PRESENT row of the class.
    assert cells(one, one.is_negative) == {
        ("b", 0, "x"),
        ("b", 1, "x"),
        ("c", 0, "y"),
    }
    np.testing.assert_array_equal(one.is_positive, together.is_positive)
    np.testing.assert_array_equal(two.is_positive, together.is_positive)
    np.testing.assert_array_equal(
        one.is_negative ^ two.is_negative, together.is_negative
    )


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


def by_mid(result, column):
    return result.per_class.set_index("mid")[column].to_dict()


def test_strong_explicit_by_hand():
    result = evaluate_strong(
        hand_score_file(), hand_framed(), display_names={X: "Ex"}
    )
    # x: .6 against .4 .5 .8: 2 of 3. y: .2 .3 against .1 .4: 2 of 4.
    np.testing.assert_equal(
        by_mid(result, "auc"), {X: 2 / 3, Y: 1 / 2, Z: np.nan, W: np.nan}
    )
    assert result.mean_auc == pytest.approx(7 / 12)
    assert result.d_prime == pytest.approx(2**0.5 * norm.ppf(7 / 12))
    assert result.mean_d_prime == pytest.approx(norm.ppf(2 / 3) / 2**0.5)
    # x: the precision at .6 is 1/2. y: at .3 it is 1/2, at .2 it is 2/3.
    assert by_mid(result, "average_precision")[X] == 1 / 2
    assert by_mid(result, "average_precision")[Y] == pytest.approx(7 / 12)
    assert result.mean_average_precision == pytest.approx(13 / 24)
    # a0: x leads, 1/1; y is second, 2/2. b0: y is below x and tied with z: 1/3.
    assert by_mid(result, "lwlrap")[X] == 1
    assert by_mid(result, "lwlrap")[Y] == pytest.approx(2 / 3)
    assert result.lwlrap == pytest.approx(7 / 9)
    assert result.balanced_lwlrap == pytest.approx(5 / 6)
    assert by_mid(result, "num_positives") == {X: 1, Y: 2, Z: 0, W: 0}
    assert by_mid(result, "num_negatives") == {X: 3, Y: 2, Z: 0, W: 0}
    assert by_mid(result, "display_name") == {X: "Ex", Y: "", Z: "", W: ""}
    assert (result.num_items, result.num_classes) == (5, 2)
    assert (result.num_positives, result.num_negatives) == (3, 5)
    undefined = result.undefined_classes.set_index("mid")["undefined_reason"]
    assert undefined.to_dict() == {
        Z: "not in the labels",
        W: "not in the score file",
    }


def test_rank_over_evaluated_classes():
    result = evaluate_strong(
        hand_score_file(), hand_framed(), rank_over="evaluated"
    )
    # Without z, b0's y is at rank 2: (1 + 1 + 1/2) / 3.
    assert result.lwlrap == pytest.approx(5 / 6)
    with pytest.raises(InputError, match="'some'"):
        evaluate_strong(hand_score_file(), hand_framed(), rank_over="some")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            strong_items,
            [framed_table({("q_0", X): {0}})],
            r"such as 'a_0'.*such as 'q_0'",
        ),
        (weak_items, [weak_table({})], "none of the 4 scored clips"),
        (strong_items, [hand_framed(), "hard"], "'hard'"),
        (
            weak_items,
            [hand_weak(), hand_framed(), hand_framed()],
            "found both. Give one",
        ),
        (mine_candidates, [hand_weak(), 0], "1 or more. Received: 0"),
    ],
)
def test_bad_arguments(function, arguments, message):
    with pytest.raises(InputError, match=message):
        function(hand_score_file(), *arguments)


def test_weak_implied_by_hand():
    result = evaluate_weak(hand_score_file(), hand_weak())
    # x: .5 against .65 .3. y: .2 against .4 .4. z: .5 against .1 .3.
    np.testing.assert_array_equal(
        result.per_class["d_prime"], [0, -np.inf, np.inf, np.nan]
    )
    assert result.d_prime == 0
    assert np.isnan(result.mean_d_prime)
    assert result.num_classes_infinite_d_prime == 2
    # a: x leads. b: y is last of 3. c: z leads.
    assert result.lwlrap == pytest.approx((1 + 1 / 3 + 1) / 3)


def test_weak_explicit_by_hand():
    items = weak_items(hand_score_file(), hand_weak(), hand_framed())
    assert cells(items, items.is_negative) == {("b", 0, "x"), ("c", 0, "y")}
    result = evaluate_items(items, "weak", "explicit")
    # x: .5 against b's .65. y: .2 against c's .4. z has no negative.
    np.testing.assert_array_equal(
        result.per_class["auc"], [0, 0, np.nan, np.nan]
    )
    assert by_mid(result, "undefined_reason")[Z] == "no negative"
    assert result.d_prime == -np.inf
    assert result.num_classes_lwlrap == 3


@pytest.mark.parametrize(
    ("reason", "labels"),
    [
        ("no positive", {("a_0", X): set()}),
        ("no label of an evaluated clip", {("q_0", X): {0}}),
    ],
)
def test_undefined_reasons(reason, labels):
    framed = framed_table({("a_0", Y): {0}, **labels})
    result = evaluate_strong(hand_score_file(), framed)
    assert by_mid(result, "undefined_reason")[X] == reason


def test_order_and_increasing_maps_change_nothing():
    score_file = hand_score_file()
    order = [3, 1, 0, 2]
    changed = make_score_file(
        np.exp(score_file.scores[order]),
        score_file.segment_ids[order],
        score_file.mids,
        score_file.num_label_frames[order],
    )
    before = evaluate_strong(score_file, hand_framed())
    shuffled = hand_framed().sample(frac=1, random_state=0)
    after = evaluate_strong(changed, shuffled)
    assert after.d_prime == before.d_prime
    assert after.lwlrap == pytest.approx(before.lwlrap)


def test_values_beyond_the_audio_change_nothing():
    score_file = hand_score_file()
    scores = score_file.scores.copy()
    scores[~score_file.is_scored] = np.nan
    changed = make_score_file(
        scores,
        score_file.segment_ids,
        score_file.mids,
        score_file.num_label_frames,
    )
    for evaluate, labels in [
        (evaluate_strong, (hand_framed(),)),
        (evaluate_weak, (hand_weak(), hand_framed())),
    ]:
        before = evaluate(score_file, *labels)
        after = evaluate(changed, *labels)
        assert after.per_class.equals(before.per_class)


def test_strong_validation_equals_implied_evaluation():
    rng = np.random.default_rng(4)
    scores = rng.random((6, 10, 3), dtype=np.float32)
    is_positive = rng.random(scores.shape) < 0.3
    score_file = make_score_file(scores)
    framed = framed_table(
        {
            (f"clip{clip}_0", f"/m/{c}"): np.nonzero(is_positive[clip, :, c])[0]
            for clip in range(6)
            for c in range(3)
        }
    )
    result = evaluate_strong(score_file, framed, "implied")
    found = validation_metrics(
        scores.reshape(-1, 3), is_positive.reshape(-1, 3)
    )
    assert found == {
        "d_prime": result.d_prime,
        "lwlrap": pytest.approx(result.lwlrap),
        "mAP": pytest.approx(result.mean_average_precision),
    }


@pytest.mark.parametrize("binary", ["evaluate", "mine_candidates"])
def test_no_tensorflow(binary):
    code = (
        "import sys, audioset_strong.labels, audioset_strong.evaluation\n"
        "import audioset_strong.evaluation.evaluating\n"
        f"import audioset_strong.{binary}\n"
        "assert not {'tensorflow', 'soundfile', 'jinja2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_columns_and_dtypes():
    table = evaluate_items(random_items(), "strong", "explicit").per_class
    assert table.columns.tolist() == [
        "mid",
        "display_name",
        "num_positives",
        "num_negatives",
        "auc",
        "d_prime",
        "average_precision",
        "lwlrap",
        "undefined_reason",
    ]
    assert (table.dtypes[["num_positives", "num_negatives"]] == np.int64).all()
    assert (table.dtypes[4:8] == np.float64).all()


def test_candidates_by_hand():
    candidates, alignment = mine_candidates(hand_score_file(), hand_weak(), 1)
    # Clip scores without each class's own clip, in eval_examples.py: x is
    # highest in b, y ties in a and c (the name decides), z in b.
    assert candidates[["mid", "segment_id", "rank"]].to_numpy().tolist() == [
        ["/m/x", "b_0", 1],
        ["/m/y", "a_0", 1],
        ["/m/z", "b_0", 1],
    ]
    np.testing.assert_allclose(candidates["score"], [0.65, 0.4, 0.3], rtol=1e-6)
    assert alignment.clips_without_labels == ("e_0",)
    assert alignment.clips_not_scored == ("d_0",)
    # Hardest first, and fewer where fewer are left.
    candidates, _ = mine_candidates(hand_score_file(), hand_weak(), 10)
    x = candidates[candidates["mid"] == X]
    assert x["segment_id"].tolist() == ["b_0", "c_0"]
    assert x["rank"].tolist() == [1, 2]
    assert len(candidates) == 6


def test_against_sorting_by_hand():
    rng = np.random.default_rng(5)
    score_file = make_score_file(rng.random((30, 10, 4), dtype=np.float32))
    ids = [str(s) for s in score_file.segment_ids]
    weak = weak_table(
        {s: [f"/m/{c}" for c in range(4) if rng.random() < 0.4] for s in ids}
    )
    listed = dict(zip(weak["segment_id"], weak["mids"], strict=True))
    clip_scores = score_file.clip_scores
    candidates, _ = mine_candidates(score_file, weak, 5)
    for c in range(4):
        mid = f"/m/{c}"
        others = [
            (-clip_scores[i, c], s)
            for i, s in enumerate(ids)
            if mid not in listed[s]
        ]
        expected = [s for _, s in sorted(others)[:5]]
        mined = candidates.loc[candidates["mid"] == mid, "segment_id"]
        assert mined.tolist() == expected


def test_binary(tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    done = forked.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.mine_candidates",
            f"--scores={tmp_path}/S.npz",
            f"--weak_labels={tmp_path}/W.csv",
            "--num_per_class=1",
            f"--output={tmp_path}/candidates.csv",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 scored clips have no weak labels, such as e_0" in done.stderr
    lines = (tmp_path / "candidates.csv").read_text().splitlines()
    assert lines[0] == "mid,segment_id,score,rank"
    assert lines[2].startswith("/m/y,a_0,0.4")
    assert len(lines) == 4
