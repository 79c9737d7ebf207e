"""Figure 2, the names in it, reliability curves, and scores of a clip."""

import itertools

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_thresholds import make_items

from audioset_strong import plots
from audioset_strong.evaluation.thresholds import reliability_curve
from audioset_strong.plots import (
    named_classes,
    place_names,
    priors_figure,
    reliability_figure,
    save_figure,
    scores_image,
    zero_position,
)


def _priors(rows):
    table = pd.DataFrame(rows, columns=["mid", "weak_prior", "strong_prior"])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = table["strong_prior"] / table["weak_prior"]
    return table.assign(prior_ratio=ratio)


@pytest.fixture
def priors():
    return _priors(
        [
            ("/m/grown", 0.003, 0.3),
            ("/m/same", 0.02, 0.02),
            ("/m/dropped", 0.4, 0.006),
            ("/m/not_strong", 0.05, 0.0),
            ("/m/not_weak", 0.0, 0.08),
            ("/m/nothing", 0.0, 0.0),
            ("/m/drum", 0.01, 0.0),
        ]
    )


def _points(axis):
    offsets = [c.get_offsets().data for c in axis.collections]
    return sorted(map(tuple, np.concatenate(offsets)))


def test_points_are_the_priors_and_zeros_are_below_all(priors):
    (axis,) = priors_figure(priors, 1000).axes
    zero = zero_position(priors)
    assert zero < 0.003
    expected = [
        (0.003, 0.3),
        (0.02, 0.02),
        (0.4, 0.006),
        (0.05, zero),
        (zero, 0.08),
        (0.01, zero),
    ]
    np.testing.assert_allclose(_points(axis), sorted(expected))
    for get_limits, scale in (
        (axis.get_xlim, axis.get_xscale()),
        (axis.get_ylim, axis.get_yscale()),
    ):
        low, high = get_limits()
        assert scale == "log"
        assert low < zero
        assert high > 0.4


def test_the_tick_of_zeros_says_zero(priors):
    figure = priors_figure(priors, 1234)
    figure.canvas.draw()
    (axis,) = figure.axes
    texts = {
        tick.get_position()[0]: tick.get_text()
        for tick in axis.get_xticklabels()
    }
    # Exactly so on every CPU, with and without AVX-512.
    assert zero_position(priors) == 0.001
    assert texts == {0.001: "0", 0.01: "0.01", 0.1: "0.1"}
    assert "weak labels (share of 1,234 clips)" in axis.get_xlabel()
    assert "strong labels" in axis.get_ylabel()


def test_classes_below_music_have_their_own_points(priors):
    (axis,) = priors_figure(priors, 1000, music_mids={"/m/drum"}).axes
    others, music = axis.collections
    assert len(others.get_offsets()) == 5
    np.testing.assert_allclose(
        music.get_offsets().data, [(0.01, zero_position(priors))]
    )
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend[1] == "below Music in the ontology (1)"


def test_outliers_are_named_and_names_shortened(priors):
    names = {"/m/grown": "Male speech, man speaking", "/m/same": "Inside, a"}
    names |= {"/m/drum": "Inside, b", "/m/not_weak": "A very long name " * 3}
    figure = priors_figure(priors, 1000, lambda mid: names.get(mid, mid))
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"Male speech", "/m/dropped", "/m/not_strong"} <= texts
    # Two classes would be "Inside".
    assert "Inside, a" in texts
    assert any(text.startswith("A very long name") for text in texts)
    assert max(map(len, texts)) <= 26


def test_names_leave_what_is_written_along_the_lines_free():
    rows = [("/m/loud", 0.5, 0.6), ("/m/rare", 0.001, 0.001)]
    figure = priors_figure(_priors(rows), 1000, lambda mid: mid[3:])
    figure.canvas.draw()
    places = {t.get_text().strip(): t for t in figure.axes[0].texts}
    # The text rises from the lower left of its box to the upper right.
    box = places["unchanged"].get_window_extent()
    along = np.linspace(box.min, box.max, 50)
    name = places["loud"].get_window_extent()
    assert name.count_contains(along) == 0


