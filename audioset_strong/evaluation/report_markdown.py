"""`report.md`: tables for papers and issue trackers.

One table an evaluation: a row a system and one for their difference, a column a
metric, each cell "value [low, high]"; below it what the numbers are of.
"""

import os

from audioset_strong.evaluation.bootstrap import BootstrapResult
from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import (
    OVERALL_METRICS,
    EvalDetails,
    EvalReport,
    count_of,
    resamples_note,
    result_notes,
)
from audioset_strong.evaluation.report_names import evaluation_name
from audioset_strong.evaluation.report_numbers import (
    format_interval,
    format_number,
    format_p_value,
)

_HEADS = {
    "d_prime": "d′",
    "mean_auc": "mean AUC",
    "mean_d_prime": "mean d′",
    "mean_average_precision": "mAP",
    "lwlrap": "lwlrap",
    "balanced_lwlrap": "balanced lwlrap",
}


def markdown_report(report: EvalReport) -> str:
    """Returns the tables of a report as Markdown.

    Args:
      report: What to show.

    Returns:
      The text, which ends in a line break.
    """
    return "\n".join(_section(report, result) for result in report.results)


def _section(report: EvalReport, result: EvalResult) -> str:
    baseline, details = report.baseline_of(result), report.details_of(result)
    rows = [
        ["", *(_HEADS[name] for name in OVERALL_METRICS)],
        ["---", *("---:" for _ in OVERALL_METRICS)],
        [_system(report, "scores"), *_cells(result, details.intervals)],
    ]
    if baseline is not None:
        rows += [
            [
                _system(report, "baseline_scores"),
                *_cells(baseline, details.baseline_intervals),
            ],
            ["difference", *_difference_cells(result, baseline, details)],
        ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "".join(
        f"\n{note}\n" for note in result_notes(result, baseline, details)
    )
    return (
        f"## {evaluation_name(result)}\n\n{table}\n\n"
        f"{_what(report, result)}\n{notes}"
    )


def _system(report: EvalReport, name: str) -> str:
    """Returns the file name of a system, safe in a cell."""
    path = os.path.basename(os.path.normpath(report.inputs.get(name) or name))
    return path.replace("|", "\\|")


def _cells(result: EvalResult, intervals: BootstrapResult | None) -> list[str]:
    overall = {} if intervals is None else intervals.overall
    return [
        f"{format_number(getattr(result, name))} "
        f"{format_interval(overall.get(name))}".rstrip()
        for name in OVERALL_METRICS
    ]


def _difference_cells(
    result: EvalResult, baseline: EvalResult, details: EvalDetails
) -> list[str]:
    overall = {} if details.paired is None else details.paired.overall
    cells = []
    for name in OVERALL_METRICS:
        value = getattr(result, name) - getattr(baseline, name)
        difference = overall.get(name)
        texts = [
            format_number(value, sign="+"),
            format_interval(difference, sign="+"),
            format_p_value(difference),
        ]
        cells.append(" ".join(t for t in texts if t))
    return cells


def _what(report: EvalReport, result: EvalResult) -> str:
    """Says which items, classes and resamples the numbers are of."""
    clips = count_of(result.alignment.num_clips_evaluated, "clip")
    frames = ""
    if result.evaluation == "strong":
        frames = f" ({count_of(result.num_items, 'label frame')})"
    ranked = "all scored" if report.rank_over == "all" else "the evaluated"
    resamples = resamples_note(report.details_of(result))
    return (
        f"Negatives: {result.negatives}. {clips}{frames}, "
        f"{count_of(result.num_classes, 'class')} with a positive and a "
        f"negative, {count_of(result.num_positives, 'positive')}, "
        f"{count_of(result.num_negatives, 'negative')}; lwlrap ranks {ranked} "
        f"classes. {resamples}".rstrip()
    )
