"""Scores as they come: of recordings over time, at any frame rate.

In a file, an `.npz` with the frames of all recordings one after the other, so
that recordings of any length cost no more than their frames:

    segment_ids     str `[num_clips]`
    mids            str `[num_classes]`, or class_names or class_indices, as in
                    score files of label frames (`scores.py`)
    scores          float `[num_frames_of_all, num_classes]`
    num_frames      int `[num_clips]`
    frame_seconds   float, between the starts of two frames
    window_seconds  float, optional: how much audio a frame stands for; without
                    it as much as frame_seconds
    audio_seconds   float `[num_clips]`, optional: how long each recording is
    display_names   str `[num_classes]`, optional
    class_map_hash  str, optional: `class_map.hash_of_mids` of mids
    made_from       str, optional: what model and data the scores are of

Scores can be `[num_clips, num_frames, num_classes]` too, with frame_seconds, or
with label_frame_seconds, which makes them a score file of label frames. Then
num_frames is optional: how many frames, from the first, are of the clip. Or
they are `[num_clips, num_classes]`, one score a clip, without frame_seconds:
what a tagger gives, which stands for every moment of the clip.

Frame i stands for the audio from second i * frame_seconds on. Metrics of events
take these frames, metrics of label frames take them pooled (`scores.py`).
Nothing is narrowed: float64 stays float64, logits stay logits.
"""

import dataclasses
import functools
import math
import mmap
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import (
    LOGITS_NOTE,
    REQUIRED,
    TIME_TOLERANCE_SECONDS,
    LabelFrameScores,
    Path,
    check_finite,
    check_float,
    check_pooling,
    check_unique_texts,
    find_columns,
    load_arrays,
    only_value,
    pool_onto_label_frames,
    score_range,
    warn_of_scale_of_logits,
)
from audioset_strong.labels.class_map import ClassMap, KnownClasses
from audioset_strong.labels.clips import lengths_of_clips, make_clips_table
from audioset_strong.labels.frame_rule import num_label_frames_of
from audioset_strong.labels.ids import group_of_segment
from audioset_strong.params import LabelFrameParams

_GRID = LabelFrameParams()
# Of pooled label frames, most of them of no recording.
_MOST_BYTES = 4 << 30
# Sums of frame lengths are off by less.
_TOLERANCE_SECONDS = 1e-6
# Of scores in a file that are read at a time: 1 GB of 4 million frames.
_CLASSES_AT_ONCE = 32
# Scores that are pooled at a time: float64 of 64 MB.
_CELLS_AT_ONCE = 1 << 23

# After what a file lacks.
_ADVICE = ", or give frame_seconds, from the start of one frame to the next"

