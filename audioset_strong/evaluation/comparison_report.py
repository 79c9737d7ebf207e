"""What `compare_systems` writes, and the table it prints.

`write_comparison` makes `comparison.html`, one page for a person that loads
nothing; `comparison.md`, tables for papers; `comparison.png` and
`comparison.pdf`, d' with intervals and its differences from the reference, if
there is any d'; `comparison.csv`, one row per evaluation (or protocol), kind of
negatives, system and metric: evaluation, negatives, system, metric, value, low,
high, rank, reference, difference, difference_low, difference_high, p_value,
p_holm. Undefined cells are empty, infinite ones `inf` or `-inf`.

`comparison.json` (schema version 1; numbers are null where undefined or
infinite):

    schema_version  1
    identity        as in report.json (`report.py`)
    inputs          {"scores of NAME", framed_labels, ...}: path or null of
                    each; and, where there is something to say, what was done to
                    them in words: truth, NAME_notes, label_mapping,
                    compared_classes, compared_clips
    systems         names, in the order given
    reference       the one that the others are compared with; against: how it
                    was chosen, "first", "best" or its name
    level, num_resamples, rank_over
    evaluations     [E]
    protocols       [{name, source, parameters {metric: {...}}, systems {name:
                    {values {metric: number}, conditions {what: words}}}}]:
                    protocols of events and segments; protocol_note: whether
                    they are of the same clips and classes, "" if they are
    label_problems  as in report.json

    E  evaluation ("strong" or "weak"), negatives; num_clips, num_items,
       num_positives, num_negatives, num_classes of the best system;
       leaderboard [L], highest d' first; pairs [P]; classes [C]; notes [str]
    L  system; metrics {name: M} (`results.OVERALL_METRICS`);
       not_distinguishable [str]: systems that d' does not tell from it
    M  value, low, high, rank (1 is the highest); difference: D from the
       reference, null for the reference itself
    D  value, low, high, p_value, p_holm (`comparison.py`)
    P  first, second, difference: D of their d'
    C  mid, display_name, num_positives, num_negatives, systems {name: {auc,
       d_prime, average_precision; auc_difference, auc_difference_low and
       auc_difference_high from the reference, if there are such}}
"""

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from audioset_strong.evaluation.comparison import (
    HEADLINE,
    ComparedEvaluation,
    Comparison,
)
from audioset_strong.evaluation.protocols import ProtocolResult
from audioset_strong.evaluation.report import (
    as_json,
    markdown_files,
    problems_dict,
)
from audioset_strong.evaluation.report_page import (
    evaluation_name,
    format_interval,
    format_number,
    page_environment,
)
from audioset_strong.evaluation.resampling import Interval, ResamplingResult
from audioset_strong.evaluation.results import (
    OVERALL_METRICS,
    EvalDetails,
    EvalResult,
    count_of,
    resamples_note,
    result_notes,
)
from audioset_strong.files import (
    make_output_folder,
    open_output,
    temporary_path,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA_VERSION = 1

# The metrics of tables for people, with their headings.
SHOWN_METRICS = {
    "d_prime": "d′",
    "mean_average_precision": "mAP",
    "lwlrap": "lwlrap",
}
_COLUMNS = (
    *("evaluation", "negatives", "system", "metric", "value", "low", "high"),
    *("rank", "reference", "difference", "difference_low", "difference_high"),
    *("p_value", "p_holm"),
)
_COUNTS = ("num_items", "num_positives", "num_negatives", "num_classes")
# Classes that gained most, and as many that lost most, of each system.
_NUM_CHANGES = 5
# The paper's blue, and grey for the line of the reference.
_BLUE, _GREY = "#0072B2", "0.45"


def write_comparison(
    comparison: Comparison, output_dir: str | os.PathLike[str]
) -> dict[str, Any]:
    """Writes the files of a comparison (module docstring) to a folder.

    Returns what `comparison.json` holds.
    """
    make_output_folder(output_dir)
    results = comparison_dict(comparison)
    texts = {
        "comparison.json": json.dumps(results, indent=2, allow_nan=False)
        + "\n",
        "comparison.csv": comparison_table(comparison).to_csv(index=False),
        "comparison.md": markdown_comparison(comparison),
        "comparison.html": render_comparison(comparison),
    }
    for name, text in texts.items():
        with open_output(os.path.join(output_dir, name)) as file:
            file.write(text)
    if not comparison.evaluations:  # Protocols alone have no intervals.
        return results
    figure = comparison_figure(comparison)
    for name in ("comparison.png", "comparison.pdf"):
        with temporary_path(os.path.join(output_dir, name)) as temporary:
            figure.savefig(temporary, dpi=200)
    return results


# --- comparison.json and comparison.csv --------------------------------------


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """Returns `comparison.json` (module docstring) as a dict."""
    results: dict[str, Any] = as_json(
        {
            "schema_version": SCHEMA_VERSION,
            "identity": dataclasses.asdict(comparison.identity),
            "inputs": dict(comparison.inputs),
            "systems": list(comparison.systems),
            "reference": comparison.reference,
            "against": comparison.against,
            "level": comparison.level,
            "num_resamples": comparison.num_resamples,
            "rank_over": comparison.rank_over,
            "evaluations": [
                _evaluation_dict(comparison, evaluation)
                for evaluation in comparison.evaluations
            ],
            "protocols": [
                {
                    "name": result.name,
                    "source": result.source,
                    "parameters": result.parameters,
                    "systems": {
                        name: {
                            "values": results[index].values,
                            "conditions": results[index].conditions,
                        }
                        for name, results in comparison.protocols.items()
                    },
                }
                for index, result in enumerate(_protocols(comparison))
            ],
            "protocol_note": protocol_note(comparison),
            "label_problems": problems_dict(comparison.problems),
        }
    )
    return results


def _evaluation_dict(
    comparison: Comparison, evaluation: ComparedEvaluation
) -> dict[str, Any]:
    """Returns E of the module docstring."""
    best = next(iter(evaluation.results.values()))
    return {
        "evaluation": evaluation.evaluation,
        "negatives": evaluation.negatives,
        "num_clips": best.alignment.num_clips_evaluated,
        **{name: getattr(best, name) for name in _COUNTS},
        "leaderboard": [
            {
                "system": name,
                "metrics": {
                    metric: {
                        "value": getattr(result, metric),
                        **_ends(evaluation.intervals.get(name), metric),
                        "rank": evaluation.rank(name, metric),
                        "difference": _difference_dict(
                            comparison, evaluation, name, metric
                        ),
                    }
                    for metric in OVERALL_METRICS
                },
                "not_distinguishable": evaluation.not_distinguishable(
                    name, comparison.level
                ),
            }
            for name, result in evaluation.results.items()
        ],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "difference": _interval_dict(pair.difference, pair.p_holm),
            }
            for pair in evaluation.pairs
        ],
        "classes": _classes(evaluation),
        "notes": evaluation_notes(comparison, evaluation),
    }


