"""Reports: what `evaluate` writes, and the table it prints.

`write_report` makes four files and, if asked, pictures for papers in a folder
`figures` (`figures.py`). `report.html` shows everything to a person
(`report_page.py`), `report.md` has tables for papers and issue trackers, and
`per_class.csv` has one row per evaluation, kind of negatives and class: C below
with undefined_reason. Its undefined cells are empty, infinite ones `inf` or
`-inf`.

`report.json` (schema version 3; numbers are null where undefined or infinite,
and notes say why):

    schema_version  3
    identity        {system_name; baseline_name, "" without one; date (UTC, ISO
                    8601); version (of this package); protocols [str]; files
                    {input: {path, sha256 (first 16 digits), num_bytes}} of the
                    inputs that are files or folders} (`identity.py`)
    inputs          {scores, baseline_scores, framed_labels, class_map, ...}:
                    path or null of each (clips only if given); and, where
                    there is something to say, what was done to them in words:
                    truth, scores_notes, baseline_scores_notes,
                    label_mapping, compared_classes, compared_clips
    rank_over       "all" or "evaluated": the classes that lwlrap ranks
    strong, weak    {negatives: E}, such as strong.explicit, without what was
                    not asked for
    baseline        {strong, weak} of the baseline, or null
    difference      {strong, weak} with D: scores minus baseline, or null
    protocols       [{name, source, values {metric: number}, parameters
                    {metric: {...}}, conditions {what: words}, classes [{mid,
                    display_name, num_events, ...}], baseline_values (of a
                    baseline)}]: protocols of events and segments
    label_problems  {num_left_out, num_doubtful: int; lines [str]}: label lines
                    that were left out, or kept though they look wrong; the
                    first 100 problems

    E  d_prime (of the mean AUC), mean_auc, mean_d_prime,
       mean_average_precision, lwlrap, balanced_lwlrap: number;
       num_classes (with an AUC), num_classes_lwlrap (with a positive),
       num_classes_infinite_d_prime, num_items, num_positives, num_negatives;
       intervals: I of the six metrics, or null;
       classes [C]; worst_items [W], or null; breakdowns [B], or null, with
       lengths_of: what event lengths and shares are of; reliability: R or null;
       notes [str]; undefined_classes [{mid, display_name, reason}];
       alignment: the fields of `Alignment`
    D  the same six metrics, and intervals: I of their differences, or null
    I  level, num_resamples, seed, num_clips, with a list of annotated clips
       num_groups (of clips, which were drawn), metrics {name: {low, high,
       num_undefined (resamples)}}; for E also median_bias of each metric, for D
       p_value (`resampling.py`)
    C  mid, display_name, num_positives, num_negatives, auc, d_prime,
       average_precision, lwlrap; with intervals auc_low and auc_high; with a
       baseline baseline_* and *_difference of these four; with both
       baseline_auc_low, baseline_auc_high, auc_difference_low and
       auc_difference_high
    W  kind ("false alarm" or "miss"), segment_id, label_frame, onset_seconds,
       offset_seconds (these three null for whole clips), mid, display_name,
       score, error, num_others, url ("" for none) (`details.py`)
    B  breakdown ("event length", "filled share" (of the clip, by the class) or
       "polyphony"), stratum, num_positives, num_classes, mean_auc, d_prime
       (`breakdowns.py`); with intervals
       d_prime_low and d_prime_high; with a baseline baseline_d_prime and
       d_prime_difference; with both baseline_d_prime_low,
       baseline_d_prime_high, d_prime_difference_low and
       d_prime_difference_high
    R  level, calibration_error, bins [{bin_low, bin_high, num_items,
       num_positives, mean_score, positive_share, positive_share_low,
       positive_share_high}] of those with items (`thresholds.py`)

The E of a baseline has reliability and no other table: those of the scores hold
the baseline's numbers.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from audioset_strong.evaluation.identity import ReportIdentity
from audioset_strong.evaluation.report_page import (
    evaluation_name,
    format_interval,
    format_number,
    format_p_value,
    format_range,
    render_page,
)
from audioset_strong.evaluation.resampling import Interval, ResamplingResult
from audioset_strong.evaluation.results import (
    OVERALL_METRICS,
    EvalDetails,
    EvalReport,
    EvalResult,
    compare_per_class,
    count_of,
    resamples_note,
    result_notes,
)
from audioset_strong.evaluation.thresholds import PooledReliability
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.labels.problems import ProblemLog

SCHEMA_VERSION = 3

_COUNTS = (
    "num_classes",
    "num_classes_lwlrap",
    "num_classes_infinite_d_prime",
    "num_items",
    "num_positives",
    "num_negatives",
)
# The columns of the console table that have intervals: their headings.
_CONSOLE_METRICS = {
    "d_prime": "d_prime",
    "mean_average_precision": "mAP",
    "lwlrap": "lwlrap",
}
# In the order of `OVERALL_METRICS`.
_MARKDOWN_HEAD = """\
|  | d′ | mean AUC | mean d′ | mAP | lwlrap | balanced lwlrap |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""
# Enough to see what is wrong with a file.
_MAX_PROBLEM_LINES = 100


