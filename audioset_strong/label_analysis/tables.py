"""The tables of a label analysis, for people (Markdown) and programs.

  per_class.csv     counts of each class, all clips of the files
  priors.csv        priors of each class, common clips
  odds_ratios.csv   every pair of classes with a common clip
  summary.json      what `summary_dict` documents
  summary.md        the same as tables to read
  top_lists.json    ranked lists of the chosen classes
  top_lists.md      the same as tables to read

Numbers that are not finite are null in JSON; in CSV they are empty (NaN) or
inf. Display names are the strong release's where it has one.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from audioset_strong.files import make_output_folder, open_output
from audioset_strong.label_analysis.analysis import LabelAnalysis, TopList
from audioset_strong.label_analysis.class_names import ClassInfo
from audioset_strong.label_analysis.statistics import summarise_counts
from audioset_strong.labels.problems import listed

# A prior that changed by more than this is named, as in Section 3.1.
_LARGE_CHANGE = 10.0
# What a reader calls the counts of `count_classes`, in the order shown.
_COUNTS = {
    "num_strong_clips": "strong positive clips",
    "num_events": "strong events",
    "num_weak_clips": "weak positive clips",
    "num_framed_clips": "clips with positive label frames",
    "num_positive_label_frames": "positive label frames",
    "num_explicit_negative_clips": "explicit negative clips",
    "num_complementary_negative_label_frames": (
        "complementary negative label frames"
    ),
}
# Names of a list that are shown; the JSON has them all.
_MAX_NAMES = 12


def write_analysis(analysis: LabelAnalysis, output_dir: str) -> list[str]:
    """Writes every file of the module docstring; the folder is made.

    Returns:
      Paths of the files.
    """
    make_output_folder(output_dir)
    tables = {
        "per_class.csv": analysis.counts,
        "priors.csv": analysis.priors,
        "odds_ratios.csv": analysis.odds_ratios,
    }
    for name, table in tables.items():
        with open_output(os.path.join(output_dir, name)) as file:
            described = _describe_classes(analysis.classes, table)
            described.to_csv(file, index=False, float_format="%.6g")
    texts = {
        "summary.json": summary_dict(analysis),
        "summary.md": summary_text(analysis),
        "top_lists.json": _top_list_dicts(analysis),
        "top_lists.md": _top_lists_text(analysis),
    }
    for name, content in texts.items():
        with open_output(os.path.join(output_dir, name)) as file:
            if isinstance(content, str):
                file.write(content)
            else:
                json.dump(_finite(content), file, indent=2, ensure_ascii=False)
                file.write("\n")
    return [os.path.join(output_dir, name) for name in (*tables, *texts)]


def _describe_classes(classes: ClassInfo, table: pd.DataFrame) -> pd.DataFrame:
    """Adds names and groups of the classes to a table, after each mid."""
    described = table.copy()
    if "mid" not in described:
        for place, side in ((1, "weak"), (3, "strong")):
            names = described[f"{side}_mid"].map(classes.name)
            described.insert(place, f"{side}_name", names)
        return described
    mid = described["mid"]
    columns = {
        "display_name": mid.map(classes.name),
        "weak_display_name": mid.map(classes.differing_weak_name),
    }
    if classes.weak_names:
        columns["is_in_class_map"] = mid.isin(list(classes.weak_names))
    if classes.music_mids is not None:
        columns["is_music_descendant"] = mid.isin(list(classes.music_mids))
    for place, (name, values) in enumerate(columns.items(), start=1):
        described.insert(place, name, values)
    return described


def _finite(value: Any) -> Any:
    """Replaces numbers that are not finite, which JSON cannot say, by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]]
) -> list[str]:
    """Writes a Markdown table as lines; a bar in a cell is escaped."""
    lines: list[Sequence[object]] = [header, ["---"] * len(header), *rows]
    cells = [[str(cell).replace("|", r"\|") for cell in row] for row in lines]
    return [f"| {' | '.join(row)} |" for row in cells]


# --- Summary -----------------------------------------------------------------


