"""Reports: what `evaluate` writes.

`report.json` (schema version 2; numbers are null where undefined or infinite,
and notes say why):

    schema_version  2
    inputs          {scores, baseline_scores, framed_labels, ...}: path or null
                    of each; and in words, where there is something to say, what
                    was done to them: truth, scores_notes,
                    baseline_scores_notes, label_mapping, compared_classes,
                    compared_clips
    rank_over       "all" or "evaluated": the classes that lwlrap ranks
    strong, weak    {negatives: E}, such as strong.explicit, without what was
                    not asked; `evaluator.py` lists the kinds of negatives
    baseline        {strong, weak} of the baseline, or null
    difference      {strong, weak} with D: scores minus baseline, or null
    label_problems  {num_left_out, num_doubtful: int; lines [str]}: label lines
                    that were left out, or kept though they look wrong; the
                    first 100 problems

    E  d_prime (of the mean AUC), mean_auc, mean_d_prime,
       mean_average_precision, lwlrap, balanced_lwlrap: number;
       num_classes (with an AUC), num_classes_lwlrap (with a positive),
       num_classes_infinite_d_prime, num_items, num_positives, num_negatives;
       intervals: I of the six metrics, or null;
       classes [C]; worst_items [W], or null;
       notes [str]; undefined_classes [{mid, display_name, reason}];
       alignment: the fields of `alignment.Alignment`
    D  the same six metrics, and intervals: I of their differences, or null
    I  level, num_resamples, seed, num_clips, metrics {name: {low, high,
       num_undefined (resamples)}}; for E also median_bias of each metric, for D
       p_value (`bootstrap.py`, `paired_bootstrap.py`)
    C  mid, display_name, num_positives, num_negatives, auc, d_prime,
       average_precision, lwlrap; with intervals auc_low and auc_high; with a
       baseline baseline_* and *_difference of these four; with both
       auc_difference_low and auc_difference_high
    W  kind ("false alarm" or "miss"), segment_id, label_frame, onset_seconds,
       offset_seconds (these three null for whole clips), mid, display_name,
       score, error, num_others: `report_errors.py`

The E of a baseline have neither classes nor worst_items: those of the scores
hold its classes.

`per_class.csv` has one row an evaluation, kind of negatives and class: C, with
undefined_reason. Undefined cells are empty, infinite ones `inf` or `-inf`.

`report.md` is a table for papers (`report_markdown.py`), `report.html` the
whole for a person (`report_page.py`).
"""

import dataclasses
import json
import math
import os
from typing import Any

import pandas as pd

from audioset_strong.evaluation.bootstrap import BootstrapResult, PairedResult
from audioset_strong.evaluation.report_page import render_page
from audioset_strong.evaluation.report_text import (
    headline_text,
    markdown_report,
)
from audioset_strong.evaluation.results import (
    OVERALL_METRICS,
    EvalReport,
    EvalResult,
    compare_per_class,
    result_notes,
)
from audioset_strong.files import make_folder_output_files, open_output

__all__ = ["headline_text", "per_class_table", "report_dict", "write_report"]

SCHEMA_VERSION = 2

_COUNTS = (
    "num_classes",
    "num_classes_lwlrap",
    "num_classes_infinite_d_prime",
    "num_items",
    "num_positives",
    "num_negatives",
)
# Enough to see what is wrong with a file.
_MAX_PROBLEM_LINES = 100


def report_dict(report: EvalReport) -> dict[str, Any]:
    """Returns `report.json` (module docstring) as a dict."""
    lines = [str(p) for p in report.problems.problems[:_MAX_PROBLEM_LINES]]
    has_baseline = bool(report.baseline_results)
    return {
        "schema_version": SCHEMA_VERSION,
        "inputs": dict(report.inputs),
        "rank_over": report.rank_over,
        **_nested(report, report.results, _result_dict),
        "baseline": _nested(report, report.baseline_results, _baseline_dict)
        if has_baseline
        else None,
        "difference": _nested(report, report.results, _difference_dict)
        if has_baseline
        else None,
        "label_problems": {
            "num_left_out": report.problems.num_left_out,
            "num_doubtful": report.problems.num_doubtful,
            "lines": lines,
        },
    }


