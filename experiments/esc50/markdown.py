"""Numbers, cells and tables of the documents, all formatted alike."""

from collections.abc import Iterable, Sequence
from typing import Any


def number(value: float | None, sign: str = "", metric: str = "") -> str:
    """Formats a number; of lwlrap, which differs less, with 3 digits."""
    return "-" if value is None else f"{value:{sign}z.{_digits(metric)}f}"


def _digits(metric: str) -> int:
    return 3 if metric.endswith("lwlrap") else 2


def interval(
    ends: Sequence[float] | None, sign: str = "", metric: str = ""
) -> str:
    """Formats an interval as [low, high]; "" for none.

    -0.00 keeps its sign, which says on which side of 0 it ends.
    """
    if ends is None:
        return ""
    low, high = (f"{end:{sign}.{_digits(metric)}f}" for end in ends)
    return f"[{low}, {high}]"


def cell(*texts: str) -> str:
    """Joins the lines of a cell that are there."""
    return "<br>".join(text for text in texts if text)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Formats a table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def listed(values: Iterable[Any]) -> str:
    """Joins values by commas."""
    return ", ".join(map(str, values))


def to_come(what: str) -> str:
    """Says that a part is not there yet."""
    return f"Still to come: {what}."
