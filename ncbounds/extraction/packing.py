"""Features packed without loss: rectified ones are zero in every second place.

A file holds a line of JSON, one bit for each number (whether it is zero), and the bytes of those
that are not, all first bytes, all second ones, ...; the last of these, which hold sign and
exponent, differ little and are deflated.
"""

import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes of arrays that are packed: fewer are not worth it, more are left to be mapped.
LEAST, MOST = 1 << 16, 1 << 28
#: Share of its bytes beyond which an array is not worth packing.
WORTH = 0.8


def pack(array: NDArray[Any]) -> bytes | None:
    """Bytes from which :func:`unpack` makes the same array; None if they are hardly fewer."""
    if array.dtype.kind != "f" or not LEAST <= array.nbytes <= MOST:
        return None
    size = array.dtype.itemsize
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{size}")
    here = bits != 0  # by their bits, so that negative zeros stay
    planes = bits[here].view(np.uint8).reshape(-1, size).T
    last = zlib.compress(planes[-1].tobytes(), 1)
    about = {"dtype": array.dtype.str, "shape": array.shape, "nonzero": planes.shape[1]}
    head = json.dumps(about).encode() + b"\n"
    packed = head + np.packbits(here).tobytes() + planes[:-1].tobytes() + last
    return packed if len(packed) < WORTH * array.nbytes else None


def unpack(packed: bytes) -> NDArray[Any]:
    """Return the array, read-only.

    Raises
    ------
    ValueError
        If these are not the bytes that :func:`pack` gave.
    """
    try:
        end = packed.index(b"\n")
        about = json.loads(packed[:end])
        dtype, shape = np.dtype(about["dtype"]), tuple(about["shape"])
        count, size = int(np.prod(shape)), dtype.itemsize
        if count * size > MOST:
            raise ValueError("more numbers than are ever packed")
        body = np.frombuffer(packed, np.uint8, offset=end + 1)
        marks = -(-count // 8)
        here = np.unpackbits(body[:marks], count=count).view(np.bool_)
        some = int(about["nonzero"])
        values = np.empty((some, size), np.uint8)
        start = marks
        for k in range(size - 1):
            values[:, k] = body[start : start + some]
            start += some
        inflate = zlib.decompressobj()
        values[:, -1] = np.frombuffer(inflate.decompress(packed[end + 1 + start :], some), np.uint8)
        bits = np.zeros(count, f"u{size}")
        bits[here] = values.view(f"u{size}")[:, 0]
    except (KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ValueError(f"they cannot be unpacked: {error}") from None
    array: NDArray[Any] = bits.view(dtype).reshape(shape)
    array.setflags(write=False)
    return array
