"""What goes wrong while records are read is one clear line."""

import dataclasses
import os

import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.errors import InputError
from audioset_strong.params import TrainParams
from audioset_strong.records.streams import (
    label_frame_batches,
    read_batches,
    training_stream,
)

_PARAMS = TrainParams(
    training_set="strong", global_batch_size=2, shuffle_block_clips=4
)


@pytest.fixture
def records(tmp_path):
    return write_pinned_records(tmp_path)


def _read(records):
    """Reads a pass of training examples and all label frames."""
    streams = [
        training_stream(records, _PARAMS).take(8),
        label_frame_batches(records, ["strong"]),
    ]
    for stream in streams:
        with pytest.raises(InputError) as raised:
            list(read_batches(stream, records))
        message = str(raised.value)
        assert records.records_dir in message
        assert "\n" not in message
        assert "{{" not in message
        assert "Iterator::" not in message
        yield message


def _strong_path(records):
    return records.path_of(records.shards_of("strong")[1])


def test_nothing_wrong(records):
    assert len(list(read_batches(range(3), records))) == 3
    assert len(list(read_batches(training_stream(records, _PARAMS).take(8),
                                 records))) == 8  # fmt: skip


@pytest.mark.parametrize("place", [1000, -1000, 3])
def test_a_corrupt_shard(records, place):
    with open(_strong_path(records), "r+b") as file:
        data = bytearray(file.read())
        data[place] ^= 0xFF  # same size, so only the checksum tells
        file.seek(0)
        file.write(data)
    for message in _read(records):
        assert "is corrupt" in message
        assert "prepare_records again" in message


def test_a_shard_that_ends_in_the_middle(records):
    os.truncate(_strong_path(records), 200_000)
    for message in _read(records):
        assert "is corrupt" in message


def test_a_shard_that_is_gone(records):
    os.remove(_strong_path(records))
    for message in _read(records):
        assert "NotFoundError" in message
        assert "run the same command again" in message


@pytest.mark.parametrize("content", [b"no record", b""])
def test_records_of_something_else(records, content):
    with tf.io.TFRecordWriter(_strong_path(records)) as writer:
        writer.write(content)
    for message in _read(records):
        assert "does not hold a clip with float16 features" in message


def test_records_of_another_dtype(records):
    uint8 = dataclasses.replace(records, log_mel_dtype="uint8")
    for message in _read(uint8):
        assert "clip with uint8 features" in message
        assert "log_mel_" in message


def test_a_connection_that_breaks(records):
    def batches():
        yield 0
        raise tf.errors.UnavailableError(None, None, "reset by peer\n\tat 0x1")

    with pytest.raises(InputError, match="UnavailableError: reset by peer"):
        list(read_batches(batches(), records))


def test_an_error_of_who_reads_is_left_alone(records):
    def fail(batch):
        raise tf.errors.InternalError(None, None, f"of a model, at {batch}")

    with pytest.raises(tf.errors.InternalError, match="of a model, at 0"):
        list(map(fail, read_batches(range(3), records)))
