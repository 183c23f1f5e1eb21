"""Binomial limits by the incomplete beta function, nudged until the exact tail agrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from ncbounds.numerics.rounding import FloatArray, down, up

# Relative outward move after the inversion. It has to exceed what an error of the incomplete beta
# function (about 1e-12 relative for n up to 1e9) can hide; it costs nothing that anybody can see.
_MOVE = 1e-11

_MAX_NUDGES = 80


def upper_interior(k: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    """Upper limits for 0 < k < n, arrays of shape (m,): small ones in p, large ones in 1 - p."""
    out: FloatArray = np.asarray(special.betainccinv(k + 1, n - k, delta), dtype=np.float64)
    large = out > 0.5
    small = ~large
    a, b, d = k[small] + 1, n[small] - k[small], delta[small]
    out[small] = _nudge(out[small], 1.0, _upper_tail_at_most, a, b, d)
    if large.any():
        a, b, d = n[large] - k[large], k[large] + 1, delta[large]
        q = np.asarray(special.betaincinv(a, b, d), dtype=np.float64)
        out[large] = up(1.0 - _nudge(q, -1.0, _lower_tail_at_most, a, b, d))
    return out


def lower_interior(k: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    """Lower limits for 0 < k < n, arrays of shape (m,): small ones in p, large ones in 1 - p."""
    out: FloatArray = np.asarray(special.betaincinv(k, n - k + 1, delta), dtype=np.float64)
    large = out > 0.5
    small = ~large
    a, b, d = k[small], n[small] - k[small] + 1, delta[small]
    out[small] = _nudge(out[small], -1.0, _lower_tail_at_most, a, b, d)
    if large.any():
        a, b, d = n[large] - k[large] + 1, k[large], delta[large]
        q = np.asarray(special.betainccinv(a, b, d), dtype=np.float64)
        out[large] = down(1.0 - _nudge(q, 1.0, _upper_tail_at_most, a, b, d))
    return out


def _upper_tail_at_most(a: FloatArray, b: FloatArray, x: FloatArray, delta: FloatArray) -> Any:
    """Whether P(Beta(a, b) > x) <= delta, decided on the tail that is not near 1."""
    return _tail_at_most(special.betaincc, special.betainc, a, b, x, delta)


def _lower_tail_at_most(a: FloatArray, b: FloatArray, x: FloatArray, delta: FloatArray) -> Any:
    """Whether P(Beta(a, b) <= x) <= delta, decided on the tail that is not near 1."""
    return _tail_at_most(special.betainc, special.betaincc, a, b, x, delta)


def _tail_at_most(
    tail: Any, other: Any, a: FloatArray, b: FloatArray, x: FloatArray, delta: FloatArray
) -> Any:
    """Whether ``tail`` is at most delta, by ``1 - other`` where delta is above 1/2."""
    safe = tail(a, b, x) <= delta
    near = delta > 0.5
    if near.any():
        safe[near] = other(a[near], b[near], x[near]) >= 1.0 - delta[near]
    return safe


def _nudge(
    start: FloatArray,
    sign: float,
    safe: Callable[..., Any],
    a: FloatArray,
    b: FloatArray,
    delta: FloatArray,
) -> FloatArray:
    """Move ``start`` in the direction ``sign`` until ``safe``, then by ``_MOVE`` more."""
    x = np.array(start, dtype=np.float64)
    bad = np.arange(len(x))
    step = 2.0**-52
    for _ in range(_MAX_NUDGES):
        bad = bad[~safe(a[bad], b[bad], x[bad], delta[bad])]  # the others stay as they are
        if not len(bad):
            break
        x[bad] = np.clip(x[bad] * (1.0 + sign * step), 0.0, 1.0)
        step *= 2.0
    else:
        # Never seen; the trivial limit is the one answer that stays valid.
        x[bad] = 1.0 if sign > 0 else 0.0
    return np.clip(x * (1.0 + sign * _MOVE), 0.0, 1.0)
