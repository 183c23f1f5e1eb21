"""Powers of two that keep squares and products in the range of float64.

Dividing by a power of two is exact, so what does not depend on the scale of its arguments may
divide them first. Ordinary numbers are left alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Largest absolute binary exponent at which squares and products are left as they are.
ORDINARY = 400
#: Squares below this may have lost digits to underflow.
SAFE_SQUARE = 2.0**-960
#: Numbers that are cast at a time.
AT_ONCE = 2**18


def exponent(x: NDArray[Any]) -> int:
    """Power of two by which to divide ``x``: that of its largest finite entry, or 0 if ordinary.

    Parameters
    ----------
    x : array of any shape and float type
        Entries that are not finite do not count.
    """
    if not x.size:
        return 0
    high = float(np.maximum(x.max(), -x.min()))  # nan if any entry is
    if not np.isfinite(high):
        finite = np.isfinite(x)
        high = float(np.abs(x[finite]).max(initial=0.0))
    found = int(np.frexp(high)[1])
    return found if high > 0 and abs(found) > ORDINARY else 0


def divided(x: NDArray[Any], power: int) -> NDArray[Any]:
    """Return ``x / 2**power`` in float64; ``x`` itself for power 0."""
    if power == 0:
        return x
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(np.ldexp(np.asarray(x, dtype=np.float64), -power))


def row_norms(x: NDArray[Any]) -> NDArray[np.float64]:
    """Euclidean norms of the rows of ``x``, shape (n,); each row is scaled where it has to be.

    Infinite where the norm itself overflows; not finite where an entry is not.
    """
    out = np.empty(len(x))
    step = max(1, AT_ONCE // max(1, x.shape[1]))
    for k in range(0, len(x), step):
        out[k : k + step] = _row_norms(np.asarray(x[k : k + step], dtype=np.float64))
    return out


def _row_norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        odd = np.flatnonzero(~(np.isfinite(out) & (out >= np.sqrt(SAFE_SQUARE))))
        if len(odd) and rows.shape[1]:
            largest = np.abs(rows[odd]).max(axis=1)
            odd = odd[np.isfinite(largest) & (largest > 0)]
            power = np.frexp(np.abs(rows[odd]).max(axis=1, initial=0.0))[1]
            small = np.ldexp(rows[odd], -power[:, None])
            out[odd] = np.ldexp(np.sqrt(np.einsum("ij,ij->i", small, small)), power)
    return out
