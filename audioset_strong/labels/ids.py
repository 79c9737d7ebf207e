"""Segment ids, the names of clips, and lists of them.

A segment id is any text on one line without a tab. Those of AudioSet are
`<ytid>_<start ms>`, such as `s9d-2nhuJCQ_30000`: a YouTube id of 11 characters,
which can hold `-` and `_` itself, and where in the video the clip starts. Only
ids of this form are ever taken apart; in all others (`rec_105`, `007`, `dog 1`)
spaces, zeros, dashes and underscores mean nothing.

Clips of one *group* (a recording, a speaker, a site) belong on one side of
every split. AudioSet's groups are the YouTube ids; any other clip is a group of
its own, unless a list of clips says more (`clips.py`).

A clip list is a file for groups of people that compare on the same clips: UTF-8
text, one segment id a line, each once. Lines that start with `#` are comments,
and empty lines are ignored:

    # 2 clips, hash 7a8d1ea97d3cd779.
    # Audio of eval_segments.csv in audio/eval.
    --4gqARaEJE_0
    --BfvyPmVMo_20000

Source: our choice, BUILD_NOTES.md "Clip lists".
"""

import difflib
import hashlib
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from audioset_strong.errors import InputError
from audioset_strong.files import open_output

_Path = str | os.PathLike[str]

# No space, comma, quote, control character or half of a surrogate pair, so that
# a YTID or mid can stand in every label file.
YTID_PATTERN = r"[^\s\",\x00-\x1f\ud800-\udfff]+"
MID_PATTERN = YTID_PATTERN
# Any text that a line of a TSV can hold, but for a space at its start: no
# control character, no half of a surrogate pair.
SEGMENT_ID_PATTERN = (
    r"[^\s\x00-\x1f\x7f\ud800-\udfff][^\x00-\x1f\x7f\ud800-\udfff]*"
)
_SEGMENT_ID = re.compile(SEGMENT_ID_PATTERN)
# A start with leading zeros would be a second name of the same clip.
_AUDIOSET_ID = re.compile(r"([A-Za-z0-9_-]{11})_(0|[1-9][0-9]{0,9})")


class AudioSetId(NamedTuple):
    """The parts of a segment id of AudioSet.

    Attributes:
      ytid: YouTube id, 11 characters.
      start_ms: Start of the clip in the video, in milliseconds.
    """

    ytid: str
    start_ms: int


def make_segment_id(ytid: str, start_seconds: float) -> str:
    """Builds the segment id of a clip that starts at `start_seconds`.

    Milliseconds are rounded, not cut: three released starts are fractional, and
    417.3 * 1000 is 417299.99... in floating point.
    """
    return f"{ytid}_{round(start_seconds * 1000)}"


def is_segment_id(text: str) -> bool:
    """Whether `text` can be a segment id: one line, no tab, not blank."""
    return _SEGMENT_ID.fullmatch(text) is not None


def parse_audioset_id(segment_id: str) -> AudioSetId | None:
    """Takes a segment id of AudioSet apart; None for any other text."""
    match = _AUDIOSET_ID.fullmatch(segment_id)
    return AudioSetId(match[1], int(match[2])) if match else None


def group_of_segment(segment_id: str) -> str:
    """Returns the group of a clip that no list names.

    That is the YouTube id of a clip of AudioSet, or the id as a whole.
    """
    match = _AUDIOSET_ID.fullmatch(segment_id)
    return match[1] if match else segment_id


# `<ytid>_<start>_<end>` or `<ytid>_<start>.<ms>`, as download scripts write.
_START_END = re.compile(
    r"([A-Za-z0-9_-]{11})_([0-9]+(?:\.[0-9]+)?)(?:_([0-9]+(?:\.[0-9]+)?))?"
)
_YTID = re.compile(r"[A-Za-z0-9_-]{11}")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class FoundNames(NamedTuple):
    """Which segment ids other names of clips mean.

    Attributes:
      id_of_name: The segment id of each name that is not one itself.
      how: In words, how they were found, and how many that way.
      ambiguous: The ids that each name could mean, where they are several.
    """

    id_of_name: dict[str, str]
    how: dict[str, int]
    ambiguous: dict[str, list[str]]


def find_names(
    names: Sequence[str], known: Collection[str], ordered: Sequence[str] = ()
) -> FoundNames:
    """Finds the segment ids that names of clips mean.

    A name can lack the start (`<ytid>`), have a `Y` before it (`Y<ytid>`), the
    end after it (`<ytid>_<start>_<end>`, in seconds or milliseconds), a folder,
    an extension, or spaces around it; or all names are positions, from 0, in a
    list of clips. What is a segment id already stays one, and what no rule
    finds is not in the result.

    Args:
      names: Such as those of files of scores.
      known: The segment ids that there are.
      ordered: A list of clips; empty for none.
    """
    known = set(known)
    others = [name for name in names if name not in known]
    found = FoundNames({}, {}, {})
    if others and len(others) == len(names) and len(ordered):
        positions = [int(n) if n.isdecimal() else -1 for n in names]
        if min(positions) >= 0 and max(positions) < len(ordered):
            found.how["positions in the list of clips"] = len(names)
            for name, position in zip(names, positions, strict=True):
                found.id_of_name[name] = ordered[position]
            return found
    ids_of_ytid: dict[str, list[str]] = {}
    if others:
        for segment_id in known:
            ids_of_ytid.setdefault(group_of_segment(segment_id), []).append(
                segment_id
            )
    for name in others:
        for how, text in _readings(name):
            ids = [text] if text in known else []
            if not ids and _YTID.fullmatch(text):
                how, ids = f"{how}YouTube ids", ids_of_ytid.get(text, [])
            if len(ids) > 1:
                found.ambiguous[name] = sorted(ids)
            if len(ids) == 1:
                how = how.strip(", ")
                found.id_of_name[name] = ids[0]
                found.how[how] = found.how.get(how, 0) + 1
            if ids:
                break
    return found


