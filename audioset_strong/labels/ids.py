"""Segment ids, the names of clips, and lists of them.

A `segment_id` is `<ytid>_<start ms>`, such as `s9d-2nhuJCQ_30000`. YouTube ids
hold `-` and `_` themselves, so the id is split at its last underscore.

A clip list is a file for groups that compare on the same clips: UTF-8 text, one
segment id a line, each once. Lines that start with `#` are comments, and empty
lines are ignored:

    # 2 clips, hash 7a8d1ea97d3cd779.
    # Audio of eval_segments.csv in audio/eval.
    --4gqARaEJE_0
    --BfvyPmVMo_20000

Source: our choice, BUILD_NOTES.md "Clip lists".
"""

import hashlib
import os
import re
from collections.abc import Iterable

from audioset_strong.errors import InputError
from audioset_strong.files import open_output

_Path = str | os.PathLike[str]

# No space, comma, quote, control character or half of a surrogate pair, so that
# a YTID or mid can stand in every label file.
YTID_PATTERN = r"[^\s\",\x00-\x1f\ud800-\udfff]+"
MID_PATTERN = YTID_PATTERN
# A start with leading zeros would be a second name of the same clip.
SEGMENT_ID_PATTERN = rf"{YTID_PATTERN}_(?:0|[1-9][0-9]{{0,9}})"
_SEGMENT_ID = re.compile(SEGMENT_ID_PATTERN)


def make_segment_id(ytid: str, start_seconds: float) -> str:
    """Builds the segment id of a clip that starts at `start_seconds`.

    Milliseconds are rounded, not cut: three released starts are fractional, and
    417.3 * 1000 is 417299.99... in floating point.
    """
    return f"{ytid}_{round(start_seconds * 1000)}"


def is_segment_id(text: str) -> bool:
    """Whether `text` has the form `<ytid>_<start ms>`."""
    return _SEGMENT_ID.fullmatch(text) is not None


def ytid_of_segment(segment_id: str) -> str:
    """Returns the YouTube id of a segment id.

    Raises:
      InputError: `segment_id` is not `<ytid>_<start ms>`.
    """
    if not is_segment_id(segment_id):
        raise InputError(
            f"Expected a segment id '<ytid>_<start ms>'. Received: "
            f"{segment_id!r}."
        )
    return segment_id.rsplit("_", 1)[0]


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
                    f"{path}:{number}: expected '<ytid>_<start ms>', found "
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
