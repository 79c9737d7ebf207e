"""Evaluation: scores, ground truth, metrics and reports.

Knows no model and never imports TensorFlow: it reads scores, which any model
can write, and label files. From the bottom up:

  ranking_metrics.py  AUC, d', average precision, lwlrap, class by class
  scores.py           label frames: score files, pooling, classes of columns
  native_scores.py    scores as they come, at any frame rate, and their files
  score_arrays.py     arrays, tensors and data frames -> the same
  score_tables.py     folders of tables, and `read_scores` of any path
  truth.py            label files -> what scores are evaluated against
  items.py            scores + labels -> items, positives and negatives; hard
                      candidates for explicit negatives
  resampling.py       confidence intervals, and whether two systems differ
  array_metrics.py    `metrics`: all metrics of plain arrays
  details.py          ROC and precision-recall curves, the worst errors
  breakdowns.py       d' by event length, filled share and polyphony
  thresholds.py       thresholds of each class, and reliability curves
  events.py           PSDS and F1 of events, from `sed_scores_eval`
  segments.py         AUC of segments of a second
  protocols.py        published protocols by name
  results.py          the metrics of one evaluation, and what a report holds
  evaluating.py       `evaluate`: scores + truth + settings -> a report
  comparison.py       `compare`: many systems, and which differences are none
  identity.py         name, date, version and input hashes of a report
  report.py, report_page.py, figures.py, comparison_report.py
                      results as JSON, CSV, Markdown, a page and pictures

Python users need only what `__all__` names. It is loaded when it is asked for,
so that training, which needs one metric, loads no reports.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audioset_strong.evaluation.array_metrics import metrics
    from audioset_strong.evaluation.comparison import compare
    from audioset_strong.evaluation.comparison_report import (
        comparison_text,
        write_comparison,
    )
    from audioset_strong.evaluation.evaluating import (
        EvalSettings,
        ResamplingSettings,
        evaluate,
    )
    from audioset_strong.evaluation.native_scores import NativeScores
    from audioset_strong.evaluation.protocols import ProtocolSettings
    from audioset_strong.evaluation.report import (
        headline_text,
        report_dict,
        write_report,
    )
    from audioset_strong.evaluation.score_arrays import make_scores
    from audioset_strong.evaluation.score_tables import read_scores
    from audioset_strong.evaluation.scores import (
        LabelFrameScores,
        write_score_file,
    )
    from audioset_strong.evaluation.thresholds import choose_thresholds
    from audioset_strong.evaluation.truth import read_truth
    from audioset_strong.labels.class_map import read_known_classes

__all__ = [
    "ResamplingSettings",
    "EvalSettings",
    "LabelFrameScores",
    "NativeScores",
    "ProtocolSettings",
    "choose_thresholds",
    "compare",
    "comparison_text",
    "evaluate",
    "headline_text",
    "make_scores",
    "metrics",
    "read_known_classes",
    "read_scores",
    "read_truth",
    "report_dict",
    "write_comparison",
    "write_report",
    "write_score_file",
]

_MODULE_OF_NAME = {
    "ResamplingSettings": "evaluation.evaluating",
    "EvalSettings": "evaluation.evaluating",
    "LabelFrameScores": "evaluation.scores",
    "NativeScores": "evaluation.native_scores",
    "ProtocolSettings": "evaluation.protocols",
    "choose_thresholds": "evaluation.thresholds",
    "compare": "evaluation.comparison",
    "comparison_text": "evaluation.comparison_report",
    "evaluate": "evaluation.evaluating",
    "headline_text": "evaluation.report",
    "make_scores": "evaluation.score_arrays",
    "metrics": "evaluation.array_metrics",
    "read_known_classes": "labels.class_map",
    "read_scores": "evaluation.score_tables",
    "read_truth": "evaluation.truth",
    "report_dict": "evaluation.report",
    "write_comparison": "evaluation.comparison_report",
    "write_report": "evaluation.report",
    "write_score_file": "evaluation.scores",
}


def __getattr__(name: str) -> Any:
    """Loads what `__all__` names."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"audioset_strong.{_MODULE_OF_NAME[name]}")
    return getattr(module, name)
