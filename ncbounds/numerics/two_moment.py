r"""Largest error probability over all laws of the margins with given mean and covariance.

.. math:: B = \min_{c > 0, Q > 0, Q_{jj} \le c_j^2} tr Q^{-1} (S + (m - c)(m - c)'),

the best Markov bound for an ellipsoid inscribed in the decision cell ``{margins > 0}``. It equals
the semidefinite value of Vandenberghe, Boyd and Comanor, SIAM Review 49 (2007) 52-64.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import not_negative, reals, whole
from ncbounds.numerics.ellipsoid import fit
from ncbounds.numerics.ellipsoid_dense import Dense, certify
from ncbounds.numerics.ellipsoid_factored import CovarianceFactor, Factored
from ncbounds.numerics.rounding import FloatArray, up
from ncbounds.numerics.tails import cantelli
from ncbounds.numerics.two_moment_law import TwoMomentBound, matrix

# Standardised means outside 1/_FAR.._FAR leave the range in which they can be squared and divided.
_FAR = 1e100
# Eigenvalues of the correlations above this share of the largest are no rounding.
_RANK_NOISE = 1e-6


def two_moment_bound(
    mean: ArrayLike,
    cov: ArrayLike | CovarianceFactor,
    method: Literal["ellipsoid", "sdp"] = "ellipsoid",
    tol: float = 1e-6,
    max_iter: int = 500,
    rank: int | None = None,
) -> TwoMomentBound:
    """Tight upper bound on ``P(some margin <= 0)`` from mean and covariance of the margins.

    Parameters
    ----------
    mean
        (k,) mean margins against the rivals.
    cov
        (k, k) covariance of the margins, or a :class:`CovarianceFactor` of shape (r, k): an
        iteration then takes O(k r^2) instead of O(k^3), and converges for singular covariances.
    method
        ``"ellipsoid"``: fixed point of inscribed ellipsoids. ``"sdp"``: the textbook semidefinite
        program by cvxpy, an oracle for k up to about 20.
    tol
        Relative gap between value and lower value at which to stop.
    max_iter
        Iterations at most; 2 give a valid bound within some per cent.
    rank
        Upper bound on the rank of ``cov`` (default k), for the Mahalanobis ball ``rank/min d^2``;
        a whole number from 1 on, and refused where ``cov`` plainly has a larger one.

    Returns
    -------
    TwoMomentBound
        The smallest of ellipsoid, union of Cantelli bounds, ball and 1; every one is valid
        whether the iteration converged or not.

    Raises
    ------
    InvalidArgument
        Shapes that do not fit, values not finite, an impossible or too small rank, or a matrix
        that is not semidefinite; what a factor gives always is.

    Notes
    -----
    A mean that is not positive gives 1. A margin without variance and with positive mean drops
    out. For a matrix ``cov + 1e-9 max_j cov_jj I`` is bounded, which is never smaller; of a factor
    the covariance itself, singular or not.
    """
    if method not in ("ellipsoid", "sdp"):
        raise InvalidArgument(f"method is {method!r}; needed: 'ellipsoid' or 'sdp'")
    not_negative("tol", tol)
    whole("max_iter", max_iter, 1)
    m, s = _checked(mean, cov)
    if rank is not None and whole("rank", rank, 1) < len(m):
        _refuse_small_rank(s, rank)
    if np.any(m <= 0):
        return TwoMomentBound(1.0, 1.0, 0, m, s)
    variances = _variances(s)
    keep = variances > 0
    if not keep.any():
        return TwoMomentBound(0.0, 0.0, 0, m, s)
    with np.errstate(over="ignore"):
        raw = m[keep] / np.sqrt(variances[keep])
    if raw.max() > _FAR or raw.min() < 1.0 / _FAR:
        # No form squares such distances; the union does, outward, and no law below is known.
        return TwoMomentBound(_union(raw)[1], 0.0, 0, m, s)
    single, union = _union(raw)
    most = len(raw) if rank is None else rank
    if isinstance(s, CovarianceFactor):
        most = min(most, len(s.factor))
    ball = float(up(most / float(raw.min()) ** 2, 8))
    best_single = float(single.max()) * (1.0 - 1e-14)
    if len(single) == 1:
        return TwoMomentBound(min(1.0, union), best_single, 0, m, s)
    solver_value = math.nan
    if method == "sdp":
        from ncbounds.numerics.two_moment_sdp import solve

        dense = Dense.of(m[keep], matrix(s)[np.ix_(keep, keep)])
        solver_value, centre, shape = solve(dense.d, dense.corr)
        ellipsoid, lower, iterations = certify(dense.d, dense.corr, centre, shape), 0.0, 0
    else:
        found = fit(_form(m, s, keep), tol, max_iter, centred=False)
        ellipsoid, lower, iterations = found.shape.certify(), found.lower, found.iterations
    value = min(1.0, union, ball, ellipsoid)
    lower = min(value, max(lower, best_single))
    return TwoMomentBound(value, lower, iterations, m, s, solver_value)


def centred_ellipsoid_bound(
    mean: ArrayLike, cov: ArrayLike | CovarianceFactor, tol: float = 1e-6, max_iter: int = 500
) -> TwoMomentBound:
    """Ellipsoid bound with the centre fixed at the mean, neither clipped nor combined.

    This is ``min s tr(Q^-1)``, the form that a star-unimodality factor may multiply.

    Parameters
    ----------
    mean, cov, tol, max_iter
        As in :func:`two_moment_bound`.

    Returns
    -------
    TwoMomentBound
        ``value`` may exceed 1 and is ``inf`` where a mean is not positive; ``lower`` bounds the
        minimum over ellipsoids about the mean, not the worst law.
    """
    not_negative("tol", tol)
    whole("max_iter", max_iter, 1)
    m, s = _checked(mean, cov)
    if np.any(m <= 0):
        return TwoMomentBound(math.inf, math.inf, 0, m, s)
    keep = _variances(s) > 0
    if not keep.any():
        return TwoMomentBound(0.0, 0.0, 0, m, s)
    found = fit(_form(m, s, keep), tol, max_iter, centred=True)
    value = found.shape.certify()
    return TwoMomentBound(value, min(value, found.lower), found.iterations, m, s)


def _union(d: FloatArray) -> tuple[FloatArray, float]:
    """Cantelli's bound of each margin, and their sum rounded up and at most 1."""
    single = np.atleast_1d(cantelli(d))
    return single, min(1.0, float(up(float(single.sum()), len(single) + 4)))


