"""Few-shot error of nearest class mean from the exact variance of its gap."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._few_shot import (
    ESTIMATED,
    Moments,
    cantelli,
    class_union,
    gap_mean,
    gap_variance,
    over_classes,
    pair_moments,
    pair_reasons,
    without_separation,
)
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.claim import Claim
from ncbounds.claims.few_shot import FewShot
from ncbounds.claims.heads import OtherHead
from ncbounds.errors import InvalidSample
from ncbounds.procedures.linear import ncm_of_means
from ncbounds.statistics.unbiased import PairEstimates


def ncm_few_shot_formula(moments: PairEstimates, m: float) -> Floats:
    """Bounds on the m-shot error of every class, shape (C,).

    Parameters
    ----------
    moments : PairEstimates
        Moments of C classes and their pairs, as
        :func:`ncbounds.statistics.unbiased.estimate` makes them.
    m : float
        Shots per class, at least 1; may be infinite.
    """
    return class_union(_pairs(moments, m))


def _pairs(p: PairEstimates, m: float) -> Floats:
    return without_separation(cantelli(gap_mean(p, m), gap_variance(p, m)), p)


@bound(
    family="collapse",
    kind="plug-in",
    role="any",
    target="few-shot",
    requires=(),
    variants=({"m": 5}, {"m": float("inf")}),
    answers=("per",),
    assumptions=(ESTIMATED,),
    confused_with=(
        "A guarantee, and the error of the saved head: it is about nearest class mean from m "
        "points per class, and its moments are estimated."
    ),
    references=("cantelli1929", "sorscher2022", "luthra2026", "himeno2014"),
    invariant_to=("relabelling", "rotation", "translation", "feature scale", "head scale"),
    default=True,
    column=ScreenColumn("5-shot fit", order=40, heading="collapse", on_fit=True, params={"m": 5}),
    formula=ncm_few_shot_formula,
)
def ncm_few_shot(
    view: View,
    delta: float,
    m: float = 5,
    moments: Moments = "corrected",
    per: str = "sample",
) -> Outcome:
    r"""Bound the m-shot error of nearest class mean by the exact mean and variance of its gap.

    For a query z of class i, means of m independent shots of classes i and j, and the gap
    :math:`Z = \|z - \hat\mu_j\|^2 - \|z - \hat\mu_i\|^2`, with :math:`D = \mu_j - \mu_i`,
    :math:`v = \mathrm{tr}\,\Sigma`, :math:`M_4 = E\|z-\mu\|^4` and
    :math:`\kappa = E (z-\mu)\|z-\mu\|^2`,

    .. math::
        E Z &= \|D\|^2 + (v_j - v_i)/m , \\
        \mathrm{Var} Z &= 4 D'\Sigma_i D + \tfrac4m D'\Sigma_j D
            + \tfrac4m \mathrm{tr}\,\Sigma_i(\Sigma_i + \Sigma_j)
            + \sum_{c \in \{i,j\}} \frac{M_{4,c} - v_c^2 + 2(m-1)\mathrm{tr}\,\Sigma_c^2}{m^3}
            + \tfrac{4}{m^2} D'\kappa_j , \\
        \mathrm{err}_m &\le \sum_i \pi_i \min\Big\{1, \sum_{j \ne i}
            \frac{\mathrm{Var} Z}{\mathrm{Var} Z + (E Z)^2}\Big\} ,

    a pair with :math:`E Z \le 0` counting 1. With :math:`m = \infty` the classifier is nearest
    class mean itself and the pair is :math:`4 \tilde V/(1 + 4 \tilde V)`,
    :math:`\tilde V = D'\Sigma_i D/\|D\|^4` being the directional CDNV.

    Shapes: features (n, d), labels (n,); no class covariance is kept, memory is
    O(C d + C^2 + max(d, block)^2). The head is not read.

    Role: any but test; on the training sample the features are too good and the row says so.

    Assumptions: finite fourth moments; queries and shots are independent. The inequality is exact
    for population moments. Here they are estimated, each without bias, so the value is a plug-in;
    ``moments="plug-in"`` uses the uncorrected moments of the points instead. The weights
    :math:`\pi_i` are the sample's class frequencies, or those of an average that is asked for.

    Source: the one-sided inequality is Cantelli's [1]_ . The leading terms are the signal-to-noise
    ratio of Sorscher et al. 2022 [2]_ . A pair is never above Theorem 4.1 of Luthra et al. 2026
    [3]_ , which bounds this variance by norms. The unbiased :math:`\mathrm{tr}\,\Sigma^2` is Himeno
    and Yamada 2014 [4]_ .

    When vacuous: the sum over C - 1 rivals of a second-moment inequality needs directional
    variabilities well below 1/(4C). Classes with fewer than 4 points give nan.

    Notes
    -----
    With :math:`a = z - \mu_i` and centred shot means :math:`e_i, e_j`,
    :math:`Z = \|D\|^2 + \|e_j\|^2 - \|e_i\|^2 - 2a'D + 2a'(e_i - e_j) + 2D'e_j`. All covariances
    between the terms vanish but :math:`2\,\mathrm{cov}(2D'e_j, \|e_j\|^2) = 4 D'\kappa_j/m^2`, and
    :math:`\mathrm{Var}\|e\|^2 = [M_4 - v^2 + 2(m-1)\mathrm{tr}\,\Sigma^2]/m^3`.
    """
    sample = view.sample
    claim: Claim = OtherHead("ncm") if np.isinf(m) else FewShot(m)
    try:
        p = pair_moments(sample, moments)
    except InvalidSample as error:
        return Outcome(value=np.nan, n=sample.n, reasons=(str(error),), claim=claim)
    per_class = ncm_few_shot_formula(p, m)
    if np.isinf(m):
        present = sample.moments.present
        means = sample.moments.mean[present]
        claim = OtherHead("ncm", ncm_of_means(means, present, len(sample.counts)))
    return over_classes(
        view,
        per,
        per_class,
        claim,
        reasons=pair_reasons(p, view.decision),
        details={"worst pair": worst_pair(_pairs(p, m))},
    )


def worst_pair(pairs: Floats) -> list[int]:
    """Query class and rival of the largest entry off the diagonal; empty if all are nan."""
    off = np.where(np.eye(len(pairs), dtype=bool) | np.isnan(pairs), -np.inf, pairs)
    i, j = np.unravel_index(int(np.argmax(off)), off.shape)
    return [int(i), int(j)] if np.isfinite(off[i, j]) else []
