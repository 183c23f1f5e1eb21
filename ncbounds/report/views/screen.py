"""The compact table: one line per checkpoint, families side by side with the measured error."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.bounds import ScreenColumn, catalogue
from ncbounds.errors import printable
from ncbounds.evidence.asked import WORST
from ncbounds.report.cells import UNDEFINED, interval, legend, number, significant
from ncbounds.report.columns import shown_step
from ncbounds.report.data import ReportData
from ncbounds.report.notes import notes
from ncbounds.report.saved import error_of, measured_of
from ncbounds.report.view import view
from ncbounds.results import MARK, BoundResult, Row

if TYPE_CHECKING:
    from rich.text import Text


#: Bounds whose rows about what was asked for have a column.
ASKED = ("binomial", "mean_loss")


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

    def cell(self, rows: Iterable[Row]) -> str:
        """Mark and value, e.g. ``"✓ .208"``; empty if the checkpoint has no such row.

        A row about another classifier than the saved one, or another error, has that one's measured
        error in brackets.
        From 10 on there is the power of ten, and a dash where nothing is defined.
        """
        found = [
            (r, c.digits)
            for bound, c in self.of
            for r in rows
            if r.bound == bound
            and (r.role == "fit") == c.on_fit
            and dict(r.params) == dict(c.params)
            and isinstance(r, BoundResult)
        ]
        defined = [(r, digits) for r, digits in found if np.isfinite(r.value)]
        if not defined:
            return UNDEFINED if found else ""
        says = ((r, digits) for r, digits in defined if r.value <= 1 - 10.0**-digits)
        r, digits = next(says, defined[-1])
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


#: Why there is no certificate, where nobody said how the points were drawn.
UNDECLARED = (
    "No certificate without a declared draw: if the points were drawn independently, say so "
    "with --sampling iid\n(sampling = 'iid' in zoo.toml, sampling='iid' in Python)."
)

_STYLES = {MARK["certificate"]: "green", MARK["plug-in"]: "dim"}


#: What a line is about: a checkpoint, and the place of it that was read, if one was named.
Subject = tuple[str, str]


def blocks(report: ReportData) -> dict[str, list[Subject]]:
    """What lines are about, by block of the checkpoint's group or series, as they first appear."""
    out: dict[str, list[Subject]] = {}
    series = {r.checkpoint: f"series {r.series}" for r in report.rows if r.series}
    for subject in _by_subject(report):
        group = report.facts.get(subject[0], {}).get("group", {})
        out.setdefault(str(group.get("block", series.get(subject[0], ""))), []).append(subject)
    return out


def lines(report: ReportData, shown: list[Shown]) -> list[tuple[str, list[list[str]]]]:
    """Blocks of lines of cells: those of :func:`header`."""
    rows = _by_subject(report)
    told = _has_steps(report), _knows_fit(report)
    return [
        (printable(block), [_line(report, s, rows[s], shown, *told) for s in subjects])
        for block, subjects in blocks(report).items()
    ]


def header(report: ReportData, shown: list[Shown]) -> list[str]:
    """Titles of the columns of :func:`lines`."""
    step = ["step"] if _has_steps(report) else []
    of_fit = ["n", "NC1"] if _knows_fit(report) else []
    measured = f"test {error_of(report.rows) or 'error'} [95 %]"
    return ["checkpoint", *step, *of_fit, measured, *(c.title for c in shown)]


def used(report: ReportData) -> list[Shown]:
    """Columns that any line fills."""
    found = _by_subject(report).values()
    every = [*columns(), *asked(report)]
    return [c for c in every if any(c.cell(rows) not in ("", UNDEFINED) for rows in found)]


def table(report: ReportData) -> "Text":
    """Compact table for a terminal of 120 columns, with the families' names over their columns."""
    from rich.text import Text

    shown = used(report)
    body, titles = lines(report, shown), header(report, shown)
    everything = [titles, *(row for _, rows in body for row in rows)]
    widths = [max(len(row[i]) for row in everything) for i in range(len(titles))]
    families = [*[""] * (len(titles) - len(shown) - 1), "measured", *(c.heading for c in shown)]
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


@view("screen", file=False)
def screen(report: ReportData) -> str:
    """The compact table with its caption, as plain text."""
    return f"{table(report).plain}{caption(report)}\n" if report.rows else ""


def _by_subject(report: ReportData) -> dict[Subject, list[Row]]:
    out: dict[Subject, list[Row]] = {}
    for r in report.rows:
        out.setdefault((r.checkpoint, r.layer), []).append(r)
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


def caption(report: ReportData) -> str:
    """What stands under the table: the marks, the columns, what delta was spent."""
    each = {r.delta for r in report.rows if r.delta == r.delta}
    spent = f"Each row may fail with probability {min(each):.3g}. " if each else ""
    if len(each) > 1:
        spent = f"Each row may fail with its own delta, {min(each):.3g} to {max(each):.3g}. "
    if report.simultaneous:
        spent = f"All rows hold together; each spends delta {min(each):.3g}. " if each else ""
    certified = any(r.kind == "certificate" for r in report.rows)
    undeclared = any(r.sampling == "unknown" for r in report.rows)
    shown = used(report)
    titles = [f"{c.title}: {', else '.join(c.bounds)}" for c in shown]
    of_fit = ["n", "NC1"] if _knows_fit(report) else []
    of_fit += [c.title for c in shown if c.on_fit]
    if of_fit:
        spent += f"Training sample: {', '.join(of_fit)}."
    return "\n".join(
        [
            legend(),
            *([spent.rstrip()] if spent else []),
            "In brackets: measured error of the row's own target; 10^k is vacuous, – undefined. "
            f"`ncbounds explain ID` explains{':' if titles else ' a bound.'}",
            *(f"  {line}" for line in _filled(titles)),
            *notes(report),
            *([UNDECLARED] if undeclared and not certified else []),
        ]
    )


def _filled(titles: list[str], width: int = 118) -> list[str]:
    """Titles in as few lines as it takes, broken between titles only."""
    unbroken = ", ".join(title.replace(" ", "\N{NO-BREAK SPACE}") for title in titles)
    return [
        line.replace("\N{NO-BREAK SPACE}", " ")
        for line in wrap(unbroken, width, break_on_hyphens=False)
    ]


def _line(
    report: ReportData,
    subject: Subject,
    rows: list[Row],
    shown: list[Shown],
    steps: bool,
    fit: bool,
) -> list[str]:
    name, layer = subject
    facts = report.facts.get(name, {})
    test = measured_of(rows)
    measured = interval(test.error, test.low, test.high) if test else ""
    of_fit = []
    if fit:  # facts are about the head's features
        of_fit = [str(facts.get("n", {}).get("fit", "")), "" if layer else _nc1(facts)]
    label = printable(f"{name} {layer}".rstrip())
    step = [shown_step(rows[0].step)] if steps else []
    return [label, *step, *of_fit, measured, *(c.cell(rows) for c in shown)]


def _has_steps(report: ReportData) -> bool:
    return any(np.isfinite(r.step) for r in report.rows)


def _knows_fit(report: ReportData) -> bool:
    """Whether anything is known of a training sample, which the columns n and NC1 are about."""
    return any("fit" in report.facts.get(r.checkpoint, {}).get("n", {}) for r in report.rows)


def _nc1(facts: Mapping[str, Any]) -> str:
    for metric in facts.get("collapse", {}).get("fit", []):
        if metric["metric"] == "NC1":
            value = metric["value"]
            return significant(float(value)) if value is not None else ""
    return ""
