"""Figure 2 of the paper: priors of the classes, weak against strong.

Both axes are logarithmic. A prior of zero has no place on them and is drawn at
one below the smallest, behind a dotted line, on a tick that says 0: classes
without strong labels along the bottom, classes without weak labels along the
left. Colours are Okabe and Ito's, which colour-blind people can tell apart.
"""

import collections
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pandas as pd
from absl import logging
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from audioset_strong.output_files import temporary_path
from audioset_strong.plots.text_placement import place_names

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "0.45"
_DPI = 150
# A class is an outlier if its prior changed by more than this.
_OUTLIER_RATIO = 10.0
# Where the range of zeros ends, as a multiple of `zero_position`.
_ZERO_EDGE = 1.7
_MAX_NAMES = 45
_MAX_NAME_LETTERS = 26


def plot_priors(
    priors: pd.DataFrame,
    num_clips: int,
    path: str,
    name_of_mid: Callable[[str], str] = str,
    music_mids: Collection[str] | None = None,
) -> None:
    """Draws Figure 2 as a PNG.

    Args:
      priors: What `statistics.class_priors` returned, a class at least.
      num_clips: Clips that the priors are shares of.
      path: PNG to write; the folder exists.
      name_of_mid: Gives the display name of a class.
      music_mids: Classes below Music, drawn in their own colour; None if that
        is not known.
    """
    figure = priors_figure(priors, num_clips, name_of_mid, music_mids)
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def priors_figure(
    priors: pd.DataFrame,
    num_clips: int,
    name_of_mid: Callable[[str], str] = str,
    music_mids: Collection[str] | None = None,
) -> Figure:
    """Draws Figure 2; arguments as `plot_priors`.

    Returns:
      The figure. Each class with a prior above zero is one point of one of the
      scatter collections of its axes.
    """
    shown = priors[(priors[["weak_prior", "strong_prior"]] > 0).any(axis=1)]
    zero = zero_position(shown)
    figure = Figure(figsize=(9, 9), dpi=_DPI)
    FigureCanvasAgg(figure)
    # Square axes with equal limits, so that "unchanged" is at 45 degrees.
    axis = figure.add_axes((0.085, 0.075, 0.89, 0.89))
    _set_axes(axis, shown, zero, num_clips)
    _draw_diagonals(axis, zero * _ZERO_EDGE)
    positions = _draw_points(axis, shown, zero, music_mids)
    _draw_names(axis, shown, positions, name_of_mid)
    return figure


def zero_position(priors: pd.DataFrame) -> float:
    """Returns where a prior of zero is drawn, on both axes."""
    values = priors[["weak_prior", "strong_prior"]].to_numpy()
    # Two decades at least, so that few similar classes get ticks as well.
    return float(min(values[values > 0].min() / 3, values.max() / 100))


def named_classes(priors: pd.DataFrame) -> list[str]:
    """Chooses the classes that Figure 2 names.

    Args:
      priors: What `statistics.class_priors` returned.

    Returns:
      Mids, most important first: the largest priors, the most changed in either
      direction, all that changed more than ten times, and the largest priors of
      classes that only one label set has; at most `_MAX_NAMES`.
    """
    is_weak, is_strong = priors["weak_prior"] > 0, priors["strong_prior"] > 0
    both = priors[is_weak & is_strong]
    change = np.log(both["prior_ratio"]).abs()
    by_change = both.loc[change.sort_values(ascending=False).index]
    is_outlier = change[by_change.index] > np.log(_OUTLIER_RATIO)
    larger = both[["weak_prior", "strong_prior"]].max(axis=1)
    groups = [
        both.loc[larger.nlargest(5).index],
        by_change[by_change["prior_ratio"] > 1].head(5),
        by_change[by_change["prior_ratio"] < 1].head(5),
        priors[~is_strong].nlargest(4, "weak_prior"),
        priors[~is_weak].nlargest(4, "strong_prior"),
        by_change[is_outlier],
    ]
    mids = pd.concat([group["mid"] for group in groups]).drop_duplicates()
    return mids.head(_MAX_NAMES).tolist()


