"""Coverage as files and as text: coverage.json, per_class.csv, missing.csv.

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

import pandas as pd

import audioset_strong
from audioset_strong.analysis.coverage import (
    LabelledSet,
    SetCoverage,
    all_segment_ids,
    cover_set,
    missing_clips,
    share_of,
)
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.output_files import make_folder, open_output

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
    make_folder(output_dir)
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
