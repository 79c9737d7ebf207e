"""Plans records: joins label tables and audio files into clips and shards.

Each shard is planned as a `ShardTask`, saved to a file that a worker anywhere
can read, because the folder of records is all that workers share:

    plan/<shard>.json     the clips of the shard and the settings of its bytes
    reports/<shard>.json  what `write_shard` reports, written last
    settings.json         all settings, so that a re-run with others is refused

A shard is finished when its report exists, was made for the same plan, and the
shard has the size that the report says. The plan names each audio file and its
size, so that a file that came or changed has its shard written again.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from audioset_strong import files
from audioset_strong.audio.containers import row_groups_of
from audioset_strong.audio.listing import find_audio
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    describe_other_classes,
    parse_class_map,
)
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.ids import group_of_segment, stable_fraction
from audioset_strong.labels.label_files import Names, read_label_files
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.training_sets import (
    is_held_out,
    is_in_strong_fraction,
    strong_events_by_segment,
    weak_events,
)
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    RecordParams,
    from_dict,
)
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    GROUPS,
    read_json,
    write_json,
    write_text,
)

PLAN_DIR_NAME = "plan"
REPORTS_DIR_NAME = "reports"
_SETTINGS_NAME = "settings.json"

# The report of a shard: "fingerprint" of its plan, "shard" (a `Shard` as a
# dict), "left_out" and "faults" (rows of segment_id, reason, detail) and
# "notes" (number of clips by how their audio was converted).
Report = dict[str, Any]

# Class index, onset and offset of the events of a clip, by label set.
_EventsOfSet = dict[str, list[tuple[int, float, float]]]

# Files written or read at a time: object storage answers slowly, but answers
# many requests at once.
_NUM_THREADS = 16


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip to write.

    Attributes:
      segment_id: Its name.
      audio_path: Its audio file; "" if there is none.
      clip_seconds: Audio after this is not used.
      events: For each label set that knows the clip, its events: class index,
        onset and offset in seconds.
      audio_bytes: Size of the audio file when it was listed.
    """

    segment_id: str
    audio_path: str
    clip_seconds: float
    events: _EventsOfSet
    audio_bytes: int = 0


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
    def fingerprint(self) -> str:
        """Hash of all that the shard depends on but the audio's samples."""
        return hashlib.sha256(_format_task(self).encode()).hexdigest()[:16]


def _plan_path(output_dir: str, name: str) -> str:
    return os.path.join(output_dir, PLAN_DIR_NAME, f"{name}.json")


def _format_task(task: ShardTask) -> str:
    """Writes a task as JSON, a line for each clip."""
    head = {
        "group": task.group,
        "name": task.name,
        "settings": dataclasses.asdict(task.settings),
    }
    # The fields of a clip in their order.
    clips = ",\n".join(
        json.dumps(list(vars(clip).values())) for clip in task.clips
    )
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
        )
        return report if is_finished else None

    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        reports = executor.map(read, tasks, sizes, report_sizes)
        return {
            task.name: report
            for task, report in zip(tasks, reports, strict=True)
            if report is not None
        }


def save_tasks(tasks: Sequence[ShardTask]) -> None:
    """Writes the plans of shards, whose folder exists."""

    def save(task: ShardTask) -> None:
        write_text(_format_task(task), _plan_path(task.output_dir, task.name))

    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        list(executor.map(save, tasks))


def check_settings(
    output_dir: str, settings: dict[str, Any], class_map: ClassMap
) -> None:
    """Saves the settings of a new folder, or compares them in an old one.

    Args:
      output_dir: Folder of the records; its class map is that of its settings.
      settings: JSON-ready, with the hash of `class_map`.
      class_map: Classes of the records that are to be made.

    Raises:
      InputError: The folder was begun with other settings or classes.
    """
    path = os.path.join(output_dir, _SETTINGS_NAME)
    if files.exists(path):
        found = read_json(path)
        differing = [
            f"{name}: {found.get(name)} there, {value} now"
            for name, value in settings.items()
            if found.get(name) != value
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
                f"({'; '.join(differing)}). Give another output folder or "
                f"delete this one."
            )
    write_json(settings, path)


class AudioIndex(NamedTuple):
    """Audio files by the names of clips (`listing.index_listing`); sizes."""

    path_of_stem: Mapping[str, str]
    num_bytes_of_path: Mapping[str, int]


@dataclasses.dataclass
class Plan:
    """Which clips to write.

    Attributes:
      clips: Every clip that a label set knows and that is not left out, by
        group.
      unmapped: Number of events of each mid that is not in the class map.
      left_out: segment_id, reason and detail of clips that are not even tried.
      notes: Number of clips that lost some labels, by the reason.
    """

    clips: dict[str, list[Clip]]
    unmapped: collections.Counter[str]
    left_out: list[tuple[str, str, str]] = dataclasses.field(
        default_factory=list
    )
    notes: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )


