"""Files that are local or in object storage, under one set of calls.

A path with a scheme, such as `s3://bucket/folder`, is remote and goes through
TensorFlow's file systems (`object_storage.py`). Everything else is a local path
and needs no TensorFlow. Errors are the `OSError` that a local file would give.

Nothing is ever renamed in a bucket: an object appears whole when its upload
ends, and a rename there would copy every object whose name begins alike.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from audioset_strong.object_storage import (
    check_bucket,
    clear_storage_errors,
    connect,
    is_remote,
)

__all__ = [
    "clear_storage_errors",
    "connect",
    "exists",
    "is_remote",
    "local_copy",
    "make_folder",
    "num_bytes_of",
    "read_bytes",
    "remove",
    "remove_temporary_files",
    "replace_when_whole",
]

_TEMPORARY = ".tmp-"
# Requests under way at a time: as many connections as tensorflow-io's S3 client
# keeps. Each waits for the network, not for a core.
_NUM_THREADS = 25
# Names whose sizes are asked for before any is given out: our choice.
_BLOCK_NAMES = 10_000


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Reads a whole file.

    Raises:
      FileNotFoundError: There is none.
      OSError: It cannot be read.
    """
    if not is_remote(path):
        with open(path, "rb") as file:
            return file.read()
    connect(path)
    import tensorflow as tf

    with clear_storage_errors(path):
        content: bytes = tf.io.read_file(os.fspath(path)).numpy()
    return content


def exists(path: str | os.PathLike[str]) -> bool:
    """Tells whether there is a file or folder.

    Raises:
      OSError: A remote path, and its bucket is not there or does not answer.
    """
    if not is_remote(path):
        return os.path.exists(path)
    return _remote_status(os.fspath(path)) is not None


def num_bytes_of(paths: Sequence[str]) -> Iterator[int | None]:
    """Looks up the sizes of files, many at a time where they are remote.

    Args:
      paths: Local and remote paths.

    Yields:
      Size of each file in bytes; None where there is none.

    Raises:
      OSError: A bucket is not there or does not answer.
    """

    def num_bytes(path: str) -> int | None:
        if is_remote(path):
            status = _remote_status(path)
            return (
                None if status is None or status.is_directory else status.length
            )
        return os.path.getsize(path) if os.path.isfile(path) else None

    yield from _map_in_threads(num_bytes, paths)


def _map_in_threads(function: Any, paths: Sequence[str]) -> Iterator[Any]:
    """Maps paths, in order; holds one block of them at a time."""
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        for first in range(0, len(paths), _BLOCK_NAMES):
            yield from executor.map(
                function, paths[first : first + _BLOCK_NAMES]
            )


def _remote_status(path: str) -> Any:
    """Returns `tf.io.gfile.stat` of a remote path; None if nothing is there."""
    connect(path)
    import tensorflow as tf

    try:
        with clear_storage_errors(path):
            return tf.io.gfile.stat(path)
    except FileNotFoundError:
        check_bucket(path)
        return None


def remove(path: str | os.PathLike[str]) -> None:
    """Removes a file; it is no error if there is none.

    Raises:
      OSError: It cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        if not is_remote(path):
            os.remove(path)
            return
        connect(path)
        import tensorflow as tf

        with clear_storage_errors(path):
            tf.io.gfile.remove(os.fspath(path))


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Makes a folder and those above it; of a remote one, checks the bucket.

    Raises:
      OSError: It cannot be made, or the bucket is not there.
    """
    if is_remote(folder):
        # Object storage has no folders.
        connect(folder)
        check_bucket(folder)
    else:
        os.makedirs(folder, exist_ok=True)


@contextlib.contextmanager
def replace_when_whole(path: str | os.PathLike[str]) -> Iterator[str]:
    """Gives a path to write to, which becomes `path` when the block ends well.

    After an error `path` is as it was and nothing is left. Names are unique, so
    that two processes may write the same file: the last to finish wins.

    Args:
      path: The final name; its folder exists if it is local. A file of that
        name is replaced.

    Yields:
      A temporary local path with the extension of `path`: beside it or, if
      `path` is remote, in the system's folder for such files, from which it is
      uploaded in one go at the end.

    Raises:
      OSError: It cannot be renamed or uploaded.
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    temporary = os.path.join(
        _temporary_folder(folder),
        f"{_temporary_prefix(folder)}{uuid.uuid4().hex}-{name}",
    )
    try:
        yield temporary
        if is_remote(path):
            _copy(temporary, path, clear_path=path)
            os.remove(temporary)
        else:
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def _temporary_folder(folder: str) -> str:
    """Where files of a folder lie until they are whole."""
    return tempfile.gettempdir() if is_remote(folder) else folder


def _temporary_prefix(folder: str) -> str:
    """How such files begin; those of a remote folder with a hash of it."""
    if not is_remote(folder):
        return _TEMPORARY
    key = hashlib.sha256(folder.rstrip("/").encode()).hexdigest()[:16]
    return f"{_TEMPORARY}{key}-"


def remove_temporary_files(folder: str | os.PathLike[str]) -> int:
    """Removes what killed runs on this machine left of unfinished files.

    To be called while no other process writes to the folder.

    Args:
      folder: Folder of final names; its subfolders are not searched.

    Returns:
      The number of files removed.
    """
    folder = os.fspath(folder)
    where, prefix = _temporary_folder(folder), _temporary_prefix(folder)
    if not os.path.isdir(where):
        return 0
    left = [name for name in os.listdir(where) if name.startswith(prefix)]
    for name in left:
        os.remove(os.path.join(where, name))
    return len(left)


def local_copy(path: str | os.PathLike[str], folder: str) -> str:
    """Returns a local path of a file: a remote one is copied.

    Args:
      path: Local, which is returned as it is, or remote.
      folder: Local folder for the copy, which keeps its name.

    Raises:
      OSError: It cannot be read.
    """
    path = os.fspath(path)
    if not is_remote(path):
        return path
    copied = os.path.join(folder, path.rsplit("/", 1)[-1])
    _copy(path, copied, clear_path=path)
    return copied


def _copy(source: str, target: str, clear_path: str) -> None:
    """Copies a file between this machine and object storage."""
    connect(source, target)
    import tensorflow as tf

    with clear_storage_errors(clear_path):
        tf.io.gfile.copy(source, target, overwrite=True)
