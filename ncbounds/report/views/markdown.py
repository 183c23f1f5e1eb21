"""Markdown."""

from ncbounds.report.cells import legend
from ncbounds.report.columns import cells, readable, titles
from ncbounds.report.data import ReportData
from ncbounds.report.view import view


@view("table.md")
def markdown(report: ReportData) -> str:
    """A table for reading."""
    rule = ["---:" if c.right else "---" for c, _ in readable(report)]
    rows = [titles(report), rule, *cells(report)]
    lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join([*lines, "", legend(), ""])
