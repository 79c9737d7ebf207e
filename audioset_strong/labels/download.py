"""Fetches the official AudioSet label files and checks what they hold.

Nobody publishes checksums, so a file is known by its counts: rows (lines
besides the header, or nodes of the ontology), clips and classes. A fetched file
gets its official name only when its counts are the release's; with others it is
kept as `<name>.unexpected`. A file that somebody else put there is left as it
is. An interrupted download is kept in `<name>.part` and continued by HTTP range
requests, unless the file on the server has changed meanwhile.

Source of the counts: the second line of the weak CSVs (eval, balanced train);
the download page of the strong labels (clips; 456 classes); files counted by
us (class index, display names, ontology); users who counted the others (events
and classes of the strong files, segments of unbalanced train). The framed
file's are recalled and not verified, so a difference there is a warning.
"""

import contextlib
import dataclasses
import errno
import http.client
import json
import math
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import IO, NoReturn

import pandas as pd
import tqdm
from absl import logging

import audioset_strong
from audioset_strong.errors import InputError
from audioset_strong.files import make_output_folder
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.label_files import (
    read_display_names,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.ontology import read_ontology
from audioset_strong.labels.problems import ProblemLog

_WEAK_URL = "https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/"
_STRONG_URL = (
    "https://storage.googleapis.com/us_audioset/youtube_corpus/strong/"
)
_ONTOLOGY_URL = "https://raw.githubusercontent.com/audioset/ontology/master/"

LABEL_LICENCE = "CC BY 4.0, Google AudioSet"
ONTOLOGY_LICENCE = "CC BY-SA 4.0, Google AudioSet"


@dataclasses.dataclass(frozen=True)
class FileCounts:
    """What is in a label file; None where it does not apply or is not known.

    Attributes:
      rows: Lines besides the header, or nodes.
      clips: Distinct segment ids.
      classes: Distinct mids.
      labels: Labels of all clips together, of weak CSVs.
    """

    rows: int | None = None
    clips: int | None = None
    classes: int | None = None
    labels: int | None = None

    def differences(self, found: "FileCounts") -> list[str]:
        """Says where `found` is not as expected; unknown counts are not."""
        texts = []
        for name, expected in dataclasses.asdict(self).items():
            count = getattr(found, name)
            if expected is not None and expected != count:
                shown = "none" if count is None else f"{count:,}"
                texts.append(f"Expected {expected:,} {name}, found {shown}")
        return texts


@dataclasses.dataclass(frozen=True)
class ReleasedFile:
    """An official file.

    Attributes:
      name: Its name, also in a folder of labels.
      url: Where it is.
      kind: "weak", "strong", "framed", "class_map", "display_names" or
        "ontology": which reader reads it.
      expected: What is in it.
      is_verified: Whether `expected` was verified; if not, a difference is a
        warning.
      licence: Its licence and authors.
    """

    name: str
    url: str
    kind: str
    expected: FileCounts
    is_verified: bool = True
    licence: str = LABEL_LICENCE


def _weak(name: str, segments: int, labels: int | None = None) -> ReleasedFile:
    # One segment a clip, and all 527 classes in each file.
    counts = FileCounts(segments, segments, 527, labels)
    return ReleasedFile(name, _WEAK_URL + name, "weak", counts)


def _strong(name: str, events: int, clips: int, classes: int) -> ReleasedFile:
    counts = FileCounts(events, clips, classes)
    return ReleasedFile(name, _STRONG_URL + name, "strong", counts)


RELEASED_FILES = (
    _weak("eval_segments.csv", 20_371, 51_804),
    _weak("balanced_train_segments.csv", 22_160, 52_882),
    _weak("unbalanced_train_segments.csv", 2_041_789),
    ReleasedFile(
        "class_labels_indices.csv",
        _WEAK_URL + "class_labels_indices.csv",
        "class_map",
        FileCounts(rows=527, classes=527),
    ),
    _strong("audioset_train_strong.tsv", 934_821, 103_463, 447),
    _strong("audioset_eval_strong.tsv", 139_538, 16_996, 416),
    ReleasedFile(
        "audioset_eval_strong_framed_posneg.tsv",
        _STRONG_URL + "audioset_eval_strong_framed_posneg.tsv",
        "framed",
        # 300,307 positive and 658,221 negative label frames.
        FileCounts(rows=958_528, clips=14_203),
        is_verified=False,
    ),
    ReleasedFile(
        "mid_to_display_name.tsv",
        _STRONG_URL + "mid_to_display_name.tsv",
        "display_names",
        FileCounts(rows=456, classes=456),
    ),
    ReleasedFile(
        "ontology.json",
        _ONTOLOGY_URL + "ontology.json",
        "ontology",
        FileCounts(rows=632, classes=632),
        licence=ONTOLOGY_LICENCE,
    ),
)


# --- Fetching ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Version:
    """A file as a server described it.

    Attributes:
      url: Where it is.
      validator: Its ETag or Last-Modified; None if the server gave neither.
      num_bytes: Size of all of it, if known.
    """

    url: str
    validator: str | None = None
    num_bytes: int | None = None


class PartFile:
    """The part of a file that has arrived.

    Attributes:
      path: Where the part lies; `<path>.json` holds its `Version`, so that the
        rest of another version is never appended to it.
    """

    def __init__(self, final_path: str) -> None:
        self.path = f"{final_path}.part"
        self._version_path = f"{self.path}.json"

    @property
    def num_bytes(self) -> int:
        """Size of the part; 0 if there is none."""
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def version_of(self, url: str) -> Version:
        """Reads which version this is a part of; unknown for another URL."""
        try:
            with open(self._version_path, encoding="utf-8") as file:
                version = Version(**json.load(file))
        except (FileNotFoundError, ValueError, TypeError):
            return Version(url)
        return version if version.url == url else Version(url)

    def open(self, begin: int, version: Version) -> IO[bytes]:
        """Opens the part of a version for writing, from byte `begin` on."""
        # Emptied first: an old part with a new version would be taken for it.
        file = open(self.path, "ab" if begin else "wb")  # noqa: SIM115
        try:
            with open(self._version_path, "w", encoding="utf-8") as note:
                json.dump(dataclasses.asdict(version), note)
        except BaseException:
            file.close()
            raise
        return file

    def discard(self) -> None:
        """Removes the part, if there is one, and its version."""
        for path in (self.path, self._version_path):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)


