"""Inverses of the binary relative entropy, outward rounded, and the constant xi(n)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import reals, whole
from ncbounds.numerics.binomial import side_of_level
from ncbounds.numerics.rounding import EPS, FloatArray, down, up
from ncbounds.numerics.series import x_minus_log1p, x_plus_expm1_neg

# The budget c is enlarged by this much, which covers the rounding of c by the caller and that of
# the entropy here (a few ulps each).
_INFLATE = 2e-14
_NEWTON_STEPS = 100
# At q > 0 positive budgets are raised to the first, below which the entropy underflows; beyond the
# second every limit is 0 or 1 to rounding.
_LEAST, _MOST = 1e-280, 1e4


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
    InvalidArgument
        q or c negative or nan, or c infinite.
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

    Both ends are Chernoff limits at ``(1 - level) / 2``: the argument is the coverage, such as
    .95, and not a failure probability.

    Parameters
    ----------
    q
        Average, scalar or array.
    n
        Number of independent variables (or of disjoint blocks), at least 1.
    level
        Coverage, in (0, 1).

    Raises
    ------
    InvalidArgument
        An impossible average, number or level.
    """
    budget = -math.log(side_of_level(level)) / whole("n", n, 1)
    return kl_lower(q, budget), kl_upper(q, budget)


@lru_cache(maxsize=256)
def ln_xi(n: int) -> float:
    r"""Logarithm of ``xi(n) = sum_k n! / ((n-k)! n^k)``, rounded up.

    ``xi(n)`` is the expectation of ``exp(n kl(k/n || p))`` under ``k ~ Bin(n, p)``, the exact
    constant of the PAC-Bayes-kl bound; ``xi(n) <= 2 sqrt(n)``.

    Raises
    ------
    InvalidArgument
        n below 1, infinite or no whole number.
    """
    n = whole("n", n, 1)
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
    raised = np.where((q > 0) & (c > 0), np.maximum(c, _LEAST), c)
    c = np.minimum(raised, _MOST) * (1.0 + _INFLATE)
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
    with np.errstate(over="ignore"):  # q1 may be subnormal
        bound = (c + entropy) / q1
    for move in (
        c + np.hypot(c, np.sqrt(2.0 * q) * np.sqrt(c)),  # no product of tiny numbers
        np.where(q >= 0.5, np.sqrt(2.0 * q) * np.sqrt(q1) * np.sqrt(c), np.inf),
    ):
        with np.errstate(divide="ignore", over="ignore"):
            s = move / q1
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
        near = q * x_minus_log1p(np.minimum(u, 1.0))
    return np.asarray(q1 * x_plus_expm1_neg(y) + np.where(u < 0.5, near, far))


def _checked(q: ArrayLike, c: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Broadcast to float arrays of one shape, or say what is wrong."""
    rate, budget = reals("q", q), reals("c", c)
    if not np.all(rate >= 0):
        raise InvalidArgument(f"q is {q!r}; needed: a rate, 0 or more and not nan")
    if not (np.all(budget >= 0) and np.all(np.isfinite(budget))):
        raise InvalidArgument(f"c is {c!r}; needed: a finite budget, 0 or more")
    shape = np.broadcast_shapes(rate.shape, budget.shape)
    return np.broadcast_to(rate, shape), np.broadcast_to(budget, shape)
