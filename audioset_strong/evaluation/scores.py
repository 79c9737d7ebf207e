"""Scores on label frames: their files, and pooling.

A score file is an `.npz` of what a model scored:

    segment_ids          str `[num_clips]`
    mids                 str `[num_classes]`
    scores               float16, float32 or float64
                         `[num_clips, num_label_frames, num_classes]`
    label_frame_seconds  float, such as 0.96
    num_label_frames     int `[num_clips]`, optional: how many of a clip's label
                         frames were scored
    class_map_hash       str, optional: `class_map.hash_of_mids` of mids; a file
                         whose columns were renamed or reordered is refused
    made_from            str, optional: what model and data the scores are of,
                         in words, which reports repeat

Instead of mids there can be `class_names`, str, or `class_indices`, int, which
name the columns in any of three ways: by mid, by class index (the position in a
class map) or by display name (of a class map or mid_to_display_name.tsv). What
is not recognised is left out and listed.

A score is any finite number that grows with the model's belief that the class
is present. AUC, d', average precision and lwlrap on label frames are the same
for logits and for their probabilities. The Weak eval (a clip's score is the
mean of its label frames), pooling by mean, thresholds and reliability curves
are not. Scores outside [0, 1] are no probabilities: they are evaluated as they
are, with a warning where it matters, unless they are said to be logits. Logits
stay logits, because probabilities saturate: float32 has none between 1 - 6e-8
and 1. A mean of logits is the logit of the mean of their probabilities, which
orders as that mean does and cannot saturate.

Clips can have any length: the array has room for the longest. Audio can be
shorter than that; label frames beyond it are zero in the file and take no part
in anything. Without `num_label_frames` all label frames count. Scores as they
come, at any frame rate, are `native_scores.py`.
"""

import dataclasses
import functools
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import logging
from scipy.special import expit, log_expit

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.class_map import (
    KnownClasses,
    check_class_hash,
    hash_of_mids,
)
from audioset_strong.labels.ids import MID_PATTERN
from audioset_strong.labels.problems import listed
from audioset_strong.params import LabelFrameParams

Path = str | os.PathLike[str]

_GRID = LabelFrameParams()

_Arrays = dict[str, npt.NDArray[Any]]
_Scores = npt.NDArray[np.floating[Any]]

LOGITS_NOTE = (
    "logits are ranked as they are; means, thresholds and what is shown are of "
    "their probabilities"
)

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