def read_label_tables(
    weak_paths: Sequence[str],
    strong_paths: Sequence[str],
    problems: ProblemLog,
    names: Names | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads label files into one weak and one strong table (`label_files`).

    `problems` and `names` as in `read_label_files`.

    Raises:
      InputError: A file has the wrong header, bad lines that are not to be
        skipped, or labels that another file contradicts.
    """
    return (
        read_label_files("weak", weak_paths, problems, names),
        read_label_files("strong", strong_paths, problems, names),
    )


def plan_clips(
    weak: pd.DataFrame,
    strong: pd.DataFrame,
    class_map: ClassMap,
    audio: AudioIndex,
    params: RecordParams,
    eval_ytids: Collection[str] = frozenset(),
) -> Plan:
    """Joins labels and audio, clip by clip.

    Args:
      weak: Weak table (`label_files`).
      strong: Strong table (`label_files`).
      class_map: Events of other mids are left out; their clips are kept.
      audio: The audio files.
      params: Held-out share, share of Strong and clip length.
      eval_ytids: YouTube ids of evaluation clips, which are left out.
    """
    plan = Plan({group: [] for group in GROUPS}, collections.Counter())
    weak, strong = _without_eval_clips(weak, strong, eval_ytids, plan)
    index_of_mid = class_map.index_of_mid

    def indexed(of_clip: Sequence[Event]) -> list[tuple[int, float, float]]:
        """Replaces mids by class indices, and counts those without one."""
        plan.unmapped.update(
            mid for mid, _, _ in of_clip if mid not in index_of_mid
        )
        return [
            (index_of_mid[mid], onset, offset)
            for mid, onset, offset in of_clip
            if mid in index_of_mid
        ]

    events: dict[str, _EventsOfSet] = {}
    seconds: dict[str, float] = {}
    rows = zip(
        weak["segment_id"],
        weak["end_seconds"] - weak["start_seconds"],
        weak["mids"],
        strict=True,
    )
    for segment_id, clip_seconds, mids in rows:
        seconds[segment_id] = min(clip_seconds, params.clip_seconds)
        # Weak events span the longest clip, whatever the length of the audio.
        spanning = weak_events(mids, params.clip_seconds)
        events.setdefault(segment_id, {})["weak"] = indexed(spanning)
    for segment_id, of_clip in strong_events_by_segment(strong).items():
        events.setdefault(segment_id, {})["strong"] = indexed(of_clip)
    for segment_id in sorted(events):
        group = _group_of(segment_id, events[segment_id], params, plan)
        if group is not None:
            path = find_audio(segment_id, audio.path_of_stem) or ""
            plan.clips[group].append(
                Clip(
                    segment_id,
                    path,
                    seconds.get(segment_id, params.clip_seconds),
                    events[segment_id],
                    audio.num_bytes_of_path.get(path, 0),
                )
            )
    return plan


def _without_eval_clips(
    weak: pd.DataFrame,
    strong: pd.DataFrame,
    eval_ytids: Collection[str],
    plan: Plan,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drops the labels of evaluation clips, and lists these as left out."""
    if not eval_ytids:
        return weak, strong
    segment_ids = {*weak["segment_id"], *strong["segment_id"]}
    of_eval = {s for s in segment_ids if group_of_segment(s) in eval_ytids}
    plan.left_out += [
        (segment_id, "eval_clip", "its YouTube id is in eval_labels")
        for segment_id in sorted(of_eval)
    ]
    return (
        weak[~weak["segment_id"].isin(of_eval)],
        strong[~strong["segment_id"].isin(of_eval)],
    )


def _group_of(
    segment_id: str, events: _EventsOfSet, params: RecordParams, plan: Plan
) -> str | None:
    """Chooses a clip's group; takes its strong labels if it is not to use them.

    Returns:
      None if no labels are left.
    """
    if "strong" not in events:
        return "weak"
    ytid = group_of_segment(segment_id)
    # The held-out part keeps its labels, so that models trained on different
    # shares of Strong are validated on the same clips.
    if is_held_out(ytid, params.held_out_fraction):
        return "held_out"
    if is_in_strong_fraction(
        ytid, params.strong_fraction, params.strong_fraction_seed
    ):
        return "strong"
    del events["strong"]
    if events:
        plan.notes["strong labels left out by strong_fraction"] += 1
        return "weak"
    reason = "it has no weak labels to stay for"
    plan.left_out.append((segment_id, "outside_strong_fraction", reason))
    return None


def plan_shards(
    plan: Plan, output_dir: str, clips_per_shard: int, settings: ShardSettings
) -> list[ShardTask]:
    """Distributes the clips of each group over shards by a stable hash.

    Clips of one row group of Parquet are in one shard, in the order of rows,
    because a row group is decoded from its start.
    """
    row_groups = row_groups_of(
        clip.audio_path for clips in plan.clips.values() for clip in clips
    )
    tasks = []
    for group, clips in plan.clips.items():
        num_shards = -(-len(clips) // clips_per_shard)  # rounded up
        of_shard: list[list[Clip]] = [[] for _ in range(num_shards)]
        for clip in clips:
            key, _ = row_groups.get(clip.audio_path, (clip.segment_id, 0))
            fraction = stable_fraction(key, salt="shard")
            of_shard[int(fraction * num_shards)].append(clip)
        for index, shard_clips in enumerate(of_shard):
            shard_clips.sort(
                key=lambda c: row_groups.get(c.audio_path, ("", 0))
            )
            name = f"{group}-{index:05d}-of-{num_shards:05d}.tfrecord"
            tasks.append(
                ShardTask(output_dir, group, name, tuple(shard_clips), settings)
            )
    return tasks
