"""The compact table: one line per checkpoint, families side by side with the measured error."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ncbounds.bounds import ScreenColumn, catalogue
from ncbounds.errors import printable
from ncbounds.evidence.asked import WORST
from ncbounds.report.cells import UNDEFINED, interval, number, significant
from ncbounds.report.columns import shown_step
from ncbounds.report.data import ReportData
from ncbounds.report.saved import counted_on_holdout, error_of, measured_of
from ncbounds.results import MARK, BoundResult, Row

#: Bounds whose rows about what was asked for have a column.
ASKED = ("binomial", "mean_loss")
#: Title of the errors of the held-out points themselves.
COUNTED = "held-out error"
#: Titles of what is known of the training sample.
OF_FIT = ("n", "NC1")


@dataclass(frozen=True)
class Shown:
    """One column of the compact table: the row that it shows of each checkpoint.

    Of several bounds it is the first that says something, else the last that has a value: so what
    is claimed is always the claim of one row that was named beforehand.
    """

    title: str
    of: tuple[tuple[str, ScreenColumn], ...]

    @property
    def heading(self) -> str:
        """What is written over the column."""
        return self.of[0][1].heading

    @property
    def bounds(self) -> tuple[str, ...]:
        """Ids of its bounds."""
        return tuple(bound for bound, _ in self.of)

    @property
    def on_fit(self) -> bool:
        """Whether it shows rows on the training sample."""
        return any(column.on_fit for _, column in self.of)

    def row(self, rows: Iterable[Row]) -> BoundResult | None:
        """Return the row that stands for a checkpoint; None if it has none."""
        rows = list(rows)
        found = [
            (r, c.digits)
            for bound, c in self.of
            for r in rows
            if r.bound == bound
            and (r.role == "fit") == c.on_fit
            and dict(r.params) == dict(c.params)
            and isinstance(r, BoundResult)
        ]
        defined = [(r, digits) for r, digits in found if np.isfinite(r.value)] or found
        says = (r for r, digits in defined if r.value <= 1 - 10.0**-digits)
        return next(says, defined[-1][0] if defined else None)

    def cell(self, rows: Iterable[Row]) -> str:
        """Mark and value, e.g. ``"✓ .208"``; empty if the checkpoint has no such row."""
        r = self.row(rows)
        return "" if r is None else shown_bound(r, dict(self.of)[r.bound].digits)


def shown_bound(r: BoundResult, digits: int) -> str:
    """Mark and value, e.g. ``"✓ .208"``.

    A row about another classifier than the saved one, or another error, has that one's measured
    error in brackets.
    From 10 on there is the power of ten, and a dash where nothing is defined.
    """
    if not np.isfinite(r.value):
        return UNDEFINED
    own = ""
    if (r.target != "saved" or not r.of_error) and r.test:
        own = f" ({number(r.test.error, 2)})"
    huge = f"10^{math.ceil(math.log10(r.value))}" if r.value >= 10 else ""
    return f"{MARK[r.kind]} {huge or number(r.value, digits, up=True)}{own}"


def columns() -> list[Shown]:
    """Columns of all bounds that have one, in their order."""
    declared = sorted(
        ((b.id, b.column) for b in catalogue() if b.column is not None),
        key=lambda pair: pair[1].order,
    )
    by_title: dict[str, list[tuple[str, ScreenColumn]]] = {}
    for name, column in declared:
        by_title.setdefault(column.title, []).append((name, column))
    return [Shown(title, tuple(of)) for title, of in by_title.items()]


def asked(report: ReportData) -> list[Shown]:
    """Columns of what was asked for beside the error: averages over classes and other losses."""
    found: dict[str, tuple[str, ScreenColumn]] = {}
    # the worst class stands there unasked; that it was asked for shows in rows of other bounds
    worst = any(r.params.get("per") == WORST and r.bound not in ASKED for r in report.rows)
    for r in report.rows:
        name = r.params.get("loss") or r.params.get("per")
        if r.role == "fit" or name is None or len(r.params) > 1 or r.bound not in ASKED:
            continue
        if r.params == {"per": WORST} and not worst:
            continue
        column = ScreenColumn(name, heading="asked for", params=dict(r.params), digits=3)
        found.setdefault(name, (r.bound, column))
    return [Shown(name, (one,)) for name, one in found.items()]


#: What a line is about: a checkpoint, and the place of it that was read, if one was named.
Subject = tuple[str, str]


def blocks(report: ReportData) -> dict[str, list[Subject]]:
    """What lines are about, by block of the checkpoint's group or series, as they first appear."""
    out: dict[str, list[Subject]] = {}
    series = {r.checkpoint: f"series {r.series}" for r in report.rows if r.series}
    for subject in by_subject(report):
        group = report.facts.get(subject[0], {}).get("group", {})
        out.setdefault(str(group.get("block", series.get(subject[0], ""))), []).append(subject)
    return out


