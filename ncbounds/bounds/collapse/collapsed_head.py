"""The Gaussian certificate of the head restricted to the span of the class means."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._projected import ProjectedRows, off_subspace, projected_rays
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.homogeneous.gaussian import (
    GaussianValue,
    gaussian_head_value,
    gaussian_restated,
)
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.heads import OtherHead
from ncbounds.evidence.decided import U
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.statistics.rows import as_rows, finite_rows, mean_of

#: Directions of the class means below this share of the largest singular value are left out.
RANK_TOLERANCE = 1e-8


def collapsed_head_formula(
    features: Floats,
    labels: Ints,
    weight: Floats,
    bias: Floats,
    centre: Floats,
    basis: Floats,
    farthest: float,
    delta: float,
) -> float:
    """Certificate of the head ``weight @ f + bias`` on projected features, rounded up.

    Parameters
    ----------
    features : array of shape (n, d)
    labels : integer array of shape (n,)
    weight : array of shape (C, d)
    bias : array of shape (C,)
    centre : array of shape (d,)
    basis : array of shape (d, r)
        Orthonormal columns; features are projected on ``centre`` plus their span. Neither may
        depend on these points.
    farthest : float
        Points farther from ``centre``, in multiples of their projection's length, have loss 1;
        fixed beforehand as well.
    delta : float in (0, 1)
    """
    head = LinearHead(weight, bias)
    return _on_subspace(features, labels, head, centre, basis, farthest, delta).value


def _on_subspace(
    features: object,
    labels: Ints,
    head: LinearHead,
    q: Floats,
    basis: Floats,
    farthest: float,
    delta: float,
) -> GaussianValue:
    with np.errstate(invalid="ignore", over="ignore"):
        weight, bias = head.weight @ basis, head.bias + head.weight @ q
        besides = restricted_rounding(head, restrict(head, q, basis), q, weight, farthest)
        points = ProjectedRows(features, q, basis, farthest)
        return gaussian_head_value(projected_rays(points, labels, weight, bias, besides), delta)


@bound(
    family="collapse",
    kind="certificate",
    role="head",
    target="restricted-head",
    requires=("head", "fit"),
    also_fit=False,
    confused_with=(
        "A bound on the saved head: it speaks about that head on projected features, another "
        "classifier, whose own error stands beside it."
    ),
    references=("maurer2004", "langford2002", "papyan2020"),
    decreasing_in=("delta",),
    invariant_to=("relabelling", "translation", "head scale", "common row"),
    default=True,
    column=ScreenColumn("subspace", order=30, heading="collapse"),
    restated=gaussian_restated,
    formula=collapsed_head_formula,
)
def collapsed_head(view: View, delta: float) -> Outcome:
    r"""Bound the error of the head on features projected on the span of the class means.

    The ``fit`` sample alone gives the class means :math:`\mu_c`, their average q and an orthonormal
    basis U of the span of the :math:`\mu_c - q`, of rank :math:`r \le C - 1`. The certified
    classifier is the saved head applied to :math:`q + UU'(f - q)`. With
    :math:`\psi = (U'(f - q), \kappa) \in R^{r+1}` and V the centred rows of
    :math:`(WU, (b + Wq)/\kappa)`, with probability at least :math:`1-\delta`

    .. math::
        R \le \min_{\kappa, \theta, \Pi, \mu, \sigma}
            \frac{1}{F} \mathrm{kl}^{-1}\Big(\hat G_\theta,\;
            \frac{\mathrm{KL} + \ln(|\Theta| |K| \xi(n)/\delta)}{n}\Big) , \qquad
        \mathrm{KL} = (C-1)\,e\,\frac{\sigma^2 - 1 - 2\ln\sigma}{2} + \frac{\sigma^2\mu^2}{2} ,

    the certificate ``gaussian_head`` in r + 1 dimensions instead of d + 1, where e is the rank of
    the projector :math:`\Pi`, at most r + 1.

    Shapes: features (n, d), labels (n,), head (C, d); the fit sample gives (C, d) means.

    Role: ``head`` or ``holdout`` for the points that count, since the head may depend on their
    labels, but neither the features nor the subspace on them; ``fit`` for the subspace.

    Assumptions: none beyond the draw; the two samples are disjoint. If class counts were fixed by
    design, the bounded error is weighted by the sample's class frequencies.

    Source: the PAC-Bayes-kl inequality of Maurer 2004, Theorem 5 [1]_ , and Gaussian noise on
    margins as in Langford and Shawe-Taylor 2002 [2]_ ; that the features of a trained classifier
    gather in this subspace is Papyan, Han and Donoho 2020 [3]_ . The form with threshold, free
    noise scale and projector is our own; its proof stands with ``gaussian_head``.

    When vacuous: where the head needs directions outside the subspace, the restricted head is
    worse; for small n the price of r + 1 dimensions per class remains. The value speaks about the
    restricted head, never about the saved one.

    Notes
    -----
    Given the fit sample the projection is a fixed map, so ``gaussian_head`` applies to the
    projected points word for word, and W and b may depend on them. The certified classifier is the
    float64 head ``W UU'``, ``b + W q - W UU' q`` on the features themselves. What it and the head
    in r + 1 dimensions differ by in float64 grows with :math:`\|f - q\|`, which :math:`\psi` does
    not hold: points where that is more than twice the largest multiple of :math:`\|\psi\|` on the
    fit sample have loss 1, and elsewhere the difference is paid for as in ``gaussian_head``.
    """
    sample, head = view.sample, view.head
    if view.fit is None:
        return Outcome(
            value=np.nan, n=sample.n, reasons=("the subspace needs a fit sample of other rows",)
        )
    q, basis = class_mean_subspace(view.fit)
    restricted = restrict(head, q, basis)
    claim = view.pooled(OtherHead("restricted-head", restricted))
    reasons: tuple[str, ...] = ("subspace from the class means of the fit sample",)
    if basis.shape[1] == 0:
        return Outcome(
            value=1.0,
            n=sample.n,
            reasons=(*reasons, "the class means coincide"),
            details={"dimension": 0},
            claim=claim,
        )
    farthest = 2.0 * float(off_subspace(view.fit.features, q, basis).max(initial=1.0))
    found = _on_subspace(sample.features, sample.labels, head, q, basis, farthest, delta)
    if (reason := found.details.get("degenerate")) is not None:
        reasons = (*reasons, reason)
    return Outcome(
        value=found.value,
        n=sample.n,
        terms=found.terms,
        reasons=reasons,
        details={"dimension": basis.shape[1], **found.details},
        claim=claim,
    )


def class_mean_subspace(fit: Sample) -> tuple[Floats, Floats]:
    """Average of the class means, shape (d,), and a basis of their span about it, (d, r).

    Rows with a feature that is not finite and classes without rows are left out.
    """
    rows = as_rows(fit.features)
    finite = finite_rows(rows)
    means = []
    for c in range(len(fit.counts)):
        index = np.flatnonzero(finite & (fit.labels == c))
        if len(index):
            means.append(mean_of(rows, index))
    if not means:
        return np.zeros(rows.shape[1]), np.zeros((rows.shape[1], 0))
    q = np.mean(means, axis=0)
    _, values, right = np.linalg.svd(np.asarray(means) - q, full_matrices=False)
    # C centred means span at most C - 1 directions, whatever rounding says
    values = values[: len(means) - 1]
    rank = int((values > RANK_TOLERANCE * values[0]).sum()) if len(values) else 0
    return q, np.ascontiguousarray(right[:rank].T)


def restrict(head: LinearHead, q: Floats, basis: Floats) -> LinearHead:
    """Head on d features that gives the logits of ``head`` at ``q + UU'(f - q)``."""
    with np.errstate(invalid="ignore", over="ignore"):
        weight = (head.weight @ basis) @ basis.T
        return LinearHead(weight, head.bias + head.weight @ q - weight @ q)


