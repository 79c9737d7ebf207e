"""Local copies of shards: whole or not at all, bounded, and read instead."""

import os
import pathlib
import threading

import numpy as np
import pytest
from tiny_release import prepare_tiny

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.params import RecordParams, TrainParams
from audioset_strong.records import shard_cache
from audioset_strong.records.manifest import read_records
from audioset_strong.records.shard_cache import ShardCache
from audioset_strong.records.streams import (
    InputWorker,
    label_frame_batches,
    read_batches,
    training_stream,
)

_SHARDS = {name: 1000 for name in "abcdef"}
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    global_batch_size=8,
    shuffle_block_clips=8,
)


@pytest.fixture
def shards_dir(tmp_path):
    """Six shards of 1000 bytes."""
    folder = tmp_path / "records"
    folder.mkdir()
    for name, num_bytes in _SHARDS.items():
        (folder / name).write_bytes(name.encode() * num_bytes)
    return folder


@pytest.fixture
def small_disk(monkeypatch):
    """Sets the room on the disk of a cache."""

    def set_room(num_bytes):
        usage = type("Usage", (), {"free": num_bytes})
        monkeypatch.setattr(shard_cache.shutil, "disk_usage", lambda _: usage)

    return set_room


def _use(cache, name):
    cache.ask(name)
    cache.wait(name)
    content = pathlib.Path(cache.path_of(name)).read_bytes()
    cache.release(name)
    assert content == name.encode() * 1000


def _copies(cache):
    folder = os.path.dirname(cache.path_of("a"))
    return [name for name in "abcdef" if os.path.exists(f"{folder}/{name}")]


def test_what_fits_is_copied_once(shards_dir, tmp_path, monkeypatch):
    sources, copy_here = [], files.copy_here
    monkeypatch.setattr(
        files,
        "copy_here",
        lambda source, path: sources.append(source) or copy_here(source, path),
    )
    for _ in range(2):
        cache = ShardCache(str(shards_dir), _SHARDS, "key", str(tmp_path / "c"))
        for name in "abcabc":
            _use(cache, name)
    assert sources == [str(shards_dir / name) for name in "abc"]
    # One is cut short, as by a crash of the machine.
    os.truncate(cache.path_of("b"), 100)
    _use(cache, "b")
    assert sources[3:] == [str(shards_dir / "b")]
    assert cache.error is None


def test_what_was_not_used_for_longest_goes(shards_dir, tmp_path, small_disk):
    small_disk(6000)
    cache = ShardCache(str(shards_dir), _SHARDS, "key", str(tmp_path / "c"))
    for name in "abcdeaf":
        _use(cache, name)
    # 0.9 of the room: five shards.
    assert _copies(cache) == ["a", "c", "d", "e", "f"]


def test_what_is_being_read_stays(shards_dir):
    cache = ShardCache(str(shards_dir), _SHARDS, "key")
    for name in "abc":
        cache.ask(name)
        cache.wait(name)
    cache.ask("a")
    cache.release("a")
    cache.release("c")
    assert _copies(cache) == ["a", "b"]
    cache.release("a")
    cache.release("b")
    assert _copies(cache) == []


def test_a_disk_without_room_is_told_at_once(shards_dir, tmp_path, small_disk):
    small_disk(5999)
    with pytest.raises(InputError, match="need 0.00 GB.*cache_dir on a larger"):
        ShardCache(str(shards_dir), _SHARDS, "key", str(tmp_path / "c"))


def test_a_cache_is_local(shards_dir):
    with pytest.raises(InputError, match="Expected a local folder for cache_d"):
        ShardCache(str(shards_dir), _SHARDS, "key", "s3://bucket/cache")


def test_a_copy_that_cannot_be_made_leaves_nothing(shards_dir, tmp_path):
    (shards_dir / "a").unlink()
    os.truncate(shards_dir / "b", 10)
    cache = ShardCache(str(shards_dir), _SHARDS, "key", str(tmp_path / "c"))
    for name, error, message in (
        ("a", FileNotFoundError, "No such file"),
        ("b", InputError, "should have 1000 bytes, its copy has 10"),
    ):
        cache.ask(name)
        with pytest.raises(error, match=message):
            cache.wait(name)
        assert isinstance(cache.error, error)
    assert _copies(cache) == []


def test_readers_in_threads_find_what_they_wait_for(shards_dir):
    cache, failures = ShardCache(str(shards_dir), _SHARDS, "key"), []

    def read(seed):
        try:
            for index in np.random.default_rng(seed).integers(6, size=50):
                _use(cache, "abcdef"[index])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _copies(cache) == []


# --- streams ---------------------------------------------------------------


@pytest.fixture(scope="module")
def small_shards_dir(tiny_release, tmp_path_factory):
    """Records in more shards than are read at a time."""
    folder = tmp_path_factory.mktemp("records")
    prepare_tiny(
        tiny_release, folder, params=RecordParams(0.2, clips_per_shard=1)
    )
    return str(folder)


def _equal(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for name, values in batch.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_streams_are_those_without_a_cache(
    small_shards_dir, tmp_path, monkeypatch
):
    plain = read_records(small_shards_dir)
    # No copy stays longer than it is read.
    monkeypatch.setattr(shard_cache, "_MAX_SHARE_OF_DISK", 0)
    cached = read_records(small_shards_dir, str(tmp_path / "cache"))
    # Its share ends within a shard.
    worker = InputWorker(0, 2)
    streams = [
        training_stream(records, _PARAMS, 0, worker).take(20)
        for records in (plain, cached)
    ]
    _equal(*streams)
    cached = read_records(small_shards_dir, str(tmp_path / "cache2"))
    groups = ["weak", "strong"]
    _equal(
        label_frame_batches(plain, groups), label_frame_batches(cached, groups)
    )
    # All were read to the end.
    assert not list((tmp_path / "cache2").rglob("*.tfrecord"))


def test_a_missing_shard_is_one_clear_error(small_shards_dir, tmp_path):
    cached = read_records(small_shards_dir, str(tmp_path / "cache"))
    missing = cached.shards_of("strong")[1]
    os.rename(f"{small_shards_dir}/{missing.name}", tmp_path / "away")
    try:
        batches = label_frame_batches(cached, ["strong"])
        with pytest.raises(FileNotFoundError) as caught:
            list(read_batches(batches, cached))
    finally:
        os.rename(tmp_path / "away", f"{small_shards_dir}/{missing.name}")
    assert caught.value.filename == f"{small_shards_dir}/{missing.name}"
