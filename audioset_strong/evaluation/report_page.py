"""Style sheet of `report.html`, kept in the page itself.

The page loads nothing from anywhere, so that it can be mailed, archived and
opened years later.

Script of `report.html`, kept in the page itself.

It sorts and filters the table of classes, shows the ROC curve of a chosen class
and names the points of plots. It reads what the page shows: numbers are what
the cells say, with the page's minus and infinity signs.

The short tables of `report.html`: changes, errors, and what was left out.

Scatter plots as inline SVG: a metric of each class against its positives.

Drawn here rather than with a plotting library so that the page stays one small
file whose points name their class when pointed at, and whose colours follow the
reader's light or dark theme (`report_style.py`). The script makes the points of
a plot one stop of the Tab key, with arrow keys from one to the next.

The ROC curve of a chosen class, as inline SVG.

The page holds every class's curve as an SVG path in units of a thousandth; its
script shows that of the class chosen. The first one is drawn here, so that the
plot is not empty without a script.

The per-class table of `report.html`, which sorts and filters.

Without its script the table is whole, by number of positives. The script reads
the cells themselves, so that nothing is in the page twice.

The overall metrics of `report.html`: the headline, and one evaluation's.

`report.html`: one page with everything, for a person.

The headline first, then one folding section an evaluation: what was evaluated
against which negatives, plots, the per-class table, the worst errors and what
was left out. The page is whole without its script, which sorts, filters and
shows the ROC curve of a chosen class.
"""

import dataclasses
import html
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.evaluation.items import Alignment
from audioset_strong.evaluation.report_text import (
    NEGATIVES,
    evaluation_name,
    format_interval,
    format_number,
    format_p_value,
)
from audioset_strong.evaluation.results import (
    EvalDetails,
    EvalReport,
    EvalResult,
    compare_per_class,
    count_of,
    resamples_note,
    result_notes,
)

# --- report style ----------------------------------------------------------


STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a;
  --line: #d0d7de; --paper: #fff; --band: #f6f8fa; --dot: #0550ae;
  --theirs: #953800; --warn: #7a4100; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #a3acb6; --line: #3d444d; --paper: #14181d;
    --band: #1d232a; --dot: #79b8ff; --theirs: #f0a36a; --warn: #f0b46a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0;
  overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0; display: inline; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { max-width: 46rem; margin: .5rem 0; }
