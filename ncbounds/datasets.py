"""Reading data: idx files, npz files, label noise, and functions in a user's file."""

import gzip
import importlib.util
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError, suggest

PIXEL_MEAN = 0.286
"""Constant subtracted from pixels / 255: the published mean pixel of Fashion-MNIST.

Fixed a priori and never computed from the images at hand: a centre estimated from a sample would
be one more thing that the features know about it. (It was published for the official 60,000
training images, to three digits; no model or split here was chosen by it.)
"""

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_UNREADABLE = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error)


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
    except _UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def load_npz(
    path: str | os.PathLike[str], needed: Sequence[str] = ("images", "labels")
) -> dict[str, NDArray[Any]]:
    """Read all arrays of an npz file, never unpickling anything.

    Raises
    ------
    DataError
        If the file cannot be read, holds Python objects, lacks an array of ``needed``, or if
        those arrays differ in length.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path} is a single array; save it with np.savez")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except _UNREADABLE as error:
        raise DataError(f"{path} is not a readable npz file of plain arrays: {error}") from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(f"{path} holds {sorted(arrays)}, needed also {missing}")
    lengths = {name: len(np.atleast_1d(arrays[name])) for name in needed}
    if len(set(lengths.values())) > 1:
        raise DataError(f"arrays of {path} differ in length: {lengths}")
    return arrays


def standardise(images: NDArray[Any]) -> NDArray[np.float32]:
    """Network input of 8-bit grey images: ``pixel / 255 - PIXEL_MEAN`` as (n, 1, height, width).

    Floating-point arrays are taken as standardised already and returned as float32 in their shape.

    Raises
    ------
    DataError
        If the array is neither floating point nor uint8 of shape (n, height, width).
    """
    if np.issubdtype(images.dtype, np.floating):
        return images.astype(np.float32)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DataError(
            f"images have type {images.dtype} and shape {images.shape}, needed uint8 of shape "
            "(n, height, width), or floating-point inputs that are standardised already"
        )
    return images[:, None].astype(np.float32) / np.float32(255) - np.float32(PIXEL_MEAN)


def noisy_labels(
    labels: NDArray[Any], rate: float, seed: int, classes: int = 10
) -> NDArray[np.int64]:
    """Labels of which each is, with probability ``rate``, drawn anew uniformly from all classes.

    To be applied to the whole array of a task, before it is split into roles, so that all roles
    follow one law. The drawn label may equal the old one: at rate z an error e becomes
    ``(1 - z) e + z (1 - 1/classes)``.

    Raises
    ------
    DataError
        If ``rate`` is not in [0, 1].
    """
    if not 0 <= rate <= 1:
        raise DataError(f"label noise is a probability, found {rate}")
    rng = np.random.RandomState(seed)
    redrawn = rng.random_sample(len(labels)) < rate
    drawn = rng.randint(0, classes, len(labels))
    return np.where(redrawn, drawn, labels).astype(np.int64)


def user_function(spec: str) -> Callable[..., Any]:
    """Import ``FILE.py:FUNCTION``, which a person has named; the file's code is run.

    The file's folder is put on ``sys.path``, as for a script, so that it can import its neighbours.

    Raises
    ------
    DataError
        If the file, or a callable of that name in it, does not exist, or if importing fails.
    """
    file, colon, name = spec.rpartition(":")
    path = Path(file).expanduser()
    if not colon or not name or path.suffix != ".py":
        raise DataError(f"found {spec!r}, needed FILE.py:FUNCTION, for example data.py:load")
    if not path.is_file():
        raise DataError(f"{path} does not exist (needed for {spec!r})")
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.insert(0, folder)
    module_name = f"_ncbounds_user_{zlib.crc32(str(path.resolve()).encode()):08x}"
    found = importlib.util.spec_from_file_location(module_name, path)
    if found is None or found.loader is None:
        raise DataError(f"{path} cannot be imported as a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[module_name] = module  # dataclasses and pickle look a class's module up here
    try:
        found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise DataError(f"importing {path} raised {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        public = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        raise DataError(f"{path} has no function {name!r}; {suggest(name, public)}")
    return function  # type: ignore[no-any-return]


def user_data(spec: str) -> Any:
    """Call the function ``FILE.py:FUNCTION`` without arguments and return what it returns."""
    return user_function(spec)()
