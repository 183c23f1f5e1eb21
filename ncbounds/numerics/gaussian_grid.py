r"""Quadrature and interpolation grids of :mod:`ncbounds.numerics.gaussian`, with their errors.

The loss is :math:`\int \varphi(z) (1 - \prod_j \Phi(z + t_j)) dz`. The integrand is entire, so the
trapezoid rule with step h converges like :math:`e^{-2 \pi a / h}` for every strip half-width a
(Trefethen and Weideman, SIAM Review 56 (2014), Theorem 5.1): its error is at most
:math:`2 M_a / (e^{2 \pi a / h} - 1)` with
:math:`M_a = e^{a^2/2} (1 + B_a^k)`, :math:`B_a = \sup_{|Im z| \le a} |\Phi(z)|`, k rivals.

``sum_j log Phi(z + t_j)`` at all nodes is linear in the rivals, so each rival is spread over the
neighbouring points of one fixed grid by Lagrange interpolation in t, and a matrix product with
the table ``log Phi(z_q + g)`` does the rest. ``log Phi`` is analytic but for the zeros of Phi, the
nearest of which lie at distance 2.8 from the real line: ten points at spacing 1/20 leave 6e-16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from ncbounds.numerics.rounding import FloatArray

# Half-widths a and upper bounds on the supremum of |Phi| over the strip.
STRIPS = (
    (0.5, 1.0002),
    (0.6, 1.0011),
    (0.75, 1.0065),
    (0.9, 1.0218),
    (1.0, 1.0401),
    (1.15, 1.0839),
    (1.3, 1.1523),
    (1.5, 1.2953),
    (1.75, 1.5952),
    (2.0, 2.1146),
    (2.25, 3.0262),
    (2.5, 4.6826),
)
# The nodes reach at least this far; beyond lie 2 Phi(-9) < 2.3e-19.
REACH = 9.0
TRUNCATION = 2.3e-19
# Rivals are clamped to this range: above, lowering t only raises the loss; a row with a rival
# below keeps a loss of at least Phi(13 / sqrt 2) = 1 - 2e-20, which the inflation lifts to 1.
T_LOW, T_HIGH = -13.0, 14.0


@dataclass(frozen=True)
class Grid:
    """Nodes, table and error of one accuracy, for a fixed number of rivals.

    Attributes
    ----------
    weights
        (Q,) step times normal density at the nodes.
    table
        (G, Q) ``log Phi(g + z_q)``.
    points
        Number of points of the interpolation stencil.
    per_unit
        Grid points per unit of t.
    error
        A-priori bound on quadrature, interpolation and truncation, absolute.
    """

    weights: FloatArray
    table: FloatArray
    points: int
    per_unit: int
    error: float


@lru_cache(maxsize=64)
def grid(rivals: int, coarse: bool = False) -> Grid:
    """Return the grid for ``rivals`` rivals; ``coarse`` is good to about 1e-6, and faster."""
    points, per_unit, slip, target = (6, 4, 1e-6, 1e-6) if coarse else (10, 20, 1e-15, 1e-15)
    half = math.ceil(REACH / _step(rivals, target))
    step = REACH / half
    z = step * np.arange(-half, half + 1)
    below, cells = points // 2 - 1, round((T_HIGH - T_LOW) * per_unit) + points
    g = T_LOW + (np.arange(cells) - below) / per_unit
    return Grid(
        weights=step * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi),
        table=special.log_ndtr(g[:, None] + z[None, :]),
        points=points,
        per_unit=per_unit,
        error=quadrature_error(rivals, step) + rivals * slip + TRUNCATION,
    )


def quadrature_error(rivals: int, step: float) -> float:
    """Bound on the error of the infinite trapezoid rule: the best of the strips."""
    return math.exp(min(_ln_error(rivals, step, a, sup) for a, sup in STRIPS))


def _ln_error(rivals: int, step: float, a: float, sup: float) -> float:
    """Logarithm of ``2 M / (exp(2 pi a / step) - 1)``, a little up."""
    growth = rivals * math.log(sup)
    ln_mass = 0.5 * a * a + growth + math.log1p(math.exp(-growth))
    decay = 2.0 * math.pi * a / step
    tail = math.log1p(-math.exp(-decay))
    return math.log(2.0) + ln_mass - decay - tail + 1e-9  # rounding: upwards


def _step(rivals: int, target: float) -> float:
    """Largest step whose error bound is at most ``target``."""
    return max(
        2.0 * math.pi * a / (math.log(4.0 / target) + 0.5 * a * a + rivals * math.log(sup))
        for a, sup in STRIPS
    )


def stencil(offset: FloatArray, points: int) -> FloatArray:
    """Lagrange weights at the points ``-(points/2 - 1) .. points/2``.

    Parameters
    ----------
    offset
        Positions in [0, 1) between the two middle points, any shape.
    points
        Even number of points.

    Returns
    -------
    ndarray
        ``(points,) + offset.shape``; the weights of a position sum to 1.
    """
    nodes = np.arange(points) - (points // 2 - 1)
    out = np.empty((points, *offset.shape))
    left = np.ones_like(offset)
    for m in range(points):
        out[m] = left
        left = left * (offset - nodes[m])
    right = np.ones_like(offset)
    for m in range(points - 1, -1, -1):
        scale = math.factorial(m) * math.factorial(points - 1 - m) * (-1) ** (points - 1 - m)
        out[m] *= right / scale
        right = right * (offset - nodes[m])
    return out
