r"""What the reproduction on AudioSet costs, as the tables of README.md.

    python -m experiments.audioset.costs
    python -m experiments.audioset.costs --examples_per_second=5200 \
      --dollars_per_hour=4

Steps and batches are those of the flagfiles here. The speed of preparation,
reading and evaluation was measured; that of accelerators was not. The first
form gives it a range: the network's operations over a share of a device's peak.
The second takes what `experiments.benchmarks.train_step` measured on yours:

    hours = (examples + validated label frames / 3) / examples a second / 3600
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from audioset_strong import run_flags
from experiments.train_flags import read_train_flags

_EXAMPLES_PER_SECOND = flags.DEFINE_float(
    "examples_per_second",
    None,
    "Measured: of one device, or of all that the price is for.",
    lower_bound=0.001,
)
_DOLLARS_PER_HOUR = flags.DEFINE_float(
    "dollars_per_hour", 0.0, "Of the same.", lower_bound=0.0
)

# Counted: 1.85 G multiply-adds forward (tests/test_resnet.py), twice as many
# backward, two operations each.
_GFLOP_PER_EXAMPLE = 3 * 2 * 1.85


@dataclasses.dataclass(frozen=True)
class Device:
    """An accelerator.

    Attributes:
      name: In the table.
      peak_tflops: Of bfloat16, dense, from data sheets (from memory).
      utilisation: The lowest and highest share of it that we expect.
      dollars_per_hour: On demand.
    """

    name: str
    peak_tflops: float
    utilisation: tuple[float, float]
    dollars_per_hour: float

    @property
    def examples_per_second(self) -> tuple[float, float]:
        """The lowest and the highest speed of training."""
        low, high = (
            self.peak_tflops * 1e3 * share / _GFLOP_PER_EXAMPLE
            for share in self.utilisation
        )
        return low, high


# Not run. The best published trainings of ResNet-50 on ImageNet are near the
# upper ends (from memory): the larger the peak, the more memory limits the
# network. List prices from memory, 2026-11: check yours.
_DEVICES = (
    Device("A100", 312, (0.08, 0.20), 4.0),
    Device("H100", 989, (0.05, 0.15), 7.0),
    Device("L4", 121, (0.05, 0.12), 0.8),
    Device("TPU v3-8", 492, (0.10, 0.35), 8.0),
)
_CORE_DOLLARS_PER_HOUR = 0.05
_STORAGE_DOLLARS_PER_TB_MONTH = 23.0

# The release: clips of the two weak training CSVs, of the weak evaluation CSV,
# and of the strong training file, of which prepare_records holds out 5 %.
_TRAIN_CLIPS = 22_160 + 2_041_789
_EVAL_CLIPS = 20_371
_HELD_OUT_CLIPS = round(0.05 * 103_463)
_LABEL_FRAMES = 10

# Measured on CPUs: ../results/preparation.md, reader.md, evaluation.md and
# train_step.md.
_PREPARATION_SECONDS_PER_CLIP = 0.0162
_AUDIO_MB_PER_CLIP = 1.25
_RECORD_KB_PER_CLIP = 128.7 / 2
_CLIPS_READ_PER_CORE_SECOND = 23_125 / 2
_EVALUATION_SECONDS_PER_SYSTEM = 39.9
_CPU_EXAMPLES_PER_SECOND = 16 / 1.122

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_ROWS = (
    "weak-small",
    "diffuse-small",
    "strong-small",
    "weak-large",
    "plus_diffuse",
    "plus_strong",
)
_TOTAL = "**all six**"


class Training(NamedTuple):
    """What one or several runs take.

    Attributes:
      name: In the table.
      examples: Forward and backward passes.
      validated: Forward passes alone.
    """

    name: str
    examples: float
    validated: float

    @property
    def passes(self) -> float:
        """In units of a forward and a backward pass."""
        return self.examples + self.validated / 3


def _read_row(name: str, number: int = 1, title: str = "") -> Training:
    params = read_train_flags(os.path.join(_FOLDER, f"{name}.flags")).train
    num_validations = -(-params.num_steps // params.checkpoint_interval_steps)
    return Training(
        title or name,
        number * params.num_steps * params.global_batch_size,
        number * num_validations * _HELD_OUT_CLIPS * _LABEL_FRAMES,
    )


def _sum(name: str, trainings: Sequence[Training]) -> Training:
    return Training(
        name,
        sum(training.examples for training in trainings),
        sum(training.validated for training in trainings),
    )


def _read_list(program: str, name: str) -> set[float]:
    """Reads a flag with a list of numbers from a flagfile."""
    values = flags.FlagValues()  # type: ignore[no-untyped-call]
    found = flags.DEFINE_list(name, None, "A list.", flag_values=values)
    path = os.path.join(_FOLDER, f"{program}.flags")
    values([program, f"--flagfile={path}"], known_only=True)
    return {float(value) for value in found.value or ()}


def _count_mus() -> int:
    """Counts the points of the sweep of mu that are no row of the table."""
    swept = _read_list("mu_sweep", "mus")
    of_rows = [
        read_train_flags(os.path.join(_FOLDER, f"{name}.flags")).train.mu
        for name in _ROWS
        if name.startswith("plus_")
    ]
    return sum(len(swept - {mu}) for mu in of_rows)


def trainings() -> list[Training]:
    """Lists rows, their sum, and what is beside them."""
    rows = [_read_row(name) for name in _ROWS]
    total = _sum(_TOTAL, rows)
    mus, shares = _count_mus(), len(_read_list("strong_share", "shares") - {1})
    sweep = _read_row("plus_strong", mus, f"choice of mu: {mus} more models")
    return [
        *rows,
        total,
        sweep,
        _sum("**all six and the choice of mu**", [total, sweep]),
        _read_row("plus_strong", shares, f"Figure 3: {shares} more models"),
        _read_row("plus_strong_by_lwlrap"),
        _read_row("plus_weak", title="control: plus_weak"),
    ]


def _span(low: float, high: float, unit: str = "") -> str:
    """Formats a range with two digits each."""
    low_text, high_text = (f"{unit}{_round(value)}" for value in (low, high))
    return low_text if low_text == high_text else f"{low_text} to {high_text}"


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    ruler = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(c)} |" for c in (header, ruler, *lines))


def training_table() -> str:
    """Formats hours and money of each row on each device."""
    lines = []
    for training in trainings():
        cells = []
        for device in _DEVICES:
            slow, fast = device.examples_per_second
            least = training.passes / fast / 3600
            most = training.passes / slow / 3600
            price = device.dollars_per_hour
            money = _span(price * least, price * most, "$")
            cells.append(f"{_span(least, most)} h, {money}")
        millions = f"{training.passes / 1e6:,.0f}"
        lines.append([training.name, millions, *cells])
    speeds = [_span(*device.examples_per_second) for device in _DEVICES]
    lines.append(["examples/s of one (assumed)", "", *speeds])
    names = [f"{d.name}, ${d.dollars_per_hour:g}/h" for d in _DEVICES]
    return _table(["row", "million passes", *names], lines)


def measured_table(examples_per_second: float, dollars: float) -> str:
    """Formats hours and money of each row at a measured speed."""
    lines = []
    for training in trainings():
        hours = training.passes / examples_per_second / 3600
        millions = f"{training.passes / 1e6:,.0f}"
        money = f"${_round(hours * dollars)}"
        lines.append([training.name, millions, f"{_round(hours)} h", money])
    return _table(["row", "million passes", "time", "money"], lines)


def stage_table() -> str:
    """Formats what everything but training takes."""
    clips = _TRAIN_CLIPS + _EVAL_CLIPS
    core_hours = clips * _PREPARATION_SECONDS_PER_CLIP / 3600
    audio_tb = clips * _AUDIO_MB_PER_CLIP / 1e6
    records_gb = clips * _RECORD_KB_PER_CLIP / 1e6
    examples = 8 * _DEVICES[1].examples_per_second[1]
    evaluation_minutes = len(_ROWS) * _EVALUATION_SECONDS_PER_SYSTEM / 60
    scoring_hours = (
        _EVAL_CLIPS * _LABEL_FRAMES / 3 / _CPU_EXAMPLES_PER_SECOND / 3600
    )
    (total,) = [t for t in trainings() if t.name == _TOTAL]
    cpu_days = total.passes / _CPU_EXAMPLES_PER_SECOND / 86400
    return _table(
        ["stage", "takes", "money"],
        [
            [
                f"preparing {clips / 1e6:.2f} million clips",
                f"{core_hours:.1f} core-hours, {audio_tb:.1f} TB read, "
                f"{records_gb:.0f} GB written",
                f"${core_hours * _CORE_DOLLARS_PER_HOUR:.2g}",
            ],
            [
                "keeping the audio in object storage",
                f"{audio_tb:.1f} TB",
                f"${audio_tb * _STORAGE_DOLLARS_PER_TB_MONTH:.0f} a month",
            ],
            [
                "reading records for 8 H100, at most",
                f"{examples / 1e3:.0f} thousand examples/s: "
                f"{examples / _CLIPS_READ_PER_CORE_SECOND:.0f} cores, "
                f"{examples * _RECORD_KB_PER_CLIP / 1e6:.1f} GB/s",
                "-",
            ],
            [
                "comparing six systems, 1,000 resamples",
                f"{evaluation_minutes:.0f} minutes on 2 cores",
                "-",
            ],
            [
                "scoring a model without a GPU",
                f"{scoring_hours:.1f} h on 2 CPU cores",
                "-",
            ],
            [
                "training all six rows without a GPU",
                f"{cpu_days:.0f} days on 2 CPU cores",
                "-",
            ],
        ],
    )


def main(argv: Sequence[str]) -> None:
    """Prints the tables."""
    run_flags.refuse_arguments(argv)
    if _EXAMPLES_PER_SECOND.value:
        print(
            measured_table(_EXAMPLES_PER_SECOND.value, _DOLLARS_PER_HOUR.value)
        )
        return
    print(f"{stage_table()}\n\n{training_table()}")


if __name__ == "__main__":
    run_flags.run(main)
