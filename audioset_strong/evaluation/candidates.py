"""Hard candidates for explicit negatives: what to ask annotators next.

For each class, the clips that a model trained on weak labels scores highest
among those that are not labelled with it. Annotators then confirm or refute the
class; those that they refute are the negatives that are hardest for the model.

Source: Section 3.2 of the paper. That already labelled positives are left out
is our choice: annotators have confirmed them.
"""

import numpy as np
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.evaluation.alignment import Alignment
from audioset_strong.evaluation.ground_truth import weak_items
from audioset_strong.evaluation.score_files import ScoreFile


def mine_candidates(
    score_file: ScoreFile, weak: pd.DataFrame, num_per_class: int
) -> tuple[pd.DataFrame, Alignment]:
    """Finds the highest-scored clips of each class that are not its positives.

    Clips without weak labels are left out: they may be positives of anything.

    Args:
      score_file: What the model scored.
      weak: Weak table (`label_files`).
      num_per_class: Most candidates of a class; fewer where fewer clips are
        left.

    Returns:
      candidates: One row a candidate, classes in the score file's order and
        hardest first: mid str, segment_id str, score float64 (mean of the
        clip's label frames), rank int64 from 1. Equal scores are ordered by
        segment_id.
      alignment: The clips and classes that were left out.

    Raises:
      InputError: `num_per_class` is below 1, or no clip is both scored and
        labelled.
    """
    if num_per_class < 1:
        raise InputError(
            f"num_per_class must be 1 or more. Received: {num_per_class}."
        )
    items = weak_items(score_file, weak)
    by_name = np.argsort(items.segment_ids, kind="stable")
    tables = []
    for column, mid in enumerate(items.mids):
        # A stable sort of clips in the order of their names.
        open_clips = by_name[~items.is_positive[by_name, column]]
        order = np.argsort(-items.scores[open_clips, column], kind="stable")
        hardest = open_clips[order[:num_per_class]]
        tables.append(
            pd.DataFrame(
                {
                    "mid": str(mid),
                    "segment_id": items.segment_ids[hardest].astype(object),
                    "score": items.scores[hardest, column].astype(np.float64),
                    "rank": np.arange(1, hardest.size + 1),
                }
            )
        )
    return pd.concat(tables, ignore_index=True), items.alignment
