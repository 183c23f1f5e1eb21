"""Counting errors on points that nothing was fitted on."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.holdout._prescribed import by_class, errors_per_class, prescribed_priors
from ncbounds.bounds.restate import errors_at
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import WorstClass
from ncbounds.numerics import binomial_upper, stratified_upper, worst_class_upper
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
    variants=({}, {"per": "worst class"}),
    references=("clopper1934", "hoeffding1956", "langford2005"),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    default=True,
    column=ScreenColumn("held out", order=10, digits=3),
    restated=count_restated,
    formula=binomial_formula,
)
def binomial(view: View, delta: float, per: str = "sample") -> Outcome:
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
    frequencies it is :math:`\sum_c \pi_c \mathrm{BinInv}(k_c, n_c, \delta/C)`.
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
    sample = view.sample
    n = sample.n
    errors, counts = errors_per_class(view)
    if per == "worst class":
        return _worst_class(view, errors, delta)
    priors = prescribed_priors(view)
    if priors is not None:
        return by_class(priors, _per_class(errors, counts, delta), errors, counts)
    k = int(errors.sum())
    value = binomial_formula(k, n, delta, stratified=view.stratified)
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": k / n, "confidence": value - k / n},
        details={"errors": k},
        claim=view.pooled(),
    )


def _worst_class(view: View, errors: Ints, delta: float) -> Outcome:
    """Largest class bound; the error it is compared with is that of the class that attains it."""
    counts = view.sample.counts
    upper = worst_class_upper(errors, counts, delta)
    worst = int(np.argmax(upper))
    value = float(upper[worst])
    rate = float(errors[worst] / counts[worst]) if counts[worst] else 1.0
    return Outcome(
        value=value,
        n=int(counts[worst]),
        terms={"empirical": rate, "confidence": value - rate},
        reasons=(
            f"bounds the largest class error (here of class {view.decision.name(worst)}), "
            "not the average",
        ),
        details={"worst class": worst, "per class": upper.tolist()},
        claim=WorstClass(worst, len(counts)),
    )


def _per_class(errors: Ints, counts: Ints, delta: float) -> Floats:
    """Bounds on ``P(err | c)`` that hold for all classes at once; 1 where there is no point."""
    out: Floats = np.asarray(binomial_upper(errors, counts, delta / len(counts)))
    return out
