"""Weak, Diffuse and Strong: three readings of the same clips.

Every label is an event. A weak label is an event that spans its clip; a Diffuse
label is a strong event stretched to span the clip. So a training set is a
choice of clips and a reading of their labels:

  training set   clips                    label set   stretched to the clip
  weak           all with weak labels     weak        (spans it already)
  weak_small     those with strong labels weak        (spans it already)
  diffuse        those with strong labels strong      yes
  strong         those with strong labels strong      no

A held-out part of the clips with strong labels is kept out of all four. It is
chosen by ytid, with a stable hash, so that it is the same on every machine.

Source: Section 4 of the paper; held-out share: BUILD_NOTES.md "Held-out part".
"""

import dataclasses

import numpy as np
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_targets import Event
from audioset_strong.labels.segments import stable_fraction


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """A choice of clips and a reading of their labels.

    Attributes:
      name: As in the table of the module docstring.
      label_set: "weak" or "strong": which labels of a clip are read.
      is_stretched: Whether events are stretched to span the clip.
      needs_strong_labels: Whether only clips with strong labels are in it.
    """

    name: str
    label_set: str
    is_stretched: bool
    needs_strong_labels: bool


TRAINING_SETS = {
    training_set.name: training_set
    for training_set in (
        TrainingSet("weak", "weak", False, False),
        TrainingSet("weak_small", "weak", False, True),
        TrainingSet("diffuse", "strong", True, True),
        TrainingSet("strong", "strong", False, True),
    )
}


def get_training_set(name: str) -> TrainingSet:
    """Looks up a training set.

    Raises:
      InputError: There is no such training set.
    """
    if name not in TRAINING_SETS:
        raise InputError(
            f"Expected a training set of {sorted(TRAINING_SETS)}. Received: "
            f"{name!r}."
        )
    return TRAINING_SETS[name]


def is_held_out(ytid: str, fraction: float) -> bool:
    """Whether a clip belongs to the held-out part.

    Args:
      ytid: YouTube id of the clip.
      fraction: Share of the ytids to hold out, in [0, 1]. A larger share holds
        out everything that a smaller one does.
    """
    return stable_fraction(ytid, salt="held_out") < fraction


def weak_events(mids: tuple[str, ...], clip_seconds: float) -> list[Event]:
    """Reads weak labels as events that span the clip."""
    return [Event(mid, 0.0, clip_seconds) for mid in mids]


def strong_events_by_segment(strong: pd.DataFrame) -> dict[str, list[Event]]:
    """Groups a strong table by clip.

    Args:
      strong: Strong table (`label_files`).

    Returns:
      Events of each segment_id, in file order.
    """
    columns = ("mid", "onset_seconds", "offset_seconds")
    events = list(map(Event, *(strong[name].tolist() for name in columns)))
    rows_of_segment = strong.groupby("segment_id", sort=False).indices
    return {
        str(segment_id): [events[row] for row in np.sort(rows)]
        for segment_id, rows in rows_of_segment.items()
    }


def diffuse_events(events: list[Event], clip_seconds: float) -> list[Event]:
    """Stretches events to span the clip, one for each class."""
    mids = dict.fromkeys(event.mid for event in events)
    return [Event(mid, 0.0, clip_seconds) for mid in mids]
