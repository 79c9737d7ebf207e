"""Log-mel features: NumPy, TensorFlow and the definition agree."""

import numpy as np
import pytest
import tensorflow as tf
from reference.log_mel_reference import log_mel_reference

from audioset_strong.audio import log_mel_graph
from audioset_strong.audio.log_mel import (
    hann_window,
    mel_matrix,
    waveform_to_log_mel,
)
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

_PARAMS = FeatureParams()


def _waveforms():
    rng = np.random.default_rng(0)
    time = np.arange(16000) / 16000
    return {
        "noise": (0.2 * rng.standard_normal(16000)).astype(np.float32),
        "faint": (1e-3 * rng.standard_normal(16000)).astype(np.float32),
        "chirp": (0.9 * np.sin(2 * np.pi * 3500 * time**2)).astype(np.float32),
    }


@pytest.mark.parametrize("name", ["noise", "faint", "chirp"])
def test_numpy_equals_the_definition(name):
    waveform = _waveforms()[name][1000 : 1000 + 400 + 2 * 160 + 50]
    expected = np.array(log_mel_reference(waveform))
    assert expected.shape == (3, 64)
    found = waveform_to_log_mel(waveform, _PARAMS)
    # float32 against double precision: beside a loud tone, magnitudes of a
    # quiet band are off by 1e-5 or less, which is 1e-3 of the offset.
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(found.mean(), expected.mean(), atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        _PARAMS,
        FeatureParams(log_offset=0.001),
        FeatureParams(mel_bands=40, mel_min_hz=0.0, mel_max_hz=8000.0),
    ],
    ids=["default", "offset", "bands"],
)
def test_tensorflow_equals_numpy(params):
    for waveform in _waveforms().values():
        in_graph = tf.function(log_mel_graph.waveform_to_log_mel)(
            tf.constant(waveform), params
        )
        # Another FFT and another order of additions.
        np.testing.assert_allclose(
            in_graph.numpy(), waveform_to_log_mel(waveform, params), atol=1e-4
        )


@pytest.mark.parametrize(
    ("num_samples", "num_stft_frames"),
    [
        (0, 0),
        (399, 0),
        (400, 1),
        (559, 1),
        (560, 2),
        (15599, 95),
        (15600, 96),  # 0.975 s: one patch
        (160000, 998),  # ten seconds
    ],
)
def test_nothing_is_padded(num_samples, num_stft_frames):
    assert _PARAMS.num_stft_frames(num_samples) == num_stft_frames
    log_mel = waveform_to_log_mel(np.zeros(num_samples, np.float32), _PARAMS)
    assert log_mel.shape == (num_stft_frames, 64)
    assert log_mel.dtype == np.float32
    if num_samples < 400:
        return  # the graph version takes one STFT window or more
    in_graph = log_mel_graph.waveform_to_log_mel(
        tf.zeros([num_samples]), _PARAMS
    )
    assert in_graph.shape == (num_stft_frames, 64)


def test_silence_is_the_log_of_the_offset():
    params = FeatureParams(log_offset=0.001)
    log_mel = waveform_to_log_mel(np.zeros(4000, np.float32), params)
    np.testing.assert_allclose(log_mel, np.log(0.001), rtol=1e-6)


def test_mel_matrix():
    matrix = mel_matrix(_PARAMS)
    assert matrix.shape == (257, 64)
    assert matrix.min() == 0
    assert matrix.max() <= 1
    assert (matrix[0] == 0).all()
    # Triangles of neighbours add up to 1 between the outermost centres.
    np.testing.assert_allclose(matrix[12:220].sum(axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


def test_hann_window_is_periodic():
    np.testing.assert_allclose(hann_window(4), [0, 0.5, 1, 0.5], atol=1e-7)


def test_impossible_settings_and_stereo_are_refused():
    for mel_min_hz, mel_max_hz in ((125, 8001), (-1, 7500), (7500, 7500)):
        params = FeatureParams(mel_min_hz=mel_min_hz, mel_max_hz=mel_max_hz)
        with pytest.raises(InputError, match="Expected 0 <= mel_min_hz"):
            waveform_to_log_mel(np.zeros(400, np.float32), params)
    with pytest.raises(InputError, match=r"shape=\(400, 2\)"):
        waveform_to_log_mel(np.zeros((400, 2), np.float32), _PARAMS)
