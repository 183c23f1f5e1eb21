"""The one-sided unimodal inequality for the smallest margin of a point."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._diagnostics import unimodality
from ncbounds.bounds.distribution._margin_moments import averaged, margin_moments, standardised
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import unimodal


def min_margin_unimodal_formula(mean: Floats, variance: Floats) -> Floats:
    """Class bounds ``u(mean / sd)`` for a unimodal smallest margin, shape (...).

    Parameters
    ----------
    mean, variance : arrays of shape (...)
        Of the smallest margin; a class where one is not finite counts as 1.
    """
    return np.asarray(unimodal(standardised(mean, variance)))


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=("moments estimated", "the smallest margin is unimodal within each class"),
    confused_with=(
        "A statement about unimodal features: the smallest margin has to be unimodal within each "
        "class, and the dip beside it proves nothing."
    ),
    references=("vysochanskij1983", "ion2023", "hartigan1985"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    formula=min_margin_unimodal_formula,
)
def min_margin_unimodal(view: View, delta: float) -> Outcome:
    r"""Bound each class error by the worst unimodal law of its smallest margin.

    With :math:`d_c` the mean over the standard deviation of the smallest margin within class c,

    .. math::
        P(\mathrm{err} \mid c) \le u(d_c), \qquad R \le \sum_c \pi_c u(d_c), \qquad
        u(d) = \begin{cases} \frac{4}{9 (1 + d^2)} & d^2 \ge 5/3 \\
        \frac{3 - d^2}{3 (1 + d^2)} & 0 < d^2 < 5/3 \\ 1 & d \le 0 . \end{cases}

    The value puts the sample's moments and class frequencies in.

    Shapes: logits (n, C), labels (n,); per class two numbers.

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample.

    Assumptions: the smallest margin is unimodal within each class, and the moments of the law are
    those of the sample. ``details["diagnostics"]`` holds the largest dip [3]_ of the smallest
    margin over the classes, also times :math:`\sqrt{n_c}`: around 0.5 for unimodal laws, growing
    with n_c for others; it never changes the value or the kind.

    Source: Vysochanskij and Petunin 1983 [1]_ ; sharp one-sided form Ion, Klaassen and van den
    Heuvel 2023 [2]_ .

    When vacuous: never where the mean is positive; at most 9/4 below the bound without shape.
    """
    moments = margin_moments(view.sample, view.head)
    per_class = min_margin_unimodal_formula(*moments.smallest)
    return averaged(view, per_class, diagnostics=unimodality(moments))
