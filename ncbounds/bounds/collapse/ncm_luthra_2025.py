"""The earlier published few-shot bound by averages of variabilities over pairs."""

from typing import NamedTuple

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._few_shot import (
    ESTIMATED,
    Moments,
    off_diagonal,
    pair_moments,
    pair_reasons,
)
from ncbounds.bounds.collapse.ncm_luthra_2026 import MIN_SHOTS
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.claims.few_shot import FewShot
from ncbounds.errors import InvalidSample
from ncbounds.statistics.unbiased import PairEstimates

#: Smallest value of the free parameter a for which the statement is published.
MIN_A = 5.0
#: Any a >= 5 is valid, so the number of steps decides about tightness only.
NEWTON_STEPS = 30


class _Averages(NamedTuple):
    """Averages over ordered pairs of directional CDNV, ordered CDNV and its root."""

    directional: float
    mean: float
    mean_root: float

    def price(self, m: float) -> float:
        """What multiplies a."""
        return float(0.25 * (2.0 / np.sqrt(m) * (self.mean_root + self.mean) + self.mean / m))


def ncm_luthra_2025_formula(moments: PairEstimates, m: float) -> float:
    """Bound on the m-shot error, the uniform average over classes; it may exceed 1.

    Parameters
    ----------
    moments : PairEstimates
        Moments of C classes and their pairs; all squared distances must be positive.
    m : float
        Shots per class; the statement is published for 10 and more.
    """
    found = _averages(moments)
    return (len(moments.variance) - 1) * best_a(found.directional, found.price(m), m)[0]


def _averages(p: PairEstimates) -> _Averages:
    dist2 = off_diagonal(p.dist2)
    ordered = p.variance[:, None] / dist2
    directional = float((off_diagonal(p.own) / dist2**2).mean())
    return _Averages(directional, float(ordered.mean()), float(np.sqrt(ordered).mean()))


@bound(
    family="collapse",
    kind="plug-in",
    role="any",
    target="few-shot",
    requires=(),
    variants=({"m": 10}, {"m": 10, "moments": "plug-in"}),
    assumptions=(ESTIMATED,),
    confused_with=(
        "The published proposition: that is about the moments of the law, and here they are "
        "estimated. Its CDNV is that of one class, not the symmetric one."
    ),
    references=("luthra2025",),
    invariant_to=("relabelling", "rotation", "translation", "feature scale", "head scale"),
    formula=ncm_luthra_2025_formula,
)
def ncm_luthra_2025(
    view: View, delta: float, m: float = 10, moments: Moments = "corrected"
) -> Outcome:
    r"""Bound the m-shot error of nearest class mean by averaged ordered and directional CDNV.

    With the averages over ordered pairs :math:`\bar{\tilde V}` of :math:`D'\Sigma_i D/\|D\|^4`,
    :math:`\bar V` of :math:`V_{ij} = v_i/\|D\|^2` and :math:`\bar V^s` of
    :math:`\sqrt{V_{ij}}`, for :math:`m \ge 10`

    .. math::
        \mathrm{err}_m \le (C-1) \min_{a \ge 5} \Big[
            \Big(\tfrac12 - \tfrac2a - \tfrac{2^{3/2}}{a m}\Big)^{-2} \bar{\tilde V}
            + \tfrac a4 \Big( \tfrac{2}{\sqrt m}(\bar V^s + \bar V) + \tfrac{\bar V}{m} \Big)\Big] .

    Shapes: features (n, d), labels (n,). The head is not read.

    Role: any but test; on the training sample the features are too good and the row says so.

    Assumptions: population moments known; here they are estimated. ``moments="plug-in"`` puts the
    moments of the points in, as published, ``"corrected"`` the unbiased ones. A pair of classes
    whose corrected squared distance is not positive leaves the averages undefined. The error is the
    uniform average over classes.

    Source: Luthra, Yang and Galanti 2025, Proposition 1 [1]_ . V is the ordered CDNV of a single
    class.

    When vacuous: usually for 5 classes and more; this row is shown for comparison.
    """
    sample = view.sample
    classes = len(sample.counts)
    claim = Weighted(np.full(classes, 1.0 / classes), FewShot(m))
    if m < MIN_SHOTS:
        reason = f"the statement needs m >= {MIN_SHOTS}, found {m:g}"
        return Outcome(value=np.nan, n=sample.n, reasons=(reason,), claim=claim)
    try:
        p = pair_moments(sample, moments)
    except InvalidSample as error:
        return Outcome(value=np.nan, n=sample.n, reasons=(str(error),), claim=claim)
    if not (off_diagonal(p.dist2) > 0).all():
        return Outcome(
            value=np.nan, n=sample.n, reasons=pair_reasons(p, view.decision), claim=claim
        )
    found = _averages(p)
    price = found.price(m)
    value, a = best_a(found.directional, price, m)
    shots = a * price if price > 0 else 0.0
    return Outcome(
        value=ncm_luthra_2025_formula(p, m),
        n=sample.n,
        terms={
            "directional": (classes - 1) * (value - shots),
            "shots": (classes - 1) * shots,
        },
        reasons=pair_reasons(p, view.decision),
        details={"a": a, "averages": list(found)},
        claim=claim,
    )


def best_a(directional: float, price: float, m: float) -> tuple[float, float]:
    """Minimise ``directional (1/2 - s/a)^-2 + a price`` over a >= 5; ``s = 2 + 2^1.5/m``.

    The function is convex for ``a > 2 s``, and its derivative vanishes where, with
    ``u = a - 2 s``, ``price u^3 = 16 directional s (u + 2 s)``.

    Returns
    -------
    value, a : float
        a is infinite if ``price`` is 0.
    """
    s = 2.0 + 2.0**1.5 / m
    if price == 0:
        return 4.0 * directional, float("inf")
    linear = 16.0 * directional * s / price
    # Newton's method from above the positive root of u^3 = linear (u + 2 s) descends to it
    u = np.sqrt(2.0 * linear) + np.cbrt(4.0 * s * linear)
    for _ in range(NEWTON_STEPS if u > 0 else 0):
        u -= (u**3 - linear * (u + 2.0 * s)) / (3.0 * u**2 - linear)
    a = max(MIN_A, 2.0 * s + float(u))
    return directional / (0.5 - s / a) ** 2 + a * price, a