def report_dict(report: EvalReport) -> dict[str, Any]:
    """Returns `report.json` (module docstring) as a dict."""
    # Each {evaluation: {negatives: ...}}.
    scores: dict[str, dict[str, Any]] = {"strong": {}, "weak": {}}
    baselines: dict[str, dict[str, Any]] = {"strong": {}, "weak": {}}
    differences: dict[str, dict[str, Any]] = {"strong": {}, "weak": {}}
    for result in report.results:
        evaluation, negatives = result.evaluation, result.negatives
        baseline = report.baseline_of(result)
        details = report.details_of(result)
        classes = compare_per_class(result, baseline, details)
        scores[evaluation][negatives] = _evaluation_dict(
            result,
            details.intervals,
            {
                "classes": _records(classes.drop(columns="undefined_reason")),
                "worst_items": _records(details.worst),
                "breakdowns": _records(details.breakdowns),
                "lengths_of": details.lengths_of,
                "reliability": _reliability_dict(details.reliability),
            },
            result_notes(result, baseline, details),
        )
        if baseline is not None:
            baselines[evaluation][negatives] = _evaluation_dict(
                baseline,
                details.baseline_intervals,
                {
                    "reliability": _reliability_dict(
                        details.baseline_reliability
                    )
                },
                result_notes(baseline),
            )
            differences[evaluation][negatives] = {
                **_differences(result, baseline),
                "intervals": _intervals_dict(details.paired),
            }
    has_baseline = bool(report.baseline_results)
    results: dict[str, Any] = as_json(
        {
            "schema_version": SCHEMA_VERSION,
            "identity": dataclasses.asdict(report.identity),
            "inputs": dict(report.inputs),
            "rank_over": report.rank_over,
            **scores,
            "baseline": baselines if has_baseline else None,
            "difference": differences if has_baseline else None,
            "protocols": _protocol_dicts(report),
            "label_problems": problems_dict(report.problems),
        }
    )
    return results


def _protocol_dicts(report: EvalReport) -> list[dict[str, Any]]:
    """Returns what protocols of events and segments gave."""
    of_baseline = {
        result.name: {"baseline_values": result.values}
        for result in report.baseline_protocols
    }
    return [
        {
            "name": result.name,
            "source": result.source,
            "values": result.values,
            "parameters": result.parameters,
            "conditions": result.conditions,
            "classes": result.per_class.to_dict(orient="records"),
            **of_baseline.get(result.name, {}),
        }
        for result in report.protocols
    ]


