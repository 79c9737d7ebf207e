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

Clip lists that a coverage report writes, for comparing on the same clips.

Coverage as files and as text: coverage.json, per_class.csv, missing.csv.

`coverage.json`:

  version                of this package
  sets                   one entry a label file: name, kind, num_clips,
                         num_present, share, num_classes,
                         num_classes_present (with a positive clip that is
                         there), unevaluable_classes
  all_clips              num_clips, num_present, share of the distinct clips
  audio                  what the folder holds, or null (`audio_survey.py`)
  label_problems         what was wrong in the label files

  unevaluable_classes    mid, display_name, was_evaluable (with all clips of
                         the file), reason

`per_class.csv` has a row a class and these columns a set: `num_clips` labelled
with the class, `num_present`, `share`; of a framed set also its label frames,
`num_positives`, `num_positives_present`, `num_negatives`,
`num_negatives_present`. A share of nothing is null in JSON and empty in CSV.
"""

import dataclasses
import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import audioset_strong
from audioset_strong.errors import InputError
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.ids import hash_of_clips, write_clip_list
from audioset_strong.labels.label_files import (
    read_display_names,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog

# --- coverage --------------------------------------------------------------


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


# --- coverage clips --------------------------------------------------------


def write_found_clips(
    found: Collection[str], path: str, source: str, where: str
) -> list[str]:
    """Writes the list of the labelled clips that are there.

    Args:
      found: Segment ids.
      path: Clip list to write; not written without any clip, because readers
        take an empty list for a mistake.
      source: Which label files name the clips, for the comment.
      where: Where they were found, for the comment.

    Returns:
      What was done, as lines for people.
    """
    if not found:
        return [f"No clip is there: {path} is not written."]
    comment = f"Made by report_coverage {source}\nthat are in {where}."
    write_clip_list(found, path, comment)
    return [f"{len(found):,} clips, hash {hash_of_clips(found)}: {path}"]


def write_common_clips(
    ours: set[str], theirs: set[str], path: str, source: str, their_path: str
) -> list[str]:
    """Writes the clips that two copies have: one file from either side.

    Args:
      ours: Labelled clips that are here.
      theirs: Clips of the other list.
      path: Clip list to write.
      source: Which label files name the clips, for the comment.
      their_path: The other list, for messages.

    Returns:
      What was done, as lines for people.

    Raises:
      InputError: They share no clip.
    """
    common = ours & theirs
    if not common:
        raise InputError(
            f"{their_path} and the {len(ours):,} clips that are here share "
            f"none. Give a list of clips of the same label files."
        )
    comment = f"Made by report_coverage {source}\nthat two copies have."
    write_clip_list(common, path, comment)
    return [
        f"{len(common):,} clips are here and in {their_path}, "
        f"{len(ours - theirs):,} only here, {len(theirs - ours):,} only there.",
        f"Common clips, hash {hash_of_clips(common)}: {path}",
    ]


# --- coverage report -------------------------------------------------------


_MAX_NAMES = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """How much of several sets is there.

    Attributes:
      sets: One entry a label file.
      num_clips: Distinct clips of all sets.
      num_present: Those of them that are there.
      missing: The others (`missing_clips`).
      display_names: Name of each mid, where known.
      mids: Classes of the per-class table, in its order.
    """

    sets: tuple[SetCoverage, ...]
    num_clips: int
    num_present: int
    missing: pd.DataFrame
    display_names: Mapping[str, str]
    mids: tuple[str, ...]


def read_names(
    class_map_path: str | None,
    display_names_path: str | None,
    problems: ProblemLog,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Reads display names from the files that are given.

    Args:
      class_map_path: class_labels_indices.csv.
      display_names_path: mid_to_display_name.tsv; its names hold over others.
      problems: Takes what is wrong in it.

    Returns:
      Name of each mid, and the mids of the class map in its order.
    """
    names: dict[str, str] = {}
    mids: tuple[str, ...] = ()
    if class_map_path is not None:
        class_map = read_class_map(class_map_path)
        mids = class_map.mids
        names.update(zip(mids, class_map.display_names, strict=True))
    if display_names_path is not None:
        names.update(read_display_names(display_names_path, problems))
    return names, mids


def cover_sets(
    sets: Sequence[LabelledSet],
    present: Collection[str],
    display_names: Mapping[str, str] | None = None,
    class_map_mids: Iterable[str] = (),
) -> Coverage:
    """Counts what is there of several sets.

    Args:
      sets: Label files (`read_labelled_sets`).
      present: Segment ids of the clips that are there; others may be in it.
      display_names: Name of each mid, where known.
      class_map_mids: Classes to list first, and even where no set has them.
    """
    covered = tuple(cover_set(labelled, present) for labelled in sets)
    segment_ids = all_segment_ids(sets)
    missing = missing_clips(segment_ids, sets, present)
    labelled_mids = {mid for s in covered for mid in s.per_class.index}
    mids = dict.fromkeys([*class_map_mids, *sorted(labelled_mids)])
    return Coverage(
        covered,
        len(segment_ids),
        len(segment_ids) - len(missing),
        missing,
        display_names or {},
        tuple(mids),
    )


