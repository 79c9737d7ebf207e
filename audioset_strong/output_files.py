"""Output files that are whole or not there.

A file is written under a temporary name beside its final one and renamed when
it is whole, so that a killed run leaves no half of a file that the next run
would take for a result.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any


@contextlib.contextmanager
def temporary_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Gives a path to write to, renamed to `path` when the block ends well.

    After an error the temporary file is removed and `path` is as it was.

    Args:
      path: The final name; the folder exists. A file of that name is replaced.

    Yields:
      The temporary path, with the extension of `path`, because some writers
      choose the format by it.
    """
    folder, name = os.path.split(os.fspath(path))
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
