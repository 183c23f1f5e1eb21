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

from ncbounds.numerics.ellipsoid import fit
from ncbounds.numerics.ellipsoid_dense import Dense, certify
from ncbounds.numerics.ellipsoid_factored import CovarianceFactor, Factored
from ncbounds.numerics.rounding import FloatArray, up
from ncbounds.numerics.tails import cantelli
from ncbounds.numerics.two_moment_law import TwoMomentBound, matrix


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
        Upper bound on the rank of ``cov`` (default k), for the Mahalanobis ball ``rank/min d^2``.

    Returns
    -------
    TwoMomentBound
        The smallest of ellipsoid, union of Cantelli bounds, ball and 1; every one is valid
        whether the iteration converged or not.

    Raises
    ------
    ValueError
        Shapes that do not fit, values not finite, or a matrix that is not semidefinite; what a
        factor gives always is.

    Notes
    -----
    A mean that is not positive gives 1. A margin without variance and with positive mean drops
    out. For a matrix ``cov + 1e-9 max_j cov_jj I`` is bounded, which is never smaller; of a factor
    the covariance itself, singular or not.
    """
    if method not in ("ellipsoid", "sdp"):
        raise ValueError(f"method is {method!r}; needed: 'ellipsoid' or 'sdp'")
    m, s = _checked(mean, cov)
    if np.any(m <= 0):
        return TwoMomentBound(1.0, 1.0, 0, m, s)
    variances = _variances(s)
    keep = variances > 0
    if not keep.any():
        return TwoMomentBound(0.0, 0.0, 0, m, s)
    raw = m[keep] / np.sqrt(variances[keep])
    single = np.atleast_1d(cantelli(raw))
    union = float(up(float(single.sum()), len(single) + 4))
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
    m, s = _checked(mean, cov)
    if np.any(m <= 0):
        return TwoMomentBound(math.inf, math.inf, 0, m, s)
    keep = _variances(s) > 0
    if not keep.any():
        return TwoMomentBound(0.0, 0.0, 0, m, s)
    found = fit(_form(m, s, keep), tol, max_iter, centred=True)
    value = found.shape.certify()
    return TwoMomentBound(value, min(value, found.lower), found.iterations, m, s)


def _checked(
    mean: ArrayLike, cov: ArrayLike | CovarianceFactor
) -> tuple[FloatArray, FloatArray | CovarianceFactor]:
    """Float64 copies of fitting shapes, a matrix symmetrised."""
    m = np.array(mean, dtype=np.float64)
    if m.ndim != 1 or len(m) == 0:
        raise ValueError(f"mean has shape {m.shape}; needed: (k,)")
    if not np.all(np.isfinite(m)):
        raise ValueError("mean holds nan or inf; needed: finite moments")
    if isinstance(cov, CovarianceFactor):
        if cov.factor.shape[1] != len(m):
            raise ValueError(
                f"mean has shape {m.shape}, the factor {cov.factor.shape}; needed: (k,) and (r, k)"
            )
        return m, cov
    s = np.array(cov, dtype=np.float64)
    if s.shape != (len(m), len(m)):
        raise ValueError(f"mean has shape {m.shape}, cov {s.shape}; needed: (k,) and (k, k)")
    if not np.all(np.isfinite(s)):
        raise ValueError("cov holds nan or inf; needed: finite moments")
    scale = float(np.abs(s).max())
    if np.any(np.diag(s) < 0) or float(np.abs(s - s.T).max()) > 1e-8 * scale:
        raise ValueError("cov is not symmetric or has a negative variance; needed: a covariance")
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
