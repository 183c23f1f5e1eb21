"""The head whose class-rival margins exceed a multiple of their deviation by the most.

A primal-dual interior-point method with Nesterov-Todd scaling, one second-order cone per ordered
pair of classes. A solver for any cone program sees a sparse matrix with rows for every pair; here
the unknowns are few, and the matrix of a step is summed pair by pair.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ncbounds.arrays import Floats, Ints

#: Iterations at most; about a dozen are usual.
ITERATIONS = 50
#: Slack that counts as none; the sum of all gaps in units of their scale is 1.
NOTHING = 1e-10
#: Share of the way to the boundary of the cones that a step goes.
STRIDE = 0.98
#: Share of the diagonal that is added to the matrix of a step, against rounding.
JITTER = 1e-13


@dataclass(frozen=True, eq=False)
class Cones:
    """The cones of all N = C (C - 1) ordered pairs of classes at a ratio ``kappa``.

    For a head ``a = (w, b)`` and a slack t the cone of pair (c, j) holds
    ``(gap - t scale, kappa L_c'(w_c - w_j))``, where ``gap = means_c'(a_c - a_j)``. One more row
    keeps the sum of ``gap / scale`` at most 1: it holds 1 minus that sum, and zeros.

    Attributes
    ----------
    own, rival : integer arrays of shape (N,)
    means : array of shape (C, q + 1)
        Class means with a 1 appended.
    factors : array of shape (C, q, q)
        ``kappa L_c``.
    scale : array of shape (N,), positive
    total : array of shape (C, q + 1)
        Gradient of the sum of ``gap / scale``.
    """

    own: Ints
    rival: Ints
    means: Floats
    factors: Floats
    scale: Floats
    total: Floats

    @classmethod
    def of(cls, means: Floats, factors: Floats, kappa: float, scale: Floats) -> "Cones":
        """Cones of class means (C, q), factors (C, q, q) and a matrix of scales (C, C)."""
        own, rival = np.nonzero(~np.eye(len(means), dtype=bool))
        lifted = np.column_stack([means, np.ones(len(means))])
        flat = scale[own, rival]
        total = to_heads(own, rival, lifted[own] / flat[:, None], len(means))
        return cls(own, rival, lifted, kappa * factors, flat, total)

    def image(self, head: Floats, slack: float) -> Floats:
        """Linear part of where a head (C, q + 1) and a slack are in the cones, (N + 1, q + 1)."""
        difference = head[self.own] - head[self.rival]
        out = np.zeros((len(self.own) + 1, head.shape[1]))
        out[:-1, 0] = np.einsum("ni,ni->n", difference, self.means[self.own])
        out[:-1, 0] -= slack * self.scale
        out[:-1, 1:] = self._each(difference[:, :-1], self.factors)
        out[-1, 0] = -np.vdot(self.total, head)
        return out

    def back(self, z: Floats) -> Floats:
        """Transpose of :meth:`image`, as a vector with the slack last."""
        heads = to_heads(self.own, self.rival, self._pulled(z[:-1]), len(self.means))
        return np.append(heads - z[-1, 0] * self.total, -float(self.scale @ z[:-1, 0]))

    def _pulled(self, z: Floats) -> Floats:
        pulled = z[:, :1] * self.means[self.own]
        pulled[:, :-1] += self._each(z[:, 1:], self.factors.transpose(0, 2, 1))
        return pulled

    def _each(self, vectors: Floats, matrices: Floats) -> Floats:
        """``v' M_c`` of the vectors (N, q) of all pairs; those of a class are consecutive."""
        by_class = vectors.reshape(len(matrices), -1, vectors.shape[1])
        return (by_class @ matrices).reshape(vectors.shape)

    def normal_matrix(self, point: Floats, size: Floats) -> Floats:
        """Sum over the cones of the pulled back ``(2 (Jw)(Jw)' - J) / size^2``, w the ``point``.

        Shape (C (q + 1) + 1,) twice, the slack last.
        """
        classes, p = self.means.shape
        once, point, size = self.total.ravel() / size[-1], point[:-1], np.square(size[:-1])
        h = self._pulled(point * np.where(np.arange(p), -1.0, 1.0))
        form = np.einsum("ci,cj->cij", self.means, self.means)
        form[:, :-1, :-1] -= self.factors @ self.factors.transpose(0, 2, 1)
        one = (2.0 * h[:, :, None] * h[:, None, :] - form[self.own]) / size[:, None, None]
        pairs = np.zeros((classes, classes, p, p))
        pairs[self.own, self.rival] = one
        blocks = -(pairs + pairs.transpose(1, 0, 2, 3))
        each = np.arange(classes)
        blocks[each, each] = pairs.sum(axis=1) + pairs.sum(axis=0)
        out = np.empty((classes * p + 1, classes * p + 1))
        out[:-1, :-1] = blocks.transpose(0, 2, 1, 3).reshape(classes * p, classes * p)
        lead = self.scale / size
        side = -lead[:, None] * (2.0 * point[:, :1] * h - self.means[self.own])
        out[-1, :-1] = out[:-1, -1] = to_heads(self.own, self.rival, side, classes).ravel()
        out[:-1, :-1] += np.outer(once, once)
        out[-1, -1] = float((lead * self.scale) @ (2.0 * point[:, 0] ** 2 - 1.0))
        return out


def to_heads(own: Ints, rival: Ints, differences: Floats, classes: int) -> Floats:
    """Gradient in the heads of classes from that in differences of pairs, shape (classes, p)."""
    pairs = np.zeros((classes, classes, differences.shape[1]))
    pairs[own, rival] = differences
    out: Floats = pairs.sum(axis=1) - pairs.sum(axis=0)
    return out


def largest_slack(cones: Cones, tolerance: float) -> Floats:
    """Head of shape (C, q + 1) with nearly the largest slack.

    The start, no head and slack -1, is on the central path; both programs stay feasible from there
    on, and what is left is the product of s and z.

    Parameters
    ----------
    cones : Cones
    tolerance : float
        Stop when any slack exceeds that of the head by at most this share.
    """
    pairs, (classes, p) = len(cones.own), cones.means.shape
    head, slack = np.zeros((classes, p)), -1.0
    offset = np.zeros((pairs + 1, p))
    offset[-1, 0] = 1.0
    s, z = offset + cones.image(head, slack), np.zeros((pairs + 1, p))
    z[:, 0] = 1.0 / (pairs * s[:, 0])
    for _ in range(ITERATIONS):
        gap = float(np.vdot(s, z))
        if gap <= tolerance * slack or gap <= NOTHING:
            break
        scaling = Scaling.of(s, z)
        middle = scaling.apply(z)
        try:
            solve = _solver(cones.normal_matrix(scaling.point, scaling.size), p)
        except (LinAlgError, ValueError):  # as far as float64 goes
            break
        _, ds, dz = _step(cones, scaling, solve, -middle)
        length = _length(s, z, ds, dz)
        left = float(np.vdot(s + length * ds, z + length * dz))
        target = -product(middle, middle) - product(scaling.undo(ds), scaling.apply(dz))
        target[:, 0] += (left / gap) ** 3 * gap / (pairs + 1)
        dx, ds, dz = _step(cones, scaling, solve, quotient(middle, target))
        length = _length(s, z, ds, dz)
        moved = head + length * dx[:-1].reshape(classes, p), slack + length * float(dx[-1])
        s, z = offset + cones.image(*moved), z + length * dz
        if not (inside(s) and inside(z)):
            break
        head, slack = moved
    return head


def _step(
    cones: Cones, scaling: "Scaling", solve: Callable[[Floats], Floats], right: Floats
) -> tuple[Floats, Floats, Floats]:
    """Steps of the unknowns, of s and of z with ``W^-1 ds + W dz = right``."""
    dx = solve(cones.back(scaling.undo(right)))
    ds = cones.image(dx[:-1].reshape(cones.means.shape), float(dx[-1]))
    return dx, ds, scaling.undo(right - scaling.undo(ds))


def _length(s: Floats, z: Floats, ds: Floats, dz: Floats) -> float:
    return min(1.0, STRIDE * min(reach(s, ds), reach(z, dz)))


def _solver(matrix: Floats, p: int) -> Callable[[Floats], Floats]:
    """Solver of a step with the last class at 0: only differences of classes count."""
    kept = np.delete(np.arange(len(matrix)), slice(len(matrix) - 1 - p, len(matrix) - 1))
    inner = matrix[np.ix_(kept, kept)]
    size = 1.0 / np.sqrt(np.diag(inner))
    scaled = size[:, None] * inner * size
    scaled[np.diag_indices_from(scaled)] += JITTER
    factor = cho_factor(scaled)

    def solve(side: Floats) -> Floats:
        x = np.zeros(len(matrix))
        x[kept] = size * cho_solve(factor, size * side[kept])
        return x

    return solve


@dataclass(frozen=True, eq=False)
class Scaling:
    """Nesterov-Todd scaling W of cones: ``W z = W^-1 s``, a point (N, m) and its size (N,) each."""

    point: Floats
    size: Floats

    @classmethod
    def of(cls, s: Floats, z: Floats) -> "Scaling":
        """Scaling of points in the cones."""
        det_s, det_z = determinant(s), determinant(z)
        s, z = s / np.sqrt(det_s)[:, None], z / np.sqrt(det_z)[:, None]
        half = np.sqrt((1.0 + np.einsum("ni,ni->n", s, z)) / 2.0)
        point = np.column_stack([s[:, 0] + z[:, 0], s[:, 1:] - z[:, 1:]]) / (2.0 * half)[:, None]
        return cls(point, (det_s / det_z) ** 0.25)

    def apply(self, x: Floats) -> Floats:
        """``W x``."""
        return self.size[:, None] * self._turned(x, self.point[:, 1:])

    def undo(self, x: Floats) -> Floats:
        """``W^-1 x``."""
        return self._turned(x, -self.point[:, 1:]) / self.size[:, None]

    def _turned(self, x: Floats, tail: Floats) -> Floats:
        lead = self.point[:, 0]
        along = np.einsum("ni,ni->n", tail, x[:, 1:])
        rest = x[:, 1:] + (x[:, 0] + along / (1.0 + lead))[:, None] * tail
        return np.column_stack([lead * x[:, 0] + along, rest])


def determinant(x: Floats) -> Floats:
    """``x_0^2 - |x_1|^2`` where x is in the cone and at most 0 elsewhere, shape (N,)."""
    length = np.linalg.norm(x[:, 1:], axis=1)
    out: Floats = (x[:, 0] - length) * np.maximum(x[:, 0] + length, 0.0)
    return out


def inside(x: Floats) -> bool:
    """Whether all points are finite and in the interior of their cones."""
    return bool((determinant(x) > 0).all() and np.isfinite(x).all())


def product(x: Floats, y: Floats) -> Floats:
    """Jordan product of the cones, shape (N, m)."""
    return np.column_stack([np.einsum("ni,ni->n", x, y), x[:, :1] * y[:, 1:] + y[:, :1] * x[:, 1:]])


def quotient(x: Floats, y: Floats) -> Floats:
    """Return u with ``product(x, u) = y``."""
    first = (x[:, 0] * y[:, 0] - np.einsum("ni,ni->n", x[:, 1:], y[:, 1:])) / determinant(x)
    return np.column_stack([first, (y[:, 1:] - first[:, None] * x[:, 1:]) / x[:, :1]])


def reach(x: Floats, step: Floats) -> float:
    """How far ``x + a step`` stays in the cones."""
    a = step[:, 0] ** 2 - np.einsum("ni,ni->n", step[:, 1:], step[:, 1:])
    b = x[:, 0] * step[:, 0] - np.einsum("ni,ni->n", x[:, 1:], step[:, 1:])
    c = determinant(x)
    root = b * b - a * c
    below = np.sqrt(np.maximum(root, 0.0)) - b
    crosses = (root >= 0) & (below > 0)
    return float(np.min(np.where(crosses, c / np.where(crosses, below, 1.0), np.inf)))
