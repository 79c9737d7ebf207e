"""Alignment: which clips, classes and labels an evaluation shares.

A score file and label files rarely hold the same clips and classes. What they
do not share is left out of the metrics, and this module counts and lists it, so
that nothing is dropped silently.

Ground truth: score file + labels -> items with positives and negatives.

Conventions:
  * Strong eval: an item is a (clip, label frame); labels are a framed table.
    Weak eval: an item is a clip, scored by the mean of its label frames.
  * "explicit" negatives are those that annotators marked. Strong: the
    NOT_PRESENT rows, which hold complementary negatives too. Weak: the
    (clip, class) pairs that the framed file has NOT_PRESENT in all label
    frames, or a table of such pairs.
  * "explicit_only" and "complementary_only" part the NOT_PRESENT rows of the
    Strong eval: a row is complementary if the clip has a PRESENT row of the
    class, scored or not. The positives stay the same.
  * "implied" negatives are every listed clip's classes (and label frames) that
    are not positive.
  * Whatever is neither positive nor negative is unknown.
  * Nothing is dropped silently: `Alignment` counts and lists what the score
    file and the labels do not share.

Source: Section 3.2 of the paper.

Every metric of every class, in one table.

Hard candidates for explicit negatives: what to ask annotators next.

For each class, the clips that a model trained on weak labels scores highest
among those that are not labelled with it. Annotators then confirm or refute the
class; those that they refute are the negatives that are hardest for the model.

Source: Section 3.2 of the paper. That already labelled positives are left out
is our choice: annotators have confirmed them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation import metrics
from audioset_strong.evaluation.metrics import ClassRanking, rank_classes
from audioset_strong.evaluation.scores import ScoreFile
from audioset_strong.labels.label_files import absent_pairs

# --- alignment -------------------------------------------------------------


_Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Alignment:
    """What the score file and the labels share, and what they do not.

    Attributes:
      num_clips_labelled: Clips of the labels.
      num_clips_scored: Clips of the score file.
      num_clips_evaluated: Clips in both with a scored label frame.
      clips_not_scored: Labelled clips that the score file lacks.
      clips_without_labels: Scored clips that the labels lack.
      clips_without_scores: Clips in both of which no label frame was scored,
        because they have no audio to speak of.
      mids_not_scored: Labelled classes that the score file lacks.
      mids_without_labels: Scored classes that no label names.
      num_label_frames_not_scored: Label frames beyond the audio of evaluated
        clips.
      labels_left_out: How many labels, positive or negative, were left out, for
        each reason.
    """

    num_clips_labelled: int
    num_clips_scored: int
    num_clips_evaluated: int
    clips_not_scored: tuple[str, ...]
    clips_without_labels: tuple[str, ...]
    clips_without_scores: tuple[str, ...]
    mids_not_scored: tuple[str, ...]
    mids_without_labels: tuple[str, ...]
    num_label_frames_not_scored: int
    labels_left_out: dict[str, int]


@dataclasses.dataclass(frozen=True, eq=False)
class ClipMatch:
    """Clips that are scored and labelled.

    Attributes:
      rows: int64 `[num_clips_evaluated]`, their rows in the score file.
      segment_ids: str `[num_clips_evaluated]`.
      num_clips_labelled: Clips of the labels.
      not_scored, without_labels, without_scores: As in `Alignment`.
    """

    rows: _Ints
    segment_ids: npt.NDArray[np.str_]
    num_clips_labelled: int
    not_scored: tuple[str, ...]
    without_labels: tuple[str, ...]
    without_scores: tuple[str, ...]


def match_clips(score_file: ScoreFile, labelled: "pd.Series[str]") -> ClipMatch:
    """Finds the clips that are both scored and labelled.

    Args:
      score_file: What the model scored.
      labelled: segment_id of every label, repeated or not.

    Returns:
      The clips in both, in the score file's order, and those in one only.

    Raises:
      InputError: No clip is in both and has a scored label frame.
    """
    labelled_ids = pd.Index(labelled.unique())
    scored_ids = pd.Index(score_file.segment_ids)
    is_labelled = scored_ids.isin(labelled_ids)
    has_scores = score_file.num_label_frames > 0
    rows = np.nonzero(is_labelled & has_scores)[0]
    if rows.size == 0:
        raise InputError(
            f"Expected scored clips to have labels: none of the "
            f"{scored_ids.size} scored clips (such as {_first(scored_ids)}) is "
            f"among the {labelled_ids.size} labelled ones (such as "
            f"{_first(labelled_ids)}). Give labels of the set that was scored."
        )
    return ClipMatch(
        rows=rows,
        segment_ids=score_file.segment_ids[rows],
        num_clips_labelled=labelled_ids.size,
        not_scored=_sorted(labelled_ids[~labelled_ids.isin(scored_ids)]),
        without_labels=_sorted(scored_ids[~is_labelled]),
        without_scores=_sorted(scored_ids[is_labelled & ~has_scores]),
    )


def _first(ids: "pd.Index[Any]") -> str:
    return str(ids[0]) if ids.size else "none"


def _sorted(names: "pd.Index[Any]") -> tuple[str, ...]:
    return tuple(sorted(map(str, names)))


def locate_labels(
    labels: pd.DataFrame,
    segment_ids: npt.NDArray[np.str_],
    mids: npt.NDArray[np.str_],
) -> tuple[_Ints, _Ints]:
    """Finds clip and class of each label; -1 where it is not evaluated.

    Args:
      labels: Columns segment_id and mid.
      segment_ids: str `[num_clips_evaluated]`.
      mids: str `[num_classes]`.

    Returns:
      clip: int64 `[num_labels]`, index into `segment_ids`.
      column: int64 `[num_labels]`, index into `mids`.
    """
    clip = pd.Index(segment_ids).get_indexer(pd.Index(labels["segment_id"]))
    column = pd.Index(mids).get_indexer(pd.Index(labels["mid"]))
    return clip.astype(np.int64), column.astype(np.int64)


def count_unlocated(clip: _Ints, column: _Ints) -> dict[str, int]:
    """Counts labels whose clip, or else whose class, is not evaluated."""
    return {
        "clip_not_scored": int((clip < 0).sum()),
        "class_not_scored": int(((clip >= 0) & (column < 0)).sum()),
    }


def make_alignment(
    score_file: ScoreFile,
    match: ClipMatch,
    labelled_mids: "pd.Series[str]",
    left_out: dict[str, int],
    num_label_frames_not_scored: int = 0,
) -> Alignment:
    """Gathers what the score file and the labels do not share."""
    labelled = pd.Index(labelled_mids.unique())
    scored = pd.Index(score_file.mids)
    return Alignment(
        num_clips_labelled=match.num_clips_labelled,
        num_clips_scored=score_file.segment_ids.size,
        num_clips_evaluated=match.rows.size,
        clips_not_scored=match.not_scored,
        clips_without_labels=match.without_labels,
        clips_without_scores=match.without_scores,
        mids_not_scored=_sorted(labelled[~labelled.isin(scored)]),
        mids_without_labels=_sorted(scored[~scored.isin(labelled)]),
        num_label_frames_not_scored=num_label_frames_not_scored,
        labels_left_out=left_out,
    )


def warn_of_gaps(
    alignment: Alignment,
    what_happened: str = "Left out",
    labels: str = "labels",
) -> None:
    """Logs which clips and classes could not take part.

    Args:
      alignment: What scores and labels do not share.
      what_happened: To them, for the message.
      labels: What the labels are, for the message.
    """
    gaps = {
        f"scored clips have no {labels}": alignment.clips_without_labels,
        "labelled clips are not scored": alignment.clips_not_scored,
        "clips have no scored label frame": alignment.clips_without_scores,
        "labelled classes are not scored": alignment.mids_not_scored,
    }
    for what, names in gaps.items():
        if names:
            logging.warning(
                "%s: %d %s, such as %s.",
                what_happened,
                len(names),
                what,
                names[0],
            )


# --- ground truth ----------------------------------------------------------


STRONG_NEGATIVES = (
    "explicit",
    "explicit_only",
    "complementary_only",
    "implied",
)
WEAK_NEGATIVES = ("explicit", "implied")

_PAIR_KEYS = ["segment_id", "mid"]
_FRAME_KEYS = ["segment_id", "mid", "label_frame"]

_Bools = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, eq=False)
class EvalItems:
    """What every metric needs: aligned scores, positives and negatives.

    Attributes:
      scores: float16 or float32 `[num_items, num_classes]`.
      is_positive: bool, same shape.
      is_negative: bool, same shape, never where positive.
      clip_of_item: int64 `[num_items]`, ascending index into `segment_ids`.
      segment_ids: str `[num_clips_evaluated]`, in the score file's order.
      mids: str `[num_classes]`, all of the score file.
      alignment: What was left out.
    """

    scores: npt.NDArray[np.floating[Any]]
    is_positive: _Bools
    is_negative: _Bools
    clip_of_item: _Ints
    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    alignment: Alignment


def strong_items(
    score_file: ScoreFile, framed: pd.DataFrame, negatives: str = "explicit"
) -> EvalItems:
    """Makes the items of the Strong eval: scored label frames.

    Args:
      score_file: What the model scored.
      framed: Framed table (`label_files`).
      negatives: One of `STRONG_NEGATIVES` (module docstring).

    Returns:
      The items, by clip and then by label frame.

    Raises:
      InputError: No clip is both scored and labelled, or negatives is not one
        of its values.
    """
    check_negatives(negatives, STRONG_NEGATIVES)
    match = match_clips(score_file, framed["segment_id"])
    labels, left_out = _without_repeated(framed)
    clip, column = locate_labels(labels, match.segment_ids, score_file.mids)
    label_frame = labels["label_frame"].to_numpy()
    is_present = labels["is_present"].to_numpy()
    is_scored = score_file.is_scored[match.rows]

    is_beyond = _is_beyond_audio(clip, label_frame, is_scored)
    left_out |= count_unlocated(clip, column)
    left_out["label_frame_not_scored"] = int((is_beyond & (column >= 0)).sum())
    is_used = (clip >= 0) & (column >= 0) & ~is_beyond
    if negatives.endswith("_only"):
        has_class = _mark(
            clip[is_present], column[is_present], match, score_file
        )
        is_other = is_used & ~is_present
        is_other &= has_class[clip, column] == (negatives == "explicit_only")
        left_out["other_kind_of_negative"] = int(is_other.sum())
        is_used &= ~is_other

    clip_of_item, frame_of_item = np.nonzero(is_scored)
    item_of = np.cumsum(is_scored).reshape(is_scored.shape) - 1
    is_positive, is_negative = np.zeros(
        (2, clip_of_item.size, score_file.mids.size), dtype=bool
    )
    cells = item_of[clip, label_frame][is_used], column[is_used]
    is_positive[cells] = is_present[is_used]
    is_negative[cells] = ~is_present[is_used]
    if negatives == "implied":
        np.logical_not(is_positive, out=is_negative)
    return EvalItems(
        # One copy, whatever is left out, also of a memory-mapped array.
        scores=score_file.scores[match.rows[clip_of_item], frame_of_item],
        is_positive=is_positive,
        is_negative=is_negative,
        clip_of_item=clip_of_item,
        segment_ids=match.segment_ids,
        mids=score_file.mids,
        alignment=make_alignment(
            score_file,
            match,
            framed["mid"],
            left_out,
            num_label_frames_not_scored=int((~is_scored).sum()),
        ),
    )


def weak_items(
    score_file: ScoreFile,
    weak: pd.DataFrame,
    framed: pd.DataFrame | None = None,
    explicit_negatives: pd.DataFrame | None = None,
) -> EvalItems:
    """Makes the items of the Weak eval: clips.

    With neither table of negatives, they are implied.

    Where a weak positive is an explicit negative, the weak positive holds,
    because this evaluation measures agreement with the weak labels; it is
    counted as "contradicts_a_positive".

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`): the clips and their positives.
      framed: Framed table; its pairs that are NOT_PRESENT in all label frames
        are the explicit negatives.
      explicit_negatives: Instead of it, columns segment_id and mid: the pairs
        themselves.

    Returns:
      The items, one a clip.

    Raises:
      InputError: No clip is both scored and labelled, or both tables of
        negatives were given.
    """
    match = match_clips(score_file, weak["segment_id"])
    labels = weak[["segment_id", "mids"]].explode("mids", ignore_index=True)
    # A clip without any label, which the files never have, explodes to NaN.
    labels = labels.dropna().rename(columns={"mids": "mid"}).drop_duplicates()
    clip, column = locate_labels(labels, match.segment_ids, score_file.mids)
    left_out = count_unlocated(clip, column)
    mids = labels["mid"]

    is_positive = _mark(clip, column, match, score_file)
    is_negative = ~is_positive
    absent = _absent_pairs(framed, explicit_negatives)
    if absent is not None:
        mids = pd.concat([mids, absent["mid"]])
        left_out["repeated"] = int(absent.duplicated(_PAIR_KEYS).sum())
        absent = absent.drop_duplicates(_PAIR_KEYS)
        is_listed = absent["segment_id"].isin(weak["segment_id"])
        left_out["negative_of_a_clip_without_weak_labels"] = int(
            (~is_listed).sum()
        )
        clip, column = locate_labels(
            absent[is_listed], match.segment_ids, score_file.mids
        )
        for reason, count in count_unlocated(clip, column).items():
            left_out[reason] += count
        is_absent = _mark(clip, column, match, score_file)
        left_out["contradicts_a_positive"] = int(
            (is_absent & is_positive).sum()
        )
        is_negative &= is_absent
    return EvalItems(
        scores=score_file.clip_scores()[match.rows],
        is_positive=is_positive,
        is_negative=is_negative,
        clip_of_item=np.arange(match.rows.size),
        segment_ids=match.segment_ids,
        mids=score_file.mids,
        alignment=make_alignment(score_file, match, mids, left_out),
    )


def check_negatives(negatives: str, kinds: Sequence[str]) -> None:
    """Raises `InputError` unless this is one of these kinds of negatives."""
    if negatives not in kinds:
        raise InputError(
            f"negatives must be one of {list(kinds)}. Received: {negatives!r}."
        )


def _absent_pairs(
    framed: pd.DataFrame | None, explicit_negatives: pd.DataFrame | None
) -> pd.DataFrame | None:
    """Returns the pairs to take as explicit negatives, None without any."""
    if framed is not None and explicit_negatives is not None:
        raise InputError(
            "Explicit negatives come from framed labels or from a table of "
            "pairs; found both. Give one."
        )
    if framed is not None:
        return absent_pairs(_without_repeated(framed)[0])
    return explicit_negatives


def _without_repeated(
    framed: pd.DataFrame,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keeps one label for each label frame and class.

    Where a frame is both PRESENT and NOT_PRESENT, PRESENT holds: each marks a
    sound that somebody heard.

    Returns:
      The framed rows that are kept.
      How many were left out, for each reason.
    """
    # The released file repeats nothing; then there is nothing to sort.
    if not framed.duplicated(_FRAME_KEYS).any():
        return framed, {"repeated": 0, "contradicts_a_positive": 0}
    distinct = framed.drop_duplicates()
    present_first = distinct.sort_values(
        "is_present", ascending=False, kind="stable"
    )
    kept = present_first.drop_duplicates(_FRAME_KEYS)
    left_out = {
        "repeated": len(framed) - len(distinct),
        "contradicts_a_positive": len(distinct) - len(kept),
    }
    return kept, left_out


def _is_beyond_audio(
    clip: _Ints, label_frame: _Ints, is_scored: _Bools
) -> _Bools:
    """Whether each label is on an evaluated clip's unscored label frame."""
    is_beyond: _Bools = (clip >= 0) & ~is_scored[clip, label_frame]
    return is_beyond


def _mark(
    clip: _Ints, column: _Ints, match: ClipMatch, score_file: ScoreFile
) -> _Bools:
    """Returns bool `[num_clips_evaluated, num_classes]`, true at the labels."""
    marked = np.zeros((match.rows.size, score_file.mids.size), dtype=bool)
    is_used = (clip >= 0) & (column >= 0)
    marked[clip[is_used], column[is_used]] = True
    return marked


# --- class metrics ---------------------------------------------------------


RANK_OVER = ("all", "evaluated")

_Floats = npt.NDArray[np.float64]


def class_table(
    items: EvalItems,
    rank_over: str = "all",
    display_names: Mapping[str, str] | None = None,
    rankings: Sequence[ClassRanking] | None = None,
    lwlraps: _Floats | None = None,
) -> pd.DataFrame:
    """Computes the metrics of each class.

    Args:
      items: Aligned scores, positives and negatives.
      rank_over: Classes that lwlrap ranks: "all" of the score file, or the
        "evaluated" ones, which have a positive.
      display_names: Name of each mid.
      rankings: `ranking.rank_classes` of the items, if it is there already.
      lwlraps: float64 `[num_classes]`, from items with the same positives; None
        to compute them.

    Returns:
      `EvalResult.per_class`.

    Raises:
      InputError: A score is NaN, or rank_over is not one of its values.
    """
    if rankings is None:
        rankings = rank_classes(
            items.scores, items.is_positive, items.is_negative
        )
    aucs = np.array([metrics.auc_of_ranking(r) for r in rankings])
    if lwlraps is None:
        is_ranked = ranked_classes(items, rank_over)
        lwlraps = np.full(items.mids.size, np.nan)
        lwlraps[is_ranked] = metrics.per_class_lwlrap(
            items.scores[:, is_ranked], items.is_positive[:, is_ranked]
        )
    scored = pd.DataFrame(
        {
            "mid": items.mids.astype(object),
            "num_positives": [r.true_positives.size for r in rankings],
            "num_negatives": [r.num_negatives for r in rankings],
            "auc": aucs,
            "d_prime": metrics.d_prime_from_auc(aucs),
            "average_precision": [
                metrics.average_precision_of_ranking(r) for r in rankings
            ],
            "lwlrap": lwlraps,
        }
    )
    table = pd.concat([scored, _not_scored(items)], ignore_index=True)
    names = [(display_names or {}).get(mid, "") for mid in table["mid"]]
    table.insert(1, "display_name", pd.Series(names, dtype=object))
    table["undefined_reason"] = _undefined_reasons(table, items.alignment)
    return table


def ranked_classes(items: EvalItems, rank_over: str) -> "_Bools | slice":
    """Finds the classes that lwlrap ranks.

    Having a positive, not having an AUC, makes a class "evaluated": lwlrap then
    stays independent of the negatives.

    Args:
      items: Aligned scores, positives and negatives.
      rank_over: "all" or "evaluated".

    Returns:
      Index of these classes; for all a slice, which copies no scores.

    Raises:
      InputError: rank_over is not one of its values.
    """
    if rank_over not in RANK_OVER:
        raise InputError(
            f"rank_over must be one of {list(RANK_OVER)}. Received: "
            f"{rank_over!r}."
        )
    if rank_over == "all":
        return slice(None)
    is_ranked: _Bools = items.is_positive.any(axis=0)
    return is_ranked


def _not_scored(items: EvalItems) -> pd.DataFrame:
    """Makes rows of the labelled classes that the score file lacks."""
    mids = items.alignment.mids_not_scored
    return pd.DataFrame(
        {
            "mid": pd.Series(mids, dtype=object),
            "num_positives": 0,
            "num_negatives": 0,
            "auc": np.nan,
            "d_prime": np.nan,
            "average_precision": np.nan,
            "lwlrap": np.nan,
        }
    )


def _undefined_reasons(
    table: pd.DataFrame, alignment: Alignment
) -> npt.NDArray[np.object_]:
    """Says why a class has no AUC, "" where it has one."""
    reasons: npt.NDArray[np.object_] = np.select(
        [
            table["mid"].isin(alignment.mids_not_scored),
            table["mid"].isin(alignment.mids_without_labels),
            (table["num_positives"] == 0) & (table["num_negatives"] == 0),
            table["num_positives"] == 0,
            table["num_negatives"] == 0,
        ],
        [
            "not in the score file",
            "not in the labels",
            "no label of an evaluated clip",
            "no positive",
            "no negative",
        ],
        default="",
    ).astype(object)
    return reasons


# --- candidates ------------------------------------------------------------


def mine_candidates(
    score_file: ScoreFile, weak: pd.DataFrame, num_per_class: int
) -> tuple[pd.DataFrame, Alignment]:
    """Finds the highest-scored clips of each class that are not its positives.

    Clips without weak labels are left out: they may be positives of anything.

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`).
      num_per_class: Most candidates of a class; fewer where fewer clips are
        left.

    Returns:
      candidates: One row a candidate, classes in the score file's order and
        hardest first: mid str, segment_id str, score float64 (mean of the
        clip's label frames), rank int64 from 1. Equal scores are ordered by
        segment_id.
      alignment: The clips and classes that were left out.

    Raises:
      InputError: `num_per_class` is below 1, or no clip is both scored and
        labelled.
    """
    if num_per_class < 1:
        raise InputError(
            f"num_per_class must be 1 or more. Received: {num_per_class}."
        )
    items = weak_items(score_file, weak)
    by_name = np.argsort(items.segment_ids, kind="stable")
    tables = []
    for column, mid in enumerate(items.mids):
        # A stable sort of clips in the order of their names.
        open_clips = by_name[~items.is_positive[by_name, column]]
        order = np.argsort(-items.scores[open_clips, column], kind="stable")
        hardest = open_clips[order[:num_per_class]]
        tables.append(
            pd.DataFrame(
                {
                    "mid": str(mid),
                    "segment_id": items.segment_ids[hardest].astype(object),
                    "score": items.scores[hardest, column].astype(np.float64),
                    "rank": np.arange(1, hardest.size + 1),
                }
            )
        )
    return pd.concat(tables, ignore_index=True), items.alignment
