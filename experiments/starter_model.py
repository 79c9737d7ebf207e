r"""Trains the small model that `predict` uses when no model is named.

    python -m experiments.starter_model --esc50_dir=ESC-50 \
      --output_dir=runs/starter

A quarter-width ResNet-50 is trained on the Strong set of soundscapes from
ESC-50's CC0 and CC-BY recordings, with the recipe that helps such short runs,
and evaluated on soundscapes from recordings that it has not heard. `authors.md`
names who made the recordings.

    ... --num_weak_clips=10000 --plus_strong

also trains + Strong, as long from all weak labels and as long again from the
mixture. It is not what the package ships: results/starter.md says why.

The package ships `model_int8.onnx` and `README.md` of the export, which is made
so, with R for runs/starter:

    audioset-strong score_records --workdir=R/models/strong \
      --records_dir=R/records/train --group=held_out --output=R/held_out.npz
    audioset-strong choose_thresholds --scores=R/held_out.npz \
      --strong_labels=R/release/labels/audioset_train_strong.tsv \
      --class_map=R/release/labels/class_labels_indices.csv \
      --output=R/thresholds.csv
    audioset-strong export_saved_model --workdir=R/models/strong \
      --output_dir=R/export --formats=onnx --thresholds=R/thresholds.csv \
      --name=starter --licence=CC-BY-4.0 --notice=R/authors.md \
      --report=R/reports/strong/report.json \
      --dataset="soundscapes of other recordings of ESC-50"

The same command again does only what is missing (`steps.py`). Two cores train
for about a quarter of an hour, or three times as long with + Strong.
"""

import os
from collections.abc import Sequence
from typing import Any

import pandas as pd
from absl import flags

from audioset_strong import run_flags
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import write_text
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from experiments.simulated_release import make_inputs
from experiments.training_steps import evaluate_step, score_step, train_step

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for everything that is made.", required=True
)
_ESC50_DIR = flags.DEFINE_string(
    "esc50_dir", None, "Folder of ESC-50.", required=True
)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5000, "Steps of each training.")
_NUM_WEAK_CLIPS = flags.DEFINE_integer(
    "num_weak_clips", 100, "Training clips with weak labels only."
)
_NUM_STRONG_CLIPS = flags.DEFINE_integer(
    "num_strong_clips", 5000, "Training clips with strong labels too."
)
_PLUS_STRONG = flags.DEFINE_boolean(
    "plus_strong", False, "Whether to train + Strong too, to compare."
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count() or 1, "Processes for clips and records."
)

_MODEL = ModelParams(width=0.25, stem_stride=2)
_RECIPE = RecipeParams(
    mixup_share=0.3,
    max_masked_stft_frames=12,
    max_masked_mel_bands=10,
    # Recordings of one's own are louder and softer than soundscapes.
    max_gain_db=10.0,
    ema_decay=0.998,
    clip_norm=1.0,
)


def _train_params(num_steps: int, **params: Any) -> TrainParams:
    return TrainParams(
        num_steps=num_steps,
        global_batch_size=64,
        learning_rate_decay="cosine",
        warmup_steps=max(1, num_steps // 50),
        checkpoint_interval_steps=max(1, num_steps // 20),
        log_interval_steps=max(1, num_steps // 200),
        **params,
    )


def _list_authors(esc50_dir: str) -> str:
    """Names the authors of the recordings, as CC-BY asks for."""
    recordings = pd.read_csv(os.path.join(esc50_dir, "meta", "esc50.csv"))
    lines = [
        "It learned from recordings of [ESC-50]"
        "(https://github.com/karolpiczak/ESC-50) under CC0 and CC BY, cut and "
        "mixed. Their authors on Freesound, whose sounds are at "
        "`https://freesound.org/people/<author>/sounds/<number>/`:",
        "",
    ]
    for author, own in recordings.groupby("author"):
        numbers = sorted(set(own["src_file"]))
        lines.append(f"- {author}: {', '.join(map(str, numbers))}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    """Trains and evaluates."""
    run_flags.refuse_arguments(argv)
    output_dir = _OUTPUT_DIR.value
    num_steps = _NUM_STEPS.value
    inputs = make_inputs(
        output_dir,
        SoundscapeParams(
            num_weak_clips=_NUM_WEAK_CLIPS.value,
            num_strong_clips=_NUM_STRONG_CLIPS.value,
            num_eval_clips=500,
            held_out_fraction=0.1,
            seed=7,
        ),
        SourceSettings("esc50", _ESC50_DIR.value),
        _NUM_WORKERS.value,
        ModelParams(width=0.125, stem_stride=4),
        _train_params(num_steps // 20, learning_rate=2e-3),
    )

    def train_row(name: str, params: TrainParams) -> str:
        workdir = os.path.join(output_dir, "models", name)
        records_dir = inputs.train_records_dir
        train_step(
            output_dir, name, workdir, records_dir, _MODEL, params, _RECIPE
        )
        scores = score_step(output_dir, name, workdir, inputs.eval_records_dir)
        evaluate_step(output_dir, name, workdir, scores, inputs)
        return workdir

    train_row(
        "strong",
        _train_params(num_steps, learning_rate=2e-3, training_set="strong"),
    )
    write_text(
        _list_authors(_ESC50_DIR.value), os.path.join(output_dir, "authors.md")
    )
    if not _PLUS_STRONG.value:
        return
    weak_large = train_row(
        "weak_large", _train_params(num_steps, learning_rate=2e-3)
    )
    train_row(
        "plus_strong",
        _train_params(
            num_steps,
            learning_rate=1e-3,
            mixed_training_set="strong",
            mu=0.8,
            warm_start_workdir=weak_large,
        ),
    )


if __name__ == "__main__":
    run_flags.run(main)
