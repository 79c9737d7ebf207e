"""Lists audio files, and finds the one that holds a clip; decodes none.

People name the audio of clip `s9d-2nhuJCQ_30000` in many ways. These count, in
folders of any depth and also with `Y`, `id_` or `id_Y` before the ytid, the
most exact first:

  <ytid>_<ms>           s9d-2nhuJCQ_30000           the segment id
  <ytid>_<start>_<end>  s9d-2nhuJCQ_30_40           seconds, whole or decimal
                        Ys9d-2nhuJCQ_30.000_40.000
                        s9d-2nhuJCQ_30.0-40.0       also with dashes
                        s9d-2nhuJCQ-30.000-40.000
                        id_s9d-2nhuJCQ_30000_40000  or milliseconds
  <ytid>_<start>        s9d-2nhuJCQ_30.000          seconds, decimal
  <ytid>                Ys9d-2nhuJCQ
  <title> [<ytid>]      A dog [s9d-2nhuJCQ]         as yt-dlp does

The audio of a clip with any other id is named after all of the id, and nothing
else: `rec_105.wav` holds clip `rec_105`, and so it does for an id that is a
file name itself, `rec_105.wav`.

A single whole number is milliseconds, so `_30` is never 30 s; two numbers, or
one with a decimal point, are seconds. Two whole numbers that are 1,000 or more
apart are milliseconds: clips are ten seconds long. A name with another start
belongs to another clip. The end is ignored: label files do not agree on it.

Ytids contain `-` and `_` and may begin with `-` or `Y`, so a name cannot be
split without knowing the clips. Instead each file is indexed under everything
that its name may mean, and a clip looks for its own names. All ytids have 11
characters, so no name can mean two of them; but for those that begin with
`id_`, of which there is one in 260,000.

Files are told by content. Names only say which to look at first: those with an
extension of audio; then, where a clip has none, those with an extension that is
not known or with none. Known others such as `.json` are not looked at.

Parquet files and tars among the files are looked into (`containers.py`); what
names their members counts as a file name does.

Coverage is reported where no audio library is installed, so none is imported.
"""

import collections
import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from absl import logging

from audioset_strong import files
from audioset_strong.audio.containers import (
    COMPRESSED_EXTENSIONS,
    is_container,
    list_containers,
)
from audioset_strong.audio.formats import (
    EXTENSIONS_OF_FORMAT,
    SOUNDFILE_FORMATS,
    sniff_open_file,
)
from audioset_strong.errors import InputError
from audioset_strong.labels.ids import (
    make_segment_id,
    parse_audioset_id,
)

AUDIO_EXTENSIONS = tuple(
    dict.fromkeys(e for es in EXTENSIONS_OF_FORMAT.values() for e in es)
)
_SOUNDFILE_EXTENSIONS = tuple(
    e for name in SOUNDFILE_FORMATS for e in EXTENSIONS_OF_FORMAT[name]
)

# Of yt-dlp (x.webm.part, x.webm.part-Frag3, x.webm.ytdl, x.temp.flac) and other
# programs, as the last extension or the one before it.
_UNFINISHED = (".part", ".tmp", ".temp", ".ytdl", ".crdownload")

# Extensions of files that lie beside audio and are none.
_OTHER_EXTENSIONS = frozenset(
    (
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".html"),
        *(".htm", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".log"),
        *(".lab", ".jams", ".textgrid", ".srt", ".vtt", ".ass", ".lrc", ".nfo"),
        *(".url", ".description", ".jpg", ".jpeg", ".png", ".gif", ".webp"),
        *(".svg", ".bmp", ".tif", ".tiff", ".pdf", ".py", ".sh", ".ipynb"),
        *(".r", ".m", ".js", ".npy", ".npz", ".pkl", ".pt", ".pth", ".h5"),
        *(".hdf5", ".mat", ".db", ".sqlite", ".tfrecord", ".arrow", ".zip"),
        *(".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".md5", ".sha256"),
    )
)

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(rf"(.+)[_-]({_NUMBER})[_-]({_NUMBER})", re.DOTALL)
_TITLE = re.compile(r".*\[([A-Za-z0-9_-]+)\]", re.DOTALL)
_DECIMAL_START = re.compile(r"(.+)_([0-9]+\.[0-9]+)", re.DOTALL)

