"""Local copies of shards, made ahead of the reader.

TensorFlow reads local files only, and training reads its shards again and
again. So a reader says which shards it will want next, in its own order, and
copies are made in the background while it reads earlier ones:

    ask -> copied -> wait -> read -> release

A copy appears whole or not at all, and is compared with the size in the
manifest. Copies that nobody has asked for are deleted, the least recently used
first, when all together exceed a bound; where the records fit into it, each
shard is copied once. Copies lie in a folder named after the manifest's content,
so that those of other records never mix with them.
"""

import collections
import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping

from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError

# Shards that a reader asks for before it reads them, and so the copies under
# way at a time. As many as it reads at once: our choice.
NUM_AHEAD = 8
# Shards that one reader holds at a time: as many again are being read.
_NUM_HELD = 2 * NUM_AHEAD
# The share of the room on the cache's disk that copies may take.
_MAX_SHARE_OF_DISK = 0.9
# A copy is written to all the time; one that was not for so long is a killed
# run's.
_ABANDONED_SECONDS = 3600


class ShardCache:
    """Copies of the shards of one folder of records; for use in threads.

    Attributes:
      error: Why a copy that a reader waited for could not be made; None if all
        could.
    """

    def __init__(
        self,
        records_dir: str,
        num_bytes_of_shard: Mapping[str, int],
        content_hash: str,
        cache_dir: str = "",
    ) -> None:
        """Finds what an earlier run has copied; copies nothing yet.

        Args:
          records_dir: Where the shards are, local or in object storage.
          num_bytes_of_shard: The size of each shard, by its name.
          content_hash: Of the manifest; names the folder of the copies.
          cache_dir: Local folder that copies are kept in while its disk has
            room; "" for a temporary one that holds what is being read.

        Raises:
          InputError: The folder is not local, or its disk has no room for the
            shards that are read at a time.
        """
        if files.is_remote(cache_dir):
            raise InputError(
                f"Expected a local folder for cache_dir. Received: {cache_dir}."
            )
        if not cache_dir:
            self._temporary_folder = tempfile.TemporaryDirectory(
                prefix="audioset_strong-", ignore_cleanup_errors=True
            )
        self._folder = os.path.join(
            cache_dir or self._temporary_folder.name, content_hash
        )
        os.makedirs(self._folder, exist_ok=True)
        self._records_dir = records_dir
        self._num_bytes = dict(num_bytes_of_shard)
        self._num_readers: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._lock_of_shard = {
            name: threading.Lock() for name in num_bytes_of_shard
        }
        self.error: Exception | None = None
        # What killed runs left of copies that were under way.
        for entry in os.scandir(self._folder):
            age = time.time() - entry.stat().st_mtime
            if entry.name not in self._num_bytes and age > _ABANDONED_SECONDS:
                files.remove(entry.path)
        # Shards that are copied or being copied, the least recently used first.
        self._held: dict[str, None] = dict.fromkeys(
            sorted(
                filter(self._is_copied, num_bytes_of_shard),
                key=lambda name: os.path.getmtime(self.path_of(name)),
            )
        )
        room = shutil.disk_usage(self._folder).free + self._num_bytes_held()
        sizes = sorted(self._num_bytes.values(), reverse=True)
        needed = sum(sizes[:_NUM_HELD])
        if needed > room:
            raise InputError(
                f"Copies of the shards that are read at a time need "
                f"{needed / 1e9:.2f} GB; {self._folder} has room for "
                f"{room / 1e9:.2f} GB. Give a cache_dir on a larger disk."
            )
        self._max_bytes = int(_MAX_SHARE_OF_DISK * room) if cache_dir else 0
        logging.info(
            "Shards of %s are copied to %s as they are needed; %.2f of %.2f GB "
            "are there, and up to %.2f GB are kept.",
            records_dir,
            self._folder,
            self._num_bytes_held() / 1e9,
            sum(sizes) / 1e9,
            min(self._max_bytes, sum(sizes)) / 1e9,
        )

    def path_of(self, name: str) -> str:
        """Returns the path of a copy, which exists from wait to release."""
        return os.path.join(self._folder, name)

    def ask(self, name: str) -> None:
        """Begins to copy a shard, and keeps it until it is released."""
        with self._lock:
            self._num_readers[name] += 1

        def copy_ahead() -> None:
            # Whoever waits for the shard tries again, and raises the error.
            with contextlib.suppress(Exception):
                self._copy(name)

        # A daemon, so that a run that is over does not wait for it. There are
        # few, because readers ask for few shards that they have not read.
        threading.Thread(target=copy_ahead, daemon=True).start()

    def wait(self, name: str) -> None:
        """Waits until a shard that was asked for is copied.

        Raises:
          InputError: The shard is not as long as the manifest says.
          OSError: It cannot be read, or the copy cannot be written.
        """
        try:
            self._copy(name)
        except Exception as error:
            self.error = error
            raise

    def release(self, name: str) -> None:
        """Says that a reader is done with a shard."""
        with self._lock:
            self._num_readers[name] -= 1
            self._make_room()

    def _copy(self, name: str) -> None:
        """Copies a shard unless it is there or nobody wants it any more."""
        with self._lock_of_shard[name]:
            with self._lock:
                if not self._num_readers[name]:
                    return
                self._held.pop(name, None)
                self._held[name] = None
                self._make_room()
            if self._is_copied(name):
                return
            source = os.path.join(self._records_dir, name)
            with files.replace_when_whole(self.path_of(name)) as temporary:
                files.copy_here(source, temporary)
                num_bytes = os.path.getsize(temporary)
                if num_bytes != self._num_bytes[name]:
                    raise InputError(
                        f"Shard {source} should have {self._num_bytes[name]} "
                        f"bytes, its copy has {num_bytes}. Run the same "
                        f"command again; if it stays so, prepare the shard "
                        f"again."
                    )

    def _make_room(self) -> None:
        """Deletes copies that nobody reads until the others keep the bound."""
        num_bytes = self._num_bytes_held()
        for name in list(self._held):
            if num_bytes <= self._max_bytes:
                return
            if not self._num_readers[name]:
                files.remove(self.path_of(name))
                del self._held[name]
                num_bytes -= self._num_bytes[name]

    def _num_bytes_held(self) -> int:
        return sum(self._num_bytes[name] for name in self._held)

    def _is_copied(self, name: str) -> bool:
        path = self.path_of(name)
        return (
            os.path.exists(path)
            and os.path.getsize(path) == self._num_bytes[name]
        )
