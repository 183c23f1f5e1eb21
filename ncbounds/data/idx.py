"""The idx format of MNIST and its kin."""

import gzip
import math
import os
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.unpacking import check_unpacked, said
from ncbounds.errors import DataError
from ncbounds.files import open_regular

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LONGEST_HEADER = 4 + 4 * 255  # of an idx file


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
    try:
        with open_regular(path) as stream:
            return _idx_array(stream, path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes the unpacking stumble over
        raise DataError(f"{path} cannot be read: {said(error)}") from error


def _idx_array(stream: BinaryIO, path: object) -> NDArray[Any]:
    size = os.fstat(stream.fileno()).st_size
    packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    source = cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if packed else stream
    raw = source.read(_LONGEST_HEADER)
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
    if packed:
        check_unpacked(needed, size, path)
    elif needed > size:
        raise DataError(f"{path} is truncated: {size} bytes, shape {shape} needs {needed}")
    raw += source.read(max(0, needed + 1 - len(raw)))
    if len(raw) != needed:
        what = "is truncated" if len(raw) < needed else "has bytes left over"
        raise DataError(f"{path} {what}: {len(raw)} bytes, shape {shape} needs {needed}")
    array = np.frombuffer(raw, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
