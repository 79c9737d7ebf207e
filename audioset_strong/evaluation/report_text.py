"""What a report calls evaluations.

How a report writes numbers.

The headline of a report as text for the console.

`report.md`: tables for papers and issue trackers.

One table an evaluation: a row a system and one for their difference, a column a
metric, each cell "value [low, high]"; below it what the numbers are of.
"""

import math
import os
from collections.abc import Iterator

from audioset_strong.evaluation.bootstrap import (
    BootstrapResult,
    Difference,
    Interval,
)
from audioset_strong.evaluation.results import (
    OVERALL_METRICS,
    EvalDetails,
    EvalReport,
    EvalResult,
    count_of,
    resamples_note,
    result_notes,
)

# --- report names ----------------------------------------------------------


NEGATIVES = {
    "explicit": "explicit negatives",
    "explicit_only": "only negatives of clips without the class",
    "complementary_only": "only complementary negatives",
    "implied": "implied negatives",
}


def evaluation_name(result: EvalResult) -> str:
    """Returns the name of an evaluation, such as for a heading."""
    return f"{result.evaluation.title()} eval, {NEGATIVES[result.negatives]}"


# --- report numbers --------------------------------------------------------


MINUS = "−"


def format_number(value: float, digits: int = 3, sign: str = "") -> str:
    """Writes a number as a reader expects it."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "+∞" if value > 0 else f"{MINUS}∞"
    # Adding 0.0 turns -0.0 into 0.0.
    text = f"{round(value, digits) + 0.0:{sign}.{digits}f}"
    return text.replace("-", MINUS)


def format_interval(
    interval: Interval | Difference | None, digits: int = 3, sign: str = ""
) -> str:
    """Writes an interval as "[low, high]"; "" where there is none."""
    if interval is None or math.isnan(interval.low):
        return ""
    low = format_number(interval.low, digits, sign)
    return f"[{low}, {format_number(interval.high, digits, sign)}]"


def format_p_value(difference: Difference | None) -> str:
    """Writes a p-value as "p = 0.012"; "" where there is none."""
    if difference is None or math.isnan(difference.p_value):
        return ""
    return f"p = {difference.p_value:.2g}"


# --- report text -----------------------------------------------------------


# Of the columns that have an interval or a difference below them.
_WIDTH = 17
_COLUMNS = ("d_prime", "mean_average_precision", "lwlrap")
_HEADS = {"mean_average_precision": "mAP"}


def headline_text(report: EvalReport) -> str:
    """Returns the overall metrics as a short table for the console.

    An interval stands below its number; the line of a baseline has the
    differences, and below them their intervals and p-values.
    """
    heads = "".join(f"{_HEADS.get(c, c):>{_WIDTH}}" for c in _COLUMNS)
    lines = [
        f"{'eval':<7}{'negatives':<19}{heads}{'mean_auc':>9}"
        f"{'mean_d_prime':>13}{'balanced_lwlrap':>16}{'classes':>8}"
    ]
    for result in report.results:
        lines += [line.rstrip() for line in _result_lines(report, result)]
    notes = {resamples_note(report.details_of(r)) for r in report.results}
    return "\n".join([*lines, *sorted(notes - {""})])


def _result_lines(report: EvalReport, result: EvalResult) -> Iterator[str]:
    baseline, details = report.baseline_of(result), report.details_of(result)
    numbers = [f"{getattr(result, c):.3f}" for c in _COLUMNS]
    yield (
        f"{_line(result.evaluation, result.negatives, numbers)}"
        f"{result.mean_auc:>9.3f}{result.mean_d_prime:>13.3f}"
        f"{result.balanced_lwlrap:>16.3f}{result.num_classes:>8}"
    )
    if details.intervals is not None:
        own = [details.intervals.overall[c] for c in _COLUMNS]
        yield _line("", "", [_interval(i.low, i.high) for i in own])
    if baseline is None:
        return
    numbers = [
        f"{getattr(result, c) - getattr(baseline, c):+.3f}" for c in _COLUMNS
    ]
    yield _line("", "- baseline", numbers)
    if details.paired is not None:
        paired = [details.paired.overall[c] for c in _COLUMNS]
        yield _line("", "", [_interval(d.low, d.high, "+") for d in paired])
        yield _line("", "", [_p_value(d.p_value) for d in paired])


def _line(evaluation: str, negatives: str, cells: list[str]) -> str:
    shown = "".join(f"{cell:>{_WIDTH}}" for cell in cells)
    return f"{evaluation:<7}{negatives:<19}{shown}"


def _interval(low: float, high: float, sign: str = "") -> str:
    if math.isnan(low):
        return ""
    return f"[{low:{sign}.3f}, {high:{sign}.3f}]"


def _p_value(value: float) -> str:
    return "" if math.isnan(value) else f"p = {value:.3g}"


# --- report markdown -------------------------------------------------------


_HEADS_REPORT_MARKDOWN = {
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
        ["", *(_HEADS_REPORT_MARKDOWN[name] for name in OVERALL_METRICS)],
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
