"""Results of experiments that were run apart, joined.

Every result is a JSON file of its own, in a folder such as `rows/` below the
output folder of a command:

    point            what it is the result of, such as row and seed
    must_agree       settings and hashes by name; two results that both name one
                     must have the same, or they are not of one experiment
    must_agree_here  the same within one folder, if given: hashes of weights,
                     which another machine may have trained to other bits
    values           the numbers

Output folders may be of several machines.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.problems import listed
from audioset_strong.records.manifest import read_json, write_json

Result = dict[str, Any]


def write_result(result: Result, folder: str, name: str) -> None:
    """Writes one result; an older one of the name is replaced."""
    files.make_output_folder(folder)
    write_json(result, os.path.join(folder, f"{name}.json"))


def read_results(
    output_dirs: Sequence[str], kind: str, like: Sequence[Result] = ()
) -> list[Result]:
    """Reads the results of one or several output folders.

    Args:
      output_dirs: The folders.
      kind: Name of the folder in them that holds the results.
      like: Results that have just been made. Those that do not agree with them
        are left out, instead of being an error, and named on the console.

    Returns:
      One result a point; a point that several folders have alike counts once.

    Raises:
      InputError: A folder has no results, two results do not agree, or a point
        has two different results.
    """
    agreed: dict[str, tuple[str, Any]] = {
        name: ("this run", value)
        for result in like
        for name, value in _claims(result, output_dirs[0]).items()
    }
    of_point: dict[str, tuple[str, Result]] = {}
    for output_dir, path in _list_results(output_dirs, kind):
        result = read_json(path)
        claims = _claims(result, output_dir)
        differences = [
            f"{name} in {path} and in {agreed[name][0]} differ: "
            f"{describe_difference(value, agreed[name][1])}"
            for name, value in claims.items()
            if name in agreed and agreed[name][1] != value
        ]
        if differences and like:
            logging.info("Not in the table: %s.", differences[0])
            continue
        if differences:
            raise InputError(
                f"Expected results of one experiment; {differences[0]}. Make "
                f"the older one anew, or remove it."
            )
        for name, value in claims.items():
            agreed.setdefault(name, (path, value))
        first_path, first = of_point.setdefault(
            str(result["point"]), (path, result)
        )
        if first["values"] != result["values"]:
            raise InputError(
                f"Expected one result of {result['point']}, found two that "
                f"differ: {first_path} and {path}. Remove one."
            )
    return [result for _, result in of_point.values()]


def start_of(result: Result) -> str:
    """Returns the hash of the weights that a model starts from, or its own."""
    weights: dict[str, str] = result["must_agree_here"]
    starts = [h for name, h in weights.items() if name != result["run"]]
    return starts[0] if starts else weights[result["run"]]


def seed_weights(starts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Returns what each model counts in a mean over seeds.

    Models that start from one Weak-large have more in common than two seeds
    should. So each Weak-large counts alike, and then each seed of it.

    Args:
      starts: What `start_of` says of each model.

    Returns:
      float64 `[num_models]`, of sum 1.
    """
    counts = np.array([starts.count(start) for start in starts])
    weights: npt.NDArray[np.float64] = 1 / (counts * len(set(starts)))
    return weights


def over_seeds(results: Sequence[Result], *names: str) -> list[dict[str, Any]]:
    """Summarises the seeds of each point.

    Args:
      results: Results that agree.
      names: What tells points apart, seeds aside.

    Returns:
      In the order of the points: these names, `seeds`, the mean of each number
      with `seed_weights`, None where no seed has one, and `ranges`, its lowest
      and highest.
    """

    def key(result: Result) -> list[Any]:
        return [result["point"][name] for name in names]

    points = []
    for values, group in itertools.groupby(sorted(results, key=key), key):
        of_point = list(group)
        found = {
            name: [
                (value, start_of(result))
                for result in of_point
                if (value := result["values"][name]) is not None
            ]
            for name in of_point[0]["values"]
        }
        # By name, of numbers that a seed has: values, and starts.
        known = {n: tuple(zip(*pairs)) for n, pairs in found.items() if pairs}
        points.append(
            {
                **dict(zip(names, values, strict=True)),
                "seeds": sorted(r["point"]["seed"] for r in of_point),
                **dict.fromkeys(found),
                **{
                    name: float(np.average(v, weights=seed_weights(starts)))
                    for name, (v, starts) in known.items()
                },
                "ranges": {n: [min(v), max(v)] for n, (v, _) in known.items()},
            }
        )
    return points


def describe_ranges(points: Sequence[Mapping[str, Any]], mark: str) -> str:
    """Says what the marked ranges of points in a figure are."""
    numbers = {len(point["seeds"]) for point in points}
    if max(numbers) == 1:
        return "One seed."
    return f"{mark}: lowest to highest seed, the point their mean."


def format_point(point: Mapping[str, Any], name: str) -> str:
    """Formats a number of `over_seeds`, with the lowest and highest seed."""
    if point[name] is None:
        return "-"
    text = f"{point[name]:.3f}"
    if len(point["seeds"]) > 1:
        low, high = point["ranges"][name]
        text += f" [{low:.3f}, {high:.3f}]"
    return text


def _claims(result: Result, output_dir: str) -> dict[str, Any]:
    """Returns what other results must agree with, by name."""
    of_folder = result.get("must_agree_here", {}).items()
    return {
        **result["must_agree"],
        **{f"weights of {name} of {output_dir}": v for name, v in of_folder},
    }


def _list_results(
    output_dirs: Sequence[str], kind: str
) -> list[tuple[str, str]]:
    """Lists folders and paths of results."""
    paths = []
    for output_dir in output_dirs:
        folder = os.path.join(output_dir, kind)
        found = [
            (output_dir, os.path.join(folder, name))
            for name in files.list_names(folder)
            if name.endswith(".json") and not name.startswith(".")
        ]
        if not found:
            raise InputError(
                f"Expected results in {folder}, found none. Give the output "
                f"folder of a command that has finished one."
            )
        paths += found
    return paths


def describe_difference(first: Any, second: Any) -> str:
    """Says how two values differ, setting by setting."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return f"{first!r} and {second!r}"
    return listed(
        f"{name} {first.get(name)!r} and {second.get(name)!r}"
        for name in {**first, **second}
        if first.get(name) != second.get(name)
    )
