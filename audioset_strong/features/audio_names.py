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
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from audioset_strong.labels.segments import make_segment_id, ytid_of_segment

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
