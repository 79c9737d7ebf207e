import subprocess
import sys

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
)
from scipy.stats import norm

from audioset_strong.errors import InputError
from audioset_strong.evaluation.results import (
    evaluate_strong,
    evaluate_weak,
    strong_validation_d_prime,
)


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


def test_strong_implied_by_hand():
    result = evaluate_strong(hand_score_file(), hand_framed(), "implied")
    # x: .6 against .4 .5 .8 .3: 3 of 4. y: .2 .3 against .6 .1 .4: 2 of 6.
    np.testing.assert_allclose(
        result.per_class["auc"], [3 / 4, 1 / 3, np.nan, np.nan]
    )
    assert result.lwlrap == pytest.approx(7 / 9)  # as with explicit ones


def test_strong_explicit_only_by_hand():
    result = evaluate_strong(
        hand_score_file(), hand_framed(), negatives="explicit_only"
    )
    assert result.negatives == "explicit_only"
    # Never in the clip: x in b (.5 .8), y in c (.4). x: .6 has 1 of 2; y: .2 .3
    # have none.
    np.testing.assert_array_equal(
        result.per_class["auc"], [1 / 2, 0, np.nan, np.nan]
    )
    assert by_mid(result, "num_positives") == {X: 1, Y: 2, Z: 0, W: 0}
    assert by_mid(result, "num_negatives") == {X: 2, Y: 1, Z: 0, W: 0}
    assert result.lwlrap == pytest.approx(7 / 9)  # as with all explicit ones


def test_strong_complementary_only_by_hand():
    result = evaluate_strong(
        hand_score_file(), hand_framed(), negatives="complementary_only"
    )
    # x in a (.4), y in b (.1), both below the positives.
    np.testing.assert_array_equal(
        result.per_class["auc"], [1, 1, np.nan, np.nan]
    )
    assert by_mid(result, "num_negatives") == {X: 1, Y: 1, Z: 0, W: 0}


def test_rank_over_evaluated_classes():
    result = evaluate_strong(
        hand_score_file(), hand_framed(), rank_over="evaluated"
    )
    # Without z, b0's y is at rank 2: (1 + 1 + 1/2) / 3.
    assert result.lwlrap == pytest.approx(5 / 6)


def test_weak_implied_by_hand():
    result = evaluate_weak(hand_score_file(), hand_weak(), negatives="implied")
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
    result = evaluate_weak(hand_score_file(), hand_weak(), hand_framed())
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


def test_weak_explicit_needs_framed_labels():
    with pytest.raises(InputError, match="come from framed labels"):
        evaluate_weak(hand_score_file(), hand_weak())


def test_weak_explicit_negatives_as_pairs():
    pairs = pd.DataFrame(
        [("b_0", X), ("c_0", Y)], columns=["segment_id", "mid"]
    )
    result = evaluate_weak(
        hand_score_file(), hand_weak(), explicit_negatives=pairs
    )
    framed = evaluate_weak(hand_score_file(), hand_weak(), hand_framed())
    assert result.per_class.drop(columns="undefined_reason").equals(
        framed.per_class.drop(columns="undefined_reason")
    )
    assert result.negatives == "explicit"


def test_weak_implied_ignores_tables_of_negatives():
    result = evaluate_weak(
        hand_score_file(), hand_weak(), hand_framed(), "implied"
    )
    assert result.num_negatives == 6  # 3 clips x 3 classes less 3 positives


@pytest.mark.parametrize("negatives", ["explicit_only", "complementary_only"])
def test_weak_has_no_parts_of_explicit_negatives(negatives):
    with pytest.raises(InputError, match=f"Received: '{negatives}'"):
        evaluate_weak(hand_score_file(), hand_weak(), hand_framed(), negatives)


def test_bad_rank_over():
    with pytest.raises(InputError, match="'some'"):
        evaluate_strong(hand_score_file(), hand_framed(), rank_over="some")


def test_clip_order_and_increasing_maps_change_nothing():
    score_file = hand_score_file()
    order = [3, 1, 0, 2]
    changed = make_score_file(
        np.exp(score_file.scores[order]),
        score_file.segment_ids[order],
        score_file.mids,
        score_file.num_label_frames[order],
    )
    before = evaluate_strong(score_file, hand_framed())
    after = evaluate_strong(changed, hand_framed())
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


def test_strong_validation():
    # Column 0: .9 .7 against .8 .1: 3 of 4. Column 1 has no positive.
    scores = np.array([[0.9, 0.0], [0.8, 0.5], [0.7, 0.8], [0.1, 0.2]])
    targets = np.array([[1.0, 0], [0, 0], [1, 0], [0, 0]], np.float32)
    d_prime, lwlrap = strong_validation_d_prime(scores, targets)
    assert d_prime == pytest.approx(2**0.5 * norm.ppf(3 / 4))
    # Item 0: rank 1. Item 2: rank 2.
    assert lwlrap == pytest.approx((1 + 1 / 2) / 2)


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
    d_prime, lwlrap = strong_validation_d_prime(
        scores.reshape(-1, 3), is_positive.reshape(-1, 3)
    )
    assert d_prime == result.d_prime
    assert lwlrap == pytest.approx(result.lwlrap)


@pytest.mark.parametrize("binary", ["evaluate", "mine_candidates"])
def test_no_tensorflow(binary):
    code = (
        "import sys, audioset_strong.labels, audioset_strong.evaluation\n"
        "import audioset_strong.evaluation.evaluator\n"
        f"import audioset_strong.{binary}\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
