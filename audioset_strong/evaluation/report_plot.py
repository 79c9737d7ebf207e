"""Scatter plots as inline SVG: a metric of each class against its positives.

Drawn here rather than with a plotting library so that the page stays one small
file whose points name their class when pointed at, and whose colours follow the
reader's light or dark theme (`report_style.py`). The script makes the points of
a plot one stop of the Tab key, with arrow keys from one to the next.
"""

import dataclasses
import html
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

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
