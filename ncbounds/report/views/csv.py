"""Comma-separated values with full precision."""

from ncbounds.report.columns import frame
from ncbounds.report.data import ReportData
from ncbounds.report.view import view


@view("table.csv")
def csv(report: ReportData) -> str:
    """The long table, one line a row."""
    return frame(report).to_csv(index=False, lineterminator="\n")