def _protocols(comparison: Comparison) -> tuple[ProtocolResult, ...]:
    """Returns the results of the first system, which say what is computed."""
    return next(iter(comparison.protocols.values()), ())


def protocol_note(comparison: Comparison) -> str:
    """Says if protocols are not of the same clips and classes; "" if so."""
    by_protocol = zip(*comparison.protocols.values(), strict=True)
    different = [
        results[0].name
        for results in by_protocol
        if len(
            {
                (frozenset(r.truth.segment_ids), frozenset(r.truth.mids))
                for r in results
            }
        )
        > 1
    ]
    if not different:
        return ""
    return (
        f"Systems were scored over different clips or classes, so that their "
        f"values do not compare: {', '.join(different)}."
    )


def _ends(intervals: ResamplingResult | None, metric: str) -> dict[str, float]:
    if intervals is None:
        return {"low": math.nan, "high": math.nan}
    interval = intervals.overall[metric]
    return {"low": interval.low, "high": interval.high}


def _difference_dict(
    comparison: Comparison,
    evaluation: ComparedEvaluation,
    system: str,
    metric: str,
) -> dict[str, Any] | None:
    """Returns D of the module docstring, of a system from the reference."""
    own = evaluation.difference(system, comparison.reference, metric)
    if own is None:
        return None
    p_holm = evaluation.p_holm.get(system, {}).get(metric, math.nan)
    return _interval_dict(own, p_holm)


