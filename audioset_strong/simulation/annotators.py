"""Simulated annotators: from what is heard to what label files say.

Annotators label the same clips in three ways, as in the paper:

  * Weak annotators (Section 2) are asked about a few classes and answer
    truthfully, or mistakenly for a share. Classes that they are not asked about
    go missing, quiet and short ones more often, and they may be offered the
    parent of a class instead of the class, some classes more often than others.
  * Strong annotators (Section 3) mark every sound, with the most specific
    class, and are a little off in time.
  * Annotators of candidates (Section 3.2) are shown clips that a model scores
    high for a class. Clips without the class become its explicit negatives.

Ground truth is a table of events: the strong table of `labels/label_files.py`
plus snr_db float64, the level of the event over the background. Everything is a
pure function of (params, segment_id, events of the clip).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.special

from audioset_strong.simulation.soundscapes import (
    CLIP_SECONDS,
    SoundscapeParams,
    class_probabilities,
    class_rng,
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
    habits = _draw_habits(classes, params)
    salience = _rate_salience(truth, params)
    segment_ids = truth["segment_id"].unique().tolist()
    starts_ms = [int(s.rsplit("_", 1)[1]) for s in segment_ids]
    start_seconds = np.array(starts_ms, dtype=np.float64) / 1000  # [num_clips]
    mids = [_weak_mids(s, salience[s], habits, params) for s in segment_ids]
    return pd.DataFrame(
        {
            "segment_id": pd.Series(segment_ids, dtype="object"),
            "start_seconds": start_seconds,
            "end_seconds": start_seconds + CLIP_SECONDS,
            "mids": pd.Series(mids, dtype="object"),
        }
    )


class _Habit(NamedTuple):
    """How weak annotators come to know of one class.

    Attributes:
      parent_mid: "" for none.
      recall: Chance that they are asked about it where it is.
      parent_share: Chance that they are asked about its parent instead.
      probability: How common the class is.
      all_mids: It and its ancestors.
    """

    parent_mid: str
    recall: float
    parent_share: float
    probability: float
    all_mids: frozenset[str]


def _draw_habits(
    classes: Sequence[SoundClass], params: SoundscapeParams
) -> dict[str, _Habit]:
    """Draws for each mid how annotators come to know of it."""
    means = np.array([params.weak_recall, params.weak_parent_share])  # [2]
    probabilities = class_probabilities(params, len(classes))
    habits = {}
    for sound_class, probability in zip(classes, probabilities, strict=True):
        recall, parent_share = means
        if params.weak_class_spread:
            rng = class_rng(params, "weak class", sound_class.mid)
            deviation = params.weak_class_spread * rng.standard_normal(2)
            logits = scipy.special.logit(means) + deviation
            recall, parent_share = scipy.special.expit(logits)
        habits[sound_class.mid] = _Habit(
            sound_class.parent_mid,
            float(recall),
            float(parent_share),
            float(probability),
            sound_class.all_mids,
        )
    return habits


def _rate_salience(
    truth: pd.DataFrame, params: SoundscapeParams
) -> dict[str, dict[str, float]]:
    """Rates in [0, 1] how much each mid stands out in each segment_id."""
    seconds = truth["offset_seconds"] - truth["onset_seconds"]
    groups = truth.assign(seconds=seconds).groupby(["segment_id", "mid"])
    pairs = groups.agg({"seconds": "sum", "snr_db": "max"}).reset_index()
    shortest, longest = params.min_event_seconds, params.max_event_seconds
    if params.timing:
        shortest, longest = params.timing.min_event_seconds, CLIP_SECONDS
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
    habits: Mapping[str, _Habit],
    params: SoundscapeParams,
) -> tuple[str, ...]:
    """Labels one clip weakly; returns one or more mids, sorted."""
    rng = clip_rng(params, "weak annotator", segment_id)
    asked = []
    for mid, rating in salience.items():
        chance = _chance_to_be_asked(habits[mid].recall, rating, params)
        if rng.uniform() < chance:
            asked.append(mid)
    # AudioSet has no clip without a label.
    asked = asked or [max(salience, key=lambda mid: salience[mid])]
    offered = {
        habits[mid].parent_mid or mid
        if rng.uniform() < habits[mid].parent_share
        else mid
        for mid in asked
    }
    if params.weak_false_share:
        odds = params.weak_false_share / (1 - params.weak_false_share)
        number = rng.binomial(len(offered), min(odds, 1.0))
        offered |= _mistaken_mids(rng, number, salience, habits)
    return tuple(sorted(offered))


def _chance_to_be_asked(
    recall: float, rating: float, params: SoundscapeParams
) -> float:
    """Chance that annotators are asked about a class that is in the clip.

    As much above `recall` for loud long sounds as below it for others.
    """
    above = 2 * rating - 1
    if params.weak_salience:
        logit = scipy.special.logit(recall) + params.weak_salience * above
        return float(scipy.special.expit(logit))
    return recall + min(recall, 1 - recall) * above


def _mistaken_mids(
    rng: np.random.Generator,
    number: int,
    heard: Iterable[str],
    habits: Mapping[str, _Habit],
) -> set[str]:
    """Draws classes that are not in a clip, common ones more often."""
    present = {mid for name in heard for mid in habits[name].all_mids}
    absent = [mid for mid in habits if mid not in present]
    weights = np.array([habits[mid].probability for mid in absent])  # [absent]
    number = min(number, len(absent))
    chosen = rng.choice(
        len(absent), number, replace=False, p=weights / weights.sum()
    )
    return {absent[index] for index in chosen}


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
