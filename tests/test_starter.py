"""The small model of the package runs, and knows its classes."""

import numpy as np
import pytest

from audioset_strong.simulation.sources import (
    ESC50_CLASSES,
    read_esc50_clips,
    split_recordings,
)


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
    clips = read_esc50_clips(esc50_dir)
    split_of = split_recordings(clips)
    # None that training soundscapes hold sounds of.
    heard = [clip for clip in clips if split_of[clip.recording] == "eval"][::9]
    num_right = 0
    for clip in heard:
        scores = starter.score(clip.path).scores.mean(axis=0)[columns]
        num_right += mids[scores.argmax()] == mid_of[clip.category]
    # Of 49 recordings, one of 50 classes each; chance finds one.
    assert num_right > 0.4 * len(heard), num_right