def _interval_dict(interval: Interval, p_holm: float) -> dict[str, Any]:
    return {
        "value": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p_value": interval.p_value,
        "p_holm": p_holm,
    }


def _classes(evaluation: ComparedEvaluation) -> list[dict[str, Any]]:
    """Returns [C] of the module docstring, in the order of the best system."""
    of_systems = {}
    for name, result in evaluation.results.items():
        table = result.per_class.set_index("mid")[
            ["auc", "d_prime", "average_precision"]
        ]
        if name in evaluation.paired:
            differences = evaluation.paired[name].per_class.set_index("mid")
            table = table.join(differences.drop(columns="num_undefined"))
        of_systems[name] = table.to_dict(orient="index")
    first = next(iter(evaluation.results.values())).per_class
    return [
        {str(key): value for key, value in row.items()}
        | {"systems": {n: own[row["mid"]] for n, own in of_systems.items()}}
        for row in first[
            ["mid", "display_name", "num_positives", "num_negatives"]
        ].to_dict(orient="records")
    ]


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """Returns `comparison.csv` (module docstring) as a table."""
    rows = []
    for evaluation in comparison.evaluations:
        for name, result in evaluation.results.items():
            for metric in OVERALL_METRICS:
                own = (
                    _difference_dict(comparison, evaluation, name, metric) or {}
                )
                rows.append(
                    {
                        "evaluation": evaluation.evaluation,
                        "negatives": evaluation.negatives,
                        "system": name,
                        "metric": metric,
                        "value": getattr(result, metric),
                        **_ends(evaluation.intervals.get(name), metric),
                        "rank": evaluation.rank(name, metric),
                        "reference": comparison.reference,
                        "difference": own.get("value"),
                        "difference_low": own.get("low"),
                        "difference_high": own.get("high"),
                        "p_value": own.get("p_value"),
                        "p_holm": own.get("p_holm"),
                    }
                )
    for index, scored in enumerate(_protocols(comparison)):
        for metric in scored.values:
            values = {
                name: results[index].values[metric]
                for name, results in comparison.protocols.items()
            }
            for name, value in values.items():
                difference = None
                if name != comparison.reference:
                    difference = value - values[comparison.reference]
                rows.append(
                    {
                        "evaluation": scored.name,
                        "system": name,
                        "metric": metric,
                        "value": value,
                        "rank": None
                        if math.isnan(value)
                        else 1 + sum(v > value for v in values.values()),
                        "reference": comparison.reference,
                        "difference": difference,
                    }
                )
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"rank": "Int64"})


def _protocol_table(comparison: Comparison) -> list[list[str]]:
    """Returns a head, and a row a system with all metrics of protocols."""
    metrics = [
        (index, result.name, metric)
        for index, result in enumerate(_protocols(comparison))
        for metric in result.values
    ]
    return [
        ["system", *(f"{name} {metric}" for _, name, metric in metrics)],
        *(
            [
                system,
                *(
                    format_number(results[index].values[metric], 4)
                    for index, _, metric in metrics
                ),
            ]
            for system, results in comparison.protocols.items()
        ),
    ]


def _protocol_words(comparison: Comparison) -> list[str]:
    """Returns what each metric of protocols depends on."""
    return [
        f"{result.name} {metric}: {result.parameter_text(metric)}"
        for result in _protocols(comparison)
        for metric in result.values
    ] + [
        f"{result.name}: {result.condition_text()}"
        for result in _protocols(comparison)
    ]


# --- Words -------------------------------------------------------------------


