"""Features in the axes of their scatter, and what each point weighs in its own ridge prediction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.sample import Sample
from ncbounds.statistics.nearest import MANY, lost_in_float32, ordinary
from ncbounds.statistics.rows import as_rows, block_rows

#: A point whose own weight in its prediction is within this of 1 cannot be predicted.
LEAST_REST = 1e-10
#: Rows that are turned at once.
ROWS = 2048
#: From so many features on rows are turned in float32, but for those whose 1 - h that might change
#: by more than this share.
NARROW, SHARE = 256, 0.01
#: Sign combinations of many label columns on which penalties are compared, and their seed.
SIGNS, SEED = 32, 1979
#: A penalty is left out if it is worse by so many standard errors of that, and by such a share.
ERRORS, WORSE = 6.0, 1e-4


@dataclass(frozen=True, eq=False)
class Axes:
    """Centred features X with ``X'X = V diag(values) V'``, and ``targets = V'X'Y``.

    Attributes
    ----------
    values : array of shape (k,)
    targets : array of shape (k, C)
    vectors : array of shape (d, k) or None
        V; None where blocks hold rows of XV.
    blocks : callable
        Makes an iterator over slices of rows and the rows of X, or XV, in a buffer.
    """

    values: Floats
    targets: Floats
    vectors: Floats | None
    blocks: Callable[[], Iterator[tuple[slice, Floats]]]

    @property
    def narrow(self) -> bool:
        """Whether own weights are computed in float32 first."""
        return self.vectors is not None and len(self.values) >= NARROW

    def slopes(self, share: Floats) -> Floats:
        """``V diag(share) V'X'Y``: what rows of a block are multiplied by to be fitted."""
        turned = self.targets * share[:, None]
        return turned if self.vectors is None else self.vectors @ turned

    def own_weights(self, x: Floats, shares: Floats) -> Floats:
        """``sum_j share_j (x V)_j^2``, shape (m, L) for ``shares`` of shape (L, k)."""
        z = x if self.vectors is None else x @ self.vectors
        found: Floats = np.square(z) @ shares.T
        return found

    def lengths(self, x: Floats) -> Floats:
        """Norms of rows, shape (m,); infinite where float32 would leave its range."""
        with np.errstate(over="ignore", invalid="ignore"):
            found: Floats = np.sqrt(np.einsum("ij,ij->i", x, x))
        found[~ordinary(found)] = np.inf
        return found

    def lost(self, lengths: Floats, found: Floats, shares: Floats) -> Floats:
        """What float32 may change of own weights that it found, shape (m, L); 0 without it.

        With e the error of z, at most :func:`lost_in_float32` of the norm of x in each entry,
        ``sqrt(sum_j share_j (z_j + e_j)^2)`` differs from ``sqrt(sum_j share_j z_j^2)`` by no more
        than ``sqrt(sum_j share_j e_j^2)``.
        """
        if not self.narrow:
            return np.zeros_like(found)
        with np.errstate(over="ignore", invalid="ignore"):
            off = lost_in_float32(len(self.values)) * lengths[:, None] * np.sqrt(shares.sum(axis=1))
            lost: Floats = off * (2 * np.sqrt(found) + off)
        return lost


def axes_of(sample: Sample, y: Ints) -> Axes:
    """Axes of a sample's features, from its moments, or of its points where these are fewer.

    ``y`` are its labels, numbered over the classes that have points.
    """
    return _axes_of_features(sample) if sample.dim <= sample.n else _axes_of_points(sample, y)


def _axes_of_features(sample: Sample) -> Axes:
    moments = sample.moments
    counts = moments.count[moments.present]
    centre = moments.centre(weighted=True)
    means = moments.mean[moments.present] - centre
    values, vectors = sla.eigh(moments.within + (means * counts[:, None]).T @ means)
    features, size = as_rows(sample.features), min(ROWS, block_rows(sample.dim))

    def blocks() -> Iterator[tuple[slice, Floats]]:
        buffer = np.empty((min(size, sample.n), sample.dim))
        for i in range(0, sample.n, size):
            x = features.read(i, i + size, buffer)
            x -= centre
            yield slice(i, i + len(x)), x

    targets = vectors.T @ (means * counts[:, None]).T
    return Axes(np.maximum(values, 0.0), targets, vectors, blocks)


def _axes_of_points(sample: Sample, y: Ints) -> Axes:
    x = as_rows(sample.features).take(np.arange(sample.n))
    x -= x.mean(axis=0)
    values, vectors = sla.eigh(x @ x.T)
    values = np.maximum(values, 0.0)
    z = vectors * np.sqrt(values)
    targets = z.T @ np.eye(int(y.max()) + 1)[y]
    return Axes(values, targets, None, lambda: iter([(slice(0, sample.n), z)]))


def first_pass(axes: Axes, shares: Floats, y: Ints, counts: Ints) -> tuple[Floats, Ints]:
    """Own weights of all points, (n, L), and which penalties may have the least squared error.

    Parameters
    ----------
    axes : Axes
    shares : array of shape (L, k)
        ``1/(s_j + lambda)`` for each penalty.
    y : integer array of shape (n,)
    counts : integer array of shape (C,)
        Points of each class, at least 1.
    """
    columns, sampled = _columns(len(counts))
    level = counts / len(y) @ columns
    kind: np.dtype[np.floating] = np.dtype(np.float32 if axes.narrow else np.float64)
    vectors = None if axes.vectors is None else axes.vectors.astype(kind)
    slopes = np.hstack([(axes.targets @ columns) * share[:, None] for share in shares])
    slopes = slopes.astype(kind)
    own_weights = np.empty((len(y), len(shares)))
    squares = np.zeros((len(shares), len(level)))
    with np.errstate(all="ignore"):
        for part, x in axes.blocks():
            z = x if vectors is None else x.astype(kind, copy=False) @ vectors
            h = np.square(z, dtype=np.float64) @ shares.T
            again = np.flatnonzero(
                ~(axes.lost(axes.lengths(x), h, shares) <= SHARE * (1 - h)).all(axis=1)
            )
            h[again] = axes.own_weights(x[again], shares)
            h += 1 / len(y)
            own_weights[part] = h
            off = (z @ slopes).reshape(len(z), *squares.shape) - (columns[y[part]] - level)[:, None]
            weights = np.where(1 - h > LEAST_REST, 1 - h, 0.0) ** -2.0
            squares += np.einsum("ik,ikq->kq", weights, np.square(off))
    return own_weights, _may_be_least(squares, ERRORS if sampled else 0.0)


def _columns(classes: int) -> tuple[Floats, bool]:
    """Combinations of label columns, (C, q), and whether they are a sample: of many, random signs.

    The mean over signs of the squared error of a combination is the sum of those of the columns.
    """
    if classes < MANY:
        return np.eye(classes), False
    return np.random.default_rng(SEED).choice([-1.0, 1.0], (classes, SIGNS)), True


def _may_be_least(squares: Floats, errors: float) -> Ints:
    """Rows of (L, q) that are not beyond rounding, and ``errors`` standard errors, of the best."""
    squares = np.where(np.isnan(squares), np.inf, squares)
    best = squares[np.argmin(squares.sum(axis=1))]
    if not np.isfinite(best).all():
        return np.arange(len(squares))
    with np.errstate(invalid="ignore"):
        worse = squares - best
        spread = worse.std(axis=1) * np.sqrt(len(best))
        kept = worse.sum(axis=1) <= errors * spread + WORSE * best.sum()
    return np.flatnonzero(kept)
