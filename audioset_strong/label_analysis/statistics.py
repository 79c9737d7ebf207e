"""Label statistics of Sections 3.1 and 3.3: counts, instances, priors.

Labels of clips are held as sparse matrices, a row a clip (`segment_id`), a
column a class (`mid`), both sorted. Priors and odds ratios are sums and
products of them, so that they take seconds for two million clips. How often a
class sounds in a clip, and when, is not in them.

Conventions, with the paper's words:
  * A class/clip instance is a one in the matrix.
  * A prior is the share of the clips that have the class.
  * An explicit negative is a (clip, class) pair of a framed file without a
    PRESENT row: NOT_PRESENT in all label frames that the file lists of it. A
    complementary negative is a NOT_PRESENT label frame of a pair with a PRESENT
    one.
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

    def counts_by_mid(self) -> "pd.Series[int]":
        """Clips that have each class, with index mid."""
        return pd.Series(self.clips_per_class, self.mids)

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
    """Makes the matrix of a weak table (`label_files`).

    A clip may stand in several rows, as when several files list it: then it has
    the classes of all of them.
    """
    num_labels = weak["mids"].map(len).to_numpy(dtype=np.int64)
    mids = itertools.chain.from_iterable(weak["mids"])
    clip, segment_ids = pd.factorize(weak["segment_id"], sort=True)
    return _make_clip_labels(np.repeat(clip, num_labels), segment_ids, mids)


def strong_clip_labels(strong: pd.DataFrame) -> ClipLabels:
    """Makes the matrix of a strong table (`label_files`).

    Clips in which nothing was heard are not in the file, and so not here.
    """
    clip, segment_ids = pd.factorize(strong["segment_id"], sort=True)
    return _make_clip_labels(clip, segment_ids, strong["mid"])


def _make_clip_labels(
    clip: _Ints, segment_ids: Iterable[str], mids: Iterable[str]
) -> ClipLabels:
    """Makes the matrix of labels that are given by row and mid."""
    mid_of_label = pd.Series(list(mids), dtype=object)  # [num_labels]
    column, distinct_mids = pd.factorize(mid_of_label, sort=True)
    ids = np.array(list(segment_ids), dtype=object)
    ones = np.ones(len(clip), dtype=np.int32)
    matrix = scipy.sparse.csr_matrix(
        (ones, (clip, column)), shape=(len(ids), len(distinct_mids))
    )
    # A class that a clip is given twice is still one instance.
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return ClipLabels(ids, np.array(list(distinct_mids), dtype=object), matrix)


def match_clips(weak: ClipLabels, strong: ClipLabels) -> CommonClips:
    """Keeps the clips that both label sets have.

    Raises:
      InputError: No clip is in both.
    """
    row_of_segment = pd.Index(strong.segment_ids)
    # [num_weak_clips], -1 for clips without strong labels.
    strong_row = row_of_segment.get_indexer(pd.Index(weak.segment_ids))
    is_common = strong_row >= 0
    num_common = int(is_common.sum())
    if not num_common:
        weak_example, strong_example = (
            f" (such as {labels.segment_ids[0]})" if labels.num_clips else ""
            for labels in (weak, strong)
        )
        raise InputError(
            f"Expected clips with weak and strong labels; the "
            f"{weak.num_clips} weak ones{weak_example} and the "
            f"{strong.num_clips} strong ones{strong_example} share none. "
            f"Give weak and strong labels of the same part of AudioSet, such "
            f"as eval_segments.csv and audioset_eval_strong.tsv."
        )
    return CommonClips(
        weak=weak.take_clips(np.flatnonzero(is_common)),
        strong=strong.take_clips(strong_row[is_common]),
        num_weak_only=weak.num_clips - num_common,
        num_strong_only=strong.num_clips - num_common,
    )


# Columns of `count_framed`, of which a table without a framed file has none.
FRAMED_COUNTS = (
    "num_framed_clips",
    "num_positive_label_frames",
    "num_explicit_negative_clips",
    "num_complementary_negative_label_frames",
)


def count_classes(
    weak: ClipLabels,
    strong: ClipLabels,
    strong_table: pd.DataFrame,
    framed_counts: pd.DataFrame | None = None,
    more_mids: Iterable[str] = (),
) -> pd.DataFrame:
    """Counts what each label file holds of each class.

    Args:
      weak: Of all clips.
      strong: Of all clips.
      strong_table: The table that `strong` was made of.
      framed_counts: What `count_framed` returned, or None.
      more_mids: Classes to list even if no file has them, such as those of a
        class map.

    Returns:
      A row a class, sorted by mid, 0 where a file has nothing of the class:
      `mid` str; `num_weak_clips`, `num_strong_clips` and `num_events` int64;
      with `framed_counts` also its `FRAMED_COUNTS`, int64: clips with a PRESENT
      row, PRESENT rows, clips that are explicit negatives, complementary
      negatives.
    """
    columns = {
        "num_weak_clips": weak.counts_by_mid(),
        "num_strong_clips": strong.counts_by_mid(),
        "num_events": strong_table["mid"].value_counts(),
    }
    if framed_counts is not None:
        columns |= {name: framed_counts[name] for name in FRAMED_COUNTS}
    mids = set(more_mids).union(*(column.index for column in columns.values()))
    index = pd.Index(sorted(mids), dtype=object, name="mid")
    table = pd.DataFrame(
        {
            name: column.reindex(index, fill_value=0).astype("int64")
            for name, column in columns.items()
        },
        index=index,
    )
    return table.reset_index()


def count_framed(framed: pd.DataFrame) -> pd.DataFrame:
    """Counts positives and negatives of each class in framed labels.

    A label frame that stands twice counts once, as PRESENT if either says so.

    Returns:
      Index mid; the columns `FRAMED_COUNTS`, int64, and
      `num_partly_listed_clips`: explicit negatives of which the file lists
      fewer label frames than of others.
    """
    keys = ["segment_id", "mid", "label_frame"]
    if framed.duplicated(keys).any():
        by_frame = framed.groupby(keys, sort=False)["is_present"]
        framed = by_frame.any().reset_index()
    by_pair = framed.groupby(keys[:2], sort=False)["is_present"]
    pairs = by_pair.agg(num_listed="size", num_positive="sum").reset_index()
    pairs = pairs.astype({"num_listed": "int64", "num_positive": "int64"})
    is_positive = pairs["num_positive"] > 0
    num_negative = pairs["num_listed"] - pairs["num_positive"]
    most_listed = pairs["num_listed"].max() if len(pairs) else 0
    is_partial = pairs["num_listed"] < most_listed
    counts = pd.DataFrame(
        {
            "mid": pairs["mid"],
            "num_framed_clips": is_positive,
            "num_positive_label_frames": pairs["num_positive"],
            "num_explicit_negative_clips": ~is_positive,
            "num_complementary_negative_label_frames": num_negative.where(
                is_positive, 0
            ),
            "num_partly_listed_clips": ~is_positive & is_partial,
        }
    )
    return counts.groupby("mid").sum().astype("int64")


def summarise_counts(counts: pd.DataFrame, column: str) -> dict[str, Any]:
    """Summarises how a count is spread over the classes that have any.

    As in Section 3.3 of the paper, classes with a count of zero are not in the
    minimum, mean and median; they are counted apart.

    Args:
      counts: What `count_classes` returned.
      column: One of its counts.

    Returns:
      JSON-ready: `num_classes` with a count above zero, `num_classes_without`,
      `total`; `minimum`, `maximum`, `mean` and `median`, None without classes;
      `minimum_mids` and `maximum_mids`, the classes that have these counts.
    """
    some = counts.loc[counts[column] > 0]
    values = some[column]
    lowest, highest = values.min(), values.max()
    has_any = len(some) > 0
    return {
        "num_classes": len(some),
        "num_classes_without": len(counts) - len(some),
        "total": int(values.sum()),
        "minimum": int(lowest) if has_any else None,
        "maximum": int(highest) if has_any else None,
        "mean": float(values.mean()) if has_any else None,
        "median": float(values.median()) if has_any else None,
        "minimum_mids": some.loc[values == lowest, "mid"].tolist(),
        "maximum_mids": some.loc[values == highest, "mid"].tolist(),
    }


def class_priors(
    common: CommonClips, more_mids: Iterable[str] = ()
) -> pd.DataFrame:
    """Computes the prior of each class, those of `more_mids` included.

    Returns:
      A row a class, sorted by mid: `mid` str; `num_weak_clips` and
      `num_strong_clips` int64; `weak_prior` and `strong_prior` float64 in
      [0, 1]; `prior_ratio` float64, strong over weak: inf where only the weak
      prior is zero, NaN where both are.
    """
    mids = {*more_mids, *common.weak.mids, *common.strong.mids}
    index = pd.Index(sorted(mids), dtype=object)
    num_weak, num_strong = (  # [num_classes] each
        labels.counts_by_mid().reindex(index, fill_value=0).to_numpy(np.int64)
        for labels in (common.weak, common.strong)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        prior_ratio = num_strong / num_weak
    return pd.DataFrame(
        {
            "mid": index,
            "num_weak_clips": num_weak,
            "num_strong_clips": num_strong,
            "weak_prior": num_weak / common.num_clips,
            "strong_prior": num_strong / common.num_clips,
            "prior_ratio": prior_ratio,
        }
    )
