import dataclasses

import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    X,
    Y,
    hand_framed,
    hand_score_file,
    hand_weak,
)
from report_examples import random_labels, random_scores

from audioset_strong.evaluation.details import COLUMNS, worst_items
from audioset_strong.evaluation.items import strong_items, weak_items


def test_hand_example():
    items = strong_items(hand_score_file(), hand_framed())
    table = worst_items(items, "strong", names={X: "Ex"})
    assert tuple(table.columns) == COLUMNS
    alarms = table[table["kind"] == "false alarm"]
    # y: .4 in c0 outscores both positives, .2 and .3: 2 / 3.
    # x: .8 in b1 outscores its only positive, .6: 1 / 2. The other negatives
    # of both outscore none.
    assert alarms["mid"].tolist() == [Y, X]
    assert alarms["error"].tolist() == [2 / 3, 1 / 2]
    x = alarms.iloc[1]
    assert (x["mid"], x["segment_id"], x["label_frame"]) == (X, "b_0", 1)
    assert (x["error"], x["num_others"]) == (1 / 2, 1)
    assert (x["onset_seconds"], x["offset_seconds"]) == (0.96, 1.92)
    assert (x["display_name"], x["score"]) == ("Ex", pytest.approx(0.8))
    misses = table[table["kind"] == "miss"].set_index("mid")
    # One of three negatives of x is above its positive; of y one of two above
    # both, of which the one of clip a, the lower, comes first.
    assert misses.loc[X, "error"] == 1 / 4
    assert misses.loc[[Y], "error"].tolist() == [1 / 3, 1 / 3]


def test_clips_have_no_label_frame():
    items = weak_items(hand_score_file(), hand_weak())
    table = worst_items(items, "weak")
    assert len(table) > 0
    assert table[["label_frame", "onset_seconds"]].isna().all(axis=None)


def slow_errors(items):
    """Every error of every item, by the definition."""
    rows = []
    for column, mid in enumerate(items.mids.tolist()):
        scores = items.scores[:, column].astype(float)
        for item, score in enumerate(scores):
            if items.is_negative[item, column]:
                others = scores[items.is_positive[:, column]]
                wrong = (others < score).sum()
                kind = "false alarm"
            elif items.is_positive[item, column]:
                others = scores[items.is_negative[:, column]]
                wrong = (others > score).sum()
                kind = "miss"
            else:
                continue
            wrong = wrong + 0.5 * (others == score).sum()
            clip = items.segment_ids[items.clip_of_item[item]]
            error = wrong / (others.size + 1)
            rows.append((kind, mid, clip, score, error, others.size))
    return pd.DataFrame(
        rows, columns=["kind", "mid", "segment_id", "score", "error", "n"]
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("evaluation", ["strong", "weak"])
def test_against_the_definition(evaluation, dtype):
    weak, framed, strong = random_labels(50, 40, seed=3)
    score_file = random_scores(strong, 1.0, 4)
    score_file = dataclasses.replace(
        score_file, scores=score_file.scores.astype(dtype)
    )
    if evaluation == "strong":
        items = strong_items(score_file, framed, "implied")
    else:
        items = weak_items(score_file, weak)
    found = worst_items(items, evaluation, num_worst=30)
    slow = slow_errors(items).sort_values("error", ascending=False)
    of_clip = slow.drop_duplicates(["kind", "mid", "segment_id"])
    of_class = of_clip.groupby(["kind", "mid"], sort=False).head(3)
    for kind in ("false alarm", "miss"):
        errors = of_class[of_class["kind"] == kind]["error"].head(15)
        mine = found[found["kind"] == kind]
        np.testing.assert_allclose(mine["error"], errors)
        assert mine.groupby("mid").size().max() <= 3
        assert not mine.duplicated(["mid", "segment_id"]).any()
        # Each listed one is what it says.
        merged = mine.merge(slow, on=["kind", "mid", "segment_id", "score"])
        assert len(merged) >= len(mine)
        np.testing.assert_allclose(merged["error_x"], merged["error_y"])
        assert (merged["num_others"] == merged["n"]).all()


def test_nothing_wrong_is_an_empty_table():
    items = strong_items(hand_score_file(), hand_framed())
    scores = np.where(items.is_positive, 1.0, 0.0).astype(np.float32)
    table = worst_items(dataclasses.replace(items, scores=scores), "strong")
    assert tuple(table.columns) == COLUMNS
    assert table.empty
