"""The ROC curve of a chosen class, as inline SVG.

The page holds every class's curve as an SVG path in units of a thousandth; its
script shows that of the class chosen. The first one is drawn here, so that the
plot is not empty without a script.
"""

import html
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.report_content import EvalDetails
from audioset_strong.evaluation.report_numbers import format_number

_UNITS = 1000
_SIZE, _LEFT, _TOP, _BOTTOM = 320, 44, 12, 44


def roc_panel(table: pd.DataFrame, details: EvalDetails, key: str) -> str:
    """Shows the curves of an evaluation, one class at a time.

    Args:
      table: `report_content.compare_per_class`.
      details: Its curves.
      key: Tells this panel from others of the page.

    Returns:
      A choice of classes, the plot, and the curves as JSON:
      `[path, baseline's path or "", text]` a class, by the value of its choice.
      "" without curves.
    """
    if details.curves is None or not details.curves.points:
        return ""
    classes = table[table["mid"].isin(list(details.curves.points))]
    classes = classes.sort_values("num_positives", ascending=False)
    rows = classes.to_dict(orient="records")
    names = [str(row["display_name"] or row["mid"]) for row in rows]
    curves = [_curves_of_class(row, details) for row in rows]
    return (
        f'<div class="roc"><p><label for="roc-{key}">Class</label> '
        f'<select id="roc-{key}">{_options(names)}</select></p>'
        f"{_plot(curves[0], names[0])}"
        f"{_legend(details.baseline_curves is not None)}"
        f'<p role="status" aria-live="polite">{html.escape(curves[0][2])}</p>'
        f'<script type="application/json">{_as_json(curves)}</script></div>'
    )


def _curves_of_class(
    row: Mapping[Any, Any], details: EvalDetails
) -> tuple[str, str, str]:
    """Returns the paths of both systems, and what is said of them."""
    paths = [
        ""
        if curves is None or row["mid"] not in curves.points
        else curve_path(curves.points[row["mid"]])
        for curves in (details.curves, details.baseline_curves)
    ]
    return paths[0], paths[1], _text(row)


def _options(names: list[str]) -> str:
    """Lists classes by name, as a reader looks for them; the first is shown."""
    return "".join(
        f'<option value="{i}"{" selected" if i == 0 else ""}>'
        f"{html.escape(names[i])}</option>"
        for i in sorted(range(len(names)), key=lambda i: names[i].casefold())
    )


def curve_path(points: npt.NDArray[np.float64]) -> str:
    """Writes a curve as the path data of an SVG.

    Args:
      points: float64 `[num_points, 2]`, in [0, 1], from (0, 0) to (1, 1).

    Returns:
      A path from (0, 1000) to (1000, 0): y points down.
    """
    steps = np.diff(np.rint(points * _UNITS).astype(np.int64), axis=0)
    moves = " ".join(
        f"{x}{'' if y else ' '}{-y}" for x, y in steps.tolist() if x or y
    )
    return f"M0 {_UNITS}l{moves}"


def _text(values: Mapping[Any, Any]) -> str:
    """Says a class's AUC in words."""
    text = f"AUC {format_number(values['auc'], 4)}"
    if not np.isnan(values.get("auc_low", np.nan)):
        low, high = (values[f"auc_{end}"] for end in ("low", "high"))
        text += f" [{format_number(low, 4)}, {format_number(high, 4)}]"
    if "baseline_auc" in values:
        text += f", baseline {format_number(values['baseline_auc'], 4)}"
    return (
        f"{text}; {values['num_positives']:,} positives, "
        f"{values['num_negatives']:,} negatives"
    )


def _as_json(curves: list[tuple[str, str, str]]) -> str:
    """Writes JSON that cannot end the element it stands in."""
    text = json.dumps(curves, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _plot(curve: tuple[str, str, str], name: str) -> str:
    width, height = _LEFT + _SIZE + 16, _TOP + _SIZE + _BOTTOM
    right, bottom = _LEFT + _SIZE, _TOP + _SIZE
    ticks = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = _LEFT + tick * _SIZE, bottom - tick * _SIZE
        ticks.append(
            f'<path d="M{_LEFT} {y:g}H{right}M{x:g} {_TOP}V{bottom}"/>'
            f'<text class="y" x="{_LEFT - 6}" y="{y + 4:g}">{tick:g}</text>'
            f'<text x="{x:g}" y="{bottom + 18}">{tick:g}</text>'
        )
    scale = _SIZE / _UNITS
    return (
        f'<svg class="plot square" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="ROC curve of {html.escape(name)}">{"".join(ticks)}'
        f'<path class="chance" d="M{_LEFT} {bottom}L{right} {_TOP}"/>'
        f'<g transform="translate({_LEFT} {_TOP}) scale({scale:g})">'
        f'<path class="theirs" d="{curve[1]}"/>'
        f'<path class="ours" d="{curve[0]}"/></g>'
        f'<text class="name" x="{_LEFT + _SIZE / 2:g}" y="{height - 8}">'
        "false positive rate</text>"
        f'<text class="name" transform="translate(12 {_TOP + _SIZE / 2:g}) '
        'rotate(-90)">true positive rate</text></svg>'
    )


def _legend(has_baseline: bool) -> str:
    if not has_baseline:
        return '<p class="soft">Dotted: chance.</p>'
    return (
        '<p class="soft">Solid: scores. Dashed: baseline. Dotted: chance.</p>'
    )
