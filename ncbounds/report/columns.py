"""Columns of the long table: the value of a row in each, and how it is written for reading."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.errors import printable
from ncbounds.registry import Registry
from ncbounds.report.cells import interval, shown_params, shown_value
from ncbounds.report.data import ReportData
from ncbounds.results import MARK, BoundResult, MeasureResult, Row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column of the long table.

    Attributes
    ----------
    name : str
        Its name in the frame and in the CSV file.
    value : callable
        Value of a row, which may be a measure without a ``value`` of its own; None or ``""`` where
        the row has none.
    written : callable or None
        Text of a row in the tables made for reading; None leaves the column out of them.
    title : str
        Over it in these tables; by default the name.
    right : bool
        Whether it is aligned to the right there.
    optional : bool
        Whether it is left out of a report none of whose rows has a value in it.
    """

    name: str
    value: Callable[[Row], Any]
    written: Callable[[Row], str] | None = None
    title: str = ""
    right: bool = False
    optional: bool = False

    def used(self, rows: Iterable[Row]) -> bool:
        """Whether it stands in a table of these rows."""
        return not self.optional or any(self.value(r) not in ("", None) for r in rows)


def all_reasons(r: Row) -> str:
    """Reasons of a row and of its measured error, in one line."""
    return printable("; ".join([*r.reasons, *(r.test.reasons if r.test else ())]))


def _params(r: Row) -> str:
    params = {k: str(v) if isinstance(v, float) and np.isinf(v) else v for k, v in r.params.items()}
    return json.dumps(params, sort_keys=True)


def _ratio(r: Row) -> float:
    """A certificate over the mean exact binomial bound from n fresh points."""
    if "oracle" not in r.details or not isinstance(r, BoundResult):
        return np.nan
    ratio: float = r.value / r.details["oracle"]
    return ratio


def shown_step(step: float) -> str:
    """A step as it is written: whole numbers without a point, nothing if it is not known."""
    return f"{step:.10g}" if np.isfinite(step) else ""


def _step(r: Row) -> float | None:
    return r.step if np.isfinite(r.step) else None


def _interval(r: Row) -> str:
    return "" if r.test is None else interval(r.test.error, r.test.low, r.test.high)


def _claim(r: Row) -> str:
    """Name of the error, where it has one, or of another loss; averages stand in the parameters."""
    return r.qualifier if r.of_error or r.params.get("loss") else ""


_SHIPPED = (
    Column("checkpoint", lambda r: r.checkpoint, lambda r: r.checkpoint),
    Column("bound", lambda r: r.bound, lambda r: r.bound),
    Column("params", _params, shown_params),
    Column("family", lambda r: r.family),
    Column("kind", lambda r: r.kind, lambda r: f"{MARK[r.kind]} {r.kind}"),
    Column("target", lambda r: r.target, lambda r: r.target),
    Column("role", lambda r: r.role, lambda r: r.role),
    Column("n", lambda r: r.n, lambda r: str(r.n), right=True),
    Column("delta", lambda r: r.delta),
    Column(
        "value",
        lambda r: r.value if isinstance(r, BoundResult) else np.nan,
        shown_value,
        right=True,
    ),
    Column("measure", lambda r: r.measure if isinstance(r, MeasureResult) else np.nan),
    Column(
        "test_error",
        lambda r: r.test.error if r.test else np.nan,
        _interval,
        title="test error",
        right=True,
    ),
    Column("test_low", lambda r: r.test.low if r.test else np.nan),
    Column("test_high", lambda r: r.test.high if r.test else np.nan),
    Column("reasons", all_reasons),
    Column("seconds", lambda r: r.seconds),
    # mean exact binomial bound from n fresh points at the measured error
    Column("oracle", lambda r: r.details.get("oracle", np.nan)),
    Column("ratio", _ratio),
    Column("claim", _claim, _claim, optional=True),
    Column("layer", lambda r: r.layer, lambda r: r.layer, optional=True),
    Column("series", lambda r: r.series, lambda r: r.series, optional=True),
    Column("step", _step, lambda r: shown_step(r.step), optional=True, right=True),
)

#: All columns; ``ncbounds.register(Column(...))`` adds one at the right.
ALL: Registry[Column] = Registry(Column, "column", lambda c: c.name, lambda: _SHIPPED)

#: Names of the columns that are always there, in their order; more may follow.
COLUMNS = tuple(c.name for c in _SHIPPED if not c.optional)


def frame(report: ReportData) -> "pd.DataFrame":
    """Return a frame of all columns; a failed checkpoint is one row with its reason."""
    import pandas as pd

    columns = [c for c in ALL if c.used(report.rows)]
    records = [{c.name: c.value(r) for c in columns} for r in report.rows]
    records += [
        {"checkpoint": f.checkpoint, "reasons": f.reason, "series": f.series, "step": f.step}
        for f in report.failures
    ]
    made = pd.DataFrame.from_records(records, columns=[c.name for c in columns])
    whole = [c for c in ("n", "step") if c in made and (made[c].dropna() % 1 == 0).all()]
    return made.astype(dict.fromkeys(whole, "Int64"))  # a failed checkpoint has no n


def readable(report: ReportData) -> list[tuple[Column, Callable[[Row], str]]]:
    """Columns of the tables made for reading, each with how it is written: in one line."""
    chosen = ((c, c.written) for c in ALL if c.written is not None and c.used(report.rows))
    return [(c, partial(_plain, written)) for c, written in chosen]


def _plain(written: Callable[[Row], str], r: Row) -> str:
    return printable(written(r))


def titles(report: ReportData) -> list[str]:
    """Titles of :func:`readable`."""
    return [c.title or c.name for c, _ in readable(report)]


def cells(report: ReportData) -> Iterator[list[str]]:
    """Lines of cells for reading; a failed checkpoint has its reason beside its name."""
    columns = readable(report)
    for r in report.rows:
        yield [written(r) for _, written in columns]
    for f in report.failures:
        yield [printable(f.checkpoint), printable(f.reason), *[""] * (len(columns) - 2)]
