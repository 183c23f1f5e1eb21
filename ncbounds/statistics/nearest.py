"""Whether queries are strictly nearest to the centroid of their own class."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints

#: A difference of squared distances below this share of the squared norms counts as a tie.
ROUNDING = 1e-12
#: Norms between which products are taken in float32 first: neither they nor a part that matters of
#: them leaves its range.
ORDINARY = (1e-10, 1e15)
#: From so many centroids on, the product of one block is worth float32.
MANY = 64


def ordinary(lengths: Floats | float) -> NDArray[np.bool_]:
    """Whether float32 takes products of vectors of these norms without leaving its range."""
    size = np.asarray(lengths)
    found: NDArray[np.bool_] = (size >= ORDINARY[0]) & (size <= ORDINARY[1])
    return found


def strictly_nearer(own: Floats | float, rival: Floats, size: Floats) -> NDArray[np.bool_]:
    """Whether squared distances ``own`` are below ``rival``; ties and nan are not.

    ``size`` are the squared norms that the distances were computed from; a difference below their
    rounding counts as a tie.
    """
    nearer: NDArray[np.bool_] = own < rival - ROUNDING * size
    return nearer


def not_nearest(queries: Floats, centroids: Floats) -> NDArray[np.bool_]:
    """Whether query c is not strictly nearest to centroid c, for each block.

    Parameters
    ----------
    queries, centroids : array of shape (blocks, k, d)
        Roughly centred, so that squared distances keep their accuracy.

    Returns
    -------
    bool array of shape (blocks, k)
        True for ties and wherever a distance is not finite.
    """
    k = queries.shape[1]
    own = np.arange(k)
    if k >= MANY:
        return np.stack(
            [~strictly_nearest(q, c, own) for q, c in zip(queries, centroids, strict=True)]
        )
    with np.errstate(invalid="ignore", over="ignore"):
        query = np.einsum("bkd,bkd->bk", queries, queries)
        centre = np.einsum("bkd,bkd->bk", centroids, centroids)
        cross = queries @ centroids.transpose(0, 2, 1)
        # squared distance up to the query's own norm, which all centroids share
        score = centre[:, None, :] - 2.0 * cross
        mine = score[:, own, own]
        score[:, own, own] = np.inf
        largest = centre.max(axis=1, keepdims=True)
        near = strictly_nearer(mine, score.min(axis=2), query + largest)
    return ~near


def strictly_nearest(x: Floats, means: Floats, truth: Ints) -> NDArray[np.bool_]:
    """Whether each of ``x`` (q, d) is strictly nearest to its own row of ``means`` (C, d).

    False for ties and wherever a distance is not finite. Products are taken in float32 first, see
    :func:`nearest_by`.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        cross = x.astype(np.float32) @ means.astype(np.float32).T
        return nearest_by(cross, x, np.einsum("ij,ij->i", x, x), means, truth)


def nearest_by(
    cross: NDArray[np.float32],
    x: Floats,
    squares: Floats,
    means: Floats,
    truth: Ints,
    index: Ints | None = None,
) -> NDArray[np.bool_]:
    """:func:`strictly_nearest` where products in float32 are known.

    One is off by at most :func:`lost_in_float32`, and a lead by four times as much; points with a
    smaller lead are decided in float64.

    Parameters
    ----------
    cross : array of shape (q, C)
        Of the points and the means, rounded to float32 before.
    x : array of shape (n, d)
    squares : array of shape (q,)
        Squared norms of the points.
    means : array of shape (C, d)
    truth : integer array of shape (q,)
    index : integer array of shape (q,), optional
        Which of ``x`` the points are; by default all.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        own = np.einsum("ij,ij->i", means, means)
        size = squares + (largest := own.max())
        near, sure = np.zeros((2, len(size)), dtype=np.bool_)
        longest, length = np.sqrt(largest), np.sqrt(size)
        if ordinary(longest):  # not if it is nan
            lead = _lead(own, cross, truth)
            off = 4.0 * lost_in_float32(x.shape[1]) * longest * length + ROUNDING * size
            near, sure = lead > 0.0, (np.abs(lead) > off) & ordinary(length)
        rest = np.flatnonzero(~sure)
        lead = _lead(own, x[rest if index is None else index[rest]] @ means.T, truth[rest])
        near[rest] = strictly_nearer(0.0, lead, size[rest])
    return near


def nearest(x: Floats, points: Floats) -> Ints:
    """Number of the nearest of ``points`` (C, d) to each of ``x`` (q, d), shape (q,).

    Products with many points are taken in float32 first; what they leave open is decided in
    float64, which takes the first of equals.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        half = np.einsum("ij,ij->i", points, points) / 2
        longest, found = np.sqrt(2 * half.max()), np.zeros(len(x), dtype=np.int64)
        sure = np.zeros(len(x), dtype=np.bool_)
        if len(points) >= MANY and ordinary(longest):  # not if it is nan
            rows, length = np.arange(len(x)), np.sqrt(np.einsum("ij,ij->i", x, x))
            score = x.astype(np.float32) @ points.astype(np.float32).T
            score -= half.astype(np.float32)
            found = score.argmax(axis=1)
            best = score[rows, found]
            score[rows, found] = -np.inf
            # the norms are halved and subtracted in float32 too
            off = 2.0 * lost_in_float32(x.shape[1] + 2) * longest * (length + longest)
            sure = (best - score.max(axis=1) > off) & ordinary(length)
        rest = np.flatnonzero(~sure)
        found[rest] = np.argmax(x[rest] @ points.T - half, axis=1)
    return found


def lost_in_float32(dim: int) -> float:
    r"""What a product of two float64 vectors may lose in float32, as a share of their norms.

    :math:`(d + 8)\,2^{-24}`: Higham 2002, section 3.1, and a unit for each number that is rounded
    before.
    """
    return (dim + 8) * 2.0**-24


def _lead(squares: Floats, cross: NDArray[np.floating], truth: Ints) -> Floats:
    """By how much the squared distance to the best rival exceeds that to ``truth``, shape (q,)."""
    # ||f - mean||^2 up to the point's own norm, which all classes share
    distance = squares - 2.0 * cross
    rows = np.arange(len(truth))
    own = distance[rows, truth]
    distance[rows, truth] = np.inf
    found: Floats = distance.min(axis=1) - own
    return found
