"""Tables of results beside measured error: frame, CSV, Markdown, LaTeX, HTML, terminal."""

from ncbounds.report.columns import COLUMNS, Column
from ncbounds.report.data import Failure, ReportData
from ncbounds.report.report import Report, load_report
from ncbounds.report.view import View, view

__all__ = [
    "COLUMNS",
    "Column",
    "Failure",
    "Report",
    "ReportData",
    "View",
    "load_report",
    "view",
]
