r"""Table 1 of the paper: six training sets, two evaluations, two metrics.

    python -m experiments.table1 --output_dir=runs/table1
    python -m experiments.table1 --sources=esc50 --esc50_dir=ESC-50 \
      --output_dir=runs/table1_esc50 --seeds=0,1,2
    python -m experiments.table1 --flagfile=experiments/audioset/table1.flags

The first two make a small AudioSet out of synthetic sounds or of ESC-50's
recordings; the third takes records of the real one and the paper's network.
Each row is trained, scored on the evaluation clips and evaluated against the
weak and the strong labels.
--output_dir receives `table1.json`, `table1.md`, `table1.png`, a report for
each model and the numbers of each row and seed, in `rows/`.

The same command again does only what is missing or whose inputs have changed
(`steps.py`). Rows and seeds can be run apart. The table is of all that are in
the folder and agree in their settings and data; folders of several machines are
joined:

    python -m experiments.table1 --output_dir=a --rows=weak-small,weak-large
    python -m experiments.table1 --output_dir=b --rows=plus_strong --seeds=1,2
    python -m experiments.table1 --output_dir=table --join=a,b
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.records.manifest import (
    check_no_shared_clips,
    read_json,
    write_json,
    write_text,
)
from experiments import rows
from experiments.joined import Result, read_results, write_result
from experiments.rows import CONTROL_ROW, ROWS, Row
from experiments.table1_plot import plot_table1
from experiments.training_steps import (
    ExperimentInputs,
    evaluate_step,
    score_step,
)

METRICS = ("weak_d_prime", "weak_lwlrap", "strong_d_prime", "strong_lwlrap")
ROW_OF_FOLDER = {row.folder: row for row in (*ROWS, CONTROL_ROW)}

flags.adopt_module_key_flags(rows)
_ROWS = flags.DEFINE_list(
    "rows",
    [],
    f"Rows to run; the table's if none. Of {', '.join(ROW_OF_FOLDER)}.",
)
_CONTROL = flags.DEFINE_boolean(
    "control", False, "Whether to add a row: fine-tuning on Weak alone."
)
_MU = {
    "diffuse": flags.DEFINE_float("mu_diffuse", 0.7, "Of + Diffuse."),
    "strong": flags.DEFINE_float("mu_strong", 0.8, "Of + Strong."),
}
_MU_FROM = flags.DEFINE_string(
    "mu_from",
    "",
    "mu_sweep.json that says which mu is best by d', instead of --mu_diffuse "
    "and --mu_strong.",
)


def _mu_of(row: Row) -> float:
    """Returns the mu of a row; 0 for one that mixes nothing."""
    mixed = row.train.get("mixed_training_set")
    if not mixed:
        return 0.0
    is_given = flags.FLAGS[f"mu_{mixed}"].present
    if not _MU_FROM.value and rows.ROW_FLAGFILES.value and not is_given:
        return rows.read_row_flags(row).train.mu
    if not _MU_FROM.value:
        return float(_MU[mixed].value)
    chosen = read_json(_MU_FROM.value)["chosen"].get(mixed)
    if chosen is None or is_given:
        raise InputError(
            f"Expected the mu of {row.training_set} once: in {_MU_FROM.value} "
            f"or as --mu_{mixed}. Received: "
            f"{'none' if chosen is None else 'both'}."
        )
    return float(chosen["d_prime"])


def run_row(row: Row, seed: int, mu: float, inputs: ExperimentInputs) -> Result:
    """Trains, scores and evaluates one row, and writes its numbers."""
    output_dir = rows.OUTPUT_DIR.value
    run = rows.train_row(row, seed, mu, inputs.train_records_dir)
    place = run.name, run.workdir
    scores = score_step(output_dir, *place, inputs.eval_records_dir)
    evaluated = evaluate_step(output_dir, *place, scores, inputs)
    result = {
        "point": {"training_set": row.training_set, "seed": seed},
        "must_agree": {
            "training": {
                name: value
                for name, value in run.made.inputs.items()
                if name == "records" or name.startswith("model.")
            },
            **{f"settings of {name}": s for name, s in run.settings.items()},
            "evaluation": {
                "records": scores.inputs["eval_records"],
                **evaluated.inputs,
                "scores": None,
            },
        },
        "must_agree_here": run.weights,
        "values": {
            **evaluated.result,
            "best_step": run.made.result["best_step"],
            "num_steps": run.made.inputs["train.num_steps"],
            "mu": run.made.inputs["train.mu"],
        },
        "run": run.name,
        "report": os.path.join(output_dir, "reports", run.name, "report.html"),
        "versions": run.made.versions,
    }
    folder = os.path.join(output_dir, "rows")
    write_result(result, folder, f"{row.folder}-seed{seed}")
    return result


def summarise(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Returns a row for each training set, over its seeds.

    Each has the mean of every number, None where no seed has one, and, of
    several seeds, the lowest and highest of each metric as "ranges".
    """
    summary = []
    for row in ROW_OF_FOLDER.values():
        of_row = sorted(
            (
                r
                for r in results
                if r["point"]["training_set"] == row.training_set
            ),
            key=lambda result: result["point"]["seed"],
        )
        if not of_row:
            continue
        found = {
            name: [v for r in of_row if (v := r["values"][name]) is not None]
            for name in of_row[0]["values"]
        }
        summed: dict[str, Any] = {
            "training_set": row.training_set,
            **{n: float(np.mean(v)) if v else None for n, v in found.items()},
            "paper": dict(zip(METRICS, row.paper)),
            "seeds": [result["point"]["seed"] for result in of_row],
            "reports": [result["report"] for result in of_row],
            "settings": of_row[0]["must_agree"].get(
                f"settings of {row.training_set}"
            ),
        }
        if len(of_row) > 1:
            summed["ranges"] = {
                n: [min(v), max(v)] for n, v in found.items() if v
            }
        summary.append(summed)
    return summary


