"""Steps of an experiment that know what they were made from.

`run_step` makes an output from inputs and then writes a stamp: the inputs, the
hash of the output and what the step returned. A step whose inputs and output
are as its stamp says is kept. Otherwise it is made anew: an old folder is put
aside as `<output>.old-1`, an old file is replaced, and the console says why.
Steps that read an output have its hash among their inputs, so that a change
redoes what follows from it and nothing else.

Inputs are contents, never places: an experiment can be moved, or copied to
another machine to go on there. Versions are in the stamp but are no inputs, so
that an upgrade makes no week of training void. To make a step again, remove its
output. One process makes a step at a time; others that need it wait.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.problems import listed
from audioset_strong.params import RETIRED
from audioset_strong.records.manifest import read_json, write_json

_WAIT_SECONDS = 2.0


class Made(NamedTuple):
    """What a step has made.

    Attributes:
      inputs: From which, with a line for each setting.
      output_hash: Of the output, for the inputs of steps that read it.
      result: What the action returned.
      versions: Of the software that it was made with.
    """

    inputs: dict[str, Any]
    output_hash: str
    result: Any
    versions: dict[str, str]


def hash_file(path: str) -> str:
    """Hashes a file, local or in object storage: 16 hex digits."""
    return hashlib.sha256(files.read_bytes(path)).hexdigest()[:16]


def hash_sizes(folder: str) -> str:
    """Hashes names and sizes of the files in a folder, not what they hold."""
    lines = [
        f"{os.path.relpath(path, folder)} {num_bytes}"
        for path, num_bytes in files.list_files(folder)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def run_step(
    output_dir: str,
    name: str,
    output: str,
    inputs: Mapping[str, Any],
    action: Callable[[], Any],
    hash_output: Callable[[str], str] = hash_file,
    refuses_others: bool = False,
) -> Made:
    """Makes an output, unless it is there and made from the same inputs.

    Args:
      output_dir: Folder of the experiment; stamps are in its `steps/`.
      name: Of the step.
      output: File or folder that the action makes.
      inputs: What the output depends on: values of JSON, or params, where a
        field that an older stamp lacks counts as having had its default, and
        one that was retired may have had the value that did nothing.
      action: Makes the output, or goes on with one that a stopped process has
        begun from the same inputs. Returns a value of JSON.
      hash_output: Hashes the output.
      refuses_others: Whether the action itself refuses an output that was made
        from other inputs. It then goes on with one that has no stamp, which
        was made elsewhere.

    Raises:
      InputError: The action raises it, the stamp is damaged, or another process
        writes to a folder that is to be put aside.
    """
    folder = os.path.join(output_dir, "steps", name)
    files.make_output_folder(folder)
    path = os.path.join(folder, "stamp.json")
    with _hold_when_free(folder, name):
        stamp = read_json(path) if os.path.exists(path) else None
        if stamp is None and refuses_others:
            changed = ""
        elif stamp is None:
            changed = "there is no stamp of what it was made from"
        else:
            changed = _describe_changes(stamp["inputs"], inputs)
            if not changed and "output_hash" in stamp:  # it was finished
                made = Made(**{**stamp, "inputs": _flat(inputs)})
                changed = _describe_damage(output, made, hash_output)
                if not changed:
                    logging.info("%s: kept.", name)
                    return made
        if not os.path.exists(output):
            logging.info("%s: to be made.", name)
        elif changed:
            kept = _put_aside(output)
            logging.info("%s: made anew, because %s. %s", name, changed, kept)
        else:
            logging.info("%s: goes on where it was stopped.", name)
        write_json({"inputs": _flat(inputs)}, path)
        result = json.loads(json.dumps(action()))
        versions: dict[str, str] = {
            module: str(sys.modules[module].__version__)
            for module in ("audioset_strong", "tensorflow", "keras", "numpy")
            if module in sys.modules
        }
        made = Made(_flat(inputs), hash_output(output), result, versions)
        write_json(made._asdict(), path)
        return made


@contextlib.contextmanager
def _hold_when_free(folder: str, name: str) -> Iterator[None]:
    """Holds the lock of a step as soon as no other process does."""
    with contextlib.ExitStack() as stack:
        is_waiting = False
        while True:
            try:
                stack.enter_context(files.hold_lock(folder))
                break
            except InputError as error:
                if not is_waiting:
                    logging.info("%s: waits for its lock. %s", name, error)
                is_waiting = True
                time.sleep(_WAIT_SECONDS)
        yield


def _flat(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns inputs as a stamp holds them, with a line for each setting."""
    flat = {}
    for name, value in inputs.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            settings = dataclasses.asdict(value).items()
            flat.update({f"{name}.{field}": v for field, v in settings})
        else:
            flat[name] = value
    return dict(json.loads(json.dumps(flat)))


def _describe_changes(
    saved: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str:
    """Says which inputs are others than the saved ones; "" for none."""
    retired = {
        f"{name}.{setting}": was.neutral
        for name, value in inputs.items()
        for setting, was in RETIRED.get(type(value).__name__, {}).items()
    }
    defaults = {
        f"{name}.{field.name}": field.default
        for name, value in inputs.items()
        if dataclasses.is_dataclass(value)
        for field in dataclasses.fields(value)
    }
    # A retired setting is as if it were there, with what did nothing.
    saved = {**_flat(defaults), **saved}
    now = {**{n: v for n, v in retired.items() if n in saved}, **_flat(inputs)}
    changes = [
        f"{name} was {saved.get(name)!r} and is {now.get(name)!r}"
        for name in {**saved, **now}
        if saved.get(name) != now.get(name)
    ]
    return listed(changes, separator="; ") if changes else ""


def _describe_damage(
    output: str, made: Made, hash_output: Callable[[str], str]
) -> str:
    """Says why an output is not what a step made; "" if it is."""
    try:
        found = hash_output(output) if os.path.exists(output) else "gone"
    except (InputError, OSError) as error:
        return f"the old one cannot be read ({error})"
    return "" if found == made.output_hash else "the old one was changed since"


def _put_aside(output: str) -> str:
    """Renames an old folder; says what becomes of an old output.

    Raises:
      InputError: Another process writes to the folder.
    """
    if not os.path.isdir(output):
        return f"It replaces {output}."
    number = 1
    while os.path.exists(f"{output}.old-{number}"):
        number += 1
    with files.hold_lock(output):
        os.rename(output, f"{output}.old-{number}")
    return f"The old folder is now {output}.old-{number}."
