"""The small model of the package runs, and knows its classes."""

import pathlib
import sys

import forked
import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def starter():
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from audioset_strong.inference.sound_model import load_model

    return load_model()


def test_it_carries_classes_thresholds_and_origin(starter):
    metadata = starter.metadata
    assert metadata.class_map.num_classes == len(metadata.thresholds) == 82
    assert metadata.licence == "CC-BY-4.0"
    assert metadata.training["step"] == 5000
    scores = starter.score(np.zeros(16000 * 3, np.float32)).scores
    assert scores.max() < 0.5


def test_it_hears_real_recordings_as_the_results_say(starter, esc50_dir):
    finished = forked.run(
        [
            *(sys.executable, "-m", "experiments.real_recordings"),
            f"--esc50_dir={esc50_dir}",
        ],
        capture_output=True,
        text=True,
        cwd=_ROOT,
    )
    assert finished.returncode == 0, finished.stderr
    line = finished.stdout.splitlines()[-1]
    _, _, num_clips, right, d_prime, _ = line.split("|")
    assert int(num_clips) == 439
    # Other processors may name some otherwise.
    assert float(right) == pytest.approx(0.56, abs=0.02)
    assert float(d_prime) == pytest.approx(2.34, abs=0.03)
