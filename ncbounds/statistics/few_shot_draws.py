"""Errors of nearest class mean over draws of a few points per class from one sample."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.statistics.nearest import (
    ROUNDING,
    lost_in_float32,
    nearest_by,
    ordinary,
    strictly_nearest,
)
from ncbounds.statistics.rows import Rows, block_rows, blocks_of, finite_mean

#: Class means, those of several draws together, whose products with points are taken at once.
CENTROIDS = 1000
#: Products of points that are held at a time.
PRODUCTS = 2**24
#: Operations that picking one product from those takes the time of.
PICK = 40

#: Points of each class in one draw: the shots first, then the queries.
Drawn = list[Ints]


def errors_of_draws(rows: Rows, drawn: list[Drawn], shots: int) -> Floats:
    """Share of the queries of each class that are not strictly nearest to their class's mean.

    Either the class means of every draw are multiplied with its queries, or all points with each
    other, and products with a mean are averages of those with its shots: for many classes of few
    points that is less, as every point is drawn many times.

    Parameters
    ----------
    rows : Rows of shape (n, d)
    drawn : list of D lists of C integer arrays
        Points of each class in each draw, of which the first ``shots`` make its mean and the rest,
        if any, are asked. A tie, or a distance that is not finite, is an error.
    shots : int

    Returns
    -------
    array of shape (D, C)
    """
    # the rule ignores a common shift; taking it out keeps squared distances accurate
    centre = finite_mean(rows)
    missed = _by_points if _points_are_less(rows, drawn, shots) else _by_means
    asked = [[max(len(d) - shots, 1) for d in draw] for draw in drawn]
    found: Floats = missed(rows, centre, drawn, shots) / np.array(asked)
    return found


def _points_are_less(rows: Rows, drawn: list[Drawn], shots: int) -> bool:
    """Whether products of all points take fewer operations than those of queries and means."""
    (n, dim), classes = rows.shape, len(drawn[0])
    asked = sum(len(d) - shots for d in drawn[0])
    at_once = min(len(drawn), _at_once(classes))
    means = len(drawn) / at_once * min(n, at_once * asked) * at_once * classes
    picked = len(drawn) * asked * classes * shots
    return 2 * dim * n**2 + PICK * picked < 2 * dim * means


def _at_once(classes: int) -> int:
    return max(1, CENTROIDS // classes)


def _queries(draw: Drawn, shots: int) -> tuple[Ints, Ints]:
    """Points that are asked in a draw, and their classes."""
    truth = np.repeat(np.arange(len(draw)), [len(d) - shots for d in draw])
    return np.concatenate([d[shots:] for d in draw]), truth


def _means(rows: Rows, centre: Floats, picked: Ints) -> Floats:
    """Means of points ``picked`` (..., shots) about the centre, shape (..., d)."""
    means = np.zeros((*picked.shape[:-1], len(centre)))
    for shot in range(picked.shape[-1]):
        taken = rows.take(picked[..., shot].ravel())
        taken -= centre
        means += taken.reshape(means.shape)
    means /= picked.shape[-1]
    return means


def _by_means(rows: Rows, centre: Floats, drawn: list[Drawn], shots: int) -> Floats:
    """Missed queries of each draw and class, (D, C), by products of queries and class means."""
    step = _at_once(len(drawn[0]))
    return np.concatenate(
        [
            _missed_by_means(rows, centre, drawn[i : i + step], shots)
            for i in range(0, len(drawn), step)
        ]
    )


def _missed_by_means(rows: Rows, centre: Floats, drawn: list[Drawn], shots: int) -> Floats:
    """Missed queries of a few draws; points that are asked in several are read once."""
    classes, dim = len(drawn[0]), rows.shape[1]
    # a non-finite query is an error; a non-finite shot spoils its class mean, so the whole draw
    with np.errstate(invalid="ignore", over="ignore"):
        means = _means(rows, centre, np.array([[d[:shots] for d in draw] for draw in drawn]))
        narrow = means.reshape(-1, dim).astype(np.float32).T
    asked = [_queries(draw, shots) for draw in drawn]
    together = np.unique(np.concatenate([queries for queries, _ in asked]))
    misses = np.zeros((len(drawn), classes))
    for part in blocks_of(len(together), max(dim, narrow.shape[1])):
        points = together[part]
        with np.errstate(invalid="ignore", over="ignore"):
            x = rows.take(points)
            x -= centre
            squares = np.einsum("ij,ij->i", x, x)
            cross = x.astype(np.float32) @ narrow
        for k, (queries, truth) in enumerate(asked):
            here = np.flatnonzero((queries >= points[0]) & (queries <= points[-1]))
            at, y = np.searchsorted(points, queries[here]), truth[here]
            columns = slice(k * classes, (k + 1) * classes)
            near = nearest_by(cross[at, columns], x, squares[at], means[k], y, at)
            misses[k] += np.bincount(y, weights=~near, minlength=classes)
    return misses


def _by_points(rows: Rows, centre: Floats, drawn: list[Drawn], shots: int) -> Floats:
    """Missed queries of each draw and class, (D, C), by products of all points."""
    n, classes = rows.shape[0], len(drawn[0])
    picked = np.array([[d[:shots] for d in draw] for draw in drawn])
    squares, longest = _squares_of_means(rows, centre, picked)
    asked = [_queries(draw, shots) for draw in drawn]
    misses = np.zeros(squares.shape)
    step = max(1, PRODUCTS // n)
    for start in range(0, n, step):
        x = rows.take(np.arange(start, min(start + step, n)))
        with np.errstate(invalid="ignore", over="ignore"):
            x -= centre
            products = _products(rows, centre, x)
        for k, (queries, truth) in enumerate(asked):
            here = np.flatnonzero((queries >= start) & (queries < start + len(x)))
            at, y = queries[here] - start, truth[here]
            cross = _average(products, picked[k])[:, at].T
            near, rest, rivals = _nearest_by_shots(cross, x[at], squares[k], longest, shots, y)
            if len(rest):
                means = _means(rows, centre, picked[k, rivals])
                own = np.searchsorted(rivals, y[rest])
                near[rest] = strictly_nearest(x[at[rest]], means, own)
            misses[k] += np.bincount(y, weights=~near, minlength=classes)
    return misses


def _squares_of_means(rows: Rows, centre: Floats, picked: Ints) -> tuple[Floats, float]:
    """Squared norms of class means, (D, C) for shots ``picked`` (D, C, m); largest norm of a shot.

    By products within each class, so that no mean is made.
    """
    squares, longest = np.empty(picked.shape[:2]), 0.0
    for c in range(picked.shape[1]):
        points, place = np.unique(picked[:, c], return_inverse=True)
        place = place.reshape(picked[:, c].shape)
        with np.errstate(invalid="ignore", over="ignore"):
            x = rows.take(points)
            x -= centre
            gram = x @ x.T
            squares[:, c] = gram[place[:, :, None], place[:, None, :]].mean(axis=(1, 2))
            longest = float(np.maximum(longest, np.sqrt(gram.diagonal().max())))  # nan stays
    return squares, longest


def _products(rows: Rows, centre: Floats, x: Floats) -> NDArray[np.float32]:
    """Products of all rows about the centre with ``x`` (q, d), shape (n, q), in float32."""
    (n, dim), narrow = rows.shape, x.astype(np.float32).T
    out = np.empty((n, len(x)), dtype=np.float32)
    buffer = np.empty((min(block_rows(dim), n), dim))
    for part in blocks_of(n, dim):
        other = rows.read(part.start, part.stop, buffer)
        other -= centre
        np.matmul(other.astype(np.float32), narrow, out=out[part])
    return out


def _average(products: NDArray[np.float32], picked: Ints) -> NDArray[np.float32]:
    """Average of rows ``picked`` (C, m), shape (C, q)."""
    classes, shots = picked.shape
    shares = np.full(picked.size, 1 / shots, dtype=np.float32)
    ends = np.arange(0, picked.size + 1, shots)
    average = csr_array((shares, picked.ravel(), ends), shape=(classes, len(products)))
    return np.asarray(average @ products)


def _nearest_by_shots(
    cross: NDArray[np.float32],
    x: Floats,
    squares: Floats,
    longest: float,
    shots: int,
    truth: Ints,
) -> tuple[Bools, Ints, Ints]:
    """Whether points are strictly nearest to their class's mean, where float32 tells.

    A product with a mean is the average of those with its shots, off by as many more units, and the
    squared distance to it by two more.

    Parameters
    ----------
    cross : array of shape (q, C)
        Products with the means.
    x : array of shape (q, d)
    squares : array of shape (C,)
        Squared norms of the means.
    longest : float
        Largest norm of a shot.
    shots : int
    truth : integer array of shape (q,)

    Returns
    -------
    near : bool array of shape (q,)
    rest : integer array
        Which of the points are left open.
    rivals : integer array
        The classes that may be nearest to these, with their own ones and that of the longest mean.
    """
    rows = np.arange(len(x))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = squares.astype(np.float32) - 2.0 * cross
        own = distance[rows, truth]
        distance[rows, truth] = np.inf
        lead = distance.min(axis=1) - own
        size = np.einsum("ij,ij->i", x, x) + longest**2
        length = np.sqrt(size)
        off = 4.0 * lost_in_float32(x.shape[1] + shots + 2) * longest * length + ROUNDING * size
        off[~(ordinary(longest) & ordinary(length))] = np.inf
        rest = np.flatnonzero(~(np.abs(lead) > off))
        close = ~(distance[rest] - own[rest, None] > off[rest, None])
    # the longest mean sets what a tie is
    rivals = np.union1d(np.flatnonzero(close.any(axis=0)), [*truth[rest], np.argmax(squares)])
    return lead > 0, rest, rivals
