"""Cantelli's inequality for the smallest margin of a point."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.distribution._margin_moments import averaged, margin_moments, standardised
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import cantelli


def min_margin_cantelli_formula(mean: Floats, variance: Floats) -> Floats:
    """Class bounds ``variance / (variance + mean^2)``, 1 for mean <= 0, shape (...).

    Parameters
    ----------
    mean, variance : arrays of shape (...)
        Of the smallest margin; a class where one is not finite counts as 1.
    """
    return np.asarray(cantelli(standardised(mean, variance)))


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=("moments estimated",),
    confused_with=(
        "The best bound, as its number is the smallest: its moments are estimated, and those of "
        "training points are too good."
    ),
    references=("cantelli1929", "marshall1960"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    default=True,
    column=ScreenColumn("min-m", order=50, heading="moments"),
    formula=min_margin_cantelli_formula,
)
def min_margin_cantelli(view: View, delta: float) -> Outcome:
    r"""Bound each class error by the worst case of its smallest margin with its mean and variance.

    With :math:`X = \min_{j \ne c} (s_c - s_j)`, mean :math:`e_c` and variance :math:`v_c` within
    class c, an error is :math:`X \le 0`, so

    .. math::
        P(\mathrm{err} \mid c) \le B_c = \frac{v_c}{v_c + e_c^2} \quad (e_c > 0), \qquad
        R \le \sum_c \pi_c B_c ;

    :math:`B_c = 1` where :math:`e_c \le 0`. The value puts the sample's moments and class
    frequencies in.

    Shapes: logits (n, C), labels (n,); per class two numbers (variance with divisor
    :math:`n_c - 1`).

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample.

    Assumptions: the moments of the law are those of the sample. A class with fewer than two points
    or a non-finite logit counts as 1.

    Source: Cantelli 1929 [1]_ , Marshall and Olkin 1960 [2]_ .

    When vacuous: never where the mean is positive. It pays no factor for the number of rivals:
    for Gaussian features around a simplex of ten means it is ten times below the tight bound from
    means and covariances of the pairwise margins.

    Notes
    -----
    One scalar per point makes this sharper than all bounds from class means and covariances,
    because the law of the minimum is seen and not only moments of its arguments. Two-moment laws
    that attain it exist, so with estimated moments it can lie below the true error.
    """
    moments = margin_moments(view.sample, view.head)
    return averaged(view, min_margin_cantelli_formula(*moments.smallest))