def restricted_rounding(
    head: LinearHead, restricted: LinearHead, q: Floats, weight: Floats, farthest: float
) -> tuple[float, float]:
    r"""How far leads by the head on features and on projected points may be apart.

    With A = ``weight`` = fl(W U) and R the restricted head, each of two logits differs by at most
    :math:`u\,[(2d + 96)(|R||f| + |R||q| + |W||q| + |b|) + \sqrt{r}\,(d + 2r + 8)\,\|A\|\,
    \|f - q\|]`: rounding of R and its bias, of the projection, and what the rule on R's logits asks
    for. :math:`\|f - q\|` is at most ``farthest`` times the smallest :math:`\|\psi\|`. Returned are
    the part per unit of :math:`\|\psi\|` and the constant one.
    """
    d, r = head.dim, weight.shape[1]
    norm, own = float(np.linalg.norm(restricted.weight)), float(np.linalg.norm(weight))
    at_q = (2.0 * np.abs(restricted.weight) + np.abs(head.weight)) @ np.abs(q) + np.abs(head.bias)
    per_length = (2 * d + 96) * norm + np.sqrt(r) * (d + 2 * r + 8) * own
    once = (2 * d + 96) * float(np.linalg.norm(at_q))
    return 2.0 * U * float(per_length) * farthest, 2.0 * U * once
