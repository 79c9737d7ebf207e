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

A score is any finite number that grows with the model's belief that the class
is present: probabilities and logits give the same metrics. Audio can be shorter
than a clip; label frames beyond it are zero in the file and take no part in
anything. Without `num_label_frames` all label frames count.
"""

import dataclasses
import os
import zipfile
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import check_class_hash, hash_of_mids
from audioset_strong.output_files import open_output
from audioset_strong.params import LabelFrameParams

_Path = str | os.PathLike[str]

_GRID = LabelFrameParams()
_REQUIRED = ("segment_ids", "mids", "scores", "label_frame_seconds")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ScoreFile:
    """Scores of clips on label frames, as in the module docstring.

    Attributes:
      segment_ids: str `[num_clips]`, unique.
      mids: str `[num_classes]`, unique: the class of each column.
      scores: float16 or float32 `[num_clips, num_label_frames, num_classes]`,
        finite wherever a label frame was scored.
      num_label_frames: int64 `[num_clips]`, label frames scored, from the
        start of the clip, in [0, 10].
      label_frame_seconds: Length and hop of a label frame.
    """

    segment_ids: npt.NDArray[np.str_]
    mids: npt.NDArray[np.str_]
    scores: npt.NDArray[np.floating[Any]]
    num_label_frames: npt.NDArray[np.integer[Any]]
    label_frame_seconds: float = _GRID.label_frame_seconds

    def __post_init__(self) -> None:
        """Checks every claim of the attributes.

        Raises:
          InputError: An array has another shape, dtype or range.
        """
        _check_grid(self.label_frame_seconds)
        _check_names("segment_ids", self.segment_ids)
        _check_names("mids", self.mids)
        _check_scores(self)
        _check_num_label_frames(self)
        _check_finite(self)

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
        sums = np.where(is_scored, self.scores, 0).sum(axis=1, dtype=np.float32)
        counts = self.num_label_frames[:, np.newaxis].astype(np.float32)
        with np.errstate(invalid="ignore"):
            means: npt.NDArray[np.float32] = sums / counts
        return means


def _check_grid(label_frame_seconds: float) -> None:
    expected = _GRID.label_frame_seconds
    # float32 writers store 0.96 with an error of 2e-8.
    if not abs(label_frame_seconds - expected) < 1e-6:
        raise InputError(
            f"label_frame_seconds must be {expected}, found "
            f"{label_frame_seconds}. Pool the scores onto {expected} s label "
            f"frames."
        )


def _check_names(name: str, values: npt.NDArray[Any]) -> None:
    """Checks an array of unique strings."""
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


def _check_scores(score_file: ScoreFile) -> None:
    scores = score_file.scores
    expected = (
        score_file.segment_ids.size,
        _GRID.num_label_frames,
        score_file.mids.size,
    )
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


def _check_num_label_frames(score_file: ScoreFile) -> None:
    counts = score_file.num_label_frames
    num_clips, most = score_file.scores.shape[:2]
    if counts.shape != (num_clips,) or counts.dtype.kind not in "iu":
        raise InputError(
            f"num_label_frames must be int [num_clips] = [{num_clips}], found "
            f"{list(counts.shape)} of {counts.dtype}."
        )
    if num_clips and not 0 <= counts.min() <= counts.max() <= most:
        raise InputError(
            f"num_label_frames must lie in [0, {most}], found "
            f"{counts.min()} to {counts.max()}."
        )


def _check_finite(score_file: ScoreFile) -> None:
    is_finite = np.isfinite(score_file.scores)
    is_bad = ~is_finite & score_file.is_scored[:, :, np.newaxis]
    if is_bad.any():
        clip, label_frame, column = np.argwhere(is_bad)[0]
        raise InputError(
            f"scores must be finite, found {int(is_bad.sum())} NaN or "
            f"infinite, the first for segment "
            f"{score_file.segment_ids[clip]}, label frame {label_frame}, class "
            f"{score_file.mids[column]}. Check the model that wrote them."
        )


def _load_arrays(path: _Path) -> dict[str, npt.NDArray[Any]]:
    """Loads the arrays of an `.npz`, without running pickles in it."""
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array")
        with archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: expected a score file, an .npz with {list(_REQUIRED)}. "
            f"It cannot be read as one: {error}".splitlines()[0]
        ) from error


def read_score_file(path: _Path) -> ScoreFile:
    """Reads a score file.

    Args:
      path: The `.npz` (module docstring).

    Returns:
      The checked scores.

    Raises:
      InputError: The file is not an `.npz`, lacks an array, an array is not as
        the module docstring says, or the classes are not those of its hash.
        Names the file.
    """
    arrays = _load_arrays(path)
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise InputError(
            f"{path}: expected a score file with {list(_REQUIRED)}, found no "
            f"{missing}."
        )
    try:
        score_file = ScoreFile(
            segment_ids=arrays["segment_ids"],
            mids=arrays["mids"],
            scores=arrays["scores"],
            num_label_frames=_num_label_frames(arrays),
            label_frame_seconds=_as_float(arrays["label_frame_seconds"]),
        )
        if "class_map_hash" in arrays:
            _check_hash(score_file, arrays["class_map_hash"])
        return score_file
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


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


def _num_label_frames(arrays: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
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
    time.

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
