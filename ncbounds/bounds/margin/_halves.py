"""Transport distance between two random halves of a class."""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment

from ncbounds.arrays import Floats, Ints
from ncbounds.numerics import up

#: Largest size of a half.
LARGEST_HALF = 4000
#: Halves of at most so many points are assigned as a whole, which takes 50 ms; others in blocks.
WHOLE, BLOCK = 500, 128
#: Power iterations towards the direction that blocks are sorted by; any direction is valid.
POWERS = 6
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
    a, b = one - mean, two - mean
    if len(one) <= WHOLE:
        pairs = [_assigned(a, b)]
    else:
        along = _widest(a)
        orders = np.argsort(a @ along, kind="stable"), np.argsort(b @ along, kind="stable")
        pieces = (np.array_split(order, -(-len(one) // BLOCK)) for order in orders)
        pairs = []
        for i, j in zip(*pieces, strict=True):
            rows, columns = _assigned(a[i], b[j])
            pairs.append((i[rows], j[columns]))
    rows, columns = (np.concatenate(index) for index in zip(*pairs, strict=True))
    return paired_distance(one[rows], two[columns])


def _assigned(a: Floats, b: Floats) -> tuple[Ints, Ints]:
    """Row numbers of the pairs of an optimal assignment of ``a`` to ``b``, both (k, p)."""
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    squares -= 2.0 * (a @ b.T)
    rows, columns = linear_sum_assignment(np.sqrt(np.maximum(squares, 0.0)))
    return rows, columns


def _widest(centred: Floats) -> Floats:
    """Direction close to that of the largest variance, shape (p,); it turns with the points."""
    along = np.asarray(centred[np.argmax(np.einsum("ij,ij->i", centred, centred))])
    for _ in range(POWERS):
        if not along.any():
            break
        along = (centred @ (along / np.linalg.norm(along))) @ centred
    return along


def paired_distance(one: Floats, two: Floats) -> float:
    """Mean Euclidean distance of row i of ``one`` to row i of ``two``, rounded up."""
    lengths = np.linalg.norm(one - two, axis=1)
    if not lengths.any():
        return 0.0
    # each length is a sum of p squares
    return float(up(math.fsum(lengths) / len(lengths) * (1.0 + 2.0 * EPS * one.shape[1]), 4))
