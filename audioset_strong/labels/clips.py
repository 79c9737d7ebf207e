r"""Annotated clips: which clips somebody listened to, and how long they are.

A label file names the clips that have an event. It cannot say that a clip has
none, so "no event" and "not labelled" look the same in it. The list of
annotated clips tells them apart: a clip on the list without an event is a
negative of every class, a clip that is not on the list is unknown. AudioSet's
own files need no list, since each of its clips has an event.

The file is a TSV with a header; the third column is optional:

    segment_id\tduration_seconds\tgroup
    site3 dawn 0001\t37.25\tsite3

`files.tsv` of `predict` is such a list too; a file that it calls failed is left
out.

Clips of a group (a recording, a speaker, a site) are kept on one side of every
split. Where the file gives none, it is `ids.group_of_segment`.

In memory the list is a pandas table, one row a clip, in file order:

  clips   segment_id str, duration_seconds float64 (above 0), group str

Source: our choice (BUILD_NOTES.md "Annotated clips").
"""

import os
import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.ids import group_of_segment, is_segment_id
from audioset_strong.labels.problems import ProblemLog, listed

CLIPS_HEADER = "segment_id\tduration_seconds\tgroup"

_Path = str | os.PathLike[str]
_COLUMNS = CLIPS_HEADER.split("\t")
_NUM_REQUIRED = 2
# Of `files.tsv` of `predict`.
PREDICTED_HEADER = (
    "segment_id\tduration_seconds\tpath\tstatus\tnum_events\thighest_score\t"
    "highest_class\thighest_seconds\tnotes"
)
_PREDICTED = PREDICTED_HEADER.split("\t")
_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*(e[+-]?[0-9]+)?", re.ASCII | re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# Times are written with three decimals.
_LEAST_SECONDS = 0.0005
_ONSET_SLACK_SECONDS = 1.0


def read_annotated_clips(path: _Path) -> pd.DataFrame:
    """Reads a list of annotated clips.

    Returns:
      The clips table (module docstring).

    Raises:
      InputError: The header is another, a line cannot be read or repeats a
        clip, or there is no clip; names file and line.
    """
    header = "<TAB>".join(_COLUMNS[:_NUM_REQUIRED])
    rows: dict[str, tuple[float, str]] = {}
    line_of_clip: dict[str, int] = {}
    # Bytes that are not UTF-8 become characters that no segment id has.
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        first = file.readline().rstrip("\r\n")
        columns = first.split("\t")
        if columns not in (_COLUMNS[:_NUM_REQUIRED], _COLUMNS, _PREDICTED):
            raise InputError(
                f"{path}:1: expected the header {header!r}, with <TAB>group if "
                f"you like, found {first[:80]!r}. Give a list of annotated "
                f"clips, such as import_labels writes."
            )
        num_failed = 0
        for number, line in enumerate(file, start=2):
            if not line.strip():
                continue
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) != len(columns):
                raise InputError(
                    f"{path}:{number}: expected {len(columns)} fields "
                    f"separated by tabs, found {len(fields)}: {line[:80]!r}."
                )
            field_of = dict(zip(columns, fields, strict=True))
            if field_of.get("status") == "failed":
                num_failed += 1
                continue
            segment_id = fields[0]
            if not is_segment_id(segment_id):
                raise InputError(
                    f"{path}:{number}: expected a segment id in UTF-8, found "
                    f"{segment_id[:80]!r}."
                )
            if segment_id in rows:
                raise InputError(
                    f"{path}:{number}: expected each clip once, {segment_id!r} "
                    f"is also in line {line_of_clip[segment_id]}."
                )
            # Python reads "1_0" and other scripts' digits as numbers too.
            is_number = _DECIMAL.fullmatch(fields[1]) is not None
            seconds = float(fields[1]) if is_number else float("nan")
            if not _LEAST_SECONDS <= seconds < float("inf"):
                raise InputError(
                    f"{path}:{number}: expected a duration in seconds above 0, "
                    f"such as 37.25, found {fields[1][:80]!r}."
                )
            group = field_of.get("group", "").strip()
            if _CONTROL.search(group):
                raise InputError(
                    f"{path}:{number}: expected a group in UTF-8, without "
                    f"control characters, found {group[:80]!r}."
                )
            rows[segment_id] = (seconds, group or group_of_segment(segment_id))
            line_of_clip[segment_id] = number
    if not rows:
        raise InputError(f"{path}: expected at least one clip, found none.")
    if num_failed:
        logging.warning(
            "%s: left out %d clips whose status is failed.", path, num_failed
        )
    return make_clips_table(
        list(rows),
        [seconds for seconds, _ in rows.values()],
        [group for _, group in rows.values()],
    )


def make_clips_table(
    segment_ids: list[str], duration_seconds: list[float], groups: list[str]
) -> pd.DataFrame:
    """Makes a clips table of its columns."""
    # The dtype is given because pandas would take str for object.
    return pd.DataFrame(
        {
            "segment_id": pd.Series(segment_ids, dtype=object),
            "duration_seconds": np.asarray(duration_seconds, dtype=np.float64),
            "group": pd.Series(groups, dtype=object),
        }
    )


