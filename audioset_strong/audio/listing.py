"""What the name of an audio file says about the clip in it.

People name the audio of clip `s9d-2nhuJCQ_30000` in many ways. Taken are, each
also with a `Y` before the ytid and in folders of any depth:

  <ytid>_<ms>           s9d-2nhuJCQ_30000           the segment id
  <ytid>_<start>_<end>  s9d-2nhuJCQ_30_40           seconds, whole or decimal
                        Ys9d-2nhuJCQ_30.000_40.000
                        s9d-2nhuJCQ_30000_40000     or milliseconds
  <ytid>_<start>        s9d-2nhuJCQ_30.000          seconds, decimal
  <ytid>                Ys9d-2nhuJCQ

A single whole number is milliseconds, so that `_30` is never 30 s; two numbers,
or one with a decimal point, are seconds. Two whole numbers that are 1,000 or
more apart are milliseconds: clips are ten seconds long. A name with another
start than the clip's is another clip's. The end is not compared: label files do
not agree on it.

Ytids hold `-` and `_` and may begin with `-` or `Y`, so a name cannot be split
without knowing the clips. Instead each file is indexed under all that its name
may mean, and a clip looks for its own. As all ytids have 11 characters, no name
can mean two of them.

Lists the audio files of a folder; decodes none of them.

Needs neither soundfile nor soxr, so that coverage can be reported without them.

Lists the audio files of a folder that may be in object storage.

What audio a folder holds of given clips, and what else lies in it.
"""

import collections
import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from audioset_strong import files
from audioset_strong.audio.formats import (
    EXTENSIONS_OF_FORMAT,
    SOUNDFILE_FORMATS,
)
from audioset_strong.errors import InputError
from audioset_strong.labels.ids import make_segment_id, ytid_of_segment

# --- audio names -----------------------------------------------------------


_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(rf"(.+)_({_NUMBER})_({_NUMBER})", re.DOTALL)
_DECIMAL_START = re.compile(r"(.+)_([0-9]+\.[0-9]+)", re.DOTALL)

# What may follow the ytid in a name, and what that form is called.
_FORMS = (
    (re.compile(""), "<ytid>"),
    (re.compile("_[0-9]+"), "<ytid>_<ms>"),
    (re.compile(r"_[0-9]+\.[0-9]+"), "<ytid>_<start>"),
    (re.compile(f"_{_NUMBER}_{_NUMBER}"), "<ytid>_<start>_<end>"),
)

# Every scheme that `name_scheme` gives, most exact first.
SCHEMES = tuple(
    before + form
    for form in (
        "<ytid>_<ms>",
        "<ytid>_<start>_<end>",
        "<ytid>_<start>",
        "<ytid>",
    )
    for before in ("", "Y")
)


def stem_of(path: str) -> str:
    """Returns the name of a file without folder and extension."""
    return os.path.splitext(os.path.basename(path))[0]


def _timed_key(prefix: str, start_seconds: str) -> str:
    """Writes a start in seconds as `<prefix>/<ms>`.

    The slash keeps these keys apart from names, which hold none.
    """
    segment_id = make_segment_id(prefix, float(start_seconds))
    return "/".join(segment_id.rsplit("_", 1))


def keys_of_stem(stem: str) -> Iterator[str]:
    """Lists the keys that a file is indexed under: all it may mean.

    The name itself, and `<prefix>/<start ms>` where it ends like a time in
    seconds. Both readings of `a_30_40.5` are given, since `a_30` may be a ytid.
    """
    yield stem
    if "_" not in stem:
        return
    if (match := _RANGE.fullmatch(stem)) and float(match[2]) < float(match[3]):
        yield _timed_key(match[1], _range_start(match[2], match[3]))
    if "." in stem and (match := _DECIMAL_START.fullmatch(stem)):
        yield _timed_key(match[1], match[2])


def _range_start(start: str, end: str) -> str:
    """Returns the start of a range in seconds."""
    is_milliseconds = (
        start.isdigit() and end.isdigit() and int(end) - int(start) >= 1000
    )
    return f"{int(start) / 1000:.3f}" if is_milliseconds else start


