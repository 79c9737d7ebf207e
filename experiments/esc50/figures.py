"""The figures of the ESC-50 run.

`make_figures` makes those that the results allow. Each knows the hash of the
numbers that it shows. Intervals are of 95 %.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from experiments.esc50.tables import (
    METRICS,
    Data,
    learning_curves,
    share_results,
    strata_rows,
)
from experiments.joined import over_seeds
from experiments.mu_curve import choose, mu_figure, summarise
from experiments.strong_share_plot import share_figure

# Okabe and Ito's, which colour-blind people can tell apart: one a kind of
# label; small sets have open marks.
_COLORS = {
    "Weak": "#009E73",
    "Diffuse": "#E69F00",
    "Strong": "#0072B2",
}
_MARKERS = {"Weak": "o", "Diffuse": "s", "Strong": "^"}
_GREY = "0.45"
# Units of the axes.
_AXIS = {"d_prime": "d'", "lwlrap": "lwlrap"}


class MadeFigure(NamedTuple):
    """A figure that can be drawn.

    Attributes:
      hash: 16 hex digits, of all that it shows.
      draw: Draws it.
    """

    hash: str
    draw: Callable[[], Figure]


def make_figures(data: Data) -> dict[str, MadeFigure]:
    """Makes every figure that the results allow, by the name of its file."""
    # What is hashed is as it was read: other processors may round means
    # otherwise.
    made: dict[str, tuple[Any, Callable[[], Figure]]] = {}
    if data.intervals.get("rows"):
        rows = data.intervals["rows"]
        shown = [r for r in rows if r["paper"] or r["training_set"] == "+ Weak"]
        made["table1"] = shown, functools.partial(_table1_figure, shown)
    curves = learning_curves(data)
    if "Weak-large" in curves:
        made["learning"] = curves, functools.partial(_learning_figure, curves)
    if data.points:
        points = [[point["point"], point["values"]] for point in data.points]
        made["mu"] = points, functools.partial(_mu_figure, data.points)
    if data.shares:
        results = share_results(data)
        values = [[result["point"], result["values"]] for result in results]
        made["figure3"] = values, functools.partial(_figure3, results)
    if of_rows := strata_rows(data):
        strata = {
            "strata": data.strata["strata"],
            "rows": of_rows,
            "differences": {
                f"{d['first']} less {d['second']}": d["values"]
                for d in data.strata["differences"]
            },
        }
        made["strata"] = strata, functools.partial(_strata_figure, strata)
    return {
        name: MadeFigure(
            hashlib.sha256(
                json.dumps(shown, sort_keys=True).encode()
            ).hexdigest()[:16],
            draw,
        )
        for name, (shown, draw) in made.items()
    }


def _style(row: str) -> dict[str, Any]:
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


def _draw_interval(
    axis: Axes, ends: Sequence[float] | None, at: float, **style: Any
) -> None:
    if ends is not None:
        axis.plot(ends, [at, at], solid_capstyle="butt", **style)


# --- Table 1 -----------------------------------------------------------------


def _table1_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws ours and the paper's as two orders, a pair of panels a metric."""
    figure = Figure(figsize=(9.5, 8), layout="constrained")
    parts: Any = figure.subfigures(2, 2, wspace=0.04, hspace=0.04)
    for part, metric in zip(parts.flat, METRICS, strict=True):
        _draw_orders(part, rows, metric)
    figure.suptitle(
        "Rows ranked here (left) and in the paper (right): compare the orders, "
        "not the sizes.\nThick: 95 % interval over seeds; thin: over clips. "
        "Red lines join places that are more than one apart.",
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
        if metric in r["paper"] and r["values"][metric]["mean"] is not None
    ]
    ours.sort(key=lambda row: -row[0])
    places = {row: place for place, (_, row, _) in enumerate(ours)}
    # What is equal in the paper stands as here: it has no order.
    paper.sort(key=lambda row: (-row[0], places[row[1]]))
    left, gap, right = part.subplots(1, 3, width_ratios=(6, 1.2, 4))
    gap.set_axis_off()
    for place, (mean, row, value) in enumerate(ours):
        style = _style(row)
        color = style["color"]
        _draw_interval(left, value["clips"], place, color=color, lw=1.2)
        _draw_interval(
            left, value["seeds"], place, color=color, lw=4, alpha=0.55
        )
        left.plot(mean, place, **style)
    # The paper's rows stand at the heights of those of ours that it has, so
    # that a row with the same rank in both stays level.
    of_paper = {row for _, row in paper}
    slots = [place for row, place in places.items() if row in of_paper]
    for slot, (value, row) in zip(slots, paper, strict=True):
        right.plot(value, slot, **_style(row))
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
    for axis, names in (
        (left, dict(zip(places.values(), places, strict=True))),
        (right, dict(zip(slots, [row for _, row in paper], strict=True))),
    ):
        axis.set_ylim(len(ours) - 0.4, -0.6)
        axis.set_yticks(list(names), list(names.values()))
        axis.tick_params(axis="y", length=0)
        axis.tick_params(axis="x", labelsize="small")
        axis.locator_params(axis="x", nbins=3)
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
        axis.spines[["top", "left", "right"]].set_visible(False)
    left.set_xlabel(f"{_AXIS[metric.partition('_')[2]]}, here")
    right.set_xlabel(f"{_AXIS[metric.partition('_')[2]]}, the paper")
    right.yaxis.tick_right()
    right.margins(x=0.15)
    part.suptitle(METRICS[metric].replace("eval", "eval,"), fontsize=12)


