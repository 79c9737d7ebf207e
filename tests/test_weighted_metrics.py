import numpy as np
import pytest
from nasty_scores import nasty_classes

from audioset_strong.evaluation.metrics import (
    class_auc,
    class_average_precision,
    count_items,
    weighted_auc_and_average_precision,
)


def weighted(scores, truth, clips, weights):
    counts = count_items(
        scores[truth > 0],
        clips[truth > 0],
        scores[truth < 0],
        clips[truth < 0],
        len(weights),
    )
    return weighted_auc_and_average_precision(
        counts, np.asarray(weights, np.float32)
    )


def test_by_hand():
    scores = np.array([0.6, 0.4, 0.6, 0.8])
    truth = np.array([1, -1, -1, 1])
    clips = np.array([0, 0, 1, 1])
    # As it is: positives .6 .8, negatives .4 .6: pairs 1, 1/2, 1, 1; the
    # precisions are 2/3 and 1. Clip 1 three times: positives .6 and three .8,
    # negatives .4 and three .6: (1 + 3 / 2 + 3 * 4) / 16; precisions 4/7 and 1.
    # Clip 0 alone: perfect. Nothing drawn: undefined.
    aucs, precisions = weighted(
        scores, truth, clips, [[1, 1, 1, 0], [1, 3, 0, 0]]
    )
    np.testing.assert_array_equal(aucs, [3.5 / 4, 14.5 / 16, 1, np.nan])
    np.testing.assert_allclose(
        precisions, [5 / 6, (4 / 7 + 3) / 4, 1, np.nan], rtol=1e-15
    )


@pytest.mark.parametrize("name", nasty_classes())
def test_nasty_classes_are_those_of_repeated_items(name):
    scores, truth = nasty_classes()[name]
    clips = np.arange(24) // 4
    weights = np.random.default_rng(0).multinomial(6, [1 / 6] * 6, size=30).T
    aucs, precisions = weighted(scores, truth, clips, weights)
    for column, times in enumerate(weights.T):
        positives, negatives = (
            np.repeat(scores[is_own], times[clips[is_own]])
            for is_own in (truth > 0, truth < 0)
        )
        np.testing.assert_array_equal(
            aucs[column], class_auc(positives, negatives)
        )
        np.testing.assert_allclose(
            precisions[column],
            class_average_precision(positives, negatives),
            rtol=1e-12,
        )
