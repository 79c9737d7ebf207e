"""What a report shows of items beside the metrics: curves and worst errors.

A ROC curve goes from (0, 0) to (1, 1), from the highest score down; a tie of
positives and negatives is a slanted line, as AUC counts it. A curve of more
corners than may be kept is cut at equal lengths, measured along both axes, with
n points 2 / (n - 1) apart. No point of the curve is then further than
1 / (n - 1), in both axes together, from what is drawn.

A precision-recall curve has a step for each distinct score of a positive, so
that the area under it is average precision. Of more steps than may be kept it
has some, joined by lines: those at equal lengths of its upper envelope, because
jumps of precision among the first few items would take all points.

The mean curves are means over the classes, of the rate of true positives at
each rate of false ones, and of the precision at each recall; the areas under
them are mean AUC and mAP.

Scores of two classes do not compare, so errors are ranked within the class: the
error of a negative is the share of the class's positives that it outscores,
that of a positive the share of the class's negatives that outscore it, a tie
counting half. Of n others, k on the wrong side give k / (n + 1): to be wrong
against 2,000 others weighs more than to be wrong against one. So that one sound
or one class does not fill the list, it has the worst label frame of each clip
and class, and at most three of a class and kind. Among equal errors the one
with more others comes first, then classes in their order.

An error is linked to its second on YouTube only if all clips of AudioSet's form
can be YouTube's: ids of generated sets look alike. A YouTube id is 64 bits in
base64url, so that its last character is one of 16; all 42,527 ids of AudioSet's
balanced and evaluation segments end in one.

Source: our choice (BUILD_NOTES.md "Worst errors").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.items import EvalItems
from audioset_strong.evaluation.ranking_metrics import ClassRanking, sortable
from audioset_strong.evaluation.scores import as_probabilities
from audioset_strong.labels.ids import AudioSetId, parse_audioset_id

# Enough that no curve is off by more than 1/25 along the axes; 527 classes of
# two systems then take 0.2 MB of the page, one evaluation.
_MAX_POINTS = 26
_MEAN_POINTS = 41

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


# --- Curves ------------------------------------------------------------------


class Curves(NamedTuple):
    """Curves of the classes that have an AUC.

    Each is float64 `[num_points, 2]` in [0, 1], its first column ascending.

    Attributes:
      roc: False positive rate and true positive rate, by mid.
      precision_recall: Recall and precision, by mid.
      mean_roc: Mean over these classes; None without any.
      mean_precision_recall: The same.
    """

    roc: dict[str, _Floats]
    precision_recall: dict[str, _Floats]
    mean_roc: _Floats | None
    mean_precision_recall: _Floats | None


def make_curves(
    mids: Iterable[str], rankings: Sequence[ClassRanking]
) -> Curves:
    """Makes the curves of every class that has an AUC, and their means.

    `rankings` are `EvalItems.rank_classes()`, in the order of `mids`.
    """
    roc, precision_recall = {}, {}
    # Closer where ROC curves are steep: [_MEAN_POINTS]
    rates = np.linspace(0, 1, _MEAN_POINTS) ** 2
    recalls = np.linspace(0, 1, _MEAN_POINTS)
    true_rates, precisions = np.zeros((2, _MEAN_POINTS))
    for mid, ranking in zip(mids, rankings, strict=True):
        if not ranking.num_pairs:
            continue
        corners = roc_corners(ranking)
        roc[mid] = thinned(corners, _MAX_POINTS)
        # Where the curve rises upright, the upper end.
        true_rates += np.interp(rates, corners[:, 0], corners[:, 1])
        points = precision_recall_points(ranking)
        precision_recall[mid] = _drawn_steps(points)
        # 1e-9: the recall of a step may be a hair less than that asked for.
        step = np.searchsorted(points[:, 0], recalls - 1e-9)
        precisions += points[step, 1]
    if not roc:
        return Curves(roc, precision_recall, None, None)
    return Curves(
        roc,
        precision_recall,
        np.vstack([[0, 0], np.stack([rates, true_rates / len(roc)], axis=1)]),
        np.stack([recalls, precisions / len(roc)], axis=1),
    )


def precision_recall_points(ranking: ClassRanking) -> _Floats:
    """Finds recall and precision at each distinct score of a positive.

    Returns float64 `[num_distinct, 2]` in (0, 1], recall ascending to 1.
    """
    # One of each tie of positives, from the highest score down.
    _, first = np.unique(ranking.true_positives, return_index=True)
    true = ranking.true_positives[first]
    accepted = true + ranking.false_positives[first]
    num_positives = ranking.true_positives.size
    return np.stack([true / num_positives, true / accepted], axis=1)


def _drawn_steps(points: _Floats) -> _Floats:
    """Draws what `precision_recall_points` found, from recall 0 on."""
    recall, precision = points.T
    if len(points) <= _MAX_POINTS // 2:
        edges = np.concatenate([[0], recall])
        steps = np.repeat(edges, 2)[1:-1], np.repeat(precision, 2)
        return np.stack(steps, axis=1)  # [2 * num_distinct, 2]
    if len(points) >= _MAX_POINTS:
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        length = recall + envelope[0] - envelope  # [num_distinct], ascending
        cuts = np.linspace(length[0], length[-1], _MAX_POINTS - 1)
        points = points[np.unique(np.searchsorted(length, cuts - 1e-9))]
    return np.vstack([[0, points[0, 1]], points])


def roc_corners(ranking: ClassRanking) -> _Floats:
    """Finds the corners of the ROC curve of a class with both kinds of items.

    Returns float64 `[num_corners, 2]` in [0, 1], ascending.
    """
    # One of each tie of positives, from the highest score down.
    _, first = np.unique(ranking.true_positives, return_index=True)
    true = ranking.true_positives[first].astype(np.float64)
    false = ranking.false_positives[first].astype(np.float64)
    tied = ranking.num_tied[first].astype(np.float64)
    # Only positives make corners: between two of them the curve runs level, at
    # a positive it rises, tied negatives make the rise slanted.
    corners = np.zeros((2 * true.size + 2, 2))
    corners[1:-1:2, 0], corners[2:-1:2, 0] = false - tied, false
    corners[3:-1:2, 1], corners[2:-1:2, 1] = true[:-1], true
    corners /= ranking.num_negatives, ranking.true_positives.size
    corners[-1] = 1, 1
    is_new = np.r_[True, (np.diff(corners, axis=0) != 0).any(axis=1)]
    distinct: _Floats = corners[is_new]
    return distinct


def thinned(corners: _Floats, max_points: int) -> _Floats:
    """Cuts a curve at equal lengths if it has too many corners.

    `corners` are float64 `[num_corners, 2]`, ascending from (0, 0) to (1, 1);
    the result is `[at most max_points, 2]`, on the curve, ascending.
    """
    if len(corners) <= max_points:
        return corners
    length = corners.sum(axis=1)  # Both axes only ever rise.
    cuts = np.linspace(0, 2, max_points)
    return np.stack(
        [np.interp(cuts, length, corners[:, axis]) for axis in (0, 1)], axis=1
    )


# --- Worst errors ------------------------------------------------------------

_NUM_OF_KIND = 15
_MAX_OF_CLASS = 3

# Kind, item, class index, error, number of others.
_Error = tuple[str, int, int, float, int]

COLUMNS = (
    "kind",
    "segment_id",
    "label_frame",
    "onset_seconds",
    "offset_seconds",
    "mid",
    "display_name",
    "score",
    "error",
    "num_others",
    "url",
)
# The last of the 11 characters of a YouTube id holds 4 bits.
_LAST_OF_YTID = frozenset("AEIMQUYcgkosw048")


def worst_items(
    items: EvalItems,
    evaluation: str,
    names: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Finds the items that hurt their classes' AUC most.

    Args:
      items: Aligned scores, positives and negatives.
      evaluation: "strong" if the items are label frames, "weak" if clips.
      names: Display name of each mid.

    Returns:
      `COLUMNS`, one row an error, worst first within a kind, at most 15 of
      each: kind "false alarm" (a negative) or "miss" (a positive); segment_id
      str; label_frame Int64, missing for whole clips, as are onset_seconds and
      offset_seconds, Float64; mid and display_name str; score float64; error
      float64 in (0, 1); num_others int64: positives of the class for a false
      alarm, negatives for a miss; url str: where to hear it on YouTube, "" if
      it is not from there.
    """
    # As many items of a class as its worst clips can have label frames, so that
    # only these are sorted.
    longest = np.bincount(items.clip_of_item).max(initial=0)
    num_enough = _MAX_OF_CLASS * int(longest)

    def worst_of_class(column: int, *of_class: Any) -> list[_Error]:
        return _worst_of_class(
            items.clip_of_item, num_enough, column, *of_class
        )

    found = [e for errors in items.map_classes(worst_of_class) for e in errors]
    table = pd.DataFrame(
        found, columns=["kind", "item", "column", "error", "num_others"]
    ).sort_values(["error", "num_others"], ascending=False, kind="stable")
    kept = [
        table[table["kind"] == kind].head(_NUM_OF_KIND)
        for kind in ("false alarm", "miss")
    ]
    table = pd.concat(kept, ignore_index=True).astype(
        {"error": "float64", "num_others": "int64"}
    )
    item = table["item"].to_numpy(dtype=np.int64)
    column = table["column"].to_numpy(dtype=np.int64)
    clip = items.clip_of_item[item]
    mids = items.mids[column].tolist()
    table["segment_id"] = items.segment_ids[clip].tolist()
    table["mid"] = pd.Series(mids, dtype=object)
    display_names = [(names or {}).get(mid, "") for mid in mids]
    table["display_name"] = pd.Series(display_names, dtype=object)
    table["score"] = as_probabilities(
        items.scores[item, column], items.is_logits
    ).astype(np.float64)
    # Scored label frames of a clip follow one another from its start.
    label_frame = item - np.searchsorted(items.clip_of_item, clip)
    table["label_frame"] = pd.Series(label_frame, dtype="Int64")
    if evaluation == "weak":
        table["label_frame"] = pd.Series(pd.NA, table.index, dtype="Int64")
    frame = table["label_frame"].astype("Float64")
    hop = items.label_frame_seconds
    table["onset_seconds"] = (frame * hop).round(3)
    table["offset_seconds"] = ((frame + 1) * hop).round(3)
    is_from_youtube = _are_from_youtube(items.segment_ids.tolist())
    starts = table["onset_seconds"].fillna(0).tolist()
    table["url"] = pd.Series(
        [
            _youtube_url(segment_id, start) if is_from_youtube else ""
            for segment_id, start in zip(
                table["segment_id"], starts, strict=True
            )
        ],
        dtype=object,
    )
    return table[list(COLUMNS)]