def evaluation_notes(
    comparison: Comparison, evaluation: ComparedEvaluation
) -> list[str]:
    """Says in words what a reader of the numbers must know."""
    notes: dict[str, list[str]] = {}
    for name, result in evaluation.results.items():
        for note in result_notes(result):
            notes.setdefault(note, []).append(name)
    found = [
        note
        if len(names) == len(comparison.systems)
        else f"{', '.join(names)}: {note}"
        for note, names in notes.items()
    ]
    if evaluation.not_paired_reason:
        found.append(
            f"Differences have no intervals: {evaluation.not_paired_reason}"
        )
    if not evaluation.intervals and comparison.num_resamples:
        found.append(
            "There are no intervals against implied negatives, which would "
            "take long."
        )
    if evaluation.pairs:
        # The smallest p-value of R resamples is 2 / (R + 1).
        least = math.ceil(
            round(2 * len(evaluation.pairs) / (1 - comparison.level), 6)
        )
        if comparison.num_resamples < least - 1:
            found.append(
                f"{comparison.num_resamples:,} resamples are too few to tell "
                f"any two systems apart: {len(evaluation.pairs)} pairs need "
                f"{least - 1:,}."
            )
    return found


def _method_note(comparison: Comparison) -> str:
    """Says how intervals and p-values came about; "" without any."""
    details = next(
        (
            EvalDetails(e.evaluation, e.negatives, intervals=own)
            for e in comparison.evaluations
            for own in e.intervals.values()
        ),
        None,
    )
    if details is None:
        return ""
    return (
        f"{resamples_note(details)} All systems have the same resamples. "
        f"P-values are corrected by Holm's method: those of differences from "
        f"{comparison.reference} over the other systems, for each evaluation "
        f"and metric; those of pairs over all pairs of an evaluation."
    )


def _items_text(evaluation: ComparedEvaluation) -> str:
    """Says what an evaluation is of."""
    results = list(evaluation.results.values())
    if len({(r.num_items, r.num_positives) for r in results}) > 1:
        return "The systems were evaluated on different items."
    best = results[0]
    frames = ""
    if evaluation.evaluation == "strong":
        frames = f" ({count_of(best.num_items, 'label frame')})"
    return (
        f"{count_of(best.alignment.num_clips_evaluated, 'clip')}{frames}, "
        f"{count_of(best.num_classes, 'class')} with a positive and a "
        f"negative, {count_of(best.num_positives, 'positive')}, "
        f"{count_of(best.num_negatives, 'negative')}."
    )


def _p_text(p_holm: float, digits: int = 2) -> str:
    """Writes a corrected p-value as "p = 0.012"; "" where undefined."""
    return "" if math.isnan(p_holm) else f"p = {p_holm:.{digits}g}"


def _cell(
    value: float,
    intervals: ResamplingResult | None,
    metric: str,
    sign: str = "",
) -> str:
    interval = format_interval(intervals, metric, sign)
    return f"{format_number(value, sign=sign)} {interval}".rstrip()


def _difference_cell(
    comparison: Comparison,
    evaluation: ComparedEvaluation,
    system: str,
    metric: str,
) -> str:
    """Writes a difference from the reference; "" of the reference itself."""
    own = evaluation.difference(system, comparison.reference, metric)
    if own is None:
        return ""
    p_holm = evaluation.p_holm.get(system, {}).get(metric, math.nan)
    return f"{_interval_text(own, '+')} {_p_text(p_holm)}".rstrip()


def _interval_text(own: Interval, sign: str = "") -> str:
    """Writes a number and its interval as "+0.60 [+0.53, +0.67]"."""
    text = format_number(own.estimate, sign=sign)
    if math.isnan(own.low):
        return text
    low, high = (format_number(end, sign=sign) for end in (own.low, own.high))
    return f"{text} [{low}, {high}]"


def _turned_round(own: Interval) -> Interval:
    """Returns the difference of the same two systems the other way round."""
    return dataclasses.replace(
        own, estimate=-own.estimate, low=-own.high, high=-own.low
    )


# --- comparison.md and the console -------------------------------------------


