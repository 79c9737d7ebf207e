"""Training sets (Weak, Diffuse, Strong) and the clips that were relabelled.

Every label is an event. A weak label is an event that spans its clip; a Diffuse
label is a strong event stretched to span the clip. So a training set is a
choice of clips and a reading of their labels (Section 4 of the paper):

  training set   clips                    label set   stretched to the clip
  weak           all with weak labels     weak        (spans it already)
  weak_small     those with strong labels weak        (spans it already)
  diffuse        those with strong labels strong      yes
  strong         those with strong labels strong      no

Of the last three a share can be used (Figure 3), chosen by group, the same of
each. Weak always has all its clips.

A held-out part of the clips with strong labels is kept out of all four. It is
chosen by ytid, with a stable hash, so that it is the same on every machine
(BUILD_NOTES.md "Held-out part"). Clips of the evaluation set must not be in any
of them: `read_label_ytids` reads which those are.

`select_for_relabelling` selects the clips to relabel as Section 3 of the paper
does: "Rather than selecting at random, we attempted to include 250 from each
class (some classes had fewer than this in total, in which case every available
example was used)". The paper leaves the procedure open; ours (BUILD_NOTES.md
"Relabelling selection") is:

  1. Classes take their turn by their number of clips, rarest first; of equals
     the smaller mid first.
  2. A class that has 250 clips among those already selected, for rarer classes,
     selects none. Otherwise it draws as many more as it lacks, all it has if
     that is fewer.
  3. It draws in the order of a stable hash of (seed, ytid), which is uniform
     over its clips.

So every class ends with at least min(250, its clips), and frequent classes run
over by co-occurrence alone. The result does not depend on the order of rows.
"""

