"""The page: one self-contained HTML file of a report."""

from ncbounds.report.page.page import Tab, page

__all__ = ["Tab", "page"]
