"""Names beside points: they stay apart, inside, and off the points."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from audioset_strong.plots import place_names


def _axis():
    figure = Figure(figsize=(5, 5), dpi=100)
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.1, 0.1, 0.85, 0.85))
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    return axis


def _boxes(axis):
    axis.figure.canvas.draw()  # annotations are put in place only then
    renderer = axis.figure.canvas.get_renderer()
    # Of the text alone; an annotation's own method adds its line.
    return [Text.get_window_extent(text, renderer) for text in axis.texts]


def test_names_of_crowded_points_do_not_overlap():
    axis = _axis()
    points = np.random.default_rng(0).normal(0.5, 0.04, (15, 2))
    names = [f"point number {i}" for i in range(15)]
    assert place_names(axis, names, points, points) == []
    assert [text.get_text() for text in axis.texts] == names
    frame = axis.get_window_extent()
    for box in _boxes(axis):
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1
    for one, other in itertools.combinations(_boxes(axis), 2):
        assert not one.overlaps(other)


def test_a_single_name_covers_no_point():
    axis = _axis()
    # A wall of points to the right of the first, which is the nearest place.
    wall = np.column_stack([np.linspace(0.52, 0.8, 40), np.full(40, 0.5)])
    points = np.vstack([[[0.5, 0.5]], wall])
    place_names(axis, ["a name"], points[:1], points)
    pixels = axis.transData.transform(points)
    assert _boxes(axis)[0].count_contains(pixels) == 0


def test_names_without_a_place_are_returned():
    axis = _axis()
    points = np.full((200, 2), 0.5)
    names = [f"the same place {i}" for i in range(200)]
    without = place_names(axis, names, points, points)
    assert 0 < len(without) < 200
    # The most important, which come first, have a place.
    assert names[0] not in without
    assert len(axis.texts) == 200 - len(without)
