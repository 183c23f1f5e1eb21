"""Hashes of feature rows, by which equal points are found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Numbers that are hashed at once.
BLOCK = 2**17
#: Bits of a float64 that float32 has no place for.
DROPPED = np.uint64(29)


def point_hashes(features: NDArray[Any]) -> NDArray[np.uint64]:
    """64-bit hashes of rows, shape (n,), equal where all entries round to the same float32.

    Entries are rounded in float64, so that scales beyond the range of float32 are told apart;
    different rows have the same hash with a probability of about 2^-64.

    Parameters
    ----------
    features : array of shape (n, d)
        Of any float type.
    """
    n, dim = features.shape
    odd = np.random.default_rng(0).integers(1, 2**63, dim, dtype=np.uint64) | np.uint64(1)
    out = np.empty(n, dtype=np.uint64)
    step = max(1, BLOCK // max(1, dim))
    one, half = np.uint64(1), np.uint64(2**28 - 1)
    fold = np.uint64(32)
    for k in range(0, n, step):
        x = np.asarray(features[k : k + step], dtype=np.float64) + 0.0  # no negative zeros
        bits = np.ascontiguousarray(x).view(np.uint64)
        # round to nearest, ties to even, as a cast to float32 does
        bits = (bits + half + ((bits >> DROPPED) & one)) >> DROPPED
        bits = (bits ^ (bits << fold)) * odd
        bits = (bits ^ (bits >> fold)) * odd
        out[k : k + step] = (bits ^ (bits >> fold)).sum(axis=1, dtype=np.uint64)
    return out
