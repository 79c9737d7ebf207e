"""Draws Figure 3: metrics of the Strong eval against the Strong clips used."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.joined import describe_ranges

# Okabe and Ito's, which colour-blind people can tell apart.
_LINES = {
    "strong_d_prime": ("d'", "#0072B2", "o"),
    "strong_lwlrap": ("lwlrap", "#D55E00", "s"),
}


def share_figure(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws d' on the left axis and lwlrap on the right, as the paper does.

    Args:
      points: A dict for each share, in order: `num_strong_clips`, `seeds`, the
        metrics' means over seeds, None where there is none, and their `ranges`.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    lines = []
    # Beside each other, so that no bar hides another.
    most = max(point["num_strong_clips"] for point in points)
    for axis, shift, (metric, (name, color, marker)) in zip(
        (left, right), (-most / 150, most / 150), _LINES.items(), strict=True
    ):
        known = [point for point in points if point[metric] is not None]
        clips = np.array([point["num_strong_clips"] for point in known])
        clips = clips + shift
        means = np.array([point[metric] for point in known])
        # [num_points, 2]
        ranges = np.array([point["ranges"][metric] for point in known])
        lines += axis.plot(clips, means, color=color, marker=marker, label=name)
        axis.vlines(clips, *ranges.reshape(-1, 2).T, color=color, lw=1.5)
        axis.set_ylabel(f"{name} on the Strong eval", color=color)
        axis.tick_params(axis="y", colors=color)
        axis.spines["top"].set_visible(False)
    left.set_xlabel("Strong clips used in fine-tuning")
    left.set_xlim(left=-most / 40)  # there may be a point at 0
    text = (
        f"{describe_ranges(points, 'Bar')}\nThe paper's curves end, at 67k "
        f"clips, at d' 1.39 and lwlrap 0.47."
    )
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        title=text,
        title_fontsize="small",
    )
    return figure
