"""Scores on label frames: score files, and arrays at any frame rate.

A score file is an `.npz` of what a model scored:

    segment_ids          str `[num_clips]`
    mids                 str `[num_classes]`
    scores               float16 or float32
                         `[num_clips, num_label_frames, num_classes]`
    label_frame_seconds  float, 0.96
    num_label_frames     int `[num_clips]`, optional: how many of a clip's label
                         frames were scored
    class_map_hash       str, optional: `class_map.hash_of_mids` of mids; a file
                         whose columns were renamed or reordered is refused

Instead of mids there can be `class_names`, str, or `class_indices`, int, which
name the columns in any of three ways: by mid, by class index (the position in a
class map) or by display name (of a class map or mid_to_display_name.tsv). What
is not recognised is left out and listed.

A score is any finite number that grows with the model's belief that the class
is present. AUC, d', average precision and lwlrap on label frames are the same
for logits and for their probabilities. The Weak eval (a clip's score is the
mean of its label frames), pooling by mean, thresholds and reliability curves
are not. Scores outside [0, 1] are no probabilities: they are evaluated as they
are, with a warning where it matters, or turned into probabilities first.

Clips can have any length: the array has room for the longest. Audio can be
shorter than that; label frames beyond it are zero in the file and take no part
in anything. Without `num_label_frames` all label frames count. Scores at
another hop have a file of their own (`native_scores.py`).
"""

import dataclasses
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging
from scipy.special import expit

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.class_map import (
    KnownClasses,
    check_class_hash,
    hash_of_mids,
)
from audioset_strong.labels.frame_rule import (
    label_frames_of_clips,
    params_of_length,
)
from audioset_strong.labels.ids import MID_PATTERN
from audioset_strong.labels.problems import listed
from audioset_strong.params import LabelFrameParams

Path = str | os.PathLike[str]

_GRID = LabelFrameParams()

_Arrays = dict[str, npt.NDArray[Any]]
_Scores = npt.NDArray[np.floating[Any]]

LOGITS_NOTE = "logits were turned into probabilities"

# --- Classes: what columns of scores are named -------------------------------

_MID = re.compile(r"/[a-z]+/[^\s,\"]+")
_INDEX = re.compile(r"[0-9]+")


@dataclasses.dataclass(frozen=True)
class ClassColumns:
    """The classes of a score file's columns.

    Attributes:
      columns: Positions of the columns that were recognised, ascending.
      mids: Their classes, unique.
      num_by_kind: How many of them by "mid", "class index", "display name".
      unknown: The names of all others, which are left out.
      missing: Classes of the class map without a column.
    """

    columns: tuple[int, ...]
    mids: tuple[str, ...]
    num_by_kind: Mapping[str, int]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]

    def describe(self, num_shown: int | None = None) -> str:
        """Describes the columns in a line; `num_shown` None names all."""
        kinds = ", ".join(f"{n} by {k}" for k, n in self.num_by_kind.items())
        num_columns = len(self.columns) + len(self.unknown)
        text = f"{len(self.columns)} of {num_columns} columns ({kinds})"
        for what, names in (
            ("unknown and left out", self.unknown),
            ("classes of the class map without a column", self.missing),
        ):
            if names:
                shown = listed(map(repr, names), num_shown or len(names))
                text += f"; {len(names)} {what}: {shown}"
        return text


