"""Log-mel features as bytes, and how much 8 bits lose."""

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams
from audioset_strong.records.schema import (
    StoredLogMel,
    cut_bytes,
    decode_all_rows,
    decode_first_rows,
    encode_log_mel,
    to_float32,
)

_FEATURES = FeatureParams()
_DTYPES = ("float16", "uint8")


def _log_mel(num_stft_frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(-2, 3, [num_stft_frames, 64]).astype(np.float32)


def _decoded(stored, dtype):
    values = decode_all_rows(tf.constant(stored.values), _FEATURES, dtype)
    if stored.step is None:
        return to_float32(StoredLogMel(values)).numpy()
    numbers = tf.constant(stored.minimum), tf.constant(stored.step)
    return to_float32(StoredLogMel(values, *numbers)).numpy()


def test_float16_is_rounded_to_half_precision():
    log_mel = _log_mel(20)
    stored = encode_log_mel(log_mel, "float16")
    assert stored == (log_mel.astype("<f2").tobytes(), None, None)
    np.testing.assert_array_equal(
        _decoded(stored, "float16"), log_mel.astype(np.float16)
    )


def test_levels_by_hand():
    # From -1 to 254 a step is 1, so level 0 is -1 and level 255 is 254.
    values = np.array([[-1.0, 0.4, 0.6, 254.0]], np.float32)
    stored = encode_log_mel(values, "uint8")
    assert stored == (bytes([0, 1, 2, 255]), -1.0, 1.0)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        (3, 64),
        # Any log of a magnitude, with room; no subnormal numbers, which
        # TensorFlow takes for zero.
        elements=st.floats(
            -50, 50, width=32, allow_subnormal=False, allow_nan=False
        ),
    )
)
def test_8_bits_are_half_a_step_away_at_most(log_mel):
    stored = encode_log_mel(log_mel, "uint8")
    assert stored.minimum == log_mel.min()
    error = np.abs(_decoded(stored, "uint8") - log_mel).max()
    # And the rounding of two float32 operations on values of 50.
    assert error <= stored.step / 2 + 1e-5


def test_a_clip_of_one_value_is_exact():
    silence = np.full([96, 64], np.log(0.01), np.float32)
    stored = encode_log_mel(silence, "uint8")
    assert stored.step == 0
    np.testing.assert_array_equal(_decoded(stored, "uint8"), silence)


def test_8_bits_of_real_recordings(esc50_dir):
    squared, largest = [], 0.0
    for path in sorted((esc50_dir / "audio").iterdir())[::60]:
        waveform, _ = soundfile.read(path, dtype="float32", always_2d=True)
        log_mel = waveform_to_log_mel(waveform[:, 0], _FEATURES)
        error = _decoded(encode_log_mel(log_mel, "uint8"), "uint8") - log_mel
        largest = max(largest, np.abs(error).max())
        squared.append(np.mean(error**2))
    # What the module says: 0.019 and 0.0078, in natural-log units.
    assert largest < 0.025
    assert 0.004 < np.sqrt(np.mean(squared)) < 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_no_level(value):
    log_mel = _log_mel(3)
    log_mel[1, 2] = value
    with pytest.raises(InputError, match="finite"):
        encode_log_mel(log_mel, "uint8")


@pytest.mark.parametrize("dtype", ["int8", "float32", ""])
def test_unknown_dtypes(dtype):
    with pytest.raises(InputError, match=r"\['float16', 'uint8'\]"):
        encode_log_mel(_log_mel(2), dtype)


@pytest.mark.parametrize("dtype", _DTYPES)
def test_patches_are_slices(dtype):
    stored = [encode_log_mel(_log_mel(n, n), dtype) for n in (96, 150, 998)]
    starts = [0, 54, 901]
    patches = cut_bytes(
        tf.constant([s.values for s in stored]),
        tf.constant(starts, tf.int64),
        _FEATURES,
        dtype,
    )
    for data, start, patch in zip(stored, starts, patches):
        values = decode_all_rows(tf.constant(data.values), _FEATURES, dtype)
        np.testing.assert_array_equal(patch, values[start : start + 96])


@pytest.mark.parametrize("dtype", _DTYPES)
def test_first_rows_of_shorter_and_longer_clips(dtype):
    stored = [encode_log_mel(_log_mel(n, n), dtype) for n in (5, 12, 20)]
    data = tf.constant([s.values for s in stored])
    rows = decode_first_rows(data, 12, _FEATURES, dtype).numpy()
    assert rows.shape == (3, 12, 64)
    for number, clip in enumerate(stored):
        values = decode_all_rows(tf.constant(clip.values), _FEATURES, dtype)
        expected = np.zeros([12, 64], rows.dtype)
        expected[: len(values)] = values[:12]
        np.testing.assert_array_equal(rows[number], expected)
