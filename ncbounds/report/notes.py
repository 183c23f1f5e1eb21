"""What has to be said under a table of many rows, and stands in none of them."""

from collections.abc import Iterable

import numpy as np

from ncbounds.bounds import find
from ncbounds.errors import few, printable
from ncbounds.report.cells import number
from ncbounds.report.data import ReportData
from ncbounds.report.saved import about_saved
from ncbounds.report.whatif import whatif
from ncbounds.results import MARK, ONE_ERROR, SUBSET_ERROR, BoundResult

#: Series that are named; more are counted.
NAMED = 3


def notes(report: ReportData) -> list[str]:
    """Lines on choices among checkpoints and in files, on missing heads, on points that repeat."""
    of_choices = (_choice, _series, _logs, _predictions, _weights)
    of_points = (_equal, _copies, _lowered, _labels, _remarks)
    return [line for about in (*of_choices, *of_points) for line in about(report)]


def _choice(report: ReportData) -> list[str]:
    """The smallest of a column is a choice; what it would be if all rows held together."""
    many = len({r.checkpoint for r in report.rows})
    found = [
        r
        for r in about_saved(report.rows, "certificate")
        if r.role != "fit"
        and r.details.get("selected_among", 1) < many  # else the choice is paid for
    ]
    series: dict[str, set[str]] = {}
    for r in report.rows:
        series.setdefault(r.series, set()).add(r.checkpoint)
    if many < 2 or not found or report.simultaneous:
        return []
    among = f"{many} checkpoints"
    if [*series] != [""]:
        runs = [f"{len(names)} of {run}" for run, names in series.items() if run]
        whole = len(series) == 1
        among += (
            f" of the run {printable(*series)}"
            if whole
            else f" ({few(runs)})"
            if len(runs) <= NAMED
            else f" of {len(runs)} series"
        )
    says = f"The smallest of a column is a choice among {among}, and no certificate by itself"
    if not report.planned:
        return [f"{says}."]
    best = min(found, key=lambda r: r.value)
    each = best.delta / report.planned
    says += f"; --simultaneous would give each row delta {each:.2g}"
    together, _ = whatif([best], delta=each)
    # a subset error and a one-error are no two of which one is smaller
    if len({r.qualifier for r in found}) == 1 and together and isinstance(together[0], BoundResult):
        says += (
            f": the smallest of all, {MARK[best.kind]} {number(best.value, up=True)} "
            f"({best.bound}, {best.checkpoint}), would be {number(together[0].value, up=True)}"
        )
    return [f"{says}."]


def _series(report: ReportData) -> list[str]:
    """What the steps of each series count, and where that was read."""
    units: dict[str, str] = {}
    unknown: dict[str, dict[str, None]] = {}
    for r in report.rows:
        if r.series and not np.isfinite(r.step):
            unknown.setdefault(r.series, {})[r.checkpoint] = None
        if np.isfinite(r.step):
            units.setdefault(r.series, str(report.facts.get(r.checkpoint, {}).get("step_unit", "")))
    by_unit: dict[str, list[str]] = {}
    for name, unit in units.items():
        by_unit.setdefault(unit, []).append(printable(name))
    said = [
        f"{unit.replace('_', ' ')} (as the files say) in {_few_series(names)}"
        if unit
        else f"the number in the names in {_few_series(names)}"
        for unit, names in by_unit.items()
    ]
    last = [n for name in units for n in unknown.get(name, ())]
    has = "have no step and stand" if len(last) > 1 else "has no step and stands"
    ends = f"; {few(last)} {has} last" if last else ""
    return [f"Steps: {'; '.join(said)}{ends}."] if said else []


def _few_series(said: list[str]) -> str:
    """What is said of some series, or of how many it is said."""
    return few(said) if len(said) <= NAMED else f"{len(said)} series"


def _logs(report: ReportData) -> list[str]:
    """Logs none of whose lines is at a step of their series."""
    files: dict[str, list[bool]] = {}
    for r in report.rows:
        if r.series and (log := report.facts.get(r.checkpoint, {}).get("log")):
            files.setdefault(f"{log['file']} in {r.series}", []).append(bool(log["values"]))
    missed = [printable(file) for file, found in files.items() if not any(found)]
    return [f"Logs without a line at any of the steps: {few(missed)}."] if missed else []


