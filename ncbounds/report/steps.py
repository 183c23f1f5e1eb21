"""Checkpoints of one run along its steps: what was measured and certified at each, as one line."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ncbounds.geometry.margin_efficiency import QUANTILE
from ncbounds.report.cells import interval, number, significant
from ncbounds.report.columns import shown_step
from ncbounds.report.data import ReportData
from ncbounds.report.saved import about_saved, measured_of
from ncbounds.results import MARK, BoundResult, Row

if TYPE_CHECKING:
    import pandas as pd

#: Columns of :func:`frame`; those of a log follow.
COLUMNS = (
    *("series", "step", "checkpoint", "train_error", "test_error", "test_low", "test_high"),
    *("certificate", "value", "loss", "nc1", "efficiency", "efficiency_upper"),
    *("within", "alignment", "outputs", "margin_efficiency", "margin_efficiency_quantile"),
    *("effective_depth", "places", "reason"),
)
#: What stands before the name of a log's column.
LOGGED = "log_"
_NAN = float("nan")
#: Endings of files such as ``.pt`` and ``.pth.tar``.
_ENDING = re.compile(r"(\.[A-Za-z]+)+$")


@dataclass(frozen=True)
class Step:
    """One checkpoint of a series; nan where nothing is known.

    Attributes
    ----------
    series, checkpoint : str
    step : float
        nan if neither file nor name says it.
    placed : bool
        Whether it is known where it stands among the others: by its step, or as the last one.
    train_error, test_error, test_low, test_high : float
        Error rates on the fit and the test sample, and the test's exact 95 % interval.
    certificate : str
        The bound whose certificate is ``value``: the smallest if all rows hold together, else that
        of the bound that comes first among those evaluated, whatever the values are.
    value : float
    loss : float
        Mean training loss on the fit rows.
    nc1, efficiency, efficiency_upper, within, alignment, outputs : float
        Of the fit rows, as :mod:`ncbounds.geometry` has them; the efficiency by its bracket.
    margin_efficiency, margin_efficiency_quantile : float
        Of the least margin and of the 5 % quantile of the margins.
    effective_depth, places : float
        See :class:`~ncbounds.depth.layers.LayerReport`; the number of places.
    log : mapping from str to float
        Numbers of the run's own log at this step.
    reason : str
        Why it was not evaluated.
    """

    series: str
    checkpoint: str
    step: float = _NAN
    placed: bool = False
    train_error: float = _NAN
    test_error: float = _NAN
    test_low: float = _NAN
    test_high: float = _NAN
    certificate: str = ""
    value: float = _NAN
    loss: float = _NAN
    nc1: float = _NAN
    efficiency: float = _NAN
    efficiency_upper: float = _NAN
    within: float = _NAN
    alignment: float = _NAN
    outputs: float = _NAN
    margin_efficiency: float = _NAN
    margin_efficiency_quantile: float = _NAN
    effective_depth: float = _NAN
    places: float = _NAN
    log: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def shown(self) -> str:
        """The step as it is written; the checkpoint's name where it has no number."""
        return shown_step(self.step) or _ENDING.sub("", self.checkpoint.rpartition("/")[2])


