"""Records: written, parsed and cut."""

import numpy as np
import pytest
import tensorflow as tf

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


@pytest.mark.parametrize("start", [0, 1, 17, 54])
def test_a_cut_patch_is_a_slice(start):
    record = _record({"weak": _events((0, 0.0, 10.0))})
    parsed = parse_record(
        tf.constant(serialize_record(record)), "weak", _PARAMS
    )
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
