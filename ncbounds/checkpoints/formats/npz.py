"""Weights as an npz file of NumPy arrays, one for every tensor."""

import io

import numpy as np
import torch

from ncbounds.checkpoints.formats.format import Flat, Format, starts_with
from ncbounds.data.npz import npz_arrays
from ncbounds.errors import CheckpointUnreadable, DataError, shown
from ncbounds.files import Content


def load(content: Content) -> Flat:
    """Return the arrays of an npz file as tensors; nothing is unpickled.

    Raises
    ------
    CheckpointUnreadable
        If it is damaged, or an array holds no numbers that torch has.
    """
    try:
        arrays = npz_arrays(io.BytesIO(content.data.data), content.size, content.path)
    except DataError as error:
        raise CheckpointUnreadable(str(error)) from None
    tensors = {}
    for name, array in arrays.items():
        try:
            tensors[name] = torch.from_numpy(np.array(array, order="C"))
        except TypeError:
            raise CheckpointUnreadable(
                f"{content.path}: array {shown(name)} is of type {array.dtype}; needed are numbers"
            ) from None
    return Flat(tensors, {}, unpacked=sum(array.nbytes for array in arrays.values()))


def _is_npz(content: Content) -> bool:
    """Whether it is a zip whose first member is an npy file."""
    head = content.data[:600].tobytes()
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return starts_with(content, b"PK\x03\x04") and name.endswith(b".npy")


FORMAT = Format(name="npz", recognises=_is_npz, load=load)
