"""Files that are local or in object storage, under one set of calls.

A path with a scheme, such as `s3://bucket/folder`, is remote and goes through
fsspec, which finds credentials and endpoint where each service's own tools do
(`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, ...). Every other path
is local, and fsspec is not even imported.

Conventions: a file appears whole or not at all, because it is written under a
temporary name and then renamed, or uploaded in one go. Errors are the `OSError`
that a local file would give, with the path and one line that says what to look
at. Nothing is cached between calls. Calls are safe in threads and in forked
processes: fsspec keeps one file system a process.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any, BinaryIO, NamedTuple, cast

from audioset_strong.errors import InputError

_Path = str | os.PathLike[str]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# The extra of this package that installs the file system of a scheme.
_EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure", "abfs": "azure"}
# s3fs repeats requests whose answer breaks off, botocore those that fail: 2 * 3
# tries in all. A server that refuses connections is given up after seconds, one
# that never answers after three minutes.
_S3FS_TRIES = 2
_BOTOCORE_TRIES = 3
_CONNECT_TIMEOUT_SECONDS = 10
_READ_TIMEOUT_SECONDS = 30

_NO_OBJECT = "No such object"
_NO_BUCKET = re.compile(
    r"NoSuchBucket|specified (bucket|container) does not exist"
)
# Errors of the local end of a copy, which keep their own words.
_LOCAL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# Under which the services say which version of an object it is, the best first:
# S3; Google; Azure; and what all have.
_VERSION_KEYS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified")
_TEMPORARY = ".tmp-"
LOCK_NAME = ".lock"
# Of a lock in object storage.
_LOCK_RENEWAL_SECONDS = 10.0


def is_remote(path: _Path) -> bool:
    """Tells whether a path is in object storage: it begins with a scheme."""
    return _SCHEME.match(os.fspath(path)) is not None


def _file_system(path: str) -> Any:
    """Returns the fsspec file system of a remote path."""
    scheme = path.partition("://")[0]
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme == "s3":
        # Bounds the time that a server may take, unless the environment does.
        tries = int(os.environ.get("AWS_MAX_ATTEMPTS", _BOTOCORE_TRIES))
        mode = os.environ.get("AWS_RETRY_MODE", "standard")
        # botocore knows AWS_DEFAULT_REGION only, other tools of Amazon's both.
        region = os.environ.get("AWS_REGION")
        options |= {
            # Many files are read at once, so one request at a time is enough
            # for each; for more, s3fs would have to ask for the size first.
            "max_concurrency": 1,
            "client_kwargs": {"region_name": region} if region else {},
            "config_kwargs": {
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
                "read_timeout": _READ_TIMEOUT_SECONDS,
                "retries": {"mode": mode, "total_max_attempts": tries},
            },
        }
    try:
        import fsspec

        file_system = fsspec.filesystem(scheme, **options)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        package = f"'audioset_strong[{extra}]'" if extra else "that package"
        raise InputError(
            f"{scheme}:// paths need a package that is not installed "
            f"({error}). Run: pip install {package}"
        ) from error
    except ValueError as error:
        raise InputError(
            f"Expected a local path or one of {', '.join(_EXTRAS)}. Received: "
            f"{path} ({error})."
        ) from error
    if scheme == "s3":
        file_system.retries = _S3FS_TRIES
    return file_system


def _call(method: str, path: str, *arguments: Any, **options: Any) -> Any:
    """Calls a method of a remote path's file system, with clear errors."""
    file_system = _file_system(path)
    try:
        return getattr(file_system, method)(*(arguments or [path]), **options)
    except Exception as error:
        raise OSError(*_describe(error, path), path) from error


def _describe(error: Exception, path: str) -> tuple[int, str]:
    """Returns the error number and the words for an error of a service."""
    detail = " ".join(str(error).split()) or type(error).__name__
    bucket, _, key = path.partition("://")[2].partition("/")
    is_missing = isinstance(error, FileNotFoundError)
    if _NO_BUCKET.search(detail) or (is_missing and not key):
        return errno.ENOENT, f"The bucket {bucket} does not exist"
    if is_missing:
        return errno.ENOENT, _NO_OBJECT
    if isinstance(error, PermissionError):
        return errno.EACCES, (
            f"The object storage denies access ({detail}). Check the "
            f"credentials, such as AWS_ACCESS_KEY_ID or AWS_PROFILE"
        )
    if isinstance(error, OSError) and error.errno in _LOCAL_ERRORS:
        return error.errno, os.strerror(error.errno)
    return errno.EIO, f"The object storage could not be used ({detail})"


