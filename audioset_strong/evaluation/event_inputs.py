"""What `sed_scores_eval` takes: score tables, lists of events, lengths."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.event_truth import EventTruth
from audioset_strong.evaluation.score_files import ScoreFile

ScoreTables = Mapping[str, pd.DataFrame]

# Of each clip: onset and offset in seconds, and mid.
Events = dict[str, list[tuple[float, float, str]]]


class _WritableFrame(pd.DataFrame):
    """A data frame whose array is a copy, which can be written to.

    `sed_scores_eval` 0.0.4 asks for a writable array of scores (though it does
    not write), and pandas 3 gives a read-only one.
    """

    @property
    def _constructor(self) -> type["_WritableFrame"]:
        return _WritableFrame

    def to_numpy(self, *args: Any, **kwargs: Any) -> npt.NDArray[Any]:
        return super().to_numpy(*args, **kwargs).copy()


def scored_clips_and_mids(
    scores: ScoreFile | ScoreTables,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the clips and classes that have scores.

    Raises:
      InputError: Score tables have other columns, gaps, overlaps, or scores
        that are not finite.
    """
    if isinstance(scores, ScoreFile):
        has_scores = scores.num_label_frames > 0
        clips = tuple(map(str, scores.segment_ids[has_scores]))
        return clips, tuple(map(str, scores.mids))
    if not scores:
        raise InputError("Expected a score table for each clip, found none.")
    columns = [tuple(table.columns) for table in scores.values()]
    if len(set(columns)) != 1 or columns[0][:2] != ("onset", "offset"):
        raise InputError(
            f"Score tables must have one list of columns, first onset and "
            f"offset. Received: {len(set(columns))} lists, such as "
            f"{list(columns[0][:4])}."
        )
    for segment_id, table in scores.items():
        _check_table(segment_id, table)
    return tuple(scores), columns[0][2:]


def _check_table(segment_id: str, table: pd.DataFrame) -> None:
    """Checks that windows follow each other, with finite scores."""
    onset, offset = table["onset"].to_numpy(), table["offset"].to_numpy()
    if not len(table) or not np.isfinite(table.to_numpy(np.float64)).all():
        raise InputError(
            f"The score table of {segment_id} must have rows of finite "
            f"numbers. Check the model that wrote it."
        )
    if (offset <= onset).any() or (offset[:-1] != onset[1:]).any():
        raise InputError(
            f"Each row of the score table of {segment_id} must end where the "
            f"next begins, after its own begin. Write gapless windows."
        )


def score_tables(
    scores: ScoreFile | ScoreTables,
    segment_ids: Sequence[str],
    mids: Sequence[str],
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yields each clip's scores of a few classes as `sed_scores_eval` reads."""
    names = ["onset", "offset", *mids]
    if not isinstance(scores, ScoreFile):
        for segment_id in segment_ids:
            yield segment_id, _WritableFrame(scores[segment_id][names])
        return
    rows = pd.Index(scores.segment_ids).get_indexer(pd.Index(segment_ids))
    columns = pd.Index(scores.mids).get_indexer(pd.Index(mids))
    num_label_frames = scores.scores.shape[1]
    edges = np.arange(num_label_frames + 1) * scores.label_frame_seconds
    for segment_id, row in zip(segment_ids, rows, strict=True):
        values = np.empty((scores.num_label_frames[row], len(names)))
        num_frames = len(values)
        values[:, 0], values[:, 1] = edges[:num_frames], edges[1:][:num_frames]
        values[:, 2:] = scores.scores[row, :num_frames][:, columns]
        yield segment_id, _WritableFrame(values, columns=names)


def events_of_clips(truth: EventTruth, mids: Sequence[str]) -> Events:
    """Returns the events of a few classes, by clip."""
    events: Events = {segment_id: [] for segment_id in truth.segment_ids}
    table = truth.events[truth.events["mid"].isin(mids)]
    for segment_id, onset, offset, mid in zip(
        table["segment_id"],
        table["onset_seconds"],
        table["offset_seconds"],
        table["mid"],
        strict=True,
    ):
        events[segment_id].append((float(onset), float(offset), mid))
    return events


def threshold_of_mid(
    thresholds: float | Mapping[str, float], mids: Sequence[str]
) -> dict[str, float]:
    """Returns a finite threshold of each class."""
    if isinstance(thresholds, int | float):
        thresholds = dict.fromkeys(mids, float(thresholds))
    return _checked("threshold", thresholds, mids, low=-np.inf)


def seconds_of_clip(
    audio_seconds: float | Mapping[str, float], segment_ids: Sequence[str]
) -> dict[str, float]:
    """Returns the length of each clip."""
    if isinstance(audio_seconds, int | float):
        audio_seconds = dict.fromkeys(segment_ids, float(audio_seconds))
    return _checked("length in seconds", audio_seconds, segment_ids, low=0.0)


def _checked(
    what: str, values: Mapping[str, float], keys: Sequence[str], low: float
) -> dict[str, float]:
    """Checks that each key has a finite number above `low`."""
    for key in keys:
        if not low < values.get(key, np.nan) < np.inf:
            raise InputError(
                f"Expected a {what} of {key}, found {values.get(key)}."
            )
    return {key: float(values[key]) for key in keys}
