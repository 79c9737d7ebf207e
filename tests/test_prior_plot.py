"""Figure 2: the points are the priors, zeros lie at the edges."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from audioset_strong.plots import (
    named_classes,
    plot_priors,
    priors_figure,
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
    assert texts[zero_position(priors)] == "0"
    assert texts[0.1] == "0.1"
    assert "weak labels (share of 1,234 clips)" in axis.get_xlabel()
    assert "strong labels" in axis.get_ylabel()


def test_diagonals_are_1_10_and_a_tenth(priors):
    (axis,) = priors_figure(priors, 1000).axes
    ratios = [
        line.get_ydata() / line.get_xdata()
        for line in axis.lines
        if len(set(line.get_xdata())) > 1 and len(set(line.get_ydata())) > 1
    ]
    np.testing.assert_allclose(
        sorted(ratio[0] for ratio in ratios), [0.1, 1.0, 10.0]
    )


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
    plot_priors(priors, 1000, str(path), music_mids={"/m/drum"})
    image = matplotlib.image.imread(path)
    assert min(image.shape[:2]) > 800
    assert image[..., :3].std() > 0.01
    assert [p.name for p in tmp_path.iterdir()] == ["figure2.png"]
