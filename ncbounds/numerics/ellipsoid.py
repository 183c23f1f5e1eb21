r"""Inscribed ellipsoids of a decision cell: iteration and certificates of the two-moment bound.

Standardised margins: half-spaces ``{x_j >= d_j}`` for a centred x with correlation matrix R
(``x = d - margin / sd``). For every centre ``v < d`` and matrix ``G > 0`` Markov's inequality for
the ellipsoid about v inscribed in the cell gives

.. math:: P(\text{error}) \le s \, tr(G^{-1} (R + v v')), \quad s = \max_j G_{jj} / (d_j - v_j)^2.

The best G for fixed masses solves ``G D G = R + v v'`` with a diagonal D: one symmetric
eigendecomposition per iteration. Nothing that is returned depends on convergence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .rounding import EPS, FloatArray

_LOWER_EVERY = 5
_VACUOUS = 0.98
_KEEP_INSIDE = 0.9
# Exponent of the multiplicative update: 2 solves the diagonal case in one step.
_SPEED = 2.0
# Masses are kept above a falling floor, which keeps the shape well conditioned; any mass is valid.
_FLOOR, _FLOOR_DECAY, _FLOOR_LEAST = 1e-2, 0.8, 1e-8
# Eigenvalues below this share of the largest are rounding noise and are raised to it.
_NOISE = 1e-15
# The lower value uses the part of the correlation above this share of its largest eigenvalue.
_RANGE = 1e-7


@dataclass(frozen=True)
class Ellipsoid:
    """State of the iteration: a centre, a shape, and the diagonal D that they solve.

    Attributes
    ----------
    centre
        (k,) v.
    shape
        (k, k) G.
    weights
        (k,) diagonal of D.
    upper
        Value in floating point, not yet certified.
    lower
        Certified primal value so far.
    iterations
        Number of eigendecompositions.
    """

    centre: FloatArray
    shape: FloatArray
    weights: FloatArray
    upper: float
    lower: float
    iterations: int


def fit(d: FloatArray, corr: FloatArray, tol: float, max_iter: int, centred: bool) -> Ellipsoid:
    """Run the fixed point from ``p_j ~ 1/(1 + d_j^2)``, v = 0, and return the best state met.

    Parameters
    ----------
    d
        (k,) positive standardised means.
    corr
        (k, k) correlation matrix, positive definite.
    tol
        Relative gap at which to stop.
    max_iter
        Number of iterations at most.
    centred
        Keep v = 0.
    """
    k = len(d)
    mass = 1.0 / (1.0 + d * d)
    mass /= mass.sum()
    v = np.zeros(k)
    frame = _frame(corr)
    best: Ellipsoid | None = None
    lower = 0.0
    for iteration in range(1, max_iter + 1):
        h = d - v
        weights, shape, fidelity = _best_shape(mass, h, corr + np.outer(v, v))
        ratio = np.diag(shape) / (h * h)
        upper = float(ratio.max()) * fidelity
        # Among equal values the latest: its centre solves the stationarity equation best.
        if best is None or upper <= best.upper * (1.0 + 1e-13):
            best = Ellipsoid(v, shape, weights, upper, lower, iteration)
        if iteration % _LOWER_EVERY == 0 or iteration == max_iter:
            # With the centre fixed the fidelity of any masses bounds the minimum over G from below.
            found = (
                fidelity * (1.0 - 1e-9) if centred else primal_value(d, v, shape, weights, frame)
            )
            lower = max(lower, found)
            if not centred and lower > _VACUOUS:
                break
            if best.upper - lower <= tol * best.upper:
                break
        mass = mass * ratio**_SPEED
        mass = np.maximum(
            mass / mass.sum(), max(_FLOOR_LEAST, _FLOOR * _FLOOR_DECAY**iteration) / k
        )
        mass /= mass.sum()
        if not centred:
            v = _inside(0.5 * v - 0.5 * (shape @ (weights * h)), v, d)
    if best is None:
        raise ValueError(f"max_iter is {max_iter}; needed: at least 1")
    return Ellipsoid(best.centre, best.shape, best.weights, best.upper, lower, iteration)


def _best_shape(
    mass: FloatArray, h: FloatArray, second: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """``G = D^-1/2 (D^1/2 K D^1/2)^1/2 D^-1/2``, with D scaled so that its value is tr(D G)."""
    root = np.sqrt(mass) / h
    values, vectors = linalg.eigh(
        root[:, None] * second * root[None, :], check_finite=False, driver="evd"
    )
    sqrt_values = np.sqrt(np.maximum(values, _NOISE * values[-1]))
    fidelity = float(sqrt_values.sum())
    half = (vectors * sqrt_values) @ vectors.T
    shape = half / (root[:, None] * root[None, :] * fidelity)
    return (fidelity * root) ** 2, shape, fidelity * fidelity


def _inside(proposal: FloatArray, v: FloatArray, d: FloatArray) -> FloatArray:
    """Go from v towards the proposal, but not out of the cell."""
    move = proposal - v
    room = _KEEP_INSIDE * (d - v)
    excess = np.max(np.where(move > 0, move / room, 0.0))
    return v + move / max(1.0, float(excess))


def certify(d: FloatArray, corr: FloatArray, v: FloatArray, shape: FloatArray) -> float:
    """Upper bound on ``s tr(G^-1 (R + vv'))`` for G near ``shape``, with all rounding added.

    The certified matrix is ``G^-1 = X' X`` with X the floating-point inverse of a Cholesky factor
    L: exactly positive semidefinite whatever was computed. ``|X^-T e_j|`` follows from row j of L
    and the residual ``E = I - L X``. Returns ``inf`` if the matrix is too close to singular.

    Parameters
    ----------
    d, corr, v, shape
        As in :func:`fit`; ``v < d`` is checked.
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
    residual = np.abs(np.eye(k) - factor @ x) + gamma * (np.abs(factor) @ np.abs(x) + np.eye(k))
    total = float(np.linalg.norm(residual))
    if not total < 0.5:
        return float("inf")
    row = np.linalg.norm(factor, axis=1)
    spread = np.linalg.norm(residual, axis=1) * np.linalg.norm(factor) / (1.0 - total)
    diagonal = (row + spread) ** 2
    # Standardising may have moved every entry of R by a few ulps: at most k times that in norm.
    xv = np.asarray(x @ v, dtype=np.float64)
    xr = x @ corr
    trace = float(np.sum(xr * x) + xv @ xv)
    size = float(np.sum((np.abs(x) @ np.abs(corr)) * np.abs(x)))
    size += float(np.sum((np.abs(x) @ np.abs(v)) ** 2))
    slack = 2.0 * gamma * size + gamma * float(np.sum(x * x))
    return float(np.max(diagonal / (h * h)) * (trace + slack) * (1.0 + gamma))


def _frame(corr: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return B and B's left inverse with ``B B' <= corr``, small eigenvalues left out."""
    values, vectors = linalg.eigh(corr, check_finite=False, driver="evd")
    keep = values > _RANGE * values[-1]
    root = np.sqrt(values[keep])
    return vectors[:, keep] * root, (vectors[:, keep] / root).T


def primal_value(
    d: FloatArray,
    v: FloatArray,
    shape: FloatArray,
    weights: FloatArray,
    frame: tuple[FloatArray, FloatArray],
) -> float:
    """Mass that some law with these moments puts on the error set: a lower bound.

    One atom per half-space, moved from the centre along ``G e_j`` (and then along its normal)
    onto the boundary, and all masses scaled until their moments fit under those of the law.
    """
    rows, whiten = frame
    h, diagonal = d - v, np.diag(shape)
    atoms = whiten @ (v[:, None] + shape * (h / diagonal)[None, :])
    norms = np.maximum(np.sum(rows * rows, axis=1), 1e-3)
    missing = d * (1.0 + 1e-12) - np.sum(rows * atoms.T, axis=1)
    atoms = atoms + rows.T * (np.maximum(missing, 0.0) / norms)[None, :]
    reached = np.sum(rows * atoms.T, axis=1) >= d
    masses = np.where(reached, weights * diagonal * diagonal / (h * h), 0.0)
    lifted = np.vstack([atoms, np.ones(len(d))]) * np.sqrt(masses)
    small = lifted @ lifted.T if len(lifted) < len(d) else lifted.T @ lifted
    last = len(small) - 1
    top = float(linalg.eigvalsh(small, subset_by_index=(last, last))[0])
    if not top > 0:
        return 0.0
    # Far above the rounding of the products and of the eigenvalue.
    return float(np.sum(masses)) / top * (1.0 - 1e-11)
