"""The short tables of `report.html`: changes, errors, and what was left out."""

import html
from collections.abc import Iterable

import numpy as np
import pandas as pd

from audioset_strong.evaluation.alignment import Alignment
from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import count_of
from audioset_strong.evaluation.report_numbers import format_number

_LEFT_OUT = {
    "repeated": "Labels that repeat another",
    "contradicts_a_positive": "Negatives that contradict a positive",
    "clip_not_scored": "Labels of clips without scores",
    "class_not_scored": "Labels of classes that were not scored",
    "label_frame_not_scored": "Labels beyond the audio",
    "other_kind_of_negative": "Negatives of the other kind",
    "negative_of_a_clip_without_weak_labels": (
        "Negatives of clips without weak labels"
    ),
}
# Names of a list shown on the page; report.json has them all.
_MAX_NAMES = 10
# Classes that gained most, and as many that lost most.
_NUM_CHANGES = 10


def escape(value: object) -> str:
    """Writes a value as HTML text."""
    return html.escape(str(value))


def list_names(names: Iterable[str]) -> str:
    """Lists the first of many names."""
    listed = list(names)
    text = ", ".join(escape(name) for name in listed[:_MAX_NAMES])
    rest = len(listed) - _MAX_NAMES
    return f"{text} and {rest:,} more" if rest > 0 else text


def changes_table(table: pd.DataFrame) -> str:
    """Shows the classes that gained and lost most against the baseline.

    Args:
      table: `report_content.compare_per_class` with a baseline.

    Returns:
      Two tables, or a line that says why there are none.
    """
    change = table["d_prime_difference"]
    defined = table[np.isfinite(change)]
    ordered = defined.sort_values("d_prime_difference", kind="stable")
    gains = ordered[ordered["d_prime_difference"] > 0].iloc[::-1]
    losses = ordered[ordered["d_prime_difference"] < 0]
    num_infinite = int(
        (table["auc_difference"].notna() & ~np.isfinite(change)).sum()
    )
    note = ""
    if num_infinite:
        note = (
            f'<p class="soft">{count_of(num_infinite, "class")} with an '
            "infinite d′ of one or both are not among these.</p>"
        )
    return (
        f'<div class="pair">{_changes("Gained most", gains)}'
        f"{_changes('Lost most', losses)}</div>{note}"
    )


def _changes(caption: str, table: pd.DataFrame) -> str:
    if table.empty:
        return f'<p class="soft">{caption}: no class.</p>'
    head = (
        '<th scope="col">Class</th><th scope="col">d′ change</th>'
        '<th scope="col">d′</th><th scope="col">baseline</th>'
        '<th scope="col">positives</th>'
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(row["display_name"] or row["mid"])}</th>'
        f"<td><b>{format_number(row['d_prime_difference'], 2, '+')}</b></td>"
        f"<td>{format_number(row['d_prime'], 2)}</td>"
        f"<td>{format_number(row['baseline_d_prime'], 2)}</td>"
        f"<td>{row['num_positives']:,}</td></tr>"
        for row in table.head(_NUM_CHANGES).to_dict(orient="records")
    )
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{caption}"><table class="changes">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</div>"
    )


def worst_table(worst: pd.DataFrame, evaluation: str) -> str:
    """Shows `report_errors.worst_items`, a table of each kind of error."""
    tables = (
        _worst(worst[worst["kind"] == kind], caption, others, evaluation)
        for kind, caption, others in (
            (
                "false alarm",
                "False alarms: negatives that score high",
                "positives outscored",
            ),
            (
                "miss",
                "Misses: positives that score low",
                "negatives that outscore it",
            ),
        )
    )
    return (
        '<p class="soft">Errors are ranked within their class, by the share '
        "of the class’s positives that a negative outscores, or of its "
        "negatives that outscore a positive, a tie as half. A class with few "
        "of them counts for less. Shown are the worst of a clip, and at most "
        "three of a class. Some may be wrong labels."
        f"</p>{''.join(tables)}"
    )


def _worst(
    table: pd.DataFrame, caption: str, others: str, evaluation: str
) -> str:
    if table.empty:
        return f'<p class="soft">{caption}: none.</p>'
    is_strong = evaluation == "strong"
    heads = ["Rank", "Class", "Clip", *(["Seconds"] if is_strong else [])]
    head = "".join(f'<th scope="col" class="text">{h}</th>' for h in heads)
    rows = []
    for rank, row in enumerate(table.to_dict(orient="records"), start=1):
        seconds = ""
        if is_strong:
            seconds = (
                f'<td class="text">{row["onset_seconds"]:.2f}–'
                f"{row['offset_seconds']:.2f}</td>"
            )
        name = escape(row["display_name"] or row["mid"])
        # Halves, where scores tie.
        num_wrong = round(2 * row["error"] * (row["num_others"] + 1)) / 2
        wrong = f"{num_wrong:,.1f}".removesuffix(".0")
        rows.append(
            f'<tr><td>{rank}</td><th scope="row" class="text">{name}</th>'
            f'<td class="text">{escape(row["segment_id"])}</td>{seconds}'
            f"<td>{row['score']:.3g}</td><td>{wrong} of "
            f"{row['num_others']:,}</td></tr>"
        )
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{caption}"><table><caption>{caption}</caption><thead><tr>{head}'
        f'<th scope="col">Score</th><th scope="col">{others}</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def undefined_classes(result: EvalResult) -> str:
    """Lists the classes without d', by reason."""
    undefined = result.undefined_classes
    if undefined.empty:
        return ""
    items = []
    for reason, rows in undefined.groupby("undefined_reason"):
        pairs = zip(rows["display_name"], rows["mid"], strict=True)
        names = ", ".join(escape(name or mid) for name, mid in pairs)
        items.append(
            f"<details><summary>{len(rows):,}: {escape(reason)}</summary>"
            f"<p>{names}</p></details>"
        )
    return (
        f"<p>{len(undefined):,} classes are not in "
        f"the mean, for these reasons:</p>{''.join(items)}"
    )


def alignment_table(alignment: Alignment) -> str:
    """Shows what the score file and the labels do not share."""
    a = alignment
    listed = {
        "Labelled clips without scores": a.clips_not_scored,
        "Scored clips without labels": a.clips_without_labels,
        "Clips without a scored label frame": a.clips_without_scores,
        "Labelled classes without scores": a.mids_not_scored,
        "Scored classes without labels": a.mids_without_labels,
    }
    rows = [
        _alignment_row(name, len(names), list_names(names))
        for name, names in listed.items()
    ]
    rows.append(
        _alignment_row(
            "Label frames beyond the audio", a.num_label_frames_not_scored
        )
    )
    rows.extend(
        _alignment_row(_LEFT_OUT.get(reason, reason), count)
        for reason, count in a.labels_left_out.items()
    )
    return (
        f"<p>{a.num_clips_evaluated:,} clips were evaluated: those both among "
        f"the {a.num_clips_labelled:,} labelled and the {a.num_clips_scored:,} "
        f"scored ones. report.json has the whole lists.</p>"
        '<div class="scroll"><table class="wide"><caption class="hidden">'
        "Clips, classes and labels that were left out</caption><tbody>"
        f"{''.join(rows)}</tbody></table></div>"
    )


def _alignment_row(name: str, count: int, examples: str = "") -> str:
    below = f'<span class="small path">{examples}</span>' if examples else ""
    return f'<tr><th scope="row">{name}{below}</th><td>{count:,}</td></tr>'
