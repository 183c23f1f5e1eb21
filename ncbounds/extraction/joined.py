"""Rows of several ``.npy`` files as one array, without joining them in memory or on disk.

The files are mapped side by side into one range of addresses. A page of memory is of one file, so
that each file's numbers have to start at the place in a page where those of the file before end
(:class:`~ncbounds.extraction.growing_array.GrowingArray` writes them so); the one page in which two
files meet is copied. Where that does not hold, or the system cannot do it, all rows are copied.
"""

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import StoreError

_FIXED = 0x10  # of MAP_FIXED, on Linux and macOS alike
_FAILED = ctypes.c_void_p(-1).value


class _Region:
    """A range of addresses, given back when the last array in it has gone."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self.address = _mapped(
            None, self._size, mmap.PROT_READ | mmap.PROT_WRITE, _ANONYMOUS, -1, 0
        )
        weakref.finalize(self, _libc.munmap, self.address, self._size)

    def as_array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """All numbers, read-only."""
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (self.address, True),
        }
        return np.asarray(self)


def joined(paths: Sequence[Path]) -> NDArray[Any]:
    """Rows of all files, one after the other, read-only.

    Parameters
    ----------
    paths : sequence of Path
        ``.npy`` files of arrays (n_k, ...) of one type and width.

    Raises
    ------
    StoreError
        If types or widths differ.
    """
    parts: list[Any] = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    first = parts[0]
    if len({(part.dtype, part.shape[1:]) for part in parts}) != 1:
        raise StoreError(f"the parts beside {paths[0]} hold rows of different types or widths")
    if len(parts) == 1:
        return first  # type: ignore[no-any-return]
    ends = np.cumsum([part.nbytes for part in parts]).tolist()
    starts = [0, *ends[:-1]]
    page = mmap.PAGESIZE
    fitting = all((part.offset - start) % page == 0 for part, start in zip(parts, starts))
    if not sys.platform.startswith(("linux", "darwin")) or not fitting:
        whole = np.concatenate(parts)
        whole.setflags(write=False)
        return whole
    region = _Region(ends[-1])
    for path, part, start, end in zip(paths, parts, starts, ends, strict=True):
        _place(region.address, path, part, start, end)
    return region.as_array(first.dtype, (sum(map(len, parts)), *first.shape[1:]))


def _place(address: int, path: Path, part: Any, start: int, end: int) -> None:
    """Map the whole pages of a file's numbers, and copy what is left at both ends."""
    page = mmap.PAGESIZE
    low = min(-(-start // page) * page, end)
    high = max(end // page * page, low)
    if high > low:
        handle = os.open(path, os.O_RDONLY)
        try:
            _mapped(
                address + low,
                high - low,
                mmap.PROT_READ,
                mmap.MAP_SHARED | _FIXED,
                handle,
                part.offset + low - start,
            )
        finally:
            os.close(handle)
    for a, b in ((start, low), (high, end)):
        if b > a:
            ctypes.memmove(address + a, part.ctypes.data + a - start, b - a)


def _mapped(
    address: int | None, size: int, protection: int, flags: int, handle: int, offset: int
) -> int:
    found: int | None = _libc.mmap(address, size, protection, flags, handle, offset)
    if found is None or found == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found


def _system() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_int64,
    ]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


_libc = _system()
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
