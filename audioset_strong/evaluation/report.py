"""Reports: `report.json`, `per_class.csv` and `report.html` of evaluations.

`report.json` (schema version 1):

    schema_version  1
    inputs          {scores, baseline_scores, framed_labels, weak_labels}: path
                    or null; label_mapping, if labels were mapped: what it did;
                    compared_classes, if the baseline has other classes: how
                    many are compared
    rank_over       "all" or "evaluated": the classes that lwlrap ranks
    strong, weak    {"explicit": E, "implied": E}, without what was not asked
    baseline        {"strong": ..., "weak": ...} of the baseline, or null
    difference      the same with {d_prime, mean_auc, mean_d_prime, lwlrap,
                    balanced_lwlrap}: scores minus baseline, or null
    label_problems  {"num_left_out": int, "num_doubtful": int, "lines": [str]}:
                    label lines that were left out, or kept though they look
                    wrong; the first 100 problems

    E  d_prime (of the mean AUC), mean_auc, mean_d_prime, lwlrap,
       balanced_lwlrap: number, or null where undefined or infinite, and then
       notes say why;
       num_classes (with an AUC), num_classes_lwlrap (with a positive),
       num_classes_infinite_d_prime, num_items, num_positives, num_negatives;
       notes [str]; undefined_classes [{mid, display_name, reason}];
       alignment: the fields of `alignment.Alignment`

`per_class.csv` has one row an evaluation, kind of negatives and class: the
columns of `EvalResult.per_class` and, with a baseline, `baseline_auc`,
`baseline_d_prime`, `baseline_lwlrap`, `d_prime_difference` and
`lwlrap_difference`. Undefined cells are empty, infinite ones `inf` or `-inf`.
"""

import dataclasses
import json
import math
import os
from typing import Any

import pandas as pd

from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import (
    OVERALL_METRICS,
    EvalReport,
    compare_per_class,
    result_notes,
)
from audioset_strong.evaluation.report_page import render_page
from audioset_strong.output_files import open_output

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


def finite_or_none(value: float) -> float | None:
    """Returns what JSON can hold: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def report_dict(report: EvalReport) -> dict[str, Any]:
    """Returns `report.json` (module docstring) as a dict."""
    lines = [str(p) for p in report.problems.problems[:_MAX_PROBLEM_LINES]]
    return {
        "schema_version": 1,
        "inputs": dict(report.inputs),
        "rank_over": report.rank_over,
        **_nested(report, report.results, _result_dict),
        "baseline": _nested(report, report.baseline_results, _result_dict)
        if report.baseline_results
        else None,
        "difference": _nested(report, report.results, _difference_dict)
        if report.baseline_results
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
    baseline = report.baseline_of(result)
    undefined = result.undefined_classes[
        ["mid", "display_name", "undefined_reason"]
    ].rename(columns={"undefined_reason": "reason"})
    return {
        **{m: finite_or_none(getattr(result, m)) for m in OVERALL_METRICS},
        **{name: getattr(result, name) for name in _COUNTS},
        "notes": result_notes(result, baseline),
        "undefined_classes": undefined.to_dict(orient="records"),
        "alignment": dataclasses.asdict(result.alignment),
    }


def _difference_dict(report: EvalReport, result: EvalResult) -> dict[str, Any]:
    baseline = report.baseline_of(result)
    return {
        name: finite_or_none(getattr(result, name) - getattr(baseline, name))
        for name in OVERALL_METRICS
    }


def per_class_table(report: EvalReport) -> pd.DataFrame:
    """Returns `per_class.csv` (module docstring) as a table."""
    tables = []
    for result in report.results:
        table = compare_per_class(result, report.baseline_of(result))
        table.insert(0, "evaluation", result.evaluation)
        table.insert(1, "negatives", result.negatives)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_report(
    report: EvalReport, report_dir: str | os.PathLike[str]
) -> dict[str, Any]:
    """Writes `report.json`, `per_class.csv` and `report.html`.

    Args:
      report: What to show.
      report_dir: Folder to write to; made if it is not there.

    Returns:
      What `report.json` holds.
    """
    os.makedirs(report_dir, exist_ok=True)
    results = report_dict(report)
    texts = {
        "report.json": json.dumps(results, indent=2, allow_nan=False) + "\n",
        "per_class.csv": per_class_table(report).to_csv(index=False),
        "report.html": render_page(report),
    }
    for name, text in texts.items():
        with open_output(os.path.join(report_dir, name)) as file:
            file.write(text)
    return results


def headline_text(report: EvalReport) -> str:
    """Returns the overall metrics as a short table for the console."""
    lines = [
        f"{'eval':<7}{'negatives':<10}{'d_prime':>8}{'lwlrap':>8}"
        f"{'mean_auc':>9}{'mean_d_prime':>13}{'balanced_lwlrap':>16}"
        f"{'classes':>8}"
    ]
    for result in report.results:
        lines.append(
            f"{result.evaluation:<7}{result.negatives:<10}"
            f"{result.d_prime:>8.3f}{result.lwlrap:>8.3f}"
            f"{result.mean_auc:>9.3f}{result.mean_d_prime:>13.3f}"
            f"{result.balanced_lwlrap:>16.3f}{result.num_classes:>8}"
        )
        baseline = report.baseline_of(result)
        if baseline is not None:
            lines.append(
                f"{'':<7}{'- baseline':<10}"
                f"{result.d_prime - baseline.d_prime:>+8.3f}"
                f"{result.lwlrap - baseline.lwlrap:>+8.3f}"
            )
    return "\n".join(lines)
