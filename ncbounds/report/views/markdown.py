"""Markdown."""

import re
from collections.abc import Iterable

from ncbounds.errors import printable
from ncbounds.report.cells import legend
from ncbounds.report.columns import cells, readable, titles
from ncbounds.report.data import ReportData
from ncbounds.report.steps import cells as series_cells
from ncbounds.report.steps import steps_of
from ncbounds.report.trend import words_of
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
    """A table for reading, and one along the steps of each series."""
    rule = ["---:" if c.right else "---" for c, _ in readable(report)]
    parts = [*_lines([titles(report), rule, *cells(report)]), "", legend(), ""]
    words = words_of(report)
    for series, steps in steps_of(report).items():
        heading, *body = series_cells(steps)
        parts += [f"Steps of {escaped(printable(series))}:", ""]
        parts += [*_lines([heading, ["---:"] * len(heading), *body]), ""]
        parts += [f"- {escaped(printable(str(word)))}" for word in words if word.series == series]
    return "\n".join([*parts, *([""] if words else [])])


def _lines(rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(map(escaped, row))} |" for row in rows]
