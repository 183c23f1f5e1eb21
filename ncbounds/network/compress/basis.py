"""Integer cosine bases of small kernels: a kernel is an integer combination of fixed patterns."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

#: Round(64 x the orthonormal DCT-II), written out so that no cosine is evaluated.
COSINES: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((64,),),
    3: ((37, 37, 37), (45, 0, -45), (26, -52, 26)),
    5: (
        (29, 29, 29, 29, 29),
        (38, 24, 0, -24, -38),
        (33, -13, -40, -13, 33),
        (24, -38, 0, 38, -24),
        (13, -33, 40, -33, 13),
    ),
}
KERNELS = tuple(COSINES)


def frequencies(side: int, cut: int) -> list[tuple[int, int]]:
    """Vertical and horizontal frequencies (p, q) with ``p + q <= cut``, lowest sums first."""
    pairs = [(p, q) for p in range(side) for q in range(side) if p + q <= cut]
    return sorted(pairs, key=lambda pair: (sum(pair), pair))


@cache
def patterns(side: int, cut: int) -> NDArray[np.float64]:
    """Integer-valued patterns of shape (modes, side, side)."""
    rows = np.array(COSINES[side], dtype=np.float64)
    found = np.stack([np.outer(rows[p], rows[q]) for p, q in frequencies(side, cut)])
    found.setflags(write=False)
    return found
