"""Simulated annotators: from what is heard to what label files say.

Two groups label the same clips differently, as in Section 2 of the paper:

  * Weak annotators are asked about a few classes and answer truthfully. Classes
    they are not asked about go missing, quiet and short ones more often, and
    they may be offered the parent of a class instead of the class.
  * Strong annotators mark every sound, with the most specific class, and are a
    little off in time.

Ground truth is a table of events: the strong table of `labels/label_files.py`
plus snr_db float64, the level of the event over the background. Everything is a
pure function of (params, segment_id, events of the clip).
"""

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


def _rate_salience(
    truth: pd.DataFrame, params: SoundscapeParams
) -> dict[str, dict[str, float]]:
    """Rates how much each class stands out in each clip.

    Args:
      truth: Ground truth (module docstring).
      params: Ranges of lengths and levels; half of the rating each.

    Returns:
      Rating in [0, 1] of each mid in each segment_id.
    """
    seconds = truth["offset_seconds"] - truth["onset_seconds"]
    groups = truth.assign(seconds=seconds).groupby(["segment_id", "mid"])
    pairs = groups.agg({"seconds": "sum", "snr_db": "max"}).reset_index()
    shortest, longest = params.min_event_seconds, params.max_event_seconds
    # Lengths on a logarithmic scale, since most events are short.
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
    """Labels one clip weakly.

    Args:
      segment_id: The clip.
      salience: Rating of each mid that is in it.
      parent_of_mid: Parent of each mid, "" for none.
      params: Recall and share of parents.

    Returns:
      At least one mid, sorted.
    """
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


def annotate_weakly(
    truth: pd.DataFrame,
    classes: Sequence[SoundClass],
    params: SoundscapeParams,
) -> pd.DataFrame:
    """Makes weak labels.

    Args:
      truth: Ground truth (module docstring); clips in any order.
      classes: Gives the parent of each class.
      params: Recall and share of parents.

    Returns:
      Weak table (`label_files`), one row a clip, in the order of `truth`.
    """
    parent_of_mid = {c.mid: c.parent_mid for c in classes}
    salience = _rate_salience(truth, params)
    mids = {
        segment_id: _weak_mids(
            segment_id, salience[segment_id], parent_of_mid, params
        )
        for segment_id in truth["segment_id"].unique()
    }
    starts = [int(s.rsplit("_", 1)[1]) / 1000 for s in mids]
    table = pd.DataFrame(
        {
            "segment_id": list(mids),
            "start_seconds": np.array(starts, dtype=np.float64),
            "end_seconds": np.array(starts, dtype=np.float64) + CLIP_SECONDS,
            "mids": list(mids.values()),
        }
    )
    return table.astype({"segment_id": "object", "mids": "object"})


def _jitter(
    onset: float, offset: float, std: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Moves the ends of an event, in milliseconds, within the clip."""
    onset, offset = np.array([onset, offset]) + std * rng.standard_normal(2)
    onset = float(np.clip(onset, 0.0, CLIP_SECONDS - _MIN_MARKED_SECONDS))
    offset = float(np.clip(offset, onset + _MIN_MARKED_SECONDS, CLIP_SECONDS))
    # Rounded up and down so that rounding never shortens an event.
    return np.floor(onset * 1000) / 1000, np.ceil(offset * 1000) / 1000


def annotate_strongly(
    truth: pd.DataFrame, params: SoundscapeParams
) -> pd.DataFrame:
    """Makes strong labels: complete, specific, a little off in time.

    Args:
      truth: Ground truth (module docstring).
      params: Standard deviation of the times.

    Returns:
      Strong table (`label_files`), rows in the order of `truth`.
    """
    strong = truth[["segment_id", "onset_seconds", "offset_seconds", "mid"]]
    std = params.strong_jitter_seconds
    times = []
    for segment_id, events in strong.groupby("segment_id", sort=False):
        rng = clip_rng(params, "strong annotator", str(segment_id))
        ends = zip(
            events.index,
            events["onset_seconds"],
            events["offset_seconds"],
            strict=True,
        )
        times += [(row, *_jitter(on, off, std, rng)) for row, on, off in ends]
    marked = pd.DataFrame(times, columns=["row", "onset", "offset"])
    marked = marked.set_index("row").loc[strong.index]
    return strong.assign(
        onset_seconds=marked["onset"].astype(np.float64),
        offset_seconds=marked["offset"].astype(np.float64),
    ).reset_index(drop=True)


def present_pairs(
    truth: pd.DataFrame, classes: Sequence[SoundClass]
) -> set[tuple[str, str]]:
    """Lists what is truly in each clip, ancestors of a sound's class included.

    Args:
      truth: Ground truth (module docstring).
      classes: Gives the ancestors of each class.

    Returns:
      (segment_id, mid) pairs.
    """
    all_mids = {c.mid: c.all_mids for c in classes}
    heard = truth[["segment_id", "mid"]].drop_duplicates()
    return {
        (segment_id, mid)
        for segment_id, heard_mid in heard.itertuples(index=False)
        for mid in all_mids[heard_mid]
    }


def answer_candidates(
    candidates: pd.DataFrame,
    present: set[tuple[str, str]],
) -> pd.DataFrame:
    """Asks the annotators whether classes are absent from clips.

    Args:
      candidates: Columns segment_id and mid: the pairs they are asked about.
      present: What `present_pairs` returned.

    Returns:
      The pairs that are absent: explicit negatives, columns segment_id and mid.
    """
    pairs = candidates[["segment_id", "mid"]].drop_duplicates()
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
      classes: The classes; they and their parents get negatives.
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
