"""Every class's metrics under resampling of clips.

A resample draws as many clips as there are, each with the same chance and with
repetition; an item counts as often as its clip was drawn. Clips are drawn, not
items, because the label frames of a clip are alike: drawing them one by one
would make intervals too narrow.

Clips are drawn in the order of their segment_id from one seed, so that two
systems, or two evaluations, of the same clips are resampled alike, however
their files are ordered.

Time and memory, N cells listed, P positives, R resamples: N * R multiply-adds
and P * R divisions, in blocks of resamples; one class's cells in memory at a
time, beside the items and 4 bytes a clip and resample. Implied negatives list
every cell.

Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993; clips as
the unit is our choice (BUILD_NOTES.md "Confidence intervals").
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audioset_strong.errors import InputError
from audioset_strong.evaluation.class_metrics import ranked_classes
from audioset_strong.evaluation.ground_truth import EvalItems
from audioset_strong.evaluation.lwlrap import label_precisions
from audioset_strong.evaluation.ranking import sortable, thread_pool
from audioset_strong.evaluation.weighted_metrics import (
    count_items,
    weighted_auc_and_average_precision,
)

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Weights = npt.NDArray[np.floating[Any]]

# Resamples at a time: their weights of all clips stay in the processor's cache.
_BLOCK_RESAMPLES = 64

# Classes at a time, copied to contiguous columns.
_BLOCK_CLASSES = 8

# float32 counts exactly up to here.
_MAX_COUNT = 2**24


@dataclasses.dataclass(frozen=True, eq=False)
class ClassResamples:
    """Metrics of each class, as it is and in each resample.

    Row 0 of the arrays is of the items as they are, the others of resamples.

    Attributes:
      seed: What the clips were drawn with.
      num_resamples: How often.
      segment_ids: str `[num_clips]`, ascending.
      num_labels_of_clip: int64 `[num_clips, 3]`, items, positives and
        negatives of each clip, to tell whether two systems share them.
      mids: str `[num_classes]`, in the order of the items.
      num_labels_of_class: int64 `[num_classes, 2]`, positives and negatives.
      aucs: float64 `[1 + num_resamples, num_classes]`, NaN where undefined.
      average_precisions: float64, same shape.
      lwlraps: float64, same shape.
      num_positives: float64, same shape: positives, as often as drawn.
    """

    seed: int
    num_resamples: int
    segment_ids: npt.NDArray[np.str_]
    num_labels_of_clip: _Ints
    mids: npt.NDArray[np.str_]
    num_labels_of_class: _Ints
    aucs: _Floats
    average_precisions: _Floats
    lwlraps: _Floats
    num_positives: _Floats


def draw_clips(
    segment_ids: npt.NDArray[np.str_], num_resamples: int, seed: int
) -> npt.NDArray[np.int32]:
    """Draws clips with repetition.

    Args:
      segment_ids: str `[num_clips]`, unique, in any order.
      num_resamples: How often to draw `num_clips` clips.
      seed: Same seed and clips, same draws; the first resamples do not depend
        on how many follow.

    Returns:
      int32 `[num_resamples, num_clips]`: how often each clip was drawn.
    """
    rng = np.random.default_rng(seed)
    num_clips = segment_ids.size
    order = np.argsort(segment_ids)
    draws = np.empty((num_resamples, num_clips), dtype=np.int32)
    for row in draws:
        drawn = rng.integers(0, num_clips, num_clips)
        row[order] = np.bincount(drawn, minlength=num_clips)
    return draws


def resample_classes(
    items: EvalItems,
    num_resamples: int = 1000,
    seed: int = 0,
    rank_over: str = "all",
    num_threads: int | None = None,
) -> ClassResamples:
    """Computes every class's metrics in each resample of clips.

    Args:
      items: Aligned scores, positives and negatives.
      num_resamples: How many.
      seed: What clips are drawn with.
      rank_over: Classes that lwlrap ranks: "all", or the "evaluated" ones,
        which have a positive among the items as they are.
      num_threads: Threads; None for one a processor. The result is the same.

    Returns:
      The metrics.

    Raises:
      InputError: A score is NaN, or an argument is not one of its values.
    """
    if num_resamples < 1:
        raise InputError(
            f"num_resamples must be at least 1. Received: {num_resamples}."
        )
    draws = draw_clips(items.segment_ids, num_resamples, seed)
    blocks = _weight_blocks(draws, items)
    aucs, average_precisions = _resample_rankings(items, blocks, num_threads)
    lwlraps, num_positives = _resample_lwlraps(
        items, blocks, rank_over, num_threads
    )
    order = np.argsort(items.segment_ids)
    return ClassResamples(
        seed=seed,
        num_resamples=num_resamples,
        segment_ids=items.segment_ids[order],
        num_labels_of_clip=_num_labels_of_clip(items)[order],
        mids=items.mids,
        num_labels_of_class=np.stack(
            [items.is_positive.sum(axis=0), items.is_negative.sum(axis=0)],
            axis=1,
        ),
        aucs=aucs,
        average_precisions=average_precisions,
        lwlraps=lwlraps,
        num_positives=num_positives,
    )


def _weight_blocks(
    draws: npt.NDArray[np.int32], items: EvalItems
) -> list[_Weights]:
    """Parts draws, after one that leaves all as it is, into blocks.

    Returns:
      float `[num_clips, up to _BLOCK_RESAMPLES]` each.
    """
    most_of_clip = int(np.bincount(items.clip_of_item).max(initial=0))
    is_small = most_of_clip * draws.shape[1] < _MAX_COUNT
    dtype = np.float32 if is_small else np.float64
    once = np.ones((1, draws.shape[1]), dtype=np.int32)
    rows = np.concatenate([once, draws])
    return [
        np.ascontiguousarray(rows[start : start + _BLOCK_RESAMPLES].T, dtype)
        for start in range(0, len(rows), _BLOCK_RESAMPLES)
    ]


def _resample_rankings(
    items: EvalItems, blocks: list[_Weights], num_threads: int | None
) -> tuple[_Floats, _Floats]:
    """Computes AUC and average precision in each resample."""
    num_classes = items.mids.size
    num_rows = sum(block.shape[1] for block in blocks)
    aucs, average_precisions = np.empty((2, num_rows, num_classes))

    def resample_block(start: int) -> None:
        part = np.s_[:, start : start + _BLOCK_CLASSES]
        by_class = sortable(np.ascontiguousarray(items.scores[part].T))
        positive = np.ascontiguousarray(items.is_positive[part].T)
        negative = np.ascontiguousarray(items.is_negative[part].T)
        for column, (row, p, n) in enumerate(
            zip(by_class, positive, negative, strict=True), start
        ):
            counts = count_items(
                row[p],
                items.clip_of_item[p],
                row[n],
                items.clip_of_item[n],
                items.segment_ids.size,
            )
            values = [
                weighted_auc_and_average_precision(counts, block)
                for block in blocks
            ]
            aucs[:, column] = np.concatenate([v[0] for v in values])
            average_precisions[:, column] = np.concatenate(
                [v[1] for v in values]
            )

    with thread_pool(num_threads) as pool:
        # A list, so that what a thread raises is raised here.
        list(pool.map(resample_block, range(0, num_classes, _BLOCK_CLASSES)))
    return aucs, average_precisions


def _resample_lwlraps(
    items: EvalItems,
    blocks: list[_Weights],
    rank_over: str,
    num_threads: int | None,
) -> tuple[_Floats, _Floats]:
    """Computes per-class lwlrap, and the positives, in each resample."""
    is_ranked = ranked_classes(items, rank_over)
    columns = np.arange(items.mids.size)[is_ranked]
    item, class_index, precision = label_precisions(
        items.scores[:, is_ranked],
        items.is_positive[:, is_ranked],
        num_threads,
    )
    cells = columns[class_index], items.clip_of_item[item]
    shape = items.mids.size, items.segment_ids.size
    sums = sparse.coo_array((precision, cells), shape=shape).tocsr()
    ones = np.ones(precision.size)
    counts = sparse.coo_array((ones, cells), shape=shape).tocsr()
    num_positives = np.concatenate([(counts @ block).T for block in blocks])
    totals = np.concatenate([(sums @ block).T for block in blocks])
    lwlraps = np.full(totals.shape, np.nan)
    np.divide(totals, num_positives, out=lwlraps, where=num_positives > 0)
    return lwlraps, num_positives


def _num_labels_of_clip(items: EvalItems) -> _Ints:
    """Counts items, positives and negatives: int64 `[num_clips, 3]`."""
    num_clips = items.segment_ids.size
    of_item = (
        np.ones(items.clip_of_item.size),
        items.is_positive.sum(axis=1),
        items.is_negative.sum(axis=1),
    )
    counts = [
        np.bincount(items.clip_of_item, values, minlength=num_clips)
        for values in of_item
    ]
    return np.stack(counts, axis=1).astype(np.int64)
