"""Label mapping of everything that scores are evaluated against."""

import dataclasses

import numpy as np
import pandas as pd
from absl import logging

from audioset_strong.evaluation.truth_files import Truth
from audioset_strong.labels.explicit_negatives import absent_pairs
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.mapped_labels import (
    map_framed_labels,
    map_weak_labels,
)
from audioset_strong.params import LabelFrameParams


def map_truth(truth: Truth, mapping: LabelMapping) -> tuple[Truth, str]:
    """Maps the labels that were given, and says what was done.

    Args:
      truth: The labels.
      mapping: What labels become.

    Returns:
      The mapped labels, and a line that says what changed.
    """
    params = dataclasses.asdict(mapping.params)
    done = [", ".join(name for name, is_on in params.items() if is_on)]
    weak, framed, pairs = truth.weak, truth.framed, truth.explicit_negatives
    if weak is not None:
        before = weak["mids"].map(len).sum()
        weak = map_weak_labels(weak, mapping)
        after = weak["mids"].map(len).sum()
        done.append(f"{before} weak labels became {after}")
    if framed is not None:
        framed, counts = map_framed_labels(framed, mapping)
        done.append(
            f"{counts.num_pairs_gained} framed (clip, class) pairs gained "
            f"positives, against {counts.num_contradicted_pairs} explicit "
            f"negatives; {counts.num_overridden_negatives} negative label "
            f"frames became positive and {counts.num_replaced_negatives} of "
            f"replaced classes were left out"
        )
    if pairs is not None:
        mapped = absent_pairs(map_framed_labels(frame_pairs(pairs), mapping)[0])
        done.append(
            f"{len(pairs)} explicit negatives became {len(mapped)}; those of "
            f"replaced classes were left out"
        )
        pairs = mapped
    text = "; ".join(done)
    logging.info("Label mapping: %s.", text)
    mapped_truth = dataclasses.replace(
        truth, weak=weak, framed=framed, explicit_negatives=pairs
    )
    return mapped_truth, text


def frame_pairs(
    pairs: pd.DataFrame, params: LabelFrameParams = LabelFrameParams()
) -> pd.DataFrame:
    """Makes the framed table of pairs that are absent from all of a clip.

    Args:
      pairs: Columns segment_id and mid.
      params: The grid of label frames.

    Returns:
      Framed table, ten NOT_PRESENT rows for each distinct pair.
    """
    distinct = pairs[["segment_id", "mid"]].drop_duplicates()
    num_label_frames = params.num_label_frames
    rows = np.repeat(np.arange(len(distinct)), num_label_frames)
    framed = distinct.iloc[rows].reset_index(drop=True)
    label_frames = np.tile(np.arange(num_label_frames), len(distinct))
    return framed.assign(label_frame=label_frames, is_present=False)[
        ["segment_id", "label_frame", "mid", "is_present"]
    ]
