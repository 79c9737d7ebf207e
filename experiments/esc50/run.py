r"""The conclusive run on ESC-50's recordings: Table 1, mu curve and figure 3.

    python -m experiments.esc50.run --flagfile=experiments/esc50/run.flags \
      --esc50_dir=ESC-50 --output_dir=runs/esc50

In this order: the inputs (clips, records, mined negatives), whose hashes are
written down before a model is trained and never change; then, seed by seed, the
small sets, Weak-large and the sweep of mu; and at last, with the mu that the
held-out clips chose, the fine-tuned rows and + Strong with shares of its clips.
Rows, points and shares are those of `table1.py`, `mu_sweep.py` and
`strong_share.py`, in their folders, so that all three read this run.

Every model is a step (`steps.py`): the same command goes on after a kill, in
the model that was being trained at its last checkpoint. --dry_run prints what
is left and how long it takes. Rows, seeds and mus can be run apart:

    ... --rows=weak-small,weak-large --seeds=0
    ... --rows=plus_strong --seeds=0,1 --mus=0.5,0.8
    ... --join=runs/a,runs/b --output_dir=runs/joined

The second trains what it starts from, where that is not there. Several
processes can share a folder; of several folders, all must be copies of one
that holds the inputs, and for fine-tuned rows the points of the sweep.

--results_dir receives `inputs.json`, the hashes; `runs.jsonl`, a line a row and
seed with its numbers, settings and versions; `classes.csv`, a line a row, seed,
evaluation and class; `mu_sweep.jsonl`, a line a point; `strong_share.jsonl`, a
line a share of figure 3 and seed; `intervals.json` and `strata.json`
(`intervals.py`); and `class_priors.json` (`class_priors.py`). `report.py` makes
tables and figures of them.
"""

import json
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from absl import flags, logging

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.labels.problems import listed
from audioset_strong.records.manifest import (
    check_no_shared_clips,
    read_json,
    write_json,
    write_text,
)
from audioset_strong.training.strategy import make_reproducible
from experiments import mu_curve, mu_sweep, rows, strong_share, table1
from experiments.esc50.class_priors import write_class_priors
from experiments.esc50.intervals import write_intervals
from experiments.joined import Result, read_results
from experiments.training_steps import (
    ExperimentInputs,
    hash_labels,
    hash_records_dir,
    score_step,
)

flags.adopt_module_key_flags(rows)
_SWEEP_SEEDS = flags.DEFINE_list(
    "sweep_seeds",
    ["0"],
    "Seeds of the sweep of mu, by which rows get theirs; those of --seeds are "
    "run.",
)
_ALSO_SWEEP_SEEDS = flags.DEFINE_list(
    "also_sweep_seeds", [], "More seeds of the sweep, which choose no mu."
)
_RESULTS_DIR = flags.DEFINE_string(
    "results_dir", "experiments/results/esc50", "Folder for the results."
)
_DRY_RUN = flags.DEFINE_boolean(
    "dry_run", False, "Prints what is left and how long it takes; runs nothing."
)
_SPEED = flags.DEFINE_float(
    "examples_per_second", 370.0, "For the estimate: of training."
)
_SHARE_SEEDS = flags.DEFINE_list(
    "share_seeds", [], "Seeds of figure 3; those of the sweep if none."
)
_NICE = flags.DEFINE_integer("nice", 19, "Priority of the process: 19 lowest.")

_SMALL = ("weak-small", "diffuse-small", "strong-small")
_FINE_TUNED = ("plus_weak", "plus_diffuse", "plus_strong")
_FURTHER = ("plus_strong_by_lwlrap", "plus_diffuse_at_same_mu")
_ALL_ROWS = (*_SMALL, "weak-large", *_FINE_TUNED, *_FURTHER)
# Seconds on 2 quiet cores: of a clip's audio, of its records, of a validation
# with 500 clips, and of scoring and evaluating a model.
_SECONDS_PER_CLIP = 0.06
_SECONDS_PER_RECORD = 0.01
_SECONDS_PER_VALIDATION = 4.0
_SECONDS_PER_EVALUATION = 30.0


# By the kind of a task: the folder of its results, and what its value is.
_FOLDERS = {
    "row": ("rows", ""),
    "point": ("mu_sweep", "mu"),
    "part": ("strong_share", "share"),
}