def find_classes(
    columns: Sequence[str], known: KnownClasses = KnownClasses()
) -> ClassColumns:
    """Finds the class of each column, and warns of those without one.

    Raises:
      InputError: No column is known, a column names two classes, or two columns
        are the same class.
    """
    mids_of_name = known.mids_of_name()
    # One's own class ids can look like anything, an index or a name too.
    own_ids = {*known.mids, *known.display_names, *known.labelled_mids}
    found: dict[str, int] = {}
    num_by_kind: dict[str, int] = {}
    unknown = []
    for position, column in enumerate(columns):
        if _MID.fullmatch(column):
            kind, mids = "mid", [column]
        elif _INDEX.fullmatch(column):
            kind, mids = "class index", [*known.mids[int(column) :][:1]]
        else:
            kind, mids = "display name", mids_of_name.get(column.strip(), [])
        if column in own_ids:
            kind, mids = "mid", list(dict.fromkeys([column, *mids]))
        if not mids:
            unknown.append(column)
            continue
        if len(mids) > 1:
            raise InputError(
                f"Expected names of one class each, found {column!r}, which is "
                f"both {' and '.join(mids)}. Name that column by its mid, or "
                f"give the class another name."
            )
        [mid] = mids
        if mid in found:
            raise InputError(
                f"Expected one column a class, found {columns[found[mid]]!r} "
                f"and {column!r}, which are both {mid}. Keep one of them."
            )
        found[mid] = position
        num_by_kind[kind] = num_by_kind.get(kind, 0) + 1
    if not found:
        advice = (
            "None is a mid, or an id, index or name of the class map and "
            "display names given. Give those of the model."
            if known.name_of_mid
            else "Name columns by mid, or give a class map for class indices "
            "and your own ids, and a class map or display names for names."
        )
        advice += _advise_on_spaces(unknown, own_ids)
        raise InputError(
            f"Expected at least one known class, found {len(columns)} columns "
            f"({listed(map(repr, columns))}). {advice}"
        )
    classes = ClassColumns(
        columns=tuple(found.values()),
        mids=tuple(found),
        num_by_kind=num_by_kind,
        unknown=tuple(unknown),
        missing=tuple(mid for mid in known.mids if mid not in found),
    )
    if unknown:
        advice = _advise_on_spaces(unknown, own_ids)
        logging.warning("Classes: %s.%s", classes.describe(5), advice)
    return classes


def _advise_on_spaces(unknown: Sequence[str], own_ids: Set[str]) -> str:
    """Says what to do about unknown columns that hold a space."""
    spaced = [column for column in unknown if re.search(r"\s", column.strip())]
    if not spaced:
        return ""
    first = spaced[0]
    meant = re.sub(r"\s+", "_", first.strip())
    other = f" Did you mean {meant!r}?" if meant in own_ids else ""
    return (
        f" {first!r} has a space, which ids of classes cannot have: it can be "
        f"a display name only.{other}"
    )


# --- Score files -------------------------------------------------------------

