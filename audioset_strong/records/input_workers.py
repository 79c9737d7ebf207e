"""Shares the clips of a pass among several input workers.

The clips of all shards, in the order of the manifest, are one long list, and
each worker reads one stretch of it: some whole shards and parts of two others.
So shares are disjoint, are together every clip, and differ by one clip at most,
for any number of workers and shards; and a worker reads little but its share.
Dealing out whole shards would give a worker of two with three shards half of
the other's clips, and it would show each twice as often; reading every n-th
clip would have each worker read all bytes.
"""

import dataclasses
from collections.abc import Sequence

from audioset_strong.errors import InputError
from audioset_strong.records.manifest import Shard


@dataclasses.dataclass(frozen=True)
class InputWorker:
    """One of several processes or hosts that read the same records.

    Attributes:
      index: Which one, from 0.
      num_workers: How many there are.
    """

    index: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        """Checks that there is such a worker."""
        if not 0 <= self.index < self.num_workers:
            raise InputError(
                f"Expected an input worker of 0 to {self.num_workers - 1}. "
                f"Received: {self.index}."
            )

    def share_of(self, global_batch_size: int) -> int:
        """Examples that this worker gives to a global batch.

        Raises:
          InputError: They cannot be shared evenly.
        """
        if global_batch_size % self.num_workers:
            raise InputError(
                f"A global batch of {global_batch_size} cannot be shared "
                f"evenly by {self.num_workers} input workers. Give a multiple."
            )
        return global_batch_size // self.num_workers


@dataclasses.dataclass(frozen=True)
class ShardPart:
    """A stretch of the clips of one shard.

    Attributes:
      shard: The shard.
      first_clip: Number of its first clip.
      num_clips: Clips of the stretch.
    """

    shard: Shard
    first_clip: int
    num_clips: int

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole shard."""
        return self.num_clips == self.shard.num_clips


def parts_of_worker(
    shards: Sequence[Shard], worker: InputWorker
) -> list[ShardPart]:
    """Returns what one worker reads of some shards; see the module docstring.

    Raises:
      InputError: There are fewer clips than workers.
    """
    num_clips = sum(shard.num_clips for shard in shards)
    if num_clips < worker.num_workers:
        raise InputError(
            f"{num_clips} clips cannot be shared by {worker.num_workers} input "
            f"workers. Use fewer."
        )
    first = num_clips * worker.index // worker.num_workers
    end = num_clips * (worker.index + 1) // worker.num_workers
    parts, shard_first = [], 0
    for shard in shards:
        start = max(first - shard_first, 0)
        stop = min(end - shard_first, shard.num_clips)
        if start < stop:
            parts.append(ShardPart(shard, start, stop - start))
        shard_first += shard.num_clips
    return parts
