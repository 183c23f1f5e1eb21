"""Largest distance of each row of weights to any other: the Lipschitz constant of its margin."""

import numpy as np

from ncbounds.arrays import Floats

EPS = float(np.finfo(np.float64).eps)


def farthest(v: Floats) -> Floats:
    """``max_j ||v_c - v_j||`` for each row of ``v`` of shape (C, p), rounded up; shape (C,).

    From one Gram matrix of the centred rows, whose rounding is added back. It is relatively small:
    the distances of a row to the others average to at least its own length, so that the largest
    one is at least half the length of the longest row.
    """
    classes, dim = v.shape
    v = v - v.mean(axis=0)
    size = float(np.abs(v).max())
    if not 0.0 < size < np.inf:
        return np.full(classes, size)
    v /= size  # no square overflows or is lost
    square = np.einsum("ij,ij->i", v, v)
    found = square[:, None] + square - 2.0 * (v @ v.T)
    # of three sums of dim products each |.| at most the squares of the two lengths, and centring
    lost = 4.0 * EPS * (dim + classes + 8) * (square + square.max())
    return np.asarray(size * np.sqrt(found.max(axis=1) + lost) * (1.0 + 4.0 * EPS))
