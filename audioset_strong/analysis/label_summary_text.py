"""The summary of a label analysis as Markdown: `summary.md`."""

from collections.abc import Iterable, Sequence
from typing import Any

from audioset_strong.analysis.label_analysis import LabelAnalysis
from audioset_strong.analysis.label_summary import LARGE_CHANGE, summary_dict

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
