"""The first picture: certificates of each checkpoint beside its measured error, on one axis."""

from typing import NamedTuple

import numpy as np

from ncbounds.errors import printable
from ncbounds.report.cells import interval, number
from ncbounds.report.compact import Subject, blocks
from ncbounds.report.data import ReportData
from ncbounds.report.saved import about_saved, judged_by, measured_of
from ncbounds.results import MARK, BoundResult, Measured, Row

#: Ends of the axis that read well.
_ENDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Lines of the picture; the table has all.
LINES = 300


class Dot(NamedTuple):
    """One certificate: where it stands in per cent of the axis; a vacuous one is on the rim."""

    family: str
    at: float
    vacuous: bool
    beyond: bool
    said: str


class Line(NamedTuple):
    """One checkpoint.

    ``low``, ``high`` and ``at`` are its measured error in per cent of the axis, nan if there is
    none; ``chosen`` is the row that it is judged by.
    """

    name: str
    at: float
    low: float
    high: float
    measured: str
    dots: tuple[Dot, ...]
    chosen: str
    by: str
    style: str


class Picture(NamedTuple):
    """Blocks of lines on one axis from 0 to ``end``."""

    end: float
    ticks: tuple[tuple[float, str], ...]
    families: tuple[str, ...]
    blocks: tuple[tuple[str, tuple[Line, ...]], ...]
    left_out: int


def picture(report: ReportData) -> Picture:
    """Return what the picture shows; empty blocks where nothing was evaluated."""
    rows: dict[Subject, list[Row]] = {}
    for r in report.rows:
        rows.setdefault((r.checkpoint, r.layer), []).append(r)
    chosen = {s: judged_by(found, simultaneous=report.simultaneous) for s, found in rows.items()}
    measured = {s: measured_of(found) for s, found in rows.items()}
    ends = [m.high for m in measured.values() if m and np.isfinite(m.high)]
    ends += [r.value for r in chosen.values() if r and not r.vacuous]
    end = next((e for e in _ENDS if e >= 1.1 * max(ends, default=1.0)), 1.0)
    shown, left = [], LINES
    for block, subjects in blocks(report).items():
        lines = tuple(
            _line(s, rows[s], measured[s], chosen[s], end)
            for s in subjects[:left]
            if measured[s] or chosen[s]
        )
        left -= len(lines)
        if lines:
            shown.append((printable(block), lines))
    families = {d.family: None for _, lines in shown for line in lines for d in line.dots}
    ticks = tuple((100.0 * i / 4, number(end * i / 4, 2)) for i in range(5))
    return Picture(end, ticks, tuple(families), tuple(shown), len(rows) - LINES + left)


def _line(
    subject: Subject, rows: list[Row], test: Measured | None, by: BoundResult | None, end: float
) -> Line:
    def at(x: float) -> float:
        return round(min(100.0 * x / end, 100.0), 2)

    dots: dict[str, Dot] = {}
    for r in about_saved(rows, "certificate"):
        before = dots.get(r.family)
        if before is None or (before.vacuous and not r.vacuous):
            said = f"{r.family}, {r.bound}: {number(r.value, up=True)}"
            dots[r.family] = Dot(r.family, at(r.value), r.vacuous, r.value > end, said)
    if by is not None and by.kind == "certificate":  # the one that is written beside it is drawn
        said = f"{by.family}, {by.bound}: {number(by.value, up=True)}"
        dots[by.family] = Dot(by.family, at(by.value), by.vacuous, by.value > end, said)
    style = "none" if by is None else "vacuous" if by.vacuous else by.kind
    nothing = (np.nan, np.nan, np.nan)
    middle, low, high = (at(test.error), at(test.low), at(test.high)) if test else nothing
    return Line(
        printable(" ".join(filter(None, subject))) or "classifier",
        middle,
        low,
        high,
        interval(test.error, test.low, test.high) if test else "",
        tuple(dots.values()),
        "no certificate" if by is None else f"{MARK[by.kind]} {number(by.value, up=True)}",
        "" if by is None else by.bound,
        style,
    )
