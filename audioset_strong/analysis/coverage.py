"""How much of each label file is there, when some of the audio is not.

Audio disappears from YouTube, so no two copies of AudioSet hold the same clips.
Numbers of two groups are comparable on the clips that both have, and over the
classes that these clips still let one evaluate.

Conventions: a set is a label file. A class can be evaluated on a set when it
has a positive and a negative item there:

  set      items         negatives
  framed   label frames  explicit and complementary: what the file lists
  strong   clips         implied: the clips without an event of the class
  weak     clips         implied: the clips not labelled with the class
"""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog

KINDS = ("weak", "strong", "framed")


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledSet:
    """The clips of a label file, and its items by clip and class.

    Attributes:
      name: Name of the file.
      kind: One of `KINDS`.
      segment_ids: object `[num_clips]`, each clip once.
      items: One row a (clip, class, sign) that the file lists: `clip` int64,
        position in `segment_ids`; `mid` categorical str; `is_positive` bool;
        `num_items` int64, 1 or the number of label frames.
    """

    name: str
    kind: str
    segment_ids: npt.NDArray[np.object_]
    items: pd.DataFrame


def make_labelled_set(name: str, kind: str, table: pd.DataFrame) -> LabelledSet:
    """Makes a set of a label table.

    Args:
      name: What to call it.
      kind: One of `KINDS`.
      table: Weak, strong or framed table (`label_files`).
    """
    if kind == "weak":
        table = table[["segment_id", "mids"]].explode("mids")
        table = table.rename(columns={"mids": "mid"})
    if kind == "framed":
        table = table.drop_duplicates()
    clip, segment_ids = pd.factorize(table["segment_id"])
    items = pd.DataFrame({"clip": clip, "mid": table["mid"].to_numpy()})
    items["is_positive"] = (
        table["is_present"].to_numpy() if kind == "framed" else True
    )
    # Codes instead of text: ten times faster to group.
    mid_code, mids = pd.factorize(items["mid"])
    items["mid"] = mid_code
    grouped = (
        items[mid_code >= 0]  # not of a weak row without labels
        .groupby(["clip", "mid", "is_positive"], sort=False)
        .size()
        .rename("num_items")
        .reset_index()
    )
    grouped["mid"] = pd.Categorical.from_codes(
        grouped["mid"].to_numpy(dtype=np.int64), pd.Index(mids, dtype=object)
    )
    if kind != "framed":
        grouped["num_items"] = 1  # an event more is not a clip more
    ids = np.asarray(segment_ids, dtype=object)
    return LabelledSet(name, kind, ids, grouped)


def read_labelled_sets(
    paths: Mapping[str, Sequence[str]], problems: ProblemLog
) -> list[LabelledSet]:
    """Reads label files as sets, named after their files.

    Args:
      paths: Files of each of `KINDS`.
      problems: Takes what is wrong in them.

    Raises:
      InputError: A file has the wrong header.
    """
    readers = {
        "weak": read_weak_labels,
        "strong": read_strong_labels,
        "framed": read_framed_labels,
    }
    listed = [(kind, path) for kind in KINDS for path in paths.get(kind, ())]
    names = [os.path.basename(path) for _, path in listed]
    return [
        make_labelled_set(
            # Two files of one name in different folders keep their paths.
            name if names.count(name) == 1 else path,
            kind,
            readers[kind](path, problems),
        )
        for (kind, path), name in zip(listed, names, strict=True)
    ]


