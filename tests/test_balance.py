"""Balanced sampling: exact shares, in every training set and on any worker."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pinned_records import write_clips

from audioset_strong.labels.training_sets import get_training_set
from audioset_strong.params import TrainParams
from audioset_strong.records.balance import (
    clip_weights,
    describe_balance,
    draw_copies,
)
from audioset_strong.records.examples import draw_windows
from audioset_strong.records.streams import (
    InputWorker,
    Reading,
    training_examples,
    training_stream,
)

# Clips of class 0 are many, one is of class 1, three of class 2; two have no
# label; one is not known to the strong labels.
_EVENTS = [
    *([[(0, 1.0, 9.0)]] * 20),
    [(1, 0.0, 120.0), (0, 3.0, 4.0)],
    *([[(2, 0.0, 10.0), (2, 2.0, 3.0)]] * 3),
    [],
    [],
]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """26 clips that strong labels know, and one more; weak labels of some."""
    clips = [
        (
            f"clip{index:02d}",
            120.0 if index == 20 else 10.0,
            {
                "strong": events,
                # The first ten have none; the rest are all of class 3, but
                # for two.
                **({"weak": [(3, 0.0, 120.0)]} if 10 <= index < 24 else {}),
                **({"weak": [(0, 0.0, 10.0)]} if index >= 24 else {}),
            },
        )
        for index, events in enumerate(_EVENTS)
    ]
    clips.append(("weak only", 10.0, {"weak": [(1, 0.0, 10.0)]}))
    records = write_clips(tmp_path_factory.mktemp("balance"), clips)
    # As the manifest would count, with many weak labels in weak shards.
    counts = {"strong": [21, 1, 6, 0], "weak": [2, 1000, 0, 14]}
    return dataclasses.replace(records, events_per_class=counts)


def _weights(events, num_labels=None, num_workers=1):
    """Weights of clips that are all known, by their lists of classes."""
    clips = np.repeat(np.arange(len(events)), [len(e) for e in events])
    classes = np.array([c for of_clip in events for c in of_clip], np.int64)
    if num_labels is None:
        num_labels = np.bincount(classes, minlength=4)
    is_known = np.ones(len(events), bool)
    return clip_weights(is_known, clips, classes, num_labels, num_workers)


def test_weights_are_the_sums_over_labels():
    weights = _weights([[0], [0, 1], [0, 0, 2], [1], [], []])
    expected = [1 / 4, 1 / 4 + 1 / 2, 2 / 4 + 1, 1 / 2, 1 / 2, 1 / 2]
    np.testing.assert_allclose(weights / weights.sum() * 4, expected, rtol=1e-9)


def test_a_worker_weighs_by_the_labels_of_all():
    weights = _weights([[0], [1], []], [50, 2, 0, 0], num_workers=2)
    np.testing.assert_allclose(
        weights / weights.sum() * (1 / 50 + 1 / 2 + 1 / 2),
        [1 / 50, 1 / 2, 1 / 2],
        rtol=1e-9,
    )


def test_weights_of_audioset_stay_in_range():
    # Two million clips, one label each of 527 classes, by Zipf's law.
    shares = 1 / np.arange(1, 528)
    classes = np.repeat(
        np.arange(527), np.ceil(2e6 * shares / shares.sum()).astype(int)
    )
    number = len(classes)
    weights = clip_weights(
        np.ones(number, bool), np.arange(number), classes, np.bincount(classes)
    )
    assert 0 < float(weights.sum()) * (number + 1) < 2**62
    # Of each class the same, though a weight is a whole number.
    of_class = np.bincount(classes, weights)
    np.testing.assert_allclose(of_class, of_class.mean(), rtol=1e-3)
    copies = draw_copies(
        tf.constant(weights), number, 1, tf.constant(5, tf.int64)
    )
    assert int(tf.reduce_sum(copies)) == number
    np.testing.assert_allclose(
        np.bincount(classes, copies),
        number / 527,
        # Four standard errors at most: clips are drawn or not, on their own.
        atol=4 * np.sqrt(number / 527),
    )


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=20).filter(any),
    st.integers(0, 5),
)
def test_draws_are_the_two_whole_numbers_next_to_the_share(weights, seed):
    number = sum(weight > 0 for weight in weights)
    copies = draw_copies(
        tf.constant(weights, tf.int64), number, seed, tf.constant(3, tf.int64)
    ).numpy()
    assert copies.sum() == number
    for weight, drawn in zip(weights, copies):
        low, rest = divmod(weight * number, sum(weights))
        assert low <= drawn <= low + (rest > 0)


def test_draws_of_many_passes_are_in_proportion():
    weights = tf.constant([1, 2, 3, 10, 0, 7], tf.int64)
    passes = np.array(
        [
            draw_copies(weights, 5, 0, tf.constant(number, tf.int64))
            for number in range(200)
        ]
    )
    expected = np.array([1, 2, 3, 10, 0, 7]) * 5 / 23
    # Four standard errors of a draw that is one of two whole numbers.
    assert np.abs(passes.mean(axis=0) - expected).max() < 4 * 0.5 / np.sqrt(200)
    assert len({tuple(row) for row in passes}) > 5


def test_a_line_for_people():
    text = describe_balance(np.array([10, 1, 1, 0, 0]), 3)
    assert "up to 2.5 times a pass, 1 of 3 clips more than once, 2 less" in text


# --- In the stream -----------------------------------------------------------


def _examples(records, name, number, **reading):
    """Clip index and start of the first examples."""
    reading = Reading(
        **{
            "seed": 3,
            "shuffle_block_clips": 8,
            "balance_classes": True,
            **reading,
        }
    )
    stream = training_examples(records, get_training_set(name), reading)
    patches, targets = next(iter(stream.batch(number)))
    return patches.numpy(), targets.numpy()


def _label_counts(records, name, number, worker=InputWorker()):
    """How many of a worker's first examples have each class."""
    params = TrainParams(
        training_set=name,
        global_batch_size=number * worker.num_workers,
        shuffle_block_clips=8,
    )
    [batch] = training_stream(
        records, params, worker=worker, balance_classes=True
    ).take(1)
    return batch["targets"].numpy().sum(axis=0)


