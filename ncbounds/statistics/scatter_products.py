"""Inner products of all class scatter matrices without holding them all."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.statistics.rows import Rows, block_rows
from ncbounds.statistics.shifted_sums import class_indicator

Route = Literal["entries", "rows"]
_FLOPS_PER_READ = 40  # gathering and casting one number costs about as much as this many flops


def scatter_products(
    rows: Rows, labels: Ints, mean: Floats, *, block: int = 2048, route: Route | None = None
) -> Floats:
    """Matrix of ``tr A_i A_j`` with ``A_c = sum (x - mean_c)(x - mean_c)'`` over class c.

    Two exact routes, of which the cheaper one is taken unless ``route`` says otherwise:

    * ``"entries"``: a strip of rows of every ``A_c`` at a time, as many as fit into ``block^2``
      numbers; about n d^2 + C^2 d^2 operations and one pass over the features per strip;
    * ``"rows"``: ``tr A_i A_j = ||E_i E_j'||_F^2`` with the residuals ``E_c``, in tiles of
      ``block`` x ``block``; about n^2 d operations. Better for few rows in high dimension.

    Parameters
    ----------
    rows : Rows of shape (n, d)
    labels : integer array of shape (n,)
    mean : array of shape (C, d)
    block : int
        Bounds the memory: O(C d + max(d, block)^2) numbers.

    Returns
    -------
    array of shape (C, C)
        Rows and columns of empty classes are 0.
    """
    n, dim = rows.shape
    if route is None:
        route = cheapest_route(n, dim, len(mean), block)
    if route == "entries":
        return _by_entries(rows, labels, mean, block)
    return _by_rows(rows, labels, mean, block)


def cheapest_route(n: int, dim: int, classes: int, block: int) -> Route:
    """Route with fewer operations, by the counts in :func:`scatter_products`."""
    strips = -(-dim // _strip(dim, classes, block))
    tiles = -(-n // block)
    entries = n * dim**2 + classes**2 * dim**2 + strips * n * dim * _FLOPS_PER_READ
    by_rows = n**2 * dim + tiles * n * dim * _FLOPS_PER_READ
    return "entries" if entries <= by_rows else "rows"


def _strip(dim: int, classes: int, block: int) -> int:
    return min(dim, max(1, max(dim, block) ** 2 // max(classes * dim, 1)))


def _by_entries(rows: Rows, labels: Ints, mean: Floats, block: int) -> Floats:
    dim = rows.shape[1]
    classes = len(mean)
    members = [np.flatnonzero(labels == c) for c in range(classes)]
    width = _strip(dim, classes, block)
    step = block_rows(dim)
    result = np.zeros((classes, classes))
    for a in range(0, dim, width):
        # The scatters are symmetric: entries (r, k) with k >= a suffice, those right of the strip
        # standing for two.
        w = min(width, dim - a)
        strip = np.zeros((classes, w, dim - a))
        for c, index in enumerate(members):
            for i in range(0, len(index), step):
                e = rows.take(index[i : i + step], a)
                e -= mean[c, a:]
                strip[c] += e[:, :w].T @ e
        strip[:, :, w:] *= np.sqrt(2.0)
        flat = strip.reshape(classes, -1)
        result += flat @ flat.T
    return result


def _by_rows(rows: Rows, labels: Ints, mean: Floats, block: int) -> Floats:
    classes = len(mean)
    order = np.argsort(labels, kind="stable")
    tiles = [order[i : i + block] for i in range(0, len(order), block)]
    result = np.zeros((classes, classes))
    for p, left in enumerate(tiles):
        for q, (part, right) in enumerate(_residuals(rows, labels, mean, tiles[p:])):
            if q == 0:
                own = part
                sum_left = class_indicator(labels[left], _counts(labels[left], classes))
            gram = own @ part.T
            np.square(gram, out=gram)
            sum_right = class_indicator(labels[right], _counts(labels[right], classes))
            tile = sum_right @ (sum_left @ gram).T
            result += tile if q == 0 else tile + tile.T
    return result


def _residuals(
    rows: Rows, labels: Ints, mean: Floats, tiles: list[Ints]
) -> Iterator[tuple[Floats, Ints]]:
    for index in tiles:
        yield rows.take(index) - mean[labels[index]], index


def _counts(labels: Ints, classes: int) -> Ints:
    return np.bincount(labels, minlength=classes).astype(np.int64)
