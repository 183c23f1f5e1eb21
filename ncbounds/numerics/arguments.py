"""Checks of arguments: every message says what was found and what was needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.rounding import FloatArray

#: Above it float64 no longer tells a whole number from the next.
LARGEST_COUNT = 2**53


def whole(name: str, value: float, least: int = 0) -> int:
    """Return ``value`` as an int if it is a whole number from ``least`` to 2^53."""
    try:
        if least <= value <= LARGEST_COUNT and int(value) == value:
            return int(value)
    except (TypeError, ValueError):
        pass
    raise InvalidArgument(
        f"{name} is {value!r}; needed: a whole number, {least} or more and at most 2^53"
    )


def probability(name: str, value: float) -> float:
    """Return ``value`` if it lies strictly between 0 and 1."""
    return _real(name, value, lambda x: 0 < x < 1, "a probability in (0, 1)")


def positive(name: str, value: float) -> float:
    """Return ``value`` if it is finite and above 0."""
    return _real(name, value, lambda x: 0 < x < math.inf, "a finite number above 0")


def not_negative(name: str, value: float) -> float:
    """Return ``value`` if it is finite and 0 or more."""
    return _real(name, value, lambda x: 0 <= x < math.inf, "a finite number, 0 or more")


def finite(name: str, value: float) -> float:
    """Return ``value`` if it is neither nan nor infinite."""
    return _real(name, value, math.isfinite, "a finite number")


def number(name: str, value: float) -> float:
    """Return ``value`` if it is not nan."""
    return _real(name, value, lambda x: not math.isnan(x), "a number")


def reals(name: str, value: ArrayLike) -> FloatArray:
    """Return ``value`` as a float64 array; complex numbers and words are refused, nan is not."""
    try:
        given = np.asarray(value)
        if given.dtype.kind != "c":
            return given.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise InvalidArgument(f"{name} is {value!r}; needed: real numbers")


def counts(name: str, value: ArrayLike) -> FloatArray:
    """Return ``value`` as float64 whole numbers from 0 to 2^53."""
    n = reals(name, value)
    if not (np.all(n >= 0) and np.all(n <= LARGEST_COUNT) and np.all(n == np.floor(n))):
        raise InvalidArgument(f"{name} is {value!r}; needed: a count, 0 or more, at most 2^53")
    return n


def probabilities(name: str, value: ArrayLike) -> FloatArray:
    """Return ``value`` as float64 numbers strictly between 0 and 1."""
    p = reals(name, value)
    if not (np.all(p > 0) and np.all(p < 1)):
        raise InvalidArgument(f"{name} is {value!r}; needed: a probability in (0, 1)")
    return p


def _real(name: str, value: float, holds: Any, needed: str) -> float:
    try:
        if holds(value):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise InvalidArgument(f"{name} is {value!r}; needed: {needed}")
