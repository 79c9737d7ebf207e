"""Common items: two systems, or a list of clips, on the same footing.

Evaluations over other clips, label frames or classes say nothing of the models.
Everything that is left out here is counted in words.
"""

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.evaluation.truth_files import Truth
from audioset_strong.labels.class_map import describe_other_classes

_SCORES, _BASELINE = "the score file", "the baseline"


def on_common_classes(
    ours: ScoreFile,
    theirs: ScoreFile,
    our_name: str = _SCORES,
    their_name: str = _BASELINE,
) -> tuple[ScoreFile, ScoreFile, str]:
    """Leaves out the classes that only one of two score files has.

    Args:
      ours: The score file.
      theirs: The baseline.
      our_name: What they are, for messages.
      their_name: The same for the baseline.

    Returns:
      Both, and what was left out; "" for nothing.

    Raises:
      InputError: They have no class in common.
    """
    our_mids, their_mids = ours.mids.tolist(), theirs.mids.tolist()
    if set(our_mids) == set(their_mids):
        return ours, theirs, ""
    difference = describe_other_classes(
        our_mids, their_mids, our_name, their_name
    )
    common = np.intersect1d(ours.mids, theirs.mids)
    if not common.size:
        raise InputError(
            f"The score file and the baseline have no class in common: "
            f"{difference}. Give score files whose mids are of one ontology."
        )
    text = (
        f"{common.size} in both; {len(our_mids) - common.size} only in the "
        f"score file, {len(their_mids) - common.size} only in the baseline"
    )
    logging.warning(
        "Both score files are evaluated over their common classes (%s): %s.",
        text,
        difference,
    )
    return _with_classes(ours, common), _with_classes(theirs, common), text


def _with_classes(score_file: ScoreFile, mids: Any) -> ScoreFile:
    """Keeps the columns of some classes, in their order."""
    is_kept = np.isin(score_file.mids, mids)
    if is_kept.all():
        return score_file
    return dataclasses.replace(
        score_file,
        mids=score_file.mids[is_kept],
        scores=score_file.scores[:, :, is_kept],
    )


def on_common_label_frames(
    ours: ScoreFile, theirs: ScoreFile
) -> tuple[ScoreFile, ScoreFile, str]:
    """Leaves out the clips and label frames that only one of two has scored.

    Args:
      ours: The score file.
      theirs: The baseline.

    Returns:
      Both, over the same clips, each in its own order, and as many label frames
      of each clip; and what was left out.

    Raises:
      InputError: They have no clip in common.
    """
    common = np.intersect1d(ours.segment_ids, theirs.segment_ids)
    if not common.size:
        raise InputError(
            f"The score file and the baseline have no clip in common; the "
            f"first are {ours.segment_ids[:1].tolist()} and "
            f"{theirs.segment_ids[:1].tolist()}. Give scores of one set."
        )
    restricted = [_with_clips(s, common) for s in (ours, theirs)]
    least = np.min([_counts_of(s, common) for s in restricted], axis=0)
    ours_common, theirs_common = (
        _with_label_frames(s, common, least) for s in restricted
    )
    frames = [int(s.num_label_frames.sum() - least.sum()) for s in restricted]
    text = (
        f"{common.size} clips in both; {ours.segment_ids.size - common.size} "
        f"clips and {frames[0]} label frames of others only in the score file, "
        f"{theirs.segment_ids.size - common.size} and {frames[1]} only in the "
        f"baseline"
    )
    logging.info("Common clips: %s.", text)
    return ours_common, theirs_common, text


def _counts_of(
    score_file: ScoreFile, segment_ids: npt.NDArray[np.str_]
) -> npt.NDArray[np.integer[Any]]:
    rows = pd.Index(score_file.segment_ids).get_indexer(pd.Index(segment_ids))
    return score_file.num_label_frames[rows]


def _with_label_frames(
    score_file: ScoreFile,
    segment_ids: npt.NDArray[np.str_],
    counts: npt.NDArray[np.integer[Any]],
) -> ScoreFile:
    """Scores no more label frames of each clip than these."""
    rows = pd.Index(segment_ids).get_indexer(pd.Index(score_file.segment_ids))
    return dataclasses.replace(score_file, num_label_frames=counts[rows])


def _with_clips(
    score_file: ScoreFile, segment_ids: Collection[str] | npt.NDArray[np.str_]
) -> ScoreFile:
    """Keeps some clips, in their order."""
    kept = pd.Index(score_file.segment_ids).isin(list(segment_ids))
    if kept.all():
        return score_file
    return dataclasses.replace(
        score_file,
        segment_ids=score_file.segment_ids[kept],
        scores=score_file.scores[kept],
        num_label_frames=score_file.num_label_frames[kept],
    )


def on_listed_clips(
    score_file: ScoreFile, segment_ids: Collection[str], name: str = _SCORES
) -> tuple[ScoreFile, str]:
    """Leaves out the scores of clips that a list does not have.

    Args:
      score_file: The scores.
      segment_ids: The list.
      name: What the scores are, for messages.

    Returns:
      The scores of listed clips, and what was left out.

    Raises:
      InputError: No listed clip is scored.
    """
    listed = _with_clips(score_file, segment_ids)
    if not listed.segment_ids.size:
        raise InputError(
            f"Expected {name} to have scores of listed clips, found none: the "
            f"first are {score_file.segment_ids[:1].tolist()} and "
            f"{list(segment_ids)[:1]}. Give the list of the set that was "
            f"scored."
        )
    return listed, (
        f"{listed.segment_ids.size} of {len(segment_ids)} listed clips are "
        f"scored, {score_file.segment_ids.size - listed.segment_ids.size} "
        f"scored ones are not listed"
    )


def truth_of_clips(truth: Truth, segment_ids: Collection[str]) -> Truth:
    """Leaves out the labels of clips that a list does not have.

    Args:
      truth: The labels.
      segment_ids: The list.

    Returns:
      The labels of listed clips.

    Raises:
      InputError: No listed clip has labels.
    """
    listed = set(segment_ids)

    def of_listed(table: pd.DataFrame | None) -> pd.DataFrame | None:
        return (
            table if table is None else table[table["segment_id"].isin(listed)]
        )

    for name, table in (("framed", truth.framed), ("weak", truth.weak)):
        if table is not None and not table["segment_id"].isin(listed).any():
            raise InputError(
                f"Expected {name} labels of listed clips, found none. Give the "
                f"list of the set that is labelled."
            )
    return dataclasses.replace(
        truth,
        framed=of_listed(truth.framed),
        weak=of_listed(truth.weak),
        explicit_negatives=of_listed(truth.explicit_negatives),
    )
