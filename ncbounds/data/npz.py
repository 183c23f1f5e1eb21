"""Arrays from npz files."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.idx import UNREADABLE
from ncbounds.errors import DataError


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
    except UNREADABLE as error:
        raise DataError(f"{path} is not a readable npz file of plain arrays: {error}") from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(f"{path} holds {sorted(arrays)}, needed also {missing}")
    lengths = {name: len(np.atleast_1d(arrays[name])) for name in needed}
    if len(set(lengths.values())) > 1:
        raise DataError(f"arrays of {path} differ in length: {lengths}")
    return arrays
