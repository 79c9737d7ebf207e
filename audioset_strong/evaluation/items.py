"""Items: scores and labels -> what metrics are computed from.

Conventions:
  * Strong eval: an item is a (clip, label frame); labels are a framed table.
    Weak eval: an item is a clip, scored by the mean of its label frames.
  * "explicit" negatives are those that annotators marked. Strong: the
    NOT_PRESENT rows, which hold complementary negatives too. Weak: the
    (clip, class) pairs that the framed file has NOT_PRESENT in all label
    frames, or a table of such pairs.
  * "explicit_only" and "complementary_only" divide the NOT_PRESENT rows of the
    Strong eval: a row is complementary if the clip has a PRESENT row of the
    class, scored or not. The positives stay the same.
  * "implied" negatives are every labelled clip's classes (and label frames)
    that are not positive.
  * A list of annotated clips (`labels/clips.py`) names clips without any event
    too. They are negatives of every class of every kind but "complementary_
    only". A label frame after the end of a listed clip is no item.
  * Whatever is neither positive nor negative is unknown.
  * Nothing is dropped silently: `Alignment` counts and lists what the score
    file and the labels do not share.

Source: Section 3.2 of the paper.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation import ranking_metrics
from audioset_strong.evaluation.scores import LabelFrameScores
from audioset_strong.labels.frame_rule import label_frames_of_clips
from audioset_strong.labels.ids import explain_difference
from audioset_strong.labels.label_files import absent_pairs
from audioset_strong.params import LabelFrameParams

STRONG_NEGATIVES = (
    "explicit",
    "explicit_only",
    "complementary_only",
    "implied",
)
WEAK_NEGATIVES = ("explicit", "implied")
RANK_OVER = ("all", "evaluated")
# After "scored clips have no labels".
NO_LIST_ADVICE = (
    " (if somebody listened to them and heard nothing, a list of annotated "
    "clips says so)"
)

_PAIR_KEYS = ["segment_id", "mid"]
_FRAME_KEYS = ["segment_id", "mid", "label_frame"]

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Alignment:
    """What the score file and the labels share, and what they do not.

    Attributes:
      num_clips_labelled: Clips of the labels, and listed ones without events.
      num_clips_scored: Clips of the score file.
      num_clips_evaluated: Clips in both with a scored label frame.
      clips_not_scored: Labelled clips that the score file lacks.
      clips_without_labels: Scored clips that the labels lack.
      clips_without_scores: Clips in both whose audio is too short for a scored
        label frame.
      mids_not_scored: Labelled classes that the score file lacks.
      mids_without_labels: Scored classes that no label names.
      num_label_frames_not_scored: Label frames of evaluated clips that were
        not scored, being beyond the audio.
      labels_left_out: Number of labels left out, by the reason.
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
class EvalItems:
    """What every metric needs: aligned scores, positives and negatives.

    Attributes:
      scores: float `[num_items, num_classes]`.
      is_positive: bool, same shape.
      is_negative: bool, same shape, never where positive.
      clip_of_item: int64 `[num_items]`, ascending index into `segment_ids`.
      segment_ids: str `[num_clips_evaluated]`, in the score file's order.
      mids: str `[num_classes]`, all of the score file.
      alignment: What was left out.
      is_logits: Whether the scores are logits (`scores.as_probabilities`).
      label_frame_seconds: Length of a label frame.
      group_of_clip: str `[num_clips_evaluated]`: clips of a group are resampled
        together; None if each clip is a group of its own.
    """

    scores: npt.NDArray[np.floating[Any]]
    is_positive: _Bools
    is_negative: _Bools
    clip_of_item: _Ints
    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    alignment: Alignment
    is_logits: bool = False
    label_frame_seconds: float = LabelFrameParams().label_frame_seconds
    group_of_clip: npt.NDArray[np.object_] | None = None

    def map_classes(
        self,
        function: Callable[..., _T],
        num_threads: int | None = None,
        classes_at_once: int = 32,
    ) -> list[_T]:
        """Calls a function for each class (`ranking_metrics.map_classes`)."""
        arrays = self.scores, self.is_positive, self.is_negative
        return ranking_metrics.map_classes(
            function, *arrays, num_threads, classes_at_once
        )

    def rank_classes(self) -> list[ranking_metrics.ClassRanking]:
        """Ranks the listed items of every class."""
        return ranking_metrics.rank_classes(
            self.scores, self.is_positive, self.is_negative
        )

    def ranked_classes(self, rank_over: str) -> "_Bools | slice":
        """Finds the classes that lwlrap ranks: "all", or the "evaluated" ones.

        Having a positive, not having an AUC, makes a class "evaluated": lwlrap
        then stays independent of the negatives. For all classes this is a
        slice, which copies no scores.
        """
        if rank_over not in RANK_OVER:
            raise InputError(
                f"rank_over must be one of {list(RANK_OVER)}. Received: "
                f"{rank_over!r}."
            )
        if rank_over == "all":
            return slice(None)
        return np.asarray(self.is_positive.any(axis=0))  # [num_classes]


