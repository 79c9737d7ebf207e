"""Simulated annotators: from what is heard to what label files say.

Annotators label the same clips in three ways, as in the paper:

  * Weak annotators (Section 2) are asked about a few classes and answer
    truthfully. Classes that they are not asked about go missing, quiet and
    short ones more often, and they may be offered the parent of a class instead
    of the class.
  * Strong annotators (Section 3) mark every sound, with the most specific
    class, and are a little off in time.
  * Annotators of candidates (Section 3.2) are shown clips that a model scores
    high for a class. Clips without the class become its explicit negatives.

Ground truth is a table of events: the strong table of `labels/label_files.py`
plus snr_db float64, the level of the event over the background. Everything is a
pure function of (params, segment_id, events of the clip).
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from audioset_strong.simulation.soundscapes import (
    CLIP_SECONDS,
    SoundscapeParams,
    clip_rng,
)
from audioset_strong.simulation.sources import SoundClass, release_vocabulary

# Shortest event an annotator marks.
_MIN_MARKED_SECONDS = 0.02


def annotate_weakly(
    truth: pd.DataFrame,
    classes: Sequence[SoundClass],
    params: SoundscapeParams,
) -> pd.DataFrame:
    """Makes weak labels.

    Args:
      truth: Ground truth (module docstring); clips in any order.
      classes: Give the parents.
      params: Recall and share of parents.

    Returns:
      Weak table (`label_files`), one row a clip, in the order of `truth`.
    """
    parent_of_mid = {c.mid: c.parent_mid for c in classes}
    salience = _rate_salience(truth, params)
    segment_ids = truth["segment_id"].unique().tolist()
    starts_ms = [int(s.rsplit("_", 1)[1]) for s in segment_ids]
    start_seconds = np.array(starts_ms, dtype=np.float64) / 1000  # [num_clips]
    mids = [
        _weak_mids(s, salience[s], parent_of_mid, params) for s in segment_ids
    ]
    return pd.DataFrame(
        {
            "segment_id": pd.Series(segment_ids, dtype="object"),
            "start_seconds": start_seconds,
            "end_seconds": start_seconds + CLIP_SECONDS,
            "mids": pd.Series(mids, dtype="object"),
        }
    )


def _rate_salience(
    truth: pd.DataFrame, params: SoundscapeParams
) -> dict[str, dict[str, float]]:
    """Rates in [0, 1] how much each mid stands out in each segment_id."""
    seconds = truth["offset_seconds"] - truth["onset_seconds"]
    groups = truth.assign(seconds=seconds).groupby(["segment_id", "mid"])
    pairs = groups.agg({"seconds": "sum", "snr_db": "max"}).reset_index()
    shortest, longest = params.min_event_seconds, params.max_event_seconds
    # Half of the rating is the length, on a logarithmic scale since most events
    # are short, and half the level.
    length = np.log(pairs["seconds"] / shortest)
    length = length / max(np.log(longest / shortest), 1e-9)
    level = pairs["snr_db"] - params.min_snr_db
    level = level / max(params.max_snr_db - params.min_snr_db, 1e-9)
    ratings = (np.clip(length, 0, 1) + np.clip(level, 0, 1)) / 2
    salience: dict[str, dict[str, float]] = {}
    columns = (pairs["segment_id"], pairs["mid"], ratings)
    for segment_id, mid, rating in zip(*columns, strict=True):
        salience.setdefault(segment_id, {})[mid] = rating
    return salience


def _weak_mids(
    segment_id: str,
    salience: Mapping[str, float],
    parent_of_mid: Mapping[str, str],
    params: SoundscapeParams,
) -> tuple[str, ...]:
    """Labels one clip weakly; returns one or more mids, sorted."""
    rng = clip_rng(params, "weak annotator", segment_id)
    # As much above the mean for loud long sounds as below it for others.
    slope = min(params.weak_recall, 1 - params.weak_recall)
    asked = [
        mid
        for mid, rating in salience.items()
        if rng.uniform() < params.weak_recall + slope * (2 * rating - 1)
    ]
    # AudioSet has no clip without a label.
    asked = asked or [max(salience, key=lambda mid: salience[mid])]
    offered = {
        parent_of_mid.get(mid) or mid
        if rng.uniform() < params.weak_parent_share
        else mid
        for mid in asked
    }
    return tuple(sorted(offered))


def annotate_strongly(
    truth: pd.DataFrame, params: SoundscapeParams
) -> pd.DataFrame:
    """Makes strong labels: complete, specific, a little off in time.

    Returns:
      Strong table (`label_files`), rows in the order of `truth`.
    """
    strong = truth[["segment_id", "onset_seconds", "offset_seconds", "mid"]]
    strong = strong.reset_index(drop=True)
    times = strong[["onset_seconds", "offset_seconds"]].to_numpy(np.float64)
    jitter = np.zeros_like(times)  # [num_events, 2]
    for segment_id, rows in strong.groupby("segment_id").indices.items():
        rng = clip_rng(params, "strong annotator", str(segment_id))
        # An event's onset and offset are drawn together, in file order.
        jitter[np.sort(rows)] = rng.standard_normal((len(rows), 2))
    onset, offset = (times + params.strong_jitter_seconds * jitter).T
    onset = np.clip(onset, 0.0, CLIP_SECONDS - _MIN_MARKED_SECONDS)
    offset = np.clip(offset, onset + _MIN_MARKED_SECONDS, CLIP_SECONDS)
    # Down and up to milliseconds, so that rounding never shortens an event.
    return strong.assign(
        onset_seconds=np.floor(onset * 1000) / 1000,
        offset_seconds=np.ceil(offset * 1000) / 1000,
    )


def present_pairs(
    truth: pd.DataFrame, classes: Sequence[SoundClass]
) -> set[tuple[str, str]]:
    """Lists the (segment_id, mid) pairs that are true, ancestors included."""
    all_mids = {c.mid: c.all_mids for c in classes}
    heard = truth[["segment_id", "mid"]].drop_duplicates()
    return {
        (segment_id, mid)
        for segment_id, heard_mid in heard.itertuples(index=False)
        for mid in all_mids[heard_mid]
    }


def choose_candidates_to_show(
    candidates: pd.DataFrame, num_per_class: int, seed: int
) -> pd.DataFrame:
    """Draws which of the mined candidates annotators are shown.

    A random draw of a long list, not its top: the very top holds only the
    model's worst mistakes, and d' on those alone can fall below zero.

    Args:
      candidates: Columns mid and segment_id, among others.
      num_per_class: How many a class; all where there are fewer.
      seed: Of the draw, which is independent between classes.

    Returns:
      The drawn rows.
    """
    drawn = []
    for mid, of_class in candidates.groupby("mid", sort=True):
        digest = hashlib.sha256(f"{seed}\n{mid}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        number = min(num_per_class, len(of_class))
        rows = np.sort(rng.choice(len(of_class), number, replace=False))
        drawn.append(of_class.iloc[rows])
    return pd.concat(drawn, ignore_index=True)


def confirm_absent(
    shown: pd.DataFrame, present: set[tuple[str, str]]
) -> pd.DataFrame:
    """Keeps the pairs of `shown` that are not `present_pairs`.

    Returns:
      The explicit negatives, columns segment_id and mid.
    """
    pairs = shown[["segment_id", "mid"]].drop_duplicates()
    is_absent = [
        pair not in present for pair in pairs.itertuples(index=False, name=None)
    ]
    return pairs[np.array(is_absent, dtype=bool)].reset_index(drop=True)


def draw_random_negatives(
    truth: pd.DataFrame,
    classes: Sequence[SoundClass],
    params: SoundscapeParams,
) -> pd.DataFrame:
    """Draws explicit negatives by chance: easy ones, before a model exists.

    Args:
      truth: Ground truth (module docstring) of the clips to draw from.
      classes: They and their parents get negatives.
      params: Number of negatives of a class; fewer where too few clips are
        without it.

    Returns:
      Columns segment_id and mid.
    """
    segment_ids = sorted(set(truth["segment_id"]))
    present = present_pairs(truth, classes)
    rows = []
    for mid in release_vocabulary(classes):
        rng = clip_rng(params, "random negatives", mid)
        absent = [s for s in segment_ids if (s, mid) not in present]
        number = min(params.num_explicit_negatives, len(absent))
        chosen = rng.choice(len(absent), number, replace=False)
        rows += [(absent[index], mid) for index in chosen]
    return pd.DataFrame(rows, columns=["segment_id", "mid"]).astype("object")