# What a name may have after the ytid, and what that form is called; the most
# exact first.
_FORMS = (
    (re.compile("_[0-9]+"), "<ytid>_<ms>"),
    (re.compile(f"_{_NUMBER}_{_NUMBER}"), "<ytid>_<start>_<end>"),
    (re.compile(f"_{_NUMBER}-{_NUMBER}"), "<ytid>_<start>-<end>"),
    (re.compile(f"-{_NUMBER}[_-]{_NUMBER}"), "<ytid>-<start>-<end>"),
    (re.compile(r"_[0-9]+\.[0-9]+"), "<ytid>_<start>"),
    (re.compile(""), "<ytid>"),
)

# What a name may have before the ytid.
_PREFIXES = ("", "Y", "id_", "id_Y")

# What `name_scheme` returns, the most exact first.
SCHEMES = (
    "<segment_id>",
    *(before + form for _, form in _FORMS for before in _PREFIXES),
    "<title> [<ytid>]",
)

# Stands before what the name of a file of unknown kind may mean.
_UNKNOWN = "/"

# What a survey says of the kinds of files that hold no clip.
_MEANINGS = {
    "duplicate_files": "further files of a clip that is there",
    "unmatched_files": "audio files of no labelled clip",
    "empty_files": "empty audio files, not counted as there",
    "unfinished_files": "unfinished files, not counted as there",
    "unreadable_folders": "folders that may not be read",
}

# Paths of each kind that a survey names; its numbers count all.
_MAX_EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class AudioListing:
    """The files below a folder of audio, in the order of folders and names.

    Attributes:
      paths: Audio files (`AUDIO_EXTENSIONS`) that are not empty.
      empty_paths: Audio files of zero bytes, and links to nothing.
      unfinished_paths: Remains of interrupted downloads and conversions, by
        their names.
      num_other_files: Number of other files by extension, such as `.txt`.
      unreadable_folders: Folders that may not be read; what they hold is not
        listed.
      num_bytes_of_path: Size of each of these but unfinished ones; of a member
        of a container, that of the container, whose change it shows.
      names_of_path: Names of each member of a container; a file's name is in
        its path.
      container_paths: The containers.
      container_notes: What containers hold that is not used, as lines.
      unknown_paths: Files that are not empty, whose extension does not say what
        they are; they count among `num_other_files`, too.
    """

    paths: list[str] = dataclasses.field(default_factory=list)
    empty_paths: list[str] = dataclasses.field(default_factory=list)
    unfinished_paths: list[str] = dataclasses.field(default_factory=list)
    num_other_files: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    unreadable_folders: list[str] = dataclasses.field(default_factory=list)
    num_bytes_of_path: dict[str, int] = dataclasses.field(default_factory=dict)
    names_of_path: dict[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )
    container_paths: list[str] = dataclasses.field(default_factory=list)
    container_notes: list[str] = dataclasses.field(default_factory=list)
    unknown_paths: list[str] = dataclasses.field(default_factory=list)

    def add(self, path: str, num_bytes: int) -> None:
        """Adds a file of a size (0 for a link to nothing) by its kind."""
        stem, extension = os.path.splitext(os.path.basename(path).lower())
        if extension.startswith(_UNFINISHED) or stem.endswith(_UNFINISHED):
            self.unfinished_paths.append(path)
        elif path.lower().endswith(COMPRESSED_EXTENSIONS):
            self.container_notes.append(
                f"{path} is compressed and not looked into; make a .tar of it."
            )
        elif is_container(path):
            self.container_paths.append(path)
        elif extension not in AUDIO_EXTENSIONS:
            self.num_other_files[extension] += 1
            if extension not in _OTHER_EXTENSIONS and num_bytes:
                self.unknown_paths.append(path)
                self.num_bytes_of_path[path] = num_bytes
        else:
            (self.empty_paths if num_bytes == 0 else self.paths).append(path)
            self.num_bytes_of_path[path] = num_bytes

    def look_into_containers(self) -> None:
        """Adds the members of the containers, after the files.

        Raises:
          InputError: A container cannot be read.
        """
        for container in list_containers(self.container_paths):
            for member in container.members:
                extension = os.path.splitext(member.name.lower())[1]
                # A row of Parquet is audio whatever it is called.
                if member.num_bytes >= 0 and extension not in AUDIO_EXTENSIONS:
                    self.num_other_files[extension] += 1
                    continue
                is_empty = member.num_bytes == 0
                (self.empty_paths if is_empty else self.paths).append(
                    member.path
                )
                self.num_bytes_of_path[member.path] = (
                    0 if is_empty else container.num_bytes
                )
                self.names_of_path[member.path] = member.keys
            if container.note:
                self.container_notes.append(container.note)
            if container.num_left_out:
                kinds = container.num_left_out.most_common()
                named = ", ".join(
                    f"{number:,} {kind}" for kind, number in kinds
                )
                self.container_notes.append(
                    f"{container.path}: {named} are not used."
                )


