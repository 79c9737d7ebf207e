import matplotlib.image
import numpy as np
from test_thresholds import make_items

from audioset_strong.evaluation.thresholds import reliability_curve
from audioset_strong.plots import plot_reliability, reliability_figure


def _curve(num_classes=6):
    rng = np.random.default_rng(0)
    scores = rng.random((2000, num_classes))
    return reliability_curve(make_items(scores, rng.random(scores.shape) < 0.3))


def test_figure_shows_the_curve_and_the_counts(tmp_path):
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
    plot_reliability(curve, tmp_path / "R.png", "clips")
    assert matplotlib.image.imread(tmp_path / "R.png").std() > 0.01


def test_few_classes_have_no_middle_half():
    top, _ = reliability_figure(_curve(num_classes=2), "clips").axes
    assert len(top.collections) == 0
    assert len(top.get_legend().get_texts()) == 1


def test_empty_bins_are_gaps():
    items = make_items([[0.05], [0.95]], [[0], [1]])
    top, bottom = reliability_figure(reliability_curve(items), "clips").axes
    assert np.isnan(top.lines[1].get_ydata()).sum() == 8
    assert top.get_title().startswith("Expected calibration error 0.050")
