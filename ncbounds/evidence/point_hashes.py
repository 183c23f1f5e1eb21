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
    odd = np.asarray(np.random.default_rng(0).integers(1, 2**63, dim, dtype=np.uint64))
    odd |= np.uint64(1)
    out = np.empty(n, dtype=np.uint64)
    step = max(1, min(n, BLOCK // max(1, dim)))
    x = np.empty((step, dim))
    bits, spare = x.view(np.uint64), np.empty((step, dim), dtype=np.uint64)
    wide = features.dtype.itemsize > 4  # float32 and less have nothing to round
    for k in range(0, n, step):
        m = min(step, n - k)
        np.copyto(x[:m], features[k : k + m])
        x[:m] += 0.0  # no negative zeros
        _fold(bits[:m], spare[:m], odd, wide)
        np.sum(bits[:m], axis=1, dtype=np.uint64, out=out[k : k + m])
    return out


def _fold(
    bits: NDArray[np.uint64], spare: NDArray[np.uint64], odd: NDArray[np.uint64], wide: bool
) -> None:
    """Mix the bits of float64 numbers in place, shape (m, d); ``spare`` is written to."""
    if wide:  # round to nearest, ties to even, as a cast to float32 does
        np.right_shift(bits, DROPPED, out=spare)
        spare &= np.uint64(1)
        bits += np.uint64(2**28 - 1)
        bits += spare
    bits >>= DROPPED
    for shift in (np.left_shift, np.right_shift):
        shift(bits, np.uint64(32), out=spare)
        bits ^= spare
        bits *= odd
    np.right_shift(bits, np.uint64(32), out=spare)
    bits ^= spare