class Lead(NamedTuple):
    """A column before those of bounds."""

    title: str
    cell: Callable[[Subject, list[Row]], str]
    measured: bool = False


def measured_title(report: ReportData) -> str:
    """Title of what was measured on the test sample: the error by its name, if it has one."""
    return f"test {error_of(report.rows) or 'error'} [95 %]"


def leading(report: ReportData) -> list[Lead]:
    """Columns that say which checkpoint it is, and what was measured; those that any line fills.

    The error that was counted on held-out points stands where there is no test sample.
    """
    found = by_subject(report)

    def n(subject: Subject, _: list[Row]) -> str:
        return str(report.facts.get(subject[0], {}).get("n", {}).get("fit", ""))

    def nc1(subject: Subject, _: list[Row]) -> str:
        # facts are about the head's features
        return "" if subject[1] else nc1_of(report.facts.get(subject[0], {}))[0]

    more = [
        Lead("step", lambda _, rows: shown_step(rows[0].step)),
        Lead("n", n),
        Lead("NC1", nc1),
        Lead(measured_title(report), lambda _, rows: _measured(rows), measured=True),
    ]
    used = [c for c in more if any(c.cell(s, rows) for s, rows in found.items())]
    if not any(c.measured for c in used):
        counted = Lead(COUNTED, lambda _, rows: _counted(rows), measured=True)
        used += [counted] if any(map(_counted, found.values())) else []
    name = Lead("checkpoint", lambda subject, _: printable(" ".join(subject).rstrip()))
    return [name, *used]


def lines(report: ReportData, shown: list[Shown]) -> list[tuple[str, list[list[str]]]]:
    """Blocks of lines of cells: those of :func:`header`."""
    rows, before = by_subject(report), leading(report)
    return [
        (
            printable(block),
            [
                [*(c.cell(s, rows[s]) for c in before), *(c.cell(rows[s]) for c in shown)]
                for s in subjects
            ],
        )
        for block, subjects in blocks(report).items()
    ]


def header(report: ReportData, shown: list[Shown]) -> list[str]:
    """Titles of the columns of :func:`lines`."""
    return [*(c.title for c in leading(report)), *(c.title for c in shown)]


def used(report: ReportData) -> list[Shown]:
    """Columns that any line fills."""
    found = by_subject(report).values()
    every = [*columns(), *asked(report)]
    return [c for c in every if any(c.cell(rows) not in ("", UNDEFINED) for rows in found)]


def by_subject(report: ReportData) -> dict[Subject, list[Row]]:
    """Rows of each line."""
    out: dict[Subject, list[Row]] = {}
    for r in report.rows:
        out.setdefault((r.checkpoint, r.layer), []).append(r)
    return out


def _measured(rows: list[Row]) -> str:
    test = measured_of(rows)
    return interval(test.error, test.low, test.high) if test else ""


def _counted(rows: list[Row]) -> str:
    rate = counted_on_holdout(rows)
    return "" if rate is None else number(rate)


def nc1_of(facts: Mapping[str, Any]) -> tuple[str, float]:
    """NC1 of the training sample, as a text and a number; nan where it is not known."""
    for metric in facts.get("collapse", {}).get("fit", []):
        if metric["metric"] == "NC1" and metric["value"] is not None:
            value = float(metric["value"])
            return significant(value), value
    return "", math.nan
