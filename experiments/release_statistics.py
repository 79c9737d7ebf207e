"""What label files say of a release, in numbers.

Events and classes of a clip and how long they last; how much of its clip a
class fills, in time and in label frames, and how much of that depends on the
class; how many classes sound at once; how common classes are; and what weak
labels say of the same clips. `label_statistics.py` makes a table of them.

A pair is a (clip, class) pair of the strong labels. Shares are in [0, 1], times
in seconds.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.breakdowns import filled_shares
from audioset_strong.label_analysis.statistics import (
    class_priors,
    match_clips,
    strong_clip_labels,
    weak_clip_labels,
)
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.ontology import Ontology
from audioset_strong.params import LabelFrameParams

_CLIP_SECONDS = LabelFrameParams().clip_seconds
# From here on an event or a class counts as filling the clip.
_WHOLE_SECONDS = 9.9
_PERCENTS = (10, 25, 50, 75, 90)
# Steps of 10 ms, in which it is counted how many classes sound.
_STEPS_PER_SECOND = 100
# Total seconds of a class in its clip, for what weak labels say of it.
_LENGTH_EDGES = (0.0, 0.3, 1.0, 3.0, 6.0, 9.5, 10.0)


def measure_release(
    strong: pd.DataFrame, weak: pd.DataFrame, ontology: Ontology
) -> dict[str, Any]:
    """Computes all statistics of a release.

    Args:
      strong: Strong table (`label_files`).
      weak: Weak table.
      ontology: Says which classes are wider than others.

    Returns:
      JSON-ready: numbers by name under `table`, in the order of the table, and
      `classes`, a dict for each mid.
    """
    pairs = _measure_pairs(strong)
    table = {
        **_count(strong, pairs),
        **_describe_times(strong, pairs),
        **_describe_polyphony(strong, pairs),
        **_describe_frequencies(pairs),
        **_compare_with_weak(pairs, weak, ontology),
        **_describe_shifts(strong, weak),
    }
    by_class = pairs.groupby(level="mid")
    classes = pd.DataFrame(
        {
            "num_clips": by_class.size(),
            "num_events": by_class["num_events"].sum(),
            "median_event_seconds": strong.groupby("mid")
            .apply(lambda of_class: _seconds(of_class).median())
            .reindex(by_class.size().index),
            "mean_filled_share": by_class["filled"].mean(),
        }
    )
    return {"table": table, "classes": classes.round(4).to_dict("index")}


def _seconds(events: pd.DataFrame) -> "pd.Series[float]":
    return events["offset_seconds"] - events["onset_seconds"]


def _measure_pairs(strong: pd.DataFrame) -> pd.DataFrame:
    """Measures each (clip, class) pair.

    Returns:
      Index segment_id and mid; num_events int64; filled float64, share of the
      clip in which the class is heard; num_label_frames int64, positive ones.
    """
    keys = ["segment_id", "mid"]
    framed = frame_strong_labels(strong)
    num_frames = framed.groupby(keys)["is_present"].sum()
    pairs = pd.DataFrame(
        {
            "num_events": strong.groupby(keys).size(),
            "filled": filled_shares(strong, _CLIP_SECONDS),
            "num_label_frames": num_frames,
        }
    )
    # A pair whose events reach no label frame is not in the framed table.
    return pairs.fillna({"num_label_frames": 0}).astype(
        {"num_label_frames": "int64"}
    )


def _count(strong: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, float]:
    num_clips = strong["segment_id"].nunique()
    return {
        "clips": num_clips,
        "classes": strong["mid"].nunique(),
        "events a clip": len(strong) / num_clips,
        "classes a clip": len(pairs) / num_clips,
        "events a class in its clip": float(pairs["num_events"].mean()),
        "classes in their clip with one event": float(
            (pairs["num_events"] == 1).mean()
        ),
    }


def _share_between_classes(
    values: "pd.Series[float]", mids: "pd.Series[str]"
) -> float:
    """Share of the variance that lies between classes."""
    means = values.groupby(mids).transform("mean")
    return float(means.var() / values.var())


def _describe_times(
    strong: pd.DataFrame, pairs: pd.DataFrame
) -> dict[str, float]:
    """Describes how long events and classes last."""
    seconds = _seconds(strong)
    filled, num_frames = pairs["filled"], pairs["num_label_frames"]
    mids = pairs.index.get_level_values("mid").to_series(pairs.index)
    log_seconds = pd.Series(np.log(seconds.clip(lower=0.02)), seconds.index)
    return {
        **{
            f"event length, {p} % (s)": float(np.percentile(seconds, p))
            for p in _PERCENTS
        },
        "events of the whole clip": float((seconds >= _WHOLE_SECONDS).mean()),
        "event length: log variance between classes": _share_between_classes(
            log_seconds, strong["mid"]
        ),
        "a class fills of its clip, mean": float(filled.mean()),
        **{
            f"a class fills of its clip, {p} %": float(np.percentile(filled, p))
            for p in _PERCENTS
        },
        "filled share: variance between classes": _share_between_classes(
            filled, mids
        ),
        "label frames of ten, mean": float(num_frames.mean()),
        "label frames: all ten": float((num_frames == 10).mean()),
        "label frames: two or fewer": float((num_frames <= 2).mean()),
    }


def _describe_polyphony(
    strong: pd.DataFrame, pairs: pd.DataFrame
) -> dict[str, float]:
    """Describes how many classes sound at once, over time."""
    segment_ids = pairs.index.get_level_values("segment_id").unique()
    row_of_clip = {name: row for row, name in enumerate(segment_ids)}
    num_steps = round(_CLIP_SECONDS * _STEPS_PER_SECOND)
    at_once = np.zeros((len(segment_ids), num_steps), np.int16)
    for (segment_id, _), of_pair in strong.groupby(["segment_id", "mid"]):
        is_on = np.zeros(num_steps, bool)
        times = of_pair[["onset_seconds", "offset_seconds"]].to_numpy()
        for first, end in np.rint(times * _STEPS_PER_SECOND).astype(int):
            is_on[first:end] = True
        at_once[row_of_clip[segment_id]] += is_on
    return {
        "classes at once, mean": float(at_once.mean()),
        **{
            f"time with {n} classes": float((at_once == n).mean())
            for n in range(3)
        },
        "time with 3 or more classes": float((at_once >= 3).mean()),
    }


def _describe_frequencies(pairs: pd.DataFrame) -> dict[str, float]:
    """Describes how unequally common classes are, by pairs."""
    counts = pairs.groupby(level="mid").size().sort_values(ascending=False)
    shares: npt.NDArray[np.float64] = counts.to_numpy() / counts.sum()
    ranks = np.log(np.arange(1, len(shares) + 1))
    slope = np.polyfit(ranks, np.log(shares), 1)[0] if len(ranks) > 1 else 0.0
    tenth = max(1, len(shares) // 10)
    return {
        "most common class": float(shares[0]),
        "most common tenth of classes": float(shares[:tenth].sum()),
        "less common half of classes": float(shares[len(shares) // 2 :].sum()),
        "Zipf exponent": float(-slope),
    }


def _compare_with_weak(
    pairs: pd.DataFrame, weak: pd.DataFrame, ontology: Ontology
) -> dict[str, float | None]:
    """Compares what weak and strong labels say of the same clips.

    Of strong labels, all pairs count; of weak ones, only those of classes that
    strong labels have, or a wider one than such. None for a length that no pair
    has.
    """
    strong_mids = pairs.groupby(level="segment_id").groups
    weak_mids = dict(zip(weak["segment_id"], weak["mids"], strict=True))
    known = {mid for _, mid in pairs.index}
    wider = {
        mid: ontology.ancestors(mid) if mid in ontology.display_names else ()
        for mid in known.union(*weak_mids.values())
    }
    widest = known.union(*(wider[mid] for mid in known))
    of_strong, of_weak, num_weak = [], [], []
    for segment_id, index in strong_mids.items():
        if segment_id not in weak_mids:
            continue
        here = {mid for _, mid in index}
        said = set(weak_mids[segment_id])
        num_weak.append((len(said), len(here)))
        for mid in here:
            is_wider = bool(said.intersection(wider[mid]))
            of_strong.append((segment_id, mid, mid in said, is_wider))
        for mid in said & widest:
            is_wider = any(mid in wider[other] for other in here)
            is_narrower = bool(here.intersection(wider[mid]))
            of_weak.append((mid in here, is_wider, is_narrower))
    if not of_strong or not of_weak:
        raise InputError(
            "Expected clips with weak and strong labels of the same classes, "
            "found none. Give labels of the same part of a release."
        )
    labels = np.array(num_weak).mean(axis=0)  # [2]: weak, strong
    asked = pd.DataFrame(
        of_strong, columns=["segment_id", "mid", "exact", "wider"]
    ).set_index(["segment_id", "mid"])
    asked["wider"] &= ~asked["exact"]
    exact, is_wider, is_narrower = np.array(of_weak).T  # [num_labels] each
    is_wider = is_wider & ~exact
    is_narrower = is_narrower & ~exact & ~is_wider
    seconds = pairs.loc[asked.index, "filled"] * _CLIP_SECONDS
    found = asked["exact"] | asked["wider"]
    by_length = found.groupby(
        pd.cut(seconds, _LENGTH_EDGES, include_lowest=True), observed=False
    ).mean()
    return {
        "weak labels a clip": float(labels[0]),
        "strong labels a clip": float(labels[1]),
        "strong over weak labels": float(labels[1] / labels[0]),
        "strong label is a weak one": float(asked["exact"].mean()),
        "only a wider class is": float(asked["wider"].mean()),
        "neither is": float(1 - found.mean()),
        **{
            f"either is, heard {low:g} to {high:g} s": (
                None if np.isnan(share) else float(share)
            )
            for low, high, share in zip(
                _LENGTH_EDGES, _LENGTH_EDGES[1:], by_length, strict=False
            )
        },
        "weak label is a strong one": float(exact.mean()),
        "weak label is wider than a strong one": float(is_wider.mean()),
        "weak label is narrower than a strong one": float(is_narrower.mean()),
        "weak label is of another class": float(
            1 - (exact | is_wider | is_narrower).mean()
        ),
    }


def _describe_shifts(
    strong: pd.DataFrame, weak: pd.DataFrame
) -> dict[str, float]:
    """Describes Figure 2: how priors differ, of classes that both have."""
    common = match_clips(weak_clip_labels(weak), strong_clip_labels(strong))
    priors = class_priors(common)
    is_strong = priors["num_strong_clips"] > 0
    of_both = priors[is_strong & (priors["num_weak_clips"] > 0)]
    logs = np.log10(of_both["prior_ratio"])
    return {
        "weak classes without strong labels": float((~is_strong).sum()),
        **{
            f"log10 of strong over weak prior, {p} %": float(
                np.percentile(logs, p)
            )
            for p in _PERCENTS
        },
        "log10 of strong over weak prior, deviation": float(logs.std()),
    }


def _format_number(number: float | None) -> str:
    if number is None:  # none to take the mean of
        return "-"
    return f"{number}" if isinstance(number, int) else f"{number:.3g}"


def format_table(measured: dict[str, dict[str, Any]]) -> str:
    """Formats statistics as Markdown, a column a release."""
    names = list(measured)
    lines = [f"| | {' | '.join(names)} |", f"|---{'|---' * len(names)}|"]
    for statistic in measured[names[0]]["table"]:
        cells = [measured[name]["table"][statistic] for name in names]
        texts = [_format_number(cell) for cell in cells]
        lines.append(f"| {statistic} | {' | '.join(texts)} |")
    return "\n".join(lines)