def explain_difference(scored: Sequence[str], labelled: Sequence[str]) -> str:
    """Says in what names differ that should be the same; "" if in nothing."""
    plain_of = {_plain(name): name for name in labelled}
    for name in scored:
        other = plain_of.get(_plain(name))
        if other is not None:
            how = "characters"
            if name.casefold() == other.casefold():
                how = "capital letters"
            elif "".join(name.split()) == "".join(other.split()):
                how = "spaces"
            return f"{name!r} and {other!r} differ only in {how}"
    start_of = {group_of_segment(name): name for name in labelled}
    for name in scored:
        other = start_of.get(group_of_segment(name))
        if other is not None:
            return f"{name!r} and {other!r} are of one video, at other starts"
    for name in scored[:20]:
        close = difflib.get_close_matches(name, list(labelled)[:5000], n=1)
        if close:
            return f"{name!r} and {close[0]!r} are the most alike"
    return ""


def _plain(name: str) -> str:
    """Leaves out everything of a name but letters and digits."""
    name = unicodedata.normalize("NFKC", name).casefold()
    return "".join(filter(str.isalnum, name))


def _readings(name: str) -> Iterable[tuple[str, str]]:
    """Yields what a name may mean, the plainest first, and how."""
    base = name.strip().replace("\\", "/")
    forms = {"": name, "without spaces around them, ": name.strip()}
    forms["without their folder, "] = base.rpartition("/")[2]
    stem = _EXTENSION.sub("", forms["without their folder, "])
    forms["without folder and extension, "] = stem
    for how, text in list(forms.items()):
        if text.startswith("Y"):
            forms[f"{how}without the Y, "] = text[1:]
    for how, text in forms.items():
        yield how, text
        match = _START_END.fullmatch(text)
        if match and (match[3] or "." in match[2]):
            for unit, scale in (("seconds", 1000), ("milliseconds", 1)):
                start_ms = round(float(match[2]) * scale)
                yield f"{how}starts in {unit}, ", f"{match[1]}_{start_ms}"


def stable_fraction(key: str, salt: str = "") -> float:
    """Maps a string to a fixed pseudo-random number.

    The same on every machine and in every run, unlike Python's `hash`.

    Args:
      key: What to hash, such as a ytid.
      salt: Names the use, so that two uses of one key are independent.

    Returns:
      A number in [0, 1), uniform over keys.
    """
    digest = hashlib.sha256(f"{salt}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def read_clip_list(path: _Path) -> list[str]:
    """Reads the segment ids of a clip list, in file order.

    Raises:
      InputError: A line is no segment id or repeats one, or the file names no
        clip; names file and line.
    """
    line_of_clip: dict[str, int] = {}
    # Bytes that are not UTF-8 become characters that no segment id has.
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            segment_id = line.rstrip()
            if not segment_id or segment_id.startswith("#"):
                continue
            if not is_segment_id(segment_id):
                raise InputError(
                    f"{path}:{number}: expected a segment id, found "
                    f"{segment_id[:80]!r}. Give a clip list, such as "
                    f"report_coverage writes."
                )
            if segment_id in line_of_clip:
                raise InputError(
                    f"{path}:{number}: expected each clip once, {segment_id} "
                    f"is also in line {line_of_clip[segment_id]}."
                )
            line_of_clip[segment_id] = number
    if not line_of_clip:
        raise InputError(f"{path}: expected at least one clip, found none.")
    return list(line_of_clip)


def hash_of_clips(segment_ids: Iterable[str]) -> str:
    """Returns 16 hex digits for a set of clips, in any order."""
    joined = "\n".join(sorted(set(segment_ids)))
    return hashlib.sha256(joined.encode("utf-8")).hexdigest()[:16]


def write_clip_list(
    segment_ids: Iterable[str], path: _Path, comment: str
) -> None:
    """Writes a clip list, sorted, each clip once.

    Args:
      segment_ids: The clips.
      path: Where to write; the folder exists.
      comment: What made the list, in one or more lines.
    """
    clips = sorted(set(segment_ids))
    header = [
        f"{len(clips)} clips, hash {hash_of_clips(clips)}.",
        *comment.splitlines(),
    ]
    with open_output(path) as file:
        file.writelines(f"# {line}\n" for line in header)
        file.writelines(f"{segment_id}\n" for segment_id in clips)