.soft, caption { color: var(--soft); }
.note { color: var(--warn); }
.path { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.tall { max-height: 32rem; overflow-y: auto; border: 1px solid var(--line); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { width: 100%; }
caption { text-align: left; padding: .25rem 0; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line);
  text-align: right; vertical-align: baseline; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.tall thead th { position: sticky; top: 0; background: var(--band);
  z-index: 1; }
thead th { font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; }
/* Collapsed borders stay behind when a cell sticks, and rows of broken pixels
   hide those of the row above. */
.classes { border-collapse: separate; border-spacing: 0; }
.classes th:first-child { position: sticky; left: 0; min-width: 13rem;
  background: var(--paper); }
.classes thead th:first-child { background: var(--band); z-index: 2; }
.headline td { font-size: 1.15rem; }
.headline tbody th { font-weight: 600; }
.headline .small { font-weight: 400; }
.small, small { display: block; font-size: .8rem; color: var(--soft);
  line-height: 1.25rem; }
.range { font-size: .85rem; color: var(--soft); }
.small, small, .range, .changes td { white-space: nowrap; }
.headline th .small { white-space: normal; }
td.text { white-space: nowrap; }
tbody th { min-width: 7rem; }
.pair { display: grid; gap: .5rem 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.changes { width: 100%; }
details { border-top: 1px solid var(--line); padding: .75rem 0; }
summary { cursor: pointer; }
details details { border: 0; padding: .25rem 0; }
th button { all: unset; cursor: pointer; text-decoration: underline dotted;
  text-underline-offset: .2em; }
input, select { font: inherit; max-width: 100%; padding: .2rem .4rem;
  color: inherit; background: var(--paper); border: 1px solid var(--soft);
  border-radius: .25rem; }
th button:focus-visible, summary:focus-visible, .scroll:focus-visible,
input:focus-visible, select:focus-visible {
  outline: 2px solid var(--dot); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
figure { margin: 0; min-width: 0; }
figcaption { min-height: 1.5em; }
.plot { width: 100%; max-width: 46rem; height: auto; display: block; }
.square { max-width: 26rem; }
.plot path { stroke: var(--line); fill: none; }
.plot path.zero { stroke: var(--soft); }
.plot path.chance { stroke: var(--soft); stroke-dasharray: 1 4; }
.plot path.ours, .plot path.theirs { stroke: var(--dot); stroke-width: 2;
  vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.plot path.theirs { stroke: var(--theirs); stroke-dasharray: 6 4; }
.plot circle, .plot path.infinite { fill: var(--dot); stroke: none;
  fill-opacity: .65; }
.plot circle:focus, .plot path.infinite:focus { outline: none;
  stroke: var(--ink); stroke-width: 3; fill-opacity: 1; }
.plot text { fill: var(--soft); font-size: 13px; text-anchor: middle; }
.plot text.y { text-anchor: end; }
.plot text.name { fill: var(--ink); }
.plot text.start { text-anchor: start; }
@media (max-width: 30rem) {
  th, td { padding: .25rem .35rem; }
  .headline td { font-size: 1rem; }
  .classes th:first-child { min-width: 7rem; max-width: 9rem; }
  .classes small { overflow-wrap: anywhere; white-space: normal; }
  figcaption { min-height: 4.5em; }
  .points text { font-size: 20px; }
  .points circle { r: 4.5px; } }
"""


# --- report script ---------------------------------------------------------


SCRIPT = """
'use strict';

// "−0.50", "+∞" and "1,234" as numbers; NaN for "–".
const numberOf = cell => Number(cell.textContent.replace(/,/g, '')
  .replace('−', '-').replace('∞', 'Infinity'));
const nameOf = row => row.cells[0].firstChild.textContent;

for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const header = button.parentElement;
    const table = header.closest('table');
    const body = table.tBodies[0];
    const column = header.cellIndex;
    const isText = header.classList.contains('text');
    const now = header.getAttribute('aria-sort');
    const isUp = now === null ? isText : now === 'descending';
    const sign = isUp ? 1 : -1;
    for (const other of table.querySelectorAll('th[aria-sort]'))
      other.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', isUp ? 'ascending' : 'descending');
    const keyed = [...body.rows].map(row =>
      [isText ? nameOf(row) : numberOf(row.cells[column]), row]);
    keyed.sort(([x], [y]) => {
      if (isText) return sign * x.localeCompare(y);
      if (x !== x || y !== y) return (x !== x) - (y !== y);
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
    body.append(...keyed.map(([, row]) => row));
  });
}

for (const filter of document.querySelectorAll('.filter')) {
  filter.hidden = false;
  const input = filter.querySelector('input');
  const status = filter.querySelector('[role=status]');
  const rows = [...filter.nextElementSibling.querySelector('tbody').rows];
  const texts = rows.map(row => row.cells[0].textContent.toLowerCase());
  input.addEventListener('input', () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !texts[i].includes(wanted);
      shown += !row.hidden;
    });
    const of = rows.length + (rows.length === 1 ? ' class' : ' classes');
    status.textContent = wanted ? shown + ' of ' + of : of;
  });
}

for (const panel of document.querySelectorAll('.roc')) {
  const select = panel.querySelector('select');
  let curves = null;
  const show = () => {
    curves ??= JSON.parse(panel.querySelector('script').textContent);
    const [ours, theirs, text] = curves[select.value];
    panel.querySelector('.ours').setAttribute('d', ours);
    panel.querySelector('.theirs').setAttribute('d', theirs);
    panel.querySelector('svg').setAttribute('aria-label',
      'ROC curve of ' + select.selectedOptions[0].text);
    panel.querySelector('[role=status]').textContent = text;
  };
  select.addEventListener('change', show);
  // A browser that goes back keeps the choice and not the curve.
  window.addEventListener('pageshow', show);
}

for (const plot of document.querySelectorAll('.points')) {
  const caption = plot.nextElementSibling;
  const points = [...plot.querySelectorAll('circle, .infinite')];
  const say = point => {
    caption.textContent = point.querySelector('title').textContent;
  };
  points.forEach((point, i) => {
    point.setAttribute('tabindex', i ? -1 : 0);
    point.setAttribute('role', 'img');
  });
  const pointOf = event => event.target.closest('circle, .infinite');
  plot.addEventListener('focusin', event => say(pointOf(event)));
  plot.addEventListener('pointerover', event => {
    if (pointOf(event)) say(pointOf(event));
  });
  plot.addEventListener('keydown', event => {
    const step = { ArrowLeft: 1, ArrowUp: 1, ArrowRight: -1, ArrowDown: -1 };
    const next = points[points.indexOf(pointOf(event)) + step[event.key]];
    if (!next) return;
    event.preventDefault();
    pointOf(event).setAttribute('tabindex', -1);
    next.setAttribute('tabindex', 0);
    next.focus();
  });
}
"""


# --- report tables ---------------------------------------------------------


_LEFT_OUT = {
    "repeated": "Labels that repeat another",
    "contradicts_a_positive": "Negatives that contradict a positive",
    "clip_not_scored": "Labels of clips without scores",
    "class_not_scored": "Labels of classes that were not scored",
    "label_frame_not_scored": "Labels beyond the audio",
    "other_kind_of_negative": "Negatives of the other kind",
    "negative_of_a_clip_without_weak_labels": (
        "Negatives of clips without weak labels"
    ),
}
# Names of a list shown on the page; report.json has them all.
_MAX_NAMES = 10
# Classes that gained most, and as many that lost most.
_NUM_CHANGES = 10


def escape(value: object) -> str:
    """Writes a value as HTML text."""
    return html.escape(str(value))


def list_names(names: Iterable[str]) -> str:
    """Lists the first of many names."""
    listed = list(names)
    text = ", ".join(escape(name) for name in listed[:_MAX_NAMES])
    rest = len(listed) - _MAX_NAMES
    return f"{text} and {rest:,} more" if rest > 0 else text


def changes_table(table: pd.DataFrame) -> str:
    """Shows the classes that gained and lost most against the baseline.

    Args:
      table: `report_content.compare_per_class` with a baseline.

    Returns:
      Two tables, or a line that says why there are none.
    """
    change = table["d_prime_difference"]
    defined = table[np.isfinite(change)]
    ordered = defined.sort_values("d_prime_difference", kind="stable")
    gains = ordered[ordered["d_prime_difference"] > 0].iloc[::-1]
    losses = ordered[ordered["d_prime_difference"] < 0]
    num_infinite = int(
        (table["auc_difference"].notna() & ~np.isfinite(change)).sum()
    )
    note = ""
    if num_infinite:
        note = (
            f'<p class="soft">{count_of(num_infinite, "class")} with an '
            "infinite d′ of one or both are not among these.</p>"
        )
    return (
        f'<div class="pair">{_changes("Gained most", gains)}'
        f"{_changes('Lost most', losses)}</div>{note}"
    )


def _changes(caption: str, table: pd.DataFrame) -> str:
    if table.empty:
        return f'<p class="soft">{caption}: no class.</p>'
    head = (
        '<th scope="col">Class</th><th scope="col">d′ change</th>'
        '<th scope="col">d′</th><th scope="col">baseline</th>'
        '<th scope="col">positives</th>'
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(row["display_name"] or row["mid"])}</th>'
        f"<td><b>{format_number(row['d_prime_difference'], 2, '+')}</b></td>"
        f"<td>{format_number(row['d_prime'], 2)}</td>"
        f"<td>{format_number(row['baseline_d_prime'], 2)}</td>"
        f"<td>{row['num_positives']:,}</td></tr>"
        for row in table.head(_NUM_CHANGES).to_dict(orient="records")
    )
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{caption}"><table class="changes">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</div>"
    )


def worst_table(worst: pd.DataFrame, evaluation: str) -> str:
    """Shows `report_errors.worst_items`, a table of each kind of error."""
    tables = (
        _worst(worst[worst["kind"] == kind], caption, others, evaluation)
        for kind, caption, others in (
            (
                "false alarm",
                "False alarms: negatives that score high",
                "positives outscored",
            ),
            (
                "miss",
                "Misses: positives that score low",
                "negatives that outscore it",
            ),
        )
    )
    return (
        '<p class="soft">Errors are ranked within their class, by the share '
        "of the class’s positives that a negative outscores, or of its "
        "negatives that outscore a positive, a tie as half. A class with few "
        "of them counts for less. Shown are the worst of a clip, and at most "
        "three of a class. Some may be wrong labels."
        f"</p>{''.join(tables)}"
    )


def _worst(
    table: pd.DataFrame, caption: str, others: str, evaluation: str
) -> str:
    if table.empty:
        return f'<p class="soft">{caption}: none.</p>'
    is_strong = evaluation == "strong"
    heads = ["Rank", "Class", "Clip", *(["Seconds"] if is_strong else [])]
    head = "".join(f'<th scope="col" class="text">{h}</th>' for h in heads)
    rows = []
    for rank, row in enumerate(table.to_dict(orient="records"), start=1):
        seconds = ""
        if is_strong:
            seconds = (
                f'<td class="text">{row["onset_seconds"]:.2f}–'
                f"{row['offset_seconds']:.2f}</td>"
            )
        name = escape(row["display_name"] or row["mid"])
        # Halves, where scores tie.
        num_wrong = round(2 * row["error"] * (row["num_others"] + 1)) / 2
        wrong = f"{num_wrong:,.1f}".removesuffix(".0")
        rows.append(
            f'<tr><td>{rank}</td><th scope="row" class="text">{name}</th>'
            f'<td class="text">{escape(row["segment_id"])}</td>{seconds}'
            f"<td>{row['score']:.3g}</td><td>{wrong} of "
            f"{row['num_others']:,}</td></tr>"
        )
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{caption}"><table><caption>{caption}</caption><thead><tr>{head}'
        f'<th scope="col">Score</th><th scope="col">{others}</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def undefined_classes(result: EvalResult) -> str:
    """Lists the classes without d', by reason."""
    undefined = result.undefined_classes
    if undefined.empty:
        return ""
    items = []
    for reason, rows in undefined.groupby("undefined_reason"):
        pairs = zip(rows["display_name"], rows["mid"], strict=True)
        names = ", ".join(escape(name or mid) for name, mid in pairs)
        items.append(
            f"<details><summary>{len(rows):,}: {escape(reason)}</summary>"
            f"<p>{names}</p></details>"
        )
    return (
        f"<p>{len(undefined):,} classes are not in "
        f"the mean, for these reasons:</p>{''.join(items)}"
    )


def alignment_table(alignment: Alignment) -> str:
    """Shows what the score file and the labels do not share."""
    a = alignment
    listed = {
        "Labelled clips without scores": a.clips_not_scored,
        "Scored clips without labels": a.clips_without_labels,
        "Clips without a scored label frame": a.clips_without_scores,
        "Labelled classes without scores": a.mids_not_scored,
        "Scored classes without labels": a.mids_without_labels,
    }
    rows = [
        _alignment_row(name, len(names), list_names(names))
        for name, names in listed.items()
    ]
    rows.append(
        _alignment_row(
            "Label frames beyond the audio", a.num_label_frames_not_scored
        )
    )
    rows.extend(
        _alignment_row(_LEFT_OUT.get(reason, reason), count)
        for reason, count in a.labels_left_out.items()
    )
    return (
        f"<p>{a.num_clips_evaluated:,} clips were evaluated: those both among "
        f"the {a.num_clips_labelled:,} labelled and the {a.num_clips_scored:,} "
        f"scored ones. report.json has the whole lists.</p>"
        '<div class="scroll"><table class="wide"><caption class="hidden">'
        "Clips, classes and labels that were left out</caption><tbody>"
        f"{''.join(rows)}</tbody></table></div>"
    )


def _alignment_row(name: str, count: int, examples: str = "") -> str:
    below = f'<span class="small path">{examples}</span>' if examples else ""
    return f'<tr><th scope="row">{name}{below}</th><td>{count:,}</td></tr>'


# --- report plot -----------------------------------------------------------


_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 36, 26, 50
# Where points of infinite d' are drawn, beyond the largest finite one.
_INFINITE_MARGIN = 0.3


@dataclasses.dataclass(frozen=True)
class _Axes:
    """Range and ticks of a plot.

    Attributes:
      name: Of the vertical axis.
      low: Lower end of the vertical axis.
      high: Upper end.
      step: Between its ticks.
      last_decade: Of the horizontal axis, which starts at 1.
    """

    name: str
    low: float
    high: float
    step: float
    last_decade: int

    def x(self, num_positives: float) -> float:
        span = _WIDTH - _LEFT - _RIGHT
        return _LEFT + span * math.log10(num_positives) / self.last_decade

    def y(self, value: float) -> float:
        span = _HEIGHT - _TOP - _BOTTOM
        return _TOP + span * (self.high - value) / (self.high - self.low)


def d_prime_plot(per_class: pd.DataFrame, label: str) -> str:
    """Draws d' against the number of positives, which is on a log scale.

    Classes with an infinite d' lie on the upper or lower edge, as triangles.

    Args:
      per_class: `EvalResult.per_class`.
      label: Says what is shown, for readers who do not see it.

    Returns:
      A `<figure>` element; "" without a class to show.
    """
    shown = per_class[per_class["auc"].notna()]
    if shown.empty:
        return ""
    low, high = _d_prime_limits(shown["d_prime"].to_numpy())
    # Half units, or whole ones where halves would crowd.
    step = 0.5 if high - low <= 4 else 1.0
    axes = _Axes("d′", low, high, step, _last_decade(shown))
    return _figure(shown, "d_prime", axes, label)


def average_precision_plot(per_class: pd.DataFrame, label: str) -> str:
    """Draws average precision against the number of positives.

    Args:
      per_class: `EvalResult.per_class`.
      label: Says what is shown, for readers who do not see it.

    Returns:
      A `<figure>` element; "" without a class to show.
    """
    shown = per_class[per_class["average_precision"].notna()]
    if shown.empty:
        return ""
    axes = _Axes("AP", 0.0, 1.0, 0.2, _last_decade(shown))
    return _figure(shown, "average_precision", axes, label)


def _last_decade(shown: pd.DataFrame) -> int:
    # At least one decade, or the axis would have no tick but its ends.
    return max(1, math.ceil(math.log10(shown["num_positives"].max())))


def _d_prime_limits(d_primes: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Returns the range of the vertical axis, always with 0 in it."""
    finite = d_primes[np.isfinite(d_primes)]
    low, high = min(0.0, *finite, 0.0), max(1.0, *finite, 1.0)
    if (d_primes == -np.inf).any():
        low -= _INFINITE_MARGIN
    if (d_primes == np.inf).any():
        high += _INFINITE_MARGIN
    return math.floor(low * 2) / 2, math.ceil(high * 2) / 2


def _figure(shown: pd.DataFrame, metric: str, axes: _Axes, label: str) -> str:
    body = "".join([*_grid(axes), *_points(shown, metric, axes)])
    return (
        f'<figure><svg class="plot points" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="group" aria-label="{html.escape(label)}">{body}</svg>'
        '<figcaption class="soft" aria-hidden="true">Point at a class, or move '
        "through the classes with the arrow keys.</figcaption></figure>"
    )


def _grid(axes: _Axes) -> Iterator[str]:
    """Draws the lines, their numbers and the names of the axes."""
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    first = math.ceil(axes.low / axes.step)
    for index in range(first, math.floor(axes.high / axes.step + 1e-9) + 1):
        tick = index * axes.step
        y = axes.y(tick)
        style = ' class="zero"' if tick == 0 else ""
        yield f'<path{style} d="M{_LEFT} {y:.1f}H{right}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="y">{tick:g}</text>'
    for decade in range(axes.last_decade + 1):
        x = axes.x(10**decade)
        yield f'<path d="M{x:.1f} {_TOP}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 20}">{10**decade:,}</text>'
    yield f'<text x="{_LEFT}" y="16" class="name start">{axes.name}</text>'
    yield (
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" class="name">'
        f"number of positives</text>"
    )


def _points(shown: pd.DataFrame, metric: str, axes: _Axes) -> Iterator[str]:
    """Draws one point a class, most positives first, that names its class."""
    columns = ["mid", "display_name", "num_positives", metric]
    ordered = shown.sort_values("num_positives", ascending=False, kind="stable")
    for mid, name, count, value in ordered[columns].itertuples(index=False):
        text = f"{name or mid}: {axes.name} {value:.2f}, {count:,} positives"
        title = f"<title>{html.escape(text)}</title>"
        x = axes.x(count)
        if math.isfinite(value):
            y = axes.y(value)
            yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3">{title}</circle>'
        else:
            y, tip = (_TOP, 7) if value > 0 else (_HEIGHT - _BOTTOM, -7)
            yield (
                f'<path class="infinite" d="M{x - 4:.0f} {y + tip}h8l-4 '
                f'{-tip}z">{title}</path>'
            )


# --- report roc ------------------------------------------------------------


_UNITS = 1000
_SIZE, _LEFT_REPORT_ROC, _TOP_REPORT_ROC, _BOTTOM_REPORT_ROC = 320, 44, 12, 44


def roc_panel(table: pd.DataFrame, details: EvalDetails, key: str) -> str:
    """Shows the curves of an evaluation, one class at a time.

    Args:
      table: `report_content.compare_per_class`.
      details: Its curves.
      key: Tells this panel from others of the page.

    Returns:
      A choice of classes, the plot, and the curves as JSON:
      `[path, baseline's path or "", text]` a class, by the value of its choice.
      "" without curves.
    """
    if details.curves is None or not details.curves.points:
        return ""
    classes = table[table["mid"].isin(list(details.curves.points))]
    classes = classes.sort_values("num_positives", ascending=False)
    rows = classes.to_dict(orient="records")
    names = [str(row["display_name"] or row["mid"]) for row in rows]
    curves = [_curves_of_class(row, details) for row in rows]
    return (
        f'<div class="roc"><p><label for="roc-{key}">Class</label> '
        f'<select id="roc-{key}">{_options(names)}</select></p>'
        f"{_plot(curves[0], names[0])}"
        f"{_legend(details.baseline_curves is not None)}"
        f'<p role="status" aria-live="polite">{html.escape(curves[0][2])}</p>'
        f'<script type="application/json">{_as_json(curves)}</script></div>'
    )


def _curves_of_class(
    row: Mapping[Any, Any], details: EvalDetails
) -> tuple[str, str, str]:
    """Returns the paths of both systems, and what is said of them."""
    paths = [
        ""
        if curves is None or row["mid"] not in curves.points
        else curve_path(curves.points[row["mid"]])
        for curves in (details.curves, details.baseline_curves)
    ]
    return paths[0], paths[1], _text(row)


def _options(names: list[str]) -> str:
    """Lists classes by name, as a reader looks for them; the first is shown."""
    return "".join(
        f'<option value="{i}"{" selected" if i == 0 else ""}>'
        f"{html.escape(names[i])}</option>"
        for i in sorted(range(len(names)), key=lambda i: names[i].casefold())
    )


def curve_path(points: npt.NDArray[np.float64]) -> str:
    """Writes a curve as the path data of an SVG.

    Args:
      points: float64 `[num_points, 2]`, in [0, 1], from (0, 0) to (1, 1).

    Returns:
      A path from (0, 1000) to (1000, 0): y points down.
    """
    steps = np.diff(np.rint(points * _UNITS).astype(np.int64), axis=0)
    moves = " ".join(
        f"{x}{'' if y else ' '}{-y}" for x, y in steps.tolist() if x or y
    )
    return f"M0 {_UNITS}l{moves}"


def _text(values: Mapping[Any, Any]) -> str:
    """Says a class's AUC in words."""
    text = f"AUC {format_number(values['auc'], 4)}"
    if not np.isnan(values.get("auc_low", np.nan)):
        low, high = (values[f"auc_{end}"] for end in ("low", "high"))
        text += f" [{format_number(low, 4)}, {format_number(high, 4)}]"
    if "baseline_auc" in values:
        text += f", baseline {format_number(values['baseline_auc'], 4)}"
    return (
        f"{text}; {values['num_positives']:,} positives, "
        f"{values['num_negatives']:,} negatives"
    )


def _as_json(curves: list[tuple[str, str, str]]) -> str:
    """Writes JSON that cannot end the element it stands in."""
    text = json.dumps(curves, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _plot(curve: tuple[str, str, str], name: str) -> str:
    width, height = (
        _LEFT_REPORT_ROC + _SIZE + 16,
        _TOP_REPORT_ROC + _SIZE + _BOTTOM_REPORT_ROC,
    )
    right, bottom = _LEFT_REPORT_ROC + _SIZE, _TOP_REPORT_ROC + _SIZE
    ticks = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = _LEFT_REPORT_ROC + tick * _SIZE, bottom - tick * _SIZE
        ticks.append(
            f'<path d="M{_LEFT_REPORT_ROC} {y:g}H{right}M{x:g} {_TOP_REPORT_ROC}V{bottom}"/>'
            f'<text class="y" x="{_LEFT_REPORT_ROC - 6}" y="{y + 4:g}">{tick:g}</text>'
            f'<text x="{x:g}" y="{bottom + 18}">{tick:g}</text>'
        )
    scale = _SIZE / _UNITS
    return (
        f'<svg class="plot square" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="ROC curve of {html.escape(name)}">{"".join(ticks)}'
        f'<path class="chance" d="M{_LEFT_REPORT_ROC} {bottom}L{right} {_TOP_REPORT_ROC}"/>'
        f'<g transform="translate({_LEFT_REPORT_ROC} {_TOP_REPORT_ROC}) scale({scale:g})">'
        f'<path class="theirs" d="{curve[1]}"/>'
        f'<path class="ours" d="{curve[0]}"/></g>'
        f'<text class="name" x="{_LEFT_REPORT_ROC + _SIZE / 2:g}" y="{height - 8}">'
        "false positive rate</text>"
        f'<text class="name" transform="translate(12 {_TOP_REPORT_ROC + _SIZE / 2:g}) '
        'rotate(-90)">true positive rate</text></svg>'
    )


def _legend(has_baseline: bool) -> str:
    if not has_baseline:
        return '<p class="soft">Dotted: chance.</p>'
    return (
        '<p class="soft">Solid: scores. Dashed: baseline. Dotted: chance.</p>'
    )


# --- report class table ----------------------------------------------------


# Column of `compare_per_class`: heading, digits, sign.
_COLUMNS = {
    "d_prime": ("d′", 2, ""),
    "d_prime_difference": ("d′ change", 2, "+"),
    "average_precision": ("AP", 3, ""),
    "average_precision_difference": ("AP change", 3, "+"),
    "lwlrap": ("lwlrap", 3, ""),
    "lwlrap_difference": ("lwlrap change", 3, "+"),
    "num_positives": ("positives", 0, ""),
    "num_negatives": ("negatives", 0, ""),
    "auc": ("AUC", 4, ""),
    "auc_low": ("AUC low", 4, ""),
    "auc_high": ("AUC high", 4, ""),
    "auc_difference": ("AUC change", 4, "+"),
    "auc_difference_low": ("change low", 4, "+"),
    "auc_difference_high": ("change high", 4, "+"),
}


def class_table(table: pd.DataFrame, key: str) -> str:
    """Shows the classes that have an AUC or an lwlrap, most positives first.

    Args:
      table: `report_content.compare_per_class`.
      key: Tells this table from others of the page.

    Returns:
      A filter, hidden until the script runs, and the table.
    """
    table = table[table["auc"].notna() | table["lwlrap"].notna()]
    table = table.sort_values("num_positives", ascending=False, kind="stable")
    columns = {k: v for k, v in _COLUMNS.items() if k in table}
    heads = "".join(
        f'<th scope="col"{_first_sort(column)}><button type="button">{name}'
        f"</button></th>"
        for column, (name, _, _) in columns.items()
    )
    rows = "".join(_rows(table, columns))
    return (
        f'<p class="filter" hidden><label for="filter-{key}">Show classes with'
        f'</label> <input id="filter-{key}" type="search" autocomplete="off" '
        'placeholder="name or mid"> <span role="status" aria-live="polite">'
        f"{count_of(len(table), 'class')}</span></p>"
        '<div class="scroll tall" tabindex="0" role="region" '
        'aria-label="Per-class metrics"><table class="wide classes">'
        '<caption class="hidden">Metrics of each class; press a heading to '
        'sort</caption><thead><tr><th scope="col" class="text">'
        f'<button type="button">Class</button></th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<p class="soft">Press a heading to sort, again to turn the order '
        "round. Undefined numbers (–) stay last.</p>"
    )


def _first_sort(column: str) -> str:
    return ' aria-sort="descending"' if column == "num_positives" else ""


def _rows(
    table: pd.DataFrame, columns: dict[str, tuple[str, int, str]]
) -> Iterator[str]:
    for row in table.to_dict(orient="records"):
        name, mid = row["display_name"], row["mid"]
        below = f"<small>{escape(mid)}</small>" if name else ""
        cells = [f'<th scope="row">{escape(name or mid)}{below}</th>']
        for column, (_, digits, sign) in columns.items():
            value = row[column]
            if digits == 0:
                text = f"{value:,}"
            else:
                text = format_number(value, digits, sign)
            cells.append(f"<td>{text}</td>")
        yield f"<tr>{''.join(cells)}</tr>"


# --- report overall --------------------------------------------------------


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


# --- report page -----------------------------------------------------------


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
