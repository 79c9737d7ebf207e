"""Segment metrics: areas under the ROC curve over segments of, say, 1 s.

Segment i of a clip is [i, i + 1) * segment_seconds; the last may end after the
clip. It is a positive of a class if an event of the class overlaps it, else a
negative: the truth is complete, as for metrics of events (`events.py`), and
label frames of the paper are another thing.

Its score is that of its frames, the highest ("max") or their mean weighted by
overlap ("mean"). A segment without a frame gets 0, or less than any score where
scores are no probabilities.

The area of a class is over all false positive rates, or up to `max_fpr` and
then divided by it, so that a perfect class has 1 either way and chance has
max_fpr / 2. scikit-learn's `roc_auc_score(max_fpr=...)` shifts and stretches it
(McClish) so that chance is 0.5; the published code does not.

Between two scores the curve is straight ("straight"), as scikit-learn has it,
or stays at the lower rate ("stairs"), as in `sed_scores_eval` 0.0.3 and 0.0.4,
which published numbers are from (later code of theirs is straight): less, and
much less where many scores are equal.

Source: `segment_based.auroc` of `sed_scores_eval`, which DCASE 2024 (mpAUC) and
PretrainedSED use. It is our own because it needs nothing but NumPy and takes
seconds where theirs takes an hour.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.events import (
    ClassTask,
    EqualClips,
    EventTruth,
    group_clips,
    map_classes,
    score_of_nothing,
)
from audioset_strong.evaluation.native_scores import NativeScores

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]

# As the published code rounds times.
_TIME_DECIMALS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentParams:
    """What a segment metric depends on besides scores and truth.

    Attributes:
      segment_seconds: Length of a segment.
      max_fpr: False positive rate up to which the area is taken; 1 for all.
      pooling: "max" or "mean" of a segment's frames.
      curve: "straight" or "stairs" from one score to the next.
    """

    segment_seconds: float = 1.0
    max_fpr: float = 1.0
    pooling: str = "max"
    curve: str = "straight"


def partial_auc(
    scores: npt.NDArray[Any],
    is_positive: _Bools,
    max_fpr: float = 1.0,
    curve: str = "straight",
) -> float:
    """Returns the area under the ROC curve up to `max_fpr`, divided by it.

    Equal scores enter together.

    Args:
      scores: real `[num_items]`.
      is_positive: bool `[num_items]`.
      max_fpr: In (0, 1].
      curve: "straight" or "stairs" from one score to the next.

    Returns:
      In [0, 1]; NaN without a positive or without a negative.
    """
    order = np.argsort(-scores, kind="stable")
    is_last = np.append(np.diff(scores[order]) != 0, True)  # of equal scores
    # Both [num_distinct + 1], positives and negatives at or above each score.
    true = np.append(0, np.cumsum(is_positive[order])[is_last])
    false = np.append(0, np.cumsum(~is_positive[order])[is_last])
    if not true[-1] or not false[-1]:
        return math.nan
    true_rate, false_rate = true / true[-1], false / false[-1]
    end = int(np.searchsorted(false_rate, max_fpr, side="right"))
    if end < false_rate.size:
        # The curve at `max_fpr`, between two scores.
        share = (max_fpr - false_rate[end - 1]) / (
            false_rate[end] - false_rate[end - 1]
        )
        at_end = true_rate[end - 1] + share * (
            true_rate[end] - true_rate[end - 1]
        )
        true_rate = np.append(true_rate[:end], at_end)
        false_rate = np.append(false_rate[:end], max_fpr)
    heights = true_rate[:-1]
    if curve == "straight":
        heights = (heights + true_rate[1:]) / 2
    return float(heights @ np.diff(false_rate) / max_fpr)


def score_segments(
    scores: NativeScores,
    truth: EventTruth,
    metrics: Mapping[str, SegmentParams],
    median_frames: Mapping[str, int],
    num_jobs: int = 1,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Computes segment metrics.

    Args:
      scores: Scores whose lengths are those of the clips.
      truth: What is evaluated.
      metrics: What is computed, by name.
      median_frames: Length of the median filter of each class.
      num_jobs: Processes.

    Returns:
      The mean over classes of each metric, and a table of the classes: mid str,
      num_events, num_positives and num_negatives (segments) int64 and each
      metric, float64 in [0, 1]. A class of which every segment is positive has
      NaN and no part in the mean.
    """
    found = map_classes(
        functools.partial(
            _score_class,
            clips=group_clips(scores, truth.segment_ids),
            metrics=dict(metrics),
        ),
        scores,
        truth,
        median_frames,
        num_jobs,
    )
    num_events = truth.events["mid"].value_counts()
    table = pd.DataFrame.from_records(
        [
            {"mid": mid, "num_events": int(num_events[mid]), **of_class}
            for mid, of_class in found.items()
        ]
    )
    # NaN has no part in it.
    return {name: float(table[name].mean()) for name in metrics}, table