_Floats = npt.NDArray[np.float64]
_Scores = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class NativeScores:
    """Scores of recordings over time (module docstring).

    Attributes:
      segment_ids: str `[num_clips]`, unique.
      mids: str `[num_classes]`, unique.
      scores: float16, float32 or float64 `[num_rows, num_classes]`, a row a
        frame, those of a clip one after the other; can be in a file that is
        mapped into memory.
      num_frames: int64 `[num_clips]`.
      frame_seconds: Between the starts of two frames; where they are uneven,
        the typical length.
      audio_seconds: float64 `[num_clips]`, above 0; NaN where nothing says how
        long the audio is (`within`).
      window_seconds: How much audio a frame stands for, frame_seconds or more;
        None for frame_seconds.
      onset_seconds: float64 `[num_rows]`, where frames are uneven: when each
        starts in its clip; None for multiples of frame_seconds.
      offset_seconds: float64 `[num_rows]`, when each ends; None for
        window_seconds later.
      first_rows: int64 `[num_clips]`, rows of the first frame of each clip,
        where rows are left out; None if num_frames says it.
      is_logits: Whether the scores are logits.
      is_of_clips: Whether there is one score a clip and class, whose frame is
        as long as the clip.
      display_names: Name of each mid to show; may be empty.
      source: Where the scores are from, such as a path, for reports.
      notes: What a reader of results must know of how they were read.
    """

    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    scores: _Scores
    num_frames: npt.NDArray[np.integer[Any]]
    frame_seconds: float
    audio_seconds: _Floats
    window_seconds: float | None = None
    onset_seconds: _Floats | None = None
    offset_seconds: _Floats | None = None
    first_rows: npt.NDArray[np.integer[Any]] | None = None
    is_logits: bool = False
    is_of_clips: bool = False
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
        num_rows = int(counts.sum())
        if self.first_rows is not None:
            num_rows = len(self.scores)
            ends = self.first_rows + counts
            if self.first_rows.shape != (num_clips,) or (
                num_clips and not ends.max() <= num_rows
            ):
                raise InputError(
                    f"first_rows must be int [num_clips] = [{num_clips}], with "
                    f"num_frames inside of {num_rows} rows."
                )
        expected = num_rows, self.mids.size
        if self.scores.shape != expected or (counts < 0).any():
            raise InputError(
                f"scores must be [sum of num_frames, num_classes] = "
                f"{list(expected)}, found {list(self.scores.shape)}. Give the "
                f"frames of all clips one after the other, and how many each "
                f"clip has."
            )
        check_float(self.scores)
        if (
            seconds.shape != (num_clips,)
            or not (
                np.isnan(seconds) | ((seconds > 0) & (seconds < np.inf))
            ).all()
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
        if (
            self.window_seconds is not None
            and not self.frame_seconds <= self.window_seconds < np.inf
        ):
            raise InputError(
                f"window_seconds must be {self.frame_seconds:g} or more, as "
                f"windows have no gaps, found {self.window_seconds:g}. It is "
                f"how much audio a frame stands for; frame_seconds is from "
                f"one start to the next."
            )
        for name in ("onset_seconds", "offset_seconds"):
            times = getattr(self, name)
            if times is not None and times.shape != (num_rows,):
                raise InputError(
                    f"{name} must be [sum of num_frames] = [{num_rows}], found "
                    f"{list(times.shape)}."
                )

    @functools.cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """Row of the first frame of each clip, int64 `[num_clips]`."""
        if self.first_rows is not None:
            return self.first_rows.astype(np.int64)
        counts = self.num_frames.astype(np.int64)
        return np.cumsum(counts) - counts

    @property
    def end_seconds(self) -> _Floats:
        """When the last frame of each clip ends, float64 `[num_clips]`."""
        counts = self.num_frames.astype(np.int64)
        last = np.maximum(counts - 1, 0)
        if self.offset_seconds is not None:
            ends = self.offset_seconds[(self.rows + last)[counts > 0]]
        else:
            onsets = last[counts > 0] * self.frame_seconds
            ends = onsets + (self.window_seconds or self.frame_seconds)
        ends_of_all = np.zeros(len(counts))
        ends_of_all[counts > 0] = ends
        return ends_of_all

    def of_clip(self, clip: int) -> _Scores:
        """Returns the scores of a clip, a view `[num_frames, num_classes]`."""
        start = int(self.rows[clip])
        return self.scores[start : start + int(self.num_frames[clip])]

    def of_classes(
        self, columns: slice | npt.NDArray[np.integer[Any]]
    ) -> _Scores:
        """Returns the scores of some classes, `[num_rows, num_columns]`.

        They are in memory, where those of a clip follow each other; what a file
        holds is read and let go.
        """
        if not isinstance(self.scores, np.memmap):
            return self.scores[:, columns]
        block: _Scores = np.array(self.scores[:, columns], order="C")
        self.release()
        return block

    def release(self) -> None:
        """Lets go of what of a file was read into memory."""
        mapped: Any = getattr(self.scores, "_mmap", None)
        if hasattr(mapped, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def times_of_clip(self, clip: int) -> tuple[_Floats, _Floats]:
        """Returns when each frame of a clip starts and ends.

        Two float64 `[num_frames]`. Frames of a window_seconds overlap.
        """
        count = int(self.num_frames[clip])
        if self.onset_seconds is None or self.offset_seconds is None:
            steps: _Floats
            steps = np.arange(count + 1, dtype=np.float64) * self.frame_seconds
            if self.window_seconds is None:
                return steps[:-1], steps[1:]
            return steps[:-1], steps[:-1] + self.window_seconds
        start = int(self.rows[clip])
        part = slice(start, start + count)
        return self.onset_seconds[part], self.offset_seconds[part]

    def edges_seconds(self, clip: int) -> _Floats:
        """Returns the edges of a clip's frames that begin before its end.

        Frames that overlap are cut midway between their centres, so that each
        moment has one score.

        Returns:
          float64 `[num_frames_within + 1]`; the first is 0, the last is not
          after the end of the audio.
        """
        onsets, offsets = self.times_of_clip(clip)
        if not len(onsets):
            return np.zeros(1)
        centers = (onsets + offsets) / 2
        between = np.where(
            offsets[:-1] > onsets[1:] + _TOLERANCE_SECONDS,
            (centers[:-1] + centers[1:]) / 2,
            onsets[1:],
        )
        edges = np.concatenate([[0.0], between, offsets[-1:]])
        seconds = float(self.audio_seconds[clip])
        if np.isnan(seconds):
            return edges
        num_within = int(
            np.searchsorted(edges[:-1], seconds - _TOLERANCE_SECONDS)
        )
        within: _Floats = np.minimum(edges[: num_within + 1], seconds)
        return within

    def within(
        self,
        clips: pd.DataFrame | None,
        clip_seconds: float = _GRID.clip_seconds,
        allow_partial: bool = False,
    ) -> "NativeScores":
        """Says how long the audio is, and checks that all of it is scored.

        Lengths are those of the clips table; where it has none, those of the
        scores, or else `clip_seconds`. A clip that is listed longer than its
        audio is as long as its audio.

        Args:
          clips: Clips table (`labels/clips.py`); None for no list.
          clip_seconds: Length of clips that neither list nor scores say.
          allow_partial: Whether most clips may have scores that end long before
            or after them.

        Raises:
          InputError: They do (`_check_ends`), and may not.
        """
        known = self.audio_seconds
        default = np.where(np.isnan(known), clip_seconds, known)
        lengths = lengths_of_clips(self.segment_ids, clips, np.nan)
        lengths = np.where(np.isnan(lengths), default, lengths)
        if self.is_of_clips:
            lengths = np.fmin(lengths, known)
            return of_whole_clips(self, lengths)
        notes = _check_ends(self, lengths, allow_partial)
        lengths = np.fmin(lengths, known)
        num_late = self._num_late(lengths)
        if num_late:
            notes.append(
                f"{num_late:,} of {int(self.num_frames.sum()):,} frames start "
                f"after the end of their clip and are left out"
            )
            logging.info("Scores: %s.", notes[-1])
        return dataclasses.replace(
            self, audio_seconds=lengths, notes=(*self.notes, *notes)
        )

    def _num_late(self, lengths: _Floats) -> int:
        """Counts the frames that start when clips have ended."""
        ends = lengths - _TOLERANCE_SECONDS
        if self.onset_seconds is None:
            num_within = np.ceil(ends / self.frame_seconds)
            return int(np.maximum(self.num_frames - num_within, 0).sum())
        ends = np.repeat(ends, self.num_frames)
        return int((self.onset_seconds >= ends).sum())

    def pool(
        self,
        pooling: str = "mean",
        label_frame_seconds: float = _GRID.label_frame_seconds,
    ) -> LabelFrameScores:
        """Pools the frames of each clip onto its label frames.

        Frames that are those label frames already are not copied.

        Args:
          pooling: "mean" or "max" (`scores.py`).
          label_frame_seconds: Length and hop of a label frame.

        Raises:
          InputError: No clip has a whole label frame, or their lengths differ
            so much that label frames would take many GB.
        """
        check_pooling(pooling)
        grid = dataclasses.replace(
            _GRID, label_frame_seconds=label_frame_seconds
        )
        # Without a length, what is half covered counts, as in pooling.
        lengths = np.where(
            np.isnan(self.audio_seconds),
            self.end_seconds + label_frame_seconds / 2,
            self.audio_seconds,
        )
        # Of frames that end with the audio, the sum may lack a microsecond.
        most = num_label_frames_of(lengths + _TOLERANCE_SECONDS, grid)
        if not most.max(initial=0):
            raise InputError(
                f"Expected clips with a whole label frame, "
                f"{label_frame_seconds:g} s, found none. Give longer ones, or "
                f"say how long they are."
            )
        arrays = self._label_frames_as_they_are(most, label_frame_seconds)
        notes = []
        if arrays is None:
            scores, num_scored = self._pooled(most, pooling, grid)
            notes = [self._describe(num_scored, pooling, label_frame_seconds)]
        else:
            scores, num_scored = arrays
            num_late = int((self.num_frames - num_scored).sum())
            if num_late:
                notes = [f"{num_late:,} label frames after the clips left out"]
        for note in notes:
            logging.info("Scores: %s.", note)
        return LabelFrameScores(
            segment_ids=self.segment_ids,
            mids=self.mids,
            scores=scores,
            num_label_frames=num_scored,
            label_frame_seconds=label_frame_seconds,
            is_logits=self.is_logits,
            display_names=self.display_names,
            source=self.source,
            notes=(*self.notes, *notes),
        )

    def _label_frames_as_they_are(
        self, most: npt.NDArray[np.int64], label_frame_seconds: float
    ) -> tuple[_Scores, npt.NDArray[np.int64]] | None:
        """Returns scores that are on the label frames already; None if not."""
        window = self.window_seconds or self.frame_seconds
        num_clips, rows = len(most), self.rows
        room = int(self.num_frames.max(initial=0))
        if self.first_rows is not None and num_clips:
            room = len(self.scores) // num_clips
        if (
            self.onset_seconds is not None
            or abs(self.frame_seconds - label_frame_seconds) > 1e-6
            or abs(window - label_frame_seconds) > 1e-6
            or len(self.scores) != num_clips * room
            or (rows != np.arange(num_clips) * room).any()
        ):
            return None
        num_scored = np.minimum(self.num_frames, most)
        return self.scores.reshape(num_clips, room, -1), num_scored

    def _pooled(
        self, most: npt.NDArray[np.int64], pooling: str, grid: LabelFrameParams
    ) -> tuple[_Scores, npt.NDArray[np.int64]]:
        """Pools all clips, those with the same frames at once."""
        shape = len(most), int(most.max()), self.mids.size
        dtype = self.scores.dtype if pooling == "max" else np.dtype(np.float64)
        num_bytes = dtype.itemsize * math.prod(shape)
        # There is room for the longest clip in each.
        if num_bytes > _MOST_BYTES and shape[1] > 4 * most.mean():
            longest = str(self.segment_ids[np.argmax(most)])
            raise InputError(
                f"Expected recordings of lengths that are alike, as label "
                f"frames of all take {num_bytes / 1e9:.0f} GB if each has room "
                f"for those of {longest!r}, found {most.mean():.0f} on average "
                f"and {shape[1]} of it. Score the long ones into a file of "
                f"their own."
            )
        pooled = np.zeros(shape, dtype=dtype)
        num_scored = np.zeros(len(most), dtype=np.int64)
        alike: dict[tuple[int, int, bytes], list[int]] = {}
        for clip, own in enumerate(most.tolist()):
            times = b""
            if self.onset_seconds is not None:
                times = b"".join(t.tobytes() for t in self.times_of_clip(clip))
            key = int(self.num_frames[clip]), own, times
            alike.setdefault(key, []).append(clip)
        rows = self.rows
        is_in_file = isinstance(self.scores, np.memmap)
        at_once = _CLASSES_AT_ONCE if is_in_file else shape[2]
        for column in range(0, shape[2], max(at_once, 1)):
            columns = slice(column, column + at_once)
            scores = self.of_classes(columns)
            for (count, own, _), of_key in alike.items():
                onsets, offsets = self.times_of_clip(of_key[0])
                cells = max(count * scores.shape[1], 1)
                step = max(_CELLS_AT_ONCE // cells, 1)
                for first in range(0, len(of_key), step):
                    part = np.array(of_key[first : first + step])
                    frames = rows[part, np.newaxis] + np.arange(count)
                    of_part, num_scored[part] = pool_onto_label_frames(
                        scores[frames],  # [part_clips, count, num_columns]
                        onsets,
                        offsets,
                        own,
                        pooling=pooling,
                        is_logits=self.is_logits,
                        label_frame_seconds=grid.label_frame_seconds,
                    )
                    pooled[part, :own, columns] = of_part
        return pooled, num_scored

    def _describe(
        self,
        num_scored: npt.NDArray[np.int64],
        pooling: str,
        label_frame_seconds: float,
    ) -> str:
        """Says what was pooled, and what of it was not used."""
        window = self.window_seconds or self.frame_seconds
        each = f"{self.frame_seconds:.4g} s"
        if self.is_of_clips:
            each = "a whole clip"
        elif self.onset_seconds is not None:
            each = f"uneven length (typically {each})"
        elif window > self.frame_seconds + _TOLERANCE_SECONDS:
            each = f"{window:.4g} s every {each}"
        of_logits = " of their probabilities" if self.is_logits else ""
        note = (
            f"{int(self.num_frames.sum()):,} frames of {each} in "
            f"{len(num_scored):,} clips, pooled by {pooling}"
            f"{of_logits if pooling == 'mean' else ''} onto "
            f"{int(num_scored.sum()):,} label frames of "
            f"{label_frame_seconds:g} s"
        )
        # What is after the last label frame of a clip.
        if self.is_of_clips:
            return f"{note}: the score of a clip is that of each label frame"
        left = self.end_seconds - num_scored * label_frame_seconds
        left = np.maximum(left, 0)
        if left.max(initial=0) > TIME_TOLERANCE_SECONDS:
            note += (
                f"; what is after the last whole one was not used, "
                f"{np.median(left):.3g} s of the typical clip"
            )
        return note


def of_whole_clips(scores: NativeScores, lengths: _Floats) -> NativeScores:
    """Makes the one frame of each clip as long as the clip.

    Args:
      scores: One score a clip.
      lengths: float64 `[num_clips]`; NaN for clips of AudioSet's length.
    """
    ends = np.where(np.isnan(lengths), _GRID.clip_seconds, lengths)
    return dataclasses.replace(
        scores,
        frame_seconds=float(np.median(ends)) if len(ends) else 1.0,
        onset_seconds=np.zeros(len(ends)),
        offset_seconds=ends,
        audio_seconds=lengths,
    )


def check_windows(onsets: _Floats, offsets: _Floats) -> tuple[int, str] | None:
    """Finds the first row whose times are wrong; returns it and what they lack.

    Rows are in order of time, without gaps, from the start of the clip. Windows
    overlap evenly or not at all: those that do have one length, but for what
    the end of the clip cuts, and one step.
    """
    ends_before = np.concatenate(([0.0], offsets[:-1]))[: len(onsets)]
    starts_before = np.concatenate(([-np.inf], onsets[:-1]))[: len(onsets)]
    steps = onsets - ends_before  # [num_windows]
    problems = {
        "an offset after the onset": offsets <= onsets,
        "rows in order of time": onsets < starts_before,
        "no gap before the row": steps > TIME_TOLERANCE_SECONDS,
    }
    is_overlap = steps < -TIME_TOLERANCE_SECONDS
    if is_overlap.any():
        is_whole = offsets < offsets[-1]
        lengths, hops = (offsets - onsets)[is_whole], np.diff(onsets)
        if len(lengths):
            # What the end cuts is shorter, and never longer.
            lengths = np.append(lengths, (offsets - onsets).max())
        spread = max(np.ptp(lengths) if len(lengths) else 0.0, np.ptp(hops))
        if spread > 2 * TIME_TOLERANCE_SECONDS or (hops <= 0).any():
            problems["no overlap with the row before"] = is_overlap
    for expected, is_bad in problems.items():
        if is_bad.any():
            return int(np.argmax(is_bad)), expected
    return None


class FrameTimes(NamedTuple):
    """The fields of `NativeScores` that say when frames are."""

    frame_seconds: float
    window_seconds: float | None
    onset_seconds: _Floats | None
    offset_seconds: _Floats | None


def frame_times(
    onsets: _Floats, offsets: _Floats, num_frames: npt.NDArray[np.integer[Any]]
) -> FrameTimes:
    """Describes the times of all frames, by a hop and a window if possible.

    Args:
      onsets: float64 `[num_frames_of_all]`, clip by clip.
      offsets: The same.
      num_frames: int `[num_clips]`.
    """
    counts = num_frames.astype(np.int64)
    if not len(onsets):
        return FrameTimes(_GRID.label_frame_seconds, None, None, None)
    starts = np.cumsum(counts) - counts
    index = np.arange(len(onsets)) - np.repeat(starts, counts)
    window = float(np.median(offsets - onsets))
    last = int(np.argmax(index))
    hop = onsets[last] / index[last] if index[last] else window
    # Files have decimals: of 0.0400000001 the 0.04 that was meant.
    for digits in (2, 3, 4, 5, 6, 9):
        near = round(float(hop), digits)
        length = round(window, digits)
        if near > 0 and (
            np.abs(onsets - index * near).max() < _TOLERANCE_SECONDS
            and np.abs(offsets - onsets - length).max() < _TOLERANCE_SECONDS
        ):
            is_gapless = abs(length - near) < _TOLERANCE_SECONDS
            return FrameTimes(near, None if is_gapless else length, None, None)
    return FrameTimes(float(hop), None, onsets, offsets)


def _check_ends(
    scores: NativeScores, lengths: _Floats, allow_partial: bool
) -> list[str]:
    """Checks that scores end where their clips do; returns notes.

    A clip's scores end early if a further frame would fit and more than 5 % of
    the clip is missing; late if they go on for more than a second, a quarter of
    the clip if that is less, or a frame. Models leave out what fills no frame,
    and pad. If most clips are such, the times are wrong: frame_seconds was
    forgotten, or the clips have another length. Single ones are counted. Where
    an array has room for more frames, a clip that is said to have fewer is
    taken for short: there only the longest can end early.

    Source: our choice (BUILD_NOTES.md "Lengths of scores").
    """
    ends, has_scores = scores.end_seconds, scores.num_frames > 0
    few = np.minimum(1.0, lengths / 4)
    one = np.minimum(scores.frame_seconds, np.maximum(1.0, lengths / 4))
    is_early = has_scores & (ends + one + 0.05 * lengths <= lengths)
    is_late = has_scores & (ends > lengths + np.maximum(few, one))
    is_off = is_early | is_late
    if not is_off.any():
        return []
    is_short = np.zeros(len(lengths), dtype=bool)
    if scores.first_rows is not None:
        is_short = scores.num_frames < len(scores.scores) // len(lengths)
    is_wrong = is_off & ~(is_short & is_early)
    num_asked = (has_scores & ~(is_short & is_early)).sum()
    if 2 * is_wrong.sum() > num_asked and not allow_partial:
        wrong = np.flatnonzero(is_wrong)
        typical = wrong[np.argsort(ends[wrong])[len(wrong) // 2]]
        raise InputError(
            f"Expected scores of whole clips, found {len(wrong)} of "
            f"{num_asked} clips whose scores end long before or after them, "
            f"such as {str(scores.segment_ids[typical])!r}, which end at "
            f"{ends[typical]:.4g} s of {lengths[typical]:.4g} s. "
            f"{_advise_on_ends(scores, lengths, is_wrong)}"
        )
    notes = []
    for is_such, what in (
        (is_early, "end early, and what follows is not scored"),
        (is_late, "go on after the end of their clip, which is not used"),
    ):
        if is_such.any():
            clip = int(np.argmax(is_such))
            notes.append(
                f"scores of {is_such.sum()} of {has_scores.sum()} clips {what}"
                f" (such as {str(scores.segment_ids[clip])!r}: "
                f"{ends[clip]:.4g} s of {lengths[clip]:.4g} s)"
            )
            logging.warning("Scores: %s.", notes[-1])
    return notes


def _advise_on_ends(
    scores: NativeScores, lengths: _Floats, is_off: npt.NDArray[np.bool_]
) -> str:
    """Says what to do about scores that do not end with their clips."""
    else_lengths = (
        "say how long the clips are (clip_seconds, or a list of clips)"
    )
    partial = "accept partial scores (allow_partial_scores)"
    counts = scores.num_frames[is_off]
    exact = float(np.median(lengths[is_off] / counts))
    fitting = ""
    for seconds in (
        _GRID.label_frame_seconds,
        *(float(f"{exact:.{digits}g}") for digits in (1, 2, 3, 4)),
    ):
        ends = counts * seconds
        is_good = (ends <= lengths[is_off] * 1.05) & (
            ends + seconds > lengths[is_off] * 0.99
        )
        if is_good.mean() > 0.9:
            fitting = f" ({seconds:g} would fit)"
            break
    return (
        f"Frames are {scores.frame_seconds:.4g} s apart: correct "
        f"frame_seconds, or the times of tables, in seconds{fitting}. Or "
        f"{else_lengths}, or {partial}."
    )


# --- Files -------------------------------------------------------------------


def read_score_file(
    path: Path,
    known: KnownClasses = KnownClasses(),
    *,
    frame_seconds: float | None = None,
    window_seconds: float | None = None,
    is_logits: bool = False,
) -> NativeScores:
    """Reads a score file, on label frames or at any frame rate.

    Args:
      path: The `.npz` (module docstring).
      known: Display names, which hold before those of the file, and what
        `class_names` and `class_indices` mean.
      frame_seconds: Between the starts of two frames; None if the file says it.
      window_seconds: As in `NativeScores`; None for what the file says.
      is_logits: Whether the scores are logits.

    Raises:
      InputError: The file is no `.npz`, or an array is missing or not as the
        module docstring says.
    """
    arrays = load_arrays(path)
    if frame_seconds is not None:
        arrays["frame_seconds"] = np.array(frame_seconds, np.float64)
        arrays.pop("label_frame_seconds", None)
    if window_seconds is not None:
        arrays["window_seconds"] = np.array(window_seconds, np.float64)
    try:
        return _parse_arrays(arrays, known, os.fspath(path), is_logits)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _parse_arrays(
    arrays: Mapping[str, npt.NDArray[Any]],
    known: KnownClasses,
    source: str,
    is_logits: bool,
) -> NativeScores:
    """Makes scores of the arrays of a score file."""
    hops = [n for n in ("frame_seconds", "label_frame_seconds") if n in arrays]
    # One score a clip needs no times.
    is_of_clips = (
        arrays.get("scores", np.zeros(0)).ndim == 2
        and not hops
        and "num_frames" not in arrays
    )
    has_times = hops or is_of_clips
    given = {*arrays, *(["frame_seconds"] if has_times else [])}
    if {"class_names", "class_indices"} & given:
        given.add("mids")
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise InputError(
            f"expected a score file with {list(REQUIRED)}, found no {missing} "
            f"among {sorted(arrays)}. Name its arrays so"
            f"{_ADVICE if missing == ['frame_seconds'] else ''}."
        )
    if len(hops) > 1:
        raise InputError(
            "expected frame_seconds, or label_frame_seconds of label frames, "
            "found both. Keep frame_seconds."
        )
    arrays = dict(arrays)
    mids, columns, notes = find_columns(arrays, known)
    if "made_from" in arrays:
        made_from = only_value(arrays, "made_from", "U", "str")
        notes = (f"made from {made_from}", *notes)
    scores, ids = arrays["scores"], arrays["segment_ids"]
    if columns is not None:
        scores = scores[..., columns]
    check_unique_texts("segment_ids", ids)
    counts_name = "num_frames"
    if hops == ["label_frame_seconds"]:
        counts_name = "num_label_frames"
    counts = arrays.get(counts_name)
    first_rows = None
    if is_of_clips:
        counts = np.ones(ids.size, dtype=np.int64)
    if scores.ndim == 3:
        scores, counts, first_rows = flatten(
            scores, ids, mids, counts, counts_name
        )
    elif counts is None or scores.ndim != 2:
        raise InputError(
            f"scores must be [num_clips, num_frames, num_classes] = "
            f"[{ids.size}, 1 or more, {mids.size}], or [sum of num_frames, "
            f"num_classes] with num_frames, found {list(scores.shape)}."
        )
    seconds = arrays.get("audio_seconds")
    window = None
    if "window_seconds" in arrays:
        window = float(only_value(arrays, "window_seconds", "fiu", "number"))
    hop = _GRID.clip_seconds
    if hops:
        hop = float(only_value(arrays, hops[0], "fiu", "number"))
    return make_native(
        NativeScores(
            segment_ids=ids,
            mids=mids,
            scores=scores,
            num_frames=counts,
            first_rows=first_rows,
            frame_seconds=hop,
            is_of_clips=is_of_clips,
            window_seconds=window,
            audio_seconds=np.full(ids.size, np.nan)
            if seconds is None
            else seconds.astype(np.float64),
            is_logits=is_logits,
            display_names={**_names(arrays), **known.name_of_mid},
            source=source,
            notes=notes,
        )
    )


def flatten(
    scores: _Scores,
    segment_ids: npt.NDArray[np.str_],
    mids: npt.NDArray[np.str_],
    num_frames: npt.NDArray[Any] | None,
    name: str = "num_frames",
) -> tuple[_Scores, npt.NDArray[np.integer[Any]], npt.NDArray[np.int64]]:
    """Takes scores of clips with room for the longest as rows; copies nothing.

    Args:
      scores: float `[num_clips, room, num_classes]`.
      segment_ids: str `[num_clips]`.
      mids: str `[num_classes]`.
      num_frames: int `[num_clips]`: how many frames, from the first, are of the
        clip; None for all.
      name: What to call it in messages.

    Returns:
      `scores`, `num_frames` and `first_rows` of `NativeScores`.

    Raises:
      InputError: An array has another shape, or a count is out of range.
    """
    shape = scores.shape
    expected = segment_ids.size, mids.size
    if len(shape) != 3 or shape[::2] != expected or not shape[1]:
        raise InputError(
            f"scores must be [num_clips, num_frames, num_classes] = "
            f"[{expected[0]}, 1 or more, {expected[1]}], found {list(shape)}."
        )
    num_clips, room, _ = shape
    counts = np.asarray(
        np.full(num_clips, room) if num_frames is None else num_frames
    )
    if counts.shape != (num_clips,) or counts.dtype.kind not in "iu":
        raise InputError(
            f"{name} must be int [num_clips] = [{num_clips}], found "
            f"{list(counts.shape)} of {counts.dtype}."
        )
    if num_clips and not 0 <= counts.min() <= counts.max() <= room:
        raise InputError(
            f"{name} must lie in [0, {room}], found {counts.min()} to "
            f"{counts.max()}."
        )
    check_finite(scores, counts, segment_ids, mids, "frame")
    rows = np.arange(num_clips, dtype=np.int64) * room
    return scores.reshape(num_clips * room, -1), counts, rows


def make_native(scores: NativeScores, is_finite: bool = False) -> NativeScores:
    """Checks scores that came in by any door: what no door may let in.

    Args:
      scores: The scores.
      is_finite: Whether it was checked that they are finite.

    Raises:
      InputError: A score is NaN or infinite.
    """
    step = max(_CELLS_AT_ONCE // max(scores.mids.size, 1), 1)
    ends = scores.rows + scores.num_frames
    if scores.is_of_clips:
        scores = of_whole_clips(scores, scores.audio_seconds)
    if scores.first_rows is None and not is_finite:
        for start in range(0, len(scores.scores), step):
            part = scores.scores[start : start + step]
            is_good = np.isfinite(part)
            if not is_good.all():
                frame, column = np.argwhere(~is_good)[0].tolist()
                clip = int(np.searchsorted(ends, start + frame, side="right"))
                frame += start - int(scores.rows[clip])
                raise InputError(
                    f"scores must be finite, found NaN or infinity for "
                    f"{scores.segment_ids[clip]} at "
                    f"{frame * scores.frame_seconds:g} s, class "
                    f"{scores.mids[column]}. Check the model that wrote them."
                )
    if not scores.is_logits:
        return scores
    if is_finite:
        # Each class by itself, as they are in a file.
        ranges = [score_range(column) for column in scores.scores.T]
    else:
        ranges = [
            score_range(scores.of_clip(clip))
            for clip in np.flatnonzero(scores.num_frames > 0).tolist()
        ]
    lows, highs = zip(*ranges, strict=True) if ranges else ((0.0,), (0.0,))
    warn_of_scale_of_logits(min(lows), max(highs))
    return dataclasses.replace(scores, notes=(*scores.notes, LOGITS_NOTE))


def _names(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
    """Returns the name of each mid, or {}."""
    mids = arrays.get("mids")
    names = arrays.get("display_names")
    if mids is None or names is None or not names.size:
        return {}
    if names.shape != mids.shape or names.dtype.kind != "U":
        raise InputError(
            f"display_names must be str [num_classes] = {list(mids.shape)}, "
            f"found {list(names.shape)} of {names.dtype}."
        )
    return dict(zip(mids.tolist(), names.tolist(), strict=True))


def read_recordings(
    path: Path,
) -> tuple[ClassMap | None, pd.DataFrame | None]:
    """Reads what a score file says of its classes and recordings.

    Returns:
      The class map, and the clips table with the length of each recording; None
      for what it does not say.
    """
    if os.path.isdir(path) or os.path.splitext(path)[1].lower() != ".npz":
        return None, None
    names = ("segment_ids", "mids", "display_names", "audio_seconds")
    arrays = load_arrays(path, names)
    if not {"segment_ids", "mids", "audio_seconds"} <= set(arrays):
        return None, None  # `read_score_file` says what is wrong.
    mids = arrays["mids"].tolist()
    name_of = _names(arrays) or dict(zip(mids, mids, strict=True))
    ids = arrays["segment_ids"].tolist()
    clips = make_clips_table(
        ids, arrays["audio_seconds"].tolist(), list(map(group_of_segment, ids))
    )
    return ClassMap(tuple(mids), tuple(name_of.values())), clips
