"""One-sided tail bounds from two moments, rounded up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import number, positive, reals, whole
from ncbounds.numerics.rounding import probability_up

# Standardised means beyond it count as it: their squares overflow.
_FAR = 1e150
# The factor increases with the dimension, and is within 1e-9 of its limit here.
_LEAST_DIMENSION = 1e-8


def cantelli(d: ArrayLike) -> Any:
    """Largest ``P(X <= 0)`` over laws with mean / standard deviation ``d``: ``1 / (1 + d^2)``.

    Parameters
    ----------
    d
        Standardised mean, scalar or array; ``inf`` gives 0, anything not positive gives 1.

    Returns
    -------
    float or ndarray
    """
    x = _positive_part(d)
    return _finish(1.0 / (1.0 + x * x), x)


def unimodal(d: ArrayLike) -> Any:
    """Largest ``P(X <= 0)`` over unimodal laws with standardised mean ``d``.

    ``4 / (9 (1 + d^2))`` for ``d^2 >= 5/3``, ``(3 - d^2) / (3 (1 + d^2))`` below, 1 for d <= 0:
    the one-sided form of Vysochanskij and Petunin (1983).
    """
    x = _positive_part(d)
    far = 4.0 / (9.0 * (1.0 + x * x))
    near = (3.0 - np.minimum(x * x, 3.0)) / (3.0 * (1.0 + np.minimum(x * x, 3.0)))
    return _finish(np.where(x * x >= 5.0 / 3.0, far, np.maximum(near, far)), x)


def star_factor(alpha: float) -> float:
    """Factor ``(2 / (alpha + 2))^(2 / alpha)`` that star-unimodality of dimension alpha earns.

    Parameters
    ----------
    alpha
        Dimension of the space in which star-unimodality is assumed, positive.

    Raises
    ------
    InvalidArgument
        alpha not positive, nan or infinite.
    """
    alpha = max(positive("alpha", alpha), _LEAST_DIMENSION)
    return float(probability_up(math.exp(-2.0 / alpha * math.log1p(0.5 * alpha)), 8))


def saw_one_sided(n: int, t: float) -> float:
    """Bound on ``P(X_{n+1} <= mean - t sd)``, mean and sd from n exchangeable predecessors.

    ``(1 + floor(n (n-1) / (n - 1 + n t^2))) / (n + 1)`` for the event
    ``{sd > 0, X <= mean - t sd}`` or ``{sd = 0, X < mean}``; sd has n - 1 in its denominator.

    Parameters
    ----------
    n
        Size of the calibration sample, 2 or more.
    t
        Fixed beforehand; 1 is returned for t <= 0.

    Returns
    -------
    float
        At least ``1 / (n + 1)``, whatever t.

    Raises
    ------
    InvalidArgument
        n below 2, infinite or no whole number, or t nan.

    References
    ----------
    Saw, Yang and Mo, Chebyshev inequality with estimated mean and variance, The American
    Statistician 38 (1984) 130-132; the one-sided form follows from Cantelli's inequality for the
    n + 1 pooled points and exchangeability.
    """
    n = whole("n", n, 2)
    t = number("t", t)
    if t <= 0:
        return 1.0
    ratio = n * (n - 1) / (n - 1 + n * t * t)
    # A quotient that is an integer in exact arithmetic may fall just below it in floating point.
    count = math.floor(ratio + 1e-9 * max(1.0, ratio))
    return float(probability_up((1 + count) / (n + 1)))


def _positive_part(d: ArrayLike) -> Any:
    """The positive part of ``d``; nan is refused, and only infinity is larger than ``_FAR``."""
    x = reals("d", d)
    if np.isnan(x).any():
        raise InvalidArgument("d holds nan; needed: a standardised mean")
    return np.where(np.isposinf(x), x, np.clip(x, 0.0, _FAR))


def _finish(value: Any, x: Any) -> Any:
    """Round up; exactly 1 where the mean is not positive, exactly 0 where it is infinite."""
    out = np.where(x > 0, np.asarray(probability_up(value, 8)), 1.0)
    out = np.where(np.isposinf(x), 0.0, out)
    return float(out) if out.ndim == 0 else out
