"""Fetches files by HTTP so that an interrupted download goes on.

What came of a file is kept (`part_files.py`) and the rest is asked for with
Range and If-Range: a server whose file has changed, or that knows no ranges,
sends all of it, and the file is begun anew.
"""

import dataclasses
import errno
import http.client
import math
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import NoReturn

import tqdm
from absl import logging

import audioset_strong
from audioset_strong.download.part_files import PartFile, Version
from audioset_strong.errors import InputError

# Answers that may be others a little later.
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_HINTS = {
    403: "The server does not allow it; try later, or give a mirror as "
    "--base_url.",
    404: "The file is not there; give a mirror that has it as --base_url.",
}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


@dataclasses.dataclass(frozen=True)
class DownloadParams:
    """How to fetch.

    Attributes:
      timeout_seconds: Longest wait for the server to send anything.
      max_attempts: Attempts in a row that bring nothing new before giving up.
      first_wait_seconds: Wait after the first of them; each next one is twice
        as long.
      block_bytes: Bytes that are read at once.
    """

    timeout_seconds: float = 30.0
    max_attempts: int = 5
    first_wait_seconds: float = 1.0
    block_bytes: int = 1 << 18


class DownloadError(InputError):
    """A file cannot be fetched; says why and what to do.

    Attributes:
      concerns_all: Whether other files would fail the same way, as when the
        machine is offline or the disk is full.
    """

    def __init__(self, message: str, concerns_all: bool = False) -> None:
        super().__init__(message)
        self.concerns_all = concerns_all


class _TransientError(Exception):
    """Something that may go well when tried again."""


def fetch(
    url: str, part: PartFile, params: DownloadParams = DownloadParams()
) -> None:
    """Fetches a file, or the rest of it.

    Args:
      url: Where it is; http or https.
      part: Where to put it; whole when this returns.
      params: Patience.

    Raises:
      DownloadError: It could not be fetched. What came is kept, and the same
        call goes on from there.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(
            f"Expected a URL that starts with https:// or http://. Received: "
            f"{url!r}.",
            concerns_all=True,
        )
    most_bytes, num_failed = part.num_bytes, 0
    while True:
        try:
            _fetch_once(url, part, params)
            return
        except _TransientError as error:
            num_failed += 1
            if part.num_bytes > most_bytes:
                most_bytes, num_failed = part.num_bytes, 1
            if num_failed >= params.max_attempts:
                raise DownloadError(
                    f"{url}: {error}, after {num_failed} attempts. Try later: "
                    f"the same command goes on."
                ) from error
            wait = params.first_wait_seconds * 2 ** (num_failed - 1)
            logging.warning("%s: %s; trying again in %g s.", url, error, wait)
            time.sleep(wait)


def _fetch_once(url: str, part: PartFile, params: DownloadParams) -> None:
    """Asks the server once.

    Raises:
      DownloadError: It failed, and would again.
      _TransientError: It failed, and may not fail again.
    """
    version = part.version_of(url)
    if version.is_all(part.num_bytes):
        return  # interrupted between the last byte and what comes after
    num_bytes = part.num_bytes if version.validator else 0
    headers = {
        "User-Agent": f"audioset_strong/{audioset_strong.__version__}",
        "Accept-Encoding": "identity",
    }
    if num_bytes and version.validator:
        headers["Range"] = f"bytes={num_bytes}-"
        headers["If-Range"] = version.validator
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(
            request, timeout=params.timeout_seconds
        ) as response:
            begin, found = _check_answer(response, url, part, version)
            _receive(response, part, begin, found, params)
    except urllib.error.HTTPError as error:
        _raise_for_status(error, url, part)
    except (OSError, http.client.HTTPException) as error:
        _raise_for_failure(error, url, part)


def _check_answer(
    response: http.client.HTTPResponse,
    url: str,
    part: PartFile,
    version: Version,
) -> tuple[int, Version]:
    """Looks at what the server is about to send.

    Returns:
      The byte that it begins with, and which version of the file it is.

    Raises:
      _TransientError: It is not the rest of the part.
    """
    validator = _validator(response)
    begin = 0  # status 200: the file has changed, or the server has no ranges
    if response.status == 206:
        begin = part.num_bytes
        content_range = response.headers.get("Content-Range", "")
        is_rest = content_range.startswith(f"bytes {begin}-")
        if not is_rest or validator not in (None, version.validator):
            part.discard()
            raise _TransientError("the server sent another part than asked for")
        validator = version.validator
    length = response.headers.get("Content-Length")
    total = None if length is None else begin + int(length)
    return begin, Version(url, validator, total)


def _receive(
    response: http.client.HTTPResponse,
    part: PartFile,
    begin: int,
    version: Version,
    params: DownloadParams,
) -> None:
    """Writes what the server sends to the part, and checks its length."""
    total = version.num_bytes
    with (
        part.open(begin, version) as file,
        tqdm.tqdm(
            desc=part.name,
            total=total,
            initial=begin,
            unit="B",
            unit_scale=True,
        ) as progress,
    ):
        num_left = math.inf if total is None else total - begin
        while num_left > 0:
            # read1 gives what is there; read would lose a block cut off.
            block = response.read1(int(min(num_left, params.block_bytes)))
            if not block:
                break
            file.write(block)
            file.flush()
            num_left -= len(block)
            progress.update(len(block))
    if total is not None and part.num_bytes != total:
        raise _TransientError(f"{part.num_bytes:,} of {total:,} bytes came")


def _validator(response: http.client.HTTPResponse) -> str | None:
    """Returns what names this version of the file in If-Range, if anything."""
    etag: str | None = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):  # weak ones are not allowed there
        return etag
    return response.headers.get("Last-Modified")


def _raise_for_status(
    error: urllib.error.HTTPError, url: str, part: PartFile
) -> NoReturn:
    """Raises what an HTTP error status means."""
    if error.code == 416:  # the part is longer than the file is now
        part.discard()
        raise _TransientError("the file on the server has changed") from error
    text = f"the server answered {error.code} {error.reason}"
    if error.code in _TRANSIENT_STATUSES:
        raise _TransientError(text) from error
    hint = _HINTS.get(error.code, "Try later, or give a mirror as --base_url.")
    raise DownloadError(f"{url}: {text}. {hint}") from error


def _raise_for_failure(error: Exception, url: str, part: PartFile) -> NoReturn:
    """Raises what a failure below HTTP means; of our own files, the error."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        raise DownloadError(
            f"{part.path}: {error.strerror}. Make room; the same command goes "
            f"on.",
            concerns_all=True,
        ) from error
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    split = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(split.scheme)
    host = split.netloc + (f" through the proxy {proxy}" if proxy else "")
    if offline := _why_unreachable(reason, host):
        raise DownloadError(
            f"{url}: {offline} ({reason}). Is this machine online? A proxy is "
            f"taken from {split.scheme}_proxy; files from elsewhere can be "
            f"checked with --check_only.",
            concerns_all=True,
        ) from error
    if isinstance(error, _NETWORK_ERRORS):
        raise _TransientError(f"the connection failed ({reason})") from error
    raise error


def _why_unreachable(reason: object, host: str) -> str | None:
    """Says why a host cannot be reached at all; None if it may be."""
    if isinstance(reason, socket.gaierror):
        return f"no address was found for {host}"
    if isinstance(reason, ConnectionRefusedError):
        return f"the connection to {host} was refused"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the certificate of {host} is not valid"
    if isinstance(reason, OSError) and reason.errno in _NO_ROUTE:
        return f"there is no way to {host}"
    return None
