"""The Chernoff form of the held-out certificate."""

import math

from ncbounds.bounds.bound import bound
from ncbounds.bounds.holdout._averages import class_weights, largest, summed
from ncbounds.bounds.restate import errors_at
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.asked import WORST
from ncbounds.numerics import kl_upper, up
from ncbounds.results import BoundResult


def kl_holdout_formula(errors: int, n: int, delta: float) -> float:
    """Largest p with ``n kl(errors/n || p) <= ln(1/delta)``, rounded up.

    Parameters
    ----------
    errors, n : int
        Counts, ``0 <= errors <= n``.
    delta : float in (0, 1)
    """
    rate = float(up(errors / n)) if errors else 0.0
    return float(kl_upper(rate, up(-math.log(delta) / n, 2)))


def _restated(row: BoundResult, n: int, delta: float) -> float:
    return kl_holdout_formula(errors_at(row, n), n, delta)


@bound(
    family="holdout",
    kind="certificate",
    role="holdout",
    target="saved",
    requires=("head",),
    optional=("priors",),
    reads_features=False,
    several_labels=True,
    answers=("per",),
    references=("chernoff1952", "hoeffding1963", "langford2005"),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    default=True,
    restated=_restated,
    formula=kl_holdout_formula,
)
def kl_holdout(view: View, delta: float, per: str = "sample") -> Outcome:
    r"""Invert the relative entropy between the held-out error rate and the error.

    With probability at least :math:`1-\delta` over the n held-out points, of which k are errors,

    .. math::
        R \le \max\{p \ge k/n : \mathrm{kl}(k/n \,\|\, p) \le \ln(1/\delta)/n\} , \qquad
        \mathrm{kl}(q \| p) = q \ln\frac qp + (1-q) \ln\frac{1-q}{1-p} .

    Shapes: logits (n, C), labels (n,); only the error indicators enter.

    Role: ``holdout``, because the head must be fixed before the points are drawn.

    Assumptions: none beyond the draw. If class counts were fixed by design, the value bounds the
    error weighted by the sample's class frequencies: by the inequality of the means, independent
    errors of different probabilities concentrate no less than alike ones. With prescribed class
    probabilities that differ from these frequencies, or another average over classes that is asked
    for, it is the sum of :math:`\pi_c` times the bounds, at :math:`\delta/C`, of the C classes that
    have a weight; for the worst class the largest of them.

    Source: Chernoff 1952 [1]_ ; for independent non-identical points Hoeffding 1963, Theorem 1
    [2]_ ; in learning theory Langford 2005, section 3 [3]_ .

    When vacuous: never at k < n. It is never below ``binomial`` and, on pooled counts, never
    above ``hoeffding``; it is here because many PAC-Bayes bounds have its form.
    """
    if per == WORST:
        return largest(view, kl_holdout_formula, delta)
    weights = class_weights(view, per)
    if weights is not None:
        return summed(view, weights, per, kl_holdout_formula, delta)
    n, k = view.sample.n, int(view.wrong.sum())
    value = kl_holdout_formula(k, n, delta)
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": k / n, "confidence": value - k / n},
        details={"errors": k},
        claim=view.pooled(),
    )
