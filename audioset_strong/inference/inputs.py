"""Finds the recordings that a command line names, and names them in results.

An argument is a file; a folder, of which all audio counts, told by content as
`audio/listing.py` does; a pattern such as `**/*.wav`, if the shell has not
expanded it; or `-`, a list of files and folders on standard input, one a line
or, for any name at all, ended by NUL (`find -print0`). Tars and Parquet files
are folders of their members. Order is that of the arguments, within a folder
that of names.

A recording's segment id is its path below the folder that was named, without
the extension of audio, as `import_labels` names recordings too. Below what is a
file given by itself: the working directory or, for files outside of it, the
folder that they share. Ids that would be equal keep the extension, then the
folder as well. What no line of a table can hold is written as %XX.
"""

import collections
import csv
import glob
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple
from urllib.parse import quote_from_bytes

from audioset_strong import files
from audioset_strong.audio.containers import is_container
from audioset_strong.audio.listing import AudioListing, is_audio, list_audio
from audioset_strong.audio.recordings import recording_id_of
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.problems import listed

# No line of a table holds these (`labels/ids.py`); a byte that is not UTF-8 is
# half a surrogate pair.
_NOT_PRINTED = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|^\s|(?<=/)\s")
# Of one part of a segment id, which becomes a file name with an extension of
# ours; file systems allow 255.
_MAX_NAME_BYTES = 200


class Recording(NamedTuple):
    """One recording to score.

    Attributes:
      path: Where it is; may be a member of a container.
      segment_id: What results call it.
    """

    path: str
    segment_id: str


class Inputs(NamedTuple):
    """What a command line names.

    Attributes:
      recordings: Each once, in order.
      notes: What was passed over, a line each.
    """

    recordings: list[Recording]
    notes: list[str]


class _Found(NamedTuple):
    """A file, and its names from the shortest to the longest."""

    path: str
    names: tuple[str, ...]


def find_inputs(arguments: Sequence[str], standard_input: BinaryIO) -> Inputs:
    """Finds the recordings that arguments name (module docstring).

    A file that does not exist is among them, as scoring says what is wrong; one
    that is named twice, also through links, is there once.

    Raises:
      InputError: There is no recording.
      OSError: Object storage that cannot be listed.
    """
    if not arguments:
        raise InputError(
            "Expected files or folders of audio after the flags. Received: "
            "none. Give their names, or - for a list on standard input."
        )
    notes: list[str] = []
    found: list[_Found] = []
    alone: list[str] = []  # Files that were given by themselves.
    for argument in _expand(arguments, standard_input):
        if is_folder(argument):
            found += _list_folder(argument, notes)
        else:
            found.append(_Found(argument, ()))
            alone.append(argument)
    shared = _shared_folder(alone)
    named = [f if f.names else _name_alone(f.path, shared) for f in found]
    unique, repeated = _leave_out_repeated(named)
    if repeated:
        pairs = (f"{path!r} is {first!r}" for path, first in repeated)
        notes.append(
            f"Named more than once, scored once: {len(repeated):,} "
            f"({listed(pairs, 3)})."
        )
    if not unique:
        raise InputError(
            f"Expected recordings in {listed(arguments)}, found none."
            + "".join(f" {note}" for note in notes)
        )
    paths = [f.path for f in unique]
    ids = _choose_ids([f.names for f in unique])
    return Inputs(list(map(Recording, paths, ids)), notes)


def is_folder(path: str) -> bool:
    """Whether a path stands for what is in it: a folder, tar or Parquet."""
    if files.is_remote(path):
        return is_container(path) or bool(files.list_names(path))
    return os.path.isdir(path) or (is_container(path) and os.path.exists(path))


def one_line(text: str) -> str:
    """Writes what no line of a table can hold as %XX, for each byte."""
    return _NOT_PRINTED.sub(
        lambda match: quote_from_bytes(os.fsencode(match[0]), safe=""), text
    )


def split_class_names(texts: Sequence[str], class_map: ClassMap) -> list[str]:
    """Splits lists of classes at commas, unless that is one class's name."""
    known = {*class_map.mids, *class_map.display_names}
    names: list[str] = []
    for text in texts:
        if text in known:
            names.append(text)
        else:
            row = next(csv.reader([text], skipinitialspace=True), [])
            names += [name.strip() for name in row]
    return names


def _expand(
    arguments: Sequence[str], standard_input: BinaryIO
) -> Iterator[str]:
    """Yields paths of files and folders, which may not exist."""
    for argument in arguments:
        if argument == "-":
            yield from _read_list(standard_input)
        elif files.is_remote(argument) or os.path.lexists(argument):
            yield argument
        else:
            yield from sorted(glob.glob(argument, recursive=True)) or [argument]


def _read_list(file: BinaryIO) -> list[str]:
    """Reads paths that end in NUL or, if there is none, in a new line."""
    content = file.read().removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        lines = content.split(b"\0")
    else:
        lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]


