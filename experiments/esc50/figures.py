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
from matplotlib.ticker import FuncFormatter

from experiments.esc50.tables import (
    Data,
    learning_curves,
    share_results,
    strata_rows,
)
from experiments.joined import over_seeds
from experiments.mu_curve import choose, mu_figure, summarise
from experiments.strong_share_plot import share_figure
from experiments.table1_plot import row_style, table1_figure


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
        made["table1"] = (
            shown,
            functools.partial(
                table1_figure,
                shown,
                "Thick: 95 % interval over seeds; thin: over clips.",
            ),
        )
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
            style = {**row_style(row), "markersize": 4}
            label = row if nth == 0 else None
            axis.plot(examples / 1000, d_primes, label=label, lw=1, **style)
    axis.set_xscale("log")  # small sets learn for a tenth of the time
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
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
        # Where there is room.
        row[-1 if is_difference else 0].legend(frameon=False, fontsize="small")
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
        style = row_style(name.split(" less ")[-1])
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
    axis.set_xticks(range(len(indices)), names, fontsize="small")
    axis.grid(axis="y", color="0.9")
    axis.spines[["top", "right"]].set_visible(False)
    if is_difference:
        axis.axhline(0, color="black", lw=0.8)
