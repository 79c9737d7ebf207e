"""What a folder of records holds, for people.

Everything comes from the manifest but for `verify_shards`, which reads the
records themselves.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tqdm

from audioset_strong.errors import InputError
from audioset_strong.records.manifest import (
    GROUPS,
    MANIFEST_NAME,
    Records,
    Shard,
    read_json,
    read_records,
)
from audioset_strong.records.plan import RecordSettings
from audioset_strong.records.schema import LABEL_SETS
from audioset_strong.records.streams import read_shards

_SETTINGS = tuple(f.name for f in dataclasses.fields(RecordSettings))
_WIDTH = 13


def content_hash(shards: Iterable[Shard]) -> str:
    """Hashes the records of a folder: 16 hexadecimal digits.

    The same for the same clips, labels and settings, wherever the folder lies;
    shards of older versions have no hash, which gives "".
    """
    lines = [f"{shard.name} {shard.content_hash}" for shard in shards]
    if any(line.endswith(" ") for line in lines):
        return ""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def describe_folder(records_dir: str, num_classes: int) -> Iterator[str]:
    """Says what a finished folder holds, line by line.

    Args:
      records_dir: The folder, whose shards are all there.
      num_classes: Classes to name of each label set, most frequent first.

    Raises:
      InputError: The folder is not finished, or a shard is missing or has the
        wrong size.
    """
    records = read_records(records_dir)
    manifest = read_json(os.path.join(records_dir, MANIFEST_NAME))
    shards = records.shards
    yield records_dir
    yield _line("clips", _describe_clips(manifest["clips"], shards))
    yield _line("bytes", _describe_bytes(shards))
    for label_set in LABEL_SETS:
        yield _line(
            label_set, _describe_classes(records, label_set, num_classes)
        )
    lost: dict[str, int] = manifest["left_out_by_reason"]
    yield _line("left out", _describe_counts(lost))
    faults = {
        fault: len(ids) for fault, ids in manifest.get("faults", {}).items()
    }
    yield _line("faults", _describe_counts(faults))
    yield _line("converted", _describe_counts(manifest["notes"]))
    yield _line("class hash", records.class_map.content_hash)
    yield _line("record hash", content_hash(shards) or "unknown")
    for stage in _SETTINGS:
        if stage in manifest:
            yield _line(stage, _describe_settings(manifest[stage]))


def _line(name: str, text: str) -> str:
    return f"  {name.replace('_', ' '):<{_WIDTH}}  {text}"


def _describe_clips(clips: Mapping[str, int], shards: Sequence[Shard]) -> str:
    """Counts clips and hours, by group."""
    hours = sum(shard.audio_seconds for shard in shards) / 3600
    by_group = ", ".join(f"{clips[group]:,} {group}" for group in GROUPS)
    return f"{sum(clips.values()):,} ({by_group}), {hours:,.2f} hours"


def _describe_bytes(shards: Sequence[Shard]) -> str:
    """Counts bytes, in all and a clip."""
    num_bytes = sum(shard.num_bytes for shard in shards)
    num_clips = max(1, sum(shard.num_clips for shard in shards))
    return (
        f"{num_bytes / 1e6:,.1f} MB in {len(shards)} shards, "
        f"{num_bytes / num_clips / 1e3:,.1f} KB a clip"
    )


def _describe_classes(
    records: Records, label_set: str, num_classes: int
) -> str:
    """Counts classes with labels, and names the most frequent."""
    counts = records.events_per_class[label_set]
    num_clips = sum(shard.num_clips_with(label_set) for shard in records.shards)
    order = sorted(range(len(counts)), key=lambda index: -counts[index])
    names = records.class_map.display_names
    most = ", ".join(
        f"{names[index]} {counts[index]:,}"
        for index in order[:num_classes]
        if counts[index]
    )
    num_used = sum(count > 0 for count in counts)
    text = (
        f"{num_clips:,} clips, {num_used} of {len(counts)} classes have "
        f"training labels, {sum(counts):,} in all"
    )
    return f"{text}: {most}" if most else text


def _describe_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"


def _describe_settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def verify_shards(records: Records) -> None:
    """Reads every record and compares its shard's hash with the manifest's.

    Raises:
      InputError: A shard is not what was written.
    """
    for shard in tqdm.tqdm(records.shards, unit="shard", desc="verify"):
        found = hashlib.sha256()
        path = os.path.join(records.records_dir, shard.name)
        try:
            for serialized in read_shards(records, [shard]):
                found.update(serialized.numpy())
        except tf.errors.DataLossError as error:
            raise InputError(f"{path} is corrupt: {error.message}.") from error
        if shard.content_hash and found.hexdigest()[:16] != shard.content_hash:
            raise InputError(
                f"{path} holds other records than the manifest says (hash "
                f"{found.hexdigest()[:16]}, not {shard.content_hash}). Delete "
                f"it and run prepare_records again."
            )
