"""Score files at the hop used, as `predict` writes them for recordings.

An `.npz` with the frames of all recordings one after the other, so that
recordings of any length cost no more than their frames:

    segment_ids     str `[num_clips]`
    mids            str `[num_classes]`
    display_names   str `[num_classes]`, optional
    scores          float32 `[num_frames_of_all, num_classes]`
    num_frames      int `[num_clips]`
    frame_seconds   float, length and hop of a frame
    audio_seconds   float `[num_clips]`, how long each recording is
    class_map_hash  str, `class_map.hash_of_mids` of mids

Frame i stands for the audio from second i * frame_seconds on, for
frame_seconds. Metrics of events take these frames, metrics of label frames take
them pooled (`scores.py`). The file says how long its recordings are and what
their classes are called, so that neither a list of clips nor a class map has to
be given.
"""

import dataclasses
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import (
    LOGITS_NOTE,
    LabelFrameScores,
    Path,
    check_pooling,
    check_unique_texts,
    load_arrays,
    logits_to_probabilities,
    only_value,
    pool_onto_label_frames,
)
from audioset_strong.labels.class_map import (
    ClassMap,
    KnownClasses,
    check_class_hash,
)
from audioset_strong.labels.clips import lengths_of_clips, make_clips_table
from audioset_strong.labels.frame_rule import num_label_frames_of
from audioset_strong.labels.ids import group_of_segment