REQUIRED = ("segment_ids", "mids", "scores", "frame_seconds")
# One of them names the columns.
_CLASS_ARRAYS = ("mids", "class_names", "class_indices")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LabelFrameScores:
    """Scores of clips on label frames, as in the module docstring.

    Attributes:
      segment_ids: str `[num_clips]`, unique.
      mids: str `[num_classes]`, unique: the class of each column.
      scores: float `[num_clips, num_label_frames, num_classes]`, finite
        wherever a label frame was scored; as many label frames as the longest
        clip has.
      num_label_frames: int64 `[num_clips]`, label frames scored, from the
        start of the clip.
      label_frame_seconds: Length and hop of a label frame.
      is_logits: Whether the scores are logits; not written.
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
    is_logits: bool = False
    display_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source: str = "an array"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `InputError` for an array of another shape, dtype or range."""
        if not 0 < self.label_frame_seconds < np.inf:
            raise InputError(
                f"label_frame_seconds must be above 0, found "
                f"{self.label_frame_seconds}."
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
        check_float(self.scores)
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
        check_finite(self.scores, counts, *names)

    @property
    def class_map_hash(self) -> str:
        """Hash of the classes, as that of the class map they came from."""
        return hash_of_mids(self.mids.tolist())

    @property
    def is_scored(self) -> npt.NDArray[np.bool_]:
        """Whether each was scored, bool `[num_clips, num_label_frames]`."""
        label_frames = np.arange(self.scores.shape[1])
        return label_frames < self.num_label_frames[:, np.newaxis]

    @functools.cached_property
    def clip_scores(self) -> npt.NDArray[np.float64]:
        """The mean of each clip's scored label frames, computed once.

        float64 `[num_clips, num_classes]`; NaN for a clip without any. Of
        logits it is the logit of the mean of the probabilities.

        Source: our choice, the mean is what the authors' other work uses
        (BUILD_NOTES.md "Clip scores").
        """
        num_clips, _, num_classes = self.scores.shape
        means = np.full((num_clips, num_classes), np.nan)
        for count in np.unique(self.num_label_frames).tolist():
            if not count:
                continue
            rows = np.flatnonzero(self.num_label_frames == count)
            for part in _parts_of_clips(len(rows)):
                means[rows[part]] = mean_scores(
                    self.scores[rows[part], :count],
                    np.ones(count),
                    self.is_logits,
                )
        return means


def check_float(scores: npt.NDArray[Any]) -> None:
    """Raises `InputError` unless scores are float16, float32 or float64."""
    if scores.dtype not in (np.float16, np.float32, np.float64):
        raise InputError(
            f"scores must be float16, float32 or float64, found "
            f"{scores.dtype}. Convert them first."
        )


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


def check_finite(
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
        advice = "Write it with numpy.savez, one argument an array"
        if "allow_pickle" in str(error):
            advice = "Write arrays of text with .astype(str)"
        reason = str(error).splitlines()[0] if str(error) else "it is empty"
        raise InputError(
            f"{path}: expected a score file, an .npz with {list(REQUIRED)}, "
            f"found what cannot be read as one: {reason}. {advice}."
        ) from error


def find_columns(
    arrays: _Arrays, known: KnownClasses
) -> tuple[npt.NDArray[np.str_], list[int] | None, tuple[str, ...]]:
    """Finds the classes of the columns of scores in a file.

    Args:
      arrays: Of the file.
      known: What `class_names` and `class_indices` mean.

    Returns:
      mids: str `[num_classes]`, of the columns that are used.
      columns: Those columns; None for all.
      notes: What a reader of results must know of it.

    Raises:
      InputError: The file names columns in no way or in several, or has not the
        classes of its hash.
    """
    given = [name for name in _CLASS_ARRAYS if name in arrays]
    if len(given) != 1:
        raise InputError(
            f"Expected one of {list(_CLASS_ARRAYS)}, found {given or 'none'}. "
            f"Keep the one that names the columns."
        )
    [name] = given
    values, scores = arrays[name], arrays["scores"]
    if name == "mids":
        check_unique_texts(name, values)
        if "class_map_hash" in arrays:
            check_class_hash(
                values.tolist(),
                str(only_value(arrays, "class_map_hash", "U", "str")),
                name,
                "The columns are not those that were written: write the file "
                "again, with mids in the order of its scores.",
            )
        mids, notes = _resolve_names(values.tolist(), known)
        return np.array(mids, dtype=str), None, notes
    kinds, of_what = ("U", "str") if name == "class_names" else ("iu", "int")
    if values.ndim != 1 or values.dtype.kind not in kinds:
        raise InputError(
            f"{name} must be a 1-D array of {of_what}, found shape "
            f"{list(values.shape)} of {values.dtype}."
        )
    if scores.shape[-1:] != values.shape:
        raise InputError(
            f"scores must have {values.size} classes in their last dimension, "
            f"found {list(scores.shape)}."
        )
    classes = find_classes([str(value) for value in values.tolist()], known)
    columns = list(classes.columns) if classes.unknown else None
    notes = (f"classes: {classes.describe()}",)
    return np.array(classes.mids, dtype=str), columns, notes


def _resolve_names(
    mids: Sequence[str], known: KnownClasses
) -> tuple[list[str], tuple[str, ...]]:
    """Takes names among ids of classes for the classes that they mean."""
    ids = {*known.mids, *known.display_names, *known.labelled_mids}
    mids_of_name = known.mids_of_name()
    resolved, names = [], []
    for mid in mids:
        of_name = mids_of_name.get(mid, [])
        if mid in ids or _MID.fullmatch(mid) or not of_name:
            if re.fullmatch(MID_PATTERN, mid) is None:
                raise InputError(
                    f"mids must be ids of classes, without space, comma or "
                    f"quote, found {mid!r}. If it is a name, give the class "
                    f"map or display names that have it."
                )
            resolved.append(mid)
            continue
        if len(of_name) > 1:
            raise InputError(
                f"Expected names of one class each, found {mid!r}, which is "
                f"both {' and '.join(of_name)}. Give its mid instead."
            )
        resolved += of_name
        names.append(mid)
    if not names:
        return resolved, ()
    note = f"{len(names)} of mids are display names: {listed(names, 3)}"
    logging.info("Classes: %s.", note)
    return resolved, (note,)


def only_value(arrays: _Arrays, name: str, kinds: str, of_what: str) -> Any:
    """Returns the one value of an array."""
    array = arrays[name]
    if array.size != 1 or array.dtype.kind not in kinds:
        raise InputError(
            f"{name} must be one {of_what}, found shape {list(array.shape)} "
            f"of {array.dtype}."
        )
    return array.reshape(()).item()


def write_score_file(
    score_file: LabelFrameScores, path: Path, made_from: str = ""
) -> None:
    """Writes a score file, whole or not at all; the folder exists.

    Args:
      score_file: The scores.
      path: The `.npz`.
      made_from: What model and data they are of, in words, for reports; "" if
        that is not known.
    """
    arrays: dict[str, Any] = {
        "segment_ids": score_file.segment_ids,
        "mids": score_file.mids,
        "scores": score_file.scores,
        "num_label_frames": score_file.num_label_frames,
        "label_frame_seconds": np.float64(score_file.label_frame_seconds),
        "class_map_hash": np.str_(score_file.class_map_hash),
    }
    if made_from:
        arrays["made_from"] = np.str_(made_from)
    # Not compressed: float16 scores shrink by a tenth only, in forty times the
    # time. A file object, because `np.savez` appends .npz to other names.
    with open_output(path, "wb") as file:
        np.savez(file, **arrays)


# --- Scale: probabilities or logits ------------------------------------------


def score_range(scores: _Scores) -> tuple[float, float]:
    """Returns the lowest and highest of some scores; 0 and 0 of none."""
    if not scores.size:
        return 0.0, 0.0
    if scores.dtype == np.float16:
        # Which NumPy compares slowly. The bits of positive ones, and then of
        # infinity and NaN, are in the same order.
        bits = scores.view(np.int16)
        if bits.min() >= 0:
            ends = np.array([bits.min(), bits.max()], dtype=np.int16)
            scores = ends.view(np.float16)
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
    scored, is_scored = score_file.scores, score_file.is_scored
    low, high = score_range(scored if is_scored.all() else scored[is_scored])
    if score_file.is_logits or are_probabilities(low, high):
        return ""
    text = (
        f"{name} lie in [{low:.4g}, {high:.4g}], not in [0, 1], and "
        f"{', '.join(affected)} would be another for probabilities. If they "
        f"are logits, have them turned into probabilities (is_logits)."
    )
    logging.warning("%s", text)
    return text


def as_probabilities(scores: _Scores, is_logits: bool) -> _Scores:
    """Turns logits into probabilities, float64 of the same shape.

    Scores that are no logits stay as they are. For what shows scores or bins
    them: ranks are of logits, which do not saturate.
    """
    if not is_logits:
        return scores
    probabilities: _Scores = expit(scores.astype(np.float64))
    return probabilities


def warn_of_scale_of_logits(low: float, high: float) -> None:
    """Warns if what is said to be logits may be probabilities."""
    if low >= 0 and high <= 1:
        logging.warning(
            "Scores that are said to be logits all lie in [0, 1]: are they "
            "probabilities already?"
        )


# --- Pooling: scores at any frame rate -> label frames -----------------------
#
# Windows are in order of time, without gaps, from the start of the clip; they
# can overlap. Each counts for every label frame it reaches:
#
#   mean  weighted by how long the window and the label frame overlap
#   max   of the windows that reach the label frame
#
# A window reaches a label frame if they overlap by more than 1 ms, or by more
# than half of a window that is shorter than 2 ms: times in files are rounded,
# and the remainder of a rounding must not bring in the neighbour's score. A
# label frame counts as scored if windows cover at least half of it. (Our
# choice: BUILD_NOTES.md "Pooling".)
#
# Means are float64, since a mean of scores that differ in their last bit lies
# between two numbers of their type. Weights are whole microseconds, so that
# equal scores, and mostly equal means of float32, stay equal.

POOLING = ("mean", "max")

# The precision of the label files; what is shorter is taken for rounding.
TIME_TOLERANCE_SECONDS = 0.001
# Sums of window lengths are off by less.
_FLOAT_TOLERANCE_SECONDS = 1e-6


def pool_onto_label_frames(
    scores: _Scores,
    onset_seconds: npt.NDArray[np.float64],
    offset_seconds: npt.NDArray[np.float64],
    num_label_frames: int,
    *,
    pooling: str = "mean",
    is_logits: bool = False,
    label_frame_seconds: float = _GRID.label_frame_seconds,
) -> tuple[_Scores, int]:
    """Pools scores of windows onto label frames.

    Args:
      scores: float `[..., num_windows, num_classes]`, finite.
      onset_seconds: float64 `[num_windows]`, ascending, from about 0.
      offset_seconds: float64 `[num_windows]`, ascending.
      num_label_frames: Label frames of the clip.
      pooling: "mean" or "max" (section comment).
      is_logits: Whether a mean is that of probabilities (`mean_scores`).
      label_frame_seconds: Length and hop of a label frame.

    Returns:
      pooled: `[..., num_label_frames, num_classes]`, zero on label frames that
        are not scored; float64, for "max" the type of the scores.
      num_scored: Label frames scored, from the start of the clip.
    """
    check_pooling(pooling)
    seconds = label_frame_seconds
    least = seconds / 2 - _FLOAT_TOLERANCE_SECONDS
    lengths = offset_seconds - onset_seconds
    shortest = np.minimum(TIME_TOLERANCE_SECONDS, lengths / 2)
    *clips, num_windows, num_classes = scores.shape
    dtype = scores.dtype if pooling == "max" else np.float64
    pooled = np.zeros((*clips, num_label_frames, num_classes), dtype)
    for label_frame in range(num_label_frames):
        start = label_frame * seconds
        end = start + seconds
        # Windows have no gaps, so the scored label frames are the first.
        if not num_windows or min(offset_seconds[-1], end) - start < least:
            return pooled, label_frame
        # Only windows that can reach it: long clips have many others.
        low = int(np.searchsorted(offset_seconds, start, side="right"))
        high = int(np.searchsorted(onset_seconds, end, side="left"))
        overlaps = np.minimum(end, offset_seconds[low:high])
        overlaps = overlaps - np.maximum(start, onset_seconds[low:high])
        windows = low + np.flatnonzero(overlaps > shortest[low:high])
        # A slice, which copies nothing: the windows follow each other.
        part = scores[..., windows[0] : windows[-1] + 1, :]
        if pooling == "max":
            pooled[..., label_frame, :] = part.max(axis=-2)
        else:
            weights = np.rint(overlaps[windows - low] * 1e6)
            pooled[..., label_frame, :] = mean_scores(part, weights, is_logits)
    return pooled, num_label_frames


def mean_scores(
    scores: _Scores, weights: npt.NDArray[np.float64], is_logits: bool = False
) -> npt.NDArray[np.float64]:
    """Returns the weighted mean of scores of windows.

    Args:
      scores: float `[..., num_windows, num_classes]`.
      weights: float64 `[num_windows]`, above 0.
      is_logits: Whether the scores are logits, whose mean is the logit of the
        mean of their probabilities.

    Returns:
      float64 `[..., num_classes]`.
    """
    wide = scores.astype(np.float64)
    first: npt.NDArray[np.float64] = wide[..., 0, :]
    if wide.shape[-2] == 1:
        return first
    total = weights.sum()
    if not is_logits:
        # From the first on, so that the mean of equal scores is that score.
        mean: npt.NDArray[np.float64]
        mean = first + _weighted(weights, wide, first) / total
        return mean
    logs = []  # of the means of probabilities, then of 1 - probabilities
    for sign in (1, -1):
        of_windows = log_expit(sign * wide)
        highest = of_windows.max(axis=-2)
        powers = np.exp(of_windows - highest[..., None, :])
        share = _weighted(weights, powers, np.zeros(()))
        logs.append(np.log(share / total) + highest)
    is_constant = (wide == first[..., None, :]).all(axis=-2)
    mean = np.where(is_constant, first, logs[0] - logs[1])
    return mean


def _weighted(
    weights: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    less: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Sums weights times (values - less) over windows, always in one order.

    A product of matrices would round in another way for another memory layout,
    and scores that are equal would come out unequal.
    """
    total = weights[0] * (values[..., 0, :] - less)
    for window in range(1, len(weights)):
        total += weights[window] * (values[..., window, :] - less)
    return np.asarray(total)


def check_pooling(pooling: str) -> None:
    """Raises `InputError` unless this is a way to pool."""
    if pooling not in POOLING:
        raise InputError(
            f"pooling must be one of {list(POOLING)}. Received: {pooling!r}."
        )
