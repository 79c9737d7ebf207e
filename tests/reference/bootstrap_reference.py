"""A bootstrap resample made literally: clips repeated, plain metrics."""

import dataclasses

import numpy as np

from audioset_strong.evaluation.results import evaluate_items


def resampled_items(items, times_drawn):
    """Repeats the items of each clip as often as the clip was drawn."""
    rows = [
        item
        for clip, times in enumerate(times_drawn)
        for _ in range(times)
        for item in np.nonzero(items.clip_of_item == clip)[0]
    ]
    return dataclasses.replace(
        items,
        scores=items.scores[rows],
        is_positive=items.is_positive[rows],
        is_negative=items.is_negative[rows],
        clip_of_item=items.clip_of_item[rows],
    )


def bootstrap_reference(items, draws):
    """Evaluates each resample: a list of `EvalResult`."""
    return [
        evaluate_items(resampled_items(items, row), "strong", "explicit")
        for row in draws
    ]
