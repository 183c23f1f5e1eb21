"""Series along their steps: a file for programs, and lines for a terminal."""

from ncbounds.errors import printable
from ncbounds.lines import WIDTH, aligned, filled
from ncbounds.report.data import ReportData
from ncbounds.report.side_by_side import MANY, side_by_side
from ncbounds.report.steps import cells, frame, steps_of
from ncbounds.report.trend import words_of
from ncbounds.report.view import view
from ncbounds.tables.programs import csv_text


@view("series.csv")
def series(report: ReportData) -> str:
    """One line a step of each series; empty where there is none."""
    table = frame(report)
    return csv_text(table) if len(table) else ""


def series_lines(report: ReportData, width: int = WIDTH) -> list[str]:
    """Series side by side; if they are few, compact tables along their steps, and words."""
    words = words_of(report)
    series = steps_of(report)
    lines: list[str] = []
    if len(series) > 1 and (beside := side_by_side(series, words)):
        lines += [
            "",
            "series side by side (efficiency: lower end; all measured)",
            *aligned(beside, left=(), width=width),
        ]
    if len(series) >= MANY:
        return [printable(line) for line in [*lines, "step by step: table.md, series.csv"]]
    for name, steps in series.items():
        lines += ["", f"{name}, step by step (certificate: {_which(report)}; the rest measured)"]
        lines += aligned(cells(steps), left=(), width=width)
        said = [str(word) for word in words if word.series == name]
        lines += [line for text in said for line in filled(printable(text), width)]
    return [printable(line) for line in lines]


def _which(report: ReportData) -> str:
    if report.simultaneous:
        return "the smallest, all hold together"
    return "of the first bound, each at its own delta"
