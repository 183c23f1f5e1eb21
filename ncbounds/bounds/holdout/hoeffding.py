"""Hoeffding's form of the held-out certificate."""

import math

from ncbounds.bounds.bound import bound
from ncbounds.bounds.holdout._averages import (
    class_rates,
    class_weights,
    errors_per_class,
    largest,
    weighted,
)
from ncbounds.bounds.restate import errors_at
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.asked import WORST
from ncbounds.numerics import up
from ncbounds.results import BoundResult


def hoeffding_formula(errors: int, n: int, delta: float) -> float:
    """``errors/n + sqrt(ln(1/delta) / (2n))``, rounded up.

    Parameters
    ----------
    errors, n : int
        Counts, ``0 <= errors <= n``.
    delta : float in (0, 1)
    """
    return float(up(errors / n + _confidence(n, delta), 2))


def _confidence(n: int, delta: float) -> float:
    return float(up(math.sqrt(-math.log(delta) / (2 * n)), 4))


def _restated(row: BoundResult, n: int, delta: float) -> float:
    return hoeffding_formula(errors_at(row, n), n, delta)


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
    references=("hoeffding1963",),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    default=True,
    restated=_restated,
    formula=hoeffding_formula,
)
def hoeffding(view: View, delta: float, per: str = "sample") -> Outcome:
    r"""Add to the held-out error rate a term that depends on n and delta only.

    With probability at least :math:`1-\delta` over the n held-out points, of which k are errors,

    .. math::
        R \le \frac kn + \sqrt{\frac{\ln(1/\delta)}{2n}} .

    Shapes: logits (n, C), labels (n,); only the error indicators enter.

    Role: ``holdout``, because the head must be fixed before the points are drawn.

    Assumptions: none beyond the draw. If class counts were fixed by design, the value bounds the
    error weighted by the sample's class frequencies. With prescribed class probabilities that
    differ from these, or another average over classes that is asked for, each point of class c has
    the weight :math:`\pi_c/n_c` in the error rate, and the term is
    :math:`\sqrt{\ln(1/\delta) \sum_c \pi_c^2/(2 n_c)}`; the worst class has the largest of the C
    class bounds at :math:`\delta/C`.

    Source: Hoeffding 1963, Theorem 1 [1]_ .

    When vacuous: for :math:`n \le \ln(1/\delta)/2`. At small error rates it is far above
    ``binomial``, which needs no more assumptions; it is here as the textbook form.
    """
    if per == WORST:
        return largest(view, hoeffding_formula, delta)
    weights = class_weights(view, per)
    if weights is not None:
        errors, counts = errors_per_class(view)
        # a class without a point counts as wrong, for sure
        there = counts > 0
        squares = math.fsum(weights[there] ** 2 / counts[there])
        term = math.sqrt(float(up(-math.log(delta) * squares / 2, 8)))
        rate = math.fsum(weights * class_rates(errors, counts))
        return weighted(view, weights, per, float(up(rate + term, 8)), errors, counts)
    n, k = view.sample.n, int(view.wrong.sum())
    return Outcome(
        value=hoeffding_formula(k, n, delta),
        n=n,
        terms={"empirical": k / n, "confidence": _confidence(n, delta)},
        details={"errors": k},
        claim=view.pooled(),
    )
