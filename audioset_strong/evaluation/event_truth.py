"""Strong labels -> the truth of event-based metrics.

Conventions:
  * Events of one class that overlap or touch are one event: metrics that match
    events cannot say which of two overlapping ones a detection is. (Framing
    never merges: `frame_targets.py`.)
  * Evaluated are the clips that are scored and have an event, and the classes
    that are scored and have an event in these clips. A strong label file does
    not name clips that annotators found empty; `clips` can.
  * Nothing is dropped silently: what is left out is counted and listed.
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_targets import to_milliseconds

_PAIR_KEYS = ["segment_id", "mid"]

_Bools = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, eq=False)
class EventTruth:
    """Events of the clips and classes that are evaluated.

    Attributes:
      segment_ids: Clips that are evaluated, in the order of the scores.
      mids: Classes that are evaluated, in the order of the scores.
      events: Strong table (`label_files`), merged.
      num_events_merged: How many events went into others.
      clips_not_scored: Labelled clips without scores.
      clips_without_labels: Scored clips without an event, unless they were
        named as labelled.
      mids_not_scored: Labelled classes without scores.
      mids_without_events: Scored classes without an event in these clips.
      events_left_out: How many events were left out, for each reason.
    """

    segment_ids: tuple[str, ...]
    mids: tuple[str, ...]
    events: pd.DataFrame
    num_events_merged: int
    clips_not_scored: tuple[str, ...]
    clips_without_labels: tuple[str, ...]
    mids_not_scored: tuple[str, ...]
    mids_without_events: tuple[str, ...]
    events_left_out: dict[str, int]


def make_event_truth(
    strong: pd.DataFrame,
    scored_clips: Sequence[str],
    scored_mids: Sequence[str],
    clips: Collection[str] | None = None,
) -> EventTruth:
    """Finds the clips, classes and events to evaluate.

    Args:
      strong: Strong table (`label_files`).
      scored_clips: segment_id of every scored clip.
      scored_mids: Mid of every scored class.
      clips: Clips that annotators listened to, with or without an event; None
        for those with one.

    Returns:
      The truth.

    Raises:
      InputError: No scored clip has an event of a scored class.
    """
    labelled = set(strong["segment_id"]) if clips is None else set(clips)
    segment_ids = tuple(clip for clip in scored_clips if clip in labelled)
    in_clip = strong["segment_id"].isin(segment_ids).to_numpy()
    in_class = strong["mid"].isin(scored_mids).to_numpy()
    # An event of no length has no overlap with anything.
    has_length = (strong["offset_seconds"] > strong["onset_seconds"]).to_numpy()
    used = strong[in_clip & in_class & has_length]
    events = merge_overlapping(used)
    mids_with_events = set(events["mid"])
    if events.empty:
        raise InputError(
            f"Expected events of scored classes in scored clips; found none "
            f"among {len(strong)} events, {len(scored_clips)} scored clips "
            f"(such as {_first(scored_clips)}) and {len(scored_mids)} scored "
            f"classes (such as {_first(scored_mids)}). Give strong labels of "
            f"the set that was scored."
        )
    return EventTruth(
        segment_ids=segment_ids,
        mids=tuple(mid for mid in scored_mids if mid in mids_with_events),
        events=events,
        num_events_merged=len(used) - len(events),
        clips_not_scored=tuple(sorted(labelled - set(scored_clips))),
        clips_without_labels=tuple(
            clip for clip in scored_clips if clip not in labelled
        ),
        mids_not_scored=tuple(sorted(set(strong["mid"]) - set(scored_mids))),
        mids_without_events=tuple(
            mid for mid in scored_mids if mid not in mids_with_events
        ),
        events_left_out=_count_left_out(in_clip, in_class, has_length),
    )


def _count_left_out(
    in_clip: _Bools, in_class: _Bools, has_length: _Bools
) -> dict[str, int]:
    return {
        "clip_not_evaluated": int((~in_clip).sum()),
        "class_not_scored": int((in_clip & ~in_class).sum()),
        "no_length": int((in_clip & in_class & ~has_length).sum()),
    }


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) else "none"


def merge_overlapping(strong: pd.DataFrame) -> pd.DataFrame:
    """Makes one event of events of a class that overlap or touch.

    Args:
      strong: Strong table (`label_files`).

    Returns:
      Strong table, by clip, class and onset; times are compared as whole
      milliseconds, the precision of the label files.
    """
    ordered = strong.sort_values(
        [*_PAIR_KEYS, "onset_seconds"], kind="stable", ignore_index=True
    )
    pair = ordered.groupby(_PAIR_KEYS, sort=False).ngroup()
    onset = pd.Series(to_milliseconds(ordered["onset_seconds"]))
    offset = pd.Series(to_milliseconds(ordered["offset_seconds"]))
    # Where everything before an event has ended: not its neighbour alone, since
    # a long event can hold several short ones.
    ended = offset.groupby(pair).cummax().groupby(pair).shift()
    is_new = ended.isna() | (onset > ended)
    merged = ordered.groupby(is_new.cumsum().to_numpy(), sort=False).agg(
        segment_id=("segment_id", "first"),
        onset_seconds=("onset_seconds", "first"),
        offset_seconds=("offset_seconds", "max"),
        mid=("mid", "first"),
    )
    return merged.reset_index(drop=True)
