"""Records: written, parsed and cut."""

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams
from audioset_strong.records.schema import (
    ClassEvents,
    ClipRecord,
    cut_patch,
    decode_log_mel,
    parse_record,
    serialize_record,
)

_PARAMS = FeatureParams()


def _events(*rows):
    classes, onsets, offsets = zip(*rows) if rows else ((), (), ())
    return ClassEvents(
        np.array(classes, np.int64),
        np.array(onsets, np.float32),
        np.array(offsets, np.float32),
    )


def _record(events, num_stft_frames=150):
    rng = np.random.default_rng(0)
    log_mel = rng.normal(-2, 3, [num_stft_frames, 64]).astype(np.float32)
    return ClipRecord("-a_b_30000", log_mel, 1.515, events)


def test_round_trip():
    weak = _events((2, 0.0, 10.0))
    strong = _events((1, 0.125, 2.5), (1, 3.0, 4.0), (0, 9.0, 10.0))
    record = _record({"weak": weak, "strong": strong})
    serialized = serialize_record(record)
    for label_set, events in record.events.items():
        parsed = parse_record(tf.constant(serialized), label_set, _PARAMS)
        assert parsed.segment_id == b"-a_b_30000"
        assert parsed.num_stft_frames == 150
        assert parsed.label_source.numpy().tolist() == [b"weak", b"strong"]
        for found, expected in zip(parsed.events, events):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(
            decode_log_mel(parsed, _PARAMS), record.log_mel.astype(np.float16)
        )
    example = tf.train.Example.FromString(serialized)
    seconds = example.features.feature["audio_seconds"].float_list.value
    assert seconds == pytest.approx([1.515])


def test_a_known_clip_without_events_is_not_an_unknown_clip():
    serialized = serialize_record(_record({"strong": _events()}))
    strong = parse_record(tf.constant(serialized), "strong", _PARAMS)
    weak = parse_record(tf.constant(serialized), "weak", _PARAMS)
    assert strong.label_source.numpy().tolist() == [b"strong"]
    assert strong.events.event_class.shape == (0,)
    assert weak.events.event_class.shape == (0,)


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("start", [0, 1, 17, 54])
def test_a_cut_patch_is_a_slice(start, dtype):
    record = _record({"weak": _events((0, 0.0, 10.0))})
    serialized = tf.constant(serialize_record(record, dtype))
    parsed = parse_record(serialized, "weak", _PARAMS, dtype)
    patch = cut_patch(parsed, tf.constant(start, tf.int64), _PARAMS)
    assert patch.dtype == tf.float32
    np.testing.assert_array_equal(
        patch, decode_log_mel(parsed, _PARAMS)[start : start + 96]
    )


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


def test_8_bits_take_half_of_the_bytes():
    record = _record({"weak": _events((0, 0.0, 10.0))}, num_stft_frames=998)
    ratio = len(serialize_record(record, "uint8")) / len(
        serialize_record(record)
    )
    assert 0.5 < ratio < 0.502


def test_round_trip_of_8_bits():
    record = _record({"strong": _events((1, 0.125, 2.5))})
    serialized = tf.constant(serialize_record(record, "uint8"))
    parsed = parse_record(serialized, "strong", _PARAMS, "uint8")
    assert parsed.num_stft_frames == 150
    assert parsed.events.event_class.numpy().tolist() == [1]
    log_mel = decode_log_mel(parsed, _PARAMS).numpy()
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
        parse_record(
            tf.constant(serialize_record(record)), "weak", _PARAMS, "int4"
        )
