"""Bias-corrected moments of pairs of classes, exact in expectation for every law.

Plug-in moments of n points are biased by terms that matter for small n or large dimension: squared
distances of means come out too large, variances along the estimated axis too. Each function below
removes the bias exactly, for every law with finite fourth moments. Products and ratios of the
estimates are not unbiased.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.statistics.pair_moments import PairwiseMoments

MIN_COUNT = 4  # fourth-order corrections divide by n - 3


def trace_of_square(n: Floats, tr_s2: Floats, v: Floats, q: Floats) -> Floats:
    """Unbiased ``tr Sigma^2`` from ``tr S^2``, ``v = tr S``, ``q = sum ||e||^4/(n-1)``; n >= 4.

    References
    ----------
    T. Himeno and T. Yamada, "Estimations for some functions of covariance matrix in high dimension
    under non-normality and its applications", J. Multivariate Analysis 130 (2014).
    """
    g = _factor(n)
    return np.asarray(g * ((n - 1) * (n - 2) * tr_s2 + v**2 - n * q), dtype=np.float64)


def squared_trace(n: Floats, tr_s2: Floats, v: Floats, q: Floats) -> Floats:
    """Unbiased ``(tr Sigma)^2`` from the same three moments; n >= 4."""
    g = _factor(n)
    return np.asarray(g * (2 * tr_s2 + (n**2 - 3 * n + 1) * v**2 - n * q), dtype=np.float64)


def fourth_moment(n: Floats, q: Floats, square: Floats, tr_sq: Floats) -> Floats:
    """Unbiased ``M4 = E||x - mu||^4`` from ``q``, :func:`squared_trace`, :func:`trace_of_square`.

    Follows from ``E mean ||e||^4 = A M4 + B ((tr Sigma)^2 + 2 tr Sigma^2)``.
    """
    a = (n - 1) * (n**2 - 3 * n + 3) / n**3
    b = ((n - 1) / n) ** 2 - a
    return np.asarray((q * (n - 1) / n - b * (square + 2 * tr_sq)) / a, dtype=np.float64)


def _factor(n: Floats) -> Floats:
    return np.asarray((n - 1) / (n * (n - 2) * (n - 3)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PairEstimates:
    """Estimated population moments of C classes and their ordered pairs, ``D_ij = mu_j - mu_i``.

    Attributes
    ----------
    variance : array of shape (C,)
        ``tr Sigma_c``.
    variance_squared : array of shape (C,)
        ``(tr Sigma_c)^2``; its own estimate, not the square of ``variance``.
    trace_of_square : array of shape (C,)
        ``tr Sigma_c^2``.
    fourth : array of shape (C,)
        ``E||x - mu_c||^4``.
    trace_products : array of shape (C, C)
        ``tr Sigma_i Sigma_j`` for i != j (the diagonal is ``trace_of_square``).
    dist2 : array of shape (C, C)
        ``||D_ij||^2``; may be negative: see ``separated``.
    own, rival : arrays of shape (C, C)
        ``D_ij' Sigma_i D_ij`` and ``D_ij' Sigma_j D_ij``.
    rival_skew : array of shape (C, C)
        ``D_ij' kap_j`` with ``kap_c = E[(x - mu_c) ||x - mu_c||^2]``.
    usable : bool array of shape (C,)
        Classes with at least four rows; all estimates of other classes are nan.
    reasons : tuple of str
        Which classes were too small and which uncorrected moments were fallen back to.
    """

    variance: Floats
    variance_squared: Floats
    trace_of_square: Floats
    fourth: Floats
    trace_products: Floats
    dist2: Floats
    own: Floats
    rival: Floats
    rival_skew: Floats
    usable: NDArray[np.bool_]
    reasons: tuple[str, ...]

    @property
    def separated(self) -> NDArray[np.bool_]:
        """Shape (C, C): whether the corrected squared distance of the means is positive."""
        return np.asarray(self.dist2 > 0)


def corrected(moments: PairwiseMoments) -> PairEstimates:
    """Apply the corrections alone: exactly unbiased, but variances may come out negative.

    Parameters
    ----------
    moments : PairwiseMoments

    Returns
    -------
    PairEstimates
        With nan for classes of fewer than four rows.
    """
    usable = moments.count >= MIN_COUNT
    n = np.where(usable, moments.count, np.nan).astype(np.float64)
    v, q = np.where(usable, moments.variance, np.nan), moments.fourth
    tr_s2 = np.diag(moments.trace_products)
    tr_sq = trace_of_square(n, tr_s2, v, q)
    v_sq = squared_trace(n, tr_s2, v, q)
    m4 = fourth_moment(n, q, v_sq, tr_sq)
    # Fourth cumulant of the residual: what Gaussian classes have none of.
    k4 = m4 - v_sq - 2 * tr_sq
    cross = moments.trace_products + 0 * (n[:, None] + n)
    own_n, rival_n = n[:, None], n[None, :]
    dist2 = moments.dist2 - (v / n)[:, None] - (v / n)[None, :]
    # Dh_ij'S_iDh_ij sees i's noise in the axis, too: as covariance, skewness and kurtosis.
    own = (
        moments.spread
        - (tr_sq / n)[:, None]
        - cross / rival_n
        + 2 * moments.skew / own_n
        + (k4 / n**2)[:, None]
    )
    # The pair (j, i) has the axis -Dh_ij, so every rival's term is a transpose of an own one.
    result = PairEstimates(
        variance=v,
        variance_squared=v_sq,
        trace_of_square=tr_sq,
        fourth=m4,
        trace_products=_with_diagonal(cross, tr_sq),
        dist2=_with_diagonal(dist2, 0 * v),
        own=_with_diagonal(own, 0 * v),
        rival=_with_diagonal(own, 0 * v).T,
        rival_skew=_with_diagonal(-moments.skew.T - (k4 / n)[None, :], 0 * v),
        usable=usable,
        reasons=_too_small(moments),
    )
    return result


def estimate(moments: PairwiseMoments) -> PairEstimates:
    """Corrected moments, with the uncorrected one wherever a correction leaves no variance.

    Nothing is clipped to a small positive number. A corrected variance along an axis, or
    ``tr Sigma^2``, that is <= 0 becomes its plug-in; ``(tr Sigma)^2 <= 0`` becomes ``v^2``; a
    fourth moment below ``(tr Sigma)^2``, impossible for any law, becomes equal to it. ``reasons``
    counts each of these. Squared distances are left alone: see ``PairEstimates.separated``.

    Parameters
    ----------
    moments : PairwiseMoments

    Returns
    -------
    PairEstimates
    """
    raw = corrected(moments)
    reasons = list(raw.reasons)
    pairs = ~np.eye(moments.classes, dtype=bool)
    tr_s2 = np.diag(moments.trace_products)
    tr_sq, lost = _fall_back(raw.trace_of_square, tr_s2)
    _report(reasons, lost, "classes use tr S^2 uncorrected")
    v_sq, lost = _fall_back(raw.variance_squared, moments.variance**2)
    _report(reasons, lost, "classes use (tr S)^2 uncorrected")
    below = raw.fourth < v_sq
    _report(reasons, below, "classes have their fourth moment raised to (tr Sigma)^2")
    own, lost = _fall_back(raw.own, moments.spread, pairs)
    _report(reasons, lost, "ordered pairs use the variance along their axis uncorrected")
    return PairEstimates(
        variance=raw.variance,
        variance_squared=v_sq,
        trace_of_square=tr_sq,
        fourth=np.where(below, v_sq, raw.fourth),
        trace_products=_with_diagonal(raw.trace_products, tr_sq),
        dist2=raw.dist2,
        own=own,
        rival=own.T,
        rival_skew=raw.rival_skew,
        usable=raw.usable,
        reasons=tuple(reasons),
    )


def _fall_back(
    value: Floats, plug_in: Floats, where: NDArray[np.bool_] | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    lost = (value <= 0) & (plug_in > 0)
    if where is not None:
        lost &= where
    # Rounding can leave a variance of 0 negative; its plug-in is then 0 or nothing worth a report.
    return np.where(lost, plug_in, np.where(value <= 0, 0.0, value)), lost


def _report(reasons: list[str], which: NDArray[np.bool_], what: str) -> None:
    if which.any():
        size = len(which)
        total = size if which.ndim == 1 else size * (size - 1)
        reasons.append(f"{int(which.sum())} of {total} {what}")


def _too_small(moments: PairwiseMoments) -> tuple[str, ...]:
    small = np.flatnonzero(moments.count < MIN_COUNT)
    if len(small) == 0:
        return moments.reasons
    names = ", ".join(str(int(c)) for c in small[:10]) + (", ..." if len(small) > 10 else "")
    why = f"classes with fewer than {MIN_COUNT} points have no corrected moments: {names}"
    return (*moments.reasons, why)


def _with_diagonal(matrix: Floats, diagonal: Floats) -> Floats:
    result = matrix.copy()
    np.fill_diagonal(result, diagonal)
    return result
