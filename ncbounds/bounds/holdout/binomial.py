"""Counting errors on points that nothing was fitted on."""

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.holdout._averages import (
    class_weights,
    errors_per_class,
    weighted,
    worst_class,
)
from ncbounds.bounds.holdout._losses import NOT_BY_DESIGN, pooled_loss
from ncbounds.bounds.restate import errors_at
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.mean_loss import MeanLoss
from ncbounds.errors import InvalidSample
from ncbounds.evidence.asked import WORST
from ncbounds.numerics import (
    binomial_upper,
    stratified_upper,
    weighted_error_upper,
    worst_class_upper,
)
from ncbounds.results import BoundResult


def binomial_formula(errors: int, n: int, delta: float, *, stratified: bool = False) -> float:
    """Largest p with ``P(Bin(n, p) <= errors) >= delta``, rounded up.

    Parameters
    ----------
    errors, n : int
        Counts, ``0 <= errors <= n``.
    delta : float in (0, 1)
    stratified : bool
        Whether class counts were fixed by design; above delta = 1/4 this is not used, since no
        statement is proved there.
    """
    exact = stratified_upper if stratified and delta <= 0.25 else binomial_upper
    return float(exact(errors, n, delta))


def count_restated(row: BoundResult, n: int, delta: float) -> float:
    """Value at n points with as high a rate of errors."""
    return binomial_formula(errors_at(row, n), n, delta)


@bound(
    family="holdout",
    kind="certificate",
    role="holdout",
    target="saved",
    requires=("head",),
    optional=("priors",),
    reads_features=False,
    several_labels=True,
    variants=({}, {"per": "worst class"}),
    answers=("per", "counted"),
    references=("clopper1934", "hoeffding1956", "langford2005", "chernoff1952", "berger1994"),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    default=True,
    column=ScreenColumn("held out", order=10, digits=3),
    restated=count_restated,
    formula=binomial_formula,
)
def binomial(view: View, delta: float, per: str = "sample", loss: str = "") -> Outcome:
    r"""Invert the exact binomial tail of the number of held-out errors.

    With probability at least :math:`1-\delta` over the n held-out points, of which k are errors,

    .. math::
        R \le \max\{p : P(\mathrm{Bin}(n, p) \le k) \ge \delta\} .

    Shapes: logits (n, C), labels (n,); only the error indicators enter.

    Role: ``holdout``, because the head must be fixed before the points are drawn; on any other
    sample the count is a plug-in.

    Assumptions: none beyond the draw. If class counts were fixed by design, the same formula bounds
    the error weighted by the sample's class frequencies for :math:`\delta \le 1/4`, with the value
    :math:`1-\delta/n` at k = n - 1 [2]_; with prescribed class probabilities that differ from these
    frequencies, and for an average over classes that is asked for (``per="balanced"``, a group, any
    weights :math:`\pi`), from samples of both kinds, it is
    :func:`~ncbounds.numerics.weighted_error_upper`: given the class counts, the largest
    :math:`\sum_c \pi_c r_c` over class errors r that neither their exact limits at
    :math:`0.1\,\delta/C` nor the Chernoff bound of the weighted count at :math:`0.9\,\delta` rule
    out [4]_ [5]_ ; for at most two classes the sum of :math:`\pi_c` times their limits at
    :math:`\delta/C`, and the pooled count where :math:`\pi_c/n_c` is the same for all.
    A ``loss`` of 0 or 1 that is asked for is counted in place of the error, over the rows that it
    counts: drawn at random these are, given their number, draws from their own law. Where points
    may have several labels, an error is the subset error (any label wrong), or of ranked labels the
    one-error; misses and false alarms of a label are counted among the points that have it, or not.
    ``per="worst class"`` bounds :math:`\max_c P(\mathrm{err} \mid c)` by the largest of
    :math:`\mathrm{BinInv}(k_c, n_c, \delta_c)`, a row of its own with its own delta, where
    :math:`\delta_c = (1-u)^{n_c}` with the u for which they add up to :math:`\delta`: given the
    labels, u is fixed and the points of a class are independent draws from it, so some class bound
    fails with probability at most :math:`\sum_c \delta_c`. At no errors every class then has the
    same bound u. A class without a point has the bound 1 and costs nothing; C counts all labels
    that the law can produce.

    Source: Clopper and Pearson 1934 [1]_ ; for independent non-identical points Hoeffding 1956,
    Theorem 4 [2]_ ; in learning theory Langford 2005, Theorem 3.3 [3]_ .

    When vacuous: never at k < n; at k = 0 it is :math:`1-\delta^{1/n}`. No distribution-free
    certificate from the same points can be much smaller.

    Notes
    -----
    The event that the value lies below R is {k <= k*} for the largest k* whose inversion does, and
    that has probability at most delta. The value is nudged up until the exact tail agrees.
    """
    if loss:
        return _loss(view, delta, loss)
    if per == WORST:
        errors, counts = errors_per_class(view)
        return worst_class(view, worst_class_upper(errors, counts, delta), errors, counts)
    weights = class_weights(view, per)
    if weights is not None:
        errors, counts = errors_per_class(view)
        value = weighted_error_upper(errors, counts, weights, delta)
        upper = worst_class_upper(errors, counts, delta)
        return weighted(view, weights, per, value, errors, counts, class_limits=upper.tolist())
    n, k = view.sample.n, int(view.wrong.sum())
    value = binomial_formula(k, n, delta, stratified=view.stratified)
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": k / n, "confidence": value - k / n},
        details={"errors": k},
        claim=view.pooled(),
    )


def _loss(view: View, delta: float, name: str) -> Outcome:
    """Limit of a loss that is 0 or 1, over the rows that it counts."""
    risk, losses = view.asked.risk(name), view.losses(name)
    claim = MeanLoss(risk)
    if not risk.binary:
        raise InvalidSample(f"{name} is no count: mean_loss bounds it")
    counted = ~np.isnan(losses)
    n, k = int(counted.sum()), int(np.nansum(losses))
    if view.stratified and n < len(losses):
        return Outcome(value=np.nan, n=n, reasons=(NOT_BY_DESIGN,), claim=claim)
    value = binomial_formula(k, n, delta, stratified=view.stratified) if n else 1.0
    rate = k / n if n else 1.0
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": rate, "confidence": value - rate},
        reasons=() if n else ("the loss counts no point of the sample",),
        details={"errors": k},
        claim=pooled_loss(view, claim),
    )
