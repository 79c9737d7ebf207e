"""Records parsed together, random windows, and the frame rule in the graph."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pinned_records import write_pinned_records

from audioset_strong.labels.frame_rule import (
    Event,
    events_to_frame_targets,
    is_window_positive,
)
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.examples import (
    draw_windows,
    stretch_to_clip,
    window_targets,
)
from audioset_strong.records.parse import EventsOfClips, parse_records
from audioset_strong.records.schema import event_keys

_PARAMS = LabelFrameParams()
_NUM_CLASSES = 3

# --- Parsing -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("label_set", ["weak", "strong"])
def test_parsed_together_as_tensorflow_parses_one(tmp_path, dtype, label_set):
    records = write_pinned_records(tmp_path, dtype)
    paths = [records.path_of(shard) for shard in records.shards]
    serialized = list(tf.data.TFRecordDataset(paths))
    together = parse_records(
        tf.stack(serialized), label_set, records.features, dtype
    )
    assert 0 < sum(together.is_known.numpy()) < len(serialized)
    for number, record in enumerate(serialized):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        [segment_id] = feature["segment_id"].bytes_list.value
        [log_mel] = feature["log_mel"].bytes_list.value
        assert together.segment_id[number] == segment_id
        assert together.log_mel.values[number] == log_mel
        bytes_per_frame = 64 * np.dtype(dtype).itemsize
        assert together.num_stft_frames[number] == (
            len(log_mel) // bytes_per_frame
        )
        sources = feature["label_source"].bytes_list.value
        assert together.is_known[number] == (label_set.encode() in sources)
        for name, found in zip(("minimum", "step"), together.log_mel[1:]):
            values = feature[f"log_mel_{name}"].float_list.value
            assert (found is None) == (dtype == "float16")
            assert found is None or [found[number]] == values
        is_of_clip = together.events.clip_number == number
        for key, found in zip(event_keys(label_set), together.events[1:]):
            kind = "int64_list" if key.endswith("class") else "float_list"
            np.testing.assert_array_equal(
                found[is_of_clip], getattr(feature[key], kind).value
            )


# --- Windows -----------------------------------------------------------------


def _draw(segment_ids, num_stft_frames=96 + 899, seed=0, pass_number=0):
    """Draws windows: of 900 each, unless told otherwise."""
    return draw_windows(
        tf.constant(segment_ids),
        tf.constant(num_stft_frames, tf.int64),
        seed,
        tf.constant(pass_number, tf.int64),
        FeatureParams(),
    ).numpy()


def _ids(number):
    """Segment ids that differ as little as can be."""
    return [f"clip{i:05d}_0" for i in range(number)]


def test_each_clip_is_drawn_as_if_alone():
    names, lengths = _ids(5), [998, 97, 500, 96, 998]
    drawn = _draw(names, lengths, 3, 7)
    assert drawn.dtype == np.int64
    assert drawn.tolist() == [
        _draw([name], [length], 3, 7)[0] for name, length in zip(names, lengths)
    ]
    assert _draw(names[::-1], lengths[::-1], 3, 7).tolist() == (
        drawn[::-1].tolist()
    )


def test_the_first_and_the_last_window_are_drawn():
    # 98 STFT frames hold three windows of 96.
    assert set(_draw("a", 98, pass_number=range(40))) == {0, 1, 2}


def _chi_square_score(cells, num_cells):
    """How far counts are from uniform, in standard deviations of chance."""
    counts = np.bincount(cells, minlength=num_cells)
    assert len(counts) == num_cells
    expected = len(cells) / num_cells
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = num_cells - 1
    return (chi_square - freedom) / np.sqrt(2 * freedom)


# Hashes are the same everywhere, so these never fail by chance. Counts that are
# too even would be no better than uneven ones.


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_windows_are_uniform_over_clips(seed):
    assert abs(_chi_square_score(_draw(_ids(20000), seed=seed), 900)) < 3
    # A remainder of few bits would show here: 903 is no power of two.
    drawn = _draw(_ids(20000), 998, seed=seed)
    assert abs(_chi_square_score(drawn, 903)) < 3


@pytest.mark.parametrize("segment_id", ["a_0", "zzzzzzzzzzz_30000"])
def test_windows_are_uniform_over_passes(segment_id):
    drawn = _draw(segment_id, pass_number=range(20000))
    assert abs(_chi_square_score(drawn, 900)) < 3


@pytest.mark.parametrize("differs", ["pass", "clip", "seed"])
def test_neighbours_are_independent(differs):
    ids = _ids(20001)
    first, second = {
        "pass": (_draw(ids), _draw(ids, pass_number=1)),
        "clip": (_draw(ids[:-1]), _draw(ids[1:])),
        "seed": (_draw(ids), _draw(ids, seed=1)),
    }[differs]
    # All pairs of 30 x 30 stretches of the clip are equally likely.
    pairs = first // 30 * 30 + second // 30
    assert abs(_chi_square_score(pairs, 900)) < 3
    assert abs(np.corrcoef(first, second)[0, 1]) < 3 / np.sqrt(len(first))


# --- Targets of windows ------------------------------------------------------


@tf.function(
    input_signature=[
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.float32),
        tf.TensorSpec([None], tf.float32),
        tf.TensorSpec([None], tf.int64),
    ]
)
def _in_graph(classes, onsets, offsets, starts_ms):
    events = EventsOfClips(tf.zeros_like(classes), classes, onsets, offsets)
    starts_ms = starts_ms[tf.newaxis]
    return window_targets(events, starts_ms, _NUM_CLASSES, _PARAMS)[0]


def _targets(events_ms, starts_ms):
    table = np.array(events_ms, np.int64).reshape(-1, 3)
    return _in_graph(
        table[:, 0],
        (table[:, 1] / 1000).astype(np.float32),
        (table[:, 2] / 1000).astype(np.float32),
        np.array(starts_ms, np.int64),
    ).numpy()


# Lengths and distances at which the rule changes its mind, and any others.
_lengths = st.one_of(
    st.integers(1, 10000), st.sampled_from([1, 2, 479, 480, 481, 959, 960, 961])
)
_onsets = st.one_of(
    st.integers(0, 9999), st.integers(0, 10).map(lambda frame: frame * 960)
)
_events = st.tuples(st.integers(0, _NUM_CLASSES - 1), _onsets, _lengths).map(
    lambda event: (event[0], event[1], event[1] + event[2])
)
_starts = st.one_of(
    st.integers(0, 902).map(lambda stft_frame: stft_frame * 10),
    st.integers(0, 9).map(lambda frame: frame * 960),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_events, max_size=5), st.lists(_starts, min_size=1, max_size=4))
def test_graph_equals_numpy(events_ms, starts_ms):
    expected = np.zeros([len(starts_ms), _NUM_CLASSES], np.float32)
    for class_index, onset, offset in events_ms:
        is_positive = is_window_positive(
            np.int64(onset), np.int64(offset), np.array(starts_ms, np.int64)
        )
        expected[is_positive, class_index] = 1.0
    np.testing.assert_array_equal(_targets(events_ms, starts_ms), expected)


def test_label_frames_equal_those_of_the_labels():
    rng = np.random.default_rng(0)
    onsets = rng.integers(0, 9500, 8)
    events_ms = [
        (int(rng.integers(3)), int(onset), int(onset + rng.integers(1, 3000)))
        for onset in onsets
    ]
    events = [Event(str(c), on / 1000, off / 1000) for c, on, off in events_ms]
    expected = events_to_frame_targets(events, {str(c): c for c in range(3)})
    starts_ms = [frame * 960 for frame in range(10)]
    np.testing.assert_array_equal(_targets(events_ms, starts_ms), expected)


def test_edges_by_hand():
    # A window of 960 ms from 1000 on; each class has one event.
    cases = {(520, 1480): 1, (519, 1479): 0, (40, 1000): 0, (1960, 1970): 0}
    for (onset, offset), expected in cases.items():
        assert _targets([(1, onset, offset)], [1000])[0, 1] == expected
    # Events of a class are not pooled.
    two_short = [(0, 0, 1271), (0, 1633, 3000), (2, 1500, 1600)]
    np.testing.assert_array_equal(_targets(two_short, [1000]), [[0, 0, 1]])
    np.testing.assert_array_equal(_targets([], [0, 10]), np.zeros([2, 3]))


def test_clips_keep_to_themselves():
    # Both clips have class 1 from 2 to 3 s; the second has class 0 as well. The
    # windows of the first start at 0 and 2 s, those of the second at 2.5 and 9.
    events = EventsOfClips(
        tf.constant([0, 1, 1], tf.int64),
        tf.constant([1, 1, 0], tf.int64),
        tf.constant([2.0, 2.0, 9.0]),
        tf.constant([3.0, 3.0, 10.0]),
    )
    starts_ms = tf.constant([[0, 2000], [2500, 9000], [0, 0]], tf.int64)
    targets = window_targets(events, starts_ms, _NUM_CLASSES, _PARAMS)
    assert targets.dtype == tf.float32
    assert targets.numpy().tolist() == [
        [[0, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [1, 0, 0]],
        [[0, 0, 0], [0, 0, 0]],
    ]


def test_diffuse_events_span_the_clip():
    events = EventsOfClips(
        tf.constant([0, 3], tf.int64),
        tf.constant([2, 0], tf.int64),
        tf.constant([1.0, 2.0]),
        tf.constant([1.1, 9.0]),
    )
    stretched = stretch_to_clip(events, LabelFrameParams())
    assert [t.numpy().tolist() for t in stretched] == [
        [0, 3],
        [2, 0],
        [0, 0],
        [10, 10],
    ]
