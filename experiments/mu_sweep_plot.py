"""Draws held-out metrics against mu."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from audioset_strong.plots import save_figure

# Okabe and Ito's, which colour-blind people can tell apart.
_COLORS = {"strong": "#0072B2", "diffuse": "#E69F00"}
_TITLES = {
    "d_prime": "d' of the best checkpoint by d'",
    "lwlrap": "lwlrap of the best checkpoint by lwlrap",
}


def plot_mu_sweep(
    points: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Mapping[str, float]],
    paper: Mapping[str, float],
    path: str,
) -> None:
    """Draws a panel for each metric, with a curve for each mixed-in set.

    Args:
      points: As in `mu_sweep.json`, in the order of mu.
      chosen: The best mu of each set by each metric, which gets a star.
      paper: The mu that the paper chose by d' for each set.
      path: PNG to write.
    """
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    for axis, (metric, title) in zip(
        figure.subplots(1, 2), _TITLES.items(), strict=True
    ):
        for mixed, best in chosen.items():
            of_set = [p for p in points if p["mixed_training_set"] == mixed]
            color = _COLORS[mixed]
            mus = np.array([point["mu"] for point in of_set])
            values = np.array([point[metric] for point in of_set])
            # [2, num_mus]
            low, high = np.array([p["ranges"][metric] for p in of_set]).T
            axis.fill_between(mus, low, high, color=color, alpha=0.2, lw=0)
            axis.plot(mus, values, "o-", color=color, label=f"+ {mixed}")
            is_best = mus == best[metric]
            axis.plot(
                mus[is_best], values[is_best], "*", color=color, markersize=16
            )
            if metric == "d_prime":
                axis.axvline(paper[mixed], color=color, ls=":", lw=1, zorder=0)
        if metric == "lwlrap":
            axis.axvline(0.2, color="0.5", ls=":", lw=1, zorder=0)
        axis.set(xlabel="mu", title=title)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("on the held-out clips")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        title="star: best mu; dotted: the paper's",
    )
    save_figure(figure, path)
