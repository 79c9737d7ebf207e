"""Label files -> the items that thresholds are chosen on."""

import os
from typing import Any, NamedTuple

from audioset_strong.errors import InputError
from audioset_strong.evaluation.ground_truth import (
    EvalItems,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.evaluation.thresholds import score_range
from audioset_strong.labels.frame_targets import frame_strong_labels
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog

_Path = str | os.PathLike[str]


class ThresholdItems(NamedTuple):
    """Items and what they are.

    Attributes:
      items: Label frames or clips.
      item_name: "label frames" or "clips".
      negatives: "implied" or "explicit".
      labels_path: The file that labels them.
    """

    items: EvalItems
    item_name: str
    negatives: str
    labels_path: str

    def text(self) -> str:
        """Returns one phrase on the items."""
        return (
            f"{len(self.items.scores)} {self.item_name} with {self.negatives} "
            f"negatives"
        )

    def settings(self) -> dict[str, Any]:
        """Returns what a threshold file says of its items."""
        return {
            "labels": os.path.basename(self.labels_path),
            "items": self.item_name,
            "negatives": self.negatives,
            "num_items": len(self.items.scores),
            "score_range": list(score_range(self.items)),
        }


def read_threshold_items(
    score_file: ScoreFile,
    problems: ProblemLog | None = None,
    *,
    strong_path: _Path | None = None,
    framed_path: _Path | None = None,
    weak_path: _Path | None = None,
    negatives: str = "implied",
) -> ThresholdItems:
    """Reads the one label file that is given, and makes items of it.

    Args:
      score_file: What the model scored.
      problems: Takes what is wrong with the label file.
      strong_path: Strong TSV, framed by the paper's rule. Its explicit
        negatives are the complementary ones.
      framed_path: Framed TSV.
      weak_path: Weak CSV, which has implied negatives only.
      negatives: "implied" or "explicit".

    Returns:
      The items.

    Raises:
      InputError: Not exactly one file was given, weak labels were asked for
        explicit negatives, or no clip is both scored and labelled.
    """
    given = [p for p in (strong_path, framed_path, weak_path) if p is not None]
    if len(given) != 1:
        raise InputError(
            f"Expected one of --strong_labels, --framed_labels and "
            f"--weak_labels; found {len(given)}."
        )
    path = os.fspath(given[0])
    if weak_path is not None:
        if negatives == "explicit":
            raise InputError(
                "Weak labels mark nothing absent: --weak_labels has implied "
                "negatives only. Give framed labels for explicit ones."
            )
        weak = read_weak_labels(weak_path, problems)
        items = weak_items(score_file, weak)
        return ThresholdItems(items, "clips", negatives, path)
    if framed_path is not None:
        framed = read_framed_labels(framed_path, problems)
    else:
        framed = frame_strong_labels(read_strong_labels(path, problems))
    items = strong_items(score_file, framed, negatives)
    return ThresholdItems(items, "label frames", negatives, path)
