"""Figures of the experiments."""

import matplotlib.image

from experiments.table1_plot import plot_table1


def test_a_panel_for_each_metric_also_without_all_numbers(tmp_path):
    rows = [
        {
            "training_set": "Weak",
            "weak_d_prime": 1.5,
            "strong_d_prime": 1.0,
            "paper": {"weak_d_prime": 2.0, "strong_d_prime": 1.1},
        },
        {
            "training_set": "Strong",
            "weak_d_prime": None,
            "strong_d_prime": 1.2,
            "ranges": {"strong_d_prime": [1.1, 1.25]},
            "paper": {"strong_d_prime": 1.3},
        },
    ]
    path = tmp_path / "table1.png"
    plot_table1(rows, ["weak_d_prime", "strong_d_prime"], str(path))
    image = matplotlib.image.imread(path)
    assert image.shape[1] > image.shape[0] > 100
    assert image[..., :3].std() > 0.01
