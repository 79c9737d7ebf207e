"""Alignment: which clips, classes and labels an evaluation shares.

A score file and label files rarely hold the same clips and classes. What they
do not share is left out of the metrics, and this module counts and lists it, so
that nothing is dropped silently.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.score_files import ScoreFile

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