@dataclasses.dataclass(frozen=True, eq=False)
class SetCoverage:
    """How much of a set is there.

    Attributes:
      name: Name of the set.
      kind: One of `KINDS`.
      num_clips: Clips that the file lists.
      num_present: Those of them that are there.
      per_class: One row a class, index `mid`, sorted; int64 columns, each also
        with the ending `_present` for the clips that are there: `num_clips`
        labelled positive, `num_positives` and `num_negatives` items.
    """

    name: str
    kind: str
    num_clips: int
    num_present: int
    per_class: pd.DataFrame

    @property
    def share(self) -> float:
        """Share of the clips that are there; NaN if the file lists none."""
        return share_of(self.num_present, self.num_clips)

    def unevaluable(self) -> pd.DataFrame:
        """Lists the classes without a positive or without a negative item.

        Returns:
          Columns `mid`, `was_evaluable` bool (with all clips of the file) and
          `reason`, such as "no positive left".
        """
        counts = self.per_class
        reasons = pd.DataFrame(
            {
                sign: np.select(
                    [
                        counts[f"num_{sign}s"] == 0,
                        counts[f"num_{sign}s_present"] == 0,
                    ],
                    [f"never had a {sign}", f"no {sign} left"],
                    "",
                )
                for sign in ("positive", "negative")
            },
            index=counts.index,
        )
        joined = (reasons["positive"] + "; " + reasons["negative"]).str.strip(
            "; "
        )
        was_evaluable = (counts[["num_positives", "num_negatives"]] > 0).all(
            axis=1
        )
        table = pd.DataFrame({"was_evaluable": was_evaluable, "reason": joined})
        return table[joined != ""].reset_index()


def share_of(num_present: int, num_all: int) -> float:
    """Divides; NaN for none of none."""
    return num_present / num_all if num_all else float("nan")


def cover_set(labelled: LabelledSet, present: Collection[str]) -> SetCoverage:
    """Counts what is there of a set.

    Args:
      labelled: The set.
      present: Segment ids of the clips that are there; others may be in it.
    """
    is_there = pd.Index(labelled.segment_ids).isin(list(present))
    items = labelled.items
    mids = pd.Index(items["mid"].cat.categories, dtype=object, name="mid")
    codes = items["mid"].cat.codes.to_numpy()
    is_positive = items["is_positive"].to_numpy(dtype=bool)
    num_items = items["num_items"].to_numpy()
    of_there = is_there[items["clip"].to_numpy()]
    columns = {}
    for ending, is_in, num_clips in (
        ("", np.ones(len(items), dtype=bool), len(is_there)),
        ("_present", of_there, int(is_there.sum())),
    ):
        for column, chosen, weights in (
            ("num_clips", is_in & is_positive, None),
            ("num_positives", is_in & is_positive, num_items),
            ("num_negatives", is_in & ~is_positive, num_items),
        ):
            columns[column + ending] = np.bincount(
                codes[chosen],
                None if weights is None else weights[chosen],
                minlength=len(mids),
            ).astype(np.int64)
        if labelled.kind != "framed":
            # Implied: every clip of the file that has not the class.
            columns[f"num_negatives{ending}"] = (
                num_clips - columns[f"num_clips{ending}"]
            )
    return SetCoverage(
        labelled.name,
        labelled.kind,
        len(is_there),
        int(is_there.sum()),
        pd.DataFrame(columns, index=mids).sort_index(),
    )


def all_segment_ids(sets: Sequence[LabelledSet]) -> npt.NDArray[np.object_]:
    """Returns the clips of all sets, each once, sorted, object `[num_clips]`.

    Args:
      sets: The sets.
    """
    ids = [labelled.segment_ids for labelled in sets]
    joined = np.concatenate([np.empty(0, dtype=object), *ids])
    return np.array(sorted(pd.unique(joined)), dtype=object)


def missing_clips(
    segment_ids: npt.NDArray[np.object_],
    sets: Sequence[LabelledSet],
    present: Collection[str],
) -> pd.DataFrame:
    """Lists the clips that are not there.

    Args:
      segment_ids: `all_segment_ids(sets)`.
      sets: The sets.
      present: Segment ids of the clips that are there; others may be in it.

    Returns:
      Columns `segment_id`, sorted, and `sets`: names of the sets that list the
      clip, with ";" between them.
    """
    clips = pd.Index(segment_ids, dtype=object)
    clips = clips[~clips.isin(list(present))]
    names = np.full(len(clips), "", dtype=object)
    for labelled in sets:
        is_in = clips.isin(labelled.segment_ids)
        names[is_in] += labelled.name + ";"
    return pd.DataFrame(
        {
            "segment_id": np.asarray(clips, dtype=object),
            "sets": [text.removesuffix(";") for text in names],
        }
    )
