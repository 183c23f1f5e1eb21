"""Logits of many rows, read a part at a time: kept ones, or computed when they are read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.head import LinearHead
from ncbounds.numerics.scaling import divided
from ncbounds.statistics.rows import blocks_of

#: Bytes of logits that a sample keeps at most, those of all heads together.
KEPT_BYTES = 1 << 29
#: Logits that are worked on at once where each becomes a number of its own.
PIECE = 1 << 19


@dataclass(frozen=True, eq=False)
class LogitRows:
    """Float64 logits of shape (n, C), read as ``logits[part]`` and never written to.

    Attributes
    ----------
    shape : tuple (n, C)
    read : function
        From a slice or row numbers to logits of shape (m, C); row numbers give a new array.
    dim : int
        Number of features, which sets the size of blocks.
    bytes_kept : int
        What they take in memory.
    """

    shape: tuple[int, int]
    read: Callable[[slice | Ints], Floats]
    dim: int
    bytes_kept: int = 0

    @classmethod
    def of_array(cls, logits: Floats, dim: int | None = None) -> "LogitRows":
        """Read an array of shape (n, C), of ``dim`` features if blocks should be as theirs."""
        n, classes = logits.shape
        return cls((n, classes), logits.__getitem__, classes if dim is None else dim, logits.nbytes)

    @classmethod
    def on_demand(cls, head: LinearHead, features: NDArray[Any]) -> "LogitRows":
        """Compute the logits of rows of ``features`` (n, d) each time they are read."""

        def read(part: slice | Ints) -> Floats:
            with np.errstate(invalid="ignore", over="ignore"):
                return head.logits(features[part])

        return cls((len(features), head.classes), read, head.dim)

    def __getitem__(self, part: slice | Ints) -> Floats:
        """Logits of some rows, shape (m, C)."""
        return self.read(part)

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Cut all rows into blocks: the same logits to the last bit, kept or computed.

        They are the blocks of :meth:`LinearHead.logits`; in others the last bit may differ.
        """
        return ((part, self[part]) for part in blocks_of(self.shape[0], self.dim))

    def pieces(self) -> Iterator[tuple[slice, Floats]]:
        """Cut the blocks further, so that what is made of a piece stays small for many classes."""
        step = max(1, PIECE // self.shape[1])
        for block, logits in self.blocks():
            for k in range(0, len(logits), step):
                part = slice(block.start + k, min(block.start + k + step, block.stop))
                yield part, logits[k : k + step]

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """Rows whose logits are all finite, boolean of shape (n,)."""
        out = np.empty(self.shape[0], dtype=np.bool_)
        for part, logits in self.blocks():
            out[part] = np.isfinite(logits).all(axis=1)
        return out

    def picked(self, index: Ints) -> "LogitRows":
        """Logits of rows ``index``, kept if these are."""
        shape = (len(index), self.shape[1])
        return LogitRows(shape, lambda part: self[index[part]], self.dim)

    def divided(self, power: int) -> "LogitRows":
        """Return the same logits divided by ``2**power``."""
        return replace(self, read=lambda part: divided(self[part], power))
