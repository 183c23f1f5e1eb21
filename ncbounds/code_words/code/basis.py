"""Integer bases: scales of pixels, cosines of small kernels, polynomials over a whole map."""

import math
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

#: Input values of the pixels 0 to 255, about 0 to 1024: 4 p, or round(64 sqrt(p)), with which dark
#: details weigh more; in whole numbers, so that no square root of a float is taken.
SCALES: dict[str, tuple[int, ...]] = {
    "pixels": tuple(4 * p for p in range(256)),
    "roots": tuple((math.isqrt(4 * 64**2 * p) + 1) // 2 for p in range(256)),
}

#: A bank's filters, but for the constant one, are about this times orthonormal patterns.
BANK_GAIN = 4.0 * 64**2


def frequencies(side: int, cut: int) -> list[tuple[int, int]]:
    """Vertical and horizontal frequencies (p, q) with ``p + q <= cut``, lowest sums first."""
    pairs = [(p, q) for p in range(side) for q in range(side) if p + q <= cut]
    return sorted(pairs, key=lambda pair: (sum(pair), pair))


def degrees(cut: int) -> list[tuple[int, int]]:
    """Vertical and horizontal degrees (p, q) with ``p + q <= cut``, lowest sums first."""
    return frequencies(cut + 1, cut)


@cache
def scale(name: str) -> NDArray[np.float64]:
    """Values (256,) of the pixels on one of the :data:`SCALES`."""
    found = np.array(SCALES[name], dtype=np.float64)
    found.setflags(write=False)
    return found


@cache
def patterns(side: int, cut: int) -> NDArray[np.float64]:
    """Integer-valued patterns of shape (modes, side, side)."""
    rows = np.array(COSINES[side], dtype=np.float64)
    found = np.stack([np.outer(rows[p], rows[q]) for p, q in frequencies(side, cut)])
    found.setflags(write=False)
    return found


@cache
def bank(side: int, cut: int) -> NDArray[np.float64]:
    """Patterns as fixed filters, whole numbers of shape (modes, side, side), for cut 1 or more.

    The constant one comes first and has a quarter of the others' size, so that responses are of
    similar size; the first derivatives across and down are next.
    """
    found = 4.0 * patterns(side, cut)
    found[0] /= 4.0
    found.setflags(write=False)
    return found


@cache
def polynomial(degree: int, side: int) -> NDArray[np.float64]:
    """Values (side,) of the orthogonal polynomial on equally spaced points; whole numbers.

    Degree 0 to 3, up to a factor the Gram polynomials; all 0 where there are too few points.
    """
    t = [2 * i - (side - 1) for i in range(side)]
    rows = (
        [1 for _ in t],
        t,
        [3 * v**2 - (side**2 - 1) for v in t],
        [5 * v**3 - (3 * side**2 - 7) * v for v in t],
    )
    found = np.array(rows[degree], dtype=np.float64)
    found.setflags(write=False)
    return found
