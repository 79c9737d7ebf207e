"""Evaluation: scores, ground truth, d', lwlrap and reports.

Knows no model and never imports TensorFlow: it reads scores, which any model
can write, and label files. From the bottom up:

  score_files.py      what a model scored, on label frames
  score_tables.py     a folder of tables at any frame rate -> the same
  score_arrays.py     arrays at any frame rate -> the same
  score_classes.py    columns by mid, class index or display name
  label_frame_pooling.py  windows -> label frames
  score_scale.py      where probabilities and logits differ
  alignment.py        which clips, classes and labels both sides share
  ground_truth.py     scores + labels -> items with positives and negatives
  truth_files.py      label files -> what scores are evaluated against
  d_prime.py, average_precision.py, lwlrap.py  metrics of each class
  evaluator.py        one evaluation: per-class and overall metrics
  common_items.py     two systems on the same clips, label frames and classes
  score_evaluation.py scores + truth -> every evaluation that they allow
  file_evaluation.py  the same from files
  array_evaluation.py the same from arrays
  report.py           report.json, per_class.csv and report.html, which the
                      other report_*.py modules make
  candidates.py       hard candidates for explicit negatives

Python users need only what `__all__` names; `array_evaluation.py` has an
example. It is loaded when it is asked for, so that training, which needs one
metric, loads no reports.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audioset_strong.evaluation.evaluate import (
        evaluate_arrays,
        evaluate_files,
    )
    from audioset_strong.evaluation.report import (
        headline_text,
        report_dict,
        write_report,
    )
    from audioset_strong.evaluation.score_tables import read_scores
    from audioset_strong.evaluation.scores import (
        ScoreFile,
        make_score_file,
        write_score_file,
    )

__all__ = [
    "ScoreFile",
    "evaluate_arrays",
    "evaluate_files",
    "headline_text",
    "make_score_file",
    "read_scores",
    "report_dict",
    "write_report",
    "write_score_file",
]

_MODULE_OF_NAME = {
    "ScoreFile": "scores",
    "evaluate_arrays": "evaluate",
    "evaluate_files": "evaluate",
    "headline_text": "report",
    "make_score_file": "scores",
    "read_scores": "score_tables",
    "report_dict": "report",
    "write_report": "report",
    "write_score_file": "scores",
}


def __getattr__(name: str) -> Any:
    """Loads what `__all__` names."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULE_OF_NAME[name]}")
    return getattr(module, name)
