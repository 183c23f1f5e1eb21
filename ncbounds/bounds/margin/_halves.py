"""Transport distance between two random halves of a class."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ncbounds.arrays import Floats, Ints
from ncbounds.numerics import up

#: Largest size of a half.
LARGEST_HALF = 4000
#: Halves of at most so many points are assigned as a whole, which takes 50 ms; others in blocks.
WHOLE, BLOCK = 500, 128
#: Points and power iterations for the direction that blocks are sorted by; any is valid.
SAMPLED, POWERS = 500, 6
#: Fixed, and the same for every class, so that the halves do not depend on how classes are named.
SEED = 1958

EPS = float(np.finfo(np.float64).eps)


def halves(members: Ints) -> tuple[Ints, Ints]:
    """Two disjoint random halves of ``members``, of size ``min(floor(n/2), 4000)``.

    The permutation depends on the number of members only.
    """
    size = min(len(members) // 2, LARGEST_HALF)
    order = members[np.random.default_rng(SEED).permutation(len(members))]
    return order[:size], order[size : 2 * size]


def half_distance(one: Floats, two: Floats) -> float:
    """Cost of an assignment of ``one`` to ``two``, both (k, p), rounded up.

    The mean Euclidean distance of the matched pairs: W1 of the two empirical laws where k is at
    most 500. Larger halves are sorted along the direction in which they spread most and assigned
    block by block, which costs time in proportion to k; that of any assignment is an upper bound.
    The assignments come from a solver, their cost is computed anew.
    """
    mean = one.mean(axis=0)
    if len(one) <= WHOLE:
        rows, columns = _assigned(one - mean, two - mean)
        return paired_distance(one[rows], two[columns])
    along = _widest(one, mean)
    orders = (np.argsort(half @ along, kind="stable") for half in (one, two))
    pieces = (np.array_split(order, -(-len(one) // BLOCK)) for order in orders)
    lengths = [_blockwise(one[i], two[j], mean) for i, j in zip(*pieces, strict=True)]
    return _mean_length(np.concatenate(lengths), one.shape[1])


def paired_distance(one: Floats, two: Floats) -> float:
    """Mean Euclidean distance of row i of ``one`` to row i of ``two``, rounded up."""
    return _mean_length(_lengths(one - two), one.shape[1])


def _blockwise(one: Floats, two: Floats, mean: Floats) -> Floats:
    """Distances of the pairs of an assignment that is optimal to float32."""
    a, b = one - mean, two - mean
    size = max(float(np.abs(a).max()), float(np.abs(b).max())) or 1.0
    rows, columns = _assigned(*((half / size).astype(np.float32) for half in (a, b)))
    return _lengths(one[rows] - two[columns])


def _assigned(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[Ints, Ints]:
    """Row numbers of the pairs of an optimal assignment of ``a`` to ``b``, both (k, p)."""
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    squares -= 2.0 * (a @ b.T)
    rows, columns = linear_sum_assignment(np.sqrt(np.maximum(squares, 0.0)))
    return rows, columns


def _widest(points: Floats, mean: Floats) -> Floats:
    """Direction close to that of the largest variance, shape (p,); it turns with the points."""
    centred = points[:SAMPLED] - mean
    centred /= np.abs(centred).max() or 1.0
    along = np.asarray(centred[np.argmax(np.einsum("ij,ij->i", centred, centred))])
    for _ in range(POWERS):
        if not along.any():
            break
        along = (centred @ (along / np.linalg.norm(along))) @ centred
    return along


def _lengths(steps: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", steps, steps)))


def _mean_length(lengths: Floats, dim: int) -> float:
    if not lengths.any():
        return 0.0
    # each length is a sum of p squares
    return float(up(math.fsum(lengths) / len(lengths) * (1.0 + 2.0 * EPS * dim), 4))
