"""Exact binomial limits (Clopper and Pearson), rounded outward.

The upper limit at ``k`` errors of ``n`` is ``max{p : P(Bin(n, p) <= k) >= delta}``. Every limit
is found by the inverse incomplete beta function and then moved outward until the tail itself,
evaluated at the limit, is on the safe side.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.numerics.binomial_beta import lower_interior, upper_interior
from ncbounds.numerics.binomial_log import bisect
from ncbounds.numerics.rounding import FloatArray, down, up

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
        out[i] = binomial_upper_log(int(k[i]), int(m[i]), float(np.log(d[i])))
    rest = inner & ~tiny
    if rest.any():
        out[rest] = upper_interior(k[rest], m[rest], d[rest])
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
        out[rest] = lower_interior(k[rest], m[rest], d[rest])
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


def binomial_upper_log(errors: int, n: int, ln_delta: float) -> float:
    """Exact binomial upper limit with ``ln(delta)`` given, however small delta is.

    Parameters
    ----------
    errors, n
        Counts, ``0 <= errors <= n``, ``n >= 1``.
    ln_delta
        Natural logarithm of delta, negative; ``ln(delta) - l * ln(2)`` for a codeword of l bits.

    Returns
    -------
    float
        The largest p with ``ln P(Bin(n, p) <= errors) >= ln_delta``, rounded up.

    Raises
    ------
    ValueError
        Impossible counts, or ``ln_delta`` not a negative finite number.
    """
    if not (-math.inf < ln_delta < 0):
        raise ValueError(f"ln_delta is {ln_delta}; needed: a finite negative number")
    if int(errors) != errors or int(n) != n or not 0 <= errors <= n or n < 1:
        raise ValueError(f"errors is {errors} of n = {n}; needed: whole numbers, 0 <= errors <= n")
    if errors == n:
        return 1.0
    if errors == 0:
        return min(1.0, float(up(-math.expm1(ln_delta / n), 4)))
    if ln_delta > math.log(_LOG_DOMAIN):
        # ln_delta may have been rounded by the caller; half an ulp of it moves delta by 3e-14.
        return float(binomial_upper(errors, n, math.exp(ln_delta) * (1.0 - 1e-13)))
    return bisect(int(errors), int(n), ln_delta)


def stratified_upper_log(errors: int, n: int, ln_delta: float) -> float:
    """:func:`~ncbounds.numerics.stratified_upper` with ``ln(delta)`` given.

    Raises
    ------
    ValueError
        ``delta`` above 1/4, or impossible counts.
    """
    if not ln_delta <= math.log(0.25):
        raise ValueError(f"ln_delta is {ln_delta}; a stratified sample needs at most ln(1/4)")
    value = binomial_upper_log(errors, n, ln_delta)
    if errors == n - 1:
        return min(1.0, float(up(1.0 - math.exp(ln_delta) / n)))
    return value


def occam_upper(errors: int, n: int, bits: int, delta: float, *, stratified: bool = False) -> float:
    """Largest p with ``P(Bin(n, p) <= errors) >= delta * 2^-bits``, rounded up.

    Parameters
    ----------
    errors, n
        Counts, ``0 <= errors <= n``.
    bits
        Length of a code word.
    delta
        In (0, 1).
    stratified
        Whether the points are independent but need not be alike.

    Raises
    ------
    ValueError
        Impossible counts; for a stratified sample ``delta * 2^-bits`` above 1/4.
    """
    invert = stratified_upper_log if stratified else binomial_upper_log
    return invert(errors, n, _ln_share(delta, bits))


def _ln_share(delta: float, bits: int) -> float:
    """``ln(delta * 2^-bits)``, rounded down."""
    # two logarithms, a product and a difference, each off by at most an ulp of the result
    return float(down(math.log(delta) - bits * math.log(2.0), 4))