def per_class_table(coverage: Coverage) -> pd.DataFrame:
    """Makes `per_class.csv` (module docstring)."""
    mids = list(coverage.mids)
    columns: dict[str, Any] = {
        "mid": mids,
        "display_name": [coverage.display_names.get(mid, "") for mid in mids],
    }
    for covered in coverage.sets:
        counts = covered.per_class.reindex(mids, fill_value=0)
        num_clips, num_present = (
            counts["num_clips"],
            counts["num_clips_present"],
        )
        of_set = {
            "num_clips": num_clips,
            "num_present": num_present,
            "share": (num_present / num_clips).round(6),  # NaN for 0 of 0
        }
        if covered.kind == "framed":
            of_set |= {
                column: counts[column]
                for column in (
                    "num_positives",
                    "num_positives_present",
                    "num_negatives",
                    "num_negatives_present",
                )
            }
        for name, values in of_set.items():
            columns[f"{covered.name} {name}"] = values.to_numpy()
    return pd.DataFrame(columns)


def coverage_json(
    coverage: Coverage,
    problems: ProblemLog,
    audio: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Makes `coverage.json` (module docstring)."""
    return {
        "version": audioset_strong.__version__,
        "sets": [_set_json(s, coverage.display_names) for s in coverage.sets],
        "all_clips": _shares_json(coverage.num_clips, coverage.num_present),
        "audio": audio,
        "label_problems": [str(problem) for problem in problems.problems],
    }


def _shares_json(num_clips: int, num_present: int) -> dict[str, Any]:
    share = share_of(num_present, num_clips)
    return {
        "num_clips": num_clips,
        "num_present": num_present,
        "share": None if math.isnan(share) else round(share, 6),
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
        **_shares_json(covered.num_clips, covered.num_present),
        "num_classes": int((per_class["num_clips"] > 0).sum()),
        "num_classes_present": int((per_class["num_clips_present"] > 0).sum()),
        "unevaluable_classes": unevaluable.to_dict("records"),
    }


def write_coverage(
    coverage: Coverage,
    output_dir: str,
    problems: ProblemLog,
    audio: Mapping[str, Any] | None = None,
) -> None:
    """Writes coverage.json, per_class.csv and missing.csv.

    Args:
      coverage: What to write.
      output_dir: Made if it is not there.
      problems: What was wrong in the label files.
      audio: What the folder of audio holds, for JSON.
    """
    make_output_folder(output_dir)
    with open_output(os.path.join(output_dir, "coverage.json")) as file:
        content = coverage_json(coverage, problems, audio)
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    for name, table in (
        ("per_class.csv", per_class_table(coverage)),
        ("missing.csv", coverage.missing),
    ):
        with open_output(os.path.join(output_dir, name)) as file:
            table.to_csv(file, index=False, lineterminator="\n")


def coverage_lines(coverage: Coverage) -> list[str]:
    """Says the shares and the classes that were lost to a person."""
    all_clips = "all distinct clips"
    rows = [(s.name, s.num_clips, s.num_present, s) for s in coverage.sets]
    width = max([len(all_clips), *(len(row[0]) for row in rows)])
    lines = [
        f"{'set':{width}}  {'clips':>9}  {'present':>9}  {'share':>6}  "
        f"{'classes':>7}  {'lost':>5}  {'never':>5}"
    ]
    notes = []
    for name, num_clips, num_present, covered in rows:
        unevaluable = covered.unevaluable()
        lost = unevaluable[unevaluable["was_evaluable"]]
        num_never = len(unevaluable) - len(lost)
        classes = f"{len(covered.per_class):>7,}  {len(lost):>5,}"
        shares = _shares_text(name, width, num_clips, num_present)
        lines.append(f"{shares}  {classes}  {num_never:>5,}")
        notes += _lost_lines(name, lost, coverage.display_names)
    if len(rows) > 1:
        lines.append(
            _shares_text(
                all_clips, width, coverage.num_clips, coverage.num_present
            )
        )
    lines += [
        "lost: classes that can no longer be evaluated; never: classes that "
        "cannot be with all clips either."
    ]
    return lines + notes


def _shares_text(
    name: str, width: int, num_clips: int, num_present: int
) -> str:
    share = share_of(num_present, num_clips)
    percent = "-" if math.isnan(share) else _percent(share)
    return f"{name:{width}}  {num_clips:>9,}  {num_present:>9,}  {percent:>6}"


def _percent(share: float) -> str:
    """Writes a share so that only all is 100 % and only none is 0 %."""
    text = f"{100 * share:.1f}%"
    if text == "100.0%" and share < 1:
        return ">99.9%"
    return "<0.1%" if text == "0.0%" and share > 0 else text


def _lost_lines(
    name: str, lost: pd.DataFrame, display_names: Mapping[str, str]
) -> list[str]:
    """Names the first classes that can no longer be evaluated on a set."""
    lines = []
    for reason, of_reason in lost.groupby("reason"):
        mids = list(of_reason["mid"])
        named = "; ".join(display_names.get(m, m) for m in mids[:_MAX_NAMES])
        rest = len(mids) - _MAX_NAMES
        more = f"; and {rest:,} more" if rest > 0 else ""
        lines.append(f"{name}, {reason}: {named}{more}")
    return lines