def check_negatives(negatives: str) -> None:
    """Raises `InputError` unless this is one of `STRONG_NEGATIVES`."""
    if negatives not in STRONG_NEGATIVES:
        raise InputError(
            f"negatives must be one of {list(STRONG_NEGATIVES)}. Received: "
            f"{negatives!r}."
        )


def within_clips(
    score_file: LabelFrameScores,
    clips: pd.DataFrame | None,
    params: LabelFrameParams | None = None,
    name: str = "scores",
) -> tuple[LabelFrameScores, str]:
    """Leaves out label frames after the end of clips, and logs how many.

    Args:
      score_file: What the model scored, perhaps padded clips.
      clips: Clips table (`labels/clips.py`); None for no list.
      params: How many label frames clips have that are not listed; None to
        leave out none of theirs.
      name: What to call the scores in the message.

    Returns:
      The scores, and what was left out; "" for nothing.
    """
    counts = score_file.num_label_frames
    if params is None:
        params = LabelFrameParams(num_label_frames=score_file.scores.shape[1])
    least = np.minimum(
        label_frames_of_clips(score_file.segment_ids, clips, params), counts
    )
    if (least == counts).all():
        return score_file, ""
    text = (
        f"{(counts - least).sum()} scored label frames lie after the end of "
        f"their clip (of {params.clip_seconds:g} s, unless a list says "
        f"otherwise) and were left out"
    )
    # Without a list, the length is an assumption.
    level = logging.WARNING if clips is None else logging.INFO
    logging.log(level, "%s: %s.", name, text)
    return dataclasses.replace(score_file, num_label_frames=least), text