class Task(NamedTuple):
    """One model to train.

    Attributes:
      kind: "row", which is scored and evaluated, "part" of it with a share of
        the Strong clips, which is too, or "point" of the sweep.
      name: Of the row, or the set that is mixed in.
      seed: Of the model.
      value: The mu of a point, the share of a part; None for a row.
    """

    kind: str
    name: str
    seed: int
    value: float | None = None

    @property
    def result_path(self) -> str:
        """Where its result is, once it is there."""
        folder, value_name = _FOLDERS[self.kind]
        value = "" if self.value is None else f"-{value_name}{self.value:g}"
        name = f"{self.name}{value}-seed{self.seed}.json"
        return os.path.join(rows.OUTPUT_DIR.value, folder, name)

    @property
    def title(self) -> str:
        """How the console names it."""
        _, value_name = _FOLDERS[self.kind]
        value = "" if self.value is None else f" {value_name} {self.value:g}"
        return f"{self.kind} {self.name}{value} seed {self.seed}"


def make_plan(
    names: Sequence[str],
    seeds: Sequence[int],
    large_seeds: Sequence[int],
    sweep_seeds: Sequence[int],
    mus: Sequence[float],
    share_seeds: Sequence[int],
    shares: Sequence[float],
) -> list[Task]:
    """Lists what to train, in order.

    Args:
      names: Rows.
      seeds: Of the small and the fine-tuned rows.
      large_seeds: Of Weak-large; only those in `seeds` count.
      sweep_seeds: Of the sweep; only those in `seeds` count.
      mus: Of the sweep, which has a point for each set that a row mixes in.
      share_seeds: Of figure 3; only those in `seeds` count.
      shares: Of figure 3, if + Strong is among the rows.
    """
    plan = []
    chosen = [table1.ROW_OF_FOLDER[name] for name in names]
    # Once each: several rows take the mu of one set.
    mixed_in = dict.fromkeys(
        rows.mu_row(row).train["mixed_training_set"]
        for row in chosen
        if "mu" in row.train
    )
    for seed in seeds:
        plan += [Task("row", name, seed) for name in names if name in _SMALL]
        if seed in large_seeds and "weak-large" in names:
            plan.append(Task("row", "weak-large", seed))
        if seed in sweep_seeds:
            plan += [
                Task("point", mixed, seed, mu)
                for mixed in mixed_in
                for mu in mus
            ]
    for group in (_FINE_TUNED, _FURTHER):
        plan += [
            Task("row", name, seed)
            for seed in seeds
            for name in group
            if name in names
        ]
    if "plus_strong" in names:
        plan += [
            Task("part", "plus_strong", seed, share)
            for seed in seeds
            if seed in share_seeds
            for share in shares
        ]
    return plan


def _estimate_seconds(task: Task) -> float:
    """Estimates the longest that a task takes on quiet cores."""
    kind = "fine_tune"
    if task.kind == "row":
        kind = table1.ROW_OF_FOLDER[task.name].steps
    if task.kind == "part" and task.value == 1:
        return 0.0  # it is the row
    num_examples = rows.NUM_STEPS[kind].value * rows.BATCH_SIZE.value
    num_validations: int = flags.FLAGS.flag_values_dict()["checkpoints"]
    seconds = num_examples / _SPEED.value
    seconds += num_validations * _SECONDS_PER_VALIDATION
    return seconds + _SECONDS_PER_EVALUATION * (task.kind != "point")


def _describe_plan(plan: Sequence[Task]) -> str:
    """Says what is done, what is left and how long it takes."""
    lines, left = [], 0.0
    for task in plan:
        if os.path.exists(task.result_path):
            lines.append(f"done      {task.title}")
            continue
        seconds = _estimate_seconds(task)
        left += seconds
        lines.append(f"{seconds / 60:5.1f} min {task.title}")
    inputs = os.path.join(rows.OUTPUT_DIR.value, "records", "eval")
    if not os.path.exists(inputs):
        numbers: dict[str, int] = flags.FLAGS.flag_values_dict()
        per_clip = _SECONDS_PER_CLIP + _SECONDS_PER_RECORD
        seconds = per_clip * sum(
            numbers[f"num_{part}_clips"] for part in ("weak", "strong", "eval")
        )
        miner = numbers["miner_steps"] * rows.BATCH_SIZE.value
        seconds += miner / _SPEED.value / 2
        left += seconds
        lines.insert(0, f"{seconds / 60:5.1f} min inputs")
    text = "\n".join(lines)
    return (
        f"{text}\nAt most {left / 3600:.1f} h are left at {_SPEED.value:g} "
        f"examples/s; rows that stop early take less."
    )


