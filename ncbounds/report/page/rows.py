"""The table of the page: columns for sorting and reading, and what a row shows when it is opened.

Words stand once, in the order in which they first appear, and rows name them by number: a table of
20,000 rows repeats a few hundred words.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from ncbounds.errors import printable
from ncbounds.report.cells import number, shown_value
from ncbounds.report.columns import ALL, Column
from ncbounds.report.compact import blocks
from ncbounds.report.data import ReportData
from ncbounds.report.saved import judged_by
from ncbounds.report.whatif import whatif
from ncbounds.results import MARK, BoundResult, Row

#: Rows that one page holds; of more it shows those that guarantee something.
ROWS = 50_000
#: Rows that are restated, and the factors of their n.
CURVES, FACTORS = 300, (0.25, 0.5, 2.0, 4.0)
#: Columns that stand elsewhere: in other columns, or in an opened row.
_ELSEWHERE = ("measure", "test_low", "test_high", "reasons")
#: Columns that are there to be chosen.
_HIDDEN = ("family", "delta", "seconds", "oracle", "ratio", "group")
#: Values of a list that are written out.
LISTED = 12


def kept(report: ReportData) -> tuple[ReportData, str]:
    """Rows of the page, and a hint where they are not all."""
    if len(report.rows) <= ROWS:
        return report, ""
    rows: list[Row] = [r for r in report.rows if r.kind in ("certificate", "conditional")]
    what = "those that guarantee something"
    if not 0 < len(rows) <= ROWS:
        by_name: dict[str, list[Row]] = {}
        for r in report.rows:
            by_name.setdefault(r.checkpoint, []).append(r)
        judged = (judged_by(found, simultaneous=report.simultaneous) for found in by_name.values())
        rows = [*islice(filter(None, judged), ROWS)]
        what = "the one that each checkpoint is judged by"
    if not rows:
        rows, what = list(report.rows[:ROWS]), "the first"
    hint = (
        f"{len(report.rows):,} rows are too many for one page: it shows {len(rows):,} of them, "
        f"{what}. table.csv has all; `ncbounds report RUN --only PATTERN --out FOLDER` makes a "
        "page of the checkpoints whose names match."
    )
    return replace(report, rows=tuple(rows)), hint


def table(report: ReportData) -> dict[str, Any]:
    """Return the JSON-able table."""
    group = _group(report)
    chosen = [
        c
        for c in (*ALL, group)
        if c.name not in _ELSEWHERE
        and (c.written is not None or c.name in _HIDDEN)
        and c.used(report.rows)
    ]
    said: dict[str, int] = {}
    where: dict[str, int] = {}
    curves = _curves(report)
    opened = [_opened(r, report.facts.get(r.checkpoint, {}), said, where) for r in report.rows]
    for i, curve in curves.items():
        opened[i]["curve"] = curve
    return {
        "columns": [_column(c, report.rows) for c in chosen],
        "kinds": [r.kind for r in report.rows],
        "vacuous": [int(isinstance(r, BoundResult) and _empty(r)) for r in report.rows],
        "opened": opened,
        "said": [*said],
        "where": [*where],
        "marks": MARK,
    }


def _group(report: ReportData) -> Column:
    of = {s: block for block, subjects in blocks(report).items() for s in subjects}
    return Column("group", lambda r: of[r.checkpoint, r.layer], optional=True)


def _column(c: Column, rows: Iterable[Row]) -> dict[str, Any]:
    """Texts by number, and the numbers that they stand for where they are numbers."""
    words: dict[str, int] = {}
    at, raw = [], []
    for r in rows:
        value = _value(c, r)
        text = c.written(r) if c.written else _text(value)
        at.append(words.setdefault(printable(text), len(words)))
        raw.append(value if isinstance(value, (int, float)) else None)
    made: dict[str, Any] = {
        "name": c.name,
        "title": c.title or c.name.replace("_", " "),
        "right": c.right or any(x is not None for x in raw),
        "hidden": c.name in _HIDDEN,
        "words": [*words],
        "at": at,
    }
    if any(x is not None for x in raw):
        made["raw"] = [x if x is not None and math.isfinite(x) else str(x) for x in raw]
    return made


def _value(c: Column, r: Row) -> Any:
    """What a column sorts by: a measure among the values."""
    value = r.measure if c.name == "value" and not isinstance(r, BoundResult) else c.value(r)
    return value.item() if isinstance(value, np.generic) else value


def _empty(r: BoundResult) -> bool:
    """Whether it says nothing, or nothing that the written number shows."""
    return r.vacuous or float(number(r.value, up=True)) >= 1


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else number(value)
    return "" if value is None else str(value)


def _opened(
    r: Row, facts: Mapping[str, Any], said: dict[str, int], where: dict[str, int]
) -> dict[str, Any]:
    """What an opened row shows: terms, reasons, diagnostics, where it comes from."""
    reasons = [*r.reasons, *(r.test.reasons if r.test else ())]
    found: dict[str, Any] = {"text": shown_value(r)}
    if terms := {k: v for k, v in r.terms.items() if math.isfinite(v)}:
        found["terms"] = [[k, v, number(v)] for k, v in terms.items()]
    if reasons:
        found["said"] = [said.setdefault(printable(x), len(said)) for x in reasons]
    if r.details:
        names = facts.get("classes", [])
        found["details"] = [[k, _written(v, names)] for k, v in r.details.items()]
    if r.provenance:
        lines = "\n".join(f"{k}: {_written(v)}" for k, v in r.provenance.items() if v)
        found["where"] = where.setdefault(lines, len(where))
    return found


def _written(value: Any, names: Iterable[str] = ()) -> str:
    """A detail in words; a long list by its extent, one per class with the names of classes."""
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(str(k))} {_written(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple, np.ndarray)):
        items = list(value)
        if len(items) > LISTED:
            numbers = [x for x in items if isinstance(x, (int, float)) and math.isfinite(x)]
            extent = f", {number(min(numbers))} to {number(max(numbers))}" if numbers else ""
            return f"{len(items)} values{extent}"
        names = list(names)
        if len(names) == len(items):
            return ", ".join(f"{printable(n)} {_written(x)}" for n, x in zip(names, items))
        return ", ".join(map(_written, items))
    if isinstance(value, float):
        return number(value)
    return printable(str(value))


def _curves(report: ReportData) -> dict[int, list[list[Any]]]:
    """Value at other numbers of points of the first rows that say how, by their place."""
    found: dict[int, list[list[Any]]] = {}
    for i, r in enumerate(report.rows):
        if len(found) == CURVES:
            break
        if not isinstance(r, BoundResult) or r.kind not in ("certificate", "conditional"):
            continue
        restated = (p for f in FACTORS if r.n * f >= 1 for p in whatif([r], n=int(r.n * f))[0])
        points = [(p.n, p.value) for p in restated if isinstance(p, BoundResult)]
        points = [point for point in points if math.isfinite(point[1])]
        if points:
            points = sorted([*points, (r.n, r.value)])
            found[i] = [[n, value, number(value, up=True)] for n, value in points]
    return found
