"""Certify a head that has used every label, around one that has used the first 40 %."""

import math

import numpy as np
from scipy.special import ndtr

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._anchor import Anchor, anchor, present_classes, stacked
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.bounds.restate import NotExplicit, errors_at
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import binomial_upper, catoni, gaussian_loss, stratified_upper, up
from ncbounds.procedures.linear import procedure_name
from ncbounds.results import BoundResult

#: Part of the sample that fixes the anchor, in tenths, and seed of the permutation; a priori.
FIRST_TENTHS = 4
SEED = 73


def anchored_head_formula(
    errors: int,
    n: int,
    gibbs: float,
    divergence: float,
    theta: float,
    c: float,
    delta: float,
    *,
    whole: bool = False,
    stratified: bool = False,
) -> float:
    """Bound on the error of a head near one whose errors are counted, rounded up.

    Parameters
    ----------
    errors, n : int
        Errors of the anchor among the n points of the second part.
    gibbs : float
        Mean loss of the randomised head, over the points that the anchor gets right, or over all
        with ``whole``.
    divergence : float
        KL of the randomised head from the prior around the anchor.
    theta, c : float
        Threshold, less what rounding hides of a lead, and inverse temperature, fixed on the first
        part.
    delta : float in (0, 1)
    whole : bool
        Whether all points entered ``gibbs`` and no error is counted.
    stratified : bool
        Whether class counts were fixed by design.
    """
    terms = _terms(errors, n, gibbs, divergence, theta, c, delta, whole, stratified)
    return _added(*terms, whole)


def _terms(
    errors: int,
    n: int,
    gibbs: float,
    divergence: float,
    theta: float,
    c: float,
    delta: float,
    whole: bool,
    stratified: bool,
) -> tuple[float, float]:
    """Bound on the anchor's error, and on how far the head drifts from it."""
    share = delta if whole else delta / 2.0
    price = float(up((divergence - math.log(share)) / n, 4))
    factor = float(ndtr(theta / math.sqrt(2.0)))
    drift = float(up(catoni(gibbs, c, price) / factor, 8)) if factor > 0.0 else 1.0
    if whole:
        return 0.0, drift
    upper = stratified_upper if stratified and delta <= 0.25 else binomial_upper
    return float(upper(errors, n, share)), drift


def _added(counted: float, drift: float, whole: bool) -> float:
    return drift if whole else min(1.0, float(up(counted + drift)))


def _restated(row: BoundResult, n: int, delta: float) -> float:
    d = row.details
    if "gibbs" not in d:
        raise NotExplicit("the head is degenerate")
    if n != row.n:
        raise NotExplicit("the distance of its two heads is measured and would change with n")
    whole, theta = d["form"] == "whole", d["theta"] - d["lost"]
    return anchored_head_formula(
        errors_at(row, n), n, d["gibbs"], d["kl"], theta, d["c"], delta, whole=whole
    )


