"""Lists what a folder holds, local or in object storage."""

import os
from collections.abc import Callable, Iterator

from absl import logging

from audioset_strong import storage
from audioset_strong.object_storage import (
    check_bucket,
    clear_storage_errors,
    connect,
    is_remote,
)


def list_files(
    folder: str | os.PathLike[str],
    is_surely_file: Callable[[str], bool] = lambda name: False,
) -> Iterator[tuple[str, int | None]]:
    """Lists the files below a folder, with all its subfolders.

    Args:
      folder: Local or remote; of one that is not there nothing is listed.
      is_surely_file: Says of a name that it is no folder's. Object storage is
        then not asked for the size, which takes two requests and many times
        longer than listing names.

    Yields:
      Path and number of bytes, None if it was not asked for: the files of a
      folder in the order of names, then those of its subfolders.

    Raises:
      OSError: It cannot be listed, or its bucket is not there.
    """
    folder = os.fspath(folder)
    if is_remote(folder):
        yield from _list_remote_files(folder, is_surely_file)
        return
    for parent, subfolders, names in os.walk(folder):
        subfolders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            yield path, os.path.getsize(path)


def _list_remote_files(
    folder: str, is_surely_file: Callable[[str], bool]
) -> Iterator[tuple[str, int | None]]:
    """Lists the objects below a folder."""
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        names = list_names(parent)
        unsure = [name for name in names if not is_surely_file(name)]
        sizes = storage.num_bytes_of([_join(parent, name) for name in unsure])
        num_bytes_of_name = dict(zip(unsure, sizes, strict=True))
        subfolders = []
        for name in names:
            path = _join(parent, name)
            if is_surely_file(name):
                yield path, None
            elif num_bytes_of_name[name] is None:
                subfolders.append(path)
            else:
                yield path, num_bytes_of_name[name]
        waiting += reversed(subfolders)


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def list_names(folder: str | os.PathLike[str]) -> list[str]:
    """Lists the names in a folder, without those of its subfolders.

    Args:
      folder: Local or remote; of one that is not there nothing is listed.

    Returns:
      Names of files and folders, sorted.

    Raises:
      OSError: It cannot be listed, or its bucket is not there.
    """
    folder = os.fspath(folder)
    if not is_remote(folder):
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    connect(folder)
    import tensorflow as tf

    try:
        # The bucket itself is known with a slash only.
        with clear_storage_errors(folder):
            names = tf.io.gfile.listdir(f"{folder.rstrip('/')}/")
    except FileNotFoundError:
        check_bucket(folder)
        return []
    unique = sorted(set(names))
    if len(unique) < len(names):
        logging.warning(
            "%s: %d names are objects and folders at once; the objects are not "
            "seen.",
            folder,
            len(names) - len(unique),
        )
    return unique
