"""A workdir in object storage: a local copy, which is sent there now and then.

TensorFlow writes checkpoints and summaries to local disks. So a run works in a
temporary folder that begins as a copy of the workdir, and sends what has
changed after each checkpoint. The files of a checkpoint go first, then its
index, then those that are gone are removed; so the workdir always holds a whole
one, and a run that is killed goes on from there, on any host. Meanwhile no
other process may have the workdir (`files.hold_lock`).
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

from absl import logging

from audioset_strong import files

# What a workdir consists of; whatever else lies there is left alone.
_PARTS = (
    "best/",
    "checkpoints/",
    "class_map.csv",
    "metrics.jsonl",
    "params.json",
    "tensorboard/",
)


@contextlib.contextmanager
def local_workdir(workdir: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Gives a local folder for a workdir: itself, or a copy.

    Yields:
      folder: To read and to write.
      send: Makes the workdir what the folder is; call it after a checkpoint.

    Raises:
      InputError: Another process has the workdir.
      OSError: The object storage cannot be read or, from `send`, written.
    """
    if not files.is_remote(workdir):
        yield workdir, lambda: None
        return
    workdir = workdir.rstrip("/")
    with (
        files.hold_lock(workdir),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        logging.info("%s is written in %s, and copied.", workdir, folder)
        for path, _ in files.list_files(workdir):
            name = path.removeprefix(f"{workdir}/")
            if name.startswith(_PARTS):
                local_path = os.path.join(folder, name)
                os.makedirs(os.path.dirname(local_path), exist_ok=True)
                files.copy_here(path, local_path)
        sent = _states_in(folder)

        def send() -> None:
            nonlocal sent
            found = _states_in(folder)
            for name in sorted(found, key=_place_in_order):
                if found[name] != sent.get(name):
                    with files.replace_when_whole(f"{workdir}/{name}") as path:
                        shutil.copyfile(os.path.join(folder, name), path)
            for name in sorted(sent.keys() - found, key=_place_in_order)[::-1]:
                files.remove(f"{workdir}/{name}")
            sent = found

        yield folder, send


def _states_in(folder: str) -> dict[str, files.FileState | None]:
    """Looks up the files of a copy, by name."""
    paths = [path for path, _ in files.list_files(folder)]
    names = [os.path.relpath(path, folder) for path in paths]
    return {
        name: state
        for name, state in zip(names, files.states_of(paths), strict=True)
        if name.startswith(_PARTS) and "/." not in name
    }


def _place_in_order(name: str) -> tuple[bool, ...]:
    """Puts what makes something valid after what it is made of."""
    return (
        name == "params.json",
        name.startswith("checkpoints/"),
        os.path.basename(name) == "checkpoint",
        name.endswith(".index"),
    )
