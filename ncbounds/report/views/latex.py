"""LaTeX."""

from ncbounds.report.data import ReportData
from ncbounds.report.tabulated import tabulated
from ncbounds.report.view import view
from ncbounds.tables.tex import latex_text


@view("table.tex")
def latex(report: ReportData) -> str:
    """A booktabs table of one line a checkpoint, as wide as the text of ``article`` at most."""
    return latex_text(tabulated(report, kinds="all"))
