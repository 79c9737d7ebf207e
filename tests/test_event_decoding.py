import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.inference import event_decoding
from audioset_strong.inference.event_decoding import ScoredEvent, decode_events
from audioset_strong.params import DecodingParams


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


def _column(values):
    return np.array(values, dtype=np.float32)[:, np.newaxis]


def _times(events):
    return [(e.onset_seconds, e.offset_seconds) for e in events]


@pytest.mark.parametrize(
    ("values", "settings_", "expected"),
    [
        # The middle of three; the first and last frames are mirrored.
        ([0, 0.9, 0, 0.9, 0.9], {"median_filter_seconds": 3}, [(2, 5)]),
        (
            [0, 0.9, 0, 0.9, 0.9],
            {"median_filter_seconds": 1.9},
            [(1, 2), (3, 5)],
        ),
        # It begins at the threshold, not before, and goes on at half of it.
        ([0.3, 0.6, 0.3, 0.2, 0.3], {"hold_share": 0.5}, [(1, 3)]),
        ([0.6, 0, 0.6, 0, 0, 0.6], {"max_gap_seconds": 1}, [(0, 3), (5, 6)]),
        ([0.6, 0, 0.6, 0, 0, 0.6], {"max_gap_seconds": 2}, [(0, 6)]),
        # What joins is long enough.
        (
            [0.6, 0, 0.6, 0, 0, 0.6],
            {"max_gap_seconds": 1, "min_event_seconds": 3},
            [(0, 3)],
        ),
    ],
)
def test_each_setting_does_its_step(values, settings_, expected):
    params = DecodingParams(**settings_)
    events = decode_events(_column(values), 0.5, 1.0, len(values), params)
    assert _times(events) == expected


def test_only_the_highest_classes_of_a_frame_are_present():
    scores = np.array([[0.9, 0.8, 0.7], [0.6, 0.9, 0.9]])
    events = decode_events(scores, 0.5, 1.0, 2.0, DecodingParams(top_k=1))
    # Equal ones are all the highest.
    assert [(e.class_index, e.onset_seconds) for e in events] == [
        (0, 0.0),
        (1, 1.0),
        (2, 1.0),
    ]
    # Other classes count for the rank, and are not kept.
    kept = decode_events(
        scores, 0.5, 1.0, 2.0, DecodingParams(top_k=1), class_indices=[0, 1]
    )
    assert [e.class_index for e in kept] == [0, 1]


def test_the_end_of_the_audio_shortens_the_last_event():
    scores = _column([0, 0.9, 0.9])
    params = DecodingParams(min_event_seconds=1.2)
    assert _times(decode_events(scores, 0.5, 1.0, 2.2, params)) == [(1.0, 2.2)]
    # 1.1 s are heard of it, and a frame after the end stands for no audio.
    assert decode_events(scores, 0.5, 1.0, 2.1, params) == []
    assert _times(decode_events(scores, 0.5, 1.0, 2.0)) == [(1.0, 2.0)]
    assert decode_events(scores, 0.5, 1.0, 0.0) == []


def test_a_score_equal_to_the_threshold_is_an_event_in_float32():
    assert len(decode_events(_column([0.7]), 0.7, 1.0, 1.0)) == 1