# Answers that may be others a little later.
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_HINTS = {
    403: "The server does not allow it; try later, or give a mirror as "
    "base_url.",
    404: "The file is not there; give a mirror that has it as base_url.",
}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


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

    `concerns_all` says whether other files would fail the same way, as when the
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
    """Fetches a file by http or https, or the rest of it.

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
    """Asks the server once; a `_TransientError` may not occur again."""
    version = part.version_of(url)
    num_bytes = part.num_bytes if version.validator else 0
    if num_bytes and num_bytes == version.num_bytes:
        return  # interrupted between the last byte and the file's new name
    headers = {
        "User-Agent": f"audioset_strong/{audioset_strong.__version__}",
        "Accept-Encoding": "identity",
    }
    if num_bytes:
        headers["Range"] = f"bytes={num_bytes}-"
        headers["If-Range"] = str(version.validator)
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(
            request, timeout=params.timeout_seconds
        ) as response:
            _receive(response, part, version, params)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is longer than the file is now
            part.discard()
            raise _TransientError(
                "the file on the server has changed"
            ) from error
        text = f"the server answered {error.code} {error.reason}"
        if error.code in _TRANSIENT_STATUSES:
            raise _TransientError(text) from error
        hint = _HINTS.get(
            error.code, "Try later, or give a mirror as base_url."
        )
        raise DownloadError(f"{url}: {text}. {hint}") from error
    except (OSError, http.client.HTTPException) as error:
        _raise_for_failure(error, url, part)


def _receive(
    response: http.client.HTTPResponse,
    part: PartFile,
    version: Version,
    params: DownloadParams,
) -> None:
    """Writes what the server sends to the part, and checks its length."""
    # What names this version in If-Range, where weak ETags are not allowed.
    etag = response.headers.get("ETag")
    is_strong = etag is not None and not etag.startswith("W/")
    validator = etag if is_strong else response.headers.get("Last-Modified")
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
    version = Version(version.url, validator, total)
    with (
        part.open(begin, version) as file,
        tqdm.tqdm(
            desc=os.path.basename(part.path.removesuffix(".part")),
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
    offline = None
    if isinstance(reason, socket.gaierror):
        offline = f"no address was found for {host}"
    elif isinstance(reason, ConnectionRefusedError):
        offline = f"the connection to {host} was refused"
    elif isinstance(reason, ssl.SSLCertVerificationError):
        offline = f"the certificate of {host} is not valid"
    elif isinstance(reason, OSError) and reason.errno in _NO_ROUTE:
        offline = f"there is no way to {host}"
    if offline:
        raise DownloadError(
            f"{url}: {offline} ({reason}). Is this machine online? A proxy is "
            f"taken from {split.scheme}_proxy. Files copied from elsewhere can "
            f"be checked without fetching.",
            concerns_all=True,
        ) from error
    if isinstance(
        error,
        urllib.error.URLError
        | http.client.HTTPException
        | ConnectionError
        | TimeoutError
        | ssl.SSLError,
    ):
        raise _TransientError(f"the connection failed ({reason})") from error
    raise error


# --- Checking ---------------------------------------------------------------

_OWN_COUNTS = re.compile(
    r"# num_ytids=(?P<clips>\d+), num_segs=(?P<rows>\d+), "
    r"num_unique_labels=(?P<classes>\d+), num_positive_labels=(?P<labels>\d+)"
)


@dataclasses.dataclass(frozen=True)
class FileCheck:
    """What a label file holds, and what is wrong with it.

    Attributes:
      counts: What was found; all None for a file that cannot be read.
      errors: Why it is not the official file; empty if it is.
      warnings: What else is strange.
    """

    counts: FileCounts
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_file(path: str, released: ReleasedFile) -> FileCheck:
    """Reads a label file and compares it with the official one.

    Lines that our readers leave out count as rows: where all counts are right,
    they are the release's own, and only a warning.

    Raises:
      FileNotFoundError: The file is not there.
    """
    problems = ProblemLog(skip_bad_lines=True)
    try:
        counts = _count(path, released.kind, problems)
    except InputError as error:
        return FileCheck(FileCounts(), (str(error),))
    differences = released.expected.differences(counts)
    if released.kind == "weak":
        # A weak CSV gives counts of itself in its second line.
        with open(path, encoding="utf-8", errors="replace") as file:
            next(file, "")
            match = _OWN_COUNTS.match(next(file, ""))
        own = match.groupdict() if match else {}
        own_counts = FileCounts(**{name: int(n) for name, n in own.items()})
        differences += [
            f"{difference} (by the file's second line)"
            for difference in own_counts.differences(counts)
            if difference not in differences
        ]
    differences = [f"{difference}." for difference in differences]
    warnings = []
    if problems.problems:
        examples = "; ".join(map(str, problems.problems[:3]))
        warnings.append(
            f"{problems.num_left_out:,} lines are left out and "
            f"{problems.num_doubtful:,} look wrong: {examples}."
        )
    if not released.is_verified and not problems.num_left_out:
        notes = [f"{d} That number was not verified." for d in differences]
        return FileCheck(counts, (), (*notes, *warnings))
    if differences:
        return FileCheck(counts, (*differences, *warnings))
    return FileCheck(counts, (), tuple(warnings))


def _count(path: str, kind: str, problems: ProblemLog) -> FileCounts:
    """Reads a file with the reader of its kind and counts what is in it."""
    if kind == "class_map":
        num_classes = read_class_map(path).num_classes
        return FileCounts(rows=num_classes, classes=num_classes)
    if kind == "ontology":
        num_nodes = len(read_ontology(path).display_names)
        return FileCounts(rows=num_nodes, classes=num_nodes)
    if kind == "display_names":
        num_names = len(read_display_names(path, problems))
        return FileCounts(num_names + problems.num_left_out, classes=num_names)
    readers: dict[str, Callable[[str, ProblemLog], pd.DataFrame]] = {
        "weak": read_weak_labels,
        "strong": read_strong_labels,
        "framed": read_framed_labels,
    }
    table = readers[kind](path, problems)
    labels = table["mids"].explode().dropna() if kind == "weak" else None
    return FileCounts(
        rows=len(table) + problems.num_left_out,
        clips=table["segment_id"].nunique(),
        classes=(table["mid"] if labels is None else labels).nunique(),
        labels=None if labels is None else len(labels),
    )


# --- A folder of files ------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class FileResult:
    """The state of one file of a folder.

    Attributes:
      name: Official name.
      state: "fetched", "was there", "not there", "unexpected" (it is there,
        but is not the official file), "failed" (to be fetched) or "not tried".
      counts: What it holds.
      notes: Differences and problems, and what to do.
    """

    name: str
    state: str
    counts: FileCounts = FileCounts()
    notes: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether the official file is there."""
        return self.state in ("fetched", "was there")


