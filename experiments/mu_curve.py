"""The curve over mu: its points over seeds, which is best, table and figure.

A point is the held-out metrics of one mu, one mixed-in set and one seed, as
`mu_sweep.py` writes them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from matplotlib.figure import Figure

from experiments.joined import (
    Result,
    describe_ranges,
    format_point,
    over_seeds,
)

METRICS = ("d_prime", "lwlrap")
# What the paper chose by d', and the range and value that it names.
PAPER = {"strong": 0.8, "diffuse": 0.7}
_PAPER_D_PRIME_RANGE = (0.7, 0.95)
_PAPER_LWLRAP = 0.2

# Okabe and Ito's, which colour-blind people can tell apart.
_COLORS = {"strong": "#0072B2", "diffuse": "#E69F00"}
_MARKERS = {"strong": "o", "diffuse": "s"}
_TITLES = {
    "d_prime": "d' of the best checkpoint by d'",
    "lwlrap": "lwlrap of the best checkpoint by lwlrap",
}


def summarise(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Returns the mean over seeds of each point, in the order of set and mu.

    Each has `ranges` too, the lowest and highest of each number.
    """
    return over_seeds(results, "mixed_training_set", "mu")


def choose(points: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns the best mu of each set by each metric.

    Of equal ones the smaller mu. With several seeds the means are compared.
    """
    chosen = {}
    for mixed in dict.fromkeys(p["mixed_training_set"] for p in points):
        of_set = [p for p in points if p["mixed_training_set"] == mixed]
        if any(p["seeds"] != of_set[0]["seeds"] for p in of_set):
            logging.warning(
                "Not every mu of %s has the same seeds, so that the best one "
                "is less certain: %s.",
                mixed,
                {p["mu"]: p["seeds"] for p in of_set},
            )
        chosen[mixed] = {
            metric: max(of_set, key=lambda point: point[metric])["mu"]
            for metric in METRICS
        }
    return chosen


def format_points(
    points: Sequence[dict[str, Any]], chosen: dict[str, dict[str, float]]
) -> str:
    """Formats points as Markdown; the best mu by each metric is bold."""

    def cell(point: dict[str, Any], metric: str) -> str:
        text = format_point(point, metric)
        best = chosen[point["mixed_training_set"]].get(metric)
        return f"**{text}**" if best == point["mu"] else text

    lines = [
        "| Mixed in | mu | d' | step | lwlrap there | best lwlrap | step |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in points:
        cells = [
            point["mixed_training_set"],
            f"{point['mu']:g}",
            cell(point, "d_prime"),
            f"{point['best_step']:g}",
            cell(point, "lwlrap_at_best_step"),
            cell(point, "lwlrap"),
            f"{point['lwlrap_step']:g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for mixed, best in chosen.items():
        lines.append(
            f"\n{mixed}: mu {best['d_prime']:g} by d' (the paper: "
            f"{PAPER[mixed]}), {best['lwlrap']:g} by lwlrap (the paper: near "
            f"0.2)."
        )
    return "\n".join(lines)


def mu_figure(
    points: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Draws a panel for each metric, with a curve for each mixed-in set.

    Args:
      points: What `summarise` returned. The range over seeds is a band.
      chosen: What `choose` returned; the best mu of each set gets a star.
    """
    figure = Figure(figsize=(8.5, 4), layout="constrained")
    for axis, metric in zip(figure.subplots(1, 2), METRICS, strict=True):
        for mixed, best in chosen.items():
            of_set = [p for p in points if p["mixed_training_set"] == mixed]
            color = _COLORS[mixed]
            mus = np.array([point["mu"] for point in of_set])
            values = np.array([point[metric] for point in of_set])
            # [2, num_mus]
            low, high = np.array([p["ranges"][metric] for p in of_set]).T
            axis.fill_between(mus, low, high, color=color, alpha=0.2, lw=0)
            axis.plot(
                mus,
                values,
                color=color,
                marker=_MARKERS[mixed],
                label=f"+ {mixed.capitalize()}",
            )
            is_best = mus == best[metric]
            axis.plot(
                mus[is_best], values[is_best], "*", color=color, markersize=17
            )
            if metric == "d_prime":
                axis.axvline(PAPER[mixed], color=color, ls=":", lw=1.5)
        if metric == "d_prime":
            axis.axvspan(*_PAPER_D_PRIME_RANGE, color="0.93", lw=0, zorder=0)
        else:
            axis.axvline(_PAPER_LWLRAP, color="0.4", ls=":", lw=1.5)
        axis.set(
            xlabel="mu: share of examples from the mixed-in set",
            ylabel=f"{_TITLES[metric].split()[0]} on the held-out clips",
            title=_TITLES[metric],
        )
        axis.spines[["top", "right"]].set_visible(False)
    marks = (
        f"Star: our best mu. Dotted: the paper's mu; grey: its range by d'. "
        f"{describe_ranges(points, 'Band')}"
    )
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        title=marks,
        title_fontsize="small",
    )
    return figure