def summary_dict(analysis: LabelAnalysis) -> dict[str, Any]:
    """Sums an analysis up.

    Returns:
      A JSON-ready dict:

        num_clips         as in `LabelAnalysis`
        common_clips      {num_clips, num_weak_only, num_strong_only,
                          num_weak_instances, num_strong_instances,
                          weak_labels_per_clip, strong_labels_per_clip,
                          strong_to_weak}; "only" clips are not compared
        counts_per_class  {count: `summarise_counts`} over all classes, and
        counts_per_class_of_class_map   over those of the class map (null
                          without one)
        num_partly_listed as in `LabelAnalysis`
        weak_classes_without_strong_labels   {num_weak_classes, num_classes,
                          num_music_descendants (null without an ontology),
                          mids}; weak classes are those of the class map,
                          without one those that the weak files have
        strong_classes_without_weak_labels   {num_classes, mids}
        priors            {num_in_both, num_strong_zero, num_weak_zero, grown,
                          dropped}: common clips; the last two list {mid, name,
                          weak_prior, strong_prior, prior_ratio} of the classes
                          that changed more than ten times
        odds_ratios       {num_pairs, num_pairs_without_clip} and the settings
    """
    common, counts = analysis.common, analysis.counts
    num_weak, num_strong = (
        common.weak.num_instances,
        common.strong.num_instances,
    )
    weak_names, music = analysis.classes.weak_names, analysis.classes.music_mids
    is_in_class_map = counts["mid"].isin(list(weak_names))
    has_weak = counts["num_weak_clips"] > 0
    has_strong = counts["num_strong_clips"] > 0
    is_weak_class = is_in_class_map if weak_names else has_weak
    num_pairs_of_classes = math.prod(
        int((labels.clips_per_class > 0).sum())
        for labels in (common.weak, common.strong)
    )
    no_strong = counts.loc[is_weak_class & ~has_strong, "mid"].tolist()
    no_weak = counts.loc[has_strong & ~has_weak, "mid"].tolist()
    return {
        "num_clips": analysis.num_clips,
        "common_clips": {
            "num_clips": common.num_clips,
            "num_weak_only": common.num_weak_only,
            "num_strong_only": common.num_strong_only,
            "num_weak_instances": num_weak,
            "num_strong_instances": num_strong,
            "weak_labels_per_clip": num_weak / common.num_clips,
            "strong_labels_per_clip": num_strong / common.num_clips,
            "strong_to_weak": num_strong / num_weak,
        },
        "counts_per_class": _summarise_all(counts),
        "counts_per_class_of_class_map": (
            _summarise_all(counts[is_in_class_map]) if weak_names else None
        ),
        "num_partly_listed": analysis.num_partly_listed,
        "weak_classes_without_strong_labels": {
            "num_weak_classes": int(is_weak_class.sum()),
            "num_classes": len(no_strong),
            "num_music_descendants": (
                None if music is None else len(set(music) & set(no_strong))
            ),
            "mids": no_strong,
        },
        "strong_classes_without_weak_labels": {
            "num_classes": len(no_weak),
            "mids": no_weak,
        },
        "priors": _prior_changes(analysis),
        "odds_ratios": {
            "num_pairs": len(analysis.odds_ratios),
            "num_pairs_without_clip": (
                num_pairs_of_classes - len(analysis.odds_ratios)
            ),
            **dataclasses.asdict(analysis.params),
        },
    }


def _summarise_all(counts: pd.DataFrame) -> dict[str, Any]:
    return {
        column: summarise_counts(counts, column)
        for column in counts.columns.drop("mid")
    }


def _prior_changes(analysis: LabelAnalysis) -> dict[str, Any]:
    """Counts zero priors and lists those that changed much."""
    priors = analysis.priors
    has_weak, has_strong = priors["weak_prior"] > 0, priors["strong_prior"] > 0
    both = priors[has_weak & has_strong].sort_values("prior_ratio")
    both = both.assign(name=both["mid"].map(analysis.classes.name))
    columns = ["mid", "weak_prior", "strong_prior", "prior_ratio", "name"]
    grown = both[both["prior_ratio"] > _LARGE_CHANGE].iloc[::-1]
    dropped = both[both["prior_ratio"] < 1 / _LARGE_CHANGE]
    return {
        "num_in_both": len(both),
        "num_strong_zero": int((has_weak & ~has_strong).sum()),
        "num_weak_zero": int((has_strong & ~has_weak).sum()),
        "grown": grown[columns].to_dict("records"),
        "dropped": dropped[columns].to_dict("records"),
    }


