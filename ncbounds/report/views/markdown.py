"""Markdown."""

from ncbounds.errors import printable
from ncbounds.report.data import ReportData
from ncbounds.report.side_by_side import side_by_side
from ncbounds.report.steps import cells as series_cells
from ncbounds.report.steps import steps_of
from ncbounds.report.tabulated import tabulated
from ncbounds.report.trend import words_of
from ncbounds.report.view import view
from ncbounds.tables.markdown import escaped, markdown_text, ruled


@view("table.md")
def markdown(report: ReportData) -> str:
    """A table of one line a checkpoint, and one along the steps of each series."""
    parts = [markdown_text(tabulated(report, kinds="all"))]
    words = words_of(report)
    found = steps_of(report)
    if len(found) > 1 and (beside := side_by_side(found, words)):
        parts += ["Series side by side, the efficiency by its lower end:", ""]
        parts += [*ruled(*beside), ""]
    for series, steps in found.items():
        parts += [f"Steps of {escaped(series)}:", "", *ruled(*series_cells(steps)), ""]
        parts += [f"- {escaped(printable(str(word)))}" for word in words if word.series == series]
    return "\n".join([*parts, *([""] if words else [])])