@bound(
    family="collapse",
    kind="certificate",
    role="head",
    target="saved",
    requires=("head", "procedure"),
    also_fit=False,
    confused_with=(
        "Counting errors on held-out points: every label may have gone into the saved head. The "
        "rule that refits it must not have been tuned on all of them."
    ),
    references=("catoni2007", "clopper1934", "hoeffding1956"),
    decreasing_in=("delta",),
    invariant_to=("head scale", "common row"),
    restated=_restated,
    formula=anchored_head_formula,
)
def anchored_head(view: View, delta: float) -> Outcome:
    r"""Bound a head's error by its distance from a head fitted on the first 40 % of the labels.

    A procedure A fits :math:`W_0` on the first part; the part also fixes the centre q, the scale
    kappa, the noise s, the shift theta and the inverse temperature c. With V and :math:`V_0` the
    homogeneous forms of the saved head and of :math:`W_0`, centred over classes,
    :math:`a = \langle V, V_0 \rangle / \langle V, V \rangle`,
    :math:`\mathrm{KL} = \|aV - V_0\|_F^2/(2 s^2)`, and

    .. math::
        g_i = P\Big(\exists j \ne y_i:\; Z_{y_i} + \frac{a (V_{y_i} - V_j)\psi_i}{s \|\psi_i\|}
              - \theta \le Z_j\Big), \qquad
        \mathrm{Cat}(q, c, b) = \frac{1 - e^{-cq - b}}{1 - e^{-c}} ,

    with probability at least :math:`1-\delta` over the other :math:`n_b` points, of which
    :math:`W_0` misses :math:`k_0`,

    .. math::
        R \le \mathrm{BinInv}(k_0, n_b, \tfrac\delta2) + \frac{1}{\Phi(\theta/\sqrt2)}
            \mathrm{Cat}\Big(\frac1{n_b} \sum_{i:\, W_0 \text{ right}} g_i,\; c,\;
            \frac{\mathrm{KL} + \ln(2/\delta)}{n_b}\Big) ,

    cut at 1. If the first part promises an error below 2 %, all points enter the sum, the first
    term is left out, and :math:`\ln(2/\delta)` is :math:`\ln(1/\delta)`.

    Shapes: features (n, d), labels (n,), head (C, d).

    Role: ``head`` or ``holdout``, since the saved head may depend on every label, but the features
    on none.

    Assumptions: A, with its settings, was fixed before the sample or tunes itself on its 40 %;
    settings copied from a head that was tuned on the sample make this a plug-in. If class counts
    were fixed by design, each class is cut on its own and the bounded error is weighted by the
    class frequencies of the second part, for :math:`\delta \le 1/4`.

    Source: Catoni 2007, Theorem 1.2.1 [1]_ , with a prior around a head fitted on other points; the
    tails are Clopper and Pearson 1934 [2]_ and Hoeffding 1956 [3]_ . The form is our own.

    When vacuous: if refitting on all labels moves the head far in units of the noise that its
    margins allow. Counting on held-out points is nearly always smaller.

    Notes
    -----
    Given the first part, prior :math:`N(V_0, s^2 I)` and loss
    :math:`1[W_0 \text{ right}]\, 1[\text{margin}_{W'}(\psi) \le \theta s \|\psi\|]` are fixed, and
    Catoni's bound at a fixed c holds for all posteriors :math:`N(aV, s^2 I)` at once, so V and a
    may depend on every point. If V errs at a point, some gap is at most 0, and the randomised head
    has loss 1 with probability at least :math:`\Phi(\theta/\sqrt2)` there. Where float64 rounding
    decides, on fresh points as on these, a gap is at most :math:`\epsilon s \|\psi\|` with
    :math:`\epsilon = a\,u\,(4d + 176)\,\|U\|_F/s` (U as in ``gaussian_head``), which is taken
    off the gaps and off :math:`\theta` in the factor; where that is noticeable the row refuses.
    """
    sample, head = view.sample, view.head
    first, rest = two_parts(sample, lambda n: FIRST_TENTHS * n // 10, seed=SEED)
    a, b = sample.part(first), sample.part(rest)
    fixed = anchor(a, view.procedure, head.classes, b.n, delta, view.decision)
    v = stacked(head, fixed.centre, fixed.kappa)
    present = present_classes(a, head.classes)
    v0 = stacked(fixed.head, fixed.centre, fixed.kappa, present)
    claim = view.pooled(sample=b)
    details = {
        "procedure": procedure_name(view.procedure),
        "fitted on": a.n,
        "form": "whole" if fixed.whole else "split",
        "noise": fixed.noise,
        "theta": fixed.theta,
        "c": fixed.c,
    }
    along = _along(v, v0)
    logits = sample.logit_rows(head).picked(rest)
    rays = Rays.of(b.features, b.labels, logits, head.weight, head.bias, centre=fixed.centre)
    reason: str | None = "the head is constant, not finite, or opposed to the one fitted on 40 %"
    if along is not None:
        reason = rays.refusal((fixed.kappa,))
    if along is None or reason is not None:
        reason = str(reason)
        return Outcome(value=1.0, n=b.n, reasons=(reason,), details=details, claim=claim)
    wrong = view.wrong_on(b, fixed.head)
    # what rounding hides of a lead, in units of the noise
    lost = along * rays.size(fixed.kappa) / fixed.noise * rays.rounding(fixed.kappa)
    loss = _gibbs(rays, fixed, along, lost)
    kl = _divergence(along * v, v0, fixed.noise)
    mean = float(up((loss if fixed.whole else loss * ~wrong).mean(), 8))
    errors, whole = int(wrong.sum()), fixed.whole
    theta = fixed.theta - lost
    counted, drift = _terms(errors, b.n, mean, kl, theta, fixed.c, delta, whole, view.stratified)
    return Outcome(
        value=_added(counted, drift, whole),
        n=b.n,
        terms={"counted": counted, "drift": drift},
        details={**details, "gibbs": mean, "kl": kl, "errors": errors, "lost": lost},
        claim=claim,
    )


def _along(v: Floats, v0: Floats) -> float | None:
    """Multiple of V that is nearest to V0; None if V is 0, not finite or points away from V0."""
    if not np.isfinite(v).all() or not np.isfinite(v0).all() or not v.any():
        return None
    size = np.abs(v).max()
    unit = v / size
    along = float(np.vdot(unit, v0) / np.vdot(unit, unit)) / float(size)
    return along if 0 < along < math.inf else None


def _divergence(mean: Floats, prior: Floats, noise: float) -> float:
    """``||mean - prior||_F^2 / (2 noise^2)``, rounded up past the cancellation."""
    distance = float(np.linalg.norm(mean - prior)) + 1e-14 * float(np.linalg.norm(prior))
    return float(up((distance / noise) ** 2 / 2.0, 64))


def _gibbs(rays: Rays, fixed: Anchor, along: float, lost: float) -> Floats:
    """Gibbs loss of every point of the second part, shape (n_b,); 1 where it has no margin."""
    keep = np.flatnonzero(rays.usable)
    loss = np.ones(rays.n)
    # lowered by what products of length d + 1 may have lost; the loss decreases in t
    lost_digits = 8.0 * np.finfo(np.float64).eps * (rays.dim + rays.classes)
    lead = along * rays.size(fixed.kappa) / fixed.noise
    for index in rays.pieces(keep):
        slope = along / (fixed.noise * rays.lengths(fixed.kappa, index))
        t = rays.gaps(index) * slope[:, None] - fixed.theta
        t -= lost_digits * (np.abs(t) + max(lead, lost / lost_digits) + fixed.theta)
        loss[index] = gaussian_loss(t)
    return loss
