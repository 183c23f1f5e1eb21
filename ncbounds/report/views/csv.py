"""Comma-separated values with full precision."""

import re
from typing import TYPE_CHECKING, Any

from ncbounds.errors import printable
from ncbounds.report.columns import frame
from ncbounds.report.data import ReportData
from ncbounds.report.view import view

if TYPE_CHECKING:
    import pandas as pd

#: What a spreadsheet takes for the start of a formula, in either width of Japanese keyboards.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def escaped(cell: Any) -> Any:
    """A cell that a spreadsheet shows as it is: words that it would compute start with ``'``."""
    if not isinstance(cell, str):
        return cell
    return printable(f"'{cell}" if _FORMULA.match(cell) or cell[:1].isspace() else cell)


def csv_text(table: "pd.DataFrame") -> str:
    """Return a frame as CSV."""
    words = table.select_dtypes(exclude=["number", "bool"]).columns
    safe = table.assign(**{name: table[name].map(escaped) for name in words})
    return safe.to_csv(index=False, lineterminator="\n")


@view("table.csv")
def csv(report: ReportData) -> str:
    """The long table, one line a row."""
    return csv_text(frame(report))
