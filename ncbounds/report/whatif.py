"""Rows at another number of points or another delta, where a bound says how."""

import math
from collections.abc import Iterable
from dataclasses import replace

from ncbounds.bounds import find
from ncbounds.bounds.restate import NotExplicit
from ncbounds.errors import InvalidSample
from ncbounds.report.data import Failure
from ncbounds.results import BoundResult, Row

#: A row is only recomputed if its own value comes out of its terms to this relative accuracy.
REPRODUCED = 1e-9

NO_TERM = "it has no confidence term: n enters through measured quantities alone"
NOT_KNOWN = "no explicit form of its value in n and delta is known here"


def whatif(
    rows: Iterable[Row], *, n: int | None = None, delta: float | None = None
) -> tuple[list[Row], list[Failure]]:
    """Recompute rows at ``n`` points and ``delta``; see :meth:`ncbounds.Report.whatif`.

    Returns
    -------
    rows : list of results
    left out : list of Failure
        The others, each with the reason.
    """
    if n is not None and n < 1:
        raise InvalidSample(f"n is a number of points, at least 1, found {n}")
    if delta is not None and not 0.0 < delta < 1.0:
        raise InvalidSample(f"delta is a probability in (0, 1), found {delta}")
    changed: list[Row] = []
    left_out = []
    for r in rows:
        try:
            changed.append(_changed(r, n, delta))
        except NotExplicit as reason:
            left_out.append(Failure(r.checkpoint, f"{r.bound} [{r.role}]: {reason}"))
    return changed, left_out


def _changed(r: Row, n: int | None, delta: float | None) -> BoundResult:
    bound = find(r.bound)
    formula = None if bound is None else bound.restated
    if isinstance(formula, str):
        raise NotExplicit(formula)
    if formula is None or not isinstance(r, BoundResult):
        raise NotExplicit(NO_TERM if math.isnan(r.delta) else NOT_KNOWN)
    own = formula(r, r.n, r.delta) if math.isfinite(r.value) and r.n > 0 else math.nan
    if not abs(own - r.value) <= REPRODUCED * abs(r.value):
        raise NotExplicit(
            "its value does not follow from its n, delta and terms (delta shared by candidates, "
            "prescribed class probabilities, or undefined)"
        )
    new_n, new_delta = n or r.n, delta or r.delta
    value = formula(r, new_n, new_delta)
    said = f"what if n = {new_n}, delta = {new_delta:g}: measured terms kept from n = {r.n}"
    return replace(
        r,
        value=value,
        n=new_n,
        delta=new_delta,
        kind="plug-in",
        reasons=(said, *(f"row at n = {r.n}: {x}" for x in r.reasons)),
        terms={},
        details={"from": {"value": r.value, "kind": r.kind, "n": r.n, "delta": r.delta}},
        seconds=0.0,
    )
