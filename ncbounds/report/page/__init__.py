"""The page: one self-contained HTML file of a report."""

from ncbounds.report.page.page import page
from ncbounds.report.page.tab import Tab

__all__ = ["Tab", "page"]
