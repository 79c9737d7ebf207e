"""Names of classes that several files name, and classes by their names.

Twelve classes have one name in the weak release and another, mostly wider, in
the strong one. Classes are joined on mid; names are only shown, and looked up
for people who type them.

Label files -> every statistic of Sections 3.1 and 3.3.

    files -> clip labels -> counts per class             (all clips of a file)
                         -> instances, priors,
                            odds ratios, ranked lists    (common clips)

`label_summary.py` sums them up, `label_analysis_files.py` writes them.

The summary of a label analysis: the numbers of Sections 3.1 and 3.3.

`label_summary_text.py` writes them as Markdown.

The summary of a label analysis as Markdown: `summary.md`.

Files of a label analysis, for people (Markdown) and programs (CSV, JSON).

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

import dataclasses
import difflib
import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.label_analysis.odds_ratios import (
    DIRECTIONS,
    OddsRatioParams,
    num_class_pairs,
    odds_ratios,
    top_associations,
)
from audioset_strong.label_analysis.statistics import (
    ClipLabels,
    CommonClips,
    InstanceComparison,
    class_priors,
    compare_instances,
    count_classes,
    count_framed,
    match_clips,
    strong_clip_labels,
    summarise_counts,
    weak_clip_labels,
)
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.label_files import (
    read_display_names,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.ontology import MUSIC_MID, read_ontology
from audioset_strong.labels.problems import ProblemLog

# --- class names -----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ClassNames:
    """Display names of mids, from up to three files.

    Attributes:
      strong: Of the strong release, `mid_to_display_name.tsv`.
      weak: Of the weak release, `class_labels_indices.csv`.
      ontology: Of `ontology.json`, for mids that neither names.
    """

    strong: Mapping[str, str] = dataclasses.field(default_factory=dict)
    weak: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ontology: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def name(self, mid: str) -> str:
        """Returns the strong name, else the weak one, the ontology's, `mid`."""
        for names in (self.strong, self.weak, self.ontology):
            if mid in names:
                return names[mid]
        return mid

    def differing_weak_name(self, mid: str) -> str:
        """Returns the weak name where it is not `name(mid)`, else ""."""
        weak_name = self.weak.get(mid, "")
        return "" if weak_name == self.name(mid) else weak_name

    def full_name(self, mid: str) -> str:
        """Returns the name, with the weak one where it differs."""
        weak_name = self.differing_weak_name(mid)
        return self.name(mid) + (f" (weak: {weak_name})" if weak_name else "")

    @functools.cached_property
    def _mids_of_text(self) -> dict[str, set[str]]:
        """Mids of every name in small letters."""
        found: dict[str, set[str]] = {}
        for names in (self.strong, self.weak, self.ontology):
            for mid, name in names.items():
                found.setdefault(name.casefold(), set()).add(mid)
        return found

    def find_mid(self, text: str, mids: Iterable[str]) -> str:
        """Finds the class that a person means.

        Args:
          text: A mid, a display name, or a display name up to its first comma
            ("Male speech" for "Male speech, man speaking"); capitals do not
            matter. A whole name holds over a beginning.
          mids: The classes to choose from.

        Returns:
          The mid.

        Raises:
          InputError: No class, or more than one, has that name; the message
            lists those that come near.
        """
        choices = set(mids)
        wanted = text.strip().casefold()
        if text.strip() in choices:
            return text.strip()
        whole = self._mids_of_text.get(wanted, set()) & choices
        beginning = {
            mid
            for name, named in self._mids_of_text.items()
            if name.split(",")[0] == wanted
            for mid in named & choices
        }
        found = whole or beginning
        if len(found) != 1:
            raise InputError(self._no_single_class(text, found, choices))
        return found.pop()

    def _no_single_class(
        self, text: str, found: set[str], choices: set[str]
    ) -> str:
        """Says why `text` is not one class, and what comes near."""
        if found:
            listed = ", ".join(f"{self.name(m)} {m}" for m in sorted(found))
            return f"{text!r} names {len(found)} classes: {listed}. Give a mid."
        texts = {
            t for t, named in self._mids_of_text.items() if named & choices
        }
        wanted = text.strip().casefold()
        near = difflib.get_close_matches(wanted, texts, n=5, cutoff=0.5)
        near += sorted(t for t in texts if wanted and wanted in t)[:5]
        near_mids = [
            mid
            for name in dict.fromkeys(near)
            for mid in sorted(self._mids_of_text[name] & choices)
        ]
        names = [self.name(mid) for mid in dict.fromkeys(near_mids)]
        hint = f" Near: {'; '.join(names)}." if names else ""
        return (
            f"Expected a class that is labelled, by mid or display name. "
            f"Received: {text!r}.{hint} Lists are split at commas: give a mid, "
            f"or a name up to its first comma."
        )


