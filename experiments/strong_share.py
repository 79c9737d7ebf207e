r"""Figure 3 of the paper: + Strong with shares of the Strong clips.

    python -m experiments.strong_share --output_dir=runs/table1
    python -m experiments.strong_share --output_dir=runs/table1 --seeds=0,1,2 \
      --mu_from=runs/table1/mu_sweep.json
    python -m experiments.strong_share --output_dir=share --join=a,b

Weak-large is fine-tuned with each share, scored and evaluated as a row of
`table1.py`, whose flags and output folder it shares: a share of 1 is its row
+ Strong. A seed is that of the model and of the choice of clips; of one seed a
larger share has all clips of a smaller one. Shares and seeds can be run apart:
the figure is of all that are in the folder and agree in their settings, and
folders of several machines are joined.

--output_dir receives `strong_share.json`, `strong_share.md`,
`strong_share.png`, and the numbers of each share and seed in `strong_share/`.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import get_training_set
from audioset_strong.plots import save_figure
from audioset_strong.records.manifest import (
    check_no_shared_clips,
    read_records,
    write_json,
    write_text,
)
from audioset_strong.records.streams import count_clips
from experiments import rows, table1
from experiments.joined import (
    Result,
    format_point,
    over_seeds,
    read_results,
    write_result,
)
from experiments.strong_share_plot import share_figure
from experiments.training_steps import ExperimentInputs

flags.adopt_module_key_flags(rows)
_SHARES = flags.DEFINE_list(
    "shares",
    ["0.1", "0.2", "0.4", "0.7", "1"],
    "Shares of the Strong clips, in (0, 1].",
)
# Flags of `table1.py` that mean nothing here.
_OF_THE_TABLE = ("rows", "control", "mu_diffuse", "mu_strong_by_lwlrap")

STRONG_ROW = table1.ROW_OF_FOLDER["plus_strong"]


def chosen_shares() -> list[float]:
    """Returns the shares that the flag names, in order."""
    try:
        shares = sorted({float(share) for share in _SHARES.value})
    except ValueError:
        shares = []
    if not shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise InputError(
            f"Expected --shares above 0, at most 1. Received: "
            f"{','.join(_SHARES.value)}."
        )
    return shares


def run_share(
    share: float, seed: int, mu: float, inputs: ExperimentInputs
) -> Result:
    """Trains, scores and evaluates one share, and writes its numbers.

    Raises:
      InputError: mu is 0.
    """
    if not mu:
        raise InputError(
            "A mu of 0 takes no Strong clip, whatever their share. Choose a "
            "mu above 0 for + Strong."
        )
    result = table1.make_result(STRONG_ROW, seed, mu, inputs, share)
    result["point"]["strong_fraction"] = share
    result["values"]["num_strong_clips"] = _count_strong_clips(
        inputs.train_records_dir, share, seed
    )
    folder = os.path.join(rows.OUTPUT_DIR.value, "strong_share")
    write_result(result, folder, f"plus_strong-share{share:g}-seed{seed}")
    return result


@functools.cache
def _count_strong_clips(records_dir: str, share: float, seed: int) -> int:
    training_set = get_training_set("strong", share, seed)
    return count_clips(read_records(records_dir), training_set)


def format_points(points: Sequence[dict[str, Any]]) -> str:
    """Formats the means over seeds as Markdown, with lowest and highest."""
    lines = [
        "| Share of Strong | clips | Strong eval d' | Strong eval lwlrap | "
        "seeds |",
        "|---|---|---|---|---|",
    ]
    for point in points:
        cells = [
            f"{point['strong_fraction']:g}",
            f"{point['num_strong_clips']:.0f}",
            format_point(point, "strong_d_prime"),
            format_point(point, "strong_lwlrap"),
            str(len(point["seeds"])),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _results() -> list[Result]:
    """Runs shares; returns them and those that were run apart."""
    if rows.JOIN.value:
        return rows.read_joined("strong_share", "shares", "seeds")
    given = [f"--{n}" for n in _OF_THE_TABLE if flags.FLAGS[n].present]
    if given:
        raise InputError(
            f"The figure is of + Strong. Leave out {', '.join(given)}."
        )
    if rows.ROW_FLAGFILES.value:
        of_flagfile = rows.read_row_flags(STRONG_ROW).train.strong_fraction
        if of_flagfile != 1.0:
            raise InputError(
                f"Shares are of all Strong clips, and the flagfile of + Strong "
                f"takes {of_flagfile:g} of them. Leave --strong_fraction out "
                f"there."
            )
    shares, seeds = chosen_shares(), rows.chosen_seeds()
    mu = table1.mu_of(STRONG_ROW)
    inputs = rows.make_experiment_inputs()
    check_no_shared_clips(inputs.train_records_dir, inputs.eval_records_dir)
    made = [
        run_share(share, seed, mu, inputs) for seed in seeds for share in shares
    ]
    return read_results([rows.OUTPUT_DIR.value], "strong_share", like=made)


def main(argv: Sequence[str]) -> None:
    """Runs the shares and writes table and figure."""
    run_flags.refuse_arguments(argv)
    points = over_seeds(_results(), "strong_fraction")
    table = format_points(points)
    files.make_output_folder(rows.OUTPUT_DIR.value)
    path = os.path.join(rows.OUTPUT_DIR.value, "strong_share")
    write_json({"points": points}, f"{path}.json")
    write_text(f"{table}\n", f"{path}.md")
    save_figure(share_figure(points), f"{path}.png")
    print(f"\n{table}\n\nFiles: {path}.json, {path}.md, {path}.png")


if __name__ == "__main__":
    run_flags.run(main)