def fix_inputs(inputs: ExperimentInputs, results_dir: str) -> None:
    """Writes down the hashes of the inputs, or compares them with those there.

    Raises:
      InputError: The inputs are not those that were fixed.
    """
    found = {
        "train_records": hash_records_dir(inputs.train_records_dir),
        "eval_records": hash_records_dir(inputs.eval_records_dir),
        **hash_labels(inputs),
    }
    path = os.path.join(results_dir, "inputs.json")
    if not os.path.exists(path):
        release = os.path.join(
            rows.OUTPUT_DIR.value, "release", "soundscapes.json"
        )
        settings = read_json(release)
        del settings["classes"]
        files.make_output_folder(results_dir)
        fixed_at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        write_json(
            {"hashes": found, "fixed_at": fixed_at, "release": settings}, path
        )
        logging.info("Fixed the inputs: %s.", path)
        return
    fixed = read_json(path)["hashes"]
    changed = [name for name in found if found[name] != fixed.get(name)]
    if changed:
        raise InputError(
            f"Expected the inputs that {path} fixed before a model was "
            f"trained; {', '.join(changed)} differ. Go on in the output folder "
            f"that they are in, or give another --results_dir for another "
            f"experiment."
        )


def _run(
    plan: Sequence[Task], inputs: ExperimentInputs, sweep_seeds: Sequence[int]
) -> None:
    """Trains what is left of a plan."""
    chosen: dict[str, dict[str, float]] = {}
    start = time.monotonic()
    for number, task in enumerate(plan, start=1):
        left = sum(
            _estimate_seconds(t)
            for t in plan[number - 1 :]
            if not os.path.exists(t.result_path)
        )
        logging.info(
            "[%d/%d] %s; %.1f h gone, at most %.1f h left on quiet cores.",
            number,
            len(plan),
            task.title,
            (time.monotonic() - start) / 3600,
            left / 3600,
        )
        if task.kind == "point" and task.value is not None:
            records_dir = inputs.train_records_dir
            run = mu_sweep.run_point(
                task.name, task.value, task.seed, records_dir
            )["run"]
            # Not to choose by, but for `class_priors.py`.
            workdir = os.path.join(rows.OUTPUT_DIR.value, "models", run)
            score_step(
                rows.OUTPUT_DIR.value, run, workdir, inputs.eval_records_dir
            )
            continue
        row, mu = table1.ROW_OF_FOLDER[task.name], 0.0
        if "mu" in row.train:
            chosen = chosen or _choose_mus(sweep_seeds)
            mu_row = rows.mu_row(row)
            mu = chosen[mu_row.train["mixed_training_set"]][mu_row.mu_metric]
        if task.value is None:
            table1.run_row(row, task.seed, mu, inputs)
        else:
            strong_share.run_share(task.value, task.seed, mu, inputs)


def _choose_mus(sweep_seeds: Sequence[int]) -> dict[str, dict[str, float]]:
    """Returns the best mu of each set by each metric of the held-out clips.

    Seeds that were swept besides change nothing: no row gets another mu when
    there are more.
    """
    output_dir = rows.OUTPUT_DIR.value
    results = [
        result
        for result in read_results([output_dir], "mu_sweep")
        if result["point"]["seed"] in sweep_seeds
    ]
    if not results:
        raise InputError(
            f"Expected the sweep of --sweep_seeds={listed(sweep_seeds)} in "
            f"{output_dir}/mu_sweep, found other seeds. Run it first."
        )
    chosen = mu_curve.choose(mu_curve.summarise(results))
    logging.info("mu by held-out metrics: %s.", chosen)
    return chosen