def markdown_comparison(comparison: Comparison) -> str:
    """Returns `comparison.md`: a leaderboard and all pairs, by evaluation."""
    parts = [
        f"# Comparison of {', '.join(comparison.systems)}\n",
        f"Made {comparison.identity.describe()}. {_method_note(comparison)}"
        f"\n".replace("  ", " "),
    ]
    for evaluation in comparison.evaluations:
        parts.append(f"## {_name(evaluation)}\n")
        parts.append(_markdown_leaderboard(comparison, evaluation))
        parts.append(f"{_items_text(evaluation)}\n")
        if evaluation.pairs:
            parts.append(_markdown_pairs(evaluation))
        parts += [
            f"{note}\n" for note in evaluation_notes(comparison, evaluation)
        ]
    if comparison.protocols:
        head, *rows = _protocol_table(comparison)
        lines = ["---", *["---:"] * (len(head) - 1)]
        parts.append("## Protocols of events and segments\n")
        parts.append(_markdown_table([head, lines, *rows]))
        words = [*_protocol_words(comparison), protocol_note(comparison)]
        parts += [f"{word}\n" for word in words if word]
    parts.append(markdown_files(comparison.identity))
    return "\n".join(parts)


def _name(evaluation: ComparedEvaluation) -> str:
    return evaluation_name(next(iter(evaluation.results.values())))


def _markdown_leaderboard(
    comparison: Comparison, evaluation: ComparedEvaluation
) -> str:
    heads = ["rank", "system", *SHOWN_METRICS.values()]
    heads.append(f"d′ less that of {comparison.reference}")
    rows = [heads, ["---:", "---", *["---:"] * (len(heads) - 2)]]
    for name, result in evaluation.results.items():
        intervals = evaluation.intervals.get(name)
        row = [
            str(evaluation.rank(name, HEADLINE) or "–"),
            name,
            *(_cell(getattr(result, m), intervals, m) for m in SHOWN_METRICS),
        ]
        row.append(_difference_cell(comparison, evaluation, name, HEADLINE))
        rows.append(row)
    return _markdown_table(rows)


def _markdown_pairs(evaluation: ComparedEvaluation) -> str:
    rows = [["pair", "difference of d′", "p (Holm)"], ["---", "---:", "---:"]]
    for pair in evaluation.pairs:
        rows.append(
            [
                f"{pair.first} less {pair.second}",
                _interval_text(pair.difference, "+"),
                _p_text(pair.p_holm).removeprefix("p = ") or "–",
            ]
        )
    return _markdown_table(rows)


def _markdown_table(rows: list[list[str]]) -> str:
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n"
        for row in rows
    )


def comparison_text(comparison: Comparison) -> str:
    """Returns the leaderboards as a table for the console."""
    width = max(map(len, comparison.systems))
    lines = [
        f"Comparison of {len(comparison.systems)} systems "
        f"({comparison.identity.describe()})"
    ]
    for evaluation in comparison.evaluations:
        lines.append("")
        lines.append(f"{_name(evaluation)}. {_items_text(evaluation)}")
        lines += _console_rows(comparison, evaluation, width)
        lines += evaluation_notes(comparison, evaluation)
    if comparison.protocols:
        rows = _protocol_table(comparison)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append("")
        lines += ["  ".join(map(str.ljust, row, widths)) for row in rows]
        lines += [*_protocol_words(comparison), protocol_note(comparison)]
    lines += ["", _method_note(comparison)]
    return "\n".join(line.rstrip() for line in lines).rstrip()


def _console_rows(
    comparison: Comparison, evaluation: ComparedEvaluation, width: int
) -> Iterator[str]:
    heads = [
        f"{head.replace('′', chr(39)):<24}" for head in SHOWN_METRICS.values()
    ]
    heads.append(f"d' less {comparison.reference}")
    yield f"rank  {'system':<{width}}  {''.join(heads)}"
    for name, result in evaluation.results.items():
        intervals = evaluation.intervals.get(name)
        cells = "".join(
            f"{_cell(getattr(result, metric), intervals, metric):<24}"
            for metric in SHOWN_METRICS
        )
        rank = evaluation.rank(name, HEADLINE) or "–"
        difference = _difference_cell(comparison, evaluation, name, HEADLINE)
        yield f"{rank:>4}  {name:<{width}}  {cells}{difference}"


# --- comparison.html ---------------------------------------------------------


