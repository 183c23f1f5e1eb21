"""The least margin of a sample against the best that its norms allow."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.labelled import centred_rows, labelled

#: Share of the points below the quantile that stands beside the minimum.
QUANTILE = 0.05


@dataclass(frozen=True)
class MarginEfficiency:
    """Margins as shares of the largest least margin ``budget / kappa``.

    Attributes
    ----------
    minimum : float
        Of the least margin; at most 1, and negative after an error.
    quantile : float
        Of the 5 % quantile of the margins, which one bad point does not move; not bounded by 1.
    kappa : float
        See :func:`margin_scale`.
    budget : float
        ``||P_c W||_F ||H||_F``, H centred if a bias is free.
    reasons : tuple of str
        Why values are nan.
    """

    minimum: float
    quantile: float
    kappa: float
    budget: float
    reasons: tuple[str, ...] = ()


def margin_scale(counts: object, *, bias: bool) -> float:
    r"""Least budget ``||P_c W||_F ||H||_F`` at which all margins can be 1, for class counts.

    .. math:: \kappa = \big\| (I - \pi 1') D^{1/2} \big\|_* \ \text{(free bias)}, \qquad
        \kappa = \big\| (I - 11'/C)\, D^{1/2} \big\|_* \ \text{(none)},

    with ``D = diag(n_c)`` and ``pi = n_c/n``. Equal counts m give ``(C - 1) sqrt(m)``.

    Parameters
    ----------
    counts : array of shape (C,)
        Points per class; classes may be empty.
    bias : bool
        Whether a bias is free.

    Raises
    ------
    InvalidSample
        If counts are negative or there are no points.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 1 or not (n >= 0).all() or not n.sum() > 0:
        raise InvalidSample(f"counts need shape (C,), none negative, some positive; found {counts}")
    centre = n / n.sum() if bias else np.full(len(n), 1 / len(n))
    return float(sla.svdvals((np.eye(len(n)) - centre[:, None]) * np.sqrt(n)).sum())


def margin_efficiency(sample: Sample, head: LinearHead) -> MarginEfficiency:
    r"""Least margin of the sample over the largest that any network of these norms can have.

    For every head, features and bias, of any width, ``min_i margin_i <= B/kappa`` with
    ``B = ||P_c W||_F ||H||_F``; it is attained (class logits ``I - pi 1'`` with bias ``pi``, or
    ``P_c``). Margins are ``s_y - max_{j != y} s_j``.

    Parameters
    ----------
    sample : Sample
        n points with labels below C; of any role but test, and meant for fit.
    head : LinearHead
        Weight (C, d); ``has_bias`` declares whether the bias is free.

    Returns
    -------
    MarginEfficiency
        nan with a reason for points of one class, norms of zero, and logits that are not finite.

    Raises
    ------
    InvalidSample
        If shapes do not fit or a label has no output.
    RoleError
        If the sample is of role test.

    Notes
    -----
    Proof of the limit, free bias: with ``K = D - n pi pi'`` and its pseudo-inverse root, all
    ``beta_jc = -[K^{+1/2}(I - pi 1')]_jc`` off the diagonal are nonnegative (the root is an
    integral of resolvents of K, diagonal but for one rank), and that matrix times the one-hot
    labels has orthonormal rows. So the sum of ``beta_jc`` times the lead over j of each point of c
    is at most ``||P_c W H||_* <= B``, and ``sum n_c beta_jc = kappa``. Without a bias the same
    holds for ``P_c D P_c``.
    """
    labelled(sample, head)
    counts = np.bincount(sample.labels, minlength=head.classes)
    if len(counts) > head.classes:
        raise InvalidSample(
            f"a label is {len(counts) - 1}, the head has outputs 0..{head.classes - 1}; take the "
            "rows whose label has an output (sample.take)"
        )
    moments = sample.moments
    here = moments.present
    means = moments.mean[here] - (moments.centre(weighted=True) if head.has_bias else 0.0)
    square = moments.trace.sum() + moments.count[here] @ np.einsum("ij,ij->i", means, means)
    with np.errstate(over="ignore"):  # told below
        budget = float(np.linalg.norm(centred_rows(head.weight)) * np.sqrt(square))
    kappa = margin_scale(counts, bias=head.has_bias)
    found = np.empty(sample.n)
    for part, logits in sample.logit_rows(head).blocks():
        found[part] = margins(logits, sample.labels[part])
    why = _undefined(len(here), budget, found)
    if why:
        return MarginEfficiency(float("nan"), float("nan"), kappa, budget, (why,))
    scale = kappa / budget
    return MarginEfficiency(
        float(found.min()) * scale, float(np.quantile(found, QUANTILE)) * scale, kappa, budget
    )


def _undefined(classes: int, budget: float, found: Floats) -> str:
    if classes < 2:
        return "all points are of one class"
    if not np.isfinite(budget) or not np.isfinite(found).all():
        return "a logit or a norm is not finite"
    if budget == 0:
        return "the centred head or features are zero"
    return ""
