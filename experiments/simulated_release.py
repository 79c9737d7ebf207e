"""Makes the inputs of the experiments where there is no AudioSet.

    make_soundscapes -> prepare_records -> train a miner -> score -> mine
    candidates -> annotate them -> the framed file with explicit negatives

The explicit negatives are mined as Section 3.2 of the paper describes: a model
trained on weak labels, the miner, scores the evaluation clips, and annotators
are shown clips with high scores. The miner is none of the models that are
evaluated (half the width, another seed). A model that mined its own negatives
would be tested on its own mistakes, and its d' would fall below zero.
"""

import dataclasses
import os

from absl import logging

from audioset_strong.evaluation.items import mine_candidates
from audioset_strong.evaluation.scores import read_score_file
from audioset_strong.inference.scoring import write_scores
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.params import ModelParams, RecordParams, TrainParams
from audioset_strong.records.prepare import (
    WorkerParams,
    describe,
    prepare_records,
)
from audioset_strong.simulation.release import annotate_candidates, make_release
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from audioset_strong.training.trainer import train

# Share of the evaluation clips that candidates of a class are drawn from, the
# highest scores first, and how many annotators are shown: a queue, not the top
# (BUILD_NOTES.md "Explicit negatives").
_CANDIDATE_SHARE = 0.5
SHOWN_PER_CLASS = 30


@dataclasses.dataclass(frozen=True)
class ExperimentInputs:
    """What an experiment reads, real or simulated.

    Attributes:
      train_records_dir: Records of the training clips.
      eval_records_dir: Records of the evaluation clips.
      eval_weak_labels: Weak CSV of the evaluation clips.
      eval_framed_labels: Framed TSV of the evaluation clips.
      class_map: The classes.
    """

    train_records_dir: str
    eval_records_dir: str
    eval_weak_labels: str
    eval_framed_labels: str
    class_map: str


def make_inputs(
    output_dir: str,
    soundscapes: SoundscapeParams,
    source: SourceSettings,
    miner_model: ModelParams,
    miner_train: TrainParams,
    num_workers: int,
) -> ExperimentInputs:
    """Makes soundscapes, records and mined negatives; keeps what is there.

    Args:
      output_dir: Folder of the experiment.
      soundscapes: Numbers of clips and the like.
      source: Where the sounds come from.
      miner_model: Network of the miner.
      miner_train: Its training on the Weak set.
      num_workers: Processes for soundscapes and records.

    Raises:
      InputError: The folder was made with other settings, or the sound source
        cannot be read.
    """
    release_dir = os.path.join(output_dir, "release")
    make_release(release_dir, soundscapes, source, num_workers)
    inputs = _prepare(output_dir, release_dir, soundscapes, num_workers)
    mined_path = os.path.join(output_dir, "mined.txt")
    if not os.path.exists(mined_path):
        miner_dir = os.path.join(output_dir, "miner")
        train(inputs.train_records_dir, miner_dir, miner_model, miner_train)
        summary = _mine(release_dir, miner_dir, inputs, soundscapes)
        with open(mined_path, "w", encoding="utf-8") as file:
            file.write(summary + "\n")
        logging.info(summary)
    return inputs


def _prepare(
    output_dir: str,
    release_dir: str,
    soundscapes: SoundscapeParams,
    num_workers: int,
) -> ExperimentInputs:
    """Prepares the records of both parts of a release."""
    labels = os.path.join(release_dir, "labels")
    inputs = ExperimentInputs(
        train_records_dir=os.path.join(output_dir, "records", "train"),
        eval_records_dir=os.path.join(output_dir, "records", "eval"),
        eval_weak_labels=os.path.join(labels, "eval_segments.csv"),
        eval_framed_labels=os.path.join(
            labels, "audioset_eval_strong_framed_posneg.tsv"
        ),
        class_map=os.path.join(labels, "class_labels_indices.csv"),
    )
    train_weak = (
        "balanced_train_segments.csv",
        "unbalanced_train_segments.csv",
    )
    parts = (
        ("train", train_weak, soundscapes.held_out_fraction),
        ("eval", ("eval_segments.csv",), 0.0),
    )
    for part, weak_names, held_out_fraction in parts:
        manifest = prepare_records(
            os.path.join(release_dir, "audio", part),
            [os.path.join(labels, name) for name in weak_names],
            [os.path.join(labels, f"audioset_{part}_strong.tsv")],
            inputs.class_map,
            os.path.join(output_dir, "records", part),
            RecordParams(
                held_out_fraction=held_out_fraction, clips_per_shard=250
            ),
            workers=WorkerParams(num_workers=num_workers),
        )
        describe(manifest, logging.info)
    return inputs


def _mine(
    release_dir: str,
    miner_dir: str,
    inputs: ExperimentInputs,
    soundscapes: SoundscapeParams,
) -> str:
    """Mines candidates and has them annotated; returns a line of counts."""
    scores_path = os.path.join(miner_dir, "eval_scores.npz")
    write_scores(miner_dir, inputs.eval_records_dir, scores_path)
    candidates, _ = mine_candidates(
        read_score_file(scores_path),
        read_weak_labels(inputs.eval_weak_labels),
        num_per_class=round(_CANDIDATE_SHARE * soundscapes.num_eval_clips),
    )
    candidates_path = os.path.join(miner_dir, "candidates.csv")
    candidates.to_csv(candidates_path, index=False)
    counts = annotate_candidates(
        release_dir, candidates_path, SHOWN_PER_CLASS, soundscapes.seed
    )
    return (
        f"Annotators were shown {counts['num_shown'].sum()} candidates of "
        f"{len(counts)} classes and marked {counts['num_negatives'].sum()} as "
        f"absent."
    )
