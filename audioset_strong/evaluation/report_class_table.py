"""The per-class table of `report.html`, which sorts and filters.

Without its script the table is whole, by number of positives. The script reads
the cells themselves, so that nothing is in the page twice.
"""

from collections.abc import Iterator

import pandas as pd

from audioset_strong.evaluation.report_content import count_of
from audioset_strong.evaluation.report_numbers import format_number
from audioset_strong.evaluation.report_tables import escape

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
