"""Explicit negatives: (clip, class) pairs that annotators marked absent.

The release has them only inside its framed file, as pairs that are NOT_PRESENT
in all ten label frames; our own format is a TSV of pairs
(`label_files.read_pairs`). Either can be given where they are asked for.
"""

import pandas as pd

from audioset_strong.labels.label_files import read_framed_labels, read_pairs
from audioset_strong.labels.label_text import LabelText, Path
from audioset_strong.labels.label_writers import FRAMED_HEADER
from audioset_strong.labels.problems import ProblemLog, noting
from audioset_strong.params import LabelFrameParams


def absent_pairs(
    framed: pd.DataFrame, params: LabelFrameParams = LabelFrameParams()
) -> pd.DataFrame:
    """Returns the (clip, class) pairs that a framed table rules out.

    Args:
      framed: Framed table (`label_files`), a label frame and class at most
        once.
      params: The grid of label frames.

    Returns:
      Columns segment_id and mid: the pairs that are NOT_PRESENT in all label
      frames.
    """
    keys = ["segment_id", "mid"]
    pairs = framed.groupby(keys, sort=False)["is_present"].agg(["size", "any"])
    pairs = pairs.reset_index()
    is_absent = (pairs["size"] == params.num_label_frames) & ~pairs["any"]
    return pairs.loc[is_absent, keys].reset_index(drop=True)


def read_explicit_negatives(
    path: Path, problems: ProblemLog | None = None
) -> pd.DataFrame:
    """Reads pairs that annotators marked absent.

    Args:
      path: A TSV of pairs, or a framed TSV.
      problems: Takes what is wrong; None is strict about lines to leave out.

    Returns:
      Columns segment_id and mid.

    Raises:
      InputError: The header is neither's; or, without `problems`, a line is
        malformed.
    """
    if LabelText(path, 1).header != [FRAMED_HEADER]:
        return read_pairs(path, problems)
    with noting(problems) as log:
        framed = read_framed_labels(path, log).drop_duplicates()
        absent = absent_pairs(framed)
        num_partial = _count_partial(framed, absent)
        if num_partial:
            log.add(
                path,
                1,
                f"expected {LabelFrameParams().num_label_frames} label frames "
                f"of each explicit negative, found fewer of {num_partial} "
                f"(clip, class) pairs, which are not taken for explicit "
                f"negatives",
                num_lines=num_partial,
                is_left_out=False,
            )
    return absent


def _count_partial(framed: pd.DataFrame, absent: pd.DataFrame) -> int:
    """Counts the pairs without a PRESENT row that are not taken as absent."""
    keys = ["segment_id", "mid"]
    present = framed.loc[framed["is_present"], keys].drop_duplicates()
    return len(framed[keys].drop_duplicates()) - len(present) - len(absent)
