"""`report.html`: one page with everything, for a person.

The headline first, then one folding section an evaluation: what was evaluated
against which negatives, plots, the per-class table, the worst errors and what
was left out. The page is whole without its script, which sorts, filters and
shows the ROC curve of a chosen class.
"""

import os

from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.evaluation.report_class_table import class_table
from audioset_strong.evaluation.report_content import (
    EvalReport,
    compare_per_class,
    count_of,
    result_notes,
)
from audioset_strong.evaluation.report_names import evaluation_name
from audioset_strong.evaluation.report_overall import (
    headline_table,
    overall_table,
)
from audioset_strong.evaluation.report_plot import (
    average_precision_plot,
    d_prime_plot,
)
from audioset_strong.evaluation.report_roc import roc_panel
from audioset_strong.evaluation.report_script import SCRIPT
from audioset_strong.evaluation.report_style import STYLE
from audioset_strong.evaluation.report_tables import (
    alignment_table,
    changes_table,
    escape,
    list_names,
    undefined_classes,
    worst_table,
)

_STRONG = (
    "Items are label frames of 0.96 s. Positives are the PRESENT rows of the "
    "framed labels"
)
_WEAK = (
    "Items are clips, scored by the mean of their label frames. Positives are "
    "the weak labels"
)
_MEANINGS = {
    ("strong", "explicit"): (
        f"{_STRONG}, negatives their NOT_PRESENT rows: sounds that annotators "
        "marked absent, and the other label frames of clips that have the "
        "sound (complementary negatives). This is the paper’s Strong eval."
    ),
    ("strong", "explicit_only"): (
        f"{_STRONG}, negatives those of their NOT_PRESENT rows whose clip "
        "never has the sound. Complementary negatives are left out."
    ),
    ("strong", "complementary_only"): (
        f"{_STRONG}, negatives those of their NOT_PRESENT rows whose clip has "
        "the sound at other times: how well the scores tell when it sounds."
    ),
    ("strong", "implied"): (
        f"{_STRONG}; every other label frame of a labelled clip is a negative. "
        "Most of those are easy, so d′ tends to be higher than with explicit "
        "negatives and is not comparable to the paper’s."
    ),
    ("weak", "explicit"): (
        f"{_WEAK}; negatives are the clips that the framed labels mark "
        "NOT_PRESENT in all ten label frames, or the pairs that were given as "
        "marked absent. This is the paper’s Weak eval."
    ),
    ("weak", "implied"): (
        f"{_WEAK}; every other clip is a negative. This is the usual AudioSet "
        "evaluation; d′ tends to be higher than with explicit negatives and "
        "is not comparable to the paper’s."
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
    path = report.inputs.get("scores") or "scores"
    title = f"Evaluation of {escape(os.path.basename(os.path.normpath(path)))}"
    sections = "".join(
        _section(report, result, index)
        for index, result in enumerate(report.results)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, '
        'initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        f"<header><h1>{title}</h1></header>\n<main>{headline_table(report)}"
        f"{_inputs(report)}{sections}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
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


def _section(report: EvalReport, result: EvalResult, index: int) -> str:
    baseline, details = report.baseline_of(result), report.details_of(result)
    notes = "".join(
        f'<p class="note">{escape(note).replace(_PRIME, "d′")}</p>'
        for note in result_notes(result, baseline, details)
    )
    table = compare_per_class(result, baseline, details)
    key = f"{result.evaluation}-{result.negatives}"
    worst = details.worst
    parts = {
        "d′ and AP by number of positives": _plots(result),
        "ROC curve": roc_panel(table, details, key),
        "Change from the baseline": ""
        if baseline is None
        else changes_table(table),
        "Classes": class_table(table, key),
        "Worst errors": ""
        if worst is None
        else worst_table(worst, result.evaluation),
        "Classes without d′": undefined_classes(result),
        "What was left out": alignment_table(result.alignment),
    }
    body = "".join(f"<h3>{h}</h3>{part}" for h, part in parts.items() if part)
    return (
        f"<details{' open' if index == 0 else ''}><summary>"
        f"<h2>{evaluation_name(result)}</h2></summary>"
        f"<p>{_MEANINGS[result.evaluation, result.negatives]}</p>"
        f"{overall_table(result, baseline, details)}"
        f"{notes}{body}</details>\n"
    )


def _plots(result: EvalResult) -> str:
    label = (
        f" of {count_of(result.num_classes, 'class')} against their number of "
        "positives; the table of classes has the same numbers."
    )
    plots = [
        d_prime_plot(result.per_class, f"d′{label}"),
        average_precision_plot(result.per_class, f"Average precision{label}"),
    ]
    if not any(plots):
        return ""
    return f'<div class="pair">{"".join(plots)}</div>'
