"""The first screen in words: what was evaluated, what to believe, what was found wrong."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ncbounds.bounds import find
from ncbounds.errors import few, printable
from ncbounds.report.cells import number
from ncbounds.report.data import ReportData
from ncbounds.report.notes import notes
from ncbounds.report.saved import about_saved, error_of, judged_by, measured_of
from ncbounds.report.views.screen import UNDECLARED
from ncbounds.results import MARK, BoundResult, Row

#: Reasons that are listed; the rows have all.
REASONS = 6


class Words(NamedTuple):
    """Sentences, by the question that they answer."""

    evaluated: list[str]
    believe: list[str]
    wrong: list[str]
    notes: list[str]


def words(report: ReportData) -> Words:
    """Return the groups of sentences."""
    said = [" ".join(line.split()) for line in notes(report)]
    return Words(_evaluated(report), _believe(report), _wrong(report), said)


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _span(numbers: Iterable[int]) -> str:
    low, *_, high = (sorted(numbers) * 2) or (0, 0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _evaluated(report: ReportData) -> list[str]:
    """Checkpoints, data, sizes of samples, delta."""
    names = {r.checkpoint for r in report.rows}
    tasks = {str(r.provenance.get("task") or r.provenance.get("data") or "") for r in report.rows}
    on = f" on {few(sorted(filter(None, tasks)))}" if tasks - {""} else ""
    said = [f"{_many(len(names), 'checkpoint')}{on}, {_many(len(report.rows), 'row')}."]
    sizes: dict[str, list[int]] = {}
    for facts in report.facts.values():
        for role, n in facts.get("n", {}).items():
            sizes.setdefault(role, []).append(int(n))
    if sizes:
        points = (f"{_span(n)} {role}" for role, n in sizes.items())
        said.append(f"Points by what they were used for: {', '.join(points)}.")
    each = sorted({r.delta for r in report.rows if np.isfinite(r.delta)})
    if each:
        delta = f"{each[0]:.3g}" + (f" to {each[-1]:.3g}" if len(each) > 1 else "")
        said.append(
            f"All rows hold together; each may fail with probability {delta}."
            if report.simultaneous
            else f"Each row may fail with probability {delta}, by itself."
        )
    return said


def _believe(report: ReportData) -> list[str]:
    """What certificates say, where measured errors are, and what is no guarantee."""
    by_name: dict[str, list[Row]] = {}
    for r in report.rows:
        by_name.setdefault(r.checkpoint, []).append(r)
    judged = {n: judged_by(rows, simultaneous=report.simultaneous) for n, rows in by_name.items()}
    says = {n: r for n, r in judged.items() if r and r.kind == "certificate" and not r.vacuous}
    said = [
        f"{MARK['certificate']} {len(says)} of {_many(len(by_name), 'checkpoint')} "
        f"{'has' if len(says) == 1 else 'have'} a certificate that says something"
        + (
            f": {error_of(says.values()) or 'error'} at most "
            f"{_between(r.value for r in says.values())}, certified by "
            f"{', '.join(sorted({r.bound for r in says.values()}))}."
            if says
            else "."
        )
    ]
    gaps = [r.value - m.error for n, r in says.items() if (m := measured_of(by_name[n]))]
    if gaps:
        said.append(
            f"It lies {number(float(np.median(gaps)))} above the measured error (median; "
            f"{number(min(gaps))} to {number(max(gaps))})."
        )
    counts = Counter(r.kind for r in report.rows)
    if counts["conditional"]:
        said.append(
            f"{MARK['conditional']} {_many(counts['conditional'], 'row')} only if the assumption "
            "that stands in them holds."
        )
    if counts["plug-in"]:
        said.append(
            f"{MARK['plug-in']} {_many(counts['plug-in'], 'row')} "
            f"{'is' if counts['plug-in'] == 1 else 'are'} no guarantee, however small the number."
        )
    vacuous = sum(r.vacuous for r in report.rows if isinstance(r, BoundResult))
    if vacuous:
        said.append(
            f"{_many(vacuous, 'row')} {'is' if vacuous == 1 else 'are'} vacuous (1 or more, or "
            "undefined): true, and empty."
        )
    return said


def _between(values: Iterable[float]) -> str:
    low, *_, high = sorted(values) * 2
    one = number(low, up=True) == number(high, up=True)
    return number(high, up=True) if one else f"{number(low, up=True)} to {number(high, up=True)}"


def _wrong(report: ReportData) -> list[str]:
    """Failures, certificates below what was measured, rows lowered by the evidence, by reason."""
    said = [
        f"Not evaluated: {printable(f.checkpoint)}: {printable(f.reason)}" for f in report.failures
    ][:REASONS]
    if len(report.failures) > REASONS:
        said.append(f"{len(report.failures) - REASONS} more were not evaluated.")
    below = [
        f"{r.checkpoint} ({r.bound})"
        for r in about_saved(report.rows, "certificate")
        if r.test and r.value < r.test.low
    ]
    if below:
        said.append(
            f"{_many(len(below), 'certificate')} below the measured interval: {few(below)}. About "
            "one in 1/delta may be; many mean that a declaration is not true."
        )
    if any(r.sampling == "unknown" for r in report.rows) and not any(
        r.kind == "certificate" for r in report.rows
    ):
        said.append(UNDECLARED)
    lowered: Counter[str] = Counter()
    for r in report.rows:
        b = find(r.bound)
        if b is not None and r.kind != b.kind and r.role != "fit":
            lowered.update(r.reasons)
    said += [
        f"{_many(count, 'row')} lowered: {printable(reason)}."
        for reason, count in lowered.most_common(REASONS)
    ]
    if len(lowered) > REASONS:
        said.append(f"{len(lowered) - REASONS} more reasons stand in the rows.")
    return said
