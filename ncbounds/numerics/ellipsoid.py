r"""Inscribed ellipsoids of a decision cell: the fixed point of the two-moment bound.

Standardised margins: half-spaces ``{x_j >= d_j}`` for a centred x with correlation matrix R
(``x = d - margin / sd``). For every centre ``v < d`` and matrix ``G > 0`` Markov's inequality for
the ellipsoid about v inscribed in the cell gives

.. math:: P(\text{error}) \le s \, tr(G^{-1} (R + v v')), \quad s = \max_j G_{jj} / (d_j - v_j)^2.

The best G for fixed masses solves ``G D G = R + v v'`` with a diagonal D. It is found, and its
value certified, by one of two forms of the covariance: a matrix of any rank
(``ellipsoid_dense``) or the product of few rows (``ellipsoid_factored``). Nothing that is returned
depends on convergence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from ncbounds.numerics.rounding import EPS, FloatArray

# S + eps I replaces S, eps this share of the largest variance: the bound only grows with S.
REGULARISATION = 1e-9
# Eigenvalues below this share of the largest are rounding noise and are raised to it.
NOISE = 1e-15
_LOWER_EVERY = 5
_VACUOUS = 0.98
# Values that fell by more than so many tolerances since the last look have not met the lower one,
# which is dear.
_FALLS = 10.0
# Where the worst law errs always, values fall to 1 like 1 + 4/k: from this step on, values that
# head for 1 or more are given up.
_HOPELESS_FROM = 20
_KEEP_INSIDE = 0.9
# Exponent of the multiplicative update: it grows while values fall, which takes half the steps of
# an exponent of 2, at which the iteration never circles.
_SPEED, _FASTER, _SLOWER, _SLOWEST, _FASTEST = 3.0, 1.2, 0.5, 2.0, 8.0
# Masses are kept above a falling floor, which keeps the shape well conditioned; any mass is valid.
_FLOOR, _FLOOR_DECAY, _FLOOR_LEAST = 1e-2, 0.8, 1e-8


class Shape(Protocol):
    """The best ellipsoid for given masses and centre, in the coordinates of its form."""

    @property
    def ratio(self) -> FloatArray:
        """``G_jj / (d_j - v_j)^2``, shape (k,)."""

    @property
    def fidelity(self) -> float:
        """``tr(G^-1 (R + vv'))``, not certified; the value is this times the largest ratio."""

    @property
    def below(self) -> float:
        """Lower bound on the values of all ellipsoids about this centre."""

    def primal(self) -> float:
        """Mass that some law with these moments puts on the error set: a lower bound."""

    def certify(self) -> float:
        """Upper bound on the value, with all rounding added; ``inf`` where it cannot be had."""

    def next_centre(self) -> FloatArray:
        """Half-way from the centre to the stationary one, but inside the cell."""


S_co = TypeVar("S_co", bound=Shape, covariant=True)
S = TypeVar("S", bound=Shape)


class Form(Protocol[S_co]):
    """Distances and correlations of the margins, and how ellipsoids are found for them."""

    @property
    def d(self) -> FloatArray:
        """Positive standardised means, shape (k,)."""

    @property
    def origin(self) -> FloatArray:
        """Coordinates of the centre v = 0."""

    def best_shape(self, mass: FloatArray, centre: FloatArray) -> S_co:
        """Best ellipsoid for (k,) masses about a centre."""


@dataclass(frozen=True)
class Fit(Generic[S]):
    """Outcome of the iteration.

    Attributes
    ----------
    shape
        The best ellipsoid met.
    lower
        Certified primal value.
    iterations
        Number of ellipsoids computed.
    """

    shape: S
    lower: float
    iterations: int


def fit(form: Form[S], tol: float, max_iter: int, centred: bool) -> Fit[S]:
    """Run the fixed point from ``p_j ~ 1/(1 + d_j^2)``, v = 0, and return the best state met.

    Parameters
    ----------
    form
        Distances and covariance of the standardised margins.
    tol
        Relative gap at which to stop.
    max_iter
        Number of iterations at most.
    centred
        Keep v = 0; ``lower`` then bounds the minimum over shapes, not the worst law.

    Raises
    ------
    ValueError
        If ``max_iter`` is less than 1.
    """
    if max_iter < 1:
        raise ValueError(f"max_iter is {max_iter}; needed: at least 1")
    mass = 1.0 / (1.0 + form.d * form.d)
    mass /= mass.sum()
    centre = form.origin
    best: S | None = None
    least, lower, before, speed = np.inf, 0.0, np.inf, _SPEED
    seen: list[float] = []
    for iteration in range(1, max_iter + 1):
        shape = form.best_shape(mass, centre)
        upper = float(shape.ratio.max()) * shape.fidelity
        # Among equal values the latest: its centre solves the stationarity equation best.
        if best is None or upper <= least * (1.0 + 1e-13):
            best, least = shape, upper
        if iteration % _LOWER_EVERY == 0 or iteration == max_iter:
            seen.append(least)
            falls = len(seen) < 2 or seen[-2] - least > _FALLS * tol * least
            if centred:
                lower = max(lower, shape.below)
            elif iteration == max_iter or least > _VACUOUS or not falls:
                lower = max(lower, shape.primal())
            if least - lower <= tol * least or (lower > _VACUOUS and not centred):
                break
            hopeless = not centred and iteration >= _HOPELESS_FROM
            if hopeless and heads_for(*seen[-3:]) >= 1.0 + 1.0 / iteration:
                break
        if iteration > 1:
            faster = min(_FASTEST, speed * _FASTER)
            speed = faster if upper < before else max(_SLOWEST, speed * _SLOWER)
        before = upper
        mass = mass * (shape.ratio / shape.ratio.max()) ** speed
        floor = max(_FLOOR_LEAST, _FLOOR * _FLOOR_DECAY**iteration)
        mass = np.maximum(mass / mass.sum(), floor / len(mass))
        mass /= mass.sum()
        if not centred:
            centre = shape.next_centre()
    assert best is not None
    return Fit(best, lower, iteration)


def heads_for(first: float, second: float, third: float) -> float:
    """Limit of falling values that continue as a geometric sequence (Aitken's extrapolation)."""
    one, two = first - second, second - third
    return third - two * two / (one - two) if one > two > 0.0 else -np.inf


def inside(move: FloatArray, room: FloatArray) -> float:
    """Largest share of a move of the centre, at most 1, that stays well inside the cell."""
    excess = np.max(np.where(move > 0, move / (_KEEP_INSIDE * room), 0.0))
    return 1.0 / max(1.0, float(excess))


def roots(values: FloatArray, terms: int) -> tuple[FloatArray, float]:
    """Square roots of computed eigenvalues, raised above noise, and a lower bound on their sum.

    Parameters
    ----------
    values
        (r,) eigenvalues in ascending order of a matrix that is semidefinite up to rounding.
    terms
        Number of terms that each of its entries is the sum of.
    """
    largest = float(values[-1])
    surely = np.maximum(values - 4.0 * (len(values) + terms) * EPS * largest, 0.0)
    return np.sqrt(np.maximum(values, NOISE * largest)), float(np.sqrt(surely).sum())


def error_mass(atoms: FloatArray, masses: FloatArray) -> float:
    """Scale masses until their moments fit under mean 0, covariance I; return their sum.

    Parameters
    ----------
    atoms
        (r, k) points, columns.
    masses
        (k,) nonnegative weights.
    """
    lifted = np.vstack([atoms, np.ones(atoms.shape[1])]) * np.sqrt(masses)
    small = lifted @ lifted.T if len(lifted) < lifted.shape[1] else lifted.T @ lifted
    top = float(np.linalg.eigvalsh(small)[-1])
    if not top > 0:
        return 0.0
    # Far above the rounding of the products and of the eigenvalue.
    return float(np.sum(masses)) / top * (1.0 - 1e-11)