def test_every_class_has_its_share_of_a_pass(records):
    # 26 clips; classes 0, 1, 2 and those without a label: 6.5 draws each. The
    # clip of class 1 has one label of class 0 too.
    targets = _label_counts(records, "diffuse", 20 * 26)
    num_unlabelled = 20 * 26 - (targets[0] + targets[2])
    # Within a draw a pass and clip.
    np.testing.assert_allclose(targets[1] / 20, 6.5 * (1 + 1 / 21), rtol=0.06)
    np.testing.assert_allclose(targets[2] / 20, 6.5, rtol=0.06)
    np.testing.assert_allclose(num_unlabelled / 20, 6.5, rtol=0.06)


def test_weak_small_counts_its_own_labels(records):
    # 17 clips: 14 of class 3, two of class 0, and the one of class 1, of which
    # the manifest counts a thousand labels elsewhere.
    targets = _label_counts(records, "weak_small", 20 * 17)
    np.testing.assert_allclose(
        targets / 20, [17 / 3, 17 / 3, 0, 17 / 3], rtol=0.06
    )


def test_copies_have_windows_of_their_own(records):
    patches, targets = _examples(records, "strong", 26)
    # Each STFT frame of these records holds its number.
    starts = patches[:, 0, 0][targets[:, 1] == 1]
    assert 6 <= len(starts) <= 7
    assert len(set(starts)) == len(starts)


def test_the_first_copy_has_the_window_of_plain_reading(records):
    args = (
        tf.constant(["a", "a", "b"]),
        tf.constant([998] * 3, tf.int64),
        5,
        tf.constant(2, tf.int64),
        records.features,
    )
    plain = draw_windows(*args)
    copies = draw_windows(*args, tf.constant([0, 2, 0], tf.int64))
    assert plain[0] == copies[0] != copies[1]
    assert plain[2] == copies[2]


@pytest.mark.slow
def test_a_pass_is_as_long_as_before_in_any_order(records):
    # Whether the pass ends after 26 examples shows in what follows it.
    settings = {"is_deterministic": False}
    first = _examples(records, "strong", 26, **settings)[0]
    both = _examples(records, "strong", 52, **settings)[0]
    second = _examples(records, "strong", 26, num_skipped=26, **settings)[0]

    def counted(patches):
        return collections.Counter(patch.tobytes() for patch in patches)

    assert counted(both) == counted(first) + counted(second)


def test_skipping_is_dropping_the_first(records):
    worker = InputWorker(1, 2)
    whole = _examples(records, "strong", 60, worker=worker)
    for num_skipped in (1, 41):
        tail = _examples(
            records, "strong", 60 - num_skipped,
            num_skipped=num_skipped, worker=worker,
        )  # fmt: skip
        for expected, found in zip(whole, tail):
            np.testing.assert_array_equal(expected[num_skipped:], found)


@pytest.mark.slow
def test_workers_balance_their_own_share(records, caplog):
    with caplog.at_level("INFO", logger="absl"):
        targets = [
            _label_counts(records, "diffuse", 13 * n, InputWorker(index, 2))
            for index, n in enumerate((2, 20))
        ]
    # The first 13 clips are all of class 0.
    assert targets[0].tolist() == [13 * 2, 0, 0, 0]
    # The rest are 7 of 21 labels of class 0, and all of the others.
    share = 13 / (7 / 21 + 1 / 21 + 1 + 1 + 1 / 2)
    np.testing.assert_allclose(targets[1][2] / 20, share, rtol=0.06)
    assert "Balanced classes of the training set diffuse: a clip" in caplog.text