def _nested(
    report: EvalReport, results: tuple[EvalResult, ...], to_dict: Any
) -> dict[str, dict[str, Any]]:
    """Arranges results as {evaluation: {negatives: dict}}."""
    nested: dict[str, dict[str, Any]] = {"strong": {}, "weak": {}}
    for result in results:
        nested[result.evaluation][result.negatives] = to_dict(report, result)
    return nested


def _result_dict(report: EvalReport, result: EvalResult) -> dict[str, Any]:
    baseline, details = report.baseline_of(result), report.details_of(result)
    classes = compare_per_class(result, baseline, details)
    return {
        **_metrics_dict(result),
        "intervals": _intervals_dict(details.intervals),
        "classes": _records(classes.drop(columns="undefined_reason")),
        "worst_items": None
        if details.worst is None
        else _records(details.worst),
        "notes": result_notes(result, baseline, details),
        **_coverage_dict(result),
    }


def _baseline_dict(report: EvalReport, result: EvalResult) -> dict[str, Any]:
    intervals = report.details_of(result).baseline_intervals
    return {
        **_metrics_dict(result),
        "intervals": _intervals_dict(intervals),
        "notes": result_notes(result),
        **_coverage_dict(result),
    }


def _difference_dict(report: EvalReport, result: EvalResult) -> dict[str, Any]:
    baseline = report.baseline_of(result)
    return {
        **{
            name: _finite(getattr(result, name) - getattr(baseline, name))
            for name in OVERALL_METRICS
        },
        "intervals": _intervals_dict(report.details_of(result).paired),
    }


def _metrics_dict(result: EvalResult) -> dict[str, Any]:
    return {
        **{name: _finite(getattr(result, name)) for name in OVERALL_METRICS},
        **{name: getattr(result, name) for name in _COUNTS},
    }


def _coverage_dict(result: EvalResult) -> dict[str, Any]:
    undefined = result.undefined_classes[
        ["mid", "display_name", "undefined_reason"]
    ].rename(columns={"undefined_reason": "reason"})
    return {
        "undefined_classes": undefined.to_dict(orient="records"),
        "alignment": dataclasses.asdict(result.alignment),
    }


def _intervals_dict(
    intervals: BootstrapResult | PairedResult | None,
) -> dict[str, Any] | None:
    """Writes I of the module docstring."""
    if intervals is None:
        return None
    left_out = ("estimate", "difference")  # The metrics themselves.
    metrics = {
        name: {
            key: _finite(value)
            for key, value in dataclasses.asdict(interval).items()
            if key not in left_out
        }
        for name, interval in intervals.overall.items()
    }
    return {
        "level": intervals.level,
        "num_resamples": intervals.num_resamples,
        "seed": intervals.seed,
        "num_clips": intervals.num_clips,
        "metrics": metrics,
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Writes the rows of a table as JSON can hold them."""
    return [
        {str(key): _finite(value) for key, value in record.items()}
        for record in table.to_dict(orient="records")
    ]


def _finite(value: Any) -> Any:
    """Returns what JSON can hold: None for missing and infinite numbers."""
    if value is pd.NA or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        return None
    return value


def per_class_table(report: EvalReport) -> pd.DataFrame:
    """Returns `per_class.csv` (module docstring) as a table."""
    tables = []
    for result in report.results:
        table = compare_per_class(
            result, report.baseline_of(result), report.details_of(result)
        )
        table.insert(0, "evaluation", result.evaluation)
        table.insert(1, "negatives", result.negatives)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_report(
    report: EvalReport, report_dir: str | os.PathLike[str]
) -> dict[str, Any]:
    """Writes the files of a report (module docstring).

    Args:
      report: What to show.
      report_dir: Folder to write to; made if it is not there.

    Returns:
      What `report.json` holds.
    """
    make_folder_output_files(report_dir)
    results = report_dict(report)
    texts = {
        "report.json": json.dumps(results, indent=2, allow_nan=False) + "\n",
        "per_class.csv": per_class_table(report).to_csv(index=False),
        "report.md": markdown_report(report),
        "report.html": render_page(report),
    }
    for name, text in texts.items():
        with open_output(os.path.join(report_dir, name)) as file:
            file.write(text)
    return results
