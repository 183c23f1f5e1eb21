r"""Probability that Gaussian noise on the logits makes the true class lose.

.. math:: G(t) = 1 - \int \varphi(z) \prod_{j=1}^{C-1} \Phi(z + t_j) \, dz
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import reals
from ncbounds.numerics.gaussian_grid import T_HIGH, T_LOW, Grid, grid, stencil
from ncbounds.numerics.rounding import FloatArray

# Work is cut into blocks of about this many numbers, which fit into the cache.
_BLOCK = 600_000
# Covers every rounding: a few ulps per operation, and up to x^2 ulps from the argument of Phi.
_RELATIVE = 1e-12


def gaussian_loss(t: ArrayLike) -> FloatArray:
    """Probability that a true logit with unit Gaussian noise is not the largest, rounded up.

    Row i gives ``P(Z_0 + t_ij <= Z_j for some j)`` with independent standard normal Z.

    Parameters
    ----------
    t
        (n, C-1) gaps between the true logit and each rival's, in units of the noise. ``inf`` is
        a rival that cannot win, ``-inf`` one that cannot lose.

    Returns
    -------
    ndarray
        (n,) upper bounds, at most 1. They exceed the exact value by at most 1e-12 relative plus
        ``1e-15 C`` (the proved error of quadrature and interpolation is added).

    Raises
    ------
    InvalidArgument
        nan in ``t``, or not two axes.

    Notes
    -----
    Two classes have the closed form ``Phi(-t / sqrt 2)``. Time is nearly independent of C up to
    C = 100, and memory is bounded whatever n.
    """
    gaps = _checked(t)
    n, rivals = gaps.shape
    if rivals == 0:
        return np.zeros(n)
    if rivals == 1:
        exact = special.ndtr(-gaps[:, 0] / math.sqrt(2.0)) * (1.0 + _RELATIVE)
        # below the smallest normal number digits are lost; only infinity has probability 0
        least = np.where(np.isposinf(gaps[:, 0]), 0.0, np.finfo(np.float64).tiny)
        return np.clip(exact, least, 1.0)
    plan = grid(rivals)
    return np.minimum(1.0, _blocks(gaps, plan) * (1.0 + _RELATIVE) + plan.error)


def gaussian_loss_fast(t: ArrayLike) -> FloatArray:
    """:func:`gaussian_loss` to about 1e-6, in either direction: for optimisers only.

    Parameters
    ----------
    t
        (n, C-1) gaps as there.

    Returns
    -------
    ndarray
        (n,) approximate values in [0, 1]; **not** upper bounds.
    """
    gaps = _checked(t)
    n, rivals = gaps.shape
    if rivals == 0:
        return np.zeros(n)
    if rivals == 1:
        return np.asarray(special.ndtr(-gaps[:, 0] / math.sqrt(2.0)))
    return np.clip(_blocks(gaps, grid(rivals, coarse=True)), 0.0, 1.0)


def _checked(t: ArrayLike) -> FloatArray:
    """Two axes, float64, no nan."""
    gaps = reals("t", t)
    if gaps.ndim != 2:
        raise InvalidArgument(f"t has shape {gaps.shape}; needed: (n, C-1)")
    # A nan anywhere survives min, and min over an axis is cheaper than isnan of everything.
    if gaps.size and bool(np.isnan(np.min(gaps))):
        raise InvalidArgument("t holds nan; needed: numbers, with inf allowed")
    return gaps


def _blocks(gaps: FloatArray, plan: Grid) -> FloatArray:
    """Evaluate block after block of rows."""
    n, rivals = gaps.shape
    rows = max(1, min(_BLOCK // (rivals * plan.points), _BLOCK // len(plan.table)))
    out = np.empty(n)
    for start in range(0, n, rows):
        out[start : start + rows] = _evaluate(gaps[start : start + rows], plan)
    return out


def _evaluate(gaps: FloatArray, plan: Grid) -> FloatArray:
    """Loss of each row by one histogram of the rivals and one matrix product."""
    n, cells = len(gaps), len(plan.table)
    position = (np.clip(gaps, T_LOW, T_HIGH) - T_LOW) * plan.per_unit
    cell = position.astype(np.intp)
    weights = stencil(position - cell, plan.points)
    cell += cells * np.arange(n)[:, None]
    index = cell[None] + np.arange(plan.points)[:, None, None]
    counts = np.bincount(index.ravel(), weights=weights.ravel(), minlength=n * cells)
    logs = counts.reshape(n, cells) @ plan.table
    loss = -np.expm1(np.minimum(logs, 0.0)) @ plan.weights
    return np.asarray(loss)
