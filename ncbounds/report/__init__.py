"""Tables of results beside measured error: frame, CSV, Markdown, LaTeX, HTML, terminal."""

from ncbounds.report.report import COLUMNS, Failure, Report, load_report

__all__ = ["COLUMNS", "Failure", "Report", "load_report"]
