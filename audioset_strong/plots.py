"""Figures: Figure 2 of the paper, reliability curves, and scores of a clip.

Figure 2 shows the prior of each class in the strong labels against that in the
weak labels, on logarithmic axes. A prior of zero has no place on them and is
drawn below the smallest, behind a dotted line, on a tick that says 0: classes
without strong labels along the bottom, without weak labels along the left.

Colours are Okabe and Ito's, which colour-blind people can tell apart.
"""

import collections
import itertools
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from audioset_strong.evaluation.thresholds import ReliabilityCurve
from audioset_strong.files import temporary_path

_Floats = npt.NDArray[np.float64]

_BLUE, _ORANGE, _GREY = "#0072B2", "#E69F00", "0.45"
_DPI = 150

# A class is an outlier if its prior changed by more than this.
_OUTLIER_RATIO = 10.0
# Where the range of zeros ends, as a multiple of `zero_position`.
_ZERO_EDGE = 1.7
_MAX_NAMES = 45
_MAX_NAME_LETTERS = 26

# Distances, in points (1/72 inch), and angles from its point at which a name
# can stand, nearest first.
_NAME_DISTANCES = (5.0, 12.0, 20.0, 30.0, 42.0, 56.0)
_NAME_ANGLES = np.deg2rad(np.arange(0, 360, 30))
# A name further away than this gets a line to its point.
_LINE_FROM = 8.0
# The distance, in points, that a name moves away rather than cover a point.
_COVER_COST = 6.0

# A bin of fewer items says little of a class: its share jumps.
_MIN_ITEMS_OF_BIN = 20

# Classes shown for a clip.
_NUM_ROWS = 8


def save_figure(
    figure: Figure,
    path: str | os.PathLike[str],
    texts: Mapping[str, str] | None = None,
) -> None:
    """Writes a figure as a PNG, with texts by keyword; the folder exists."""
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, metadata=dict(texts or {}))


# --- Figure 2 ----------------------------------------------------------------


def priors_figure(
    priors: pd.DataFrame,
    num_clips: int,
    name_of_mid: Callable[[str], str] = str,
    music_mids: Collection[str] | None = None,
) -> Figure:
    """Draws Figure 2.

    Args:
      priors: What `statistics.class_priors` returned, one class or more.
      num_clips: Clips that the priors are shares of.
      name_of_mid: Gives the display name of a class.
      music_mids: Classes below Music, drawn in their own colour; None if that
        is not known.

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
    on_texts = _draw_diagonals(axis, zero * _ZERO_EDGE)
    positions = _draw_points(axis, shown, zero, music_mids)
    names = _shorten([name_of_mid(mid) for mid in shown["mid"]])
    rows = pd.Index(shown["mid"]).get_indexer(pd.Index(named_classes(shown)))
    without_place = place_names(
        axis,
        [names[row] for row in rows],
        positions[rows],
        np.concatenate([positions, on_texts]),
    )
    if without_place:
        logging.info("Figure 2 has no room for: %s.", "; ".join(without_place))
    return figure


def zero_position(priors: pd.DataFrame) -> float:
    """Returns where a prior of zero is drawn, on both axes."""
    values = priors[["weak_prior", "strong_prior"]].to_numpy()
    # Two decades at least, so that few similar classes get ticks as well.
    return float(min(values[values > 0].min() / 3, values.max() / 100))


def named_classes(priors: pd.DataFrame) -> list[str]:
    """Chooses the classes that Figure 2 names.

    Returns:
      Mids, most important first: the largest priors, the most changed in either
      direction, the largest priors of classes that only one label set has, and
      all that changed more than ten times; at most `_MAX_NAMES`.
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
    return list(mids.head(_MAX_NAMES))


def _set_axes(
    axis: Axes, priors: pd.DataFrame, zero: float, num_clips: int
) -> None:
    """Sets scales, limits, ticks and titles."""
    largest = float(priors[["weak_prior", "strong_prior"]].max().max())
    limits = (zero / 1.5, min(largest * 2, 1.1))
    # Not powers computed by NumPy: with AVX-512 its 10.0 ** -1 is not 0.1.
    decades = [float(f"1e{exponent}") for exponent in range(-9, 1)]
    ticks = [zero, *(d for d in decades if zero * 2 < d < limits[1])]
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
        draw_line(zero * _ZERO_EDGE, color=_GREY, lw=0.6, ls=":")
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


def _draw_diagonals(axis: Axes, lower: float) -> _Floats:
    """Draws where a prior is unchanged, ten times as large, or a tenth.

    Returns:
      Points along what is written there, `[num_points, 2]`.
    """
    _, upper = axis.get_xlim()
    on_texts = []
    for ratio, text, style in (
        (_OUTLIER_RATIO, f"{_OUTLIER_RATIO:g}x", "--"),
        (1.0, "unchanged", "-"),
        (1 / _OUTLIER_RATIO, f"{1 / _OUTLIER_RATIO:g}x", "--"),
    ):
        # Diagonals say nothing about zeros, and stop at them.
        x = np.array([lower * max(1 / ratio, 1.0), upper])
        axis.plot(x, x * ratio, color=_GREY, lw=0.7, ls=style, zorder=1)
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
            color=_GREY,
            fontsize=8,
        )
        # "unchanged" is a quarter of a decade long; its middle is a little
        # above the line.
        along = end * np.geomspace(0.5, 1, 9)
        on_texts.append(np.stack([along, along * ratio * 1.1], axis=1))
    return np.concatenate(on_texts)


