r"""Inscribed ellipsoids where the covariance is given by a factor: O(k r^2) an iteration.

With ``R = B B'``, B of shape (k, r), the centre is ``v = B y`` and ``R + vv' = C C'`` with
``C = B A``, ``A = (I + yy')^1/2``. The best shape is ``G = H H'``, ``H = C (C' D C)^-1/4``.

Its value is certified for any H and X and any diagonal T > 0. As ``c' G^-1 c <= |x|^2 +
(c - Hx)' T^-1 (c - Hx)`` for ``G = T + H H'``, every c and every x,

.. math:: tr\, G^{-1} (R + v v') \le |X|^2 + |T^{-1/2} ([B\; v] - H X)|^2 ,

where ``[B v] = H X`` up to rounding: T may be tiny, and a singular R needs no other treatment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.numerics.ellipsoid import error_mass, inside, roots
from ncbounds.numerics.rounding import EPS, FloatArray

# T as a share of the room of each half-space: what certifying may add to the value.
_THICKNESS = 1e-11


@dataclass(frozen=True, init=False, eq=False)
class CovarianceFactor:
    """The covariance ``factor' factor``, which may be singular.

    Parameters
    ----------
    factor
        (r, k), such as the centred margins of r points over ``sqrt(r - 1)``.

    Raises
    ------
    ValueError
        If the factor is no matrix or holds nan or infinities.
    """

    factor: FloatArray

    def __init__(self, factor: ArrayLike) -> None:
        rows = np.array(factor, dtype=np.float64)
        if rows.ndim != 2 or rows.size == 0:
            raise ValueError(f"factor has shape {rows.shape}; needed: (r, k)")
        if not np.all(np.isfinite(rows)):
            raise ValueError("factor holds nan or inf; needed: finite numbers")
        object.__setattr__(self, "factor", rows)

    @cached_property
    def variances(self) -> FloatArray:
        """Diagonal, shape (k,)."""
        return np.asarray(np.square(self.factor).sum(axis=0))

    @cached_property
    def matrix(self) -> FloatArray:
        """The matrix, shape (k, k)."""
        return self.factor.T @ self.factor


@dataclass(frozen=True, eq=False)
class Factored:
    """Standardised margins with correlation ``rows rows'``.

    Attributes
    ----------
    d
        (k,) positive standardised means.
    rows
        (k, r) B, of unit rows.
    """

    d: FloatArray
    rows: FloatArray

    @classmethod
    def of(cls, mean: FloatArray, cov: CovarianceFactor) -> Factored:
        """Standardise positive means and a covariance without zeros on its diagonal."""
        sd = np.sqrt(cov.variances)
        return cls(mean / sd, np.ascontiguousarray((cov.factor / sd).T))

    @property
    def origin(self) -> FloatArray:
        """The centre y = 0, shape (r,)."""
        return np.zeros(self.rows.shape[1])

    def best_shape(self, mass: FloatArray, centre: FloatArray) -> FactoredShape:
        """G for (k,) masses about ``v = B y``."""
        h = self.d - self.rows @ centre
        weights = mass / (h * h)
        weighted = self.rows * np.sqrt(weights)[:, None]
        inner = weighted.T @ weighted
        # A = I + b yy' on both sides, and its inverse I - b yy' / q
        q = float(np.sqrt(1.0 + centre @ centre))
        b = 1.0 / (1.0 + q)
        turned = inner @ centre
        # inner + b (y t' + t y') + b^2 (y't) yy' in one product of two columns each
        pull = b * turned + (0.5 * b * b * float(centre @ turned)) * centre
        cross = centre[:, None] * pull
        inner += cross + cross.T
        values, vectors = np.linalg.eigh(inner)
        sizes, below = roots(values, len(mass))
        turn = centre[:, None] * (centre @ vectors)
        scale = np.sqrt(sizes)
        basis = (vectors + b * turn) / scale
        half = self.rows @ basis
        spread = np.einsum("ij,ij->i", half, half)
        return FactoredShape(
            form=self,
            centre=centre,
            h=h,
            weights=weights,
            basis=basis,
            inverse=((vectors - (b / q) * turn) * scale).T,
            half=half,
            spread=spread,
            ratio=spread / (h * h),
            fidelity=float(sizes.sum()),
            below=below * below * (1.0 - 1e-9),
        )


@dataclass(frozen=True, eq=False)
class FactoredShape:
    """``G = half half'`` about ``v = rows @ centre``; see :class:`Shape`.

    Attributes
    ----------
    centre
        (r,) y.
    weights
        (k,) diagonal of D.
    basis, inverse
        (r, r) A (C'DC)^-1/4, turned, and its inverse X.
    half
        (k, r) ``H = B basis``, with squared row norms ``spread``.
    """

    form: Factored
    centre: FloatArray
    h: FloatArray
    weights: FloatArray
    basis: FloatArray
    inverse: FloatArray
    half: FloatArray
    spread: FloatArray
    ratio: FloatArray
    fidelity: float
    below: float

    def certify(self) -> float:
        """Upper bound for ``half`` and ``inverse``, whatever they are, with all rounding added."""
        return certify(self.form, self.half, self.centre, self.inverse)

    def primal(self) -> float:
        """One atom per half-space, from y along ``G e_j`` (then along its normal) onto it."""
        rows, d = self.form.rows, self.form.d
        room = self.h / np.maximum(self.spread, np.finfo(float).tiny)
        atoms = self.centre[:, None] + self.basis @ (self.half.T * room)
        squares = np.einsum("ij,ij->i", rows, rows)
        gamma = 4.0 * (len(self.centre) + 8) * EPS
        bar = d + gamma * np.sqrt(squares) * np.linalg.norm(atoms, axis=0)
        missing = bar * (1.0 + 1e-12) - np.einsum("ij,ji->i", rows, atoms)
        atoms += rows.T * (np.maximum(missing, 0.0) / squares)
        reached = np.einsum("ij,ji->i", rows, atoms) >= bar
        masses = np.where(reached, self.weights * (self.spread / self.h) ** 2, 0.0)
        return error_mass(atoms, masses)

    def next_centre(self) -> FloatArray:
        """Half-way to ``y = -A (C'DC)^-1/2 A B' D h`` (D scaled to the value), inside the cell."""
        pull = self.basis @ (self.half.T @ (self.weights * self.h))
        move = -0.5 * self.centre - 0.5 * self.fidelity * pull
        return self.centre + move * inside(self.form.rows @ move, self.h)


def certify(form: Factored, half: FloatArray, y: FloatArray, x: FloatArray) -> float:
    """Upper bound on ``s tr(G^-1 (R + vv'))`` for ``G = half half'``, with all rounding added.

    Parameters
    ----------
    form
        Standardised means (k,) and rows (k, r) of the margins.
    half, y, x
        (k, q) H, (r,) centre and (q, r) X; the bound is valid for any, and tight for ``H X = B``.
        ``inf`` is returned where the centre is not inside the cell.
    """
    k, r = form.rows.shape
    gamma = 4.0 * (k + r + half.shape[1] + 8) * EPS
    v = form.rows @ y
    # Standardising moved d and every entry of B by an ulp or two.
    h = (form.d - v) - 4.0 * EPS * (np.abs(form.d) + np.abs(v))
    if not (np.all(h > 0) and np.all(np.isfinite(half)) and np.all(np.isfinite(x))):
        return float("inf")
    columns = np.column_stack([form.rows, v])
    split = np.column_stack([x, x @ y])
    squares = np.einsum("ij,ij->i", half, half)
    widest = float(np.max(squares / (h * h)))
    room = _THICKNESS * widest * h * h
    # The product is off by at most gamma |H| |X|, entry by entry, and that by Cauchy and Schwarz.
    rounding = np.sqrt(squares)[:, None] * np.linalg.norm(split, axis=0)
    rest = np.abs(columns - half @ split) + gamma * (np.abs(columns) + rounding)
    trace = float(np.sum(split * split) + np.sum(rest * rest / room[:, None]))
    value = widest * (1.0 + _THICKNESS) * trace * (1.0 + 4.0 * gamma)
    return value if np.isfinite(value) else float("inf")