def render_comparison(comparison: Comparison) -> str:
    """Returns the page: an HTML document that loads nothing."""
    template = page_environment().get_template("comparison.html.jinja")
    return template.render(
        comparison=comparison,
        title=f"Comparison of {len(comparison.systems)} systems",
        method=_method_note(comparison),
        shown_metrics=SHOWN_METRICS,
        sections=[_section(comparison, e) for e in comparison.evaluations],
        protocols=_protocol_table(comparison) if comparison.protocols else [],
        protocol_words=_protocol_words(comparison),
        protocol_note=protocol_note(comparison),
    )


def _section(
    comparison: Comparison, evaluation: ComparedEvaluation
) -> dict[str, Any]:
    """Prepares what the page shows of one evaluation."""
    results = evaluation.results
    differences = {
        name: paired.overall[HEADLINE]
        for name, paired in evaluation.paired.items()
    }
    return {
        "name": _name(evaluation),
        "about": _items_text(evaluation),
        "notes": [
            note.replace("d'", "d′")
            for note in evaluation_notes(comparison, evaluation)
        ],
        "rows": [
            {
                "name": name,
                "rank": evaluation.rank(name, HEADLINE),
                "ranks": {m: evaluation.rank(name, m) for m in SHOWN_METRICS},
                "result": result,
                "intervals": evaluation.intervals.get(name),
                "difference": _difference_words(comparison, evaluation, name),
                "same": evaluation.not_distinguishable(name, comparison.level),
            }
            for name, result in results.items()
        ],
        "has_paired": bool(evaluation.paired),
        "values": _forest(
            {
                name: evaluation.intervals[name].overall[HEADLINE]
                for name in results
                if name in evaluation.intervals
            }
        ),
        "differences": _forest(
            {n: differences[n] for n in results if n in differences},
            sign="+",
            p_values={n: evaluation.p_holm[n][HEADLINE] for n in differences},
        ),
        "matrix": _matrix(evaluation),
        "changes": [
            {"name": name, **_changes(evaluation, name, comparison.reference)}
            for name in results
            if name in evaluation.paired
        ],
    }


def _difference_words(
    comparison: Comparison, evaluation: ComparedEvaluation, system: str
) -> list[str]:
    """Returns a difference of d', its interval and p-value, as lines."""
    text = _difference_cell(comparison, evaluation, system, HEADLINE)
    return [line for line in re.split(r" (?=\[|p = )", text) if line]


