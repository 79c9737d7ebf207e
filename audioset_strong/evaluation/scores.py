"""Arrays of an `.npz`, read without a second copy.

NumPy writes an `.npz` without compression, so that an array in it can be mapped
into memory: nothing is read before it is used, and what was read can be dropped
again. Checksums, which mapping passes over, are checked first.

Checks of scores: shapes, dtypes, names, ranges, in parts of a few clips.

Scores of a whole release are hundreds of megabytes, so nothing here makes an
array of their size.

Score columns -> classes: by mid, by class index or by display name.

Score files of other people name their columns in one of three ways:

  mid           /m/09x0r, as AudioSet does; taken as it is
  class index   0, 1, 2, ...: the position in a class map
  display name  Speech: from a class map or mid_to_display_name.tsv

Each column is recognised by itself, in this order. A class of its own is then
its mid, as everywhere: what is not recognised is left out and listed.

Score files: what a model scored, in one `.npz`.

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
name the columns as `score_classes.py` says.

A score is any finite number that grows with the model's belief that the class
is present. `score_scale.py` says where probabilities and logits differ. Audio
can be shorter than a clip; label frames beyond it are zero in the file and take
no part in anything. Without `num_label_frames` all label frames count.

Probabilities or logits: where the scale of scores matters.

What is the same for scores and for any increasing function of them, such as
logits and their probabilities, the same function for all classes:

  the same   Strong eval from scores on label frames: AUC, d', average
             precision, lwlrap; pooling by max
  another    Weak eval, because a clip's score is the mean of its label frames;
             pooling by mean; thresholds in [0, 1]; reliability curves

Scores outside [0, 1] are no probabilities. They are evaluated as they are, with
a warning where it matters, or turned into probabilities first.

Pooling: scores at any frame rate -> label frames.

A model that scores every 40 ms, or windows of unequal length, is evaluated on
the label frames of 0.96 s. Its windows follow each other without gaps and start
where the clip starts; each counts for every label frame that it reaches:

  mean  weighted by how long the window and the label frame overlap
  max   of the windows that reach the label frame

A window reaches a label frame if they overlap by more than 1 ms, or by more
than half of a window that is shorter than 2 ms: times in files are rounded, and
what is left of a rounding must not bring in the neighbour's score. A label
frame counts as scored if windows cover at least half of it.

Source: our choice, BUILD_NOTES.md "Pooling".

Score arrays: what a model scored in memory, at any frame rate.

Frames of any length are pooled onto label frames (`label_frame_pooling.py`), so
that what comes out is a score file like any other.
"""

import dataclasses
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from absl import logging
from scipy.special import expit

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.class_map import (
    ClassMap,
    check_class_hash,
    hash_of_mids,
    read_class_map,
)
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

# --- npz arrays ------------------------------------------------------------


_Path = str | os.PathLike[str]

# Of a zip file's member: everything before its name, whose length and that of
# the extra field after it stand last.
_LOCAL_HEADER = struct.Struct("<26xHH")
_BYTES_AT_ONCE = 1 << 20
# Any, because NumPy gives its functions no types.
_NPY_FORMAT: Any = np.lib.format
# Smaller arrays are simply read.
_MIN_MAPPED_BYTES = 1 << 20


