r"""Chooses mu and the checkpoint on held-out clips: Section 4.1 of the paper.

    python -m experiments.mu_sweep --output_dir=runs/table1
    python -m experiments.mu_sweep --output_dir=runs/table1 --sets=strong \
      --mus=0.7,0.8,0.9 --seeds=0,1,2
    python -m experiments.mu_sweep --output_dir=sweep --join=a,b
    python -m experiments.table1 --output_dir=runs/table1 \
      --mu_from=runs/table1/mu_sweep.json

For each mu a model is fine-tuned from Weak-large on a mixture of Weak and
Strong, and of Weak and Diffuse. Each point is a step (`steps.py`): the same
command goes on where it was stopped, and in the output folder of `table1.py`
(the flags are the same) both share their runs. Points can be run apart: the
curve is of all that are in the folder and agree in their settings, and folders
of several machines are joined.

--output_dir receives `mu_sweep.json`, `mu_sweep.md` and `mu_sweep.png`, and the
numbers of each point in `mu_sweep/`. As in the paper there are two choices: by
d', of mu and one checkpoint for both metrics; and by lwlrap, of mu and a
checkpoint for lwlrap alone. No evaluation clip is looked at.
"""

import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.plots import save_figure
from audioset_strong.records.manifest import write_json, write_text
from experiments import rows
from experiments.joined import Result, read_results, write_result
from experiments.mu_curve import choose, format_points, mu_figure, summarise

# The paper gives what it chose, not what it tried. 0 is Weak alone.
_GRID = ["0", "0.1", "0.2", "0.3", "0.5", "0.7", "0.8", "0.9", "0.95", "1"]
_ROW_OF_SET = {"strong": "+ Strong", "diffuse": "+ Diffuse"}

flags.adopt_module_key_flags(rows)
_SETS = flags.DEFINE_list("sets", list(_ROW_OF_SET), "Sets that are mixed in.")
_MUS = flags.DEFINE_list("mus", _GRID, "Values of mu, in [0, 1].")


def run_point(mixed: str, mu: float, seed: int, records_dir: str) -> Result:
    """Trains one point and writes its held-out metrics."""
    (row,) = [r for r in rows.ROWS if r.training_set == _ROW_OF_SET[mixed]]
    run = rows.train_row(row, seed, mu, records_dir, 1.0)
    best_step = run.made.result["best_step"]
    validations = run.made.result["validations"]
    if not validations:
        raise InputError(
            f"Expected held-out clips to choose mu by; {records_dir} holds "
            f"none. Prepare the records with held_out_fraction."
        )
    at_best = next(v for v in validations if v["step"] == best_step)
    by_lwlrap = max(validations, key=lambda v: v["lwlrap"])
    result = {
        "point": {"mixed_training_set": mixed, "mu": mu, "seed": seed},
        "must_agree": run.settings_but_mu(),
        "must_agree_here": run.weights,
        "values": {
            "best_step": best_step,
            "d_prime": at_best["d_prime"],
            "lwlrap_at_best_step": at_best["lwlrap"],
            "lwlrap": by_lwlrap["lwlrap"],
            "lwlrap_step": by_lwlrap["step"],
        },
        "run": run.name,
        "versions": run.made.versions,
    }
    folder = os.path.join(rows.OUTPUT_DIR.value, "mu_sweep")
    write_result(result, folder, f"{mixed}-mu{mu:g}-seed{seed}")
    return result


def chosen_mus() -> list[float]:
    """Returns the values of mu that the flag names, in order."""
    try:
        mus = sorted({float(mu) for mu in _MUS.value})
    except ValueError:
        mus = []
    if not mus or not 0 <= mus[0] <= mus[-1] <= 1:
        raise InputError(
            f"Expected --mus in [0, 1]. Received: {','.join(_MUS.value)}."
        )
    return mus


def _results() -> list[Result]:
    """Runs points; returns them and those that were run apart."""
    if rows.JOIN.value:
        return rows.read_joined("mu_sweep", "sets", "mus", "seeds")
    unknown = sorted(set(_SETS.value) - set(_ROW_OF_SET))
    if unknown or not _SETS.value:
        raise InputError(
            f"Expected --sets of {', '.join(_ROW_OF_SET)}. Received: "
            f"{', '.join(unknown) or 'none'}."
        )
    mus = chosen_mus()
    seeds = rows.chosen_seeds()
    records_dir = rows.make_training_records()
    made = [
        run_point(mixed, mu, seed, records_dir)
        for seed in seeds
        for mixed in _SETS.value
        for mu in mus
    ]
    return read_results([rows.OUTPUT_DIR.value], "mu_sweep", like=made)


def main(argv: Sequence[str]) -> None:
    """Runs the points and writes table, curve and choice."""
    run_flags.refuse_arguments(argv)
    results = _results()
    points = summarise(results)
    chosen = choose(points)
    table = format_points(points, chosen)
    files.make_output_folder(rows.OUTPUT_DIR.value)
    path = os.path.join(rows.OUTPUT_DIR.value, "mu_sweep")
    sweep = {
        "chosen": chosen,
        "points": points,
        "must_agree": results[0]["must_agree"],
    }
    write_json(sweep, f"{path}.json")
    write_text(f"{table}\n", f"{path}.md")
    save_figure(mu_figure(points, chosen), f"{path}.png")
    print(f"\n{table}\n\nFiles: {path}.json, {path}.md, {path}.png")


if __name__ == "__main__":
    run_flags.run(main)
