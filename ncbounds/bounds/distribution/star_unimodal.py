"""The two-moment bound about the mean, with the factor that star-unimodality earns."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._diagnostics import unimodality
from ncbounds.bounds.distribution._margin_moments import averaged, margin_moments
from ncbounds.bounds.distribution._tight import effort, progress
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import CovarianceFactor, centred_ellipsoid_bound, star_factor, up


def star_unimodal_formula(
    mean: Floats,
    cov: "Floats | CovarianceFactor",
    rank: int,
    *,
    tol: float = 1e-6,
    max_iter: int = 500,
) -> float:
    """Bound of one class.

    Parameters
    ----------
    mean : array of shape (k,)
    cov : array of shape (k, k), or CovarianceFactor
        Of the margins against the rivals of the class.
    rank : int
        Dimension r of the span in which the margins are star-unimodal.
    tol, max_iter
        When to stop; the value is valid wherever it stops.
    """
    centred = centred_ellipsoid_bound(mean, cov, tol=tol, max_iter=max_iter)
    return min(1.0, float(up(star_factor(rank) * centred.value)))


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="saved",
    assumptions=(
        "moments estimated",
        "the vector of margins is star-unimodal about its mean within each class",
    ),
    confused_with=(
        "A statement about star-unimodal features: the margins have to be so. For features alone "
        "the factor is that of their full dimension, which is nearer to 1."
    ),
    references=("dharmadhikari1988", "vanparys2016", "hartigan1985"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
    formula=star_unimodal_formula,
)
def star_unimodal(view: View, delta: float) -> Outcome:
    r"""Sharpen the ellipsoid bound about the class mean for star-unimodal margin vectors.

    With :math:`\bar m`, S the mean and covariance of the k = C - 1 margins within class c and
    :math:`\alpha = r = \min(C - 1, d)`,

    .. math::
        P(\mathrm{err} \mid c) \le \min\Big(1,
        \Big(\frac{2}{\alpha + 2}\Big)^{2/\alpha} B_0\Big), \qquad
        B_0 = \min_{Q \succ 0,\; Q_{jj} \le \bar m_j^2} \mathrm{tr}\, Q^{-1} S ,

    and 1 where any mean is not positive; the class bounds are averaged with the class frequencies.
    :math:`B_0` is the two-moment bound with its centre held at the mean, not clipped at 1. The
    value puts the sample's moments and class frequencies in.

    Shapes: logits (n, C), labels (n,); per class a mean (k,) and a covariance (k, k).

    Role: any but ``test``. The moments are estimated, so the value is a plug-in on every sample.

    Assumptions: within each class the vector of margins is star-unimodal about its mean in its own
    span of r dimensions (a density there does not increase along rays from the mean), and the
    moments of the law are those of the sample. Star-unimodality of the *features* implies it only
    with :math:`\alpha = d`. ``details["diagnostics"]`` holds the largest dip [3]_ of the smallest
    margin over the classes, also times :math:`\sqrt{n_c}`; it never changes the value or the kind.

    Source: our own form. Representation of star-unimodal laws: Dharmadhikari and Joag-Dev 1988
    [1]_ ; the exact, semidefinite counterpart: Van Parys, Goulart and Kuhn 2016 [2]_ .

    When vacuous: as the two-moment bound; the factor is .44 for two classes, .69 for ten and .92
    for a hundred, and it may exceed the two-moment bound, whose centre is free.

    Notes
    -----
    A law that is star-unimodal about 0 in r dimensions is that of :math:`U^{1/r} X` with U uniform
    on (0, 1) and independent of X; hence :math:`E X = 0` and Cov X = :math:`(r + 2)/r` times the
    covariance. Let :math:`q(x) = x' P x` with q >= 1 on the error set. Given X, an error needs
    :math:`U^{2/r} q(X) \ge 1`, of probability at most
    :math:`(1 - q(X)^{-r/2})_+ \le t\, q(X)` with
    :math:`t = \max_{q \ge 1} (1 - q^{-r/2})/q = \frac{r}{r+2} (\frac{2}{r+2})^{2/r}`. Taking
    expectations cancels the factor (r + 2)/r.
    """
    moments = margin_moments(view.sample, view.head)
    rank = min(moments.rivals, view.head.dim)
    per_class = np.ones(moments.classes)
    for c in progress(np.flatnonzero(moments.usable).tolist()):
        stop = effort(moments.classes, int(moments.counts[c]))
        per_class[c] = star_unimodal_formula(
            moments.means[c],
            moments.covariance(c),
            rank,
            tol=stop.gap,
            max_iter=stop.iterations,
        )
    return averaged(view, per_class, factor=star_factor(rank), diagnostics=unimodality(moments))