# --- label analysis --------------------------------------------------------


_Path = str | os.PathLike[str]

# How many classes of each label set get ranked lists if none are asked for.
_NUM_DEFAULT_CLASSES = 3


@dataclasses.dataclass(frozen=True)
class ClassInfo:
    """What is known of classes besides their labels.

    Attributes:
      names: Their display names.
      class_map_mids: Classes of the class map, in its order; empty without one.
      music_mids: Descendants of "Music", which the paper's annotators were not
        offered; None without an ontology.
    """

    names: ClassNames = ClassNames()
    class_map_mids: tuple[str, ...] = ()
    music_mids: frozenset[str] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class TopList:
    """The classes that one class goes with most.

    Attributes:
      mid: The class.
      direction: "weak": `mid` is a weak class and strong ones are ranked;
        "strong": the other way round.
      num_clips: Common clips that have the class.
      table: What `top_associations` returned.
    """

    mid: str
    direction: str
    num_clips: int
    table: pd.DataFrame


@dataclasses.dataclass(frozen=True, eq=False)
class LabelAnalysis:
    """Statistics of weak and strong labels.

    Attributes:
      classes: Names and groups of the classes.
      num_clips: Clips of each label set that was given: "weak", "strong",
        "framed".
      num_repeated_clips: Clips that several files of a label set list: "weak",
        "strong".
      num_partly_listed: Explicit negatives of which the framed file lists fewer
        label frames than of others; 0 without one.
      counts: What `count_classes` returned.
      instances: Instances of both label sets on common clips.
      priors: What `class_priors` returned.
      odds_ratios: What `odds_ratios` returned.
      num_pairs_without_clip: Class pairs that `odds_ratios` leaves out.
      top_lists: Ranked lists of the chosen classes.
      params: Settings of the odds ratios.
    """

    classes: ClassInfo
    num_clips: dict[str, int]
    num_repeated_clips: dict[str, int]
    num_partly_listed: int
    counts: pd.DataFrame
    instances: InstanceComparison
    priors: pd.DataFrame
    odds_ratios: pd.DataFrame
    num_pairs_without_clip: int
    top_lists: tuple[TopList, ...]
    params: OddsRatioParams


def read_class_info(
    class_map_path: _Path | None = None,
    display_names_path: _Path | None = None,
    ontology_path: _Path | None = None,
    problems: ProblemLog | None = None,
) -> ClassInfo:
    """Reads what is known of classes; each file is optional.

    Args:
      class_map_path: `class_labels_indices.csv`: the weak release's classes.
      display_names_path: `mid_to_display_name.tsv`: the strong release's names.
      ontology_path: `ontology.json`.
      problems: Takes the lines that are left out; None is strict.

    Returns:
      Names and groups of the classes.

    Raises:
      InputError: A file is not what it should be.
    """
    weak_names: dict[str, str] = {}
    strong_names: dict[str, str] = {}
    ontology_names: dict[str, str] = {}
    music_mids = None
    if class_map_path is not None:
        class_map = read_class_map(class_map_path)
        named = zip(class_map.mids, class_map.display_names, strict=True)
        weak_names = dict(named)
    if display_names_path is not None:
        strong_names = read_display_names(display_names_path, problems)
    if ontology_path is not None:
        ontology = read_ontology(ontology_path)
        ontology_names = ontology.display_names
        music_mids = ontology.descendants(MUSIC_MID)
    names = ClassNames(strong_names, weak_names, ontology_names)
    return ClassInfo(names, tuple(weak_names), music_mids)


