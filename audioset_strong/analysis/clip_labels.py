"""Which classes each clip is labelled with, as a sparse matrix.

Counts, priors and odds ratios are all sums and products of these matrices, so
they take seconds for two million clips. How often a class sounds in a clip, and
when, is not in them: a clip has a class or has it not.

Conventions:
  * A row is a clip (`segment_id`), a column a class (`mid`); both sorted.
  * A class/clip instance, the paper's word, is a one in the matrix.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse

from audioset_strong.errors import InputError

_Objects = npt.NDArray[np.object_]
_Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class ClipLabels:
    """The classes of each clip, in one label set.

    Attributes:
      segment_ids: object `[num_clips]`, sorted str.
      mids: object `[num_classes]`, sorted str: classes that any clip of the
        file has. After `take_clips` some may have none.
      matrix: int32 CSR `[num_clips, num_classes]`, 1 where the clip has the
        class.
    """

    segment_ids: _Objects
    mids: _Objects
    matrix: Any

    @property
    def num_clips(self) -> int:
        """Number of clips, with and without labels."""
        return len(self.segment_ids)

    @property
    def num_instances(self) -> int:
        """Number of class/clip instances."""
        return int(self.matrix.nnz)

    @functools.cached_property
    def clips_per_class(self) -> _Ints:
        """int64 `[num_classes]`: clips that have each class."""
        counts: _Ints = np.asarray(self.matrix.sum(axis=0), dtype=np.int64)
        return counts.reshape(-1)

    def take_clips(self, rows: _Ints) -> "ClipLabels":
        """Keeps the clips of these rows, and all classes."""
        return ClipLabels(self.segment_ids[rows], self.mids, self.matrix[rows])


@dataclasses.dataclass(frozen=True, eq=False)
class CommonClips:
    """Weak and strong labels of the clips that have both.

    Attributes:
      weak: Weak labels, rows in the order of `strong`'s.
      strong: Strong labels.
      num_weak_only: Clips with weak labels that have no strong ones.
      num_strong_only: Clips with strong labels that have no weak ones.
    """

    weak: ClipLabels
    strong: ClipLabels
    num_weak_only: int
    num_strong_only: int

    @property
    def num_clips(self) -> int:
        """Number of clips with both."""
        return self.weak.num_clips


def weak_clip_labels(weak: pd.DataFrame) -> ClipLabels:
    """Makes the matrix of a weak table.

    Args:
      weak: Weak table (`label_files`). A clip may stand in several rows, as
        when several files list it: then it has the classes of all of them.

    Returns:
      The classes of each clip.
    """
    num_labels = weak["mids"].map(len).to_numpy(dtype=np.int64)
    mids = itertools.chain.from_iterable(weak["mids"])
    clip, segment_ids = pd.factorize(weak["segment_id"], sort=True)
    return _make_clip_labels(np.repeat(clip, num_labels), segment_ids, mids)


def strong_clip_labels(strong: pd.DataFrame) -> ClipLabels:
    """Makes the matrix of a strong table.

    Args:
      strong: Strong table (`label_files`).

    Returns:
      The classes of each clip with at least one event. Clips in which nothing
      was heard are not in the file, and so not here.
    """
    clip, segment_ids = pd.factorize(strong["segment_id"], sort=True)
    return _make_clip_labels(clip, segment_ids, strong["mid"])


def _make_clip_labels(
    clip: _Ints, segment_ids: Iterable[str], mids: Iterable[str]
) -> ClipLabels:
    """Makes the matrix of labels given one by one, repeated ones too.

    Args:
      clip: int64 `[num_labels]`, row of each label.
      segment_ids: The clips, by row.
      mids: Class of each label, `[num_labels]`.
    """
    mid_of_label = pd.Series(list(mids), dtype=object)
    column, distinct_mids = pd.factorize(mid_of_label, sort=True)
    ids = np.array(list(segment_ids), dtype=object)
    ones = np.ones(len(clip), dtype=np.int32)
    matrix = scipy.sparse.csr_matrix(
        (ones, (clip, column)), shape=(len(ids), len(distinct_mids))
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return ClipLabels(ids, np.array(list(distinct_mids), dtype=object), matrix)


def match_clips(weak: ClipLabels, strong: ClipLabels) -> CommonClips:
    """Keeps the clips that both label sets have.

    Args:
      weak: Weak labels.
      strong: Strong labels.

    Returns:
      Both, row by row for the same clips, and how many were left out.

    Raises:
      InputError: No clip is in both.
    """
    row_of_segment = pd.Index(strong.segment_ids)
    strong_row = row_of_segment.get_indexer(pd.Index(weak.segment_ids))
    is_common = strong_row >= 0
    num_common = int(is_common.sum())
    if not num_common:
        raise InputError(
            f"Expected clips with weak and strong labels; the "
            f"{weak.num_clips} weak ones{_example(weak)} and the "
            f"{strong.num_clips} strong ones{_example(strong)} share none. "
            f"Give weak and strong labels of the same part of AudioSet, such "
            f"as eval_segments.csv and audioset_eval_strong.tsv."
        )
    return CommonClips(
        weak=weak.take_clips(np.flatnonzero(is_common)),
        strong=strong.take_clips(strong_row[is_common]),
        num_weak_only=weak.num_clips - num_common,
        num_strong_only=strong.num_clips - num_common,
    )


def _example(labels: ClipLabels) -> str:
    """Names a clip, for a message."""
    return f" (such as {labels.segment_ids[0]})" if labels.num_clips else ""
