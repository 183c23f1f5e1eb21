"""Tables of results beside measured error: frame, CSV, Markdown, LaTeX, HTML, terminal."""

from ncbounds.report.columns import COLUMNS
from ncbounds.report.report import Failure, Report, load_report

__all__ = ["COLUMNS", "Failure", "Report", "load_report"]
