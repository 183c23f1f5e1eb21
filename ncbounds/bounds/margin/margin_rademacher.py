"""Uniform convergence of the ramp loss over all linear heads."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.homogeneous.centre import centre_note, rays
from ncbounds.bounds.restate import NotExplicit
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import up
from ncbounds.results import BoundResult

#: Margins sqrt(2) 2^-k that the bound may choose from; sqrt(2) is the largest possible margin.
GAMMAS: tuple[float, ...] = tuple(math.sqrt(2.0) * 2.0**-k for k in range(31))

EPS = float(np.finfo(np.float64).eps)


class _Choice(NamedTuple):
    """A scale, a margin of the grid, and the terms of the value there."""

    scale: int
    k: int
    empirical: float
    complexity: float
    confidence: float

    @property
    def value(self) -> float:
        return float(up(self.empirical + self.complexity + self.confidence, 4))


def margin_rademacher_formula(margins: Floats, classes: int, delta: float) -> float:
    """Smallest value over the scales and the margins of the grid, rounded up.

    Parameters
    ----------
    margins : array of shape (scales, n)
        Margins on the unit rays of a head of norm 1, one row for every scale; the scales are
        fixed beforehand and their number is paid for.
    classes : int
        C.
    delta : float in (0, 1)
    """
    return _best(margins, len(margins), classes, delta).value


def _best(margins: Iterable[Floats], scales: int, classes: int, delta: float) -> _Choice:
    best: tuple[float, int, int, Floats] | None = None
    for scale, m in enumerate(margins):
        for k, gamma in enumerate(GAMMAS):
            slack = sum(_slack(len(m), classes, k, scales, delta))
            total = float(ramp(m, gamma).mean()) + slack
            if best is None or total < best[0]:
                best = (total, scale, k, m)
    assert best is not None  # there is at least one scale
    _, scale, k, m = best
    empirical = float(up(math.fsum(ramp(m, GAMMAS[k])) / len(m) + 4.0 * EPS))
    return _Choice(scale, k, empirical, *_slack(len(m), classes, k, scales, delta))


def _restated(row: BoundResult, n: int, delta: float) -> float:
    """Value at the reported scale and margin: sqrt(1/n), and sqrt(ln(choices/delta)/2n)."""
    t = row.terms
    if "complexity" not in t:
        raise NotExplicit("the head is degenerate")
    shrink = math.sqrt(row.n / n)
    log_price = 2.0 * row.n * t["confidence"] ** 2 + math.log(row.delta) - math.log(delta)
    if log_price < 0.0:
        raise NotExplicit("its union bound has no room for such a delta")
    confidence = math.sqrt(log_price / (2.0 * n))
    return float(up(t["empirical"] + float(up(t["complexity"] * shrink, 4)) + confidence, 8))


@bound(
    family="margin",
    kind="certificate",
    role="head",
    target="saved",
    requires=("head",),
    optional=("fit",),
    references=("maurer2016", "bartlett2002", "mcdiarmid1989", "koltchinskii2002"),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "head scale", "common row"),
    default=True,
    restated=_restated,
    formula=margin_rademacher_formula,
)
def margin_rademacher(view: View, delta: float) -> Outcome:
    r"""Add a Rademacher complexity to the share of points whose margin is small.

    With probability at least :math:`1-\delta`, for every head at once,

    .. math::
        R \le \min_{\kappa, k} \Big\{ \frac1n \sum_i \mathrm{ramp}_{\gamma_k}(m_i)
        + \frac{4}{\gamma_k} \sqrt{\frac{C-1}{n}}
        + \sqrt{\frac{\ln(|K|(k+1)(k+2)/\delta)}{2n}} \Big\} ,
        \qquad \mathrm{ramp}_\gamma(m) = \min(1, \max(0, 1 - m/\gamma)) ,

    where :math:`m_i` is the margin of the head in homogeneous form with :math:`\|V\|_F = 1` on
    :math:`\psi_i/\|\psi_i\|`, :math:`\psi_i = (f_i - q, \kappa)`,
    :math:`\gamma_k = \sqrt2\, 2^{-k}` for k = 0, ..., 30, and
    :math:`\kappa \in \{4^{-6}, \dots, 4^6\}`.

    Shapes: features (n, d), margins (n,).

    Role: ``head``. The value holds for all heads at once; features and q (the mean of the fit
    sample, else 0) must be fixed before the sample.

    Assumptions: none beyond the draw. If class counts were fixed by design, the same value bounds
    the error weighted by the sample's class frequencies: symmetrisation needs independence only.

    Source: vector contraction, Maurer 2016, Corollary 4 [1]_ ; Rademacher bounds, Bartlett and
    Mendelson 2002 [2]_ ; bounded differences, McDiarmid 1989 [3]_ ; the union over margins,
    Koltchinskii and Panchenko 2002 [4]_ . Constants: proved below.

    When vacuous: for :math:`n \lesssim 16 (C-1)/\gamma^2`, that is nearly always below some
    thousand points per class.

    Notes
    -----
    The margin is :math:`\sqrt2`-Lipschitz in the logits and the ramp
    :math:`1/\gamma`-Lipschitz, so vector contraction gives

    .. math::
        \mathrm{Rad} \le \frac{2}{\gamma n} E \sup_{\|V\|_F \le 1}
        \Big\langle V, \sum_i \epsilon_i \psi_i' \Big\rangle
        = \frac{2}{\gamma n} E \Big\|P_c \sum_i \epsilon_i \psi_i'\Big\|_F
        \le \frac{2}{\gamma} \sqrt{\frac{C-1}{n}} ,

    with unit :math:`\psi_i` and rows centred over classes, which no margin sees. This bound is not
    random, so the deviation of the supremum from its mean, with differences 1/n, is the only one.
    The weights 1/((k+1)(k+2)) add up to at most 1. Points that are not finite have loss 1.
    """
    found, sample = rays(view), view.sample
    claim = view.pooled()
    if not all(0.0 < found.size(k) < math.inf for k in found.kappas):
        reason = {"degenerate": "V is zero or not finite"}
        return Outcome(value=1.0, n=sample.n, details=reason, claim=claim)
    # rounding of products of length p, downward
    lost = 8.0 * EPS * (found.dim + found.classes)
    margins = (found.unit_margins(kappa, view.margins) - lost for kappa in found.kappas)
    best = _best(margins, len(found.kappas), found.classes, delta)
    return Outcome(
        value=best.value,
        n=sample.n,
        terms={
            "empirical": best.empirical,
            "complexity": best.complexity,
            "confidence": best.confidence,
        },
        reasons=centre_note(view),
        details={"kappa": found.kappas[best.scale], "gamma": GAMMAS[best.k]},
        claim=claim,
    )


def ramp(margins: Floats, gamma: float) -> Floats:
    """``min(1, max(0, 1 - m/gamma))``; 1 for a margin of ``-inf``."""
    out: Floats = np.clip(1.0 - margins / gamma, 0.0, 1.0)
    return out


def _slack(n: int, classes: int, k: int, scales: int, delta: float) -> tuple[float, float]:
    """Complexity and deviation at the k-th margin, rounded up."""
    complexity = 4.0 * math.sqrt((classes - 1) / n) / GAMMAS[k]
    deviation = math.sqrt(math.log(scales * (k + 1) * (k + 2) / delta) / (2 * n))
    return float(up(complexity, 8)), float(up(deviation, 8))
