"""Mixing by mu: the realised share, and streams that resume."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import get_training_set
from audioset_strong.params import TrainParams
from audioset_strong.records import streams
from audioset_strong.records.manifest import Shard, read_records
from audioset_strong.records.schema import ClipRecord, serialize_record
from audioset_strong.records.shard import class_events
from audioset_strong.records.streams import Mixture, class_mask, training_stream

_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.8,
    global_batch_size=50,
    shuffle_block_clips=8,
    seed=5,
)


@pytest.fixture(scope="module")
def records(tiny_records_dir):
    return read_records(tiny_records_dir)


def _choices(mixture, first_example, number):
    stream = mixture.choices(first_example).batch(number).take(1)
    return next(stream.as_numpy_iterator())


def _within_four_sigma(share, mu, number):
    return abs(share - mu) <= 4 * np.sqrt(mu * (1 - mu) / number)


@pytest.fixture(scope="module")
def unequal_records(records, tmp_path_factory):
    """300 clips with weak labels, 6 with strong ones; a patch of audio each."""
    folder = tmp_path_factory.mktemp("unequal")
    shards = []
    for group, number in (("weak", 300), ("strong", 6)):
        path = folder / f"{group}-00000-of-00001.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(number):
                log_mel = np.full([96, 64], index, np.float32)
                events = {group: class_events([(0, 0.0, 10.0)])}
                record = ClipRecord(f"{group}{index}_0", log_mel, 1.0, events)
                writer.write(serialize_record(record))
        counts = (number, 0) if group == "weak" else (0, number)
        num_bytes = path.stat().st_size
        shards.append(Shard(group, path.name, num_bytes, number, *counts))
    return dataclasses.replace(
        records, records_dir=str(folder), shards=tuple(shards)
    )


def test_the_realised_share_is_mu(unequal_records):
    params = dataclasses.replace(_PARAMS, mu=0.5)
    stream = training_stream(unequal_records, params).take(100)
    source = np.concatenate([batch["source"] for batch in stream])
    assert source.shape == (5000,)
    assert _within_four_sigma(source.mean(), 0.5, 5000)
    # The small source does not run dry.
    assert _within_four_sigma(source[:1000].mean(), 0.5, 1000)
    assert _within_four_sigma(source[-1000:].mean(), 0.5, 1000)
    np.testing.assert_array_equal(source, _choices(Mixture(0.5, 5), 0, 5000))


@pytest.mark.parametrize("mu", [0.01, 0.2, 0.8])
def test_the_share_of_choices_is_mu(mu):
    choices = _choices(Mixture(mu, 0), 0, 100000)
    assert _within_four_sigma(choices.mean(), mu, 100000)
    assert _within_four_sigma(choices[-5000:].mean(), mu, 5000)


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_the_ends_are_exact(records, mu):
    params = dataclasses.replace(_PARAMS, mu=mu)
    stream = training_stream(records, params).take(3)
    assert {float(s) for b in stream for s in b["source"]} == {mu}
    assert (_choices(Mixture(mu, 0), 0, 70000) == mu).all()


def test_counting_equals_counting():
    mixture = Mixture(0.3, seed=7)
    chosen = _choices(mixture, 0, 3 * streams._BLOCK)
    assert _within_four_sigma(chosen.mean(), 0.3, len(chosen))
    block = streams._BLOCK
    for number in (0, 1, 1000, block - 1, block, block + 1, 2 * block + 77):
        assert mixture.count_second(number) == chosen[:number].sum()
        np.testing.assert_array_equal(
            _choices(mixture, number, 500), chosen[number : number + 500]
        )


def test_the_seed_decides():
    first, again, other = (
        _choices(Mixture(0.5, seed), 0, 100) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("mixed", "first_step"),
    [("", 3), ("strong", 1), ("strong", 7), ("diffuse", 4)],
)
def test_a_resumed_stream_is_the_tail_of_the_stream(records, mixed, first_step):
    params = dataclasses.replace(
        _PARAMS, mixed_training_set=mixed, mu=0.4, global_batch_size=7
    )
    whole = list(training_stream(records, params).take(10))
    tail = list(
        training_stream(records, params, first_step).take(10 - first_step)
    )
    for expected, found in zip(whole[first_step:], tail, strict=True):
        assert set(found) == {"patches", "targets", "target_mask", "source"}
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_batches(records):
    [batch] = training_stream(records, _PARAMS).take(1)
    assert batch["patches"].shape == (50, 96, 64)
    assert batch["targets"].shape == (50, 4)
    assert (batch["target_mask"].numpy() == 1).all()


def test_two_sources_of_the_same_clips_draw_other_windows(records):
    params = dataclasses.replace(
        _PARAMS, training_set="diffuse", mixed_training_set="strong", mu=0.5
    )
    [batch] = training_stream(records, params).take(1)
    patches = {
        source: {
            patch.tobytes()
            for patch, s in zip(batch["patches"].numpy(), batch["source"])
            if s == source
        }
        for source in (0, 1)
    }
    assert len(patches[0] & patches[1]) <= 1


def test_classes_without_strong_labels_are_masked_on_demand(records):
    # Class 3 has no label at all.
    strong, weak = get_training_set("strong"), get_training_set("weak")
    assert class_mask(records, strong, False).tolist() == [1, 1, 1, 1]
    assert class_mask(records, strong, True).tolist() == [1, 1, 1, 0]
    assert class_mask(records, weak, True).tolist() == [1, 1, 1, 1]
    diffuse = get_training_set("diffuse")
    assert class_mask(records, diffuse, True).tolist() == [1, 1, 1, 0]
    params = dataclasses.replace(_PARAMS, mask_unlabelled_classes=True)
    [batch] = training_stream(records, params).take(1)
    is_mixed = batch["source"].numpy() == 1
    assert is_mixed.any()
    np.testing.assert_array_equal(batch["target_mask"][:, 3], ~is_mixed)


@pytest.mark.parametrize("mu", [-0.1, 1.1, float("nan")])
def test_mu_is_a_probability(mu):
    with pytest.raises(InputError, match="Expected 0 <= mu <= 1"):
        Mixture(mu, 0)
