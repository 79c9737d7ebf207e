"""Compares two framed tables, label frame by label frame.

Compared are the (clip, class) pairs that the reference lists, because a
reference can be an excerpt. Of these, every label frame of the grid is PRESENT,
NOT_PRESENT or not listed, in ours and in the reference. If the reference lists
no NOT_PRESENT row of a class at all, it has no negatives to compare: then a
label frame that is NOT_PRESENT in ours and not listed there is no disagreement.

Agreement is counted both ways: the share of the reference's rows that ours
have, and the share of ours that the reference has.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.params import LabelFrameParams

_KEYS = ["segment_id", "mid"]
# The states of a label frame and class in a table, index into the words.
UNLISTED, NOT_PRESENT, PRESENT = 0, 1, 2
WORDS = ("not listed", "NOT_PRESENT", "PRESENT")
_States = npt.NDArray[np.int8]  # [num_pairs, num_label_frames]


@dataclasses.dataclass(frozen=True, eq=False)
class FramedAgreement:
    """The agreement of our framed labels with a reference.

    Attributes:
      per_class: One row a class of the reference: mid str; num_pairs int64,
        pairs that it lists; and for "present" and "not_present" the rows that
        both tables have (`num_both_present`), that the reference has
        (`num_reference_present`) and that ours have (`num_ours_present`), all
        int64.
      disagreements: One row a label frame: segment_id str, label_frame int64,
        mid str, ours str and reference str, of `WORDS`; sorted.
      num_pairs_only_ours: Pairs that the reference does not list, of clips
        that it lists.
      num_present_pairs_only_ours: Those of them with a PRESENT row, of classes
        that it lists too: a whole reference would list them.
      num_clips_only_ours: Clips that the reference does not list.
      num_negatives_not_given: Pairs without a PRESENT row that ours were made
        without: explicit negatives that we were not given.
      has_negatives: Whether the reference has any NOT_PRESENT row.
    """

    per_class: pd.DataFrame
    disagreements: pd.DataFrame
    num_pairs_only_ours: int
    num_present_pairs_only_ours: int
    num_clips_only_ours: int
    num_negatives_not_given: int
    has_negatives: bool


def compare_framed_labels(
    ours: pd.DataFrame,
    reference: pd.DataFrame,
    known_pairs: pd.DataFrame | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> FramedAgreement:
    """Compares framed labels with a reference.

    Args:
      ours: Framed table (`label_files`).
      reference: Framed table; where it lists a label frame and class as both
        PRESENT and NOT_PRESENT, PRESENT holds.
      known_pairs: Columns segment_id and mid: pairs that ours were made from,
        though they may have no rows; None if only those of `ours` are known.
      params: The grid of label frames.

    Returns:
      The agreement on the pairs that the reference lists.

    Raises:
      InputError: The reference lists nothing.
    """
    pairs = reference[_KEYS].drop_duplicates(ignore_index=True)  # [num_pairs]
    if not len(pairs):
        raise InputError("The reference lists no label frame to compare with.")
    theirs = _states(reference, pairs, params)
    mine = _states(ours, pairs, params)
    is_class_with_negatives = pairs["mid"].isin(
        pairs["mid"][(theirs == NOT_PRESENT).any(axis=1)]
    )

    is_negative_only = ~(theirs == PRESENT).any(axis=1)
    is_not_given = is_negative_only & (mine == UNLISTED).all(axis=1)
    if known_pairs is not None:
        is_not_given &= ~_is_in(pairs, known_pairs)
    differs = mine != theirs  # [num_pairs, num_label_frames]
    differs &= (
        (mine == PRESENT)
        | (theirs == PRESENT)
        | is_class_with_negatives.to_numpy()[:, np.newaxis]
    )
    # Counted apart: nothing that we were told could have given them.
    differs[is_not_given] = False

    counts = pd.DataFrame({"mid": pairs["mid"], "num_pairs": 1})
    for name, value in (("present", PRESENT), ("not_present", NOT_PRESENT)):
        is_theirs, is_mine = theirs == value, mine == value
        counts[f"num_both_{name}"] = (is_theirs & is_mine).sum(axis=1)
        counts[f"num_reference_{name}"] = is_theirs.sum(axis=1)
        counts[f"num_ours_{name}"] = is_mine.sum(axis=1)

    pair, label_frame = np.nonzero(differs)
    words = np.array(WORDS, dtype=object)
    table = pairs.iloc[pair].reset_index(drop=True)
    table.insert(1, "label_frame", label_frame)
    table["ours"] = pd.Series(words[mine[differs]], dtype="object")
    table["reference"] = pd.Series(words[theirs[differs]], dtype="object")
    keys = ["segment_id", "mid", "label_frame"]

    our_pairs = ours[_KEYS].drop_duplicates()
    is_shared_clip = our_pairs["segment_id"].isin(pairs["segment_id"])
    only_ours = our_pairs[is_shared_clip & ~_is_in(our_pairs, pairs)]
    is_present = _is_in(only_ours, ours[ours["is_present"]])
    is_present &= only_ours["mid"].isin(pairs["mid"]).to_numpy()
    other_clips = our_pairs.loc[~is_shared_clip, "segment_id"]
    return FramedAgreement(
        per_class=counts.groupby("mid").sum().reset_index(),
        disagreements=table.sort_values(keys, ignore_index=True),
        num_pairs_only_ours=len(only_ours),
        num_present_pairs_only_ours=int(is_present.sum()),
        num_clips_only_ours=int(other_clips.nunique()),
        num_negatives_not_given=int(is_not_given.sum()),
        has_negatives=bool(is_class_with_negatives.any()),
    )


def _is_in(
    pairs: pd.DataFrame, known_pairs: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Says which pairs are among others, bool `[num_pairs]`."""
    known = pd.MultiIndex.from_frame(known_pairs[_KEYS].drop_duplicates())
    found = pd.MultiIndex.from_frame(pairs).isin(known)
    return np.asarray(found, dtype=bool)


