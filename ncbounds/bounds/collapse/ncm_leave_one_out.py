"""Leave-one-out error of nearest class mean, exactly and without a refit."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.claims.claim import Claim
from ncbounds.claims.heads import OtherHead
from ncbounds.procedures.linear import ncm_of_means
from ncbounds.statistics.nearest import lost_in_float32, ordinary
from ncbounds.statistics.pair_moments import squared_distances
from ncbounds.statistics.rows import as_rows, finite_rows, members_of

#: A difference of squared distances below this share of them is rounding, and counts as a tie.
ROUNDING = 1e-13
#: Relative error that the squared distances between means may have.
DISTANCES = 1e-10


class _Missed(NamedTuple):
    """Missed and finite points per class, the classes that have any, and their means."""

    missed: Floats
    usable: Ints
    present: Ints
    means: Floats


def ncm_leave_one_out_formula(features: Floats, labels: Ints) -> float:
    """Share of points that the nearest class mean misses when they are left out themselves.

    Parameters
    ----------
    features : array of shape (n, d)
    labels : integer array of shape (n,)
        At least two classes need a point whose features are finite.
    """
    return float(_leave_out(features, labels, np.bincount(labels)).missed.sum() / len(labels))


def _leave_out(features: object, labels: Ints, counts: Ints) -> _Missed:
    rows = as_rows(features)
    finite = finite_rows(rows)
    members = [index[finite[index]] for index in members_of(labels, len(counts))]
    usable = np.array([len(index) for index in members])
    present = np.flatnonzero(usable)
    missed = (counts - usable).astype(np.float64)
    means = np.empty((len(present), rows.shape[1]))
    for k, c in enumerate(present):
        means[k] = rows.take(members[c]).mean(axis=0)
    apart, narrow = squared_distances(means), _narrow(means)
    for k, c in enumerate(present):
        residual = rows.take(members[c])
        residual -= means[k]
        left = _left_open(residual, narrow, apart[k], k)
        missed[c] += left.missed
        if len(left.open):
            gaps = means - means[k]
            missed[c] += _missed(residual[left.open], gaps, k, len(residual))
    return _Missed(missed, usable, present, means)


@bound(
    family="collapse",
    kind="plug-in",
    role="any",
    target="ncm",
    requires=(),
    assumptions=("an estimate, not a bound: no confidence term is known for it",),
    answers=("per",),
    confused_with=(
        "A guarantee: it estimates the error of nearest class mean, and the least of many such "
        "estimates is too small."
    ),
    references=("stone1974", "luntz1969"),
    invariant_to=("relabelling", "rotation", "translation", "feature scale", "head scale"),
    default=True,
    formula=ncm_leave_one_out_formula,
)
def ncm_leave_one_out(view: View, delta: float, per: str = "sample") -> Outcome:
    r"""Share of points that the nearest class mean misses when the point itself is left out.

    Removing x from its class y multiplies its own distance by a known factor, so x is missed iff

    .. math::
        \Big(\frac{n_y}{n_y - 1}\Big)^2 \|x - \hat\mu_y\|^2 \ge
        \min_{j \ne y} \|x - \hat\mu_j\|^2 ,

    a tie being a miss; the value is the share of missed points. A point that is alone in its class
    or has a non-finite feature is missed.

    Shapes: features (n, d), labels (n,); O(n C d) operations, one class in memory at a time.

    Role: any but test; the features must not depend on the sample for the estimate to be unbiased,
    and on the training sample the row says so. The head is not read.

    Assumptions: none for the identity. Given features that are independent of the sample, the
    average over class c is unbiased for the error on class c of nearest class mean with
    :math:`n_c - 1` points in c and :math:`n_j` in every other class j. No exponential tail is known
    for its deviation, so this is an estimate.

    Source: the leave-one-out principle is Stone 1974 [1]_ , its near-unbiasedness Luntz and
    Brailovsky 1969 [2]_ ; the closed form for class means is elementary, see Notes.

    When vacuous: with few points per class it is noisy; it has no vacuous regime of its own.

    Notes
    -----
    The mean of class y without x is :math:`\hat\mu_y + (\hat\mu_y - x)/(n_y - 1)`, and its
    difference to x is :math:`(\hat\mu_y - x) n_y/(n_y - 1)`.
    """
    sample = view.sample
    counts = sample.counts
    classes = len(counts)
    missed, usable, present, means = _leave_out(sample.features, sample.labels, counts)
    if len(present) < 2:
        return Outcome(
            value=np.nan, n=sample.n, reasons=("fewer than two classes have a finite point",)
        )
    reasons = []
    if (alone := int((usable == 1).sum())) > 0:
        reasons.append(f"{alone} classes have one point, which counts as missed")
    if (lost := int((counts - usable).sum())) > 0:
        reasons.append(f"{lost} points have non-finite features and count as missed")
    claim: Claim = OtherHead("ncm", ncm_of_means(means, present, classes))
    per_class = missed / np.where(counts > 0, counts, np.nan)
    if per == "sample":
        value, claim = missed.sum() / sample.n, view.pooled(claim)
    else:
        weights = view.class_weights(per)
        used = weights > 0
        value, claim = weights[used] @ per_class[used], Weighted(weights, claim, per)
        reasons += ["a class with weight has no point"] if np.isnan(value) else []
    return Outcome(
        value=float(value),
        n=sample.n,
        reasons=tuple(reasons),
        details={"per class": per_class},
        claim=claim,
    )


class _Left(NamedTuple):
    """Points of a class that are missed for sure, and row numbers of those that are left open."""

    missed: int
    open: Ints


def _narrow(means: Floats) -> tuple[NDArray[np.float32], float]:
    """Means about their own in float32, and the largest norm; 0 where float32 may not hold them."""
    centred = means - means.mean(axis=0) if len(means) else means
    longest = float(np.sqrt(np.einsum("ij,ij->i", centred, centred).max(initial=0.0)))
    if not ordinary(longest):
        longest = 0.0
    with np.errstate(over="ignore"):
        return centred.astype(np.float32), longest


def _left_open(
    residual: Floats, narrow: tuple[NDArray[np.float32], float], apart: Floats, own: int
) -> _Left:
    """Decide what products in float32 can decide of one class, residuals (n_c, d).

    With e = x - mu_y a rival is at ``||e||^2 + ||mu_j - mu_y||^2 - 2 (e'mu_j - e'mu_y)``, whose two
    products are off by what :func:`lost_in_float32` says.
    """
    n, (means, longest) = len(residual), narrow
    square = np.einsum("ij,ij->i", residual, residual)
    length = np.sqrt(square)
    if n == 1 or not longest > 0.0 or not ordinary(length.max()):
        return _Left(0, np.arange(n))
    cross = residual.astype(np.float32) @ means.T
    lead = apart - 2.0 * cross
    lead[:, own] = np.inf
    lead = lead.min(axis=1) + 2.0 * cross[:, own] - square * ((n / (n - 1.0)) ** 2 - 1.0)
    off = 4.0 * lost_in_float32(residual.shape[1]) * longest * length
    # the distances between means, and ties as in float64
    off += 2.0 * DISTANCES * (square + apart.max())
    return _Left(int((lead < -off).sum()), np.flatnonzero(~(np.abs(lead) > off)))


def _missed(residual: Floats, gaps: Floats, own: int, n: int | None = None) -> int:
    """Count missed points of a class of n, by default all that are given.

    Parameters
    ----------
    residual : array of shape (m, d)
        Of points from the class mean.
    gaps : array of shape (C, d)
        Differences of the means from it.
    own : int
    n : int, optional
    """
    n = len(residual) if n is None else n
    if n == 1:
        return 1
    square = np.einsum("ij,ij->i", residual, residual)
    gap = np.einsum("ij,ij->i", gaps, gaps)
    # squared distances to the rivals, written around the own mean: no cancellation if collapsed
    rivals = square[:, None] - 2.0 * (residual @ gaps.T) + gap
    rivals[:, own] = np.inf
    nearest = np.argmin(rivals, axis=1)
    rival = rivals[np.arange(len(residual)), nearest]
    scaled = square * (n / (n - 1.0)) ** 2
    return int((~(scaled < rival - ROUNDING * (square + gap[nearest]))).sum())
