"""The recipe experiment: its options are settings, its intervals are right."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from audioset_strong.params import RecipeParams, TrainParams
from experiments.recipe_table import METRICS, OPTIONS, format_table, summarise


def test_options_are_settings():
    known = {
        field.name
        for params in (RecipeParams, TrainParams)
        for field in dataclasses.fields(params)
    }
    for settings in OPTIONS.values():
        assert set(settings) <= known


def _results(values):
    """`values` are those of both metrics, by option, seed by seed."""
    return [
        {
            "point": {"option": option, "seed": seed},
            "values": dict.fromkeys(METRICS, value),
        }
        for option, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]


def test_intervals_pair_seeds_and_pool_options():
    plain, mixup, gain = [1.0, 1.2, 0.9], [1.1, 1.35, 1.05], [0.9, 1.1, 0.8]
    rows = summarise(_results({"gain": gain, "plain": plain, "mixup": mixup}))
    assert [row["option"] for row in rows] == ["plain", "mixup", "gain"]
    assert rows[0]["strong_d_prime"] == pytest.approx(np.mean(plain))
    assert "strong_d_prime_change" not in rows[0]
    changes = np.subtract([mixup, gain], plain)
    spread = np.sqrt(changes.var(axis=1, ddof=1).mean())
    width = stats.t.ppf(0.975, 4) * spread / np.sqrt(3)
    for row, change in zip(rows[1:], changes.mean(axis=1)):
        assert row["strong_lwlrap_change"] == pytest.approx(change)
        assert row["strong_lwlrap_interval"] == pytest.approx(
            [change - width, change + width]
        )
    table = format_table(rows)
    assert "| plain | 3 | 1.033 | - | 1.033 | - |" in table
    assert f"| mixup | 3 | 1.167 | +0.133 [{0.1333 - width:+.3f}, " in table


def test_one_seed_has_no_interval():
    rows = summarise(_results({"plain": [1.0], "step": [1.5]}))
    assert rows[1]["strong_d_prime_change"] == 0.5
    assert rows[1]["strong_d_prime_interval"] is None
    assert "| step | 1 | 1.500 | +0.500 |" in format_table(rows)