def _states(
    framed: pd.DataFrame, pairs: pd.DataFrame, params: LabelFrameParams
) -> _States:
    """Looks up the state of each pair and label frame in a table."""
    rows = pd.MultiIndex.from_frame(pairs).get_indexer(
        pd.MultiIndex.from_frame(framed[_KEYS])
    )
    states = np.zeros((len(pairs), params.num_label_frames), dtype=np.int8)
    is_present = framed["is_present"].to_numpy()
    label_frame = framed["label_frame"].to_numpy()
    # PRESENT is written last, so that it holds.
    for value in (NOT_PRESENT, PRESENT):
        chosen = (rows >= 0) & (is_present == (value == PRESENT))
        states[rows[chosen], label_frame[chosen]] = value
    return states


def overlap_text(
    segment_id: str,
    label_frame: int,
    mid: str,
    strong: pd.DataFrame,
    params: LabelFrameParams = LabelFrameParams(),
) -> str:
    """Says which events of a class are in a label frame, and how much of them.

    Args:
      segment_id: The clip.
      label_frame: The label frame, from 0.
      mid: The class.
      strong: Strong table (`label_files`) with the clip's events.
      params: The grid of label frames.

    Returns:
      Such as "1.598-2.307 s has 0.387 s here (55 % of it)", events separated
      by semicolons.
    """
    is_event = (strong["segment_id"] == segment_id) & (strong["mid"] == mid)
    if not is_event.any():
        return "the clip has no event of this class"
    start = label_frame * params.label_frame_seconds
    end = start + params.label_frame_seconds
    texts = []
    times = strong.loc[is_event, ["onset_seconds", "offset_seconds"]]
    for onset, offset in times.to_numpy().tolist():
        overlap = min(offset, end) - max(onset, start)
        if overlap > 0:
            share = overlap / (offset - onset)
            texts.append(
                f"{onset:.3f}-{offset:.3f} s has {overlap:.3f} s here "
                f"({share:.0%} of it)"
            )
    return "; ".join(texts) or "no event of this class reaches it"


