"""Hash of an array's content, in chunks: as its rows go by, or of a whole array side by side."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes of a chunk; the hash of an array is that of the hashes of its chunks.
CHUNK = 1 << 22


class ContentHash:
    """Hash of the rows of an array while they are written, whatever the size of the batches."""

    def __init__(self) -> None:
        self._chunks = hashlib.sha256()
        self._open, self._room = hashlib.sha256(), CHUNK

    def update(self, rows: NDArray[Any]) -> None:
        """Add rows; they are contiguous."""
        view = _bytes(rows)
        while len(view):
            part, view = view[: self._room], view[self._room :]
            self._open.update(part)
            self._room -= len(part)
            if not self._room:
                self._chunks.update(self._open.digest())
                self._open, self._room = hashlib.sha256(), CHUNK

    def hexdigest(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
        """Hash of all rows as an array of this type and shape."""
        whole = self._chunks.copy()
        if self._room < CHUNK:
            whole.update(self._open.digest())
        return _named(whole.digest(), dtype, shape)


def content_hash(array: NDArray[Any]) -> str:
    """Hash of a whole array, the same as :class:`ContentHash` gives for its rows."""
    view = _bytes(array)
    starts = range(0, len(view), CHUNK)
    whole = hashlib.sha256()
    if len(starts) < 2:
        for start in starts:
            whole.update(_digest(view[start : start + CHUNK]))
    else:
        with ThreadPoolExecutor() as pool:
            for digest in pool.map(lambda start: _digest(view[start : start + CHUNK]), starts):
                whole.update(digest)
    return _named(whole.digest(), array.dtype, array.shape)


def _digest(chunk: memoryview) -> bytes:
    return hashlib.sha256(chunk).digest()


def _bytes(array: NDArray[Any]) -> memoryview:
    if not array.size:
        return memoryview(b"")
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _named(digest: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return hashlib.sha256(f"{dtype.str} {shape} ".encode() + digest).hexdigest()
