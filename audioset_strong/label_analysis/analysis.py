"""From label files to every statistic of Sections 3.1 and 3.3.

    files -> clip labels -> counts per class             (all clips of a file)
                         -> instances, priors,
                            odds ratios, ranked lists    (common clips)

`tables.py` writes them.
"""

import dataclasses
import os
from collections.abc import Sequence

import pandas as pd

from audioset_strong.label_analysis.class_names import ClassInfo
from audioset_strong.label_analysis.odds_ratios import (
    DIRECTIONS,
    OddsRatioParams,
    odds_ratios,
    top_associations,
)
from audioset_strong.label_analysis.statistics import (
    CommonClips,
    class_priors,
    count_classes,
    count_framed,
    match_clips,
    strong_clip_labels,
    weak_clip_labels,
)
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_label_files,
)
from audioset_strong.labels.problems import ProblemLog

_Path = str | os.PathLike[str]

# How many classes of each label set get ranked lists if none are asked for.
_NUM_DEFAULT_CLASSES = 3


@dataclasses.dataclass(frozen=True, eq=False)
class TopList:
    """The classes that one class occurs with most.

    Attributes:
      mid: The class.
      direction: As in `top_associations`.
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
      num_partly_listed: Explicit negatives of which the framed file lists fewer
        label frames than of others; 0 without one.
      counts: What `count_classes` returned.
      common: The clips with weak and strong labels.
      priors: What `class_priors` returned.
      odds_ratios: What `odds_ratios` returned.
      top_lists: Ranked lists of the chosen classes.
      params: Settings of the odds ratios.
    """

    classes: ClassInfo
    num_clips: dict[str, int]
    num_partly_listed: int
    counts: pd.DataFrame
    common: CommonClips
    priors: pd.DataFrame
    odds_ratios: pd.DataFrame
    top_lists: tuple[TopList, ...]
    params: OddsRatioParams


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
      framed_path: Framed TSV.
      classes: Names and groups of the classes.
      chosen: Classes to rank others for, by mid or name; the most frequent of
        both label sets if empty.
      params: Settings of the odds ratios.
      problems: Takes the problems of the files and is reported once all are
        read; None to stop at bad lines.

    Raises:
      InputError: A file is not what it should be, the files share no clip, or
        a chosen class is unknown or ambiguous.
    """
    names = classes.mids_of_name()
    weak_table = read_label_files("weak", weak_paths, problems, names)
    strong_table = read_label_files("strong", strong_paths, problems, names)
    framed = None
    if framed_path is not None:
        framed = read_framed_labels(framed_path, problems, names=names)
    if problems is not None:
        problems.report()
    weak = weak_clip_labels(weak_table)
    strong = strong_clip_labels(strong_table)
    common = match_clips(weak, strong)
    num_clips = {"weak": weak.num_clips, "strong": strong.num_clips}
    framed_counts, num_partly_listed = None, 0
    if framed is not None:
        num_clips["framed"] = framed["segment_id"].nunique()
        framed_counts = count_framed(framed)
        num_partly_listed = int(framed_counts["num_partly_listed_clips"].sum())
    mids = classes.weak_names
    pairs = odds_ratios(common, params)
    return LabelAnalysis(
        classes=classes,
        num_clips=num_clips,
        num_partly_listed=num_partly_listed,
        counts=count_classes(weak, strong, strong_table, framed_counts, mids),
        common=common,
        priors=class_priors(common, mids),
        odds_ratios=pairs,
        top_lists=_rank(common, pairs, classes, chosen, params),
        params=params,
    )


def _rank(
    common: CommonClips,
    pairs: pd.DataFrame,
    classes: ClassInfo,
    chosen: Sequence[str],
    params: OddsRatioParams,
) -> tuple[TopList, ...]:
    """Ranks in both directions for the chosen classes, where they occur."""
    # Clips of each class that has any, most frequent first.
    clips_of_mid = {}
    for direction, labels in zip(DIRECTIONS, (common.weak, common.strong)):
        counts = labels.counts_by_mid()
        clips_of_mid[direction] = counts[counts > 0].sort_values(
            ascending=False, kind="stable"
        )
    labelled = {mid for counts in clips_of_mid.values() for mid in counts.index}
    mids = [classes.find_mid(text, labelled) for text in chosen]
    if not chosen:
        for counts in clips_of_mid.values():
            mids.extend(counts.index[:_NUM_DEFAULT_CLASSES])
    return tuple(
        TopList(
            mid,
            direction,
            int(clips_of_mid[direction][mid]),
            top_associations(pairs, mid, direction, params),
        )
        for mid in dict.fromkeys(mids)
        for direction in DIRECTIONS
        if mid in clips_of_mid[direction]
    )
