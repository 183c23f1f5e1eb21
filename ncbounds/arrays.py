"""Array types that signatures share, and numbers of any framework as arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import InvalidSample, shown

Floats = NDArray[np.float64]

Ints = NDArray[np.int64]


def numbers(found: object, what: str) -> NDArray[Any]:
    """Return real numbers as an array of the type that they have, without a copy where possible.

    Parameters
    ----------
    found : array-like
        An array or tensor, a frame (whose index means nothing here), or nested lists.
    what : str
        Its name in messages, e.g. ``"features"``.

    Raises
    ------
    InvalidSample
        If it is sparse, ragged, or holds anything but real numbers: nothing is parsed or cast.
    """
    if isinstance(found, np.ndarray):
        array = found
    elif hasattr(found, "toarray") or getattr(found, "is_sparse", False):
        dense = "toarray()" if hasattr(found, "toarray") else "to_dense()"
        raise InvalidSample(f"{what} are sparse ({type(found).__name__}); pass {what}.{dense}")
    else:
        detached = found.detach().cpu() if hasattr(found, "detach") else found
        try:
            array = np.asarray(detached)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise InvalidSample(
                f"{what} of type {type(found).__name__} make no array: {shown(error)}"
            ) from None
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
    kinds = int | float | np.integer | np.floating | np.bool_
    odd = next((x for x in array.flat if not isinstance(x, kinds)), None)
    if array.size and (odd is None and any(x is None for x in array.flat) or odd is not None):
        raise InvalidSample(f"{what} need real numbers, found {type(odd).__name__} {shown(odd)}")
    try:
        return np.array(array.tolist())
    except (ValueError, OverflowError):
        raise InvalidSample(f"{what} need numbers of one kind, found {array.dtype}") from None