def list_audio(
    audio_dir: str, looks_into_containers: bool = True
) -> AudioListing:
    """Lists the files below a folder, local or remote, or a container's.

    Links are followed; a folder that is reached twice is read once, and one
    that is not there holds nothing. Containers are looked into unless the
    caller does so.

    Raises:
      InputError: A container cannot be read.
      OSError: Object storage that cannot be listed.
    """
    listing = AudioListing()
    if is_container(audio_dir) and not os.path.isdir(audio_dir):
        listing.container_paths.append(audio_dir)
    elif files.is_remote(audio_dir):
        for path, num_bytes in files.list_files(audio_dir):
            listing.add(path, num_bytes)
    else:
        _add_local_files(audio_dir, listing)
    if looks_into_containers:
        listing.look_into_containers()
    return listing


def _add_local_files(audio_dir: str, listing: AudioListing) -> None:
    """Adds the files below a local folder."""
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
            try:
                is_folder = entry.is_dir()
                num_bytes = 0 if is_folder else entry.stat().st_size
            except OSError:  # a link to nothing, or to itself
                is_folder, num_bytes = False, 0
            if is_folder:
                subfolders.append(entry.path)
            else:
                listing.add(entry.path, num_bytes)
        waiting += reversed(subfolders)


def _soundfile_first(paths: Iterable[str]) -> list[str]:
    """Moves files that libsndfile reads before videos of the same clip."""
    return sorted(
        paths, key=lambda path: not path.lower().endswith(_SOUNDFILE_EXTENSIONS)
    )


def index_listing(listing: AudioListing) -> dict[str, str]:
    """Indexes listed files as `index_paths` does.

    An empty file counts only where a clip has no other, so that the clip is
    reported as having one.
    """
    for folder in listing.unreadable_folders:
        logging.warning("%s may not be read; its files are not seen.", folder)
    for line in _first_lines(listing.container_notes):
        logging.warning("%s", line)
    paths = _soundfile_first(listing.paths) + listing.empty_paths
    path_of_key = index_paths(paths, listing.names_of_path)
    for path in listing.unknown_paths:
        for name in _names_of_unknown(path):
            for key in _keys_of_stem(name):
                key = _UNKNOWN + key
                while key in path_of_key:
                    key = _UNKNOWN + key
                path_of_key[key] = path
    return path_of_key


def indexed_audio(path_of_key: Mapping[str, str]) -> set[str]:
    """Returns the files of an index whose names say that they are audio."""
    return {
        path
        for key, path in path_of_key.items()
        if not key.startswith(_UNKNOWN)
    }


def _names_of_unknown(path: str) -> tuple[str, str]:
    """What looks like an extension may be none: `s9d-2nhuJCQ_30.000_40.000`."""
    return os.path.basename(path), _stem_of(path)


def is_audio(path: str) -> bool:
    """Whether a file holds audio, by its content."""
    if files.is_remote(path):
        return True  # decoding will tell
    try:
        with open(path, "rb") as file:
            return sniff_open_file(file) != "unknown"
    except OSError:
        return True  # and say why it cannot be read


def _first_lines(lines: Sequence[str]) -> list[str]:
    """Returns the first lines, and how many more there are."""
    num_more = len(lines) - _MAX_EXAMPLES
    more = [f"... and {num_more:,} more such lines."] if num_more > 0 else []
    return [*lines[:_MAX_EXAMPLES], *more]


def index_paths(
    paths: Iterable[str],
    names_of_path: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, str]:
    """Maps all that names may mean to the first such path.

    Args:
      paths: The files.
      names_of_path: Names of those that are not named by their path.
    """
    path_of_key: dict[str, str] = {}
    for path in paths:
        for key in _keys_of_path(path, names_of_path):
            if path_of_key.setdefault(key, path) is not path:
                # Only the extension tells `a.flac` from `a.wav`.
                path_of_key.setdefault(os.path.basename(path), path)
    return path_of_key


