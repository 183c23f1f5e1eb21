r"""Limits that hold at every look, for rows that are labelled one after another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, probabilities, probability
from ncbounds.numerics.rounding import EPS, FloatArray

_BISECTIONS = 70
# Relative error of the incomplete beta function, and ulps of each term of a sum of logarithms.
_BETA_OFF, _ULPS = 1e-12, 16.0


def anytime_upper(errors: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    r"""Upper limit of an error rate that holds at all numbers of rows at once, rounded up.

    The largest p with :math:`E_n(p) < 1/\delta`, where for k errors of n

    .. math::
        E_n(p) = \frac{B(k + \frac12, n - k + \frac12)\, I_p(k + \frac12, n - k + \frac12)}
            {\pi\, I_p(\frac12, \frac12)\, p^k (1 - p)^{n - k}} .

    Parameters
    ----------
    errors, n, delta
        Scalars, or arrays that broadcast: ``0 <= errors <= n``, ``0 < delta <= 1/2``.

    Returns
    -------
    float or ndarray
        With probability at least ``1 - delta`` it is at no n below the error rate; 1 for
        ``errors = n``.

    Raises
    ------
    InvalidArgument
        Impossible counts, or delta outside (0, 1/2].

    Notes
    -----
    Rows are independent draws of one law in the order labelled (an order drawn at random before
    labelling; nobody picks the next row, one that cannot be labelled is an error). Sorted by class
    they miss always.

    At a true rate r >= p and q <= p, the factor :math:`(q/p)^x ((1-q)/(1-p))^{1-x}` of a row with
    error x has mean at most 1: so has its product over rows and the mixture over q of the law
    Beta(1/2, 1/2) cut to [0, p], which is :math:`E_n(p)`, a supermartingale. By Ville it reaches
    :math:`1/\delta` at any time with probability at most :math:`\delta`.

    The p refuted are an interval that ends at 1: with density w and distribution W of the
    mixture, :math:`(\ln E)' = (np - k)/(p(1-p)) - (1 - 1/E) w/W`, and :math:`p(1-p) w/W \le 1/2`,
    so E grows where :math:`p \ge (k + 1/2)/n`; the limit is sought there.

    References
    ----------
    Ville (1939); Robbins, Ann. Math. Statist. 41 (1970) 1397-1409 (mixtures).
    """
    k, m, d = np.broadcast_arrays(
        counts("errors", errors), counts("n", n), probabilities("delta", delta)
    )
    if not (np.all(k <= m) and np.all(d <= 0.5)):
        raise InvalidArgument(
            f"errors is {errors!r} of n = {n!r} at delta = {delta!r}; needed: errors at most n, "
            "delta at most 1/2"
        )
    target = -np.log(d) * (1.0 + 4.0 * EPS)
    low = np.minimum((k + 0.5) / np.maximum(m, 1.0) * (1.0 + 4.0 * EPS), 1.0)
    high = np.ones(k.shape)
    refuted = (low < 1.0) & (k < m) & (log_evidence(k, m, low) >= target)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = log_evidence(k, m, middle) >= target
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    out = np.where(k < m, np.where(refuted, np.minimum(low, high), high), 1.0)
    scalar = all(np.ndim(v) == 0 for v in (errors, n, delta))
    return float(out) if scalar else out


def log_evidence(errors: ArrayLike, n: ArrayLike, p: ArrayLike) -> Any:
    r"""Logarithm of :math:`E_n(p)` of :func:`~ncbounds.numerics.anytime_upper`, rounded down.

    Parameters
    ----------
    errors, n
        Counts.
    p
        In (0, 1]; minus infinity at 1 if all err, infinity if not.
    """
    k, m, at = (np.asarray(v, dtype=np.float64) for v in (errors, n, p))
    a, b = k + 0.5, m - k + 0.5
    parts = (
        special.gammaln(a),
        special.gammaln(b),
        -special.gammaln(m + 1.0),
        -special.xlogy(k, at),
        -special.xlog1py(m - k, -at),
    )
    with np.errstate(divide="ignore"):
        inside = np.log(special.betainc(a, b, at)) - math.log(math.pi)
        inside = inside - np.log(special.betainc(0.5, 0.5, at))
    return _sum_down(*parts, inside)


def log_beats(b: ArrayLike, c: ArrayLike) -> Any:
    r"""Logarithm of the evidence that A errs less often than B, rounded down.

    .. math:: \ln\big(2^{m+1} B(b + 1, c + 1)\, I_{1/2}(c + 1, b + 1)\big), \quad m = b + c

    Parameters
    ----------
    b, c
        Counts of rows on which only B and only A errs, so far.

    Returns
    -------
    float or ndarray

    Raises
    ------
    InvalidArgument
        A count that is negative, fractional, infinite or nan.

    Notes
    -----
    The likelihood ratio of b of m at a rate uniform on [1/2, 1] to that at 1/2. If A errs no less
    often than B the rate is at most 1/2 and each factor has mean at most 1; by Ville the evidence
    reaches :math:`1/\delta` at any look with probability at most :math:`\delta`. Rows as in
    :func:`~ncbounds.numerics.anytime_upper`.
    """
    only_b, only_a = counts("b", b), counts("c", c)
    m = only_b + only_a
    parts = (
        (m + 1.0) * math.log(2.0),
        special.gammaln(only_b + 1.0),
        special.gammaln(only_a + 1.0),
        -special.gammaln(m + 2.0),
    )
    with np.errstate(divide="ignore"):
        inside = np.log(special.betainc(only_a + 1.0, only_b + 1.0, 0.5))
    out = _sum_down(*parts, inside)
    return float(out) if np.ndim(b) == 0 and np.ndim(c) == 0 else out


def anytime_beats(b: int, c: int, delta: float) -> bool:
    """Whether A is shown to err less often than B, at a look of any number.

    Parameters
    ----------
    b, c
        Counts of rows on which only B and only A errs, so far.
    delta
        In (0, 1): probability that any look says so of a pair where A errs no less often.
    """
    return bool(log_beats(b, c) >= -math.log(probability("delta", delta)) * (1.0 + 4.0 * EPS))


def _sum_down(*parts: Any) -> FloatArray:
    """Sum of logarithms, the last one that of incomplete beta functions."""
    with np.errstate(invalid="ignore"):
        size = sum(np.abs(x) for x in parts)
        total = sum(parts) - (_ULPS * EPS * size + 2.0 * _BETA_OFF)
    # infinite only where p = 1: refuted unless all err
    return np.asarray(np.where(np.isnan(total), np.inf, total))
