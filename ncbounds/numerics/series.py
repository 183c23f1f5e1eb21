"""Differences that cancel near 0, by their series."""

from __future__ import annotations

import numpy as np

from ncbounds.numerics.rounding import FloatArray


def x_minus_log1p(x: FloatArray) -> FloatArray:
    """``x - log(1 + x)`` for -1/2 <= x <= 1 without cancellation, by the series of atanh."""
    r = x / (2.0 + x)
    r2 = r * r
    series = np.zeros_like(r)
    for m in range(27, 1, -2):
        series = series * r2 + 1.0 / m
    return x * r - 2.0 * r * r2 * series


def x_plus_expm1_neg(y: FloatArray) -> FloatArray:
    """``y + exp(-y) - 1`` for any y without cancellation."""
    small = np.clip(y, -0.5, 0.5)
    series = np.ones_like(small)
    for m in range(18, 2, -1):
        series = 1.0 - small / m * series
    return np.where(np.abs(y) < 0.5, 0.5 * small * small * series, y + np.expm1(-y))
