"""The tables of `report.html`: classes, and what was left out."""

import html
import math
from collections.abc import Iterable, Iterator

import pandas as pd

from audioset_strong.evaluation.alignment import Alignment
from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import compare_per_class

_LEFT_OUT = {
    "repeated": "Labels that repeat another",
    "contradicts_a_positive": "Negatives that contradict a positive",
    "clip_not_scored": "Labels of clips without scores",
    "class_not_scored": "Labels of classes that were not scored",
    "label_frame_not_scored": "Labels beyond the audio",
    "negative_of_a_clip_without_weak_labels": (
        "Negatives of clips without weak labels"
    ),
}
# Names of a list shown on the page; report.json has them all.
_MAX_NAMES = 10


def escape(value: object) -> str:
    """Writes a value as HTML text."""
    return html.escape(str(value))


def format_number(value: float, digits: int = 3, sign: str = "") -> str:
    """Writes a number as a reader expects it."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def list_names(names: Iterable[str]) -> str:
    """Lists the first of many names."""
    listed = list(names)
    text = ", ".join(escape(name) for name in listed[:_MAX_NAMES])
    rest = len(listed) - _MAX_NAMES
    return f"{text} and {rest:,} more" if rest > 0 else text


def class_table(result: EvalResult, baseline: EvalResult | None) -> str:
    """Shows the classes that have an AUC or an lwlrap, most positives first."""
    table = compare_per_class(result, baseline)
    table = table[table["auc"].notna() | table["lwlrap"].notna()]
    table = table.sort_values("num_positives", ascending=False, kind="stable")
    columns = {
        "d_prime": ("d′", 2, ""),
        "d_prime_difference": ("d′ change", 2, "+"),
        "lwlrap": ("lwlrap", 3, ""),
        "lwlrap_difference": ("lwlrap change", 3, "+"),
        "num_positives": ("positives", 0, ""),
        "num_negatives": ("negatives", 0, ""),
        "auc": ("AUC", 3, ""),
    }
    columns = {k: v for k, v in columns.items() if k in table}
    heads = "".join(
        f'<th scope="col"{_first_sort(key)}><button type="button">{name}'
        f"</button></th>"
        for key, (name, _, _) in columns.items()
    )
    rows = "".join(_class_rows(table, columns))
    return (
        '<div class="scroll tall" tabindex="0" role="region" '
        'aria-label="Per-class metrics"><table class="wide"><thead><tr>'
        '<th scope="col" class="text"><button type="button">Class</button>'
        f"</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="soft">Press a heading to sort.</p>'
    )


def _first_sort(key: str) -> str:
    return ' aria-sort="descending"' if key == "num_positives" else ""


def _class_rows(
    table: pd.DataFrame, columns: dict[str, tuple[str, int, str]]
) -> Iterator[str]:
    for row in table.to_dict(orient="records"):
        name, mid = row["display_name"], row["mid"]
        shown = escape(name or mid)
        below = f'<span class="small">{escape(mid)}</span>' if name else ""
        cells = [f'<td class="text" data-value="{shown}">{shown}{below}</td>']
        for key, (_, digits, sign) in columns.items():
            value = row[key]
            if digits == 0:
                text = f"{value:,}"
            else:
                text = format_number(value, digits, sign)
            cells.append(f'<td data-value="{_sort_key(value)}">{text}</td>')
        yield f"<tr>{''.join(cells)}</tr>"


def _sort_key(value: float) -> str:
    """Writes a number as JavaScript's `Number` reads it; "" for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.6g}".replace("inf", "Infinity")


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
        f"<h3>Classes without d′</h3><p>{len(undefined):,} classes are not in "
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
        _alignment_row(_LEFT_OUT[reason], count)
        for reason, count in a.labels_left_out.items()
    )
    return (
        f"<p>{a.num_clips_evaluated:,} clips were evaluated: those both among "
        f"the {a.num_clips_labelled:,} labelled and the {a.num_clips_scored:,} "
        f'scored ones. report.json has the whole lists.</p><div class="scroll"'
        f'><table class="wide"><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _alignment_row(name: str, count: int, examples: str = "") -> str:
    below = f'<span class="small path">{examples}</span>' if examples else ""
    return f'<tr><th scope="row">{name}{below}</th><td>{count:,}</td></tr>'
