"""The largest class error that any law with the margins' means and covariances can have."""

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._margin_moments import averaged, margin_moments
from ncbounds.bounds.distribution._tight import tight
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import two_moment_bound


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=("moments estimated",),
    confused_with=(
        "A guarantee, as it is the worst case: it is that of all laws with exactly these moments, "
        "and the moments of the law are not known."
    ),
    references=("vandenberghe2007", "bertsimas2005"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    default=True,
    formula=two_moment_bound,
)
def two_moment_tight(
    view: View, delta: float, gap: float | None = None, iterations: int | None = None
) -> Outcome:
    r"""Bound each class error by the worst law with the mean and covariance of its margins.

    With :math:`\bar m` and S the mean and covariance of the vector of margins :math:`s_c - s_j`,
    :math:`j \ne c`, within class c,

    .. math::
        P(\mathrm{err} \mid c) \le B_c = \min_{a > 0,\; Q \succ 0,\; Q_{jj} \le a_j^2}
        \mathrm{tr}\, Q^{-1} \big(S + (\bar m - a)(\bar m - a)'\big), \qquad
        R \le \sum_c \pi_c B_c ,

    at most 1, and 1 where any mean is not positive. No smaller number holds for all laws with
    these moments. The value puts the sample's moments and class frequencies in.

    Shapes: logits (n, C), labels (n,); per class a mean (k,) and a covariance (k, k), k = C - 1,
    with divisor :math:`n_c - 1`.

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample;
    on a sample that the features or the head were fitted on they are too good as well.

    Assumptions: the moments of the law are those of the sample. A class with fewer than two points
    or a non-finite logit counts as 1. S is used as the product of :math:`\min(n_c, k)` rows, so
    singular covariances (fewer points than rivals, say) are bounded as they are and cost less: with
    r rows a step takes O(k r²) operations.

    Source: Vandenberghe, Boyd and Comanor 2007 [1]_ , Bertsimas and Popescu 2005 [2]_ (as a
    semidefinite program); the form as an inscribed ellipsoid below.

    When vacuous: at moderate collapse, and sooner with many classes: isotropic noise around a
    simplex of class means needs a distance of about 26 standard deviations for a value of 1 % at
    C = 10, 77 at C = 100 and 230 at C = 1000.

    Notes
    -----
    A quadratic that is at least 1 on the error set and nonnegative bounds the indicator, and its
    expectation depends on the two moments only. The best one has minimum 0 (else mix it with the
    constant 1): :math:`(m - a)' Q^{-1} (m - a)` for a point a of the cell, and it is at least 1
    where :math:`m_j \le 0` iff :math:`Q_{jj} \le a_j^2`. Any feasible (a, Q), after scaling Q, is a
    valid bound: a fixed point finds a good one, an exact repair certifies it, and a law with these
    moments gives the lower value in ``details``. The iteration stops at a relative gap of 1e-6 or
    after 500 steps; for C > 20 at 1e-3 or after 12 steps, where both C and the class's number of
    points exceed 200 after two. ``gap=1e-3`` iterates up to 500 times towards that gap whatever C
    is. The smallest of this, the union of Cantelli bounds and the Mahalanobis ball is reported per
    class. Many classes show a bar on a terminal.
    """
    moments = margin_moments(view.sample, view.head)
    value, lower, steps = tight(moments, view.head.dim, gap, iterations)
    gaps = (value - lower) / np.where(value > 0, value, 1.0)
    return averaged(
        view,
        value,
        lower=float(moments.counts @ lower / view.sample.n),
        **{"lower per class": lower, "gap per class": gaps, "iterations": steps},
    )
