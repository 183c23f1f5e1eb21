"""Arrays from npz files."""

import math
import os
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ncbounds.budgets import MEMBERS
from ncbounds.data.unpacking import check_unpacked, said
from ncbounds.errors import DataError, few, shown
from ncbounds.files import open_regular


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
        with open_regular(path) as stream:
            if stream.read(6) == b"\x93NUMPY":
                raise DataError(f"{path} is a single array; save it with np.savez")
            stream.seek(0)
            arrays = npz_arrays(stream, os.fstat(stream.fileno()).st_size, path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {said(error)}") from None
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(f"{path} holds [{few(map(repr, sorted(arrays)))}], needed also {missing}")
    lengths = {name: len(np.atleast_1d(arrays[name])) for name in needed}
    if len(set(lengths.values())) > 1:
        raise DataError(f"arrays of {path} differ in length: {lengths}")
    return arrays


def npz_arrays(stream: BinaryIO, size: int, path: object) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file of ``size`` bytes, after comparing all that they ask for with that.

    Raises
    ------
    DataError
        If it is damaged, holds Python objects or unpacks into too much.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            return _arrays(archive, size, path)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes the unpacking stumble over
        raise DataError(
            f"{path} is not a readable npz file of plain arrays: {said(error)}"
        ) from error


def _arrays(archive: zipfile.ZipFile, size: int, path: object) -> dict[str, NDArray[Any]]:
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if len(infos) > MEMBERS:
        raise DataError(f"{path} holds {len(infos)} arrays, at most {MEMBERS} are read")
    check_unpacked(sum(info.file_size for info in infos), size, path)
    arrays = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        stored = info.compress_type == zipfile.ZIP_STORED
        if name in arrays or not (stored or info.compress_type == zipfile.ZIP_DEFLATED):
            raise DataError(f"{path}: array {shown(name)} is there twice, or packed unusually")
        if stored and info.file_size != info.compress_size:
            raise DataError(f"{path}: array {shown(name)} declares bytes that it does not have")
        with archive.open(info) as member:
            declared = _npy_bytes(cast(BinaryIO, member))
        if declared != info.file_size:
            raise DataError(
                f"{path}: array {shown(name)} declares {shown(declared)} bytes, the file holds "
                f"{info.file_size} for it"
            )
        with archive.open(info) as member:
            arrays[name] = np.lib.format.read_array(cast(BinaryIO, member), allow_pickle=False)
    return arrays


def _npy_bytes(stream: BinaryIO) -> int:
    """Bytes of an npy file by what its header says; nothing is set aside for them."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):  # version 3 differs in the encoding of field names only
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(
            "it holds Python objects (lists of labels are saved as 0 and 1 in an array (n, L))"
        )
    return stream.tell() + math.prod(shape) * dtype.itemsize