def analyze_files(
    weak_paths: Sequence[_Path],
    strong_paths: Sequence[_Path],
    framed_path: _Path | None = None,
    classes: ClassInfo = ClassInfo(),
    chosen: Sequence[str] = (),
    params: OddsRatioParams = OddsRatioParams(),
    problems: ProblemLog | None = None,
) -> LabelAnalysis:
    """Computes all statistics of label files.

    Args:
      weak_paths: Weak CSVs.
      strong_paths: Strong TSVs.
      framed_path: Framed TSV, or None.
      classes: Names and groups of the classes.
      chosen: Classes to rank others for, by mid or name; the most frequent of
        both label sets if empty.
      params: Settings of the odds ratios.
      problems: Takes what is wrong, and is reported once all is read; None is
        strict about lines to leave out.

    Returns:
      The statistics.

    Raises:
      InputError: A file is not what it should be, the files share no clip, or
        a chosen class is unknown or ambiguous.
    """
    weak_table, num_repeated_weak = _read_all(
        read_weak_labels, weak_paths, problems
    )
    strong_table, num_repeated_strong = _read_all(
        read_strong_labels, strong_paths, problems
    )
    framed = None
    if framed_path is not None:
        framed = read_framed_labels(framed_path, problems)
    if problems is not None:
        problems.report()
    weak = weak_clip_labels(weak_table)
    strong = strong_clip_labels(strong_table)
    common = match_clips(weak, strong)
    num_clips = {"weak": weak.num_clips, "strong": strong.num_clips}
    framed_counts = None
    if framed is not None:
        num_clips["framed"] = framed["segment_id"].nunique()
        framed_counts = count_framed(framed)
    mids = classes.class_map_mids
    pairs = odds_ratios(common, params)
    return LabelAnalysis(
        classes=classes,
        num_clips=num_clips,
        num_repeated_clips={
            "weak": num_repeated_weak,
            "strong": num_repeated_strong,
        },
        num_partly_listed=0
        if framed_counts is None
        else int(framed_counts["num_partly_listed_clips"].sum()),
        counts=count_classes(weak, strong, strong_table, framed_counts, mids),
        instances=compare_instances(common),
        priors=class_priors(common, mids),
        odds_ratios=pairs,
        num_pairs_without_clip=num_class_pairs(common) - len(pairs),
        top_lists=_rank(common, pairs, classes.names, chosen, params),
        params=params,
    )


def _read_all(
    read: Callable[[_Path, ProblemLog | None], pd.DataFrame],
    paths: Sequence[_Path],
    problems: ProblemLog | None,
) -> tuple[pd.DataFrame, int]:
    """Reads files into one table; counts clips that several of them list."""
    tables = [read(path, problems) for path in paths]
    table = pd.concat(tables, ignore_index=True)
    num_clips_by_file = [t["segment_id"].nunique() for t in tables]
    return table, sum(num_clips_by_file) - table["segment_id"].nunique()


