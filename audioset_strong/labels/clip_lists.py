"""Clip lists: files that name clips, for groups that compare on the same ones.

The format is UTF-8 text, one segment id a line; lines that start with `#` are
comments and empty lines count for nothing. No segment id stands twice.

    # 2 clips, hash 7a8d1ea97d3cd779.
    # Audio of eval_segments.csv in audio/eval.
    --4gqARaEJE_0
    --BfvyPmVMo_20000

Source: our choice, BUILD_NOTES.md "Clip lists".
"""

import hashlib
import os
from collections.abc import Iterable

from audioset_strong.errors import InputError
from audioset_strong.labels.segments import is_segment_id
from audioset_strong.output_files import open_output

_Path = str | os.PathLike[str]


def read_clip_list(path: _Path) -> list[str]:
    """Reads a clip list.

    Args:
      path: The file (module docstring).

    Returns:
      Its segment ids, in file order.

    Raises:
      InputError: A line is no segment id or one that stood before, or the file
        names no clip; names file and line.
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
    """Returns 16 hex digits for a set of clips, in whatever order."""
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
