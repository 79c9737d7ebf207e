"""How a report writes numbers."""

import math

from audioset_strong.evaluation.bootstrap import Interval
from audioset_strong.evaluation.paired_bootstrap import Difference

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
