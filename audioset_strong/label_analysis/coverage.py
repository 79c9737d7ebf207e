"""How much of each label file is left when some of the audio is missing.

Audio disappears from YouTube, so no two copies of AudioSet hold the same clips.
Numbers of two groups are comparable on the clips that both have, and over the
classes that these clips still allow to evaluate.

Conventions: a set is a label file. A class can be evaluated on a set if it has
a positive and a negative item there:

  set      items         negatives
  framed   label frames  explicit and complementary: what the file lists
  strong   clips         implied: the clips without an event of the class
  weak     clips         implied: the clips not labelled with the class

A coverage report is three files. `coverage.json` holds

  version         of this package
  sets            for each label file: name, kind, num_clips, num_present,
                  share, num_classes, num_classes_present (with a positive clip
                  left), unevaluable_classes: mid, display_name, was_evaluable
                  (with all clips of the file) and reason
  all_clips       num_clips, num_present and share of the distinct clips
  audio           what the folder holds, or null (`audio/listing.py`)
  label_problems  of the label files

`per_class.csv` has one row a class and three columns a set: `num_clips`
labelled with the class, `num_present` and `share`; for a framed set also its
label frames, `num_positives`, `num_positives_present`, `num_negatives` and
`num_negatives_present`. `missing.csv` lists the clips that are not there. A
share of nothing is null in JSON and empty in CSV.
"""

import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import audioset_strong
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.label_rows import Names
from audioset_strong.labels.problems import ProblemLog, listed

KINDS = ("weak", "strong", "framed")
_READERS = dict(
    zip(KINDS, (read_weak_labels, read_strong_labels, read_framed_labels))
)
# Lost classes that are named to people; coverage.json has them all.
_MAX_NAMES = 8


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