def find_audio(segment_id: str, path_of_key: Mapping[str, str]) -> str | None:
    """Finds the audio of a clip among indexed files; None if it is not there.

    Of several files of a clip the most exact name counts: a whole segment id
    before a time in seconds before a bare ytid, each without `Y` first. A file
    whose name does not say that it is audio counts after all others, and only
    if its content is.
    """
    path = path_of_key.get(segment_id)
    if path is not None and "/" not in segment_id:
        return path  # most are named so
    keys = _keys_of_clip(segment_id)
    for key in keys:
        if key in path_of_key:
            return path_of_key[key]
    for key in keys:
        key = _UNKNOWN + key
        while key in path_of_key:
            if is_audio(path_of_key[key]):
                return path_of_key[key]
            key = _UNKNOWN + key
    return None


def is_of_whole_video(
    segment_id: str, path: str, path_of_key: Mapping[str, str]
) -> bool:
    """Whether a file that `find_audio` found is named after the video alone."""
    parts = parse_audioset_id(segment_id)
    if parts is None or path_of_key.get(segment_id) == path:
        return False
    return any(
        path_of_key.get(before + key) == path
        for before in ("", _UNKNOWN)
        for key in _keys_of_video(parts.ytid)
    )


class AudioMatches(NamedTuple):
    """Which file holds which clip.

    Attributes:
      path_of_clip: Path of each clip that is there, as `find_audio` gives it.
      duplicate_paths: Further files of those clips.
      unmatched_paths: Files that belong to none of the clips.
    """

    path_of_clip: dict[str, str]
    duplicate_paths: list[str]
    unmatched_paths: list[str]


