"""Whether queries are strictly nearest to the centroid of their own class."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats

#: A difference of squared distances below this share of the squared norms counts as a tie.
ROUNDING = 1e-12


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
