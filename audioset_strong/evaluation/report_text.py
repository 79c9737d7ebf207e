"""The headline of a report as text for the console."""

import math
from collections.abc import Iterator

from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import (
    EvalReport,
    resamples_note,
)

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
