"""Uniform convergence of the ramp loss over all linear heads."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.homogeneous.centre import centre_note, rays, refused
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
        fixed beforehand and their number is paid for. What rounding does to them is not.
    classes : int
        C.
    delta : float in (0, 1)
    """
    return _best(margins, len(margins), classes, delta, [0.0] * len(margins)).value


def _best(
    margins: Iterable[Floats],
    scales: int,
    classes: int,
    delta: float,
    rounding: Sequence[float],
) -> _Choice:
    """Smallest value; ``rounding`` is the margin that rounding can feign at each scale.

    Where a fresh point errs, its margin is at most that: so much its ramp falls short.
    """
    best: tuple[float, int, int, Floats] | None = None
    for scale, m in enumerate(margins):
        for k, gamma in enumerate(GAMMAS):
            slack = sum(_slack(len(m), classes, k, scales, delta))
            total = float(ramp(m, gamma).mean()) + slack
            if best is None or total < best[0]:
                best = (total, scale, k, m)
    assert best is not None  # there is at least one scale
    _, scale, k, m = best
    fresh = rounding[scale] / GAMMAS[k]
    empirical = float(up(math.fsum(ramp(m, GAMMAS[k])) / len(m) + 4.0 * EPS + fresh))
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
    confused_with=(
        "A margin bound of the whole network: features count as fixed beforehand, so on the "
        "points that they were trained on it guarantees nothing."
    ),
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
    Where rounding decides, on fresh points as on these, the margin is at most
    :math:`\eta = u\,(4d + 176)\,\|U\|_F/\|V\|_F` (see ``gaussian_head``): the sample's margins
    are lowered by it and :math:`\eta/\gamma_k` is added; from :math:`10^{-6}` on the row refuses.
    """
    found, sample = rays(view), view.sample
    if (reason := found.refusal()) is not None:
        return refused(view, reason)
    # rounding of products of length p, downward, and what rounding can feign
    least, hidden = 8.0 * EPS * (found.dim + found.classes), found.rounding
    lowered = (found.unit_margins(k, view.margins) - max(least, hidden(k)) for k in found.kappas)
    best = _best(lowered, len(found.kappas), found.classes, delta, [*map(hidden, found.kappas)])
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
        claim=view.pooled(),
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
