"""Reads a flagfile of the train command without running it.

So that `experiments.table1`, the costs in `experiments/audioset/` and a single
training take the same numbers from the same place. Needs no TensorFlow.
"""

from typing import Any, NamedTuple

from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.training.settings import CHOICES


class TrainFlags(NamedTuple):
    """What a flagfile says.

    Attributes:
      records_dir: Folder of the records.
      workdir: Folder of the run.
      model: Settings of the network that the file gives, by field of
        `ModelParams`; a warm start takes the others from its source.
      train: Settings of the run.
      recipe: What it adds to the paper's training.
    """

    records_dir: str
    workdir: str
    model: dict[str, Any]
    train: TrainParams
    recipe: RecipeParams


def read_train_flags(path: str) -> TrainFlags:
    """Reads a flagfile.

    Args:
      path: Its path. Paths of further flagfiles in it are relative to the
        working folder, as for the command.

    Raises:
      InputError: There is no such file, or it holds what is no flag of the
        train command.
    """
    values = flags.FlagValues()  # type: ignore[no-untyped-call]
    records_dir, workdir = (
        flags.DEFINE_string(name, "", "As in train.", flag_values=values)
        for name in ("records_dir", "workdir")
    )
    holders = {
        params: run_flags.define_params(params, CHOICES, values)
        for params in (TrainParams, RecipeParams, ModelParams)
    }
    try:
        rest = values(["train", f"--flagfile={path}"])[1:]
    except flags.Error as error:
        raise InputError(
            f"{path}: expected a flagfile of the train command ({error})."
        ) from error
    if rest:
        raise InputError(
            f"{path}: expected a flag in each line, found {' '.join(rest)!r}."
        )
    return TrainFlags(
        records_dir.value or "",
        workdir.value or "",
        {n: h.value for n, h in holders[ModelParams].items() if h.present},
        run_flags.read_params(TrainParams, holders[TrainParams]),
        run_flags.read_params(RecipeParams, holders[RecipeParams]),
    )