_ARRAYS = (
    "segment_ids",
    "mids",
    "scores",
    "num_frames",
    "frame_seconds",
    "audio_seconds",
)
# Frames that are checked at a time.
_FRAMES_AT_ONCE = 1 << 14
# Of label frames, most of them of no recording.
_MOST_BYTES = 4 << 30
# Sums of frame lengths are off by less.
_TOLERANCE_SECONDS = 1e-6

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class NativeScores:
    """Scores of recordings over time (module docstring).

    Attributes:
      segment_ids: str `[num_clips]`, unique.
      mids: str `[num_classes]`, unique.
      scores: float `[num_frames_of_all, num_classes]`, finite.
      num_frames: int64 `[num_clips]`.
      frame_seconds: Length and hop of a frame.
      audio_seconds: float64 `[num_clips]`, above 0.
      display_names: Name of each mid to show; may be empty.
      source: Where the scores are from, such as a path, for reports.
      notes: What a reader of results must know of how they were read.
    """

    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    scores: npt.NDArray[np.floating[Any]]
    num_frames: npt.NDArray[np.integer[Any]]
    frame_seconds: float
    audio_seconds: _Floats
    display_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source: str = "an array"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `InputError` for an array of another shape, dtype or range."""
        check_unique_texts("segment_ids", self.segment_ids)
        check_unique_texts("mids", self.mids)
        num_clips = self.segment_ids.size
        counts, seconds = self.num_frames, self.audio_seconds
        if counts.shape != (num_clips,) or counts.dtype.kind not in "iu":
            raise InputError(
                f"num_frames must be int [num_clips] = [{num_clips}], found "
                f"{list(counts.shape)} of {counts.dtype}."
            )
        expected = int(counts.sum()), self.mids.size
        if self.scores.shape != expected or (counts < 0).any():
            raise InputError(
                f"scores must be [sum of num_frames, num_classes] = "
                f"{list(expected)}, found {list(self.scores.shape)}."
            )
        if self.scores.dtype.kind != "f":
            raise InputError(
                f"scores must be float, found {self.scores.dtype}."
            )
        if seconds.shape != (num_clips,) or not (
            np.isfinite(seconds).all() and (seconds > 0).all()
        ):
            raise InputError(
                f"audio_seconds must be numbers above 0, [num_clips] = "
                f"[{num_clips}], found {list(seconds.shape)} of "
                f"{seconds.dtype}, {seconds[:3].tolist()}..."
            )
        if not 0 < self.frame_seconds < np.inf:
            raise InputError(
                f"frame_seconds must be above 0, found {self.frame_seconds}."
            )
        for start in range(0, len(self.scores), _FRAMES_AT_ONCE):
            is_good = np.isfinite(self.scores[start : start + _FRAMES_AT_ONCE])
            if not is_good.all():
                frame, column = np.argwhere(~is_good)[0].tolist()
                ends = np.cumsum(counts)
                clip = int(np.searchsorted(ends, start + frame, side="right"))
                frame += start - int(ends[clip] - counts[clip])
                raise InputError(
                    f"scores must be finite, found NaN or infinity for "
                    f"{self.segment_ids[clip]} at "
                    f"{frame * self.frame_seconds:g} s, class "
                    f"{self.mids[column]}. Check the model that wrote them."
                )

    def of_clip(self, clip: int) -> npt.NDArray[np.floating[Any]]:
        """Returns the scores of a clip, a view `[num_frames, num_classes]`."""
        end = int(self.num_frames[: clip + 1].sum())
        return self.scores[end - int(self.num_frames[clip]) : end]

    def edges_seconds(self, clip: int) -> _Floats:
        """Returns the edges of a clip's frames that begin before its end.

        float64 `[num_frames_within + 1]`; the last is not after the end of the
        audio.
        """
        seconds = float(self.audio_seconds[clip])
        edges = np.arange(self.num_frames[clip] + 1) * self.frame_seconds
        num_within = int(
            np.searchsorted(edges[:-1], seconds - _TOLERANCE_SECONDS)
        )
        return np.minimum(edges[: num_within + 1], seconds)

    def within(self, clips: pd.DataFrame | None) -> "NativeScores":
        """Takes lengths from a clips table that are shorter than the audio."""
        listed = lengths_of_clips(self.segment_ids, clips, np.inf)
        return dataclasses.replace(
            self, audio_seconds=np.minimum(self.audio_seconds, listed)
        )

    def pool(self, pooling: str = "mean") -> LabelFrameScores:
        """Pools the frames of each recording onto its label frames.

        Args:
          pooling: "mean" or "max" (`scores.py`).

        Raises:
          InputError: No recording has a whole label frame, or their lengths
            differ so much that the score file would take many GB.
        """
        check_pooling(pooling)
        most = num_label_frames_of(self.audio_seconds)  # [num_clips]
        if not most.max(initial=0):
            raise InputError(
                "Expected recordings with a whole label frame, 0.96 s, found "
                "none. Give longer ones."
            )
        shape = len(most), int(most.max()), self.mids.size
        num_bytes = 4 * math.prod(shape)
        # A score file has room for the longest clip in each.
        if num_bytes > _MOST_BYTES and shape[1] > 4 * most.mean():
            longest = str(self.segment_ids[np.argmax(most)])
            raise InputError(
                f"Expected recordings of lengths that are alike, as label "
                f"frames of all take {num_bytes / 1e9:.0f} GB if each has room "
                f"for those of {longest!r}, found {most.mean():.0f} on average "
                f"and {shape[1]} of it. Score the long ones into a file of "
                f"their own."
            )
        pooled = np.zeros(shape, dtype=np.float32)
        num_scored = np.zeros(len(most), dtype=np.int64)
        for clip, num_label_frames in enumerate(most):
            edges = self.edges_seconds(clip)
            pooled[clip, :num_label_frames], num_scored[clip] = (
                pool_onto_label_frames(
                    self.of_clip(clip)[: len(edges) - 1],
                    edges,
                    pooling,
                    num_label_frames,
                )
            )
        note = (
            f"{len(self.scores):,} frames of {self.frame_seconds:g} s in "
            f"{len(most):,} recordings, pooled by {pooling} onto "
            f"{num_scored.sum():,} label frames"
        )
        logging.info("Scores: %s.", note)
        return LabelFrameScores(
            segment_ids=self.segment_ids,
            mids=self.mids,
            scores=pooled,
            num_label_frames=num_scored,
            display_names=self.display_names,
            source=self.source,
            notes=(*self.notes, note),
        )


def is_native(path: Path) -> bool:
    """Whether a file holds scores at the hop used, by its arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "num_frames.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_native_scores(
    path: Path, known: KnownClasses = KnownClasses(), is_logits: bool = False
) -> NativeScores:
    """Reads a score file at the hop used.

    Args:
      path: The `.npz`.
      known: Display names, which hold before those of the file.
      is_logits: Whether to turn the scores into probabilities.

    Raises:
      InputError: An array is missing or not as the module docstring says.
    """
    arrays = load_arrays(path)
    try:
        missing = [name for name in _ARRAYS if name not in arrays]
        if missing:
            raise InputError(
                f"expected scores at the hop used, with {list(_ARRAYS)}, found "
                f"no {missing}."
            )
        mids, scores = arrays["mids"], arrays["scores"]
        if "class_map_hash" in arrays:
            check_class_hash(
                mids.tolist(),
                str(only_value(arrays, "class_map_hash", "U", "str")),
                "mids",
                "The columns are not those that were written: score again.",
            )
        return NativeScores(
            segment_ids=arrays["segment_ids"],
            mids=mids,
            scores=logits_to_probabilities(scores) if is_logits else scores,
            num_frames=arrays["num_frames"],
            frame_seconds=float(
                only_value(arrays, "frame_seconds", "fiu", "number")
            ),
            audio_seconds=arrays["audio_seconds"].astype(np.float64),
            display_names={**_names(arrays), **known.name_of_mid},
            source=os.fspath(path),
            notes=(LOGITS_NOTE,) if is_logits else (),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _names(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
    """Returns the name of each mid, or {}."""
    names = arrays.get("display_names", arrays["mids"][:0])
    if not names.size:
        return {}
    return dict(zip(arrays["mids"].tolist(), names.tolist(), strict=True))


def read_recordings(
    path: Path,
) -> tuple[ClassMap | None, pd.DataFrame | None]:
    """Reads what a score file says of its classes and recordings.

    Returns:
      The class map, and the clips table with the length of each recording; None
      and None if these are not scores at the hop used.
    """
    if not is_native(path):
        return None, None
    names = ("segment_ids", "mids", "display_names", "audio_seconds")
    arrays = load_arrays(path, names)
    if not {"segment_ids", "mids", "audio_seconds"} <= set(arrays):
        return None, None  # `read_native_scores` says what is wrong.
    mids = arrays["mids"].tolist()
    name_of = _names(arrays) or dict(zip(mids, mids, strict=True))
    ids = arrays["segment_ids"].tolist()
    clips = make_clips_table(
        ids, arrays["audio_seconds"].tolist(), list(map(group_of_segment, ids))
    )
    return ClassMap(tuple(mids), tuple(name_of.values())), clips
