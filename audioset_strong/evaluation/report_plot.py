"""A scatter plot as inline SVG: d' of each class against its positives.

Drawn here rather than with a plotting library so that the page stays one small
file whose points name their class when pointed at, and whose colours follow the
reader's light or dark theme (`report_style.py`).
"""

import html
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 36, 26, 50
# Where points of infinite d' are drawn, beyond the largest finite one.
_INFINITE_MARGIN = 0.3


def d_prime_plot(per_class: pd.DataFrame, label: str) -> str:
    """Draws d' against the number of positives, which is on a log scale.

    Classes with an infinite d' lie on the upper or lower edge, as triangles.

    Args:
      per_class: `EvalResult.per_class`.
      label: Says what is shown, for readers who do not see it.

    Returns:
      An `<svg>` element; "" without a class to show.
    """
    shown = per_class[per_class["auc"].notna()]
    if shown.empty:
        return ""
    low, high = _d_prime_limits(shown["d_prime"].to_numpy())
    # At least one decade, or the axis would have no tick but its ends.
    last_decade = max(1, math.ceil(math.log10(shown["num_positives"].max())))
    body = [
        *_grid(low, high, last_decade),
        *_points(shown, low, high, last_decade),
    ]
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(label)}">{"".join(body)}</svg>'
    )


def _d_prime_limits(
    d_primes: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> tuple[float, float]:
    """Returns the range of the vertical axis, always with 0 in it."""
    finite = d_primes[np.isfinite(d_primes)]
    low, high = min(0.0, *finite, 0.0), max(1.0, *finite, 1.0)
    if (d_primes == -np.inf).any():
        low -= _INFINITE_MARGIN
    if (d_primes == np.inf).any():
        high += _INFINITE_MARGIN
    return math.floor(low * 2) / 2, math.ceil(high * 2) / 2


def _x(num_positives: float, last_decade: int) -> float:
    span = _WIDTH - _LEFT - _RIGHT
    return _LEFT + span * math.log10(num_positives) / last_decade


def _y(d_prime: float, low: float, high: float) -> float:
    span = _HEIGHT - _TOP - _BOTTOM
    return _TOP + span * (high - d_prime) / (high - low)


def _grid(low: float, high: float, last_decade: int) -> Iterator[str]:
    """Draws the lines, their numbers and the names of the axes."""
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    # Half units, or whole ones where halves would crowd.
    step = 0.5 if high - low <= 4 else 1.0
    for tick in np.arange(math.ceil(low / step) * step, high + 1e-9, step):
        y = _y(tick, low, high)
        style = ' class="zero"' if tick == 0 else ""
        yield f'<path{style} d="M{_LEFT} {y:.1f}H{right}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="y">{tick:g}</text>'
    for decade in range(last_decade + 1):
        x = _x(10**decade, last_decade)
        yield f'<path d="M{x:.1f} {_TOP}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 20}">{10**decade:,}</text>'
    yield f'<text x="{_LEFT}" y="16" class="name start">d′</text>'
    yield (
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" class="name">'
        f"number of positives</text>"
    )


def _points(
    shown: pd.DataFrame, low: float, high: float, last_decade: int
) -> Iterator[str]:
    """Draws one point a class, which shows its name when pointed at."""
    columns = ("mid", "display_name", "num_positives", "d_prime")
    for mid, name, count, d_prime in zip(
        *(shown[c] for c in columns), strict=True
    ):
        text = f"{name or mid}: d′ {d_prime:.2f}, {count:,} positives"
        title = f"<title>{html.escape(text)}</title>"
        x = _x(count, last_decade)
        if math.isfinite(d_prime):
            y = _y(d_prime, low, high)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3">{title}</circle>'
        else:
            y, tip = (_TOP, 7) if d_prime > 0 else (_HEIGHT - _BOTTOM, -7)
            yield (
                f'<path class="infinite" d="M{x - 4:.1f} {y + tip}h8l-4 '
                f'{-tip}z">{title}</path>'
            )
