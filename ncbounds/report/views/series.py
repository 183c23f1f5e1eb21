"""Series along their steps: a file for programs, and lines for a terminal."""

from ncbounds.errors import printable
from ncbounds.report.data import ReportData
from ncbounds.report.steps import cells, frame, steps_of
from ncbounds.report.trend import words_of
from ncbounds.report.view import view
from ncbounds.report.views.csv import csv_text


@view("series.csv")
def series(report: ReportData) -> str:
    """One line a step of each series; empty where there is none."""
    table = frame(report)
    return csv_text(table) if len(table) else ""


def series_lines(report: ReportData) -> list[str]:
    """Compact tables along the steps of each series, with what can be said of it in words."""
    words = words_of(report)
    lines: list[str] = []
    for name, steps in steps_of(report).items():
        table = cells(steps)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += ["", f"{name}, step by step (certificate: {_which(report)}; the rest measured)"]
        lines += ["  ".join(c.rjust(w) for c, w in zip(row, widths)).rstrip() for row in table]
        lines += [str(word) for word in words if word.series == name]
    return [printable(line) for line in lines]


def _which(report: ReportData) -> str:
    if report.simultaneous:
        return "the smallest, all hold together"
    return "of the first bound, each at its own delta"
