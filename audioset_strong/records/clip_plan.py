"""Plans records: joins label tables and audio files into clips and shards."""

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from audioset_strong.features.audio_names import find_audio
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.frame_targets import Event
from audioset_strong.labels.label_files import (
    empty_strong_labels,
    empty_weak_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.segments import stable_fraction, ytid_of_segment
from audioset_strong.labels.training_sets import (
    is_held_out,
    is_in_strong_fraction,
    strong_events_by_segment,
    weak_events,
)
from audioset_strong.params import RecordParams
from audioset_strong.records.manifest import GROUPS
from audioset_strong.records.shard_tasks import Clip, ShardSettings, ShardTask

# Class index, onset and offset of the events of a clip, by label set.
_EventsOfSet = dict[str, list[tuple[int, float, float]]]


def read_label_tables(
    weak_paths: Sequence[str], strong_paths: Sequence[str], problems: ProblemLog
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads label files into one weak and one strong table (`label_files`).

    Args:
      weak_paths: Weak CSVs.
      strong_paths: Strong TSVs.
      problems: Takes the lines that are left out.

    Raises:
      InputError: A file has the wrong header.
    """
    weak = [read_weak_labels(path, problems) for path in weak_paths]
    strong = [read_strong_labels(path, problems) for path in strong_paths]
    return (
        pd.concat([empty_weak_labels(), *weak], ignore_index=True),
        pd.concat([empty_strong_labels(), *strong], ignore_index=True),
    )


class AudioIndex(NamedTuple):
    """Audio files, for clips to find theirs.

    Attributes:
      path_of_stem: Path of each key (`audio_names.index_paths`).
      num_bytes_of_path: Size of each file.
    """

    path_of_stem: Mapping[str, str]
    num_bytes_of_path: Mapping[str, int]


@dataclasses.dataclass
class Plan:
    """What is to be written.

    Attributes:
      clips: Every clip that a label set knows and that is not left out, by
        group.
      unmapped: Number of events of each mid that is not in the class map.
      left_out: segment_id, reason and detail of clips that are not even tried.
      notes: Number of clips of which something was left out.
    """

    clips: dict[str, list[Clip]]
    unmapped: collections.Counter[str]
    left_out: list[tuple[str, str, str]] = dataclasses.field(
        default_factory=list
    )
    notes: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
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
      class_map: Gives the class index of each mid.
      audio: The audio files.
      params: Held-out share, share of Strong and clip length.
      eval_ytids: YouTube ids of evaluation clips, which are left out.

    Returns:
      The clips of each group, the mids that the class map lacks, and what is
      left out.
    """
    weak, strong, left_out = _without_ytids(weak, strong, eval_ytids)
    unmapped: collections.Counter[str] = collections.Counter()
    events: dict[str, _EventsOfSet] = {}
    seconds: dict[str, float] = {}
    index_of_mid = class_map.index_of_mid
    rows = zip(
        weak["segment_id"],
        weak["end_seconds"] - weak["start_seconds"],
        weak["mids"],
        strict=True,
    )
    for segment_id, clip_seconds, mids in rows:
        seconds[segment_id] = min(clip_seconds, params.clip_seconds)
        # Spans any clip, also one whose audio is shorter.
        spanning = weak_events(mids, params.clip_seconds)
        events.setdefault(segment_id, {})["weak"] = index_events(
            spanning, index_of_mid, unmapped
        )
    for segment_id, of_clip in strong_events_by_segment(strong).items():
        events.setdefault(segment_id, {})["strong"] = index_events(
            of_clip, index_of_mid, unmapped
        )
    clips: dict[str, list[Clip]] = {group: [] for group in GROUPS}
    plan = Plan(clips, unmapped, left_out)
    _keep_strong_fraction(events, plan, params)
    for segment_id in sorted(events):
        group = _group_of(segment_id, "strong" in events[segment_id], params)
        path = find_audio(segment_id, audio.path_of_stem) or ""
        clips[group].append(
            Clip(
                segment_id,
                path,
                seconds.get(segment_id, params.clip_seconds),
                events[segment_id],
                audio.num_bytes_of_path.get(path, 0),
            )
        )
    return plan


def index_events(
    events: Sequence[Event],
    index_of_mid: Mapping[str, int],
    unmapped: collections.Counter[str],
) -> list[tuple[int, float, float]]:
    """Replaces mids by class indices.

    Args:
      events: Events of one clip.
      index_of_mid: The class map.
      unmapped: Counts the events whose mid is not in the class map; they are
        left out, the clip and its other events are kept.
    """
    indexed = []
    for mid, onset, offset in events:
        if mid in index_of_mid:
            indexed.append((index_of_mid[mid], onset, offset))
        else:
            unmapped[mid] += 1
    return indexed


def _without_ytids(
    weak: pd.DataFrame, strong: pd.DataFrame, eval_ytids: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, str, str]]]:
    """Drops the labels of evaluation clips, and lists these clips."""
    if not eval_ytids:
        return weak, strong, []
    segment_ids = {*weak["segment_id"], *strong["segment_id"]}
    of_eval = {s for s in segment_ids if ytid_of_segment(s) in eval_ytids}
    left_out = [
        (segment_id, "eval_clip", "its YouTube id is in --eval_labels")
        for segment_id in sorted(of_eval)
    ]
    return (
        weak[~weak["segment_id"].isin(of_eval)],
        strong[~strong["segment_id"].isin(of_eval)],
        left_out,
    )


def _keep_strong_fraction(
    events: dict[str, _EventsOfSet], plan: Plan, params: RecordParams
) -> None:
    """Takes the strong labels from clips outside of the share of Strong.

    The held-out part keeps its labels, so that models that were trained on
    different shares are validated on the same clips.
    """
    fraction, seed = params.strong_fraction, params.strong_fraction_seed
    outside = [
        segment_id
        for segment_id, of_clip in sorted(events.items())
        if _group_of(segment_id, "strong" in of_clip, params) == "strong"
        and not is_in_strong_fraction(
            ytid_of_segment(segment_id), fraction, seed
        )
    ]
    for segment_id in outside:
        del events[segment_id]["strong"]
        if events[segment_id]:
            plan.notes["strong labels left out by strong_fraction"] += 1
        else:
            del events[segment_id]
            plan.left_out.append(
                (
                    segment_id,
                    "outside_strong_fraction",
                    "it has no weak labels to stay for",
                )
            )


def _group_of(
    segment_id: str, has_strong_labels: bool, params: RecordParams
) -> str:
    """Chooses the group of shards that a clip goes to."""
    if not has_strong_labels:
        return "weak"
    ytid = ytid_of_segment(segment_id)
    return (
        "held_out" if is_held_out(ytid, params.held_out_fraction) else "strong"
    )


def plan_shards(
    plan: Plan, output_dir: str, clips_per_shard: int, settings: ShardSettings
) -> list[ShardTask]:
    """Distributes the clips of each group over shards by a stable hash."""
    tasks = []
    for group, clips in plan.clips.items():
        num_shards = -(-len(clips) // clips_per_shard)
        of_shard: list[list[Clip]] = [[] for _ in range(num_shards)]
        for clip in clips:
            fraction = stable_fraction(clip.segment_id, salt="shard")
            of_shard[int(fraction * num_shards)].append(clip)
        for index, shard_clips in enumerate(of_shard):
            name = f"{group}-{index:05d}-of-{num_shards:05d}.tfrecord"
            tasks.append(
                ShardTask(output_dir, group, name, tuple(shard_clips), settings)
            )
    return tasks
