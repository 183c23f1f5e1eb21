"""Inner products of all class scatter matrices without holding them all."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.statistics.rows import Rows, block_rows, blocks_of, members_of
from ncbounds.statistics.shifted_sums import class_indicator

Route = Literal["entries", "rows", "probes"]
_FLOPS_PER_READ = 40  # gathering and casting one number costs about as much as this many flops
#: Operations beyond which products of different classes are estimated, and by how many directions.
EXACT, PROBES, SEED = 1e12, 64, 1990


def scatter_products(
    rows: Rows, labels: Ints, mean: Floats, *, block: int = 2048, route: Route | None = None
) -> Floats:
    """Matrix of ``tr A_i A_j`` with ``A_c = sum (x - mean_c)(x - mean_c)'`` over class c.

    Two exact routes, of which the cheaper one is taken unless ``route`` says otherwise, and one for
    sizes at which either takes more than about 1e12 operations:

    * ``"entries"``: a strip of rows of every ``A_c`` at a time, as many as fit into ``block^2``
      numbers; about n d^2 + C^2 d^2 operations and one pass over the features per strip;
    * ``"rows"``: ``tr A_i A_j = ||E_i E_j'||_F^2`` with the residuals ``E_c``, in tiles of
      ``block`` x ``block``; about n^2 d operations. Better for few rows in high dimension;
    * ``"probes"``: ``tr A_i A_j`` is the mean of ``(A_i z)'(A_j z)`` over standard normal z, here
      over 64 seeded ones (Hutchinson 1990, the diagonal as above); C^2 d times 64 operations.

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
    by_route = {"entries": _by_entries, "rows": _by_rows, "probes": _by_probes}
    return by_route[route](rows, labels, mean, block)


def cheapest_route(n: int, dim: int, classes: int, block: int) -> Route:
    """Exact route with fewer operations, or probes, by the counts in :func:`scatter_products`."""
    strips = -(-dim // _strip(dim, classes, block))
    tiles = -(-n // block)
    entries = n * dim**2 + classes**2 * dim**2 + strips * n * dim * _FLOPS_PER_READ
    by_rows = n**2 * dim + tiles * n * dim * _FLOPS_PER_READ
    if min(entries, by_rows) > EXACT:
        return "probes"
    return "entries" if entries <= by_rows else "rows"


def all_at_once(dim: int, classes: int, block: int) -> bool:
    """Whether all entries of all scatter matrices fit into one strip."""
    return _strip(dim, classes, block) == dim


def _strip(dim: int, classes: int, block: int) -> int:
    return min(dim, max(1, max(dim, block) ** 2 // max(classes * dim, 1)))


def _by_entries(rows: Rows, labels: Ints, mean: Floats, block: int) -> Floats:
    dim = rows.shape[1]
    classes = len(mean)
    members = members_of(labels, classes)
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


def _by_probes(rows: Rows, labels: Ints, mean: Floats, block: int) -> Floats:
    classes, dim = mean.shape
    members = members_of(labels, classes)
    rng = np.random.default_rng(SEED)
    result, own = np.zeros((classes, classes)), np.zeros(classes)
    width = min(PROBES, 2 * _strip(dim, classes, 2 * block))  # twice as many of half the size
    # images A_c z are kept in float32, as shares of sizes: the estimate is off by far more
    images = np.empty((classes, dim * width), dtype=np.float32)
    for start in range(0, PROBES, width):
        # one direction after the other: the same ones whatever the width
        z = rng.standard_normal((min(width, PROBES - start), dim)).T
        sizes = np.ones(classes)
        for c, index in enumerate(members):
            image = np.zeros((z.shape[1], dim))
            for part in blocks_of(len(index), dim):
                e = rows.take(index[part])
                e -= mean[c]
                image += (e @ z).T @ e
                if start == 0:
                    own[c] += _square_of_scatter(rows, index, part, mean[c], e)
            sizes[c] = float(np.abs(image).max()) or 1.0
            images[c, : z.size] = (image / sizes[c]).ravel()
        taken = images[:, : z.size]
        result += (taken @ taken.T) * np.outer(sizes, sizes)
    # the trace of a product of two scatters is not negative, an estimate of it may be
    result = np.maximum(result / PROBES, 0.0)
    np.fill_diagonal(result, own)
    return result


def _square_of_scatter(rows: Rows, index: Ints, part: slice, mean: Floats, e: Floats) -> float:
    """Share of the rows ``part`` in ``tr A^2``, with ``e`` their residuals."""
    if part.stop - part.start == len(index):
        gram = e @ e.T if len(e) < e.shape[1] else e.T @ e
        return float(np.vdot(gram, gram))
    total = 0.0
    for other in blocks_of(len(index), len(mean)):
        gram = e @ (rows.take(index[other]) - mean).T
        total += float(np.vdot(gram, gram))
    return total


def _residuals(
    rows: Rows, labels: Ints, mean: Floats, tiles: list[Ints]
) -> Iterator[tuple[Floats, Ints]]:
    for index in tiles:
        yield rows.take(index) - mean[labels[index]], index


def _counts(labels: Ints, classes: int) -> Ints:
    return np.bincount(labels, minlength=classes).astype(np.int64)
