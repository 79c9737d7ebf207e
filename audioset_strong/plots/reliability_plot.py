"""The reliability curve of a model: scores against shares of positives."""

import os

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioset_strong.evaluation.calibration import ReliabilityCurve
from audioset_strong.output_files import temporary_path

_DPI = 150
_BLUE, _GREY = "#0072B2", "#9a9a9a"
# A bin of fewer items says little of a class: its share jumps.
_MIN_ITEMS = 20


def plot_reliability(
    curve: ReliabilityCurve, path: str | os.PathLike[str], items: str
) -> None:
    """Draws a reliability curve as a PNG.

    Args:
      curve: Of every class.
      path: PNG to write; the folder exists.
      items: What the items are, such as "label frames".
    """
    figure = reliability_figure(curve, items)
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def reliability_figure(curve: ReliabilityCurve, items: str) -> Figure:
    """Draws a reliability curve; arguments as `plot_reliability`.

    Returns:
      The figure: its axes are the curve, pooled and of the middle half of the
      classes, and the number of items in each bin.
    """
    figure = Figure(figsize=(5, 6), layout="constrained")
    top, bottom = figure.subplots(
        2, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
    )
    pooled = curve.pooled()
    _draw_classes(top, curve)
    top.plot([0, 1], [0, 1], "--", color="black", linewidth=0.8)
    top.annotate(
        "calibrated",
        (0.45, 0.45),
        xytext=(0, 5),
        textcoords="offset points",
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
        ha="center",
        fontsize="small",
    )
    top.plot(
        pooled.mean_scores[0],
        pooled.positive_shares[0],
        "o-",
        color=_BLUE,
        label="all classes pooled",
    )
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of positives")
    top.legend(loc="upper left", frameon=False)
    top.set_title(_title(curve, pooled), fontsize="medium")
    _draw_counts(bottom, pooled, items)
    for axis in (top, bottom):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _title(curve: ReliabilityCurve, pooled: ReliabilityCurve) -> str:
    errors = curve.calibration_errors()
    errors = errors[~np.isnan(errors)]
    return (
        f"Expected calibration error {pooled.calibration_errors()[0]:.3f} "
        f"pooled,\n{errors.mean():.3f} mean of {errors.size} classes"
    )


def _draw_classes(axis: Axes, curve: ReliabilityCurve) -> None:
    """Draws the middle half of the classes, where at least four have items."""
    shares = np.where(
        curve.num_items >= _MIN_ITEMS, curve.positive_shares, np.nan
    )
    has_enough = (~np.isnan(shares)).sum(axis=0) >= 4
    if not has_enough.any():
        return
    quartiles: npt.NDArray[np.float64] = np.full((2, shares.shape[1]), np.nan)
    quartiles[:, has_enough] = np.nanquantile(
        shares[:, has_enough], [0.25, 0.75], axis=0
    )
    edges = curve.bin_edges
    for i in np.nonzero(has_enough)[0]:
        axis.fill_between(
            edges[i : i + 2],
            *quartiles[:, i],
            color=_GREY,
            alpha=0.35,
            linewidth=0,
            label="middle half of the classes"
            if i == np.nonzero(has_enough)[0][0]
            else None,
        )


def _draw_counts(axis: Axes, pooled: ReliabilityCurve, items: str) -> None:
    """Draws how many items each bin has, on a logarithmic scale."""
    axis.bar(
        pooled.bin_edges[:-1],
        pooled.num_items[0],
        width=np.diff(pooled.bin_edges),
        align="edge",
        color=_BLUE,
        edgecolor="white",
    )
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.7)
    axis.set(xlabel="score", ylabel=f"{items}\n× classes")
