"""Records: written and framed without TensorFlow, read back by TensorFlow."""

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
from audioset_strong.records.parse import (
    cut_bytes,
    decode_first_rows,
    parse_records,
    to_float32,
)
from audioset_strong.records.schema import (
    ClassEvents,
    ClipRecord,
    StoredLogMel,
    encode_log_mel,
    frame_record,
    read_frames,
    serialize_record,
)

_PARAMS = FeatureParams()
_DTYPES = ("float16", "uint8")


def _log_mel(num_stft_frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(-2, 3, [num_stft_frames, 64]).astype(np.float32)


def _events(*rows):
    classes, onsets, offsets = zip(*rows) if rows else ((), (), ())
    return ClassEvents(
        np.array(classes, np.int64),
        np.array(onsets, np.float32),
        np.array(offsets, np.float32),
    )


def _record(events, num_stft_frames=150):
    return ClipRecord("-a_b_30000", _log_mel(num_stft_frames), 1.515, events)


def _values(stored, dtype):
    """Reads stored bytes without TensorFlow."""
    return np.frombuffer(stored.values, np.dtype(dtype)).reshape(-1, 64)


def _decoded(stored, dtype):
    numbers = [
        None if number is None else tf.constant(number, tf.float32)
        for number in (stored.minimum, stored.step)
    ]
    return to_float32(StoredLogMel(_values(stored, dtype), *numbers)).numpy()


def _parse(serialized, label_set, dtype="float16"):
    """Parses one record; decodes all of its features."""
    parsed = parse_records(tf.constant([serialized]), label_set, _PARAMS, dtype)
    rows = decode_first_rows(
        parsed.log_mel.values, int(parsed.num_stft_frames[0]), _PARAMS, dtype
    )
    log_mel = to_float32(parsed.log_mel._replace(values=rows))
    return parsed, log_mel[0].numpy()


def test_round_trip():
    weak = _events((2, 0.0, 10.0))
    strong = _events((1, 0.125, 2.5), (1, 3.0, 4.0), (0, 9.0, 10.0))
    record = _record({"weak": weak, "strong": strong})
    serialized = serialize_record(record)
    for label_set, events in record.events.items():
        parsed, log_mel = _parse(serialized, label_set)
        assert parsed.segment_id == b"-a_b_30000"
        assert parsed.num_stft_frames == 150
        assert parsed.is_known
        for found, expected in zip(parsed.events[1:], events):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(
            log_mel, record.log_mel.astype(np.float16)
        )
    example = tf.train.Example.FromString(serialized)
    seconds = example.features.feature["audio_seconds"].float_list.value
    assert seconds == pytest.approx([1.515])


def test_the_bytes_are_those_that_tensorflow_writes(tmp_path):
    events = {
        "strong": _events((300, 0.125, 2.5), (1, 3, 4)),
        "weak": _events(),
    }
    serialized = serialize_record(_record(events), "uint8")
    # Parsed and serialized again by TensorFlow's own messages.
    example = tf.train.Example.FromString(serialized)
    assert example.SerializeToString(deterministic=True) == serialized
    path = str(tmp_path / "x.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in (serialized, b"", b"abc"):
            writer.write(record)
    content = b"".join(map(frame_record, (serialized, b"", b"abc")))
    assert (tmp_path / "x.tfrecord").read_bytes() == content
    assert list(read_frames(content)) == [serialized, b"", b"abc"]


_TWO_RECORDS = frame_record(b"x" * 100) + frame_record(b"y" * 100)


def _flipped(place):
    content = bytearray(_TWO_RECORDS)
    content[place] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        *(_flipped(place) for place in (0, 9, 50, -1)),
        *(_TWO_RECORDS[:num_bytes] for num_bytes in (1, 11, 50, 115, 120, 231)),
    ],
)
def test_a_damaged_or_cut_file_is_found(content):
    with pytest.raises(ValueError, match="byte"):
        list(read_frames(content))


def test_a_known_clip_without_events_is_not_an_unknown_clip():
    serialized = serialize_record(_record({"strong": _events()}))
    for label_set, is_known in (("strong", True), ("weak", False)):
        parsed, _ = _parse(serialized, label_set)
        assert parsed.is_known == is_known
        assert parsed.events.event_class.shape == (0,)


def test_equal_records_have_equal_bytes():
    events = {"weak": _events((0, 0.0, 10.0)), "strong": _events((1, 1, 2))}
    swapped = {name: events[name] for name in ("strong", "weak")}
    assert serialize_record(_record(events)) == serialize_record(
        _record(swapped)
    )


def test_float16_is_the_default_and_has_no_other_features():
    record = _record({"weak": _events((0, 0.0, 10.0))})
    serialized = serialize_record(record)
    assert serialized == serialize_record(record, "float16")
    names = set(tf.train.Example.FromString(serialized).features.feature)
    assert names == {
        "segment_id",
        "log_mel",
        "audio_seconds",
        "label_source",
        "weak_event_class",
        "weak_event_onset_seconds",
        "weak_event_offset_seconds",
    }


def test_round_trip_of_8_bits():
    record = _record({"strong": _events((1, 0.125, 2.5))})
    serialized = serialize_record(record, "uint8")
    assert len(serialized) < 0.52 * len(serialize_record(record))
    parsed, log_mel = _parse(serialized, "strong", "uint8")
    assert parsed.num_stft_frames == 150
    assert parsed.events.event_class.numpy().tolist() == [1]
    assert log_mel.dtype == np.float32
    # Least, largest, and half of a step of 255 between them.
    least, largest = record.log_mel.min(), record.log_mel.max()
    assert log_mel.min() == least
    assert log_mel.max() == pytest.approx(largest, abs=1e-5)
    half_step = (largest - least) / 255 / 2
    assert np.abs(log_mel - record.log_mel).max() <= half_step + 1e-5


def test_unknown_dtypes():
    record = _record({"weak": _events()})
    with pytest.raises(InputError, match="Received: 'int4'"):
        serialize_record(record, "int4")
    with pytest.raises(InputError, match="Received: 'int4'"):
        _parse(serialize_record(record), "weak", "int4")


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
        log_mel = waveform_to_log_mel(waveform[:, 0], _PARAMS)
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


@pytest.mark.parametrize("dtype", _DTYPES)
def test_patches_are_slices(dtype):
    stored = [encode_log_mel(_log_mel(n, n), dtype) for n in (96, 150, 998)]
    starts = [0, 54, 901]
    patches = cut_bytes(
        tf.constant([s.values for s in stored]),
        tf.constant(starts, tf.int64),
        _PARAMS,
        dtype,
    )
    for clip, start, patch in zip(stored, starts, patches):
        expected = _values(clip, dtype)[start : start + 96]
        np.testing.assert_array_equal(patch, expected)


@pytest.mark.parametrize("dtype", _DTYPES)
def test_first_rows_of_shorter_and_longer_clips(dtype):
    stored = [encode_log_mel(_log_mel(n, n), dtype) for n in (5, 12, 20)]
    data = tf.constant([s.values for s in stored])
    rows = decode_first_rows(data, 12, _PARAMS, dtype).numpy()
    expected = np.zeros([3, 12, 64], rows.dtype)
    for number, clip in enumerate(stored):
        values = _values(clip, dtype)[:12]
        expected[number, : len(values)] = values
    np.testing.assert_array_equal(rows, expected)
