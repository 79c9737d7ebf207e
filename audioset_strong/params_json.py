"""Settings as JSON: written beside what they made, and read back.

What a version does not know it refuses, because a setting that is ignored gives
other results without a word. Fields that are missing have their default: they
came later, and their default is how it was before.
"""

import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from audioset_strong.errors import InputError
from audioset_strong.output_files import open_output

_Params = TypeVar("_Params")


def to_dict(params: Any) -> dict[str, Any]:
    """Returns a params dataclass as a JSON-ready dict."""
    return dataclasses.asdict(params)


def from_dict(
    params_class: type[_Params], values: Mapping[str, Any]
) -> _Params:
    """Makes a params dataclass from a dict.

    Raises:
      InputError: A field is unknown, which means that another version wrote it.
    """
    known = {f.name for f in dataclasses.fields(params_class)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"Unknown settings {unknown} for {params_class.__name__}; it has "
            f"{sorted(known)}. They were saved by another version."
        )
    return params_class(**values)


def save_params(
    path: str | os.PathLike[str], params_by_stage: Mapping[str, Any]
) -> None:
    """Writes `{stage: settings}` as JSON, whole or not at all."""
    text = json.dumps(
        {name: to_dict(params) for name, params in params_by_stage.items()},
        indent=2,
    )
    with open_output(path) as file:
        file.write(text + "\n")


def load_params(
    path: str | os.PathLike[str],
    classes_by_stage: Mapping[str, type],
    optional_stages: Collection[str] = (),
) -> dict[str, Any]:
    """Reads what `save_params` wrote.

    Args:
      path: The JSON file.
      classes_by_stage: Params dataclass of each stage in the file.
      optional_stages: Stages that came later, with defaults where they are
        missing.

    Returns:
      Params of each stage.

    Raises:
      InputError: A stage is missing or has unknown fields.
    """
    with open(path, encoding="utf-8") as file:
        saved = json.load(file)
    missing = sorted(set(classes_by_stage) - set(saved) - set(optional_stages))
    if missing:
        raise InputError(f"{path}: expected settings of {missing}.")
    return {
        name: from_dict(params_class, saved.get(name, {}))
        for name, params_class in classes_by_stage.items()
    }