def summary_text(analysis: LabelAnalysis) -> str:
    """Writes the summary as Markdown."""
    summary, classes = summary_dict(analysis), analysis.classes
    lines = [
        "# Weak and strong labels",
        *("", *_common_lines(summary)),
        *("", *_prior_lines(summary, classes)),
        *("", *_count_lines(summary, classes)),
        *("", *_odds_ratio_lines(summary["odds_ratios"]), ""),
    ]
    return "\n".join(lines)


def _common_lines(summary: dict[str, Any]) -> list[str]:
    """Writes how many labels the common clips have, as in Section 3.1."""
    common, sides = summary["common_clips"], ("weak", "strong")
    ratio = f"{common['strong_to_weak']:.2f}"
    rows = [["clips", *(f"{summary['num_clips'][s]:,}" for s in sides), ""]]
    for text, key, form, last_cell in (
        ("clips without labels of the other set", "num_{}_only", ",", ""),
        ("clips compared", "num_clips", ",", ""),
        ("class/clip instances", "num_{}_instances", ",", ratio),
        ("labels per clip", "{}_labels_per_clip", ".2f", ratio),
    ):
        values = [common[key.format(side)] for side in sides]
        rows.append([text, *(f"{v:{form}}" for v in values), last_cell])
    return [
        "## Instances (Section 3.1)",
        "",
        *_markdown_table(["", "weak", "strong", "strong / weak"], rows),
        "",
        "The paper, on its training clips: 147k and 217k instances (1.48), "
        "2.4 and 3.5 labels per clip.",
    ]


def _prior_lines(summary: dict[str, Any], classes: ClassInfo) -> list[str]:
    """Writes which priors changed, and which classes a label set lacks."""
    priors = summary["priors"]
    grown, dropped = (
        listed(
            [f"{c['name']} ({c['prior_ratio']:.2g}x)" for c in priors[change]],
            _MAX_NAMES,
            "; ",
        )
        for change in ("grown", "dropped")
    )
    no_strong = summary["weak_classes_without_strong_labels"]
    no_weak = summary["strong_classes_without_weak_labels"]
    no_weak_names = map(classes.full_name, no_weak["mids"])
    music = no_strong["num_music_descendants"]
    of_music = "" if music is None else f", {music} of them below Music"
    return [
        "## Priors (Section 3.1, Figure 2)",
        "",
        f"Of the compared clips: {priors['num_in_both']} classes are in both "
        f"label sets, {priors['num_strong_zero']} in the weak one only, "
        f"{priors['num_weak_zero']} in the strong one only.",
        "",
        f"- Grown more than {_LARGE_CHANGE:g} times: {grown}",
        f"- Fallen below 1/{_LARGE_CHANGE:g}: {dropped}",
        f"- Without strong labels in these files: {no_strong['num_classes']} "
        f"of {no_strong['num_weak_classes']} weak classes{of_music} (the "
        f"paper: 151 of 527; leaving out what is below Music cost 140)",
        f"- Strong classes without weak labels in these files: "
        f"{no_weak['num_classes']}: "
        f"{listed(no_weak_names, _MAX_NAMES, '; ')}",
    ]


def _count_lines(summary: dict[str, Any], classes: ClassInfo) -> list[str]:
    """Writes the counts per class, as in Section 3.3."""
    spread = ["min", "max", "mean", "median"]
    header = ["per class", "classes", "without", *spread, "total"]
    of_all = summary["counts_per_class"]
    of_class_map = summary["counts_per_class_of_class_map"]
    lines = ["## Counts per class (Section 3.3)", ""]
    lines += _markdown_table(header, _count_rows(of_all, classes))
    if of_class_map not in (None, of_all):
        lines += ["", "Of the classes of the class map alone:", ""]
        lines += _markdown_table(header, _count_rows(of_class_map, classes))
    lines += [
        "",
        "All clips of the files, compared or not. Minimum, mean and median are "
        "over the classes that have any; `without` counts the others.",
    ]
    if "framed" in summary["num_clips"]:
        lines.append(
            f"The framed file holds {summary['num_clips']['framed']:,} clips. "
            f"Explicit negatives do not count complementary ones; "
            f"{summary['num_partly_listed']} of them list fewer label frames "
            f"than the others."
        )
    return lines


