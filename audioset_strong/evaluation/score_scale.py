"""Probabilities or logits: where the scale of scores matters.

What is the same for scores and for any increasing function of them, such as
logits and their probabilities, the same function for all classes:

  the same   Strong eval from scores on label frames: AUC, d', average
             precision, lwlrap; pooling by max
  another    Weak eval, because a clip's score is the mean of its label frames;
             pooling by mean; thresholds in [0, 1]; reliability curves

Scores outside [0, 1] are no probabilities. They are evaluated as they are, with
a warning where it matters, or turned into probabilities first.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import logging
from scipy.special import expit

from audioset_strong.evaluation.score_checks import parts_of_clips, score_range
from audioset_strong.evaluation.score_files import ScoreFile

# Float rounding of probabilities.
_TOLERANCE = 1e-3


def warn_unless_probabilities(
    score_file: ScoreFile, asked_for: Sequence[str], name: str = "scores"
) -> str:
    """Warns if scores outside [0, 1] are to be used as probabilities.

    Args:
      score_file: The scores.
      asked_for: What depends on the scale, such as "thresholds"; nothing is
        said if there is none.
      name: What the scores are, for the message.

    Returns:
      What was said; "" for nothing.
    """
    if not asked_for:
        return ""
    low, high = score_range(score_file.scores, score_file.is_scored)
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return ""
    text = (
        f"{name} lie in [{low:.4g}, {high:.4g}], not in [0, 1], and "
        f"{', '.join(asked_for)} would be another for probabilities. Give "
        f"--logits if they are logits."
    )
    logging.warning("%s", text)
    return text


def logits_to_probabilities(
    scores: npt.NDArray[np.floating[Any]],
) -> npt.NDArray[np.float32]:
    """Applies the logistic function.

    Args:
      scores: float `[num_clips, ...]`.

    Returns:
      float32, same shape. float16 would give many logits the probability 1.
    """
    probabilities = np.empty(scores.shape, dtype=np.float32)
    for part in parts_of_clips(len(scores)):
        probabilities[part] = expit(scores[part].astype(np.float32))
    return probabilities


def with_probabilities(score_file: ScoreFile) -> ScoreFile:
    """Turns a score file of logits into one of probabilities."""
    low, high = score_range(score_file.scores, score_file.is_scored)
    if low >= 0 and high <= 1:
        logging.warning(
            "Scores that are said to be logits all lie in [0, 1]: are they "
            "probabilities already?"
        )
    return dataclasses.replace(
        score_file,
        scores=logits_to_probabilities(score_file.scores),
        notes=(*score_file.notes, "logits were turned into probabilities"),
    )