def _call_if_there(method: str, path: str, **options: Any) -> Any:
    """Does what `_call` does; gives None if the bucket holds no such path."""
    try:
        return _call(method, path, **options)
    except FileNotFoundError as error:
        if error.strerror != _NO_OBJECT:
            raise
        return None


def _remote_files(folder: str, method: str) -> dict[str, Any]:
    """Lists a remote folder: what is said of each name, None for folders.

    `method` is "ls" for what is in it, "find" for all files below it. There is
    one request per thousand objects.
    """
    infos = _call_if_there(method, folder, detail=True) or []
    if method == "find":
        infos = dict(infos).values()
    root = _file_system(folder)._strip_protocol(folder).rstrip("/") + "/"
    return {
        info["name"].removeprefix(root): (
            info if info["type"] == "file" else None
        )
        for info in infos
        # Consoles mark folders by empty objects whose names end in a slash.
        if info["name"].startswith(root) and not info["name"].endswith("/")
    }


def read_bytes(path: _Path) -> bytes:
    """Reads a whole file."""
    path = os.fspath(path)
    if is_remote(path):
        content: bytes = _call("cat_file", path)
        return content
    with open(path, "rb") as file:
        return file.read()


def read_range(path: _Path, offset: int, num_bytes: int) -> bytes:
    """Reads a part of a file; less where the file ends before."""
    path = os.fspath(path)
    if is_remote(path):
        end = offset + num_bytes
        content: bytes = _call("cat_file", path, start=offset, end=end)
        return content
    with open(path, "rb") as file:
        left = file.seek(0, os.SEEK_END) - offset
        file.seek(offset)
        # Python allocates all that is asked for before it reads.
        return file.read(max(0, min(num_bytes, left)))


def open_to_seek(path: _Path, buffer_bytes: int) -> BinaryIO:
    """Opens a file of which parts are read.

    Args:
      path: The file.
      buffer_bytes: How much is read at a time at least, if it is remote.
    """
    path = os.fspath(path)
    if not is_remote(path):
        return open(path, "rb")
    # A reader of raw files is a BinaryIO in all but name.
    return cast(BinaryIO, io.BufferedReader(_RemoteFile(path), buffer_bytes))