def strong_items(
    score_file: LabelFrameScores,
    framed: pd.DataFrame,
    negatives: str = "explicit",
    clips: pd.DataFrame | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> EvalItems:
    """Makes the items of the Strong eval: label frames, clip by clip.

    Args:
      score_file: What the model scored.
      framed: Framed table (`label_files`).
      negatives: One of `STRONG_NEGATIVES` (module docstring).
      clips: Clips table (`labels/clips.py`), with a column has_event, bool:
        whether any label names the clip; None for no list.
      params: How many label frames clips have that are not listed.

    Raises:
      InputError: No clip is both scored and labelled, or negatives is not one
        of its values.
    """
    check_negatives(negatives)
    score_file, _ = within_clips(score_file, clips, params)
    labelled = _with_empty_clips(framed["segment_id"], clips)
    rows, alignment = _align(score_file, labelled, framed["mid"])
    labels, left_out = _without_repeated(framed)
    clip, column = _locate(labels, rows, score_file)  # [num_labels] each
    label_frame = labels["label_frame"].to_numpy()
    is_present = labels["is_present"].to_numpy()
    is_scored = score_file.is_scored[rows]  # [num_clips, num_label_frames]
    num_scored = score_file.num_label_frames[rows]  # [num_clips]

    is_beyond = (clip >= 0) & (label_frame >= num_scored[clip])
    left_out |= _count_unlocated(clip, column)
    left_out["label_frame_not_scored"] = int((is_beyond & (column >= 0)).sum())
    is_used = (clip >= 0) & (column >= 0) & ~is_beyond
    shape = rows.size, score_file.mids.size
    if negatives.endswith("_only"):
        has_class = _mark(clip[is_present], column[is_present], shape)
        is_other = is_used & ~is_present
        is_other &= has_class[clip, column] == (negatives == "explicit_only")
        left_out["other_kind_of_negative"] = int(is_other.sum())
        is_used &= ~is_other

    clip_of_item, frame_of_item = np.nonzero(is_scored)  # [num_items] each
    item_of = np.cumsum(is_scored).reshape(is_scored.shape) - 1
    is_positive, is_negative = np.zeros(
        (2, clip_of_item.size, score_file.mids.size), dtype=bool
    )
    clip, label_frame = clip[is_used], label_frame[is_used]
    cells = item_of[clip, label_frame], column[is_used]
    is_positive[cells] = is_present[is_used]
    is_negative[cells] = ~is_present[is_used]
    segment_ids = score_file.segment_ids[rows]
    if negatives != "complementary_only":
        is_empty = np.isin(segment_ids, _empty_clips(clips))
        is_negative[is_empty[clip_of_item]] = True
    if negatives == "implied":
        np.logical_not(is_positive, out=is_negative)
    scores = score_file.scores
    if clip_of_item.size == scores[..., 0].size:  # Nothing need be copied.
        scores = scores.reshape(-1, score_file.mids.size)
    else:
        scores = scores[rows[clip_of_item], frame_of_item]
    # The scores may have room for fewer.
    room = min(params.num_label_frames, is_scored.shape[1])
    params = dataclasses.replace(params, num_label_frames=room)
    num_of_clip = label_frames_of_clips(segment_ids, clips, params)
    return EvalItems(
        scores=scores,
        is_positive=is_positive,
        is_negative=is_negative,
        clip_of_item=clip_of_item,
        segment_ids=segment_ids,
        mids=score_file.mids,
        is_logits=score_file.is_logits,
        label_frame_seconds=score_file.label_frame_seconds,
        alignment=dataclasses.replace(
            alignment,
            num_label_frames_not_scored=int(
                np.maximum(num_of_clip - num_scored, 0).sum()
            ),
            labels_left_out=left_out,
        ),
    )


def weak_items(
    score_file: LabelFrameScores,
    weak: pd.DataFrame,
    framed: pd.DataFrame | None = None,
    explicit_negatives: pd.DataFrame | None = None,
    clips: pd.DataFrame | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> EvalItems:
    """Makes the items of the Weak eval: clips.

    With neither table of negatives, they are implied. A weak positive overrides
    an explicit negative, because this evaluation measures agreement with the
    weak labels; it is counted as "contradicts_a_positive".

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`): the clips and their positives.
      framed: Framed table; its pairs that are NOT_PRESENT in all label frames
        are the explicit negatives.
      explicit_negatives: Instead of it, columns segment_id and mid: the pairs
        themselves.
      clips: As in `strong_items`.
      params: As in `strong_items`.

    Raises:
      InputError: No clip is both scored and labelled, or both tables of
        negatives were given.
    """
    if framed is not None and explicit_negatives is not None:
        raise InputError(
            "Explicit negatives come from framed labels or from a table of "
            "pairs; found both. Give one."
        )
    score_file, _ = within_clips(score_file, clips, params)
    absent = explicit_negatives
    if framed is not None:
        absent = absent_pairs(_without_repeated(framed)[0], params, clips)
    labels = weak[["segment_id", "mids"]].explode("mids", ignore_index=True)
    # A clip without any label, which the files never have, explodes to NaN.
    labels = labels.dropna().rename(columns={"mids": "mid"}).drop_duplicates()
    mids = labels["mid"]
    if absent is not None:
        mids = pd.concat([mids, absent["mid"]])
    labelled = _with_empty_clips(weak["segment_id"], clips)
    rows, alignment = _align(score_file, labelled, mids)
    segment_ids = score_file.segment_ids[rows]
    shape = rows.size, score_file.mids.size
    clip, column = _locate(labels, rows, score_file)
    left_out = _count_unlocated(clip, column)
    is_positive = _mark(clip, column, shape)
    is_negative = ~is_positive
    if absent is not None:
        left_out["repeated"] = int(absent.duplicated(_PAIR_KEYS).sum())
        absent = absent.drop_duplicates(_PAIR_KEYS)
        is_listed = absent["segment_id"].isin(labelled)
        left_out["negative_of_a_clip_without_weak_labels"] = int(
            (~is_listed).sum()
        )
        clip, column = _locate(absent[is_listed], rows, score_file)
        for reason, count in _count_unlocated(clip, column).items():
            left_out[reason] += count
        is_absent = _mark(clip, column, shape)
        left_out["contradicts_a_positive"] = int(
            (is_absent & is_positive).sum()
        )
        is_absent[np.isin(segment_ids, _empty_clips(clips))] = True
        is_negative &= is_absent
    return EvalItems(
        scores=score_file.clip_scores[rows],
        is_positive=is_positive,
        is_negative=is_negative,
        clip_of_item=np.arange(rows.size),
        segment_ids=segment_ids,
        mids=score_file.mids,
        is_logits=score_file.is_logits,
        alignment=dataclasses.replace(alignment, labels_left_out=left_out),
    )


def _empty_clips(clips: pd.DataFrame | None) -> list[str]:
    """Returns the listed clips without any event."""
    if clips is None:
        return []
    empty: list[str] = clips.loc[~clips["has_event"], "segment_id"].tolist()
    return empty


def _with_empty_clips(
    labelled: "pd.Series[str]", clips: pd.DataFrame | None
) -> "pd.Series[str]":
    """Adds the listed clips without any event to those with labels."""
    empty = _empty_clips(clips)
    if not empty:
        return labelled
    return pd.concat([labelled, pd.Series(empty, dtype=object)])


def _align(
    score_file: LabelFrameScores,
    labelled_clips: "pd.Series[str]",
    labelled_mids: "pd.Series[str]",
) -> tuple[_Ints, Alignment]:
    """Finds the rows of clips to evaluate, in the score file's order."""
    labelled_ids = pd.Index(labelled_clips.unique())
    scored_ids = pd.Index(score_file.segment_ids)
    labelled = pd.Index(labelled_mids.unique())
    scored = pd.Index(score_file.mids)
    is_labelled = _is_in(scored_ids, labelled_ids)  # [num_clips]
    has_scores = score_file.num_label_frames > 0
    rows = np.nonzero(is_labelled & has_scores)[0]  # [num_clips_evaluated]
    if rows.size == 0 and is_labelled.any():
        raise InputError(
            f"Expected scored clips with a whole label frame, found none: the "
            f"{is_labelled.sum()} clips that are scored and labelled, such as "
            f"{str(scored_ids[is_labelled][0])!r}, have no score for half of a "
            f"label frame ({score_file.label_frame_seconds:g} s) within their "
            f"length. Give scores of more of them, or their lengths (clips)."
        )
    if rows.size == 0:
        first_scored, first_labelled = (
            repr(str(ids[0])) if ids.size else "none"
            for ids in (scored_ids, labelled_ids)
        )
        near = explain_difference(
            list(map(str, scored_ids)), list(map(str, labelled_ids))
        )
        raise InputError(
            f"Expected scored clips to have labels: none of the "
            f"{scored_ids.size} scored clips (such as {first_scored}) is "
            f"among the {labelled_ids.size} labelled ones (such as "
            f"{first_labelled}). {f'{near}. ' if near else ''}Give labels of "
            f"the set that was scored, and name its clips as they do."
        )
    return rows, Alignment(
        num_clips_labelled=labelled_ids.size,
        num_clips_scored=scored_ids.size,
        num_clips_evaluated=rows.size,
        clips_not_scored=_sorted(
            labelled_ids[~_is_in(labelled_ids, scored_ids)]
        ),
        clips_without_labels=_sorted(scored_ids[~is_labelled]),
        clips_without_scores=_sorted(scored_ids[is_labelled & ~has_scores]),
        mids_not_scored=_sorted(labelled[~_is_in(labelled, scored)]),
        mids_without_labels=_sorted(scored[~_is_in(scored, labelled)]),
        num_label_frames_not_scored=0,
        labels_left_out={},
    )


def _is_in(names: "pd.Index[Any]", others: "pd.Index[Any]") -> _Bools:
    """Whether each name is among others, all distinct; faster than `isin`."""
    return np.asarray(others.get_indexer(names) >= 0)


def _sorted(names: "pd.Index[Any]") -> tuple[str, ...]:
    return tuple(sorted(map(str, names)))


def _locate(
    labels: pd.DataFrame, rows: _Ints, score_file: LabelFrameScores
) -> tuple[_Ints, _Ints]:
    """Finds evaluated clip and class of each label; -1 where there is none."""
    segment_ids = pd.Index(score_file.segment_ids[rows])
    clip = segment_ids.get_indexer(pd.Index(labels["segment_id"]))
    column = pd.Index(score_file.mids).get_indexer(pd.Index(labels["mid"]))
    return clip.astype(np.int64), column.astype(np.int64)


def _count_unlocated(clip: _Ints, column: _Ints) -> dict[str, int]:
    """Counts labels whose clip, or else whose class, is not evaluated."""
    return {
        "clip_not_scored": int((clip < 0).sum()),
        "class_not_scored": int(((clip >= 0) & (column < 0)).sum()),
    }


def _mark(clip: _Ints, column: _Ints, shape: tuple[int, int]) -> _Bools:
    """Returns bool `[num_clips_evaluated, num_classes]`, true at the labels."""
    marked = np.zeros(shape, dtype=bool)
    is_used = (clip >= 0) & (column >= 0)
    marked[clip[is_used], column[is_used]] = True
    return marked


def _without_repeated(
    framed: pd.DataFrame,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keeps one label a label frame and class; counts those left out.

    Where a frame is both PRESENT and NOT_PRESENT, PRESENT wins: each marks a
    sound that somebody heard.
    """
    kept = distinct = framed
    # The released file repeats nothing; then there is nothing to sort.
    if framed.duplicated(_FRAME_KEYS).any():
        distinct = framed.drop_duplicates()
        kept = distinct.sort_values(
            "is_present", ascending=False, kind="stable"
        ).drop_duplicates(_FRAME_KEYS)
    return kept, {
        "repeated": len(framed) - len(distinct),
        "contradicts_a_positive": len(distinct) - len(kept),
    }


def log_gaps(gaps: Mapping[str, Sequence[str]], outcome: str) -> None:
    """Logs what could not take part: how many, and the first of them.

    Args:
      gaps: Names of clips or classes, by what they lack.
      outcome: What happened to them.
    """
    for what, names in gaps.items():
        if names:
            logging.warning(
                "%s: %d %s, such as %s.", outcome, len(names), what, names[0]
            )


def warn_of_gaps(
    alignment: Alignment,
    outcome: str = "Left out",
    labels: str = "labels",
    has_clips: bool = True,
) -> None:
    """Logs which clips, classes and labels could not take part.

    Args:
      alignment: What scores and labels do not share.
      outcome: What happened to these clips and classes.
      labels: What the labels are.
      has_clips: Whether a list said which clips were annotated; if not, one may
        be what lacks.
    """
    advice = "" if has_clips else NO_LIST_ADVICE
    gaps = {
        f"scored clips have no {labels}{advice}": (
            alignment.clips_without_labels
        ),
        "labelled clips are not scored": alignment.clips_not_scored,
        "clips have no scored label frame": alignment.clips_without_scores,
        "labelled classes are not scored": alignment.mids_not_scored,
    }
    log_gaps(gaps, outcome)
    num_late = alignment.labels_left_out.get("label_frame_not_scored", 0)
    if num_late:
        logging.warning(
            "%s: %d labels are of label frames that were not scored.",
            outcome,
            num_late,
        )
    # Without a list their number is a guess, and short audio is common.
    if has_clips and alignment.num_label_frames_not_scored:
        logging.warning(
            "%s: %d label frames of listed clips that were not scored.",
            outcome,
            alignment.num_label_frames_not_scored,
        )


def mine_candidates(
    score_file: LabelFrameScores, weak: pd.DataFrame, num_per_class: int
) -> tuple[pd.DataFrame, Alignment]:
    """Finds hard candidates for explicit negatives: what to ask annotators.

    For each class, the clips that a model trained on weak labels scores highest
    among those that are not labelled with it. Annotators then confirm or refute
    the class; what they refute are the hardest negatives. Clips without weak
    labels are left out: they may be positives of anything.

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`).
      num_per_class: Most candidates of a class.

    Returns:
      candidates: One row a candidate, classes in the score file's order and
        hardest first: mid str, segment_id str, score float64 (mean of the
        clip's label frames), rank int64 from 1. Equal scores are ordered by
        segment_id.
      alignment: The clips and classes that were left out.

    Raises:
      InputError: `num_per_class` is below 1, or no clip is both scored and
        labelled.

    Source:
      Section 3.2 of the paper. That labelled positives are left out is our
      choice: annotators have confirmed them.
    """
    if num_per_class < 1:
        raise InputError(
            f"num_per_class must be 1 or more. Received: {num_per_class}."
        )
    items = weak_items(score_file, weak)
    by_name = np.argsort(items.segment_ids, kind="stable")  # [num_clips]
    tables = []
    for column, mid in enumerate(items.mids):
        open_clips = by_name[~items.is_positive[by_name, column]]
        # Stable, so that equal scores stay in the order of their names.
        order = np.argsort(-items.scores[open_clips, column], kind="stable")
        hardest = open_clips[order[:num_per_class]]  # [<= num_per_class]
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
