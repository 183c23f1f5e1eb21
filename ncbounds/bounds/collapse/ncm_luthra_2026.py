"""The published few-shot bound by directional variability and norms of the moments."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._few_shot import (
    ESTIMATED,
    Moments,
    off_diagonal,
    over_classes,
    pair_moments,
    pair_reasons,
    without_separation,
)
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.claims.few_shot import FewShot
from ncbounds.errors import InvalidSample
from ncbounds.statistics.unbiased import PairEstimates

#: Fewest shots for which the statement is published.
MIN_SHOTS = 10


def ncm_luthra_2026_formula(moments: PairEstimates, m: float) -> Floats:
    """Bounds on the m-shot error of every class, shape (C,); they may exceed 1.

    Parameters
    ----------
    moments : PairEstimates
        Moments of C classes and their pairs.
    m : float
        Shots per class; the statement is published for 10 and more.
    """
    pairs = without_separation(luthra_pairs(moments, m), moments)
    per_class: Floats = off_diagonal(pairs).sum(axis=1)
    return per_class


@bound(
    family="collapse",
    kind="plug-in",
    role="any",
    target="few-shot",
    requires=(),
    variants=({"m": 10}, {"m": 10, "moments": "plug-in"}),
    answers=("per",),
    assumptions=(ESTIMATED,),
    confused_with=(
        "The published theorem: that is about the moments of the law, and here they are estimated."
    ),
    references=("luthra2026",),
    invariant_to=("relabelling", "rotation", "translation", "feature scale", "head scale"),
    formula=ncm_luthra_2026_formula,
)
def ncm_luthra_2026(
    view: View,
    delta: float,
    m: float = 10,
    moments: Moments = "corrected",
    per: str = "sample",
) -> Outcome:
    r"""Bound the m-shot error of nearest class mean by directional CDNV and three remainders.

    With :math:`V = (v_i + v_j)/\|D\|^2`, :math:`\tilde V = D'\Sigma_i D/\|D\|^4`,
    :math:`\Theta = (M_{4,i} + M_{4,j})/\|D\|^4`, for :math:`m \ge 10`

    .. math::
        \mathrm{err}_m \le \frac1C \sum_{i \ne j}
            \frac{4 \tilde V + (\sqrt{E_1} + \sqrt{E_2} + \sqrt{E_3})^2}
                 {\big(1 + (v_j - v_i)/(m \|D\|^2)\big)^2} , \quad
        E_1 = \tfrac4m (V^2 + \tfrac V4),\;
        E_2 = \tfrac Vm,\;
        E_3 = \frac{\Theta + 2(m-1)V^2}{m^3} ,

    a pair counting 1 if the bracket below is not positive.

    Shapes: features (n, d), labels (n,). The head is not read.

    Role: any but test; on the training sample the features are too good and the row says so.

    Assumptions: finite fourth moments, population values known; here they are estimated.
    ``moments="plug-in"`` puts the moments of the points in, as published, ``"corrected"`` the
    unbiased ones. The error is the uniform average over classes, as published, or the average
    that is asked for: each class has a bound of its own.

    Source: Luthra, Salunkhe and Galanti 2026, Theorem 4.1 [1]_ . V is the unhalved symmetric CDNV.

    When vacuous: in high effective dimension, where :math:`V^2` stands for the far smaller
    :math:`\mathrm{tr}\,\Sigma^2/\|D\|^4`. Pair by pair ``ncm_few_shot`` with the same moments is
    never larger; this row is shown for comparison.
    """
    sample = view.sample
    classes = len(sample.counts)
    alike, claim = np.full(classes, 1.0 / classes), FewShot(m)
    uniform = Weighted(alike, claim)
    if m < MIN_SHOTS:
        reason = f"the statement needs m >= {MIN_SHOTS}, found {m:g}"
        return Outcome(value=np.nan, n=sample.n, reasons=(reason,), claim=uniform)
    try:
        p = pair_moments(sample, moments)
    except InvalidSample as error:
        return Outcome(value=np.nan, n=sample.n, reasons=(str(error),), claim=uniform)
    per_class = ncm_luthra_2026_formula(p, m)
    return over_classes(
        view, per, per_class, claim, own=alike, reasons=pair_reasons(p, view.decision)
    )


def luthra_pairs(p: PairEstimates, m: float) -> Floats:
    """Term of every ordered pair of classes, shape (C, C); the diagonal carries no meaning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        v = (p.variance[:, None] + p.variance[None, :]) / p.dist2
        directional = p.own / p.dist2**2
        theta = (p.fourth[:, None] + p.fourth[None, :]) / p.dist2**2
        roots = (
            np.sqrt(4.0 / m * (v**2 + v / 4.0))
            + np.sqrt(v / m)
            + np.sqrt(theta / m**3 + 2.0 * (1.0 / m**2 - 1.0 / m**3) * v**2)
        )
        base = 1.0 + (p.variance[None, :] - p.variance[:, None]) / (m * p.dist2)
        term = (4.0 * directional + roots**2) / base**2
    out: Floats = np.where(base <= 0, 1.0, term)
    return out
