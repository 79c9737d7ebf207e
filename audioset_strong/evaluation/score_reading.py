"""Scores from a path: a score file (.npz) or a folder of score tables."""

import os

from audioset_strong.errors import InputError
from audioset_strong.evaluation.score_classes import KnownClasses
from audioset_strong.evaluation.score_files import ScoreFile, read_score_file
from audioset_strong.evaluation.score_scale import with_probabilities
from audioset_strong.evaluation.score_table_lines import DELIMITERS
from audioset_strong.evaluation.score_tables import read_score_tables

_Path = str | os.PathLike[str]


def read_scores(
    path: _Path,
    known: KnownClasses = KnownClasses(),
    pooling: str = "mean",
    is_logits: bool = False,
) -> ScoreFile:
    """Reads scores, whatever they were written as.

    Args:
      path: A score file (`score_files`) or a folder of score tables
        (`score_tables`).
      known: What class columns can name, besides mids.
      pooling: How the windows of tables become label frames, "mean" or "max".
      is_logits: Whether to turn the scores into probabilities.

    Returns:
      The checked scores.

    Raises:
      InputError: The path is neither, or what it holds is not as it should be.
    """
    if os.path.isdir(path):
        return read_score_tables(path, known, pooling, is_logits)
    if os.path.splitext(path)[1].lower() in DELIMITERS:
        raise InputError(
            f"{path}: expected a score file (.npz) or a folder of score "
            f"tables, found one table. Give the folder."
        )
    score_file = read_score_file(path, known)
    return with_probabilities(score_file) if is_logits else score_file
