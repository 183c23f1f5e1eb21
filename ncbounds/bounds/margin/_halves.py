"""Transport distance between two random halves of a class."""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment

from ncbounds.arrays import Floats, Ints
from ncbounds.numerics import up

#: Largest size of a half; an assignment of 4000 points takes some seconds.
LARGEST_HALF = 4000
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
    """Cost of the optimal assignment of ``one`` to ``two``, both (k, p), rounded up.

    The mean Euclidean distance of the matched pairs, which is W1 of the two empirical laws. The
    assignment comes from a solver; its cost is recomputed, and that of any assignment is an upper
    bound.
    """
    mean = one.mean(axis=0)
    a, b = one - mean, two - mean
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    rows, columns = linear_sum_assignment(np.sqrt(np.maximum(squares - 2.0 * (a @ b.T), 0.0)))
    return paired_distance(one[rows], two[columns])


def paired_distance(one: Floats, two: Floats) -> float:
    """Mean Euclidean distance of row i of ``one`` to row i of ``two``, rounded up."""
    lengths = np.linalg.norm(one - two, axis=1)
    if not lengths.any():
        return 0.0
    # each length is a sum of p squares
    return float(up(math.fsum(lengths) / len(lengths) * (1.0 + 2.0 * EPS * one.shape[1]), 4))
