"""Evaluation from Python: arrays of scores, in any framework.

What a PyTorch model gives is evaluated as it is, here at 25 scores a second
(`torch.sigmoid(model(waveforms)).numpy()` in place of `scores`):

>>> import numpy as np
>>> import pandas as pd
>>> from audioset_strong.evaluation import evaluate_arrays
>>> scores = np.full((2, 250, 2), 0.1)  # [clips, frames, classes]
>>> scores[0, 50:100, 0] = 0.9  # Clip 0 has Speech from 2 to 4 s.
>>> scores[1, :, 1] = 0.8
>>> strong_labels = pd.DataFrame(
...     {
...         "segment_id": ["s9d-2nhuJCQ_30000", "BfvyPmVMo_20000"],
...         "onset_seconds": [2.0, 0.0],
...         "offset_seconds": [4.0, 5.0],
...         "mid": ["/m/09x0r", "/m/04rlf"],
...     }
... )
>>> report = evaluate_arrays(
...     scores,
...     segment_ids=["s9d-2nhuJCQ_30000", "BfvyPmVMo_20000"],
...     classes=["/m/09x0r", "/m/04rlf"],
...     frame_seconds=0.04,
...     strong_labels=strong_labels,  # Or the path of a TSV.
...     negatives=["explicit"],
... )
>>> [result] = report.results
>>> result.evaluation, result.num_items, result.num_classes
('strong', 20, 2)
>>> result.per_class[["mid", "auc"]].to_numpy().tolist()
[['/m/09x0r', 1.0], ['/m/04rlf', 0.5]]

`evaluation.write_report(report, "report")` writes what the binary writes, and
`evaluation.write_score_file(make_score_file(...), "scores.npz")` what it reads.
"""

from collections.abc import Mapping, Sequence

import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.report_content import EvalReport
from audioset_strong.evaluation.report_details import BootstrapSettings
from audioset_strong.evaluation.score_arrays import make_score_file
from audioset_strong.evaluation.score_classes import Path, read_known_classes
from audioset_strong.evaluation.score_evaluation import (
    EvalSettings,
    evaluate_scores,
)
from audioset_strong.evaluation.score_files import ScoreFile
from audioset_strong.evaluation.truth_files import read_truth
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

_GRID = LabelFrameParams()


def evaluate_arrays(
    scores: npt.ArrayLike,
    segment_ids: Sequence[str],
    classes: Sequence[str | int],
    *,
    framed_labels: Path | pd.DataFrame | None = None,
    strong_labels: Path | pd.DataFrame | None = None,
    weak_labels: Path | pd.DataFrame | None = None,
    explicit_negatives: Path | pd.DataFrame | None = None,
    frame_seconds: float = _GRID.label_frame_seconds,
    edges_seconds: Sequence[float] | None = None,
    num_frames: Sequence[int] | None = None,
    pooling: str = "mean",
    is_logits: bool = False,
    class_map: Path | ClassMap | None = None,
    display_names: Path | Mapping[str, str] | None = None,
    baseline: ScoreFile | None = None,
    rank_over: str = "all",
    negatives: Sequence[str] | None = None,
    clips: Sequence[str] | None = None,
    is_on_common_label_frames: bool = False,
    bootstrap: BootstrapSettings = BootstrapSettings(),
) -> EvalReport:
    """Evaluates scores in memory against labels.

    Args:
      scores: As in `make_score_file`, and so are segment_ids, classes,
        frame_seconds, edges_seconds, num_frames, pooling, is_logits, class_map
        and display_names.
      segment_ids: The clips.
      classes: The classes.
      framed_labels: Framed TSV or table (`label_files`), for the Strong eval.
      strong_labels: Strong TSV or table, to be framed, instead of framed ones.
      weak_labels: Weak CSV or table, for the Weak eval.
      explicit_negatives: TSV or table of pairs that annotators marked absent.
      frame_seconds: Length of a frame.
      edges_seconds: Edges of frames of unequal length.
      num_frames: Frames of each clip.
      pooling: "mean" or "max".
      is_logits: Whether scores are logits.
      class_map: Class map, for class indices and names.
      display_names: Display name of each mid.
      baseline: Scores to compare with, of `make_score_file` or `read_scores`.
      rank_over: As in `EvalSettings`, and so are the following.
      negatives: Kinds of negatives; None for all.
      clips: Clips to evaluate on; None for all.
      is_on_common_label_frames: Whether only clips and label frames count that
        the baseline has too.
      bootstrap: As in `EvalSettings`.

    Returns:
      All evaluations that the labels allow.

    Raises:
      InputError: Scores or labels are not what they should be, or have no clip
        in common.
    """
    problems = ProblemLog()
    known = read_known_classes(class_map, display_names, problems)
    truth = read_truth(
        framed_labels, strong_labels, weak_labels, explicit_negatives, problems
    )
    problems.report()
    score_file = make_score_file(
        scores,
        segment_ids,
        classes,
        frame_seconds=frame_seconds,
        edges_seconds=edges_seconds,
        num_frames=num_frames,
        pooling=pooling,
        is_logits=is_logits,
        class_map=known.class_map,
        display_names=known.display_names,
    )
    settings = EvalSettings(
        rank_over=rank_over,
        negatives=negatives,
        clips=clips,
        is_on_common_label_frames=is_on_common_label_frames,
        bootstrap=bootstrap,
        has_details=True,
    )
    return evaluate_scores(
        score_file,
        truth,
        baseline,
        settings=settings,
        names=known.name_of_mid,
        inputs={"scores": "an array"},
        problems=problems,
    )
