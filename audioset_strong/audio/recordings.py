"""Finds the recordings that label files name, and how long they are.

Label files of other tools name a recording by its path, by its file name or
without an extension. Unlike AudioSet's (`listing.py`) such a name is never
taken apart: it is that of one file below the folder of audio, or an error.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence

import soundfile

from audioset_strong.audio.decode import decode_audio, open_audio
from audioset_strong.audio.formats import sniff_open_file
from audioset_strong.audio.listing import AUDIO_EXTENSIONS

# Formats whose header need not say how long they are.
_WITHOUT_LENGTH = ("ogg", "mp3")
# No recording has more samples; where a header leaves the length open,
# libsndfile gives a larger number.
_MAX_SAMPLES = 1 << 40
# Any rate will do to measure a length; this one resamples fast.
_SAMPLE_RATE = 16000


def recording_id_of(path: str, audio_dir: str) -> str:
    """Names a recording: its path below `audio_dir`, without extension."""
    return _without_extension(_below(path, audio_dir))


def find_recordings(
    names: Iterable[str], paths: Sequence[str], audio_dir: str
) -> tuple[dict[str, str], dict[str, str]]:
    r"""Finds the file of each name.

    The first of these that any file has counts: the path below `audio_dir`,
    that without extension, the file name, that without extension; last, either
    without an ending that is no extension of audio. So a list can name files of
    other folders, or of before a conversion.

    Args:
      names: As label files write them; `/` or `\` between folders.
      paths: Audio files below `audio_dir`.
      audio_dir: The folder.

    Returns:
      Path of each name that is that of one file; and, for the others, what was
      expected and what is there.
    """
    paths_of_key: dict[str, list[str]] = {}
    # By what comes before an ending that may be an extension or not.
    paths_of_stem: dict[str, list[str]] = {}
    for path in paths:
        below = _below(path, audio_dir)
        file_name = below.rpartition("/")[2]
        # Only a path has a slash in front.
        for key in {
            f"/{below}",
            f"/{_without_extension(below)}",
            file_name,
            _without_extension(file_name),
        }:
            paths_of_key.setdefault(key, []).append(path)
        stem, extension = os.path.splitext(below)
        if extension and extension.lower() not in AUDIO_EXTENSIONS:
            for key in {f"/{stem}", stem.rpartition("/")[2]}:
                paths_of_stem.setdefault(key, []).append(path)
    found: dict[str, str] = {}
    name_of_path: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name in dict.fromkeys(names):
        below = os.path.normpath(name.replace("\\", "/")).lstrip("/")
        file_name = below.rpartition("/")[2]
        keys = (
            f"/{below}",
            f"/{_without_extension(below)}",
            file_name,
            _without_extension(file_name),
        )
        named = next(
            (
                paths[key]
                for paths in (paths_of_key, paths_of_stem)
                for key in keys
                if key in paths
            ),
            [],
        )
        if not named:
            problems[name] = f"expected an audio file {name!r} in {audio_dir}"
        elif len(named) > 1:
            problems[name] = (
                f"expected one audio file {name!r}, there are {named[0]} and "
                f"{named[1]}"
            )
        elif named[0] in name_of_path:
            problems[name] = (
                f"expected one name a recording; {name_of_path[named[0]]!r} "
                f"and {name!r} both are {named[0]}"
            )
        else:
            found[name] = named[0]
            name_of_path[named[0]] = name
    return found, problems


def measure_seconds(path: str) -> float:
    """Measures how long a recording is: by its header, or else by decoding it.

    Raises:
      AudioError: It is gone, empty or cannot be decoded.
      OSError: Object storage does not answer.
    """
    with open_audio(path) as file:
        info = None
        if sniff_open_file(file) not in _WITHOUT_LENGTH:
            file.seek(0)
            with contextlib.suppress(soundfile.LibsndfileError):
                info = soundfile.info(file)
    if info is None or not 0 < info.frames < _MAX_SAMPLES:
        return decode_audio(path, _SAMPLE_RATE).file_seconds
    return float(info.frames / info.samplerate)


def _below(path: str, audio_dir: str) -> str:
    """Returns a path below a folder, local or remote, with `/` as separator."""
    prefix = audio_dir.rstrip("/") + "/"
    if path.startswith(prefix):
        return path[len(prefix) :]
    return os.path.relpath(path, audio_dir).replace(os.sep, "/")


def _without_extension(name: str) -> str:
    """Removes an extension of audio, and no other ending after a dot."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in AUDIO_EXTENSIONS else name
