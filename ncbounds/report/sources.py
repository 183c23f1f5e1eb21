"""Columns of a table of checkpoints: what each one says, as a cell and as numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ncbounds.errors import UnknownName, suggest
from ncbounds.report.cells import interval, number, shown_params, shown_value
from ncbounds.report.columns import shown_step
from ncbounds.report.compact import (
    COUNTED,
    Shown,
    Subject,
    by_subject,
    measured_title,
    nc1_of,
    shown_bound,
    used,
)
from ncbounds.report.data import ReportData
from ncbounds.report.saved import counted_on_holdout, measured_of
from ncbounds.results import MARK, BoundResult, Measured, Row
from ncbounds.tables import Cell

#: Decimals of a bound that is named.
DIGITS = 3


@dataclass(frozen=True)
class Entry:
    """One cell, the number in it (nan if there is none), and what a frame has of it."""

    cell: Cell
    number: float = math.nan
    values: dict[str, Any] = field(default_factory=dict)
    kind: str = ""


@dataclass(frozen=True)
class Source:
    """One column.

    ``entry`` takes the line, all its rows, those of the kinds and the claim that are shown, and the
    row to quote.
    """

    title: str
    entry: Callable[[Subject, list[Row], list[Row], BoundResult | None], Entry]
    family: str = ""
    measured: bool = False
    explained: str = ""


def sources(
    report: ReportData, kept: ReportData, names: Sequence[str] | None, claim: str | None
) -> list[Source]:
    """Columns by name, or those that say something.

    Raises
    ------
    UnknownName
        With the nearest known name.
    """
    measured = _measured(report, claim)
    shown = {c.title: _of_shown(c) for c in ([] if claim else used(kept))}
    if names is None:
        every = list(shown.values()) or [
            c for b in _bounds(kept) for c in _of_bound(kept, b, claim)
        ]
        return [*measured, *every]
    facts = list(
        dict.fromkeys(k for about in report.facts.values() for k in about.get("group", {}))
    )
    known: dict[str, list[Source]] = {
        "test_error": measured,
        "step": [Source("step", _step)],
        "n": [Source("n", partial(_n, report))],
        "NC1": [Source("NC1", partial(_nc1, report))],
        **{c.title: [c] for c in shown.values()},
        **{bound: _of_bound(kept, bound, claim) for bound in _bounds(kept)},
    }
    known = {**{key: [Source(key, partial(_fact, report, key))] for key in facts}, **known}
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        raise UnknownName(f"no column {missing!r}; {suggest(missing, [*known])}")
    return [source for name in names for source in known[name]]


def _bounds(kept: ReportData) -> list[str]:
    return list(dict.fromkeys(r.bound for r in kept.rows))


def _measured(report: ReportData, claim: str | None) -> list[Source]:
    """The measured error, else the one counted on held-out points; empty where none is known."""
    found = by_subject(report).values()
    if claim is not None:
        return [Source(measured_title(report), _claimed_error, "measured", measured=True)]
    if any(measured_of(rows) for rows in found):
        return [
            Source(
                measured_title(report),
                lambda _, rows, *__: _test(measured_of(rows)),
                "measured",
                True,
            )
        ]
    if any(counted_on_holdout(rows) is not None for rows in found):
        return [Source(COUNTED, _counted, "measured", measured=True)]
    return []


def _test(test: Measured | None) -> Entry:
    if test is None or math.isnan(test.error):
        return Entry(Cell(""))
    values = {"test_error": test.error, "test_low": test.low, "test_high": test.high}
    return Entry(Cell(interval(test.error, test.low, test.high)), test.error, values)


def _claimed_error(_: Subject, __: list[Row], kept: list[Row], ___: BoundResult | None) -> Entry:
    return _test(next((r.test for r in kept if r.test), None))


def _counted(_: Subject, rows: list[Row], *__: Any) -> Entry:
    rate = counted_on_holdout(rows)
    return Entry(Cell("")) if rate is None else Entry(Cell(number(rate)), rate, {"held_out": rate})


def _step(_: Subject, rows: list[Row], *__: Any) -> Entry:
    step = rows[0].step
    return Entry(Cell(shown_step(step)), step, {"step": step})


def _n(report: ReportData, subject: Subject, *_: Any) -> Entry:
    n = report.facts.get(subject[0], {}).get("n", {}).get("fit")
    return Entry(Cell("")) if n is None else Entry(Cell(str(n)), n, {"n": n})


def _nc1(report: ReportData, subject: Subject, *_: Any) -> Entry:
    text, value = nc1_of(report.facts.get(subject[0], {}))
    return Entry(Cell("" if subject[1] else text), value, {"NC1": value})


def _fact(report: ReportData, key: str, subject: Subject, *_: Any) -> Entry:
    value = report.facts.get(subject[0], {}).get("group", {}).get(key)
    counted = isinstance(value, (int, float)) and not isinstance(value, bool)
    size = float(value) if counted else math.nan
    return Entry(Cell("" if value is None else str(value)), size, {key: value})


def _of_shown(column: Shown) -> Source:
    """A column of the screen."""
    said = f"{column.title}: {', else '.join(column.bounds)}"

    def entry(_: Subject, __: list[Row], kept: list[Row], best: BoundResult | None) -> Entry:
        digits = {bound: c.digits for bound, c in column.of}
        r = column.row(kept)
        return Entry(Cell("")) if r is None else _bound(column.title, r, digits[r.bound], best)

    return Source(column.title, entry, column.heading, explained=said)


def _of_bound(kept: ReportData, bound: str, claim: str | None) -> list[Source]:
    """Columns of a bound: one for each of its parameters and samples.

    Where no claim was named they are about the error on average, if the bound has such rows.
    """
    every = [r for r in kept.rows if r.bound == bound]
    mine = [r for r in every if claim is not None or not _CLAIMED & r.params.keys()] or every
    both = len({r.role == "fit" for r in mine}) > 1
    found: dict[tuple[str, bool], None] = {}
    for r in mine:
        found[_params(r, claim), r.role == "fit"] = None

    def column(params: str, fit: bool) -> Source:
        title = " ".join(filter(None, [bound, params, "(fit)" if both and fit else ""]))

        def entry(_: Subject, __: list[Row], rows: list[Row], best: BoundResult | None) -> Entry:
            alike = (
                r
                for r in rows
                if r.bound == bound and _params(r, claim) == params and (r.role == "fit") == fit
            )
            return _entry(title, next(alike, None), best)

        return Source(title, entry)

    return [column(*which) for which in found]


#: Parameters that say which claim a row is about.
_CLAIMED = {"per", "loss"}


def _params(r: Row, claim: str | None) -> str:
    """Parameters of a row, without the claim that all rows of the table are about."""
    said = {k: v for k, v in r.params.items() if claim is None or k not in _CLAIMED}
    return shown_params(replace(r, params=said))


def _entry(title: str, r: Row | None, best: BoundResult | None) -> Entry:
    if r is None:
        return Entry(Cell(""))
    if isinstance(r, BoundResult):
        return _bound(title, r, DIGITS, best)
    text = f"{MARK[r.kind]} {shown_value(r)}"
    values = {title: r.measure, f"{title} kind": r.kind}
    return Entry(Cell(text, "", r.reasons), r.measure, values, r.kind)


def _bound(title: str, r: BoundResult, digits: int, best: BoundResult | None) -> Entry:
    style = "best" if r is best else "vacuous" if r.vacuous else ""
    cell = Cell(shown_bound(r, digits), style, r.reasons)  # type: ignore[arg-type]
    return Entry(cell, r.value, {title: r.value, f"{title} kind": r.kind}, r.kind)
