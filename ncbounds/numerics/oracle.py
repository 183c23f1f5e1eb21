"""What counting fresh points would certify, as a yardstick for other certificates."""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import not_negative, probability, whole
from ncbounds.numerics.binomial import binomial_upper

#: Half-width of the window of error counts, in standard deviations; the rest has mass < 1e-20.
_WINDOW = 10.0
#: Beyond this many held-out labels a certificate's worth is called unbounded.
MOST_LABELS = 2**26


@lru_cache(maxsize=4096)
def mean_binomial_upper(error: float, n: int, delta: float) -> float:
    """Mean exact binomial upper bound on ``error`` from n fresh points, each bound at ``delta``.

    A yardstick (to double precision, not rounded outward), never a bound on anything.

    Parameters
    ----------
    error : float in [0, 1]
    n : int
    delta : float in (0, 1)

    Raises
    ------
    InvalidArgument
        If ``error`` is no probability, ``n`` no whole number from 1 on or ``delta`` not in (0, 1).
    """
    n, delta = whole("n", n, 1), probability("delta", delta)
    if not 0.0 <= not_negative("error", error) <= 1.0:
        raise InvalidArgument(f"error is {error}; needed: a probability in [0, 1]")
    half = _WINDOW * math.sqrt(n * error * (1.0 - error)) + 40.0
    k = np.arange(max(0, math.floor(n * error - half)), min(n, math.ceil(n * error + half)) + 1)
    log_count = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    mass = np.exp(log_count + special.xlogy(k, error) + special.xlog1py(n - k, -error))
    return float(mass @ binomial_upper(k, n, delta) / mass.sum())


def held_out_worth(value: float, error: float, delta: float) -> float:
    """Smallest number of held-out labels that certify no more than ``value`` on average.

    That is the smallest h with ``mean_binomial_upper(error, h, delta) <= value``: 0 for a vacuous
    value, ``inf`` for one that is not above ``error``, nan for an undefined one.
    """
    if not (np.isfinite(value) and np.isfinite(error)):
        return np.nan
    if value >= 1.0:
        return 0.0
    high = 1
    while mean_binomial_upper(error, high, delta) > value:
        high *= 2
        if value <= error or high > MOST_LABELS:
            return np.inf
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if mean_binomial_upper(error, middle, delta) > value:
            low = middle
        else:
            high = middle
    return float(high)
