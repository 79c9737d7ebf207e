"""`report.html`: one page that shows a person everything.

It starts with the headline. Each evaluation then has a section that folds: what
was evaluated against which negatives, every overall metric, plots, the table of
classes, the worst errors and what was left out. The page loads nothing, so it
can be mailed, archived and opened years later. It is whole without its script,
which sorts and filters classes and shows the ROC curve of a chosen one.

This module prepares numbers as text and plots as coordinates; the words and all
markup are in `report.html.jinja`. Names of classes, clips and files come from
other people's files, so Jinja2 escapes every text.

The forms of numbers, with a real minus sign, "∞" for infinity and "–" for what
is undefined, are also those of `report.md`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.bootstrap import BootstrapResult
from audioset_strong.evaluation.results import (
    EvalDetails,
    EvalReport,
    EvalResult,
    compare_per_class,
    count_of,
    resamples_note,
    result_notes,
)

_NEGATIVES = {
    "explicit": "explicit negatives",
    "explicit_only": "only negatives of clips without the class",
    "complementary_only": "only complementary negatives",
    "implied": "implied negatives",
}
# Column of `compare_per_class`: heading, digits, sign.
_CLASS_COLUMNS = {
    "d_prime": ("d′", 2, ""),
    "d_prime_difference": ("d′ change", 2, "+"),
    "average_precision": ("AP", 3, ""),
    "average_precision_difference": ("AP change", 3, "+"),
    "lwlrap": ("lwlrap", 3, ""),
    "lwlrap_difference": ("lwlrap change", 3, "+"),
    "num_positives": ("positives", 0, ""),
    "num_negatives": ("negatives", 0, ""),
    "auc": ("AUC", 4, ""),
    "auc_low": ("AUC low", 4, ""),
    "auc_high": ("AUC high", 4, ""),
    "auc_difference": ("AUC change", 4, "+"),
    "auc_difference_low": ("change low", 4, "+"),
    "auc_difference_high": ("change high", 4, "+"),
}
# Classes that gained most, and as many that lost most.
_NUM_CHANGES = 10
# The plotting area of a scatter plot, in SVG units: about pixels.
_PLOT_WIDTH, _PLOT_HEIGHT = 552, 284
# How far beyond the largest finite d' the edge with infinite ones lies.
_INFINITE_MARGIN = 0.3
# SVG units along each axis of an ROC curve: whole numbers keep paths short.
_ROC_UNITS = 1000


def evaluation_name(result: EvalResult) -> str:
    """Names an evaluation, such as "Strong eval, explicit negatives"."""
    return f"{result.evaluation.title()} eval, {_NEGATIVES[result.negatives]}"


def format_number(value: float, digits: int = 3, sign: str = "") -> str:
    """Writes a number as a reader expects it (module docstring)."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    # Adding 0.0 turns -0.0 into 0.0.
    text = f"{round(value, digits) + 0.0:{sign},.{digits}f}"
    return text.replace("-", "−")


def format_interval(
    intervals: BootstrapResult | None, metric: str, sign: str = ""
) -> str:
    """Writes a metric's interval as "[low, high]"; "" where there is none."""
    if intervals is None or math.isnan(intervals.overall[metric].low):
        return ""
    interval = intervals.overall[metric]
    low = format_number(interval.low, sign=sign)
    return f"[{low}, {format_number(interval.high, sign=sign)}]"


def format_p_value(
    intervals: BootstrapResult | None, metric: str, digits: int = 2
) -> str:
    """Writes the p-value of a difference as "p = 0.012"; "" without one."""
    p_value = None if intervals is None else intervals.overall[metric].p_value
    if p_value is None or math.isnan(p_value):
        return ""
    return f"p = {p_value:.{digits}g}"


