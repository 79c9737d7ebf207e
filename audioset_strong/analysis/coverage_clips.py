"""Clip lists that a coverage report writes, for comparing on the same clips."""

from collections.abc import Collection

from audioset_strong.errors import InputError
from audioset_strong.labels.clip_lists import hash_of_clips, write_clip_list


def write_found_clips(
    found: Collection[str], path: str, source: str, where: str
) -> list[str]:
    """Writes the list of the labelled clips that are there.

    Args:
      found: Segment ids.
      path: Clip list to write; not written without any clip, because readers
        take an empty list for a mistake.
      source: Which label files name the clips, for the comment.
      where: Where they were found, for the comment.

    Returns:
      What was done, as lines for people.
    """
    if not found:
        return [f"No clip is there: {path} is not written."]
    comment = f"Made by report_coverage {source}\nthat are in {where}."
    write_clip_list(found, path, comment)
    return [f"{len(found):,} clips, hash {hash_of_clips(found)}: {path}"]


def write_common_clips(
    ours: set[str], theirs: set[str], path: str, source: str, their_path: str
) -> list[str]:
    """Writes the clips that two copies have: one file from either side.

    Args:
      ours: Labelled clips that are here.
      theirs: Clips of the other list.
      path: Clip list to write.
      source: Which label files name the clips, for the comment.
      their_path: The other list, for messages.

    Returns:
      What was done, as lines for people.

    Raises:
      InputError: They share no clip.
    """
    common = ours & theirs
    if not common:
        raise InputError(
            f"{their_path} and the {len(ours):,} clips that are here share "
            f"none. Give a list of clips of the same label files."
        )
    comment = f"Made by report_coverage {source}\nthat two copies have."
    write_clip_list(common, path, comment)
    return [
        f"{len(common):,} clips are here and in {their_path}, "
        f"{len(ours - theirs):,} only here, {len(theirs - ours):,} only there.",
        f"Common clips, hash {hash_of_clips(common)}: {path}",
    ]
