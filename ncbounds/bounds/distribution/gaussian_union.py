"""Gaussian tails for every rival, added up, with estimated moments put in."""

import numpy as np
from scipy.special import ndtr

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._diagnostics import normality
from ncbounds.bounds.distribution._margin_moments import averaged, distances, margin_moments
from ncbounds.bounds.view import Outcome, View


def gaussian_union_formula(mean: Floats, variance: Floats) -> Floats:
    """Class bounds ``min(1, sum_j Phi(-mean_j / sd_j))`` for Gaussian margins, shape (...).

    Parameters
    ----------
    mean, variance : arrays of shape (..., k)
        Of the margins against the k rivals of a class; a class where one is not finite counts
        as 1.
    """
    each: Floats = ndtr(-distances(mean, variance))
    return np.asarray(np.minimum(1.0, each.sum(axis=-1)))


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=("moments estimated", "every pairwise margin is Gaussian within its class"),
    confused_with=(
        "The limit that holds if margins are Gaussian, ``gaussian_tolerance``: this one puts "
        "estimates in, and lies below the error in about half of the draws even then."
    ),
    references=("jarque1987",),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    formula=gaussian_union_formula,
)
def gaussian_union(view: View, delta: float) -> Outcome:
    r"""Add up the Gaussian probabilities that a rival overtakes the true class.

    With :math:`d_{cj}` the mean over the standard deviation of the margin :math:`s_c - s_j` within
    class c,

    .. math::
        P(\mathrm{err} \mid c) \le B_c = \min\Big(1, \sum_{j \ne c} \Phi(-d_{cj})\Big),
        \qquad R \le \sum_c \pi_c B_c .

    The value puts the sample's moments and class frequencies in.

    Shapes: logits (n, C), labels (n,); per class a mean and a variance of each of the C - 1
    margins.

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample:
    even for Gaussian margins it lies below the true error in about half of the draws.
    ``gaussian_tolerance`` is the form that pays for the estimation.

    Assumptions: every pairwise margin is Gaussian within its class, with the moments of the
    sample. ``details["diagnostics"]`` tests it [1]_ ; it never changes the value or the kind.

    Source: Boole's inequality; for two classes with a common covariance it is the error of linear
    discriminant analysis.

    When vacuous: almost never, which is no merit: tails of real margins are heavier than this.
    """
    moments = margin_moments(view.sample, view.head)
    per_class = gaussian_union_formula(moments.means, moments.variances)
    return averaged(view, per_class, diagnostics=normality(moments))