def _predictions(report: ReportData) -> list[str]:
    """Checkpoints of which only predictions are known, by the reason."""
    names: dict[str, dict[str, None]] = {}
    for r in report.rows:
        if why := r.provenance.get("no_head"):
            names.setdefault(str(why), {})[r.checkpoint] = None
    return [
        f"Rows that count errors only{_of(found)}: the others need a linear head ({why})."
        for why, found in names.items()
    ]


def _of(names: Iterable[str]) -> str:
    known = [n for n in names if n]
    return f" for {', '.join(known)}" if known else ""


def _weights(report: ReportData) -> list[str]:
    """Which weights were taken of files that hold several groups of them."""
    found = {}
    for r in report.rows:
        if others := r.provenance.get("weights_passed_over"):
            place = r.provenance.get("weights_place") or "the top"
            what = f"averaged, {place}" if r.provenance.get("weights_averaged") else place
            found[r.checkpoint] = f"{what} of {r.checkpoint} (not {', '.join(map(str, others))})"
    return (
        [f"Weights taken where a file has several: {'; '.join(found.values())}."] if found else []
    )


def _equal(report: ReportData) -> list[str]:
    """Checkpoints under several names whose weights are equal."""
    names: dict[str, dict[str, None]] = {}
    for r in report.rows:
        if weights := r.provenance.get("weights"):
            names.setdefault(str(weights), {})[r.checkpoint] = None
    return [f"Equal weights: {' = '.join(same)}." for same in names.values() if len(same) > 1]


def _copies(report: ReportData) -> list[str]:
    """Where points stand more than once, and how many at most."""
    most: dict[str, tuple[int, str]] = {}
    for r in report.rows:
        for other, count in r.details.get("copies", {}).items():
            where = f"in {r.role}" if other == r.role else f"in {other} and {r.role}"
            most[where] = max(most.get(where, (0, "")), (count, r.checkpoint))
    if not most:
        return []
    return [f"Points that stand more than once: {', '.join(_counted(most.items()))}."]


def _lowered(report: ReportData) -> list[str]:
    """Why checkpoints have no certificate, where one could have been on the points that they have.

    An undeclared draw is said once for all of them, where the table is shown.
    """
    certified = {r.checkpoint for r in about_saved(report.rows, "certificate")}
    first: dict[str, str] = {}
    for r in about_saved(report.rows, "plug-in"):
        could = (bound := find(r.bound)) is not None and bound.kind == "certificate"
        if could and r.reasons and r.sampling != "unknown" and r.role not in ("fit", "test"):
            first.setdefault(r.checkpoint, r.reasons[0])
    names: dict[str, list[str]] = {}
    for name, reason in first.items():
        if name not in certified:
            names.setdefault(reason, []).append(name)
    return [
        f"No certificate{_of(map(printable, found))}: {reason}."
        for reason, found in [*names.items()][:NAMED]
    ]


#: What errors that have a name of their own count.
_COUNTED = {
    SUBSET_ERROR: "any label of a point is wrong",
    ONE_ERROR: "the top label is none of the point's",
}


def _labels(report: ReportData) -> list[str]:
    """What an error is where points may have several labels."""
    found: dict[str, dict[str, None]] = {}
    for r in report.rows:
        if r.target == "saved" and r.of_error and r.qualifier:
            found.setdefault(r.qualifier, {})[r.checkpoint] = None
    return [
        f"Several labels a point{_of(map(printable, names))}: an error is the {error}, that "
        f"{_COUNTED[error]}."
        for error, names in found.items()
    ]


def _remarks(report: ReportData) -> list[str]:
    """What was noticed about checkpoints and their data, each once with those it was noticed of."""
    found: dict[str, dict[str, None]] = {}
    for r in report.rows:
        for remark in r.provenance.get("remarks", ()):
            found.setdefault(str(remark), {})[r.checkpoint] = None
    return [f"{', '.join(filter(None, names))}: {remark}." for remark, names in found.items()]


def _counted(most: Iterable[tuple[str, tuple[int, str]]]) -> list[str]:
    return [f"{count} {where}{f' ({name})' if name else ''}" for where, (count, name) in most]
