"""A folder of official label files: fetched where they are missing, checked.

A file gets its official name only when it was checked, so what has that name
and was fetched by us is what the release holds. A fetched file with other
counts is kept as `<name>.unexpected`; one that somebody put there is left where
it is.
"""

import dataclasses
import os
from collections.abc import Sequence

from audioset_strong.download.fetch import (
    DownloadError,
    DownloadParams,
    fetch,
)
from audioset_strong.download.file_check import FileCheck, check_file
from audioset_strong.download.part_files import PartFile
from audioset_strong.download.released_files import FileCounts, ReleasedFile
from audioset_strong.errors import InputError
from audioset_strong.output_files import make_folder


@dataclasses.dataclass(frozen=True)
class FileResult:
    """What became of one file.

    Attributes:
      name: Official name.
      state: "fetched", "was there", "not there", "unexpected" (it is there,
        but is not the official file), "failed" (to be fetched) or "not tried".
      counts: What it holds.
      notes: What is wrong or strange, and what to do.
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
    """Chooses files by name; all if no name is given.

    Raises:
      InputError: There is no file of a name.
    """
    by_name = {released.name: released for released in files}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InputError(
            f"Expected names of official files ({', '.join(by_name)}). "
            f"Received: {', '.join(unknown)}."
        )
    return [by_name[name] for name in dict.fromkeys(names or by_name)]


def check_files(files: Sequence[ReleasedFile], folder: str) -> list[FileResult]:
    """Checks the files that are in a folder, and fetches none.

    Args:
      files: What to look for.
      folder: Where to look.
    """
    return [
        _check_there(released, os.path.join(folder, released.name))
        for released in files
    ]


def _check_there(released: ReleasedFile, path: str) -> FileResult:
    """Checks a file under its official name, if it is there."""
    try:
        check = check_file(path, released)
    except FileNotFoundError:
        return FileResult(released.name, "not there")
    advice = "Move it away and run download_labels to fetch the official one."
    return _result(released, check, "was there", advice)


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

    Args:
      files: What to fetch.
      folder: Made if it is not there.
      base_url: Folder of a mirror that holds the files under their names; None
        for the official places.
      params: Patience.

    Returns:
      One result a file. When one fails for a reason that concerns all, such as
      no network, the rest are not tried.
    """
    make_folder(folder)
    results: list[FileResult] = []
    is_hopeless = False
    for released in files:
        path = os.path.join(folder, released.name)
        if os.path.exists(path):
            results.append(_check_there(released, path))
        elif is_hopeless:
            results.append(FileResult(released.name, "not tried"))
        else:
            url = _url(released, base_url)
            try:
                results.append(_fetch_and_check(released, url, path, params))
            except DownloadError as error:
                is_hopeless = error.concerns_all
                notes = (str(error),)
                results.append(FileResult(released.name, "failed", notes=notes))
    return results


def _url(released: ReleasedFile, base_url: str | None) -> str:
    if base_url is None:
        return released.url
    return f"{base_url.rstrip('/')}/{released.name}"


def _fetch_and_check(
    released: ReleasedFile, url: str, path: str, params: DownloadParams
) -> FileResult:
    """Fetches a file and gives it its name if it is the official one."""
    part = PartFile(path)
    fetch(url, part, params)
    check = check_file(part.path, released)
    kept = f"{path}.unexpected" if check.errors else path
    part.move_to(kept)
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
    """Makes a table of the results for a person, notes below it."""
    columns = ("rows", "clips", "classes")
    width = max(len(result.name) for result in results)
    lines = [
        f"{'file':{width}}"
        + "".join(f"  {column:>9}" for column in columns)
        + "  result"
    ]
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
