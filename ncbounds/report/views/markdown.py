"""Markdown."""

import re

from ncbounds.report.cells import legend
from ncbounds.report.columns import cells, readable, titles
from ncbounds.report.data import ReportData
from ncbounds.report.view import view

#: What would be markup inside a cell. An underscore inside a word, a tilde before a blank and a
#: bracket that no link follows are none, and stay as they read best.
_MARKUP = re.compile(
    r"""[\\`*|<>&$] | (?<!\w)_ | _(?!\w) | ~(?!\ ) | \](?=[(\[:]) | !(?=\[) | (?<=[:.])//"""
    r"""| (?i:(?<=www)\.)""",
    re.VERBOSE,
)


def escaped(cell: str) -> str:
    """A cell with everything that Markdown would read as markup escaped."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", cell)


@view("table.md")
def markdown(report: ReportData) -> str:
    """A table for reading."""
    rule = ["---:" if c.right else "---" for c, _ in readable(report)]
    rows = [titles(report), rule, *cells(report)]
    lines = [f"| {' | '.join(map(escaped, row))} |" for row in rows]
    return "\n".join([*lines, "", legend(), ""])
