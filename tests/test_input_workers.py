"""Shares of several input workers: disjoint, whole and even."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.records.manifest import Shard
from audioset_strong.records.streams import InputWorker, parts_of_worker


def _shards(sizes):
    return [Shard("weak", f"{i}", 0, n, n, 0) for i, n in enumerate(sizes)]


def _clips(parts):
    return [
        (part.shard.name, part.first_clip + number)
        for part in parts
        for number in range(part.num_clips)
    ]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_shares_are_every_clip_once_and_even(sizes, num_workers):
    shards = _shards(sizes)
    if sum(sizes) < num_workers:
        return
    shares = [
        _clips(parts_of_worker(shards, InputWorker(index, num_workers)))
        for index in range(num_workers)
    ]
    assert [clip for share in shares for clip in share] == [
        (str(i), number) for i, n in enumerate(sizes) for number in range(n)
    ]
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_one_worker_reads_whole_shards():
    parts = parts_of_worker(_shards([3, 1, 5]), InputWorker())
    assert [part.is_whole for part in parts] == [True] * 3


def test_shares_by_hand():
    # Ten clips, so the second of three reads clips 3 to 5: the last of the
    # first shard and two of the second.
    parts = parts_of_worker(_shards([4, 6]), InputWorker(1, 3))
    found = [(p.shard.name, p.first_clip, p.num_clips) for p in parts]
    assert found == [("0", 3, 1), ("1", 0, 2)]


def test_more_workers_than_clips():
    with pytest.raises(InputError, match="3 clips cannot be shared by 4"):
        parts_of_worker(_shards([2, 1]), InputWorker(0, 4))


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_such_worker(index):
    with pytest.raises(InputError, match="worker of 0 to 1"):
        InputWorker(index, 2)


def test_shares_of_a_batch():
    assert InputWorker(1, 4).share_of(128) == 32
    with pytest.raises(InputError, match="128 cannot be shared evenly by 3"):
        InputWorker(0, 3).share_of(128)
