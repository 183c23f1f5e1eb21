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
    """Upper limits for 0 < k < n: small ones in p, large ones in 1 - p."""
    p = special.betainccinv(k + 1, n - k, delta)
    q = special.betaincinv(n - k, k + 1, delta)
    small = ~(p > 0.5)
    out = np.empty(k.shape)
    if small.any():
        a, b, d = k[small] + 1, n[small] - k[small], delta[small]
        out[small] = _nudge(p[small], 1.0, lambda x: _upper_tail_at_most(a, b, x, d))
    large = ~small
    if large.any():
        a2, b2, d2 = n[large] - k[large], k[large] + 1, delta[large]
        shrunk = _nudge(q[large], -1.0, lambda x: _lower_tail_at_most(a2, b2, x, d2))
        out[large] = up(1.0 - shrunk)
    return out


def lower_interior(k: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    """Lower limits for 0 < k < n: small ones in p, large ones in 1 - p."""
    p = special.betaincinv(k, n - k + 1, delta)
    q = special.betainccinv(n - k + 1, k, delta)
    small = ~(p > 0.5)
    out = np.empty(k.shape)
    if small.any():
        a, b, d = k[small], n[small] - k[small] + 1, delta[small]
        out[small] = _nudge(p[small], -1.0, lambda x: _lower_tail_at_most(a, b, x, d))
    large = ~small
    if large.any():
        a2, b2, d2 = n[large] - k[large] + 1, k[large], delta[large]
        grown = _nudge(q[large], 1.0, lambda x: _upper_tail_at_most(a2, b2, x, d2))
        out[large] = down(1.0 - grown)
    return out


def _upper_tail_at_most(a: FloatArray, b: FloatArray, x: FloatArray, delta: FloatArray) -> Any:
    """Whether P(Beta(a, b) > x) <= delta, decided on the tail that is not near 1."""
    return np.where(
        delta <= 0.5,
        special.betaincc(a, b, x) <= delta,
        special.betainc(a, b, x) >= 1.0 - delta,
    )


def _lower_tail_at_most(a: FloatArray, b: FloatArray, x: FloatArray, delta: FloatArray) -> Any:
    """Whether P(Beta(a, b) <= x) <= delta, decided on the tail that is not near 1."""
    return np.where(
        delta <= 0.5,
        special.betainc(a, b, x) <= delta,
        special.betaincc(a, b, x) >= 1.0 - delta,
    )


def _nudge(start: Any, sign: float, safe: Callable[[FloatArray], Any]) -> FloatArray:
    """Move ``start`` in the direction ``sign`` until ``safe``, then by ``_MOVE`` more."""
    x: FloatArray = np.asarray(start, dtype=np.float64)
    step = 2.0**-52
    for _ in range(_MAX_NUDGES):
        bad = ~np.asarray(safe(x), dtype=bool)
        if not bad.any():
            break
        x = np.where(bad, np.clip(x * (1.0 + sign * step), 0.0, 1.0), x)
        step *= 2.0
    else:
        # Never seen; the trivial limit is the one answer that stays valid.
        x = np.where(bad, 1.0 if sign > 0 else 0.0, x)
    return np.clip(x * (1.0 + sign * _MOVE), 0.0, 1.0)
