"""`report.html`: one page that shows a person everything.

It starts with the headline. Each evaluation then has a section that folds: what
was evaluated against which negatives, every overall metric, plots, breakdowns,
the table of classes, the worst errors and what was left out. The page loads
nothing, so it can be mailed, archived and opened years later; links go to
YouTube, where a clip is from there. It is whole without its script, which sorts
and filters classes, names points and shows the curves of a chosen class.

This module prepares numbers as text and plots as coordinates; the words and all
markup are in `report.html.jinja`. Names of classes, clips and files come from
other people's files, so Jinja2 escapes every text.

The forms of numbers, with a real minus sign, "∞" for infinity and "–" for what
is undefined, are also those of `report.md`.
"""

import math
import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.ranking_metrics import d_prime_from_auc
from audioset_strong.evaluation.resampling import ResamplingResult
from audioset_strong.evaluation.results import (
    METRIC_NAMES,
    EvalDetails,
    EvalReport,
    EvalResult,
    compare_per_class,
    count_of,
    resamples_note,
    result_notes,
)

if TYPE_CHECKING:
    import jinja2

_NEGATIVES = {
    "explicit": "explicit negatives",
    "explicit_only": "only negatives of clips without the class",
    "complementary_only": "only complementary negatives",
    "implied": "implied negatives",
}
# Column of `compare_per_class`: heading, digits, sign. Columns of the same name
# with _low and _high are its interval.
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
    "baseline_auc": ("baseline AUC", 4, ""),
    "auc_difference": ("AUC change", 4, "+"),
}
# Classes that gained most, and as many that lost most.
_NUM_CHANGES = 10
# The plotting area of a scatter plot, in SVG units: about pixels.
_PLOT_WIDTH, _PLOT_HEIGHT = 552, 284
# How far beyond the largest finite d' the edge with infinite ones lies.
_INFINITE_MARGIN = 0.3
# SVG units along each axis of a curve: whole numbers keep paths short.
_CURVE_UNITS = 1000
# Sizes of the names in a scatter plot, on a wide and on a narrow screen, where
# the plot shrinks, in SVG units; and how many there are at most.
_NAME_SIZES = {"wide": (12, 12), "narrow": (20, 4)}
_MAX_NAME_LETTERS = 24
# Inputs that `inspect_clips` takes under the same names.
_INSPECTED = (
    "scores",
    "framed_labels",
    "strong_labels",
    "weak_labels",
    "clips",
    "class_map",
    "display_names",
)


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
    intervals: ResamplingResult | None, metric: str, sign: str = ""
) -> str:
    """Writes a metric's interval as "[low, high]"; "" where there is none."""
    if intervals is None or math.isnan(intervals.overall[metric].low):
        return ""
    interval = intervals.overall[metric]
    low = format_number(interval.low, sign=sign)
    return f"[{low}, {format_number(interval.high, sign=sign)}]"


def format_p_value(
    intervals: ResamplingResult | None, metric: str, digits: int = 2
) -> str:
    """Writes the p-value of a difference as "p = 0.012"; "" without one."""
    p_value = None if intervals is None else intervals.overall[metric].p_value
    if p_value is None or math.isnan(p_value):
        return ""
    return f"p = {p_value:.{digits}g}"


def page_environment() -> "jinja2.Environment":
    """Returns what renders the pages of this package: escapes every text."""
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
        range=format_range,
    )
    return environment


def render_page(report: EvalReport, report_dir: str = "") -> str:
    """Returns the page of a report: an HTML document that loads nothing.

    `report_dir` is where `inspect_clips` will find the report; "" for nowhere.
    """
    resamples = {resamples_note(report.details_of(r)) for r in report.results}
    return (
        page_environment()
        .get_template("report.html.jinja")
        .render(
            report=report,
            title=f"Evaluation of {report.identity.system_name}",
            resamples_notes=sorted(resamples - {""}),
            metric_names={k: _typeset(n) for k, n in METRIC_NAMES.items()},
            inspect_command=_inspect_command(report, report_dir),
            sections=[_section(report, result) for result in report.results],
        )
    )


