"""The small model of the package runs, and knows its classes."""

import csv

import numpy as np
import pytest

from audioset_strong.simulation.sources import ESC50_CLASSES


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


def test_it_hears_real_recordings(starter, esc50_dir):
    mid_of = {name: c.mid for name, c in ESC50_CLASSES.items()}
    metadata = starter.metadata
    columns = [metadata.class_map.index_of_mid[mid] for mid in mid_of.values()]
    mids = list(mid_of.values())
    with open(esc50_dir / "meta" / "esc50.csv", newline="") as file:
        rows = list(csv.DictReader(file))[::37]
    num_right = 0
    for row in rows:
        path = str(esc50_dir / "audio" / row["filename"])
        scores = starter.score(path).scores.mean(axis=0)[columns]
        num_right += mids[scores.argmax()] == mid_of[row["category"]]
    # Of 48 recordings, one of 50 classes each; chance finds one.
    assert num_right > len(rows) / 2, num_right