def keys_of_clip(segment_id: str) -> tuple[str, ...]:
    """Lists the keys that the audio of a clip may have, most exact first."""
    ytid = ytid_of_segment(segment_id)
    timed = f"{ytid}/{int(segment_id[len(ytid) + 1 :])}"
    return (
        segment_id,
        f"Y{segment_id}",
        timed,
        f"Y{timed}",
        ytid,
        f"Y{ytid}",
    )


def index_paths(paths: Iterable[str]) -> dict[str, str]:
    """Indexes files by all that their names may mean.

    Args:
      paths: Audio files; of two with one meaning the first counts.

    Returns:
      Path of each key (`keys_of_stem`).
    """
    path_of_key: dict[str, str] = {}
    for path in paths:
        for key in keys_of_stem(stem_of(path)):
            path_of_key.setdefault(key, path)
    return path_of_key


def find_audio(segment_id: str, path_of_stem: Mapping[str, str]) -> str | None:
    """Finds the audio of a clip among indexed files; None if it is not there.

    Args:
      segment_id: The clip.
      path_of_stem: What `index_paths` or `index_audio_files` gives. Of several
        files of a clip the most exact name counts: a whole segment id before a
        time in seconds before a bare ytid, each without `Y` first.
    """
    for key in keys_of_clip(segment_id):
        if key in path_of_stem:
            return path_of_stem[key]
    return None


def name_scheme(segment_id: str, path: str) -> str:
    """Names the scheme, one of `SCHEMES`, by which a file is that of a clip.

    Raises:
      ValueError: The file is not one of this clip's.
    """
    ytid, stem = ytid_of_segment(segment_id), stem_of(path)
    for before in ("", "Y"):
        if stem.startswith(before + ytid):
            rest = stem[len(before + ytid) :]
            for pattern, form in _FORMS:
                if pattern.fullmatch(rest):
                    return before + form
    raise ValueError(f"{path} is not named after {segment_id}.")


class AudioMatches(NamedTuple):
    """Which file holds which clip.

    Attributes:
      path_of_clip: Path of each clip that is there, as `find_audio` gives it.
      duplicate_paths: Files of clips that another file was taken for.
      unmatched_paths: Files that are no clip's.
    """

    path_of_clip: dict[str, str]
    duplicate_paths: list[str]
    unmatched_paths: list[str]


def match_audio(
    segment_ids: Iterable[str], paths: Sequence[str]
) -> AudioMatches:
    """Finds the audio of many clips and what else there is.

    Takes time in proportion to clips and files: about 20 s for two million of
    each (BUILD_NOTES.md "Names of audio files").

    Args:
      segment_ids: The clips.
      paths: Audio files; of two with one meaning the first counts.
    """
    first: dict[str, int] = {}
    further: dict[str, list[int]] = {}
    for number, path in enumerate(paths):
        for key in keys_of_stem(stem_of(path)):
            if first.setdefault(key, number) != number:
                further.setdefault(key, []).append(number)
    path_of_clip: dict[str, str] = {}
    taken: set[int] = set()
    # One byte a file, 1 where it is named after a clip.
    is_named = bytearray(len(paths))
    for segment_id in segment_ids:
        for key in keys_of_clip(segment_id):
            if key not in first:
                continue
            for number in (first[key], *further.get(key, ())):
                is_named[number] = 1
            if segment_id not in path_of_clip:
                path_of_clip[segment_id] = paths[first[key]]
                taken.add(first[key])
    numbered = list(enumerate(paths))
    return AudioMatches(
        path_of_clip,
        [path for n, path in numbered if is_named[n] and n not in taken],
        [path for n, path in numbered if not is_named[n]],
    )


# --- audio listing ---------------------------------------------------------


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
      num_bytes_of_path: Size of each of `paths` and `empty_paths`.
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


def sort_file(path: str, num_bytes: int, listing: AudioListing) -> None:
    """Puts a file in its list.

    Args:
      path: The file, local or not.
      num_bytes: Its size; 0 for a link to nothing.
      listing: Is changed.
    """
    stem, extension = os.path.splitext(os.path.basename(path).lower())
    if extension.startswith(_UNFINISHED) or stem.endswith(_UNFINISHED):
        listing.unfinished_paths.append(path)
    elif extension not in AUDIO_EXTENSIONS:
        listing.num_other_files[extension] += 1
    else:
        (listing.empty_paths if num_bytes == 0 else listing.paths).append(path)
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


# --- audio storage ---------------------------------------------------------


