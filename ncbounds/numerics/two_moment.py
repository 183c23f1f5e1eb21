r"""Largest error probability over all laws of the margins with given mean and covariance.

.. math:: B = \min_{c > 0, Q > 0, Q_{jj} \le c_j^2} tr Q^{-1} (S + (m - c)(m - c)'),

the best Markov bound for an ellipsoid inscribed in the decision cell ``{margins > 0}``. It equals
the semidefinite value of Vandenberghe, Boyd and Comanor, SIAM Review 49 (2007) 52-64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from . import ellipsoid
from .rounding import FloatArray, up
from .tails import cantelli

# S + eps I replaces S, eps this share of the largest variance: the bound only grows with S.
REGULARISATION = 1e-9


@dataclass(frozen=True)
class TwoMomentBound:
    """A two-moment bound with the numbers that certify it.

    Attributes
    ----------
    value
        Certified upper bound, rounded up; at most 1 unless the centre was fixed at the mean.
    lower
        Certified lower value: some law with these moments (covariance ``S + eps I``) errs this
        often. The truth lies between.
    iterations
        Eigendecompositions used; 0 where a closed form applied.
    solver_value
        Objective reported by the semidefinite solver, not certified; nan for other methods.
    """

    value: float
    lower: float
    iterations: int
    mean: FloatArray
    cov: FloatArray
    solver_value: float = math.nan

    @property
    def gap(self) -> float:
        """Relative distance of ``lower`` from ``value``."""
        return 0.0 if self.value == 0 else (self.value - self.lower) / self.value

    def worst_case(self) -> tuple[FloatArray, FloatArray]:
        """Law with these moments that attains the bound up to the solver's tolerance.

        Returns
        -------
        atoms : ndarray
            (k+1, k) margins. Atom j < k lies on the boundary ``margin_j = 0`` to the solver's
            tolerance, the last one inside the cell.
        masses : ndarray
            (k+1,) probabilities.

        Raises
        ------
        ValueError
            If a mean is not positive or no coordinate varies: then no such law exists.
        """
        keep = np.diag(self.cov) > 0
        if not np.all(self.mean > 0) or not keep.any():
            raise ValueError("needed for a worst case: positive means and some variance")
        d, corr, sd = _standardise(self.mean[keep], self.cov[np.ix_(keep, keep)])
        state = ellipsoid.fit(d, corr, 1e-10, 1000, centred=False)
        x, mass = _law(state.centre, state.shape, state.weights)
        atoms = np.tile(self.mean, (len(mass), 1))
        atoms[:, keep] -= sd * x
        if keep.all():
            return atoms, mass
        # Constant margins have atoms of no mass, so that there are k + 1 in any case.
        still = int(np.sum(~keep))
        order = np.concatenate([np.nonzero(keep)[0], np.nonzero(~keep)[0], [len(keep)]])
        wide = np.vstack([atoms[:-1], np.tile(self.mean, (still, 1)), atoms[-1:]])
        full = np.concatenate([mass[:-1], np.zeros(still), mass[-1:]])
        return wide[np.argsort(order)], full[np.argsort(order)]


def two_moment_bound(
    mean: ArrayLike,
    cov: ArrayLike,
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
        (k, k) covariance of the margins.
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
        Shapes that do not fit, values not finite, or a covariance that is not semidefinite.

    Notes
    -----
    A mean that is not positive gives 1. A margin without variance and with positive mean drops
    out. ``cov + 1e-9 max_j cov_jj I`` is bounded, which is never smaller.
    """
    m, s = _checked(mean, cov)
    if np.any(m <= 0):
        return TwoMomentBound(1.0, 1.0, 0, m, s)
    keep = np.diag(s) > 0
    if not keep.any():
        return TwoMomentBound(0.0, 0.0, 0, m, s)
    raw = m[keep] / np.sqrt(np.diag(s)[keep])
    single = np.atleast_1d(cantelli(raw))
    union = float(up(float(single.sum()), len(single) + 4))
    ball = float(up((len(raw) if rank is None else rank) / float(raw.min()) ** 2, 8))
    best_single = float(single.max()) * (1.0 - 1e-14)
    if len(single) == 1:
        return TwoMomentBound(min(1.0, union), best_single, 0, m, s)
    d, corr, _ = _standardise(m[keep], s[np.ix_(keep, keep)])
    solver_value = math.nan
    if method == "sdp":
        from .two_moment_sdp import solve

        solver_value, centre, shape = solve(d, corr)
        lower, iterations = 0.0, 0
    elif method == "ellipsoid":
        state = ellipsoid.fit(d, corr, tol, max_iter, centred=False)
        centre, shape, lower, iterations = state.centre, state.shape, state.lower, state.iterations
    else:
        raise ValueError(f"method is {method!r}; needed: 'ellipsoid' or 'sdp'")
    value = min(1.0, union, ball, ellipsoid.certify(d, corr, centre, shape))
    lower = min(value, max(lower, best_single))
    return TwoMomentBound(value, lower, iterations, m, s, solver_value)


