"""All that is known of the clips of a page.

`Inspection.prepare` collects what is known of one clip, as JSON-ready values
beside files of its sound, spectrogram and scores (`audio.py`):

    seconds   length of the timeline: of the sound, or of labels that end later
    audio     name of the sound's file, or null; `note` says what is wrong
    log_mel   [[name of an image, its start and its end in seconds]]
    overview  the same of one image of everything, or null
    weak      [class], or null if no file names the clip
    strong    [[class, onset, offset]], or null
    framed    {class: a letter for each label frame}, or null: P present, C
              complementary negative, E explicit negative, a space for unknown
    scores    {name of a file of float32 [num_classes, num_frames], num_frames,
              frame_seconds, peaks: [highest of each class]}, or null

Classes are positions in `Inspection.classes`.
"""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.audio.decode import AudioError
from audioset_strong.inspection.audio import write_clip_audio
from audioset_strong.labels.frame_rule import (
    frame_strong_labels,
    params_of_length,
)
from audioset_strong.labels.label_files import is_complementary
from audioset_strong.params import LabelFrameParams

# Length of label frames, which framed labels always have.
FRAME_SECONDS = LabelFrameParams().label_frame_seconds


class Place(NamedTuple):
    """Where a clip's audio is; seconds is None for all to the end."""

    path: str
    start_seconds: float
    seconds: float | None