def _rank(
    common: CommonClips,
    pairs: pd.DataFrame,
    names: ClassNames,
    chosen: Sequence[str],
    params: OddsRatioParams,
) -> tuple[TopList, ...]:
    """Ranks in both directions for the chosen classes, where they occur."""
    clips_of_mid = {
        "weak": _clips_of_mid(common.weak),
        "strong": _clips_of_mid(common.strong),
    }
    labelled = {*clips_of_mid["weak"], *clips_of_mid["strong"]}
    mids = [names.find_mid(text, labelled) for text in chosen]
    if not chosen:
        mids = [
            mid
            for direction in DIRECTIONS
            for mid in list(clips_of_mid[direction])[:_NUM_DEFAULT_CLASSES]
        ]
    return tuple(
        TopList(
            mid,
            direction,
            clips_of_mid[direction][mid],
            top_associations(pairs, mid, direction, params),
        )
        for mid in dict.fromkeys(mids)
        for direction in DIRECTIONS
        if mid in clips_of_mid[direction]
    )


def _clips_of_mid(labels: ClipLabels) -> dict[str, int]:
    """Returns the clips of each class that has any, most frequent first."""
    counts = pd.Series(labels.clips_per_class, labels.mids)
    ordered = counts[counts > 0].sort_values(ascending=False, kind="stable")
    return {str(mid): int(count) for mid, count in ordered.items()}


# --- label summary ---------------------------------------------------------


# A prior that changed by more than this is named, as in Section 3.1.
LARGE_CHANGE = 10.0


def summary_dict(analysis: LabelAnalysis) -> dict[str, Any]:
    """Sums an analysis up.

    Returns:
      A JSON-ready dict:

        num_clips, num_repeated_clips   as in `LabelAnalysis`
        common_clips      `InstanceComparison` and its ratios
        counts_per_class  {count: `CountSummary`} over all classes, and
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
                          that changed more than `LARGE_CHANGE` times
        odds_ratios       {num_pairs, num_pairs_without_clip} and the settings
    """
    instances, counts = analysis.instances, analysis.counts
    of_class_map = counts[counts["mid"].isin(analysis.classes.class_map_mids)]
    return {
        "num_clips": analysis.num_clips,
        "num_repeated_clips": analysis.num_repeated_clips,
        "common_clips": {
            **dataclasses.asdict(instances),
            "weak_labels_per_clip": instances.weak_labels_per_clip,
            "strong_labels_per_clip": instances.strong_labels_per_clip,
            "strong_to_weak": instances.strong_to_weak,
        },
        "counts_per_class": _summarise_all(counts),
        "counts_per_class_of_class_map": _summarise_all(of_class_map)
        if analysis.classes.class_map_mids
        else None,
        "num_partly_listed": analysis.num_partly_listed,
        **_classes_without(analysis),
        "priors": _prior_changes(analysis),
        "odds_ratios": {
            "num_pairs": len(analysis.odds_ratios),
            "num_pairs_without_clip": analysis.num_pairs_without_clip,
            **dataclasses.asdict(analysis.params),
        },
    }


def _summarise_all(counts: pd.DataFrame) -> dict[str, Any]:
    """Summarises every count of the table."""
    return {
        column: dataclasses.asdict(summarise_counts(counts, column))
        for column in counts.columns.drop("mid")
    }


def _classes_without(analysis: LabelAnalysis) -> dict[str, Any]:
    """Lists the classes that one label set lacks."""
    counts, classes = analysis.counts, analysis.classes
    has_weak, has_strong = (
        counts["num_weak_clips"] > 0,
        counts["num_strong_clips"] > 0,
    )
    is_weak_class = (
        counts["mid"].isin(classes.class_map_mids)
        if classes.class_map_mids
        else has_weak
    )
    no_strong = counts.loc[is_weak_class & ~has_strong, "mid"].tolist()
    no_weak = counts.loc[has_strong & ~has_weak, "mid"].tolist()
    music = classes.music_mids
    return {
        "weak_classes_without_strong_labels": {
            "num_weak_classes": int(is_weak_class.sum()),
            "num_classes": len(no_strong),
            "num_music_descendants": None
            if music is None
            else len(music & set(no_strong)),
            "mids": no_strong,
        },
        "strong_classes_without_weak_labels": {
            "num_classes": len(no_weak),
            "mids": no_weak,
        },
    }


