"""The head whose worst class-rival distance is largest, by second-order cone programs."""

from dataclasses import dataclass

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.distribution._largest_slack import Cones, largest_slack
from ncbounds.evidence.head import LinearHead
from ncbounds.statistics.rows import Rows

#: Part of the mean variance that is added to each class covariance; at least its square.
RIDGE = 1e-3
#: Directions are dropped so that weights number at most this; keeps one cone program under 1 s.
VARIABLES = 300
#: Cone programs at most, and the relative precision of the distance. The iteration stops at a gain
#: of a fifth of that, since one program gains only a part of what is left.
SOLVES = 25
WIDTH = 1e-3
#: Share of a slack that may be missing, since the next program starts anew.
SHARE = 0.3
#: Least unit of the slack of a pair, in mean deviations.
LEAST_SCALE = 0.1
#: A head whose smallest distance is no larger does not separate the class means.
SEPARATED = 1e-8
#: Relative size of a singular value that counts as zero.
RANK_TOLERANCE = 1e-8

#: Weight of shape (C, q) and bias of shape (C,).
Head = tuple[Floats, Floats]


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
        spread = self.spreads(weight)
        np.fill_diagonal(gap, np.inf)
        return float(np.min(gap / np.where(spread > 0, spread, np.finfo(float).tiny)))

    def spreads(self, weight: Floats) -> Floats:
        """Deviations of all pairwise margins under a head, shape (C, C); 1 on the diagonal."""
        difference = weight[:, None] - weight[None]
        spread: Floats = np.linalg.norm(difference @ self.factors, axis=2)
        np.fill_diagonal(spread, 1.0)
        return spread


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


def minimax(reduced: Reduced, start: Head | None) -> Head | None:
    """Weight and bias with (nearly) the largest smallest distance; None if no head separates.

    Dinkelbach's iteration: a head with slack at the distance reached so far reaches a larger one.
    Slacks are in units of the deviations under the head before, which makes it converge
    superlinearly. What a program returns is believed only as far as the distance of that head.
    """
    starts = [*([start] if start is not None else []), pooled(reduced)]
    low, best = max(((reduced.distance(*head), head) for head in starts), key=lambda pair: pair[0])
    if not low > SEPARATED:
        return None
    for _ in range(SOLVES):
        found = better(reduced, best, low)
        reached = reduced.distance(*found)
        gain = reached / low - 1.0
        if not gain > WIDTH / 5:
            break
        best, low = found, reached
    return best


def better(reduced: Reduced, head: Head, distance: float) -> Head:
    """Head with nearly the largest slack at the ``distance`` of another."""
    scale = reduced.spreads(head[0])
    scale /= scale.mean()
    # where two classes almost have one row, a slack in units of their deviation would say nothing
    cones = Cones.of(reduced.means, reduced.factors, distance, np.maximum(scale, LEAST_SCALE))
    found = largest_slack(cones, SHARE)
    return found[:, :-1], found[:, -1]


def pooled(reduced: Reduced) -> Head:
    """Linear discriminant of the mean covariance: it separates class means that differ."""
    covariance = np.einsum("cij,ckj->ik", reduced.factors, reduced.factors) / len(reduced.factors)
    weight = np.linalg.solve(covariance, reduced.means.T).T
    return weight, -0.5 * np.einsum("ij,ij->i", weight, reduced.means)


def _factor(z: Floats) -> Floats:
    cov = np.atleast_2d(np.cov(z, rowvar=False))
    ridge = RIDGE * np.trace(cov) / len(cov)
    # a class without spread would put its distance at infinity; coordinates are of unit size here
    factor: Floats = np.linalg.cholesky(cov + max(ridge, RIDGE**2) * np.eye(len(cov)))
    return factor


def _unit(x: Floats) -> Floats:
    norm = float(np.linalg.norm(x))
    return x / norm if norm > 0 else x