class FrameScores(NamedTuple):
    """Scores over time: of each clip float `[num_frames, num_classes]`."""

    mids: list[str]
    frame_seconds: float
    of_clip: Mapping[str, npt.NDArray[np.floating[Any]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """Everything that a page shows.

    Attributes:
      segment_ids: The clips.
      places: Where the audio of each is that has any.
      classes: Mid, name and threshold (or None) of each class.
      weak: Weak table of these clips; None if no file was given.
      strong: Strong table, likewise.
      framed: Framed table, likewise.
      absent: Explicit negatives for framing, likewise.
      listed_seconds: Length of the clips that a list names.
      scores: Scores over time, or None.
      errors: Worst errors: {"evaluation": name, "rows": [[kind, clip, class,
        onset, offset, score]]}, the clip by its number; onset and offset are
        None for whole clips.
    """

    segment_ids: list[str]
    places: Mapping[str, Place]
    classes: list[tuple[str, str, float | None]]
    weak: pd.DataFrame | None = None
    strong: pd.DataFrame | None = None
    framed: pd.DataFrame | None = None
    absent: pd.DataFrame | None = None
    listed_seconds: Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )
    scores: FrameScores | None = None
    errors: Sequence[Mapping[str, Any]] = ()

    @functools.cached_property
    def class_of(self) -> dict[str, int]:
        """Position in `classes` of each mid."""
        return {mid: n for n, (mid, _, _) in enumerate(self.classes)}

    def labelled_classes(self) -> list[list[int]]:
        """Returns the classes that each clip is labelled with."""
        found: dict[str, set[str]] = {s: set() for s in self.segment_ids}
        labels = present_labels(self.weak, self.strong, self.framed)
        for segment_id, mid in labels.itertuples(index=False, name=None):
            found[segment_id].add(mid)
        return [
            sorted(map(self.class_of.__getitem__, mids))
            for mids in found.values()
        ]

    def prepare(self, number: int, folder: str) -> dict[str, Any]:
        """Collects what is known of a clip (module docstring).

        Args:
          number: Which clip.
          folder: Where to write its files; it exists.
        """
        segment_id = self.segment_ids[number]
        of_clip = [
            None if t is None else t[t["segment_id"] == segment_id]
            for t in (self.weak, self.strong, self.framed, self.absent)
        ]
        weak, strong, framed, absent = of_clip
        known = self._prepare_audio(segment_id, folder)
        known["seconds"] = max(
            known["seconds"],
            self.listed_seconds.get(segment_id, 0.0),
            0.0 if strong is None else _last(strong["offset_seconds"]),
            0.0
            if framed is None
            else (_last(framed["label_frame"]) + 1) * FRAME_SECONDS,
            0.0 if self.scores is None else self._scored_seconds(segment_id),
        )
        if framed is None and strong is not None:
            # Events may end some milliseconds after the sound.
            params = params_of_length(known["seconds"] + 0.01)
            framed = frame_strong_labels(strong, absent, params)
        mids = [] if weak is None else [m for ms in weak["mids"] for m in ms]
        known["weak"] = (
            None
            if weak is None or weak.empty
            else [self.class_of[mid] for mid in dict.fromkeys(mids)]
        )
        known["strong"] = (
            None
            if strong is None
            else [
                (self.class_of[mid], onset, offset)
                for mid, onset, offset in strong[
                    ["mid", "onset_seconds", "offset_seconds"]
                ].itertuples(index=False, name=None)
            ]
        )
        known["framed"] = None if framed is None else self._letters(framed)
        known["scores"] = self._prepare_scores(segment_id, folder)
        return known

    def _prepare_audio(self, segment_id: str, folder: str) -> dict[str, Any]:
        """Writes sound and spectrogram; says why if there is none."""
        place = self.places.get(segment_id)
        known: dict[str, Any] = {
            "seconds": 0.0,
            "audio": None,
            "log_mel": [],
            "overview": None,
        }
        if place is None:
            return {**known, "note": "There is no audio of this clip."}
        try:
            audio = write_clip_audio(*place, folder)
        except (AudioError, OSError) as error:
            logging.warning("%s has no sound: %s", segment_id, error)
            return {**known, "note": f"The audio cannot be used: {error}"}
        return {
            "seconds": audio.seconds,
            "audio": "audio.flac",
            "log_mel": audio.tiles,
            "overview": audio.overview,
            "note": audio.truncation
            and f"The end of the audio is missing: {audio.truncation}.",
        }

    def _scored_seconds(self, segment_id: str) -> float:
        """Length of the scored frames, less what the last may be too long."""
        assert self.scores is not None
        scores = self.scores.of_clip.get(segment_id)
        num_frames = 0 if scores is None else len(scores)
        return max(num_frames - 1, 0) * self.scores.frame_seconds

    def _letters(self, framed: pd.DataFrame) -> dict[int, str]:
        """Writes framed labels as letters (module docstring)."""
        num_frames = int(_last(framed["label_frame"])) + 1
        cells: dict[int, list[str]] = {}
        letters = np.where(is_complementary(framed), "C", "E")
        letters[framed["is_present"].to_numpy(dtype=bool)] = "P"
        rows = zip(framed["mid"], framed["label_frame"], letters.tolist())
        # PRESENT overrides NOT_PRESENT, as in evaluation.
        for mid, frame, letter in sorted(rows, key=lambda row: row[2] == "P"):
            own = cells.setdefault(self.class_of[mid], [" "] * num_frames)
            own[frame] = letter
        return {number: "".join(own) for number, own in cells.items()}

    def _prepare_scores(
        self, segment_id: str, folder: str
    ) -> dict[str, Any] | None:
        """Writes the scores of a clip, class by class."""
        if self.scores is None or segment_id not in self.scores.of_clip:
            return None
        scores = self.scores.of_clip[segment_id]  # [num_frames, num_classes]
        by_class = np.ascontiguousarray(scores.T, dtype="<f4")
        by_class.tofile(os.path.join(folder, "scores.f32"))
        return {
            "name": "scores.f32",
            "num_frames": by_class.shape[1],
            "frame_seconds": self.scores.frame_seconds,
            "peaks": np.round(by_class.max(axis=1, initial=0), 4).tolist(),
        }


def present_labels(
    weak: pd.DataFrame | None,
    strong: pd.DataFrame | None,
    framed: pd.DataFrame | None,
) -> pd.DataFrame:
    """Returns segment_id and mid of all that labels say is there."""
    tables = []
    if weak is not None:
        exploded = weak[["segment_id", "mids"]].explode("mids").dropna()
        tables.append(exploded.rename(columns={"mids": "mid"}))
    if strong is not None:
        tables.append(strong[["segment_id", "mid"]])
    if framed is not None:
        tables.append(framed.loc[framed["is_present"], ["segment_id", "mid"]])
    return pd.concat(
        [pd.DataFrame({"segment_id": [], "mid": []}, dtype=object), *tables]
    ).drop_duplicates()


def _last(values: "pd.Series[Any]") -> float:
    """Returns the highest, or -1 of none."""
    return float(values.max()) if len(values) else -1.0