def collect(output_dirs: Sequence[str], results_dir: str) -> str:
    """Writes all results as data; returns the table as Markdown."""
    files.make_output_folder(results_dir)
    results = read_results(output_dirs, "rows")
    _write_lines(results, os.path.join(results_dir, "runs.jsonl"))
    _write_classes(results, results_dir)
    more: dict[str, list[Result]] = {"mu_sweep": [], "strong_share": []}
    for kind in more:
        there = [d for d in output_dirs if os.path.exists(f"{d}/{kind}")]
        if there:
            more[kind] = read_results(there, kind)
            path = os.path.join(results_dir, f"{kind}.jsonl")
            _write_lines(more[kind], path)
    paper = {
        row.training_set: {
            metric: value
            for metric, value in zip(table1.METRICS, row.paper, strict=True)
            if value is not None
        }
        for row in rows.ROWS
    }
    write_intervals(results, output_dirs, paper, results_dir)
    points = _in_order(more["mu_sweep"])
    write_class_priors(results, points, output_dirs, results_dir)
    return table1.format_table(table1.summarise(results))


def _in_order(results: Sequence[Result]) -> list[Result]:
    """Sorts results by what they are the result of."""
    return sorted(results, key=lambda result: json.dumps(result["point"]))


def _write_lines(results: Sequence[Result], path: str) -> None:
    """Writes a line a result, without the place of its report."""
    lines = [
        json.dumps({n: v for n, v in r.items() if n != "report"})
        for r in _in_order(results)
    ]
    write_text("".join(f"{line}\n" for line in lines), path)


def _write_classes(results: Sequence[Result], results_dir: str) -> None:
    """Writes what reports say of each class against explicit negatives.

    `classes.csv` has the numbers of each model; `eval_classes.csv` has what is
    the same for all: display names and counts.
    """
    keys = ["evaluation", "mid"]
    same = ["display_name", "num_positives", "num_negatives"]
    of_runs = []
    for result in _in_order(results):
        folder = os.path.dirname(result["report"])
        table = pd.read_csv(os.path.join(folder, "per_class.csv"))
        table = table[table["negatives"] == "explicit"]
        of_runs.append(table.assign(**result["point"]))
    classes = pd.concat(of_runs)
    metrics = ["auc", "average_precision", "lwlrap"]
    tables = {
        "eval_classes": classes[[*keys, *same]].drop_duplicates(),
        "classes": classes[["training_set", "seed", *keys, *metrics]].round(4),
    }
    for name, table in tables.items():
        path = os.path.join(results_dir, f"{name}.csv")
        write_text(table.to_csv(index=False, lineterminator="\n"), path)


def main(argv: Sequence[str]) -> None:
    """Runs what is left and writes the results."""
    run_flags.refuse_arguments(argv)
    rows.refuse_real_clips()
    if rows.JOIN.value:
        print(collect(rows.JOIN.value, _RESULTS_DIR.value))
        return
    names = flags.FLAGS["rows"].value or list(_ALL_ROWS)
    unknown = [name for name in names if name not in _ALL_ROWS]
    if unknown:
        raise InputError(
            f"Expected --rows of {', '.join(_ALL_ROWS)}. Received: "
            f"{', '.join(unknown)}."
        )
    sweep_seeds = rows.as_seeds("sweep_seeds", _SWEEP_SEEDS.value)
    seeds = rows.chosen_seeds()
    plan = make_plan(
        names,
        seeds,
        [rows.start_seed(seed) for seed in seeds],
        sweep_seeds
        + rows.as_seeds("also_sweep_seeds", _ALSO_SWEEP_SEEDS.value),
        mu_sweep.chosen_mus(),
        rows.as_seeds("share_seeds", _SHARE_SEEDS.value) or sweep_seeds,
        strong_share.chosen_shares(),
    )
    print(_describe_plan(plan))
    if _DRY_RUN.value:
        return
    os.nice(max(0, _NICE.value - os.nice(0)))
    # Before a kept model is scored: TensorFlow's threads are then fixed.
    make_reproducible(seed=0, deterministic=True)
    inputs = rows.make_experiment_inputs()
    check_no_shared_clips(inputs.train_records_dir, inputs.eval_records_dir)
    fix_inputs(inputs, _RESULTS_DIR.value)
    _run(plan, inputs, sweep_seeds)
    print(f"\n{collect([rows.OUTPUT_DIR.value], _RESULTS_DIR.value)}")


if __name__ == "__main__":
    run_flags.run(main)
