r"""What each option of the recipe does on a small release of ESC-50.

    python -m experiments.recipe --esc50_dir=ESC-50 --output_dir=runs/recipe

Models are trained on the Strong set of soundscapes from ESC-50's recordings:
one as the paper says and no more, "plain", and one with each option, for each
seed. All are scored on the evaluation clips and evaluated against the strong
labels. --output_dir receives `recipe.md` and `recipe.json`, a report for each
model and the numbers of each option and seed, in `rows/`.

The same command again does only what is missing (`steps.py`). Options and seeds
can be run apart and joined:

    python -m experiments.recipe --output_dir=a --esc50_dir=ESC-50 \
      --options=plain,mixup --seeds=0,1
    python -m experiments.recipe --output_dir=table --join=a,b

Runs are short, so that what an option does to training that goes on until a
network overfits is not to be seen.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags
from scipy import stats

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import write_json, write_text
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from experiments.joined import Result, read_results, write_result
from experiments.simulated_release import make_inputs
from experiments.training_steps import (
    ExperimentInputs,
    evaluate_step,
    score_step,
    train_step,
)

PLAIN = "plain"
# Fields of `RecipeParams` and `TrainParams`. Sizes are those of the peers, in
# the same share of a patch: AST masks up to 192 of 1,024 STFT frames and 48 of
# 128 bands, PaSST changes levels by up to 7 dB. EMA forgets within a third of
# so short a run.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "warm-up": {"warmup_steps": 30},
    "cosine": {"learning_rate_decay": "cosine"},
    "step": {"learning_rate_decay": "step", "decay_interval_steps": 100},
    "weight decay": {"weight_decay": 0.05},
    "clipping": {"clip_norm": 1.0},
    "averages": {"ema_decay": 0.98},
    "first scores": {"initial_scores_from_labels": True},
    "label smoothing": {"label_smoothing": 0.1},
    "mixup": {"mixup_share": 0.5},
    "SpecAugment": {"max_masked_stft_frames": 18, "max_masked_mel_bands": 24},
    "gain": {"max_gain_db": 7.0},
    "balanced classes": {"balance_classes": True},
    "masked classes": {"mask_unlabelled_classes": True},
    "all": {
        "warmup_steps": 30,
        "learning_rate_decay": "cosine",
        "weight_decay": 0.05,
        "clip_norm": 1.0,
        "ema_decay": 0.98,
        "initial_scores_from_labels": True,
        "mixup_share": 0.5,
        "max_masked_stft_frames": 18,
        "max_masked_mel_bands": 24,
        "max_gain_db": 7.0,
        "balance_classes": True,
    },
}
METRICS = {
    "strong_d_prime": "Strong eval d'",
    "strong_lwlrap": "Strong eval lwlrap",
}
_LEVEL = 0.95

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for everything that is made.", required=True
)
_ESC50_DIR = flags.DEFINE_string("esc50_dir", "", "Folder of ESC-50.")
_OPTIONS = flags.DEFINE_list(
    "options", [], f"Options to run; all if none. Of {', '.join(OPTIONS)}."
)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the models.")
_JOIN = flags.DEFINE_list(
    "join",
    [],
    "Output folders of runs apart, whose results are joined in --output_dir. "
    "Nothing is trained.",
)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 300, "Of each model.")
_MINER_STEPS = flags.DEFINE_integer(
    "miner_steps", 150, "Of the model that mines explicit negatives."
)
_WIDTH = flags.DEFINE_float("width", 0.125, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 4, "1 in the paper.")
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count() or 1, "Processes for clips and records."
)

_SOUNDSCAPES = SoundscapeParams(
    num_weak_clips=1000,
    num_strong_clips=1000,
    num_eval_clips=400,
    held_out_fraction=0.2,
)


def _model_params() -> ModelParams:
    return ModelParams(width=_WIDTH.value, stem_stride=_STEM_STRIDE.value)


def _train_params(num_steps: int, seed: int, **params: Any) -> TrainParams:
    """Settings that all runs share, with those of one."""
    defaults = {
        "training_set": "strong",
        "num_steps": num_steps,
        "global_batch_size": 64,
        "checkpoint_interval_steps": max(1, num_steps // 3),
        "log_interval_steps": max(1, num_steps // 10),
        "seed": seed,
    }
    return TrainParams(**{**defaults, **params})


def _inputs() -> ExperimentInputs:
    """Makes the release and its records."""
    return make_inputs(
        _OUTPUT_DIR.value,
        _SOUNDSCAPES,
        SourceSettings("esc50", _ESC50_DIR.value),
        _NUM_WORKERS.value,
        _model_params(),
        # A seed that no model has that is evaluated.
        _train_params(_MINER_STEPS.value, 1000, training_set="weak"),
    )


def _run(option: str, seed: int, inputs: ExperimentInputs) -> Result:
    """Trains, scores and evaluates one model, and writes its numbers."""
    output_dir = _OUTPUT_DIR.value
    name = f"{option.replace(' ', '_')}-seed{seed}"
    workdir = os.path.join(output_dir, "models", name)
    settings = OPTIONS[option]
    is_recipe = RecipeParams.__dataclass_fields__
    made = train_step(
        output_dir,
        name,
        workdir,
        inputs.train_records_dir,
        _model_params(),
        _train_params(
            _NUM_STEPS.value,
            seed,
            **{n: v for n, v in settings.items() if n not in is_recipe},
        ),
        RecipeParams(**{n: v for n, v in settings.items() if n in is_recipe}),
    )
    scores = score_step(output_dir, name, workdir, inputs.eval_records_dir)
    evaluated = evaluate_step(output_dir, name, workdir, scores, inputs)
    result = {
        "point": {"option": option, "seed": seed},
        "must_agree": {
            f"settings of {option}": {
                name: value
                for name, value in made.inputs.items()
                if name != "train.seed"
            },
            "evaluation": {
                "records": scores.inputs["eval_records"],
                **evaluated.inputs,
                "scores": None,
            },
        },
        "values": {
            **evaluated.result,
            "best_step": made.result["best_step"],
        },
        "versions": made.versions,
    }
    write_result(result, os.path.join(output_dir, "rows"), name)
    return result


def summarise(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Compares each option with the plain runs of the same seeds.

    Returns:
      Of each option its `seeds`, and of each metric the mean, `<metric>`, and,
      but for the plain one, the mean difference, `<metric>_change`, with its
      interval of level 0.95, `<metric>_interval`, None with less than two
      seeds. The spread of differences over seeds is taken to be that of all
      options together, since three seeds alone tell little about it.
    """
    values = {
        (r["point"]["option"], r["point"]["seed"]): r["values"] for r in results
    }
    options = [o for o in OPTIONS if any(o == option for option, _ in values)]
    seeds_of = {
        option: sorted(seed for name, seed in values if name == option)
        for option in options
    }
    summary: list[dict[str, Any]] = [
        {"option": option, "seeds": seeds_of[option]} for option in options
    ]
    for metric in METRICS:
        changes = {
            option: np.array(
                [
                    values[option, seed][metric] - values[PLAIN, seed][metric]
                    for seed in seeds_of[option]
                    if (PLAIN, seed) in values
                ]
            )
            for option in options
            if option != PLAIN
        }
        squares = sum(
            ((c - c.mean()) ** 2).sum() for c in changes.values() if c.size
        )
        degrees = sum(max(0, c.size - 1) for c in changes.values())
        for row in summary:
            option = row["option"]
            of_seeds = [values[option, s][metric] for s in seeds_of[option]]
            row[metric] = float(np.mean(of_seeds))
            change = changes.get(option, np.zeros(0))
            if not change.size:
                continue
            row[f"{metric}_change"] = float(change.mean())
            row[f"{metric}_interval"] = None
            if degrees:
                quantile = stats.t.ppf(0.5 + _LEVEL / 2, degrees)
                spread = np.sqrt(squares / degrees / change.size)
                row[f"{metric}_interval"] = [
                    float(change.mean() + sign * quantile * spread)
                    for sign in (-1, 1)
                ]
    return summary