def _draw_points(
    axis: Axes,
    priors: pd.DataFrame,
    zero: float,
    music_mids: Collection[str] | None,
) -> _Floats:
    """Draws the classes; returns their `[num_classes, 2]` positions."""
    values = priors[["weak_prior", "strong_prior"]].to_numpy(np.float64)
    positions = np.where(values > 0, values, zero)  # [num_classes, 2]
    is_music = priors["mid"].isin(music_mids or ()).to_numpy()  # [num_classes]
    below = "below Music in the ontology"
    others = "classes" if music_mids is None else f"not {below}"
    for members, color, marker, text in (
        (~is_music, _BLUE, "o", others),
        (is_music, _ORANGE, "^", below),
    ):
        if not members.any():
            continue
        axis.scatter(
            positions[members, 0],
            positions[members, 1],
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


def _shorten(names: Sequence[str]) -> list[str]:
    """Cuts names at their first comma, unless two would be the same."""
    starts = [name.split(",")[0] for name in names]
    num_of_start = collections.Counter(starts)
    chosen = [
        start if num_of_start[start] == 1 else name
        for start, name in zip(starts, names, strict=True)
    ]
    return [
        name
        if len(name) <= _MAX_NAME_LETTERS
        else name[: _MAX_NAME_LETTERS - 1].rstrip(" ,") + "…"
        for name in chosen
    ]


def place_names(
    axis: Axes,
    names: Sequence[str],
    positions: _Floats,
    all_positions: _Floats,
    font_size: float = 7.0,
) -> list[str]:
    """Writes names beside their points, so that no two overlap.

    Each name tries places around its point and takes the one that is nearest
    and covers the fewest points. The result depends on the arguments alone, and
    no name covers another, both unlike adjustText's (BUILD_NOTES.md "Names in
    Figure 2"). The axes must have their final limits and place in the figure.

    Args:
      axis: Where to write.
      names: Most important first: they choose their places in this order.
      positions: float `[num_names, 2]`, the points, in data coordinates.
      all_positions: float `[num_points, 2]`, the points not to cover.
      font_size: In points.

    Returns:
      Names for which there was no free place.
    """
    points = axis.transData.transform(all_positions)  # [num_points, 2] pixels
    frame = axis.get_window_extent()
    taken: list[Bbox] = []
    without_place = []
    for name, position in zip(names, positions, strict=True):
        best, best_cost = None, np.inf
        for distance, place, box in _places(axis, name, position, font_size):
            is_inside = frame.containsx(box.x0) and frame.containsx(box.x1)
            is_inside &= frame.containsy(box.y0) and frame.containsy(box.y1)
            if not is_inside or any(box.overlaps(other) for other in taken):
                continue
            cost = distance + _COVER_COST * box.count_contains(points)
            if cost < best_cost:
                best, best_cost = (distance, place, box), cost
        if best is None:
            without_place.append(name)
            continue
        distance, place, box = best
        taken.append(box)
        line = {"arrowstyle": "-", "lw": 0.4, "color": "0.4"}
        axis.annotate(
            name,
            position,
            textcoords="offset points",
            fontsize=font_size,
            arrowprops=line if distance > _LINE_FROM else None,
            **place,
        )
    return without_place


def _places(
    axis: Axes, name: str, position: _Floats, font_size: float
) -> Iterator[tuple[float, dict[str, Any], Bbox]]:
    """Yields distance in points, annotation settings and box, nearest first."""
    drawn = axis.text(0, 0, name, fontsize=font_size)
    extent = drawn.get_window_extent()
    drawn.remove()
    # With a little space around it.
    size = np.array([extent.width + 8, extent.height + 2])
    pixels_per_point = axis.figure.dpi / 72
    centre = axis.transData.transform(position)
    # Share of the size that lies left of and below the anchor.
    share_of = {"left": 0, "bottom": 0, "center": 0.5, "right": 1, "top": 1}
    for distance, angle in itertools.product(_NAME_DISTANCES, _NAME_ANGLES):
        offset = distance * np.array([np.cos(angle), np.sin(angle)])
        x, y = np.round(offset, 6)
        # The side of the text that faces the point: by sign, 0, 1 or -1.
        horizontal = ("center", "left", "right")[int(np.sign(x))]
        vertical = ("center", "bottom", "top")[int(np.sign(y))]
        shares = np.array([share_of[horizontal], share_of[vertical]])
        lower = centre + offset * pixels_per_point - shares * size
        place = {"xytext": tuple(offset), "ha": horizontal, "va": vertical}
        yield distance, place, Bbox([lower, lower + size])


# --- Reliability -------------------------------------------------------------


def plot_reliability(
    curve: ReliabilityCurve, path: str | os.PathLike[str], items: str
) -> None:
    """Writes `reliability_figure` as a PNG; the folder exists."""
    save_figure(reliability_figure(curve, items), path)


def reliability_figure(curve: ReliabilityCurve, items: str) -> Figure:
    """Draws a reliability curve, scores against shares of positives.

    Args:
      curve: Of every class.
      items: What the items are, such as "label frames".

    Returns:
      The figure: its axes are the curve, pooled and of the middle half of the
      classes, and the number of items in each bin.
    """
    figure = Figure(figsize=(5, 6), layout="constrained")
    top, bottom = figure.subplots(
        2, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
    )
    pooled = curve.pooled()
    _draw_quartiles_of_classes(top, curve)
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
    errors = curve.calibration_errors()  # [num_classes], NaN without items
    errors = errors[~np.isnan(errors)]
    top.set_title(
        f"Expected calibration error {pooled.calibration_errors()[0]:.3f} "
        f"pooled,\n{errors.mean():.3f} mean of {errors.size} classes",
        fontsize="medium",
    )
    bottom.bar(
        pooled.bin_edges[:-1],
        pooled.num_items[0],
        width=np.diff(pooled.bin_edges),
        align="edge",
        color=_BLUE,
        edgecolor="white",
    )
    bottom.set_yscale("log")
    bottom.set_ylim(bottom=0.7)
    bottom.set(xlabel="score", ylabel=f"{items}\n× classes")
    for axis in (top, bottom):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_quartiles_of_classes(axis: Axes, curve: ReliabilityCurve) -> None:
    """Draws the middle half of the classes, where four or more have items."""
    # [num_classes, num_bins]
    shares = np.where(
        curve.num_items >= _MIN_ITEMS_OF_BIN, curve.positive_shares, np.nan
    )
    bins = np.flatnonzero((~np.isnan(shares)).sum(axis=0) >= 4)
    for i in bins:
        axis.fill_between(
            curve.bin_edges[i : i + 2],
            *np.nanquantile(shares[:, i], [0.25, 0.75]),
            color="#9a9a9a",
            alpha=0.35,
            linewidth=0,
            label="middle half of the classes" if i == bins[0] else None,
        )


# --- Scores of a clip --------------------------------------------------------


def scores_image(
    log_mel: np.ndarray,
    targets: np.ndarray,
    scores: np.ndarray,
    names: Sequence[str],
    label_frame_seconds: float,
    title: str,
) -> npt.NDArray[np.uint8]:
    """Draws the spectrogram of a clip above its targets and scores.

    Rows are the classes with a target, then those with the highest scores, up
    to `_NUM_ROWS`. Scores are shades, targets are boxes.

    Args:
      log_mel: float `[num_stft_frames, mel_bands]`, of the label frames below.
      targets: float `[num_label_frames, num_classes]`, 0 or 1.
      scores: float, same shape, in [0, 1].
      names: Of the classes.
      label_frame_seconds: Length of a label frame.
      title: What clip it is.

    Returns:
      uint8 `[height, width, 3]`, RGB, of a size that depends on the number of
      classes alone.
    """
    num_label_frames, num_classes = scores.shape
    by_score = np.lexsort((-scores.max(axis=0), -targets.max(axis=0)))
    rows = by_score[:_NUM_ROWS]
    seconds = num_label_frames * label_frame_seconds
    height = 2.3 + 0.2 * len(rows)  # inches
    figure = Figure(figsize=(8, height), dpi=100)
    canvas = FigureCanvasAgg(figure)
    # Fixed places: a layout that is computed takes longer than all the rest.
    edge, low = 0.55 / height, 0.2 * len(rows) / height
    top = figure.add_axes((0.24, edge + low + 0.06, 0.74, 1.3 / height))
    bottom = figure.add_axes((0.24, edge, 0.74, low))
    top.imshow(
        log_mel.T,
        aspect="auto",
        origin="lower",
        extent=(0, seconds, 0, log_mel.shape[1]),
    )
    top.set(ylabel="mel band", xticks=[])
    # Names are no mathematics, whatever dollar signs are in them.
    top.set_title(title, fontsize="medium", parse_math=False)
    bottom.imshow(
        scores[:, rows].T,
        aspect="auto",
        cmap="Blues",
        vmin=0,
        vmax=1,
        extent=(0, seconds, len(rows), 0),
        interpolation="nearest",
    )
    for frame, row in np.argwhere(targets[:, rows] > 0):
        bottom.add_patch(
            Rectangle(
                (frame * label_frame_seconds, row + 0.08),
                label_frame_seconds,
                0.84,
                fill=False,
                edgecolor=_ORANGE,
                linewidth=1.5,
            )
        )
    bottom.set_yticks(
        np.arange(len(rows)) + 0.5,
        _shorten([names[row] for row in rows]),
        fontsize="small",
        parse_math=False,
    )
    bottom.set(
        xlabel="seconds; shades are scores from 0 to 1, boxes are targets"
    )
    with warnings.catch_warnings():
        # Boxes stand for letters that the font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    image: npt.NDArray[np.uint8] = rgba[..., :3].copy()
    return image
