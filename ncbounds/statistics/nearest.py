"""Whether queries are strictly nearest to the centroid of their own class."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats

#: A difference of squared distances below this share of the squared norms counts as a tie.
ROUNDING = 1e-12


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
        near: NDArray[np.bool_] = mine < score.min(axis=2) - ROUNDING * (query + largest)
    return ~near
