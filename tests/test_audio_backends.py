"""Both backends by name, and a wrong name."""

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.backends import AUDIO_BACKENDS, compute_log_mel
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams


@pytest.fixture
def path(tmp_path):
    samples = 0.1 * np.random.default_rng(0).standard_normal(32000)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    return str(tmp_path / "a.wav")


@pytest.mark.parametrize("backend", AUDIO_BACKENDS)
def test_features_are_of_the_start_of_the_file(path, backend):
    if backend == "tfio":
        pytest.importorskip("tensorflow_io")
    audio, log_mel = compute_log_mel(path, 1.5, FeatureParams(), backend)
    expected, _ = soundfile.read(path, dtype="float32", frames=24000)
    np.testing.assert_array_equal(audio.waveform, expected)
    np.testing.assert_allclose(
        log_mel, waveform_to_log_mel(expected, FeatureParams()), atol=1e-3
    )
    assert audio.file_seconds == 2.0


def test_an_unknown_backend(path):
    with pytest.raises(InputError, match=r"\['soundfile', 'tfio'\].*'sox'"):
        compute_log_mel(path, 10.0, FeatureParams(), "sox")
