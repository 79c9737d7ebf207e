"""Clips drawn during training: which, when, and what is seen."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_release import HELD_OUT

from audioset_strong import plots
from audioset_strong.params import TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.training.shown_clips import draw_clips, is_drawn_at


@pytest.mark.parametrize(
    ("num_steps", "interval", "expected"),
    [
        (30, 10, [10, 20, 30]),
        (35, 10, [10, 20, 30, 35]),
        (5, 1000, [5]),
        (2_000_000, 1000, list(range(200_000, 2_000_001, 200_000))),
        (
            25_500,
            1000,
            [3000, 6000, 9000, 12000, 15000, 18000, 21000, 24000, 25500],
        ),
    ],
)
def test_about_ten_times_a_run(num_steps, interval, expected):
    params = TrainParams(
        num_steps=num_steps, checkpoint_interval_steps=interval
    )
    validated = [*range(interval, num_steps, interval), num_steps]
    found = [step for step in validated if is_drawn_at(step, params)]
    assert found == expected


def test_the_same_clips_each_time(tiny_records_dir, monkeypatch):
    drawn = []

    def draw(log_mel, targets, scores, names, seconds, title):
        drawn.append((log_mel.shape, title))
        assert names == ("tone_low", "tone_high", "noise", "never")
        # The tone sounds from 2 to 6 s, the noise always.
        tone = targets[:, :2].max(axis=1)
        assert tone.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
        assert targets[:, 2].all()
        assert scores.shape == targets.shape
        assert seconds == 0.96
        # Loudest where the tone is.
        loudness = log_mel.reshape(10, 96 * 64).mean(axis=1)
        assert loudness[tone == 1].min() > loudness[tone == 0].max() - 0.5
        return np.zeros([8, 9, 3], np.uint8)

    monkeypatch.setattr(plots, "scores_image", draw)
    records = read_records(tiny_records_dir)
    for _ in range(2):
        images = draw_clips(
            lambda patches: tf.zeros([len(patches), 4]), records, "strong"
        )
        assert images.shape == (3, 8, 9, 3)
    assert drawn[:3] == drawn[3:]
    titles = {title for _, title in drawn}
    assert len(titles) == 3
    assert titles <= {f"{ytid}_30000" for ytid in HELD_OUT}
    assert {shape for shape, _ in drawn} == {(960, 64)}