def _forest(
    intervals: dict[str, Interval],
    sign: str = "",
    p_values: dict[str, float] | None = None,
) -> dict[str, Any] | None:
    """Places intervals on a common axis, in % of its width; None without any.

    The axis of differences has 0 on it.
    """
    ends = [
        value
        for own in intervals.values()
        for value in (own.estimate, own.low, own.high)
        if math.isfinite(value)
    ]
    if not ends:
        return None
    low, high = min(ends), max(ends)
    if sign:
        low, high = min(low, 0.0), max(high, 0.0)
    span = high - low or 1.0
    low, high = low - 0.04 * span, high + 0.04 * span
    step = _tick_step(high - low)

    def place(value: float) -> float:
        # An infinite value lies on the edge.
        value = min(max(value, low), high)
        return round(100 * (value - low) / (high - low), 2)

    ticks = range(math.ceil(low / step), math.floor(high / step) + 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return {
        "zero": place(0.0) if low <= 0 <= high else None,
        "ticks": [
            (
                place(i * step),
                format_number(i * step, digits, sign if i else ""),
            )
            for i in ticks
        ],
        "rows": [
            {
                "name": name,
                "at": None if math.isnan(own.estimate) else place(own.estimate),
                "low": None if math.isnan(own.low) else place(own.low),
                "high": None if math.isnan(own.low) else place(own.high),
                "text": _interval_text(own, sign),
                "p_value": _p_text((p_values or {}).get(name, math.nan)),
            }
            for name, own in intervals.items()
        ],
    }


def _tick_step(span: float) -> float:
    """Returns 1, 2 or 5 times a power of ten: 3 to 7 ticks on the span."""
    power = float(f"1e{math.floor(math.log10(span / 4))}")
    return next(f * power for f in (1, 2, 5, 10) if span / (f * power) <= 6)


def _matrix(evaluation: ComparedEvaluation) -> dict[str, Any] | None:
    """Returns the differences of row less column; None without pairs."""
    if not evaluation.pairs:
        return None
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for pair in evaluation.pairs:
        p_text = _p_text(pair.p_holm)
        for own, key in (
            (pair.difference, (pair.first, pair.second)),
            (_turned_round(pair.difference), (pair.second, pair.first)),
        ):
            value, _, interval = _interval_text(own, "+").partition(" ")
            cells[key] = {"value": value, "range": interval, "p": p_text}
    names = list(evaluation.results)
    return {
        "names": names,
        "rows": [
            (name, [cells.get((name, other)) for other in names])
            for name in names
        ],
    }


def _changes(
    evaluation: ComparedEvaluation, system: str, reference: str
) -> dict[str, Any]:
    """Returns the classes in which a system gained and lost most."""
    ours, theirs = (
        evaluation.results[name].per_class for name in (system, reference)
    )
    table = ours[["mid", "display_name", "num_positives", "d_prime"]].merge(
        theirs[["mid", "d_prime"]], on="mid", suffixes=("", "_reference")
    )
    table = table.merge(evaluation.paired[system].per_class, on="mid")
    with np.errstate(invalid="ignore"):  # inf - inf
        table["change"] = table["d_prime"] - table["d_prime_reference"]
    names = table["display_name"]
    table["name"] = names.where(names != "", table["mid"])
    shown = table[np.isfinite(table["change"])].sort_values(
        "change", kind="stable"
    )
    gains = shown[shown["change"] > 0].iloc[::-1].head(_NUM_CHANGES)
    losses = shown[shown["change"] < 0].head(_NUM_CHANGES)
    is_sure = table["auc_difference_low"].to_numpy() > 0
    is_worse = table["auc_difference_high"].to_numpy() < 0
    return {
        "rows": [
            *gains.to_dict(orient="records"),
            *losses.iloc[::-1].to_dict(orient="records"),
        ],
        "num_better": int(is_sure.sum()),
        "num_worse": int(is_worse.sum()),
        "num_classes": int(table["auc_difference"].notna().sum()),
    }


# --- The figure --------------------------------------------------------------


def comparison_figure(comparison: Comparison) -> "Figure":
    """Draws d' of each system and its differences, with error bars.

    A row of panels for each evaluation with intervals (for the first one if
    none has any): d' on the left, differences from the reference on the right.
    """
    # Only a figure needs Matplotlib: the metrics work without it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [e for e in comparison.evaluations if e.intervals]
    shown = shown or list(comparison.evaluations[:1])
    num_systems = len(comparison.systems)
    figure = Figure(
        figsize=(7.2, len(shown) * (0.9 + 0.26 * num_systems)),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), 2, squeeze=False)
    for evaluation, (left, right) in zip(shown, axes, strict=True):
        names = list(evaluation.results)
        _draw_row(
            left,
            names,
            [
                evaluation.intervals[n].overall[HEADLINE]
                if n in evaluation.intervals
                else _without_interval(evaluation.results[n])
                for n in names
            ],
        )
        left.set_title(_name(evaluation), fontsize=9, loc="left")
        left.set_xlabel("d′", fontsize=8)
        _draw_row(
            right,
            names,
            [
                evaluation.paired[n].overall[HEADLINE]
                if n in evaluation.paired
                else None
                for n in names
            ],
        )
        right.axvline(0, color=_GREY, lw=0.8, zorder=0)
        right.set_yticklabels([])
        right.set_xlabel(f"d′ less that of {comparison.reference}", fontsize=8)
    return figure


def _without_interval(result: EvalResult) -> Interval:
    nan = math.nan
    return Interval(result.d_prime, nan, nan, None, None, 0)


def _draw_row(
    axis: Any, names: list[str], values: list[Interval | None]
) -> None:
    """Draws a panel: the first name at the top, bars from low to high."""
    for place, own in enumerate(values):
        if own is None or not math.isfinite(own.estimate):
            continue
        if math.isfinite(own.low) and math.isfinite(own.high):
            axis.plot([own.low, own.high], [place] * 2, color=_BLUE, lw=1.5)
        axis.plot(own.estimate, place, "o", color=_BLUE, ms=4)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="0.92", lw=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
