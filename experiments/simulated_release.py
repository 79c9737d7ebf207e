"""Makes the inputs of the experiments where there is no AudioSet.

    make_soundscapes -> prepare_records -> train a miner -> score -> mine
    candidates -> annotate them -> the framed file with explicit negatives

The explicit negatives are mined as Section 3.2 of the paper describes: a model
trained on weak labels, the miner, scores the evaluation clips, and annotators
are shown clips with high scores. The miner is none of the models that are
evaluated (half the width, another seed). A model that mined its own negatives
would be tested on its own mistakes, and its d' would fall below zero.

Each is a step (`steps.py`): what changes redoes what follows from it.
"""

import dataclasses
import hashlib
import os

from absl import logging

from audioset_strong import files
from audioset_strong.evaluation.items import mine_candidates
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.params import ModelParams, RecordParams, TrainParams
from audioset_strong.records.prepare import (
    WorkerParams,
    describe,
    prepare_records,
)
from audioset_strong.simulation.release import annotate_candidates, make_release
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings, make_source
from experiments.steps import hash_file, hash_sizes, run_step
from experiments.training_steps import (
    SCORES_NAME,
    ExperimentInputs,
    hash_records_dir,
    score_step,
    train_step,
)

# Share of the evaluation clips that candidates of a class are drawn from, the
# highest scores first, and how many annotators are shown: a queue, not the top
# (BUILD_NOTES.md "Explicit negatives").
_CANDIDATE_SHARE = 0.5
SHOWN_PER_CLASS = 30
# How records are made; `soundscapes` says what is held out.
RECORDS = RecordParams(clips_per_shard=250)

_WEAK_NAMES = {
    "train": ("balanced_train_segments.csv", "unbalanced_train_segments.csv"),
    "eval": ("eval_segments.csv",),
}
_CLASS_MAP_NAME = "class_labels_indices.csv"
_FRAMED_NAME = "audioset_eval_strong_framed_posneg.tsv"


def make_inputs(
    output_dir: str,
    soundscapes: SoundscapeParams,
    source: SourceSettings,
    num_workers: int,
    miner_model: ModelParams,
    miner_train: TrainParams,
    shown_per_class: int = SHOWN_PER_CLASS,
    records: RecordParams = RECORDS,
) -> ExperimentInputs:
    """Makes soundscapes, records and mined negatives; keeps what is there.

    Args:
      output_dir: Folder of the experiment.
      soundscapes: Numbers of clips and the like.
      source: Where the sounds come from.
      num_workers: Processes for soundscapes and records.
      miner_model: Network of the miner.
      miner_train: Its training on the Weak set.
      shown_per_class: Candidates that annotators are shown of each class.
      records: How records are made, but for the held-out share.

    Raises:
      InputError: The sound source cannot be read.
    """
    train_records_dir = make_train_records(
        output_dir, soundscapes, source, num_workers, records
    )
    release_dir = os.path.join(output_dir, "release")
    labels = os.path.join(release_dir, "labels")
    inputs = ExperimentInputs(
        train_records_dir=train_records_dir,
        eval_records_dir=_make_records(
            output_dir, "eval", 0.0, num_workers, records
        ),
        eval_weak_labels=os.path.join(labels, _WEAK_NAMES["eval"][0]),
        eval_framed_labels=os.path.join(labels, _FRAMED_NAME),
        class_map=os.path.join(labels, _CLASS_MAP_NAME),
    )
    miner_dir = os.path.join(output_dir, "miner")
    train_step(
        output_dir,
        "miner",
        miner_dir,
        inputs.train_records_dir,
        miner_model,
        miner_train,
    )
    scores = score_step(output_dir, "miner", miner_dir, inputs.eval_records_dir)
    run_step(
        output_dir,
        "framed",
        inputs.eval_framed_labels,
        {
            "release": _hash_release(release_dir),
            "miner_scores": scores.output_hash,
            "candidate_share": _CANDIDATE_SHARE,
            "shown_per_class": shown_per_class,
            "seed": soundscapes.seed,
        },
        lambda: _mine(
            release_dir, miner_dir, inputs, soundscapes, shown_per_class
        ),
    )
    return inputs


def make_train_records(
    output_dir: str,
    soundscapes: SoundscapeParams,
    source: SourceSettings,
    num_workers: int,
    records: RecordParams = RECORDS,
) -> str:
    """Makes soundscapes and training records; returns the folder of these."""
    release_dir = os.path.join(output_dir, "release")

    def make_clips() -> None:
        make_release(release_dir, soundscapes, source, num_workers)

    run_step(
        output_dir,
        "release",
        release_dir,
        {
            "soundscapes": soundscapes,
            "source": dict(
                make_source(
                    source, soundscapes.strong_recordings_share
                ).description
            ),
        },
        make_clips,
        _hash_release,
    )
    return _make_records(
        output_dir, "train", soundscapes.held_out_fraction, num_workers, records
    )


def _make_records(
    output_dir: str,
    part: str,
    held_out_fraction: float,
    num_workers: int,
    records: RecordParams,
) -> str:
    """Prepares the records of a part of a release; returns their folder."""
    release_dir = os.path.join(output_dir, "release")
    records_dir = os.path.join(output_dir, "records", part)
    labels = os.path.join(release_dir, "labels")
    params = dataclasses.replace(records, held_out_fraction=held_out_fraction)

    def prepare() -> None:
        manifest = prepare_records(
            os.path.join(release_dir, "audio", part),
            [os.path.join(labels, name) for name in _WEAK_NAMES[part]],
            [os.path.join(labels, f"audioset_{part}_strong.tsv")],
            os.path.join(labels, _CLASS_MAP_NAME),
            records_dir,
            params,
            workers=WorkerParams(num_workers=num_workers),
        )
        describe(manifest, logging.info)

    run_step(
        output_dir,
        f"records_{part}",
        records_dir,
        {"release": _hash_release(release_dir), "records": params},
        prepare,
        hash_records_dir,
    )
    return records_dir


def _hash_release(release_dir: str) -> str:
    """Hashes labels, and names and sizes of audio; not the framed file.

    That one has another step, which replaces it.
    """
    labels = os.path.join(release_dir, "labels")
    lines = [
        f"{name} {hash_file(os.path.join(labels, name))}"
        for name in files.list_names(labels)
        if name != _FRAMED_NAME
    ]
    lines.append(hash_sizes(os.path.join(release_dir, "audio")))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _mine(
    release_dir: str,
    miner_dir: str,
    inputs: ExperimentInputs,
    soundscapes: SoundscapeParams,
    shown_per_class: int,
) -> str:
    """Mines candidates and has them annotated; returns a line of counts."""
    candidates, _ = mine_candidates(
        read_scores(os.path.join(miner_dir, SCORES_NAME)).pool(),
        read_weak_labels(inputs.eval_weak_labels),
        num_per_class=round(_CANDIDATE_SHARE * soundscapes.num_eval_clips),
    )
    candidates_path = os.path.join(miner_dir, "candidates.csv")
    candidates.to_csv(candidates_path, index=False)
    counts = annotate_candidates(
        release_dir, candidates_path, shown_per_class, soundscapes.seed
    )
    summary = (
        f"Annotators were shown {counts['num_shown'].sum()} candidates of "
        f"{len(counts)} classes and marked {counts['num_negatives'].sum()} as "
        f"absent."
    )
    logging.info(summary)
    return summary