def read_npz(path: _Path) -> dict[str, npt.NDArray[Any]]:
    """Reads the arrays of an `.npz`, without running pickles in it.

    Args:
      path: The file. It must not be written to while its arrays are in use.

    Returns:
      Each array by its name. Large ones that are not compressed are mapped and
      cannot be written to.

    Raises:
      ValueError, EOFError, zipfile.BadZipFile, zlib.error: It is not an `.npz`,
        or a broken one.
    """
    archive = np.load(path, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise ValueError("a single array")
    with archive:
        mapped = _mapped_arrays(path)
        return {
            name: mapped[name] if name in mapped else archive[name]
            for name in archive.files
        }


def _mapped_arrays(path: _Path) -> dict[str, npt.NDArray[Any]]:
    """Maps the large arrays of an `.npz` that are not compressed."""
    mapped = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for member in archive.infolist():
            name, ending = os.path.splitext(member.filename)
            is_stored = member.compress_type == zipfile.ZIP_STORED
            is_large = member.file_size >= _MIN_MAPPED_BYTES
            if ending == ".npy" and is_stored and is_large:
                _check_sum(archive, member)
                array = _map_array(file, member)
                if array is not None:
                    mapped[name] = array
    return mapped


def _check_sum(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Reads a member once, which raises if its checksum is another."""
    with archive.open(member) as file:
        while file.read(_BYTES_AT_ONCE):
            pass


def _map_array(
    file: IO[bytes], member: zipfile.ZipInfo
) -> npt.NDArray[Any] | None:
    """Maps one array; None where it has to be read."""
    file.seek(member.header_offset)
    lengths = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(sum(lengths), os.SEEK_CUR)
    # What NumPy writes unless a dtype is very long.
    if _NPY_FORMAT.read_magic(file) != (1, 0):
        return None
    shape, is_fortran, dtype = _NPY_FORMAT.read_array_header_1_0(file)
    if dtype.hasobject:
        return None
    mapped = np.memmap(
        file,
        dtype=dtype,
        mode="r",
        offset=file.tell(),
        shape=shape,
        order="F" if is_fortran else "C",
    )
    return mapped.view(np.ndarray)


# --- score checks ----------------------------------------------------------


_GRID = LabelFrameParams()

_Scores = npt.NDArray[np.floating[Any]]
_Strings = npt.NDArray[np.str_]
_Counts = npt.NDArray[np.integer[Any]]

# A few megabytes at 527 classes.
_CLIPS_AT_ONCE = 256


def parts_of_clips(num_clips: int) -> Iterator[slice]:
    """Gives slices of clips, in order, that are small enough to copy."""
    for start in range(0, num_clips, _CLIPS_AT_ONCE):
        yield slice(start, start + _CLIPS_AT_ONCE)


def check_grid(label_frame_seconds: float) -> None:
    """Raises `InputError` unless this is the length of a label frame."""
    expected = _GRID.label_frame_seconds
    # float32 writers store 0.96 with an error of 2e-8.
    if not abs(label_frame_seconds - expected) < 1e-6:
        raise InputError(
            f"label_frame_seconds must be {expected}, found "
            f"{label_frame_seconds}. Pool the scores onto {expected} s label "
            f"frames: evaluation.make_score_file does."
        )


def check_names(name: str, values: npt.NDArray[Any]) -> None:
    """Raises `InputError` unless this is an array of unique strings."""
    if values.ndim != 1 or values.dtype.kind != "U":
        raise InputError(
            f"{name} must be a 1-D array of str, found shape "
            f"{values.shape} of {values.dtype}."
        )
    unique, counts = np.unique(values, return_counts=True)
    repeated = unique[counts > 1]
    if repeated.size:
        raise InputError(
            f"{name} must be unique; {repeated.size} stand more than once, "
            f"such as {str(repeated[0])!r}. Keep one of each."
        )


def check_scores(
    scores: _Scores, segment_ids: _Strings, mids: _Strings
) -> None:
    """Raises `InputError` unless shape and dtype are those of scores."""
    expected = (segment_ids.size, _GRID.num_label_frames, mids.size)
    if scores.shape != expected:
        raise InputError(
            f"scores must be [num_clips, num_label_frames, num_classes] = "
            f"{list(expected)}, found {list(scores.shape)}."
        )
    if scores.dtype not in (np.float16, np.float32):
        raise InputError(
            f"scores must be float16 or float32, found {scores.dtype}. "
            f"Convert them before saving."
        )


def check_num_label_frames(counts: _Counts, num_clips: int) -> None:
    """Raises `InputError` unless these are counts of label frames."""
    if counts.shape != (num_clips,) or counts.dtype.kind not in "iu":
        raise InputError(
            f"num_label_frames must be int [num_clips] = [{num_clips}], found "
            f"{list(counts.shape)} of {counts.dtype}."
        )
    most = _GRID.num_label_frames
    if num_clips and not 0 <= counts.min() <= counts.max() <= most:
        raise InputError(
            f"num_label_frames must lie in [0, {most}], found "
            f"{counts.min()} to {counts.max()}."
        )


def check_finite(
    scores: _Scores,
    is_scored: npt.NDArray[np.bool_],
    segment_ids: _Strings,
    mids: _Strings,
) -> None:
    """Raises `InputError` if a scored label frame is NaN or infinite."""
    num_bad, first = 0, None
    for part in parts_of_clips(len(scores)):
        is_finite = np.isfinite(scores[part])
        if is_finite.all():
            continue
        is_bad = ~is_finite & is_scored[part, :, np.newaxis]
        num_bad += int(is_bad.sum())
        if first is None and is_bad.any():
            clip, label_frame, column = np.argwhere(is_bad)[0].tolist()
            first = part.start + clip, label_frame, column
    if first is not None:
        clip, label_frame, column = first
        raise InputError(
            f"scores must be finite, found {num_bad} NaN or infinite, the "
            f"first for segment {segment_ids[clip]}, label frame "
            f"{label_frame}, class {mids[column]}. Check the model that wrote "
            f"them."
        )


def score_range(
    scores: _Scores, is_scored: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Returns the lowest and highest score of scored label frames.

    Args:
      scores: float `[num_clips, num_label_frames, num_classes]`.
      is_scored: bool `[num_clips, num_label_frames]`.

    Returns:
      Both; 0 and 0 if nothing was scored.
    """
    lows, highs = [], []
    for part in parts_of_clips(len(scores)):
        scored = scores[part][is_scored[part]]
        if scored.size:
            lows.append(float(scored.min()))
            highs.append(float(scored.max()))
    return (min(lows), max(highs)) if lows else (0.0, 0.0)


# --- score classes ---------------------------------------------------------


Path = str | os.PathLike[str]

_MID = re.compile(r"/[a-z]+/[^\s,\"]+")
_INDEX = re.compile(r"[0-9]+")
_NUM_SHOWN = 5


@dataclasses.dataclass(frozen=True, eq=False)
class KnownClasses:
    """The classes that score columns can name.

    Attributes:
      class_map: Classes of the model, for class indices and names; None if not
        given.
      display_names: Further names, from mid_to_display_name.tsv.
    """

    class_map: ClassMap | None = None
    display_names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name_of_mid(self) -> dict[str, str]:
        """Name of each mid, to be shown: `display_names` hold."""
        return {**dict(self._class_map_names()), **self.display_names}

    def mids_of_name(self) -> dict[str, list[str]]:
        """Mids of each display name, in both files; more than one rarely."""
        mids: dict[str, list[str]] = {}
        for mid, name in [
            *self._class_map_names(),
            *self.display_names.items(),
        ]:
            named = mids.setdefault(name, [])
            if mid not in named:
                named.append(mid)
        return mids

    def _class_map_names(self) -> list[tuple[str, str]]:
        if self.class_map is None:
            return []
        return list(
            zip(self.class_map.mids, self.class_map.display_names, strict=True)
        )


def read_known_classes(
    class_map: Path | ClassMap | None,
    display_names: Path | Mapping[str, str] | None,
    problems: ProblemLog | None = None,
) -> KnownClasses:
    """Reads what class columns can name.

    Args:
      class_map: `class_labels_indices.csv`, or a class map.
      display_names: `mid_to_display_name.tsv`, or the name of each mid.
      problems: Takes what is wrong with the file of names.

    Returns:
      The classes that were given.

    Raises:
      InputError: A file is not what it should be.
    """
    if isinstance(class_map, str | os.PathLike):
        class_map = read_class_map(class_map)
    if isinstance(display_names, str | os.PathLike):
        display_names = read_display_names(display_names, problems)
    return KnownClasses(class_map, display_names or {})


@dataclasses.dataclass(frozen=True)
class ClassColumns:
    """What the columns of a score file are.

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
        """Says in a line what the columns are.

        Args:
          num_shown: Most unknown columns and missing classes to name; None to
            name all.
        """
        kinds = ", ".join(f"{n} by {k}" for k, n in self.num_by_kind.items())
        num_columns = len(self.columns) + len(self.unknown)
        text = f"{len(self.columns)} of {num_columns} columns ({kinds})"
        if self.unknown:
            text += (
                f"; {len(self.unknown)} unknown and left out: "
                f"{_listed(self.unknown, num_shown)}"
            )
        if self.missing:
            text += (
                f"; {len(self.missing)} classes of the class map without a "
                f"column: {_listed(self.missing, num_shown)}"
            )
        return text


def _listed(names: Sequence[str], num_shown: int | None) -> str:
    shown = names if num_shown is None else names[:num_shown]
    num_more = len(names) - len(shown)
    text = ", ".join(repr(name) for name in shown)
    return text + (f" and {num_more} more" if num_more else "")


def find_classes(
    columns: Sequence[str], known: KnownClasses = KnownClasses()
) -> ClassColumns:
    """Finds the class of each column, and warns of those without one.

    Args:
      columns: Their names.
      known: The classes that they can name.

    Returns:
      The classes, in the order of the columns.

    Raises:
      InputError: No column is known, a display name is that of two classes, or
        two columns are the same class.
    """
    mids_of_name = known.mids_of_name()
    found: dict[str, int] = {}
    num_by_kind: dict[str, int] = {}
    unknown = []
    for position, column in enumerate(columns):
        kind, mid = _class_of_column(column, known, mids_of_name)
        if mid is None:
            unknown.append(column)
            continue
        if mid in found:
            raise InputError(
                f"Expected one column a class, found {columns[found[mid]]!r} "
                f"and {column!r}, which are both {mid}. Keep one of them."
            )
        found[mid] = position
        num_by_kind[kind] = num_by_kind.get(kind, 0) + 1
    if not found:
        raise _no_class_known(columns, known)
    class_map_mids = known.class_map.mids if known.class_map else ()
    classes = ClassColumns(
        columns=tuple(found.values()),
        mids=tuple(found),
        num_by_kind=num_by_kind,
        unknown=tuple(unknown),
        missing=tuple(mid for mid in class_map_mids if mid not in found),
    )
    if unknown:
        logging.warning("Classes: %s.", classes.describe(_NUM_SHOWN))
    return classes


def _class_of_column(
    column: str, known: KnownClasses, mids_of_name: Mapping[str, list[str]]
) -> tuple[str, str | None]:
    """Returns how a column names its class, and the mid; None if unknown."""
    if _MID.fullmatch(column):
        return "mid", column
    if _INDEX.fullmatch(column):
        mids = known.class_map.mids if known.class_map else ()
        index = int(column)
        return "class index", mids[index] if index < len(mids) else None
    mids_of_column = mids_of_name.get(column.strip(), [])
    if len(mids_of_column) > 1:
        raise InputError(
            f"Expected display names of one class each, found "
            f"{column!r}, which is both {' and '.join(mids_of_column)}. Name "
            f"that column by its mid."
        )
    return "display name", mids_of_column[0] if mids_of_column else None


def _no_class_known(columns: Sequence[str], known: KnownClasses) -> InputError:
    first = ", ".join(repr(column) for column in columns[:_NUM_SHOWN])
    if known.name_of_mid:
        advice = (
            "None is a mid, or an index or name of the class map and display "
            "names given. Give those of the model."
        )
    else:
        advice = (
            "Name columns by mid, or give --class_map for class indices and "
            "--class_map or --display_names for display names."
        )
    return InputError(
        f"Expected at least one known class, found {len(columns)} columns "
        f"({first}). {advice}"
    )


# --- score files -----------------------------------------------------------


_Arrays = dict[str, npt.NDArray[Any]]

_REQUIRED = ("segment_ids", "mids", "scores", "label_frame_seconds")
# One of them names the columns.
_CLASS_ARRAYS = ("mids", "class_names", "class_indices")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ScoreFile:
    """Scores of clips on label frames, as in the module docstring.

    Attributes:
      segment_ids: str `[num_clips]`, unique.
      mids: str `[num_classes]`, unique: the class of each column.
      scores: float16 or float32 `[num_clips, num_label_frames, num_classes]`,
        finite wherever a label frame was scored. That of a file can be mapped:
        not to be written to.
      num_label_frames: int64 `[num_clips]`, label frames scored, from the
        start of the clip, in [0, 10].
      label_frame_seconds: Length and hop of a label frame.
      notes: What a reader of results must know of how these scores were read,
        such as columns that were left out; not written.
    """

    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    scores: npt.NDArray[np.floating[Any]]
    num_label_frames: npt.NDArray[np.integer[Any]]
    label_frame_seconds: float = _GRID.label_frame_seconds
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks every claim of the attributes.

        Raises:
          InputError: An array has another shape, dtype or range.
        """
        check_grid(self.label_frame_seconds)
        check_names("segment_ids", self.segment_ids)
        check_names("mids", self.mids)
        check_scores(self.scores, self.segment_ids, self.mids)
        check_num_label_frames(self.num_label_frames, self.segment_ids.size)
        check_finite(self.scores, self.is_scored, self.segment_ids, self.mids)

    @property
    def class_map_hash(self) -> str:
        """Hash of the classes, as that of the class map they came from."""
        return hash_of_mids(self.mids.tolist())

    @property
    def is_scored(self) -> npt.NDArray[np.bool_]:
        """Whether each label frame was scored.

        bool `[num_clips, num_label_frames]`.
        """
        label_frames = np.arange(self.scores.shape[1])
        return label_frames < self.num_label_frames[:, np.newaxis]

    def clip_scores(self) -> npt.NDArray[np.float32]:
        """Returns the mean of each clip's scored label frames.

        Returns:
          float32 `[num_clips, num_classes]`; NaN for a clip without any scored
          label frame.

        Source:
          Our choice: the paper does not say how a clip is scored from its
          label frames; the mean is what its authors' other work uses
          (BUILD_NOTES.md "Clip scores").
        """
        is_scored = self.is_scored[:, :, np.newaxis]
        num_clips, _, num_classes = self.scores.shape
        means = np.empty((num_clips, num_classes), dtype=np.float32)
        for part in parts_of_clips(num_clips):
            scored = np.where(is_scored[part], self.scores[part], 0)
            means[part] = scored.sum(axis=1, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            means /= self.num_label_frames[:, np.newaxis].astype(np.float32)
        return means


def read_score_file(
    path: _Path, known: KnownClasses = KnownClasses()
) -> ScoreFile:
    """Reads a score file.

    Args:
      path: The `.npz` (module docstring).
      known: What `class_names` and `class_indices` can mean.

    Returns:
      The checked scores. They are mapped, not copied, where the file is not
      compressed.

    Raises:
      InputError: The file is not an `.npz`, lacks an array, an array is not as
        the module docstring says, or the classes are not those of its hash.
        Names the file.
    """
    arrays = _load_arrays(path)
    try:
        _check_arrays(arrays)
        classes = _find_columns(arrays, known)
        score_file = ScoreFile(
            segment_ids=arrays["segment_ids"],
            mids=np.array(classes.mids, dtype=str)
            if classes
            else arrays["mids"],
            scores=_scores_of(arrays["scores"], classes),
            num_label_frames=_num_label_frames(arrays),
            label_frame_seconds=_as_float(arrays["label_frame_seconds"]),
            notes=(f"classes: {classes.describe()}",) if classes else (),
        )
        if "class_map_hash" in arrays:
            _check_hash(score_file, arrays["class_map_hash"])
        return score_file
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _load_arrays(path: _Path) -> _Arrays:
    """Loads the arrays of the file."""
    try:
        return read_npz(path)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: expected a score file, an .npz with {list(_REQUIRED)}. "
            f"It cannot be read as one: {error}".splitlines()[0]
        ) from error


def _check_arrays(arrays: _Arrays) -> None:
    """Checks that nothing is missing and the classes are named once."""
    class_arrays = [name for name in _CLASS_ARRAYS if name in arrays]
    if len(class_arrays) > 1:
        raise InputError(
            f"Expected one of {list(_CLASS_ARRAYS)}, found {class_arrays}. "
            f"Keep the one that names the columns."
        )
    required = [
        "mids or class_names or class_indices" if name == "mids" else name
        for name in _REQUIRED
        if name not in arrays and not (name == "mids" and class_arrays)
    ]
    if required:
        raise InputError(
            f"expected a score file with {list(_REQUIRED)}, found no "
            f"{required}."
        )


def _find_columns(arrays: _Arrays, known: KnownClasses) -> ClassColumns | None:
    """Finds the classes of `class_names` or `class_indices`; None for mids."""
    name = next((n for n in _CLASS_ARRAYS[1:] if n in arrays), None)
    if name is None:
        return None
    values = arrays[name]
    kinds, of_what = ("U", "str") if name == "class_names" else ("iu", "int")
    if values.ndim != 1 or values.dtype.kind not in kinds:
        raise InputError(
            f"{name} must be a 1-D array of {of_what}, found shape "
            f"{list(values.shape)} of {values.dtype}."
        )
    return find_classes([str(value) for value in values.tolist()], known)


def _scores_of(
    scores: npt.NDArray[Any], classes: ClassColumns | None
) -> npt.NDArray[Any]:
    """Keeps the columns of known classes; copies only if it must."""
    if classes is None or not classes.unknown:
        return scores
    num_columns = len(classes.columns) + len(classes.unknown)
    if scores.ndim != 3 or scores.shape[2] != num_columns:
        raise InputError(
            f"scores must be [num_clips, num_label_frames, num_classes] with "
            f"{num_columns} classes, found {list(scores.shape)}."
        )
    return scores[:, :, list(classes.columns)]


def _check_hash(score_file: ScoreFile, saved: npt.NDArray[Any]) -> None:
    """Checks the classes against the hash that was saved with them."""
    if saved.size != 1 or saved.dtype.kind != "U":
        raise InputError(
            f"class_map_hash must be one str, found shape {list(saved.shape)} "
            f"of {saved.dtype}."
        )
    check_class_hash(
        score_file.mids.tolist(),
        str(saved.reshape(())),
        "mids",
        "The columns are not those that were written: write the file again, "
        "with mids in the order of its scores.",
    )


def _num_label_frames(arrays: _Arrays) -> npt.NDArray[Any]:
    """Returns how many label frames were scored: all, unless the file says."""
    if "num_label_frames" in arrays:
        return arrays["num_label_frames"]
    num_clips = arrays["segment_ids"].size
    return np.full(num_clips, _GRID.num_label_frames, dtype=np.int64)


def _as_float(array: npt.NDArray[Any]) -> float:
    if array.size != 1 or array.dtype.kind not in "fiu":
        raise InputError(
            f"label_frame_seconds must be one number, found shape "
            f"{list(array.shape)} of {array.dtype}."
        )
    return float(array.reshape(()))


def write_score_file(score_file: ScoreFile, path: _Path) -> None:
    """Writes a score file, whole or not at all.

    Not compressed: float16 scores shrink by a tenth only, in forty times the
    time, and what is not compressed can be mapped by its readers.

    Args:
      score_file: What to write.
      path: Where; the folder exists.
    """
    # A file object, because `np.savez` appends .npz to other names.
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


# --- score scale -----------------------------------------------------------


# Float rounding of probabilities.
_TOLERANCE = 1e-3


def warn_unless_probabilities(
    score_file: ScoreFile, asked_for: Sequence[str], name: str = "scores"
) -> str:
    """Warns if scores outside [0, 1] are to be used as probabilities.

    Args:
      score_file: The scores.
      asked_for: What depends on the scale, such as "thresholds"; nothing is
        said if there is none.
      name: What the scores are, for the message.

    Returns:
      What was said; "" for nothing.
    """
    if not asked_for:
        return ""
    low, high = score_range(score_file.scores, score_file.is_scored)
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return ""
    text = (
        f"{name} lie in [{low:.4g}, {high:.4g}], not in [0, 1], and "
        f"{', '.join(asked_for)} would be another for probabilities. Give "
        f"--logits if they are logits."
    )
    logging.warning("%s", text)
    return text


def logits_to_probabilities(
    scores: npt.NDArray[np.floating[Any]],
) -> npt.NDArray[np.float32]:
    """Applies the logistic function.

    Args:
      scores: float `[num_clips, ...]`.

    Returns:
      float32, same shape. float16 would give many logits the probability 1.
    """
    probabilities = np.empty(scores.shape, dtype=np.float32)
    for part in parts_of_clips(len(scores)):
        probabilities[part] = expit(scores[part].astype(np.float32))
    return probabilities


def with_probabilities(score_file: ScoreFile) -> ScoreFile:
    """Turns a score file of logits into one of probabilities."""
    low, high = score_range(score_file.scores, score_file.is_scored)
    if low >= 0 and high <= 1:
        logging.warning(
            "Scores that are said to be logits all lie in [0, 1]: are they "
            "probabilities already?"
        )
    return dataclasses.replace(
        score_file,
        scores=logits_to_probabilities(score_file.scores),
        notes=(*score_file.notes, "logits were turned into probabilities"),
    )


# --- label frame pooling ---------------------------------------------------


POOLING = ("mean", "max")

# Share of a label frame that must be covered for it to count as scored.
MIN_COVERED = 0.5

# The precision of the label files; what is shorter is taken for rounding.
TIME_TOLERANCE_SECONDS = 0.001
# Sums of window lengths are off by less.
_FLOAT_TOLERANCE_SECONDS = 1e-6

_Floats = npt.NDArray[np.float64]


def pool_onto_label_frames(
    scores: npt.NDArray[np.floating[Any]],
    edges_seconds: _Floats,
    pooling: str = "mean",
    params: LabelFrameParams = LabelFrameParams(),
) -> tuple[npt.NDArray[np.float32], int]:
    """Pools scores of windows onto label frames.

    Args:
      scores: float `[..., num_windows, num_classes]`, finite.
      edges_seconds: float64 `[num_windows + 1]`, ascending, from about 0: the
        start of each window, then the end of the last.
      pooling: "mean" or "max" (module docstring).
      params: The grid of label frames.

    Returns:
      pooled: float32 `[..., num_label_frames, num_classes]`, zero on label
        frames that are not scored.
      num_scored: Label frames scored, from the start of the clip.

    Raises:
      InputError: `pooling` is neither of its values.
    """
    check_pooling(pooling)
    overlaps = _overlap_seconds(edges_seconds, params)
    least = MIN_COVERED * params.label_frame_seconds - _FLOAT_TOLERANCE_SECONDS
    # Windows have no gaps, so the scored label frames are the first ones.
    num_scored = int((overlaps.sum(axis=1) >= least).sum())
    shortest = np.minimum(TIME_TOLERANCE_SECONDS, np.diff(edges_seconds) / 2)
    reaches = overlaps > shortest
    *clips, _, num_classes = scores.shape
    pooled = np.zeros(
        (*clips, params.num_label_frames, num_classes), dtype=np.float32
    )
    for label_frame in range(num_scored):
        windows = np.flatnonzero(reaches[label_frame])
        # A slice, which copies nothing: the windows follow each other.
        part = scores[..., windows[0] : windows[-1] + 1, :]
        if pooling == "max":
            pooled[..., label_frame, :] = part.max(axis=-2)
        else:
            weights = overlaps[label_frame, windows]
            pooled[..., label_frame, :] = (weights / weights.sum()) @ part
    return pooled, num_scored


def check_pooling(pooling: str) -> None:
    """Raises `InputError` unless this is a way to pool."""
    if pooling not in POOLING:
        raise InputError(
            f"pooling must be one of {list(POOLING)}. Received: {pooling!r}."
        )


def _overlap_seconds(
    edges_seconds: _Floats, params: LabelFrameParams
) -> _Floats:
    """Returns how long each label frame and window overlap.

    float64 `[num_label_frames, num_windows]`.
    """
    starts = (
        np.arange(params.num_label_frames)[:, np.newaxis]
        * params.label_frame_seconds
    )
    ends = np.minimum(starts + params.label_frame_seconds, edges_seconds[1:])
    overlaps: _Floats = ends - np.maximum(starts, edges_seconds[:-1])
    return np.maximum(overlaps, 0)


# --- score arrays ----------------------------------------------------------


_Ints = npt.NDArray[np.int64]


def make_score_file(
    scores: npt.ArrayLike,
    segment_ids: Sequence[str],
    classes: Sequence[str | int],
    *,
    frame_seconds: float = _GRID.label_frame_seconds,
    edges_seconds: Sequence[float] | None = None,
    num_frames: Sequence[int] | None = None,
    pooling: str = "mean",
    is_logits: bool = False,
    class_map: Path | ClassMap | None = None,
    display_names: Path | Mapping[str, str] | None = None,
) -> ScoreFile:
    """Pools scores of frames of any length onto label frames.

    Args:
      scores: float `[num_clips, num_frames, num_classes]`; anything that NumPy
        makes an array of, such as a PyTorch tensor on the CPU.
      segment_ids: `[num_clips]`, such as "s9d-2nhuJCQ_30000".
      classes: `[num_classes]`: mids, or class indices or display names of
        `class_map` or `display_names`.
      frame_seconds: Length and hop of a frame.
      edges_seconds: Instead of it, `[num_frames + 1]`, ascending from 0: where
        each frame starts, then where the last ends.
      num_frames: `[num_clips]`: how many frames, from the first, are of the
        clip; the others are padding and can hold anything. None for all.
      pooling: How frames become label frames: "mean" or "max".
      is_logits: Whether to turn scores into probabilities before pooling.
      class_map: `class_labels_indices.csv` or a class map.
      display_names: `mid_to_display_name.tsv` or the name of each mid.

    Returns:
      The scores on label frames, float32.

    Raises:
      InputError: An array has another shape, a score of a clip is not finite,
        or an argument is not one of its values.
    """
    check_pooling(pooling)
    array = np.asarray(scores)
    _check_shape(array, len(segment_ids), len(classes))
    known = read_known_classes(class_map, display_names)
    columns = find_classes([str(name) for name in classes], known)
    if columns.unknown:
        array = array[:, :, list(columns.columns)]
    edges = _edges(array.shape[1], frame_seconds, edges_seconds)
    counts = _counts(num_frames, *array.shape[:2])
    _check_finite(array, counts, segment_ids, columns.mids)
    pooled, num_label_frames = _pool(array, edges, counts, pooling, is_logits)
    notes = [
        f"classes: {columns.describe()}",
        f"{array.shape[1]} frames up to {edges[-1]:g} s, pooled by {pooling}",
    ]
    if is_logits:
        notes.append("logits were turned into probabilities")
    return ScoreFile(
        segment_ids=np.array(list(segment_ids), dtype=str),
        mids=np.array(columns.mids, dtype=str),
        scores=pooled,
        num_label_frames=num_label_frames,
        notes=tuple(notes),
    )


def _check_shape(
    scores: npt.NDArray[Any], num_clips: int, num_classes: int
) -> None:
    is_clips_and_classes = scores.ndim == 3 and (
        scores.shape[0] == num_clips and scores.shape[2] == num_classes
    )
    if not is_clips_and_classes or scores.dtype.kind != "f":
        raise InputError(
            f"scores must be float [num_clips, num_frames, num_classes] with "
            f"{num_clips} segment_ids and {num_classes} classes, found "
            f"{list(scores.shape)} of {scores.dtype}."
        )


def _edges(
    num_frames: int,
    frame_seconds: float,
    edges_seconds: Sequence[float] | None,
) -> _Floats:
    """Returns where frames start and end, float64 `[num_frames + 1]`."""
    if edges_seconds is None:
        if not 0 < frame_seconds < np.inf:
            raise InputError(
                f"frame_seconds must be above 0, found {frame_seconds}."
            )
        return np.arange(num_frames + 1) * float(frame_seconds)
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
) -> _Ints:
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


def _check_finite(
    scores: npt.NDArray[Any],
    counts: _Ints,
    segment_ids: Sequence[str],
    mids: Sequence[str],
) -> None:
    """Raises `InputError` if a frame of a clip is NaN or infinite."""
    frames = np.arange(scores.shape[1])
    for part in parts_of_clips(len(scores)):
        # Too large for float32 is as bad as infinite.
        is_good = np.abs(scores[part]) <= np.finfo(np.float32).max
        is_good |= (frames >= counts[part, np.newaxis])[:, :, np.newaxis]
        if not is_good.all():
            clip, frame, column = np.argwhere(~is_good)[0].tolist()
            clip += part.start
            raise InputError(
                f"scores must be finite, found {scores[clip, frame, column]} "
                f"for segment {segment_ids[clip]}, frame {frame}, class "
                f"{mids[column]}. Check the model, or give num_frames if "
                f"frames are padded."
            )


def _pool(
    scores: npt.NDArray[Any],
    edges: _Floats,
    counts: _Ints,
    pooling: str,
    is_logits: bool,
) -> tuple[npt.NDArray[np.float32], _Ints]:
    """Pools all clips, a few at a time; those of one length at once."""
    num_clips, _, num_classes = scores.shape
    pooled = np.zeros(
        (num_clips, _GRID.num_label_frames, num_classes), dtype=np.float32
    )
    num_label_frames = np.zeros(num_clips, dtype=np.int64)
    for part in parts_of_clips(num_clips):
        for count in np.unique(counts[part]).tolist():
            clips = part.start + np.flatnonzero(counts[part] == count)
            values = scores[clips, :count]
            if is_logits:
                values = logits_to_probabilities(values)
            pooled[clips], num_label_frames[clips] = pool_onto_label_frames(
                values, edges[: count + 1], pooling
            )
    return pooled, num_label_frames
