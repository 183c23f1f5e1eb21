"""Uniform convergence of the ramp loss over all linear heads."""

import math

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.homogeneous.centre import centre_note, rays, refused
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import up

#: Margins sqrt(2) 2^-k that the bound may choose from; sqrt(2) is the largest possible margin.
GAMMAS: tuple[float, ...] = tuple(math.sqrt(2.0) * 2.0**-k for k in range(31))

EPS = float(np.finfo(np.float64).eps)


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
    weights = sample.counts / sample.n if view.stratified else None
    if (reason := found.refusal()) is not None:
        return refused(view, reason)
    margins, price = view.margins, len(found.kappas)
    best: tuple[float, float, float, Floats] | None = None
    for kappa in found.kappas:
        m = found.unit_margins(kappa, margins)
        # rounding of products of length p, downward
        m -= max(8.0 * EPS * (found.dim + found.classes), found.rounding(kappa))
        for k, gamma in enumerate(GAMMAS):
            slack = sum(_slack(sample.n, found.classes, k, price, delta))
            total = float(ramp(m, gamma).mean()) + slack
            if best is None or total < best[0]:
                best = (total, kappa, gamma, m)
    assert best is not None  # there is at least one kappa
    _, kappa, gamma, m = best
    # where a fresh point errs, its margin is at most that of rounding: so much its ramp falls short
    fresh = found.rounding(kappa) / gamma
    empirical = float(up(math.fsum(ramp(m, gamma)) / sample.n + 4.0 * EPS + fresh))
    complexity, confidence = _slack(sample.n, found.classes, GAMMAS.index(gamma), price, delta)
    return Outcome(
        value=float(up(empirical + complexity + confidence, 4)),
        n=sample.n,
        terms={"empirical": empirical, "complexity": complexity, "confidence": confidence},
        reasons=centre_note(view),
        details={"kappa": kappa, "gamma": gamma},
        weights=weights,
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
