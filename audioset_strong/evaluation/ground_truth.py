"""Ground truth: score file + labels -> items with positives and negatives.

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
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.alignment import (
    Alignment,
    ClipMatch,
    count_unlocated,
    locate_labels,
    make_alignment,
    match_clips,
)
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.labels.explicit_negatives import absent_pairs

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
_Ints = npt.NDArray[np.int64]


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
