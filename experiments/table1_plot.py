"""Draws Table 1: our rows in their order, beside the paper's in theirs.

Sizes do not compare, since data and network are others. Orders do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

# In the order of the panels.
TITLES = {
    "strong_d_prime": ("strong eval, d'", "d'"),
    "strong_lwlrap": ("strong eval, lwlrap", "lwlrap"),
    "weak_d_prime": ("weak eval, d'", "d'"),
    "weak_lwlrap": ("weak eval, lwlrap", "lwlrap"),
}

# Okabe and Ito's, which colour-blind people can tell apart: one a kind of
# label; small sets have open marks.
_COLORS = {
    "Weak": "#009E73",
    "Diffuse": "#E69F00",
    "Strong": "#0072B2",
}
_MARKERS = {"Weak": "o", "Diffuse": "s", "Strong": "^"}
_GREY = "0.45"


def row_style(row: str) -> dict[str, Any]:
    """Returns how a row is drawn."""
    kind = next((k for k in _COLORS if k in row), "")
    is_control = row == "+ Weak"  # not of the paper
    color = _GREY if is_control else _COLORS.get(kind, "black")
    is_open = row.endswith("-small")
    return {
        "color": color,
        "marker": "D" if is_control else _MARKERS.get(kind, "o"),
        "markerfacecolor": "white" if is_open else color,
        "markersize": 6,
    }


def table1_figure(rows: Sequence[Mapping[str, Any]], note: str) -> Figure:
    """Draws ours and the paper's as two orders, a pair of panels a metric.

    Args:
      rows: Of each its `training_set`; `paper`, numbers by metric, as far as
        there are any; and `values`, by metric `mean`, and `seeds` and `clips`,
        [low, high] each. All three may be None.
      note: What the ends of `seeds` and `clips` are; "" where there are none.
    """
    note = note and f"{note} "
    figure = Figure(figsize=(9.5, 8), layout="constrained")
    parts: Any = figure.subfigures(2, 2, wspace=0.04, hspace=0.04)
    for part, metric in zip(parts.flat, TITLES, strict=True):
        _draw_orders(part, rows, metric)
    figure.suptitle(
        "Rows ranked here (left) and in the paper (right): compare the orders, "
        f"not the sizes.\n{note}Red lines join places that are more than one "
        "apart.",
        fontsize=10.5,
    )
    return figure


def _draw_orders(
    part: Any, rows: Sequence[Mapping[str, Any]], metric: str
) -> None:
    """Draws the two panels of a metric."""
    ours = [
        (r["values"][metric]["mean"], r["training_set"], r["values"][metric])
        for r in rows
        if r["values"][metric]["mean"] is not None
    ]
    paper = [
        (r["paper"][metric], r["training_set"])
        for r in rows
        if r["paper"].get(metric) is not None
        and r["values"][metric]["mean"] is not None
    ]
    ours.sort(key=lambda row: -row[0])
    places = {row: place for place, (_, row, _) in enumerate(ours)}
    # What is equal in the paper stands as here: it has no order.
    paper.sort(key=lambda row: (-row[0], places[row[1]]))
    left, gap, right = part.subplots(1, 3, width_ratios=(6, 1.2, 4))
    gap.set_axis_off()
    for place, (mean, row, value) in enumerate(ours):
        style = row_style(row)
        thick = {"color": style["color"], "lw": 4, "alpha": 0.55}
        _draw_interval(left, value["seeds"], place, **thick)
        left.plot(mean, place, **style)
        # Above the mark, which is often wider.
        thin = {"color": "black", "lw": 0.8, "marker": "|", "markersize": 6}
        _draw_interval(left, value["clips"], place, **thin)
    # The paper's rows stand at the heights of those of ours that it has, so
    # that a row with the same rank in both stays level.
    of_paper = {row for _, row in paper}
    slots = [place for row, place in places.items() if row in of_paper]
    for slot, (value, row) in zip(slots, paper, strict=True):
        right.plot(value, slot, **row_style(row))
        num_off = abs(slots.index(slot) - slots.index(places[row]))
        part.add_artist(
            ConnectionPatch(
                (1, places[row]),
                (0, slot),
                left.get_yaxis_transform(),
                right.get_yaxis_transform(),
                color="#C00000" if num_off > 1 else "0.6",
                lw=1.2,
                in_layout=False,
            )
        )
    title, unit = TITLES[metric]
    for axis, names, whose in (
        (left, dict(zip(places.values(), places, strict=True)), "here"),
        (
            right,
            dict(zip(slots, [row for _, row in paper], strict=True)),
            "the paper",
        ),
    ):
        axis.set_ylim(len(ours) - 0.4, -0.6)
        axis.set_yticks(list(names), list(names.values()))
        axis.tick_params(axis="y", length=0)
        axis.tick_params(axis="x", labelsize="small")
        axis.locator_params(axis="x", nbins=3)
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
        axis.spines[["top", "left", "right"]].set_visible(False)
        axis.set_xlabel(f"{unit}, {whose}")
    right.yaxis.tick_right()
    right.margins(x=0.15)
    part.suptitle(title, fontsize=12)


def _draw_interval(
    axis: Axes, ends: Sequence[float] | None, at: float, **style: Any
) -> None:
    if ends is not None:
        axis.plot(ends, [at, at], solid_capstyle="butt", **style)