_REQUIRED = ("segment_ids", "mids", "scores", "label_frame_seconds")
# One of them names the columns.
_CLASS_ARRAYS = ("mids", "class_names", "class_indices")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LabelFrameScores:
    """Scores of clips on label frames, as in the module docstring.

    Attributes:
      segment_ids: str `[num_clips]`, unique.
      mids: str `[num_classes]`, unique: the class of each column.
      scores: float16 or float32 `[num_clips, num_label_frames, num_classes]`,
        finite wherever a label frame was scored; as many label frames as the
        longest clip has.
      num_label_frames: int64 `[num_clips]`, label frames scored, from the
        start of the clip.
      label_frame_seconds: Length and hop of a label frame.
      display_names: Name of each mid to show, of at least these classes if
        there are any; not written.
      source: Where the scores are from, such as a path, for reports; not
        written.
      notes: What a reader of results must know of how these scores were read,
        such as columns that were left out; not written.
    """

    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    scores: _Scores
    num_label_frames: npt.NDArray[np.integer[Any]]
    label_frame_seconds: float = _GRID.label_frame_seconds
    display_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source: str = "an array"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `InputError` for an array of another shape, dtype or range."""
        seconds = _GRID.label_frame_seconds
        # float32 writers store 0.96 with an error of 2e-8.
        if not abs(self.label_frame_seconds - seconds) < 1e-6:
            raise InputError(
                f"label_frame_seconds must be {seconds}, found "
                f"{self.label_frame_seconds}. Pool the scores onto {seconds} s "
                f"label frames: evaluation.make_scores does."
            )
        check_unique_texts("segment_ids", self.segment_ids)
        check_unique_texts("mids", self.mids)
        shape, num_clips = self.scores.shape, self.segment_ids.size
        expected = (num_clips, self.mids.size)
        if len(shape) != 3 or shape[::2] != expected or not shape[1]:
            raise InputError(
                f"scores must be [num_clips, num_label_frames, num_classes] = "
                f"[{num_clips}, 1 or more, {self.mids.size}], found "
                f"{list(shape)}."
            )
        if self.scores.dtype not in (np.float16, np.float32):
            raise InputError(
                f"scores must be float16 or float32, found "
                f"{self.scores.dtype}. Convert them before saving."
            )
        counts = self.num_label_frames
        if counts.shape != (num_clips,) or counts.dtype.kind not in "iu":
            raise InputError(
                f"num_label_frames must be int [num_clips] = [{num_clips}], "
                f"found {list(counts.shape)} of {counts.dtype}."
            )
        if num_clips and not 0 <= counts.min() <= counts.max() <= shape[1]:
            raise InputError(
                f"num_label_frames must lie in [0, {shape[1]}], found "
                f"{counts.min()} to {counts.max()}."
            )
        names = self.segment_ids, self.mids, "label frame"
        _check_finite(self.scores, counts, *names)

    @property
    def class_map_hash(self) -> str:
        """Hash of the classes, as that of the class map they came from."""
        return hash_of_mids(self.mids.tolist())

    @property
    def is_scored(self) -> npt.NDArray[np.bool_]:
        """Whether each was scored, bool `[num_clips, num_label_frames]`."""
        label_frames = np.arange(self.scores.shape[1])
        return label_frames < self.num_label_frames[:, np.newaxis]

    def clip_scores(self) -> npt.NDArray[np.float32]:
        """Returns the mean of each clip's scored label frames.

        float32 `[num_clips, num_classes]`; NaN for a clip without any.

        Source: our choice, the mean is what the authors' other work uses
        (BUILD_NOTES.md "Clip scores").
        """
        is_scored = self.is_scored[:, :, np.newaxis]
        num_clips, _, num_classes = self.scores.shape
        means = np.empty((num_clips, num_classes), dtype=np.float32)
        for part in _parts_of_clips(num_clips):
            # [part_clips, num_label_frames, num_classes]
            scored = np.where(is_scored[part], self.scores[part], 0)
            means[part] = scored.sum(axis=1, dtype=np.float32)
        with np.errstate(invalid="ignore"):  # 0 / 0
            means /= self.num_label_frames[:, np.newaxis].astype(np.float32)
        return means


def check_unique_texts(name: str, values: npt.NDArray[Any]) -> None:
    """Raises `InputError` unless these are different texts, `[any]`."""
    if values.ndim != 1 or values.dtype.kind != "U":
        raise InputError(
            f"{name} must be a 1-D array of str, found shape {values.shape} of "
            f"{values.dtype}."
        )
    unique, num_equal = np.unique(values, return_counts=True)
    repeated = unique[num_equal > 1]
    if repeated.size:
        raise InputError(
            f"{name} must be unique; {repeated.size} stand more than once, "
            f"such as {str(repeated[0])!r}. Keep one of each."
        )


def _parts_of_clips(num_clips: int) -> Iterator[slice]:
    """Yields slices of clips that are small enough to copy: a few MB each."""
    for start in range(0, num_clips, 256):
        yield slice(start, start + 256)


def _check_finite(
    scores: _Scores,
    counts: npt.NDArray[np.integer[Any]],
    segment_ids: Sequence[str] | npt.NDArray[np.str_],
    mids: Sequence[str] | npt.NDArray[np.str_],
    frame_name: str,
) -> None:
    """Raises `InputError` if one of a clip's first frames is not finite."""
    frames = np.arange(scores.shape[1])
    num_bad, first = 0, None
    for part in _parts_of_clips(len(scores)):
        is_good = np.isfinite(scores[part])  # [clips, num_frames, num_classes]
        if scores.dtype.itemsize > 4:
            # Too large for float32 is as bad as infinite.
            is_good = np.abs(scores[part]) <= np.finfo(np.float32).max
        if is_good.all():
            continue
        is_counted = frames < counts[part, np.newaxis]
        is_bad = ~is_good & is_counted[:, :, np.newaxis]
        num_bad += int(is_bad.sum())
        if first is None and is_bad.any():
            clip, frame, column = np.argwhere(is_bad)[0].tolist()
            first = part.start + clip, frame, column
    if first is not None:
        clip, frame, column = first
        raise InputError(
            f"scores must be finite, found {num_bad} NaN or infinite, the "
            f"first for segment {segment_ids[clip]}, {frame_name} {frame}, "
            f"class {mids[column]}. Check the model that wrote them, or say "
            f"how many frames each clip has if frames are padded."
        )


