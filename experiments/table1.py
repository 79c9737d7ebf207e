r"""Table 1 of the paper: six training sets, two evaluations, two metrics.

    python -m experiments.table1 --output_dir=runs/table1
    python -m experiments.table1 --sources=esc50 --esc50_dir=ESC-50 \
      --output_dir=runs/table1_esc50
    python -m experiments.table1 --output_dir=runs/table1_audioset \
      --train_records_dir=records/train --eval_records_dir=records/eval \
      --eval_weak_labels=eval_segments.csv \
      --eval_framed_labels=audioset_eval_strong_framed_posneg.tsv

The first two make a small AudioSet out of synthetic sounds or of ESC-50's
recordings; the third takes records of the real one. Each row is trained, scored
on the evaluation clips and evaluated against the weak and the strong labels.
--output_dir receives `table1.json`, `table1.md`, `table1.png` and a report for
each model. The same command again does only what is missing.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.evaluation import (
    evaluate_scores,
    read_known_classes,
    read_scores,
    read_truth,
    write_report,
)
from audioset_strong.inference.scoring import write_scores
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.records.manifest import check_no_shared_clips
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from audioset_strong.training.trainer import train
from experiments.simulated_release import ExperimentInputs, make_inputs
from experiments.table1_plot import plot_table1

METRICS = ("weak_d_prime", "weak_lwlrap", "strong_d_prime", "strong_lwlrap")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
      training_set: Name in the table; the paper's, with "small" and "large" for
        its 67k and 1.8M.
      steps: Which of the flags says for how long: "small", "large" or
        "fine_tune".
      train: `TrainParams` that differ between rows.
      starts_from: Row whose model is fine-tuned, "" for none.
      paper: The paper's numbers, in the order of `METRICS`.
    """

    training_set: str
    steps: str
    train: dict[str, Any]
    starts_from: str = ""
    paper: tuple[float, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the row's workdir."""
        return self.training_set.lower().replace("+ ", "plus_")


ROWS = (
    Row("Weak-small", "small", {"training_set": "weak_small"},
        paper=(0.86, 0.39, 0.81, 0.29)),
    Row("Diffuse-small", "small", {"training_set": "diffuse"},
        paper=(0.82, 0.27, 0.88, 0.29)),
    Row("Strong-small", "small", {"training_set": "strong"},
        paper=(0.96, 0.31, 1.05, 0.33)),
    Row("Weak-large", "large", {"training_set": "weak"},
        paper=(1.17, 0.53, 1.13, 0.43)),
    Row("+ Diffuse", "fine_tune", {"mixed_training_set": "diffuse", "mu": 0.7},
        starts_from="Weak-large", paper=(1.21, 0.38, 1.28, 0.43)),
    Row("+ Strong", "fine_tune", {"mixed_training_set": "strong", "mu": 0.8},
        starts_from="Weak-large", paper=(1.28, 0.42, 1.39, 0.47)),
)  # fmt: skip

# Not in the paper: the same number of further steps on Weak alone, which tells
# the gain of fine-tuning from that of longer training.
CONTROL_ROW = Row("+ Weak", "fine_tune", {}, starts_from="Weak-large")

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for everything that is made.", required=True
)
_SOURCES = flags.DEFINE_enum(
    "sources", "synthetic", ["synthetic", "esc50"], "Where sounds come from."
)
_ESC50_DIR = flags.DEFINE_string("esc50_dir", "", "Folder of ESC-50.")
_NUM_WEAK_CLIPS = flags.DEFINE_integer(
    "num_weak_clips", 4000, "Simulated training clips with weak labels only."
)
_NUM_STRONG_CLIPS = flags.DEFINE_integer(
    "num_strong_clips", 500, "Simulated training clips with strong labels too."
)
_NUM_EVAL_CLIPS = flags.DEFINE_integer(
    "num_eval_clips", 400, "Simulated evaluation clips."
)
_HELD_OUT_FRACTION = flags.DEFINE_float(
    "held_out_fraction", 0.2, "Share of the Strong clips to hold out."
)
_TRAIN_RECORDS_DIR = flags.DEFINE_string(
    "train_records_dir", "", "Records of real training clips."
)
_EVAL_RECORDS_DIR = flags.DEFINE_string(
    "eval_records_dir", "", "Records of real evaluation clips."
)
_EVAL_WEAK_LABELS = flags.DEFINE_string(
    "eval_weak_labels", "", "Weak CSV of real evaluation clips."
)
_EVAL_FRAMED_LABELS = flags.DEFINE_string(
    "eval_framed_labels", "", "Framed TSV of real evaluation clips."
)
_CLASS_MAP = flags.DEFINE_string(
    "class_map", "", "Display names for the reports on real clips."
)
_NUM_STEPS = {
    "small": flags.DEFINE_integer("small_steps", 500, "Of the small rows."),
    "large": flags.DEFINE_integer("large_steps", 1200, "Of Weak-large."),
    "fine_tune": flags.DEFINE_integer("fine_tune_steps", 400, "Of '+' rows."),
}
_MINER_STEPS = flags.DEFINE_integer(
    "miner_steps", 300, "Of the model that mines explicit negatives."
)
_CHECKPOINTS = flags.DEFINE_integer(
    "checkpoints", 10, "Checkpoints of each run, of which the best is used."
)
_WIDTH = flags.DEFINE_float("width", 0.25, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 2, "1 in the paper.")
_BATCH_SIZE = flags.DEFINE_integer("global_batch_size", 64, "Of all replicas.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 2e-3, "Of Adam.")
_FINE_TUNE_LEARNING_RATE = flags.DEFINE_float(
    "fine_tune_learning_rate", 1e-3, "Of Adam in the '+' rows."
)
_MU_DIFFUSE = flags.DEFINE_float("mu_diffuse", 0.7, "Of + Diffuse.")
_MU_STRONG = flags.DEFINE_float("mu_strong", 0.8, "Of + Strong.")
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.")
_CONTROL = flags.DEFINE_boolean(
    "control", False, "Whether to add a row: fine-tuning on Weak alone."
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count(), "Processes for clips and records."
)


def _model_params(width_factor: float = 1.0) -> ModelParams:
    return ModelParams(
        width=_WIDTH.value * width_factor, stem_stride=_STEM_STRIDE.value
    )


def _train_params(num_steps: int, seed: int, **params: Any) -> TrainParams:
    """Settings that all runs share, with those of one."""
    defaults = {
        "num_steps": num_steps,
        "global_batch_size": _BATCH_SIZE.value,
        "learning_rate": _LEARNING_RATE.value,
        "learning_rate_decay": "cosine",
        "warmup_steps": num_steps // 20,
        "checkpoint_interval_steps": max(1, num_steps // _CHECKPOINTS.value),
        "log_interval_steps": max(1, num_steps // 20),
        "seed": seed,
    }
    return TrainParams(**{**defaults, **params})


def _inputs() -> ExperimentInputs:
    """Takes real inputs from the flags, or simulates them."""
    real = (
        _TRAIN_RECORDS_DIR.value,
        _EVAL_RECORDS_DIR.value,
        _EVAL_WEAK_LABELS.value,
        _EVAL_FRAMED_LABELS.value,
    )
    if all(real):
        return ExperimentInputs(*real, class_map=_CLASS_MAP.value)
    if any(real):
        raise InputError(
            "Real clips need all of --train_records_dir, "
            "--eval_records_dir, --eval_weak_labels and --eval_framed_labels."
        )
    return make_inputs(
        _OUTPUT_DIR.value,
        SoundscapeParams(
            num_weak_clips=_NUM_WEAK_CLIPS.value,
            num_strong_clips=_NUM_STRONG_CLIPS.value,
            num_eval_clips=_NUM_EVAL_CLIPS.value,
            held_out_fraction=_HELD_OUT_FRACTION.value,
            seed=_SEED.value,
        ),
        SourceSettings(_SOURCES.value, _ESC50_DIR.value),
        _model_params(width_factor=0.5),
        # Another seed than that of the models that are evaluated.
        _train_params(_MINER_STEPS.value, _SEED.value + 1),
        _NUM_WORKERS.value,
    )


def _run_row(row: Row, inputs: ExperimentInputs) -> dict[str, Any]:
    """Trains, scores and evaluates one row."""
    workdir = os.path.join(_OUTPUT_DIR.value, "models", row.folder)
    params = dict(row.train)
    if "mu" in params:
        is_strong = params["mixed_training_set"] == "strong"
        params["mu"] = _MU_STRONG.value if is_strong else _MU_DIFFUSE.value
    if row.starts_from:
        start = next(r for r in ROWS if r.training_set == row.starts_from)
        params["learning_rate"] = _FINE_TUNE_LEARNING_RATE.value
        params["warm_start_workdir"] = os.path.join(
            _OUTPUT_DIR.value, "models", start.folder
        )
    logging.info("%s", row.training_set)
    num_steps = _NUM_STEPS[row.steps].value
    best = train(
        inputs.train_records_dir,
        workdir,
        _model_params(),
        _train_params(num_steps, _SEED.value, **params),
    )
    scores_path = os.path.join(workdir, "eval_scores.npz")
    if not os.path.exists(scores_path):
        write_scores(workdir, inputs.eval_records_dir, scores_path)
    report_dir = os.path.join(_OUTPUT_DIR.value, "reports", row.folder)
    known = read_known_classes(inputs.class_map or None)
    truth = read_truth(
        framed_labels=inputs.eval_framed_labels,
        weak_labels=inputs.eval_weak_labels,
    )
    report = write_report(
        evaluate_scores(read_scores(scores_path, known), truth), report_dir
    )
    weak, strong = report["weak"]["explicit"], report["strong"]["explicit"]
    values = (
        weak["d_prime"], weak["lwlrap"], strong["d_prime"], strong["lwlrap"]
    )  # fmt: skip
    return {
        "training_set": row.training_set,
        **dict(zip(METRICS, values)),
        "strong_d_prime_implied": report["strong"]["implied"]["d_prime"],
        "weak_d_prime_implied": report["weak"]["implied"]["d_prime"],
        "paper": dict(zip(METRICS, row.paper)),
        "best_step": best["best_step"],
        "num_steps": num_steps,
        "report": os.path.join(report_dir, "report.html"),
    }


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Formats the table as Markdown, with the paper's numbers in brackets."""

    def cell(row: dict[str, Any], metric: str) -> str:
        value = "-" if row[metric] is None else f"{row[metric]:.2f}"
        paper = row["paper"].get(metric)
        return value if paper is None else f"{value} ({paper:.2f})"

    lines = [
        "| Training set | Weak eval d' | Weak eval lwlrap | Strong eval d' | "
        "Strong eval lwlrap |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["training_set"], *(cell(row, m) for m in METRICS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _own_flags() -> list[flags.Flag[Any]]:
    """Lists the flags that this script defines."""
    module = flags.FLAGS.find_module_defining_flag("small_steps")
    return flags.FLAGS.flags_by_module_dict()[module]


def main(argv: Sequence[str]) -> None:
    """Runs every row and writes the table."""
    run_flags.refuse_arguments(argv)
    inputs = _inputs()
    check_no_shared_clips(inputs.train_records_dir, inputs.eval_records_dir)
    rows = [*ROWS, CONTROL_ROW] if _CONTROL.value else list(ROWS)
    results = [_run_row(row, inputs) for row in rows]
    table = format_table(results)
    path = os.path.join(_OUTPUT_DIR.value, "table1")
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        settings = {flag.name: flag.value for flag in _own_flags()}
        json.dump({"rows": results, "settings": settings}, file, indent=2)
    with open(f"{path}.md", "w", encoding="utf-8") as file:
        file.write(f"{table}\n\nIn brackets: the paper, on AudioSet.\n")
    plot_table1(results, METRICS, f"{path}.png")
    print(f"\n{table}\n\nIn brackets: the paper, on AudioSet.")
    print(f"Table: {path}.json, {path}.md, {path}.png")
    print(f"Report of the last model: {results[-1]['report']}")


if __name__ == "__main__":
    run_flags.run(main)