def _count_rows(
    summaries: dict[str, Any], classes: ClassInfo
) -> Iterable[tuple[str, ...]]:
    """Writes one row a count."""
    for column, text in _COUNTS.items():
        if column not in summaries:
            continue
        values = summaries[column]
        row = [f"{values[k]:,}" for k in ("num_classes", "num_classes_without")]
        if values["num_classes"]:
            for end in ("minimum", "maximum"):
                names = map(classes.name, values[f"{end}_mids"])
                row.append(f"{values[end]:,} ({listed(names, 1)})")
            row += [f"{values['mean']:,.1f}", f"{values['median']:,g}"]
        else:
            row += ["-"] * 4
        yield (text, *row, f"{values['total']:,}")


def _odds_ratio_lines(ratios: dict[str, Any]) -> list[str]:
    """Writes which pairs of classes were compared, and how."""
    correction = ratios["haldane_correction"]
    corrected = (
        f"{correction:g} added to each cell"
        if correction
        else "No correction of empty cells"
    )
    return [
        "## Odds ratios (Section 3.1)",
        "",
        f"{ratios['num_pairs']:,} pairs of a weak and a strong class share a "
        f"clip: `odds_ratios.csv`; {ratios['num_pairs_without_clip']:,} that "
        f"share none are left out. {corrected}, {ratios['confidence']:.0%} "
        f"confidence intervals. Ranked lists: `top_lists.md`.",
    ]


# --- Ranked lists ------------------------------------------------------------


def _top_list_dicts(analysis: LabelAnalysis) -> list[dict[str, Any]]:
    """Makes the ranked lists JSON-ready, with names."""
    name = analysis.classes.name
    return [
        {
            "mid": top_list.mid,
            "name": name(top_list.mid),
            "label_set": top_list.direction,
            "num_clips": top_list.num_clips,
            "ranked": top_list.table.assign(
                weak_name=top_list.table["weak_mid"].map(name),
                strong_name=top_list.table["strong_mid"].map(name),
            ).to_dict("records"),
        }
        for top_list in analysis.top_lists
    ]


def _top_lists_text(analysis: LabelAnalysis) -> str:
    """Writes the ranked lists as Markdown."""
    params = analysis.params
    lines = [
        "# Odds ratios of single classes (Section 3.1)",
        "",
        f"Over {analysis.common.num_clips:,} clips with weak and strong "
        f"labels. A class has a rank if at least {params.min_common_clips} "
        f"clips have it and the class of the heading; `-` marks the same class "
        f"without a rank. An odds ratio is one number for a pair: the two "
        f"lists of a class differ in which label set is ranked.",
        "",
    ]
    for top_list in analysis.top_lists:
        lines += _top_list_lines(analysis, top_list)
    return "\n".join(lines)


def _top_list_lines(analysis: LabelAnalysis, top_list: TopList) -> list[str]:
    """Writes one ranked list."""
    full_name = analysis.classes.full_name
    ranked_for = top_list.direction
    (other,) = {"weak", "strong"} - {ranked_for}
    header = [
        "rank",
        f"{other} class",
        "OR",
        f"{analysis.params.confidence:.0%} interval",
        "both",
        f"only the {ranked_for} class",
        f"only the {other} class",
    ]
    rows = [
        (
            row["rank"] or "-",
            full_name(row[f"{other}_mid"]),
            f"{row['odds_ratio']:.1f}",
            f"{row['ci_low']:.1f} to {row['ci_high']:.1f}",
            f"{row['num_both']:,}",
            f"{row[f'num_{ranked_for}_only']:,}",
            f"{row[f'num_{other}_only']:,}",
        )
        for row in top_list.table.to_dict("records")
    ]
    return [
        f"## {full_name(top_list.mid)}, {ranked_for} ({top_list.mid})",
        "",
        f"Clips: {top_list.num_clips:,}. {other.capitalize()} classes that go "
        f"with it most:",
        "",
        *(_markdown_table(header, rows) if rows else ["None has a rank."]),
        "",
    ]
