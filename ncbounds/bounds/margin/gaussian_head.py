"""PAC-Bayes with Gaussian noise on the weights of the saved head."""

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.homogeneous.centre import centre_note, rays, refused
from ncbounds.bounds.homogeneous.gaussian import gaussian_head_value, gaussian_restated
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.head import LinearHead


def gaussian_head_formula(
    features: Floats,
    labels: Ints,
    weight: Floats,
    bias: Floats,
    delta: float,
    *,
    centre: Floats | None = None,
    constant: bool = True,
) -> float:
    """Certificate of the head ``weight @ f + bias``, rounded up.

    Parameters
    ----------
    features : array of shape (n, d)
    labels : integer array of shape (n,)
    weight : array of shape (C, d)
    bias : array of shape (C,)
    delta : float in (0, 1)
    centre : array of shape (d,), optional
        q, which must not depend on these points; by default 0.
    constant : bool
        False for a head that has no bias by design, with no centre.
    """
    logits = LinearHead(weight, bias).logits(features)
    rays = Rays.of(features, labels, logits, weight, bias, centre=centre, constant=constant)
    return gaussian_head_value(rays, delta).value


@bound(
    family="margin",
    kind="certificate",
    role="head",
    target="saved",
    requires=("head",),
    optional=("fit",),
    confused_with=(
        "The error of a randomised classifier, where many PAC-Bayes bounds stop: this one is "
        "about the head itself. It allows a head, but not features, that were fitted on these "
        "points."
    ),
    references=("maurer2004", "langford2002", "seeger2002", "hoeffding1956"),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "head scale", "common row"),
    default=True,
    column=ScreenColumn("Gauss", order=20, heading="margin"),
    restated=gaussian_restated,
    formula=gaussian_head_formula,
)
def gaussian_head(view: View, delta: float) -> Outcome:
    r"""Bound the head's error by that of the same head with Gaussian noise on its weights.

    With probability at least :math:`1-\delta`, for every head at once,

    .. math::
        R \le \min_{\kappa, \theta, \Pi, \mu, \sigma} \frac{1}{F}\,
        \mathrm{kl}^{-1}\Big(\frac1n \sum_i G\Big(\Big[\tfrac{\sigma a_{ij} - \theta r_i}{v_i}
        \Big]_{j \ne y_i}\Big),\; \tfrac1n \Big[\mathrm{KL}
        + \ln\tfrac{|\Theta|\,|K|\,\xi(n)}{\delta}\Big]\Big),

    .. math::
        \mathrm{KL} = \tfrac12 (C-1)\,e\,(\sigma^2 - 1 - 2 \ln \sigma) + \tfrac12 \sigma^2 \mu^2 ,
        \qquad v_i^2 = \sigma^2 \|\Pi\psi_i\|^2 + \|(I-\Pi)\psi_i\|^2 ,

    where :math:`\psi_i = (f_i - q, \kappa)`, :math:`r_i = \|\psi_i\|`, V is the head in the same
    form with rows centred over classes, :math:`M = \mu V / \|V\|_F`,
    :math:`a_{ij} = (M_{y_i} - M_j)\psi_i`, :math:`G(t)` is the probability that the true class
    loses when unit normal noise is added to logits that lead by t, e is the rank of the orthogonal
    projector :math:`\Pi`, and :math:`F = \Phi(\theta/(\sigma\sqrt2))` for :math:`\Pi = I`, else
    :math:`\Phi(\theta/\sqrt2)`. Grids: :math:`\kappa \in \{4^{-6}, \dots, 4^6\}` and 13 thresholds
    :math:`\theta \in [0, 3]`; :math:`\mu`, :math:`\sigma \le 1` and :math:`\Pi` are free.

    Shapes: features (n, d), logits (n, C), labels (n,); :math:`\psi` has d + 1 coordinates (d for
    an architecture without bias when there is no fit sample, and then K has one element).

    Role: ``head``. Features, q and the prior must be fixed before the sample, the head need not
    be. q is the mean of the fit sample if there is one, else 0.

    Assumptions: none beyond the draw. If class counts were fixed by design, the same value bounds
    the error weighted by the sample's class frequencies [4]_.

    Source: the PAC-Bayes-kl inequality with its exact constant :math:`\xi(n) \le 2\sqrt n`:
    Maurer 2004, Theorem 5 [1]_ ; Gaussian noise on margins: Langford and Shawe-Taylor 2002 [2]_ ;
    kl form: Seeger 2002 [3]_ . The multiclass integral, the free scale, the projector and the
    threshold with its factor are our own form, proved below.

    When vacuous: when the noise that a margin tolerates costs KL of the order of n. Counting on
    held-out points is nearly always smaller where such points exist.

    Notes
    -----
    Prior: C independent rows N(0, I). Posterior: the C-1 centred directions get mean
    :math:`\sigma M` and row covariance :math:`A = I - (1-\sigma^2)\Pi`; the mean of the rows keeps
    its prior law, which no logit difference sees, so KL counts C-1 rows. The loss
    :math:`1[\mathrm{margin}_{W'}(\psi) \le \theta r]` is 0/1 for every draw W', hence the
    inequality holds with :math:`\xi(n)` for all posteriors at once, and a union pays for
    :math:`\Theta \times K`. Noise on the logits is independent over classes with variance
    :math:`\psi' A \psi = v^2`, so G is exact. If the head errs at a point (ties included), some
    :math:`a_j \le 0`, and the loss of the posterior is at least
    :math:`P(\sqrt2 v Z \le \theta r) = \Phi(\theta r/(\sqrt2 v)) \ge F` since :math:`v \le r`, with
    equality of v and :math:`\sigma r` for :math:`\Pi = I`. Dividing the posterior's mean loss by F
    gives the error. Points whose features or logits are not finite, and labels that the head has
    no output for, have loss 1.

    In float64 the saved head also errs where rounding decides, on fresh points as on these. Then
    some :math:`a_j \le \epsilon r` with :math:`\epsilon = \mu\, u\, (4d + 176)\,
    \|U\|_F/\|V\|_F` and U the uncentred rows :math:`(|W|, (|W||q| + |b|)/\kappa)`,
    :math:`u = 2^{-53}`. So :math:`\epsilon` is taken off every :math:`a_{ij}/r_i`, and off the
    argument of F: :math:`\theta/\sigma - \epsilon` for :math:`\Pi = I`, else
    :math:`\min(\theta - \sigma\epsilon, \theta/\sigma - \epsilon)`, over :math:`\sqrt2`.
    Where :math:`\epsilon/\mu` reaches :math:`10^{-6}` the row refuses: W and W + 1v' are one
    classifier in exact arithmetic, but not in float64.

    :math:`\kappa, \theta, \Pi, \mu, \sigma` are searched on a subsample (:math:`\Pi` among the
    identity, the row space of V, and that with the constant coordinate); the value is that of the
    one point found, on all n rows, rounded up.
    """
    found = gaussian_head_value(rays(view), delta)
    if (reason := found.details.get("degenerate")) is not None:
        return refused(view, reason)
    return Outcome(
        value=found.value,
        n=view.sample.n,
        terms=found.terms,
        reasons=centre_note(view),
        details=found.details,
        claim=view.pooled(),
    )
