"""Features rounded to float16 where they are stored, and how far they may then be off."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError

#: Types that features may be rounded to.
ROUNDED = ("float16",)


def checked_dtype(name: str | None) -> str | None:
    """Return the type that features are rounded to, None for none.

    Raises
    ------
    DataError
        If it is another one.
    """
    if name is None or name in ROUNDED:
        return name
    raise DataError(
        f"features are stored as they are, or rounded to {', '.join(ROUNDED)}; found {name!r}"
    )


def rounded(features: NDArray[Any], dtype: str | None) -> NDArray[Any]:
    """Round features to a type; what is beyond its range becomes infinite."""
    if dtype is None:
        return features
    with np.errstate(over="ignore", under="ignore"):
        return features.astype(dtype)
