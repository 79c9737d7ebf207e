"""Where scores are good: d' by event length, filled share and polyphony.

Short events are where strong labels should help most, and label frames with
many classes at once where models err. A breakdown sorts the positives of the
Strong eval into strata; every stratum is set against all negatives of its
class, so that the AUCs of a class compare between strata. d' of a stratum is
that of the mean AUC over the classes with a positive in it and a negative.
Strata differ in their classes: what compares without reserve is two systems on
one stratum.

  * Event length: of the event of the class that makes the label frame positive
    (`labels/frame_rule.py`), as labelled; of several the longest, so that a
    stratum of short events has no label frame that a long one fills. Without
    strong labels it is that of the run of PRESENT label frames. An event that
    the clip cuts counts as long as it is heard.
  * Filled share: of the clip, by the events of the class together; what they
    have in common counts once. A weak label of the class is right in that share
    of the clip's label frames, give or take the frame rule. Without strong
    labels it is the share of the clip's label frames that are PRESENT.
  * Polyphony: how many of the scored classes are PRESENT in the label frame.

Intervals are made as those of the headline, over the first 200 of the same
random halves of the clips (`resampling.py`).

Source: our choice (BUILD_NOTES.md "Breakdowns").
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from audioset_strong.evaluation import ranking_metrics
from audioset_strong.evaluation.items import EvalItems
from audioset_strong.evaluation.ranking_metrics import (
    ClassRanking,
    map_classes,
    sortable,
)
from audioset_strong.evaluation.resampling import (
    Interval,
    draw_halves,
    interval_of,
    interval_of_difference,
)
from audioset_strong.labels.clips import lengths_of_clips
from audioset_strong.labels.frame_rule import positive_label_frames
from audioset_strong.params import LabelFrameParams

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

LENGTH, SHARE, POLYPHONY = "event length", "filled share", "polyphony"
COLUMNS = (
    "breakdown",
    "stratum",
    "num_positives",
    "num_classes",
    "mean_auc",
    "d_prime",
)
# Upper ends of the strata but the last. Half of the released events are
# shorter than a second or so; half a second is about half of a label frame.
_SECONDS = (0.5, 1.0, 2.0, 5.0)
# In the released labels a quarter of the classes of a clip fill all of it, a
# quarter less than an eighth.
_SHARES = (0.1, 0.25, 0.5, 0.9)
# Of runs, which have no lengths in between.
_LABEL_FRAMES = (1, 2, 5)
_CLASSES = (1, 2, 3)
# Resamples at a time: their weights of all clips stay in the processor's cache.
_BLOCK_RESAMPLES = 64


# More resamples would take longer than those of the headline.
_MAX_RESAMPLES = 200


class Breakdown(NamedTuple):
    """Strata of one system.

    Attributes:
      table: One row a stratum: breakdown and stratum str; num_positives and
        num_classes int64; mean_auc and d_prime float64, NaN without a class.
      mean_aucs: float64 `[1 + num_resamples, num_strata]`: as it is, and of
        each resample.
      lengths_of: What event lengths and shares are of, in words.
    """

    table: pd.DataFrame
    mean_aucs: _Floats
    lengths_of: str


class _Positives(NamedTuple):
    """Positives of classes with a negative, by class and then by item.

    Attributes:
      column: int64 `[num_positives]`, index of the class.
      item: int64, same shape.
      strata: int64 `[3, num_positives]`: of event length and filled share, -1
        where no event is known, and of polyphony.
    """

    column: _Ints
    item: _Ints
    strata: _Ints

    def of_class(self, column: int) -> "_Positives":
        start, end = np.searchsorted(self.column, [column, column + 1])
        own = slice(start, end)
        return _Positives(self.column[own], self.item[own], self.strata[:, own])


def break_down(
    items: EvalItems,
    strong: pd.DataFrame | None = None,
    num_resamples: int = 0,
    seed: int = 0,
    params: LabelFrameParams = LabelFrameParams(),
    rankings: Sequence[ClassRanking] | None = None,
    clips: pd.DataFrame | None = None,
) -> Breakdown:
    """Breaks the Strong eval of one system down.

    Args:
      items: Label frames, as `items.strong_items` makes them.
      strong: Strong table (`label_files`) that the labels are framed from; None
        if there is none.
      num_resamples: Resamples of the clips, at most `_MAX_RESAMPLES` of which
        are used; 0 for none.
      seed: Seed to draw clips with.
      params: The frame rule that made the labels.
      rankings: `items.rank_classes()`, if it was already computed.
      clips: Clips table (`labels/clips.py`) that says how long clips are; those
        not listed are as long as `params` says.

    Raises:
      InputError: A score is NaN.
    """
    if rankings is None:
        rankings = items.rank_classes()
    lengths = (
        _frame_names(params.label_frame_seconds)
        if strong is None
        else _names_between([f"{edge:g}" for edge in _SECONDS], "s")
    )
    strata = {
        LENGTH: lengths,
        SHARE: _names_between([f"{share * 100:g}" for share in _SHARES], "%"),
        POLYPHONY: [
            *map(_class_name, _CLASSES),
            f"{_CLASSES[-1] + 1} or more",
        ],
    }
    names = [name for of_breakdown in strata.values() for name in of_breakdown]
    positives = _positives(items, rankings, strong, params, clips, len(lengths))
    aucs, counts = _class_aucs(items, rankings, positives, len(names))
    means = [_mean_of_classes(aucs)[np.newaxis]]
    if num_resamples:
        draws = draw_halves(
            items.segment_ids,
            min(num_resamples, _MAX_RESAMPLES),
            seed,
            items.group_of_clip,
        )
        means.append(_resampled_means(items, positives, draws, len(names)))
    mean_aucs = np.concatenate(means)  # [1 + num_resamples, num_strata]
    return Breakdown(
        table=pd.DataFrame(
            {
                "breakdown": [b for b in strata for _ in strata[b]],
                "stratum": names,
                "num_positives": counts.sum(axis=0),
                "num_classes": (counts > 0).sum(axis=0),
                "mean_auc": mean_aucs[0],
                "d_prime": ranking_metrics.d_prime_from_auc(mean_aucs[0]),
            }
        ),
        mean_aucs=mean_aucs,
        lengths_of="runs of PRESENT label frames, because no strong labels "
        "were given"
        if strong is None
        else "events of the strong labels",
    )


def _positives(
    items: EvalItems,
    rankings: Sequence[ClassRanking],
    strong: pd.DataFrame | None,
    params: LabelFrameParams,
    clips: pd.DataFrame | None,
    num_lengths: int,
) -> _Positives:
    """Finds the strata of all positives."""
    item, column = np.nonzero(items.is_positive)  # [num_positives]
    polyphony = np.bincount(item, minlength=len(items.is_positive))[item]
    has_negatives = np.array([r.num_negatives > 0 for r in rankings])
    order = np.argsort(column, kind="stable")  # item stays ascending
    order = order[has_negatives[column[order]]]
    item, column, polyphony = item[order], column[order], polyphony[order]
    if strong is None:
        lengths = _runs(column, item, items.clip_of_item[item])
        of_length = np.searchsorted(_LABEL_FRAMES, lengths)
    else:
        seconds = _event_seconds(items, strong, params, column, item)
        # A length of exactly an edge lies below it.
        of_length = np.searchsorted(_SECONDS, seconds)
        of_length[seconds == 0] = -1
    shares = _shares_of_positives(items, strong, params, clips, column, item)
    of_share = num_lengths + np.searchsorted(_SHARES, shares)
    of_share[shares == 0] = -1
    num_before = num_lengths + len(_SHARES) + 1
    of_polyphony = num_before + np.searchsorted(_CLASSES, polyphony)
    strata = np.stack([of_length, of_share, of_polyphony])
    return _Positives(column, item, strata)


def _class_aucs(
    items: EvalItems,
    rankings: Sequence[ClassRanking],
    positives: _Positives,
    num_strata: int,
) -> tuple[_Floats, _Ints]:
    """Computes the AUC of each class and stratum, and counts its positives.

    Both are `[num_classes, num_strata]`; NaN where there is no positive.
    """
    column, item, strata = positives
    # Rankings have their positives by ascending score.
    numbers = sortable(items.scores[item, column])
    order = np.lexsort((numbers, column))
    # The share of negatives below each, a tie counting half.
    shares = np.concatenate(
        [
            1 - (r.false_positives - 0.5 * r.num_tied) / r.num_negatives
            for r in rankings
            if r.num_pairs
        ]
        or [np.zeros(0)]
    )
    shape = len(rankings), num_strata
    counts, sums = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for stratum in strata:
        is_known = stratum[order] >= 0
        cells = column[order][is_known], stratum[order][is_known]
        np.add.at(counts, cells, 1)
        np.add.at(sums, cells, shares[is_known])
    aucs = np.full(shape, np.nan)
    np.divide(sums, counts, out=aucs, where=counts > 0)
    return aucs, counts


def _mean_of_classes(aucs: _Floats) -> _Floats:
    """Means over the first axis, the classes, without NaN; NaN for none."""
    is_defined = ~np.isnan(aucs)
    count = is_defined.sum(axis=0)
    means = np.full(count.shape, np.nan)
    total = np.where(is_defined, aucs, 0).sum(axis=0)
    np.divide(total, count, out=means, where=count > 0)
    return means


def _resampled_means(
    items: EvalItems, positives: _Positives, draws: _Bools, num_strata: int
) -> _Floats:
    """Computes the mean AUC of each stratum in each resample.

    `draws` are bool `[num_resamples, num_clips]`, whether a clip was drawn; the
    result is float64 `[num_resamples, num_strata]`.
    """
    # Each float32 `[num_clips, at most _BLOCK_RESAMPLES]`.
    blocks = [
        np.ascontiguousarray(draws[start : start + _BLOCK_RESAMPLES].T, "f4")
        for start in range(0, len(draws), _BLOCK_RESAMPLES)
    ]

    def resample_class(
        column: int,
        item: _Ints,
        scores: npt.NDArray[Any],
        p: _Bools,
        n: _Bools,
    ) -> _Floats | None:
        own = positives.of_class(column)
        if not own.item.size:
            return None
        # [num_strata, num_positives], 1 for the strata of a positive.
        is_known = own.strata >= 0
        place = np.nonzero(is_known)[1]
        strata = sparse.csr_array(
            (np.ones(place.size), (own.strata[is_known], place)),
            shape=(num_strata, own.item.size),
        )
        numbers, clips = sortable(scores), items.clip_of_item[item]
        return _stratum_aucs(
            numbers[p], clips[p], numbers[n], clips[n], strata, blocks
        )

    arrays = items.scores, items.is_positive, items.is_negative
    found = [f for f in map_classes(resample_class, *arrays) if f is not None]
    return _mean_of_classes(np.array(found).reshape(-1, len(draws), num_strata))


def _class_name(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _names_between(bounds: Sequence[str], unit: str) -> list[str]:
    between = [
        f"{a} to {b} {unit}" for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    return [f"up to {bounds[0]} {unit}", *between, f"over {bounds[-1]} {unit}"]


def _frame_names(seconds: float) -> list[str]:
    low = 1
    names = []
    for high in _LABEL_FRAMES:
        end = f"{high * seconds:.3g} s"
        if high == low:
            names.append(f"{high} label frame{'s' if high > 1 else ''} ({end})")
        else:
            names.append(f"{low} to {high} label frames (up to {end})")
        low = high + 1
    return [*names, f"{low} or more label frames"]


def _runs(column: _Ints, item: _Ints, clip: _Ints) -> _Ints:
    """Counts the label frames of the run of each positive, in their order."""
    is_first = np.ones(item.size, dtype=bool)
    is_first[1:] = (np.diff(item) != 1) | (np.diff(clip) != 0)
    is_first[1:] |= np.diff(column) != 0
    run = np.cumsum(is_first) - 1
    counts: _Ints = np.bincount(run)[run]
    return counts


def _event_seconds(
    items: EvalItems,
    strong: pd.DataFrame,
    params: LabelFrameParams,
    column: _Ints,
    item: _Ints,
) -> _Floats:
    """Finds the length of the longest event of each positive; 0 for none."""
    # Scored label frames of a clip follow one another from its start.
    num_clips, num_items = items.segment_ids.size, items.clip_of_item.size
    num_frames = np.bincount(items.clip_of_item, minlength=num_clips)
    start = np.cumsum(num_frames) - num_frames  # [num_clips]
    clip = pd.Index(items.segment_ids).get_indexer(
        pd.Index(strong["segment_id"])
    )
    of_event = pd.Index(items.mids).get_indexer(pd.Index(strong["mid"]))
    is_known = (clip >= 0) & (of_event >= 0)
    strong, clip, of_event = (
        strong[is_known],
        clip[is_known],
        of_event[is_known],
    )
    event, frame = positive_label_frames(strong, num_frames[clip], params)
    lengths = strong["offset_seconds"] - strong["onset_seconds"]
    seconds = lengths.to_numpy(dtype=np.float64)[event]
    keys = of_event[event] * num_items + start[clip[event]] + frame
    # The last of equal keys is the longest.
    order = np.lexsort((seconds, keys))
    keys, seconds = keys[order], seconds[order]
    wanted = column * num_items + item
    at = np.searchsorted(keys, wanted, side="right") - 1
    # The first key, if any, stands for those before it; it differs from them.
    found = np.zeros(wanted.size)
    if keys.size:
        is_found = keys[np.maximum(at, 0)] == wanted
        found[is_found] = seconds[at[is_found]]
    # Whole milliseconds, as in label files: 2.5 - 2.0 may be a little more.
    rounded: _Floats = np.round(found, 3)
    return rounded


def filled_shares(
    strong: pd.DataFrame, clip_seconds: npt.ArrayLike
) -> "pd.Series[float]":
    """Measures how much of a clip the events of a class fill.

    Args:
      strong: Strong table (`label_files`).
      clip_seconds: float `[num_events]`, or one number: length of the clip.

    Returns:
      float64 in [0, 1], with segment_id and mid as its index.
    """
    keys = ["segment_id", "mid"]
    lengths = np.broadcast_to(clip_seconds, len(strong))
    events = strong.assign(
        clip_seconds=lengths,
        offset_seconds=np.minimum(strong["offset_seconds"], lengths),
    ).sort_values([*keys, "onset_seconds"])
    pair = [events[key] for key in keys]
    # Events that overlap an earlier one of the pair add only what is new.
    last = events.groupby(keys)["offset_seconds"].cummax()
    before = last.groupby(pair).shift().fillna(0.0)
    new = events["offset_seconds"] - np.maximum(events["onset_seconds"], before)
    return (new.clip(lower=0.0) / events["clip_seconds"]).groupby(pair).sum()


def _shares_of_positives(
    items: EvalItems,
    strong: pd.DataFrame | None,
    params: LabelFrameParams,
    clips: pd.DataFrame | None,
    column: _Ints,
    item: _Ints,
) -> _Floats:
    """Finds the filled share of each positive's clip; 0 for no event."""
    clip = items.clip_of_item[item]
    if strong is None:
        # [num_clips, num_classes]
        present = np.zeros((items.segment_ids.size, items.mids.size))
        np.add.at(present, (clip, column), 1)
        return present[clip, column] / np.bincount(items.clip_of_item)[clip]
    lengths = lengths_of_clips(strong["segment_id"], clips, params.clip_seconds)
    filled = filled_shares(strong, lengths)
    pairs = pd.MultiIndex.from_arrays(
        [items.segment_ids[clip], items.mids[column]]
    )
    found = filled.reindex(pairs).fillna(0.0)
    # Times are whole milliseconds, the shares of them a hair more or less.
    return np.asarray(found.round(6), dtype=np.float64)


