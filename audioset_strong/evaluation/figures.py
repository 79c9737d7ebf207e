"""Pictures of a report for papers: PNG of 300 dots per inch, and PDF.

    strong_explicit_curves      mean ROC and precision-recall curves
    strong_explicit_classes     classes of the highest and lowest d'
    strong_explicit_breakdowns  d' by event length, filled share and polyphony
    strong_implied_reliability  share of positives by score

and the same of the Weak eval. Curves and classes are of the first kind of
negatives of an evaluation. Bars are the report's intervals; the scores are
filled discs and solid lines, a baseline is hollow squares and dashed lines, so
that a picture can be read without its colours. They are as wide as a column
(3.5 inches) or a page (7.16 inches) of a paper in two columns.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioset_strong.evaluation.ranking_metrics import d_prime_from_auc
from audioset_strong.evaluation.results import (
    EvalDetails,
    EvalReport,
    EvalResult,
    compare_per_class,
)
from audioset_strong.evaluation.thresholds import PooledReliability
from audioset_strong.files import make_output_folder, temporary_path

_COLUMN, _PAGE = 3.5, 7.16  # inches
_DPI = 300
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "0.5"
_OURS: dict[str, Any] = {
    "color": _BLUE,
    "marker": "o",
    "markersize": 4,
    "zorder": 3,
}
_THEIRS: dict[str, Any] = {
    "color": _ORANGE,
    "marker": "s",
    "markersize": 4,
    "markerfacecolor": "white",
    "zorder": 2,
}
# Classes of the highest d', and as many of the lowest.
_NUM_CLASSES = 12
_MAX_NAME_LETTERS = 30
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    # TrueType: publishers refuse Type 3.
    "pdf.fonttype": 42,
}


def write_figures(report: EvalReport, folder: str) -> list[str]:
    """Writes the pictures (module docstring) to a new or old folder.

    Returns the names of the files.
    """
    # Would tell every table of the font that it leaves out.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    make_output_folder(folder)
    written = []
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Boxes stand for letters that the font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        for name, figure in _figures(report):
            # Laid out once, not for each file: that takes half of the time.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            for suffix in ("png", "pdf"):
                path = os.path.join(folder, f"{name}.{suffix}")
                # Without a date, equal reports have equal pictures.
                metadata = {"CreationDate": None} if suffix == "pdf" else None
                with temporary_path(path) as temporary:
                    figure.savefig(
                        temporary, format=suffix, dpi=_DPI, metadata=metadata
                    )
                written.append(f"{name}.{suffix}")
    return written


def _figures(report: EvalReport) -> Iterator[tuple[str, Figure]]:
    """Makes every picture with its name."""
    systems = [report.identity.system_name, report.identity.baseline_name]
    names = [_shortened(name) for name in systems]
    is_done = set()
    for result in report.results:
        baseline, details = (
            report.baseline_of(result),
            report.details_of(result),
        )
        key = f"{result.evaluation}_{result.negatives}"
        if result.evaluation not in is_done and result.num_classes:
            is_done.add(result.evaluation)
            if details.curves is not None:
                yield (
                    f"{key}_curves",
                    _curves_figure(result, baseline, details, names),
                )
            classes = compare_per_class(result, baseline, details)
            if np.isfinite(classes["d_prime"]).any():
                yield f"{key}_classes", _classes_figure(classes, names)
        if details.breakdowns is not None:
            figure = _breakdowns_figure(details.breakdowns, names)
            yield f"{key}_breakdowns", figure
        if details.reliability is not None:
            figure = _reliability_figure(
                [
                    found
                    for found in (
                        details.reliability,
                        details.baseline_reliability,
                    )
                    if found is not None
                ],
                names,
            )
            yield f"{key}_reliability", figure


def _curves_figure(
    result: EvalResult,
    baseline: EvalResult | None,
    details: EvalDetails,
    names: list[str],
) -> Figure:
    figure = Figure(figsize=(_PAGE, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    systems = [(details.curves, result, details.intervals, "-", _BLUE)]
    if baseline is not None:
        theirs = details.baseline_intervals
        curves = details.baseline_curves
        systems.append((curves, baseline, theirs, "--", _ORANGE))
    for name, (curves, own, intervals, line, color) in zip(
        names, systems, strict=False
    ):
        if curves is None:
            continue
        for axis, points, metric, short in (
            (left, curves.mean_roc, "mean_auc", "mean AUC"),
            (
                right,
                curves.mean_precision_recall,
                "mean_average_precision",
                "mAP",
            ),
        ):
            if points is None:
                continue
            label = f"{name}: {short} {getattr(own, metric):.3f}"
            if intervals is not None:
                interval = intervals.overall[metric]
                if not np.isnan(interval.low):
                    label += f" [{interval.low:.3f}, {interval.high:.3f}]"
            axis.plot(*points.T, line, color=color, label=label)
    left.plot([0, 1], [0, 1], ":", color=_GREY, linewidth=0.8)
    left.set(xlabel="false positive rate", ylabel="true positive rate")
    right.set(xlabel="recall", ylabel="precision")
    for axis in (left, right):
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        _add_legend(axis)
    return figure


def _classes_figure(classes: pd.DataFrame, names: list[str]) -> Figure:
    """Draws the classes of the highest and the lowest d'."""
    shown = classes[np.isfinite(classes["d_prime"])].sort_values("d_prime")
    if len(shown) > 2 * _NUM_CLASSES:
        shown = pd.concat([shown.head(_NUM_CLASSES), shown.tail(_NUM_CLASSES)])
    place = np.arange(len(shown), dtype=np.float64)
    is_cut = len(shown) == 2 * _NUM_CLASSES < len(classes)
    if is_cut:
        place[_NUM_CLASSES:] += 0.8  # A gap between lowest and highest.
    height = 0.7 + 0.17 * len(shown)
    figure = Figure(figsize=(_COLUMN, height), layout="constrained")
    axis = figure.subplots()
    bounds = {
        f"{prefix}d_prime_{end}": d_prime_from_auc(shown[f"{prefix}auc_{end}"])
        for prefix in ("", "baseline_")
        for end in ("low", "high")
        if f"{prefix}auc_{end}" in shown
    }
    _draw_systems(axis, shown.assign(**bounds), place, names, 0.18)
    axis.set_yticks(
        place,
        [
            _shortened(name or mid)
            for name, mid in zip(
                shown["display_name"], shown["mid"], strict=True
            )
        ],
        parse_math=False,
    )
    if is_cut:
        middle = (place[_NUM_CLASSES - 1] + place[_NUM_CLASSES]) / 2
        axis.axhline(middle, color=_GREY, linewidth=0.6, linestyle=":")
    axis.set(xlabel="d′", ylim=(-0.8, place[-1] + 0.8))
    axis.axvline(0, color=_GREY, linewidth=0.6)
    axis.grid(visible=False, axis="y")
    _add_legend(axis)
    return figure


