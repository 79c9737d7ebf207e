"""Agreement of framed labels with a reference, as text for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audioset_strong.labels.framed_agreement import (
    FramedAgreement,
    overlap_text,
)
from audioset_strong.params import LabelFrameParams


def agreement_lines(
    agreement: FramedAgreement, names: Mapping[str, str]
) -> list[str]:
    """Says how far the tables agree, in all and on each class, both ways.

    Args:
      agreement: What comparing found.
      names: Display name of each mid, where there is one.

    Returns:
      Lines of a table, classes with the most differences first.
    """
    per_class = agreement.per_class
    values = ["present"]
    if agreement.has_negatives:
        values.append("not_present")
    num_wrong = agreement.disagreements["mid"].value_counts()
    order = np.argsort(
        -num_wrong.reindex(per_class["mid"], fill_value=0).to_numpy(),
        kind="stable",
    )
    labels = [_named(mid, names) for mid in per_class["mid"]]
    rows = [
        ["class", "pairs", *(h for v in values for h in _headings(v))],
        ["all classes", *_cells(per_class.drop(columns="mid").sum(), values)],
    ]
    for index in order.tolist():
        rows.append([labels[index], *_cells(per_class.iloc[index], values)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "Compared on the (clip, class) pairs that the reference lists:",
        *(
            "  " + "  ".join(map(str.ljust, row, widths)).rstrip()
            for row in rows
        ),
    ]


def _headings(value: str) -> tuple[str, str]:
    word = value.upper()
    return f"{word}: reference's in ours", f"{word}: ours in reference"


def _cells(counts: "pd.Series[Any]", values: Sequence[str]) -> list[str]:
    """Formats the counts of a class, or of all."""
    cells = [str(counts["num_pairs"])]
    for value in values:
        both = counts[f"num_both_{value}"]
        for whose in ("reference", "ours"):
            cells.append(_share(both, counts[f"num_{whose}_{value}"]))
    return cells


def _share(part: int, whole: int) -> str:
    """Formats a share; never rounded up to 100 %."""
    if not whole:
        return "0 of 0"
    percent = (
        "100" if part == whole else f"{min(100 * part / whole, 99.99):.2f}"
    )
    return f"{part} of {whole} ({percent} %)"


def note_lines(agreement: FramedAgreement, strong: pd.DataFrame) -> list[str]:
    """Says what was not compared, and why.

    Args:
      agreement: What comparing found.
      strong: Strong table (`label_files`) that ours were framed from.

    Returns:
      Lines of text; none if everything was compared.
    """
    mids = agreement.per_class["mid"]
    counts = {
        "pairs of the reference are explicit negatives that ours were not "
        "given (--explicit_negatives)": agreement.num_negatives_not_given,
        "classes of the reference have no event in --strong_labels": int(
            (~mids.isin(strong["mid"])).sum()
        ),
        "pairs of ours with PRESENT rows, of clips and classes that the "
        "reference has, are not listed there: a whole reference would have "
        "them": agreement.num_present_pairs_only_ours,
        "other pairs of ours are of the reference's clips, but not listed "
        "there": (
            agreement.num_pairs_only_ours
            - agreement.num_present_pairs_only_ours
        ),
        "clips of ours are not in the reference": agreement.num_clips_only_ours,
    }
    lines = [f"{count} {what}." for what, count in counts.items() if count]
    if not agreement.has_negatives:
        lines.append("The reference lists no NOT_PRESENT row to compare.")
    return lines


def disagreement_lines(
    agreement: FramedAgreement,
    strong: pd.DataFrame,
    names: Mapping[str, str],
    max_lines: int,
    params: LabelFrameParams = LabelFrameParams(),
) -> list[str]:
    """Lists disagreements with the events behind them.

    Args:
      agreement: What comparing found.
      strong: Strong table (`label_files`) that ours were framed from.
      names: Display name of each mid, where there is one.
      max_lines: How many to list.
      params: The grid of label frames.

    Returns:
      Lines of text.
    """
    table = agreement.disagreements
    if not len(table):
        return ["No label frame differs."]
    lines = [f"{len(table)} label frames differ:"]
    for row in table.head(max_lines).to_dict("records"):
        label_frame = int(row["label_frame"])
        start = label_frame * params.label_frame_seconds
        end = start + params.label_frame_seconds
        segment_id, mid = str(row["segment_id"]), str(row["mid"])
        why = overlap_text(segment_id, label_frame, mid, strong, params)
        lines.append(
            f"  {segment_id} {start:.2f}-{end:.2f} s {_named(mid, names)}: "
            f"{row['ours']} in ours, {row['reference']} in the reference; {why}"
        )
    if len(table) > max_lines:
        lines.append(f"  ... and {len(table) - max_lines} more")
    return lines


def _named(mid: str, names: Mapping[str, str]) -> str:
    return f"{names[mid]} ({mid})" if mid in names else mid
