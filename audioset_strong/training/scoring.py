"""Scores records with the model of a run and writes a score file.

The way to evaluation: the score file holds a score for every label frame and
class, and neither TensorFlow nor records are needed from there on.
"""

from collections.abc import Sequence

import numpy as np
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import LabelFrameScores, write_score_file
from audioset_strong.labels.class_map import describe_other_classes
from audioset_strong.labels.frame_rule import num_label_frames_of
from audioset_strong.models.clip_scores import (
    ScoredClips,
    make_score_patches,
    score_clips,
)
from audioset_strong.params import LabelFrameParams
from audioset_strong.records.manifest import GROUPS, read_records
from audioset_strong.training.workdir import load_classifier, weights_hash


def write_scores(
    workdir: str,
    records_dir: str,
    output_path: str,
    checkpoint: str = "best",
    groups: Sequence[str] = GROUPS,
) -> LabelFrameScores:
    """Scores records with the model of a run and writes a score file.

    The score file has the classes of the run. Records that were made with
    another class map can be scored too, because only their targets depend on
    it, which are not used here; a warning says how the two differ.

    Args:
      workdir: Folder of the run.
      records_dir: Folder of the records.
      output_path: Score file to write.
      checkpoint: "best" or "last".
      groups: Groups of shards to score.

    Returns:
      What was written.

    Raises:
      InputError: The records have other features than the run, or there is
        nothing to score.
    """
    model, params, class_map = load_classifier(workdir, checkpoint)
    records = read_records(records_dir)
    # The network would take other features without complaint.
    if records.features != params.features:
        raise InputError(
            f"{records_dir} has features {records.features}, but {workdir} was "
            f"trained on {params.features}. Prepare the records again with the "
            f"front end of the run."
        )
    other_classes = describe_other_classes(
        class_map.mids, records.class_map.mids, workdir, records_dir
    )
    if other_classes:
        logging.warning(
            "The scores have the classes of the run, not those of the records: "
            "%s.",
            other_classes,
        )
    scored = score_clips(
        make_score_patches(model), records, groups, show_progress=True
    )
    score_file = LabelFrameScores(
        segment_ids=scored.segment_ids,
        mids=np.array(class_map.mids),
        # [num_clips, num_label_frames, num_classes]
        scores=scored.padded_scores(records.label_frames.num_label_frames),
        num_label_frames=scored.num_label_frames,
        label_frame_seconds=records.label_frames.label_frame_seconds,
    )
    # Hashes alone, so that equal scores are equal bytes wherever they are made.
    made_from = (
        f"the {checkpoint} weights {weights_hash(workdir, checkpoint)} and "
        f"records {records.records_hash}"
    )
    write_score_file(score_file, output_path, made_from)
    _describe_lengths(scored, records.label_frames)
    return score_file


def _describe_lengths(scored: ScoredClips, grid: LabelFrameParams) -> None:
    """Says which clips have fewer scores than the score file has room for."""
    num_scored = scored.num_label_frames  # [num_clips]
    num_shorter = int((num_scored < num_scored.max()).sum())
    if num_shorter:
        logging.info(
            "Clips shorter than the longest, which have scores for the whole "
            "label frames of their audio: %d.",
            num_shorter,
        )
    num_in_audio = num_label_frames_of(scored.audio_seconds, grid)
    num_cut = int((num_scored < num_in_audio).sum())
    if num_cut:
        logging.info(
            "Label frames without a score: %d, the last of clips that end less "
            "than 15 ms after it, so that an STFT window would reach beyond "
            "the audio. Evaluation counts them as not scored.",
            num_cut,
        )