def _stratum_aucs(
    positive_scores: npt.NDArray[Any],
    positive_clips: _Ints,
    negative_scores: npt.NDArray[Any],
    negative_clips: _Ints,
    strata: "sparse.csr_array",
    blocks: Sequence[npt.NDArray[np.float32]],
) -> _Floats:
    """Computes the AUC of each stratum of a class, in each resample.

    Args:
      positive_scores: real `[num_positives]`.
      positive_clips: int64 `[num_positives]`.
      negative_scores: real `[num_negatives]`.
      negative_clips: int64 `[num_negatives]`.
      strata: 0 or 1 `[num_strata, num_positives]`.
      blocks: 0 or 1 `[num_clips, num_resamples_of_block]`, whether clips were
        drawn.

    Returns:
      float64 `[num_resamples, num_strata]`, NaN where undefined.
    """
    distinct, place = np.unique(positive_scores, return_inverse=True)
    # A negative counts two halves for the positives above it, one for those of
    # its own score: once from each side. Its row is the first that counts it.
    rows = np.concatenate(
        [
            np.searchsorted(distinct, negative_scores, side=side)
            for side in ("left", "right")
        ]
    )
    halves = sparse.coo_array(
        (
            np.ones(rows.size, dtype=np.float32),
            (rows, np.tile(negative_clips, 2)),
        ),
        shape=(distinct.size + 1, len(blocks[0])),
    ).tocsr()
    aucs = []
    for weights in blocks:
        # float32 counts exactly up to 16 million. Both [..., num_resamples].
        right = np.cumsum(halves @ weights, axis=0)  # [num_distinct + 1, ...]
        own = weights[positive_clips]  # [num_positives, ...]
        num_right = strata @ (own * right[place])  # [num_strata, ...]
        # The last row has every negative, twice.
        num_pairs = (strata @ own) * right[-1]
        of_block = np.full(num_pairs.shape, np.nan)
        np.divide(num_right, num_pairs, out=of_block, where=num_pairs > 0)
        aucs.append(of_block.T)
    return np.concatenate(aucs)