def render_page(report: EvalReport) -> str:
    """Returns the page of a report: an HTML document that loads nothing."""
    # Only a page needs Jinja2: the metrics work without it.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("audioset_strong.evaluation", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        count_of=count_of,
        interval=format_interval,
        number=format_number,
        p_value=format_p_value,
    )
    resamples = {resamples_note(report.details_of(r)) for r in report.results}
    return environment.get_template("report.html.jinja").render(
        report=report,
        title=f"Evaluation of {report.identity.system_name}",
        resamples_notes=sorted(resamples - {""}),
        sections=[_section(report, result) for result in report.results],
    )


def _section(report: EvalReport, result: EvalResult) -> dict[str, Any]:
    """Prepares what the page shows of one evaluation."""
    baseline, details = report.baseline_of(result), report.details_of(result)
    classes = _with_names(compare_per_class(result, baseline, details))
    notes = result_notes(result, baseline, details)
    undefined = classes[classes["undefined_reason"] != ""]
    return {
        "key": f"{result.evaluation}-{result.negatives}",
        "name": evaluation_name(result),
        "negatives": _NEGATIVES[result.negatives],
        "result": result,
        "baseline": baseline,
        "details": details,
        "notes": [note.replace("d'", "d′") for note in notes],
        "plots": _scatter_plots(classes),
        "roc": _roc_curves(classes, details),
        "changes": None if baseline is None else _changes(classes),
        "columns": {k: v for k, v in _CLASS_COLUMNS.items() if k in classes},
        # Those with an AUC or an lwlrap.
        "classes": _by_positives(
            classes[classes["auc"].notna() | classes["lwlrap"].notna()]
        ).to_dict(orient="records"),
        "errors": None if details.worst is None else _errors(details.worst),
        "undefined": {
            reason: rows["name"].tolist()
            for reason, rows in undefined.groupby("undefined_reason")
        },
    }


