"""The mean of a loss between 0 and 1 on points that nothing was fitted on."""

import math
from collections.abc import Callable

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.holdout._losses import NOT_BY_DESIGN, pooled_loss
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.mean_loss import MeanLoss
from ncbounds.errors import UnknownName, suggest
from ncbounds.numerics import bernstein_upper, kl_upper, mean_upper, up
from ncbounds.numerics.betting import in_drawn_order


def mean_loss_formula(losses: Floats, delta: float) -> float:
    """Limit of the mean of independent losses of one law, by betting, in a drawn order.

    Parameters
    ----------
    losses : array of shape (n,)
        In [0, 1].
    delta : float in (0, 1)
    """
    return mean_upper(in_drawn_order(losses), delta)


def mean_loss_kl_formula(losses: Floats, delta: float) -> float:
    """Largest p with ``n kl(mean || p) <= ln(1/delta)``, rounded up; parameters as there."""
    n = len(losses)
    mean = min(1.0, float(up(math.fsum(losses) / n, 2))) if losses.any() else 0.0
    return float(kl_upper(mean, up(-math.log(delta) / n, 2)))


FORMS: dict[str, Callable[[Floats, float], float]] = {
    "betting": mean_loss_formula,
    "kl": mean_loss_kl_formula,
    "bernstein": bernstein_upper,
}


@bound(
    family="holdout",
    kind="certificate",
    role="holdout",
    target="saved",
    requires=("head",),
    reads_features=False,
    several_labels=True,
    variants=({}, {"form": "kl"}, {"form": "bernstein"}),
    answers=("means",),
    references=("waudbysmith2024", "hoeffding1963", "maurer2009"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    restated="its value depends on every loss",
    formula=mean_loss_formula,
)
def mean_loss(view: View, delta: float, loss: str = "", form: str = "betting") -> Outcome:
    r"""Bound the mean of a loss in [0, 1] by betting against every smaller mean.

    The losses :math:`x_1, \dots, x_n` stand in an order that is drawn with a fixed seed. With
    stakes :math:`\lambda_t \le 0.75` that depend on :math:`x_1, \dots, x_{t-1}`, n and
    :math:`\delta` only, the mean is, with probability at least :math:`1-\delta`, at most

    .. math::
        \inf\Big\{ m : \max_{t \le n} \prod_{s \le t} (1 - \lambda_s (x_s - m))
            \ge \frac1\delta \Big\} .

    Beside it stand two textbook forms, each a row with its own delta: ``form="kl"``, the largest m
    with :math:`n\,\mathrm{kl}(\bar x \| m) \le \ln(1/\delta)` [2]_ , and ``form="bernstein"``,
    :math:`\bar x + \sqrt{2 V \ln(2/\delta)/n} + 7 \ln(2/\delta)/(3(n-1))` with the sample variance
    V [3]_ .

    Shapes: losses (n,). Which losses, is asked for by name (``claims=``), as are of several labels
    a point ``hamming``, ``ranking`` and ``precision@k`` (as 1 minus it); without a name it is the
    error, as 0 and 1, for which ``binomial`` is exact.

    Role: ``holdout``, because what is judged, and the loss, must be fixed before the points are
    drawn.

    Assumptions: none beyond the draw. If class counts were fixed by design, betting is not proved
    to hold and its row has the kl form; all forms are then about the mean with the sample's class
    frequencies as weights. Rows that the loss does not count are left out: given their number, the
    others are draws from a law of their own, for samples drawn at random.

    Source: Waudby-Smith and Ramdas 2024 [1]_ ; Hoeffding 1963, Theorem 1 [2]_ ; Maurer and Pontil
    2009, Theorem 11 [3]_ , all for losses in [0, 1].

    When vacuous: for few points; at a mean of 0 it is a little above :math:`1-\delta^{1/n}`.

    Notes
    -----
    At the true mean each factor is positive with mean 1 given the past, so by Ville's inequality
    the product ever reaches :math:`1/\delta` with probability at most :math:`\delta`; it grows with
    m, so where the infimum lies below the mean it has.
    """
    losses = view.losses(loss) if loss else view.wrong.astype(np.float64)
    claim = MeanLoss(view.asked.risk(loss)) if loss else view.claim
    if form not in FORMS:
        raise UnknownName(f"no form {form!r} of mean_loss; {suggest(form, list(FORMS))}")
    counted = losses[~np.isnan(losses)]
    n = len(counted)
    if view.stratified and n < len(losses):
        return Outcome(value=np.nan, n=n, reasons=(NOT_BY_DESIGN,), claim=claim)
    if n == 0:
        reason = "the loss counts no point of the sample"
        return Outcome(value=1.0, n=0, reasons=(reason,), claim=claim)
    by_design = view.stratified and form == "betting"
    value = FORMS["kl" if by_design else form](counted, delta)
    mean = float(counted.mean())
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": mean, "confidence": value - mean},
        reasons=("class counts were fixed by design, so the form is kl",) if by_design else (),
        claim=pooled_loss(view, claim),
    )
