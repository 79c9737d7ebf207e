"""The steps from records to a run, its scores and their evaluation.

A run depends on the records, its settings and the weights that it starts from;
scores on the weights and the records; results on the scores and the labels.
"""

import dataclasses
import os
from typing import Any

from audioset_strong.evaluation import (
    evaluate,
    read_known_classes,
    read_scores,
    read_truth,
    write_report,
)
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.training.metrics_log import read_metrics
from audioset_strong.training.scoring import write_scores
from audioset_strong.training.trainer import train
from audioset_strong.training.workdir import weights_hash
from experiments.steps import Made, hash_file, run_step

SCORES_NAME = "eval_scores.npz"

# Settings of a run that do not change its weights. What it starts from is an
# input of its own.
_WITHOUT_EFFECT = (
    "log_interval_steps",
    "steps_per_call",
    "cache_dir",
    "strategy",
    "warm_start_workdir",
)


@dataclasses.dataclass(frozen=True)
class ExperimentInputs:
    """What an experiment reads, real or simulated.

    Attributes:
      train_records_dir: Records of the training clips.
      eval_records_dir: Records of the evaluation clips.
      eval_weak_labels: Weak CSV of the evaluation clips.
      eval_framed_labels: Framed TSV of the evaluation clips.
      class_map: The classes; "" for none.
    """

    train_records_dir: str
    eval_records_dir: str
    eval_weak_labels: str
    eval_framed_labels: str
    class_map: str


def hash_records_dir(records_dir: str) -> str:
    """Returns the hash of records."""
    return read_records(records_dir).records_hash


def train_step(
    output_dir: str,
    name: str,
    workdir: str,
    records_dir: str,
    model_params: ModelParams,
    params: TrainParams,
    recipe: RecipeParams = RecipeParams(),
) -> Made:
    """Trains a run.

    Returns:
      The output is the best weights. The result has `best_step`, int, and
      `validations`, a dict for each checkpoint: `step`, int, and metrics of the
      held-out clips such as `d_prime` and `lwlrap`, float.
    """

    def run() -> dict[str, Any]:
        best = train(records_dir, workdir, model_params, params, recipe)
        return {
            "best_step": best["best_step"],
            "validations": _read_validations(workdir),
        }

    start = params.warm_start_workdir
    defaults = {name: getattr(TrainParams, name) for name in _WITHOUT_EFFECT}
    inputs = {
        "records": hash_records_dir(records_dir),
        "model": model_params,
        "train": dataclasses.replace(params, **defaults),
        "recipe": recipe,
        "start_weights": weights_hash(start) if start else "",
    }
    # A run compares settings, records and weights when it goes on. So one of
    # several hosts can be copied to its workdir, and needs no stamp.
    return run_step(
        output_dir,
        f"train_{name}",
        workdir,
        inputs,
        run,
        weights_hash,
        refuses_others=True,
    )


def _read_validations(workdir: str) -> list[dict[str, Any]]:
    """Reads the held-out metrics of each checkpoint, under short names."""
    prefix = "validation_"
    found = []
    for line in read_metrics(os.path.join(workdir, "metrics.jsonl")):
        values = {
            name.removeprefix(prefix).removeprefix("weak_"): value
            for name, value in line.items()
            if name.startswith(prefix)
        }
        if values:
            found.append({"step": line["step"], **values})
    return found


def score_step(
    output_dir: str, name: str, workdir: str, records_dir: str
) -> Made:
    """Scores evaluation clips, to `SCORES_NAME` in the workdir."""
    path = os.path.join(workdir, SCORES_NAME)

    def score() -> None:
        write_scores(workdir, records_dir, path)

    return run_step(
        output_dir,
        f"score_{name}",
        path,
        {
            "weights": weights_hash(workdir),
            "eval_records": hash_records_dir(records_dir),
        },
        score,
    )


def evaluate_step(
    output_dir: str,
    name: str,
    workdir: str,
    scores: Made,
    inputs: ExperimentInputs,
) -> Made:
    """Evaluates scores; writes a report to `reports/<name>/`.

    Returns:
      `result` is what `report.json` says of d' and lwlrap.
    """
    report_dir = os.path.join(output_dir, "reports", name)

    def make_report() -> dict[str, Any]:
        known = read_known_classes(inputs.class_map or None)
        truth = read_truth(
            framed_labels=inputs.eval_framed_labels,
            weak_labels=inputs.eval_weak_labels,
        )
        score_file = read_scores(os.path.join(workdir, SCORES_NAME), known)
        report = write_report(evaluate(score_file, truth), report_dir)
        return {
            f"{evaluation}_{metric}{suffix}": report[evaluation][kind][metric]
            for kind, suffix in (("explicit", ""), ("implied", "_implied"))
            for evaluation in ("weak", "strong")
            for metric in ("d_prime", "lwlrap")
        }

    return run_step(
        output_dir,
        f"evaluate_{name}",
        os.path.join(report_dir, "report.json"),
        {"scores": scores.output_hash, **hash_labels(inputs)},
        make_report,
    )


def hash_labels(inputs: ExperimentInputs) -> dict[str, str]:
    """Returns the hashes of the files that an evaluation reads."""
    paths = {
        "weak_labels": inputs.eval_weak_labels,
        "framed_labels": inputs.eval_framed_labels,
        "class_map": inputs.class_map,
    }
    return {name: hash_file(p) if p else "" for name, p in paths.items()}
