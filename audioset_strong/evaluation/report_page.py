"""`report.html`: one page with everything, for a person.

The headline first, then one folding section an evaluation: what was evaluated
against which negatives, a plot, the per-class table and what was left out.
"""

import os

from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_content import (
    EvalReport,
    count_of,
    result_notes,
)
from audioset_strong.evaluation.report_plot import d_prime_plot
from audioset_strong.evaluation.report_style import SCRIPT, STYLE
from audioset_strong.evaluation.report_tables import (
    alignment_table,
    class_table,
    escape,
    format_number,
    list_names,
    undefined_classes,
)

_MEANINGS = {
    ("strong", "explicit"): (
        "Items are label frames of 0.96 s. Positives are the PRESENT rows of "
        "the framed labels, negatives their NOT_PRESENT rows: sounds that "
        "annotators marked absent, and the other label frames of clips that "
        "have the sound (complementary negatives). This is the paper’s Strong "
        "eval."
    ),
    ("strong", "implied"): (
        "Items are label frames of 0.96 s. Positives are the PRESENT rows of "
        "the framed labels; every other label frame of a labelled clip is a "
        "negative. Most of those are easy, so d′ tends to be higher than with "
        "explicit negatives and is not comparable to the paper’s."
    ),
    ("weak", "explicit"): (
        "Items are clips, scored by the mean of their label frames. Positives "
        "are the weak labels; negatives are the clips that the framed labels "
        "mark NOT_PRESENT in all ten label frames. This is the paper’s Weak "
        "eval."
    ),
    ("weak", "implied"): (
        "Items are clips, scored by the mean of their label frames. Positives "
        "are the weak labels; every other clip is a negative. This is the "
        "usual AudioSet evaluation; d′ tends to be higher than with explicit "
        "negatives and is not comparable to the paper’s."
    ),
}
# How `escape` writes "d'".
_PRIME = "d&#x27;"


def render_page(report: EvalReport) -> str:
    """Returns the page of a report as HTML.

    Args:
      report: What to show.

    Returns:
      A whole HTML document that loads nothing.
    """
    name = os.path.basename(report.inputs.get("scores") or "scores")
    title = f"Evaluation of {escape(name)}"
    sections = "".join(
        _section(report, result, is_open=index == 0)
        for index, result in enumerate(report.results)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, '
        'initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>\n"
        f"<h1>{title}</h1>\n{_headline(report)}{_inputs(report)}{sections}"
        f"</main><script>{SCRIPT}</script></body></html>\n"
    )


def _name(result: EvalResult) -> str:
    return f"{result.evaluation.title()} eval, {result.negatives} negatives"


# --- Headline and inputs ----------------------------------------------------


def _headline(report: EvalReport) -> str:
    """Shows d' and lwlrap of every evaluation."""
    rows = "".join(_headline_row(report, result) for result in report.results)
    change = ""
    if report.baseline_results:
        change = " Small numbers are the change from the baseline."
    ranked = "all scored" if report.rank_over == "all" else "the evaluated"
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Headline">'
        '<table class="headline"><thead><tr><th scope="col">Evaluation</th>'
        '<th scope="col">d′</th><th scope="col">lwlrap</th>'
        '<th scope="col">classes</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<p class="soft">d′ is that of the mean AUC over classes; 0 is chance. '
        f"lwlrap ranks {ranked} classes and does not depend on the negatives. "
        f"Classes are those with a positive and a negative.{change}</p>"
    )


def _headline_row(report: EvalReport, result: EvalResult) -> str:
    baseline = report.baseline_of(result)
    cells = []
    for metric in ("d_prime", "lwlrap"):
        value, change = getattr(result, metric), ""
        if baseline is not None:
            difference = value - getattr(baseline, metric)
            text = format_number(difference, sign="+")
            change = f'<span class="small">{text}</span>'
        cells.append(f"<td><b>{format_number(value)}</b>{change}</td>")
    return (
        f'<tr><th scope="row">{result.evaluation.title()} eval'
        f'<span class="small">{result.negatives} negatives</span></th>'
        f"{''.join(cells)}<td>{result.num_classes:,}</td></tr>"
    )


def _inputs(report: EvalReport) -> str:
    """Lists the files, and what was wrong with their label lines."""
    given = (
        f"<br>{escape(name.replace('_', ' '))}: {escape(path)}"
        for name, path in report.inputs.items()
        if path is not None
    )
    problems = report.problems
    note = ""
    if problems.problems:
        count = count_of(problems.num_left_out, "label line")
        lines = list_names([str(p) for p in problems.problems])
        note = (
            f'<p class="note">{count} left out, {problems.num_doubtful:,} kept '
            f"that look wrong: {lines}</p>"
        )
    return f'<p class="soft path">Inputs:{"".join(given)}</p>{note}'


# --- One evaluation ---------------------------------------------------------


def _section(report: EvalReport, result: EvalResult, is_open: bool) -> str:
    baseline = report.baseline_of(result)
    notes = "".join(
        f'<p class="note">{escape(note).replace(_PRIME, "d′")}</p>'
        for note in result_notes(result, baseline)
    )
    plot = d_prime_plot(
        result.per_class,
        f"d′ of {result.num_classes} classes against their number of "
        f"positives; the table below has the same numbers.",
    )
    opened = " open" if is_open else ""
    return (
        f"<details{opened}><summary><h2>{_name(result)}</h2></summary>"
        f"<p>{_MEANINGS[result.evaluation, result.negatives]}</p>"
        f"{_overall(result, baseline)}{notes}"
        f"<h3>d′ by number of positives</h3>{plot}"
        f"<h3>Classes</h3>{class_table(result, baseline)}"
        f"{undefined_classes(result)}<h3>What was left out</h3>"
        f"{alignment_table(result.alignment)}</details>\n"
    )


def _overall(result: EvalResult, baseline: EvalResult | None) -> str:
    """Shows every overall metric, with the baseline's beside it."""
    names = {
        "d_prime": "d′ of the mean AUC",
        "mean_auc": "mean AUC",
        "mean_d_prime": "mean d′ over classes",
        "lwlrap": "lwlrap",
        "balanced_lwlrap": "balanced lwlrap (mean over classes)",
    }
    rows = []
    for metric, name in names.items():
        values = [getattr(result, metric)]
        if baseline is not None:
            values.append(getattr(baseline, metric))
        cells = "".join(f"<td>{format_number(v)}</td>" for v in values)
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    header = ""
    if baseline is not None:
        header = (
            '<thead><tr><th scope="col">Metric</th><th scope="col">scores</th>'
            '<th scope="col">baseline</th></tr></thead>'
        )
    kind = "label frames" if result.evaluation == "strong" else "clips"
    return (
        f"<table><caption>{result.num_items:,} {kind}, "
        f"{result.num_positives:,} positives, {result.num_negatives:,} "
        f"negatives</caption>{header}<tbody>{''.join(rows)}</tbody></table>"
    )
