"""Score files: what a model scored, in one `.npz`.

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
"""

import dataclasses
import os
import zipfile
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.evaluation import score_checks
from audioset_strong.evaluation.npz_arrays import read_npz
from audioset_strong.evaluation.score_classes import (
    ClassColumns,
    KnownClasses,
    find_classes,
)
from audioset_strong.labels.class_map import check_class_hash, hash_of_mids
from audioset_strong.output_files import open_output
from audioset_strong.params import LabelFrameParams

_Path = str | os.PathLike[str]
_Arrays = dict[str, npt.NDArray[Any]]

_GRID = LabelFrameParams()
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
        score_checks.check_grid(self.label_frame_seconds)
        score_checks.check_names("segment_ids", self.segment_ids)
        score_checks.check_names("mids", self.mids)
        score_checks.check_scores(self.scores, self.segment_ids, self.mids)
        score_checks.check_num_label_frames(
            self.num_label_frames, self.segment_ids.size
        )
        score_checks.check_finite(
            self.scores, self.is_scored, self.segment_ids, self.mids
        )

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
        for part in score_checks.parts_of_clips(num_clips):
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
