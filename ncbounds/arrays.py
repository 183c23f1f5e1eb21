"""Array types that signatures share, and numbers of any framework as arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import InvalidSample, shown

Floats = NDArray[np.float64]

Ints = NDArray[np.int64]

Bools = NDArray[np.bool_]


def plain_array(found: object, what: str) -> NDArray[Any]:
    """Return an array of what was passed, of the type that it has, without a copy where possible.

    Parameters
    ----------
    found : array-like
        An array or tensor, a frame or series (whose index means nothing here), or nested lists.
    what : str
        Its name in messages, e.g. ``"features"``.

    Raises
    ------
    InvalidSample
        If it is sparse, masked or ragged.
    """
    if hasattr(found, "toarray") or getattr(found, "is_sparse", False):
        dense = "toarray()" if hasattr(found, "toarray") else "to_dense()"
        raise InvalidSample(f"{what} are sparse ({type(found).__name__}); pass {what}.{dense}")
    if isinstance(found, np.ma.MaskedArray) and np.ma.is_masked(found):
        raise InvalidSample(f"{what} are masked; pass the rows that are not, as a plain array")
    if hasattr(found, "detach"):  # a tensor, of which NumPy knows no gradient and no bfloat16
        tensor: Any = found.detach().cpu()
        found = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
    if isinstance(found, np.memmap):
        return found
    try:
        return np.asarray(found)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise InvalidSample(
            f"{what} of type {type(found).__name__} make no array: {shown(error)}"
        ) from None


def numbers(found: object, what: str) -> NDArray[Any]:
    """Return real numbers as :func:`plain_array` does; nothing is parsed, no part is dropped.

    Raises
    ------
    InvalidSample
        As :func:`plain_array` does, and if it holds anything but real numbers.
    """
    array = plain_array(found, what)
    if array.dtype.kind == "O":
        array = _unboxed(array, what)
    if array.dtype.kind not in "fiub":
        raise InvalidSample(
            f"{what} need real numbers, found {array.dtype}; convert them first, as in "
            f"numpy.asarray({what}, dtype=float)"
        )
    return array


def _unboxed(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Numbers out of an array of objects, which is what a frame of mixed columns gives."""
    kinds = (int, float, np.integer, np.floating, np.bool_)
    for x in array.flat:
        if not isinstance(x, kinds):
            raise InvalidSample(
                f"{what} need real numbers, found {type(x).__name__} {shown(x, 40)}; convert them "
                f"first, as in numpy.asarray({what}, dtype=float)"
            )
    return np.array(array.tolist())