def read_score_file(
    path: Path, known: KnownClasses = KnownClasses()
) -> LabelFrameScores:
    """Reads a score file.

    Args:
      path: The `.npz` (module docstring).
      known: What `class_names` and `class_indices` mean.

    Raises:
      InputError: The file is not an `.npz`, an array is missing or not as the
        module docstring says, or the classes are not those of its hash.
    """
    arrays = load_arrays(path)
    try:
        return _parse_arrays(arrays, known, os.fspath(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_arrays(path: Path, names: Sequence[str] | None = None) -> _Arrays:
    """Reads the arrays of a score file, those of `names` or all.

    Raises:
      InputError: It is no `.npz`.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array")
        with archive:
            return {
                name: archive[name]
                for name in archive.files
                if names is None or name in names
            }
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: expected a score file, an .npz with {list(_REQUIRED)}. "
            f"It cannot be read as one: {error}".splitlines()[0]
        ) from error


def _parse_arrays(
    arrays: _Arrays, known: KnownClasses, source: str
) -> LabelFrameScores:
    """Makes scores of the arrays of a score file."""
    class_arrays = [name for name in _CLASS_ARRAYS if name in arrays]
    if len(class_arrays) > 1:
        raise InputError(
            f"Expected one of {list(_CLASS_ARRAYS)}, found {class_arrays}. "
            f"Keep the one that names the columns."
        )
    missing = [
        " or ".join(_CLASS_ARRAYS) if name == "mids" else name
        for name in _REQUIRED
        if name not in arrays and not (name == "mids" and class_arrays)
    ]
    if missing:
        raise InputError(
            f"expected a score file with {list(_REQUIRED)}, found no {missing}."
        )
    scores, mids = arrays["scores"], arrays.get("mids")
    notes: tuple[str, ...] = ()
    if mids is None:
        classes = _find_columns(class_arrays[0], arrays, known)
        mids = np.array(classes.mids, dtype=str)
        notes = (f"classes: {classes.describe()}",)
        if classes.unknown:
            scores = scores[:, :, list(classes.columns)]
    elif mids.dtype.kind == "U":
        for mid in mids.ravel().tolist():
            if re.fullmatch(MID_PATTERN, mid) is None:
                raise InputError(
                    f"mids must be ids of classes, without space, comma or "
                    f"quote, found {mid!r}. Names go into class_names, with a "
                    f"class map that says what they mean."
                )
    # Whether the shape is right is checked with the rest.
    width = scores.shape[1] if scores.ndim > 1 else 0
    all_frames = np.full(arrays["segment_ids"].size, width, dtype=np.int64)
    seconds = only_value(arrays, "label_frame_seconds", "fiu", "number")
    score_file = LabelFrameScores(
        segment_ids=arrays["segment_ids"],
        mids=mids,
        scores=scores,
        num_label_frames=arrays.get("num_label_frames", all_frames),
        label_frame_seconds=float(seconds),
        display_names=known.name_of_mid,
        source=source,
        notes=notes,
    )
    if "class_map_hash" in arrays:
        check_class_hash(
            score_file.mids.tolist(),
            str(only_value(arrays, "class_map_hash", "U", "str")),
            "mids",
            "The columns are not those that were written: write the file "
            "again, with mids in the order of its scores.",
        )
    return score_file


def _find_columns(
    name: str, arrays: _Arrays, known: KnownClasses
) -> ClassColumns:
    """Finds the classes of `class_names` or `class_indices`."""
    values, scores = arrays[name], arrays["scores"]
    kinds, of_what = ("U", "str") if name == "class_names" else ("iu", "int")
    if values.ndim != 1 or values.dtype.kind not in kinds:
        raise InputError(
            f"{name} must be a 1-D array of {of_what}, found shape "
            f"{list(values.shape)} of {values.dtype}."
        )
    if scores.ndim != 3 or scores.shape[2] != values.size:
        raise InputError(
            f"scores must be [num_clips, num_label_frames, num_classes] with "
            f"{values.size} classes, found {list(scores.shape)}."
        )
    return find_classes([str(value) for value in values.tolist()], known)


def only_value(arrays: _Arrays, name: str, kinds: str, of_what: str) -> Any:
    """Returns the one value of an array."""
    array = arrays[name]
    if array.size != 1 or array.dtype.kind not in kinds:
        raise InputError(
            f"{name} must be one {of_what}, found shape {list(array.shape)} "
            f"of {array.dtype}."
        )
    return array.reshape(()).item()


def write_score_file(score_file: LabelFrameScores, path: Path) -> None:
    """Writes a score file, whole or not at all; the folder exists."""
    # Not compressed: float16 scores shrink by a tenth only, in forty times the
    # time. A file object, because `np.savez` appends .npz to other names.
    with open_output(path, "wb") as file:
        np.savez(
            file,
            segment_ids=score_file.segment_ids,
            mids=score_file.mids,
            scores=score_file.scores,
            num_label_frames=score_file.num_label_frames,
            label_frame_seconds=np.float64(score_file.label_frame_seconds),
            class_map_hash=np.str_(score_file.class_map_hash),
        )


# --- Scale: probabilities or logits ------------------------------------------


def score_range(scores: _Scores) -> tuple[float, float]:
    """Returns the lowest and highest of some scores; 0 and 0 of none."""
    if not scores.size:
        return 0.0, 0.0
    return float(scores.min()), float(scores.max())


def are_probabilities(low: float, high: float) -> bool:
    """Whether scores of this range can be probabilities, rounding included."""
    return low >= -1e-3 and high <= 1 + 1e-3


def warn_unless_probabilities(
    score_file: LabelFrameScores, affected: Sequence[str], name: str = "scores"
) -> str:
    """Warns if scores outside [0, 1] are to be used as probabilities.

    Args:
      score_file: The scores.
      affected: The results that depend on the scale, such as "thresholds";
        without any there is no warning.
      name: What to call the scores in the message.

    Returns:
      The warning; "" for none.
    """
    if not affected:
        return ""
    low, high = score_range(score_file.scores[score_file.is_scored])
    if are_probabilities(low, high):
        return ""
    text = (
        f"{name} lie in [{low:.4g}, {high:.4g}], not in [0, 1], and "
        f"{', '.join(affected)} would be another for probabilities. If they "
        f"are logits, have them turned into probabilities (is_logits)."
    )
    logging.warning("%s", text)
    return text


def logits_to_probabilities(scores: _Scores) -> npt.NDArray[np.float32]:
    """Applies the logistic function, float32 of the same shape."""
    # float16 would give many logits the probability 1.
    probabilities = scores.astype(np.float32)
    return np.asarray(expit(probabilities, out=probabilities))


def with_probabilities(score_file: LabelFrameScores) -> LabelFrameScores:
    """Turns a score file of logits into one of probabilities."""
    low, high = score_range(score_file.scores[score_file.is_scored])
    if low >= 0 and high <= 1:
        logging.warning(
            "Scores that are said to be logits all lie in [0, 1]: are they "
            "probabilities already?"
        )
    return dataclasses.replace(
        score_file,
        scores=logits_to_probabilities(score_file.scores),
        notes=(*score_file.notes, LOGITS_NOTE),
    )


# --- Pooling: scores at any frame rate -> label frames -----------------------
#
# Windows of any length follow each other without gaps from the start of the
# clip; each counts for every label frame it reaches:
#
#   mean  weighted by how long the window and the label frame overlap
#   max   of the windows that reach the label frame
#
# A window reaches a label frame if they overlap by more than 1 ms, or by more
# than half of a window that is shorter than 2 ms: times in files are rounded,
# and the remainder of a rounding must not bring in the neighbour's score. A
# label frame counts as scored if windows cover at least half of it. (Our
# choice: BUILD_NOTES.md "Pooling".)

POOLING = ("mean", "max")

# The precision of the label files; what is shorter is taken for rounding.
TIME_TOLERANCE_SECONDS = 0.001
# Sums of window lengths are off by less.
_FLOAT_TOLERANCE_SECONDS = 1e-6


def pool_onto_label_frames(
    scores: _Scores,
    edges_seconds: npt.NDArray[np.float64],
    pooling: str = "mean",
    num_label_frames: int = _GRID.num_label_frames,
) -> tuple[npt.NDArray[np.float32], int]:
    """Pools scores of windows onto label frames.

    Args:
      scores: float `[..., num_windows, num_classes]`, finite.
      edges_seconds: float64 `[num_windows + 1]`, ascending, from about 0: the
        start of each window, then the end of the last.
      pooling: "mean" or "max" (section comment).
      num_label_frames: Label frames of the clip.

    Returns:
      pooled: float32 `[..., num_label_frames, num_classes]`, zero on label
        frames that are not scored.
      num_scored: Label frames scored, from the start of the clip.
    """
    check_pooling(pooling)
    seconds = _GRID.label_frame_seconds
    least = seconds / 2 - _FLOAT_TOLERANCE_SECONDS
    shortest = np.minimum(TIME_TOLERANCE_SECONDS, np.diff(edges_seconds) / 2)
    *clips, _, num_classes = scores.shape
    pooled = np.zeros((*clips, num_label_frames, num_classes), np.float32)
    for label_frame in range(num_label_frames):
        start = label_frame * seconds
        # Only windows that can reach it: long clips have many others.
        low = int(np.searchsorted(edges_seconds, start, side="right"))
        low = max(low - 1, 0)
        high = int(np.searchsorted(edges_seconds, start + seconds, side="left"))
        onsets = edges_seconds[low : high + 1][:-1]
        ends = np.minimum(start + seconds, edges_seconds[low + 1 : high + 1])
        overlaps = np.maximum(ends - np.maximum(start, onsets), 0)
        if overlaps.sum() < least:
            # Windows have no gaps, so the scored label frames are the first.
            return pooled, label_frame
        windows = np.flatnonzero(overlaps > shortest[low:high])
        # A slice, which copies nothing: the windows follow each other.
        part = scores[..., low + windows[0] : low + windows[-1] + 1, :]
        if pooling == "max":
            pooled[..., label_frame, :] = part.max(axis=-2)
        else:
            weights = overlaps[windows]
            pooled[..., label_frame, :] = (weights / weights.sum()) @ part
    return pooled, num_label_frames


def check_pooling(pooling: str) -> None:
    """Raises `InputError` unless this is a way to pool."""
    if pooling not in POOLING:
        raise InputError(
            f"pooling must be one of {list(POOLING)}. Received: {pooling!r}."
        )


# --- Arrays ------------------------------------------------------------------


def make_scores(
    scores: npt.ArrayLike,
    segment_ids: Sequence[str],
    classes: Sequence[str | int],
    *,
    frame_seconds: float = _GRID.label_frame_seconds,
    edges_seconds: Sequence[float] | None = None,
    num_frames: Sequence[int] | None = None,
    pooling: str = "mean",
    is_logits: bool = False,
    known: KnownClasses = KnownClasses(),
    clips: pd.DataFrame | None = None,
    clip_seconds: float = _GRID.clip_seconds,
) -> LabelFrameScores:
    """Pools scores of frames of any length onto label frames.

    Args:
      scores: float `[num_clips, num_frames, num_classes]`; anything that NumPy
        makes an array of, such as a PyTorch tensor on the CPU.
      segment_ids: `[num_clips]`, such as "s9d-2nhuJCQ_30000".
      classes: `[num_classes]`: mids, class indices, display names or ids of
        your own; the latter three need `known`.
      frame_seconds: Length and hop of a frame.
      edges_seconds: Instead of it, `[num_frames + 1]`, ascending from 0: where
        each frame starts, then where the last ends.
      num_frames: `[num_clips]`: how many frames, from the first, are of the
        clip; the others are padding and can hold anything. None for all.
      pooling: How frames become label frames: "mean" or "max".
      is_logits: Whether to turn scores into probabilities before pooling.
      known: What class indices and names mean, of `read_known_classes`.
      clips: Clips table (`labels/clips.py`), which says how long clips are.
      clip_seconds: Length of clips that it does not list.

    Returns:
      The scores on label frames, float32.

    Raises:
      InputError: An array has another shape, a score of a clip is not finite,
        or an argument is not one of its values.
    """
    check_pooling(pooling)
    array = np.asarray(scores)
    num_clips, num_classes = len(segment_ids), len(classes)
    if (
        array.ndim != 3
        or array.shape[::2] != (num_clips, num_classes)
        or array.dtype.kind != "f"
    ):
        raise InputError(
            f"scores must be float [num_clips, num_frames, num_classes] with "
            f"{num_clips} segment_ids and {num_classes} classes, found "
            f"{list(array.shape)} of {array.dtype}."
        )
    columns = find_classes([str(name) for name in classes], known)
    if columns.unknown:
        array = array[:, :, list(columns.columns)]
    edges = _edges(array.shape[1], frame_seconds, edges_seconds)
    counts = _counts(num_frames, *array.shape[:2])
    _check_finite(array, counts, segment_ids, columns.mids, "frame")

    params = params_of_length(clip_seconds)
    most = label_frames_of_clips(segment_ids, clips, params)  # [num_clips]
    pooled = np.zeros(
        (num_clips, max(most.max(initial=0), 1), array.shape[2]), np.float32
    )
    num_label_frames = np.zeros(num_clips, dtype=np.int64)
    # A few clips at a time; those of one length at once.
    for part in _parts_of_clips(num_clips):
        lengths = np.stack([counts[part], most[part]], axis=1)
        for length in np.unique(lengths, axis=0):
            count, own = length.tolist()
            rows = part.start + np.flatnonzero((lengths == length).all(axis=1))
            values = array[rows, :count]  # [clips, count, num_classes]
            if is_logits:
                values = logits_to_probabilities(values)
            pooled[rows, :own], num_label_frames[rows] = pool_onto_label_frames(
                values, edges[: count + 1], pooling, own
            )
    notes = [
        f"classes: {columns.describe()}",
        f"{array.shape[1]} frames up to {edges[-1]:g} s, pooled by {pooling}",
    ]
    if is_logits:
        notes.append(LOGITS_NOTE)
    return LabelFrameScores(
        segment_ids=np.array(list(segment_ids), dtype=str),
        mids=np.array(columns.mids, dtype=str),
        scores=pooled,
        num_label_frames=num_label_frames,
        display_names=known.name_of_mid,
        notes=tuple(notes),
    )


def _edges(
    num_frames: int,
    frame_seconds: float,
    edges_seconds: Sequence[float] | None,
) -> npt.NDArray[np.float64]:
    """Returns where frames start and end, float64 `[num_frames + 1]`."""
    if edges_seconds is None:
        if not 0 < frame_seconds < np.inf:
            raise InputError(
                f"frame_seconds must be above 0, found {frame_seconds}."
            )
        steps = np.arange(num_frames + 1, dtype=np.float64)
        return steps * float(frame_seconds)
    edges = np.asarray(edges_seconds, dtype=np.float64)
    if (
        edges.shape != (num_frames + 1,)
        or not (np.diff(edges) > 0).all()
        or not abs(edges[0]) <= TIME_TOLERANCE_SECONDS
    ):
        raise InputError(
            f"edges_seconds must be [num_frames + 1] = [{num_frames + 1}] "
            f"numbers, ascending from 0, found {list(edges.shape)}, the first "
            f"are {edges.ravel()[:3].tolist()}."
        )
    return edges


def _counts(
    num_frames: Sequence[int] | None, num_clips: int, most: int
) -> npt.NDArray[np.int64]:
    """Returns how many frames each clip has, int64 `[num_clips]`."""
    if num_frames is None:
        return np.full(num_clips, most, dtype=np.int64)
    counts = np.asarray(num_frames)
    is_count = counts.shape == (num_clips,) and counts.dtype.kind in "iu"
    if not is_count or not ((counts >= 0) & (counts <= most)).all():
        raise InputError(
            f"num_frames must be int [num_clips] = [{num_clips}] in [0, "
            f"{most}], found {list(counts.shape)} of {counts.dtype}."
        )
    return counts.astype(np.int64)
