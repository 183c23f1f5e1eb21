"""The one-sided unimodal inequality for every rival, added up."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._diagnostics import unimodality
from ncbounds.bounds.distribution._margin_moments import averaged, distances, margin_moments
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import unimodal


def unimodal_union_formula(mean: Floats, variance: Floats) -> Floats:
    """Class bounds ``min(1, sum_j u(mean_j / sd_j))`` for unimodal margins, shape (...).

    Parameters
    ----------
    mean, variance : arrays of shape (..., k)
        Of the margins against the k rivals of a class; a class where one is not finite counts
        as 1.
    """
    each: Floats = np.asarray(unimodal(distances(mean, variance)))
    return np.asarray(np.minimum(1.0, each.sum(axis=-1)))


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=("moments estimated", "every pairwise margin is unimodal within each class"),
    confused_with=(
        "A statement about unimodal features: the pairwise margins have to be unimodal within "
        "each class."
    ),
    references=("vysochanskij1983", "ion2023", "hartigan1985"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    formula=unimodal_union_formula,
)
def unimodal_union(view: View, delta: float) -> Outcome:
    r"""Add up, over the rivals of a class, the worst unimodal law of one margin.

    With :math:`d_{cj}` the mean over the standard deviation of the margin :math:`s_c - s_j` within
    class c,

    .. math::
        P(\mathrm{err} \mid c) \le B_c = \min\Big(1, \sum_{j \ne c} u(d_{cj})\Big),
        \qquad R \le \sum_c \pi_c B_c,

    with u = :math:`4/(9(1+d^2))` for :math:`d^2 \ge 5/3`, :math:`(3-d^2)/(3(1+d^2))` below and 1
    for :math:`d \le 0`. The value puts the sample's moments and class frequencies in.

    Shapes: logits (n, C), labels (n,); per class a mean and a variance of each of the C - 1
    margins.

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample.

    Assumptions: every pairwise margin is unimodal within each class (true for log-concave class
    laws, not for all star-unimodal ones), and the moments of the law are those of the sample.
    ``details["diagnostics"]`` holds the largest dip [3]_ of the smallest margin over the classes,
    also times :math:`\sqrt{n_c}`; it never changes the value or the kind.

    Source: Vysochanskij and Petunin 1983 [1]_ ; sharp one-sided form Ion, Klaassen and van den
    Heuvel 2023 [2]_ .

    When vacuous: for k = C - 1 equal distances below about :math:`\sqrt{4k/9 - 1}`.
    """
    moments = margin_moments(view.sample, view.head)
    per_class = unimodal_union_formula(moments.means, moments.variances)
    return averaged(view, per_class, diagnostics=unimodality(moments))
