"""Signed hashing: few coordinates that keep squared distances in the mean over signs."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidArgument

#: Coordinates from which on a place is hashed, unless there are more classes.
COORDINATES = 512
#: Seed of buckets and signs: part of the view, so fixed before any data.
SEED = 20_240_607


def coordinates(classes: int) -> int:
    """Coordinates that a view has at most."""
    return max(COORDINATES, classes)


@lru_cache(maxsize=64)
def hash_plan(dim: int, size: int, seed: int = SEED) -> tuple[Ints, Floats]:
    """Order and signs of the terms of a hash; coordinate j adds up terms j, j + size, ...

    Returns
    -------
    order : integer array of shape (k size,)
        A random order of the ``dim`` inputs, filled up with 0 to whole rows of ``size``.
    signs : array of shape (k size,)
        Independent +-1; 0 where it was filled up.

    Raises
    ------
    InvalidArgument
        If a number is no count from 1 on.
    """
    if dim < 1 or size < 1:
        raise InvalidArgument(f"a hash of {dim} to {size} coordinates; needed are counts from 1 on")
    rng = np.random.default_rng([seed, dim, size])
    spare = -dim % size
    order = np.concatenate([rng.permutation(dim), np.zeros(spare, dtype=np.int64)])
    signs = np.concatenate([rng.choice([-1.0, 1.0], dim), np.zeros(spare)])
    order.setflags(write=False)
    signs.setflags(write=False)
    return order, signs


def sign_hash(x: NDArray[Any], size: int = COORDINATES, seed: int = SEED) -> NDArray[Any]:
    """Hash rows of shape (n, d) to ``size`` coordinates; rows that have no more stay as they are.

    Every input goes to one bucket with a random sign, and buckets hold equally many. Over the signs
    the mean of a squared distance between rows is that between their hashes, and its relative
    standard deviation is below ``sqrt(2 / size)`` on average over orders.

    References
    ----------
    Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
    """
    if x.ndim != 2:
        raise InvalidArgument(f"a hash takes rows of shape (n, d), found shape {x.shape}")
    if x.shape[1] <= size:
        return x
    order, signs = hash_plan(x.shape[1], size, seed)
    terms = x[:, order] * signs.astype(x.dtype)
    found: NDArray[Any] = terms.reshape(len(x), -1, size).sum(axis=1)
    return found