def _list_folder(folder: str, notes: list[str]) -> Iterator[_Found]:
    """Yields the audio below a folder, and notes what was passed over."""
    listing = list_audio(folder, looks_into_containers=False)
    paths = [*listing.paths, *listing.empty_paths]
    paths += [path for path in listing.unknown_paths if is_audio(path)]
    # macOS writes such a companion for each file on a foreign disk.
    companions = [p for p in paths if os.path.basename(p).startswith("._")]
    passed_over = {
        "unfinished downloads": listing.unfinished_paths,
        "companions that macOS wrote": companions,
        "folders that may not be read": listing.unreadable_folders,
    }
    for what, which in passed_over.items():
        if which:
            notes.append(
                f"{folder}: passed over {len(which):,} {what}: "
                f"{listed(which, 3)}."
            )
    notes += listing.container_notes
    if not paths and not listing.container_paths:
        notes.append(f"{folder} holds no audio.")
    for path in sorted(set(paths) - set(companions)):
        yield _name_file(path, folder)
    for path in sorted(listing.container_paths):
        yield from _list_members(path, folder, notes)


def _list_members(
    container: str, folder: str, notes: list[str]
) -> Iterator[_Found]:
    """Yields the audio in a container, or it itself if it cannot be read."""
    listing = AudioListing(container_paths=[container])
    try:
        listing.look_into_containers()
    except (InputError, OSError) as error:
        notes.append(str(error))
        yield _name_file(container, os.path.dirname(folder))
        return
    notes += listing.container_notes
    inside = "" if container == folder else _below(container, folder) + "/"
    for path in [*listing.paths, *listing.empty_paths]:
        name = (listing.names_of_path.get(path) or (path,))[0]
        yield _Found(
            path, (f"{inside}{name}", f"{_long_name(container)}/{name}")
        )


def _name_file(path: str, folder: str) -> _Found:
    """Names a file by where it is below a folder."""
    return _Found(
        path,
        (
            recording_id_of(path, folder),
            _below(path, folder),
            _long_name(path),
        ),
    )


def _name_alone(path: str, shared: str) -> _Found:
    """Names a file that was given by itself."""
    if files.is_remote(path):
        return _name_file(path, path.rpartition("/")[0])
    whole, here = os.path.abspath(path), os.getcwd()
    return _name_file(whole, here if _is_in(whole, here) else shared)._replace(
        path=path
    )


def _shared_folder(paths: Sequence[str]) -> str:
    """Returns the folder that files outside the working directory share."""
    here = os.getcwd()
    whole = (os.path.abspath(p) for p in paths if not files.is_remote(p))
    outside = [os.path.dirname(p) for p in whole if not _is_in(p, here)]
    return os.path.commonpath(outside) if outside else here


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _below(path: str, folder: str) -> str:
    """Returns a path below a folder, local or remote."""
    prefix = folder.rstrip("/") + "/"
    return path.removeprefix(prefix)


def _long_name(path: str) -> str:
    """Names a file from the working directory, or from the root."""
    if files.is_remote(path):
        return path.partition("://")[2]
    whole = os.path.abspath(path)
    here = os.getcwd()
    return _below(whole, here if _is_in(whole, here) else "")


def _leave_out_repeated(
    found: Sequence[_Found],
) -> tuple[list[_Found], list[tuple[str, str]]]:
    """Keeps each file once; returns the others, each with its first name."""
    first: dict[str, _Found] = {}
    repeated = []
    for file in found:
        kept = first.setdefault(real_path(file.path), file)
        if kept is not file:
            repeated.append((file.path, kept.path))
    return list(first.values()), repeated


def real_path(path: str) -> str:
    """Returns the one path of a file, whatever links lead to it."""
    return path if files.is_remote(path) else os.path.realpath(path)


def _choose_ids(names_of_file: Sequence[tuple[str, ...]]) -> list[str]:
    """Gives each file the shortest of its names that tells all apart."""
    candidates = [
        # The last is for names that differ in what an id cannot hold.
        [*map(_as_id, names), _as_id(f"{names[-1]} ({number})")]
        for number, names in enumerate(names_of_file, start=1)
    ]
    levels = [0] * len(candidates)
    while True:
        ids = [c[level] for c, level in zip(candidates, levels, strict=True)]
        counts = collections.Counter(ids)
        if len(counts) == len(ids):
            return ids
        for number, name in enumerate(ids):
            if counts[name] > 1:
                last = len(candidates[number]) - 1
                levels[number] = min(levels[number] + 1, last)


def _as_id(name: str) -> str:
    """Makes a segment id that is also a relative path, as tracks need."""
    parts = [
        part for part in one_line(name).split("/") if part not in ("", ".")
    ]
    return "/".join(map(_as_file_name, parts)) or "%2E"


def _as_file_name(part: str) -> str:
    """Makes a name that leads to no other folder and is not too long."""
    if part == "..":
        return "%2E%2E"
    encoded = part.encode()
    if len(encoded) <= _MAX_NAME_BYTES:
        return part
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _MAX_NAME_BYTES - 20].decode(errors='ignore')}-{digest}"