def _with_names(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the name to show: the display name, or the mid without one."""
    names = table["display_name"]
    return table.assign(name=names.where(names != "", table["mid"]))


def _by_positives(classes: pd.DataFrame) -> pd.DataFrame:
    return classes.sort_values("num_positives", ascending=False, kind="stable")


def _changes(classes: pd.DataFrame) -> dict[str, Any]:
    """Returns the classes that gained and lost most against the baseline."""
    change = classes["d_prime_difference"]
    has_infinite = classes["auc_difference"].notna() & ~np.isfinite(change)
    ordered = classes[np.isfinite(change)].sort_values(
        "d_prime_difference", kind="stable"
    )
    gains = ordered[ordered["d_prime_difference"] > 0].iloc[::-1]
    losses = ordered[ordered["d_prime_difference"] < 0]
    return {
        "gains": gains.head(_NUM_CHANGES).to_dict(orient="records"),
        "losses": losses.head(_NUM_CHANGES).to_dict(orient="records"),
        "num_infinite": int(has_infinite.sum()),
    }


def _errors(worst: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Returns the rows of `worst_items` by their kind."""
    # An error is k / (n + 1) of n others; k has halves where scores tie.
    num_wrong = (2 * worst["error"] * (worst["num_others"] + 1)).round() / 2
    worst = _with_names(worst).assign(num_wrong=num_wrong)
    return {
        kind: worst[worst["kind"] == kind].to_dict(orient="records")
        for kind in ("false alarm", "miss")
    }


def _scatter_plots(classes: pd.DataFrame) -> list[dict[str, Any]]:
    """Plots d' and AP of each class against its positives; [] without any."""
    shown = _by_positives(classes[classes["auc"].notna()])
    if shown.empty:
        return []
    low, high = _d_prime_limits(shown["d_prime"].to_numpy())
    # Half units, or whole ones where halves would crowd.
    step = 0.5 if high - low <= 4 else 1.0
    return [
        {"name": "d′", "axis": "d′"}
        | _scatter_plot(shown, "d_prime", "d′", low, high, step),
        {"name": "Average precision", "axis": "AP"}
        | _scatter_plot(shown, "average_precision", "AP", 0.0, 1.0, 0.2),
    ]


def _d_prime_limits(d_primes: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Returns the range of the vertical axis, always with [0, 1] in it."""
    finite = d_primes[np.isfinite(d_primes)]
    low, high = min(0.0, *finite, 0.0), max(1.0, *finite, 1.0)
    if (d_primes == -np.inf).any():
        low -= _INFINITE_MARGIN
    if (d_primes == np.inf).any():
        high += _INFINITE_MARGIN
    return math.floor(low * 2) / 2, math.ceil(high * 2) / 2


def _scatter_plot(
    shown: pd.DataFrame,
    metric: str,
    axis: str,
    low: float,
    high: float,
    step: float,
) -> dict[str, Any]:
    """Places the ticks and points of a metric against log10 of positives."""
    # At least one decade, or the axis would have no tick but its ends.
    num_decades = max(1, math.ceil(math.log10(shown["num_positives"].max())))

    def x_of(num_positives: float) -> float:
        return _PLOT_WIDTH * math.log10(num_positives) / num_decades

    def y_of(value: float) -> float:
        # An infinite value lies on the edge. SVG's y points down.
        value = min(max(value, low), high)
        return _PLOT_HEIGHT * (high - value) / (high - low)

    # 1e-9: high may be a hair less than a multiple of the step.
    ticks = range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)
    points = shown[["name", "num_positives", metric]].itertuples(index=False)
    return {
        "width": _PLOT_WIDTH,
        "height": _PLOT_HEIGHT,
        "x_ticks": [(x_of(10**d), 10**d) for d in range(num_decades + 1)],
        "y_ticks": [(y_of(tick * step), tick * step) for tick in ticks],
        "points": [
            {
                "x": x_of(num_positives),
                "y": y_of(value),
                "is_infinite": math.isinf(value),
                "text": f"{name}: {axis} {_number_in_words(value)}, "
                f"{count_of(num_positives, 'positive')}",
            }
            for name, num_positives, value in points
        ],
    }


def _number_in_words(value: float) -> str:
    if math.isinf(value):
        return f"infinite (AUC {1 if value > 0 else 0})"
    return format_number(value, 2)


def _roc_curves(
    classes: pd.DataFrame, details: EvalDetails
) -> dict[str, Any] | None:
    """Returns the curves of all classes, most positives first.

    Each curve is (path, path of the baseline or "", AUC in words).
    """
    if not details.curves:
        return None
    baseline_curves = details.baseline_curves or {}
    shown = classes[classes["mid"].isin(list(details.curves))]
    rows = _by_positives(shown).to_dict(orient="records")
    names = [row["name"] for row in rows]
    return {
        "names": names,
        # A reader looks for a class by its name.
        "options": sorted(enumerate(names), key=lambda o: o[1].casefold()),
        "curves": [
            (
                curve_path(details.curves[row["mid"]]),
                curve_path(baseline_curves[row["mid"]])
                if row["mid"] in baseline_curves
                else "",
                _auc_text(row),
            )
            for row in rows
        ],
    }


def _auc_text(row: Mapping[Any, Any]) -> str:
    text = f"AUC {format_number(row['auc'], 4)}"
    if not math.isnan(row.get("auc_low", math.nan)):
        low, high = (format_number(row[f"auc_{e}"], 4) for e in ("low", "high"))
        text += f" [{low}, {high}]"
    if "baseline_auc" in row:
        text += f", baseline {format_number(row['baseline_auc'], 4)}"
    return (
        f"{text}; {row['num_positives']:,} positives, "
        f"{row['num_negatives']:,} negatives"
    )


def curve_path(points: npt.NDArray[np.float64]) -> str:
    """Writes a curve `[num_points, 2]` in [0, 1] as the path data of an SVG.

    From (0, 1000) to (1000, 0): y points down.
    """
    # Relative moves in whole units are the shortest way to write a path.
    steps = np.diff(np.rint(points * _ROC_UNITS).astype(np.int64), axis=0)
    # [num_points - 1, 2]
    moves = " ".join(
        f"{x}{'' if y else ' '}{-y}" for x, y in steps.tolist() if x or y
    )
    return f"M0 {_ROC_UNITS}l{moves}"
