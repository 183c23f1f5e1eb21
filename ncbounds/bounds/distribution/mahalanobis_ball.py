"""The largest ball, in the metric of the covariance, inside a class's decision cell."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._margin_moments import averaged, distances, margin_moments
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import up


def mahalanobis_ball_formula(mean: Floats, variance: Floats, rank: Ints) -> Floats:
    """Class bounds ``min(1, rank / min_j (mean_j^2 / variance_j))``, shape (...).

    Parameters
    ----------
    mean, variance : arrays of shape (..., k)
        Of the margins against the k rivals of a class; a class where one is not finite, or a mean
        is not positive, counts as 1.
    rank : integer array of shape (...)
        Upper bounds of the rank of the covariance of the margins.
    """
    nearest = distances(mean, variance).min(axis=-1)
    safe = np.where(nearest > 0, nearest, 1.0)
    return np.where(nearest > 0, np.minimum(1.0, up(rank / safe**2, 4)), 1.0)


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=("moments estimated",),
    confused_with=(
        "The Mahalanobis distance of points to a class, as outlier detectors use it: only means "
        "and deviations of margins enter, and those of the law are not known."
    ),
    references=("olkin1958",),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    formula=mahalanobis_ball_formula,
)
def mahalanobis_ball(view: View, delta: float) -> Outcome:
    r"""Bound each class error by the chance to leave a ball around the class mean.

    With :math:`d_{cj}` the mean over the standard deviation of the margin :math:`s_c - s_j` within
    class c, and r an upper bound of the rank of the covariance of its C - 1 margins,

    .. math::
        P(\mathrm{err} \mid c) \le B_c = \min\Big(1, \frac{r}{\min_{j \ne c} d_{cj}^2}\Big),
        \qquad R \le \sum_c \pi_c B_c, \qquad r = \min(C - 1, d, n_c - 1) ;

    :math:`B_c = 1` where any :math:`d_{cj} \le 0`. The value puts the sample's moments and class
    frequencies in.

    Shapes: logits (n, C), labels (n,); per class a mean and a variance of each of the C - 1
    margins.

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample.

    Assumptions: the moments of the law are those of the sample. A class with fewer than two points
    or a non-finite logit counts as 1.

    Source: a multivariate Chebyshev inequality in the spirit of Olkin and Pratt 1958 [1]_ ; proof
    below.

    When vacuous: where the nearest rival is closer than :math:`\sqrt{r}` standard deviations. It
    beats the union of Cantelli bounds where the within-class noise has a low rank.

    Notes
    -----
    Let :math:`q(m) = (m - \bar m)' S^{+} (m - \bar m)` for the margin vector m; its mean is the
    rank of S. An error at rival j moves :math:`m_j` by at least its mean, and
    :math:`(a'(m - \bar m))^2 \le q(m)\, a'Sa` on the range of S, so :math:`q(m) \ge d_{cj}^2`.
    Markov's inequality gives the ratio. A margin without spread and with a positive mean is never
    an error and drops out of the minimum.
    """
    moments = margin_moments(view.sample, view.head)
    rank = np.minimum(min(moments.rivals, view.head.dim), moments.counts - 1)
    return averaged(view, mahalanobis_ball_formula(moments.means, moments.variances, rank))