def _draw_systems(
    axis: Axes,
    table: pd.DataFrame,
    place: npt.NDArray[Any],
    names: list[str],
    offset: float,
) -> None:
    """Draws d' of a table's rows with bars, a baseline's beside them."""
    if "baseline_d_prime" not in table:
        offset = 0
    for name, prefix, style, shift in zip(
        names,
        ("", "baseline_"),
        (_OURS, _THEIRS),
        (offset, -offset),
        strict=True,
    ):
        if f"{prefix}d_prime" not in table:
            continue
        ends = [table.get(f"{prefix}d_prime_{end}") for end in ("low", "high")]
        values = table[f"{prefix}d_prime"].to_numpy(dtype=np.float64)
        _draw_with_bars(axis, values, place + shift, ends, name, style)


def _breakdowns_figure(breakdowns: pd.DataFrame, names: list[str]) -> Figure:
    figure = Figure(figsize=(_PAGE, 2.4), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True)
    for axis, (breakdown, rows) in zip(
        axes, breakdowns.groupby("breakdown", sort=False), strict=True
    ):
        place = np.arange(len(rows))[::-1]
        _draw_systems(axis, rows, place, names, 0.15)
        axis.set_yticks(
            place,
            [
                f"{row['stratum'].replace('label ', '')}\n"
                f"({row['num_positives']:,})"
                for row in rows.to_dict(orient="records")
            ],
        )
        axis.set(xlabel="d′", ylim=(-0.6, len(rows) - 0.4))
        axis.set_ylabel(f"{breakdown}\n(number of positives)")
        axis.grid(visible=False, axis="y")
    _add_legend(axes[0])
    return figure


def _reliability_figure(
    systems: list[PooledReliability], names: list[str]
) -> Figure:
    figure = Figure(figsize=(_COLUMN, 3.3), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], ":", color=_GREY, linewidth=0.8)
    for name, style, found in zip(
        names, (_OURS, _THEIRS), systems, strict=False
    ):
        curve = found.curve
        shares = curve.positive_shares[0]
        axis.errorbar(
            curve.mean_scores[0],
            shares,
            yerr=_bars(shares, [found.low, found.high]),
            label=f"{name}: ECE {curve.calibration_errors()[0]:.3f}",
            linestyle="-" if style is _OURS else "--",
            elinewidth=1,
            capsize=2,
            **style,
        )
    axis.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="score",
        ylabel="share of positives",
    )
    _add_legend(axis)
    return figure


def _draw_with_bars(
    axis: Axes,
    values: npt.ArrayLike,
    place: npt.NDArray[np.floating[Any]],
    ends: list[Any],
    name: str,
    style: dict[str, Any],
) -> None:
    """Draws values along x, with their intervals if both ends are given."""
    bars = None
    if all(end is not None for end in ends):
        bars = _bars(values, ends)
    axis.errorbar(
        np.asarray(values, dtype=np.float64),
        place,
        xerr=bars,
        linestyle="",
        elinewidth=1,
        capsize=2,
        label=name,
        **style,
    )


def _bars(values: npt.ArrayLike, ends: list[Any]) -> npt.NDArray[np.float64]:
    """Returns the lengths of both halves of bars: float64 `[2, num_values]`."""
    middle = np.asarray(values, dtype=np.float64)
    low, high = (np.asarray(end, dtype=np.float64) for end in ends)
    # An estimate can lie outside of its interval, and an end be infinite.
    with np.errstate(invalid="ignore"):  # inf - inf
        bars = np.stack([middle - low, high - middle])
    return np.where(np.isfinite(bars), np.maximum(bars, 0), 0)


def _add_legend(axis: Axes) -> None:
    # Above the axes, where it covers nothing.
    legend = axis.legend(
        loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2
    )
    # Names are no mathematics, whatever dollar signs are in them.
    for text in legend.get_texts():
        text.set_parse_math(False)


def _shortened(name: str) -> str:
    if len(name) <= _MAX_NAME_LETTERS:
        return name
    return f"{name[: _MAX_NAME_LETTERS - 1].rstrip(' ,')}…"
