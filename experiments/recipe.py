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
from collections.abc import Sequence
from typing import Any

from absl import flags

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import write_json, write_text
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from experiments.joined import Result, read_results, write_result
from experiments.recipe_table import OPTIONS, format_table, summarise
from experiments.simulated_release import make_inputs
from experiments.training_steps import (
    ExperimentInputs,
    evaluate_step,
    score_step,
    train_step,
)

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
