"""A local copy of shards, for records in object storage.

Training reads its shards again and again; from object storage every pass would
go through the network. What a run needs is copied once, before its first step.
A shard is copied under a temporary name, compared with the size in the manifest
and renamed, so it is there whole or not at all. Copies lie in a folder named
after the manifest's content, so that other records never mix with them.
"""

import concurrent.futures
import dataclasses
import hashlib
import os

import tensorflow as tf
import tqdm
from absl import logging

from audioset_strong import storage
from audioset_strong.errors import InputError
from audioset_strong.records.manifest import MANIFEST_NAME, Records, Shard

# Shards copied at a time; each waits for the network, not for a core.
_PARALLEL_COPIES = 8


def _is_copied(path: str, shard: Shard) -> bool:
    return os.path.exists(path) and os.path.getsize(path) == shard.num_bytes


def _copy_shard(source: str, path: str, shard: Shard) -> None:
    """Copies one shard, whole or not at all."""
    with storage.replace_when_whole(path) as temporary_path:
        with storage.clear_storage_errors(source):
            tf.io.gfile.copy(source, temporary_path, overwrite=True)
        num_bytes = os.path.getsize(temporary_path)
        if num_bytes != shard.num_bytes:
            raise InputError(
                f"Shard {source} should have {shard.num_bytes} bytes, its copy "
                f"has {num_bytes}. Run the same command again; if it stays so, "
                f"prepare the shard again."
            )


def cache_shards(records: Records, cache_dir: str) -> Records:
    """Copies the shards of records to a local folder, once.

    Args:
      records: Local or in object storage.
      cache_dir: Local folder; copies go to a folder inside it.

    Returns:
      The same records, to be read from the copies.

    Raises:
      InputError: The folder is not local, or a shard is not as long as the
        manifest says.
      OSError: Something cannot be read or written, as on a full disk.
    """
    if storage.is_remote(cache_dir):
        raise InputError(
            f"Expected a local folder for --cache_dir. Received: {cache_dir}."
        )
    storage.connect(records.records_dir)
    manifest = storage.read_bytes(
        os.path.join(records.records_dir, MANIFEST_NAME)
    )
    folder = os.path.join(cache_dir, hashlib.sha256(manifest).hexdigest()[:16])
    os.makedirs(folder, exist_ok=True)
    missing = [
        shard
        for shard in records.shards
        if not _is_copied(os.path.join(folder, shard.name), shard)
    ]
    num_bytes = sum(shard.num_bytes for shard in missing)
    if missing:
        logging.info(
            "Copying %d of %d shards (%.1f GB) of %s to %s.",
            len(missing),
            len(records.shards),
            num_bytes / 1e9,
            records.records_dir,
            folder,
        )
    with (
        tqdm.tqdm(
            total=num_bytes, unit="B", unit_scale=True, desc="cache"
        ) as progress,
        concurrent.futures.ThreadPoolExecutor(_PARALLEL_COPIES) as executor,
    ):
        copies = {
            executor.submit(
                _copy_shard,
                records.path_of(shard),
                os.path.join(folder, shard.name),
                shard,
            ): shard
            for shard in missing
        }
        try:
            for copy in concurrent.futures.as_completed(copies):
                copy.result()
                progress.update(copies[copy].num_bytes)
        except BaseException:
            # What is under way ends well or leaves nothing; the rest can wait.
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return dataclasses.replace(records, records_dir=folder)