def list_audio(audio_dir: str) -> AudioListing:
    """Lists the files below a local or remote folder, with all its subfolders.

    Args:
      audio_dir: The folder; of one that is not there nothing is listed.

    Raises:
      OSError: Object storage that cannot be listed.
    """
    if not files.is_remote(audio_dir):
        return list_audio_files(audio_dir)
    listing = make_listing()
    for path, num_bytes in files.list_files(audio_dir):
        sort_file(path, num_bytes, listing)
    return listing


# --- audio survey ----------------------------------------------------------


# Paths of a kind that are named; the numbers count all.
_MAX_EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class AudioSurvey:
    """Files of a folder, by what they are good for.

    Attributes:
      audio_dir: The folder.
      listing: All that lies below it.
      matches: Which file holds which clip.
      num_of_scheme: Files that hold a clip, by how they are named (`SCHEMES`);
        schemes that nobody used are left out.
    """

    audio_dir: str
    listing: AudioListing
    matches: AudioMatches
    num_of_scheme: dict[str, int]

    def _paths_of_kind(self) -> dict[str, list[str]]:
        """Paths of what holds no clip, by the kind's name in JSON."""
        return {
            "duplicate_files": self.matches.duplicate_paths,
            "unmatched_files": self.matches.unmatched_paths,
            "empty_files": self.listing.empty_paths,
            "unfinished_files": self.listing.unfinished_paths,
            "unreadable_folders": self.listing.unreadable_folders,
        }

    def as_json(self) -> dict[str, Any]:
        """Returns the counts and the first paths of each kind."""
        return {
            "audio_dir": self.audio_dir,
            "num_audio_files": len(self.listing.paths),
            "num_clips": len(self.matches.path_of_clip),
            "num_of_scheme": self.num_of_scheme,
            **{
                kind: {"num": len(paths), "first": paths[:_MAX_EXAMPLES]}
                for kind, paths in self._paths_of_kind().items()
            },
            "num_other_files": dict(self.listing.num_other_files.most_common()),
        }

    def lines(self) -> list[str]:
        """Says the same to a person; kinds that are not there are left out."""
        num_files, num_clips = (
            len(self.listing.paths),
            len(self.matches.path_of_clip),
        )
        lines = [
            f"{self.audio_dir}: {num_files:,} audio files, "
            f"{num_clips:,} labelled clips."
        ]
        lines += [
            f"  named {scheme}: {number:,}"
            for scheme, number in self.num_of_scheme.items()
        ]
        meanings = {
            "duplicate_files": "further files of a clip that is there",
            "unmatched_files": "audio files of no labelled clip",
            "empty_files": "empty audio files, not counted as there",
            "unfinished_files": "unfinished files, not counted as there",
            "unreadable_folders": "folders that may not be read",
        }
        for kind, paths in self._paths_of_kind().items():
            if paths:
                first = os.path.relpath(paths[0], self.audio_dir)
                lines.append(
                    f"  {meanings[kind]}: {len(paths):,}, such as {first}"
                )
        others = self.listing.num_other_files.most_common(_MAX_EXAMPLES)
        if others:
            num_others = sum(self.listing.num_other_files.values())
            named = ", ".join(f"{n:,} {e or 'without one'}" for e, n in others)
            lines.append(
                f"  files with other extensions, not looked at: "
                f"{num_others:,} ({named})"
            )
        return lines


def survey_audio(audio_dir: str, segment_ids: Iterable[str]) -> AudioSurvey:
    """Finds which of the clips a folder holds audio of.

    Files are not decoded: one that holds no sound counts as there.

    Args:
      audio_dir: Searched with all its subfolders.
      segment_ids: The clips.

    Raises:
      InputError: `audio_dir` is not a folder.
    """
    if not os.path.isdir(audio_dir):
        raise InputError(
            f"{audio_dir} is not a folder. Give that of the clips."
        )
    listing = list_audio_files(audio_dir)
    matches = match_audio(segment_ids, preferred_first(listing.paths))
    counter = collections.Counter(
        name_scheme(segment_id, path)
        for segment_id, path in matches.path_of_clip.items()
    )
    used = {scheme: counter[scheme] for scheme in SCHEMES if counter[scheme]}
    return AudioSurvey(audio_dir, listing, matches, used)