def _are_from_youtube(segment_ids: Iterable[str]) -> bool:
    """Whether all clips with ids of AudioSet's form can be from YouTube."""
    ids = filter(None, map(parse_audioset_id, segment_ids))
    return all(parts.ytid[-1] in _LAST_OF_YTID for parts in ids)


def _youtube_url(segment_id: str, second_of_clip: float) -> str:
    """Returns the address of a second of a clip; "" for another clip."""
    parts: AudioSetId | None = parse_audioset_id(segment_id)
    if parts is None:
        return ""
    second = int(parts.start_ms / 1000 + second_of_clip)
    return f"https://www.youtube.com/watch?v={parts.ytid}&t={second}s"


def _worst_of_class(
    clip_of_item: _Ints,
    num_enough: int,
    column: int,
    items: _Ints,
    scores: npt.NDArray[Any],
    is_positive: npt.NDArray[np.bool_],
    is_negative: npt.NDArray[np.bool_],
) -> list[_Error]:
    """Finds the worst errors of both kinds of a class."""
    numbers = sortable(scores)  # [num_given]
    clip_of_item = clip_of_item[items]
    positives = np.flatnonzero(is_positive)
    negatives = np.flatnonzero(is_negative)
    found = []
    for kind, sign, own, others in (
        ("false alarm", -1, negatives, numbers[positives]),
        ("miss", 1, positives, numbers[negatives]),
    ):
        if not others.size:
            continue
        for item in _worst_clips(clip_of_item, num_enough, numbers, own, sign):
            score = numbers[item]
            is_wrong = others > score if sign > 0 else others < score
            num_wrong = is_wrong.sum() + 0.5 * (others == score).sum()
            error = float(num_wrong / (others.size + 1))
            if error > 0:
                found.append(
                    (kind, int(items[item]), column, error, others.size)
                )
    return found


def _worst_clips(
    clip_of_item: _Ints,
    num_enough: int,
    numbers: npt.NDArray[Any],
    own: _Ints,
    sign: int,
) -> list[int]:
    """Returns the first of a class's own items by sign * score, one a clip."""
    # int16 holds its negatives: no bit pattern of a number is its least value.
    keys = numbers[own] if sign > 0 else -numbers[own]
    if own.size > num_enough:
        is_near = keys <= np.partition(keys, num_enough - 1)[num_enough - 1]
        own, keys = own[is_near], keys[is_near]
    own = own[np.argsort(keys, kind="stable")]
    _, first = np.unique(clip_of_item[own], return_index=True)
    worst: list[int] = own[np.sort(first)[:_MAX_OF_CLASS]].tolist()
    return worst