class _RemoteFile(io.RawIOBase):
    """A file in object storage; each read is a request."""

    def __init__(self, path: str) -> None:
        self._path, self._position = path, 0
        self._num_bytes: int = _call("info", path)["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origins = (0, self._position, self._num_bytes)
        self._position = max(0, origins[whence] + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        left = self._num_bytes - self._position
        num_bytes = max(0, min(len(buffer), left))
        if num_bytes:
            content = read_range(self._path, self._position, num_bytes)
            num_bytes = len(content)
            buffer[:num_bytes] = content
            self._position += num_bytes
        return num_bytes


def exists(path: _Path) -> bool:
    """Tells whether there is a file or folder."""
    path = os.fspath(path)
    if is_remote(path):
        return _call_if_there("info", path) is not None
    return os.path.exists(path)


class FileState(NamedTuple):
    """What a listing says of a file.

    Attributes:
      num_bytes: Its size.
      version: Differs when the file was written anew: the time of the last
        change in nanoseconds, or what object storage has for it.
    """

    num_bytes: int
    version: str


def states_of(paths: Sequence[str]) -> list[FileState | None]:
    """Looks up the states of files; None where there is no file.

    Remote folders are listed once each, unless only one path lies in them.
    """
    counts = Counter(p.rpartition("/")[0] for p in paths if is_remote(p))
    listed = {f: _remote_files(f, "ls") for f, n in counts.items() if n > 1}

    def state(path: str) -> FileState | None:
        if not is_remote(path):
            try:
                status = os.stat(path)
            except (OSError, ValueError):
                return None
            if not stat.S_ISREG(status.st_mode):
                return None
            return FileState(status.st_size, str(status.st_mtime_ns))
        folder, _, name = path.rpartition("/")
        if folder in listed:
            info = listed[folder].get(name)
        else:
            info = _call_if_there("info", path)
        if not info or info["type"] != "file":
            return None
        versions = (str(info[key]) for key in _VERSION_KEYS if key in info)
        return FileState(info["size"], next(versions, "?"))

    return [state(path) for path in paths]


def num_bytes_of(paths: Sequence[str]) -> list[int | None]:
    """Looks up the sizes of files as `states_of` does."""
    return [state and state.num_bytes for state in states_of(paths)]


def list_files(folder: _Path) -> list[tuple[str, int]]:
    """Lists the files below a folder, none if it does not exist.

    Returns:
      Path and number of bytes of each file: those of a folder in the order of
      names, then those of its subfolders.
    """
    folder = os.fspath(folder)
    if is_remote(folder):
        found = _remote_files(folder, "find")
        sizes = {name: info and info["size"] for name, info in found.items()}
    else:
        sizes = {
            os.path.relpath(path, folder): os.path.getsize(path)
            for parent, _, names in os.walk(folder)
            for path in (os.path.join(parent, name) for name in names)
        }

    def files_first(name: str) -> list[tuple[bool, str]]:
        *parents, last = name.split("/")
        return [*((True, parent) for parent in parents), (False, last)]

    return [
        (f"{folder.rstrip('/')}/{name}", sizes[name])
        for name in sorted(sizes, key=files_first)
    ]


def list_names(folder: _Path) -> list[str]:
    """Lists the names in a folder, sorted; none if it does not exist."""
    folder = os.fspath(folder)
    if is_remote(folder):
        return sorted(_remote_files(folder, "ls"))
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def make_folder(folder: _Path) -> None:
    """Makes a folder and those above it; object storage needs none."""
    if is_remote(folder):
        exists(folder)  # raises if there is no such bucket
    else:
        os.makedirs(folder, exist_ok=True)


def remove(path: _Path) -> None:
    """Removes a file; it is no error if there is none."""
    path = os.fspath(path)
    if is_remote(path):
        _call_if_there("rm_file", path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def copy_here(path: _Path, local_path: str) -> None:
    """Copies a local or remote file to a local path."""
    path = os.fspath(path)
    if is_remote(path):
        _call("get_file", path, path, local_path)
    else:
        shutil.copyfile(path, local_path)


@contextlib.contextmanager
def _moved_when_whole(temporary: str, path: str) -> Iterator[str]:
    """Lets a caller write a temporary file, then moves it to `path`."""
    try:
        yield temporary
        if is_remote(path):
            _call("put_file", path, temporary, path)
            os.remove(temporary)
        else:
            os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # a full disk does not say which
        raise


def _place_of_temporary_files(folder: str) -> tuple[str, str]:
    """Where files of a folder are written, and how their names begin."""
    if not is_remote(folder):
        return folder, _TEMPORARY
    key = hashlib.sha256(folder.rstrip("/").encode()).hexdigest()[:16]
    return tempfile.gettempdir(), f"{_TEMPORARY}{key}-"


@contextlib.contextmanager
def replace_when_whole(path: _Path) -> Iterator[str]:
    """Gives a path to write to, which becomes `path` when the block ends well.

    After an error `path` is as it was and nothing is left. Names are unique, so
    that two processes may write the same file: the last to finish wins.

    Yields:
      A temporary local path with the extension of `path`: beside it, in a
      folder that exists, or, if `path` is remote, in the system's folder for
      such files.
    """
    folder, name = os.path.split(os.fspath(path))
    where, prefix = _place_of_temporary_files(folder)
    temporary = os.path.join(where, f"{prefix}{uuid.uuid4().hex}-{name}")
    with _moved_when_whole(temporary, os.fspath(path)):
        yield temporary


def remove_temporary_files(folder: _Path) -> int:
    """Removes the unfinished files that killed runs on this machine left.

    Call it while no other process writes to the folder. Subfolders are not
    searched. Returns the number of files removed.
    """
    where, prefix = _place_of_temporary_files(os.fspath(folder))
    left = [name for name in list_names(where) if name.startswith(prefix)]
    for name in left:
        os.remove(os.path.join(where, name))
    return len(left)


@contextlib.contextmanager
def hold_lock(folder: _Path) -> Iterator[None]:
    """Keeps every other process out of a folder, which exists if it is local.

    The file `.lock` says who holds it. Locally the lock is the system's own
    (`flock`), so a killed process leaves none. In object storage, which has no
    locks, the holder renews the file every ten seconds; whoever finds one waits
    for longer than that, and takes it over if nothing happens. To be faster
    after a kill, remove the file.

    Raises:
      InputError: Another process holds the lock; names host, process, time and
        command.
    """
    path = f"{os.fspath(folder).rstrip('/')}/{LOCK_NAME}"
    if is_remote(folder):
        with _hold_remote_lock(path):
            yield
        return
    import fcntl  # not on Windows, where records can still be read

    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _held(folder, file.read()) from None
        file.truncate(0)
        file.write(_describe_this_process())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@contextlib.contextmanager
def _hold_remote_lock(path: str) -> Iterator[None]:
    """Holds a lock that is an object, as long as it is renewed."""
    folder = path.rpartition("/")[0]
    own = _describe_this_process()

    def read() -> str:
        content = _call_if_there("cat_file", path)
        return (content or b"").decode(errors="replace")

    def write(number: int) -> None:
        _call("pipe_file", path, path, f"{own}{number}\n".encode())

    there = read()
    if there and not _has_ended(there):
        time.sleep(_LOCK_RENEWAL_SECONDS * 2.5)
        if read() not in (there, ""):
            raise _held(folder, there)
    write(0)
    # Of two that begin at once, one sees the other's.
    time.sleep(_LOCK_RENEWAL_SECONDS / 10)
    if not (there := read()).startswith(own):
        raise _held(folder, there)
    ended = threading.Event()

    def renew() -> None:
        number = 0
        while not ended.wait(_LOCK_RENEWAL_SECONDS):
            number += 1
            with contextlib.suppress(OSError):  # the next time, perhaps
                write(number)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):  # it is no longer renewed
            if read().startswith(own):
                remove(path)


def _describe_this_process() -> str:
    """Returns a line of JSON that says who holds a lock."""
    holder = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": os.path.basename(sys.argv[0]),
        "id": uuid.uuid4().hex,
    }
    return json.dumps(holder) + "\n"


def _read_holder(lock: str) -> dict[str, Any]:
    """Reads who holds a lock; nothing if it has just begun or ended."""
    try:
        holder = json.loads(lock.partition("\n")[0])
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _has_ended(lock: str) -> bool:
    """Whether the process that holds a lock was on this host and is gone."""
    holder = _read_holder(lock)
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(holder["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, KeyError, ValueError):
        return False
    return False


def _held(folder: _Path, lock: str) -> InputError:
    """Makes the error that says which process holds a lock."""
    holder, who = _read_holder(lock), "another process does"
    with contextlib.suppress(KeyError):
        who = (
            f"process {holder['process']} on {holder['host']} "
            f"({holder['command']}) does since {holder['since']}"
        )
    return InputError(
        f"Expected to be the only process that writes to {folder}; {who}. Wait "
        f"until it ends, or give another folder."
    )


def refuse_remote(path: _Path) -> None:
    """Refuses a path in object storage where only a local one will do.

    Without this a local folder named `s3:` would be made.

    Raises:
      InputError: The path is remote.
    """
    if is_remote(path):
        raise InputError(
            f"Expected a local path, found {path}. Audio, labels, records and "
            f"workdirs may be in object storage; all else is local. Give a "
            f"local path and copy what is there."
        )


def make_output_folder(folder: _Path) -> None:
    """Makes a local folder for outputs, and those above it."""
    refuse_remote(folder)
    make_folder(folder)


@contextlib.contextmanager
def temporary_path(path: _Path) -> Iterator[str]:
    """Does what `replace_when_whole` does, for outputs, which are local.

    A link stays a link: the file that it leads to is replaced. A device or a
    pipe is written directly. The temporary name is the same each time, so that
    the next run overwrites what a killed one left.

    Yields:
      The temporary path, with the extension of `path`, because some writers
      choose the format by it.

    Raises:
      InputError: There is no such folder, or the path is remote.
    """
    refuse_remote(path)
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        yield path
        return
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise InputError(
            f"Expected a folder for {path}; {folder} is none. Make it first."
        )
    # The leading dot hides it from people and from globs such as `*.csv`.
    temporary = os.path.join(folder, f"{_TEMPORARY}{name}")
    with _moved_when_whole(temporary, path):
        yield temporary


@contextlib.contextmanager
def open_output(path: _Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Opens a local file that gets its name when it is whole.

    `mode` is "wb", or "w" for UTF-8 text, whose lines end in "\n" on every
    system.
    """
    is_text = "b" not in mode
    with (
        temporary_path(path) as temporary,
        open(
            temporary,
            mode,
            encoding="utf-8" if is_text else None,
            newline="" if is_text else None,
        ) as file,
    ):
        yield file
