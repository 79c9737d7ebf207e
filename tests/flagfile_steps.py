"""Run by test_launching.py: reads flagfiles as the train command does.

    flagfile_steps.py FLAGFILE ... [-- FLAG ...]

Checks the settings of each and prints them as JSON, a line each. With `--` it
also trains each with these flags after those of the file, where {name} is the
file's.
"""

import dataclasses
import json
import pathlib
import sys

from absl import flags

from audioset_strong import run_flags, train
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.training.settings import check_settings


def main():
    paths, overrides = sys.argv[1:], None
    if "--" in paths:
        at = paths.index("--")
        paths, overrides = paths[:at], paths[at + 1 :]
    for path in paths:
        flags.FLAGS.unparse_flags()
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        name = pathlib.Path(path).stem
        changes = [flag.replace("{name}", name) for flag in overrides or ()]
        rest = flags.FLAGS(["train", f"--flagfile={path}", *changes])
        assert rest == ["train"], rest
        params = run_flags.read_params(TrainParams, train._TRAIN_FLAGS)
        recipe = run_flags.read_params(RecipeParams, train._RECIPE_FLAGS)
        check_settings(ModelParams(), params, recipe)
        if overrides:
            train.main(["train"])
        print(json.dumps({name: dataclasses.asdict(params)}))


if __name__ == "__main__":
    main()
