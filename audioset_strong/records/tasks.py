"""The shards to write: their plans, their reports, and what must not be lost.

Each shard is a `ShardTask`, saved to a file that a worker anywhere can read,
because the folder of records is all that workers share:

    plan/<shard>.json            the clips of the shard and the settings of its
                                 bytes
    reports/<shard>.json         what `write_shard` reports, written last
    reports/<shard>.failed.json  why a machine could not write the shard
    settings.json                all settings, so that a re-run with others is
                                 refused

A shard is finished when its report exists, was made for the same plan, and the
shard has the size that the report says. The plan names each audio file and its
size, so that a file that came or changed has its shard written again. One of
the same size that was written anew, as its time says, is compared by its hash.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import tqdm

from audioset_strong import files
from audioset_strong.audio.containers import (
    container_of,
    is_member,
)
from audioset_strong.audio.decode import AudioError, open_audio
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    describe_other_classes,
    parse_class_map,
)
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    RecordParams,
    from_dict,
)
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    read_json,
    write_json,
    write_text,
)
from audioset_strong.records.schema import LABEL_SETS

PLAN_DIR_NAME = "plan"

REPORTS_DIR_NAME = "reports"

_SETTINGS_NAME = "settings.json"

# The report of a shard: "fingerprint" of its plan, "shard" (a `Shard` as a
# dict), "left_out" and "faults" (rows of segment_id, reason, detail), "notes"
# (number of clips by how their audio was converted), "longest_clip_seconds",
# "versions" (of the software), "clips" (`describe_clips` of those written) and,
# a text for each clip of the plan, "audio_versions" and "audio_hashes".
Report = dict[str, Any]

# Class index, onset and offset of the events of a clip, by label set.
_EventsOfSet = dict[str, list[tuple[int, float, float]]]

# The shards of a folder, and what is kept about each.
SHARD_FILE = re.compile(
    r"((?:weak|strong|held_out)-\d{5,}-of-\d{5,}\.tfrecord)(\.failed)?(\.json)?"
)

# Of larger files only the first and last megabyte are hashed, because each clip
# of a long recording is checked by itself.
_WHOLE_HASH_BYTES = 4 << 20

_END_HASH_BYTES = 1 << 20

_PARTIAL = "~"

# Files looked up by one thread at a time.
_PATHS_AT_ONCE = 1000

# What takes less has no progress bar.
_DELAY = 1.0

# By more, a clip is not longer than its audio because it was rounded.
_MAX_ROUNDING_SECONDS = 0.06

# Of clips and files that messages name.
MAX_EXAMPLES = 3

# Files written or read at a time: object storage answers slowly, but answers
# many requests at once.
_NUM_THREADS = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """A clip to write.

    Attributes:
      segment_id: Its name.
      audio_path: Its audio file; "" if there is none.
      clip_seconds: Its length; 0 for all to the end of the file.
      events: For each label set that knows the clip, its events: class index,
        onset and offset in seconds.
      audio_bytes: Size of the audio file when it was planned.
      start_seconds: Where in the file the clip begins.
      extent: "file" if the file holds the clip alone; "part" if the clip is cut
        out of it; "video" if it is where the file is so long that it can only
        be the whole video.
      audio_version: State of the file when it was planned (`files.FileState`);
        "" if it was not there.
    """

    segment_id: str
    audio_path: str
    clip_seconds: float
    events: _EventsOfSet
    audio_bytes: int = 0
    start_seconds: float = 0.0
    extent: str = "file"
    audio_version: str = ""

    @property
    def is_there(self) -> bool:
        """Whether its audio file was there when it was planned."""
        return bool(self.audio_path and self.audio_version)


@dataclasses.dataclass(frozen=True)
class ShardSettings:
    """Settings that the bytes of a shard depend on."""

    features: FeatureParams = FeatureParams()
    audio: AudioParams = AudioParams()
    log_mel_dtype: str = RecordParams.log_mel_dtype


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to write into `output_dir`, its clips in reading order."""

    output_dir: str
    group: str
    name: str
    clips: tuple[Clip, ...]
    settings: ShardSettings = ShardSettings()

    @property
    def path(self) -> str:
        """Where the shard is written."""
        return os.path.join(self.output_dir, self.name)

    @property
    def report_path(self) -> str:
        """Where the report is written."""
        name = f"{self.name}.json"
        return os.path.join(self.output_dir, REPORTS_DIR_NAME, name)

    @property
    def failure_path(self) -> str:
        """Where a machine says why it could not write the shard."""
        name = f"{self.name}.failed.json"
        return os.path.join(self.output_dir, REPORTS_DIR_NAME, name)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the shard depends on but the audio's samples."""
        text = _format_task(self, with_versions=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plan_path(output_dir: str, name: str) -> str:
    return os.path.join(output_dir, PLAN_DIR_NAME, f"{name}.json")


def _format_task(task: ShardTask, with_versions: bool) -> str:
    """Writes a task as JSON, a line for each clip."""
    head = {
        "group": task.group,
        "name": task.name,
        "settings": dataclasses.asdict(task.settings),
    }

    def fields(clip: Clip) -> list[Any]:
        """Lists the fields of a clip in their order, all or those that count.

        The last fields are written only where they say something, so that
        shards that were written before there were any stay finished.
        """
        first = [
            *(clip.segment_id, clip.audio_path, clip.clip_seconds),
            *(clip.events, clip.audio_bytes),
        ]
        place = [clip.start_seconds, clip.extent]
        if with_versions:
            return [*first, *place, clip.audio_version]
        return first if place == [0.0, "file"] else [*first, *place]

    clips = ",\n".join(json.dumps(fields(clip)) for clip in task.clips)
    return f'{json.dumps(head)[:-1]}, "clips": [\n{clips}\n]}}\n'


def load_task(output_dir: str, name: str) -> ShardTask:
    """Reads the plan of a shard that `save_tasks` wrote."""
    values = read_json(_plan_path(output_dir, name))
    settings = values["settings"]
    clips = [Clip(*fields) for fields in values["clips"]]
    for clip in clips:
        for events in clip.events.values():
            # JSON knows no tuples.
            events[:] = [(index, onset, end) for index, onset, end in events]
    return ShardTask(
        output_dir,
        values["group"],
        values["name"],
        tuple(clips),
        ShardSettings(
            from_dict(FeatureParams, settings["features"]),
            from_dict(AudioParams, settings["audio"]),
            settings["log_mel_dtype"],
        ),
    )


def read_reports(tasks: Sequence[ShardTask]) -> dict[str, Report]:
    """Reads the reports of all finished shards, by the shard's name."""
    sizes = files.num_bytes_of([task.path for task in tasks])
    report_sizes = files.num_bytes_of([task.report_path for task in tasks])

    def read(task: ShardTask, size: int | None, report_size: int | None) -> Any:
        if size is None or report_size is None:
            return None
        report = read_json(task.report_path)
        is_finished = (
            report["shard"]["num_bytes"] == size
            and report["fingerprint"] == task.fingerprint
            and _is_audio_unchanged(task, report)
        )
        return report if is_finished else None

    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        reports = executor.map(read, tasks, sizes, report_sizes)
        return {
            task.name: report
            for task, report in zip(tasks, reports, strict=True)
            if report is not None
        }


def _is_audio_unchanged(task: ShardTask, report: Report) -> bool:
    """Whether a shard's audio files are those that it was made of.

    A file that was written anew, or copied, is compared by the hash of all of
    it; the report then takes its new time.
    """
    versions = [clip.audio_version for clip in task.clips]
    found = report.get("audio_versions", versions)
    if found == versions:
        return True
    for clip, version, hash_then in zip(
        task.clips, found, report["audio_hashes"], strict=True
    ):
        is_whole = hash_then and not hash_then.startswith(_PARTIAL)
        if version != clip.audio_version and not (
            is_whole and hash_audio(clip.audio_path) == hash_then
        ):
            return False
    report["audio_versions"] = versions
    write_json(report, task.report_path)
    return True


def hash_audio(path: str) -> str:
    """Hashes a local audio file.

    Returns:
      16 hex digits, after `~` if only the ends of a large file were hashed; ""
      if there is no file, or one in object storage or in a container, which
      would have to be read or decoded again.
    """
    if not path or files.is_remote(path) or is_member(path):
        return ""
    try:
        with open_audio(path) as file:
            num_bytes = file.seek(0, os.SEEK_END)
            file.seek(0)
            if num_bytes <= _WHOLE_HASH_BYTES:
                return hashlib.sha256(file.read()).hexdigest()[:16]
            found = hashlib.sha256(file.read(_END_HASH_BYTES))
            file.seek(-_END_HASH_BYTES, os.SEEK_END)
            found.update(file.read())
            return _PARTIAL + found.hexdigest()[:16]
    except (AudioError, OSError):
        return ""


def verify_audio(
    records_dir: str, names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Compares the audio files with those that finished shards were made of.

    Args:
      records_dir: Folder of the records.
      names: The shards.

    Returns:
      Paths of files that hold something else now, and of those that are not
      there or were never hashed. Files in object storage are compared by the
      version that the storage has of them.
    """
    changed, unknown = [], []
    for name in tqdm.tqdm(names, unit="shard", desc="verify audio"):
        task = load_task(records_dir, name)
        report = read_json(task.report_path)
        empty = [""] * len(task.clips)
        shared = sorted(
            {
                container_of(clip.audio_path)
                for clip in task.clips
                if files.is_remote(clip.audio_path)
                or is_member(clip.audio_path)
            }
        )
        state_of = dict(zip(shared, files.states_of(shared), strict=True))
        for clip, version, hash_then in zip(
            task.clips,
            report.get("audio_versions", empty),
            report.get("audio_hashes", empty),
            strict=True,
        ):
            path = clip.audio_path
            if not clip.is_there:
                continue
            if files.is_remote(path) or is_member(path):
                state = state_of[container_of(path)]
                now, then = (state.version if state else ""), version
            else:
                now, then = hash_audio(path), hash_then
            if not now or not then:
                unknown.append(path)
            elif now != then:
                changed.append(path)
    return changed, unknown


def save_tasks(tasks: Sequence[ShardTask]) -> None:
    """Writes the plans of shards, whose folder exists."""

    def save(task: ShardTask) -> None:
        text = _format_task(task, with_versions=True)
        write_text(text, _plan_path(task.output_dir, task.name))

    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        saved = executor.map(save, tasks)
        for _ in tqdm.tqdm(
            saved, "save plan", len(tasks), unit="shard", delay=_DELAY
        ):
            pass


class Shrinking(NamedTuple):
    """What a run would take from finished shards.

    Attributes:
      num_clips: Clips that finished shards hold.
      gone: Clips that have no label or no audio any more.
      smaller: Clips that would have fewer events, or be shorter.
    """

    num_clips: int
    gone: list[str]
    smaller: list[str]


class _Extent(NamedTuple):
    """How much a clip holds: seconds, and events by label set, -1 for none."""

    seconds: float
    num_events: tuple[int, ...]


def _extent_of(clip: Clip) -> _Extent:
    events = (clip.events.get(name) for name in LABEL_SETS)
    return _Extent(
        clip.clip_seconds, tuple(-1 if e is None else len(e) for e in events)
    )


def describe_clips(clips: Iterable[Clip]) -> str:
    """Writes names and extents of clips, a line each.

    A report keeps them, because the plan is written anew for shards that change
    before these are. As one text they take little memory.
    """
    lines = []
    for clip in clips:
        seconds, num_events = _extent_of(clip)
        lines.append(
            "\t".join([clip.segment_id, *map(str, (seconds, *num_events))])
        )
    return "\n".join(lines)


def _finished_clips(
    output_dir: str, name: str, report: Report
) -> dict[str, _Extent]:
    """Finds the clips of a finished shard; none if it is not known any more."""
    if "clips" in report:
        lines = report["clips"].split("\n") if report["clips"] else []
        rows = (line.split("\t") for line in lines)
        return {
            segment_id: _Extent(float(seconds), tuple(map(int, num_events)))
            for segment_id, seconds, *num_events in rows
        }
    # Reports did not always have them.
    if not files.exists(_plan_path(output_dir, name)):
        return {}
    task = load_task(output_dir, name)
    if task.fingerprint != report["fingerprint"]:
        return {}
    left_out = {row[0] for row in report["left_out"]}
    return {
        clip.segment_id: _extent_of(clip)
        for clip in task.clips
        if clip.segment_id not in left_out
    }


def find_shrinking(tasks: Sequence[ShardTask], output_dir: str) -> Shrinking:
    """Finds what finished shards hold and a new plan has not.

    Args:
      tasks: The new plan, for this folder.
      output_dir: Folder of records, finished or not.
    """
    task_of = {task.name: task for task in tasks}
    folder = os.path.join(output_dir, REPORTS_DIR_NAME)
    old: dict[str, _Extent] = {}
    num_clips = 0
    matches = map(SHARD_FILE.fullmatch, files.list_names(folder))
    names = [m[1] for m in matches if m and m[3] and not m[2]]
    paths = [os.path.join(folder, f"{name}.json") for name in names]
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        reports = list(executor.map(read_json, paths))
    for name, report in zip(names, reports, strict=True):
        num_clips += report["shard"]["num_clips"]
        new_task = task_of.get(name)
        if new_task and new_task.fingerprint == report["fingerprint"]:
            continue
        old |= _finished_clips(output_dir, name, report)
    if not old:
        return Shrinking(num_clips, [], [])
    new = {
        clip.segment_id: _extent_of(clip)
        for task in tasks
        for clip in task.clips
        if clip.is_there and clip.segment_id in old
    }
    return Shrinking(
        num_clips,
        sorted(set(old) - set(new)),
        sorted(s for s, extent in new.items() if _is_smaller(extent, old[s])),
    )


def _is_smaller(new: _Extent, old: _Extent) -> bool:
    """Whether a clip has fewer events than before, or is shorter."""
    return (new.seconds or math.inf) < old.seconds or any(
        now < then
        for now, then in zip(new.num_events, old.num_events, strict=True)
    )


def save_settings(output_dir: str, settings: dict[str, Any]) -> None:
    """Saves the settings of a folder."""
    write_json(settings, os.path.join(output_dir, _SETTINGS_NAME))


def check_settings(
    output_dir: str, settings: dict[str, Any], class_map: ClassMap
) -> None:
    """Compares settings with those that `save_settings` saved, if there are.

    Args:
      output_dir: Folder of the records; its class map is that of its settings.
      settings: JSON-ready, with the hash of `class_map`.
      class_map: Classes of the records that are to be made.

    Raises:
      InputError: The folder was begun with other settings or classes, or with
        a setting that this version lacks.
    """
    path = os.path.join(output_dir, _SETTINGS_NAME)
    if files.exists(path):
        found = read_json(path)
        from_dict(RecordParams, found.get("records", {}))
        there, now = _flatten(found), _flatten(settings)
        differing = [
            f"{name}: {there.get(name)} there, {value} now"
            for name, value in now.items()
            if there.get(name) != value
        ]
        map_path = os.path.join(output_dir, CLASS_MAP_NAME)
        if differing and files.exists(map_path):
            mids = parse_class_map(
                files.read_bytes(map_path).decode(), map_path
            ).mids
            text = describe_other_classes(
                mids, class_map.mids, map_path, "the new one"
            )
            differing += [text] if text else []
        if differing:
            raise InputError(
                f"{output_dir} holds records made with other settings "
                f"({'; '.join(differing)}). Give another output folder; with "
                f"replace=True these are replaced."
            )


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lists settings of settings by names such as `audio.silent_peak_dbfs`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
