"""One way to read feature rows in float64, whatever holds them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample


class RowsWhenRead:
    """Rows that are made each time they are read, in place of an array of them.

    Attributes
    ----------
    shape : tuple (n, d)
    dtype : dtype
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: Any) -> NDArray[Any]:
        """Rows of a slice or of row numbers, followed by columns if any are named."""
        rows, *columns = part if isinstance(part, tuple) else (part,)
        made = self.made(rows)
        return made[(slice(None), *columns)] if columns else made

    def made(self, rows: slice | Ints) -> NDArray[Any]:
        """Rows, shape (m, d), not to be written to."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows as an array, for what knows arrays only."""
        return np.asarray(self.made(slice(None)), dtype=dtype)


class PickedRows(RowsWhenRead):
    """Rows ``index`` of an array or of other such rows, without a copy of them all."""

    def __init__(self, source: Any, index: Ints) -> None:
        self.source, self.index = source, index
        self.shape, self.dtype = (len(index), int(source.shape[1])), source.dtype

    def made(self, rows: slice | Ints) -> NDArray[Any]:
        """Rows, shape (m, d), as the source holds them."""
        found: NDArray[Any] = self.source[self.index[rows]]
        return found


@dataclass(frozen=True, eq=False)
class Rows:
    """Feature rows that are cast to float64 a block at a time; the source is never written to.

    Attributes
    ----------
    source : array or tensor of shape (n, d)
        Indexable by slices and by integer arrays.
    shape : tuple (n, d)
    is_tensor : bool
        Whether blocks have to be turned into arrays first.
    """

    source: Any
    shape: tuple[int, int]
    is_tensor: bool

    def read(self, start: int, stop: int, out: Floats) -> Floats:
        """Cast rows ``start:stop`` into the first rows of ``out`` and return that part of it."""
        block = self.block(slice(start, stop))
        target = out[: len(block)]
        np.copyto(target, block, casting="unsafe")
        return target

    def take(self, index: Ints, first_column: int = 0) -> Floats:
        """Return rows ``index`` from ``first_column`` on, as a new float64 array."""
        if len(index) > 0 and bool((np.diff(index) == 1).all()):  # a slice spares the gather
            picked = self.source[int(index[0]) : int(index[-1]) + 1, first_column:]
        else:
            picked = self.source[index, first_column:]
        return np.array(self._as_array(picked), dtype=np.float64, order="C")

    def block(self, part: slice) -> NDArray[Any]:
        """Rows of a slice as they are stored, bfloat16 as float32: a view where possible."""
        return self._as_array(self.source[part])

    def _as_array(self, block: Any) -> NDArray[Any]:
        # Arrays have no bfloat16; a tensor's own conversion to float32 is exact for it.
        return np.asarray(block.float().cpu().numpy() if self.is_tensor else block)


def as_rows(features: object) -> Rows:
    """Wrap an array, a memory map, a tensor or nested lists of shape (n, d).

    Parameters
    ----------
    features : array-like of shape (n, d)
        float16, float32, float64 or integers; bfloat16 as a torch tensor or as an array of the
        ``ml_dtypes`` type. All are exact in float64. torch is not imported for this.

    Raises
    ------
    InvalidSample
        If there are not two axes or the numbers are not real.
    """
    source: Any = features
    is_tensor = False
    if hasattr(source, "detach") and hasattr(source, "cpu"):
        source = source.detach()
        is_tensor = "bfloat16" in str(source.dtype)
        if not is_tensor:
            source = source.cpu().numpy()
    elif not isinstance(source, np.ndarray | RowsWhenRead):
        source = np.asarray(source)
    if len(source.shape) != 2:
        raise InvalidSample(
            f"features need shape (n, d), found {tuple(source.shape)}; flatten them per row first"
        )
    real = is_tensor or source.dtype.kind in "fiub" or source.dtype.name == "bfloat16"
    if not real:
        raise InvalidSample(
            f"features need real numbers, found dtype {source.dtype}; "
            "convert them with numpy.asarray(features, dtype=numpy.float32)"
        )
    return Rows(source, (int(source.shape[0]), int(source.shape[1])), is_tensor)


def block_rows(dim: int) -> int:
    """Rows per block: at most 16 d^2 numbers for d >= 64, and enough to keep a product efficient.

    numpy mirrors the triangle of each Gram product, which short blocks would pay for too often.
    """
    return min(8192, max(1024, 16 * dim))


def blocks_of(n: int, dim: int) -> Iterator[slice]:
    """Cut rows 0..n-1 into blocks of :func:`block_rows`."""
    size = block_rows(dim)
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def finite_rows(rows: Rows) -> NDArray[np.bool_]:
    """Whether all numbers of a row are finite, boolean of shape (n,)."""
    out = np.empty(rows.shape[0], dtype=np.bool_)
    for part in blocks_of(*rows.shape):
        out[part] = np.isfinite(rows.block(part)).all(axis=1)
    return out


def all_finite(rows: Rows) -> bool:
    """Whether all numbers are finite."""
    return all(bool(np.isfinite(rows.block(part)).all()) for part in blocks_of(*rows.shape))


def finite_mean(rows: Rows) -> Floats:
    """Mean of the rows whose numbers are all finite, shape (d,); 0 if there is none."""
    total, count = np.zeros(rows.shape[1]), 0
    buffer = np.empty((min(block_rows(rows.shape[1]), rows.shape[0]), rows.shape[1]))
    for part in blocks_of(*rows.shape):
        x = rows.read(part.start, part.stop, buffer)
        kept = np.isfinite(x).all(axis=1)
        x = x if kept.all() else x[kept]
        with np.errstate(over="ignore", invalid="ignore"):
            total += x.sum(axis=0)
        count += len(x)
    mean = total / max(count, 1)
    return mean if np.isfinite(mean).all() else np.zeros_like(mean)


def mean_of(rows: Rows, index: Ints) -> Floats:
    """Mean of rows ``index``, at least one, shape (d,); nan or infinite where they are not finite.

    Rows are added one after the other, as numpy adds them in an array of all.
    """
    step, total = block_rows(rows.shape[1]), None
    for i in range(0, len(index), step):
        x = rows.take(index[i : i + step])
        if total is not None:
            x[0] += total
        total = x.sum(axis=0)
    mean: Floats = np.asarray(total) / len(index)
    return mean


def members_of(labels: Ints, classes: int) -> list[Ints]:
    """Row numbers of each of the classes 0..classes-1, ascending; other labels are left out."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(classes + 1))
    return [order[a:b] for a, b in pairwise(ends)]


def checked_labels(labels: object, n: int, classes: int) -> Ints:
    """Return ``labels`` as int64 of shape (n,), all in 0..classes-1.

    Raises
    ------
    InvalidSample
        If the length differs or a label is out of range.
    """
    y = np.asarray(labels)
    if y.shape != (n,) or (y.dtype.kind not in "iub" and n > 0):
        raise InvalidSample(
            f"{n} rows of features need {n} integer labels, found shape {y.shape} of {y.dtype}"
        )
    y = y.astype(np.int64, copy=False)
    if n and (int(y.min()) < 0 or int(y.max()) >= classes):
        raise InvalidSample(
            f"labels need to be in 0..{classes - 1}, found {int(y.min())}..{int(y.max())}; "
            "pass classes= one more than the largest label, and leave out rows without a label"
        )
    return y
