"""An ``.npy`` file that grows batch by batch."""

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import StoreError
from ncbounds.extraction.content import ContentHash

#: Bytes of a page of memory that files are laid out for.
PAGE = 4096
#: Bytes of a header at least.
ROOM = 256


def sync(stream: BinaryIO) -> None:
    """Wait until what was written has reached the disk."""
    stream.flush()
    os.fsync(stream.fileno())


class GrowingArray:
    """An ``.npy`` file whose number of rows is known only at the end; hashed while it grows.

    Parameters
    ----------
    path : Path
    first : array of shape (m, ...)
        Of the type and width of all rows; it is not written.
    before : int, optional
        Rows in the files that this one goes on from. Its numbers then start at the place in a page
        of memory where theirs end; see :mod:`ncbounds.extraction.joined`.
    """

    def __init__(self, path: Path, first: NDArray[Any], before: int | None = None) -> None:
        self._stream = open(path, "wb")  # noqa: SIM115
        self._dtype, self._shape = first.dtype, first.shape[1:]
        self._rows = 0
        self._content = ContentHash()
        self._offset = None if before is None else _offset(before * first[:1].nbytes)
        self._write_header()
        self._start = self._stream.tell()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all rows so far."""
        return (self._rows, *self._shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""
        return self._dtype

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows of the same type and width as the first."""
        if rows.dtype != self._dtype or rows.shape[1:] != self._shape:
            raise StoreError(
                f"features changed from {self._shape} of {self._dtype} to {rows.shape[1:]} of "
                f"{rows.dtype} between two batches"
            )
        block = np.ascontiguousarray(rows)
        self._stream.write(block.data)
        self._content.update(block)
        self._rows += len(rows)

    def finish(self) -> str:
        """Write the number of rows, wait until all is on disk, and return the content's hash."""
        self._stream.seek(0)
        self._write_header()
        if self._stream.tell() != self._start:
            raise StoreError("the header of an .npy file changed its length")
        sync(self._stream)
        self.close()
        return self._content.hexdigest(self._dtype, self.shape)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write_header(self) -> None:
        fields = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": self.shape,
        }
        if self._offset is None:
            # NumPy leaves room for the first axis to grow, so that the length never changes.
            np.lib.format.write_array_header_1_0(self._stream, fields)
            return
        start = np.lib.format.magic(1, 0)
        length = self._offset - len(start) - 2
        self._stream.write(start + length.to_bytes(2, "little"))
        self._stream.write(repr(fields).encode().ljust(length - 1) + b"\n")


def _offset(end: int) -> int:
    """Length of a header behind which numbers stand in a page as byte ``end`` of all rows does."""
    return ROOM + (end - ROOM) % PAGE