def _score_class(
    task: ClassTask,
    clips: Sequence[EqualClips],
    metrics: Mapping[str, SegmentParams],
) -> dict[str, Any]:
    """Computes the metrics of one class."""
    results: dict[str, Any] = {"num_positives": 0, "num_negatives": 0}
    lowest = score_of_nothing(task.column)
    for name, metric in metrics.items():
        pooled, positives = [], []
        for group in clips:
            edges = _segment_edges(group.seconds, metric.segment_seconds)
            frames = group.frames_of(task.column, task.median_frames)
            pooled.append(
                pool_segments(
                    frames, group.edges, edges, metric.pooling, lowest
                ).ravel()
            )
            is_positive = np.zeros((group.clips.size, edges.size - 1), bool)
            for row, clip in enumerate(group.clips.tolist()):
                for onset, offset in task.events.get(clip, ()):
                    is_positive[row] |= (edges[:-1] < offset) & (
                        edges[1:] > onset
                    )
            positives.append(is_positive.ravel())
        of_segments = np.concatenate(pooled), np.concatenate(positives)
        results[name] = partial_auc(*of_segments, metric.max_fpr, metric.curve)
        results["num_positives"] = int(of_segments[1].sum())
        results["num_negatives"] = int((~of_segments[1]).sum())
    return results


def _segment_edges(seconds: float, segment_seconds: float) -> _Floats:
    num_segments = math.ceil(seconds / segment_seconds)
    steps = np.arange(num_segments + 1, dtype=np.float64)
    return np.round(steps * segment_seconds, _TIME_DECIMALS)


def pool_segments(
    frames: npt.NDArray[np.floating[Any]],
    frame_edges: _Floats,
    segment_edges: _Floats,
    pooling: str,
    lowest: float = 0.0,
) -> _Floats:
    """Pools frames of clips into segments.

    Args:
      frames: float `[num_clips, num_frames]`.
      frame_edges: float64 `[num_frames + 1]`, seconds.
      segment_edges: float64 `[num_segments + 1]`, seconds.
      pooling: "max" or "mean".
      lowest: Score of a segment without a frame.

    Returns:
      float64 `[num_clips, num_segments]`.
    """
    edges = frame_edges.round(_TIME_DECIMALS)
    onsets, offsets = segment_edges[:-1], segment_edges[1:]
    first = np.maximum(np.searchsorted(edges, onsets, side="right") - 1, 0)
    end = np.minimum(np.searchsorted(edges, offsets), edges.size - 1)
    pooled = np.full((len(frames), onsets.size), lowest)
    for segment, (start, stop) in enumerate(zip(first, end, strict=True)):
        if stop <= start:
            continue
        of_segment: npt.NDArray[np.floating[Any]] = frames[:, start:stop]
        if pooling == "max":
            pooled[:, segment] = of_segment.max(axis=1)
        else:
            overlaps = np.minimum(
                edges[start + 1 : stop + 1], offsets[segment]
            ) - np.maximum(edges[start:stop], onsets[segment])
            pooled[:, segment] = of_segment @ overlaps / overlaps.sum()
    return pooled