def _decode_slowly(scores, thresholds, hop, seconds, params, kept):
    """Frame by frame, class by class."""
    num_frames, num_classes = scores.shape
    length = max(
        range(1, 99, 2),
        key=lambda n: -abs(params.median_filter_seconds / hop - n),
    )
    half = length // 2

    def mirrored(frame):
        while not 0 <= frame < num_frames:
            frame = -frame - 1 if frame < 0 else 2 * num_frames - 1 - frame
        return frame

    smooth = np.array(
        [
            [
                sorted(
                    scores[mirrored(t + d), c] for d in range(-half, half + 1)
                )[half]
                for c in range(num_classes)
            ]
            for t in range(num_frames)
        ]
    )
    events = []
    for c in kept:
        runs, current = [], None
        for t in range(num_frames):
            higher = sum(value > smooth[t, c] for value in smooth[t])
            is_in = not params.top_k or higher < params.top_k
            level = thresholds[c] * (
                1 if current is None else params.hold_share
            )
            if is_in and smooth[t, c] >= level:
                if current is None:
                    current = [t, t, 0]
                    runs.append(current)
                current[1] = t + 1
                current[2] = max(current[2], smooth[t, c])
            else:
                current = None
        joined = []
        for first, end, score in runs:
            gap = (first - joined[-1][1]) * hop if joined else math.inf
            if gap <= params.max_gap_seconds + 1e-9:
                joined[-1] = (joined[-1][0], end, max(joined[-1][2], score))
            else:
                joined.append((first, end, score))
        for first, end, score in joined:
            offset = min(end * hop, seconds)
            if offset - first * hop >= params.min_event_seconds - 1e-9:
                events.append(ScoredEvent(c, first * hop, offset, score))
    return sorted(events, key=lambda e: (e.onset_seconds, e.class_index))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_events_are_those_of_a_loop_over_frames(data):
    num_frames = data.draw(st.integers(1, 30))
    num_classes = data.draw(st.integers(1, 4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    # Few values, so that there are ties and scores at the threshold.
    scores = (
        rng.integers(0, 9, (num_frames, num_classes)).astype(np.float32) / 8
    )
    thresholds = rng.integers(1, 9, num_classes) / 8
    hop = data.draw(st.sampled_from([0.1, 0.24, 0.96]))
    seconds = (num_frames - data.draw(st.sampled_from([0, 0.5]))) * hop
    params = DecodingParams(
        median_filter_seconds=hop
        * data.draw(st.sampled_from([0, 1, 3, 5, 6.5])),
        top_k=data.draw(st.integers(0, 4)),
        hold_share=data.draw(st.sampled_from([1, 0.5, 0.25])),
        max_gap_seconds=hop * data.draw(st.sampled_from([0, 1, 2, 2.5])),
        min_event_seconds=hop * data.draw(st.sampled_from([0, 1, 2, 3])),
    )
    kept = data.draw(st.sampled_from([None, [0], [num_classes - 1]]))
    block_frames = data.draw(st.sampled_from([1, 2, 7, 1024]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_decoding, "_BLOCK_FRAMES", block_frames)
        events = decode_events(scores, thresholds, hop, seconds, params, kept)
    expected = _decode_slowly(
        scores,
        thresholds,
        hop,
        seconds,
        params,
        range(num_classes) if kept is None else kept,
    )
    assert [(e.class_index, e.score) for e in events] == [
        (e.class_index, e.score) for e in expected
    ]
    np.testing.assert_allclose(
        np.array(_times(events)), np.array(_times(expected)), atol=1e-9
    )


def test_hours_of_scores_are_read_from_a_file(tmp_path):
    path = tmp_path / "scores.npy"
    shape = (5 * 1024 + 7, 3)
    scores = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    scores[1000:3000, 1] = 0.8  # over the edges of two blocks
    scores[-1, 2] = 0.9
    scores.flush()
    seconds = len(scores) * 0.24
    events = decode_events(np.load(path, mmap_mode="r"), 0.5, 0.24, seconds)
    assert [(e.class_index, e.score) for e in events] == [
        (1, np.float32(0.8)),
        (2, np.float32(0.9)),
    ]
    np.testing.assert_allclose(
        _times(events), [(240, 720), (seconds - 0.24, seconds)]
    )
    scores[2000, 0] = np.nan
    with pytest.raises(
        InputError, match="NaN or infinite .* 245.76 and 491.52"
    ):
        decode_events(scores, 0.5, 0.24, seconds)


@pytest.mark.parametrize(
    "setting",
    [
        {"median_filter_seconds": -1.0},
        {"top_k": -1},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"hold_share": 0.0},
        {"hold_share": 1.01},
        {"max_gap_seconds": float("nan")},
        {"min_event_seconds": -0.1},
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused(setting):
    [(name, value)] = setting.items()
    with pytest.raises(
        InputError, match=f"{name} must be .* Received: {value}"
    ):
        DecodingParams(**setting)
