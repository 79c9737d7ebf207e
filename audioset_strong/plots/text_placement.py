"""Names beside points of a scatter plot, without overlaps.

Matplotlib places text where it is told. Here each name tries places around its
point, nearest first, and takes the one that covers the fewest points and no
other name; a name without such a place is left out and the caller is told.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

# Distances, in points (1/72 inch), and angles at which places are tried.
_DISTANCES = (5.0, 12.0, 20.0, 30.0, 42.0, 56.0)
_ANGLES = np.deg2rad(np.arange(0, 360, 30))
# A place further away than this gets a line to its point.
_LINE_FROM = 8.0
# How many points distance one covered point is worth.
_COVER_COST = 6.0


def place_names(
    axis: Axes,
    names: Sequence[str],
    positions: np.ndarray,
    all_positions: np.ndarray,
    font_size: float = 7.0,
) -> list[str]:
    """Writes names beside their points.

    The axes must have their final limits and place in the figure.

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
    taken: list[Bbox] = []
    without_place = []
    for name, position in zip(names, positions, strict=True):
        place = _best_place(axis, name, position, points, taken, font_size)
        if place is None:
            without_place.append(name)
            continue
        box, offset = place
        taken.append(box)
        is_far = np.hypot(*offset) > _LINE_FROM
        axis.annotate(
            name,
            position,
            xytext=tuple(offset),
            textcoords="offset points",
            fontsize=font_size,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "0.4"}
            if is_far
            else None,
            **_alignment(offset),
        )
    return without_place


def _best_place(
    axis: Axes,
    name: str,
    position: np.ndarray,
    points: np.ndarray,
    taken: Sequence[Bbox],
    font_size: float,
) -> tuple[Bbox, np.ndarray] | None:
    """Finds the cheapest free box, in pixels, and its offset in points."""
    pixels_per_point = axis.figure.dpi / 72
    size = _text_size(axis, name, font_size)
    centre = axis.transData.transform(position)
    frame = axis.get_window_extent()
    best, best_cost = None, np.inf
    for distance, angle in itertools.product(_DISTANCES, _ANGLES):
        offset = distance * np.array([np.cos(angle), np.sin(angle)])
        box = _box(centre + offset * pixels_per_point, size, offset)
        is_inside = frame.containsx(box.x0) and frame.containsx(box.x1)
        is_inside &= frame.containsy(box.y0) and frame.containsy(box.y1)
        if not is_inside or any(box.overlaps(other) for other in taken):
            continue
        cost = distance + _COVER_COST * box.count_contains(points)
        if cost < best_cost:
            best, best_cost = (box, offset), cost
    return best


def _text_size(axis: Axes, text: str, font_size: float) -> np.ndarray:
    """Measures text, in pixels, with a little space around it."""
    canvas = axis.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    drawn = axis.text(0, 0, text, fontsize=font_size)
    extent = drawn.get_window_extent(canvas.get_renderer())
    drawn.remove()
    return np.array([extent.width + 8, extent.height + 2])


def _alignment(offset: np.ndarray) -> dict[str, str]:
    """Says which side of the text lies at `offset` from its point."""
    x, y = np.round(offset, 6)
    horizontal = "center" if x == 0 else ("left" if x > 0 else "right")
    vertical = "center" if y == 0 else ("bottom" if y > 0 else "top")
    return {"ha": horizontal, "va": vertical}


def _box(anchor: np.ndarray, size: np.ndarray, offset: np.ndarray) -> Bbox:
    """Returns the text's box, given where its anchor is."""
    # Share of the size that lies left of and below the anchor.
    share_of = {"left": 0, "bottom": 0, "center": 0.5, "right": 1, "top": 1}
    sides = _alignment(offset)
    shares = np.array([share_of[sides["ha"]], share_of[sides["va"]]])
    lower = anchor - shares * size
    return Bbox([lower, lower + size])