def select_files(
    files: Sequence[ReleasedFile], names: Sequence[str]
) -> list[ReleasedFile]:
    """Chooses files by name, all without names; refuses unknown names."""
    by_name = {released.name: released for released in files}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InputError(
            f"Expected names of official files ({', '.join(by_name)}). "
            f"Received: {', '.join(unknown)}."
        )
    return [by_name[name] for name in dict.fromkeys(names or by_name)]


def check_files(files: Sequence[ReleasedFile], folder: str) -> list[FileResult]:
    """Checks the files that are in a folder, and fetches none."""
    results = []
    for released in files:
        try:
            check = check_file(os.path.join(folder, released.name), released)
        except FileNotFoundError:
            results.append(FileResult(released.name, "not there"))
            continue
        advice = (
            "Move it away and run download_labels to fetch the official one."
        )
        results.append(_result(released, check, "was there", advice))
    return results


def _result(
    released: ReleasedFile, check: FileCheck, state: str, advice: str
) -> FileResult:
    if check.errors:
        notes = (*check.errors, advice)
        return FileResult(released.name, "unexpected", check.counts, notes)
    return FileResult(released.name, state, check.counts, check.warnings)


def fetch_files(
    files: Sequence[ReleasedFile],
    folder: str,
    base_url: str | None = None,
    params: DownloadParams = DownloadParams(),
) -> list[FileResult]:
    """Fetches the files that a folder lacks, and checks all of them.

    With `base_url`, they come from a mirror that holds them under their names.

    Returns:
      One result a file. When one fails for a reason that concerns all, such as
      no network, the rest are not tried.
    """
    make_output_folder(folder)
    results: list[FileResult] = []
    is_hopeless = False
    for released in files:
        path = os.path.join(folder, released.name)
        if os.path.exists(path):
            results += check_files([released], folder)
        elif is_hopeless:
            results.append(FileResult(released.name, "not tried"))
        else:
            url = released.url
            if base_url is not None:
                url = f"{base_url.rstrip('/')}/{released.name}"
            try:
                results.append(_fetch_and_check(released, url, path, params))
            except DownloadError as error:
                is_hopeless = error.concerns_all
                notes = (str(error),)
                results.append(FileResult(released.name, "failed", notes=notes))
    return results


