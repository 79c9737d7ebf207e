"""What goes into a manifest: settings that must fit, and sums over shards."""

import collections
import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    describe_other_classes,
    parse_class_map,
)
from audioset_strong.params import LabelMappingParams, RecordParams
from audioset_strong.records.clip_plan import Plan
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    read_json,
    write_json,
)

# Settings that an older folder may lack: they were as their defaults are.
_DEFAULTS = {
    "records": dataclasses.asdict(RecordParams()),
    "label_mapping": dataclasses.asdict(LabelMappingParams()),
}


def check_settings(
    output_dir: str, settings: dict[str, Any], class_map: ClassMap
) -> None:
    """Saves the settings of a new folder, or compares them in an old one.

    Args:
      output_dir: Folder of the records; its class map is that of its settings.
      settings: Of the records that are to be made, JSON-ready.
      class_map: Classes of the same.

    Raises:
      InputError: The folder was begun with other settings or classes.
    """
    path = os.path.join(output_dir, "settings.json")
    if tf.io.gfile.exists(path):
        found = read_json(path)
        for name, default in _DEFAULTS.items():
            found[name] = {**default, **found.get(name, {})}
        differing = [
            f"{name}: {found.get(name)} there, {value} now"
            for name, value in settings.items()
            if found.get(name) != value
        ]
        if differing:
            differing += _other_classes(output_dir, class_map)
            raise InputError(
                f"{output_dir} holds records made with other settings "
                f"({'; '.join(differing)}). Give another --output_dir or "
                f"delete it."
            )
    write_json(settings, path)


def _other_classes(output_dir: str, class_map: ClassMap) -> list[str]:
    """Says which classes differ, if the folder still has its class map."""
    path = os.path.join(output_dir, CLASS_MAP_NAME)
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        mids = parse_class_map(file.read(), path).mids
    text = describe_other_classes(mids, class_map.mids, path, "--class_map")
    return [text] if text else []


def sum_up(
    plan: Plan, num_classes: int, reports: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Adds up the shards' reports and counts what was written per class.

    Args:
      plan: What was to be written.
      num_classes: Classes of the class map.
      reports: What `write_shard` returned for each shard, in their order.

    Returns:
      The manifest's entries besides settings and label problems.
    """
    of_shards = (tuple(row) for r in reports for row in r["left_out"])
    left_out = sorted([*plan.left_out, *of_shards])
    names_left_out = {segment_id for segment_id, _, _ in left_out}
    notes = collections.Counter(plan.notes)
    for report in reports:
        notes.update(report["notes"])
    return {
        "shards": [report["shard"] for report in reports],
        "clips": {
            group: sum(c.segment_id not in names_left_out for c in clips)
            for group, clips in plan.clips.items()
        },
        "events_per_class": {
            label_set: _count_events(
                plan, label_set, num_classes, names_left_out
            )
            for label_set in ("weak", "strong")
        },
        "unmapped_mids": dict(sorted(plan.unmapped.items())),
        "notes": dict(notes),
        "left_out_by_reason": dict(
            collections.Counter(reason for _, reason, _ in left_out)
        ),
        "left_out": left_out,
    }


def _count_events(
    plan: Plan, label_set: str, num_classes: int, left_out: set[str]
) -> list[int]:
    """Counts the events of each class in the clips that are training data."""
    counts = [0] * num_classes
    for group in ("weak", "strong"):
        for clip in plan.clips[group]:
            if clip.segment_id not in left_out:
                for class_index, _, _ in clip.events.get(label_set, []):
                    counts[class_index] += 1
    return counts


def written_segment_ids(
    plan: Plan, left_out: Iterable[Sequence[str]]
) -> list[str]:
    """Returns the clips of a plan that were written, sorted.

    Args:
      plan: What was to be written.
      left_out: Rows of segment_id, reason and detail.
    """
    names_left_out = {row[0] for row in left_out}
    planned = {c.segment_id for clips in plan.clips.values() for c in clips}
    return sorted(planned - names_left_out)
