"""A three-clip example for the evaluation tests, small enough to do by hand.

Label frames 2 to 9 were not scored (clip c: 1 to 9), as if the audio were
short. Scored label frames, by class:

            x    y    z
    a 0    .6   .2   .1     x, y PRESENT
    a 1    .4   .6   .1     x NOT_PRESENT
    b 0    .5   .3   .3     y PRESENT, x NOT_PRESENT
    b 1    .8   .1   .3     x, y NOT_PRESENT
    c 0    .3   .4   .5     y NOT_PRESENT
    clip scores
    a      .5   .4   .1     weak: x
    b      .65  .2   .3     weak: y, and w, which is not scored
    c      .3   .4   .5     weak: z

Clip d is labelled and not scored, clip e scored and not labelled.
"""

import numpy as np
import pandas as pd

from audioset_strong.evaluation.items import strong_items, weak_items
from audioset_strong.evaluation.results import evaluate_items
from audioset_strong.evaluation.scores import LabelFrameScores

X, Y, Z, W = "/m/x", "/m/y", "/m/z", "/m/w"


def make_score_file(scores, segment_ids=None, mids=None, num_label_frames=None):
    """Makes a score file of scores `[num_clips, 10, num_classes]`."""
    num_clips, num_frames, num_classes = np.shape(scores)
    if segment_ids is None:
        segment_ids = [f"clip{i}_0" for i in range(num_clips)]
    if mids is None:
        mids = [f"/m/{i}" for i in range(num_classes)]
    if num_label_frames is None:
        num_label_frames = [num_frames] * num_clips
    return LabelFrameScores(
        segment_ids=np.array(segment_ids, dtype=str),
        mids=np.array(mids, dtype=str),
        scores=np.asarray(scores),
        num_label_frames=np.array(num_label_frames, dtype=np.int64),
    )


def hand_score_file():
    scores = np.zeros((4, 10, 3), dtype=np.float32)
    scores[0, :2] = [[0.6, 0.2, 0.1], [0.4, 0.6, 0.1]]
    scores[1, :2] = [[0.5, 0.3, 0.3], [0.8, 0.1, 0.3]]
    scores[2, :1] = [[0.3, 0.4, 0.5]]
    return make_score_file(
        scores, ["a_0", "b_0", "c_0", "e_0"], [X, Y, Z], [2, 2, 1, 10]
    )


def framed_table(pairs):
    """Makes a framed table of {(segment_id, mid): present label frames}."""
    rows = [
        (segment_id, label_frame, mid, label_frame in present)
        for (segment_id, mid), present in pairs.items()
        for label_frame in range(10)
    ]
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    return pd.DataFrame(rows, columns=columns)


def hand_framed():
    pairs = {
        ("a_0", X): {0},
        ("b_0", X): set(),
        ("b_0", Y): {0},
        ("c_0", Y): set(),
        ("a_0", W): {0},
        ("d_0", X): {0},
    }
    only_present = pd.DataFrame(
        [("a_0", 0, Y, True)],
        columns=["segment_id", "label_frame", "mid", "is_present"],
    )
    return pd.concat([framed_table(pairs), only_present], ignore_index=True)


def weak_table(mids_of_clip):
    """Makes a weak table of {segment_id: mids}."""
    return pd.DataFrame(
        {
            "segment_id": list(mids_of_clip),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": [tuple(mids) for mids in mids_of_clip.values()],
        }
    )


def hand_weak():
    return weak_table({"a_0": [X], "b_0": [Y, W], "c_0": [Z], "d_0": [X]})


def evaluate_strong(score_file, framed, negatives="explicit", **options):
    items = strong_items(score_file, framed, negatives)
    return evaluate_items(items, "strong", negatives, **options)


def evaluate_weak(
    score_file, weak, framed=None, negatives=None, pairs=None, **options
):
    if negatives is None:
        has_explicit = framed is not None or pairs is not None
        negatives = "explicit" if has_explicit else "implied"
    if negatives == "implied":
        framed = pairs = None
    items = weak_items(score_file, weak, framed, pairs)
    return evaluate_items(items, "weak", negatives, **options)
