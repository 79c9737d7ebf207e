"""Lists the audio files of a folder; decodes none of them.

Needs neither soundfile nor soxr, so that coverage can be reported without them.
"""

import collections
import os
from collections.abc import Iterable
from typing import NamedTuple

from absl import logging

from audioset_strong.features.audio_formats import (
    EXTENSIONS_OF_FORMAT,
    SOUNDFILE_FORMATS,
)
from audioset_strong.features.audio_names import index_paths

# What libsndfile reads first.
AUDIO_EXTENSIONS = tuple(
    dict.fromkeys(e for es in EXTENSIONS_OF_FORMAT.values() for e in es)
)

_SOUNDFILE_EXTENSIONS = tuple(
    e for name in SOUNDFILE_FORMATS for e in EXTENSIONS_OF_FORMAT[name]
)

# Of yt-dlp (x.webm.part, x.webm.part-Frag3, x.webm.ytdl, x.temp.flac) and of
# others. They stand as the last extension or as the one before it.
_UNFINISHED = (".part", ".tmp", ".temp", ".ytdl", ".crdownload")


class AudioListing(NamedTuple):
    """What lies below a folder of audio, in the order of folders and names.

    Attributes:
      paths: Audio files (`AUDIO_EXTENSIONS`) with something in them.
      empty_paths: Audio files of zero bytes, and links to nothing.
      unfinished_paths: What downloads and conversions leave when they are cut
        off, by their names.
      num_other_files: Number of other files by extension, such as `.txt`.
      unreadable_folders: Folders that may not be read; what they hold is not
        listed.
      num_bytes_of_path: Size of each of `paths` and `empty_paths`, as far as it
        is known: object storage is not asked for it.
    """

    paths: list[str]
    empty_paths: list[str]
    unfinished_paths: list[str]
    num_other_files: collections.Counter[str]
    unreadable_folders: list[str]
    num_bytes_of_path: dict[str, int]


def make_listing() -> AudioListing:
    """Makes a listing of nothing."""
    return AudioListing([], [], [], collections.Counter(), [], {})


def list_audio_files(audio_dir: str) -> AudioListing:
    """Lists the files below a folder, with all its subfolders.

    Links are followed; a folder that is reached twice is read once.

    Args:
      audio_dir: The folder; of one that is not there nothing is listed.
    """
    listing = make_listing()
    waiting, seen = [audio_dir], set[tuple[int, int]]()
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            listing.unreadable_folders.append(folder)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders = []
        for entry in entries:
            if _is_folder(entry):
                subfolders.append(entry.path)
            else:
                sort_file(entry.path, _num_bytes(entry), listing)
        waiting += reversed(subfolders)
    return listing


def sort_file(path: str, num_bytes: int | None, listing: AudioListing) -> None:
    """Puts a file in its list.

    Args:
      path: The file, local or not.
      num_bytes: Its size; 0 for a link to nothing, None if it is not known.
      listing: Is changed.
    """
    stem, extension = os.path.splitext(os.path.basename(path).lower())
    if extension.startswith(_UNFINISHED) or stem.endswith(_UNFINISHED):
        listing.unfinished_paths.append(path)
    elif extension not in AUDIO_EXTENSIONS:
        listing.num_other_files[extension] += 1
    else:
        (listing.empty_paths if num_bytes == 0 else listing.paths).append(path)
        if num_bytes is not None:
            listing.num_bytes_of_path[path] = num_bytes


def preferred_first(paths: Iterable[str]) -> list[str]:
    """Sorts files of what libsndfile reads before others, which need PyAV.

    Folders hold a video and its sound side by side: the sound is taken.

    Args:
      paths: The files; among themselves they stay in order.
    """
    return sorted(
        paths, key=lambda path: not path.lower().endswith(_SOUNDFILE_EXTENSIONS)
    )


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _num_bytes(entry: "os.DirEntry[str]") -> int:
    """Returns the size of a file; 0 for a link to nothing."""
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def index_audio_files(audio_dir: str) -> dict[str, str]:
    """Indexes the audio files below a folder, for `find_audio`.

    Args:
      audio_dir: Searched with all its subfolders.

    Returns:
      Path of each file by its name without extension and, for names that hold
      a time in seconds, by that (`audio_names.py`). Of two files of one meaning
      the first in sorted order counts; an empty file counts only where there is
      no other, so that its clip is reported as having one.
    """
    return index_listing(list_audio_files(audio_dir))


def index_listing(listing: AudioListing) -> dict[str, str]:
    """Indexes listed files as `index_audio_files` does."""
    for folder in listing.unreadable_folders:
        logging.warning("%s may not be read; its files are not seen.", folder)
    return index_paths(preferred_first(listing.paths) + listing.empty_paths)
