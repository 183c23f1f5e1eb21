"""The head whose worst class-rival distance is largest, by second-order cone programs."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.head import LinearHead
from ncbounds.statistics.rows import Rows

#: Part of the mean variance that is added to each class covariance; at least its square.
RIDGE = 1e-3
#: Directions are dropped so that weights number at most this; keeps one cone program under 1 s.
VARIABLES = 300
#: Cone programs at most, and the relative gain of one at which the iteration stops.
SOLVES = 14
WIDTH = 1e-3
#: Relative size of a singular value that counts as zero.
RANK_TOLERANCE = 1e-8

Solve = Callable[[float], tuple[Floats, Floats] | None]


@dataclass(frozen=True, eq=False)
class Reduced:
    """Class moments in a low-dimensional coordinate system ``z = (f - centre) @ basis``.

    Attributes
    ----------
    centre : array of shape (d,)
    basis : array of shape (d, q)
    means : array of shape (C, q)
    factors : array of shape (C, q, q)
        Lower triangular L with L L' the covariance plus the ridge.
    """

    centre: Floats
    basis: Floats
    means: Floats
    factors: Floats

    def lift(self, weight: Floats, bias: Floats) -> LinearHead:
        """Head on the features that equals ``weight @ z + bias``."""
        full = weight @ self.basis.T
        return LinearHead(full, bias - full @ self.centre)

    def lower(self, head: LinearHead) -> tuple[Floats, Floats]:
        """Weight and bias of the head restricted to the coordinates."""
        scale = np.einsum("ij,ij->j", self.basis, self.basis)
        return head.weight @ (self.basis / scale), head.bias + head.weight @ self.centre

    def distance(self, weight: Floats, bias: Floats) -> float:
        """Smallest mean over standard deviation of all pairwise margins."""
        difference = weight[:, None] - weight[None]
        gap = np.einsum("cjq,cq->cj", difference, self.means) + bias[:, None] - bias
        spread = np.linalg.norm(np.einsum("cjq,cqr->cjr", difference, self.factors), axis=2)
        np.fill_diagonal(spread, 1.0)
        np.fill_diagonal(gap, np.inf)
        return float(np.min(gap / np.where(spread > 0, spread, np.finfo(float).tiny)))


def reduce(features: Rows, rows: tuple[Ints, ...], weight: Floats) -> Reduced:
    """Class moments in the span of the class means and of the rows of a head.

    Parameters
    ----------
    features : Rows of shape (n, d), finite
    rows : tuple of C integer arrays
        Row numbers of each class, at least two each.
    weight : array of shape (K, d)
        Rows of the head; ignored where not finite.
    """
    means = np.stack([features.take(r).mean(axis=0) for r in rows])
    centre = means.mean(axis=0)
    spans = [_unit(means - centre)]
    if np.isfinite(weight).all():
        spans.append(_unit(weight - weight.mean(axis=0)))
    _, size, directions = np.linalg.svd(np.vstack(spans), full_matrices=False)
    rank = int((size > RANK_TOLERANCE * size[0]).sum())
    basis = directions[: max(1, min(rank, VARIABLES // len(rows)))].T
    z = [(features.take(r) - centre) @ basis for r in rows]
    scale = np.sqrt(sum(float(np.vdot(x, x)) for x in z) / sum(x.size for x in z))
    factors = np.stack([_factor(x / scale) for x in z])
    return Reduced(centre, basis / scale, (means - centre) @ basis / scale, factors)


def minimax(reduced: Reduced, start: tuple[Floats, Floats] | None) -> tuple[Floats, Floats] | None:
    """Weight and bias with (nearly) the largest smallest distance; None if no head separates.

    Dinkelbach's iteration: the head with the largest slack at the distance reached so far reaches a
    larger one, unless that is the largest; it converges superlinearly. What a solver returns is
    believed only as far as the distance of that head.
    """
    solve = _program(reduced)
    best = start if start is not None and reduced.distance(*start) > 0 else solve(0.0)
    if best is None or reduced.distance(*best) <= 0:
        return None
    low, gain = reduced.distance(*best), np.inf
    for _ in range(SOLVES):
        if gain <= WIDTH:
            break
        found = solve(low)
        reached = reduced.distance(*found) if found is not None else -np.inf
        gain = reached / low - 1.0
        if gain > 0:
            best, low = found, reached
    return best


def _program(reduced: Reduced) -> Solve:
    """Compile once: maximise the slack of ``gap >= kappa * spread`` over all pairs of classes."""
    import cvxpy

    cp: Any = cvxpy

    classes, dim = reduced.means.shape
    weight, bias, slack = cp.Variable((classes, dim)), cp.Variable(classes), cp.Variable()
    kappa = cp.Parameter(nonneg=True)
    constraints = [cp.norm(weight, "fro") <= 1]
    for c in range(classes):
        against = np.delete(-np.eye(classes), c, axis=0)
        against[:, c] = 1.0
        rows = against @ weight
        spread = cp.norm(rows @ reduced.factors[c], axis=1)
        constraints.append(rows @ reduced.means[c] + against @ bias - kappa * spread >= slack)
    problem = cp.Problem(cp.Maximize(slack), constraints)

    def solve(value: float) -> tuple[Floats, Floats] | None:
        kappa.value = value
        with warnings.catch_warnings():
            # inaccurate solutions are judged by the distance that they reach
            warnings.simplefilter("ignore")
            try:
                problem.solve(solver=cp.CLARABEL)
            except cp.SolverError:
                return None
        if weight.value is None or bias.value is None:
            return None
        return np.array(weight.value), np.array(bias.value)

    return solve


def _factor(z: Floats) -> Floats:
    cov = np.atleast_2d(np.cov(z, rowvar=False))
    ridge = RIDGE * np.trace(cov) / len(cov)
    # a class without spread would put its distance at infinity; coordinates are of unit size here
    factor: Floats = np.linalg.cholesky(cov + max(ridge, RIDGE**2) * np.eye(len(cov)))
    return factor


def _unit(x: Floats) -> Floats:
    norm = float(np.linalg.norm(x))
    return x / norm if norm > 0 else x