def _prior_changes(analysis: LabelAnalysis) -> dict[str, Any]:
    """Counts zero priors and lists those that changed much."""
    priors = analysis.priors
    has_weak, has_strong = priors["weak_prior"] > 0, priors["strong_prior"] > 0
    both = priors[has_weak & has_strong].sort_values("prior_ratio")
    ratio = both["prior_ratio"]
    columns = ["mid", "weak_prior", "strong_prior", "prior_ratio"]

    def listed(table: pd.DataFrame) -> list[dict[str, Any]]:
        names = table["mid"].map(analysis.classes.names.name)
        rows: list[dict[str, Any]] = (
            table[columns].assign(name=names).to_dict("records")  # type: ignore[assignment]
        )
        return rows

    return {
        "num_in_both": len(both),
        "num_strong_zero": int((has_weak & ~has_strong).sum()),
        "num_weak_zero": int((has_strong & ~has_weak).sum()),
        "grown": listed(both[ratio > LARGE_CHANGE].iloc[::-1]),
        "dropped": listed(both[ratio < 1 / LARGE_CHANGE]),
    }


# --- label summary text ----------------------------------------------------


_LABEL_SETS = ("weak", "strong")
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


def summary_text(analysis: LabelAnalysis) -> str:
    """Writes the summary as Markdown."""
    summary = summary_dict(analysis)
    return "\n".join(
        [
            "# Weak and strong labels",
            "",
            *_common_lines(summary),
            "",
            *_prior_lines(summary, analysis),
            "",
            *_count_lines(summary, analysis),
            "",
            *_odds_ratio_lines(summary),
            "",
        ]
    )


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]]
) -> list[str]:
    """Writes a Markdown table as lines; a bar in a cell is escaped."""
    lines: list[Sequence[object]] = [header, ["---"] * len(header), *rows]
    cells = [[str(cell).replace("|", r"\|") for cell in row] for row in lines]
    return [f"| {' | '.join(row)} |" for row in cells]


def _common_lines(summary: dict[str, Any]) -> list[str]:
    """Writes how many labels the common clips have, as in Section 3.1."""
    common, repeated = summary["common_clips"], summary["num_repeated_clips"]
    rows = [
        ("clips", *(f"{summary['num_clips'][k]:,}" for k in _LABEL_SETS), ""),
        (
            "clips without labels of the other set",
            f"{common['num_weak_only']:,}",
            f"{common['num_strong_only']:,}",
            "",
        ),
        ("clips compared", *[f"{common['num_clips']:,}"] * 2, ""),
        (
            "class/clip instances",
            f"{common['num_weak_instances']:,}",
            f"{common['num_strong_instances']:,}",
            f"{common['strong_to_weak']:.2f}",
        ),
        (
            "labels per clip",
            f"{common['weak_labels_per_clip']:.2f}",
            f"{common['strong_labels_per_clip']:.2f}",
            f"{common['strong_to_weak']:.2f}",
        ),
    ]
    notes = [
        f"{count:,} clips stand in several {k} files and count once."
        for k, count in repeated.items()
        if count
    ]
    return [
        "## Instances (Section 3.1)",
        "",
        *markdown_table(["", "weak", "strong", "strong / weak"], rows),
        "",
        "The paper, on its training clips: 147k and 217k instances (1.48), "
        "2.4 and 3.5 labels per clip.",
        *notes,
    ]


