"""Predictor of the few-shot error of nearest class mean: a Gaussian gap."""

import numpy as np
from scipy.special import ndtr

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._few_shot import (
    ESTIMATED,
    class_union,
    gap_in_deviations,
    gap_mean,
    gap_variance,
    over_classes,
    pair_moments,
    pair_reasons,
    without_separation,
)
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.few_shot import FewShot
from ncbounds.errors import InvalidSample
from ncbounds.statistics.unbiased import PairEstimates


def ncm_few_shot_gaussian_formula(moments: PairEstimates, m: float) -> Floats:
    """Predicted m-shot error of every class, shape (C,).

    Parameters
    ----------
    moments : PairEstimates
        Moments of C classes and their pairs.
    m : float
        Shots per class, at least 1; may be infinite.
    """
    variance = gap_variance(moments, m)
    tails = ndtr(-gap_in_deviations(gap_mean(moments, m), variance))
    return class_union(without_separation(np.where(variance < 0, 1.0, tails), moments))


@bound(
    family="collapse",
    kind="plug-in",
    role="any",
    target="few-shot",
    requires=(),
    variants=({"m": 5}, {"m": 10}),
    answers=("per",),
    assumptions=("asymptotic predictor, not a bound", ESTIMATED),
    confused_with=(
        "A bound: it predicts as if gaps between distances were Gaussian, and may lie far below "
        "the error."
    ),
    references=("sorscher2022", "himeno2014"),
    invariant_to=("relabelling", "rotation", "translation", "feature scale", "head scale"),
    formula=ncm_few_shot_gaussian_formula,
)
def ncm_few_shot_gaussian(view: View, delta: float, m: float, per: str = "sample") -> Outcome:
    r"""Predict the m-shot error of nearest class mean as if the gap of a pair were Gaussian.

    With the gap's exact mean and variance as in ``ncm_few_shot``,

    .. math::
        \mathrm{err}_m \approx \sum_i \pi_i \min\Big\{1, \sum_{j \ne i}
            \Phi\big(-E Z_{ij} / \sqrt{\mathrm{Var} Z_{ij}}\big)\Big\} .

    Shapes: features (n, d), labels (n,). The head is not read.

    Role: any but test; on the training sample the features are too good and the row says so.

    Assumptions: the gap, a sum over many feature directions, is close to Gaussian. It is a
    predictor and no bound: for centred exponential features it can predict .0002 where the error is
    .007. Moments are estimated without bias.

    Source: the signal-to-noise ratio is that of Sorscher et al. 2022 [1]_ with all its terms kept;
    the unbiased :math:`\mathrm{tr}\,\Sigma^2` is Himeno and Yamada 2014 [2]_ .

    When vacuous: rarely; the sum over rivals overstates the error where several rivals are near.
    """
    sample = view.sample
    try:
        p = pair_moments(sample, "corrected")
    except InvalidSample as error:
        return Outcome(value=np.nan, n=sample.n, reasons=(str(error),), claim=FewShot(m))
    per_class = ncm_few_shot_gaussian_formula(p, m)
    return over_classes(view, per, per_class, FewShot(m), reasons=pair_reasons(p, view.decision))
