"""Connects TensorFlow to object storage, and says clearly what goes wrong.

tensorflow-io adds file systems, such as that of s3:// paths, to TensorFlow. It
reads its settings from the environment when a process first uses a path. What
of it would surprise people is mended here: settings that it does not know by
their usual names, waits of many minutes, a crash at exit.

Files that are local or in object storage, under one set of calls.

A path with a scheme, such as `s3://bucket/folder`, is remote and goes through
TensorFlow's file systems (`object_storage.py`). Everything else is a local path
and needs no TensorFlow. Errors are the `OSError` that a local file would give.

Nothing is ever renamed in a bucket: an object appears whole when its upload
ends, and a rename there would copy every object whose name begins alike.

Lists what a folder holds, local or in object storage.

Output files that are whole or not there.

A file is written under a temporary name beside its final one and renamed when
it is whole, so that a killed run leaves no half of a file that the next run
would take for a result.
"""

import concurrent.futures
import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from absl import logging

from audioset_strong.errors import InputError

# --- object storage --------------------------------------------------------


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

# What tensorflow-io 0.37 would otherwise do: retry for half a minute, four
# times over, and wait five minutes for a connection.
_DEFAULTS = {
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "4",
    "S3_CONNECT_TIMEOUT_MSEC": "10000",
    "S3_REQUEST_TIMEOUT_MSEC": "60000",
}
_ENDPOINT_NAMES = ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

# TensorFlow's errors by name, because local paths need no TensorFlow.
_ERRNO_OF_ERROR = {
    "NotFoundError": errno.ENOENT,
    "PermissionDeniedError": errno.EACCES,
    "UnauthenticatedError": errno.EACCES,
    "ResourceExhaustedError": errno.ENOSPC,
}
_REMOTE_MEANINGS = {
    errno.ENOENT: "No such object or bucket",
    errno.EACCES: (
        "The object storage denies access; are AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, right?"
    ),
    errno.ENOSPC: "The object storage has no room or is too busy",
    errno.EIO: "The object storage could not be used",
}
# Which operation failed is of no use to people.
_NOISE = re.compile(r"\{\{.*?\}\}|\[Op:\w+\]|\[\[.*?\]\]|No response body\.")


def scheme_of(path: str | os.PathLike[str]) -> str:
    """Returns the scheme of a path, such as "s3"; "" for a local path."""
    match = _SCHEME.match(os.fspath(path))
    return match[1] if match else ""


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is of object storage: it begins with a scheme."""
    return scheme_of(path) != ""


def connect(*paths: str | os.PathLike[str]) -> None:
    """Makes TensorFlow know the file systems of some paths.

    To be called in every process before a remote path is used; a second call
    costs nothing. Does nothing for local paths.

    Args:
      paths: Local or remote paths.

    Raises:
      InputError: A scheme is unknown, or tensorflow-io is not installed.
    """
    for scheme in sorted({scheme_of(path) for path in paths} - {""}):
        _connect_scheme(scheme)


@functools.cache
def _connect_scheme(scheme: str) -> None:
    """Registers the file system of a scheme, once in a process."""
    import tensorflow as tf

    if scheme == "s3":
        _set_environment()
    if scheme not in tf.io.gfile.get_registered_schemes():
        try:
            import tensorflow_io  # noqa: F401  (registers its file systems)
        except ImportError as error:
            raise InputError(
                f"{scheme}:// paths need tensorflow-io ({error}). Run 'pip "
                f"install tensorflow-io', or give a local path."
            ) from error
    if scheme not in tf.io.gfile.get_registered_schemes():
        raise InputError(
            f"There is no file system for {scheme}:// paths. Give a local "
            f"path, or one of s3://."
        )
    if scheme == "s3":
        _end_without_destructors()


def _set_environment() -> None:
    """Sets what tensorflow-io reads, from the names that others read."""
    endpoints = [os.environ[n] for n in _ENDPOINT_NAMES if os.environ.get(n)]
    if endpoints:
        endpoint = endpoints[0]
        if not is_remote(endpoint):
            # As TensorFlow read it before tensorflow-io did.
            is_plain = os.environ.get("S3_USE_HTTPS") == "0"
            endpoint = f"{'http' if is_plain else 'https'}://{endpoint}"
        os.environ["S3_ENDPOINT"] = endpoint
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Its other way to download crashes the process at the end of a file.
    os.environ["S3_DISABLE_MULTI_PART_DOWNLOAD"] = "0"


def _end_without_destructors() -> None:
    """Has this process end with its own exit status.

    tensorflow-io 0.37.1 from PyPI aborts in the destructors of its S3 client,
    after all work is done, so that every run would end with status 134. A
    handler that ends the process first, with the status that it has, is C's
    `on_exit`; the C library of macOS has none.

    Source: https://github.com/tensorflow/io/issues/2039.
    """
    library = ctypes.CDLL(None)
    on_exit = getattr(library, "on_exit", None)
    if on_exit is not None:
        on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)


@contextlib.contextmanager
def clear_storage_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns TensorFlow's errors about files into those of a local file.

    Args:
      path: What the block reads or writes, for the message.

    Raises:
      FileNotFoundError: There is no such file, object or bucket.
      PermissionError: The service or the system denies access.
      OSError: Any other error, such as a lost connection or a full disk.
    """
    try:
        yield
    except Exception as error:
        if all(base.__name__ != "OpError" for base in type(error).__mro__):
            raise
        number = _ERRNO_OF_ERROR.get(type(error).__name__, errno.EIO)
        raise OSError(
            number, _describe(error, number, path), os.fspath(path)
        ) from error


def _describe(
    error: Exception, number: int, path: str | os.PathLike[str]
) -> str:
    """Says what an error means, and what the service said."""
    message = _NOISE.sub("", str(getattr(error, "message", "")))
    detail = " ".join(message.split()).strip(": ")
    if not is_remote(path):
        return f"{os.strerror(number)} ({detail})"
    if number == errno.EIO and os.environ.get("S3_ENDPOINT"):
        detail = f"{detail}; S3_ENDPOINT is {os.environ['S3_ENDPOINT']}"
    meaning = _REMOTE_MEANINGS[number]
    return f"{meaning} ({detail})" if detail else meaning


def check_bucket(path: str | os.PathLike[str]) -> None:
    """Checks that the bucket of a path answers.

    tensorflow-io says that an object is not there also where the service did
    not answer or denied access; this tells them apart.

    Args:
      path: A path in the bucket; nothing is checked for other schemes than s3.

    Raises:
      OSError: As from `clear_storage_errors`.
    """
    if scheme_of(path) != "s3":
        return
    import tensorflow as tf

    connect(path)
    bucket = os.fspath(path).split("/")[2]
    with clear_storage_errors(path):
        tf.io.gfile.stat(f"s3://{bucket}/")


# --- storage ---------------------------------------------------------------


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


# --- storage listing -------------------------------------------------------


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
        sizes = num_bytes_of([_join(parent, name) for name in unsure])
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


# --- output files ----------------------------------------------------------


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


def make_folder_output_files(folder: str | os.PathLike[str]) -> None:
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