def match_audio(
    segment_ids: Iterable[str],
    paths: Sequence[str],
    names_of_path: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> AudioMatches:
    """Finds the audio of many clips, and the files that are left over.

    Of two files with the same meaning the first counts. Takes about 20 s for
    two million clips and files (BUILD_NOTES.md "Names of audio files").
    """
    first: dict[str, int] = {}
    further: dict[str, list[int]] = {}
    for number, path in enumerate(paths):
        for key in _keys_of_path(path, names_of_path):
            if first.setdefault(key, number) != number:
                further.setdefault(key, []).append(number)
                first.setdefault(os.path.basename(path), number)
    path_of_clip: dict[str, str] = {}
    taken: set[int] = set()
    # One byte a file, 1 where it is named after a clip.
    is_named = bytearray(len(paths))
    for segment_id in segment_ids:
        for key in _keys_of_clip(segment_id):
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


def name_scheme(segment_id: str, path: str, names: Sequence[str] = ()) -> str:
    """Returns the scheme, one of `SCHEMES`, by which a file is named.

    Args:
      segment_id: The clip.
      path: The file.
      names: Its names, if they are not in its path.

    Raises:
      ValueError: The file does not belong to this clip.
    """
    parts, stems = parse_audioset_id(segment_id), names or [_stem_of(path)]
    if parts is None:
        if {*stems, os.path.basename(path)} & {*_keys_of_clip(segment_id)}:
            return "<segment_id>"
        stems = []
    for stem, before in itertools.product(stems, _PREFIXES):
        rest = stem.removeprefix(before + parts.ytid if parts else "")
        for pattern, form in _FORMS:
            if rest != stem and pattern.fullmatch(rest):
                return before + form
    for stem in stems:
        if parts and {*_keys_of_stem(stem)} & {*_keys_of_video(parts.ytid)}:
            return "<title> [<ytid>]"
    raise ValueError(f"{path} is not named after {segment_id}.")


def _stem_of(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _keys_of_path(
    path: str, names_of_path: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Yields everything that the names of a file or member may mean."""
    for name in names_of_path.get(path) or (_stem_of(path),):
        yield from _keys_of_stem(name)


def _keys_of_stem(stem: str) -> Iterator[str]:
    """Yields everything that a name may mean.

    The name itself, `[<ytid>]` where it ends so, and `<prefix>/<start ms>`
    where it ends like a time in seconds. Both readings of `a_30_40.5` count,
    since `a_30` may be a ytid.
    """
    yield stem
    if stem.endswith("]") and (match := _TITLE.fullmatch(stem)):
        yield f"[{match[1]}]"
    if not stem[-1:].isdigit():
        return
    if (match := _RANGE.fullmatch(stem)) and float(match[2]) < float(match[3]):
        start, end = match[2], match[3]
        start_seconds = float(start)
        if start.isdigit() and end.isdigit() and int(end) - int(start) >= 1000:
            start_seconds /= 1000  # they are milliseconds
        yield _timed_key(match[1], start_seconds)
    if "." in stem and (match := _DECIMAL_START.fullmatch(stem)):
        yield _timed_key(match[1], float(match[2]))


def _timed_key(prefix: str, start_seconds: float) -> str:
    """Writes `<prefix>/<ms>`, which no name is: they contain no slash."""
    return "/".join(make_segment_id(prefix, start_seconds).rsplit("_", 1))


def _keys_of_clip(segment_id: str) -> tuple[str, ...]:
    """Lists the keys that the audio of a clip may have, most exact first."""
    parts = parse_audioset_id(segment_id)
    if parts is None:
        if "/" in segment_id:
            return ()  # no name holds one, but keys do
        stem, extension = os.path.splitext(segment_id)
        is_file_name = extension.lower() in AUDIO_EXTENSIONS
        return (segment_id, stem) if is_file_name else (segment_id,)
    timed = f"{parts.ytid}/{parts.start_ms}"
    return (
        *(before + segment_id for before in _PREFIXES),
        *(before + timed for before in _PREFIXES),
        *_keys_of_video(parts.ytid),
    )


def _keys_of_video(ytid: str) -> tuple[str, ...]:
    """Lists the keys of a file that may hold all of a video."""
    bare = (before + ytid for before in _PREFIXES)
    return (*bare, f"[{ytid}]", f"[Y{ytid}]")


@dataclasses.dataclass(frozen=True)
class AudioSurvey:
    """The files of a folder, by what they are good for.

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
        """Returns the same for people, without the kinds that do not occur."""
        lines = [
            f"{self.audio_dir}: {len(self.listing.paths):,} audio files, "
            f"{len(self.matches.path_of_clip):,} labelled clips."
        ]
        for scheme, number in self.num_of_scheme.items():
            lines.append(f"  named {scheme}: {number:,}")
        for kind, paths in self._paths_of_kind().items():
            if paths:
                first = os.path.relpath(paths[0], self.audio_dir)
                lines.append(
                    f"  {_MEANINGS[kind]}: {len(paths):,}, such as {first}"
                )
        others = self.listing.num_other_files.most_common(_MAX_EXAMPLES)
        if others:
            num_others = sum(self.listing.num_other_files.values())
            named = ", ".join(f"{n:,} {e or 'without one'}" for e, n in others)
            lines.append(
                f"  files with other extensions: {num_others:,} ({named})"
            )
        notes = _first_lines(self.listing.container_notes)
        return [*lines, *(f"  {note}" for note in notes)]


def survey_audio(audio_dir: str, segment_ids: Iterable[str]) -> AudioSurvey:
    """Finds which of the clips a folder with its subfolders holds audio of.

    Files are not decoded: one that holds no sound counts as there.

    Raises:
      InputError: `audio_dir` is not a folder.
    """
    if not os.path.isdir(audio_dir) and not is_container(audio_dir):
        raise InputError(
            f"{audio_dir} is not a folder. Give the folder of the clips."
        )
    listing = list_audio(audio_dir)
    names_of_path = dict(listing.names_of_path)
    segment_ids = list(segment_ids)
    matches = match_audio(
        segment_ids, _soundfile_first(listing.paths), names_of_path
    )
    names_of_path |= {p: _names_of_unknown(p) for p in listing.unknown_paths}
    missing = [i for i in segment_ids if i not in matches.path_of_clip]
    unknown_paths = list(listing.unknown_paths)
    while unknown_paths:
        found = match_audio(missing, unknown_paths, names_of_path).path_of_clip
        not_audio = {path for path in found.values() if not is_audio(path)}
        if not not_audio:
            matches.path_of_clip.update(found)
            break
        unknown_paths = [p for p in unknown_paths if p not in not_audio]
    counter = collections.Counter(
        name_scheme(segment_id, path, names_of_path.get(path, ()))
        for segment_id, path in matches.path_of_clip.items()
    )
    used = {scheme: counter[scheme] for scheme in SCHEMES if counter[scheme]}
    return AudioSurvey(audio_dir, listing, matches, used)
