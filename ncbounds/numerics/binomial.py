"""Exact binomial limits (Clopper and Pearson), rounded outward.

The upper limit at ``k`` errors of ``n`` is ``max{p : P(Bin(n, p) <= k) >= delta}``. Every limit
is found by the inverse incomplete beta function and then moved outward until the tail itself,
evaluated at the limit, is on the safe side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .rounding import FloatArray, down, up

# Relative outward move after the inversion. It has to exceed what an error of the incomplete beta
# function (about 1e-12 relative for n up to 1e9) can hide; it costs nothing that anybody can see.
_MOVE = 1e-11
_MAX_NUDGES = 80
# Below this the ordinary tail underflows within the reach of the inverse beta function.
_LOG_DOMAIN = 1e-200


def binomial_upper(errors: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    """One-sided exact upper limit of an error probability.

    The largest p with ``P(Bin(n, p) <= errors) >= delta``, rounded up: with probability at
    least ``1 - delta`` over ``errors ~ Bin(n, p)`` it is not below p. It is 1 for
    ``errors = n`` and where ``n = 0``.

    Parameters
    ----------
    errors, n, delta
        Scalars, or arrays that broadcast: counts ``0 <= errors <= n``, ``0 < delta < 1``.

    Returns
    -------
    float or ndarray
        A float if all three are scalars.

    Raises
    ------
    ValueError
        A count that is negative, fractional or above ``n``, or ``delta`` outside (0, 1).

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934) 404-413.
    """
    k, m, d = _checked(errors, n, delta)
    out = np.ones(k.shape)
    zero = (k == 0) & (m > 0)
    out[zero] = up(-np.expm1(np.log(d[zero]) / m[zero]), 4)
    inner = (k > 0) & (k < m)
    tiny = inner & (d < _LOG_DOMAIN)
    for i in map(tuple, np.argwhere(tiny)):
        from .binomial_log import binomial_upper_log

        out[i] = binomial_upper_log(int(k[i]), int(m[i]), float(np.log(d[i])))
    rest = inner & ~tiny
    if rest.any():
        out[rest] = _upper_interior(k[rest], m[rest], d[rest])
    return _unwrap(np.minimum(out, 1.0), errors, n, delta)


def binomial_lower(errors: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    """One-sided exact lower limit: the mirror image of :func:`binomial_upper`, rounded down.

    The smallest p with ``P(Bin(n, p) >= errors) >= delta``; 0 for ``errors = 0``.
    Parameters, result and errors are those of :func:`binomial_upper`.
    """
    k, m, d = _checked(errors, n, delta)
    out = np.zeros(k.shape)
    every = (k == m) & (m > 0)
    out[every] = down(np.exp(np.log(d[every]) / m[every]), 4)
    rest = (k > 0) & (k < m)
    if rest.any():
        out[rest] = _lower_interior(k[rest], m[rest], d[rest])
    return _unwrap(np.maximum(out, 0.0), errors, n, delta)


def binomial_interval(errors: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Any, Any]:
    """Two-sided exact interval (Clopper and Pearson) of coverage at least ``level``.

    Parameters
    ----------
    errors, n
        Counts, scalars or arrays that broadcast.
    level
        Coverage, in (0, 1); each side misses with probability at most ``(1 - level) / 2``.

    Returns
    -------
    tuple of (float or ndarray)
        Lower end (rounded down) and upper end (rounded up).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; needed: a coverage in (0, 1) such as 0.95")
    side = (1.0 - level) / 2.0
    return binomial_lower(errors, n, side), binomial_upper(errors, n, side)


def stratified_upper(errors: int, n: int, delta: float) -> float:
    """Upper limit of the mean error rate of ``n`` independent points that need not be alike.

    The exact binomial limit stays valid for independent, non-identical Bernoulli variables
    (Hoeffding 1956) if ``delta <= 1/4`` and ``errors <= n - 2``; at ``n - 1`` errors the limit is
    ``1 - delta / n`` and at ``n`` it is 1. This is the form for samples with class counts
    fixed by design.

    Parameters
    ----------
    errors, n
        Counts, ``0 <= errors <= n``.
    delta
        In (0, 1/4].

    Raises
    ------
    ValueError
        ``delta`` above 1/4, or impossible counts.

    References
    ----------
    Hoeffding, Ann. Math. Statist. 27 (1956) 713-721, Theorem 4.
    """
    if not 0 < delta <= 0.25:
        raise ValueError(f"delta is {delta}; a stratified sample needs 0 < delta <= 1/4")
    value = binomial_upper(errors, n, delta)
    if errors == n - 1:
        return min(1.0, float(up(1.0 - delta / n)))
    return float(value)


def _upper_interior(k: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
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


def _lower_interior(k: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
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


def _checked(errors: ArrayLike, n: ArrayLike, delta: ArrayLike) -> tuple[Any, Any, Any]:
    """Broadcast the three inputs to float arrays of one shape, or say what is wrong."""
    k, m, d = (np.asarray(v, dtype=np.float64) for v in (errors, n, delta))
    if not (np.all(m >= 0) and np.all(m == np.floor(m)) and np.all(np.isfinite(m))):
        raise ValueError(f"n is {n!r}; needed: a count, 0 or more")
    if not (np.all(k >= 0) and np.all(k <= m) and np.all(k == np.floor(k))):
        raise ValueError(f"errors is {errors!r} of n = {n!r}; needed: whole numbers from 0 to n")
    if not (np.all(d > 0) and np.all(d < 1)):
        raise ValueError(f"delta is {delta!r}; needed: a probability in (0, 1)")
    shape = np.broadcast_shapes(k.shape, m.shape, d.shape)
    return tuple(np.broadcast_to(v, shape) if shape else v.reshape(()) for v in (k, m, d))  # type: ignore[return-value]


def _unwrap(out: FloatArray, *inputs: ArrayLike) -> Any:
    """Return a float if every input was a scalar."""
    return float(out) if all(np.ndim(v) == 0 for v in inputs) else out
