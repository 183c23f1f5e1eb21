"""Fit a head on part of the labels and count its errors on the rest."""

import numpy as np

from ncbounds.arrays import Bools
from ncbounds.bounds.bound import bound
from ncbounds.bounds.holdout._averages import weighted, worst_class
from ncbounds.bounds.holdout.binomial import binomial_formula, count_restated
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.claim import Claim
from ncbounds.claims.heads import OtherHead
from ncbounds.evidence.asked import WORST
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import weighted_error_upper, worst_class_upper
from ncbounds.procedures.linear import fit_on, ncm, procedure_name

#: Share of the points that is held back, in tenths, and seed of the permutation; fixed a priori.
HELD_TENTHS = 7
SEED = 70


@bound(
    family="holdout",
    kind="certificate",
    role="head",
    target="refitted-head",
    requires=(),
    optional=("procedure",),
    answers=("per",),
    confused_with=(
        "The error of the saved head, or cross-validation: it speaks about the head that was "
        "fitted on the 30 %, and that is the one to use."
    ),
    references=("clopper1934", "hoeffding1956", "langford2005"),
    decreasing_in=("delta",),
    invariant_to=("head scale",),
    restated=count_restated,
    formula=binomial_formula,
)
def split_head(view: View, delta: float, per: str = "sample") -> Outcome:
    r"""Refit the head on 30 % of the sample and invert the binomial tail on the other 70 %.

    The rows are permuted with a fixed seed; the head :math:`h_0` is fitted by a procedure A on the
    first :math:`n - n_h` rows, :math:`n_h = \lceil 0.7 n \rceil`, and makes k errors on the other
    :math:`n_h`. With probability at least :math:`1-\delta`

    .. math::
        R(h_0) \le \max\{p : P(\mathrm{Bin}(n_h, p) \le k) \ge \delta\} .

    Shapes: features (n, d), labels (n,). The saved head is not read.

    Role: ``head`` or ``holdout``, because the features must not depend on the sample; the labels
    may have been used for the saved head.

    Assumptions: none beyond the draw. A is nearest class mean unless the evidence names a
    procedure, which must have been fixed before the sample or tune itself inside its own part. If
    class counts were fixed by design, every class is split on its own and the bounded error is
    weighted by the class frequencies of the held part, for :math:`\delta \le 1/4` [2]_ . Averages
    over classes, and the worst class, that are asked for are bounded as ``binomial`` does.

    Source: Clopper and Pearson 1934 [1]_ , Hoeffding 1956 [2]_ , Langford 2005, Theorem 3.3 [3]_ .

    When vacuous: as the binomial bound on :math:`n_h` points. The value speaks about the refitted
    head, not the saved one; where learning curves are steep, 30 % of the labels cost accuracy.

    Notes
    -----
    Given the first part, :math:`h_0` is fixed and the held points are fresh. In experiments on
    frozen features this certificate was within 1.2 times the mean binomial bound of as many fresh
    points, and smaller than every PAC-Bayes bound for a head that was fitted on all labels.
    """
    sample = view.sample
    procedure = ncm if view.procedure is None else view.procedure
    train, held = two_parts(sample, lambda n: n - -(-HELD_TENTHS * n // 10), seed=SEED)
    fitted = sample.part(train)
    head = fit_on(procedure, fitted.features, fitted.labels, len(sample.counts))
    rest = sample.part(held)
    wrong, claim = view.wrong_on(rest, head), OtherHead("refitted-head", head)
    if per != "sample":
        return _over_classes(view, rest, wrong, claim, per, delta)
    n, k = rest.n, int(wrong.sum())
    value = binomial_formula(k, n, delta, stratified=view.stratified)
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": k / n, "confidence": value - k / n},
        details={"procedure": procedure_name(procedure), "fitted on": fitted.n, "errors": k},
        claim=view.pooled(claim, rest),
    )


def _over_classes(
    view: View, rest: Sample, wrong: Bools, claim: Claim, per: str, delta: float
) -> Outcome:
    """Limit of an average of class errors of the refitted head, or of the largest of them."""
    counts = rest.counts
    errors = np.bincount(rest.labels[wrong], minlength=len(counts))
    if per == WORST:
        upper = worst_class_upper(errors, counts, delta)
        return worst_class(view, upper, errors, counts, of=claim)
    weights = view.class_weights(per)
    value = weighted_error_upper(errors, counts, weights, delta)
    return weighted(view, weights, per, value, errors, counts, of=claim)
