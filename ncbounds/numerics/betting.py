r"""Limits of the mean of losses in [0, 1]: by betting, and by their empirical variance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import probability, reals
from ncbounds.numerics.binomial import side_of_level
from ncbounds.numerics.rounding import EPS, FloatArray, up

#: Seed of the order in which losses are bet on; fixed, and drawn without a look at them.
ORDER_SEED = 20_240_117

_MOST_STAKE = 0.75
_BISECTIONS = 60


def mean_upper(losses: ArrayLike, delta: float) -> float:
    r"""Upper limit of the mean of independent losses in [0, 1], rounded up.

    With :math:`m_t = (\frac12 + \sum_{s \le t} x_s)/(t+1)`, :math:`v_0 = \frac14`,
    :math:`v_t = (\frac14 + \sum_{s \le t} (x_s - m_s)^2)/(t+1)` and stakes
    :math:`\lambda_t = \min(.75, \sqrt{2 \ln(1/\delta) / (n v_{t-1})})`, the least m with

    .. math:: \max_{t \le n} \prod_{s \le t} (1 - \lambda_s (x_s - m)) \ge 1/\delta ,

    and 1 where there is none.

    Parameters
    ----------
    losses
        (n,) in [0, 1], independent draws of one law, in an order that does not depend on them
        (rows sorted by class miss always: draw the order by a fixed seed).
    delta
        In (0, 1).

    Returns
    -------
    float
        Not below the mean of the law with probability at least ``1 - delta``; nan for no losses.

    Raises
    ------
    InvalidArgument
        Losses that are no vector or outside [0, 1], or delta outside (0, 1).

    Notes
    -----
    :math:`\lambda_t` depends on earlier losses, n and delta alone and is at most .75: at the true
    mean the factors are positive with mean 1 given the past, and by Ville the product reaches
    :math:`1/\delta` with probability at most :math:`\delta`. Each factor grows with m and the
    stakes do not depend on m, so m is found by bisection. Losses 0 and 1 only: the exact binomial
    limit is smaller.

    References
    ----------
    Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86 (2024) 1-27.
    """
    x = reals("losses", losses)
    if x.ndim != 1 or not (np.all(x >= 0) and np.all(x <= 1)):
        raise InvalidArgument(
            f"losses have shape {x.shape}; needed: a vector of numbers in [0, 1], none of them nan"
        )
    target = -math.log(probability("delta", delta)) * (1.0 + 4.0 * EPS)
    if len(x) == 0:
        return math.nan
    stakes = _stakes(x, target)
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if _most_wealth(x, stakes, middle) >= target:
            high = middle
        else:
            low = middle
    return high


def in_drawn_order(losses: ArrayLike) -> FloatArray:
    """Put losses, (n,), into an order that depends on their number alone.

    Rows often stand sorted, which betting must not see.
    """
    x = reals("losses", losses)
    return np.asarray(x[np.random.default_rng(ORDER_SEED).permutation(len(x))])


def mean_interval(losses: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the mean of independent losses in [0, 1] of one law, by betting.

    Parameters
    ----------
    losses
        (n,) in [0, 1], in any order: see :func:`in_drawn_order`.
    level
        In (0, 1); each end fails with probability at most ``(1 - level) / 2``.

    Returns
    -------
    tuple of float
        Rounded outward; nan for no losses.

    Raises
    ------
    InvalidArgument
        As :func:`mean_upper` does.
    """
    x = in_drawn_order(losses)
    delta = side_of_level(level)
    # 1 - x is not exact, and the mean of what it rounds to is off by no more than half an ulp of 1
    below = mean_upper(np.clip(1.0 - x, 0.0, 1.0), delta)
    return max(0.0, 1.0 - below - 4.0 * EPS), mean_upper(x, delta)


def bernstein_upper(losses: ArrayLike, delta: float) -> float:
    r"""Upper limit of the mean of independent losses in [0, 1] by their variance, rounded up.

    .. math:: \bar x + \sqrt{\frac{2 V \ln(2/\delta)}{n}} + \frac{7 \ln(2/\delta)}{3(n-1)} ,
        \qquad V = \frac{1}{n-1} \sum_i (x_i - \bar x)^2 .

    Parameters
    ----------
    losses
        (n,) in [0, 1], independent; they need not have one law.
    delta
        In (0, 1).

    Returns
    -------
    float
        Not below the mean of the n expectations with probability at least ``1 - delta``; it may
        exceed 1. 1 for a single loss, nan for none.

    Raises
    ------
    InvalidArgument
        Losses that are no vector or outside [0, 1], or delta outside (0, 1).

    References
    ----------
    Maurer and Pontil, COLT 2009, Theorem 11.
    """
    x = reals("losses", losses)
    if x.ndim != 1 or not (np.all(x >= 0) and np.all(x <= 1)):
        raise InvalidArgument(
            f"losses have shape {x.shape}; needed: a vector of numbers in [0, 1], none of them nan"
        )
    n, log = len(x), math.log(2.0) - math.log(probability("delta", delta))
    if n < 2:
        return math.nan if n == 0 else 1.0
    mean = math.fsum(x) / n
    variance = math.fsum((x - mean) ** 2) / (n - 1)
    return float(up(mean + math.sqrt(2.0 * variance * log / n) + 7.0 * log / (3.0 * (n - 1)), 16))


def _stakes(x: FloatArray, ln_inverse_delta: float) -> FloatArray:
    """Stake before each loss."""
    t = np.arange(1, len(x) + 1, dtype=np.float64)
    means = (0.5 + np.cumsum(x)) / (t + 1.0)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1.0)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.minimum(_MOST_STAKE, np.sqrt(2.0 * ln_inverse_delta / (len(x) * before)))


def _most_wealth(x: FloatArray, stakes: FloatArray, m: float) -> float:
    """Logarithm of the largest product so far, rounded down."""
    logs = np.log1p(-stakes * (x - m))
    t = np.arange(1, len(x) + 1)
    # a factor is at least 1/4: its argument is off by 2 ulps of 1, its logarithm by 12
    off = EPS * (12.0 * t + (t + 4.0) * np.cumsum(np.abs(logs)))
    return float(np.max(np.cumsum(logs) - off))
