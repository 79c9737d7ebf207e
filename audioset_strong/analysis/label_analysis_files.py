"""Files of a label analysis, for people (Markdown) and programs (CSV, JSON).

  per_class.csv     counts of each class, all clips of the files
  priors.csv        priors of each class, common clips
  odds_ratios.csv   every pair of classes with a common clip
  summary.json      what `label_summary.summary_dict` documents
  summary.md        the same as tables to read
  top_lists.json    ranked lists of the chosen classes
  top_lists.md      the same as tables to read

Numbers that are not finite are null in JSON; in CSV they are empty (NaN) or
inf. Display names are the strong release's where it has one.
"""

import json
import math
import os
from collections.abc import Iterable
from typing import Any

import pandas as pd

from audioset_strong.analysis.label_analysis import LabelAnalysis, TopList
from audioset_strong.analysis.label_summary import summary_dict
from audioset_strong.analysis.label_summary_text import (
    markdown_table,
    summary_text,
)
from audioset_strong.output_files import make_folder, open_output


def write_analysis(analysis: LabelAnalysis, output_dir: str) -> list[str]:
    """Writes every file of the module docstring; the folder is made.

    Returns:
      Paths of the files.
    """
    make_folder(output_dir)
    tables = {
        "per_class.csv": analysis.counts,
        "priors.csv": analysis.priors,
        "odds_ratios.csv": analysis.odds_ratios,
    }
    for name, table in tables.items():
        with open_output(os.path.join(output_dir, name)) as file:
            described = describe_classes(analysis, table)
            described.to_csv(file, index=False, float_format="%.6g")
    texts = {
        "summary.json": _json(summary_dict(analysis)),
        "summary.md": summary_text(analysis),
        "top_lists.json": _json(_top_list_dicts(analysis)),
        "top_lists.md": top_lists_text(analysis),
    }
    for name, text in texts.items():
        with open_output(os.path.join(output_dir, name)) as file:
            file.write(text)
    return [os.path.join(output_dir, name) for name in (*tables, *texts)]


def describe_classes(
    analysis: LabelAnalysis, table: pd.DataFrame
) -> pd.DataFrame:
    """Adds what is known of the classes to a table, after each mid column.

    Args:
      analysis: For names and groups.
      table: With a column `mid` in front, or with `weak_mid` and `strong_mid`.

    Returns:
      The table with `weak_name` and `strong_name`, or with `display_name` and
      `weak_display_name`, "" where it does not differ, and, as far as class map
      and ontology were given, `is_in_class_map` and `is_music_descendant`,
      bool.
    """
    classes, described = analysis.classes, table.copy()
    for side in ("weak", "strong"):
        if f"{side}_mid" in described:
            names = described[f"{side}_mid"].map(classes.names.name)
            place = list(described.columns).index(f"{side}_mid") + 1
            described.insert(place, f"{side}_name", names)
    if "mid" not in described:
        return described
    mid = described["mid"]
    columns = {
        "display_name": mid.map(classes.names.name),
        "weak_display_name": mid.map(classes.names.differing_weak_name),
    }
    if classes.class_map_mids:
        columns["is_in_class_map"] = mid.isin(classes.class_map_mids)
    if classes.music_mids is not None:
        columns["is_music_descendant"] = mid.isin(classes.music_mids)
    for place, (name, values) in enumerate(columns.items(), start=1):
        described.insert(place, name, values)
    return described


def top_lists_text(analysis: LabelAnalysis) -> str:
    """Writes the ranked lists as Markdown."""
    params = analysis.params
    lines = [
        "# Odds ratios of single classes (Section 3.1)",
        "",
        f"Over {analysis.instances.num_clips:,} clips with weak and strong "
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
    names, params = analysis.classes.names, analysis.params
    (other,) = {"weak", "strong"} - {top_list.direction}
    header = [
        "rank",
        f"{other} class",
        "OR",
        f"{params.confidence:.0%} interval",
        "both",
        f"only the {top_list.direction} class",
        f"only the {other} class",
    ]
    rows = [
        (
            row["rank"] or "-",
            names.full_name(row[f"{other}_mid"]),
            f"{row['odds_ratio']:.1f}",
            f"{row['ci_low']:.1f} to {row['ci_high']:.1f}",
            f"{row['num_both']:,}",
            f"{row[f'num_{top_list.direction}_only']:,}",
            f"{row[f'num_{other}_only']:,}",
        )
        for row in _rows(top_list)
    ]
    table = markdown_table(header, rows) if rows else ["None has a rank."]
    return [
        f"## {names.full_name(top_list.mid)}, {top_list.direction} "
        f"({top_list.mid})",
        "",
        f"Clips: {top_list.num_clips:,}. {other.capitalize()} classes that go "
        f"with it most:",
        "",
        *table,
        "",
    ]


def _top_list_dicts(analysis: LabelAnalysis) -> list[dict[str, Any]]:
    """Makes the ranked lists JSON-ready, with names."""
    names = analysis.classes.names
    return [
        {
            "mid": top_list.mid,
            "name": names.name(top_list.mid),
            "label_set": top_list.direction,
            "num_clips": top_list.num_clips,
            "ranked": [
                {
                    **row,
                    "weak_name": names.name(row["weak_mid"]),
                    "strong_name": names.name(row["strong_mid"]),
                }
                for row in _rows(top_list)
            ],
        }
        for top_list in analysis.top_lists
    ]


def _rows(top_list: TopList) -> Iterable[dict[str, Any]]:
    """Returns the rows of a ranked list as dicts."""
    rows: list[dict[str, Any]] = top_list.table.to_dict("records")  # type: ignore[assignment]
    return rows


def _json(value: Any) -> str:
    """Writes JSON; what is not finite becomes null, which JSON can say."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    """Replaces numbers that are not finite, in lists and dicts too."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