def test_which_classes_are_named():
    rows = [(f"/m/same{i}", 0.01, 0.01 + i * 1e-5) for i in range(1, 60)]
    rows += [(f"/m/up{i}", 0.0001, 0.002 + i * 1e-5) for i in range(12)]
    rows += [("/m/down", 0.009, 0.0008), ("/m/loud", 0.5, 0.5)]
    named = named_classes(_priors(rows))
    assert named[0] == "/m/loud"
    assert "/m/down" in named
    # All twelve that grew twenty times, and no more than the most extreme of
    # those that stayed.
    assert sum(mid.startswith("/m/up") for mid in named) == 12
    assert sum(mid.startswith("/m/same") for mid in named) == 4
    assert len(named) == len(set(named))


def test_png_is_written(priors, tmp_path):
    path = tmp_path / "figure2.png"
    save_figure(priors_figure(priors, 1000), path)
    image = matplotlib.image.imread(path)
    assert min(image.shape[:2]) > 800
    assert image[..., :3].std() > 0.01
    assert [p.name for p in tmp_path.iterdir()] == ["figure2.png"]


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


def _curve(num_classes=6):
    rng = np.random.default_rng(0)
    scores = rng.random((2000, num_classes))
    return reliability_curve(make_items(scores, rng.random(scores.shape) < 0.3))


def test_figure_shows_the_curve_and_the_counts():
    curve = _curve()
    top, bottom = reliability_figure(curve, "clips").axes
    pooled = top.lines[1]
    np.testing.assert_allclose(
        pooled.get_ydata(), curve.pooled().positive_shares[0]
    )
    assert len(top.collections) == 10  # the middle half, a bin each
    heights = [bar.get_height() for bar in bottom.patches]
    assert heights == curve.pooled().num_items[0].tolist()
    assert bottom.get_ylabel().startswith("clips")


def test_few_classes_have_no_middle_half_and_empty_bins_are_gaps():
    items = make_items([[0.05], [0.95]], [[0], [1]])
    top, bottom = reliability_figure(reliability_curve(items), "clips").axes
    assert len(top.collections) == 0
    assert np.isnan(top.lines[1].get_ydata()).sum() == 8
    assert top.get_title().startswith("Expected calibration error 0.050")


@pytest.mark.parametrize("num_classes", [3, 40])
def test_scores_of_a_clip(num_classes, monkeypatch):
    rng = np.random.default_rng(0)
    targets = np.zeros([6, num_classes])
    targets[2:4, 1] = 1
    scores = rng.uniform(0, 0.3, targets.shape)
    scores[5, 2] = 0.9
    figures = []
    monkeypatch.setattr(
        plots, "Figure", lambda **s: figures.append(Figure(**s)) or figures[-1]
    )
    image = scores_image(
        rng.normal(size=[576, 64]),
        targets,
        scores,
        [f"Class {i}, and so on" for i in range(num_classes)],
        0.96,
        "clip_0",
    )
    assert image.dtype == np.uint8
    assert image.shape[1:] == (800, 3)
    assert 20 < image.std() < 120
    top, bottom = figures[0].axes
    assert top.get_title() == "clip_0"
    assert top.get_xlim() == bottom.get_xlim() == (0, pytest.approx(5.76))
    # The class that is there first, then the one with the highest score.
    rows = [text.get_text() for text in bottom.get_yticklabels()]
    assert rows[:2] == ["Class 1", "Class 2"]
    assert len(rows) == min(num_classes, 8)
    boxes = [box.get_xy() for box in bottom.patches]
    assert boxes == [(pytest.approx(t * 0.96), 0.08) for t in (2, 3)]
    # All of it is inside the image.
    figures[0].canvas.draw()
    frame = figures[0].bbox
    for axis in (top, bottom):
        box = axis.get_tightbbox()
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1


def test_names_of_any_letters_are_drawn(recwarn):
    targets = np.eye(3)
    names = ["Cash: $x^{ and $", "鳥の声", "a\\b_c %"]
    image = scores_image(
        np.zeros([288, 64]), targets, targets, names, 0.96, "$"
    )
    assert image.std() > 20
    assert not recwarn.list
