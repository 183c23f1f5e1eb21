"""Feature rows in the coordinates of a subspace, made a block at a time when they are read."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.homogeneous.rays import KAPPAS, Rays
from ncbounds.evidence.head import margins
from ncbounds.evidence.logit_rows import KEPT_BYTES, LogitRows
from ncbounds.numerics.scaling import row_norms
from ncbounds.statistics.nearest import ORDINARY
from ncbounds.statistics.rows import RowsWhenRead, as_rows

#: Numbers of features that are projected at once.
BLOCK = 2**20


class ProjectedRows(RowsWhenRead):
    """Coordinates ``U'(f - q)`` of rows, shape (n, r).

    They are nan for rows farther from q than ``farthest`` times the length of ``psi``, and not
    finite for rows that are not. They are kept if they take at most ``KEPT_BYTES``; else the piece
    that was read last is: coordinates and logits of the same rows are asked for one after the
    other.

    Parameters
    ----------
    features : array-like of shape (n, d)
    centre : array of shape (d,)
    basis : array of shape (d, r)
        Orthonormal columns.
    farthest : float
    """

    def __init__(self, features: object, centre: Floats, basis: Floats, farthest: float) -> None:
        self.rows, self.centre, self.basis = as_rows(features), centre, basis
        self.farthest = farthest
        self.shape, self.dtype = (self.rows.shape[0], basis.shape[1]), np.dtype(np.float64)
        self._last: tuple[Ints, Floats] | None = None

    @cached_property
    def _kept(self) -> Floats | None:
        if 8 * self.shape[0] * self.shape[1] > KEPT_BYTES:
            return None
        kept = self._project(np.arange(len(self)))
        kept.setflags(write=False)
        return kept

    def made(self, rows: slice | Ints) -> Floats:
        """Coordinates of some rows, shape (m, r), read-only."""
        if self._kept is not None:
            return self._kept[rows]
        index = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        last = self._last
        if last is not None and np.array_equal(last[0], index):
            return last[1]
        self._last = last = None  # before the next piece takes its place
        out = self._project(index)
        out.setflags(write=False)
        self._last = index, out
        return out

    def _project(self, index: Ints) -> Floats:
        out = np.empty((len(index), self.shape[1]))
        step = max(1, BLOCK // max(1, self.rows.shape[1]))
        for i in range(0, len(index), step):
            z, off = _projected(self.rows.take(index[i : i + step]), self.centre, self.basis)
            z[~(off <= self.farthest)] = np.nan
            out[i : i + step] = z
        return out


def projected_rays(
    points: ProjectedRows, labels: Ints, weight: Floats, bias: Floats, besides: tuple[float, float]
) -> Rays:
    """Rays of a head on projected rows; one pass finds what is needed of all rows.

    Parameters
    ----------
    points : ProjectedRows of shape (n, r)
    labels : integer array of shape (n,)
    weight : array of shape (C, r)
    bias : array of shape (C,)
    besides : pair of float
        As in :class:`Rays`.
    """
    n, classes = len(points), len(weight)

    def read(part: slice | Ints) -> Floats:
        # from the projected points: at a large offset more accurate than from the features
        with np.errstate(invalid="ignore", over="ignore"):
            found: Floats = points.made(part) @ weight.T + bias
            return found

    squares, leads, finite = np.empty(n), np.empty(n), np.empty(n, dtype=np.bool_)
    step = max(1, BLOCK // max(classes, *points.rows.shape[1:]))
    for i in range(0, n, step):
        part = slice(i, min(i + step, n))
        z, logits = points.made(part), read(part)
        squares[part] = np.einsum("ij,ij->i", z, z)
        finite[part] = np.isfinite(logits).all(axis=1)
        leads[part] = margins(logits, labels[part])
    logit_rows = LogitRows((n, classes), read, points.rows.shape[1])
    logit_rows.__dict__["finite"] = finite  # a cached property finds its value here
    return Rays.of(
        points, labels, logit_rows, weight, bias, besides=besides, squares=squares, leads=leads
    )


def off_subspace(features: object, centre: Floats, basis: Floats) -> Floats:
    """``||f - q|| / ||psi||`` of every row at the smallest scale, shape (n,); nan if not finite.

    Lengths of projections are those of products in float32, good to 1e-4 at the very least.
    """
    rows, narrow = as_rows(features), basis.astype(np.float32)
    out = np.empty(rows.shape[0])
    step = max(1, BLOCK // (2 * max(1, rows.shape[1])))  # of two kinds of numbers
    for i in range(0, len(out), step):
        index = np.arange(i, min(i + step, len(out)))
        x = rows.take(index)
        x -= centre
        lengths = row_norms(x)
        ordinary = lengths.max() <= ORDINARY[1]  # not if it is nan
        z = x.astype(np.float32) @ narrow if ordinary else x @ basis
        out[index] = lengths / np.hypot(row_norms(z), KAPPAS[0])
    return out


def _projected(x: NDArray[np.float64], centre: Floats, basis: Floats) -> tuple[Floats, Floats]:
    """Coordinates of rows ``x``, which are written to, and how far off the subspace they are."""
    x -= centre
    z = x @ basis
    return z, row_norms(x) / np.hypot(row_norms(z), KAPPAS[0])
