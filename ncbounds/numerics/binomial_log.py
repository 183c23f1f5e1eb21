"""Exact binomial limits at failure probabilities far below the range of float64.

A description of ``l`` bits costs a factor ``2^-l``: with thousands of bits ``delta`` underflows,
and so does the ordinary binomial tail. Here both stay logarithms.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ncbounds.numerics.rounding import EPS, up

_CHUNK = 4096
_BISECTIONS = 200
# At logit 45 the limit is 1 - 3e-20, which float64 rounds to 1.
_LOGIT_OF_ONE = 45.0


def bisect(k: int, n: int, ln_delta: float) -> float:
    """Upper end of a bisection in logit(p), for 0 < k < n and tiny delta."""
    low, high = math.log(k / (n - k)), _LOGIT_OF_ONE
    if low >= high or _log_tail(k, n, high) > ln_delta:
        return 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if not low < middle < high or high - low < 1e-14 * max(1.0, abs(high)):
            break
        if _log_tail(k, n, middle) > ln_delta:
            low = middle
        else:
            high = middle
    if high > 0:
        return min(1.0, float(up(1.0 - special.expit(-high) * (1.0 - 1e-12), 2)))
    return float(special.expit(high) * (1.0 + 1e-12))


def _log_tail(k: int, n: int, logit: float) -> float:
    """Upper bound on ``ln P(Bin(n, p) <= k)`` for p >= k/n, rounding included.

    The pmf at k in Loader's form, times ``sum_i prod (k - i) (1 - p) / ((n - k + 1 + i) p)``,
    whose terms fall at least geometrically.
    """
    p, q = float(special.expit(logit)), float(special.expit(-logit))
    ln_p, ln_q = float(special.log_expit(logit)), float(special.log_expit(-logit))
    part_k = k * (math.log(k / n) - ln_p)
    part_r = (n - k) * (math.log((n - k) / n) - ln_q)
    shape = 0.5 * math.log(n / (2.0 * math.pi * k * (n - k)))
    ln_pmf = -(part_k + part_r) + shape + _stirling(n) - _stirling(k) - _stirling(n - k)
    # Every summand is off by a few ulps of itself, logarithms of ratios by a few ulps of 1.
    error = 8.0 * EPS * (abs(part_k) + abs(part_r) + n + 10.0)
    return ln_pmf + math.log(_falling_sum(k, n, q / p)) + error


def _falling_sum(k: int, n: int, odds: float) -> float:
    """``sum_{i=0}^{k} prod_{l<i} (k - l) odds / (n - k + 1 + l)``, cut off upward.

    For ``odds <= (n - k)/k``, with which every factor is below 1.
    """
    total, term, start = 1.0, 1.0, 0
    while start < k:
        i = np.arange(start, min(k, start + _CHUNK), dtype=np.float64)
        terms = term * np.cumprod((k - i) * odds / (n - k + 1 + i))
        total += float(terms.sum())
        term, start = float(terms[-1]), start + len(i)
        ratio = (k - start) * odds / (n - k + 1 + start)
        if term / (1.0 - ratio) < 1e-17 * total:
            return (total + term / (1.0 - ratio)) * (1.0 + 1e-12)
    return total * (1.0 + 1e-12)


def _stirling(n: int) -> float:
    """Error of Stirling's formula: ``ln n! - ln(sqrt(2 pi n) (n/e)^n)``."""
    if n < 16:
        return math.lgamma(n + 1) - (0.5 * math.log(2.0 * math.pi * n) + n * math.log(n) - n)
    m = 1.0 / (n * n)
    return (1 / 12 - m * (1 / 360 - m * (1 / 1260 - m * (1 / 1680 - m / 1188)))) / n