@dataclasses.dataclass(frozen=True, eq=False)
class SetCoverage:
    """How much of a set is there.

    Attributes:
      name, kind: As in `LabelledSet`.
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

    def unevaluable(self) -> pd.DataFrame:
        """Lists the classes without a positive or without a negative item.

        Returns:
          Columns `mid`, `was_evaluable` bool (with all clips of the file) and
          `reason`, such as "no positive left".
        """
        counts = self.per_class
        reasons = [
            np.select(
                [
                    counts[f"num_{sign}s"] == 0,
                    counts[f"num_{sign}s_present"] == 0,
                ],
                [f"never had a {sign}", f"no {sign} left"],
                "",
            ).tolist()
            for sign in ("positive", "negative")
        ]
        both = counts[["num_positives", "num_negatives"]] > 0
        table = pd.DataFrame(
            {
                "was_evaluable": both.all(axis=1),
                "reason": ["; ".join(filter(None, r)) for r in zip(*reasons)],
            }
        )
        return table[table["reason"] != ""].reset_index()


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """How much of several sets is there.

    Attributes:
      sets: One entry a label file.
      num_clips: Distinct clips of all sets.
      missing: Those of them that are not there: `segment_id`, sorted, and
        `sets`, the names of the sets that list it, with ";" between them.
      display_names: Name of each mid, where known.
      mids: Classes of the per-class table, in its order.
    """

    sets: tuple[SetCoverage, ...]
    num_clips: int
    missing: pd.DataFrame
    display_names: Mapping[str, str]
    mids: tuple[str, ...]

    @property
    def num_present(self) -> int:
        """Distinct clips that are there."""
        return self.num_clips - len(self.missing)


def read_labelled_sets(
    paths: Mapping[str, Sequence[str]],
    problems: ProblemLog,
    names: Names | None = None,
) -> list[LabelledSet]:
    """Reads the files of each of `KINDS` as sets that are named after them.

    `problems` and `names` as in the readers of label files.

    Raises:
      InputError: A file has the wrong header.
    """
    found = [(kind, path) for kind in KINDS for path in paths.get(kind, ())]
    file_names = [os.path.basename(path) for _, path in found]
    return [
        make_labelled_set(
            # Two files of one name in different folders keep their paths.
            name if file_names.count(name) == 1 else path,
            kind,
            _READERS[kind](path, problems, names=names),
        )
        for (kind, path), name in zip(found, file_names, strict=True)
    ]


def make_labelled_set(name: str, kind: str, table: pd.DataFrame) -> LabelledSet:
    """Makes a set of a weak, strong or framed table (`label_files`)."""
    if kind == "weak":
        table = table[["segment_id", "mids"]].explode("mids")
        table = table.rename(columns={"mids": "mid"})
    if kind == "framed":
        table = table.drop_duplicates()
    clip, segment_ids = pd.factorize(table["segment_id"])
    # Codes instead of text: ten times faster to group.
    mid_code, mids = pd.factorize(table["mid"].to_numpy())
    items = pd.DataFrame({"clip": clip, "mid": mid_code})
    items["is_positive"] = (
        table["is_present"].to_numpy() if kind == "framed" else True
    )
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


def all_segment_ids(sets: Sequence[LabelledSet]) -> npt.NDArray[np.object_]:
    """Lists the clips of all sets once each, sorted; object `[num_clips]`."""
    ids = set().union(*(labelled.segment_ids for labelled in sets))
    return np.array(sorted(ids), dtype=object)


def cover_sets(
    sets: Sequence[LabelledSet],
    present: Collection[str],
    display_names: Mapping[str, str] | None = None,
    class_map_mids: Iterable[str] = (),
) -> Coverage:
    """Counts what is there of several sets.

    Args:
      sets: What `read_labelled_sets` returned.
      present: Segment ids of the clips that are there; others may be in it.
      display_names: Name of each mid, where known.
      class_map_mids: Classes to list first, and even where no set has them.
    """
    present = set(present)
    covered = tuple(cover_set(labelled, present) for labelled in sets)
    segment_ids = all_segment_ids(sets)
    clips = pd.Index(segment_ids, dtype=object)
    clips = clips[~clips.isin(list(present))]
    names_of_clip = np.full(len(clips), "", dtype=object)  # [num_missing]
    for labelled in sets:
        names_of_clip[clips.isin(labelled.segment_ids)] += labelled.name + ";"
    missing = pd.DataFrame(
        {
            "segment_id": np.asarray(clips, dtype=object),
            "sets": [text.removesuffix(";") for text in names_of_clip],
        }
    )
    labelled_mids = {mid for s in covered for mid in s.per_class.index}
    mids = dict.fromkeys([*class_map_mids, *sorted(labelled_mids)])
    return Coverage(
        covered, len(segment_ids), missing, display_names or {}, tuple(mids)
    )


def cover_set(labelled: LabelledSet, present: Collection[str]) -> SetCoverage:
    """Counts what is there of a set; arguments as `cover_sets`."""
    is_there = pd.Index(labelled.segment_ids).isin(list(present))  # [num_clips]
    items = labelled.items
    mids = pd.Index(items["mid"].cat.categories, dtype=object, name="mid")
    codes = items["mid"].cat.codes.to_numpy()
    is_positive = items["is_positive"].to_numpy(dtype=bool)
    num_items = items["num_items"].to_numpy()
    columns = {}
    for ending, is_in, num_clips in (
        ("", np.ones(len(items), dtype=bool), len(is_there)),
        ("_present", is_there[items["clip"].to_numpy()], int(is_there.sum())),
    ):
        for column, chosen, weights in (
            ("num_clips", is_in & is_positive, np.ones_like(num_items)),
            ("num_positives", is_in & is_positive, num_items),
            ("num_negatives", is_in & ~is_positive, num_items),
        ):
            counts = np.bincount(
                codes[chosen], weights[chosen], minlength=len(mids)
            )  # [num_classes]
            columns[column + ending] = counts.astype(np.int64)
        if labelled.kind != "framed":
            # Implied: every clip of the file that does not have the class.
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


# --- Files -------------------------------------------------------------------


def write_coverage(
    coverage: Coverage,
    output_dir: str,
    problems: ProblemLog,
    audio: Mapping[str, Any] | None = None,
) -> None:
    """Writes the files of the module docstring; the folder is made.

    Args:
      coverage: What to write.
      output_dir: Folder for the files.
      problems: Of the label files.
      audio: What the folder of audio holds, for JSON.
    """
    make_output_folder(output_dir)
    content = {
        "version": audioset_strong.__version__,
        "sets": [_set_json(s, coverage.display_names) for s in coverage.sets],
        "all_clips": _shares_json(coverage),
        "audio": audio,
        "label_problems": [str(problem) for problem in problems.problems],
    }
    with open_output(os.path.join(output_dir, "coverage.json")) as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    for name, table in (
        ("per_class.csv", _per_class_table(coverage)),
        ("missing.csv", coverage.missing),
    ):
        with open_output(os.path.join(output_dir, name)) as file:
            table.to_csv(file, index=False, lineterminator="\n")


def _share(covered: Coverage | SetCoverage) -> float | None:
    """Divides; None for none of none."""
    if not covered.num_clips:
        return None
    return covered.num_present / covered.num_clips


def _shares_json(covered: Coverage | SetCoverage) -> dict[str, Any]:
    share = _share(covered)
    return {
        "num_clips": covered.num_clips,
        "num_present": covered.num_present,
        "share": share if share is None else round(share, 6),
    }


def _set_json(
    covered: SetCoverage, display_names: Mapping[str, str]
) -> dict[str, Any]:
    per_class = covered.per_class
    unevaluable = covered.unevaluable()
    names = [display_names.get(mid, "") for mid in unevaluable["mid"]]
    unevaluable.insert(1, "display_name", names)
    return {
        "name": covered.name,
        "kind": covered.kind,
        **_shares_json(covered),
        "num_classes": int((per_class["num_clips"] > 0).sum()),
        "num_classes_present": int((per_class["num_clips_present"] > 0).sum()),
        "unevaluable_classes": unevaluable.to_dict("records"),
    }


def _per_class_table(coverage: Coverage) -> pd.DataFrame:
    """Makes `per_class.csv` (module docstring)."""
    mids = list(coverage.mids)
    columns: dict[str, Any] = {
        "mid": mids,
        "display_name": [coverage.display_names.get(mid, "") for mid in mids],
    }
    for covered in coverage.sets:
        counts = covered.per_class.reindex(mids, fill_value=0)
        shares = counts["num_clips_present"] / counts["num_clips"]
        of_set = {
            "num_clips": counts["num_clips"],
            "num_present": counts["num_clips_present"],
            "share": shares.round(6),  # NaN for 0 of 0
        }
        if covered.kind == "framed":
            for sign in ("num_positives", "num_negatives"):
                of_set[sign] = counts[sign]
                of_set[f"{sign}_present"] = counts[f"{sign}_present"]
        for name, values in of_set.items():
            columns[f"{covered.name} {name}"] = values.to_numpy()
    return pd.DataFrame(columns)


# --- Text --------------------------------------------------------------------


def coverage_lines(coverage: Coverage) -> list[str]:
    """Writes the shares and the classes that were lost, for people."""
    all_clips = "all distinct clips"
    width = max(
        len(name) for name in (all_clips, *(s.name for s in coverage.sets))
    )
    lines = [
        f"{'set':{width}}  {'clips':>9}  {'present':>9}  {'share':>6}  "
        f"{'classes':>7}  {'lost':>5}  {'never':>5}"
    ]
    notes = []
    for covered in coverage.sets:
        unevaluable = covered.unevaluable()
        lost = unevaluable[unevaluable["was_evaluable"]]
        lines.append(
            f"{_shares_text(covered.name, width, covered)}  "
            f"{len(covered.per_class):>7,}  {len(lost):>5,}  "
            f"{len(unevaluable) - len(lost):>5,}"
        )
        for reason, of_reason in lost.groupby("reason"):
            names = [coverage.display_names.get(m, m) for m in of_reason["mid"]]
            shown = listed(names, _MAX_NAMES, "; ")
            notes.append(f"{covered.name}, {reason}: {shown}")
    if len(coverage.sets) > 1:
        lines.append(_shares_text(all_clips, width, coverage))
    lines.append(
        "lost: classes that can no longer be evaluated; never: classes that "
        "cannot be with all clips either."
    )
    return lines + notes


def _shares_text(name: str, width: int, covered: Coverage | SetCoverage) -> str:
    share = _share(covered)
    percent = "-" if share is None else f"{100 * share:.1f}%"
    # Only all is 100 %, and only none is 0 %.
    if percent == "100.0%" and share != 1:
        percent = ">99.9%"
    if percent == "0.0%" and share != 0:
        percent = "<0.1%"
    numbers = f"{covered.num_clips:>9,}  {covered.num_present:>9,}"
    return f"{name:{width}}  {numbers}  {percent:>6}"
