"""Pages: one self-contained HTML file of a report, and one of the catalogue."""

from ncbounds.report.page.catalogue import catalogue_page
from ncbounds.report.page.page import page
from ncbounds.report.page.tab import Tab

__all__ = ["Tab", "catalogue_page", "page"]
