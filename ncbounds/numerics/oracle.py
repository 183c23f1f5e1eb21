"""What counting fresh points would certify, as a yardstick for other certificates."""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from ncbounds.numerics.binomial import binomial_upper

#: Half-width of the window of error counts, in standard deviations; the rest has mass < 1e-20.
_WINDOW = 10.0


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
    ValueError
        If ``error`` is no probability or n < 1.
    """
    if not 0.0 <= error <= 1.0 or n < 1:
        raise ValueError(f"needed an error in [0, 1] and n >= 1, found {error} and {n}")
    half = _WINDOW * math.sqrt(n * error * (1.0 - error)) + 40.0
    k = np.arange(max(0, math.floor(n * error - half)), min(n, math.ceil(n * error + half)) + 1)
    log_count = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    mass = np.exp(log_count + special.xlogy(k, error) + special.xlog1py(n - k, -error))
    return float(mass @ binomial_upper(k, n, delta) / mass.sum())