def _evaluation_dict(
    result: EvalResult,
    intervals: ResamplingResult | None,
    tables: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    """Returns E of the module docstring, its tables given."""
    undefined = result.undefined_classes[
        ["mid", "display_name", "undefined_reason"]
    ].rename(columns={"undefined_reason": "reason"})
    return {
        **_metrics(result),
        **{name: getattr(result, name) for name in _COUNTS},
        "intervals": _intervals_dict(intervals),
        **tables,
        "notes": notes,
        "undefined_classes": undefined.to_dict(orient="records"),
        "alignment": dataclasses.asdict(result.alignment),
    }


def _metrics(result: EvalResult) -> dict[str, float]:
    return {name: getattr(result, name) for name in OVERALL_METRICS}


def _differences(result: EvalResult, baseline: EvalResult) -> dict[str, float]:
    theirs = _metrics(baseline)
    return {name: v - theirs[name] for name, v in _metrics(result).items()}


def _intervals_dict(
    intervals: ResamplingResult | None,
) -> dict[str, Any] | None:
    """Returns I of the module docstring."""
    if intervals is None:
        return None
    return {
        "level": intervals.level,
        "num_resamples": intervals.num_resamples,
        "seed": intervals.seed,
        "num_clips": intervals.num_clips,
        **(
            {}
            if intervals.num_groups is None
            else {"num_groups": intervals.num_groups}
        ),
        # The metrics themselves stand beside the intervals.
        "metrics": {
            name: {
                key: value
                for key, value in dataclasses.asdict(interval).items()
                if key != "estimate" and value is not None
            }
            for name, interval in intervals.overall.items()
        },
    }


def _records(table: pd.DataFrame | None) -> list[dict[Any, Any]] | None:
    return None if table is None else table.to_dict(orient="records")


def _reliability_dict(found: PooledReliability | None) -> dict[str, Any] | None:
    """Returns R of the module docstring."""
    if found is None:
        return None
    table = found.curve.table()
    table = table[table["mid"] == "pooled"]
    has_items = found.curve.num_items[0] > 0
    bins = table.drop(columns=["mid", "display_name", "calibration_error"])
    # The pooled curve is of one class, and so twice in its table.
    bins = bins.head(int(has_items.sum())).assign(
        positive_share_low=found.low[has_items],
        positive_share_high=found.high[has_items],
    )
    return {
        "level": found.level,
        "calibration_error": float(found.curve.calibration_errors()[0]),
        "bins": _records(bins),
    }


def problems_dict(problems: ProblemLog) -> dict[str, Any]:
    """Returns `label_problems` of the module docstring."""
    shown = problems.problems[:_MAX_PROBLEM_LINES]
    return {
        "num_left_out": problems.num_left_out,
        "num_doubtful": problems.num_doubtful,
        "lines": [str(problem) for problem in shown],
    }


def as_json(value: Any) -> Any:
    """Returns what JSON can hold: None for missing and infinite numbers."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
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
    for scored in report.protocols:
        table = scored.per_class.copy()
        table.insert(0, "evaluation", scored.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_report(
    report: EvalReport,
    report_dir: str | os.PathLike[str],
    has_figures: bool = False,
) -> dict[str, Any]:
    """Writes the files of a report (module docstring) to a new or old folder.

    Args:
      report: What to write.
      report_dir: Folder.
      has_figures: Whether to write pictures too, which takes about 5 s.

    Returns:
      what `report.json` holds.
    """
    make_output_folder(report_dir)
    results = report_dict(report)
    texts = {
        "report.json": json.dumps(results, indent=2, allow_nan=False) + "\n",
        "per_class.csv": per_class_table(report).to_csv(index=False),
        "report.md": markdown_report(report),
        "report.html": render_page(report, os.fspath(report_dir)),
    }
    for name, text in texts.items():
        with open_output(os.path.join(report_dir, name)) as file:
            file.write(text)
    if has_figures:
        # Only pictures need Matplotlib.
        from audioset_strong.evaluation.figures import write_figures

        write_figures(report, os.path.join(report_dir, "figures"))
    return results


def markdown_report(report: EvalReport) -> str:
    """Returns `report.md`: a table for each evaluation, and what it is of.

    A row for each system and one for their difference, a column for each
    metric, each cell "value [low, high]".
    """
    head = f"# Evaluation of {report.identity.system_name}\n"
    made = f"Made {report.identity.describe()}.\n"
    sections = [_markdown_section(report, r) for r in report.results]
    sections += _markdown_protocols(report)
    return "\n".join([head, made, *sections, markdown_files(report.identity)])


def _markdown_protocols(report: EvalReport) -> list[str]:
    """Returns the table of protocols of events and segments, if any."""
    if not report.protocols:
        return []
    theirs = {r.name: r.values for r in report.baseline_protocols}
    heads = ["protocol", "metric", "value"]
    heads += ["baseline"] if theirs else []
    lines = [[*heads, "parameters"], ["---"] * (len(heads) + 1)]
    for result in report.protocols:
        for metric, value in result.values.items():
            numbers = [value]
            if theirs:
                numbers.append(theirs[result.name][metric])
            lines.append(
                [
                    result.name,
                    metric,
                    *(format_number(number, 4) for number in numbers),
                    result.parameter_text(metric),
                ]
            )
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    notes = "\n".join(
        f"{result.name}: {result.condition_text()}.\n"
        for result in report.protocols
    )
    return [f"## Protocols of events and segments\n\n{table}\n{notes}"]


def markdown_files(identity: ReportIdentity) -> str:
    """Returns the input files and their hashes as a table; "" without any."""
    if not identity.files:
        return ""
    rows = "".join(
        f"| {name} | {file.path} | {file.sha256} | {file.num_bytes:,} |\n"
        for name, file in identity.files.items()
    )
    return (
        f"## Inputs\n\n| input | path | SHA-256 | bytes |\n"
        f"| --- | --- | --- | ---: |\n{rows}"
    )


def _markdown_section(report: EvalReport, result: EvalResult) -> str:
    baseline, details = report.baseline_of(result), report.details_of(result)
    rows = [
        _markdown_row(
            report.identity.system_name, _metrics(result), details.intervals
        )
    ]
    if baseline is not None:
        rows += [
            _markdown_row(
                report.identity.baseline_name or "baseline",
                _metrics(baseline),
                details.baseline_intervals,
            ),
            _markdown_row(
                "difference",
                _differences(result, baseline),
                details.paired,
                sign="+",
            ),
        ]
    clips = count_of(result.alignment.num_clips_evaluated, "clip")
    frames = ""
    if result.evaluation == "strong":
        frames = f" ({count_of(result.num_items, 'label frame')})"
    ranked = "all scored" if report.rank_over == "all" else "the evaluated"
    what = (
        f"Negatives: {result.negatives}. {clips}{frames}, "
        f"{count_of(result.num_classes, 'class')} with a positive and a "
        f"negative, {count_of(result.num_positives, 'positive')}, "
        f"{count_of(result.num_negatives, 'negative')}; lwlrap ranks {ranked} "
        f"classes. {resamples_note(details)}".rstrip()
    )
    notes = "".join(
        f"\n{note}\n" for note in result_notes(result, baseline, details)
    )
    return (
        f"## {evaluation_name(result)}\n\n{_MARKDOWN_HEAD}{''.join(rows)}\n"
        f"{what}\n{notes}{_markdown_breakdowns(details)}"
    )


def _markdown_breakdowns(details: EvalDetails) -> str:
    """Returns the breakdowns as a table; "" without any."""
    if details.breakdowns is None:
        return ""
    shown = {
        column: head
        for column, head in (
            ("d_prime", "d′"),
            ("baseline_d_prime", "baseline"),
            ("d_prime_difference", "difference"),
        )
        if column in details.breakdowns
    }
    lines = [
        ["", *shown.values(), "positives", "classes"],
        ["---", *["---:"] * (len(shown) + 2)],
    ]
    for row in details.breakdowns.to_dict(orient="records"):
        cells = []
        for column in shown:
            sign = "+" if column.endswith("difference") else ""
            number = format_number(row[column], 2, sign)
            cells.append(f"{number} {format_range(row, column, 2, sign)}")
        counts = [
            f"{row[f'num_{what}']:,}" for what in ("positives", "classes")
        ]
        lines.append([f"{row['breakdown']}: {row['stratum']}", *cells, *counts])
    table = "".join(
        f"| {' | '.join(cell.rstrip() for cell in cells)} |\n"
        for cells in lines
    )
    return (
        f"\nd′ by event length, by the share of the clip that the class fills, "
        f"and by polyphony; lengths and shares are those of "
        f"{details.lengths_of}.\n\n{table}"
    )


def _markdown_row(
    name: str,
    values: dict[str, float],
    intervals: ResamplingResult | None,
    sign: str = "",
) -> str:
    cells = [name.replace("|", "\\|")]
    for metric, value in values.items():
        texts = (
            format_number(value, sign=sign),
            format_interval(intervals, metric, sign),
            format_p_value(intervals, metric),
        )
        cells.append(" ".join(text for text in texts if text))
    return f"| {' | '.join(cells)} |\n"


def headline_text(report: EvalReport) -> str:
    """Returns the overall metrics as a short table for the console.

    It is titled by the system's name. An interval stands below its number; the
    line of a baseline has the differences, and below them their intervals and
    p-values. The lines below the table say why numbers are infinite or
    undefined. The values of protocols of events and segments come last.
    """
    identity = report.identity
    title = f"Evaluation of {identity.system_name} ({identity.describe()})"
    scored = [line for p in report.protocols for line in p.lines()]
    scored += [
        line if line.startswith(" ") else f"baseline, {line}"
        for result in report.baseline_protocols
        for line in result.lines()
    ]
    if not report.results:
        return "\n".join([title, *scored])
    lines = [
        title,
        f"{_console_row('eval', 'negatives', _CONSOLE_METRICS.values())}"
        f"{'mean_auc':>9}{'mean_d_prime':>13}{'balanced_lwlrap':>16}"
        f"{'classes':>8}",
    ]
    for result in report.results:
        lines += [line.rstrip() for line in _console_rows(report, result)]
    for result in report.results:
        name = f"{result.evaluation} {result.negatives}"
        baseline = report.baseline_of(result)
        notes = result_notes(result, baseline, report.details_of(result))
        lines += [f"{name}: {note}" for note in notes]
    resamples = {resamples_note(report.details_of(r)) for r in report.results}
    return "\n".join([*lines, *sorted(resamples - {""}), *scored])


def _console_rows(report: EvalReport, result: EvalResult) -> Iterator[str]:
    baseline, details = report.baseline_of(result), report.details_of(result)
    numbers = [_console_number(getattr(result, m)) for m in _CONSOLE_METRICS]
    yield (
        f"{_console_row(result.evaluation, result.negatives, numbers)}"
        f"{_console_number(result.mean_auc):>9}"
        f"{_console_number(result.mean_d_prime):>13}"
        f"{_console_number(result.balanced_lwlrap):>16}{result.num_classes:>8}"
    )
    if details.intervals is not None:
        own = [details.intervals.overall[m] for m in _CONSOLE_METRICS]
        yield _console_row("", "", map(_console_interval, own))
    if baseline is None:
        return
    differences = _differences(result, baseline)
    numbers = [_console_number(differences[m], "+") for m in _CONSOLE_METRICS]
    yield _console_row("", "- baseline", numbers)
    if details.paired is not None:
        paired = [details.paired.overall[m] for m in _CONSOLE_METRICS]
        yield _console_row("", "", [_console_interval(d, "+") for d in paired])
        p_values = [
            format_p_value(details.paired, m, 3) for m in _CONSOLE_METRICS
        ]
        yield _console_row("", "", p_values)


def _console_row(evaluation: str, negatives: str, cells: Iterable[str]) -> str:
    shown = "".join(f"{cell:>17}" for cell in cells)
    return f"{evaluation:<7}{negatives:<19}{shown}"


def _console_number(value: float, sign: str = "") -> str:
    if math.isfinite(value):
        return f"{value:{sign}.3f}"
    return format_number(value)


def _console_interval(interval: Interval, sign: str = "") -> str:
    if math.isnan(interval.low):
        return ""
    low, high = (
        _console_number(i, sign) for i in (interval.low, interval.high)
    )
    return f"[{low}, {high}]"
