"""Modes of the training stream: workers, order, dtype, and static shapes."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import get_training_set
from audioset_strong.params import TrainParams
from audioset_strong.records.parse import decode_log_mel, parse_record
from audioset_strong.records.streams import (
    InputWorker,
    Reading,
    training_examples,
    training_stream,
)

# Clips of each training set in the pinned records: 35 of the weak group and,
# of 15 of the strong group, those whose number 35 .. 49 is no multiple of 4.
_NUM_CLIPS = {"weak": 46, "weak_small": 11, "strong": 15}
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    global_batch_size=12,
    shuffle_block_clips=8,
)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_pinned_records(tmp_path_factory.mktemp("pinned"))


@pytest.fixture(scope="module")
def clip_of_row(records):
    """Name of the clip that has a row of features, by the row's bytes."""
    names = {}
    for shard in records.shards:
        for serialized in tf.data.TFRecordDataset(records.path_of(shard)):
            record = parse_record(serialized, "weak", records.features)
            for row in decode_log_mel(record, records.features).numpy():
                names[row.tobytes()] = record.segment_id.numpy().decode()
    return names


def _clips(records, clip_of_row, name, number, **reading):
    """Names of the clips of the first examples."""
    stream = training_examples(
        records, get_training_set(name), Reading(3, 8, **reading)
    )
    patches, _ = next(iter(stream.batch(number)))
    return [clip_of_row[patch[0].tobytes()] for patch in patches.numpy()]


@pytest.mark.parametrize("is_deterministic", [True, False])
@pytest.mark.parametrize("name", sorted(_NUM_CLIPS))
def test_each_pass_has_every_clip_once(
    records, clip_of_row, name, is_deterministic
):
    number = _NUM_CLIPS[name]
    clips = _clips(
        records,
        clip_of_row,
        name,
        3 * number,
        is_deterministic=is_deterministic,
    )
    passes = np.reshape(clips, [3, number])
    for names in passes:
        assert sorted(names) == sorted(passes[0])
    assert len(set(passes[0])) == number


def test_without_order_a_resumed_run_counts_the_same(records, clip_of_row):
    # Twelve of 15 clips are used; what follows is three more and whole passes.
    clips = _clips(
        records,
        clip_of_row,
        "strong",
        3 + 15 + 15,
        num_skipped=12,
        is_deterministic=False,
    )
    assert len(set(clips[3:18])) == len(set(clips[18:])) == 15


# There are nine weak and two strong shards: three workers are more than these.
@pytest.mark.parametrize(
    ("name", "num_workers"),
    [
        ("weak", 1),
        ("weak", 2),
        ("weak", 3),
        ("strong", 3),
        ("weak_small", 2),
        ("weak_small", 5),
    ],
)
def test_workers_share_a_pass(records, clip_of_row, name, num_workers):
    shares = []
    for index in range(num_workers):
        worker = InputWorker(index, num_workers)
        clips = _clips(records, clip_of_row, name, 92, worker=worker)
        # A pass ends where the first clip comes again.
        length = len(set(clips))
        assert sorted(clips[:length]) == sorted(clips[length : 2 * length])
        shares.append(clips[:length])
    counts = collections.Counter(clip for share in shares for clip in share)
    assert set(counts.values()) == {1}
    assert len(counts) == _NUM_CLIPS[name]


@pytest.mark.parametrize("num_skipped", [1, 5, 6, 40])
def test_a_worker_resumes(records, num_skipped):
    # weak_small: the number of clips of a worker is not in the manifest.
    def take(number, num_skipped):
        stream = training_examples(
            records,
            get_training_set("weak_small"),
            Reading(3, 4, num_skipped, worker=InputWorker(1, 2)),
        )
        return next(iter(stream.batch(number)))

    for whole, tail in zip(take(50, 0), take(50 - num_skipped, num_skipped)):
        np.testing.assert_array_equal(whole[num_skipped:], tail)


def test_a_worker_without_examples(records):
    # Fifteen clips and fifteen workers, but four clips have no weak labels.
    with pytest.raises(InputError, match="worker 1 of 15 has no clip.*fewer"):
        _clips(records, {}, "weak_small", 1, worker=InputWorker(1, 15))


def test_batches_of_workers(records):
    sources = []
    for index in range(3):
        stream = training_stream(records, _PARAMS, worker=InputWorker(index, 3))
        batches = list(stream.take(50))
        assert {len(batch["patches"]) for batch in batches} == {4}
        sources.append(np.concatenate([batch["source"] for batch in batches]))
        # A resumed worker goes on where it was.
        tail = training_stream(
            records, _PARAMS, first_step=48, worker=InputWorker(index, 3)
        )
        for expected, found in zip(batches[48:], tail):
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values)
    # Each worker mixes on its own: 200 choices, standard error 0.035.
    assert all(abs(source.mean() - 0.5) < 0.15 for source in sources)
    assert (sources[0] != sources[1]).any()


def test_splits_are_the_parts_of_a_batch(records):
    whole = list(training_stream(records, _PARAMS).take(2))
    parts = list(training_stream(records, _PARAMS, num_splits=3).take(6))
    for name in whole[0]:
        np.testing.assert_array_equal(
            tf.concat([batch[name] for batch in whole], 0),
            tf.concat([part[name] for part in parts], 0),
        )


@pytest.mark.parametrize("num_splits", [5, 24])
def test_a_batch_that_cannot_be_split(records, num_splits):
    with pytest.raises(InputError, match="cannot be shared evenly"):
        training_stream(records, _PARAMS, num_splits=num_splits)


@pytest.mark.parametrize("mixed", ["", "strong"])
@pytest.mark.parametrize("log_mel_dtype", ["float16", "uint8"])
@pytest.mark.parametrize("deterministic_input", [True, False])
@pytest.mark.parametrize("num_workers", [1, 2])
def test_shapes_are_static(
    tmp_path, mixed, log_mel_dtype, deterministic_input, num_workers
):
    records = write_pinned_records(tmp_path, log_mel_dtype)
    params = dataclasses.replace(
        _PARAMS,
        mixed_training_set=mixed,
        deterministic_input=deterministic_input,
    )
    stream = training_stream(
        records, params, worker=InputWorker(0, num_workers)
    )
    size = 12 // num_workers
    assert stream.element_spec == {
        "patches": tf.TensorSpec([size, 96, 64], tf.float32),
        "targets": tf.TensorSpec([size, 4], tf.float32),
        "target_mask": tf.TensorSpec([size, 4], tf.float32),
        "source": tf.TensorSpec([size], tf.float32),
    }
    [batch] = stream.take(1)
    assert batch["patches"].shape == (size, 96, 64)


@pytest.mark.parametrize("mixed", ["", "strong"])
def test_8_bits_change_the_features_and_nothing_else(records, tmp_path, mixed):
    quantised = write_pinned_records(tmp_path, "uint8")
    params = dataclasses.replace(_PARAMS, mixed_training_set=mixed)
    streams = [training_stream(r, params).take(6) for r in (records, quantised)]
    # Features are in [-16, 16): a step is 32 / 255.
    for exact, found in zip(*streams):
        error = np.abs(found["patches"] - exact["patches"]).max()
        assert 0.01 < error <= 32 / 255 / 2 + 1e-5
        for name in ("targets", "target_mask", "source"):
            np.testing.assert_array_equal(found[name], exact[name])