def centred_ellipsoid_bound(
    mean: ArrayLike, cov: ArrayLike, tol: float = 1e-6, max_iter: int = 500
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
    keep = np.diag(s) > 0
    if not keep.any():
        return TwoMomentBound(0.0, 0.0, 0, m, s)
    d, corr, _ = _standardise(m[keep], s[np.ix_(keep, keep)])
    state = ellipsoid.fit(d, corr, tol, max_iter, centred=True)
    value = ellipsoid.certify(d, corr, state.centre, state.shape)
    return TwoMomentBound(value, min(value, state.lower), state.iterations, m, s)


def _checked(mean: ArrayLike, cov: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Float64 copies of fitting shapes, covariance symmetrised."""
    m, s = np.array(mean, dtype=np.float64), np.array(cov, dtype=np.float64)
    if m.ndim != 1 or len(m) == 0 or s.shape != (len(m), len(m)):
        raise ValueError(f"mean has shape {m.shape}, cov {s.shape}; needed: (k,) and (k, k)")
    if not (np.all(np.isfinite(m)) and np.all(np.isfinite(s))):
        raise ValueError("mean or cov holds nan or inf; needed: finite moments")
    scale = float(np.abs(s).max())
    if np.any(np.diag(s) < 0) or float(np.abs(s - s.T).max()) > 1e-8 * scale:
        raise ValueError("cov is not symmetric or has a negative variance; needed: a covariance")
    return m, 0.5 * (s + s.T)


def _standardise(m: FloatArray, s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Standardised means, correlation matrix and deviations of the regularised covariance."""
    regular = s + REGULARISATION * float(np.diag(s).max()) * np.eye(len(m))
    sd = np.sqrt(np.diag(regular))
    corr = regular / (sd[:, None] * sd[None, :])
    np.fill_diagonal(corr, 1.0)
    try:
        # what was added exceeds rounding by far: a covariance passes
        linalg.cholesky(corr, lower=True, check_finite=False)
    except linalg.LinAlgError:
        raise ValueError(
            "cov gives some sum of margins a negative variance; "
            "needed: a positive semidefinite matrix, to the precision of float64"
        ) from None
    return m / sd, corr, sd


def _law(v: FloatArray, shape: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Law with mean 0 and covariance R made of the columns of G, where ``G D G = R + vv'``.

    Atoms ``v + G e_j / h_j`` of mass ``D_jj h_j^2`` and the rest at v have the right second moment
    about v for any h, and mean 0 if ``G D h = -v``. The masses sum to ``v'(R + vv')^-1 v < 1``.
    """
    h = -linalg.solve(shape, v, assume_a="sym", check_finite=False) / weights
    if not np.all(h != 0):
        raise ValueError("the centre is the mean; needed: a law with some error mass")
    mass = weights * h * h
    atoms = np.vstack([v + shape.T / h[:, None], v])
    return atoms, np.append(mass, max(0.0, 1.0 - float(mass.sum())))
