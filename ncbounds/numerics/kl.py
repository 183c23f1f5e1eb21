"""Inverses of the binary relative entropy, outward rounded, and the constant xi(n)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.numerics.rounding import EPS, FloatArray, down, up

# The budget c is enlarged by this much, which covers the rounding of c by the caller and that of
# the entropy here (a few ulps each).
_INFLATE = 2e-14
_NEWTON_STEPS = 100


def kl_upper(q: ArrayLike, c: ArrayLike) -> Any:
    """Largest p with ``kl(q || p) <= c``, rounded up.

    ``kl(q || p) = q ln(q/p) + (1 - q) ln((1 - q)/(1 - p))``.

    Parameters
    ----------
    q
        Empirical rate, 0 or more; 1 for q >= 1 (empirical terms may have been rounded up).
    c
        Budget, 0 or more, for example ``ln(1/delta)/n``. Both may be arrays that broadcast.

    Returns
    -------
    float or ndarray
        A float if both are scalars; q itself for c = 0.

    Raises
    ------
    ValueError
        q or c negative or nan.
    """
    rate, budget = _checked(q, c)
    inside = np.minimum(rate, 1.0)
    y = _shift(inside, 1.0 - inside, budget)
    p = inside + (1.0 - inside) * -np.expm1(-y)
    p = np.where(budget > 0, np.asarray(up(p, 4)), inside)
    out = np.clip(p, 0.0, 1.0)
    return float(out) if np.ndim(q) == 0 and np.ndim(c) == 0 else out


def kl_lower(q: ArrayLike, c: ArrayLike) -> Any:
    """Smallest p with ``kl(q || p) <= c``, rounded down; see :func:`kl_upper`."""
    rate, budget = _checked(q, c)
    inside = np.minimum(rate, 1.0)
    y = _shift(1.0 - inside, inside, budget)
    p = np.where(budget > 0, np.asarray(down(inside * np.exp(-y), 4)), inside)
    out = np.clip(p, 0.0, 1.0)
    return float(out) if np.ndim(q) == 0 and np.ndim(c) == 0 else out


def kl_interval(q: ArrayLike, n: int, level: float = 0.95) -> tuple[Any, Any]:
    """Two-sided interval for the mean of ``n`` independent [0, 1] variables of average ``q``.

    Both ends are Chernoff limits at ``(1 - level) / 2``.

    Parameters
    ----------
    q
        Average, scalar or array.
    n
        Number of independent variables (or of disjoint blocks), at least 1.
    level
        Coverage, in (0, 1).
    """
    if n < 1 or not 0 < level < 1:
        raise ValueError(f"n is {n}, level {level}; needed: n >= 1 and a level in (0, 1)")
    budget = math.log(2.0 / (1.0 - level)) / n
    return kl_lower(q, budget), kl_upper(q, budget)


@lru_cache(maxsize=256)
def ln_xi(n: int) -> float:
    r"""Logarithm of ``xi(n) = sum_k n! / ((n-k)! n^k)``, rounded up.

    ``xi(n)`` is the expectation of ``exp(n kl(k/n || p))`` under ``k ~ Bin(n, p)``, the exact
    constant of the PAC-Bayes-kl bound; ``xi(n) <= 2 sqrt(n)``.

    Raises
    ------
    ValueError
        n below 1.
    """
    if n < 1 or int(n) != n:
        raise ValueError(f"n is {n}; needed: a whole number, 1 or more")
    if n > 10**10:
        return float(up(math.log(2.0) + 0.5 * math.log(n), 4))
    # The terms prod (1 - i/n) fall like exp(-k^2 / 2n): ten standard deviations suffice.
    count = min(n, math.ceil(10.0 * math.sqrt(n)) + 10)
    factors = 1.0 - np.arange(count, dtype=np.float64) / n
    terms = np.cumprod(factors)
    rest = float(terms[-1]) * n / count if count < n else 0.0
    total = (1.0 + float(terms.sum()) + rest) * (1.0 + 4.0 * EPS * count)
    return float(up(math.log(total), 2))


def _shift(q: FloatArray, q1: FloatArray, c: FloatArray) -> FloatArray:
    """Largest ``y = ln((1 - q)/(1 - p))`` with ``kl(q || p) <= c``, from above; ``q1 = 1 - q``.

    In y the entropy is convex and increasing, so Newton's iteration started above the root stays
    above it: every iterate is an upper end.
    """
    c = c * (1.0 + _INFLATE)
    q1_safe = np.where(q1 > 0, q1, 1.0)
    y = _start(q, q1_safe, c)
    for _ in range(_NEWTON_STEPS):
        excess = _entropy(q, q1_safe, y) - c
        s = -np.expm1(-y)
        slope = q1_safe * s / np.where(q + q1_safe * s > 0, q + q1_safe * s, 1.0)
        step = np.where(slope > 0, excess / np.where(slope > 0, slope, 1.0), 0.0)
        # A step below rounding, or upward, means that the root is reached.
        step = np.where(step > 4.0 * EPS * y, np.minimum(step, y), 0.0)
        y = y - step
        if not step.any():
            break
    y = y * (1.0 + 16.0 * EPS)
    return np.where(q1 > 0, np.where(c > 0, y, 0.0), np.inf)


def _start(q: FloatArray, q1: FloatArray, c: FloatArray) -> FloatArray:
    """Smallest of three upper bounds on the root: entropy, Bernstein and Gaussian form."""
    # -q ln q, from 1 - q where q is near 1 (or rounds to it).
    entropy = np.where(q < 0.5, special.entr(q), -q * np.log1p(-np.minimum(q1, 0.5)))
    bound = (c + entropy) / q1
    for move in (
        c + np.sqrt(c * c + 2.0 * q * c),
        np.where(q >= 0.5, np.sqrt(2.0 * q * q1 * c), np.inf),
    ):
        s = move / q1
        with np.errstate(divide="ignore"):
            y = np.where(s < 1.0, -np.log1p(-np.minimum(s, 1.0)), np.inf)
        bound = np.minimum(bound, y)
    return np.asarray(bound * (1.0 + 1e-12))


def _entropy(q: FloatArray, q1: FloatArray, y: FloatArray) -> FloatArray:
    """``kl(q || p)`` at ``1 - p = (1 - q) exp(-y)``: two nonnegative terms, no cancellation."""
    s = -np.expm1(-y)
    move = q1 * s
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        u = move / q
        ln_ratio = np.where(u > 1e15, np.log(move) - np.log(q), np.log1p(u))
        far = move - np.where(q > 0, q * ln_ratio, 0.0)
        near = q * _x_minus_log1p(np.minimum(u, 1.0))
    return np.asarray(q1 * _x_plus_expm1_neg(y) + np.where(u < 0.5, near, far))


def _x_minus_log1p(x: FloatArray) -> FloatArray:
    """``x - log(1 + x)`` for 0 <= x <= 1 without cancellation, by the series of atanh."""
    r = x / (2.0 + x)
    r2 = r * r
    series = np.zeros_like(r)
    for m in range(27, 1, -2):
        series = series * r2 + 1.0 / m
    return x * r - 2.0 * r * r2 * series


def _x_plus_expm1_neg(y: FloatArray) -> FloatArray:
    """``y + exp(-y) - 1`` for y >= 0 without cancellation."""
    small = np.minimum(y, 0.5)
    series = np.ones_like(small)
    for m in range(18, 2, -1):
        series = 1.0 - small / m * series
    return np.where(y < 0.5, 0.5 * small * small * series, y + np.expm1(-y))


def _checked(q: ArrayLike, c: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Broadcast to float arrays of one shape, or say what is wrong."""
    rate, budget = np.asarray(q, dtype=np.float64), np.asarray(c, dtype=np.float64)
    if not np.all(rate >= 0):
        raise ValueError(f"q is {q!r}; needed: a rate, 0 or more and not nan")
    if not (np.all(budget >= 0) and np.all(np.isfinite(budget))):
        raise ValueError(f"c is {c!r}; needed: a finite budget, 0 or more")
    shape = np.broadcast_shapes(rate.shape, budget.shape)
    return np.broadcast_to(rate, shape), np.broadcast_to(budget, shape)
