"""Local copies of shards: whole or not at all, and read instead."""

import os

import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.errors import InputError
from audioset_strong.params import TrainParams
from audioset_strong.records.streams import cache_shards, training_stream

_PARAMS = TrainParams(
    training_set="weak", global_batch_size=8, shuffle_block_clips=8
)


@pytest.fixture
def records(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "manifest.json").write_text('{"a": 1}')
    return write_pinned_records(tmp_path / "records")


def _files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_the_stream_comes_from_the_copies(records, tmp_path):
    expected = list(training_stream(records, _PARAMS).take(3))
    cached = cache_shards(records, str(tmp_path / "cache"))
    assert _files(tmp_path / "cache") == sorted(s.name for s in records.shards)
    for shard in records.shards:
        os.remove(records.path_of(shard))
    for batch, found in zip(
        expected, training_stream(cached, _PARAMS).take(3), strict=True
    ):
        np.testing.assert_array_equal(batch["patches"], found["patches"])


def test_what_is_there_is_not_copied_again(records, tmp_path, monkeypatch):
    cached = cache_shards(records, str(tmp_path / "cache"))
    paths = [cached.path_of(shard) for shard in records.shards]
    times = [os.stat(path).st_mtime_ns for path in paths]
    # One is cut short, as by a full disk.
    os.truncate(paths[2], 100)
    copied, copy = [], tf.io.gfile.copy
    monkeypatch.setattr(
        tf.io.gfile,
        "copy",
        lambda *a, **k: copied.append(a[0]) or copy(*a, **k),
    )
    cache_shards(records, str(tmp_path / "cache"))
    assert copied == [records.path_of(records.shards[2])]
    after = [os.stat(path).st_mtime_ns for path in paths]
    assert [t == a for t, a in zip(times, after)].count(False) == 1
    assert os.path.getsize(paths[2]) == records.shards[2].num_bytes


def test_a_shard_of_the_wrong_size_is_not_kept(records, tmp_path):
    os.truncate(records.path_of(records.shards[0]), 1000)
    with pytest.raises(InputError, match="its copy has 1000"):
        cache_shards(records, str(tmp_path / "cache"))
    assert records.shards[0].name not in _files(tmp_path / "cache")
    assert not [n for n in _files(tmp_path / "cache") if "tmp" in n]


def test_a_shard_that_is_gone(records, tmp_path):
    os.remove(records.path_of(records.shards[1]))
    with pytest.raises(FileNotFoundError):
        cache_shards(records, str(tmp_path / "cache"))
    assert records.shards[1].name not in _files(tmp_path / "cache")


def test_other_records_have_other_copies(records, tmp_path):
    first = cache_shards(records, str(tmp_path / "cache"))
    (tmp_path / "records" / "manifest.json").write_text('{"a": 2}')
    second = cache_shards(records, str(tmp_path / "cache"))
    assert first.records_dir != second.records_dir


def test_a_cache_is_local(records):
    with pytest.raises(InputError, match="local folder for --cache_dir"):
        cache_shards(records, "s3://bucket/cache")
