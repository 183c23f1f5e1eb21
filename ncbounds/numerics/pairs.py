r"""Limits of the difference of two error rates that are closed forms of binomial limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, probabilities
from ncbounds.numerics.binomial import binomial_lower, binomial_upper
from ncbounds.numerics.rounding import FloatArray, down, up

#: Part of delta for the share of rows on which the two differ; the rest is for who wins there.
SHARE = 0.05

# Relative outward move of a tail: more than the incomplete beta function is off by.
_MOVE = 1e-11


def sign_test_p(b: ArrayLike, c: ArrayLike) -> Any:
    r"""Exact one-sided p-value of "B errs no more often than A", rounded up.

    .. math:: P(\mathrm{Bin}(b + c, 1/2) \ge b)

    Parameters
    ----------
    b, c
        Counts of rows on which only B and only A errs; scalars or arrays that broadcast.

    Returns
    -------
    float or ndarray
        1 at ``b = 0``. Under independent draws of one law on which error(B) <= error(A), it is at
        most x with probability at most x.

    Raises
    ------
    InvalidArgument
        A count that is negative, fractional, infinite or nan.

    Notes
    -----
    Given b + c, b is binomial of rate P(only B errs) / P(exactly one errs), at most 1/2 then; its
    upper tail grows with the rate.

    References
    ----------
    McNemar, Psychometrika 12 (1947) 153-157; the exact form.
    """
    only_b, only_a = counts("b", b), counts("c", c)
    tail = special.betainc(np.maximum(only_b, 1.0), only_a + 1.0, 0.5)
    p = np.where(only_b > 0, np.minimum(1.0, np.asarray(up(tail * (1.0 + _MOVE)))), 1.0)
    return float(p) if p.ndim == 0 else p


def paired_lower_two_step(
    b: ArrayLike, c: ArrayLike, n: ArrayLike, delta: ArrayLike, share: float = SHARE
) -> Any:
    r"""Lower limit of error(B) - error(A) from two binomial limits, rounded down.

    With :math:`m = b + c`, :math:`\theta` the exact lower limit of b of m at
    :math:`(1 - s)\delta` (0 for m = 0) and D the exact limit of m of n at :math:`s\delta`, the
    lower one where :math:`\theta > 1/2` and the upper one else,

    .. math:: L = (2\theta - 1) D .

    Above 0 only if the exact sign test rejects at :math:`(1 - s)\delta`. Microseconds a pair, for
    screening many; :func:`~ncbounds.numerics.paired_lower` is usually the larger limit.

    Parameters
    ----------
    b, c
        Counts of rows on which only B and only A errs, ``b + c <= n``. Scalars or arrays.
    n
        Rows, independent draws of one law; classifiers and pair fixed beforehand.
    delta
        In (0, 1).
    share
        The part s of delta, in (0, 1), fixed beforehand.

    Returns
    -------
    float or ndarray
        With probability at least ``1 - delta`` it is not above error(B) - error(A).

    Raises
    ------
    InvalidArgument
        Impossible counts, delta or share.

    Notes
    -----
    Let :math:`\theta_0` = P(only B errs) / D_0, D_0 = P(exactly one errs): the difference is
    :math:`(2\theta_0 - 1) D_0`, and given m, b is binomial of rate :math:`\theta_0`. If
    :math:`\theta_0 \ge 1/2`, L is too large only if :math:`\theta > \theta_0` or if
    :math:`\theta > 1/2` and the lower limit of D is above D_0; if :math:`\theta_0 < 1/2`, only if
    :math:`\theta > \theta_0` or the upper limit of D is below D_0. Never both limits of D: the two
    events have probability at most :math:`(1 - s)\delta + s\delta`.
    """
    only_b, only_a, rows, d = checked_pairs(b, c, n, delta)
    s = probabilities("share", share)
    m = only_b + only_a
    rate = on_distinct(binomial_lower, only_b, m, np.asarray(down((1.0 - s) * d, 3)))
    rate = np.where(m > 0, rate, 0.0)
    rest = np.asarray(down(s * d))
    wins = rate > 0.5
    differ = np.ones(m.shape)
    differ[wins] = on_distinct(binomial_lower, m[wins], rows[wins], rest[wins])
    differ[~wins] = on_distinct(binomial_upper, m[~wins], rows[~wins], rest[~wins])
    return unwrapped(np.asarray(down((2.0 * rate - 1.0) * differ, 3)), b, c, n, delta)


def paired_lower_stratified(b: ArrayLike, c: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    r"""Lower limit of error(B) - error(A) on independent rows that need not be alike.

    .. math:: L = \underline p(b, n, \delta/2) - \overline p(c, n, \delta/2), rounded down,

    exact binomial limits with Hoeffding's rule for one success (:math:`\delta / 2n`) and for one
    failure (:math:`1 - \delta / 2n`). The form for samples with class counts fixed by design; the
    difference is then that of the mean error rates of the n rows. Neither the sign test nor the
    forms for draws of one law hold there.

    Parameters
    ----------
    b, c
        Counts of rows on which only B and only A errs, ``b + c <= n``. Scalars or arrays.
    n
        Rows; classifiers and pair fixed beforehand.
    delta
        In (0, 1/2].

    Returns
    -------
    float or ndarray

    Raises
    ------
    InvalidArgument
        Impossible counts, or delta above 1/2.

    Notes
    -----
    b and c are sums of independent indicators. The exact limit at delta <= 1/4 of a binomial count
    k of n holds for such a sum up to k = n - 2, and at n - 1 the limit is 1 - delta / n; the lower
    limit is its mirror image. A union over the two.

    References
    ----------
    Hoeffding, Ann. Math. Statist. 27 (1956) 713-721, Theorem 4.
    """
    only_b, only_a, rows, d = checked_pairs(b, c, n, delta)
    if not np.all(d <= 0.5):
        raise InvalidArgument(f"delta is {delta!r}; a stratified pair needs 0 < delta <= 1/2")
    half, safe = d / 2.0, np.maximum(rows, 1.0)
    low = on_distinct(binomial_lower, only_b, rows, half)
    low = np.where(only_b == 1, down(half / safe), low)
    high = on_distinct(binomial_upper, only_a, rows, half)
    high = np.where((only_a == rows - 1) & (rows > 0), up(1.0 - half / safe), high)
    return unwrapped(np.asarray(down(low - np.minimum(high, 1.0))), b, c, n, delta)


def on_distinct(limit: Callable[..., Any], *arrays: FloatArray) -> FloatArray:
    """Values of ``limit`` at arrays of one shape, computed once for each distinct argument."""
    table = np.stack([x.ravel() for x in arrays])
    order = np.lexsort(table)
    table = table[:, order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any(table[:, 1:] != table[:, :-1], axis=0)
    out = np.empty(len(order))
    if len(order):
        out[order] = np.asarray(limit(*table[:, new]))[np.cumsum(new) - 1]
    return out.reshape(arrays[0].shape)


def checked_pairs(
    b: ArrayLike, c: ArrayLike, n: ArrayLike, delta: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Broadcast to float arrays of one shape with at least one axis, or say what is wrong."""
    values = (counts("b", b), counts("c", c), counts("n", n), probabilities("delta", delta))
    only_b, only_a, rows, d = np.broadcast_arrays(*(np.atleast_1d(v) for v in values))
    if not np.all(only_b + only_a <= rows):
        raise InvalidArgument(
            f"b is {b!r} and c is {c!r} of n = {n!r} rows; needed: b + c at most n"
        )
    return only_b, only_a, rows, d


def unwrapped(out: FloatArray, *inputs: ArrayLike) -> Any:
    """Differences from -1 on; a float if every input was a scalar."""
    out = np.maximum(out, -1.0)
    return float(out[0]) if all(np.ndim(v) == 0 for v in inputs) else out