def format_table(summary: Sequence[dict[str, Any]]) -> str:
    """Formats the summary as Markdown."""

    def cells(row: dict[str, Any], metric: str) -> list[str]:
        change = "-"
        if f"{metric}_change" in row:
            change = f"{row[f'{metric}_change']:+.3f}"
            if row[f"{metric}_interval"]:
                low, high = row[f"{metric}_interval"]
                change += f" [{low:+.3f}, {high:+.3f}]"
        return [f"{row[metric]:.3f}", change]

    heads = [f"{head} | change" for head in METRICS.values()]
    lines = [
        f"| Option | Seeds | {' | '.join(heads)} |",
        "|---" * (2 + 2 * len(METRICS)) + "|",
    ]
    for row in summary:
        found = [cell for metric in METRICS for cell in cells(row, metric)]
        found = [row["option"], str(len(row["seeds"])), *found]
        lines.append(f"| {' | '.join(found)} |")
    lines.append(
        f"\nMeans over the seeds; changes from the plain run of the same seed, "
        f"with intervals of level {_LEVEL}."
    )
    return "\n".join(lines)


def _results() -> list[Result]:
    """Runs options, or reads those that were run apart."""
    if _JOIN.value:
        return read_results(_JOIN.value, "rows")
    options = _OPTIONS.value or list(OPTIONS)
    unknown = [option for option in options if option not in OPTIONS]
    if unknown or not all(seed.isdecimal() for seed in _SEEDS.value):
        raise InputError(
            f"Expected --options of {', '.join(OPTIONS)} and whole numbers as "
            f"--seeds. Received: {', '.join(options)}; "
            f"{', '.join(_SEEDS.value)}."
        )
    inputs = _inputs()
    # Seed by seed, so that there is soon something to see of every option.
    return [
        _run(option, int(seed), inputs)
        for seed in _SEEDS.value
        for option in options
    ]


def main(argv: Sequence[str]) -> None:
    """Runs every option with every seed and writes the table."""
    run_flags.refuse_arguments(argv)
    summary = summarise(_results())
    table = format_table(summary)
    files.make_output_folder(_OUTPUT_DIR.value)
    path = os.path.join(_OUTPUT_DIR.value, "recipe")
    options = {name: dict(settings) for name, settings in OPTIONS.items()}
    write_json({"rows": summary, "options": options}, f"{path}.json")
    write_text(f"{table}\n", f"{path}.md")
    print(f"\n{table}\nTable: {path}.md, {path}.json")


if __name__ == "__main__":
    run_flags.run(main)