def _fetch_and_check(
    released: ReleasedFile, url: str, path: str, params: DownloadParams
) -> FileResult:
    """Fetches a file and gives it its name if it is the official one."""
    part = PartFile(path)
    fetch(url, part, params)
    check = check_file(part.path, released)
    kept = f"{path}.unexpected" if check.errors else path
    os.replace(part.path, kept)
    part.discard()
    # Messages name the file as it is called from now on.
    check = dataclasses.replace(
        check,
        errors=tuple(e.replace(part.path, kept) for e in check.errors),
        warnings=tuple(w.replace(part.path, kept) for w in check.warnings),
    )
    advice = (
        f"It is kept as {kept}. Fetch it again; if the counts are the same, "
        f"the file on the server is another one now: rename it to "
        f"{released.name} to use it."
    )
    return _result(released, check, "fetched", advice)


def result_lines(results: Sequence[FileResult]) -> list[str]:
    """Makes a table of the results, with their notes below it."""
    columns = ("rows", "clips", "classes")
    width = max(len(result.name) for result in results)
    headings = "".join(f"  {column:>9}" for column in columns)
    lines = [f"{'file':{width}}{headings}  result"]
    for result in results:
        counts = [getattr(result.counts, column) for column in columns]
        cells = ["-" if count is None else f"{count:,}" for count in counts]
        outcome = f"ok, {result.state}" if result.is_ok else result.state
        lines.append(
            f"{result.name:{width}}"
            + "".join(f"  {cell:>9}" for cell in cells)
            + f"  {outcome}{', with notes' if result.notes else ''}"
        )
    for result in results:
        lines += [f"{result.name}: {note}" for note in result.notes]
    return lines
