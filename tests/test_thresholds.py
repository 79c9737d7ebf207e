import numpy as np
import pytest
from eval_examples import (
    X,
    Y,
    Z,
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import EvalItems, strong_items, weak_items
from audioset_strong.evaluation.thresholds import (
    ThresholdParams,
    accepted_at,
    best_f1_threshold,
    choose_thresholds,
    warn_of_defaults,
)


def make_items(scores, is_positive, is_negative=None):
    """Items of one clip; negative wherever not positive unless given."""
    scores, is_positive = np.asarray(scores), np.asarray(is_positive, bool)
    return EvalItems(
        scores=scores,
        is_positive=is_positive,
        is_negative=~is_positive if is_negative is None else is_negative,
        clip_of_item=np.zeros(len(scores), dtype=np.int64),
        segment_ids=np.array(["a_0"]),
        mids=np.array([f"/m/{i}" for i in range(scores.shape[1])]),
        alignment=None,
    )


def _floats(*values):
    return np.array(values, dtype=np.float32)


def slow_best_f1(positive, negative):
    """F1 of every way to cut, by definition; the highest score holds a tie."""
    best = -1.0, np.nan
    for lowest in sorted({*positive, *negative}, reverse=True):
        tp = sum(s >= lowest for s in positive)
        fp = sum(s >= lowest for s in negative)
        f1 = 2 * tp / (2 * tp + fp + len(positive) - tp)
        if f1 > best[0]:
            best = f1, lowest
    return best


def test_by_hand():
    # Accepting .9, .8 and .6: 2 of 3 right, 2 of 2 found, F1 .8. Accepting .9
    # alone: 1 of 1 and 1 of 2, F1 2/3.
    accepted = best_f1_threshold(_floats(0.9, 0.6), _floats(0.8, 0.4, 0.1))
    assert accepted.threshold == pytest.approx(0.5)  # between .6 and .4
    assert accepted[1:] == (0.8, 2 / 3, 1.0)


def test_ties_of_scores_are_accepted_together():
    # At .5 the positive comes with two negatives: F1 2 / (3 + 1).
    accepted = best_f1_threshold(_floats(0.5), _floats(0.5, 0.5, 0.1))
    assert accepted.threshold == pytest.approx(0.3)
    assert accepted.f1 == 0.5


def test_of_equal_f1_the_highest_threshold_holds():
    # F1 is 2/3 at .9 (1 of 1, 1 of 2) and at .2 (2 of 4, 2 of 2).
    accepted = best_f1_threshold(_floats(0.9, 0.2), _floats(0.5, 0.4, 0.1))
    assert accepted.threshold == pytest.approx(0.7)
    assert accepted[1:] == (2 / 3, 1.0, 0.5)


@pytest.mark.parametrize("score", [0.0, 0.25, 1.0])
def test_equal_scores_accept_everything(score):
    accepted = best_f1_threshold(_floats(score, score), _floats(score))
    assert accepted == (score, 0.8, 2 / 3, 1.0)


def test_perfect_and_inverted_scores():
    assert best_f1_threshold(_floats(3, 2), _floats(1, 0)) == (1.5, 1, 1, 1)
    # Everything is accepted: 1 of 3 right.
    inverted = best_f1_threshold(_floats(-4), _floats(1, 0))
    assert inverted == (-4, 0.5, 1 / 3, 1)


_SCORES = st.lists(st.integers(-3, 6), max_size=12)


@settings(deadline=None, max_examples=50)
@given(_SCORES.filter(len), _SCORES, st.sampled_from([np.float16, np.float32]))
def test_no_cut_has_a_higher_f1(positive, negative, dtype):
    scores = [np.array(s, dtype=dtype) / 7 for s in (positive, negative)]
    accepted = best_f1_threshold(*scores)
    best_f1, lowest = slow_best_f1(*scores)
    assert accepted.f1 == pytest.approx(best_f1)
    both = np.concatenate(scores)
    # The threshold splits the scores where the slow one does.
    assert both[both >= np.array([accepted.threshold])].min() == lowest
    assert both.min() <= accepted.threshold <= both.max()


def test_neighbouring_float32_are_told_apart():
    high = np.float32(0.3)
    low = np.nextafter(high, np.float32(0))
    accepted = best_f1_threshold(np.array([high]), np.array([low]))
    assert accepted.f1 == 1
    assert low < accepted.threshold <= high


def test_accepted_at_a_threshold():
    accepted = accepted_at(0.5, _floats(0.9, 0.5, 0.1), _floats(0.6, 0.2))
    assert accepted == (0.5, 2 / 3, 2 / 3, 2 / 3)
    nothing = accepted_at(0.5, _floats(0.1), _floats(0.2))
    np.testing.assert_equal(tuple(nothing), (0.5, 0.0, np.nan, 0.0))
    no_positive = accepted_at(0.5, _floats(), _floats(0.6))
    np.testing.assert_equal(tuple(no_positive), (0.5, np.nan, 0.0, np.nan))


def test_classes_that_f1_says_nothing_of_get_the_default(caplog):
    items = make_items(
        [[0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.8], [0.2, 0.2, 0.2, 0.1]],
        [[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]],
    )
    table = choose_thresholds(
        items, ThresholdParams(0.4, min_positives=2), {"/m/0": "Dog"}
    )
    assert table["mid"].tolist() == ["/m/0", "/m/1", "/m/2", "/m/3"]
    assert table["display_name"].tolist() == ["Dog", "", "", ""]
    assert table["reason"].tolist() == [
        "fewer than 2 positives",
        "no positives",
        "no negatives",
        "",
    ]
    np.testing.assert_allclose(table["threshold"], [0.4, 0.4, 0.4, 0.45])
    # At .4 class 2 accepts one of its three positives.
    np.testing.assert_allclose(table["f1"], [1, np.nan, 0.5, 1])
    np.testing.assert_allclose(table["precision"], [1, 0, 1, 1])
    assert table["num_positives"].tolist() == [1, 0, 3, 2]
    assert table["num_negatives"].tolist() == [2, 3, 0, 1]
    warn_of_defaults(table)
    assert (
        "1 classes get the default threshold 0.4: no negatives, such as /m/2"
        in caplog.text
    )


def test_unknown_items_take_no_part():
    is_negative = np.array([[False], [True], [False]])
    items = make_items([[0.5], [0.2], [0.7]], [[1], [0], [0]], is_negative)
    (row,) = choose_thresholds(items).itertuples()
    # With the unknown .7 as a negative, F1 would be 2/3.
    assert (row.f1, row.num_negatives) == (1, 1)


def test_label_frames_and_clips_by_hand():
    strong = choose_thresholds(
        strong_items(hand_score_file(), hand_framed(), "implied")
    ).set_index("mid")
    # eval_examples.py: x present at a 0 (.6); others .8, .5, .4, .3: accepting
    # .8 and .6 gives F1 2/3. y at a 0 (.2) and b 0 (.3); others .6, .4, .1:
    # accepting all but .1 gives 2 of 4 and 2 of 2.
    np.testing.assert_allclose(
        strong.loc[[X, Y], "threshold"], [0.55, 0.15], rtol=1e-6
    )
    np.testing.assert_allclose(strong.loc[[X, Y], "f1"], [2 / 3, 2 / 3])
    assert strong.loc[Z, "reason"] == "no positives"
    explicit = choose_thresholds(
        strong_items(hand_score_file(), hand_framed(), "explicit")
    ).set_index("mid")
    # x: only .4, .5 and .8 are NOT_PRESENT, so that .3 counts no more.
    assert explicit.loc[X, "num_negatives"] == 3
    weak = choose_thresholds(weak_items(hand_score_file(), hand_weak()))
    # z: .5 in c, others .1 and .3.
    assert weak.set_index("mid").loc[Z, "threshold"] == pytest.approx(0.4)


def test_block_of_classes_does_not_matter():
    rng = np.random.default_rng(1)
    score_file = make_score_file(rng.random((20, 10, 70), dtype=np.float32))
    scores = score_file.scores.reshape(200, 70)
    items = make_items(scores, rng.random((200, 70)) < 0.1)
    table = choose_thresholds(items)
    for column in (0, 31, 32, 69):
        positive = items.is_positive[:, column]
        alone = best_f1_threshold(
            scores[positive, column], scores[~positive, column]
        )
        assert table["threshold"].iloc[column] == alone.threshold


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"default_threshold": np.nan}, "default_threshold must be finite"),
        ({"min_positives": 0}, "min_positives must be 1 or more. Received: 0"),
    ],
)
def test_bad_params(params, message):
    with pytest.raises(InputError, match=message):
        ThresholdParams(**params)