def format_table(summary: Sequence[dict[str, Any]]) -> str:
    """Formats the table as Markdown, with the paper's numbers in brackets."""

    def cell(row: dict[str, Any], metric: str) -> str:
        text = "-" if row[metric] is None else f"{row[metric]:.2f}"
        if metric in row.get("ranges", ()):
            low, high = row["ranges"][metric]
            text += f" [{low:.2f}, {high:.2f}]"
        paper = row["paper"].get(metric)
        return text if paper is None else f"{text} ({paper:.2f})"

    lines = [
        "| Training set | Weak eval d' | Weak eval lwlrap | Strong eval d' | "
        "Strong eval lwlrap |",
        "|---|---|---|---|---|",
    ]
    for row in summary:
        cells = [row["training_set"], *(cell(row, m) for m in METRICS)]
        lines.append(f"| {' | '.join(cells)} |")
    text = "In brackets: the paper, on AudioSet."
    numbers = sorted({len(row["seeds"]) for row in summary})
    if numbers[-1] > 1:
        of_seeds = " to ".join(map(str, numbers))
        text = (
            f"Mean and [lowest, highest] of {of_seeds} seeds; in round "
            f"brackets: the paper, on AudioSet."
        )
    return "\n".join([*lines, "", text])


def _own_flags() -> list[flags.Flag[Any]]:
    """Lists the flags that this script defines, and `rows.py`."""
    names = ("mu_strong", "small_steps")
    modules = [flags.FLAGS.find_module_defining_flag(name) for name in names]
    by_module = flags.FLAGS.flags_by_module_dict()
    return [flag for module in modules for flag in by_module[str(module)]]


def _results() -> list[Result]:
    """Runs rows; returns them and those that were run apart."""
    if rows.JOIN.value:
        return rows.read_joined("rows", "rows", "seeds")
    names = _ROWS.value or [
        row.folder for row in ROWS + (CONTROL_ROW,) * _CONTROL.value
    ]
    unknown = [name for name in names if name not in ROW_OF_FOLDER]
    if unknown:
        raise InputError(
            f"Expected --rows of {', '.join(ROW_OF_FOLDER)}. Received: "
            f"{', '.join(unknown)}."
        )
    seeds = rows.chosen_seeds()
    for name in names:  # before anything is made
        _mu_of(ROW_OF_FOLDER[name])
    inputs = rows.make_experiment_inputs()
    check_no_shared_clips(inputs.train_records_dir, inputs.eval_records_dir)
    made = [
        run_row(row := ROW_OF_FOLDER[name], seed, _mu_of(row), inputs)
        for seed in seeds
        for name in names
    ]
    return read_results([rows.OUTPUT_DIR.value], "rows", like=made)


def main(argv: Sequence[str]) -> None:
    """Runs every row and writes the table."""
    run_flags.refuse_arguments(argv)
    results = _results()
    if len({str(result["versions"]) for result in results}) > 1:
        logging.warning(
            "The rows were trained with several versions of the software: see "
            "rows/."
        )
    summary = summarise(results)
    table = format_table(summary)
    output_dir = rows.OUTPUT_DIR.value
    files.make_output_folder(output_dir)
    path = os.path.join(output_dir, "table1")
    settings = {flag.name: flag.value for flag in _own_flags()}
    write_json({"rows": summary, "settings": settings}, f"{path}.json")
    write_text(f"{table}\n", f"{path}.md")
    plot_table1(summary, METRICS, f"{path}.png")
    print(f"\n{table}")
    print(f"Table: {path}.json, {path}.md, {path}.png")
    print(f"Report of the last model: {summary[-1]['reports'][-1]}")


if __name__ == "__main__":
    run_flags.run(main)
