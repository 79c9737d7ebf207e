"""Label files -> every statistic of Sections 3.1 and 3.3.

    files -> clip labels -> counts per class             (all clips of a file)
                         -> instances, priors,
                            odds ratios, ranked lists    (common clips)

`label_summary.py` sums them up, `label_analysis_files.py` writes them.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence

import pandas as pd

from audioset_strong.analysis.class_names import ClassNames
from audioset_strong.analysis.clip_labels import (
    ClipLabels,
    CommonClips,
    match_clips,
    strong_clip_labels,
    weak_clip_labels,
)
from audioset_strong.analysis.odds_ratios import (
    DIRECTIONS,
    OddsRatioParams,
    num_class_pairs,
    odds_ratios,
    top_associations,
)
from audioset_strong.analysis.statistics import (
    InstanceComparison,
    class_priors,
    compare_instances,
    count_classes,
    count_framed,
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
