"""Inscribed ellipsoids for a covariance matrix of any rank: O(k^3) an iteration.

For ``M = R + vv'`` the best shape is ``G = D^-1/2 (D^1/2 M D^1/2)^1/2 D^-1/2``, one symmetric
eigendecomposition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ncbounds.numerics.ellipsoid import REGULARISATION, error_mass, inside, roots
from ncbounds.numerics.rounding import EPS, FloatArray

# Where R has no Cholesky factor, the part above this share of its largest eigenvalue serves.
_RANGE = 1e-7


@dataclass(frozen=True, eq=False)
class Frame:
    """B of shape (k, r) and its left inverse, with ``B B' <= corr``."""

    rows: FloatArray
    whiten: FloatArray

    @classmethod
    def below(cls, corr: FloatArray) -> Frame:
        """Cholesky factor after taking off more than its rounding; else part of the spectrum."""
        k = len(corr)
        try:
            factor = linalg.cholesky(
                corr - k * (k + 1) * EPS * np.eye(k), lower=True, check_finite=False
            )
        except linalg.LinAlgError:
            return cls._of_spectrum(corr)
        return cls(factor, linalg.solve_triangular(factor, np.eye(k), lower=True))

    @classmethod
    def _of_spectrum(cls, corr: FloatArray) -> Frame:
        values, vectors = linalg.eigh(corr, check_finite=False, driver="evd")
        keep = values > _RANGE * values[-1]
        root = np.sqrt(values[keep])
        return cls(vectors[:, keep] * root, (vectors[:, keep] / root).T)


@dataclass(frozen=True, eq=False)
class Dense:
    """Standardised margins with a correlation matrix.

    Attributes
    ----------
    d
        (k,) positive standardised means.
    corr
        (k, k) correlation matrix, positive definite.
    sd
        (k,) standard deviations that were divided by.
    frame
        For the lower value.
    """

    d: FloatArray
    corr: FloatArray
    sd: FloatArray
    frame: Frame

    @classmethod
    def of(cls, mean: FloatArray, cov: FloatArray) -> Dense:
        """Standardise positive means and a symmetric matrix without zeros on its diagonal.

        Raises
        ------
        ValueError
            If the matrix is not semidefinite.
        """
        regular = cov + REGULARISATION * float(np.diag(cov).max()) * np.eye(len(mean))
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
        return cls(mean / sd, corr, sd, Frame.below(corr))

    @property
    def origin(self) -> FloatArray:
        """The centre v = 0, shape (k,)."""
        return np.zeros(len(self.d))

    def best_shape(self, mass: FloatArray, centre: FloatArray) -> DenseShape:
        """G for (k,) masses about v, with D scaled so that its value is tr(D G)."""
        h = self.d - centre
        root = np.sqrt(mass) / h
        second = self.corr + np.outer(centre, centre)
        second *= root[:, None] * root[None, :]
        values, vectors = linalg.eigh(second, check_finite=False, driver="evd", overwrite_a=True)
        sizes, below = roots(values, 1)
        fidelity = float(sizes.sum())
        half = vectors * np.sqrt(sizes)
        shape = half @ half.T
        shape /= root[:, None] * root[None, :] * fidelity
        return DenseShape(
            form=self,
            centre=centre,
            h=h,
            shape=shape,
            weights=(fidelity * root) ** 2,
            ratio=np.diag(shape) / (h * h),
            fidelity=fidelity * fidelity,
            below=below * below * (1.0 - 1e-9),
        )


