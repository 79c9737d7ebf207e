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

from absl import flags, logging
from matplotlib.figure import Figure

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.plots import save_figure
from audioset_strong.records.manifest import (
    check_no_shared_clips,
    read_json,
    write_json,
    write_text,
)
from experiments import rows
from experiments.joined import (
    Result,
    describe_difference,
    describe_ranges,
    over_seeds,
    read_results,
    write_result,
)
from experiments.rows import (
    CONTROL_ROW,
    LWLRAP_ROW,
    ROWS,
    SAME_MU_ROW,
    Row,
    mu_row,
)
from experiments.table1_plot import table1_figure
from experiments.training_steps import (
    ExperimentInputs,
    evaluate_step,
    score_step,
)

METRICS = ("weak_d_prime", "weak_lwlrap", "strong_d_prime", "strong_lwlrap")
ROW_OF_FOLDER = {
    row.folder: row for row in (*ROWS, CONTROL_ROW, LWLRAP_ROW, SAME_MU_ROW)
}

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
    "+ Diffuse": flags.DEFINE_float("mu_diffuse", 0.7, "Of + Diffuse."),
    "+ Strong": flags.DEFINE_float("mu_strong", 0.8, "Of + Strong."),
    "+ Strong by lwlrap": flags.DEFINE_float(
        "mu_strong_by_lwlrap", 0.2, "Of + Strong by lwlrap."
    ),
}
_MU_FROM = flags.DEFINE_string(
    "mu_from",
    "",
    "mu_sweep.json that says which mu is best, instead of flags such as "
    "--mu_strong.",
)


def mu_of(row: Row) -> float:
    """Returns the mu of a row by the flags; 0 for one that mixes nothing.

    Raises:
      InputError: --mu_from has none for it, or a flag gives one too.
    """
    row = mu_row(row)
    flag = _MU.get(row.training_set)
    if flag is None:
        return 0.0
    if not (_MU_FROM.value or flag.present) and rows.ROW_FLAGFILES.value:
        return rows.read_row_flags(row).train.mu
    if not _MU_FROM.value:
        return float(flag.value)
    mixed = row.train["mixed_training_set"]
    sweep = read_json(_MU_FROM.value)
    chosen = sweep["chosen"].get(mixed)
    if chosen is None or flag.present:
        raise InputError(
            f"Expected the mu of {row.training_set} once: in {_MU_FROM.value} "
            f"or as --{flag.name}. Received: "
            f"{'none' if chosen is None else 'both'}."
        )
    mu = float(chosen[row.mu_metric])
    logging.info(
        "%s: mu %g, the best of %s by held-out %s (%s).",
        row.training_set,
        mu,
        ", ".join(
            f"{point['mu']:g}"
            for point in sweep["points"]
            if point["mixed_training_set"] == mixed
        ),
        row.mu_metric,
        _MU_FROM.value,
    )
    return mu


def _check_mu_is_of(row: Row, run: rows.Run) -> None:
    """Refuses a mu that was chosen on other records or with other settings."""
    if not (_MU_FROM.value and "mu" in row.train):
        return
    then, now = (
        # In which the sweep and the row by lwlrap differ.
        {n: {**s, "train.selection_metric": ""} for n, s in settings.items()}
        for settings in (
            read_json(_MU_FROM.value).get("must_agree", {}),
            run.settings_but_mu(),
        )
    )
    if then != now:
        differences = "; ".join(
            f"{name}: {describe_difference(then.get(name, {}), settings)}"
            for name, settings in now.items()
            if then.get(name) != settings
        )
        raise InputError(
            f"Expected {_MU_FROM.value} of the same records and settings as "
            f"{row.training_set}, there and here: {differences}. Run the sweep "
            f"again, or give mu as a number instead."
        )


def run_row(row: Row, seed: int, mu: float, inputs: ExperimentInputs) -> Result:
    """Trains, scores and evaluates one row, and writes its numbers."""
    result = make_result(row, seed, mu, inputs)
    folder = os.path.join(rows.OUTPUT_DIR.value, "rows")
    write_result(result, folder, f"{row.folder}-seed{seed}")
    return result


def make_result(
    row: Row,
    seed: int,
    mu: float,
    inputs: ExperimentInputs,
    strong_fraction: float = 1.0,
) -> Result:
    """Trains, scores and evaluates one row, as `rows.train_row` says."""
    output_dir = rows.OUTPUT_DIR.value
    run = rows.train_row(
        row, seed, mu, inputs.train_records_dir, strong_fraction
    )
    _check_mu_is_of(row, run)
    place = run.name, run.workdir
    scores = score_step(output_dir, *place, inputs.eval_records_dir)
    evaluated = evaluate_step(output_dir, *place, scores, inputs)
    return {
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
        "validations": run.made.result["validations"],
        "run": run.name,
        "report": os.path.join(output_dir, "reports", run.name, "report.html"),
        "versions": run.made.versions,
    }


def summarise(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Returns a row for each training set, over its seeds.

    Each has the mean of every number, None where no seed has one, and, of
    several seeds, the lowest and highest of each metric as "ranges".
    """
    points = {p["training_set"]: p for p in over_seeds(results, "training_set")}
    summary = []
    for row in ROW_OF_FOLDER.values():
        if row.training_set not in points:
            continue
        summed = points[row.training_set]
        of_row = sorted(
            (
                r
                for r in results
                if r["point"]["training_set"] == row.training_set
            ),
            key=lambda result: result["point"]["seed"],
        )
        summed["paper"] = dict(zip(METRICS, row.paper))
        summed["reports"] = [result["report"] for result in of_row]
        summed["settings"] = of_row[0]["must_agree"].get(
            f"settings of {row.training_set}"
        )
        if len(of_row) == 1:
            del summed["ranges"]
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
    mus = [f"{r['training_set']} {r['mu']:g}" for r in summary if r.get("mu")]
    if mus:
        text += f" mu: {', '.join(mus)}."
    return "\n".join([*lines, "", text])


def _figure(summary: Sequence[dict[str, Any]]) -> Figure:
    """Draws the rows of `summarise`."""
    rows_of_figure = [
        {
            **row,
            "values": {
                metric: {
                    "mean": row[metric],
                    "seeds": row.get("ranges", {}).get(metric),
                    "clips": None,
                }
                for metric in METRICS
            },
        }
        for row in summary
    ]
    return table1_figure(rows_of_figure, describe_ranges(summary, "Thick"))


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
    # Before anything is made.
    mus = {name: mu_of(ROW_OF_FOLDER[name]) for name in names}
    inputs = rows.make_experiment_inputs()
    check_no_shared_clips(inputs.train_records_dir, inputs.eval_records_dir)
    made = [
        run_row(ROW_OF_FOLDER[name], seed, mus[name], inputs)
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
    save_figure(_figure(summary), f"{path}.png")
    print(f"\n{table}")
    print(f"Table: {path}.json, {path}.md, {path}.png")
    print(f"Report of the last model: {summary[-1]['reports'][-1]}")


if __name__ == "__main__":
    run_flags.run(main)
