"""Metrics of a run: each step once, in both places, whatever happened."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorboard_points import read_events, read_points

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.training.metrics_log import MetricsLog, read_metrics


def _log(log, steps, rate=100.0):
    """Steps as a run logs them, with a validation each tenth."""
    for step in steps:
        log.write(step, {"loss": 1 / step, "examples_per_second": rate})
        if step % 10 == 0:
            log.write(step, {"validation_d_prime": step / 7})
            image = np.full([2, 4, 6, 3], step, np.uint8)
            log.write_images(step, "clips", image)


def _without_rates(points):
    return {n: v for n, v in points.items() if n != "examples_per_second"}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A workdir with the metrics of 30 steps."""
    workdir = tmp_path_factory.mktemp("unbroken")
    _log(MetricsLog(str(workdir), 0), range(1, 31))
    return workdir


def test_both_places_have_the_same(unbroken):
    lines = read_metrics(str(unbroken / "metrics.jsonl"))
    points = read_points(unbroken)
    for name in ("loss", "examples_per_second", "validation_d_prime"):
        logged = [(m["step"], m[name]) for m in lines if name in m]
        assert points[name] == [
            (step, pytest.approx(value)) for step, value in logged
        ]
    assert [step for step, _ in points["loss"]] == list(range(1, 31))
    for (step, value), expected in zip(points["clips"], (10, 20, 30)):
        width, height, *images = value
        assert (step, width, height, len(images)) == (expected, b"6", b"4", 2)
        assert (tf.image.decode_png(images[1]).numpy() == step).all()


def test_a_run_killed_many_times_leaves_the_same(unbroken, tmp_path):
    # Killed after `last`; its last checkpoint was that of `resumed`.
    resumed = 0
    for rate, last in enumerate([4, 13, 11, 20, 29, 24, 30]):
        _log(MetricsLog(str(tmp_path), resumed), range(resumed + 1, last), rate)
        with open(tmp_path / "metrics.jsonl", "a") as file:
            file.write('{"step": 31, "lo')  # while writing
        resumed = (last - 1) // 10 * 10
    log = MetricsLog(str(tmp_path), resumed)
    _log(log, range(resumed + 1, 31))
    assert _without_rates(read_points(tmp_path)) == _without_rates(
        read_points(unbroken)
    )
    lines, expected = (
        [_without_rates(m) for m in read_metrics(str(folder / "metrics.jsonl"))]
        for folder in (tmp_path, unbroken)
    )
    assert lines == expected
    # One file of all that was before, and one of this start.
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def _times(workdir):
    events = read_events(workdir).Tensors("loss")
    return [event.wall_time for event in events]


@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped", "gone"])
def test_lost_events_come_from_the_metrics(damage, tmp_path, caplog):
    _log(MetricsLog(str(tmp_path), 0), range(1, 15))
    whole, times = read_points(tmp_path), _times(tmp_path)
    [path] = (tmp_path / "tensorboard").iterdir()
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        path.write_bytes(
            {
                "cut": content[:middle],
                "emptied": b"",
                "flipped": content[:middle] + b"\0" + content[middle + 1 :],
            }[damage]
        )
    MetricsLog(str(tmp_path), 12)
    found = read_points(tmp_path)
    for name in ("loss", "examples_per_second", "validation_d_prime"):
        assert found[name] == [(s, v) for s, v in whole[name] if s <= 12]
    assert "again, from metrics.jsonl" in caplog.text
    if damage in ("cut", "flipped"):
        # What could be read is as it was.
        assert _times(tmp_path)[:3] == times[:3]


def test_points_keep_their_time(tmp_path, caplog):
    _log(MetricsLog(str(tmp_path), 0), range(1, 6))
    times = _times(tmp_path)
    MetricsLog(str(tmp_path), 4)
    assert _times(tmp_path) == times[:4]
    # And a new run begins with nothing.
    MetricsLog(str(tmp_path), 0)
    assert read_points(tmp_path) == {}
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    assert not caplog.text


def test_no_metrics_are_no_line(tmp_path):
    MetricsLog(str(tmp_path), 0).write(5, {})
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    log = MetricsLog(str(tmp_path), 0)
    full = pytest.raises(
        InputError, match=r"not be written to .* \(No space left on device\)"
    )

    def refuse(*_, **__):
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{node x}} events; No space left on device\n\tFailed"
        )

    with monkeypatch.context() as patch, full:
        patch.setattr(tf.summary, "scalar", refuse)
        log.write(1, {"loss": 0.5})
    with monkeypatch.context() as patch, full:
        patch.setattr(tf.summary, "image", refuse)
        log.write_images(1, "clips", np.zeros([1, 2, 2, 3], np.uint8))

    def refuse_file(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, full:
        patch.setattr(files, "open_output", refuse_file)
        MetricsLog(str(tmp_path), 1)
    lines = read_metrics(str(tmp_path / "metrics.jsonl"))
    assert lines == [{"step": 1, "loss": 0.5}]