def _refuse_small_rank(cov: FloatArray | CovarianceFactor, rank: int) -> None:
    """Say so where the correlations have more than ``rank`` eigenvalues beyond rounding."""
    keep = _variances(cov) > 0
    sd = np.sqrt(_variances(cov)[keep])
    if isinstance(cov, CovarianceFactor):
        rows = cov.factor[:, keep] / sd
        values = np.linalg.eigvalsh(rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows)
    else:
        values = np.linalg.eigvalsh(cov[np.ix_(keep, keep)] / sd / sd[:, None])
    if len(values) > rank and values[-1 - rank] > _RANK_NOISE * values[-1]:
        found = int(np.sum(values > _RANK_NOISE * values[-1]))
        raise InvalidArgument(f"rank is {rank}, cov has rank {found}; needed: at least its rank")


def _checked(
    mean: ArrayLike, cov: ArrayLike | CovarianceFactor
) -> tuple[FloatArray, FloatArray | CovarianceFactor]:
    """Float64 copies of fitting shapes, a matrix symmetrised."""
    m = reals("mean", mean).copy()
    if m.ndim != 1 or len(m) == 0:
        raise InvalidArgument(f"mean has shape {m.shape}; needed: (k,)")
    if not np.all(np.isfinite(m)):
        raise InvalidArgument("mean holds nan or inf; needed: finite moments")
    if isinstance(cov, CovarianceFactor):
        if cov.factor.shape[1] != len(m):
            raise InvalidArgument(
                f"mean has shape {m.shape}, the factor {cov.factor.shape}; needed: (k,) and (r, k)"
            )
        return m, cov
    s = reals("cov", cov)
    if s.shape != (len(m), len(m)):
        raise InvalidArgument(f"mean has shape {m.shape}, cov {s.shape}; needed: (k,) and (k, k)")
    if not np.all(np.isfinite(s)):
        raise InvalidArgument("cov holds nan or inf; needed: finite moments")
    scale = float(np.abs(s).max())
    if np.any(np.diag(s) < 0) or float(np.abs(s - s.T).max()) > 1e-8 * scale:
        raise InvalidArgument(
            "cov is not symmetric or has a negative variance; needed: a covariance"
        )
    return m, 0.5 * (s + s.T)


def _variances(cov: FloatArray | CovarianceFactor) -> FloatArray:
    return cov.variances if isinstance(cov, CovarianceFactor) else np.diag(cov)


def _form(
    mean: FloatArray, cov: FloatArray | CovarianceFactor, keep: NDArray[np.bool_]
) -> Dense | Factored:
    """Standardise the margins that vary."""
    if isinstance(cov, CovarianceFactor):
        return Factored.of(mean[keep], CovarianceFactor(cov.factor[:, keep]))
    return Dense.of(mean[keep], cov[np.ix_(keep, keep)])
