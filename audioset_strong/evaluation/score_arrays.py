"""Arrays, tensors, lists and data frames of scores -> `NativeScores`.

Whatever a model gives, in any framework, without a file between:

    [num_clips, num_frames, num_classes]  an array or tensor, with frame_seconds
    a list or dict of [num_frames, num_classes]  clips of different lengths
    [num_clips, num_classes]              one score a clip, as taggers give
    a dict of data frames                 of each clip, as sed_scores_eval has
                                          them: onset, offset, a column a class
    a data frame                          a row a clip and frame, a column a
                                          class; or a row a clip, frame and
                                          class, with columns label and score

Columns of data frames that say which clip a row is of and when can have the
names of AudioSet's own files (`segment_id`, `start_time_seconds`, ...) or of
others (`_ID_COLUMNS`, `TIME_COLUMNS`); `YTID` and `start_seconds` together are
a clip of AudioSet. Tensors of PyTorch, TensorFlow and JAX are taken as they
are, off the graph, and none of these libraries is loaded. bfloat16, which NumPy
has not, becomes float32, which holds every one of its numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.native_scores import (
    FrameTimes,
    NativeScores,
    check_windows,
    flatten,
    frame_times,
    make_native,
)
from audioset_strong.evaluation.scores import (
    TIME_TOLERANCE_SECONDS,
    ClassColumns,
    find_classes,
)
from audioset_strong.labels.class_map import KnownClasses
from audioset_strong.labels.ids import make_segment_id
from audioset_strong.labels.problems import listed
from audioset_strong.params import LabelFrameParams

_GRID = LabelFrameParams()
_ID_COLUMNS = (
    "segment_id",
    "filename",
    "file_name",
    "file",
    "audio_filename",
    "clip_id",
    "clip",
    "video_id",
    "YTID",
    "ytid",
)
TIME_COLUMNS = (
    ("onset", "offset"),
    ("onset_seconds", "offset_seconds"),
    ("start_time_seconds", "end_time_seconds"),
    ("start_seconds", "end_seconds"),
    ("start", "end"),
    # A row lasts until the next.
    ("time_seconds", ""),
    ("time", ""),
    ("timestamp", ""),
)
_LABEL_COLUMNS = ("label", "mid", "class", "event_label", "display_name")
_SCORE_COLUMNS = ("score", "probability", "confidence", "logit")

_Floats = npt.NDArray[np.float64]
_Scores = npt.NDArray[np.floating[Any]]


def make_scores(
    scores: Any,
    segment_ids: Iterable[Any] | None = None,
    classes: Sequence[str | int] | None = None,
    *,
    frame_seconds: float = _GRID.label_frame_seconds,
    window_seconds: float | None = None,
    edges_seconds: Sequence[float] | None = None,
    num_frames: Sequence[int] | None = None,
    audio_seconds: Sequence[float] | None = None,
    is_logits: bool = False,
    known: KnownClasses = KnownClasses(),
) -> NativeScores:
    """Takes scores of frames of any length.

    Args:
      scores: float, in any form of the module docstring.
      segment_ids: `[num_clips]`, such as "s9d-2nhuJCQ_30000"; or other names
        that the labels' clips can be found by (`Truth.fit`). None for what data
        frames and dicts say.
      classes: `[num_classes]`: mids, class indices, display names or ids of
        your own; the latter three need `known`. None for the columns of data
        frames.
      frame_seconds: Between the starts of two frames.
      window_seconds: How much audio a frame stands for, if frames overlap.
      edges_seconds: Instead of both, `[num_frames + 1]`, ascending from 0:
        where each frame starts, then where the last ends.
      num_frames: `[num_clips]`: how many frames, from the first, are of the
        clip; the others are padding and can hold anything. None for all.
      audio_seconds: `[num_clips]`: how long the audio is; None if the labels
        say it.
      is_logits: Whether the scores are logits, not probabilities.
      known: What class indices and names mean, of `read_known_classes`.

    Raises:
      InputError: An array has another shape, a score of a clip is not finite,
        a data frame lacks a column, or an argument is not one of its values.
    """
    ids = None if segment_ids is None else _texts(segment_ids)
    times: FrameTimes | None = None
    counts: npt.NDArray[np.integer[Any]] | None = None
    first_rows = None
    if isinstance(scores, pd.DataFrame):
        if ids is not None:
            raise InputError(
                "A data frame says which clips its rows are of: leave out "
                "segment_ids."
            )
        ids, counts, times, values, columns = _of_table(scores)
        classes = columns if classes is None else classes
    elif isinstance(scores, Mapping):
        names = _texts(scores)
        if ids is not None and ids.tolist() != names.tolist():
            raise InputError(
                "A dict says which clips its scores are of: leave out "
                "segment_ids."
            )
        ids, parts = names, list(scores.values())
        if parts and isinstance(parts[0], pd.DataFrame):
            counts, times, values, columns = _of_tables(ids, parts)
            classes = columns if classes is None else classes
        else:
            values, counts = _joined(parts, ids)
    elif isinstance(scores, list | tuple) and any(
        _ndim(s) == 2 for s in scores
    ):
        values, counts = _joined(scores, ids)
    else:
        values = as_array(scores)
    if ids is None or classes is None:
        lacking = "segment_ids" if ids is None else "classes"
        raise InputError(
            f"Expected {lacking} with scores that do not say them, found none. "
            f"Give one for each "
            f"{'clip' if ids is None else 'class'}."
        )
    if counts is not None and num_frames is not None:
        raise InputError(
            "num_frames is for arrays with padding; scores of each clip by "
            "itself have none. Leave it out."
        )
    is_of_clips = times is None and values.shape == (len(ids), len(classes))
    is_of_clips &= counts is None
    if values.ndim == 2 and counts is None and len(ids) == 1 < len(values):
        values, is_of_clips = values[np.newaxis], False  # frames of one clip
    if is_of_clips:
        counts = np.ones(len(ids), dtype=np.int64)
    columns_found = _check_scores(values, ids, classes, counts, known)
    mids = np.array(columns_found.mids, dtype=str)
    if columns_found.unknown:
        values = values[..., list(columns_found.columns)]
    room = values.shape[1]
    frames = counts
    if frames is None:
        asked = None if num_frames is None else np.asarray(num_frames)
        values, frames, first_rows = flatten(values, ids, mids, asked)
    if times is None:
        times = FrameTimes(float(frame_seconds), window_seconds, None, None)
        if edges_seconds is not None:
            if first_rows is None:
                raise InputError(
                    "edges_seconds are of clips with the same frames: give an "
                    "array, or data frames with onset and offset."
                )
            times = _of_edges(edges_seconds, room, len(ids))
    notes = [f"classes: {columns_found.describe()}"]
    if is_of_clips:
        notes.append("there is one score a clip and class")
    return make_native(
        NativeScores(
            segment_ids=ids,
            mids=mids,
            scores=values,
            num_frames=frames,
            first_rows=first_rows,
            **times._asdict(),
            audio_seconds=np.full(len(ids), np.nan)
            if audio_seconds is None
            else np.asarray(audio_seconds, dtype=np.float64),
            is_logits=is_logits,
            is_of_clips=is_of_clips,
            display_names=known.name_of_mid,
            notes=tuple(notes),
        )
    )


def as_array(values: Any) -> npt.NDArray[Any]:
    """Makes an array of what NumPy or another library has, without a copy.

    Raises:
      InputError: Its rows have different lengths.
    """
    if hasattr(values, "detach"):  # PyTorch, perhaps on the graph or a GPU
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"Expected scores with as many frames in every clip, found other "
            f"numbers ({error}). Give a list of arrays, one a clip, or pad "
            f"them and say num_frames."
        ) from error
    # Of TensorFlow and JAX.
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _ndim(values: Any) -> int:
    """Returns the number of dimensions of an array or tensor; of others 0."""
    shape = getattr(values, "shape", None)
    return 0 if shape is None else len(shape)


def _texts(names: Iterable[Any]) -> npt.NDArray[np.str_]:
    """Returns names of clips, which can be numbers, as texts."""
    return np.array([str(name) for name in names], dtype=str)


def _joined(
    parts: Sequence[Any], segment_ids: npt.NDArray[np.str_] | None
) -> tuple[_Scores, npt.NDArray[np.int64]]:
    """Joins scores of each clip, `[num_frames, num_classes]`, with counts."""
    arrays = [as_array(part) for part in parts]
    shapes = [array.shape for array in arrays]
    if segment_ids is not None and len(arrays) != len(segment_ids):
        raise InputError(
            f"Expected scores of each of {len(segment_ids)} segment_ids, found "
            f"{len(arrays)}."
        )
    if any(len(shape) != 2 for shape in shapes) or (
        len({shape[1:] for shape in shapes}) > 1
    ):
        raise InputError(
            f"Expected scores [num_frames, num_classes] of each clip, with the "
            f"same classes, found shapes such as "
            f"{listed(map(str, dict.fromkeys(shapes)), 3)}."
        )
    counts = np.array([len(array) for array in arrays], dtype=np.int64)
    return np.concatenate(arrays), counts


def _check_scores(
    values: npt.NDArray[Any],
    ids: npt.NDArray[np.str_],
    classes: Sequence[str | int],
    counts: npt.NDArray[np.integer[Any]] | None,
    known: KnownClasses,
) -> ClassColumns:
    """Checks shape and dtype; finds the classes of the columns."""
    rows = len(ids) if counts is None else int(counts.sum())
    expected = (rows, len(classes))
    is_shape = (
        values.shape == expected
        if counts is not None
        else values.ndim == 3 and values.shape[::2] == expected
    )
    if not is_shape or values.dtype.kind != "f":
        raise InputError(
            f"scores must be float [num_clips, num_frames, num_classes], or "
            f"[num_clips, num_classes] for one score a clip, with {len(ids)} "
            f"segment_ids and {len(classes)} classes, found "
            f"{list(values.shape)} of {values.dtype}."
        )
    return find_classes([str(name) for name in classes], known)


def _of_edges(
    edges_seconds: Sequence[float], num_frames: int, num_clips: int
) -> FrameTimes:
    """Describes when the frames of all clips are, by their edges."""
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
    onsets, offsets = (
        np.tile(times, num_clips) for times in (edges[:-1], edges[1:])
    )
    return frame_times(onsets, offsets, np.full(num_clips, num_frames))


# --- Data frames -------------------------------------------------------------


def _first_of(names: Iterable[str], columns: Iterable[Any]) -> str:
    """Returns the first of some names that is a column; "" for none."""
    present = set(columns)
    return next((name for name in names if name in present), "")


def _time_columns(table: pd.DataFrame) -> tuple[str, str]:
    """Finds the columns of onset and offset; "" for none."""
    for onset, offset in TIME_COLUMNS:
        if onset in table and (not offset or offset in table):
            return onset, offset
    return "", ""


def _values_of(table: pd.DataFrame, columns: Sequence[str]) -> _Scores:
    """Returns the columns of classes as an array."""
    for column in columns:
        if table[column].dtype.kind not in "fiub":
            raise InputError(
                f"Expected numbers in each column of a class, found "
                f"{table[column].dtype} in {column!r}. Leave out columns that "
                f"are no classes, or name them as one of {list(_ID_COLUMNS)} "
                f"or a time."
            )
    values = table[list(columns)].to_numpy()
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _times_of(
    table: pd.DataFrame, onset: str, offset: str, what: str
) -> tuple[_Floats, _Floats]:
    """Returns onset and offset of each row of a clip, in order of time."""
    onsets = table[onset].to_numpy(dtype=np.float64)
    if offset:
        offsets = table[offset].to_numpy(dtype=np.float64)
    else:
        step = np.median(np.diff(onsets)) if len(onsets) > 1 else np.nan
        offsets = np.append(onsets[1:], onsets[-1:] + step)
    if not np.isfinite([onsets, offsets]).all():
        raise InputError(
            f"Expected times of rows in seconds, found NaN or infinity in "
            f"{what}. Give {onset or 'onset'} and an end of each row."
        )
    problem = check_windows(onsets, offsets)
    if problem is not None:
        row, expected = problem
        raise InputError(
            f"Expected {expected}, found {onsets[row]:g} to {offsets[row]:g} s "
            f"in row {row} of {what}."
        )
    return onsets, offsets


def _of_tables(
    ids: npt.NDArray[np.str_], tables: Sequence[pd.DataFrame]
) -> tuple[npt.NDArray[np.int64], FrameTimes, _Scores, list[str]]:
    """Reads a data frame a clip: counts, times, scores and classes."""
    tables = [
        table.set_axis([*map(str, table.columns)], axis=1) for table in tables
    ]
    onset, offset = _time_columns(tables[0])
    if not onset:
        raise InputError(
            f"Expected columns of times, such as onset and offset, in the data "
            f"frame of each clip, found "
            f"{listed(map(str, tables[0].columns), 5)}. Give arrays and "
            f"frame_seconds if there are none."
        )
    classes = [c for c in tables[0].columns if c not in (onset, offset)]
    times, values = [], []
    for name, table in zip(ids.tolist(), tables, strict=True):
        if {*table.columns} != {onset, offset, *classes} - {""}:
            other = {*table.columns} ^ {onset, offset, *classes}
            raise InputError(
                f"Expected the columns of {ids[0]!r} in the data frame of "
                f"every clip, found that {name!r} differs in "
                f"{listed(map(repr, sorted(other - {''})), 5)}."
            )
        what = f"the data frame of {name!r}"
        times.append(_times_of(table, onset, offset, what))
        values.append(_values_of(table, classes))
    counts = np.array([len(part) for part in values], dtype=np.int64)
    return counts, _joined_times(times, counts), np.concatenate(values), classes


def _joined_times(
    times: Sequence[tuple[_Floats, _Floats]], counts: npt.NDArray[np.int64]
) -> FrameTimes:
    """Joins the times of the frames of each clip."""
    onsets, offsets = zip(*times, strict=True)
    return frame_times(np.concatenate(onsets), np.concatenate(offsets), counts)


def _of_table(
    table: pd.DataFrame,
) -> tuple[
    npt.NDArray[np.str_],
    npt.NDArray[np.int64] | None,
    FrameTimes | None,
    _Scores,
    list[str],
]:
    """Reads a data frame of all clips: ids, counts, times, scores, classes."""
    id_column = _first_of(_ID_COLUMNS, table.columns)
    if not id_column:
        raise InputError(
            f"Expected a column that says which clip each row is of, one of "
            f"{list(_ID_COLUMNS)}, found "
            f"{listed(map(str, table.columns), 5)}. Rename it."
        )
    if id_column.lower() == "ytid" and "start_seconds" in table:
        # AudioSet's weak CSV: where the clip is in its video.
        names = map(make_segment_id, table[id_column], table["start_seconds"])
        table = table.drop(
            columns=[id_column, "start_seconds", "end_seconds"], errors="ignore"
        )
        table.insert(0, "segment_id", list(names))
        id_column = "segment_id"
    onset, offset = _time_columns(table)
    label = _first_of(_LABEL_COLUMNS, table.columns)
    score = _first_of(_SCORE_COLUMNS, table.columns)
    keys = [name for name in (id_column, onset, offset) if name]
    if label and score:
        table = _widened(table, keys, label, score)
    classes = [str(name) for name in table.columns if name not in keys]
    table = table.set_axis([*map(str, table.columns)], axis=1)
    codes, clips = pd.factorize(table[id_column])
    if (codes < 0).any():
        raise InputError(
            f"Expected a clip in each row, found none in row "
            f"{int(np.argmax(codes < 0))}. Fill column {id_column!r}."
        )
    ids = _texts(clips)
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        table, codes = table.iloc[order], codes[order]
    counts = np.bincount(codes, minlength=len(ids)).astype(np.int64)
    values = _values_of(table, classes)
    if not onset:
        # A row a clip is what a tagger gives; more are frames in order.
        frames = None if (counts == 1).all() else counts
        return ids, frames, None, values, classes
    starts = np.cumsum(counts) - counts
    times = [
        _times_of(
            table.iloc[start : start + count], onset, offset, f"clip {name!r}"
        )
        for name, start, count in zip(ids.tolist(), starts, counts, strict=True)
    ]
    return ids, counts, _joined_times(times, counts), values, classes


def _widened(
    table: pd.DataFrame, keys: list[str], label: str, score: str
) -> pd.DataFrame:
    """Makes a column a class of rows that have one class each."""
    repeated = table.duplicated([*keys, label])
    if repeated.any():
        row = int(np.argmax(repeated))
        raise InputError(
            f"Expected one score a clip, frame and class, found a second in "
            f"row {row}, of {table[label].iloc[row]!r}."
        )
    order = table[keys].drop_duplicates()
    wide = table.pivot(index=keys, columns=label, values=score)
    wide = (
        wide.reindex(pd.MultiIndex.from_frame(order))
        if len(keys) > 1
        else (wide.reindex(order[keys[0]]))
    )
    lacks = wide.isna().to_numpy()
    if lacks.any():
        row, column = np.argwhere(lacks)[0].tolist()
        raise InputError(
            f"Expected a score of every class in every frame, found "
            f"{int(lacks.sum())} missing or NaN, the first of "
            f"{wide.columns[column]!r} in {wide.index[row]}. Events are no "
            f"scores: give those of all frames."
        )
    wide.columns.name = None
    return wide.reset_index()
