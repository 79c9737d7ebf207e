"""A resample made literally: clips left out, plain metrics."""

import dataclasses

from audioset_strong.evaluation.results import evaluate_items


def resampled_items(items, is_drawn):
    """Keeps the items of the clips that were drawn."""
    rows = is_drawn[items.clip_of_item]
    return dataclasses.replace(
        items,
        scores=items.scores[rows],
        is_positive=items.is_positive[rows],
        is_negative=items.is_negative[rows],
        clip_of_item=items.clip_of_item[rows],
    )


def resampling_reference(items, draws):
    """Evaluates each resample: a list of `EvalResult`."""
    return [
        evaluate_items(resampled_items(items, row), "strong", "explicit")
        for row in draws
    ]
