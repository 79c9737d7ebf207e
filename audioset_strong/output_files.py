"""Output files that are whole or not there.

A file is written under a temporary name beside its final one and renamed when
it is whole, so that a killed run leaves no half of a file that the next run
would take for a result.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any

from audioset_strong.errors import InputError
from audioset_strong.object_storage import is_remote


def refuse_remote(path: str | os.PathLike[str]) -> None:
    """Refuses a path of object storage where only a local one will do.

    Without this a local folder named `s3:` would be made.

    Raises:
      InputError: The path is of object storage.
    """
    if is_remote(path):
        raise InputError(
            f"Expected a local path, found {path}. Audio, labels and records "
            f"may be in object storage; everything else is local. Give a local "
            f"path and copy what is there."
        )


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Makes a folder for outputs, and those above it.

    Raises:
      InputError: The path is of object storage.
    """
    refuse_remote(folder)
    os.makedirs(folder, exist_ok=True)


@contextlib.contextmanager
def temporary_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Gives a path to write to, renamed to `path` when the block ends well.

    After an error the temporary file is removed and `path` is as it was.

    Args:
      path: The final name; the folder exists. A file of that name is replaced.

    Raises:
      InputError: There is no such folder, or it is of object storage.

    Yields:
      The temporary path, with the extension of `path`, because some writers
      choose the format by it.
    """
    refuse_remote(path)
    # A link stays a link: what it leads to is replaced.
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        yield path  # a device or a pipe, which cannot be replaced
        return
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise InputError(
            f"Expected a folder for {path}; {folder} is none. Make it first."
        )
    # A leading dot hides it from people and from globs such as `*.csv`. What a
    # killed run left is overwritten by the next one.
    temporary = os.path.join(folder, f".tmp-{name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


@contextlib.contextmanager
def open_output(
    path: str | os.PathLike[str], mode: str = "w"
) -> Iterator[IO[Any]]:
    r"""Opens a file for writing that gets its name when it is whole.

    Args:
      path: The final name; the folder exists.
      mode: "w" for UTF-8 text, whose lines end in "\n" on every system, or
        "wb".

    Yields:
      The open file.
    """
    text_options: dict[str, Any] = (
        {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    )
    with (
        temporary_path(path) as temporary,
        open(temporary, mode, **text_options) as file,
    ):
        yield file
