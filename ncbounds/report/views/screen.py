"""The compact table: one line per checkpoint, families side by side with the measured error."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.report.cells import interval, legend, number, significant
from ncbounds.report.report import Report
from ncbounds.results import MARK, BoundResult, Row

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Column:
    """One column of the compact table: the row that it shows of each checkpoint.

    Of several ``bounds`` it is the first that says something, else the last that has a value: so
    what is claimed is always the claim of one row that was named beforehand. ``digits`` are
    decimals.
    """

    family: str
    title: str
    bounds: tuple[str, ...]
    on_fit: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    digits: int = 2

    def cell(self, rows: Iterable[Row]) -> str:
        """Mark and value, e.g. ``"✓ .208"``; empty if the checkpoint has no such row.

        A row about another classifier than the saved one has that one's measured error in brackets.
        From 10 on there is the power of ten, and a dash where nothing is defined.
        """
        found = [
            r
            for bound in self.bounds
            for r in rows
            if r.bound == bound
            and (r.role == "fit") == self.on_fit
            and dict(r.params) == dict(self.params)
            and isinstance(r, BoundResult)
        ]
        defined = [r for r in found if np.isfinite(r.value)]
        if not defined:
            return "–" if found else ""
        r = next((r for r in defined if r.value <= 1 - 10.0**-self.digits), defined[-1])
        own = ""
        if r.target != "saved" and r.test:
            own = f" ({number(r.test.error, 2) if np.isfinite(r.test.error) else '–'})"
        huge = f"10^{math.ceil(math.log10(r.value))}" if r.value >= 10 else ""
        return f"{MARK[r.kind]} {huge or number(r.value, self.digits, up=True)}{own}"


#: Columns in the order of the families; the one titled "fit" is a plug-in on the training sample.
SCREEN = (
    Column("", "held out", ("binomial",), digits=3),
    Column("margin", "Gauss", ("gaussian_head",)),
    Column("collapse", "subspace", ("collapsed_head",)),
    Column("collapse", "5-shot fit", ("ncm_few_shot",), True, {"m": 5}),
    Column("moments", "min-m", ("min_margin_cantelli",)),
    Column("moments", "G-tol", ("gaussian_tolerance",)),
    Column(
        "training",
        "data alone",
        ("compressed_network", "parameter_cover", "excess_capacity_conv"),
        on_fit=True,
    ),
)


#: Why there is no certificate, where nobody said how the points were drawn.
UNDECLARED = (
    "No certificate without a declared draw: if the points were drawn independently, say so "
    "with --sampling iid\n(sampling = 'iid' in zoo.toml, sampling='iid' in Python)."
)

_STYLES = {MARK["certificate"]: "green", MARK["plug-in"]: "dim"}


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
    return ["checkpoint", "n", "NC1", "test error [95 %]", *(c.title for c in SCREEN)]


def used(report: Report) -> list[int]:
    """Indices of :data:`SCREEN` columns that any checkpoint fills."""
    by_name: dict[str, list[Row]] = {}
    for r in report.rows:
        by_name.setdefault(r.checkpoint, []).append(r)
    return [
        i
        for i, c in enumerate(SCREEN)
        if any(c.cell(rows) not in ("", "–") for rows in by_name.values())
    ]


def table(report: Report) -> "Text":
    """Compact table for a terminal of 120 columns, with the families' names over their columns."""
    from rich.text import Text

    columns = [0, 1, 2, 3, *(4 + i for i in used(report))]
    body = [(block, [[row[i] for i in columns] for row in rows]) for block, rows in lines(report)]
    titles = [header()[i] for i in columns]
    everything = [titles, *(row for _, rows in body for row in rows)]
    widths = [max(len(row[i]) for row in everything) for i in range(len(columns))]
    families = ["", "", "", "measured", *(SCREEN[i - 4].family for i in columns[4:])]
    out = Text(no_wrap=True)
    out.append(_families(families, widths) + "\n", "dim")
    out.append(_joined(titles, widths) + "\n", "bold")
    out.append("─" * (sum(widths) + len(widths) - 1) + "\n", "dim")
    for block, rows in body:
        if block:
            out.append(f"{block}\n", "bold")
        for row in rows:
            out.append(f"{row[0]:<{widths[0]}}")
            for cell, width in zip(row[1:], widths[1:], strict=True):
                out.append(f" {cell:>{width}}", "dim" if "^" in cell else _STYLES.get(cell[:1]))
            out.append("\n")
    return out


def _joined(cells: list[str], widths: list[int]) -> str:
    pairs = list(zip(cells, widths, strict=True))
    return " ".join([f"{pairs[0][0]:<{pairs[0][1]}}", *(f"{c:>{w}}" for c, w in pairs[1:])])


def _families(families: list[str], widths: list[int]) -> str:
    """Each family's name, ending where the run of its columns ends."""
    text, ends = "", [sum(widths[: i + 1]) + i for i in range(len(widths))]
    for i, end in enumerate(ends):
        if families[i : i + 2] != [families[i]] * 2:
            text = f"{text} ".ljust(end - len(families[i])) + families[i]
    return text.rstrip()


def caption(report: Report) -> str:
    """What stands under the table: the marks, the columns, what delta was spent."""
    each = {r.delta for r in report.rows if r.delta == r.delta}
    spent = f"Each row may fail with probability {min(each):.3g}. " if each else ""
    if report.simultaneous:
        spent = f"All rows hold together; each spends delta {min(each):.3g}. " if each else ""
    certified = any(r.kind == "certificate" for r in report.rows)
    undeclared = any("is not declared" in reason for r in report.rows for reason in r.reasons)
    titles = [f"{SCREEN[i].title}: {', else '.join(SCREEN[i].bounds)}" for i in used(report)]
    return "\n".join(
        [
            legend(),
            f"{spent}n, NC1, 'fit' and 'data alone' columns: training sample.",
            "In brackets: measured error of the row's own target; 10^k is vacuous, – undefined. "
            "`ncbounds explain ID` explains:",
            *(f"  {line}" for line in _filled(titles)),
            *([UNDECLARED] if undeclared and not certified else []),
        ]
    )


def _filled(titles: list[str], width: int = 118) -> list[str]:
    """Titles in as few lines as it takes, broken between titles only."""
    unbroken = ", ".join(title.replace(" ", "\N{NO-BREAK SPACE}") for title in titles)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrap(unbroken, width)]


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
