"""Margins against the transport distance between two halves of each class."""

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.by_class import class_delta, class_weighted
from ncbounds.bounds.homogeneous.centre import centre_note, rays, refused, scale_of_fit
from ncbounds.bounds.margin._transport import class_bound, class_bounds, class_guesses
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics.rounding import part_of
from ncbounds.statistics.rows import members_of


@bound(
    family="margin",
    kind="certificate",
    role="head",
    target="saved",
    requires=("head",),
    optional=("fit",),
    confused_with=(
        "Transport between classes, or from training to test data: it compares two halves of one "
        "class, and says nothing about shift."
    ),
    references=("chuang2021", "kantorovich1958", "mcdiarmid1989"),
    decreasing_in=("delta",),
    invariant_to=("relabelling", "rotation", "head scale", "common row"),
    restated="the transport distance of its halves is measured and would change with n",
    formula=class_bound,
)
def transport_margin(view: View, delta: float) -> Outcome:
    r"""Bound each class error by its margins and how far apart two halves of the class are.

    With probability at least :math:`1-\delta`, for every head at once,

    .. math::
        R \le \sum_c \frac{n_c}{n} p_c + \tau (\max_c p_c - \min_c p_c) , \qquad
        p_c = \min_{\gamma > 0} \Big\{ \frac1{n_c} \sum_{y_i = c} \mathrm{ramp}_\gamma(m_i)
        + \frac{L_c}{\gamma} \Big( W_1^c + 2 \sqrt{\tfrac12 \ln\tfrac1{\delta_c}
        \Big[2k\Big(\tfrac1{n_c} + \tfrac1k\Big)^2 + \tfrac{n_c - 2k}{n_c^2}\Big]} \Big) \Big\} ,

    where :math:`m_i` is the margin of the head in homogeneous form V on
    :math:`\psi_i/\|\psi_i\|`, :math:`\psi_i = (f_i - q, \kappa)`,
    :math:`L_c = \max_{j \ne c} \|V_c - V_j\|`, :math:`W_1^c` the cost of an assignment between
    two disjoint random halves of :math:`k = \min(\lfloor n_c/2 \rfloor, 4000)` points (the
    optimal one up to k = 500, beyond that optimal within blocks of points in similar places),
    :math:`\delta_c = 0.9\,\delta/C` and
    :math:`\tau = \tfrac12(\sqrt{(C-1)/n} + \sqrt{2\ln(10/\delta)/n})`. If class counts were fixed
    by design, :math:`\tau = 0` and :math:`\delta_c = \delta/C`, and the value bounds the error
    weighted by the sample's class frequencies.

    Shapes: features (n, d), margins (n,), labels (n,).

    Role: ``head``. The value holds for all heads at once; features, q and :math:`\kappa` must be
    fixed before the sample. They are the mean of the fit sample and the root mean square distance
    from it; without a fit sample q = 0 and the row is evaluated at :math:`\delta/13` with one of 13
    scales.

    Assumptions: none beyond the draw. A class with fewer than two points has :math:`p_c = 1`.

    Source: Chuang et al. 2021 [1]_ for the use of transport between halves; duality, Kantorovich
    and Rubinstein 1958 [2]_ ; bounded differences, McDiarmid 1989 [3]_ . The constants, the free
    margin and the class frequencies are our own form, proved below.

    When vacuous: in high dimension :math:`W_1^c` hardly falls with n, it is about
    :math:`\sqrt{2 \operatorname{tr} \Sigma_c}`; the classes must be that tight compared with their
    distance to the boundary.

    Notes
    -----
    On the rays of class c the margin is :math:`L_c`-Lipschitz, so the mean ramp of the law and of
    the points differ by at most :math:`(L_c/\gamma) W_1(P_c, P_{c,n})`, for all heads and
    :math:`\gamma` at once. Of :math:`W_1(P_c, P_{c,n}) - W_1^c` the mean is at most 0 (a law is
    nearer to its sample than two samples of half the size are to each other), and one point moves
    it by at most :math:`2(1/n_c + 1/k)` if it is in a half and :math:`2/n_c` otherwise. The
    halves come from a permutation that does not see the values. As a function of
    :math:`1/\gamma` the braces are convex and piecewise linear, so the minimum is at one of the
    margins. Any assignment is valid in place of the optimal one. Margins are lowered by
    what rounding can feign on these and on fresh points (``gaussian_head``), which leaves them as
    steep. Points that are not finite lie at
    0 with ramp 1.
    """
    found, sample = rays(view), view.sample
    claim = view.pooled()
    known = None if view.fit is None else scale_of_fit(view.fit, found)
    scales = found.kappas if known is None else (known,)
    if (reason := found.refusal(scales)) is not None:
        return refused(view, reason)
    members = members_of(sample.labels, len(sample.counts))
    margins = view.margins
    kappa = scales[0]
    if len(scales) > 1:
        guesses = class_guesses(found, scales, margins, members) @ sample.counts
        kappa = scales[int(np.argmin(guesses))]
    delta_row = part_of(delta, len(scales))
    delta_c = class_delta(delta_row, len(members), view.stratified)
    p_c = class_bounds(found, kappa, margins, members, delta_c)
    value, terms = class_weighted(p_c, sample.counts, sample.n, delta_row, view.stratified)
    return Outcome(
        value=value,
        n=sample.n,
        terms=terms,
        reasons=centre_note(view),
        details={"kappa": kappa, "per class": p_c.tolist()},
        claim=claim,
    )