def join_breakdowns(
    ours: Breakdown, baseline: Breakdown | None, level: float, is_paired: bool
) -> pd.DataFrame:
    """Puts intervals, and a baseline, beside the strata of a system.

    Args:
      ours: Of the system.
      baseline: Of the baseline; None for none.
      level: Share of resamples that an interval holds.
      is_paired: Whether both systems have the same items.

    Returns:
      `COLUMNS` and, float64: with resamples d_prime_low and d_prime_high; with
      a baseline baseline_d_prime and d_prime_difference, with intervals of both
      if the systems are paired.
    """
    table = ours.table.copy()
    own = _d_primes(ours)
    _add_intervals(
        table, "d_prime", [interval_of("d_prime", v, level) for v in own]
    )
    if baseline is None:
        return table
    theirs = _d_primes(baseline)
    table["baseline_d_prime"] = baseline.table["d_prime"]
    _add_intervals(
        table,
        "baseline_d_prime",
        [interval_of("d_prime", v, level) for v in theirs],
    )
    with np.errstate(invalid="ignore"):  # inf - inf
        table["d_prime_difference"] = (
            table["d_prime"] - table["baseline_d_prime"]
        )
    if is_paired:
        paired = [
            interval_of_difference("d_prime", a, b, level)
            for a, b in zip(own, theirs, strict=True)
        ]
        _add_intervals(table, "d_prime_difference", paired)
    return table


def _d_primes(breakdown: Breakdown) -> list[_Floats]:
    """Returns d' of each stratum in each resample; none without resamples."""
    if len(breakdown.mean_aucs) == 1:
        return []
    return [*ranking_metrics.d_prime_from_auc(breakdown.mean_aucs.T)]


def _add_intervals(
    table: pd.DataFrame, name: str, intervals: list[Interval]
) -> None:
    if intervals:
        table[f"{name}_low"] = [interval.low for interval in intervals]
        table[f"{name}_high"] = [interval.high for interval in intervals]
