"""A finished folder of records: opened, checked, described and verified.

    manifest.json    settings, class hash, shards, counts, clips left out
    class_map.csv    the classes that event_class counts in
    segment_ids.txt  the clips in all shards, sorted, one a line
    groups.tsv       the groups of clips whose names do not tell them
    left_out.csv     the clips without a record, each with the reason
    faults.csv       the clips with a record whose audio has a fault
    <group>-00000-of-00004.tfrecord

Groups of shards are `weak` (clips with weak labels only), `strong` (clips with
strong labels, and weak ones where there are) and `held_out` (the held-out part
of the latter, or of all where there are no strong labels). A folder without a
manifest is not finished.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tqdm

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    check_class_hash,
    parse_class_map,
)
from audioset_strong.labels.ids import group_of_segment
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    RecordParams,
    from_dict,
)
from audioset_strong.records.schema import LABEL_SETS, read_frames
from audioset_strong.records.shard_cache import ShardCache

GROUPS = ("weak", "strong", "held_out")
MANIFEST_NAME = "manifest.json"
CLASS_MAP_NAME = "class_map.csv"
SEGMENT_IDS_NAME = "segment_ids.txt"
GROUPS_NAME = "groups.tsv"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file.

    Attributes:
      group: One of `GROUPS`.
      name: File name, in the folder of the manifest.
      num_bytes: Size of the file, by which a truncated one is found.
      num_clips: Records in it.
      num_weak_clips: Records that the weak labels know.
      num_strong_clips: Records that the strong labels know.
      audio_seconds: Audio behind its records.
      content_hash: SHA-256 of its records one after the other, the first 16
        hexadecimal digits.
    """

    group: str
    name: str
    num_bytes: int
    num_clips: int
    num_weak_clips: int
    num_strong_clips: int
    audio_seconds: float = 0.0
    content_hash: str = ""

    def num_clips_with(self, label_set: str) -> int:
        """Records that the "weak" or "strong" labels know."""
        counts = {"weak": self.num_weak_clips, "strong": self.num_strong_clips}
        return counts[label_set]


@dataclasses.dataclass(frozen=True)
class Records:
    """A finished folder of records.

    Attributes:
      records_dir: The folder.
      features: Front end of the log-mel features.
      label_frames: Grid of label frames.
      class_map: The classes that `event_class` counts in.
      shards: All shards.
      events_per_class: For each label set, the number of events of each class
        index, as in the manifest.
      log_mel_dtype: How log-mel features are stored (`schema.py`).
      cache: Makes the local copies that are read instead of the shards; None
        where the shards themselves are read.
    """

    records_dir: str
    features: FeatureParams
    label_frames: LabelFrameParams
    class_map: ClassMap
    shards: tuple[Shard, ...]
    events_per_class: dict[str, list[int]] = dataclasses.field(hash=False)
    log_mel_dtype: str = RecordParams.log_mel_dtype
    cache: ShardCache | None = dataclasses.field(
        default=None, repr=False, compare=False
    )

    @property
    def records_hash(self) -> str:
        """16 hex digits, equal for the same clips, labels and settings.

        They do not depend on where the folder lies.
        """
        return hash_records(self.shards)

    def shards_of(self, *groups: str) -> list[Shard]:
        """Shards of these groups that have records."""
        return [s for s in self.shards if s.group in groups and s.num_clips]

    def path_of(self, shard: Shard) -> str:
        """Path that a shard is read from."""
        if self.cache:
            return self.cache.path_of(shard.name)
        return os.path.join(self.records_dir, shard.name)


def hash_records(shards: Iterable[Shard]) -> str:
    """Hashes the records of a folder by the hashes of its shards."""
    hashes = "\n".join(f"{shard.name} {shard.content_hash}" for shard in shards)
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def write_text(text: str, path: str) -> None:
    """Writes a file whole or not at all, locally or to object storage."""
    with (
        files.replace_when_whole(path) as temporary_path,
        open(temporary_path, "w", encoding="utf-8", newline="") as file,
    ):
        file.write(text)


def write_json(values: dict[str, Any], path: str) -> None:
    """Writes JSON as `write_text` does."""
    write_text(json.dumps(values, indent=1) + "\n", path)


