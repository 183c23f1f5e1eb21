"""The idx format of MNIST and its kin."""

import gzip
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

UNREADABLE = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an idx file (the format of MNIST), gzipped or not.

    Returns
    -------
    array
        In native byte order, with the shape and type that the header declares.

    Raises
    ------
    DataError
        If the file is missing, is no idx file, or holds fewer or more bytes than it declares.
    """
    raw = _read_bytes(Path(path))
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise DataError(
            f"{path} is not an idx file: it starts with {raw[:4].hex(' ') or 'nothing'}, "
            "needed 00 00, a type (08, 09, 0b-0e) and a number of dimensions"
        )
    dtype, header = np.dtype(_IDX_TYPES[raw[2]]), 4 + 4 * raw[3]
    if len(raw) < header:
        raise DataError(f"{path} is truncated: {len(raw)} bytes, its header needs {header}")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], 4))
    needed = header + math.prod(shape) * dtype.itemsize
    if len(raw) != needed:
        what = "is truncated" if len(raw) < needed else "has bytes left over"
        raise DataError(f"{path} {what}: {len(raw)} bytes, shape {shape} needs {needed}")
    array = np.frombuffer(raw, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {error}") from error
