"""What was lost on the way from labels to records, clip by clip.

    left_out.csv  segment_id, reason, detail: clips without a record
    faults.csv    the same of clips that have one: clipped, short, ...

Reasons are those of `AudioError` and `audio_faults.FAULTS`, and of the plan
(`eval_clip`, `outside_strong_fraction`), which are no loss: they were wanted.
"""

import collections
import csv
import io
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from audioset_strong.errors import InputError
from audioset_strong.records.clip_plan import Plan
from audioset_strong.records.manifest import write_text
from audioset_strong.records.shard_tasks import Report

LEFT_OUT_NAME = "left_out.csv"
FAULTS_NAME = "faults.csv"


class ClipFault(NamedTuple):
    """What is wrong with one clip.

    Attributes:
      segment_id: The clip.
      reason: One of a few words, to count by.
      detail: What was expected and what came.
    """

    segment_id: str
    reason: str
    detail: str


class Audit(NamedTuple):
    """What is wrong with the clips of a release, sorted.

    Attributes:
      left_out: Clips without a record.
      faults: Of clips with a record; a clip may have several.
    """

    left_out: list[ClipFault]
    faults: list[ClipFault]


def audit_clips(plan: Plan, reports: Sequence[Report]) -> Audit:
    """Collects what the plan left out and what the shards' reports say."""
    left_out = [ClipFault(*row) for row in plan.left_out]
    left_out += [ClipFault(*row) for r in reports for row in r["left_out"]]
    faults = [ClipFault(*row) for r in reports for row in r["faults"]]
    return Audit(sorted(left_out), sorted(faults))


def count_reasons(rows: Iterable[ClipFault]) -> dict[str, int]:
    """Counts clips by reason, most frequent first."""
    counter = collections.Counter(row.reason for row in rows)
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def segment_ids_by_reason(rows: Iterable[ClipFault]) -> dict[str, list[str]]:
    """Lists the clips of each reason, both sorted."""
    clips: dict[str, list[str]] = {}
    for row in sorted(rows):
        clips.setdefault(row.reason, []).append(row.segment_id)
    return dict(sorted(clips.items()))


def write_audit(audit: Audit, output_dir: str) -> None:
    """Writes both CSV files, with a header also where nothing is wrong."""
    for rows, name in (
        (audit.left_out, LEFT_OUT_NAME),
        (audit.faults, FAULTS_NAME),
    ):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(ClipFault._fields)
        writer.writerows(rows)
        write_text(text.getvalue(), os.path.join(output_dir, name))


def check_loss(
    num_lost: int, num_clips: int, max_loss: float, where: str
) -> None:
    """Checks that not too many clips are lost.

    Args:
      num_lost: Clips that were wanted and cannot be written.
      num_clips: Clips that were wanted.
      max_loss: The largest share of them that may be lost, in [0, 1].
      where: Says which are lost, for the message.

    Raises:
      InputError: More are lost.
    """
    if num_lost > max_loss * num_clips:
        raise InputError(
            f"{num_lost:,} of {num_clips:,} clips ({num_lost / num_clips:.1%}) "
            f"are lost, more than --max_loss={max_loss:g} allows: {where}. "
            f"Find their audio, or give a larger --max_loss."
        )
