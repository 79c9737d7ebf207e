"""The summary of a label analysis: the numbers of Sections 3.1 and 3.3.

`label_summary_text.py` writes them as Markdown.
"""

import dataclasses
from typing import Any

import pandas as pd

from audioset_strong.analysis.label_analysis import LabelAnalysis
from audioset_strong.analysis.statistics import summarise_counts

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
