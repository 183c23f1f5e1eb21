"""Sums over rows about one fixed point per class: the inner loop of the class moments."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample

_CACHED_ROWS = 512  # rows that are shifted at a time, so that they stay in the cache


class CentredSums(NamedTuple):
    """What :meth:`ShiftedSums.centred` returns; see ``ClassMoments``, ``rows`` is its count."""

    rows: Ints
    mean: Floats
    within: Floats
    trace: Floats
    along: Floats | None


class ShiftedSums:
    """Sums, squared norms and Gram matrix of ``x - s_y`` with a fixed ``s_c`` for each class c.

    ``s_c`` is the mean of class c in the first block that has rows of it. Whatever the order of
    the rows, the scatter about ``s_c`` is then at most n times the scatter about the final mean
    (and hardly more than it, unless a block holds a class's outliers only), so that taking the
    difference of the two at the end loses next to nothing in float64; sums about 0 would lose
    everything where class means are large against their spread.

    Parameters
    ----------
    classes, dim : int
    directions : array of shape (k, dim) or None
        Directions along which a variance per class is wanted.
    scatter : bool
        False leaves out the (dim, dim) Gram matrix.
    """

    def __init__(
        self, classes: int, dim: int, directions: Floats | None = None, *, scatter: bool = True
    ) -> None:
        self._count = np.zeros(classes, dtype=np.int64)
        self._shift = np.zeros((classes, dim))
        self._total = np.zeros((classes, dim))
        self._square = np.zeros(classes)
        self._gram = np.zeros((dim, dim)) if scatter else None
        self.directions = directions
        k = 0 if directions is None else len(directions)
        self._along = np.zeros((classes, k))
        self._scratch = np.empty((_CACHED_ROWS, dim))

    def add(self, block: Floats, labels: Ints) -> None:
        """Add rows; ``block`` is overwritten by its shifted rows.

        Raises
        ------
        InvalidSample
            If a feature is not finite (or its square overflows).
        """
        classes = len(self._count)
        here = np.bincount(labels, minlength=classes)
        members = class_indicator(labels, here)
        new = (here > 0) & (self._count == 0)
        if new.any():
            with np.errstate(invalid="ignore"):  # non-finite rows are named below
                self._shift[new] = (members @ block)[new] / here[new, None]
        squares = np.empty(len(block))
        with np.errstate(invalid="ignore", over="ignore"):
            for i in range(0, len(block), _CACHED_ROWS):
                part = block[i : i + _CACHED_ROWS]
                shift = self._scratch[: len(part)]
                np.take(self._shift, labels[i : i + _CACHED_ROWS], axis=0, out=shift, mode="clip")
                part -= shift
                np.einsum("ij,ij->i", part, part, out=squares[i : i + _CACHED_ROWS])
        if not np.isfinite(squares).all():
            # One bad row spoils its class's shift, so the whole class shows up here.
            raise InvalidSample(
                "features hold NaN, infinite or overflowing values (classes "
                f"{np.unique(labels[~np.isfinite(squares)])[:5].tolist()}), and moments of them do "
                "not exist; find the rows with ~numpy.isfinite(features).all(axis=1)"
            )
        self._count += here
        self._total += members @ block
        self._square += np.bincount(labels, weights=squares, minlength=classes)
        if self._gram is not None:
            self._gram += block.T @ block
        if self.directions is not None:
            self._along += members @ np.square(block @ self.directions.T)

    def centred(self) -> CentredSums:
        """Move all sums to the class means, which are nan for classes without rows."""
        n = self._count
        seen = n > 0
        offset = np.zeros_like(self._total)
        offset[seen] = self._total[seen] / n[seen, None]
        mean = np.where(seen[:, None], self._shift + offset, np.nan)
        scaled = offset * np.sqrt(n)[:, None]
        # Sums of squares cannot be negative; rounding can make them so when the spread is zero.
        trace = np.maximum(self._square - np.einsum("ij,ij->i", scaled, scaled), 0.0)
        within = np.zeros((0, 0)) if self._gram is None else self._gram - scaled.T @ scaled
        along = None
        if self.directions is not None:
            along = np.maximum(self._along - np.square(scaled @ self.directions.T), 0.0)
        return CentredSums(n.copy(), mean, within, trace, along)


def class_indicator(labels: Ints, count: Ints) -> csr_array:
    """Sparse (C, n) matrix whose product with (n, k) sums rows by class; ``count`` is (C,)."""
    ends = np.concatenate([[0], np.cumsum(count)])
    order = np.argsort(labels, kind="stable")
    return csr_array((np.ones(len(labels)), order, ends), shape=(len(count), len(labels)))