# --- Curves ------------------------------------------------------------------


def _learning_figure(
    curves: Mapping[str, Sequence[Sequence[tuple[int, float]]]],
) -> Figure:
    """Draws held-out d' of each seed against the examples so far."""
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axis = figure.add_subplot()
    for row, of_seeds in curves.items():
        for nth, curve in enumerate(of_seeds):
            examples, d_primes = np.array(curve).T
            style = {**_style(row), "markersize": 4}
            label = row if nth == 0 else None
            axis.plot(examples / 1000, d_primes, label=label, lw=1, **style)
    axis.set(xlabel="examples (thousands)", ylabel="d' on the held-out clips")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize="small")
    return figure


def _mu_figure(results: Sequence[dict[str, Any]]) -> Figure:
    points = summarise(results)
    return mu_figure(points, choose(points))


def _figure3(results: Sequence[dict[str, Any]]) -> Figure:
    return share_figure(over_seeds(results, "strong_fraction"))


# --- Strata ------------------------------------------------------------------


def _strata_figure(strata: Mapping[str, Any]) -> Figure:
    """Draws d' of each stratum, and its differences below."""
    kinds = list(dict.fromkeys(s["breakdown"] for s in strata["strata"]))
    lines = [(strata["rows"], "d' on the strong eval", False)]
    if strata["differences"]:
        lines.append((strata["differences"], "difference in d'", True))
    figure = Figure(figsize=(10.5, 3.6 * len(lines)), layout="constrained")
    axes = figure.subplots(
        len(lines), len(kinds), sharex="col", sharey="row", squeeze=False
    )
    for (systems, label, is_difference), row in zip(lines, axes, strict=True):
        for kind, axis in zip(kinds, row, strict=True):
            _draw_strata(axis, strata["strata"], kind, systems, is_difference)
        row[0].set_ylabel(label)
        row[0].legend(frameon=False, fontsize="small")
    titles = {
        "event length": "by the length of the event",
        "filled share": "by the share of the clip that its class fills",
    }
    for kind, axis in zip(kinds, axes[0], strict=True):
        axis.set_title(titles[kind], fontsize=11)
    for kind, axis in zip(kinds, axes[-1], strict=True):
        axis.set_xlabel(f"{kind}\n(positive label frames)")
    return figure


def _draw_strata(
    axis: Axes,
    strata: Sequence[Mapping[str, Any]],
    kind: str,
    systems: Mapping[str, Sequence[Mapping[str, Any]]],
    is_difference: bool,
) -> None:
    """Draws the strata of one kind that have positives, beside each other."""
    indices = [
        i
        for i, stratum in enumerate(strata)
        if stratum["breakdown"] == kind and stratum["num_positives"]
    ]
    for nth, (name, values) in enumerate(systems.items()):
        # Of a difference, the second row tells them apart.
        style = _style(name.split(" less ")[-1])
        shift = 0.12 * (nth - (len(systems) - 1) / 2)
        places = [place + shift for place in range(len(indices))]
        found = [values[i]["value"] for i in indices]
        axis.plot(
            places,
            np.array(found, dtype=np.float64),
            label=name,
            ls="--" if style["markerfacecolor"] == "white" else "-",
            **style,
        )
        for place, index in zip(places, indices, strict=True):
            if values[index]["clips"] is not None:
                axis.plot(
                    [place, place],
                    values[index]["clips"],
                    color=style["color"],
                    lw=1.2,
                )
    names = [
        f"{strata[i]['stratum']}\n({strata[i]['num_positives']:,})"
        for i in indices
    ]
    axis.set_xticks(range(len(indices)), names, fontsize="x-small")
    axis.grid(axis="y", color="0.9")
    axis.spines[["top", "right"]].set_visible(False)
    if is_difference:
        axis.axhline(0, color="black", lw=0.8)
