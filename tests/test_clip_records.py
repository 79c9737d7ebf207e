"""One clip: what becomes of its audio, and what is told of it."""

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.decode import AudioError
from audioset_strong.params import AudioParams
from audioset_strong.records.plan import Clip, ShardSettings
from audioset_strong.records.shard import class_events, make_record


def _write(path, seconds, rate=16000, channels=1, level=0.1):
    shape = [round(seconds * rate), channels]
    samples = level * np.random.default_rng(0).standard_normal(shape)
    soundfile.write(path, samples, rate)
    return str(path)


def test_conversions_are_noted(tmp_path):
    path = _write(tmp_path / "a.wav", 1.0, rate=22050, channels=2)
    checked = make_record(Clip("a_0", path, 1.0, {}), ShardSettings())
    assert checked.notes == ["mixed to mono", "resampled"]
    assert checked.faults == {}
    assert checked.record.audio_seconds == pytest.approx(1.0, abs=1e-4)


def test_faults_that_are_kept_are_told(tmp_path):
    path = _write(tmp_path / "a.wav", 3.0, rate=8000)
    checked = make_record(Clip("a_0", path, 10.0, {}), ShardSettings())
    assert list(checked.faults) == ["short", "low_rate"]
    assert "10 s expected" in checked.faults["short"]


def test_faults_that_are_left_out_give_the_reason(tmp_path):
    path = _write(tmp_path / "a.wav", 10.0, level=0.0)
    with pytest.raises(AudioError) as caught:
        make_record(Clip("a_0", path, 10.0, {}), ShardSettings())
    assert caught.value.reason == "silent"
    assert caught.value.detail.startswith(f"{path}: peak of -inf dBFS")
    kept = ShardSettings(audio=AudioParams(leave_out_silent=False))
    checked = make_record(Clip("a_0", path, 10.0, {}), kept)
    assert list(checked.faults) == ["silent"]


def test_a_clip_without_audio():
    with pytest.raises(AudioError, match="missing: no audio file"):
        make_record(Clip("a_0", "", 10.0, {}), ShardSettings())


def test_one_patch_is_needed(tmp_path):
    path = _write(tmp_path / "a.wav", 0.5)
    with pytest.raises(AudioError, match="too_short: .* has 0.500 s"):
        make_record(Clip("a_0", path, 10.0, {}), ShardSettings())


def test_events_become_arrays():
    events = class_events([(3, 0.5, 1.0), (0, 2.0, 10.0)])
    assert events.event_class.tolist() == [3, 0]
    assert events.event_class.dtype == np.int64
    assert events.offset_seconds.tolist() == [1.0, 10.0]
    assert class_events([]).onset_seconds.shape == (0,)