import dataclasses
import itertools
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.clips import CLIPS_HEADER, read_annotated_clips
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.ids import group_of_segment, stable_fraction
from audioset_strong.labels.label_files import (
    FRAMED_HEADER,
    SCORED_HEADER,
    STRONG_HEADER,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.label_rows import Names
from audioset_strong.labels.line_parser import read_first_line
from audioset_strong.labels.problems import ProblemLog, listed

_Path = str | os.PathLike[str]
_Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """A choice of clips and a reading of their labels.

    Attributes:
      name: As in the table of the module docstring.
      label_set: "weak" or "strong": which labels of a clip are read.
      is_stretched: Whether events are stretched to span the clip.
      needs_strong_labels: Whether only clips with strong labels are in it.
      strong_fraction: Share of their groups that is in it.
      strong_fraction_seed: Chooses which groups.
    """

    name: str
    label_set: str
    is_stretched: bool
    needs_strong_labels: bool
    strong_fraction: float = 1.0
    strong_fraction_seed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it has all groups."""
        return self.strong_fraction == 1.0


TRAINING_SETS = {
    training_set.name: training_set
    for training_set in (
        TrainingSet("weak", "weak", False, False),
        TrainingSet("weak_small", "weak", False, True),
        TrainingSet("diffuse", "strong", True, True),
        TrainingSet("strong", "strong", False, True),
    )
}


def get_training_set(
    name: str, strong_fraction: float = 1.0, strong_fraction_seed: int = 0
) -> TrainingSet:
    """Looks up a training set; refuses an unknown name.

    Args:
      name: As in the table of the module docstring.
      strong_fraction: As in `TrainingSet`; "weak" is always whole.
      strong_fraction_seed: Likewise.
    """
    if name not in TRAINING_SETS:
        raise InputError(
            f"Expected a training set of {sorted(TRAINING_SETS)}. Received: "
            f"{name!r}."
        )
    whole = TRAINING_SETS[name]
    if not whole.needs_strong_labels or strong_fraction == 1.0:
        return whole
    return dataclasses.replace(
        whole,
        strong_fraction=strong_fraction,
        strong_fraction_seed=strong_fraction_seed,
    )


def is_held_out(ytid: str, fraction: float) -> bool:
    """Whether a clip belongs to the held-out part.

    `fraction` is the share of the ytids, in [0, 1]. A larger share contains
    every smaller one.
    """
    return stable_fraction(ytid, salt="held_out") < fraction


def is_in_strong_fraction(ytid: str, fraction: float, seed: int = 0) -> bool:
    """Whether a clip belongs to a share of the Strong training set.

    `fraction` is as in `is_held_out`; `seed` chooses which ytids.
    """
    return stable_fraction(ytid, salt=f"strong_fraction/{seed}") < fraction


def read_label_ytids(
    paths: Sequence[_Path],
    problems: ProblemLog | None = None,
    names: Names | None = None,
) -> frozenset[str]:
    """Reads the groups of the clips that label files name.

    Those are YouTube ids, or what a list of annotated clips says. Stops at any
    bad line, because its clip would be missed.

    Args:
      paths: Weak CSVs, strong or framed TSVs and lists of annotated clips, told
        apart by their headers.
      problems: Takes doubts; None for warnings.
      names: As in the readers of label files.
    """
    groups: set[str] = set()
    log = ProblemLog(skip_bad_lines=True)
    for path in paths:
        header = read_first_line(path)
        if header and CLIPS_HEADER.startswith(header):
            groups.update(read_annotated_clips(path)["group"])
            continue
        read = {
            FRAMED_HEADER: read_framed_labels,
            STRONG_HEADER: read_strong_labels,
            SCORED_HEADER: read_strong_labels,
        }.get(header, read_weak_labels)
        try:
            table = read(path, log, names=names)
        except InputError as error:
            raise InputError(
                f"Expected a weak CSV, a strong TSV, a framed TSV or a list of "
                f"annotated clips. {error}"
            ) from error
        groups.update(map(group_of_segment, table["segment_id"].unique()))
    bad = [problem for problem in log.problems if problem.is_left_out]
    if bad:
        raise InputError(
            f"Expected evaluation labels without bad lines, as their clips "
            f"would be missed: {listed(bad, 10, '; ')}."
        )
    if problems is None:
        log.report()
    else:
        problems.problems.extend(log.problems)
    return frozenset(groups)


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


def select_for_relabelling(
    weak: pd.DataFrame, num_per_class: int = 250, seed: int = 0
) -> list[str]:
    """Selects clips as `draw_for_relabelling`; returns sorted segment ids."""
    draws = draw_for_relabelling(weak, num_per_class, seed)
    return sorted(draws["segment_id"])


def draw_for_relabelling(
    weak: pd.DataFrame, num_per_class: int = 250, seed: int = 0
) -> pd.DataFrame:
    """Selects clips so that each class has enough (module docstring).

    Args:
      weak: Weak table (`label_files`) of the training clips.
      num_per_class: Clips that each class should have.
      seed: Chooses among the clips of a class.

    Returns:
      One row a selected clip, in the order in which they were drawn:
      segment_id str, mid str (the class that drew it).

    Raises:
      InputError: `num_per_class` is below 1.
    """
    if num_per_class < 1:
        raise InputError(
            f"num_per_class must be 1 or more. Received: {num_per_class}."
        )
    row, distinct = pd.factorize(weak["segment_id"])
    segment_ids = np.asarray(distinct, dtype=object)  # [num_clips]
    salt = f"relabelling/{seed}"
    fractions = np.array(
        [stable_fraction(group_of_segment(s), salt) for s in segment_ids]
    )
    # In drawing order; of equals the smaller segment id first.
    order: _Ints = np.lexsort((segment_ids.astype(str), fractions))
    segment_ids = segment_ids[order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))

    counts = np.fromiter(map(len, weak["mids"]), np.int64, len(weak))
    flat = np.fromiter(
        itertools.chain.from_iterable(weak["mids"]), object, int(counts.sum())
    )
    label, distinct_mids = pd.factorize(flat, sort=True)  # [num_labels]
    mids = np.asarray(distinct_mids, dtype=object)  # [num_classes]
    num_clips = max(1, len(segment_ids))
    # By class, then in drawing order. A clip that lists a class twice is one
    # clip of it.
    pairs = np.unique(label * num_clips + np.repeat(place[row], counts))
    ends = np.searchsorted(pairs, np.arange(len(mids) + 1) * num_clips)

    is_selected = np.zeros(len(segment_ids), dtype=bool)
    # One array a class; the first, empty, is for a table without labels.
    drawn: list[_Ints] = [np.zeros(0, dtype=np.int64)]
    drew: list[_Ints] = [np.zeros(0, dtype=np.int64)]
    # Rarest first; the sort is stable, so of equals the smaller mid first.
    for index in np.argsort(np.diff(ends), kind="stable"):
        clips_of_class = pairs[ends[index] : ends[index + 1]] % num_clips
        is_open = ~is_selected[clips_of_class]
        num_lacking = max(0, num_per_class - int((~is_open).sum()))
        chosen = clips_of_class[is_open][:num_lacking]
        is_selected[chosen] = True
        drawn.append(chosen)
        drew.append(np.full(len(chosen), index))
    return pd.DataFrame(
        {
            "segment_id": segment_ids[np.concatenate(drawn)],
            "mid": mids[np.concatenate(drew)],
        },
        dtype=object,
    )
