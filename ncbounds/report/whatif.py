"""Rows of a report at another number of points or another delta, where a formula says how."""

import math
from collections.abc import Callable
from dataclasses import replace

from ncbounds.errors import InvalidSample
from ncbounds.numerics import binomial_upper, catoni, down, kl_upper, ln_xi, up
from ncbounds.report.report import Failure, Report
from ncbounds.results import BoundResult, Row

#: A row is only recomputed if its own value comes out of its terms to this relative accuracy.
REPRODUCED = 1e-9


class NotExplicit(Exception):
    """A row whose value at another n or delta depends on what would be measured then."""


def whatif(report: Report, *, n: int | None = None, delta: float | None = None) -> Report:
    """Recompute rows at ``n`` points and ``delta``; see :meth:`Report.whatif`."""
    if n is not None and n < 1:
        raise InvalidSample(f"n is a number of points, at least 1, found {n}")
    if delta is not None and not 0.0 < delta < 1.0:
        raise InvalidSample(f"delta is a probability in (0, 1), found {delta}")
    rows, left_out = [], list(report.failures)
    for r in report.rows:
        try:
            rows.append(_changed(r, n, delta))
        except NotExplicit as reason:
            left_out.append(Failure(r.checkpoint, f"{r.bound} [{r.role}]: {reason}"))
    return Report(rows, left_out, report.facts)


def _changed(r: Row, n: int | None, delta: float | None) -> BoundResult:
    formula = EXPLICIT.get(r.bound)
    if not isinstance(r, BoundResult) or formula is None:
        raise NotExplicit(
            _IMPLICIT.get(r.bound, _IMPLICIT[None] if math.isnan(r.delta) else _OTHER)
        )
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


def _errors(r: BoundResult, n: int) -> int:
    """Errors among n points at the measured rate, rounded up."""
    if "errors" not in r.details:
        raise NotExplicit("it adds up class bounds, whose numbers of points differ")
    return -(-int(r.details["errors"]) * n // r.n)


def _count(r: BoundResult, n: int, delta: float) -> float:
    return float(binomial_upper(_errors(r, n), n, delta))


def _kl_count(r: BoundResult, n: int, delta: float) -> float:
    errors = _errors(r, n)
    rate = float(up(errors / n)) if errors else 0.0
    return float(kl_upper(rate, up(-math.log(delta) / n, 2)))


def _hoeffding(r: BoundResult, n: int, delta: float) -> float:
    confidence = float(up(math.sqrt(-math.log(delta) / (2 * n)), 4))
    return float(up(_errors(r, n) / n + confidence, 2))


def _gaussian(r: BoundResult, n: int, delta: float) -> float:
    """Value of the reported posterior, which the theorem allows at every n and delta."""
    d = r.details
    if "gibbs loss" not in d:
        raise NotExplicit("the head is degenerate")
    fixed = float(up(math.log(d["choices"]) + ln_xi(n) - math.log(delta), 4))
    price = up((d["divergence"] + fixed) / n, 2)
    return float(up(kl_upper(d["gibbs loss"], price) / d["factor"]))


def _rademacher(r: BoundResult, n: int, delta: float) -> float:
    """Value at the reported scale and margin: sqrt(1/n), and sqrt(ln(choices/delta)/2n)."""
    t = r.terms
    if "complexity" not in t:
        raise NotExplicit("the head is degenerate")
    shrink = math.sqrt(r.n / n)
    log_price = 2.0 * r.n * t["confidence"] ** 2 + math.log(r.delta) - math.log(delta)
    if log_price < 0.0:
        raise NotExplicit("its union bound has no room for such a delta")
    confidence = math.sqrt(log_price / (2.0 * n))
    return float(up(t["empirical"] + float(up(t["complexity"] * shrink, 4)) + confidence, 8))


def _disagreement(r: BoundResult, n: int, delta: float) -> float:
    """Counts of the same two heads; the unlabelled points stay as many as they were."""
    from ncbounds.bounds.collapse.unlabelled_head import LABELLED, UNLABELLED

    error = binomial_upper(_errors(r, n), n, down(LABELLED * delta))
    pool = int(r.details["unlabelled"])
    difference = binomial_upper(int(r.details["differences"]), pool, down(UNLABELLED * delta))
    return float(up(error + difference))


def _anchored(r: BoundResult, n: int, delta: float) -> float:
    from scipy.special import ndtr

    d = r.details
    if "gibbs" not in d:
        raise NotExplicit("the head is degenerate")
    if n != r.n:
        raise NotExplicit("the distance of its two heads is measured and would change with n")
    whole = d["form"] == "whole"
    share = delta if whole else delta / 2.0
    price = float(up((d["kl"] - math.log(share)) / n, 4))
    drift = float(up(catoni(d["gibbs"], d["c"], price) / ndtr(d["theta"] / math.sqrt(2.0)), 8))
    return drift if whole else min(1.0, float(up(_count(r, n, share) + drift)))


_OTHER = "no explicit form of its value in n and delta is known here"

#: Bound id -> value of a row at another n and delta, its measured quantities kept.
EXPLICIT: dict[str, Callable[[BoundResult, int, float], float]] = {
    "binomial": _count,
    "split_head": _count,
    "kl_holdout": _kl_count,
    "hoeffding": _hoeffding,
    "gaussian_head": _gaussian,
    "collapsed_head": _gaussian,
    "margin_rademacher": _rademacher,
    "unlabelled_head": _disagreement,
    "anchored_head": _anchored,
}

#: Why rows of other bounds are left out; None is any row that spends no delta.
_IMPLICIT: dict[str | None, str] = {
    None: "it has no confidence term: n enters through measured quantities alone",
    "transport_margin": "the transport distance of its halves is measured and would change with n",
    "ncm_blocks": "its value depends on the loss of every block",
    "unseen_classes": "its value depends on the loss of every task",
    "gaussian_tolerance": "it adds up class bounds, whose numbers of points differ",
}
