"""Products of residuals with class means, in as many digits as their differences need."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.statistics.nearest import MANY, ordinary

#: Share of two squared lengths below which a squared distance asks for float64.
CLOSE = 1e-2


def crowded(points: Floats) -> NDArray[np.bool_]:
    """Which of (C, d) are closer to another one than a tenth of their lengths.

    Differences of products in float32 with two such points have few digits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.einsum("ij,ij->i", points, points)
        size = square[:, None] + square
        close = ~(size - 2.0 * points @ points.T > CLOSE * size)
    np.fill_diagonal(close, np.False_)
    found: NDArray[np.bool_] = close.any(axis=1)
    return found


def axis_products(x: Floats, axes: Floats, exactly: NDArray[np.bool_]) -> Floats:
    """Products (m, C) of rows (m, d) with the means of C classes about their centre.

    Those with many are taken in float32, but of rows that are to be taken ``exactly``. Of rows of
    classes that are not :func:`crowded`, sums of squared differences keep five digits or more.
    """
    if len(axes) < MANY:
        return np.asarray(x @ axes.T)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", x, x))
        sizes = np.sqrt(np.einsum("ij,ij->i", axes, axes))
        found = (x.astype(np.float32) @ axes.astype(np.float32).T).astype(np.float64)
    fine = ordinary(lengths) & (ordinary(sizes) | (sizes == 0)).all()
    again = np.flatnonzero(exactly | ~fine)
    found[again] = x[again] @ axes.T
    return found
