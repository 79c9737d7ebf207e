import numpy as np
import pytest
from eval_examples import X, Y, Z, hand_framed, hand_score_file
from simulated_items import random_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import (
    class_table,
    ranked_classes,
    strong_items,
)
from audioset_strong.evaluation.metrics import (
    d_prime_from_auc,
    per_class_auc,
    per_class_average_precision,
    per_class_lwlrap,
)


def test_by_hand():
    items = strong_items(hand_score_file(), hand_framed())
    table = class_table(items, display_names={X: "Ex"}).set_index("mid")
    # x: .6 against .4 .5 .8: the precision at .6 is 1/2. y: .3 .2 against .1
    # .4: 1/2 and 2/3.
    np.testing.assert_allclose(
        table["average_precision"], [1 / 2, 7 / 12, np.nan, np.nan]
    )
    assert table.loc[X, "display_name"] == "Ex"
    assert table["undefined_reason"].tolist() == [
        "",
        "",
        "not in the labels",
        "not in the score file",
    ]


def test_columns_and_dtypes():
    table = class_table(random_items())
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


def test_metrics_are_those_of_their_modules():
    items = random_items()
    lists = items.scores, items.is_positive, items.is_negative
    table = class_table(items)
    aucs = per_class_auc(*lists)
    np.testing.assert_array_equal(table["auc"], aucs)
    np.testing.assert_array_equal(table["d_prime"], d_prime_from_auc(aucs))
    np.testing.assert_array_equal(
        table["average_precision"], per_class_average_precision(*lists)
    )
    np.testing.assert_array_equal(
        table["lwlrap"], per_class_lwlrap(items.scores, items.is_positive)
    )


def test_ranked_classes():
    items = strong_items(hand_score_file(), hand_framed())
    assert items.mids[ranked_classes(items, "all")].tolist() == [X, Y, Z]
    assert items.mids[ranked_classes(items, "evaluated")].tolist() == [X, Y]
    with pytest.raises(InputError, match="'some'"):
        ranked_classes(items, "some")
