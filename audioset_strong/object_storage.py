"""Connects TensorFlow to object storage, and says clearly what goes wrong.

tensorflow-io adds file systems, such as that of s3:// paths, to TensorFlow. It
reads its settings from the environment when a process first uses a path. What
of it would surprise people is mended here: settings that it does not know by
their usual names, waits of many minutes, a crash at exit.
"""

import contextlib
import ctypes
import errno
import functools
import os
import re
from collections.abc import Iterator

from audioset_strong.errors import InputError

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
