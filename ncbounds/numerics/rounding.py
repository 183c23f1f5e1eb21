"""Outward rounding: moving a float64 by a stated number of units in the last place."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPS = float(np.finfo(np.float64).eps)

FloatArray = NDArray[np.float64]


def up(x: ArrayLike, ulps: int = 1) -> Any:
    """Return ``x`` moved up by ``ulps`` units in its last place.

    Parameters
    ----------
    x
        Scalar or array; infinities stay, nan stays.
    ulps
        At least 1. A chain of m correctly rounded operations without cancellation is
        off by at most about m of these.

    Raises
    ------
    ValueError
        ``ulps`` below 1, which would not move, or move inward.

    Returns
    -------
    float or ndarray
        A float for a scalar, else an array of the shape of ``x``.
    """
    if not 1 <= ulps < 2**52:
        raise ValueError(f"ulps is {ulps!r}; needed: a whole number, 1 or more")
    value = np.asarray(x, dtype=np.float64)
    finite = np.isfinite(value)
    # The spacing is constant up to the largest float, where asking for it overflows.
    size = np.minimum(np.abs(np.where(finite, value, 1.0)), 1.5e308)
    with np.errstate(over="ignore"):
        moved = np.where(finite, np.where(finite, value, 0.0) + ulps * np.spacing(size), value)
    return float(moved) if moved.ndim == 0 else moved


def down(x: ArrayLike, ulps: int = 1) -> Any:
    """Return ``x`` moved down by ``ulps`` units in its last place; see :func:`up`."""
    moved = -np.asarray(up(-np.asarray(x, dtype=np.float64), ulps))
    return float(moved) if moved.ndim == 0 else moved


def part_of(delta: float, parts: int) -> float:
    """Return ``delta / parts``, rounded down: so many parts add up to ``delta`` at most."""
    part = delta / parts
    return part if Fraction(part) * parts <= Fraction(delta) else float(down(part))


def probability_up(x: ArrayLike, ulps: int = 1) -> Any:
    """Return ``x`` moved up by ``ulps`` units in its last place, at most 1."""
    moved = np.minimum(1.0, up(x, ulps))
    return float(moved) if moved.ndim == 0 else moved