def _prior_lines(summary: dict[str, Any], analysis: LabelAnalysis) -> list[str]:
    """Writes which priors changed, and which classes a label set lacks."""
    priors = summary["priors"]
    no_strong = summary["weak_classes_without_strong_labels"]
    no_weak = summary["strong_classes_without_weak_labels"]
    music = no_strong["num_music_descendants"]
    of_music = "" if music is None else f", {music} of them below Music"
    return [
        "## Priors (Section 3.1, Figure 2)",
        "",
        f"Of the compared clips: {priors['num_in_both']} classes are in both "
        f"label sets, {priors['num_strong_zero']} in the weak one only, "
        f"{priors['num_weak_zero']} in the strong one only.",
        "",
        f"- Grown more than {LARGE_CHANGE:g} times: "
        f"{_changes(priors['grown'])}",
        f"- Fallen below 1/{LARGE_CHANGE:g}: {_changes(priors['dropped'])}",
        f"- Without strong labels in these files: {no_strong['num_classes']} "
        f"of {no_strong['num_weak_classes']} weak classes{of_music} (the "
        f"paper: 151 of 527; leaving out what is below Music cost 140)",
        f"- Strong classes without weak labels in these files: "
        f"{no_weak['num_classes']}: {_names(no_weak['mids'], analysis)}",
    ]


def _changes(classes: Sequence[dict[str, Any]]) -> str:
    """Lists classes with the change of their prior."""
    shown = [f"{c['name']} ({c['prior_ratio']:.2g}x)" for c in classes]
    return _first(shown)


def _names(mids: Sequence[str], analysis: LabelAnalysis) -> str:
    """Lists the names of classes."""
    return _first([analysis.classes.names.full_name(mid) for mid in mids])


def _first(texts: Sequence[str], separator: str = "; ") -> str:
    """Lists the first of many texts."""
    rest = len(texts) - _MAX_NAMES
    more = f" and {rest} more" if rest > 0 else ""
    return (separator.join(texts[:_MAX_NAMES]) or "none") + more


def _count_lines(summary: dict[str, Any], analysis: LabelAnalysis) -> list[str]:
    """Writes the counts per class, as in Section 3.3."""
    header = [
        "per class",
        "classes",
        "without",
        "min",
        "max",
        "mean",
        "median",
        "total",
    ]
    lines = ["## Counts per class (Section 3.3)", ""]
    lines += markdown_table(
        header, _count_rows(summary["counts_per_class"], analysis)
    )
    of_class_map = summary["counts_per_class_of_class_map"]
    if of_class_map not in (None, summary["counts_per_class"]):
        lines += ["", "Of the classes of the class map alone:", ""]
        lines += markdown_table(header, _count_rows(of_class_map, analysis))
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
    summaries: dict[str, Any], analysis: LabelAnalysis
) -> Iterable[tuple[str, ...]]:
    """Writes one row a count."""
    for column, text in _COUNTS.items():
        if column not in summaries:
            continue
        values = summaries[column]
        row = [f"{values[k]:,}" for k in ("num_classes", "num_classes_without")]
        if values["num_classes"]:
            for end in ("minimum", "maximum"):
                mids = values[f"{end}_mids"]
                named = analysis.classes.names.name(mids[0])
                more = f" and {len(mids) - 1} more" if len(mids) > 1 else ""
                row.append(f"{values[end]:,} ({named}{more})")
            row += [f"{values['mean']:,.1f}", f"{values['median']:,g}"]
        else:
            row += ["-"] * 4
        yield (text, *row, f"{values['total']:,}")


def _odds_ratio_lines(summary: dict[str, Any]) -> list[str]:
    """Writes which pairs of classes were compared, and how."""
    ratios = summary["odds_ratios"]
    correction = ratios["haldane_correction"]
    corrected = (
        f"{correction:g} added to each cell"
        if correction
        else "no correction of empty cells"
    )
    return [
        "## Odds ratios (Section 3.1)",
        "",
        f"{ratios['num_pairs']:,} pairs of a weak and a strong class share a "
        f"clip: `odds_ratios.csv`; {ratios['num_pairs_without_clip']:,} that "
        f"share none are left out. {corrected[0].upper()}{corrected[1:]}, "
        f"{ratios['confidence']:.0%} confidence intervals. Ranked lists: "
        f"`top_lists.md`.",
    ]


# --- label analysis files --------------------------------------------------


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
