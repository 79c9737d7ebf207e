"""The overall metrics of `report.html`: the headline, and one evaluation's."""

from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import (
    EvalDetails,
    EvalReport,
    resamples_note,
)
from audioset_strong.evaluation.report_names import NEGATIVES
from audioset_strong.evaluation.report_numbers import (
    format_interval,
    format_number,
    format_p_value,
)

_HEADLINE = {
    "d_prime": "d′",
    "mean_average_precision": "mAP",
    "lwlrap": "lwlrap",
}
_NAMES = {
    "d_prime": "d′ of the mean AUC",
    "mean_auc": "mean AUC",
    "mean_d_prime": "mean d′ over classes",
    "mean_average_precision": "mean average precision (mAP)",
    "lwlrap": "lwlrap",
    "balanced_lwlrap": "balanced lwlrap (mean over classes)",
}


def headline_table(report: EvalReport) -> str:
    """Shows d', mAP and lwlrap of every evaluation."""
    rows = "".join(_headline_row(report, result) for result in report.results)
    heads = "".join(f'<th scope="col">{n}</th>' for n in _HEADLINE.values())
    notes = sorted(
        {resamples_note(report.details_of(r)) for r in report.results} - {""}
    )
    if report.baseline_results:
        notes.insert(0, "A + or − begins the change from the baseline.")
    ranked = "all scored" if report.rank_over == "all" else "the evaluated"
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Headline">'
        '<table class="headline"><caption class="hidden">Overall metrics'
        '</caption><thead><tr><th scope="col">Evaluation</th>'
        f'{heads}<th scope="col">classes</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<p class="soft">d′ is that of the mean AUC over classes; 0 is chance. '
        f"lwlrap ranks {ranked} classes and does not depend on the negatives. "
        "Classes are those with a positive and a negative. "
        f"{' '.join(notes)}</p>"
    )


def _headline_row(report: EvalReport, result: EvalResult) -> str:
    cells = "".join(
        f"<td><b>{format_number(getattr(result, metric))}</b>"
        f"{_below(report, result, metric)}</td>"
        for metric in _HEADLINE
    )
    return (
        f'<tr><th scope="row">{result.evaluation.title()} eval'
        f'<span class="small">{NEGATIVES[result.negatives]}</span></th>'
        f"{cells}<td>{result.num_classes:,}</td></tr>"
    )


def _below(report: EvalReport, result: EvalResult, metric: str) -> str:
    """Shows a number's interval, and the change from the baseline."""
    baseline, details = report.baseline_of(result), report.details_of(result)
    lines = [_interval(details, metric)]
    if baseline is not None:
        change = getattr(result, metric) - getattr(baseline, metric)
        lines += [
            format_number(change, sign="+"),
            *_paired_lines(details, metric),
        ]
    return "".join(f'<span class="small">{t}</span>' for t in lines if t)


def _interval(details: EvalDetails, metric: str) -> str:
    if details.intervals is None:
        return ""
    return format_interval(details.intervals.overall.get(metric))


def _paired_lines(details: EvalDetails, metric: str) -> list[str]:
    if details.paired is None:
        return []
    difference = details.paired.overall.get(metric)
    return [
        format_interval(difference, sign="+"),
        format_p_value(difference),
    ]


def overall_table(
    result: EvalResult, baseline: EvalResult | None, details: EvalDetails
) -> str:
    """Shows every overall metric, with the baseline's beside it."""
    rows = "".join(
        f'<tr><th scope="row">{name}</th>'
        f"{_cells(result, baseline, details, metric)}</tr>"
        for metric, name in _NAMES.items()
    )
    heads = ["scores"]
    if baseline is not None:
        heads += ["baseline", "difference"]
        heads += ["p-value"] if details.paired is not None else []
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    kind = "label frames" if result.evaluation == "strong" else "clips"
    return (
        '<div class="scroll" tabindex="0" role="region" '
        'aria-label="Overall metrics"><table>'
        f"<caption>{result.num_items:,} {kind}, {result.num_positives:,} "
        f"positives, {result.num_negatives:,} negatives</caption>"
        f'<thead><tr><th scope="col">Metric</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(
    result: EvalResult,
    baseline: EvalResult | None,
    details: EvalDetails,
    metric: str,
) -> str:
    value = getattr(result, metric)
    cells = [_cell(value, _interval(details, metric))]
    if baseline is not None:
        theirs = getattr(baseline, metric)
        intervals = details.baseline_intervals
        own = None if intervals is None else intervals.overall.get(metric)
        cells.append(_cell(theirs, format_interval(own)))
        paired = _paired_lines(details, metric)
        cells.append(_cell(value - theirs, "".join(paired[:1]), "+"))
        if paired:
            text = paired[1].removeprefix("p = ") or "–"
            cells.append(f"<td>{text}</td>")
    return "".join(cells)


def _cell(value: float, interval: str, sign: str = "") -> str:
    below = f' <span class="range">{interval}</span>' if interval else ""
    return f"<td>{format_number(value, sign=sign)}{below}</td>"
