"""The rows of Table 1 as training runs, and the flags that describe them.

Shared by `table1.py`, `mu_sweep.py` and `strong_share.py`, so that in one
output folder all have the same inputs and the same runs: a fine-tuned row is a
point of the sweep, and + Strong is the end of Figure 3.
"""

import dataclasses
import functools
import os
from typing import Any, NamedTuple

from absl import flags, logging

from audioset_strong.errors import InputError
from audioset_strong.params import (
    ModelParams,
    RecipeParams,
    RecordParams,
    TrainParams,
)
from audioset_strong.simulation.soundscapes import (
    PRESETS,
    SoundscapeParams,
)
from audioset_strong.simulation.sources import SourceSettings
from experiments.joined import Result, read_results
from experiments.simulated_release import (
    RECORDS,
    SHOWN_PER_CLASS,
    make_inputs,
    make_train_records,
)
from experiments.steps import Made
from experiments.train_flags import TrainFlags, read_train_flags
from experiments.training_steps import (
    ExperimentInputs,
    train_step,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One row of the table.

    Attributes:
      training_set: Name in the table; the paper's, with "small" and "large" for
        its 67k and 1.8M.
      steps: Which of the flags says for how long: "small", "large" or
        "fine_tune".
      train: `TrainParams` that differ between rows.
      starts_from: Row whose model is fine-tuned, "" for none.
      trained_as: Row whose runs, of another mu, are those of this one, "" for
        none.
      mu_of: Row whose mu it takes, "" for one of its own.
      paper: The paper's numbers, in the order of `METRICS`; None for one that
        it does not give.
    """

    training_set: str
    steps: str
    train: dict[str, Any]
    starts_from: str = ""
    trained_as: str = ""
    mu_of: str = ""
    paper: tuple[float | None, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the row's results."""
        return _folder_of(self.training_set)

    @property
    def run_folder(self) -> str:
        """Name of its flagfile, and of its workdirs without mu and seed."""
        return _folder_of(self.trained_as or self.training_set)

    @property
    def mu_metric(self) -> str:
        """The held-out metric that its mu and its checkpoint are best by."""
        by_lwlrap = self.train.get("selection_metric") == "lwlrap"
        return "lwlrap" if by_lwlrap else "d_prime"


def _folder_of(training_set: str) -> str:
    return training_set.lower().replace("+ ", "plus_").replace(" ", "_")


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
# Not in the table, but in the text: mu and checkpoint for lwlrap alone. (Those
# of + Strong are for d' alone.)
LWLRAP_ROW = Row("+ Strong by lwlrap", "fine_tune",
    {"mixed_training_set": "strong", "mu": 0.2, "selection_metric": "lwlrap"},
    starts_from="Weak-large", paper=(None, None, None, 0.48),
)  # fmt: skip
# Not in the paper, whose best mus are 0.7 and 0.8: where they are far apart,
# + Strong and + Diffuse differ in more than timing.
SAME_MU_ROW = Row("+ Diffuse at same mu", "fine_tune",
    {"mixed_training_set": "diffuse", "mu": 0.8},
    starts_from="Weak-large", trained_as="+ Diffuse", mu_of="+ Strong",
)  # fmt: skip


def mu_row(row: Row) -> Row:
    """Returns the row whose mu it takes, most often itself."""
    return next((r for r in ROWS if r.training_set == row.mu_of), row)


# How all rows are trained. Their defaults are for simulated clips; on real ones
# they would train a small network for some minutes without a word.
_OF_TRAINING = (
    "width",
    "stem_stride",
    "global_batch_size",
    "small_steps",
    "large_steps",
    "fine_tune_steps",
    "learning_rate",
    "fine_tune_learning_rate",
    "learning_rate_decay",
    "precision",
    "checkpoints",
    "patience_validations",
)
_NEEDED_FOR_REAL_CLIPS = _OF_TRAINING[:6]
# What preparation or AudioSet itself decides on real clips.
_OF_SIMULATION = (
    "sources",
    "esc50_dir",
    "preset",
    "strong_recordings_share",
    "num_weak_clips",
    "num_strong_clips",
    "num_eval_clips",
    "shown_per_class",
    "class_seed",
    "held_out_fraction",
    "log_mel_dtype",
    "miner_steps",
)

OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for everything that is made.", required=True
)
JOIN = flags.DEFINE_list(
    "join",
    [],
    "Output folders of runs apart, whose results are joined in --output_dir. "
    "Nothing is trained.",
)
_SEEDS = flags.DEFINE_list(
    "seeds", [], "Seeds of the models, each a run of its own; --seed if none."
)
_LARGE_SEEDS = flags.DEFINE_list(
    "large_seeds",
    [],
    "Seeds of Weak-large that fine-tuned rows start from: that of seed s from "
    "the one at place s, round and round. If none, the row's own seed.",
)
_SOURCES = flags.DEFINE_enum(
    "sources", "synthetic", ["synthetic", "esc50"], "Where sounds come from."
)
_ESC50_DIR = flags.DEFINE_string("esc50_dir", "", "Folder of ESC-50.")
_PRESET = flags.DEFINE_enum(
    "preset", "short", list(PRESETS), "Kind of simulated release."
)
_STRONG_RECORDINGS_SHARE = flags.DEFINE_float(
    "strong_recordings_share",
    None,
    "Share of the training recordings that are those of the simulated Strong "
    "clips alone; the preset's if not given.",
)
_NUM_WEAK_CLIPS = flags.DEFINE_integer(
    "num_weak_clips", 4000, "Simulated training clips with weak labels only."
)
_NUM_STRONG_CLIPS = flags.DEFINE_integer(
    "num_strong_clips", 500, "Simulated training clips with strong labels too."
)
_NUM_EVAL_CLIPS = flags.DEFINE_integer(
    "num_eval_clips", 400, "Simulated evaluation clips."
)
_SHOWN_PER_CLASS = flags.DEFINE_integer(
    "shown_per_class",
    SHOWN_PER_CLASS,
    "Mined candidates that simulated annotators are shown of each class.",
)
_HELD_OUT_FRACTION = flags.DEFINE_float(
    "held_out_fraction", 0.2, "Share of the Strong clips to hold out."
)
_LOG_MEL_DTYPE = flags.DEFINE_enum(
    "log_mel_dtype",
    RECORDS.log_mel_dtype,
    ["float16", "uint8"],
    "How simulated clips are stored: 128 KB of each, or 64 KB.",
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
ROW_FLAGFILES = flags.DEFINE_string(
    "row_flagfiles",
    "",
    "Folder with a flagfile of the train command for each row, <row>.flags, "
    "that says how it is trained on real clips, in place of all flags of "
    "training here.",
)
NUM_STEPS = {
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
BATCH_SIZE = flags.DEFINE_integer("global_batch_size", 64, "Of all replicas.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 2e-3, "Of Adam.")
_FINE_TUNE_LEARNING_RATE = flags.DEFINE_float(
    "fine_tune_learning_rate", 1e-3, "Of Adam in the '+' rows."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16", "float16"], "As in train."
)
_DECAY = flags.DEFINE_enum(
    "learning_rate_decay", "cosine", ["constant", "cosine"], "Of all rows."
)
_PATIENCE = flags.DEFINE_integer(
    "patience_validations",
    0,
    "A row stops after so many checkpoints without a better one; 0 for never.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.")
_CLASS_SEED = flags.DEFINE_integer(
    "class_seed",
    None,
    "Of how common simulated classes are and what weak annotators make of "
    "each; --seed if not given.",
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count() or 1, "Processes for clips and records."
)


def _model_params(width_factor: float = 1.0) -> ModelParams:
    return ModelParams(
        width=_WIDTH.value * width_factor, stem_stride=_STEM_STRIDE.value
    )


def _train_params(num_steps: int, seed: int, **params: Any) -> TrainParams:
    """Settings that all runs share, with those of one."""
    defaults = {
        "num_steps": num_steps,
        "global_batch_size": BATCH_SIZE.value,
        "learning_rate": _LEARNING_RATE.value,
        "learning_rate_decay": _DECAY.value,
        "precision": _PRECISION.value,
        "warmup_steps": num_steps // 20,
        "checkpoint_interval_steps": max(1, num_steps // _CHECKPOINTS.value),
        "log_interval_steps": max(1, num_steps // 20),
        "seed": seed,
    }
    return TrainParams(**{**defaults, **params})


def make_experiment_inputs() -> ExperimentInputs:
    """Takes real inputs from the flags, or simulates them."""
    real = _real_inputs()
    if all(real):
        _check_given_for_real_clips()
        return ExperimentInputs(*real, class_map=_CLASS_MAP.value)
    if any(real) or ROW_FLAGFILES.value:
        raise InputError(
            "Real clips need all of --train_records_dir, "
            "--eval_records_dir, --eval_weak_labels and --eval_framed_labels."
        )
    return make_inputs(
        *_simulation(),
        _model_params(width_factor=0.5),
        # A seed that no model has that is evaluated.
        _train_params(_MINER_STEPS.value, _SEED.value + 1000),
        _SHOWN_PER_CLASS.value,
        _record_params(),
    )


def make_training_records() -> str:
    """Takes real training records from the flags, or simulates them."""
    records_dir, *of_evaluation = _real_inputs()
    if records_dir:
        _check_given_for_real_clips()
        return records_dir
    if any(of_evaluation) or ROW_FLAGFILES.value:
        raise InputError("Real clips need --train_records_dir.")
    return make_train_records(*_simulation(), _record_params())


def _real_inputs() -> tuple[str, str, str, str]:
    return (
        _TRAIN_RECORDS_DIR.value,
        _EVAL_RECORDS_DIR.value,
        _EVAL_WEAK_LABELS.value,
        _EVAL_FRAMED_LABELS.value,
    )


def refuse_real_clips() -> None:
    """Raises `InputError` if real clips are named, for simulated ones only."""
    if any(_real_inputs()) or ROW_FLAGFILES.value:
        raise InputError(
            "This makes its clips itself. Real ones are for "
            "experiments.table1 and experiments.mu_sweep."
        )


def _check_given_for_real_clips() -> None:
    """Raises `InputError` unless network and steps are chosen, once."""
    simulated = [n for n in _OF_SIMULATION if flags.FLAGS[n].present]
    if simulated:
        raise InputError(
            f"{', '.join(f'--{name}' for name in simulated)} are for simulated "
            f"clips. Leave them out, or --train_records_dir and other flags of "
            f"real clips."
        )
    given = [n for n in _OF_TRAINING if flags.FLAGS[n].present]
    absent = [n for n in _NEEDED_FOR_REAL_CLIPS if n not in given]
    if ROW_FLAGFILES.value and given:
        raise InputError(
            f"{ROW_FLAGFILES.value} says how each row is trained. Leave out "
            f"{', '.join(f'--{name}' for name in given)}, or change it there."
        )
    if absent and not ROW_FLAGFILES.value:
        raise InputError(
            f"Real clips need --row_flagfiles=experiments/audioset, the "
            f"paper's network with a schedule for AudioSet, or "
            f"{', '.join(f'--{name}' for name in absent)}: the defaults are "
            f"for small simulated releases."
        )


def _record_params() -> RecordParams:
    return dataclasses.replace(RECORDS, log_mel_dtype=_LOG_MEL_DTYPE.value)


def _simulation() -> tuple[str, SoundscapeParams, SourceSettings, int]:
    """Returns what a simulated release is made from."""
    preset = PRESETS[_PRESET.value]
    share = _STRONG_RECORDINGS_SHARE.value
    if share is None:
        share = preset.strong_recordings_share
    soundscapes = dataclasses.replace(
        preset,
        strong_recordings_share=share,
        num_weak_clips=_NUM_WEAK_CLIPS.value,
        num_strong_clips=_NUM_STRONG_CLIPS.value,
        num_eval_clips=_NUM_EVAL_CLIPS.value,
        held_out_fraction=_HELD_OUT_FRACTION.value,
        seed=_SEED.value,
        class_seed=_CLASS_SEED.value,
    )
    source = SourceSettings(_SOURCES.value, _ESC50_DIR.value)
    return OUTPUT_DIR.value, soundscapes, source, _NUM_WORKERS.value


def chosen_seeds() -> list[int]:
    """Returns the seeds of the models."""
    return as_seeds("seeds", _SEEDS.value) or [_SEED.value]


def as_seeds(flag: str, values: list[str]) -> list[int]:
    """Reads the seeds that a flag names."""
    try:
        return [int(seed) for seed in values]
    except ValueError as error:
        raise InputError(
            f"Expected whole numbers as --{flag}. Received: {values}."
        ) from error


def start_seed(seed: int) -> int:
    """Returns the seed of the model that a fine-tuned row starts from."""
    large = as_seeds("large_seeds", _LARGE_SEEDS.value) or [seed]
    return large[seed % len(large)]


def read_joined(kind: str, *flags_of_runs: str) -> list[Result]:
    """Reads the results that --join names.

    Args:
      kind: As in `read_results`.
      flags_of_runs: Flags that say what to run, which do not go with --join.
    """
    given = [f"--{n}" for n in flags_of_runs if flags.FLAGS[n].present]
    if given:
        raise InputError(
            f"--join joins all that its folders hold and runs nothing. Leave "
            f"out {', '.join(given)}."
        )
    return read_results(JOIN.value, kind)


class Run(NamedTuple):
    """A trained row.

    Attributes:
      name: Of its folders.
      workdir: Folder of the run.
      made: What `train_step` returned.
      settings: What the run depends on, but for seed, weights and a share that
        Figure 3 varies, by the name of the row: its own and those of the row
        that it starts from.
      weights: Hashes of its weights and of those that it starts from, by name.
    """

    name: str
    workdir: str
    made: Made
    settings: dict[str, dict[str, Any]]
    weights: dict[str, str]

    def settings_but_mu(self) -> dict[str, dict[str, Any]]:
        """The settings that all points of a sweep of mu have alike."""
        *starts, (_, own) = self.settings.items()
        swept = ("train.mu", "train.mixed_training_set")
        return {
            **{f"settings of {name}": settings for name, settings in starts},
            "settings of fine-tuning": {
                name: own[name] for name in own if name not in swept
            },
        }


def read_row_flags(row: Row) -> TrainFlags:
    """Reads the flagfile of a row from --row_flagfiles.

    Raises:
      InputError: There is none, or it trains on other sets than the row.
    """
    path = os.path.join(ROW_FLAGFILES.value, f"{row.run_folder}.flags")
    given = read_train_flags(path)
    sets = {"training_set": "weak", "mixed_training_set": "", **row.train}
    for name, expected in sets.items():
        found = getattr(given.train, name)
        if name != "mu" and found != expected:
            raise InputError(
                f"{path}: expected --{name}={expected}, for "
                f"{row.training_set}. Received: {found!r}."
            )
    return given


def _settings_of_row(
    row: Row, start: Row | None, params: dict[str, Any]
) -> tuple[ModelParams, TrainParams, RecipeParams]:
    """Returns how a row is trained, from its flagfile or from the flags.

    Args:
      row: The row.
      start: The row that it starts from, whose network it takes.
      params: `TrainParams` that its place in the experiment decides.
    """
    if ROW_FLAGFILES.value:
        given = read_row_flags(row)
        unmixed = {"mixed_training_set": "", "mu": 0.0}
        of_start = read_row_flags(start).model if start else {}
        return (
            ModelParams(**{**of_start, **given.model}),
            dataclasses.replace(given.train, **{**unmixed, **params}),
            given.recipe,
        )
    if start:
        params = {"learning_rate": _FINE_TUNE_LEARNING_RATE.value, **params}
    return (
        _model_params(),
        _train_params(NUM_STEPS[row.steps].value, **params),
        RecipeParams(patience_validations=_PATIENCE.value),
    )


# Many rows start from the same. No argument has a default, which would be
# another entry than the same value given.
@functools.cache
def train_row(
    row: Row,
    seed: int,
    mu: float,
    train_records_dir: str,
    strong_fraction: float,
) -> Run:
    """Trains a row, and first the row that it starts from.

    Args:
      row: The row.
      seed: Of this model; --large_seeds may give another to that which it
        starts from.
      mu: Of rows that mix training sets, where 0 leaves only Weak; else 0.
      train_records_dir: Records of the training clips.
      strong_fraction: Share of the Strong set, which the seed chooses.
    """
    params, name = {**row.train, "seed": seed}, row.run_folder
    if "mu" in params and not mu:
        if row.mu_metric == "d_prime":
            return train_row(CONTROL_ROW, seed, 0.0, train_records_dir, 1.0)
        del params["mixed_training_set"], params["mu"]
        name += "-mu0"
    settings, weights, start = {}, {}, None
    if mu:
        params["mu"] = mu
        name += f"-mu{mu:g}"
    if mu and strong_fraction != 1.0:
        params["strong_fraction"] = strong_fraction
        params["strong_fraction_seed"] = seed
        name += f"-share{strong_fraction:g}"
    if row.starts_from:
        (start,) = [r for r in ROWS if r.training_set == row.starts_from]
        start_run = train_row(
            start, start_seed(seed), 0.0, train_records_dir, 1.0
        )
        settings.update(start_run.settings)
        weights.update(start_run.weights)
        params["warm_start_workdir"] = start_run.workdir
    name += f"-seed{seed}"
    workdir = os.path.join(OUTPUT_DIR.value, "models", name)
    logging.info("%s, seed %d", row.training_set, seed)
    run = train_records_dir, *_settings_of_row(row, start, params)
    made = train_step(OUTPUT_DIR.value, name, workdir, *run)
    # In which runs of one experiment differ. A row's own share, that of its
    # flagfile, is a setting like others.
    not_alike = {"train.seed", "start_weights"}
    if made.inputs["train.strong_fraction"] in (1.0, strong_fraction):
        not_alike |= {"train.strong_fraction", "train.strong_fraction_seed"}
    settings[row.training_set] = {
        setting: value
        for setting, value in made.inputs.items()
        if setting not in not_alike
    }
    weights[name] = made.output_hash
    return Run(name, workdir, made, settings, weights)