def read_json(path: str) -> dict[str, Any]:
    """Reads a JSON file, local or in object storage.

    Raises:
      InputError: The file is not JSON.
    """
    try:
        values: dict[str, Any] = json.loads(files.read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON: {error}.") from error
    return values


def read_records(records_dir: str, cache_dir: str = "") -> Records:
    """Opens a folder of records and checks that it is whole.

    Args:
      records_dir: The folder, local or in object storage.
      cache_dir: Local folder for copies of the shards, from which they are
        read (`shard_cache.py`). "" reads local shards where they are, and those
        in object storage through a temporary folder.

    Raises:
      InputError: The folder holds no manifest, or a shard is missing, has the
        wrong size, the class map is not the one the records were made with, or
        they were made with a setting that this version lacks; or `cache_dir` is
        not local or has no room.
    """
    manifest_path = os.path.join(records_dir, MANIFEST_NAME)
    if not files.exists(manifest_path):
        raise InputError(
            f"{records_dir} holds no {MANIFEST_NAME}, so no finished records. "
            f"Run prepare_records with this output folder."
        )
    manifest = read_json(manifest_path)
    class_map_path = os.path.join(records_dir, CLASS_MAP_NAME)
    class_map_text = files.read_bytes(class_map_path).decode()
    class_map = parse_class_map(class_map_text, class_map_path)
    check_class_hash(
        class_map.mids,
        manifest["class_map_hash"],
        class_map_path,
        "The records were made with other classes: restore the file or prepare "
        "them again.",
    )
    try:
        params = from_dict(RecordParams, manifest["records"])
    except InputError as error:
        raise InputError(f"{manifest_path}: {error}") from error
    records = Records(
        records_dir=records_dir,
        features=from_dict(FeatureParams, manifest["features"]),
        label_frames=from_dict(LabelFrameParams, manifest["label_frames"]),
        class_map=class_map,
        shards=tuple(from_dict(Shard, shard) for shard in manifest["shards"]),
        events_per_class=manifest["events_per_class"],
        log_mel_dtype=params.log_mel_dtype,
    )
    paths = [records.path_of(shard) for shard in records.shards]
    for path, num_bytes, shard in zip(
        paths, files.num_bytes_of(paths), records.shards, strict=True
    ):
        if num_bytes is None:
            raise InputError(
                f"Shard {path} is missing. Run prepare_records again; it makes "
                f"only what is not there."
            )
        if num_bytes != shard.num_bytes:
            raise InputError(
                f"Shard {path} should have {shard.num_bytes} bytes, it has "
                f"{num_bytes}. Delete it and run prepare_records again."
            )
    if not cache_dir and not files.is_remote(records_dir):
        return records
    cache = ShardCache(
        records_dir,
        {shard.name: shard.num_bytes for shard in records.shards},
        hashlib.sha256(files.read_bytes(manifest_path)).hexdigest()[:16],
        cache_dir,
    )
    return dataclasses.replace(records, cache=cache)


def _groups_of(records_dir: str) -> set[tuple[str, str]]:
    """Reads what the clips in records have in common with others.

    Returns:
      ("video", group by its name) of every clip and ("group", group) of each
      whose group is given.
    """
    path = os.path.join(records_dir, SEGMENT_IDS_NAME)
    if not files.exists(path):
        raise InputError(
            f"{records_dir} holds no {SEGMENT_IDS_NAME}. Run the same "
            f"prepare_records again: it keeps its shards and writes the list."
        )
    segment_ids = files.read_bytes(path).decode().split("\n")[:-1]
    groups = {("video", group_of_segment(s)) for s in segment_ids}
    given = read_given_groups(records_dir).values()
    return groups | {("group", group) for group in given}


def read_given_groups(records_dir: str) -> dict[str, str]:
    """Reads the group of each clip whose name does not tell it."""
    path = os.path.join(records_dir, GROUPS_NAME)
    if not files.exists(path):
        return {}
    rows = files.read_bytes(path).decode().split("\n")[1:-1]
    return dict(row.split("\t", 1) for row in rows)


def check_no_shared_clips(
    train_records_dir: str, eval_records_dir: str
) -> None:
    """Checks that no evaluation clip is among training records.

    All parts count, `held_out` too, because it chooses the checkpoint. Clips
    are compared by their groups (ytid, recording, speaker): another segment of
    the same video is no new recording.

    Raises:
      InputError: They share a group, or a folder has no list of its clips.
    """
    shared = sorted(
        _groups_of(train_records_dir) & _groups_of(eval_records_dir)
    )
    if shared:
        raise InputError(
            f"{len(shared)} groups of clips (YouTube ids, recordings), such as "
            f"{shared[0][1]}, are both in {train_records_dir} and in "
            f"{eval_records_dir}, so that a model would be evaluated on clips "
            f"that it was trained on. Prepare the training records again, with "
            f"the label files of the evaluation clips as eval_labels."
        )


def describe_folder(records_dir: str, num_classes: int) -> Iterator[str]:
    """Describes a finished folder for people, line by line.

    Of each label set, the `num_classes` most frequent classes are named.

    Raises:
      InputError: As from `read_records`.
    """
    records = read_records(records_dir)
    manifest = read_json(os.path.join(records_dir, MANIFEST_NAME))
    shards, clips = records.shards, manifest["clips"]
    hours = sum(shard.audio_seconds for shard in shards) / 3600
    by_group = ", ".join(f"{clips[group]:,} {group}" for group in GROUPS)
    num_bytes = sum(shard.num_bytes for shard in shards)
    num_clips = sum(shard.num_clips for shard in shards)
    faults = {fault: len(ids) for fault, ids in manifest["faults"].items()}
    lines = {
        "clips": f"{sum(clips.values()):,} ({by_group}), {hours:,.2f} hours",
        "bytes": (
            f"{num_bytes / 1e6:,.1f} MB in {len(shards)} shards, "
            f"{num_bytes / max(1, num_clips) / 1e3:,.1f} KB a clip"
        ),
        **{
            label_set: _describe_classes(records, label_set, num_classes)
            for label_set in LABEL_SETS
        },
        "left out": _describe_counts(manifest["left_out_by_reason"]),
        "faults": _describe_counts(faults),
        "converted": _describe_counts(manifest["notes"]),
        "class hash": records.class_map.content_hash,
        "record hash": records.records_hash,
        "versions": ", ".join(
            f"{name} {version}"
            for name, version in manifest.get("versions", {}).items()
        ),
    }
    for name in (
        "records",
        "features",
        "audio",
        "label_frames",
        "label_mapping",
    ):
        lines[name.replace("_", " ")] = ", ".join(
            f"{key}={value}" for key, value in manifest[name].items()
        )
    yield records_dir
    yield from (f"  {name:<13}  {text}" for name, text in lines.items())


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


def verify_shards(records: Records) -> None:
    """Reads every record and compares its shard's hash with the manifest's.

    Raises:
      InputError: A shard differs from what was written.
    """
    for shard in tqdm.tqdm(records.shards, unit="shard", desc="verify"):
        _verify_shard(records, shard)


def _verify_shard(records: Records, shard: Shard) -> None:
    path = os.path.join(records.records_dir, shard.name)
    found = hashlib.sha256()
    try:
        for serialized in read_frames(files.read_bytes(path)):
            found.update(serialized)
    except ValueError as error:
        raise InputError(f"{path} is corrupt: {error}.") from error
    if found.hexdigest()[:16] != shard.content_hash:
        raise InputError(
            f"{path} holds other records than the manifest says (hash "
            f"{found.hexdigest()[:16]}, not {shard.content_hash}). Delete "
            f"it and run prepare_records again."
        )


def find_shard_states(records: Records) -> list[files.FileState | None]:
    """Looks up the states of shards that are read where they are."""
    if records.cache:
        return []  # copies are read, which nobody else writes
    return files.states_of([records.path_of(shard) for shard in records.shards])


def check_unchanged(
    records: Records, before: list[files.FileState | None]
) -> list[files.FileState | None]:
    """Checks that no shard was replaced since its state was looked up.

    A shard that was only touched or copied again is fine; one that is gone is
    left to whoever reads it.

    Returns:
      The states now.

    Raises:
      InputError: A shard holds other records now.
    """
    now = find_shard_states(records)
    for shard, state, state_before in zip(records.shards, now, before):
        if state and state != state_before:
            _verify_shard(records, shard)
    return now
