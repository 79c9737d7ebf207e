"""What audio a folder holds of given clips, and what else lies in it."""

import collections
import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from audioset_strong.errors import InputError
from audioset_strong.features.audio_listing import (
    AudioListing,
    list_audio_files,
    preferred_first,
)
from audioset_strong.features.audio_names import (
    SCHEMES,
    AudioMatches,
    match_audio,
    name_scheme,
)

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
