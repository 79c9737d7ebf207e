"""Draws Table 1 as bars, ours beside the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

_TITLES = {
    "weak_d_prime": "Weak eval d'",
    "weak_lwlrap": "Weak eval lwlrap",
    "strong_d_prime": "Strong eval d'",
    "strong_lwlrap": "Strong eval lwlrap",
}


def plot_table1(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], path: str
) -> None:
    """Draws Table 1 as a PNG.

    Args:
      rows: As in `table1.json`; a metric can be None, and "paper" can lack it.
        The range over seeds is a line on the bar.
      metrics: Metrics to draw, a panel each.
      path: PNG to write.
    """
    figure, axes = plt.subplots(
        1,
        len(metrics),
        figsize=(3.2 * len(metrics), 3.8),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    axes = axes[0]  # [num_metrics]
    positions = np.arange(len(rows))
    for axis, metric in zip(axes, metrics, strict=True):
        # NumPy makes NaN of None, which draws no bar.
        ours = np.array([row[metric] for row in rows], dtype=np.float64)
        paper = [row["paper"].get(metric) for row in rows]
        axis.barh(positions - 0.2, ours, 0.4, label="this run")
        ranges = [row.get("ranges", {}).get(metric) for row in rows]
        for position, ends in zip(positions, ranges, strict=True):
            if ends is not None:
                axis.plot(ends, [position - 0.2] * 2, color="black", lw=1.2)
        axis.barh(
            positions + 0.2,
            np.array(paper, dtype=np.float64),
            0.4,
            color="lightgray",
            label="the paper",
        )
        axis.set_title(_TITLES[metric])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(positions, [row["training_set"] for row in rows])
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)