def check_listed(
    segment_ids: "pd.Series[str]", clips: pd.DataFrame, what: str = "an event"
) -> None:
    """Raises `InputError` if a clip that has `what` is not on the list.

    Its labels would be lost, or its length guessed.
    """
    is_missing = ~segment_ids.isin(clips["segment_id"])
    missing = segment_ids[is_missing].unique().tolist()
    if missing:
        raise InputError(
            f"Expected every clip with {what} on the list of annotated clips "
            f"of {len(clips)}; {len(missing)} are not: "
            f"{listed(map(repr, missing), 3)}. Add them to the list, or leave "
            f"out their labels."
        )


def leave_out_unknown(
    clips: pd.DataFrame,
    problems: ProblemLog,
    labelled: Iterable["pd.Series[str]"],
) -> tuple[pd.DataFrame, list[str]]:
    """Leaves out clips that seem empty because label lines were skipped.

    Warns of lines that may be about other clips.

    Args:
      clips: Clips table.
      problems: With the lines that were skipped.
      labelled: Segment ids of the clips that have labels.

    Returns:
      The other clips, and the ids of those that are left out.
    """
    lines_of_clip = problems.clips_left_out
    if not lines_of_clip:
        return clips, []
    is_named = clips["segment_id"].isin(lines_of_clip)
    named = set(clips.loc[is_named, "segment_id"])
    with_labels: set[str] = set().union(*labelled)
    is_unknown = is_named & ~clips["segment_id"].isin(with_labels)
    unknown = clips.loc[is_unknown, "segment_id"].tolist()
    if unknown:
        logging.warning(
            "%d annotated clips are left out: label lines about them were "
            "skipped and they have no other label, such as %s.",
            len(unknown),
            listed(map(repr, unknown), 3),
        )
    num_other = sum(n for c, n in lines_of_clip.items() if c not in named)
    if num_other:
        logging.warning(
            "%d skipped label lines name no clip of the list; a clip that "
            "they are about may be taken as one without events.",
            num_other,
        )
    return clips[~is_unknown].reset_index(drop=True), unknown


def clips_of_labels(
    labelled: Iterable["pd.Series[str]"],
    annotated: Iterable[str],
    strong: pd.DataFrame | None,
    recordings: pd.DataFrame | None,
    clip_seconds: float,
) -> pd.DataFrame:
    """Makes a clips table of what labels are about, where there is no list.

    Args:
      labelled: Segment ids of the clips that have labels.
      annotated: Further ones that were listened to.
      strong: Strong table, for the length of clips that are in no recording.
      recordings: Clips table of what is scored; None for none.
      clip_seconds: Least length of clips that are none of these.
    """
    ids = sorted(set(annotated).union(*labelled))
    ends = {}
    if strong is not None:
        ends = strong.groupby("segment_id")["offset_seconds"].max().to_dict()
    # What is labelled and not scored is reported as such later.
    least = [max(ends.get(clip, 0.0), clip_seconds) for clip in ids]
    lengths = lengths_of_clips(ids, recordings, np.nan)
    return make_clips_table(
        ids,
        np.where(np.isnan(lengths), least, lengths).tolist(),
        list(map(group_of_segment, ids)),
    )


def lengths_of_clips(
    segment_ids: npt.ArrayLike,
    clips: pd.DataFrame | None,
    clip_seconds: float,
) -> npt.NDArray[np.float64]:
    """Returns the length of each clip.

    Args:
      segment_ids: str `[num_clips]`.
      clips: Clips table; None for no list.
      clip_seconds: Length of the clips that are not listed.

    Returns:
      float64 `[num_clips]`, in seconds.
    """
    ids = pd.Index(np.asarray(segment_ids, dtype=object))
    seconds = np.full(len(ids), clip_seconds, dtype=np.float64)
    if clips is not None:
        row = pd.Index(clips["segment_id"]).get_indexer(ids)
        lengths = clips["duration_seconds"].to_numpy()
        seconds[row >= 0] = lengths[row[row >= 0]]
    return seconds


def check_onsets(
    strong: pd.DataFrame, clips: pd.DataFrame | None, clip_seconds: float
) -> None:
    """Raises `InputError` if events start long after the end of their clip.

    They would be lost: lengths are missing, wrong or in another unit. An event
    that starts less than a second late is taken for a rounding.

    Args:
      strong: Strong table (`label_files`).
      clips: Clips table; None for no list.
      clip_seconds: Length of the clips that are not listed.
    """
    ids = strong["segment_id"].to_numpy(dtype=object)
    ends = lengths_of_clips(ids, clips, clip_seconds)
    onsets = strong["onset_seconds"].to_numpy()
    is_late = onsets >= ends + _ONSET_SLACK_SECONDS
    if is_late.any():
        row = int(np.argmax(is_late))
        raise InputError(
            f"Expected events inside their clips; {is_late.sum()} of "
            f"{len(strong)} start after the end, such as "
            f"{strong['mid'].iloc[row]} at {onsets[row]:g} s of {ids[row]!r}, "
            f"which has {ends[row]:g} s. Give a list of annotated clips "
            f"(clips) with their lengths in seconds, or the length of all "
            f"(clip_seconds)."
        )


def write_annotated_clips(clips: pd.DataFrame, path: _Path) -> None:
    """Writes a clips table; times with three decimals."""
    with open_output(path) as file:
        file.write(CLIPS_HEADER + "\n")
        for row in clips[_COLUMNS].itertuples(index=False, name=None):
            segment_id, seconds, group = row
            file.write(f"{segment_id}\t{seconds:.3f}\t{group}\n")