def format_range(
    row: Mapping[Any, Any], name: str, digits: int = 3, sign: str = ""
) -> str:
    """Writes columns NAME_low and NAME_high as "[low, high]"; "" if none."""
    low, high = (row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    if math.isnan(low):
        return ""
    low, high = (format_number(end, digits, sign) for end in (low, high))
    return f"[{low}, {high}]"


def _typeset(text: str) -> str:
    return text.replace("d'", "d′")


def _inspect_command(report: EvalReport, report_dir: str) -> str:
    """Returns the command that shows the worst errors with their sound."""
    given = {
        # What was not read from a file has no path to give.
        name: path
        for name in _INSPECTED
        if (path := report.inputs.get(name)) and os.path.exists(path)
    }
    options = [f"--{name}={path}" for name, path in given.items()]
    if report_dir:
        options.append(f"--report_dir={report_dir}")
    options = ["--audio_dir=AUDIO", *options, "--output=clips.html"]
    lines = ["audioset-strong inspect_clips", *map(shlex.quote, options)]
    return " \\\n  ".join(lines)


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
        "notes": [_typeset(note) for note in notes],
        "plots": _scatter_plots(classes),
        "curves": _curves(classes, result, baseline, details),
        "breakdowns": _breakdown_plots(details.breakdowns),
        "reliability": _reliability_plot(details),
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

    columns = ["name", "num_positives", metric, "auc_low", "auc_high"]
    shown = shown.reindex(columns=columns)
    points = [
        {
            "x": x_of(num_positives),
            "y": y_of(value),
            "is_infinite": math.isinf(value),
            "name": name,
            "text": f"{name}: {axis} {_number_in_words(value)}"
            # Of AP there are no intervals.
            f"{_d_prime_range(*aucs) if axis == 'd′' else ''}, "
            f"{count_of(num_positives, 'positive')}",
        }
        for name, num_positives, value, *aucs in shown.itertuples(index=False)
    ]
    return {
        "width": _PLOT_WIDTH,
        "height": _PLOT_HEIGHT,
        "x_ticks": [(x_of(10**d), 10**d) for d in range(num_decades + 1)],
        "y_ticks": [(y_of(t), t) for t in _ticks(low, high, step)],
        "points": points,
        "names": {
            screen: _place_names(points, *size_and_number)
            for screen, size_and_number in _NAME_SIZES.items()
        },
    }


def _ticks(low: float, high: float, step: float) -> list[float]:
    # 1e-9: high may be a hair less than a multiple of the step.
    first, last = math.ceil(low / step), math.floor(high / step + 1e-9)
    return [step * tick for tick in range(first, last + 1)]


def _d_prime_range(auc_low: float, auc_high: float) -> str:
    if math.isnan(auc_low) or auc_low == auc_high:
        return ""
    low, high = d_prime_from_auc([auc_low, auc_high]).tolist()
    return f" [{format_number(low, 2)}, {format_number(high, 2)}]"


def _place_names(
    points: list[dict[str, Any]], size: int, number: int
) -> list[dict[str, Any]]:
    """Places names beside the highest, lowest and rightmost points.

    A name takes the first side of its point where it lies in the plot and on no
    point or other name, or is left out.
    """
    dots = [(p["x"] - 3, p["y"] - 3, p["x"] + 3, p["y"] + 3) for p in points]
    by_y = sorted(points, key=lambda p: float(p["y"]))
    rightmost = max(points, key=lambda p: float(p["x"]))
    # From the ends inwards: highest, lowest, second highest, ...
    ordered = [p for pair in zip(by_y, by_y[::-1], strict=True) for p in pair]
    chosen = {id(p): p for p in [*ordered[:2], rightmost, *ordered[2:]]}
    placed: list[dict[str, Any]] = []
    boxes: list[tuple[float, float, float, float]] = []
    for point in [*chosen.values()][: 2 * number]:
        name = point["name"].split(",")[0]
        if len(name) > _MAX_NAME_LETTERS:
            name = f"{name[: _MAX_NAME_LETTERS - 1].rstrip()}…"
        width = 0.6 * size * len(name)
        x, y = point["x"], point["y"]
        for left, baseline, anchor in (
            (x + 7, y + size / 3, "start"),
            (x - 7 - width, y + size / 3, "end"),
            (x - width / 2, y - 8, "middle"),
            (x - width / 2, y + size + 5, "middle"),
        ):
            box = left, baseline - size, left + width, baseline + 3
            is_inside = box[0] >= 0 and box[2] <= _PLOT_WIDTH
            is_inside &= box[1] >= -size and box[3] <= _PLOT_HEIGHT + 3
            taken = [*boxes, *dots]
            if is_inside and not any(_do_overlap(box, t) for t in taken):
                boxes.append(box)
                at = {"start": box[0], "end": box[2]}
                placed.append(
                    {
                        "text": name,
                        "x": at.get(anchor, x),
                        "y": baseline,
                        "anchor": anchor,
                    }
                )
                break
        if len(placed) == number:
            break
    return placed


def _do_overlap(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _number_in_words(value: float) -> str:
    if math.isinf(value):
        return f"infinite (AUC {1 if value > 0 else 0})"
    return format_number(value, 2)


def _curves(
    classes: pd.DataFrame,
    result: EvalResult,
    baseline: EvalResult | None,
    details: EvalDetails,
) -> dict[str, Any] | None:
    """Returns the curves of the mean, then of classes, most positives first.

    Each is [ROC path, that of the baseline or "", precision-recall path, that
    of the baseline or "", height of chance, ROC in words, precision-recall in
    words].
    """
    curves, theirs = details.curves, details.baseline_curves
    if curves is None or curves.mean_roc is None:
        return None
    assert curves.mean_precision_recall is not None
    shown = classes[classes["mid"].isin(list(curves.roc))]
    rows = _by_positives(shown).to_dict(orient="records")
    names = ["Mean over classes", *(row["name"] for row in rows)]
    found = [
        [
            curve_path(curves.mean_roc),
            _path_or_none(theirs and theirs.mean_roc),
            curve_path(curves.mean_precision_recall),
            _path_or_none(theirs and theirs.mean_precision_recall),
            _CURVE_UNITS - round(_CURVE_UNITS * _mean_chance(rows)),
            _mean_text(result, baseline, details, "mean_auc"),
            _mean_text(result, baseline, details, "mean_average_precision"),
        ]
    ]
    for row in rows:
        mid = row["mid"]
        found.append(
            [
                curve_path(curves.roc[mid]),
                _path_or_none(theirs and theirs.roc.get(mid)),
                curve_path(curves.precision_recall[mid]),
                _path_or_none(theirs and theirs.precision_recall.get(mid)),
                _CURVE_UNITS - round(_CURVE_UNITS * _mean_chance([row])),
                f"{_class_text(row, 'auc', 'AUC', 4)}; "
                f"{count_of(row['num_positives'], 'positive')}, "
                f"{count_of(row['num_negatives'], 'negative')}",
                f"{_class_text(row, 'average_precision', 'AP', 3)}; chance "
                f"{format_number(_mean_chance([row]))}",
            ]
        )
    # A reader looks for a class by its name.
    first, *others = enumerate(names)
    return {
        "names": names,
        "options": [first, *sorted(others, key=lambda o: o[1].casefold())],
        "curves": found,
    }


def _path_or_none(points: npt.NDArray[np.float64] | None) -> str:
    return "" if points is None else curve_path(points)


def _mean_chance(rows: list[dict[Any, Any]]) -> float:
    """Returns the mean precision of random scores: the share of positives."""
    shares = [
        row["num_positives"] / (row["num_positives"] + row["num_negatives"])
        for row in rows
    ]
    return float(np.mean(shares))


def _mean_text(
    result: EvalResult,
    baseline: EvalResult | None,
    details: EvalDetails,
    metric: str,
) -> str:
    """Describes an overall metric with its interval and the baseline's."""
    name = "mean AUC" if metric == "mean_auc" else "mAP"
    text = f"{name} {format_number(getattr(result, metric))} "
    text = f"{text}{format_interval(details.intervals, metric)}".rstrip()
    if baseline is not None:
        theirs = format_interval(details.baseline_intervals, metric)
        number = format_number(getattr(baseline, metric))
        text = f"{text}, baseline {number} {theirs}".rstrip()
    return f"{text}; {count_of(result.num_classes, 'class')}"


def _class_text(row: Mapping[Any, Any], metric: str, name: str, d: int) -> str:
    """Describes a metric of a class, with its interval and the baseline's."""
    text = f"{name} {format_number(row[metric], d)} "
    text = f"{text}{format_range(row, metric, d)}".rstrip()
    theirs = f"baseline_{metric}"
    if theirs in row:
        text = f"{text}, baseline {format_number(row[theirs], d)} "
        text = f"{text}{format_range(row, theirs, d)}".rstrip()
    return text


# Place of the rows of a breakdown's plot, in SVG units.
_ROW_HEIGHT, _ROW_WIDTH = 34, 360


def _breakdown_plots(breakdowns: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Places d' of each stratum, and its interval, along an axis."""
    if breakdowns is None:
        return []
    columns = [
        f"{system}d_prime{end}"
        for system in ("", "baseline_")
        for end in ("", "_low", "_high")
    ]
    values = breakdowns.reindex(columns=columns).to_numpy(dtype=np.float64)
    low, high = _d_prime_limits(values[~np.isnan(values)])

    def x_of(value: float) -> float:
        value = min(max(value, low), high)
        return _ROW_WIDTH * (value - low) / (high - low)

    plots = []
    for name, rows in breakdowns.groupby("breakdown", sort=False):
        records = rows.to_dict(orient="records")
        marks = [
            {
                "system": system or "ours",
                # Two systems share a row, the baseline a little below.
                "y": _ROW_HEIGHT * index + (22 if system else 12)
                if "baseline_d_prime" in row
                else _ROW_HEIGHT * index + 17,
                "x": x_of(row[f"{prefix}d_prime"]),
                "ends": [
                    x_of(row[f"{prefix}d_prime_{end}"])
                    for end in ("low", "high")
                    if not math.isnan(
                        row.get(f"{prefix}d_prime_{end}", math.nan)
                    )
                ],
                "text": f"{row['stratum']}: {system}"
                f"{' ' if system else ''}d′ "
                f"{_number_in_words(row[f'{prefix}d_prime'])} "
                f"{format_range(row, f'{prefix}d_prime', 2)}".rstrip(),
            }
            for index, row in enumerate(records)
            for system, prefix in (("baseline", "baseline_"), ("", ""))
            if not math.isnan(row.get(f"{prefix}d_prime", math.nan))
        ]
        plots.append(
            {
                "name": name,
                "rows": records,
                "marks": marks,
                "width": _ROW_WIDTH,
                "height": _ROW_HEIGHT * len(records),
                "row_height": _ROW_HEIGHT,
                "ticks": [
                    (x_of(t), t)
                    for t in _ticks(low, high, 0.5 if high - low <= 3 else 1)
                ],
            }
        )
    return plots


def _reliability_plot(details: EvalDetails) -> dict[str, Any] | None:
    """Places the bins of reliability curves, and their intervals."""
    systems = []
    for name, found in (
        ("baseline", details.baseline_reliability),
        ("scores", details.reliability),
    ):
        if found is None:
            continue
        curve = found.curve
        points = [
            {
                "x": _CURVE_UNITS * mean,
                "y": _CURVE_UNITS * (1 - share),
                "low": _CURVE_UNITS * (1 - low),
                "high": _CURVE_UNITS * (1 - high),
                "text": f"{name}: mean score {format_number(mean)}, share of "
                f"positives {format_number(share)} "
                f"[{format_number(low)}, {format_number(high)}], "
                f"{count_of(count, 'item')}",
            }
            for mean, share, low, high, count in zip(
                curve.mean_scores[0].tolist(),
                curve.positive_shares[0].tolist(),
                found.low.tolist(),
                found.high.tolist(),
                curve.num_items[0].tolist(),
                strict=True,
            )
            if count
        ]
        systems.append(
            {
                "name": name,
                "points": points,
                "error": float(curve.calibration_errors()[0]),
                "level": found.level,
            }
        )
    if details.reliability is None:
        return None
    return {"systems": systems, "level": details.reliability.level}


def curve_path(points: npt.NDArray[np.float64]) -> str:
    """Writes a curve `[num_points, 2]` in [0, 1] as the path data of an SVG.

    (0, 0) is (0, 1000) there and (1, 1) is (1000, 0): y points down.
    """
    # Relative moves in whole units are the shortest way to write a path.
    whole = np.rint(points * _CURVE_UNITS).astype(np.int64)
    path = f"M{whole[0, 0]} {_CURVE_UNITS - whole[0, 1]}"
    previous = ""
    for x, y in np.diff(whole, axis=0).tolist():
        if not x and not y:
            continue
        command = "h" if not y else "v" if not x else "l"
        move = {"h": f"{x}", "v": f"{-y}"}.get(
            command, f"{x}{' ' if y < 0 else ''}{-y}"
        )
        # A command that goes on is not repeated.
        space = "" if move.startswith("-") else " "
        path += f"{space}{move}" if command == previous else command + move
        previous = command
    return path
