"""Two halves of a sample: axes of class means from one, variances along them from the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.statistics.axis_products import axis_products, crowded
from ncbounds.statistics.rows import Rows, as_rows, block_rows, checked_labels
from ncbounds.statistics.shifted_sums import ShiftedSums, class_indicator

MIN_COUNT = 4  # two points in either half


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Pairwise moments of two disjoint random halves A and B of every class.

    Attributes
    ----------
    dist2 : array of shape (C, C)
        ``<Dh_A, Dh_B>``, unbiased for the squared distance of the class means; may be negative.
    spread_a, spread_b : arrays of shape (C, C)
        ``Dh_A' S_i^B Dh_A`` and ``Dh_B' S_i^A Dh_B``, entry (i, j).
    used : bool array of shape (C,)
        Classes with at least four points.
    seed : int
        Of the split.
    reasons : tuple of str
    """

    dist2: Floats
    spread_a: Floats
    spread_b: Floats
    used: NDArray[np.bool_]
    seed: int
    reasons: tuple[str, ...]


def crossfit(features: object, labels: object, classes: int, *, seed: int = 0) -> CrossFit:
    """Split every class at random into halves and take the moments of one about the other's axes.

    Parameters
    ----------
    features : array-like of shape (n, d)
    labels : integer array of shape (n,), in 0..classes-1
    classes : int
    seed : int
        Of the permutation that makes the halves; fixed, not searched.

    Returns
    -------
    CrossFit
        nan for classes of fewer than four points.

    Notes
    -----
    From 64 classes on, spreads keep five digits, see
    :func:`ncbounds.statistics.axis_products.axis_products`.
    """
    rows = as_rows(features)
    y = checked_labels(labels, rows.shape[0], classes)
    count = np.bincount(y, minlength=classes)
    used = count >= MIN_COUNT
    half = y + classes * _halves(y, seed)
    mean, freedom = _half_means(rows, half, classes)
    axes = np.zeros_like(mean)  # about a common centre, which keeps digits of the products
    if used.any():
        axes[:, used] = mean[:, used] - mean[:, used].mean(axis=(0, 1))
    spread = _spreads(rows, half, mean, axes)
    blank = ~np.outer(used, used)
    product = axes[0] @ axes[1].T
    own = np.diag(product)
    dist2 = own[:, None] + own[None, :] - product - product.T
    # spread[h] has its axes from half h and its residuals from the other one.
    spread_a, spread_b = spread[0] / freedom[1][:, None], spread[1] / freedom[0][:, None]
    for table in (dist2, spread_a, spread_b):
        table[blank] = np.nan
    reasons: tuple[str, ...] = ()
    if not used.all():
        reasons = (f"classes with fewer than {MIN_COUNT} points left out: {names(~used)}",)
    return CrossFit(dist2, spread_a, spread_b, used, seed, reasons)


def _halves(labels: Ints, seed: int) -> Ints:
    """0 or 1 for every row: alternating along a random order of each class."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    half = np.empty(len(labels), dtype=np.int64)
    half[order] = place % 2
    return half


def _half_means(rows: Rows, half: Ints, classes: int) -> tuple[Floats, Floats]:
    """Means of shape (2, C, d) and degrees of freedom of shape (2, C), at least 1."""
    n, dim = rows.shape
    sums = ShiftedSums(2 * classes, dim, scatter=False)
    size = block_rows(dim)
    buffer = np.empty((min(size, max(n, 1)), dim))
    for i in range(0, n, size):
        sums.add(rows.read(i, i + size, buffer), half[i : i + size])
    found = sums.centred()
    freedom = np.maximum(found.rows - 1, 1).astype(np.float64)
    return found.mean.reshape(2, classes, dim), freedom.reshape(2, classes)


def _spreads(rows: Rows, half: Ints, mean: Floats, axes: Floats) -> Floats:
    """Sums of ``(e'(m_j - m_i))^2``, shape (2, C, C): axes of half h, residuals of the other."""
    classes, dim = mean.shape[1:]
    n = rows.shape[0]
    flat = mean.reshape(2 * classes, dim)
    size = block_rows(dim)
    buffer = np.empty((min(size, max(n, 1)), dim))
    spread = np.zeros((2, classes, classes))
    close = [crowded(a) for a in axes]
    for i in range(0, n, size):
        keys = half[i : i + size]
        block = rows.read(i, i + size, buffer)
        block -= flat[keys]
        for h in (0, 1):
            chosen = (keys >= classes) if h == 0 else (keys < classes)
            y = keys[chosen] % classes
            along = axis_products(block[chosen], axes[h], close[h][y])
            along -= along[np.arange(len(y)), y][:, None]
            np.square(along, out=along)
            spread[h] += class_indicator(y, np.bincount(y, minlength=classes)) @ along
    return spread


def names(which: NDArray[np.bool_]) -> str:
    """Indices of true entries, at most ten of them."""
    index = np.flatnonzero(which)
    return ", ".join(str(int(c)) for c in index[:10]) + (", ..." if len(index) > 10 else "")
