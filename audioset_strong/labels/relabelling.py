"""Which training clips to relabel: the paper's selection.

Section 3: "Rather than selecting at random, we attempted to include 250 from
each class (some classes had fewer than this in total, in which case every
available example was used). However, label co-occurrence meant that many (weak)
labels [...] appeared far more often".

The procedure here, which the paper leaves open:

  1. Classes take their turn by their number of clips, rarest first; of equals
     the smaller mid first.
  2. A class that has 250 clips among those already selected, for rarer classes,
     selects none. Otherwise it draws as many more as it lacks, all it has if
     that is fewer.
  3. It draws in the order of a stable hash of (seed, ytid), which is uniform
     over its clips.

So every class ends with at least min(250, its clips), no clip is selected that
no class drew, and frequent classes run over by co-occurrence alone. The result
depends on seed, labels and ytids, not on the order of rows or the machine.

Source: our choice, BUILD_NOTES.md "Relabelling selection".
"""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.segments import stable_fraction, ytid_of_segment

_Ints = npt.NDArray[np.int64]


def select_for_relabelling(
    weak: pd.DataFrame, num_per_class: int = 250, seed: int = 0
) -> list[str]:
    """Selects clips so that each class has enough (module docstring).

    Args:
      weak: Weak table (`label_files`) of the training clips.
      num_per_class: Clips that each class should have.
      seed: Chooses among the clips of a class.

    Returns:
      Segment ids, sorted.

    Raises:
      InputError: `num_per_class` is below 1.
    """
    draws = draw_for_relabelling(weak, num_per_class, seed)
    return sorted(draws["segment_id"])


def draw_for_relabelling(
    weak: pd.DataFrame, num_per_class: int = 250, seed: int = 0
) -> pd.DataFrame:
    """Selects clips and says which class drew each.

    Args:
      weak: As in `select_for_relabelling`.
      num_per_class: As there.
      seed: As there.

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
    clips = _Clips.of_table(weak, seed)
    is_selected = np.zeros(len(clips.segment_ids), dtype=bool)
    drawn: list[_Ints] = []
    drew: list[_Ints] = []
    for label in clips.rarest_first:
        clips_of_class = clips.of_class(label)
        is_open = ~is_selected[clips_of_class]
        num_lacking = max(0, num_per_class - int((~is_open).sum()))
        chosen = clips_of_class[is_open][:num_lacking]
        is_selected[chosen] = True
        drawn.append(chosen)
        drew.append(np.full(len(chosen), label))
    none = [np.zeros(0, dtype=np.int64)]
    return pd.DataFrame(
        {
            "segment_id": clips.segment_ids[np.concatenate(none + drawn)],
            "mid": clips.mids[np.concatenate(none + drew)],
        },
        dtype=object,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Clips:
    """The clips of each class, in drawing order.

    Attributes:
      segment_ids: object `[num_clips]`, in drawing order.
      mids: object `[num_classes]`, sorted.
      clip: int64 `[num_labels]`, index into segment_ids, by class and then
        ascending.
      ends: int64 `[num_classes + 1]`, where each class begins in `clip`, and
        where the last one ends.
    """

    segment_ids: npt.NDArray[np.object_]
    mids: npt.NDArray[np.object_]
    clip: _Ints
    ends: _Ints

    @classmethod
    def of_table(cls, weak: pd.DataFrame, seed: int) -> "_Clips":
        """Puts the clips of a weak table in drawing order."""
        row, distinct = pd.factorize(weak["segment_id"])
        segment_ids = np.asarray(distinct, dtype=object)
        order = _drawing_order(segment_ids, seed)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))

        counts = np.fromiter(map(len, weak["mids"]), np.int64, len(weak))
        labels = itertools.chain.from_iterable(weak["mids"])
        flat = np.fromiter(labels, object, int(counts.sum()))
        label, mids = pd.factorize(flat, sort=True)
        num_clips = max(1, len(segment_ids))
        # A clip that lists a class twice is one clip of it.
        pairs = np.unique(label * num_clips + np.repeat(place[row], counts))
        ends = np.searchsorted(pairs, np.arange(len(mids) + 1) * num_clips)
        return cls(
            segment_ids[order],
            np.asarray(mids, dtype=object),
            pairs % num_clips,
            ends.astype(np.int64),
        )

    @property
    def rarest_first(self) -> _Ints:
        """Classes by their number of clips; of equals the smaller mid first."""
        order: _Ints = np.argsort(np.diff(self.ends), kind="stable")
        return order

    def of_class(self, label: int) -> _Ints:
        """Returns the clips of a class, in drawing order."""
        return self.clip[self.ends[label] : self.ends[label + 1]]


def _drawing_order(segment_ids: npt.NDArray[np.object_], seed: int) -> _Ints:
    """Sorts clips by a stable hash of their ytid; of equals by segment id."""
    salt = f"relabelling/{seed}"
    fractions = np.fromiter(
        (stable_fraction(ytid_of_segment(s), salt) for s in segment_ids),
        np.float64,
        len(segment_ids),
    )
    order: _Ints = np.lexsort((segment_ids.astype(str), fractions))
    return order