def _set_axes(
    axis: Axes, priors: pd.DataFrame, zero: float, num_clips: int
) -> None:
    """Sets scales, limits, ticks and titles."""
    largest = float(priors[["weak_prior", "strong_prior"]].max().max())
    limits = (zero / 1.5, min(largest * 2, 1.1))
    decades = 10.0 ** np.arange(-9, 1)
    ticks = [zero, *decades[(decades > zero * 2) & (decades < limits[1])]]
    for side, set_scale, set_limits, draw_line, label_set in (
        (axis.xaxis, axis.set_xscale, axis.set_xlim, axis.axvline, "weak"),
        (axis.yaxis, axis.set_yscale, axis.set_ylim, axis.axhline, "strong"),
    ):
        set_scale("log")
        set_limits(*limits)
        side.set_major_locator(FixedLocator(ticks))
        side.set_minor_locator(NullLocator())
        side.set_major_formatter(
            FuncFormatter(lambda x, _: "0" if x == zero else f"{x:g}")
        )
        side.set_label_text(
            f"prior in the {label_set} labels (share of {num_clips:,} clips)"
        )
        draw_line(zero * _ZERO_EDGE, color=GREY, lw=0.6, ls=":")
    has_weak, has_strong = priors["weak_prior"] > 0, priors["strong_prior"] > 0
    axis.set_title(
        f"Priors of {len(priors)} classes: {(has_weak & has_strong).sum()} in "
        f"both label sets, {(~has_strong).sum()} without strong labels "
        f"(bottom), {(~has_weak).sum()} without weak labels (left)",
        fontsize=9,
    )
    axis.grid(color="0.92", lw=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_diagonals(axis: Axes, lower: float) -> None:
    """Draws where a prior is unchanged, ten times as large, or a tenth."""
    _, upper = axis.get_xlim()
    for ratio, text, style in (
        (_OUTLIER_RATIO, f"{_OUTLIER_RATIO:g}x", "--"),
        (1.0, "unchanged", "-"),
        (1 / _OUTLIER_RATIO, f"{1 / _OUTLIER_RATIO:g}x", "--"),
    ):
        # Diagonals say nothing about zeros, and stop at them.
        x = np.array([lower * max(1 / ratio, 1.0), upper])
        axis.plot(x, x * ratio, color=GREY, lw=0.7, ls=style, zorder=1)
        # At the upper end, inside the axes.
        end = upper / max(ratio, 1.0) / 1.15
        axis.text(
            end,
            end * ratio,
            f"{text} ",
            rotation=45,
            rotation_mode="anchor",
            ha="right",
            va="bottom",
            color=GREY,
            fontsize=8,
        )


def _draw_points(
    axis: Axes,
    priors: pd.DataFrame,
    zero: float,
    music_mids: Collection[str] | None,
) -> np.ndarray:
    """Draws the classes; returns their float `[num_classes, 2]` positions."""
    values = priors[["weak_prior", "strong_prior"]].to_numpy()
    positions = np.where(values > 0, values, zero)
    is_music = priors["mid"].isin(music_mids or ()).to_numpy()
    groups = [(~is_music, BLUE, "o", "classes"), (is_music, ORANGE, "^", "")]
    if music_mids is not None:
        groups[0] = (~is_music, BLUE, "o", "not below Music in the ontology")
        groups[1] = (is_music, ORANGE, "^", "below Music in the ontology")
    for members, color, marker, text in groups:
        if not members.any():
            continue
        axis.scatter(
            *positions[members].T,
            s=20,
            marker=marker,
            facecolor=color,
            edgecolor="white",
            linewidth=0.3,
            alpha=0.75,
            label=f"{text} ({members.sum()})",
            zorder=2,
        )
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.1), fontsize=8)
    return positions


def _draw_names(
    axis: Axes,
    priors: pd.DataFrame,
    positions: np.ndarray,
    name_of_mid: Callable[[str], str],
) -> None:
    """Names the outliers."""
    mids = named_classes(priors)
    short_names = _shorten([name_of_mid(mid) for mid in priors["mid"]])
    rows = pd.Index(priors["mid"]).get_indexer(mids)
    without_place = place_names(
        axis, [short_names[row] for row in rows], positions[rows], positions
    )
    if without_place:
        logging.info("Figure 2 has no room for: %s.", "; ".join(without_place))


def _shorten(names: Sequence[str]) -> list[str]:
    """Cuts names at their first comma, unless two would be the same."""
    num_of_start = collections.Counter(name.split(",")[0] for name in names)
    starts = (name.split(",")[0] for name in names)
    return [
        _cut(start if num_of_start[start] == 1 else name)
        for start, name in zip(starts, names, strict=True)
    ]


def _cut(name: str) -> str:
    """Cuts a long name."""
    if len(name) <= _MAX_NAME_LETTERS:
        return name
    return name[: _MAX_NAME_LETTERS - 1].rstrip(" ,") + "…"
