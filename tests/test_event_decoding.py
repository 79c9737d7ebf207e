import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.inference.event_decoding import ScoredEvent, decode_events


def test_neighbouring_label_frames_join_and_gaps_part():
    scores = np.zeros((6, 2))
    scores[:, 0] = [0.6, 0.9, 0.1, 0.5, 0.1, 0.7]
    scores[:, 1] = [0.0, 0.0, 0.2, 0.0, 0.0, 0.0]  # never reaches 0.5
    assert decode_events(scores, 0.5, 1.0, audio_seconds=6.0) == [
        ScoredEvent(0, 0.0, 2.0, 0.9),
        ScoredEvent(0, 3.0, 4.0, 0.5),  # the threshold itself counts
        ScoredEvent(0, 5.0, 6.0, 0.7),
    ]


def test_events_come_by_onset_then_class():
    scores = np.array([[0.0, 0.8], [0.7, 0.8], [0.0, 0.9]])
    events = decode_events(scores, 0.5, 0.96, audio_seconds=2.88)
    assert [event.class_index for event in events] == [1, 0]
    assert events[1].onset_seconds == pytest.approx(0.96)
    assert events[1].offset_seconds == pytest.approx(1.92)


def test_no_event_ends_after_the_audio():
    scores = np.array([[0.9]])  # half a second, padded to one label frame
    (event,) = decode_events(scores, 0.5, 0.96, audio_seconds=0.5)
    assert event.offset_seconds == 0.5
    assert decode_events(np.zeros((0, 3)), 0.5, 0.96, 0.0) == []


def test_a_threshold_of_each_class_is_reached_exactly():
    rng = np.random.default_rng(0)
    scores = rng.random((8, 5), dtype=np.float32)
    thresholds = scores.max(axis=0).astype(np.float64)
    events = decode_events(scores, thresholds, 0.96, 8 * 0.96)
    assert sorted(event.class_index for event in events) == [0, 1, 2, 3, 4]
    assert decode_events(scores, np.nextafter(thresholds, 2), 1.0, 8.0) == []


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        (np.zeros(2), r"each of 3 classes. Received: shape=\(2,\)"),
        (np.zeros((3, 1)), r"Received: shape=\(3, 1\)"),  # would broadcast
        (np.array([0.5, np.nan, 0.5]), "must not be NaN"),
        (float("nan"), "must not be NaN"),
    ],
)
def test_bad_input_is_refused(thresholds, message):
    with pytest.raises(InputError, match=r"Received: shape=\(3,\)"):
        decode_events(np.zeros(3), thresholds, 0.96, 1.0)
    with pytest.raises(InputError, match=message):
        decode_events(np.zeros((3, 3)), thresholds, 0.96, 3.0)
