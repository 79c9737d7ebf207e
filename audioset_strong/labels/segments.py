"""Segment ids: the names of clips.

A `segment_id` is `<ytid>_<start ms>`, such as `s9d-2nhuJCQ_30000`. YouTube ids
hold `-` and `_` themselves, so the id is split at its last underscore.
"""

import hashlib
import re

from audioset_strong.errors import InputError

# What a segment id may be; a start with leading zeros would be a second name of
# the same clip. No space, comma, quote, control character or half of a
# surrogate pair, so that it can stand in every label file.
YTID_PATTERN = r"[^\s\",\x00-\x1f\ud800-\udfff]+"
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