def steps_of(report: ReportData) -> dict[str, list[Step]]:
    """Steps of each series of a report, in order; those without a number are last."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for r in report.rows:
        if r.series and not r.layer:
            rows.setdefault((r.series, r.checkpoint), []).append(r)
    found: dict[str, list[Step]] = {}
    for (series, name), of in rows.items():
        found.setdefault(series, []).append(_step(report, series, name, of))
    for f in report.failures:
        if f.series and (f.series, f.checkpoint) not in rows:
            failed = Step(f.series, f.checkpoint, f.step, math.isfinite(f.step), reason=f.reason)
            found.setdefault(f.series, []).append(failed)
    return {
        series: sorted(
            steps, key=lambda s: (s.step if math.isfinite(s.step) else math.inf, s.placed)
        )
        for series, steps in found.items()
    }


def known_steps(steps: Sequence[Step]) -> list[Step]:
    """Steps that were evaluated, and of which it is known where they stand."""
    return [s for s in steps if s.placed and not s.reason]


def frame(report: ReportData) -> "pd.DataFrame":
    """One row a step, all series one after the other; empty where the report has no series."""
    import pandas as pd

    steps = [s for of in steps_of(report).values() for s in of]
    logged = list(dict.fromkeys(name for s in steps for name in s.log))
    records = [
        {**vars(s), **{f"{LOGGED}{name}": s.log.get(name, _NAN) for name in logged}} for s in steps
    ]
    columns = [*COLUMNS, *(f"{LOGGED}{name}" for name in logged)]
    made = pd.DataFrame.from_records(records, columns=None if records else columns)[columns]
    counts = ("step", "effective_depth", "places")
    whole = [c for c in counts if (made[c].dropna() % 1 == 0).all()]
    return made.astype(dict.fromkeys(whole, "Int64"))


def _step(report: ReportData, series: str, name: str, rows: list[Row]) -> Step:
    facts = report.facts.get(name, {})
    fit: dict[str, Any] = {}  # of a metric, its first variant; the others by their own names too
    for m in facts.get("collapse", {}).get("fit", ()):
        fit.setdefault(m["metric"], m["value"])
        fit[f"{m['metric']}, {m['variant']}"] = m["value"]
    test = measured_of(rows)
    best = _certificate(rows, smallest=report.simultaneous)
    layers = facts.get("layers", {})
    step = rows[0].step
    return Step(
        series=series,
        checkpoint=name,
        step=step,
        placed=math.isfinite(step) or bool(facts.get("steps", {}).get("last")),
        train_error=_float(facts.get("error_rates", {}).get("fit")),
        test_error=_NAN if test is None else test.error,
        test_low=_NAN if test is None else test.low,
        test_high=_NAN if test is None else test.high,
        certificate="" if best is None else best.bound,
        value=_NAN if best is None else best.value,
        loss=_float(fit.get("loss")),
        nc1=_float(fit.get("NC1")),
        efficiency=_float(fit.get("collapse efficiency, at least")),
        efficiency_upper=_float(fit.get("collapse efficiency, at most")),
        within=_float(fit.get("collapse efficiency (within)")),
        alignment=_float(fit.get("collapse efficiency (alignment)")),
        outputs=_float(fit.get("collapse efficiency (outputs)")),
        margin_efficiency=_float(fit.get("margin efficiency, minimum")),
        margin_efficiency_quantile=_float(fit.get(f"margin efficiency, {QUANTILE:.0%} quantile")),
        effective_depth=_float(layers.get("effective_depth")),
        places=_float(len(layers["layers"]) if layers else None),
        log={k: _float(v) for k, v in facts.get("log", {}).get("values", {}).items()},
    )


def _float(value: Any) -> float:
    """A stored number: nan is a word or nothing there."""
    return _NAN if value is None else float(value)


def _certificate(rows: Iterable[Row], *, smallest: bool) -> BoundResult | None:
    found = about_saved(rows, "certificate")
    # the smallest of several that each spent their own delta would be no certificate
    return min(found, key=lambda r: r.value) if smallest and found else next(iter(found), None)


def cells(steps: list[Step]) -> list[list[str]]:
    """Titles and lines of a compact table; columns that no step fills are left out."""
    logged = list(dict.fromkeys(name for s in steps for name in s.log))
    titles = [
        *("step", "train", "test [95 %]", "certificate", "loss", "NC1", "efficiency"),
        *("within", "align", "outputs", "margin", "5 %", "depth", *logged),
    ]
    lines = [
        [s.shown, *_measured(s), *(_significant(s.log.get(n, _NAN)) for n in logged)] for s in steps
    ]
    used = [i for i in range(len(titles)) if not i or any(line[i] for line in lines)]
    return [[line[i] for i in used] for line in (titles, *lines)]


def _measured(s: Step) -> list[str]:
    if s.reason:
        return ["", "not evaluated", *[""] * 10]
    test = interval(s.test_error, s.test_low, s.test_high) if math.isfinite(s.test_error) else ""
    value = f"{MARK['certificate']} {number(s.value, up=True)} {s.certificate}"
    efficiency = f"[{number(s.efficiency)}, {number(s.efficiency_upper)}]"
    depth = f"{s.effective_depth:.0f} of {s.places - 1:.0f}"
    if math.isnan(s.effective_depth):
        depth = "none" if math.isfinite(s.places) else ""
    return [
        _number(s.train_error),
        test,
        value if s.certificate else "",
        _significant(s.loss),
        _significant(s.nc1),
        efficiency if math.isfinite(s.efficiency) else "",
        *map(_number, (s.within, s.alignment, s.outputs)),
        *map(_number, (s.margin_efficiency, s.margin_efficiency_quantile)),
        depth,
    ]


def _number(x: float) -> str:
    return number(x) if math.isfinite(x) else ""


def _significant(x: float) -> str:
    return significant(x) if math.isfinite(x) else ""
