"""The compact table: one line per checkpoint, families side by side with the measured error."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ncbounds.report.number import number, significant
from ncbounds.report.report import Report, Row, interval, legend
from ncbounds.results import MARK, BoundResult

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Column:
    """One column of the compact table: the row that it shows of each checkpoint.

    ``own_error`` appends the measured error of the row's own target, in brackets; ``digits`` are
    decimals.
    """

    family: str
    title: str
    bound: str
    on_fit: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    own_error: bool = False
    digits: int = 2

    def cell(self, rows: Iterable[Row]) -> str:
        """Mark and value, e.g. ``"✓ .208"``; empty if the checkpoint has no such row."""
        for r in rows:
            if (
                r.bound == self.bound
                and (r.role == "fit") == self.on_fit
                and dict(r.params) == dict(self.params)
                and isinstance(r, BoundResult)
            ):
                own = f" ({number(r.test.error, 2)})" if self.own_error and r.test else ""
                return f"{MARK[r.kind]} {number(r.value, self.digits, up=True)}{own}"
        return ""


#: Columns in the order of the families. "fit" columns are plug-ins: the training sample.
SCREEN = (
    Column("held out", "count", "binomial", digits=3),
    Column("margin", "Gauss", "gaussian_head"),
    Column("margin", "train", "gaussian_head", on_fit=True),
    Column("collapse", "subspace", "collapsed_head", own_error=True),
    Column("collapse", "5-shot train", "ncm_few_shot", True, {"m": 5}, own_error=True),
    Column("distribution", "2 mom.", "two_moment_tight"),
    Column("distribution", "min-m.", "min_margin_cantelli"),
    Column("distribution", "Gauss", "gaussian_tolerance"),
)


def blocks(report: Report) -> dict[str, list[str]]:
    """Checkpoints by block of their group, in order of first appearance."""
    names = dict.fromkeys([*(r.checkpoint for r in report.rows)])
    out: dict[str, list[str]] = {}
    for name in names:
        group = report.facts.get(name, {}).get("group", {})
        out.setdefault(str(group.get("block", "")), []).append(name)
    return out


def lines(report: Report) -> list[tuple[str, list[list[str]]]]:
    """Blocks of lines of cells: name, n, NC1, test error, then :data:`SCREEN`."""
    by_name: dict[str, list[Row]] = {}
    for r in report.rows:
        by_name.setdefault(r.checkpoint, []).append(r)
    return [
        (block, [_line(report, name, by_name[name]) for name in names])
        for block, names in blocks(report).items()
    ]


def header() -> list[str]:
    """Titles of the columns of :func:`lines`."""
    return ["checkpoint", "n", "NC1", "test error", *(c.title for c in SCREEN)]


def used(report: Report) -> list[int]:
    """Indices of :data:`SCREEN` columns that any checkpoint fills."""
    by_name: dict[str, list[Row]] = {}
    for r in report.rows:
        by_name.setdefault(r.checkpoint, []).append(r)
    return [i for i, c in enumerate(SCREEN) if any(c.cell(rows) for rows in by_name.values())]


def table(report: Report) -> "Table":
    """Compact table for a terminal of 120 columns."""
    from rich import box
    from rich.table import Table

    shown = used(report)
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    titles = header()
    for i, title in enumerate(titles):
        if i >= 4 and i - 4 not in shown:
            continue
        family = SCREEN[i - 4].family if i >= 4 else ("measured" if i == 3 else "")
        first = i >= 4 and (i == 4 or SCREEN[i - 5].family != family)
        top = family if i == 3 or first else ""
        out.add_column(
            f"[dim]{top}[/]\n{title}", justify="left" if i == 0 else "right", no_wrap=True
        )
    for block, rows in lines(report):
        if block:
            out.add_row(f"[bold]{block}[/]")
        for cells in rows:
            kept = cells[:4] + [cells[4 + i] for i in shown]
            out.add_row(*[_styled(c) for c in kept])
        out.add_section()
    return out


def caption(report: Report) -> str:
    """What stands under the table."""
    each = {r.delta for r in report.rows if r.delta == r.delta}
    spent = f"delta {min(each):.3g} each" if each else ""
    if report.simultaneous:
        spent = f"all rows together; {spent}"
    about = "n, NC1: training sample; in brackets: measured error of the row's own target"
    return f"{legend()}\n{spent}; {about}"


def _line(report: Report, name: str, rows: list[Row]) -> list[str]:
    facts = report.facts.get(name, {})
    n = facts.get("n", {}).get("fit", "")
    test = next((r.test for r in rows if r.target == "saved" and r.test), None)
    measured = interval(test.error, test.low, test.high) if test else ""
    return [name, str(n), _nc1(facts), measured, *(c.cell(rows) for c in SCREEN)]


def _nc1(facts: Mapping[str, Any]) -> str:
    for metric in facts.get("collapse", {}).get("fit", []):
        if metric["metric"] == "NC1":
            value = metric["value"]
            return significant(float(value)) if value is not None else ""
    return ""


def _styled(cell: str) -> str:
    if cell.startswith(MARK["certificate"]):
        return f"[green]{cell}[/]"
    if cell.startswith(MARK["plug-in"]):
        return f"[dim]{cell}[/]"
    return cell
