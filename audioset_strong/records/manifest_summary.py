"""Sums over shards: what a manifest says besides settings, and in words."""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audioset_strong.records.audit import (
    FAULTS_NAME,
    LEFT_OUT_NAME,
    ClipFault,
    audit_clips,
    count_reasons,
    segment_ids_by_reason,
)
from audioset_strong.records.clip_plan import Plan
from audioset_strong.records.shard_tasks import Report


def sum_up(
    plan: Plan, num_classes: int, reports: Sequence[Report]
) -> dict[str, Any]:
    """Adds up the shards' reports and counts what was written per class.

    Args:
      plan: What was to be written.
      num_classes: Classes of the class map.
      reports: What `write_shard` returned for each shard, in their order.

    Returns:
      The manifest's entries besides settings and label problems.
    """
    audit = audit_clips(plan, reports)
    names_left_out = {row.segment_id for row in audit.left_out}
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
        "left_out_by_reason": count_reasons(audit.left_out),
        "left_out": segment_ids_by_reason(audit.left_out),
        "faults": segment_ids_by_reason(audit.faults),
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


def written_segment_ids(plan: Plan, left_out: Sequence[ClipFault]) -> list[str]:
    """Returns the clips of a plan that were written, sorted.

    Args:
      plan: What was to be written.
      left_out: Clips that were not.
    """
    names_left_out = {row.segment_id for row in left_out}
    planned = {c.segment_id for clips in plan.clips.values() for c in clips}
    return sorted(planned - names_left_out)


def describe(
    manifest: Mapping[str, Any], write_line: Callable[[str], None]
) -> None:
    """Writes what was made and what was left out, for people."""
    clips: dict[str, int] = manifest["clips"]
    by_group = ", ".join(f"{count} {group}" for group, count in clips.items())
    write_line(f"{sum(clips.values())} clips written ({by_group}).")
    reasons: dict[str, int] = manifest["left_out_by_reason"]
    if reasons:
        by_reason = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        write_line(
            f"{sum(reasons.values())} clips left out ({by_reason}); "
            f"{LEFT_OUT_NAME} lists each with the reason."
        )
    faults = {fault: len(ids) for fault, ids in manifest["faults"].items()}
    if faults:
        by_fault = ", ".join(f"{n} {fault}" for fault, n in faults.items())
        write_line(
            f"Clips written although something is wrong with their audio: "
            f"{by_fault}; {FAULTS_NAME} lists them."
        )
    for note, count in manifest["notes"].items():
        write_line(f"{count} clips: {note}.")
    unmapped: dict[str, int] = manifest["unmapped_mids"]
    if unmapped:
        write_line(
            f"{sum(unmapped.values())} events of {len(unmapped)} mids that are "
            f"not in the class map were left out; their clips were kept."
        )