def agreement_lines(
    agreement: FramedAgreement, names: Mapping[str, str]
) -> list[str]:
    """Makes a table of the agreement, in all and on each class, both ways.

    Classes with the most differences come first; `names` are the display names
    of mids, where there is one.
    """
    per_class = agreement.per_class
    values = ["present"] + ["not_present"] * agreement.has_negatives
    headings = [
        f"{value.upper()}: {whose}"
        for value in values
        for whose in ("reference's in ours", "ours in reference")
    ]

    def shares(counts: "pd.Series[Any]") -> list[str]:
        return [str(counts["num_pairs"])] + [
            _share(counts[f"num_both_{value}"], counts[f"num_{whose}_{value}"])
            for value in values
            for whose in ("reference", "ours")
        ]

    num_wrong = agreement.disagreements["mid"].value_counts()
    num_wrong = num_wrong.reindex(per_class["mid"], fill_value=0)
    rows = [
        ["class", "pairs", *headings],
        ["all classes", *shares(per_class.drop(columns="mid").sum())],
    ]
    for index in np.argsort(-num_wrong.to_numpy(), kind="stable").tolist():
        counts = per_class.iloc[index]
        rows.append([_named(counts["mid"], names), *shares(counts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["Compared on the (clip, class) pairs that the reference lists:"] + [
        "  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows
    ]


def _share(part: int, whole: int) -> str:
    """Formats a share; never rounded up to 100 %."""
    if not whole:
        return "0 of 0"
    percent = (
        "100" if part == whole else f"{min(100 * part / whole, 99.99):.2f}"
    )
    return f"{part} of {whole} ({percent} %)"


def note_lines(agreement: FramedAgreement, strong: pd.DataFrame) -> list[str]:
    """Says what was not compared, and why; no lines if everything was.

    `strong` is the strong table (`label_files`) that ours were framed from.
    """
    mids = agreement.per_class["mid"]
    counts = {
        "pairs of the reference are explicit negatives that ours were not "
        "given": agreement.num_negatives_not_given,
        "classes of the reference have no event in the strong labels": int(
            (~mids.isin(strong["mid"])).sum()
        ),
        "pairs of ours with PRESENT rows, of clips and classes that the "
        "reference has, are not listed there: a whole reference would have "
        "them": agreement.num_present_pairs_only_ours,
        "other pairs of ours are of the reference's clips, but not listed "
        "there": (
            agreement.num_pairs_only_ours
            - agreement.num_present_pairs_only_ours
        ),
        "clips of ours are not in the reference": agreement.num_clips_only_ours,
    }
    lines = [f"{count} {what}." for what, count in counts.items() if count]
    if not agreement.has_negatives:
        lines.append("The reference lists no NOT_PRESENT row to compare.")
    return lines


def disagreement_lines(
    agreement: FramedAgreement,
    strong: pd.DataFrame,
    names: Mapping[str, str],
    max_lines: int,
    params: LabelFrameParams = LabelFrameParams(),
) -> list[str]:
    """Lists the first `max_lines` disagreements and the events behind them.

    `strong` and `names` are as above.
    """
    table = agreement.disagreements
    if not len(table):
        return ["No label frame differs."]
    lines = [f"{len(table)} label frames differ:"]
    for row in table.head(max_lines).to_dict("records"):
        label_frame = int(row["label_frame"])
        start = label_frame * params.label_frame_seconds
        end = start + params.label_frame_seconds
        segment_id, mid = str(row["segment_id"]), str(row["mid"])
        why = overlap_text(segment_id, label_frame, mid, strong, params)
        lines.append(
            f"  {segment_id} {start:.2f}-{end:.2f} s {_named(mid, names)}: "
            f"{row['ours']} in ours, {row['reference']} in the reference; {why}"
        )
    if len(table) > max_lines:
        lines.append(f"  ... and {len(table) - max_lines} more")
    return lines


def _named(mid: str, names: Mapping[str, str]) -> str:
    return f"{names[mid]} ({mid})" if mid in names else mid
