"""Where scores are good: d' by length of the event, and by polyphony.

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
  * Polyphony: how many of the scored classes are PRESENT in the label frame.

Intervals are those of the headline, over the same random halves of the clips
(`bootstrap.py`).

Source: our choice (BUILD_NOTES.md "Breakdowns").
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from audioset_strong.evaluation import ranking_metrics
from audioset_strong.evaluation.bootstrap import (
    ClassResamples,
    compare_resamples,
    draw_halves,
    intervals_of,
)
from audioset_strong.evaluation.items import EvalItems
from audioset_strong.evaluation.ranking_metrics import map_classes, sortable
from audioset_strong.labels.frame_rule import positive_label_frames
from audioset_strong.params import LabelFrameParams

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

LENGTH, POLYPHONY = "event length", "polyphony"
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
# Of runs, which have no lengths in between.
_LABEL_FRAMES = (1, 2, 5)
_CLASSES = (1, 2, 3)
# Resamples at a time: their weights of all clips stay in the processor's cache.
_BLOCK_RESAMPLES = 64


class Breakdown(NamedTuple):
    """Strata of one system.

    Attributes:
      table: One row a stratum: breakdown and stratum str; num_positives and
        num_classes int64; mean_auc and d_prime float64, NaN without a class.
      mean_aucs: float64 `[1 + num_resamples, num_strata]`: as it is, and of
        each resample.
      lengths_of: What event lengths are of, in words.
    """

    table: pd.DataFrame
    mean_aucs: _Floats
    lengths_of: str


def break_down(
    items: EvalItems,
    strong: pd.DataFrame | None = None,
    num_resamples: int = 0,
    seed: int = 0,
    params: LabelFrameParams = LabelFrameParams(),
) -> Breakdown:
    """Breaks the Strong eval of one system down.

    Args:
      items: Label frames, as `items.strong_items` makes them.
      strong: Strong table (`label_files`) that the labels are framed from; None
        if there is none.
      num_resamples: Resamples of the clips; 0 for none.
      seed: Seed to draw clips with.
      params: The frame rule that made the labels.

    Raises:
      InputError: A score is NaN.
    """
    polyphony = items.is_positive.sum(axis=1)  # [num_items]
    runs = strong is None
    seconds = params.label_frame_seconds
    edges = _LABEL_FRAMES if runs else _SECONDS
    names = _frame_names(seconds) if runs else _second_names()
    of_events = None if strong is None else _longest(items, strong, params)
    num_lengths = len(names)
    ones = np.ones((1, items.segment_ids.size), dtype=bool)
    draws = ones
    if num_resamples:
        drawn = draw_halves(
            items.segment_ids, num_resamples, seed, items.group_of_clip
        )
        draws = np.concatenate([ones, drawn])

    def strata_of_class(column: int, p: _Bools) -> "sparse.csr_array":
        """Marks the strata of each positive: `[num_strata, num_positives]`."""
        own = np.flatnonzero(p)
        lengths = (
            _runs(own, items.clip_of_item)
            if of_events is None
            else of_events[column, own]
        )
        # searchsorted puts a length of exactly an edge below it.
        stratum = np.concatenate(
            [
                np.searchsorted(edges, lengths),
                num_lengths + np.searchsorted(_CLASSES, polyphony[own]),
            ]
        )
        position = np.tile(np.arange(own.size), 2)
        is_known = np.concatenate([lengths > 0, np.ones(own.size, dtype=bool)])
        cells = stratum[is_known], position[is_known]
        return sparse.csr_array(
            (np.ones(cells[0].size), cells),
            shape=(num_lengths + len(_CLASSES) + 1, own.size),
        )

    def break_class(
        column: int, scores: npt.NDArray[Any], p: _Bools, n: _Bools
    ) -> tuple[_Ints, _Floats] | None:
        if not p.any() or not n.any():
            return None
        strata = strata_of_class(column, p)
        numbers, clips = sortable(scores), items.clip_of_item
        aucs = _stratum_aucs(
            numbers[p], clips[p], numbers[n], clips[n], strata, draws
        )
        counts: _Ints = np.diff(strata.indptr).astype(np.int64)
        return counts, aucs

    arrays = items.scores, items.is_positive, items.is_negative
    found = [f for f in map_classes(break_class, *arrays) if f is not None]
    num_strata = num_lengths + len(_CLASSES) + 1
    counts = np.array([c for c, _ in found]).reshape(-1, num_strata)
    # [num_classes, 1 + num_resamples, num_strata]
    aucs = np.array([a for _, a in found])
    aucs = aucs.reshape(-1, len(draws), num_strata)
    is_defined = ~np.isnan(aucs)
    sums = np.where(is_defined, aucs, 0).sum(axis=0)
    num_classes = is_defined.sum(axis=0)  # [1 + num_resamples, num_strata]
    means = np.full(sums.shape, np.nan)
    np.divide(sums, num_classes, out=means, where=num_classes > 0)
    polyphony_names = [
        *map(_class_name, _CLASSES),
        f"{_CLASSES[-1] + 1} or more",
    ]
    return Breakdown(
        table=pd.DataFrame(
            {
                "breakdown": [LENGTH] * num_lengths
                + [POLYPHONY] * len(polyphony_names),
                "stratum": [*names, *polyphony_names],
                "num_positives": counts.sum(axis=0),
                "num_classes": num_classes[0],
                "mean_auc": means[0],
                "d_prime": ranking_metrics.d_prime_from_auc(means[0]),
            }
        ),
        mean_aucs=means,
        lengths_of="runs of PRESENT label frames, because no strong labels "
        "were given"
        if runs
        else "events of the strong labels",
    )


def _class_name(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _second_names() -> list[str]:
    bounds = [f"{edge:g}" for edge in _SECONDS]
    between = [
        f"{a} to {b} s" for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    return [f"up to {bounds[0]} s", *between, f"over {bounds[-1]} s"]


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


def _runs(own: _Ints, clip_of_item: _Ints) -> _Ints:
    """Counts the label frames of the run of each positive item, ascending."""
    clip = clip_of_item[own]
    is_first = np.ones(own.size, dtype=bool)
    is_first[1:] = (np.diff(own) > 1) | (np.diff(clip) > 0)
    run = np.cumsum(is_first) - 1
    counts: _Ints = np.bincount(run)[run]
    return counts


class _EventLengths:
    """Length of the longest event that makes a label frame positive."""

    def __init__(self, keys: _Ints, seconds: _Floats, num_items: int) -> None:
        self._keys, self._seconds = keys, seconds
        self._num_items = num_items

    def __getitem__(self, place: tuple[int, _Ints]) -> _Floats:
        """Returns those of items of a class, in seconds; 0 for no event."""
        column, item = place
        wanted = column * self._num_items + item
        at = np.searchsorted(self._keys, wanted)
        at = np.minimum(at, self._keys.size - 1)
        if not self._keys.size:
            return np.zeros(item.size)
        return np.where(self._keys[at] == wanted, self._seconds[at], 0.0)


def _longest(
    items: EvalItems, strong: pd.DataFrame, params: LabelFrameParams
) -> _EventLengths:
    """Finds the longest event of each positive label frame."""
    # Scored label frames of a clip follow one another from its start.
    num_clips, num_items = items.segment_ids.size, items.clip_of_item.size
    num_frames = np.bincount(items.clip_of_item, minlength=num_clips)
    start = np.cumsum(num_frames) - num_frames  # [num_clips]
    clip = pd.Index(items.segment_ids).get_indexer(
        pd.Index(strong["segment_id"])
    )
    column = pd.Index(items.mids).get_indexer(pd.Index(strong["mid"]))
    is_known = (clip >= 0) & (column >= 0)
    strong, clip, column = strong[is_known], clip[is_known], column[is_known]
    event, frame = positive_label_frames(strong, num_frames[clip], params)
    lengths = strong["offset_seconds"] - strong["onset_seconds"]
    item = start[clip[event]] + frame
    keys = column[event] * num_items + item
    seconds = lengths.to_numpy(dtype=np.float64)[event]
    # The last of equal keys is the longest.
    order = np.lexsort((seconds, keys))
    keys, seconds = keys[order], seconds[order]
    is_last = np.ones(keys.size, dtype=bool)
    is_last[:-1] = keys[1:] != keys[:-1]
    return _EventLengths(keys[is_last], seconds[is_last], num_items)


def _stratum_aucs(
    positive_scores: npt.NDArray[Any],
    positive_clips: _Ints,
    negative_scores: npt.NDArray[Any],
    negative_clips: _Ints,
    strata: "sparse.csr_array",
    draws: _Bools,
) -> _Floats:
    """Computes the AUC of each stratum of a class, in each resample.

    Args:
      positive_scores: real `[num_positives]`.
      positive_clips: int64 `[num_positives]`.
      negative_scores: real `[num_negatives]`.
      negative_clips: int64 `[num_negatives]`.
      strata: 0 or 1 `[num_strata, num_positives]`.
      draws: bool `[num_resamples, num_clips]`, whether clips were drawn.

    Returns:
      float64 `[num_resamples, num_strata]`, NaN where undefined.
    """
    num_clips = draws.shape[1]
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
        shape=(distinct.size + 1, num_clips),
    ).tocsr()
    aucs = np.full((len(draws), strata.shape[0]), np.nan)
    for begin in range(0, len(draws), _BLOCK_RESAMPLES):
        block = slice(begin, begin + _BLOCK_RESAMPLES)
        weights = np.ascontiguousarray(draws[block].T, dtype=np.float32)
        drawn = (halves @ weights).astype(np.float64)
        right = np.cumsum(drawn, axis=0)  # [num_distinct + 1, num_resamples]
        own = weights[positive_clips].astype(np.float64)
        num_right = strata @ (own * right[place])  # [num_strata, ...]
        # The last row has every negative, twice.
        num_pairs = (strata @ own) * right[-1]
        np.divide(
            num_right.T,
            num_pairs.T,
            out=aucs[block],
            where=num_pairs.T > 0,
        )
    return aucs


def join_breakdowns(
    ours: Breakdown,
    baseline: Breakdown | None,
    resamples: ClassResamples | None,
    baseline_resamples: ClassResamples | None,
    level: float,
    is_paired: bool,
) -> pd.DataFrame:
    """Puts intervals, and a baseline, beside the strata of a system.

    Args:
      ours: Of the system.
      baseline: Of the baseline; None for none.
      resamples: The resamples of the headline, whose clips were drawn alike;
        None for no intervals.
      baseline_resamples: The same of the baseline.
      level: Share of resamples that an interval holds.
      is_paired: Whether both systems have the same items.

    Returns:
      `COLUMNS` and, float64: with intervals d_prime_low and d_prime_high; with
      a baseline baseline_d_prime and d_prime_difference, with intervals of both
      if the systems are paired, and p_value.
    """
    table = ours.table.copy()
    own = _stratum_resamples(ours, resamples)
    _add_intervals(table, "d_prime", own, level)
    if baseline is None:
        return table
    theirs = _stratum_resamples(baseline, baseline_resamples)
    table["baseline_d_prime"] = baseline.table["d_prime"]
    _add_intervals(table, "baseline_d_prime", theirs, level)
    with np.errstate(invalid="ignore"):  # inf - inf
        table["d_prime_difference"] = (
            table["d_prime"] - table["baseline_d_prime"]
        )
    if is_paired and own and theirs:
        paired = [
            compare_resamples(a, b, level).overall["d_prime"]
            for a, b in zip(own, theirs, strict=True)
        ]
        table["d_prime_difference_low"] = [i.low for i in paired]
        table["d_prime_difference_high"] = [i.high for i in paired]
    return table


def _stratum_resamples(
    breakdown: Breakdown, resamples: ClassResamples | None
) -> list[ClassResamples]:
    """Makes of each stratum the resamples of one class, its mean AUC."""
    if resamples is None:
        return []
    nothing = np.full((len(breakdown.mean_aucs), 1), np.nan)
    return [
        dataclasses.replace(
            resamples,
            mids=np.array(["mean"]),
            num_labels_of_class=np.array([[count, 0]]),
            aucs=mean_aucs[:, np.newaxis],
            average_precisions=nothing,
            lwlraps=nothing,
            num_positives=np.zeros_like(nothing),
        )
        for mean_aucs, count in zip(
            breakdown.mean_aucs.T, breakdown.table["num_positives"], strict=True
        )
    ]


def _add_intervals(
    table: pd.DataFrame, name: str, strata: list[ClassResamples], level: float
) -> None:
    if not strata:
        return
    intervals = [intervals_of(own, level).overall["d_prime"] for own in strata]
    table[f"{name}_low"] = [interval.low for interval in intervals]
    table[f"{name}_high"] = [interval.high for interval in intervals]