@dataclass(frozen=True, eq=False)
class DenseShape:
    """An ellipsoid about ``centre`` with the matrix ``shape``; see :class:`Shape`.

    Attributes
    ----------
    centre, h
        (k,) v and d - v.
    shape
        (k, k) G.
    weights
        (k,) diagonal of D.
    """

    form: Dense
    centre: FloatArray
    h: FloatArray
    shape: FloatArray
    weights: FloatArray
    ratio: FloatArray
    fidelity: float
    below: float

    def certify(self) -> float:
        """Upper bound with all rounding added."""
        return certify(self.form.d, self.form.corr, self.centre, self.shape)

    def primal(self) -> float:
        """One atom per half-space, from v along ``G e_j`` (then along its normal) onto it."""
        rows, whiten = self.form.frame.rows, self.form.frame.whiten
        d, h, diagonal = self.form.d, self.h, np.diag(self.shape)
        atoms = whiten @ (self.centre[:, None] + self.shape * (h / diagonal)[None, :])
        norms = np.maximum(np.sum(rows * rows, axis=1), 1e-3)
        missing = d * (1.0 + 1e-12) - np.sum(rows * atoms.T, axis=1)
        atoms = atoms + rows.T * (np.maximum(missing, 0.0) / norms)[None, :]
        reached = np.sum(rows * atoms.T, axis=1) >= d
        masses = np.where(reached, self.weights * diagonal * diagonal / (h * h), 0.0)
        return error_mass(atoms, masses)

    def next_centre(self) -> FloatArray:
        """Half-way to ``v = -G D h``, but inside the cell."""
        move = -0.5 * self.centre - 0.5 * (self.shape @ (self.weights * self.h))
        return self.centre + move * inside(move, self.h)


def certify(d: FloatArray, corr: FloatArray, v: FloatArray, shape: FloatArray) -> float:
    """Upper bound on ``s tr(G^-1 (R + vv'))`` for G near ``shape``, with all rounding added.

    The certified matrix is ``G^-1 = X' X`` with X the floating-point inverse of a Cholesky factor
    L: exactly positive semidefinite whatever was computed. ``|X^-T e_j|`` follows from row j of L
    and the residual ``E = I - L X``. Returns ``inf`` if the matrix is too close to singular.

    Parameters
    ----------
    d, corr
        Standardised means (k,) and their correlation matrix (k, k).
    v, shape
        Centre (k,) and matrix (k, k); ``v < d`` is checked.
    """
    k = len(d)
    gamma = 4.0 * (k + 8) * EPS
    h = (d - v) - 4.0 * EPS * (np.abs(d) + np.abs(v))
    if not (np.all(h > 0) and np.all(np.isfinite(shape))):
        return float("inf")
    try:
        factor = linalg.cholesky(0.5 * (shape + shape.T), lower=True, check_finite=False)
    except linalg.LinAlgError:
        return float("inf")
    x = linalg.solve_triangular(factor, np.eye(k), lower=True, check_finite=False)
    residual = np.abs(np.eye(k) - _lower_times(factor, x))
    residual += gamma * (_lower_times(np.abs(factor), np.abs(x)) + np.eye(k))
    total = float(np.linalg.norm(residual))
    if not total < 0.5:
        return float("inf")
    row = np.linalg.norm(factor, axis=1)
    spread = np.linalg.norm(residual, axis=1) * np.linalg.norm(factor) / (1.0 - total)
    diagonal = (row + spread) ** 2
    # Standardising may have moved every entry of R by a few ulps: at most k times that in norm.
    xv = np.asarray(x @ v, dtype=np.float64)
    trace = float(np.sum(_lower_times(x, corr) * x) + xv @ xv)
    size = float(np.sum(_lower_times(np.abs(x), np.abs(corr)) * np.abs(x)))
    size += float(np.sum((np.abs(x) @ np.abs(v)) ** 2))
    slack = 2.0 * gamma * size + gamma * float(np.sum(x * x))
    return float(np.max(diagonal / (h * h)) * (trace + slack) * (1.0 + gamma))


def _lower_times(lower: FloatArray, other: FloatArray) -> FloatArray:
    """Product of a lower triangular matrix with another one, in half the time of a full one."""
    found: FloatArray = linalg.blas.dtrmm(1.0, lower.T, other.T, side=1, lower=0).T
    return found
